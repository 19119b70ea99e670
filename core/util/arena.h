/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator: many small pieces, freed together.  Blocks come from a pool, one a thread, so that a turn costs no
 * malloc.  An arena belongs to one thread at a time and may move between threads.
 */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena_cleanup;
struct arena {
    struct arena_block *blocks;     /* newest first; NULL while nothing was asked for */
    char *next, *end;               /* free part of the newest block */
    struct arena_cleanup *cleanups; /* newest first */
};

/* A point to rewind to: what was allocated later is gone. */
struct arena_mark {
    struct arena_block *block;
    char *next;
    struct arena_cleanup *cleanups;
};

static inline void arena_init(struct arena *a) {
    a->blocks = NULL;
    a->next = a->end = NULL;
    a->cleanups = NULL;
}
void arena_free(struct arena *a); /* and init again */
void *arena_alloc(struct arena *a, size_t size)
    __attribute__((malloc, returns_nonnull)); /* 8-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
char *arena_memdup(struct arena *a, const void *data, size_t size) __attribute__((returns_nonnull)); /* adds a NUL */
char *arena_strdup(struct arena *a, const char *text) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3), returns_nonnull));
char *arena_vprintf(struct arena *a, const char *fmt, va_list args) __attribute__((returns_nonnull));
void arena_adopt(struct arena *a, struct arena *other); /* OTHER's blocks become A's; OTHER is empty */

/* Has FN(ARG) run when A is freed, or rewound to before this call; the last one first.  FN must not use A. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

/* Gives the thread's pooled blocks back to malloc; at the end of a thread. */
void arena_pool_trim(void);

#endif
