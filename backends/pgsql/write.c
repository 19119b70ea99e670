/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer.  All commits that wait are one transaction: its statements are one pipeline.  Where no result can matter
 * the pipeline's end commits it; else COMMIT follows once the results are there.  If a statement fails, or a group must
 * be undone, everything is rolled back and done again with a savepoint for each group: slower, and rare.
 *
 * If the connection is lost before the commit's answer, the jobs are kept, and the next connection sees to it that the
 * old session is over: each holds a lock of its writer's.  What can be done twice with the same effect and results is
 * done again.  Any other transaction has also written its number into meerkat_commits: it happened, and its results
 * are known, or it did not, and is done again.
 */
#include "pgsql.h"
#include <stdlib.h>
#include <string.h>

enum { IDLE_MS = 1000, ANSWER_MS = 1000, SWEEP_AGAIN_MS = 10, TRIES = 3, SMALL_CHANGES = 8, SMALL_BYTES = 16 * 1024 };
enum outcome { DONE, CAREFUL, AGAIN, BROKEN, UNKNOWN };

/* ---- results -------------------------------------------------------------------------------------------------- */

/* A failure of one change alone: its data, a constraint, a limit of the program.  All others are of the database. */
static bool is_own_failure(const struct pg *p) {
    return strncmp(p->state, "22", 2) == 0 || strncmp(p->state, "23", 2) == 0 || strncmp(p->state, "54", 2) == 0;
}

/* What another session was in the way of. */
static bool is_passing(const struct pg *p) {
    return strncmp(p->state, "40", 2) == 0 || strcmp(p->state, "55P03") == 0;
}

static enum outcome failed(const struct pg *p, enum pg_code code) {
    if (code == PG_LOST)
        return BROKEN;
    if (is_passing(p))
        return AGAIN;
    return is_own_failure(p) ? CAREFUL : BROKEN;
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

static void send_change(struct pg *p, const struct mk_change *x, int64_t now) {
    const struct sql_table *t = mk_coll_data(x->coll);
    switch (x->kind) {
    case MK_X_PUT:
        sql_put(&p->query, t, x, now);
        break;
    case MK_X_PUT_IF:
        sql_put_if(&p->query, t, x, now);
        break;
    case MK_X_ADD:
        sql_add_number(&p->query, t, x, now);
        break;
    case MK_X_DEL:
        sql_del(&p->query, t, x, now);
        break;
    default:
        sql_del_range(&p->query, t, x->scan);
        break;
    }
    pg_send(p, &p->query);
    if (x->kind != MK_X_PUT_IF && x->kind != MK_X_ADD)
        return;
    sql_get_of(&p->query, t, x, now); /* tells why nothing was changed */
    pg_send(p, &p->query);
}

static int result_of(struct mk_change *x, const PGresult *res) {
    bool changed = atoi(PQcmdTuples((PGresult *)res)) > 0;
    switch (x->kind) {
    case MK_X_PUT:
        return changed || x->mode != MK_IF_ABSENT ? MK_OK : MK_E_CONFLICT;
    case MK_X_PUT_IF:
        return changed ? MK_OK : MK_E_CONFLICT;
    case MK_X_ADD:
        if (changed)
            x->number = result_int(res, 0, 0);
        return changed ? MK_OK : MK_E_LIMIT;
    case MK_X_DEL:
        return changed || x->group ? MK_OK : MK_E_NOTFOUND;
    default:
        return MK_OK;
    }
}

/* The first failure's code is returned, though all results of the change are taken. */
static enum pg_code take_change(struct pg *p, struct mk_change *x) {
    PGresult *res;
    enum pg_code code = pg_next(p, &res);
    if (code == PG_OK)
        x->rc = result_of(x, res);
    PQclear(res);
    if (code == PG_LOST || (x->kind != MK_X_PUT_IF && x->kind != MK_X_ADD))
        return code;
    enum pg_code second = pg_next(p, &res);
    if (second == PG_OK && x->rc != MK_OK && PQntuples(res) == 0)
        x->rc = MK_E_NOTFOUND;
    PQclear(res);
    return code == PG_OK ? second : code;
}

/* ---- all at once ---------------------------------------------------------------------------------------------- */

static void send_number(struct thread *t) {
    static const char text[] = "INSERT INTO meerkat_commits(server,conn,number,at)VALUES($1,$2,$3,now())ON CONFLICT"
                               "(server,conn)DO UPDATE SET number=excluded.number,at=excluded.at";
    struct mk_value values[] = { mk_v_text(t->db->server), mk_v_int(t->number), mk_v_int(t->transaction) };
    struct sql_arg args[] = { { &values[0], MK_C_TEXT }, { &values[1], MK_C_INT }, { &values[2], MK_C_INT } };
    pg_send(&t->pg, &(struct sql_query){ .text = text, .args = args, .count = 3 });
}

/* Whether what the database says of each change is known before, if nothing fails. */
static bool is_plain(const struct job *jobs) {
    for (const struct job *job = jobs; job; job = job->next)
        for (uint32_t i = 0; i < job->commit->count; i++) {
            const struct mk_change *x = job->commit->changes[i];
            bool puts = x->kind == MK_X_PUT && x->mode == MK_UPSERT, dels = x->kind == MK_X_DEL && x->group;
            if (!x->quiet && !puts && !dels && x->kind != MK_X_DEL_RANGE)
                return false;
        }
    return true;
}

/* What is done twice leaves the rows as once. */
static bool is_repeatable(const struct job *jobs) {
    for (const struct job *job = jobs; job; job = job->next)
        for (uint32_t i = 0; i < job->commit->count; i++) {
            const struct mk_change *x = job->commit->changes[i];
            if (x->kind == MK_X_PUT_IF || x->kind == MK_X_ADD || (x->kind == MK_X_PUT && x->mode != MK_UPSERT))
                return false;
        }
    return true;
}

/* Without BEGIN all up to the pipeline's end is a transaction. */
static void send_all(struct thread *t, const struct job *jobs) {
    struct pg *p = &t->pg;
    int64_t now = now_us();
    bool plain = is_plain(jobs);
    t->transaction++;
    t->numbered = !plain || !is_repeatable(jobs);
    t->refused = false;
    if (!plain)
        pg_send_text(p, "BEGIN");
    for (const struct job *job = jobs; job; job = job->next)
        for (uint32_t i = 0; i < job->commit->count; i++)
            send_change(p, job->commit->changes[i], now);
    if (t->numbered)
        send_number(t);
    pg_sync(p);
}

static enum outcome take_all(struct thread *t, struct job *jobs) {
    struct pg *p = &t->pg;
    bool torn = false;
    for (struct job *job = jobs; job; job = job->next) {
        for (uint32_t i = 0; i < job->commit->count; i++) {
            enum pg_code code = take_change(p, job->commit->changes[i]);
            if (code != PG_OK)
                return failed(p, code);
        }
        torn |= commit_is_torn(job->commit);
    }
    enum pg_code code = pg_skip(p);
    if (code != PG_OK)
        return failed(p, code);
    return torn ? CAREFUL : DONE;
}

/* ---- one after the other -------------------------------------------------------------------------------------- */

static enum pg_code do_text(struct pg *p, const char *text) {
    pg_send_text(p, text);
    pg_sync(p);
    return pg_finish(p);
}

static enum outcome run_group(struct pg *p, struct mk_change *const *changes, uint32_t count, int64_t now) {
    enum pg_code code;
    bool good = true;
    pg_send_text(p, "SAVEPOINT one");
    for (uint32_t i = 0; i < count; i++)
        send_change(p, changes[i], now);
    pg_sync(p);
    code = pg_skip(p);
    if (code != PG_OK)
        return code == PG_LOST || !is_passing(p) ? BROKEN : AGAIN;
    for (uint32_t i = 0; i < count; i++) {
        code = take_change(p, changes[i]);
        if (code == PG_LOST || (code == PG_FAILED && !is_own_failure(p)))
            return failed(p, code);
        if (code == PG_FAILED)
            changes[i]->rc = MK_E_BACKEND;
        good &= code == PG_OK && (count == 1 || changes[i]->rc == MK_OK);
    }
    if (pg_finish(p) == PG_LOST || do_text(p, good ? "RELEASE one" : "ROLLBACK TO one") != PG_OK)
        return BROKEN;
    return DONE;
}

static enum outcome run_carefully(struct thread *t, struct job *jobs) {
    struct pg *p = &t->pg;
    int64_t now = now_us();
    t->transaction++;
    t->numbered = true;
    if (do_text(p, "BEGIN") != PG_OK)
        return BROKEN;
    for (struct job *job = jobs; job; job = job->next)
        for (uint32_t i = 0, end; i < job->commit->count; i = end) {
            end = commit_group_end(job->commit, i);
            for (uint32_t k = i; k < end; k++)
                job->commit->changes[k]->rc = MK_OK;
            enum outcome outcome = run_group(p, job->commit->changes + i, end - i, now);
            if (outcome != DONE)
                return outcome;
        }
    send_number(t);
    pg_sync(p);
    return pg_finish(p) == PG_OK ? DONE : BROKEN;
}

/* ---- transactions --------------------------------------------------------------------------------------------- */

/* ROLLBACK is what a transaction that had failed answers. */
static enum outcome commit(struct pg *p) {
    PGresult *res;
    pg_send_text(p, "COMMIT");
    pg_sync(p);
    enum pg_code code = pg_next(p, &res);
    bool good = code == PG_OK && strcmp(PQcmdStatus(res), "COMMIT") == 0;
    PQclear(res);
    enum pg_code rest = pg_finish(p);
    if (good)
        return DONE;
    return rest == PG_LOST ? UNKNOWN : BROKEN;
}

/* All is known before. */
static enum outcome end_repeatable(struct thread *t) {
    enum pg_code code = pg_finish(&t->pg);
    if (code == PG_LOST)
        return UNKNOWN;
    return code == PG_OK && !t->refused ? DONE : failed(&t->pg, PG_FAILED);
}

static enum outcome end_plain(struct thread *t, struct job *jobs) {
    if (!t->numbered)
        return end_repeatable(t);
    enum outcome outcome = take_all(t, jobs);
    if (outcome == DONE && pg_finish(&t->pg) == PG_FAILED)
        outcome = BROKEN;
    return t->pg.lost ? UNKNOWN : outcome;
}

static enum outcome end_all(struct thread *t, struct job *jobs) {
    enum pg_code begun = pg_skip(&t->pg);
    enum outcome outcome = begun == PG_OK ? take_all(t, jobs) : failed(&t->pg, begun);
    return outcome == DONE ? commit(&t->pg) : outcome;
}

static void roll_back(struct pg *p) {
    char why[512]; /* the reason stays that of the failure */
    strncpy(why, pg_why(p), sizeof why - 1);
    why[sizeof why - 1] = '\0';
    if (pg_finish(p) != PG_LOST && PQtransactionStatus(p->c) != PQTRANS_IDLE)
        do_text(p, "ROLLBACK");
    sql_clear(&p->why);
    sql_add(&p->why, "%s", why);
}

/* BEGUN: all is sent. */
static enum outcome run_once(struct thread *t, struct job *jobs, bool begun, bool careful) {
    enum outcome outcome;
    if (careful) {
        outcome = run_carefully(t, jobs);
        if (outcome == DONE)
            outcome = commit(&t->pg);
    } else {
        if (!begun)
            send_all(t, jobs);
        outcome = is_plain(jobs) ? end_plain(t, jobs) : end_all(t, jobs);
    }
    if (outcome != DONE)
        roll_back(&t->pg);
    return outcome;
}

static void count(struct thread *t, const struct job *jobs, int64_t start, bool good) {
    mk_count_from(t->db->inst, M_QUERIES, jobs_changes(jobs));
    mk_count_from(t->db->inst, M_TIME, now_us() - start);
    mk_count_from(t->db->inst, good ? M_COMMITS : M_ERRORS, 1);
}

static void run(struct thread *t, struct job *jobs, bool begun) {
    int64_t start = begun ? t->begun_us : now_us();
    bool careful = false;
    enum outcome outcome = AGAIN;
    for (int i = 0; i < TRIES && (outcome == AGAIN || outcome == CAREFUL); i++) {
        outcome = run_once(t, jobs, begun && i == 0, careful);
        careful |= outcome == CAREFUL;
    }
    count(t, jobs, start, outcome == DONE);
    if (outcome == DONE) {
        t->taker.finished = jobs;
        return;
    }
    /* A database that has become a copy of another one: the next connection may find the one that takes writes. */
    if (strcmp(t->pg.state, "25006") == 0)
        t->pg.lost = true;
    if (outcome == UNKNOWN)
        t->unknown = jobs;
    else
        jobs_fail(jobs, pg_why(&t->pg));
}

/* ---- begun by workers ----------------------------------------------------------------------------------------- */

/* What a worker can put into a pipeline in some ten microseconds. */
static bool is_small(const struct mk_commit *commit) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < commit->count && i < SMALL_CHANGES; i++) {
        const struct mk_change *x = commit->changes[i];
        bool row = x->kind == MK_X_PUT || x->kind == MK_X_PUT_IF;
        for (unsigned k = 0; row && k < mk_coll_col_count(x->coll); k++)
            if (x->values[k].type == MK_C_TEXT || x->values[k].type == MK_C_BYTES)
                bytes += x->values[k].len;
    }
    return commit->count <= SMALL_CHANGES && bytes <= SMALL_BYTES;
}

/* What is late, or bad, is for the thread. */
static void on_answer(struct mk_op *op, void *thread, bool ready) {
    struct thread *t = thread;
    enum pg_code code = ready ? pg_collect(&t->pg) : PG_LOST;
    if (code == PG_OK && !pg_is_over(&t->pg)) {
        mk_op_watch(op, PQsocket(t->pg.c), ANSWER_MS, on_answer, t);
        return;
    }
    if (code != PG_OK) {
        t->refused = code == PG_FAILED;
        jobs_give(&t->pool->jobs, &t->taker);
        return;
    }
    count(t, t->taker.held, t->begun_us, true);
    thread_good(t);
    jobs_release(&t->pool->jobs, &t->taker);
    mk_op_done(op, MK_OK);
}

/* The worker takes the answer as well if it says nothing but that all is stored: no thread has to wake for it. */
bool writer_begin(struct db *db, struct job *job) {
    struct job_taker *taker = is_small(job->commit) ? jobs_claim(&db->writes.jobs, job) : NULL;
    if (!taker)
        return false;
    struct thread *t = (struct thread *)((char *)taker - offsetof(struct thread, taker));
    t->begun_us = now_us();
    send_all(t, job);
    if (!t->numbered && pg_is_sent(&t->pg))
        mk_op_watch(job->op, PQsocket(t->pg.c), ANSWER_MS, on_answer, t);
    else
        jobs_give(&db->writes.jobs, taker);
    return true;
}

/* ---- what became of it ------------------------------------------------------------------------------------------ */

/* The old session, if it still is there, holds the lock until it ends: it is told to end.  The row then tells the truth. */
int writer_take_over(struct thread *t) {
    struct pg *p = &t->pg;
    struct mk_value values[] = { mk_v_text(t->db->server), mk_v_int(t->number), mk_v_text(t->name) };
    struct sql_arg name = { &values[2], MK_C_TEXT }, row[] = { { &values[0], MK_C_TEXT }, { &values[1], MK_C_INT } };
    struct sql_query by_name = { .args = &name, .count = 1 }, by_row = { .args = row, .count = 2 };
    if (!pg_run(p,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name=$1 AND "
                "pid<>pg_backend_pid() AND usename=current_user",
                &by_name) ||
        !pg_run(p, "SELECT pg_advisory_lock(hashtextextended($1,0))", &by_name) ||
        !pg_run(p, "INSERT INTO meerkat_commits(server,conn,number,at)VALUES($1,$2,0,now())ON CONFLICT DO NOTHING",
                &by_row))
        return -1;
    PGresult *res = pg_ask(p, "SELECT number FROM meerkat_commits WHERE server=$1 AND conn=$2", &by_row);
    if (!res)
        return -1;
    bool happened = t->numbered && PQntuples(res) == 1 && strtoll(PQgetvalue(res, 0, 0), NULL, 10) >= t->transaction;
    PQclear(res);
    return happened;
}

/* ---- sweeping ------------------------------------------------------------------------------------------------- */

/* A slice of each table's expired rows; true if there may be more.  What fails now is tried again later. */
static bool sweep(struct thread *t) {
    struct db *db = t->db;
    bool more = false;
    pthread_mutex_lock(&db->lock);
    const struct sql_table *table = db->tables;
    pthread_mutex_unlock(&db->lock);
    for (; table && !t->pg.lost; table = table->next) {
        PGresult *res;
        if (!sql_sweep(&t->pg.query, table, now_us()))
            continue;
        pg_send(&t->pg, &t->pg.query);
        pg_sync(&t->pg);
        if (pg_next(&t->pg, &res) == PG_OK)
            more |= atoi(PQcmdTuples(res)) > 0;
        PQclear(res);
        pg_finish(&t->pg);
    }
    return more;
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

static void give_up(struct thread *t) {
    bool ended;
    if (t->unknown)
        mk_log_from(t->db->inst, MK_ERROR, "the server stops and does not know whether its last writes were stored");
    jobs_fail(t->unknown, "the server stops");
    t->unknown = NULL;
    jobs_fail(jobs_take(&t->pool->jobs, 0, 1, &ended), "the server stops");
}

/* One writer sweeps for all. */
static void sweep_in_time(struct thread *t, int64_t *next_ms) {
    if (t->number != 0 || t->pg.lost || now_ms() < *next_ms)
        return;
    jobs_answer(&t->taker);
    *next_ms = now_ms() + (sweep(t) ? SWEEP_AGAIN_MS : t->db->sweep_interval);
}

static unsigned until(int64_t next_ms) {
    int64_t left = next_ms - now_ms();
    return left < 1 ? 1 : left < IDLE_MS ? (unsigned)left : IDLE_MS;
}

void *write_main(void *arg) {
    struct thread *t = arg;
    int64_t next_sweep = now_ms() + t->db->sweep_interval;
    bool ended = false;
    while (!ended) {
        if (!t->pg.c && !thread_connect(t) && !thread_pause(t)) {
            give_up(t);
            break;
        }
        if (!t->pg.c)
            continue;
        struct job *jobs = t->unknown; /* which did not happen, or thread_connect() would have answered them */
        t->unknown = NULL;
        bool begun = false;
        if (!jobs)
            jobs = jobs_await(&t->pool->jobs, &t->taker, t->number ? IDLE_MS : until(next_sweep), &begun, &ended);
        if (jobs)
            run(t, jobs, begun);
        else
            pg_alive(&t->pg);
        sweep_in_time(t, &next_sweep);
        if (t->pg.lost) {
            jobs_answer(&t->taker);
            thread_lost(t);
        } else {
            thread_good(t);
        }
    }
    jobs_answer(&t->taker);
    return NULL;
}
