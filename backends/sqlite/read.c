/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <stdlib.h>

static void add_row(struct mk_read *r, const struct table *t, sqlite3_stmt *stmt) {
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
static int collect(struct mk_op *op, struct mk_read *r, const struct table *t, struct binder *b) {
    int rc = b->rc;
    if (rc != SQLITE_OK)
        return rc;
    if (r->kind != MK_R_COUNT)
        r->rows = mk_rows_new(op, r->coll);
    while ((rc = sqlite3_step(b->stmt)) == SQLITE_ROW)
        if (r->kind == MK_R_COUNT)
            r->count = sqlite3_column_int64(b->stmt, 0);
        else
            add_row(r, t, b->stmt);
    return rc;
}

static int get(struct conn *c, struct mk_op *op, struct mk_read *r, const struct table *t) {
    struct binder b = { 0 };
    int rc = conn_prepare(c, t->get, &b.stmt);
    if (rc != SQLITE_OK)
        return rc;
    bind_values(&b, r->key, t->key_count);
    if (t->ttl_col >= 0)
        bind_int(&b, r->now);
    rc = collect(op, r, t, &b);
    conn_done(b.stmt);
    return rc;
}

static void build_scan(struct text *s, const struct mk_read *r, const struct table *t) {
    bool count = r->kind == MK_R_COUNT;
    s->len = 0;
    text_add(s, "SELECT ");
    if (count)
        text_add(s, r->scan->limit ? "count(*) FROM (SELECT 1" : "count(*)");
    else
        sql_cols(s, t);
    text_add(s, " FROM \"%s\" WHERE ", t->name);
    sql_scan(s, t, r->scan);
    sql_visible(s, t);
    if (!count)
        sql_scan_order(s, t, r->scan);
    if (r->scan->limit)
        text_add(s, count ? " LIMIT ?)" : " LIMIT ?");
}

static int scan(struct conn *c, struct mk_op *op, struct mk_read *r, const struct table *t) {
    struct text words = { 0 };
    if (r->scan->search && !search_text(&words, t, r->scan)) {
        text_free(&words);
        r->rows = mk_rows_new(op, r->coll);
        return SQLITE_DONE;
    }
    build_scan(&c->text, r, t);
    struct binder b = { 0 };
    int rc = conn_prepare(c, c->text.s, &b.stmt);
    if (rc == SQLITE_OK) {
        bind_scan(&b, t, r->scan);
        if (r->scan->search)
            bind_text(&b, words.s, words.len);
        if (t->ttl_col >= 0)
            bind_int(&b, r->now);
        if (r->scan->limit)
            bind_int(&b, r->scan->limit);
        rc = collect(op, r, t, &b);
        conn_done(b.stmt);
    }
    text_free(&words);
    return rc;
}

static void run(struct conn *c, struct job *job) {
    struct mk_read *r = job->read;
    const struct table *t = mk_coll_data(r->coll);
    int rc = r->kind == MK_R_GET ? get(c, job->op, r, t) : scan(c, job->op, r, t);
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
        struct job *job = jobs_take(&reader->db->reads, false, 0, &ended);
        if (job)
            run(reader->conn, job);
    }
    return NULL;
}
