/* SPDX-License-Identifier: Apache-2.0 */
#include "route/object_timer.h"
#include "route/router.h"
#include "util/mem.h"
#include <assert.h>
#include <stdlib.h>

struct object_timer {
    struct timer timer;
    struct mail mail;          /* sent when it fires; the struct is freed after it */
    struct object_timer *next; /* of the same entity */
    struct mk_entity *entity;
    uint64_t session; /* number, 0: the entity's own */
    const struct instance *inst;
    const struct mk_timer_decl *row;
};

static void unlink_timer(struct object_timer *t) {
    struct object_timer **at = (struct object_timer **)&t->entity->timers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

static void run_aside(struct mk_ctx *c, void *row) {
    ((const struct mk_timer_decl *)row)->fn(c, NULL);
}

static void fired_turn(struct mk_ctx *c, struct mail *m) {
    struct object_timer *t = container_of(m, struct object_timer, mail);
    struct mk_session *s = NULL;
    if (t->session) {
        s = session_by_number(account_of(c->entity), t->session);
        if (!s || s->ended)
            return;
    }
    c->inst = t->inst;
    if (t->row->mode == MK_ASIDE)
        mk_aside(c, run_aside, (void *)t->row);
    else
        t->row->fn(c, s);
}

static void fired_done(struct mail *m) {
    free(container_of(m, struct object_timer, mail));
}

static void fire(struct timer *timer) {
    struct object_timer *t = container_of(timer, struct object_timer, timer);
    unlink_timer(t);
    t->mail = (struct mail){ .suspends = t->row->mode == MK_SERIAL, .turn = fired_turn, .done = fired_done };
    entity_mail(t->entity, &t->mail);
}

static struct object_timer *find(struct mk_ctx *c, struct mk_session *session, unsigned index) {
    const struct mk_timer_decl *row = (const struct mk_timer_decl *)c->inst->plugin->d.timers.items + index;
    uint64_t number = session ? session->number : 0;
    for (struct object_timer *t = c->entity->timers; t; t = t->next)
        if (t->row == row && t->session == number)
            return t;
    return NULL;
}

void mk_timer_start(struct mk_ctx *c, struct mk_session *session, unsigned index, uint32_t ms) {
    assert(!c->aside && index < c->inst->plugin->d.timers.count);
    struct object_timer *t = find(c, session, index);
    if (!t) {
        t = xcalloc(1, sizeof *t);
        t->entity = c->entity;
        t->session = session ? session->number : 0;
        t->inst = c->inst;
        t->row = (const struct mk_timer_decl *)c->inst->plugin->d.timers.items + index;
        t->timer.fire = fire;
        t->next = c->entity->timers;
        c->entity->timers = t;
    }
    worker_timer(c->worker, &t->timer, ms);
}

static void drop(struct object_timer *t) {
    wheel_stop(&t->timer);
    unlink_timer(t);
    free(t);
}

void mk_timer_stop(struct mk_ctx *c, struct mk_session *session, unsigned index) {
    struct object_timer *t = find(c, session, index);
    if (t)
        drop(t);
}

bool mk_timer_runs(struct mk_ctx *c, struct mk_session *session, unsigned index) {
    return find(c, session, index) != NULL;
}

void object_timers_drop(struct mk_entity *e, uint64_t number) {
    struct object_timer *next;
    for (struct object_timer *t = e->timers; t; t = next) {
        next = t->next;
        if (!number || t->session == number)
            drop(t);
    }
}
