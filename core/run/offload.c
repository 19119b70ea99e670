/* SPDX-License-Identifier: Apache-2.0 */
#include "run/offload.h"
#include "run/op.h"
#include "util/mem.h"
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct offload_job *head, **tail = &head;
static pthread_t *threads;
static unsigned thread_count;
static bool ending;

static void *pool_main(void *arg) {
    (void)arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!head && !ending)
            pthread_cond_wait(&more, &lock);
        struct offload_job *job = head;
        if (!job)
            break;
        head = job->next;
        if (!head)
            tail = &head;
        pthread_mutex_unlock(&lock);
        job->run(job);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    arena_pool_trim();
    return NULL;
}

int offload_start(unsigned count) {
    ending = false;
    threads = xcalloc(count, sizeof *threads);
    for (thread_count = 0; thread_count < count; thread_count++)
        if (pthread_create(&threads[thread_count], NULL, pool_main, NULL) != 0)
            return -1;
    return 0;
}

void offload_stop(void) {
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    threads = NULL;
    thread_count = 0;
}

void offload(struct offload_job *job) {
    job->next = NULL;
    pthread_mutex_lock(&lock);
    *tail = job;
    tail = &job->next;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
}

/* ---- for plugins ---------------------------------------------------------------------------------------------- */

struct fiber_job {
    struct offload_job job;
    struct mk_op *op;
    void (*fn)(void *arg);
    void *arg;
};

static void run_fiber_job(struct offload_job *job) {
    struct fiber_job *f = container_of(job, struct fiber_job, job);
    f->fn(f->arg);
    mk_op_done_remote(f->op, MK_OK);
}

static void start_fiber_job(struct mk_op *op, void *args) {
    struct fiber_job *f = args;
    f->op = op;
    f->job.run = run_fiber_job;
    offload(&f->job);
}

int mk_offload(struct mk_ctx *c, void (*fn)(void *arg), void *arg) {
    struct mk_op *op = op_begin(c, NULL, "offload");
    struct fiber_job *f = arena_zalloc(&op->arena, sizeof *f);
    f->fn = fn;
    f->arg = arg;
    op->patient = true;
    return op_wait(c, op, start_fiber_job, f, NULL);
}

void mk_on_big_stack(struct mk_ctx *c, void (*fn)(void *arg), void *arg) {
    if (c->fiber)
        fiber_call(c->fiber, fn, arg);
    else
        fn(arg);
}
