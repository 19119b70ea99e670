/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels of 256 places: one of ticks, one of turns of the first.  What lies further ahead waits in the last place
 * of the second level and is put again when that comes up, so any delay works.
 */
#include "run/timer.h"
#include "util/mem.h"
#include <stdlib.h>

enum { TICK_MS = 100, PLACES = 256 };

struct wheel {
    uint64_t tick; /* the last one that was fired */
    struct list near[PLACES], far[PLACES];
};

struct wheel *wheel_new(uint64_t now_ms) {
    struct wheel *w = xcalloc(1, sizeof *w);
    w->tick = now_ms / TICK_MS;
    for (unsigned i = 0; i < PLACES; i++) {
        list_init(&w->near[i]);
        list_init(&w->far[i]);
    }
    return w;
}

void wheel_free(struct wheel *w) {
    free(w);
}

/* A timer whose deadline lies in tick T is fired once tick T is over, so never early. */
static uint64_t tick_of(const struct timer *t) {
    return t->deadline_ms / TICK_MS + 1;
}

static void place(struct wheel *w, struct timer *t) {
    uint64_t due = tick_of(t);
    if (due <= w->tick)
        due = w->tick + 1;
    if (due - w->tick < PLACES) {
        list_append(&w->near[due % PLACES], &t->link);
        return;
    }
    uint64_t round = due / PLACES, now = w->tick / PLACES;
    if (round - now >= PLACES)
        round = now + PLACES - 1;
    list_append(&w->far[round % PLACES], &t->link);
}

void wheel_start(struct wheel *w, struct timer *t, uint64_t now_ms, uint64_t ms) {
    if (timer_runs(t))
        list_remove(&t->link);
    t->deadline_ms = ms > UINT64_MAX / 2 ? UINT64_MAX / 2 : now_ms + ms;
    place(w, t);
}

void wheel_stop(struct timer *t) {
    if (timer_runs(t))
        list_remove(&t->link);
}

/* The whole list moves to HEAD, which is on the caller's stack: handlers may start timers in the same place. */
static void take(struct list *from, struct list *head) {
    list_init(head);
    struct list *link;
    while ((link = list_pop(from)) != NULL)
        list_append(head, link);
}

static void cascade(struct wheel *w) {
    struct list due, *link;
    take(&w->far[w->tick / PLACES % PLACES], &due);
    while ((link = list_pop(&due)) != NULL) {
        struct timer *t = container_of(link, struct timer, link);
        uint64_t at = tick_of(t);
        if (at <= w->tick) /* belongs to the very tick that is fired now */
            list_append(&w->near[w->tick % PLACES], link);
        else
            place(w, t);
    }
}

void wheel_advance(struct wheel *w, uint64_t now_ms) {
    uint64_t now = now_ms / TICK_MS;
    while (w->tick < now) {
        w->tick++;
        if (w->tick % PLACES == 0)
            cascade(w);
        struct list due, *link;
        take(&w->near[w->tick % PLACES], &due);
        while ((link = list_pop(&due)) != NULL) {
            struct timer *t = container_of(link, struct timer, link);
            t->fire(t);
        }
    }
}

bool wheel_used(const struct wheel *w) {
    for (unsigned i = 0; i < PLACES; i++)
        if (!list_empty(&w->near[i]) || !list_empty(&w->far[i]))
            return true;
    return false;
}
