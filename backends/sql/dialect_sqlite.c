/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SQLite writes in its own way: its full-text tables NAME___search, which triggers fill, and how it is seen which
 * parts are there: SQLite keeps their texts.
 */
#include "dialects.h"
#include <stdio.h>
#include <string.h>

static void add_hex(struct sql_text *s, const char *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        sql_add(s, "%02X", (unsigned char)data[i]);
}

/* The partition as one word: what the triggers make with hex(). */
static void add_partition(struct sql_text *s, const struct mk_value *v, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char number[24];
        const char *text = v[i].u.s;
        size_t len = v[i].len;
        if (v[i].type == MK_C_JID) {
            text = mk_jid_text(v[i].u.j);
            len = strlen(text);
        } else if (v[i].type != MK_C_TEXT) {
            len = (size_t)snprintf(number, sizeof number, "%lld", (long long)v[i].u.i);
            text = number;
        }
        sql_add(s, i ? "x" : "");
        add_hex(s, text, len);
    }
}

/*
 * Each word of the search is quoted, so that nothing in it has a meaning for FTS5.  The partition is a word of every
 * row: without it a search would look through everybody's rows.
 */
static bool search(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan) {
    struct sql_text *s = &q->words;
    if (scan->index == 0) {
        sql_add(s, "p : \"z");
        add_partition(s, scan->partition, mk_coll_key(t->coll, 0).partition);
        sql_add(s, "\" AND ");
    }
    sql_add(s, "c%u : (", scan->search_col);
    bool any = sql_words(s, scan->search, " \"", "\"");
    sql_add(s, ")");
    sql_add(&q->buf, " AND \"_id\" IN (SELECT rowid FROM \"%s___search\" WHERE \"%s___search\" MATCH ", t->name,
            t->name);
    sql_bind(q, t, MK_C_TEXT, sql_own(q, mk_v_view((struct mk_view){ s->s, s->len })));
    sql_add(&q->buf, ")");
    return any;
}

/* What a row has in the columns of the full-text table, the partition as a word first; ROW is "new." or the like. */
static void search_values(struct sql_text *s, const struct sql_table *t, const char *row) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    sql_add(s, "'z'");
    for (uint32_t i = 0; i < key.partition; i++)
        sql_add(s, "%s||hex(%s\"%s\")", i ? "||'x'" : "", row, sql_col(t, key.cols[i])->name);
    for (unsigned i = 0; i < t->col_count; i++)
        if (sql_col(t, i)->flags & MK_COL_TEXT_SEARCH)
            sql_add(s, ",%s\"%s\"", row, sql_col(t, i)->name);
}

#define TYPES                                                                                                          \
    { "TEXT", "BLOB", "INTEGER", "INTEGER", "INTEGER", "TEXT" }
const struct sql_dialect sql_sqlite = {
    .quote = '"',
    .row_values = true,
    .partial = true,
    .upsert = SQL_ON_CONFLICT,
    .limit = SQL_LIMIT,
    .types = TYPES,
    .key_types = TYPES,
    .defaults = { "''", "x''", "0", "0", "0", "''" },
    .number = "\"_id\" INTEGER PRIMARY KEY",
    .create_end = "",
    .keyed_end = "WITHOUT ROWID",
    .add_column = "ADD COLUMN",
    .insert_lock = "",
    .sweep_lock = "",
    .search = search,
};

/* ---- what is wanted ------------------------------------------------------------------------------------------- */

static bool is_searched(const struct sql_table *t, unsigned col) {
    return sql_col(t, col)->flags & MK_COL_TEXT_SEARCH;
}

static void add_search_cols(struct sql_text *s, const struct sql_table *t) {
    sql_add(s, "p");
    for (unsigned i = 0; i < t->col_count; i++)
        if (is_searched(t, i))
            sql_add(s, ",c%u", i);
}

/* Contentless: the texts are in the table already. */
static void want_search_table(struct sql_parts *p, const struct sql_table *t) {
    struct sql_part *part = sql_part_add(p, t, "_search");
    sql_add(&part->sql, "CREATE VIRTUAL TABLE \"%s\" USING fts5(", part->name.s);
    add_search_cols(&part->sql, t);
    sql_add(&part->sql, ",content='',columnsize=0,tokenize='unicode61')");
}

static void add_search_insert(struct sql_text *s, const struct sql_table *t) {
    sql_add(s, "INSERT INTO \"%s___search\"(rowid,", t->name);
    add_search_cols(s, t);
    sql_add(s, ")VALUES(new.\"_id\",");
    search_values(s, t, "new.");
    sql_add(s, ");");
}

static void add_search_delete(struct sql_text *s, const struct sql_table *t) {
    sql_add(s, "INSERT INTO \"%s___search\"(\"%s___search\",rowid,", t->name, t->name);
    add_search_cols(s, t);
    sql_add(s, ")VALUES('delete',old.\"_id\",");
    search_values(s, t, "old.");
    sql_add(s, ");");
}

static void want_search_triggers(struct sql_parts *p, const struct sql_table *t) {
    struct sql_part *part = sql_part_add(p, t, "_search_add");
    sql_add(&part->sql, "CREATE TRIGGER \"%s\" AFTER INSERT ON \"%s\" BEGIN ", part->name.s, t->name);
    add_search_insert(&part->sql, t);
    sql_add(&part->sql, "END");
    part = sql_part_add(p, t, "_search_del");
    sql_add(&part->sql, "CREATE TRIGGER \"%s\" AFTER DELETE ON \"%s\" BEGIN ", part->name.s, t->name);
    add_search_delete(&part->sql, t);
    sql_add(&part->sql, "END");
    part = sql_part_add(p, t, "_search_upd");
    sql_add(&part->sql, "CREATE TRIGGER \"%s\" AFTER UPDATE ON \"%s\" WHEN 0", part->name.s, t->name);
    for (unsigned i = 0; i < t->col_count; i++)
        if (is_searched(t, i))
            sql_add(&part->sql, " OR old.\"%s\" IS NOT new.\"%s\"", sql_col(t, i)->name, sql_col(t, i)->name);
    sql_add(&part->sql, " BEGIN ");
    add_search_delete(&part->sql, t);
    add_search_insert(&part->sql, t);
    sql_add(&part->sql, "END");
}

void sql_sqlite_want(struct sql_parts *p, const struct sql_table *t) {
    if (t->searchable) {
        want_search_table(p, t);
        want_search_triggers(p, t);
    }
    sql_parts_indexes(p, t);
}

/* ---- what is there -------------------------------------------------------------------------------------------- */

struct look {
    const struct sql_parts *wanted;
    bool found[SQL_PARTS_MAX];
    struct sql_text drops[SQL_PARTS_MAX * 2];
    unsigned drop_count;
};

static void look_at(void *arg, const char *const *fields) {
    struct look *l = arg;
    for (unsigned i = 0; i < l->wanted->count; i++)
        if (strcmp(l->wanted->items[i].name.s, fields[1]) == 0 && strcmp(l->wanted->items[i].sql.s, fields[2]) == 0) {
            l->found[i] = true;
            return;
        }
    if (l->drop_count < SQL_PARTS_MAX * 2)
        sql_add(&l->drops[l->drop_count++], "DROP %s \"%s\"", fields[0], fields[1]);
}

static int fill_search(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct sql_text sql = { 0 };
    sql_add(&sql, "INSERT INTO \"%s___search\"(rowid,", t->name);
    add_search_cols(&sql, t);
    sql_add(&sql, ")SELECT \"_id\",");
    search_values(&sql, t, "");
    sql_add(&sql, " FROM \"%s\"", t->name);
    int rc = e->run(conn, sql.s, NULL);
    sql_free(&sql);
    return rc;
}

static int make_missing(const struct sql_engine *e, void *conn, const struct sql_table *t, const struct look *l) {
    int rc = MK_OK;
    for (unsigned i = 0; !rc && i < l->wanted->count; i++) {
        if (l->found[i])
            continue;
        rc = e->run(conn, l->wanted->items[i].sql.s, NULL);
        if (!rc && i == 0 && t->searchable)
            rc = fill_search(e, conn, t);
    }
    return rc;
}

int sql_sqlite_parts(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct sql_parts wanted = { .count = 0 };
    struct look l = { .wanted = &wanted };
    struct mk_value name = mk_v_text(t->name);
    struct sql_arg args[] = { { &name, MK_C_TEXT }, { &name, MK_C_TEXT }, { &name, MK_C_TEXT } };
    sql_sqlite_want(&wanted, t);
    int rc = e->ask(conn,
                    "SELECT type,name,sql FROM sqlite_master WHERE sql IS NOT NULL AND name GLOB ?||'__*' AND "
                    "(tbl_name=? OR name=?||'___search')",
                    &(struct sql_query){ .args = args, .count = 3 }, look_at, &l);
    for (unsigned i = 0; i < l.drop_count; i++) {
        if (!rc)
            rc = e->run(conn, l.drops[i].s, NULL);
        sql_free(&l.drops[i]);
    }
    if (!rc)
        rc = make_missing(e, conn, t, &l);
    sql_parts_free(&wanted);
    return rc;
}

/* ---- tables of before ------------------------------------------------------------------------------------------- */

static void seen(void *arg, const char *const *fields) {
    (void)fields;
    *(bool *)arg = true;
}

static int run_all(const struct sql_engine *e, void *conn, struct sql_text *texts, unsigned count) {
    int rc = MK_OK;
    for (unsigned i = 0; i < count; i++) {
        if (!rc)
            rc = e->run(conn, texts[i].s, NULL);
        sql_free(&texts[i]);
    }
    return rc;
}

/* What needs the numbers came with a later version: the table gets them by being copied. */
int sql_sqlite_migrated(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct mk_value name = mk_v_text(t->name);
    struct sql_arg arg = { &name, MK_C_TEXT };
    struct sql_text texts[4] = { { 0 } };
    bool there = false;
    if (!t->numbered)
        return MK_OK;
    int rc = e->ask(conn, "SELECT 1 FROM pragma_table_info(?) WHERE name='_id'",
                    &(struct sql_query){ .args = &arg, .count = 1 }, seen, &there);
    if (rc || there)
        return rc;
    sql_create(&texts[0], t, "___new");
    sql_add(&texts[1], "INSERT INTO \"%s___new\"(", t->name);
    sql_cols(&texts[1], t);
    sql_add(&texts[1], ")SELECT ");
    sql_cols(&texts[1], t);
    sql_add(&texts[1], " FROM \"%s\"", t->name);
    sql_add(&texts[2], "DROP TABLE \"%s\"", t->name);
    sql_add(&texts[3], "ALTER TABLE \"%s___new\" RENAME TO \"%s\"", t->name, t->name);
    return run_all(e, conn, texts, 4);
}
