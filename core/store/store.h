/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections, the server's part: checks values, queues writes of a worker into one commit at a time, lets reads wait
 * for earlier writes of their partition, pays receipts.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "route/host.h"
#include "util/arena.h"
#include "util/text.h"
#include <meerkat/backend.h>

struct mk_coll {
    const struct mk_coll_decl *decl;
    const struct mk_col_decl *cols; /* rows of our own stride */
    const struct mk_index_decl *indexes;
    uint32_t col_count, index_count;
    struct mk_coll_key *keys; /* [0] the collection's, [n] of index n - 1 */
    uint64_t in_key;          /* bit i: column i is in one of them */
    unsigned number;
    unsigned backend; /* number of its queue in each worker */
    const struct mk_backend *service;
    const struct instance *provider;
    void *data;  /* the backend's */
    int ttl_col; /* -1: none */
};

struct worker;
struct service;

/* Main thread: makes the handle for a declaration, checks it, has the backend define it.  One a name: asked again with
 * the same declaration it gives the same.  NULL: ERR says why. */
struct mk_coll *store_define(const struct mk_coll_decl *decl, const struct instance *backend, struct mk_err *err);

/* What a backend can do with the options in INST. */
const struct mk_backend_ops *store_ops(const struct instance *backend); /* NULL: it is none */
uint32_t backend_caps(const struct mk_backend_ops *ops, const void *inst);

/*
 * A handle for the declaration of COLL in another backend, to be freed with coll_free(): not defined there, nor known
 * under its name, so that no feature stores in it.  NULL: ERR says why.
 */
struct mk_coll *coll_elsewhere(const struct mk_coll *coll, const struct instance *backend, struct mk_err *err);
void coll_free(struct mk_coll *coll);

/*
 * The next LIMIT rows of the whole collection, behind the row with the key AFTER (NULL: from the beginning), in the
 * backend's order; and the number of rows.  MK_E_UNSUPPORTED if the backend can't.
 */
MK_SUSPENDS MK_MUST_CHECK int store_page(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *after,
                                         uint32_t limit, const struct mk_rows **out);
MK_SUSPENDS MK_MUST_CHECK int store_page_at(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *after,
                                            uint32_t limit, int64_t now, const struct mk_rows **out);
MK_SUSPENDS MK_MUST_CHECK int store_count(struct mk_ctx *c, const struct mk_coll *coll, int64_t *out);

/* What a backend's schema() wrote; released with buf_free(). */
struct mk_schema {
    struct buf text;
};

/* Main thread: forgets all handles, when no worker uses one any more. */
void store_clear(void);

struct store_config {
    int64_t queue;       /* writes that may wait, a worker and backend */
    int64_t commit_rows; /* most rows of one commit */
    int64_t retry;       /* ms before a failed commit is tried again, doubling to 5 s */
};
/*
 * A turn whose write finds too many before it has ctx.pressed set: whoever it handles a stanza of is to say no more until
 * this is called, in the worker.  NULL: nobody is interested.
 */
extern void (*store_relieved)(struct worker *w);
void store_setup(const struct store_config *config); /* before the workers start; without it 10000, 512, 500 */

/*
 * Opens the journal (journal.h) and takes over what others left in it, when all collections are defined and no worker
 * runs; closes it when no backend runs.  False: the server can't start, WHY has a sentence.
 */
struct journal_config;
bool store_journal_open(const struct journal_config *config, char *why, size_t size);
void store_journal_close(void);
int store_worker_start(struct worker *w);
void store_worker_stop(struct worker *w);
/* Sends out what was written in this loop turn; in before_wait, ahead of what flushes connections: it pays receipts. */
void store_flush(struct worker *w);
/* True when no write waits on this worker but in the journal: a clean stop waits for it, after store_stopping(). */
bool store_idle(const struct worker *w);
void store_stopping(struct worker *w);

/* ---- looking at it ------------------------------------------------------------------------------------------------ */

struct queue_counts { /* of one worker */
    uint64_t commits, writes, reads;
    uint64_t commit_us, read_us; /* the sum of all */
};
struct store_status {
    struct queue_counts counts;
    uint32_t queued;
    bool failing, away;
    uint64_t failing_ms; /* for how long */
    const char *why;     /* the last failure, or NULL */
};
/* Of the backend with this number, in ARENA; NULL if this worker never used it. */
struct store_status *store_status(struct worker *w, unsigned backend, struct arena *arena);
/* The I-th backend, the I-th collection; NULL past the last.  Any thread. */
const struct service *store_service(unsigned i);
const struct mk_coll *store_coll(unsigned i);

#endif
