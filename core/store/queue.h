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

#include "run/op.h"
#include "store/store.h"

/* Writes not done yet of one partition, or of a whole collection. */
struct pending {
    const struct mk_coll *coll;
    uint64_t partition; /* hash; two partitions with one hash wait for each other */
    bool whole;
    uint32_t count;
    uint64_t last; /* number of the last one */
};

/* One allocation: the values lie behind it. */
struct change {
    struct mk_change x;
    struct change *next;
    uint64_t partition;
    struct mk_op *op;           /* to be done when the result is known; in a batch the last change has it */
    int64_t *number;            /* ADD: where OP's caller reads the new value */
    struct mk_receipt *receipt; /* to be paid then */
    struct pending *of_partition, *of_coll;
    uint64_t seq;
    size_t bytes;
    bool later; /* nobody hears of its result */
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

struct queue {
    struct worker *worker;
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
    int64_t retry_ms;
    bool commit_failing, read_failing; /* said so in the log */
    bool running;
    uint32_t lost; /* writes refused since the log said so */
    uint64_t lost_said_ms;
};

struct queue *queue_of(struct worker *w, const struct mk_coll *coll);

/* A change with copies of VALUES (COUNT of them), of OLD and of SCAN, which may be NULL. */
struct change *change_new(const struct mk_coll *coll, uint32_t kind, const struct mk_value *values, size_t count,
                          const struct mk_value *old, const struct mk_scan *scan);
void change_free(struct change *ch);

/* Whether COUNT changes of BYTES together may join. */
bool queue_has_room(const struct queue *q, uint32_t count, size_t bytes);
void queue_push(struct queue *q, struct change *ch);

/*
 * The number of the last write not done of a partition (NULL: of the whole collection), 0 if there is none; and READ
 * started once that is done.
 */
uint64_t queue_last_write(struct queue *q, const struct mk_coll *coll, const uint64_t *partition);
void queue_read(struct queue *q, struct wait *wait);

/* Starts a commit if there is something to commit and none is under way, and tells results. */
void queue_run(struct queue *q);

uint64_t store_now_us(void); /* monotonic */

#endif
