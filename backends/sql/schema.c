/* SPDX-License-Identifier: Apache-2.0 */
/* Making and migrating tables.  Table meerkat_schema has the version and columns of each. */
#include "pieces.h"
#include "sql.h"
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = { "text", "bytes", "int", "time", "bool", "jid" };
static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = { { MK_COL_PARTITION, "partition" },
                   { MK_COL_SORT, "sort" },
                   { MK_COL_NULL, "null" },
                   { MK_COL_TTL, "ttl" },
                   { MK_COL_TEXT_SEARCH, "search" } };

/* What a definition is about. */
struct work {
    const struct sql_engine *e;
    void *conn;
    const struct sql_table *t;
    struct mk_err *err;
    int64_t version; /* of the database */
    char *cols;      /* as it remembers them; NULL: it does not know the collection */
};

static int failed(const struct work *w) {
    return mk_fail(w->err, MK_E_BACKEND, "Collection %s: the database says: %s.", w->t->name, w->e->error(w->conn));
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

/* A column as meerkat_schema remembers it: a line. */
static void add_line(struct sql_text *s, const struct sql_table *t, unsigned col) {
    const struct mk_col_decl *d = sql_col(t, col);
    sql_add(s, "%s %s", d->name, type_names[d->type]);
    for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++)
        if (d->flags & flag_names[i].flag)
            sql_add(s, " %s", flag_names[i].name);
    sql_add(s, "\n");
}

static void add_col(struct sql_text *s, const struct sql_table *t, unsigned col) {
    const struct mk_col_decl *d = sql_col(t, col);
    bool key = sql_in_key(t, col);
    sql_name(s, t->dialect, "", d->name);
    sql_add(s, " %s", (sql_is_indexed(t, col) ? t->dialect->key_types : t->dialect->types)[d->type]);
    if (key)
        sql_add(s, " NOT NULL");
    else if (!(d->flags & MK_COL_NULL))
        sql_add(s, " NOT NULL DEFAULT %s", t->dialect->defaults[d->type]);
}

/*
 * Where a table is kept in the order of its key, the rows of a partition lie together.  Large rows would make that tree
 * deep and its pages full of rows to move about: they come one after the other, numbered, and the key is an index.
 */
void sql_create(struct sql_text *s, const struct sql_table *t, const char *suffix) {
    const struct sql_dialect *d = t->dialect;
    sql_add(s, "CREATE TABLE %c%s%s%c(", d->quote, t->name, suffix, d->quote);
    if (t->numbered)
        sql_add(s, "%s,", d->number);
    for (unsigned i = 0; i < t->col_count; i++) {
        sql_add(s, i ? "," : "");
        add_col(s, t, i);
    }
    if (d->key) {
        d->key(s, t);
    } else {
        sql_add(s, t->numbered ? ",UNIQUE(" : ",PRIMARY KEY(");
        sql_key_cols(s, t);
        sql_add(s, ")");
    }
    sql_add(s, ")%s%s", t->numbered ? "" : d->keyed_end, d->create_end);
}

/* ---- migrating ------------------------------------------------------------------------------------------------ */

/* Bytes of the line at S with its end. */
static size_t line_len(const char *s) {
    size_t len = strcspn(s, "\n");
    return len + (s[len] == '\n');
}

/* How many columns the database has, or what is wrong. */
static int check_cols(const struct work *w, unsigned *count) {
    const struct sql_table *t = w->t;
    const char *stored = w->cols;
    for (*count = 0; *stored; ++*count) {
        size_t len = line_len(stored);
        struct sql_text ours = { 0 };
        if (*count == t->col_count)
            return mk_fail(w->err, MK_E_CONFLICT, "Collection %s: the database has a column \"%.*s\" that it has not.",
                           t->name, (int)len - 1, stored);
        add_line(&ours, t, *count);
        bool same = ours.len == len && memcmp(ours.s, stored, len) == 0;
        if (!same)
            mk_fail(w->err, MK_E_CONFLICT,
                    "Collection %s: the database has a column \"%.*s\" where it has \"%.*s\"; a new version can only "
                    "append columns.",
                    t->name, (int)len - 1, stored, (int)ours.len - 1, ours.s);
        sql_free(&ours);
        if (!same)
            return MK_E_CONFLICT;
        stored += len;
    }
    return MK_OK;
}

static int check_appended(const struct work *w, unsigned have) {
    const struct sql_table *t = w->t;
    if (have == t->col_count)
        return MK_OK;
    if (w->version == mk_coll_decl(t->coll)->version)
        return mk_fail(w->err, MK_E_CONFLICT, "Collection %s has new columns, but the version is %lld as before.",
                       t->name, (long long)w->version);
    for (unsigned i = have; i < t->col_count; i++)
        if (sql_in_key(t, i))
            return mk_fail(w->err, MK_E_CONFLICT, "Collection %s: column %s can't join the key in a new version.",
                           t->name, sql_col(t, i)->name);
    return MK_OK;
}

static int add_new_cols(const struct work *w, unsigned have) {
    for (unsigned i = have; i < w->t->col_count; i++) {
        struct sql_text sql = { 0 };
        sql_name(&sql, w->t->dialect, "ALTER TABLE ", w->t->name);
        sql_add(&sql, " %s ", w->t->dialect->add_column);
        add_col(&sql, w->t, i);
        int rc = w->e->run(w->conn, sql.s, NULL);
        sql_free(&sql);
        if (rc)
            return failed(w);
    }
    return MK_OK;
}

static int check(const struct work *w, unsigned *have) {
    uint32_t ours = mk_coll_decl(w->t->coll)->version;
    if (w->version > ours)
        return mk_fail(w->err, MK_E_CONFLICT,
                       "Collection %s: the database has its version %lld, this server knows version %u: install the "
                       "newer plugin.",
                       w->t->name, (long long)w->version, ours);
    int rc = check_cols(w, have);
    return rc ? rc : check_appended(w, *have);
}

static int migrate(const struct work *w) {
    unsigned have;
    int rc = check(w, &have);
    if (!rc)
        rc = add_new_cols(w, have);
    if (!rc && w->e->migrated && w->e->migrated(w->conn, w->t))
        rc = failed(w);
    return rc;
}

/* ---- defining ------------------------------------------------------------------------------------------------- */

static void take_schema(void *arg, const char *const *fields) {
    struct work *w = arg;
    w->version = fields[0] ? strtoll(fields[0], NULL, 10) : 0;
    free(w->cols);
    w->cols = sql_must(strdup(fields[1] ? fields[1] : ""));
}

/* A statement about the collection's row, VALUES after the name. */
static int of_schema(struct work *w, const char *before, const char *after, struct sql_query *q, bool ask) {
    struct mk_value name = mk_v_view((struct mk_view){ w->t->name, strlen(w->t->name) });
    struct sql_text s = { 0 };
    sql_add(&s, "%s", before);
    sql_clear(&q->buf);
    sql_bind(q, w->t, MK_C_TEXT, &name);
    sql_add(&s, "%s%s", q->buf.s, after);
    int rc = ask ? w->e->ask(w->conn, s.s, q, take_schema, w) : w->e->run(w->conn, s.s, q);
    sql_free(&s);
    sql_query_free(q);
    return rc;
}

static int look_up(struct work *w) {
    struct sql_query q = { 0 };
    return of_schema(w, "SELECT version,cols FROM meerkat_schema WHERE name=", "", &q, true);
}

static int remember(struct work *w) {
    struct sql_query q = { 0 };
    struct sql_text cols = { 0 }, s = { 0 };
    if (of_schema(w, "DELETE FROM meerkat_schema WHERE name=", "", &q, false))
        return failed(w);
    for (unsigned i = 0; i < w->t->col_count; i++)
        add_line(&cols, w->t, i);
    struct mk_value values[] = { mk_v_view((struct mk_view){ w->t->name, strlen(w->t->name) }),
                                 mk_v_int(mk_coll_decl(w->t->coll)->version),
                                 mk_v_view((struct mk_view){ cols.s, cols.len }) };
    const uint32_t types[] = { MK_C_TEXT, MK_C_INT, MK_C_TEXT };
    for (int i = 0; i < 3; i++) {
        sql_add(&q.buf, i ? "," : "");
        sql_bind(&q, w->t, types[i], &values[i]);
    }
    sql_add(&s, "INSERT INTO meerkat_schema(name,version,cols)VALUES(%s)", q.buf.s);
    int rc = w->e->run(w->conn, s.s, &q);
    sql_free(&s);
    sql_free(&cols);
    sql_query_free(&q);
    return rc ? failed(w) : MK_OK;
}

static int create(const struct work *w) {
    struct sql_text sql = { 0 };
    sql_create(&sql, w->t, "");
    int rc = w->e->run(w->conn, sql.s, NULL);
    sql_free(&sql);
    return rc ? failed(w) : MK_OK;
}

static int make(struct work *w) {
    if (w->e->run(w->conn, w->e->schema_table, NULL) || look_up(w))
        return failed(w);
    if (!w->cols && w->e->leftover && w->e->leftover(w->conn, w->t))
        return failed(w);
    int rc = w->cols ? migrate(w) : create(w);
    if (rc)
        return rc;
    if (w->e->parts(w->conn, w->t))
        return failed(w);
    return w->version == mk_coll_decl(w->t->coll)->version ? MK_OK : remember(w);
}

static int only_check(struct work *w) {
    unsigned have;
    if (look_up(w))
        return failed(w);
    if (!w->cols)
        return mk_fail(w->err, MK_E_NOTFOUND,
                       "Collection %s is not in the database, and this server may not make it (create = false).",
                       w->t->name);
    int rc = check(w, &have);
    if (rc || w->version == mk_coll_decl(w->t->coll)->version)
        return rc;
    return mk_fail(w->err, MK_E_CONFLICT,
                   "Collection %s: the database has its version %lld, this server needs version %u and may not change "
                   "the table (create = false).",
                   w->t->name, (long long)w->version, mk_coll_decl(w->t->coll)->version);
}

int sql_define(const struct sql_engine *e, void *conn, const struct sql_table *t, bool may_create, struct mk_err *err) {
    struct work w = { .e = e, .conn = conn, .t = t, .err = err };
    int rc;
    if (!may_create) {
        rc = only_check(&w);
        free(w.cols);
        return rc;
    }
    if (e->begin(conn))
        return failed(&w);
    rc = make(&w);
    free(w.cols);
    if (e->end(conn, rc == MK_OK) && rc == MK_OK)
        rc = failed(&w);
    return rc;
}

/* ---- printing ------------------------------------------------------------------------------------------------- */

static void print_parts(const struct sql_parts *parts, const struct sql_parts_how *how, struct mk_schema *out) {
    for (unsigned i = 0; i < parts->count; i++) {
        struct sql_text s = { 0 };
        if (how)
            sql_part_mark(&s, &parts->items[i], how);
        bool within = how && how->mark_within;
        mk_schema_add(out, "%s%s;\n", parts->items[i].sql.s, within ? s.s : "");
        if (s.len && !within)
            mk_schema_add(out, "%s;\n", s.s);
        sql_free(&s);
    }
}

/* Names are snake case and types are words: nothing in them needs quoting. */
static void print_remembered(const struct sql_table *t, struct mk_schema *out) {
    struct sql_text cols = { 0 };
    for (unsigned i = 0; i < t->col_count; i++)
        add_line(&cols, t, i);
    mk_schema_add(out, "INSERT INTO meerkat_schema(name,version,cols)VALUES('%s',%u,'%s');\n", t->name,
                  mk_coll_decl(t->coll)->version, cols.s);
    sql_free(&cols);
}

void sql_print(const struct sql_engine *e, const struct sql_table *t, const struct sql_parts *parts,
               const struct sql_parts_how *how, struct mk_schema *out) {
    struct sql_text s = { 0 };
    sql_create(&s, t, "");
    mk_schema_add(out, "%s;\n%s;\n", e->schema_table, s.s);
    sql_free(&s);
    print_parts(parts, how, out);
    print_remembered(t, out);
}
