/* SPDX-License-Identifier: Apache-2.0 */
/* Making and migrating tables: what sql_define() needs of SQLite. */
#include "sqlite.h"
#include <string.h>

static int run(void *conn, const char *text, const struct sql_query *values) {
    struct conn *c = conn;
    if (!values)
        return sqlite3_exec(c->db, text, NULL, NULL, NULL) == SQLITE_OK ? MK_OK : MK_E_BACKEND;
    struct sql_query q = *values;
    q.text = text;
    return conn_run(c, &q, NULL) == SQLITE_DONE ? MK_OK : MK_E_BACKEND;
}

static int ask(void *conn, const char *text, const struct sql_query *values, sql_row_fn *row, void *arg) {
    sqlite3_stmt *stmt;
    struct sql_query q = *values;
    q.text = text;
    int rc = conn_prepare(conn, &q, &stmt);
    if (rc != SQLITE_OK)
        return MK_E_BACKEND;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *fields[4] = { NULL };
        for (int i = 0; i < sqlite3_column_count(stmt) && i < 4; i++)
            fields[i] = (const char *)sqlite3_column_text(stmt, i);
        row(arg, fields);
    }
    conn_done(stmt);
    return rc == SQLITE_DONE ? MK_OK : MK_E_BACKEND;
}

static const char *error(void *conn) {
    return conn_error(conn);
}

/* A transaction that writes from its beginning: two servers that start at once take turns. */
static int begin(void *conn) {
    return conn_exec(conn, "BEGIN IMMEDIATE") == SQLITE_OK ? MK_OK : MK_E_BACKEND;
}

static int end(void *conn, bool commit) {
    struct conn *c = conn;
    int rc = commit ? conn_exec(c, "COMMIT") : SQLITE_OK;
    if (!sqlite3_get_autocommit(c->db))
        conn_exec(c, "ROLLBACK");
    return rc == SQLITE_OK ? MK_OK : MK_E_BACKEND;
}

static int parts(void *conn, const struct sql_table *t);
static int migrated(void *conn, const struct sql_table *t);

static const struct sql_engine engine = {
    .dialect = &sql_sqlite,
    .run = run,
    .ask = ask,
    .error = error,
    .begin = begin,
    .end = end,
    .parts = parts,
    .migrated = migrated,
    .schema_table = SQL_SQLITE_SCHEMA_TABLE,
};

static int parts(void *conn, const struct sql_table *t) {
    return sql_sqlite_parts(&engine, conn, t);
}

static int migrated(void *conn, const struct sql_table *t) {
    return sql_sqlite_migrated(&engine, conn, t);
}

void schema_print(const struct sql_table *t, struct mk_schema *out) {
    struct sql_parts wanted = { .count = 0 };
    sql_sqlite_want(&wanted, t);
    sql_print(&engine, t, &wanted, NULL, out);
    sql_parts_free(&wanted);
}

int schema_define(struct conn *c, const struct sql_table *t, struct mk_err *err) {
    return sql_define(&engine, c, t, true, err);
}
