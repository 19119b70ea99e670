/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread with its event loop, entities, fibers and pools.  Nothing of it is touched by another thread
 * but its inbox.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "run/fiber.h"
#include "run/timer.h"
#include "util/arena.h"
#include "util/table.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

enum { WORKER_BUFFER = 64 * 1024 };

/* A thing to do, posted to a worker from any thread.  RUN is called on the worker's main stack and owns the struct. */
struct post {
    struct post *next;
    void (*run)(struct post *p);
};

/* An inbox: pushed by any thread (true if it was empty: the owner may have to be woken), run by the one that owns it, in
 * the order of arrival. */
bool posts_push(_Atomic(struct post *) *inbox, struct post *p);
void posts_run(_Atomic(struct post *) *inbox);

struct mk_stanza;
struct worker {
    unsigned index;
    pthread_t thread;
    struct event_base *base;
    _Atomic(struct post *) inbox; /* pushed by others, swapped whole by the owner */
    int wake_fd;
    struct event wake_event, tick_event;
    uint64_t *wakes; /* bit i: worker i is to be woken at the end of this loop turn */

    struct table entities; /* by JID */
    struct list ready;     /* entities with mail whose turn could not run at once */
    struct list resumes;   /* fibers that are to go on: struct op_waiter */
    struct list asides;    /* turns beside entities that wait for a fiber */
    struct fiber_pool *fibers;
    struct wheel *wheel;
    struct list ops;  /* every op that is not done, for shutdown */
    unsigned nesting; /* turns inside each other on the worker's stack */
    bool starved;     /* all that is ready needs a fiber, and none is free */

    uint64_t now_ms;      /* monotonic; use worker_now_ms() */
    int64_t now_us;       /* wall clock */
    bool clock_stale;     /* the loop waited since the clock was read */
    bool ticking;         /* tick_event is pending */
    char *buffer;         /* WORKER_BUFFER bytes: what is being read */
    void *parsers;        /* struct parsers, owned by the stream layer */
    void *net;            /* struct net_worker: dirty connections, chunk pool */
    void *store;          /* struct store_worker: write queues */
    void *hosts;          /* const struct config *: the snapshot this worker follows */
    void **plugin_memory; /* worker memory of each instance, by instance number */
    unsigned plugin_count;

    _Atomic uint64_t turn_mark;      /* odd while a turn holds the thread; grows with each, for the watchdog */
    _Atomic(const char *) busy_with; /* the handler that runs, static text */
    atomic_bool stopping;
    int64_t *metrics; /* this worker's copies, by metric number */
    unsigned metric_count;
};

extern __thread struct worker *this_worker;
extern struct worker **workers; /* all, fixed after workers_start() */
extern unsigned worker_count;

struct worker_hooks {                      /* what upper layers do in each worker */
    int (*start)(struct worker *w);        /* in the thread, before its loop; non-zero ends the start */
    void (*before_wait)(struct worker *w); /* at the end of every loop turn: flush connections */
    void (*stop)(struct worker *w);        /* in the thread, after its loop */
    void (*after_wait)(struct worker *w);  /* when the events of a loop turn were told: read connections */
};

/* Starts COUNT workers and waits until all run.  0 or -1. */
int workers_start(unsigned count, unsigned fibers_each, size_t stack_size, const struct worker_hooks *hooks);
void workers_stop(void); /* ends the loops and joins the threads */
void workers_free(void); /* once nothing can post to them any more */

/* The clocks, read once a loop turn. */
void worker_read_clock(struct worker *w);
static inline uint64_t worker_now_ms(struct worker *w) {
    if (w->clock_stale)
        worker_read_clock(w);
    return w->now_ms;
}
static inline int64_t worker_now_us(struct worker *w) {
    if (w->clock_stale)
        worker_read_clock(w);
    return w->now_us;
}
/* Microseconds of the monotonic clock, read now; on any thread. */
uint64_t monotonic_us(void);
/* Timers of the worker; see timer.h. */
void worker_timer(struct worker *w, struct timer *t, uint64_t ms);

/* Hands P to worker W; from any thread.  Order from one thread to one worker is kept. */
void worker_post(struct worker *w, struct post *p);
/* Runs FN(worker, ARG) on every worker and waits; from the main thread only. */
void workers_each(void (*fn)(struct worker *w, void *arg), void *arg);
/* The home of what hashes to HASH. */
struct worker *worker_of(uint32_t hash);
/* Does what became ready without waiting for I/O: entities with mail, posts.  Part of every loop turn. */
void worker_run_ready(struct worker *w);

#endif
