/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer.  All commits that wait are one transaction, and one fsync.  A change that fails leaves the others
 * standing; whatever breaks the transaction fails all commits in it, and the server brings them again.
 */
#include "sqlite.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IDLE_MS = 1000, SWEEP_EVERY_US = 60 * 1000 * 1000 };

int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Other failures are of one change alone. */
static bool breaks_all(int rc) {
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return false;
    default:
        return true;
    }
}

static bool worked(int rc) {
    return rc == SQLITE_DONE || rc == SQLITE_ROW || rc == SQLITE_OK;
}

/* ---- changes: each returns an SQLite code and, if that is a success, sets x->rc ----------------------------------- */

static int put(struct conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int changed, rc;
    sql_put(&c->query, t, x, now);
    rc = conn_run(c, &c->query, &changed);
    if (rc == SQLITE_DONE)
        x->rc = x->mode == MK_IF_ABSENT && changed == 0 ? MK_E_CONFLICT : MK_OK;
    return rc;
}

static int put_if(struct conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int changed, rc;
    sql_put_if(&c->query, t, x, now);
    rc = conn_run(c, &c->query, &changed);
    if (rc != SQLITE_DONE || changed) {
        x->rc = MK_OK;
        return rc;
    }
    sql_get_of(&c->query, t, x, now);
    rc = conn_run(c, &c->query, NULL);
    x->rc = rc == SQLITE_ROW ? MK_E_CONFLICT : MK_E_NOTFOUND;
    return rc;
}

static int read_number(struct conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    sqlite3_stmt *stmt;
    sql_add_read(&c->query, t, x, now);
    int rc = conn_prepare(c, &c->query, &stmt);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        x->rc = __builtin_add_overflow(sqlite3_column_int64(stmt, 0), x->by, &x->number) ? MK_E_LIMIT : MK_OK;
    else
        x->rc = MK_E_NOTFOUND;
    conn_done(stmt);
    return rc;
}

/* In two steps: RETURNING wants a newer SQLite. */
static int add(struct conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int rc = read_number(c, t, x, now);
    if (!worked(rc) || x->rc != MK_OK)
        return rc;
    sql_add_write(&c->query, t, x);
    return conn_run(c, &c->query, NULL);
}

static int del(struct conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int changed, rc;
    sql_del(&c->query, t, x, now);
    rc = conn_run(c, &c->query, &changed);
    if (rc == SQLITE_DONE)
        x->rc = changed || x->group ? MK_OK : MK_E_NOTFOUND;
    return rc;
}

static int del_range(struct conn *c, const struct sql_table *t, struct mk_change *x) {
    sql_del_range(&c->query, t, x->scan);
    x->rc = MK_OK;
    return conn_run(c, &c->query, NULL);
}

static int apply(struct conn *c, struct mk_change *x, int64_t now) {
    const struct sql_table *t = mk_coll_data(x->coll);
    int rc;
    switch (x->kind) {
    case MK_X_PUT:
        rc = put(c, t, x, now);
        break;
    case MK_X_PUT_IF:
        rc = put_if(c, t, x, now);
        break;
    case MK_X_ADD:
        rc = add(c, t, x, now);
        break;
    case MK_X_DEL:
        rc = del(c, t, x, now);
        break;
    case MK_X_DEL_RANGE:
        rc = del_range(c, t, x);
        break;
    default:
        rc = SQLITE_RANGE;
        break;
    }
    if (!worked(rc))
        x->rc = MK_E_BACKEND;
    return rc;
}

/* ---- commits -------------------------------------------------------------------------------------------------- */

/* COUNT changes that are all or nothing. */
static int apply_group(struct conn *c, struct mk_change *const *changes, uint32_t count, int64_t now) {
    int rc = count > 1 ? conn_exec(c, "SAVEPOINT batch") : SQLITE_OK;
    bool good = rc == SQLITE_OK;
    for (uint32_t i = 0; i < count && good; i++) {
        rc = apply(c, changes[i], now);
        if (breaks_all(rc))
            return rc;
        good = changes[i]->rc == MK_OK;
    }
    if (count == 1 || breaks_all(rc))
        return rc;
    rc = good ? SQLITE_OK : conn_exec(c, "ROLLBACK TO batch");
    return rc == SQLITE_OK ? conn_exec(c, "RELEASE batch") : rc;
}

static int apply_commit(struct conn *c, const struct mk_commit *commit, int64_t now) {
    struct mk_change *const *changes = commit->changes;
    for (uint32_t i = 0, end; i < commit->count; i = end) {
        end = commit_group_end(commit, i);
        int rc = apply_group(c, changes + i, end - i, now);
        if (breaks_all(rc))
            return rc;
    }
    return SQLITE_OK;
}

static int apply_jobs(struct conn *c, const struct job *jobs) {
    int64_t now = now_us();
    int rc = conn_exec(c, "BEGIN IMMEDIATE");
    for (const struct job *job = jobs; job && rc == SQLITE_OK; job = job->next)
        rc = apply_commit(c, job->commit, now);
    return rc == SQLITE_OK ? conn_exec(c, "COMMIT") : rc;
}

static void roll_back(struct conn *c) {
    if (!sqlite3_get_autocommit(c->db))
        conn_exec(c, "ROLLBACK");
}

static void run(struct conn *c, struct job *jobs) {
    int rc = apply_jobs(c, jobs);
    for (struct job *job = jobs; job && rc != SQLITE_OK; job = job->next)
        mk_op_explain(job->op, "%s", conn_error(c));
    if (rc != SQLITE_OK)
        roll_back(c);
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next; /* the job is gone with its op */
        mk_op_done_remote(job->op, rc == SQLITE_OK ? MK_OK : MK_E_BACKEND);
    }
}

/* ---- sweeping ------------------------------------------------------------------------------------------------- */

static const struct sql_table *first_table(struct db *db) {
    pthread_mutex_lock(&db->tables_lock);
    const struct sql_table *t = db->tables;
    pthread_mutex_unlock(&db->tables_lock);
    return t;
}

/* A slice of each table's expired rows; true if there may be more.  What fails now is tried again later. */
static bool sweep(struct db *db) {
    struct conn *c = &db->write_conn;
    bool more = false;
    for (const struct sql_table *t = first_table(db); t; t = t->next) {
        int changed;
        if (sql_sweep(&c->query, t, now_us()))
            more |= conn_run(c, &c->query, &changed) == SQLITE_DONE && changed > 0;
    }
    return more;
}

/* While nobody waits: the next burst then finds an empty log. */
static void checkpoint(struct db *db) {
    sqlite3_wal_checkpoint_v2(db->write_conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

void *write_main(void *arg) {
    struct db *db = arg;
    int64_t swept = 0;
    bool ended = false, dirty = false;
    unsigned wait = IDLE_MS;
    while (!ended) {
        struct job *jobs = jobs_take(&db->writes, 0, wait, &ended);
        if (jobs)
            run(&db->write_conn, jobs);
        bool idle = !jobs && !ended;
        if (idle || now_us() - swept > SWEEP_EVERY_US) {
            wait = sweep(db) ? 10 : IDLE_MS;
            swept = now_us();
        }
        if (idle && dirty)
            checkpoint(db);
        dirty = jobs || (dirty && !idle);
    }
    return NULL;
}
