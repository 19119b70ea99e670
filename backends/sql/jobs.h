/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of reads and commits, from the workers to threads of a backend. */
#ifndef SQL_JOBS_H
#define SQL_JOBS_H

#ifndef MK_ABI_NEED
#define MK_ABI_NEED 0
#endif
#include <meerkat/backend.h>
#include <pthread.h>

struct job { /* in the op's memory, gone with it */
    struct job *next;
    struct mk_op *op;
    struct mk_commit *commit; /* one of the two */
    struct mk_read *read;
};
/* A thread whose connection a worker may use while the thread has nothing to do with it. */
struct job_taker {
    struct job_taker *next;     /* while it is idle */
    int wake_fd;                /* an eventfd */
    bool idle, claimed, wanted; /* wanted: by the thread itself, as soon as it is not claimed */
    struct job *held;           /* of the worker that has claimed it */
    struct job *begun;          /* the same, given to the thread */
    struct job *finished;
};
struct job_queue {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *head, **tail;
    struct job_taker *idle; /* the one that came last is first: what it works with is still warm */
    bool ending;
};
void jobs_init(struct job_queue *q);
void jobs_destroy(struct job_queue *q);
void jobs_push(struct job_queue *q, struct job *job);
void jobs_end(struct job_queue *q); /* no worker runs any more: threads get what those hold */
/*
 * The first jobs, MAX at most if that is not 0; waits, MS at most if that is not 0.  NULL: time passed, or no more will
 * come, which *ENDED says.
 */
struct job *jobs_take(struct job_queue *q, unsigned max, unsigned ms, bool *ended);

/*
 * The same for a taker: all jobs; or the one that a worker has begun, which *BEGUN says.  What it has finished is answered
 * here, as soon as a worker can claim it again.
 */
void job_taker_init(struct job_taker *me);
void job_taker_destroy(struct job_taker *me);
struct job *jobs_await(struct job_queue *q, struct job_taker *me, unsigned ms, bool *begun, bool *ended);
void jobs_answer(struct job_taker *me); /* now, what it has finished */
/* One that is idle, if no job waits; what is its own is then the caller's for JOB, until it gives the taker or JOB back. */
struct job_taker *jobs_claim(struct job_queue *q, struct job *job);
void jobs_release(struct job_queue *q, struct job_taker *taker); /* JOB is over */
void jobs_give(struct job_queue *q, struct job_taker *taker);    /* JOB is for the thread to finish */

struct job *job_new(struct mk_op *op);
/* All of them are over: as commits that worked, whose changes have their results, or not, as WHY says. */
void jobs_done(struct job *jobs);
void jobs_fail(struct job *jobs, const char *why);
int64_t jobs_changes(const struct job *jobs);

/* Behind the last change of the group that I begins; a change without a group is one of its own. */
uint32_t commit_group_end(const struct mk_commit *commit, uint32_t i);
/* Whether a group has both what was applied and what was not. */
bool commit_is_torn(const struct mk_commit *commit);

#endif
