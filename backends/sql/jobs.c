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

void jobs_done(struct job *jobs) {
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next; /* the job is gone with its op */
        mk_op_done_remote(job->op, MK_OK);
    }
}

void jobs_fail(struct job *jobs, const char *why) {
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next;
        mk_op_explain(job->op, "%s", why);
        mk_op_done_remote(job->op, MK_E_BACKEND);
    }
}

int64_t jobs_changes(const struct job *jobs) {
    int64_t count = 0;
    for (const struct job *job = jobs; job; job = job->next)
        count += job->commit->count;
    return count;
}

uint32_t commit_group_end(const struct mk_commit *commit, uint32_t i) {
    uint32_t group = commit->changes[i]->group, end = i + 1;
    while (group && end < commit->count && commit->changes[end]->group == group)
        end++;
    return end;
}

bool commit_is_torn(const struct mk_commit *commit) {
    for (uint32_t i = 0, end; i < commit->count; i = end) {
        end = commit_group_end(commit, i);
        for (uint32_t k = i; end - i > 1 && k < end; k++)
            if (commit->changes[k]->rc != MK_OK)
                return true;
    }
    return false;
}
