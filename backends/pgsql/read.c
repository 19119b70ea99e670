/* SPDX-License-Identifier: Apache-2.0 */
/* A reader: what waits is one pipeline, each read for itself. */
#include "pgsql.h"
#include <stdlib.h>

enum { AT_ONCE = 32, IDLE_MS = 1000 };

/* False: nothing is to be asked, the search has no word. */
static bool send_read(struct pg *p, struct job *job) {
    struct mk_read *r = job->read;
    const struct sql_table *t = mk_coll_data(r->coll);
    if (r->kind == MK_R_GET)
        sql_get(&p->query, t, r->key, r->now);
    else if (r->kind == MK_R_ALL || r->kind == MK_R_COUNT_ALL)
        sql_all(&p->query, t, r);
    else if (!sql_scan(&p->query, t, r))
        return false;
    pg_send(p, &p->query);
    pg_sync(p);
    return true;
}

static int take_rows(struct job *job, const PGresult *res) {
    struct mk_read *r = job->read;
    if (r->kind == MK_R_COUNT || r->kind == MK_R_COUNT_ALL) {
        r->count = PQntuples(res) == 1 ? result_int(res, 0, 0) : 0;
        return MK_OK;
    }
    r->rows = mk_rows_new(job->op, r->coll);
    result_rows(res, mk_coll_data(r->coll), r->rows);
    return r->kind == MK_R_GET && PQntuples(res) == 0 ? MK_E_NOTFOUND : MK_OK;
}

/* False if the connection is lost, and nothing answered. */
static bool answer(struct thread *t, struct job *job, bool asked) {
    PGresult *res = NULL;
    int rc = MK_OK;
    enum pg_code code = asked ? pg_next(&t->pg, &res) : PG_OK;
    if (code == PG_LOST)
        return false;
    if (!asked) {
        job->read->rows = mk_rows_new(job->op, job->read->coll);
    } else if (code == PG_OK) {
        rc = take_rows(job, res);
    } else {
        rc = MK_E_BACKEND;
        mk_op_explain(job->op, "%s", pg_why(&t->pg));
        mk_count_from(t->db->inst, M_ERRORS, 1);
    }
    PQclear(res);
    mk_op_done_remote(job->op, rc);
    return true;
}

/* Those that are left when the connection is lost. */
static struct job *run(struct thread *t, struct job *jobs) {
    bool asked[AT_ONCE];
    unsigned count = 0, i = 0;
    int64_t start = now_us();
    for (struct job *job = jobs; job; job = job->next)
        asked[count++] = send_read(&t->pg, job);
    while (jobs) {
        struct job *next = jobs->next; /* the job is gone with its op */
        if (!answer(t, jobs, asked[i++]))
            break;
        jobs = next;
    }
    pg_finish(&t->pg);
    mk_count_from(t->db->inst, M_QUERIES, count);
    mk_count_from(t->db->inst, M_TIME, now_us() - start);
    return jobs;
}

/* The connection may have been dead for long, and the database be there: reads try a new one, once. */
static void run_again(struct thread *t, struct job *jobs) {
    bool silent = t->pg.silent;
    thread_lost(t);
    if (!silent && thread_connect(t))
        jobs = run(t, jobs);
    mk_count_from(t->db->inst, M_ERRORS, jobs != NULL);
    jobs_fail(jobs, pg_why(&t->pg));
}

void *read_main(void *arg) {
    struct thread *t = arg;
    bool ended = false;
    while (!ended) {
        if (!t->pg.c && !thread_connect(t) && !thread_pause(t)) {
            jobs_fail(jobs_take(&t->pool->jobs, 0, 1, &ended), "the server stops");
            break;
        }
        if (!t->pg.c)
            continue;
        struct job *jobs = jobs_take(&t->pool->jobs, AT_ONCE, IDLE_MS, &ended);
        struct job *left = jobs ? run(t, jobs) : NULL;
        if (left)
            run_again(t, left);
        else if (jobs || pg_alive(&t->pg))
            thread_good(t);
        if (t->pg.c && t->pg.lost)
            thread_lost(t);
    }
    return NULL;
}
