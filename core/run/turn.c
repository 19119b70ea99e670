/* SPDX-License-Identifier: Apache-2.0 */
#include "run/turn.h"
#include "run/metric.h"
#include "util/mem.h"
#include <assert.h>
#include <stdlib.h>

/* One turn may run inside another on the worker's stack: a message goes from socket to socket in plain calls. */
enum { MAX_NESTING = 2, MAILS_IN_A_ROW = 64 };

_Atomic uint32_t turn_deadline_ms = 10000;
_Atomic uint32_t mailbox_high_mark = 1000;
bool yield_chaos;

struct aside {
    struct list link; /* in worker->asides while no fiber is free */
    struct mk_ctx ctx;
    void (*run)(struct mk_ctx *c, void *arg);
    void *arg;
};

struct mail_turn {
    struct mk_ctx ctx;
    struct mail *mail;
};

void entity_init(struct mk_entity *e, const struct entity_class *class, const struct mk_jid *jid,
                 const struct host *host) {
    *e = (struct mk_entity){ .class = class, .jid = jid, .host = host };
    e->tail = &e->head;
}

bool entity_is_idle(const struct mk_entity *e) {
    return !e->busy && !e->head && !e->asides && !list_linked(&e->ready);
}

void turn_begin(struct mk_ctx *c, struct mk_entity *e, const struct host *host, const struct mk_jid *self) {
    struct worker *w = this_worker;
    *c = (struct mk_ctx){ .worker = w, .entity = e, .fiber = fiber_current(), .host = host, .self = self };
    c->deadline_ms = worker_now_ms(w) + turn_deadline_ms;
    METRIC(w, turns, 1);
}

void turn_at_end(struct mk_ctx *c, void (*run)(void *arg), void *arg) {
    struct turn_end *e = arena_alloc(&c->arena, sizeof *e);
    *e = (struct turn_end){ c->at_end, run, arg };
    c->at_end = e;
}

void turn_end(struct mk_ctx *c) {
    for (struct turn_end *e = c->at_end; e; e = e->next)
        e->run(e->arg);
    arena_free(&c->arena);
}

/* For the watchdog: the mark is odd while a turn, or a piece of one between two waits, holds the thread. */
static void hold(struct worker *w) {
    if (w->nesting++ == 0)
        atomic_store_explicit(&w->turn_mark, atomic_load_explicit(&w->turn_mark, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}
static void let_go(struct worker *w) {
    if (--w->nesting == 0)
        atomic_store_explicit(&w->turn_mark, atomic_load_explicit(&w->turn_mark, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

void turn_resume(struct fiber *f) {
    struct worker *w = this_worker;
    hold(w);
    fiber_resume(f);
    let_go(w);
}

static void make_ready(struct mk_entity *e) {
    if (!list_linked(&e->ready))
        list_append(&this_worker->ready, &e->ready);
}

static void run_turn(struct mk_ctx *c, struct mk_entity *e, struct mail *m) {
    turn_begin(c, e, e->host, e->jid);
    m->turn(c, m);
    turn_end(c);
    e->busy = false;
    if (m->done)
        m->done(m);
}

static void mail_on_fiber(void *arg) {
    struct mail *m = arg;
    struct mk_entity *e = m->entity;
    struct mk_ctx c;
    fiber_current()->ctx = &c;
    run_turn(&c, e, m);
    make_ready(e); /* more mail, or the end of the entity, is the main stack's business */
}

static bool needs_fiber(struct mk_entity *e, struct mail *m) {
    return m->needs ? m->needs(e, m) : m->suspends;
}

/* Handles mail until none is left, one must wait, or others should have a go.  May free the entity. */
static void run_mailbox(struct mk_entity *e) {
    struct worker *w = this_worker;
    for (unsigned i = 0; e->head && !e->busy; i++) {
        struct mail *m = e->head;
        bool on_fiber = needs_fiber(e, m);
        if (on_fiber && !fiber_available(w->fibers)) {
            METRIC(w, fiber_waits, 1);
            make_ready(e);
            return;
        }
        if (i == MAILS_IN_A_ROW) {
            make_ready(e);
            return;
        }
        e->head = m->next;
        if (!e->head)
            e->tail = &e->head;
        e->mail_count--;
        e->busy = true;
        m->entity = e;
        hold(w);
        if (on_fiber) {
            METRIC(w, fibers_used, 1);
            fiber_start(w->fibers, NULL, mail_on_fiber, m);
        } else {
            struct mk_ctx c;
            run_turn(&c, e, m);
        }
        let_go(w);
    }
    if (e->is_full && e->mail_count < mailbox_high_mark / 2) {
        e->is_full = false;
        e->class->full(e, false);
    }
    if (entity_is_idle(e) && e->class->idle)
        e->class->idle(e);
}

void entity_mail(struct mk_entity *e, struct mail *m) {
    struct worker *w = this_worker;
    m->next = NULL;
    *e->tail = m;
    e->tail = &m->next;
    e->mail_count++;
    if (!e->is_full && e->mail_count >= mailbox_high_mark && e->class->full) {
        e->is_full = true;
        e->class->full(e, true);
    }
    if (e->busy || list_linked(&e->ready))
        return;
    if (w->nesting < MAX_NESTING && !fiber_current() && !e->held)
        run_mailbox(e);
    else
        make_ready(e);
}

void entity_mail_first(struct mk_ctx *c, struct mail *m) {
    struct mk_entity *e = c->entity;
    struct mail **at = c->first ? c->first : &e->head;
    assert(e->busy && !c->aside);
    m->next = *at;
    *at = m;
    if (!m->next)
        e->tail = &m->next;
    c->first = &m->next;
    e->mail_count++;
}

static void aside_on_fiber(void *arg) {
    struct aside *a = arg;
    struct mk_entity *e = a->ctx.entity;
    fiber_current()->ctx = &a->ctx;
    turn_begin(&a->ctx, e, a->ctx.host, a->ctx.self);
    a->ctx.aside = true;
    a->run(&a->ctx, a->arg);
    turn_end(&a->ctx);
    if (e) {
        e->asides--;
        make_ready(e);
    }
    free(a);
}

static void start_aside(struct worker *w, struct aside *a) {
    METRIC(w, fibers_used, 1);
    hold(w);
    fiber_start(w->fibers, &a->ctx, aside_on_fiber, a);
    let_go(w);
}

void turn_aside(struct mk_entity *e, const struct host *host, const struct mk_jid *self,
                void (*run)(struct mk_ctx *c, void *arg), void *arg) {
    struct worker *w = this_worker;
    struct aside *a = xcalloc(1, sizeof *a);
    a->ctx.entity = e;
    a->ctx.host = host;
    a->ctx.self = self;
    a->run = run;
    a->arg = arg;
    if (e)
        e->asides++;
    if (!fiber_current() && list_empty(&w->asides) && fiber_available(w->fibers)) {
        start_aside(w, a);
        return;
    }
    if (!fiber_available(w->fibers))
        METRIC(w, fiber_waits, 1);
    list_append(&w->asides, &a->link);
}

bool turn_is_ready(const struct worker *w) {
    return (!list_empty(&w->ready) && !w->starved) || (!list_empty(&w->asides) && fiber_available(w->fibers));
}

bool turn_run_ready(struct worker *w) {
    bool did = false;
    w->starved = false;
    if (!list_empty(&w->asides) && fiber_available(w->fibers)) {
        struct list *link = list_pop(&w->asides);
        start_aside(w, container_of(link, struct aside, link));
        did = true;
    }
    for (unsigned i = 0; i < MAILS_IN_A_ROW; i++) {
        struct list *link = list_pop(&w->ready);
        if (!link)
            return did;
        struct mk_entity *e = container_of(link, struct mk_entity, ready);
        if (!e->head || e->busy || !needs_fiber(e, e->head) || fiber_available(w->fibers)) {
            run_mailbox(e);
            return true;
        }
        list_append(&w->ready, link);
    }
    /* Nothing but a fiber that ends will help: go and wait for events instead of turning in place. */
    w->starved = true;
    return did;
}
