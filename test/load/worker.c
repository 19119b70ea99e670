/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- timers: a binary heap ---------------------------------------------------------------------------------------------- */

static void swap(struct timer_entry *a, struct timer_entry *b) {
    struct timer_entry held = *a;
    *a = *b;
    *b = held;
}

void worker_at(struct client *c, enum timer kind, uint64_t due) {
    struct worker *w = c->w;
    if (w->timer_count == w->timer_cap) {
        w->timer_cap = w->timer_cap * 2 + 64;
        w->timers = realloc(w->timers, w->timer_cap * sizeof *w->timers);
    }
    size_t i = w->timer_count++;
    w->timers[i] = (struct timer_entry){ due, c, c->epoch, kind };
    for (; i && w->timers[i].due < w->timers[(i - 1) / 2].due; i = (i - 1) / 2)
        swap(&w->timers[i], &w->timers[(i - 1) / 2]);
}

static struct timer_entry pop(struct worker *w) {
    struct timer_entry first = w->timers[0];
    w->timers[0] = w->timers[--w->timer_count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1;
        for (size_t k = left; k < left + 2 && k < w->timer_count; k++)
            if (w->timers[k].due < w->timers[least].due)
                least = k;
        if (least == i)
            return first;
        swap(&w->timers[i], &w->timers[least]);
        i = least;
    }
}

static void run_timers(struct worker *w) {
    uint64_t now = now_us();
    while (w->timer_count && w->timers[0].due <= now) {
        struct timer_entry t = pop(w);
        if (t.epoch == t.client->epoch)
            client_timer(t.client, t.kind, t.due);
    }
}

/* ---- what clients ask ----------------------------------------------------------------------------------------------------- */

bool worker_measures(const struct worker *w) {
    return w->control->phase == PHASE_HOLD || w->control->phase == PHASE_DRAIN;
}

bool worker_works(const struct worker *w) {
    return w->control->phase <= PHASE_HOLD;
}

double worker_random(void) {
    return ((double)random() + 1) / ((double)RAND_MAX + 1);
}

/* Logins are what happens before the load is complete; all else is measured once it is. */
void worker_time(struct worker *w, enum timing timing, uint64_t due) {
    uint64_t now = now_us();
    if (timing == TIME_LOGIN || timing == TIME_RESUME || worker_measures(w))
        histogram_add(&w->stats->times[timing], now > due ? now - due : 0);
}

/* ---- clients ---------------------------------------------------------------------------------------------------------------- */

/* Whole units of a group go to one worker: those of the first group to worker 0, 1, 2 ... in turn. */
static int share_of(const struct worker *w, const struct group *g) {
    int units = g->count / g->unit, workers = w->scenario->workers;
    return (units / workers + (w->index < units % workers)) * g->unit;
}

static int before_share(const struct worker *w, const struct group *g) {
    int units = g->count / g->unit, workers = w->scenario->workers;
    return (units / workers * w->index + (w->index < units % workers ? w->index : units % workers)) * g->unit;
}

static const struct way *const ways[WAYS] = { &way_tcp, &way_websocket, &way_bosh };

static void add_client(struct worker *w, const struct group *g, int account) {
    const struct scenario *s = w->scenario;
    struct client *c = &w->clients[w->count];
    *c = (struct client){ .w = w, .group = g, .number = w->count++, .account = s->first + account, .conn.fd = -1 };
    c->sm.tail = &c->sm.head;
    c->way = ways[g->by];
    c->place = w->places;
    w->places += g->by == BY_BOSH ? 2 : 1;
    if (s->accounts) {
        c->user = s->accounts[account].user;
        c->password = s->accounts[account].password;
    } else {
        char text[300];
        int before = (int)(strstr(s->user, "%d") - s->user);
        snprintf(text, sizeof text, "%.*s%d%s", before, s->user, c->account, s->user + before + 2);
        c->user = strdup(text);
        c->password = s->password;
    }
    if (g->chats)
        c->from_partner = calloc(1, sizeof *c->from_partner);
    if (g->room_size)
        c->from_room = calloc((size_t)g->room_size, sizeof *c->from_room);
}

static void add_rooms(struct worker *w, const struct group *g, int first, int count) {
    for (int i = first; i < first + count; i += g->room_size) {
        struct room *r = &w->rooms[w->room_count++];
        *r = (struct room){ .first = i, .size = g->room_size };
        snprintf(r->jid, sizeof r->jid, "load-%x-%d@%s", w->run, w->clients[i].account, g->room_service);
        for (int k = 0; k < g->room_size; k++)
            w->clients[i + k].room = r;
    }
}

/* Groups arrive mixed: each client by how far it stands in its group. */
static int by_place(const void *a, const void *b) {
    const struct client *x = *(struct client *const *)a, *y = *(struct client *const *)b;
    double d = (double)x->churn / x->group->count - (double)y->churn / y->group->count;
    return d < 0 ? -1 : d > 0 ? 1 : x->number - y->number;
}

static void add_clients(struct worker *w) {
    const struct scenario *s = w->scenario;
    int before = 0, total = 0;
    for (int i = 0; i < s->group_count; i++)
        total += share_of(w, &s->groups[i]);
    w->clients = calloc((size_t)total + MOST_GROUPS, sizeof *w->clients);
    for (int i = 0; i < total + MOST_GROUPS; i++)
        w->clients[i].conn.fd = -1;
    w->rooms = calloc((size_t)total + 1, sizeof *w->rooms);
    w->order = calloc((size_t)total + 1, sizeof(struct client *));
    for (int i = 0; i < s->group_count; i++) {
        const struct group *g = &s->groups[i];
        int share = share_of(w, g), first;
        w->count += w->count % 2 && g->chats; /* partners differ in the lowest bit of their number */
        first = w->count;
        for (int k = 0; k < share; k++) {
            w->order[w->next_arrival++] = &w->clients[w->count];
            add_client(w, g, before + before_share(w, g) + k);
            w->clients[w->count - 1].churn = (unsigned)k;
        }
        if (g->room_size)
            add_rooms(w, g, first, share);
        before += g->count;
    }
    qsort(w->order, (size_t)w->next_arrival, sizeof *w->order, by_place);
    for (int i = 0; i < w->next_arrival; i++)
        w->order[i]->churn = 0;
}

/* ---- arrivals ------------------------------------------------------------------------------------------------------------------ */

/* When the NUMBERth of all workers' clients is due: the rate climbs to RATE in RAMP, then stays. */
static uint64_t arrival_due(const struct worker *w, int number) {
    const struct scenario *s = w->scenario;
    double i = (double)number * s->workers + w->index, ramp = (double)s->ramp / 1e6, seconds;
    if (i < s->rate * ramp / 2)
        seconds = sqrt(2 * i * ramp / s->rate);
    else
        seconds = ramp / 2 + i / s->rate;
    return w->control->begin + (uint64_t)(seconds * 1e6);
}

/* One that is due while too many log in comes later, and its login has taken since it was due. */
static void arrive(struct worker *w, int total) {
    while (w->next_arrival < total && w->logging_in < w->at_once && worker_works(w)) {
        uint64_t due = arrival_due(w, w->next_arrival);
        if (due > now_us())
            return;
        struct client *c = w->order[w->next_arrival++];
        client_arrive(c, due);
        client_flush(c);
    }
}

/* In microseconds: a wait of whole milliseconds would be half a one late in the mean. */
static uint64_t timeout_of(const struct worker *w, int total) {
    enum { MOST_MS = 50 };
    uint64_t now = now_us(), due = now + MOST_MS * 1000;
    if (w->timer_count && w->timers[0].due < due)
        due = w->timers[0].due;
    if (w->next_arrival < total && w->logging_in < w->at_once && arrival_due(w, w->next_arrival) < due)
        due = arrival_due(w, w->next_arrival);
    return due <= now ? 0 : due - now;
}

static void poll_once(struct worker *w, uint64_t timeout) {
    struct epoll_event events[256];
    struct timespec wait = { .tv_sec = (time_t)(timeout / 1000000), .tv_nsec = (long)(timeout % 1000000) * 1000 };
    int n = epoll_pwait2(w->epoll_fd, events, 256, &wait, NULL);
    for (int i = 0; i < n; i++) {
        struct conn *conn = events[i].data.ptr;
        if (conn->fd >= 0) /* an event before this one may have closed it */
            client_event(conn->owner, conn);
    }
}

static void ask_all(struct worker *w) {
    for (int i = 0; i < w->count; i++)
        if (w->clients[i].state == STATE_ONLINE) {
            stream_ask(&w->clients[i]);
            client_flush(&w->clients[i]);
        }
}

static void end(struct worker *w) {
    for (int i = 0; i < w->count; i++)
        if (!client_is_away(&w->clients[i]))
            client_leave(&w->clients[i], false);
    w->stats->ended = 1;
}

void worker_run(const struct scenario *scenario, struct control *control, struct stats *stats, int index,
                unsigned run) {
    struct worker w = { .scenario = scenario, .control = control, .stats = stats, .index = index, .run = run };
    bool asked = false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    srandom((unsigned)index * 7919 + 1);
    w.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    add_clients(&w);
    w.at_once = scenario->at_once / scenario->workers > 0 ? scenario->at_once / scenario->workers : 1;
    int total = w.next_arrival;
    w.next_arrival = 0;
    while (control->phase != PHASE_END) {
        arrive(&w, total);
        poll_once(&w, timeout_of(&w, total));
        run_timers(&w);
        if (control->phase == PHASE_DRAIN && !asked) {
            asked = true;
            ask_all(&w);
        }
    }
    end(&w);
}
