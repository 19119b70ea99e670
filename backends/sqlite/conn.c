/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 16 MB of log: a page that changes often is then moved into the file once for many changes. */
enum { CHECKPOINT_PAGES = 4000 };

/* A prepared statement, found by its text. */
struct stmt {
    struct stmt *next;
    sqlite3_stmt *stmt;
    uint64_t hash, used;
    char sql[];
};

/* ---- text ----------------------------------------------------------------------------------------------------- */

void *must_alloc(void *memory) {
    if (!memory)
        abort();
    return memory;
}

void text_add(struct text *t, const char *fmt, ...) {
    for (;;) {
        va_list args;
        va_start(args, fmt);
        int len = vsnprintf(t->s ? t->s + t->len : NULL, t->cap - t->len, fmt, args);
        va_end(args);
        if (len < 0)
            abort();
        if (t->len + (size_t)len < t->cap) {
            t->len += (size_t)len;
            return;
        }
        t->cap = (t->len + (size_t)len + 1) * 2;
        t->s = must_alloc(realloc(t->s, t->cap));
    }
}

void text_free(struct text *t) {
    free(t->s);
    *t = (struct text){ 0 };
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

/* What is stored is nobody's but the server's; SQLite gives its other files the mode of this one. */
static void create_private(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static int set_up(struct conn *c, const struct settings *s, bool read_only) {
    struct text sql = { 0 };
    text_add(&sql,
             "PRAGMA synchronous=%s;PRAGMA cache_size=-%lld;PRAGMA journal_size_limit=%lld;"
             "PRAGMA wal_autocheckpoint=%d;",
             s->synchronous ? "NORMAL" : "FULL", (long long)(s->cache_size / 1024), (long long)s->journal_size_limit,
             CHECKPOINT_PAGES);
    if (read_only)
        text_add(&sql, "PRAGMA query_only=1;");
    int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
    text_free(&sql);
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

static void forget(struct conn *c, struct stmt **at) {
    struct stmt *stmt = *at;
    *at = stmt->next;
    sqlite3_finalize(stmt->stmt);
    free(stmt);
    c->stmt_count--;
}

void conn_close(struct conn *c) {
    for (unsigned i = 0; i < STMT_BUCKETS; i++)
        while (c->buckets[i])
            forget(c, &c->buckets[i]);
    sqlite3_close(c->db);
    text_free(&c->text);
    c->db = NULL;
}

const char *conn_error(const struct conn *c) {
    return c->db ? sqlite3_errmsg(c->db) : "out of memory";
}

/* ---- statements ----------------------------------------------------------------------------------------------- */

static uint64_t hash_text(const char *s) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 1099511628211u;
    return hash;
}

static void forget_oldest(struct conn *c) {
    struct stmt **oldest = NULL;
    for (unsigned i = 0; i < STMT_BUCKETS; i++)
        for (struct stmt **at = &c->buckets[i]; *at; at = &(*at)->next)
            if (!sqlite3_stmt_busy((*at)->stmt) && (!oldest || (*at)->used < (*oldest)->used))
                oldest = at;
    if (oldest)
        forget(c, oldest);
}

int conn_prepare(struct conn *c, const char *sql, sqlite3_stmt **out) {
    uint64_t hash = hash_text(sql);
    struct stmt **bucket = &c->buckets[hash % STMT_BUCKETS], *stmt = *bucket;
    while (stmt && (stmt->hash != hash || strcmp(stmt->sql, sql) != 0))
        stmt = stmt->next;
    if (!stmt) {
        sqlite3_stmt *made;
        int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
        if (rc != SQLITE_OK)
            return rc;
        if (c->stmt_count >= STMT_MAX)
            forget_oldest(c);
        size_t len = strlen(sql) + 1;
        stmt = must_alloc(calloc(1, sizeof *stmt + len));
        memcpy(stmt->sql, sql, len);
        stmt->stmt = made;
        stmt->hash = hash;
        stmt->next = *bucket;
        *bucket = stmt;
        c->stmt_count++;
    }
    stmt->used = ++c->clock;
    *out = stmt->stmt;
    return SQLITE_OK;
}

/* Values were bound without copying: they must not be looked at again. */
void conn_done(sqlite3_stmt *stmt) {
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

int conn_exec(struct conn *c, const char *sql) {
    sqlite3_stmt *stmt;
    int rc = conn_prepare(c, sql, &stmt);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    conn_done(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static void bound(struct binder *b, int rc) {
    if (b->rc == SQLITE_OK)
        b->rc = rc;
}

void bind_int(struct binder *b, int64_t i) {
    bound(b, sqlite3_bind_int64(b->stmt, ++b->n, i));
}

void bind_text(struct binder *b, const char *text, size_t len) {
    bound(b, sqlite3_bind_text64(b->stmt, ++b->n, text, len, SQLITE_STATIC, SQLITE_UTF8));
}

void bind_value(struct binder *b, const struct mk_value *v) {
    switch (v->type) {
    case MK_C_TEXT:
        bind_text(b, v->u.s, v->len);
        break;
    case MK_C_BYTES:
        bound(b, sqlite3_bind_blob64(b->stmt, ++b->n, v->u.b, v->len, SQLITE_STATIC));
        break;
    case MK_C_JID:
        bind_text(b, mk_jid_text(v->u.j), strlen(mk_jid_text(v->u.j)));
        break;
    case MK_V_NULL:
        bound(b, sqlite3_bind_null(b->stmt, ++b->n));
        break;
    default:
        bind_int(b, v->u.i);
        break;
    }
}

void bind_values(struct binder *b, const struct mk_value *v, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        bind_value(b, &v[i]);
}
