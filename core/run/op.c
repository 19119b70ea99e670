/* SPDX-License-Identifier: Apache-2.0 */
#include "run/op.h"
#include "run/metric.h"
#include "util/mem.h"
#include <assert.h>
#include <poll.h>
#include <stdlib.h>

struct op_waiter {
    struct list link; /* in worker->resumes */
    struct fiber *fiber;
    struct mk_op *op; /* NULL once it gave up */
    mk_go_fn *go;
    void *args;
    int rc;
};

struct op_watch {
    struct event event;
    struct mk_op *op;
    mk_op_ready_fn *fn;
    void *arg;
};

struct mk_op *op_new(const struct instance *provider, const char *method, void (*done)(struct mk_op *op), void *user) {
    struct mk_op *op = xcalloc(1, sizeof *op);
    op->worker = this_worker;
    op->inst = provider;
    op->method = method;
    op->done = done;
    op->user = user;
    list_append(&this_worker->ops, &op->link);
    return op;
}

static void end_watch(struct mk_op *op) {
    if (op->watch)
        event_del(&op->watch->event);
}

static void op_free(struct mk_op *op) {
    end_watch(op);
    list_remove(&op->link);
    arena_free(&op->arena);
    free(op);
}

static void wake_waiter(struct worker *w, struct op_waiter *waiter, int rc) {
    waiter->rc = rc;
    list_append(&w->resumes, &waiter->link);
}

/* The waiter's memory is gone from here on: what the op still brings is dropped. */
static void give_up(struct mk_op *op, int rc) {
    struct op_waiter *waiter = op->waiter;
    op->waiter = NULL;
    waiter->op = NULL;
    wheel_stop(&op->deadline);
    wake_waiter(op->worker, waiter, rc);
}

static void on_deadline(struct timer *t) {
    struct mk_op *op = container_of(t, struct mk_op, deadline);
    METRIC(op->worker, op_timeouts, 1);
    give_up(op, MK_E_TIMEOUT);
}

void mk_op_done(struct mk_op *op, int rc) {
    assert(!op->is_done);
    op->is_done = true;
    op->rc = rc;
    end_watch(op);
    if (op->starting)
        return;
    if (op->waiter) {
        wheel_stop(&op->deadline);
        wake_waiter(op->worker, op->waiter, rc);
        return;
    }
    if (op->done)
        op->done(op);
    op_free(op);
}

static void done_by_post(struct post *p) {
    struct mk_op *op = container_of(p, struct mk_op, post);
    mk_op_done(op, op->rc);
}

void mk_op_done_remote(struct mk_op *op, int rc) {
    op->rc = rc;
    op->post.run = done_by_post;
    worker_post(op->worker, &op->post);
}

static void on_ready(evutil_socket_t fd, short what, void *arg) {
    struct op_watch *watch = arg;
    (void)fd;
    watch->fn(watch->op, watch->arg, what & EV_READ);
}

void mk_op_watch(struct mk_op *op, int fd, uint32_t ms, mk_op_ready_fn *fn, void *arg) {
    struct timeval most = { ms / 1000, ms % 1000 * 1000 };
    if (op->watch)
        end_watch(op);
    else
        op->watch = arena_zalloc(&op->arena, sizeof *op->watch);
    op->watch->op = op;
    op->watch->fn = fn;
    op->watch->arg = arg;
    event_assign(&op->watch->event, op->worker->base, fd, EV_READ, on_ready, op->watch);
    if (event_add(&op->watch->event, &most) != 0) /* FN's attempt to read tells what is wrong with FD */
        event_active(&op->watch->event, EV_READ, 0);
}

bool mk_op_live(const struct mk_op *op) {
    return op->waiter || op->done;
}

void *mk_op_alloc(struct mk_op *op, size_t size) {
    return arena_zalloc(&op->arena, size);
}

struct mk_op *op_begin(struct mk_ctx *c, const struct instance *provider, const char *method) {
    (void)c;
    return op_new(provider, method, NULL, NULL);
}

/* On the main stack, between the fiber's suspension and its return. */
static void start(void *arg) {
    struct op_waiter *waiter = arg;
    struct mk_op *op = waiter->op;
    op->starting = true;
    waiter->go(op, waiter->args);
    op->starting = false;
    if (!op->is_done)
        return;
    waiter->rc = op->rc;
    wheel_stop(&op->deadline);
    if (yield_chaos)
        list_append(&op->worker->resumes, &waiter->link);
    else
        fiber_resume(waiter->fiber);
}

int op_wait(struct mk_ctx *c, struct mk_op *op, mk_go_fn *go, void *args, void **out) {
    struct worker *w = c->worker;
    assert(c->fiber && c->fiber == fiber_current());
    assert(!c->no_wait); /* an INLINE handler must not suspend */
    if (atomic_load_explicit(&w->stopping, memory_order_relaxed)) {
        op_free(op);
        return MK_E_CANCELLED;
    }
    struct op_waiter waiter = { .fiber = c->fiber, .op = op, .go = go, .args = args };
    op->waiter = &waiter;
    c->fiber->since_ms = worker_now_ms(w);
    if (!op->patient) {
        uint64_t now = worker_now_ms(w);
        op->deadline.fire = on_deadline;
        worker_timer(w, &op->deadline, c->deadline_ms > now ? c->deadline_ms - now : 1);
    }
    const struct instance *inst = c->inst;
    fiber_suspend_calling(c->fiber, op->method, start, &waiter);
    c->inst = inst;
    if (waiter.op) {
        if (out)
            *out = op->outcome;
        arena_adopt(&c->arena, &op->arena);
        op_free(op);
    }
    return waiter.rc;
}

int mk_op_run(struct mk_ctx *c, const struct mk_svc *svc, const char *method, mk_go_fn *go, void *args) {
    return op_wait(c, op_begin(c, svc->provider, method), go, args, NULL);
}

void ops_resume(struct worker *w) {
    struct list *link;
    while ((link = list_pop(&w->resumes)) != NULL)
        turn_resume(container_of(link, struct op_waiter, link)->fiber);
}

static bool is_patient(const struct mk_op *op) {
    return op->patient && op->waiter && !op->is_done;
}

void ops_cancel(struct worker *w) {
    for (bool again = true; again;) {
        again = false;
        struct list *link, *next;
        for (link = w->ops.next; link != &w->ops; link = next) {
            next = link->next;
            struct mk_op *op = container_of(link, struct mk_op, link);
            if (is_patient(op))
                again = true;
            else if (op->waiter && !op->is_done)
                give_up(op, MK_E_CANCELLED);
        }
        worker_run_ready(w);
        if (again)
            poll(NULL, 0, 1);
    }
}

void ops_free(struct worker *w) {
    struct list *link;
    while ((link = w->ops.next) != &w->ops) {
        struct mk_op *op = container_of(link, struct mk_op, link);
        wheel_stop(&op->deadline);
        op_free(op);
    }
}

/* ---- mk_sleep ------------------------------------------------------------------------------------------------- */

struct nap {
    struct timer timer;
    struct mk_op *op;
    uint32_t ms;
};

static void nap_over(struct timer *t) {
    mk_op_done(container_of(t, struct nap, timer)->op, MK_OK);
}

static void nap_start(struct mk_op *op, void *args) {
    struct nap *nap = args;
    nap->op = op;
    nap->timer.fire = nap_over;
    worker_timer(op->worker, &nap->timer, nap->ms);
}

int mk_sleep(struct mk_ctx *c, uint32_t ms) {
    struct mk_op *op = op_begin(c, NULL, "sleep");
    struct nap *nap = arena_zalloc(&op->arena, sizeof *nap);
    nap->ms = ms;
    return op_wait(c, op, nap_start, nap, NULL);
}
