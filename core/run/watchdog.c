/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog samples each worker's turn mark.  An odd mark that did not change between two samples is one turn that
 * held its thread for the time between them.
 */
#include "run/watchdog.h"
#include "run/worker.h"
#include "util/mem.h"
#include <stdlib.h>
#include <time.h>

enum { SAMPLE_MS = 10, IDLE_SAMPLE_MS = 100, ABORT_MS = 1000, ALIVE_MS = 1000, DEAD_MS = 5000 };

struct seen {
    uint64_t mark;
    uint64_t since_ms;
    bool told;
};

static pthread_t thread;
static atomic_bool ending;
static void (*on_slow)(unsigned worker, const char *with, uint64_t ms);
static void (*on_alive)(void);

/* How long the turn that W is in has run, as far as samples tell; 0 if it is in none. */
static uint64_t held(struct worker *w, struct seen *s, uint64_t now) {
    uint64_t mark = atomic_load_explicit(&w->turn_mark, memory_order_relaxed);
    if (mark != s->mark) {
        *s = (struct seen){ mark, now, false };
        return 0;
    }
    return mark & 1 ? now - s->since_ms : 0;
}

static void *watch(void *arg) {
    struct seen *seen = arg;
    uint64_t alive_at = 0;
    while (!atomic_load(&ending)) {
        uint64_t now = monotonic_us() / 1000, longest = 0;
        bool busy = false;
        for (unsigned i = 0; i < worker_count; i++) {
            uint64_t ms = held(workers[i], &seen[i], now);
            busy |= seen[i].since_ms == now || ms;
            if (ms > longest)
                longest = ms;
            if (ms < SAMPLE_MS)
                continue;
            const char *with = atomic_load_explicit(&workers[i]->busy_with, memory_order_relaxed);
#if !defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
            if (ms >= ABORT_MS)
                abort();
#endif
            if (seen[i].told)
                continue;
            seen[i].told = true;
            on_slow(i, with ? with : "the server", ms);
        }
        if (longest < DEAD_MS && now - alive_at >= ALIVE_MS) {
            alive_at = now;
            on_alive();
        }
        struct timespec pause = { 0, (busy ? SAMPLE_MS : IDLE_SAMPLE_MS) * 1000000L };
        nanosleep(&pause, NULL);
    }
    free(seen);
    return NULL;
}

void watchdog_start(void (*slow)(unsigned worker, const char *with, uint64_t ms), void (*alive)(void)) {
    on_slow = slow;
    on_alive = alive;
    atomic_store(&ending, false);
    if (pthread_create(&thread, NULL, watch, xcalloc(worker_count, sizeof(struct seen))) != 0)
        abort();
}

void watchdog_stop(void) {
    atomic_store(&ending, true);
    pthread_join(thread, NULL);
}
