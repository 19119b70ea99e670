/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* 16 MB of log: a page that changes often is then moved into the file once for many changes. */
enum { CHECKPOINT_PAGES = 4000 };

/* ---- opening -------------------------------------------------------------------------------------------------- */

/* What is stored is nobody's but the server's; SQLite gives its other files the mode of this one. */
static void create_private(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static int set_up(struct conn *c, const struct settings *s, bool read_only) {
    struct sql_text sql = { 0 };
    sql_add(&sql,
            "PRAGMA synchronous=%s;PRAGMA cache_size=-%lld;PRAGMA journal_size_limit=%lld;"
            "PRAGMA wal_autocheckpoint=%d;",
            s->synchronous ? "NORMAL" : "FULL", (long long)(s->cache_size / 1024), (long long)s->journal_size_limit,
            CHECKPOINT_PAGES);
    if (read_only)
        sql_add(&sql, "PRAGMA query_only=1;");
    int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
    sql_free(&sql);
    return rc;
}

/* Anything but a write-ahead log would let readers block the writer. */
static int use_wal(struct conn *c) {
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        rc = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0 ? SQLITE_OK : SQLITE_CANTOPEN;
    int last = sqlite3_finalize(stmt);
    return rc == SQLITE_OK ? last : rc;
}

int conn_open(struct conn *c, const struct settings *s, bool read_only) {
    create_private(s->path);
    int rc = sqlite3_open_v2(s->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_busy_timeout(c->db, (int)s->busy_timeout);
    rc = use_wal(c);
    return rc == SQLITE_OK ? set_up(c, s, read_only) : rc;
}

static bool free_stmt(void *conn, void *handle) {
    (void)conn;
    if (sqlite3_stmt_busy(handle))
        return false;
    sqlite3_finalize(handle);
    return true;
}

void conn_close(struct conn *c) {
    sql_cache_clear(&c->cache, free_stmt, c);
    sqlite3_close(c->db);
    sql_query_free(&c->query);
    c->db = NULL;
}

const char *conn_error(const struct conn *c) {
    return c->db ? sqlite3_errmsg(c->db) : "out of memory";
}

/* ---- statements ------------------------------------------------------------------------------------------------ */

static int bind(sqlite3_stmt *stmt, int n, const struct mk_value *v) {
    switch (v->type) {
    case MK_C_TEXT:
        return sqlite3_bind_text64(stmt, n, v->u.s, v->len, SQLITE_STATIC, SQLITE_UTF8);
    case MK_C_BYTES:
        return sqlite3_bind_blob64(stmt, n, v->u.b, v->len, SQLITE_STATIC);
    case MK_C_JID:
        return sqlite3_bind_text64(stmt, n, mk_jid_text(v->u.j), strlen(mk_jid_text(v->u.j)), SQLITE_STATIC,
                                   SQLITE_UTF8);
    case MK_V_NULL:
        return sqlite3_bind_null(stmt, n);
    default:
        return sqlite3_bind_int64(stmt, n, v->u.i);
    }
}

static int prepare(struct conn *c, const char *text, sqlite3_stmt **out) {
    struct sql_stmt *stmt = sql_cache_find(&c->cache, text, free_stmt, c);
    if (!stmt->handle) {
        sqlite3_stmt *made;
        int rc = sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
        if (rc != SQLITE_OK) {
            sql_cache_forget(&c->cache, stmt);
            return rc;
        }
        stmt->handle = made;
    }
    *out = stmt->handle;
    return SQLITE_OK;
}

int conn_prepare(struct conn *c, const struct sql_query *q, sqlite3_stmt **out) {
    int rc = prepare(c, q->text, out);
    for (unsigned i = 0; rc == SQLITE_OK && i < q->count; i++) {
        rc = bind(*out, (int)i + 1, q->args[i].v);
        if (rc != SQLITE_OK)
            conn_done(*out);
    }
    return rc;
}

void conn_done(sqlite3_stmt *stmt) {
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

int conn_run(struct conn *c, const struct sql_query *q, int *changed) {
    sqlite3_stmt *stmt;
    int rc = conn_prepare(c, q, &stmt);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (changed)
        *changed = sqlite3_changes(c->db);
    conn_done(stmt);
    return rc;
}

int conn_exec(struct conn *c, const char *sql) {
    int rc = conn_run(c, &(struct sql_query){ .text = sql }, NULL);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}
