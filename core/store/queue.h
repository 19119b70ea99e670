/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes on their way to a backend.  A worker has one queue a backend: what was written while the last commit ran is
 * the next commit, so that one fsync serves all of it, and commits follow each other in the order of writing.
 *
 * Each write has a number.  A read notes the number of the last write of its partition and waits until that one is
 * done; later writes don't hold it up.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "run/offload.h"
#include "run/op.h"
#include "store/journal.h"
#include "store/store.h"

/* A backend, shared by all workers. */
struct service {
    struct mk_backend backend; /* first */
    struct mk_backend_ops ops; /* the plugin's, as far as it has them */
    uint32_t caps;
    atomic_llong journal_bytes, journal_rows; /* of all queues */
    atomic_bool journal_full, journal_broken; /* said so in the log */
    atomic_bool recovering;                   /* rows of a process that died are being stored; all else waits */
    struct segment *left;                     /* where they are, until the queue of worker 0 takes them */
    const struct mk_coll **left_colls;        /* theirs; ends in NULL */
};
static inline struct service *service_of(const struct mk_coll *coll) {
    return (struct service *)coll->service;
}

/* Writes not done yet of one partition, or of a whole collection. */
struct pending {
    const struct mk_coll *coll;
    uint64_t partition; /* hash; two partitions with one hash wait for each other */
    bool whole;
    uint32_t count;
    uint64_t last; /* number of the last one */
};

/*
 * One allocation: the values lie behind it.  In the list of what is queued one with ROWS stands for so many in the
 * journal, whose numbers begin with SEQ.
 */
struct change {
    struct mk_change x;
    struct change *next;
    uint32_t rows;
    uint64_t partition;
    struct mk_op *op;           /* to be done when the result is known; in a batch the last change has it */
    int64_t *number;            /* ADD: where OP's caller reads the new value */
    struct mk_receipt *receipt; /* to be paid then */
    struct pending *of_partition, *of_coll;
    uint64_t seq;
    size_t bytes;
    bool later;     /* nobody hears of its result; see change_later() */
    bool spillable; /* the journal may have it */
    bool spilling;  /* it is being written there */
    bool replayed;  /* it came from there */
    bool old;       /* with ROWS: of a process before this one */
};

/* A read that waits for writes. */
struct wait {
    struct list link;
    uint64_t seq;
    struct mk_op *op;
    struct mk_read *read;
};

struct change_list {
    struct change *head, **tail;
};

/* A job of the offload pool on a queue's segments; one at a time. */
struct spill_job {
    struct offload_job job;
    struct post post;
    struct queue *queue; /* NULL: its worker has ended */
    enum { SPILL_WRITE, SPILL_READ, SPILL_MARK } what;
    struct segment *segment; /* to append to, to read from, to mark; NULL in SPILL_WRITE: make one */
    struct segment *dead;    /* SPILL_MARK: to be removed */
    struct buf data;
    uint64_t commit_number; /* of the commit that the first SHADOWS records are from */
    uint32_t rows, shadows;
    size_t shadow_bytes;
    int error; /* errno */
    atomic_bool finished;
};

/* What a queue has in the journal; see spill.c. */
struct spill {
    struct segment *first, *last;
    struct spill_job *job;        /* under way, or NULL */
    const struct mk_coll **colls; /* of what was written; ends in NULL */
    uint32_t spillable;           /* how many of the queued are that and not spilling */
    uint32_t fetched, shadows;    /* records of the commit being made: it came from them; they are copies of it */
    size_t fetched_bytes, shadow_bytes;
    bool shadowed;        /* the commit being made has been copied */
    bool fetching, dirty; /* dirty: heads moved, or segments are stored whole, since the last mark */
    bool recovering, marking_again;
    struct timer again;
    uint64_t broken_ms; /* 0, or when to try again after a failure */
};

struct queue {
    struct worker *worker;
    struct service *service;
    struct spill spill;
    const struct instance *provider;
    const struct mk_backend_ops *ops;
    struct change_list queued, flying, finished;
    uint32_t count; /* all three lists */
    size_t bytes;
    uint64_t seq, done_seq; /* of the last write queued and done */
    uint32_t group;         /* last number given to a batch */
    uint32_t done_group;    /* the batch that results are being told of, and its result so far */
    int32_t done_group_rc;
    struct table pending;
    struct list waits; /* of struct wait */
    struct mk_op *op;  /* the commit being made, or NULL */
    struct mk_commit commit;
    struct mk_change **array; /* of CAP; the commit's */
    uint32_t cap;
    uint64_t started_us;
    struct timer retry;
    bool pressed; /* some clients were told to wait until fewer writes do */
    struct timer relief;
    int64_t retry_ms;
    bool commit_failing, read_failing; /* said so in the log */
    bool stopping;
    uint64_t failing_ms; /* since when */
    char *why;           /* the last failure, or NULL */
    struct queue_counts counts;
    bool running;
    uint32_t lost; /* writes refused since the log said so */
    uint64_t lost_said_ms;
};

/* Commits have failed, or one has gone on, for so long that nobody waits for the backend any more, but reads for one more attempt. */
bool queue_is_away(const struct queue *q);
/*
 * True while a backend that works has more to write than it should: who causes writes that nobody waits for is to go
 * slower, until store_relieved() is called.  One that fails, or does not answer, is the journal's business.
 */
bool queue_press(struct queue *q);
/* Somebody asks for a backend that is away: it is tried again soon. */
void queue_hurry(struct queue *q);
struct queue *queue_of(struct worker *w, const struct mk_coll *coll);

/* A change with copies of VALUES (COUNT of them), of OLD and of SCAN, which may be NULL. */
struct change *change_new(const struct mk_coll *coll, uint32_t kind, const struct mk_value *values, size_t count,
                          const struct mk_value *old, const struct mk_scan *scan);
void change_free(struct change *ch);
/* Nobody will hear of its result. */
static inline void change_later(struct change *ch) {
    ch->later = true;
    ch->x.quiet = 1;
}

/* Whether COUNT changes of BYTES together may join. */
bool queue_has_room(const struct queue *q, uint32_t count, size_t bytes);
void queue_push(struct queue *q, struct change *ch);

/*
 * The number of the last write not done of a partition (NULL: of the whole collection), 0 if there is none; and READ
 * started once that is done.
 */
uint64_t queue_last_write(struct queue *q, const struct mk_coll *coll, const uint64_t *partition);
void queue_read(struct queue *q, struct wait *wait);

/* Makes COMMIT of what is flying. */
void queue_commit(struct queue *q);
void queue_fly(struct queue *q, struct change *ch);
void list_push(struct change_list *l, struct change *ch);
struct change *list_take(struct change_list *l);
struct pending *queue_pending(struct queue *q, const struct mk_coll *coll, const uint64_t *partition);

/* Starts a commit if there is something to commit and none is under way, and tells results. */
void queue_run(struct queue *q);

uint64_t store_now_us(void); /* monotonic */

/* ---- spill.c ----------------------------------------------------------------------------------------------------- */

void spill_start(struct queue *q); /* of a new queue */
/* Sends to the journal what should be there. */
void spill_run(struct queue *q);
/* Nothing keeps the queue from its next step, as far as the journal goes; and does it, if the journal has to. */
bool spill_allows(const struct queue *q);
bool spill_steps(struct queue *q);
/* The commit being made worked. */
void spill_committed(struct queue *q);
/* Rows that a stop need not wait for, of those that q->count has. */
uint32_t spill_safe(const struct queue *q);
void spill_stop(struct queue *q); /* waits for what is under way */
void spill_free(struct queue *q);
extern struct journal_config spill_config;

/* What waits in memory is more than PERCENT of its bound. */
bool queue_passes(const struct queue *q, int64_t percent);
/* Of this worker and backend. */
void queues_run(struct worker *w, const struct service *service);

#endif
