/* SPDX-License-Identifier: Apache-2.0 */
#include "run/worker.h"
#include "run/op.h"
#include "run/turn.h"
#include "util/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 100 * 1000, READY_ROUND = 1024 };

__thread struct worker *this_worker;
struct worker **workers;
unsigned worker_count;

/* Counts threads that have come to a point, for the one that waits for all of them. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t passed;
    unsigned count;
};

static struct worker_hooks upper;
static struct gate started = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
static atomic_int start_failed;

static void gate_pass(struct gate *g) {
    pthread_mutex_lock(&g->lock);
    g->count++;
    pthread_cond_signal(&g->passed);
    pthread_mutex_unlock(&g->lock);
}

static void gate_wait(struct gate *g, unsigned count) {
    pthread_mutex_lock(&g->lock);
    while (g->count < count)
        pthread_cond_wait(&g->passed, &g->lock);
    g->count = 0;
    pthread_mutex_unlock(&g->lock);
}

void worker_read_clock(struct worker *w) {
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t now = (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000;
    if (now > w->now_ms)
        w->now_ms = now;
    w->now_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
    w->clock_stale = false;
}

uint64_t monotonic_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct worker *worker_of(uint32_t hash) {
    return workers[hash % worker_count];
}

static void wake(struct worker *w) {
    uint64_t one = 1;
    while (write(w->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

bool posts_push(_Atomic(struct post *) *inbox, struct post *p) {
    struct post *head = atomic_load_explicit(inbox, memory_order_relaxed);
    do
        p->next = head;
    while (!atomic_compare_exchange_weak_explicit(inbox, &head, p, memory_order_release, memory_order_relaxed));
    return !head;
}

void worker_post(struct worker *w, struct post *p) {
    if (!posts_push(&w->inbox, p) || w == this_worker)
        return;
    if (this_worker)
        this_worker->wakes[w->index / 64] |= 1ull << (w->index % 64);
    else
        wake(w);
}

static void send_wakes(struct worker *w) {
    for (unsigned i = 0; i < (worker_count + 63) / 64; i++) {
        uint64_t bits = w->wakes[i];
        w->wakes[i] = 0;
        for (; bits; bits &= bits - 1)
            wake(workers[i * 64 + (unsigned)__builtin_ctzll(bits)]);
    }
}

/* The inbox is a stack; turning it over restores the order of arrival. */
void posts_run(_Atomic(struct post *) *inbox) {
    struct post *p = atomic_exchange_explicit(inbox, NULL, memory_order_acquire), *in_order = NULL;
    while (p) {
        struct post *next = p->next;
        p->next = in_order;
        in_order = p;
        p = next;
    }
    while (in_order) {
        p = in_order;
        in_order = p->next;
        p->run(p);
    }
}

void worker_run_ready(struct worker *w) {
    posts_run(&w->inbox);
    ops_resume(w);
    for (unsigned i = 0; i < READY_ROUND && turn_run_ready(w); i++)
        ;
}

static bool has_ready(const struct worker *w) {
    return !list_empty(&w->resumes) || turn_is_ready(w) || atomic_load_explicit(&w->inbox, memory_order_relaxed);
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    /* Edge-triggered: the counter is never read, every write is an edge. */
    (void)fd, (void)what, (void)arg;
}

static void start_ticking(struct worker *w) {
    struct timeval tick = { 0, TICK_US };
    event_add(&w->tick_event, &tick);
    w->ticking = true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct worker *w = arg;
    wheel_advance(w->wheel, worker_now_ms(w));
    if (!wheel_used(w->wheel)) {
        event_del(&w->tick_event);
        w->ticking = false;
    }
}

void worker_timer(struct worker *w, struct timer *t, uint64_t ms) {
    if (!w->ticking) {
        wheel_advance(w->wheel, worker_now_ms(w)); /* nothing is due; the wheel catches up with the idle time */
        start_ticking(w);
    }
    wheel_start(w->wheel, t, worker_now_ms(w), ms);
}

static void loop(struct worker *w) {
    while (!atomic_load_explicit(&w->stopping, memory_order_relaxed)) {
        worker_run_ready(w);
        if (upper.before_wait)
            upper.before_wait(w);
        send_wakes(w);
        w->clock_stale = true;
        event_base_loop(w->base, has_ready(w) ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
        if (upper.after_wait)
            upper.after_wait(w);
    }
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    this_worker = w;
    worker_read_clock(w);
    w->wheel = wheel_new(w->now_ms);
    bool good = !upper.start || upper.start(w) == 0;
    if (!good)
        atomic_store(&start_failed, 1);
    gate_pass(&started);
    if (good)
        loop(w);
    ops_cancel(w);
    if (good && upper.stop)
        upper.stop(w);
    send_wakes(w);
    arena_pool_trim();
    return NULL;
}

static struct worker *worker_new(unsigned index, unsigned fibers_each, size_t stack_size) {
    struct worker *w = xcalloc(1, sizeof *w);
    w->index = index;
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    event_config_require_features(config, EV_FEATURE_ET);
    w->base = event_base_new_with_config(config);
    event_config_free(config);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!w->base || w->wake_fd < 0)
        abort();
    list_init(&w->ready);
    list_init(&w->resumes);
    list_init(&w->asides);
    list_init(&w->ops);
    w->fibers = fiber_pool_new(fibers_each, stack_size);
    w->buffer = xmalloc(WORKER_BUFFER);
    w->wakes = xcalloc((worker_count + 63) / 64, sizeof *w->wakes);
    event_assign(&w->wake_event, w->base, w->wake_fd, EV_READ | EV_ET | EV_PERSIST, on_wake, w);
    event_add(&w->wake_event, NULL);
    event_assign(&w->tick_event, w->base, -1, EV_PERSIST, on_tick, w);
    return w;
}

static void worker_free(struct worker *w) {
    posts_run(&w->inbox);
    ops_free(w);
    event_del(&w->wake_event);
    event_del(&w->tick_event);
    event_base_free(w->base);
    close(w->wake_fd);
    fiber_pool_free(w->fibers);
    wheel_free(w->wheel);
    table_free(&w->entities);
    free(w->plugin_memory);
    free(w->metrics);
    free(w->buffer);
    free(w->wakes);
    free(w);
}

int workers_start(unsigned count, unsigned fibers_each, size_t stack_size, const struct worker_hooks *hooks) {
    upper = *hooks;
    worker_count = count;
    workers = xcalloc(count, sizeof(struct worker *));
    atomic_store(&start_failed, 0);
    for (unsigned i = 0; i < count; i++)
        workers[i] = worker_new(i, fibers_each, stack_size);
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&workers[i]->thread, NULL, worker_main, workers[i]) != 0)
            abort();
    gate_wait(&started, count);
    return atomic_load(&start_failed) ? -1 : 0;
}

void workers_stop(void) {
    for (unsigned i = 0; i < worker_count; i++) {
        atomic_store(&workers[i]->stopping, true);
        wake(workers[i]);
    }
    for (unsigned i = 0; i < worker_count; i++)
        pthread_join(workers[i]->thread, NULL);
}

void workers_free(void) {
    for (unsigned i = 0; i < worker_count; i++)
        worker_free(workers[i]);
    free(workers);
    workers = NULL;
    worker_count = 0;
}

struct each {
    struct post post;
    void (*fn)(struct worker *w, void *arg);
    void *arg;
    struct gate *done;
};

static void run_each(struct post *p) {
    struct each *e = container_of(p, struct each, post);
    e->fn(this_worker, e->arg);
    gate_pass(e->done);
}

void workers_each(void (*fn)(struct worker *w, void *arg), void *arg) {
    struct gate done = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
    struct each *all = xcalloc(worker_count, sizeof *all);
    for (unsigned i = 0; i < worker_count; i++) {
        all[i] = (struct each){ { NULL, run_each }, fn, arg, &done };
        worker_post(workers[i], &all[i].post);
    }
    gate_wait(&done, worker_count);
    free(all);
}
