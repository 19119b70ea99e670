/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ops: work that completes later.  Either a fiber waits for it, or a function is called when it is done.
 */
#ifndef RUN_OP_H
#define RUN_OP_H

#include "run/turn.h"
#include <meerkat/service.h>

struct op_waiter; /* a fiber in op_wait() */
struct op_watch;  /* mk_op_watch() */

struct mk_op {
    struct worker *worker;
    struct op_waiter *waiter;       /* NULL: none, or it gave up */
    void (*done)(struct mk_op *op); /* instead of a waiter: on the main stack; the op is freed after it */
    void *user;
    const struct instance *inst; /* the provider; NULL: the server */
    const char *method;          /* static text */
    struct arena arena;          /* results; adopted by the turn that waited */
    struct timer deadline;
    struct list link;       /* in worker->ops */
    struct post post;       /* mk_op_done_remote() */
    struct op_watch *watch; /* NULL: it never had one; in ARENA */
    int rc;
    bool is_done, starting, patient; /* patient: no deadline, no cancelling */
    void *outcome;                   /* for callers that want more than a code: set by whoever knows, read after */
};

/* An op without a fiber: START it by calling whatever takes it. */
struct mk_op *op_new(const struct instance *provider, const char *method, void (*done)(struct mk_op *op), void *user);

/*
 * An op for the current fiber, in two steps for callers that put their arguments in its arena: op_begin(), fill, then
 * op_wait(), which runs GO(op, ARGS) on the main stack and suspends.  OUT (may be NULL) gets op->outcome.
 */
struct mk_op *op_begin(struct mk_ctx *c, const struct instance *provider, const char *method);
MK_SUSPENDS int op_wait(struct mk_ctx *c, struct mk_op *op, mk_go_fn *go, void *args, void **out);

/* The resumes of this worker: fibers whose op was done outside their own start. */
void ops_resume(struct worker *w);

/* Cancels every op of this worker whose waiter is a fiber: at shutdown. */
void ops_cancel(struct worker *w);
/* Frees what is left, when no thread can complete an op any more. */
void ops_free(struct worker *w);

#endif
