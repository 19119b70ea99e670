/* SPDX-License-Identifier: Apache-2.0 */
#include "route/host.h"
#include "run/turn.h"
#include "util/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROW = 512, /* counters: two a handle */
    TIMED = 16 /* one call in so many */
};

/* Workers count in rows of their own, so that no cache line travels.  A handle points into the first worker's. */
struct stats_block {
    struct stats_block *next;
    unsigned used;
    _Atomic uint64_t *counters;
};
static struct stats_block *blocks;
static unsigned stats_rows = 1;

void stats_setup(unsigned count) {
    stats_rows = count ? count : 1;
}

_Atomic uint64_t *stats_new(void) {
    if (!blocks || blocks->used == ROW) {
        struct stats_block *b = xcalloc(1, sizeof *b);
        size_t count = (size_t)stats_rows * ROW;
        if (posix_memalign((void **)&b->counters, 64, count * sizeof *b->counters) != 0)
            abort();
        for (size_t i = 0; i < count; i++)
            atomic_init(&b->counters[i], 0);
        b->next = blocks;
        blocks = b;
    }
    blocks->used += 2;
    return &blocks->counters[blocks->used - 2];
}

void stats_free(void) {
    struct stats_block *b;
    while ((b = blocks) != NULL) {
        blocks = b->next;
        free(b->counters);
        free(b);
    }
}

void stats_sum(const _Atomic uint64_t *stats, uint64_t *calls, uint64_t *average_ns) {
    uint64_t timed = 0, ns = 0;
    *calls = 0;
    for (unsigned i = 0; i < stats_rows; i++, stats += ROW) {
        uint64_t n = atomic_load_explicit(&stats[0], memory_order_relaxed);
        *calls += n;
        timed += (n + TIMED - 1) / TIMED;
        ns += atomic_load_explicit(&stats[1], memory_order_relaxed);
    }
    *average_ns = timed ? ns / timed : 0;
}

static inline _Atomic uint64_t *stats_of(_Atomic uint64_t *first, const struct worker *w) {
    return first + (size_t)(w->index % stats_rows) * ROW;
}

/* Only the row's worker writes it: a plain add, atomic so that readers see whole numbers. */
static inline uint64_t add(_Atomic uint64_t *sum, uint64_t by) {
    uint64_t was = atomic_load_explicit(sum, memory_order_relaxed);
    atomic_store_explicit(sum, was + by, memory_order_relaxed);
    return was;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

static inline enum mk_flow call(const struct handler *h, struct mk_ctx *c, enum mk_hook hook, void *ev) {
    switch (hook) {
#define X(name, payload)                                                                                               \
    case MK_HOOK_##name:                                                                                               \
        return h->fn.name(c, (payload *)ev);
        MK_HOOKS(X)
#undef X
    default:
        return MK_NEXT;
    }
}

static enum mk_flow call_timed(const struct handler *h, struct mk_ctx *c, enum mk_hook hook, void *ev,
                               _Atomic uint64_t *stats) {
    uint64_t start = now_ns();
    enum mk_flow flow = call(h, c, hook, ev);
    add(&stats[1], now_ns() - start);
    return flow;
}

static inline enum mk_flow run_one(const struct handler *h, struct mk_ctx *c, enum mk_hook hook, void *ev) {
    _Atomic uint64_t *stats = stats_of(h->stats, c->worker);
    bool timed = add(&stats[0], 1) % TIMED == 0;
    c->inst = h->inst;
    atomic_store_explicit(&c->worker->busy_with, h->name, memory_order_relaxed);
#ifndef NDEBUG
    bool before = c->no_wait;
    c->no_wait = before || !h->suspends;
#endif
    enum mk_flow flow = timed ? call_timed(h, c, hook, ev, stats) : call(h, c, hook, ev);
#ifndef NDEBUG
    c->no_wait = before;
#endif
    return flow;
}

static bool stop_is_ignored(enum mk_hook hook) {
    return hook == MK_HOOK_session_received || hook == MK_HOOK_session_opened || hook == MK_HOOK_session_closed ||
           hook == MK_HOOK_session_resumed || hook == MK_HOOK_disco_info || hook == MK_HOOK_disco_items ||
           hook == MK_HOOK_account_created || hook == MK_HOOK_session_settled || hook == MK_HOOK_contact_changed ||
           hook == MK_HOOK_account_removed || hook == MK_HOOK_host_started || hook == MK_HOOK_session_saved ||
           hook == MK_HOOK_session_restored || hook == MK_HOOK_session_features ||
           hook == MK_HOOK_presence_filter_changed || hook == MK_HOOK_vcard_changed ||
           hook == MK_HOOK_accounts_listed || hook == MK_HOOK_account_told || hook == MK_HOOK_component_joined ||
           hook == MK_HOOK_roster_pushed || hook == MK_HOOK_host_reloaded;
}

bool chain_run_since(struct mk_ctx *c, enum mk_hook hook, void *ev, unsigned since) {
    const struct chain *chain = c->host ? &c->host->type->chains[hook] : NULL;
    if (!chain || chain->count == 0)
        return false;
    assert(!chain->suspends || c->fiber);
    const struct instance *inst = c->inst;
    const char *with = atomic_load_explicit(&c->worker->busy_with, memory_order_relaxed);
    bool to_the_end = stop_is_ignored(hook), stopped = false;
    for (uint32_t i = 0; i < chain->count && !stopped; i++)
        if (since == 0 || chain->handlers[i].inst->since >= since)
            stopped = run_one(&chain->handlers[i], c, hook, ev) == MK_STOP && !to_the_end;
    c->inst = inst;
    atomic_store_explicit(&c->worker->busy_with, with, memory_order_relaxed);
    return stopped;
}

bool chain_run(struct mk_ctx *c, enum mk_hook hook, void *ev) {
    return chain_run_since(c, hook, ev, 0);
}

#define X(name, payload)                                                                                               \
    bool mk_run_##name(struct mk_ctx *c, payload *ev) {                                                                \
        return chain_run(c, MK_HOOK_##name, ev);                                                                       \
    }
MK_HOOKS(X)
#undef X

int iq_run(struct mk_ctx *c, const struct iq_entry *e, const struct mk_stanza *iq) {
    const struct instance *inst = c->inst;
    const char *with = atomic_load_explicit(&c->worker->busy_with, memory_order_relaxed);
    _Atomic uint64_t *stats = stats_of(e->stats, c->worker);
    bool timed = add(&stats[0], 1) % TIMED == 0;
    uint64_t start = timed ? now_ns() : 0;
    c->inst = e->inst;
    atomic_store_explicit(&c->worker->busy_with, e->name, memory_order_relaxed);
#ifndef NDEBUG
    bool before = c->no_wait;
    c->no_wait = before || e->row->mode == MK_INLINE;
    assert(e->row->mode == MK_INLINE || c->fiber);
#endif
    int rc = e->row->fn(c, iq);
#ifndef NDEBUG
    c->no_wait = before;
#endif
    if (timed)
        add(&stats[1], now_ns() - start);
    c->inst = inst;
    atomic_store_explicit(&c->worker->busy_with, with, memory_order_relaxed);
    return rc;
}

const char *hook_name(enum mk_hook hook) {
    static const char *const names[] = {
#define X(name, payload) #name,
        MK_HOOKS(X)
#undef X
    };
    return hook < MK_HOOK_COUNT_ ? names[hook] : "(unknown)";
}
