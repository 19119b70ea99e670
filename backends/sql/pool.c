/* SPDX-License-Identifier: Apache-2.0 */
/* Start and stop, threads and their connections: coming, going, and what is said of it. */
#include "pool.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 5000, TRY_MS = 500 };

int64_t pool_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t pool_now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

/* One line without its end, as a phrase. */
void pool_say(struct pool_conn *c, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t len = strcspn(text, "\r\n");
    while (len && (text[len - 1] == '.' || text[len - 1] == ' '))
        len--;
    sql_clear(&c->why);
    sql_add(&c->why, "%.*s", (int)len, text);
}

const char *pool_why(const struct pool_conn *c) {
    return c->why.s && c->why.len ? c->why.s : "no reason given";
}

static void close_conn(struct pool_conn *c) {
    if (c->open)
        c->pool->driver->close(c);
    c->open = false;
}

bool pool_connect(struct pool_conn *c) {
    struct pool *pool = c->pool;
    c->lost = c->silent = false;
    c->open = pool->driver->open(c);
    if (!c->open)
        return false;
    const struct pool_product *product = pool->driver->product(c);
    bool good = product != NULL;
    if (good && c->main) {
        pool->product = product;
    } else if (good && product != pool->product) {
        pool_say(c, "it is another product than at the start");
        good = false;
    }
    const char *place = pool->place;
    good = good && product->set_up(c) && (!place || !product->choose || product->choose(c, place));
    if (!good)
        close_conn(c);
    return good;
}

static struct pool_conn *conn_new(struct pool *pool, const char *name) {
    struct pool_conn *c = pool->driver->make();
    c->pool = pool;
    c->main = !pool->main;
    snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

static void conn_free(struct pool_conn *c) {
    if (!c)
        return;
    close_conn(c);
    sql_query_free(&c->query);
    sql_free(&c->why);
    c->pool->driver->free(c);
}

/* ---- start and stop ------------------------------------------------------------------------------------------- */

static void pool_free(struct pool *pool) {
    for (unsigned i = 0; i < pool->thread_count; i++) {
        conn_free(pool->threads[i].conn);
        pool_batch_free(pool->threads[i].batch);
    }
    conn_free(pool->main);
    while (pool->tables) {
        struct sql_table *next = pool->tables->next;
        sql_table_free(pool->tables);
        pool->tables = next;
    }
    jobs_destroy(&pool->reads.jobs);
    jobs_destroy(&pool->writes.jobs);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->ending_cond);
    free(pool->threads);
    free(pool);
}

static void thread_init(struct pool *pool, struct pool_thread *t, struct pool_side *side, unsigned number) {
    char name[48];
    snprintf(name, sizeof name, "meerkat-%s-%c%u", pool->server, side == &pool->reads ? 'r' : 'w', number);
    t->pool = pool;
    t->side = side;
    t->number = number;
    t->conn = conn_new(pool, name);
}

static struct pool *pool_new(const struct pool_inst *inst, const struct pool_driver *driver, const char *place) {
    struct pool *pool = sql_must(calloc(1, sizeof *pool));
    unsigned char id[8];
    pool->inst = inst;
    pool->driver = driver;
    pool->place = place;
    mk_random(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(pool->server + 2 * i, 3, "%02x", id[i]);
    pool->main = conn_new(pool, "meerkat");
    jobs_init(&pool->reads.jobs);
    jobs_init(&pool->writes.jobs);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->ending_cond, NULL);
    unsigned writers = (unsigned)inst->write_connections;
    pool->thread_count = writers + (unsigned)inst->read_connections;
    pool->threads = sql_must(calloc(pool->thread_count, sizeof *pool->threads));
    for (unsigned i = 0; i < pool->thread_count; i++)
        thread_init(pool, &pool->threads[i], i < writers ? &pool->writes : &pool->reads, i < writers ? i : i - writers);
    return pool;
}

/* The main connection, until the time that the operator allows has passed. */
static int reach(struct pool *pool, struct mk_err *err) {
    int64_t wait = pool->inst->wait;
    int64_t deadline = pool_now_ms() + (wait < INT64_MAX / 2 ? wait : INT64_MAX / 2);
    bool said = false;
    while (!pool_connect(pool->main)) {
        if (pool_now_ms() >= deadline)
            return mk_fail(err, MK_E_BACKEND, "The database can't be used: %s.", pool_why(pool->main));
        if (!said)
            mk_log_from(pool->inst, MK_NOTICE, "waiting for the database: %s", pool_why(pool->main));
        said = true;
        nanosleep(&(struct timespec){ 0, TRY_MS * 1000000L }, NULL);
    }
    return MK_OK;
}

static int open_all(struct pool *pool, struct mk_err *err) {
    int rc = reach(pool, err);
    if (rc)
        return rc;
    if (!pool_prepare(pool->main))
        return mk_fail(err, MK_E_BACKEND, "The database's tables can't be made or used%s: %s.",
                       pool->inst->create ? "" : " (and create = false)", pool_why(pool->main));
    for (unsigned i = 0; i < pool->thread_count; i++)
        if (!pool_join(&pool->threads[i]))
            return mk_fail(err, MK_E_BACKEND, "The database can't be used: %s.", pool_why(pool->threads[i].conn));
    return MK_OK;
}

/* Signals are the main thread's. */
static void start_threads(struct pool *pool) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        struct pool_thread *t = &pool->threads[i];
        if (pthread_create(&t->id, NULL, t->side == &pool->reads ? pool_reader : pool_writer, t) != 0)
            abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int pool_begin(void *inst, const struct pool_driver *driver, const char *place, struct mk_err *err) {
    struct pool_inst *me = inst;
    struct pool *pool = pool_new(me, driver, place);
    int rc = open_all(pool, err);
    if (rc) {
        pool_free(pool);
        return rc;
    }
    start_threads(pool);
    me->pool = pool;
    return MK_OK;
}

void pool_end(void *inst) {
    struct pool *pool = ((struct pool_inst *)inst)->pool;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->ending_cond);
    pthread_mutex_unlock(&pool->lock);
    jobs_end(&pool->writes.jobs);
    jobs_end(&pool->reads.jobs);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i].id, NULL);
    pool_free(pool);
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

/* Nobody waits for a database that is known to be away. */
static void push(struct pool_side *side, struct job *job) {
    if (atomic_load(&side->up)) {
        jobs_push(&side->jobs, job);
        return;
    }
    mk_op_explain(job->op, "the database is away");
    mk_op_done(job->op, MK_E_BACKEND);
}

void pool_read(struct mk_op *op, struct mk_read *read) {
    const struct pool_inst *me = mk_op_inst(op);
    struct job *job = job_new(op);
    job->read = read;
    push(&me->pool->reads, job);
}

void pool_commit(struct mk_op *op, struct mk_commit *commit) {
    const struct pool_inst *me = mk_op_inst(op);
    struct job *job = job_new(op);
    job->commit = commit;
    push(&me->pool->writes, job);
}

/* ---- coming and going ------------------------------------------------------------------------------------------- */

/* One line when it goes, however many connections it takes along. */
static void say_away(struct pool_thread *t) {
    if (!atomic_exchange(&t->pool->away, true))
        mk_log_from(t->pool->inst, MK_ERROR, "the database is lost: %s; trying to connect again", pool_why(t->conn));
}

/* Said when each connection is known to be good: one may be dead too, and nobody has looked yet. */
static void say_back(struct pool *pool) {
    if (!atomic_load(&pool->away))
        return;
    for (unsigned i = 0; i < pool->thread_count; i++)
        if (atomic_load(&pool->threads[i].seen_ms) <= atomic_load(&pool->lost_ms))
            return;
    if (atomic_exchange(&pool->away, false))
        mk_log_from(pool->inst, MK_NOTICE, "the database is back");
}

void pool_good(struct pool_thread *t) {
    atomic_store(&t->seen_ms, pool_now_ms());
    say_back(t->pool);
}

/* What happened is answered; what did not stays for the writer to do again. */
static bool learn_fate(struct pool_thread *t) {
    const struct pool_product *product = t->pool->product;
    if (product->take_name && !product->take_name(t->conn))
        return false;
    int happened = pool_learn_fate(t);
    if (happened < 0)
        return false;
    struct job *jobs = t->unknown;
    if (happened && jobs) {
        t->unknown = NULL;
        jobs_done(jobs);
    }
    return true;
}

bool pool_join(struct pool_thread *t) {
    bool writer = t->side == &t->pool->writes;
    if (!pool_connect(t->conn))
        return false;
    if (writer && !learn_fate(t)) {
        close_conn(t->conn);
        return false;
    }
    t->backoff = 0;
    atomic_fetch_add(&t->side->up, 1);
    mk_count_from(t->pool->inst, M_CONNECTIONS, 1);
    pool_good(t);
    return true;
}

/* The last to go answers what still waits: reads and commits that come now are refused by themselves. */
void pool_lose(struct pool_thread *t) {
    bool ended;
    close_conn(t->conn);
    mk_count_from(t->pool->inst, M_CONNECTIONS, -1);
    atomic_store(&t->pool->lost_ms, pool_now_ms());
    atomic_store(&t->seen_ms, 0);
    say_away(t);
    if (atomic_fetch_sub(&t->side->up, 1) == 1)
        jobs_fail(jobs_take(&t->side->jobs, 0, 1, &ended), pool_why(t->conn));
}

/* Each waits between half of the time and all of it, so that servers do not come back all at once. */
static int64_t jittered(int64_t ms) {
    unsigned random;
    mk_random(&random, sizeof random);
    return ms / 2 + (int64_t)(random % (unsigned)(ms / 2 + 1));
}

bool pool_pause(struct pool_thread *t) {
    struct pool *pool = t->pool;
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
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending && pthread_cond_timedwait(&pool->ending_cond, &pool->lock, &until) == 0)
        ;
    bool ending = pool->ending;
    pthread_mutex_unlock(&pool->lock);
    if (atomic_load(&t->side->up) == 0) /* what slipped in as the last one went */
        jobs_fail(jobs_take(&t->side->jobs, 0, 1, &ended), pool_why(t->conn));
    mk_count_from(pool->inst, M_RECONNECTS, 1);
    return !ending;
}
