/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/command.h"
#include "run/op.h"
#include "util/mem.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct share {
    struct post post;
    struct round *round;
    struct worker *worker;
    struct arena arena;
    void *out;
};

/* Not in the op's memory: the process may end while a share still lies in the inbox of a worker that is freed later. */
struct round {
    struct post post;
    struct mk_op *op;
    gather_fn *fn;
    void *arg;
    atomic_uint left;
    unsigned count;
    struct share shares[];
};

struct starting {
    struct round *round;
    bool started;
};

static void round_free(struct round *r) {
    for (unsigned i = 0; i < r->count; i++)
        arena_free(&r->shares[i].arena);
    free(r->arg);
    free(r);
}

/* On the worker that asked. */
static void complete(struct post *p) {
    struct round *r = container_of(p, struct round, post);
    struct mk_op *op = r->op;
    void **out = mk_op_alloc(op, r->count * sizeof *out);
    for (unsigned i = 0; i < r->count; i++) {
        out[i] = r->shares[i].out;
        arena_adopt(&op->arena, &r->shares[i].arena);
    }
    op->outcome = out;
    round_free(r);
    mk_op_done(op, MK_OK);
}

static void run_share(struct post *p) {
    struct share *s = container_of(p, struct share, post);
    struct round *r = s->round;
    if (this_worker)
        s->out = r->fn(s->worker, &s->arena, r->arg);
    if (atomic_fetch_sub_explicit(&r->left, 1, memory_order_acq_rel) != 1)
        return;
    if (this_worker)
        worker_post(r->op->worker, &r->post);
    else
        round_free(r); /* the process ends; the op may be gone */
}

static void start(struct mk_op *op, void *args) {
    struct starting *s = args;
    struct round *r = s->round;
    s->started = true;
    r->op = op;
    for (unsigned i = 0; i < r->count; i++)
        worker_post(r->shares[i].worker, &r->shares[i].post);
}

int gather(struct mk_ctx *c, gather_fn *fn, const void *arg, size_t size, void ***out) {
    unsigned count = worker_count;
    struct round *r = xcalloc(1, sizeof *r + count * sizeof r->shares[0]);
    r->post.run = complete;
    r->fn = fn;
    r->arg = xmemdup(arg, size);
    r->count = count;
    atomic_init(&r->left, count);
    for (unsigned i = 0; i < count; i++)
        r->shares[i] = (struct share){ .post.run = run_share, .round = r, .worker = workers[i] };
    struct starting s = { r, false };
    void *got = NULL;
    int rc = op_wait(c, op_begin(c, NULL, "all workers"), start, &s, &got);
    if (!s.started)
        round_free(r);
    if (rc == 0)
        *out = got;
    return rc;
}

/* ---- samples ------------------------------------------------------------------------------------------------------- */

struct worker_sample *worker_sample(struct worker *w, struct arena *arena) {
    struct worker_sample *s = arena_alloc(arena, sizeof *s + w->metric_count * sizeof s->metrics[0]);
    s->metric_count = w->metric_count;
    s->fibers_busy = fiber_busy(w->fibers);
    s->stack_high_water = fiber_high_water(w->fibers);
    if (w->metric_count)
        memcpy(s->metrics, w->metrics, w->metric_count * sizeof s->metrics[0]);
    return s;
}

const char *time_of_day(struct mk_ctx *c, int64_t us) {
    return mk_printf(c, "%.19sZ", mk_time_text(c, us));
}

int64_t server_uptime(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (admin_server ? admin_server->started_us : 0);
}

/* Sanitizers have an allocator of their own, which keeps what was freed from use; their count is of what was not. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

int64_t process_allocated(void) {
    if (__sanitizer_get_current_allocated_bytes)
        return (int64_t)__sanitizer_get_current_allocated_bytes();
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

int64_t process_memory(void) {
    char text[128];
    long long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && (!fgets(text, sizeof text, f) || sscanf(text, "%lld %lld", &size, &resident) != 2))
        resident = 0;
    if (f)
        fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}
