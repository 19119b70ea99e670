/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"
#include <time.h>

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
}

void jobs_destroy(struct job_queue *q) {
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->more);
}

void jobs_push(struct job_queue *q, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->tail = job;
    q->tail = &job->next;
    pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&q->lock);
}

void jobs_end(struct job_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_broadcast(&q->more);
    pthread_mutex_unlock(&q->lock);
}

/* False once MS passed. */
static bool wait_for(struct job_queue *q, const struct timespec *until) {
    return until ? pthread_cond_timedwait(&q->more, &q->lock, until) == 0 : pthread_cond_wait(&q->more, &q->lock) == 0;
}

/* Call it with the lock. */
static struct job *take(struct job_queue *q, unsigned max) {
    struct job *first = q->head, **last = &q->head;
    for (unsigned i = 0; *last && (max == 0 || i < max); i++)
        last = &(*last)->next;
    q->head = *last;
    *last = NULL;
    if (!q->head)
        q->tail = &q->head;
    return first;
}

struct job *job_new(struct mk_op *op) {
    struct job *job = mk_op_alloc(op, sizeof *job);
    job->op = op;
    return job;
}

struct job *jobs_take(struct job_queue *q, unsigned max, unsigned ms, bool *ended) {
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
    struct job *job = take(q, max);
    *ended = !job && q->ending;
    pthread_mutex_unlock(&q->lock);
    return job;
}
