/* SPDX-License-Identifier: Apache-2.0 */
#include "run/fiber.h"
#include "run/switch.h"
#include "util/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef HAVE_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(from, to) 0
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
enum { GUARD = 4096, MEASURE_EVERY = 256 };

struct fiber_pool {
    struct list idle, busy;
    unsigned max, made, busy_count, ended;
    size_t stack_size, high_water;
    char *slab;
    struct fiber **fibers;
    void *main_sp;
    const void *main_stack; /* for ASan */
    size_t main_stack_size;
    void *main_fake, *main_tsan;
};

static __thread struct fiber *current;

struct fiber *fiber_current(void) {
    return current;
}

struct fiber_pool *fiber_pool_new(unsigned max, size_t stack_size) {
    struct fiber_pool *p = xcalloc(1, sizeof *p);
    list_init(&p->idle);
    list_init(&p->busy);
    p->max = max;
    p->stack_size = stack_size;
    p->fibers = xcalloc(max, sizeof *p->fibers);
    p->slab = mmap(NULL, max * (stack_size + GUARD), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p->slab == MAP_FAILED)
        abort();
    return p;
}

void fiber_pool_free(struct fiber_pool *p) {
    for (unsigned i = 0; i < p->made; i++) {
        struct fiber *f = p->fibers[i];
        VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#ifdef HAVE_TSAN
        __tsan_destroy_fiber(f->tsan);
#endif
        switch_discard(f->sp);
        free(f);
    }
    munmap(p->slab, p->max * (p->stack_size + GUARD));
    free(p->fibers);
    free(p);
}

bool fiber_available(const struct fiber_pool *p) {
    return !list_empty(&p->idle) || p->made < p->max;
}
unsigned fiber_busy(const struct fiber_pool *p) {
    return p->busy_count;
}
size_t fiber_high_water(const struct fiber_pool *p) {
    return p->high_water;
}

struct fiber *fiber_next(const struct fiber_pool *p, struct fiber *prev) {
    struct list *next = prev ? prev->link.next : p->busy.next;
    return next == &p->busy ? NULL : container_of(next, struct fiber, link);
}

/* From the fiber's stack to the main one, until somebody enters the fiber again. */
static void leave(struct fiber *f) {
    struct fiber_pool *p = f->pool;
#ifdef HAVE_ASAN
    __sanitizer_start_switch_fiber(&f->asan_fake, p->main_stack, p->main_stack_size);
#endif
#ifdef HAVE_TSAN
    __tsan_switch_to_fiber(p->main_tsan, 0);
#endif
    switch_to(&f->sp, p->main_sp);
#ifdef HAVE_ASAN
    __sanitizer_finish_switch_fiber(f->asan_fake, &p->main_stack, &p->main_stack_size);
#endif
}

static void entry(void) {
    struct fiber *f = current;
#ifdef HAVE_ASAN
    __sanitizer_finish_switch_fiber(NULL, &f->pool->main_stack, &f->pool->main_stack_size);
#endif
    for (;;) {
        f->run(f->arg);
        f->run = NULL;
        leave(f);
    }
}

static struct fiber *make(struct fiber_pool *p) {
    struct fiber *f = xcalloc(1, sizeof *f);
    char *low = p->slab + p->made * (p->stack_size + GUARD);
    /* A guard installed by madvise costs no mapping; older kernels split the slab in two a stack. */
    if (madvise(low, GUARD, MADV_GUARD_INSTALL) != 0 && mprotect(low, GUARD, PROT_NONE) != 0)
        abort();
    f->pool = p;
    f->stack = low + GUARD;
    f->stack_size = p->stack_size;
    f->number = p->made;
    f->sp = switch_prepare(f->stack + f->stack_size, entry);
    f->valgrind_id = VALGRIND_STACK_REGISTER(f->stack, f->stack + f->stack_size);
#ifdef HAVE_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    p->fibers[p->made++] = f;
    return f;
}

/* Deepest use: pages below the first resident one were never touched. */
static void measure(struct fiber_pool *p, struct fiber *f) {
    unsigned char pages[256];
    size_t count = f->stack_size / 4096;
    if (count > sizeof pages || mincore(f->stack, f->stack_size, pages) != 0)
        return;
    size_t i = 0;
    while (i < count && !(pages[i] & 1))
        i++;
    size_t used = (count - i) * 4096;
    if (used > p->high_water)
        p->high_water = used;
}

static void finish(struct fiber *f) {
    struct fiber_pool *p = f->pool;
    list_remove(&f->link);
    list_append(&p->idle, &f->link);
    f->ctx = NULL;
    p->busy_count--;
    if (p->ended++ % MEASURE_EVERY == 0)
        measure(p, f);
}

static void enter(struct fiber *f) {
    struct fiber_pool *p = f->pool;
    do {
        assert(!current);
        f->again = false;
        current = f;
#ifdef HAVE_ASAN
        __sanitizer_start_switch_fiber(&p->main_fake, f->stack, f->stack_size);
#endif
#ifdef HAVE_TSAN
        p->main_tsan = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(f->tsan, 0);
#endif
        switch_to(&p->main_sp, f->sp);
#ifdef HAVE_ASAN
        __sanitizer_finish_switch_fiber(p->main_fake, NULL, NULL);
#endif
        current = NULL;
        if (!f->run) {
            finish(f);
            return;
        }
        if (f->call) {
            void (*call)(void *) = f->call;
            f->call = NULL;
            f->in_call = true;
            call(f->call_arg);
            f->in_call = false;
        }
    } while (f->again);
}

void fiber_start(struct fiber_pool *p, struct mk_ctx *ctx, void (*run)(void *arg), void *arg) {
    struct list *link = p->idle.prev; /* the one used last has the warmest stack */
    struct fiber *f;
    if (link != &p->idle) {
        list_remove(link);
        f = container_of(link, struct fiber, link);
    } else {
        f = make(p);
    }
    f->run = run;
    f->arg = arg;
    f->ctx = ctx;
    f->waits_for = NULL;
    list_append(&p->busy, &f->link);
    p->busy_count++;
    enter(f);
}

void fiber_suspend(struct fiber *f, const char *waits_for) {
    assert(current == f);
    f->waits_for = waits_for;
    leave(f);
    f->waits_for = NULL;
}

void fiber_suspend_calling(struct fiber *f, const char *waits_for, void (*call)(void *arg), void *arg) {
    f->call = call;
    f->call_arg = arg;
    fiber_suspend(f, waits_for);
}

struct plain_call {
    struct fiber *fiber;
    void (*call)(void *arg);
    void *arg;
};

static void call_and_go_on(void *arg) {
    struct plain_call *p = arg;
    p->call(p->arg);
    fiber_resume(p->fiber);
}

void fiber_call(struct fiber *f, void (*call)(void *arg), void *arg) {
    struct plain_call p = { f, call, arg };
    fiber_suspend_calling(f, "the big stack", call_and_go_on, &p);
}

void fiber_resume(struct fiber *f) {
    if (f->in_call)
        f->again = true;
    else
        enter(f);
}
