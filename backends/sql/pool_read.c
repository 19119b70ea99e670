/* SPDX-License-Identifier: Apache-2.0 */
/* A reader: one read after the other, so that the others have their share. */
#include "pool.h"

enum { IDLE_MS = 1000, COLS_MAX = 64 };

struct collect {
    struct mk_read *read;
    const struct sql_table *t;
};

static void take_row(void *arg, const struct mk_value *values) {
    struct collect *all = arg;
    mk_rows_add(all->read->rows);
    for (unsigned i = 0; i < all->t->col_count; i++)
        mk_rows_put(all->read->rows, i, &values[i]);
}

static void take_count(void *arg, const struct mk_value *values) {
    ((struct mk_read *)arg)->count = values[0].u.i;
}

static enum pool_code collect(struct pool_conn *c, struct job *job) {
    static const uint32_t number[] = { MK_C_INT };
    struct mk_read *r = job->read;
    const struct sql_table *t = mk_coll_data(r->coll);
    struct collect all = { r, t };
    uint32_t types[COLS_MAX];
    if (r->kind == MK_R_COUNT || r->kind == MK_R_COUNT_ALL)
        return c->pool->driver->run(c, &c->query, NULL, &(struct pool_ask){ number, 1, take_count, r });
    for (unsigned i = 0; i < t->col_count; i++)
        types[i] = sql_col(t, i)->type;
    r->rows = mk_rows_new(job->op, r->coll);
    return c->pool->driver->run(c, &c->query, NULL, &(struct pool_ask){ types, t->col_count, take_row, &all });
}

static enum pool_code ask(struct pool_conn *c, struct job *job) {
    struct mk_read *r = job->read;
    const struct sql_table *t = mk_coll_data(r->coll);
    if (r->kind == MK_R_GET) {
        sql_get(&c->query, t, r->key, r->now);
    } else if (r->kind == MK_R_ALL || r->kind == MK_R_COUNT_ALL) {
        sql_all(&c->query, t, r);
    } else if (!sql_scan(&c->query, t, r)) { /* the search has no word */
        r->rows = mk_rows_new(job->op, r->coll);
        return POOL_OK;
    }
    return collect(c, job);
}

/* False if the connection is lost, and nothing answered. */
static bool run(struct pool_thread *t, struct job *job) {
    struct mk_read *r = job->read;
    int64_t start = pool_now_us();
    enum pool_code code = ask(t->conn, job);
    mk_count_from(t->pool->inst, M_QUERIES, 1);
    mk_count_from(t->pool->inst, M_TIME, pool_now_us() - start);
    if (code == POOL_LOST)
        return false;
    int rc = MK_OK;
    if (code != POOL_OK) {
        rc = MK_E_BACKEND;
        mk_op_explain(job->op, "%s", pool_why(t->conn));
        mk_count_from(t->pool->inst, M_ERRORS, 1);
    } else if (r->kind == MK_R_GET && mk_rows_count(r->rows) == 0) {
        rc = MK_E_NOTFOUND;
    }
    mk_op_done_remote(job->op, rc);
    return true;
}

/* The connection may have been dead for long, and the database be there: the read tries a new one, once. */
static void run_again(struct pool_thread *t, struct job *job) {
    bool silent = t->conn->silent;
    pool_lose(t);
    if (!silent && pool_join(t) && run(t, job))
        return;
    mk_count_from(t->pool->inst, M_ERRORS, 1);
    jobs_fail(job, pool_why(t->conn));
}

void *pool_reader(void *arg) {
    struct pool_thread *t = arg;
    bool ended = false;
    while (!ended) {
        if (!t->conn->open && !pool_join(t) && !pool_pause(t)) {
            jobs_fail(jobs_take(&t->side->jobs, 0, 1, &ended), "the server stops");
            break;
        }
        if (!t->conn->open)
            continue;
        struct job *job = jobs_take(&t->side->jobs, 1, IDLE_MS, &ended);
        if (job && !run(t, job))
            run_again(t, job);
        else if (job || ended || t->pool->driver->alive(t->conn))
            pool_good(t);
        if (t->conn->open && t->conn->lost)
            pool_lose(t);
    }
    return NULL;
}
