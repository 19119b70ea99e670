/* SPDX-License-Identifier: Apache-2.0 */
/* Making and migrating tables.  Table meerkat_schema has the version and columns of each. */
#include "schema.h"
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = { "text", "bytes", "int", "time", "bool", "jid" };
static const char *const sql_types[] = { "TEXT", "BLOB", "INTEGER", "INTEGER", "INTEGER", "TEXT" };
static const char *const defaults[] = { "''", "x''", "0", "0", "0", "''" };
static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = { { MK_COL_PARTITION, "partition" },
                   { MK_COL_SORT, "sort" },
                   { MK_COL_NULL, "null" },
                   { MK_COL_TTL, "ttl" },
                   { MK_COL_TEXT_SEARCH, "search" } };

static int failed(struct conn *c, const struct table *t, struct mk_err *err) {
    return mk_fail(err, MK_E_BACKEND, "Collection %s: the database says: %s.", t->name, conn_error(c));
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

/* A column as meerkat_schema remembers it: a line. */
static void add_line(struct text *s, const struct table *t, unsigned col) {
    const struct mk_col_decl *d = mk_coll_col(t->coll, col);
    text_add(s, "%s %s", d->name, type_names[d->type]);
    for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++)
        if (d->flags & flag_names[i].flag)
            text_add(s, " %s", flag_names[i].name);
    text_add(s, "\n");
}

static void add_col(struct text *s, const struct table *t, unsigned col) {
    const struct mk_col_decl *d = mk_coll_col(t->coll, col);
    text_add(s, "\"%s\" %s", d->name, sql_types[d->type]);
    if (d->flags & (MK_COL_PARTITION | MK_COL_SORT))
        text_add(s, " NOT NULL");
    else if (!(d->flags & MK_COL_NULL))
        text_add(s, " NOT NULL DEFAULT %s", defaults[d->type]);
}

/*
 * A table is kept in the order of its key: the rows of a partition lie together.  Large rows would make that tree deep
 * and its pages full of rows to move about: they come one after the other, numbered, and the key is an index.  Text search
 * needs the number too.
 */
static void add_create(struct text *s, const struct table *t, const char *suffix) {
    text_add(s, "CREATE TABLE \"%s%s\"(", t->name, suffix);
    if (t->numbered)
        text_add(s, "\"_id\" INTEGER PRIMARY KEY,");
    for (unsigned i = 0; i < t->col_count; i++) {
        add_col(s, t, i);
        text_add(s, ",");
    }
    text_add(s, t->numbered ? "UNIQUE(" : "PRIMARY KEY(");
    sql_key(s, t);
    text_add(s, t->numbered ? "))" : "))WITHOUT ROWID");
}

/* ---- migrating ------------------------------------------------------------------------------------------------ */

/* Bytes of the line at S with its end. */
static size_t line_len(const char *s) {
    size_t len = strcspn(s, "\n");
    return len + (s[len] == '\n');
}

/* How many columns the database has, or what is wrong. */
static int check_cols(const struct table *t, const char *stored, unsigned *count, struct mk_err *err) {
    for (*count = 0; *stored; ++*count) {
        size_t len = line_len(stored);
        struct text ours = { 0 };
        if (*count == t->col_count)
            return mk_fail(err, MK_E_CONFLICT, "Collection %s: the database has a column \"%.*s\" that it has not.",
                           t->name, (int)len - 1, stored);
        add_line(&ours, t, *count);
        bool same = ours.len == len && memcmp(ours.s, stored, len) == 0;
        if (!same)
            mk_fail(err, MK_E_CONFLICT,
                    "Collection %s: the database has a column \"%.*s\" where it has \"%.*s\"; a new version can only "
                    "append columns.",
                    t->name, (int)len - 1, stored, (int)ours.len - 1, ours.s);
        text_free(&ours);
        if (!same)
            return MK_E_CONFLICT;
        stored += len;
    }
    return MK_OK;
}

static int check_appended(const struct table *t, unsigned have, int64_t version, struct mk_err *err) {
    if (have == t->col_count)
        return MK_OK;
    if (version == mk_coll_decl(t->coll)->version)
        return mk_fail(err, MK_E_CONFLICT, "Collection %s has new columns, but the version is %lld as before.", t->name,
                       (long long)version);
    for (unsigned i = have; i < t->col_count; i++)
        if (mk_coll_col(t->coll, i)->flags & (MK_COL_PARTITION | MK_COL_SORT))
            return mk_fail(err, MK_E_CONFLICT, "Collection %s: column %s can't join the key in a new version.", t->name,
                           col_name(t, i));
    return MK_OK;
}

static int add_new_cols(struct conn *c, const struct table *t, unsigned have, struct mk_err *err) {
    for (unsigned i = have; i < t->col_count; i++) {
        struct text sql = { 0 };
        text_add(&sql, "ALTER TABLE \"%s\" ADD COLUMN ", t->name);
        add_col(&sql, t, i);
        int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
        text_free(&sql);
        if (rc != SQLITE_OK)
            return failed(c, t, err);
    }
    return MK_OK;
}

static bool has_row_numbers(struct conn *c, const struct table *t) {
    sqlite3_stmt *stmt;
    if (conn_prepare(c, "SELECT 1 FROM pragma_table_info(?) WHERE name='_id'", &stmt) != SQLITE_OK)
        return false;
    struct binder b = { stmt, 0, SQLITE_OK };
    bind_text(&b, t->name, strlen(t->name));
    bool found = sqlite3_step(stmt) == SQLITE_ROW;
    conn_done(stmt);
    return found;
}

/* What needs the numbers came with a later version: the table gets them by being copied. */
static int add_row_numbers(struct conn *c, const struct table *t, struct mk_err *err) {
    struct text sql = { 0 };
    add_create(&sql, t, "___new");
    text_add(&sql, ";INSERT INTO \"%s___new\"(", t->name);
    sql_cols(&sql, t);
    text_add(&sql, ")SELECT ");
    sql_cols(&sql, t);
    text_add(&sql, " FROM \"%s\";DROP TABLE \"%s\";ALTER TABLE \"%s___new\" RENAME TO \"%s\"", t->name, t->name,
             t->name, t->name);
    int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
    text_free(&sql);
    return rc == SQLITE_OK ? MK_OK : failed(c, t, err);
}

static int migrate(struct conn *c, const struct table *t, int64_t version, const char *cols, struct mk_err *err) {
    uint32_t ours = mk_coll_decl(t->coll)->version;
    unsigned have;
    if (version > ours)
        return mk_fail(err, MK_E_CONFLICT,
                       "Collection %s: the database has its version %lld, this server knows version %u: install the "
                       "newer plugin.",
                       t->name, (long long)version, ours);
    int rc = check_cols(t, cols, &have, err);
    if (!rc)
        rc = check_appended(t, have, version, err);
    if (!rc)
        rc = add_new_cols(c, t, have, err);
    if (!rc && t->numbered && !has_row_numbers(c, t))
        rc = add_row_numbers(c, t, err);
    return rc;
}

/* ---- defining ------------------------------------------------------------------------------------------------- */

/* *COLS is NULL if the database does not know the collection. */
static int look_up(struct conn *c, const struct table *t, int64_t *version, char **cols) {
    sqlite3_stmt *stmt;
    *cols = NULL;
    int rc = conn_prepare(c, "SELECT version,cols FROM meerkat_schema WHERE name=?", &stmt);
    if (rc != SQLITE_OK)
        return rc;
    struct binder b = { stmt, 0, SQLITE_OK };
    bind_text(&b, t->name, strlen(t->name));
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 1);
        *version = sqlite3_column_int64(stmt, 0);
        *cols = must_alloc(strdup(text ? text : ""));
    }
    conn_done(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int remember(struct conn *c, const struct table *t) {
    sqlite3_stmt *stmt;
    struct text cols = { 0 };
    int rc = conn_prepare(c, "INSERT OR REPLACE INTO meerkat_schema(name,version,cols)VALUES(?,?,?)", &stmt);
    if (rc != SQLITE_OK)
        return rc;
    for (unsigned i = 0; i < t->col_count; i++)
        add_line(&cols, t, i);
    struct binder b = { stmt, 0, SQLITE_OK };
    bind_text(&b, t->name, strlen(t->name));
    bind_int(&b, mk_coll_decl(t->coll)->version);
    bind_text(&b, cols.s, cols.len);
    rc = sqlite3_step(stmt);
    conn_done(stmt);
    text_free(&cols);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int create(struct conn *c, const struct table *t, struct mk_err *err) {
    struct text sql = { 0 };
    add_create(&sql, t, "");
    int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
    text_free(&sql);
    return rc == SQLITE_OK ? MK_OK : failed(c, t, err);
}

static int make(struct conn *c, const struct table *t, struct mk_err *err) {
    int64_t version = 0;
    char *cols;
    if (conn_exec(c, "CREATE TABLE IF NOT EXISTS meerkat_schema(name TEXT PRIMARY KEY,version INTEGER NOT NULL,"
                     "cols TEXT NOT NULL)") != SQLITE_OK ||
        look_up(c, t, &version, &cols) != SQLITE_OK)
        return failed(c, t, err);
    int rc = cols ? migrate(c, t, version, cols, err) : create(c, t, err);
    free(cols);
    if (rc)
        return rc;
    struct parts wanted;
    parts_wanted(t, &wanted);
    rc = parts_sync(c, t, &wanted);
    parts_free(&wanted);
    if (rc == SQLITE_OK && version != mk_coll_decl(t->coll)->version)
        rc = remember(c, t);
    return rc == SQLITE_OK ? MK_OK : failed(c, t, err);
}

/* In one transaction that writes from its beginning: two servers that start at once take turns. */
int schema_define(struct conn *c, const struct table *t, struct mk_err *err) {
    if (conn_exec(c, "BEGIN IMMEDIATE") != SQLITE_OK)
        return failed(c, t, err);
    int rc = make(c, t, err);
    if (rc == MK_OK && conn_exec(c, "COMMIT") != SQLITE_OK)
        rc = failed(c, t, err);
    if (rc != MK_OK && !sqlite3_get_autocommit(c->db))
        conn_exec(c, "ROLLBACK");
    return rc;
}
