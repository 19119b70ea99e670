/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that a worker begins on the connection of a thread that sleeps: who has it when. */
#include "check.h"
#include "jobs.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- ops without a server -------------------------------------------------------------------------------------------- */

void mk_op_done_remote(struct mk_op *op, int rc) {
    (void)op;
    (void)rc;
}
void mk_op_explain(struct mk_op *op, const char *fmt, ...) {
    (void)op;
    (void)fmt;
}
void *mk_op_alloc(struct mk_op *op, size_t size) {
    (void)op;
    (void)size;
    abort();
}

/* ---- a thread that waits once ---------------------------------------------------------------------------------------- */

static struct job_queue q;
static struct job_taker taker;
static pthread_t thread;
static unsigned patience_ms;
static struct answer {
    struct job *job;
    bool begun, ended;
} answer;

static void *wait_once(void *arg) {
    (void)arg;
    answer.job = jobs_await(&q, &taker, patience_ms, &answer.begun, &answer.ended);
    return NULL;
}

/* The thread sleeps, and its connection is JOB's. */
static void claim(struct job *job, unsigned ms) {
    patience_ms = ms;
    jobs_init(&q);
    job_taker_init(&taker);
    CHECK(!jobs_claim(&q, job)); /* nobody is there */
    CHECK_INT(pthread_create(&thread, NULL, wait_once, NULL), 0);
    struct job_taker *got;
    while (!(got = jobs_claim(&q, job)))
        usleep(100);
    CHECK(got == &taker);
    CHECK(!jobs_claim(&q, job)); /* it has one connection */
}

static void join(void) {
    pthread_join(thread, NULL);
    job_taker_destroy(&taker);
    jobs_destroy(&q);
}

/* ---- what becomes of it ------------------------------------------------------------------------------------------------ */

enum { LONG_MS = 60000 };

static void a_released_one_sleeps_on(void) {
    struct job first = { 0 }, second = { 0 };
    claim(&first, LONG_MS);
    jobs_release(&q, &taker);
    CHECK(jobs_claim(&q, &second) == &taker);
    jobs_give(&q, &taker);
    join();
    CHECK(answer.begun && answer.job == &second && !answer.ended);
}

static void what_waits_goes_to_the_thread(void) {
    struct job first = { 0 }, second = { 0 }, third = { 0 };
    claim(&first, LONG_MS);
    jobs_push(&q, &second);
    jobs_push(&q, &third);
    jobs_release(&q, &taker);
    join();
    CHECK(!answer.begun && answer.job == &second && second.next == &third && !third.next);
}

/* Workers that take it again and again do not keep the thread from what it has to do in time. */
static void the_thread_gets_its_turn(void) {
    struct job job = { 0 };
    bool wanted = false;
    claim(&job, 1);
    while (!wanted) {
        usleep(100);
        pthread_mutex_lock(&q.lock);
        wanted = taker.wanted;
        pthread_mutex_unlock(&q.lock);
    }
    jobs_release(&q, &taker);
    CHECK(!jobs_claim(&q, &job));
    join();
    CHECK(!answer.job && !answer.begun && !answer.ended);
}

/* The workers are gone by then. */
static void the_end_takes_what_a_worker_holds(void) {
    struct job job = { 0 };
    claim(&job, 1);
    jobs_end(&q);
    join();
    CHECK(answer.begun && answer.job == &job && !answer.ended);
}

int main(void) {
    return CHECK_RUN(T(a_released_one_sleeps_on), T(what_waits_goes_to_the_thread), T(the_thread_gets_its_turn),
                     T(the_end_takes_what_a_worker_holds));
}
