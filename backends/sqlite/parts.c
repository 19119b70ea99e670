/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <string.h>

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

void parts_wanted(const struct sql_table *t, struct sql_parts *p) {
    if (t->searchable) {
        want_search_table(p, t);
        want_search_triggers(p, t);
    }
    sql_parts_indexes(p, t);
}

/* ---- what is there -------------------------------------------------------------------------------------------- */

static const struct sql_part *find_part(const struct sql_parts *p, const char *name, const char *sql) {
    for (unsigned i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name.s, name) == 0 && strcmp(p->items[i].sql.s, sql) == 0)
            return &p->items[i];
    return NULL;
}

/* Statements that drop what the table has and nobody wants; FOUND marks what is there as wanted. */
static int list_unwanted(struct conn *c, const struct sql_table *t, const struct sql_parts *wanted, bool *found,
                         struct sql_text *drops) {
    sqlite3_stmt *stmt;
    struct mk_value table = mk_v_view((struct mk_view){ t->name, strlen(t->name) });
    struct sql_arg args[] = { { &table, MK_C_TEXT }, { &table, MK_C_TEXT }, { &table, MK_C_TEXT } };
    struct sql_query q = { .args = args, .count = 3 };
    q.text = "SELECT type,name,sql FROM sqlite_master WHERE sql IS NOT NULL AND name GLOB ?||'__*' AND "
             "(tbl_name=? OR name=?||'___search')";
    int rc = conn_prepare(c, &q, &stmt);
    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(stmt, 0);
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        const struct sql_part *part = find_part(wanted, name, (const char *)sqlite3_column_text(stmt, 2));
        if (part)
            found[part - wanted->items] = true;
        else
            sql_add(drops, "DROP %s \"%s\";", type, name);
    }
    conn_done(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int fill_search(struct conn *c, const struct sql_table *t) {
    struct sql_text sql = { 0 };
    sql_add(&sql, "INSERT INTO \"%s___search\"(rowid,", t->name);
    add_search_cols(&sql, t);
    sql_add(&sql, ")SELECT \"_id\",");
    search_values(&sql, t, "");
    sql_add(&sql, " FROM \"%s\"", t->name);
    int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
    sql_free(&sql);
    return rc;
}

int parts_sync(struct conn *c, const struct sql_table *t) {
    struct sql_parts wanted = { .count = 0 };
    bool found[SQL_PARTS_MAX] = { false };
    struct sql_text drops = { 0 };
    parts_wanted(t, &wanted);
    int rc = list_unwanted(c, t, &wanted, found, &drops);
    if (rc == SQLITE_OK && drops.len)
        rc = sqlite3_exec(c->db, drops.s, NULL, NULL, NULL);
    sql_free(&drops);
    for (unsigned i = 0; rc == SQLITE_OK && i < wanted.count; i++) {
        if (found[i])
            continue;
        rc = sqlite3_exec(c->db, wanted.items[i].sql.s, NULL, NULL, NULL);
        if (rc == SQLITE_OK && i == 0 && t->searchable)
            rc = fill_search(c, t);
    }
    sql_parts_free(&wanted);
    return rc;
}
