/* SPDX-License-Identifier: Apache-2.0 */
#include "util/arena.h"
#include "util/mem.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Under AddressSanitizer blocks are not pooled, what was not handed out is poisoned, and a gap follows each piece: else
 * the pool would hide what the sanitizer is there to find.
 */
#if defined(__SANITIZE_ADDRESS__)
#define CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKED 1
#endif
#endif
#ifdef CHECKED
#include <sanitizer/asan_interface.h>
enum { GAP = 8, POOLED = 0 };
#define POISON(p, size) ASAN_POISON_MEMORY_REGION(p, size)
#define UNPOISON(p, size) ASAN_UNPOISON_MEMORY_REGION(p, size)
#else
enum { GAP = 0, POOLED = 1 };
#define POISON(p, size) ((void)0)
#define UNPOISON(p, size) ((void)0)
#endif

struct arena_block {
    struct arena_block *next;
    size_t size; /* with this header */
    char data[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

enum { CLASSES = 3, IN_A_ROW = 2 };
static const size_t class_size[CLASSES] = { 2048, 8192, 32768 };
static const unsigned class_keep[CLASSES] = { 256, 32, 8 };

static __thread struct {
    struct arena_block *head;
    unsigned count;
} pool[CLASSES];

static struct arena_block *block_new(unsigned class, size_t size) {
    struct arena_block *b;
    if (class < CLASSES && pool[class].head) {
        b = pool[class].head;
        pool[class].head = b->next;
        pool[class].count--;
        return b;
    }
    b = xmalloc(size);
    b->size = size;
    return b;
}

static void block_free(struct arena_block *b) {
    UNPOISON(b, b->size);
    for (unsigned i = 0; i < CLASSES && POOLED; i++) {
        if (b->size == class_size[i] && pool[i].count < class_keep[i]) {
            b->next = pool[i].head;
            pool[i].head = b;
            pool[i].count++;
            return;
        }
    }
    free(b);
}

void arena_pool_trim(void) {
    for (unsigned i = 0; i < CLASSES; i++) {
        while (pool[i].head) {
            struct arena_block *b = pool[i].head;
            pool[i].head = b->next;
            free(b);
        }
        pool[i].count = 0;
    }
}

/* Small blocks first, larger ones once there are a few: a stanza that is kept should not keep much more than itself. */
static unsigned class_for(const struct arena *a, size_t size) {
    unsigned class = 0, blocks = 0;
    for (const struct arena_block *b = a->blocks; b && blocks < CLASSES * IN_A_ROW; b = b->next)
        blocks++;
    class = blocks / IN_A_ROW < CLASSES ? blocks / IN_A_ROW : CLASSES - 1;
    while (class < CLASSES && size > class_size[class])
        class ++;
    return class;
}

static void grow(struct arena *a, size_t size) {
    size_t whole = sizeof(struct arena_block) + size;
    unsigned class = class_for(a, whole);
    struct arena_block *b = block_new(class, class < CLASSES ? class_size[class] : whole);
    b->next = a->blocks;
    a->blocks = b;
    a->next = b->data;
    a->end = (char *)b + b->size;
    POISON(a->next, (size_t)(a->end - a->next));
}

void *arena_alloc(struct arena *a, size_t size) {
    if (size > SIZE_MAX / 2)
        out_of_memory();
    size_t taken = ((size ? size : 1) + GAP + 7) & ~(size_t)7;
    if (taken > (size_t)(a->end - a->next))
        grow(a, taken);
    char *p = a->next;
    a->next += taken;
    UNPOISON(p, size);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size) {
    return memset(arena_alloc(a, size), 0, size);
}

char *arena_memdup(struct arena *a, const void *data, size_t size) {
    char *p = arena_alloc(a, size + 1);
    if (size)
        memcpy(p, data, size);
    p[size] = '\0';
    return p;
}

char *arena_strdup(struct arena *a, const char *text) {
    return arena_memdup(a, text, strlen(text));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list args) {
    char small[256];
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, fmt, args);
    size_t size = len > 0 ? (size_t)len : 0;
    char *p = arena_alloc(a, size + 1);
    if (size < sizeof small)
        memcpy(p, small, size + 1);
    else
        vsnprintf(p, size + 1, fmt, again);
    p[size] = '\0';
    va_end(again);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *p = arena_vprintf(a, fmt, args);
    va_end(args);
    return p;
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg) {
    struct arena_cleanup *c = arena_alloc(a, sizeof *c);
    *c = (struct arena_cleanup){ a->cleanups, fn, arg };
    a->cleanups = c;
}

static void run_cleanups(struct arena *a, const struct arena_cleanup *until) {
    while (a->cleanups != until) {
        struct arena_cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->arg);
    }
}

void arena_adopt(struct arena *a, struct arena *other) {
    if (!a->blocks) {
        *a = *other;
    } else if (other->blocks) {
        struct arena_block *b = other->blocks;
        while (b->next)
            b = b->next;
        b->next = a->blocks->next;
        a->blocks->next = other->blocks;
        struct arena_cleanup **end = &a->cleanups;
        while (*end)
            end = &(*end)->next;
        *end = other->cleanups;
    }
    arena_init(other);
}

struct arena_mark arena_mark(const struct arena *a) {
    return (struct arena_mark){ a->blocks, a->next, a->cleanups };
}

void arena_rewind(struct arena *a, struct arena_mark mark) {
    run_cleanups(a, mark.cleanups);
    while (a->blocks != mark.block) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        block_free(b);
    }
    a->next = mark.next;
    a->end = mark.block ? (char *)mark.block + mark.block->size : NULL;
    if (mark.block)
        POISON(a->next, (size_t)(a->end - a->next));
}

void arena_free(struct arena *a) {
    arena_rewind(a, (struct arena_mark){ NULL, NULL, NULL });
}
