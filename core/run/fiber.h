/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers: stacks on which a turn may wait.  Pooled, pinned to their worker, capped.  The switch is a few instructions
 * on x86-64 and aarch64, ucontext elsewhere.
 */
#ifndef RUN_FIBER_H
#define RUN_FIBER_H

#include "util/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mk_ctx;
struct fiber_pool;

struct fiber {
    void *sp; /* saved stack pointer while suspended */
    struct fiber_pool *pool;
    struct list link; /* in the pool's idle or busy list */
    void (*run)(void *arg);
    void *arg;
    void (*call)(void *arg); /* asked of the main stack before the next resume; NULL: only suspended */
    void *call_arg;
    bool in_call, again;   /* CALL runs; it resumed the fiber, which goes on when CALL returns */
    struct mk_ctx *ctx;    /* the turn, for `meerkatctl fibers` */
    const char *waits_for; /* name of what it waits for, static text */
    uint64_t since_ms;     /* when it began to wait */
    char *stack;           /* lowest usable address */
    size_t stack_size;
    void *asan_fake, *tsan; /* sanitizers */
    unsigned valgrind_id, number;
};

struct fiber_pool *fiber_pool_new(unsigned max, size_t stack_size);
void fiber_pool_free(struct fiber_pool *p); /* all fibers idle */
bool fiber_available(const struct fiber_pool *p);

/* Runs RUN(ARG) on a fiber until it returns or suspends.  From the main stack only.  One must be available. */
void fiber_start(struct fiber_pool *p, struct mk_ctx *ctx, void (*run)(void *arg), void *arg);

/* In a fiber: goes back to the main stack until somebody resumes it. */
void fiber_suspend(struct fiber *f, const char *waits_for);
/* In a fiber: has CALL(ARG) run on the main stack, and suspends until resumed.  CALL may resume it at once: then this
 * returns without another loop turn. */
void fiber_suspend_calling(struct fiber *f, const char *waits_for, void (*call)(void *arg), void *arg);
/* In a fiber: has CALL(ARG) run on the main stack and goes on. */
void fiber_call(struct fiber *f, void (*call)(void *arg), void *arg);
/* From the main stack: goes on with a suspended fiber until it returns or suspends again. */
void fiber_resume(struct fiber *f);

struct fiber *fiber_current(void); /* NULL on the main stack */
unsigned fiber_busy(const struct fiber_pool *p);
/* The busy fibers, oldest first: *POS NULL to begin. */
struct fiber *fiber_next(const struct fiber_pool *p, struct fiber *prev);
size_t fiber_high_water(const struct fiber_pool *p); /* deepest stack use seen, in bytes; counted when a fiber ends */

#endif
