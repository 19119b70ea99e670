/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <stdlib.h>

static void add_row(struct mk_read *r, const struct sql_table *t, sqlite3_stmt *stmt) {
    mk_rows_add(r->rows);
    for (unsigned i = 0; i < t->col_count; i++) {
        struct mk_value v = mk_v_null();
        uint32_t type = mk_coll_col(t->coll, i)->type;
        int col = (int)i;
        if (sqlite3_column_type(stmt, col) == SQLITE_NULL)
            v = mk_v_null();
        else if (type == MK_C_BYTES)
            v = mk_v_bytes(sqlite3_column_blob(stmt, col), (size_t)sqlite3_column_bytes(stmt, col));
        else if (type == MK_C_TEXT || type == MK_C_JID)
            v = mk_v_view((struct mk_view){ (const char *)sqlite3_column_text(stmt, col),
                                            (size_t)sqlite3_column_bytes(stmt, col) });
        else
            v = mk_v_int(sqlite3_column_int64(stmt, col));
        mk_rows_put(r->rows, i, &v);
    }
}

/* Steps through the result; SQLITE_DONE if all went well. */
static int collect(struct conn *c, struct mk_op *op, struct mk_read *r, const struct sql_table *t) {
    sqlite3_stmt *stmt;
    int rc = conn_prepare(c, &c->query, &stmt);
    if (rc != SQLITE_OK)
        return rc;
    bool count = r->kind == MK_R_COUNT || r->kind == MK_R_COUNT_ALL;
    if (!count)
        r->rows = mk_rows_new(op, r->coll);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        if (count)
            r->count = sqlite3_column_int64(stmt, 0);
        else
            add_row(r, t, stmt);
    conn_done(stmt);
    return rc;
}

static int read_rows(struct conn *c, struct mk_op *op, struct mk_read *r, const struct sql_table *t) {
    if (r->kind == MK_R_GET) {
        sql_get(&c->query, t, r->key, r->now);
    } else if (r->kind == MK_R_ALL || r->kind == MK_R_COUNT_ALL) {
        sql_all(&c->query, t, r);
    } else if (!sql_scan(&c->query, t, r)) {
        r->rows = mk_rows_new(op, r->coll);
        return SQLITE_DONE;
    }
    return collect(c, op, r, t);
}

static void run(struct conn *c, struct job *job) {
    struct mk_read *r = job->read;
    const struct sql_table *t = mk_coll_data(r->coll);
    int rc = read_rows(c, job->op, r, t);
    if (rc != SQLITE_DONE) {
        mk_op_explain(job->op, "%s", conn_error(c));
        mk_op_done_remote(job->op, MK_E_BACKEND);
        return;
    }
    bool none = r->kind == MK_R_GET && mk_rows_count(r->rows) == 0;
    mk_op_done_remote(job->op, none ? MK_E_NOTFOUND : MK_OK);
}

void *read_main(void *arg) {
    struct reader *reader = arg;
    bool ended = false;
    while (!ended) {
        struct job *job = jobs_take(&reader->db->reads, 1, 0, &ended);
        if (job)
            run(reader->conn, job);
    }
    return NULL;
}
