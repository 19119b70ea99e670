/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
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
    q->idle = NULL;
    q->ending = false;
}

void jobs_destroy(struct job_queue *q) {
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->more);
}

static void wake(const struct job_taker *taker) {
    uint64_t one = 1;
    if (write(taker->wake_fd, &one, sizeof one) != sizeof one)
        abort();
}

/* Call it with the lock. */
static struct job_taker *take_idle(struct job_queue *q) {
    struct job_taker *taker = q->idle;
    if (taker) {
        q->idle = taker->next;
        taker->idle = false;
    }
    return taker;
}

void jobs_push(struct job_queue *q, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->tail = job;
    q->tail = &job->next;
    struct job_taker *taker = take_idle(q);
    if (!taker)
        pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&q->lock);
    if (taker)
        wake(taker);
}

void jobs_end(struct job_queue *q) {
    struct job_taker *taker;
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_broadcast(&q->more);
    while ((taker = take_idle(q)) != NULL)
        wake(taker);
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

/* ---- jobs that a worker begins ---------------------------------------------------------------------------------- */

void job_taker_init(struct job_taker *me) {
    *me = (struct job_taker){ .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    if (me->wake_fd < 0)
        abort();
}

void job_taker_destroy(struct job_taker *me) {
    close(me->wake_fd);
}

static void be_idle(struct job_queue *q, struct job_taker *me) {
    if (me->idle)
        return;
    me->idle = true;
    me->next = q->idle;
    q->idle = me;
}

static void be_busy(struct job_queue *q, struct job_taker *me) {
    struct job_taker **at = &q->idle;
    if (!me->idle)
        return;
    while (*at != me)
        at = &(*at)->next;
    *at = me->next;
    me->idle = false;
}

void jobs_answer(struct job_taker *me) {
    struct job *jobs = me->finished;
    me->finished = NULL;
    jobs_done(jobs);
}

/* Until it is woken; false once MS have passed. */
static bool sleep_for(struct job_taker *me, unsigned ms) {
    struct pollfd fd = { me->wake_fd, POLLIN, 0 };
    uint64_t count;
    int got = poll(&fd, 1, (int)ms);
    if (fd.revents && read(me->wake_fd, &count, sizeof count) < 0)
        abort();
    return got > 0;
}

/* Call it with the lock. */
static void take_over(struct job_taker *taker) {
    taker->begun = taker->held;
    taker->held = NULL;
    taker->claimed = false;
}

/* Call it with the lock. */
static void wait_idle(struct job_queue *q, struct job_taker *me, unsigned ms) {
    bool over = false;
    while (me->claimed || (!me->begun && !q->head && !q->ending && !over)) {
        if (!me->claimed)
            be_idle(q, me);
        me->wanted = over;
        pthread_mutex_unlock(&q->lock);
        jobs_answer(me);
        over |= !sleep_for(me, ms);
        pthread_mutex_lock(&q->lock);
        if (me->claimed && q->ending)
            take_over(me);
    }
    me->wanted = false;
    be_busy(q, me);
}

struct job *jobs_await(struct job_queue *q, struct job_taker *me, unsigned ms, bool *begun, bool *ended) {
    pthread_mutex_lock(&q->lock);
    wait_idle(q, me, ms);
    struct job *job = me->begun;
    *begun = job != NULL;
    me->begun = NULL;
    if (!job)
        job = take(q, 0);
    *ended = !job && q->ending;
    pthread_mutex_unlock(&q->lock);
    jobs_answer(me);
    return job;
}

struct job_taker *jobs_claim(struct job_queue *q, struct job *job) {
    pthread_mutex_lock(&q->lock);
    struct job_taker *taker = q->head ? NULL : take_idle(q);
    if (taker) {
        taker->claimed = true;
        taker->held = job;
        job->next = NULL;
    }
    pthread_mutex_unlock(&q->lock);
    return taker;
}

void jobs_release(struct job_queue *q, struct job_taker *taker) {
    pthread_mutex_lock(&q->lock);
    taker->held = NULL;
    taker->claimed = false;
    bool due = q->head || taker->wanted;
    if (!due)
        be_idle(q, taker);
    pthread_mutex_unlock(&q->lock);
    if (due)
        wake(taker);
}

void jobs_give(struct job_queue *q, struct job_taker *taker) {
    pthread_mutex_lock(&q->lock);
    take_over(taker);
    pthread_mutex_unlock(&q->lock);
    wake(taker);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

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
