/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "util/arena.h"
#include <pthread.h>
#include <stdalign.h>

static void pieces_are_apart_and_aligned(void) {
    struct arena a;
    arena_init(&a);
    static unsigned char *pieces[500];
    for (size_t i = 0; i < 500; i++) {
        pieces[i] = arena_alloc(&a, i);
        CHECK_INT((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < i; k++)
            CHECK_INT(pieces[i][k], i & 0xff);
    arena_free(&a);
    CHECK(a.blocks == NULL);
}

static void zeroed_after_reuse(void) {
    struct arena a;
    arena_init(&a);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_free(&a);
    unsigned char *p = arena_zalloc(&a, 1000);
    for (size_t i = 0; i < 1000; i++)
        CHECK_INT(p[i], 0);
    arena_free(&a);
}

static void text_helpers(void) {
    struct arena a;
    arena_init(&a);
    CHECK_TEXT(arena_memdup(&a, "abcdef", 3), "abc");
    CHECK_TEXT(arena_memdup(&a, NULL, 0), "");
    CHECK_TEXT(arena_strdup(&a, "whole"), "whole");
    CHECK_TEXT(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    char *longer = arena_printf(&a, "%0600d", 1);
    CHECK_INT(strlen(longer), 600);
    CHECK_INT(longer[599], '1');
    arena_free(&a);
}

static void rewind_gives_the_same_place(void) {
    struct arena a;
    arena_init(&a);
    char *kept = arena_strdup(&a, "kept");
    struct arena_mark mark = arena_mark(&a);
    void *first = arena_alloc(&a, 64);
    for (int i = 0; i < 100; i++)
        arena_alloc(&a, 1000);
    arena_alloc(&a, 100000);
    arena_rewind(&a, mark);
    CHECK_TEXT(kept, "kept");
    CHECK(arena_alloc(&a, 64) == first);
    arena_free(&a);
    mark = arena_mark(&a);
    arena_alloc(&a, 10);
    arena_rewind(&a, mark);
    CHECK(a.blocks == NULL);
}

static void adopted_blocks_live_on(void) {
    struct arena a, b, c;
    arena_init(&a);
    arena_init(&b);
    arena_init(&c);
    char *one = arena_strdup(&a, "one"), *two = arena_strdup(&b, "two");
    arena_adopt(&a, &b);
    CHECK(b.blocks == NULL);
    arena_free(&b);
    CHECK_TEXT(one, "one");
    CHECK_TEXT(two, "two");
    arena_adopt(&c, &a);
    CHECK_TEXT(two, "two");
    CHECK_TEXT(arena_strdup(&c, "three"), "three");
    arena_free(&c);
    arena_free(&a);
}

static char order[8], digits[5][2] = { "0", "1", "2", "3", "4" };
static void note(void *arg) {
    strcat(order, arg);
}

static void deferred_runs_once_and_backwards(void) {
    struct arena a, b;
    arena_init(&a);
    arena_init(&b);
    order[0] = '\0';
    arena_defer(&a, note, digits[1]);
    struct arena_mark mark = arena_mark(&a);
    arena_defer(&a, note, digits[2]);
    arena_defer(&a, note, digits[3]);
    arena_rewind(&a, mark);
    CHECK_TEXT(order, "32");
    arena_defer(&b, note, digits[4]);
    arena_adopt(&a, &b);
    arena_free(&b);
    CHECK_TEXT(order, "32");
    arena_free(&a);
    CHECK_TEXT(order, "3214");
    arena_free(&a);
    CHECK_TEXT(order, "3214");
}

static void *free_elsewhere(void *arg) {
    arena_free(arg);
    arena_pool_trim();
    return NULL;
}

static void another_thread_may_free(void) {
    for (int i = 0; i < 3; i++) {
        struct arena a;
        pthread_t thread;
        arena_init(&a);
        for (int k = 0; k < 40; k++)
            arena_alloc(&a, 500);
        CHECK_INT(pthread_create(&thread, NULL, free_elsewhere, &a), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK(a.blocks == NULL);
    }
    arena_pool_trim();
}

int main(void) {
    return CHECK_RUN(T(pieces_are_apart_and_aligned), T(zeroed_after_reuse), T(text_helpers),
                     T(rewind_gives_the_same_place), T(adopted_blocks_live_on), T(deferred_runs_once_and_backwards),
                     T(another_thread_may_free));
}
