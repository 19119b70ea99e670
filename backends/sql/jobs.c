/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"
#include <time.h>
#include <unistd.h>

void jobs_init(struct job_queue *q) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, &attr);
    pthread_condattr_destroy(&attr);
    q->head = NULL;
    q->tail = &q->head;
    q->ending = false;
    q->wake = -1;
}

void jobs_destroy(struct job_queue *q) {
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->more);
}

static void wake(struct job_queue *q) {
    static const uint64_t one = 1;
    if (q->wake >= 0 && write(q->wake, &one, sizeof one) < 0)
        return; /* it is full, so it wakes already */
}

void jobs_push(struct job_queue *q, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->tail = job;
    q->tail = &job->next;
    pthread_cond_signal(&q->more);
    wake(q);
    pthread_mutex_unlock(&q->lock);
}

void jobs_end(struct job_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_broadcast(&q->more);
    wake(q);
    pthread_mutex_unlock(&q->lock);
}

/* False once MS passed. */
static bool wait_for(struct job_queue *q, const struct timespec *until) {
    return until ? pthread_cond_timedwait(&q->more, &q->lock, until) == 0 : pthread_cond_wait(&q->more, &q->lock) == 0;
}

/* Call it with the lock. */
static struct job *take(struct job_queue *q, bool all, bool *ended) {
    struct job *job = q->head;
    if (job) {
        q->head = all ? NULL : job->next;
        if (!q->head)
            q->tail = &q->head;
    }
    *ended = !job && q->ending;
    return job;
}

struct job *jobs_poll(struct job_queue *q, bool all, bool *ended) {
    pthread_mutex_lock(&q->lock);
    struct job *job = take(q, all, ended);
    pthread_mutex_unlock(&q->lock);
    return job;
}

struct job *job_new(struct mk_op *op) {
    struct job *job = mk_op_alloc(op, sizeof *job);
    job->op = op;
    return job;
}

struct job *jobs_take(struct job_queue *q, bool all, unsigned ms, bool *ended) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&q->lock);
    while (!q->head && !q->ending && wait_for(q, ms ? &until : NULL))
        ;
    struct job *job = take(q, all, ended);
    pthread_mutex_unlock(&q->lock);
    return job;
}
