/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and their connections: coming, going, and what is said of it. */
#include "pgsql.h"
#include <stdlib.h>
#include <time.h>

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 5000 };

bool is_ending(struct db *db) {
    pthread_mutex_lock(&db->lock);
    bool ending = db->ending;
    pthread_mutex_unlock(&db->lock);
    return ending;
}

/* One line when it goes, however many connections it takes along. */
static void say_away(struct thread *t) {
    if (!atomic_exchange(&t->db->away, true))
        mk_log_from(t->db->inst, MK_ERROR, "the database is lost: %s; trying to connect again", pg_why(&t->pg));
}

/* Said when each connection is known to be good: one may be dead too, and nobody has looked yet. */
static void say_back(struct db *db) {
    if (!atomic_load(&db->away))
        return;
    for (unsigned i = 0; i < db->thread_count; i++)
        if (atomic_load(&db->threads[i].seen_ms) <= atomic_load(&db->lost_ms))
            return;
    if (atomic_exchange(&db->away, false))
        mk_log_from(db->inst, MK_NOTICE, "the database is back");
}

void thread_good(struct thread *t) {
    atomic_store(&t->seen_ms, now_ms());
    say_back(t->db);
}

/* What happened is answered; what did not stays for the writer to do again. */
static bool learn_fate(struct thread *t) {
    int happened = writer_take_over(t);
    if (happened < 0)
        return false;
    struct job *jobs = t->unknown;
    if (happened && jobs) {
        t->unknown = NULL;
        jobs_done(jobs);
    }
    return true;
}

bool thread_connect(struct thread *t) {
    bool writer = t->pool == &t->db->writes;
    if (!pg_connect(&t->pg, t->name))
        return false;
    if ((writer && !learn_fate(t)) || !pg_pipeline(&t->pg)) {
        pg_close(&t->pg);
        return false;
    }
    t->backoff = 0;
    atomic_fetch_add(&t->pool->up, 1);
    mk_count_from(t->db->inst, M_CONNECTIONS, 1);
    thread_good(t);
    return true;
}

/* The last to go answers what still waits: reads and commits that come now are refused by themselves. */
void thread_lost(struct thread *t) {
    bool ended;
    pg_close(&t->pg);
    mk_count_from(t->db->inst, M_CONNECTIONS, -1);
    atomic_store(&t->db->lost_ms, now_ms());
    atomic_store(&t->seen_ms, 0);
    say_away(t);
    if (atomic_fetch_sub(&t->pool->up, 1) == 1)
        jobs_fail(jobs_take(&t->pool->jobs, 0, 1, &ended), pg_why(&t->pg));
}

/* Each waits between half of the time and all of it, so that servers do not come back all at once. */
static int64_t jittered(int64_t ms) {
    unsigned random;
    mk_random(&random, sizeof random);
    return ms / 2 + (int64_t)(random % (unsigned)(ms / 2 + 1));
}

bool thread_pause(struct thread *t) {
    struct db *db = t->db;
    struct timespec until;
    bool ended;
    t->backoff = t->backoff ? t->backoff * 2 : BACKOFF_MIN_MS;
    if (t->backoff > BACKOFF_MAX_MS)
        t->backoff = BACKOFF_MAX_MS;
    int64_t ms = jittered(t->backoff);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&db->lock);
    while (!db->ending && pthread_cond_timedwait(&db->ending_cond, &db->lock, &until) == 0)
        ;
    bool ending = db->ending;
    pthread_mutex_unlock(&db->lock);
    if (atomic_load(&t->pool->up) == 0) /* what slipped in as the last one went */
        jobs_fail(jobs_take(&t->pool->jobs, 0, 1, &ended), pg_why(&t->pg));
    mk_count_from(db->inst, M_RECONNECTS, 1);
    return !ending;
}
