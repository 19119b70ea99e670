/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"
#include <stdlib.h>
#include <string.h>

/* ---- what is wanted ------------------------------------------------------------------------------------------- */

static struct part *add_part(struct parts *p, const struct table *t, const char *suffix) {
    if (p->count == PARTS_MAX)
        abort(); /* the server allows 16 indexes */
    struct part *part = &p->items[p->count++];
    *part = (struct part){ 0 };
    text_add(&part->name, "%s__%s", t->name, suffix);
    return part;
}

static void add_col(struct text *s, const struct table *t, uint32_t col, const char *comma) {
    text_add(s, "%s\"%s\"", comma, col_name(t, col));
}

/* The key makes the order of equal rows known, and lets the index alone answer in that order. */
static void want_index(struct parts *p, const struct table *t, unsigned n) {
    const struct mk_coll_decl *decl = mk_coll_decl(t->coll);
    const struct mk_index_decl *index = &((const struct mk_index_decl *)decl->indexes.items)[n];
    struct mk_coll_key key = mk_coll_key(t->coll, n + 1), own = mk_coll_key(t->coll, 0);
    struct part *part = add_part(p, t, index->name);
    text_add(&part->sql, "CREATE INDEX \"%s\" ON \"%s\"(", part->name.s, t->name);
    for (uint32_t i = 0; i < key.partition + key.sort; i++)
        add_col(&part->sql, t, key.cols[i], i ? "," : "");
    for (uint32_t i = 0; i < own.partition + own.sort; i++) {
        bool there = false;
        for (uint32_t j = 0; j < key.partition + key.sort; j++)
            there |= key.cols[j] == own.cols[i];
        if (!there)
            add_col(&part->sql, t, own.cols[i], ",");
    }
    text_add(&part->sql, ")");
}

static void want_ttl_index(struct parts *p, const struct table *t) {
    const char *col = col_name(t, (unsigned)t->ttl_col);
    struct part *part = add_part(p, t, "_ttl");
    text_add(&part->sql, "CREATE INDEX \"%s\" ON \"%s\"(\"%s\") WHERE \"%s\" IS NOT NULL", part->name.s, t->name, col,
             col);
}

static bool is_searched(const struct table *t, unsigned col) {
    return mk_coll_col(t->coll, col)->flags & MK_COL_TEXT_SEARCH;
}

static void add_search_cols(struct text *s, const struct table *t) {
    text_add(s, "p");
    for (unsigned i = 0; i < t->col_count; i++)
        if (is_searched(t, i))
            text_add(s, ",c%u", i);
}

static void add_search_values(struct text *s, const struct table *t, const char *row) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    text_add(s, "'z'");
    for (uint32_t i = 0; i < key.partition; i++)
        text_add(s, "%s||hex(%s\"%s\")", i ? "||'x'" : "", row, col_name(t, key.cols[i]));
    for (unsigned i = 0; i < t->col_count; i++)
        if (is_searched(t, i))
            text_add(s, ",%s\"%s\"", row, col_name(t, i));
}

/* Contentless: the texts are in the table already. */
static void want_search_table(struct parts *p, const struct table *t) {
    struct part *part = add_part(p, t, "_search");
    text_add(&part->sql, "CREATE VIRTUAL TABLE \"%s\" USING fts5(", part->name.s);
    add_search_cols(&part->sql, t);
    text_add(&part->sql, ",content='',columnsize=0,tokenize='unicode61')");
}

static void add_search_insert(struct text *s, const struct table *t) {
    text_add(s, "INSERT INTO \"%s___search\"(rowid,", t->name);
    add_search_cols(s, t);
    text_add(s, ")VALUES(new.\"_id\",");
    add_search_values(s, t, "new.");
    text_add(s, ");");
}

static void add_search_delete(struct text *s, const struct table *t) {
    text_add(s, "INSERT INTO \"%s___search\"(\"%s___search\",rowid,", t->name, t->name);
    add_search_cols(s, t);
    text_add(s, ")VALUES('delete',old.\"_id\",");
    add_search_values(s, t, "old.");
    text_add(s, ");");
}

static void want_search_triggers(struct parts *p, const struct table *t) {
    struct part *part = add_part(p, t, "_search_add");
    text_add(&part->sql, "CREATE TRIGGER \"%s\" AFTER INSERT ON \"%s\" BEGIN ", part->name.s, t->name);
    add_search_insert(&part->sql, t);
    text_add(&part->sql, "END");
    part = add_part(p, t, "_search_del");
    text_add(&part->sql, "CREATE TRIGGER \"%s\" AFTER DELETE ON \"%s\" BEGIN ", part->name.s, t->name);
    add_search_delete(&part->sql, t);
    text_add(&part->sql, "END");
    part = add_part(p, t, "_search_upd");
    text_add(&part->sql, "CREATE TRIGGER \"%s\" AFTER UPDATE ON \"%s\" WHEN 0", part->name.s, t->name);
    for (unsigned i = 0; i < t->col_count; i++)
        if (is_searched(t, i))
            text_add(&part->sql, " OR old.\"%s\" IS NOT new.\"%s\"", col_name(t, i), col_name(t, i));
    text_add(&part->sql, " BEGIN ");
    add_search_delete(&part->sql, t);
    add_search_insert(&part->sql, t);
    text_add(&part->sql, "END");
}

void parts_wanted(const struct table *t, struct parts *p) {
    p->count = 0;
    if (t->searchable) {
        want_search_table(p, t);
        want_search_triggers(p, t);
    }
    if (t->ttl_col >= 0)
        want_ttl_index(p, t);
    for (unsigned i = 0; i < mk_coll_index_count(t->coll); i++)
        want_index(p, t, i);
}

static void free_part(struct part *part) {
    text_free(&part->name);
    text_free(&part->sql);
}

void parts_free(struct parts *p) {
    while (p->count)
        free_part(&p->items[--p->count]);
}

/* ---- what is there -------------------------------------------------------------------------------------------- */

static const struct part *find_part(const struct parts *p, const char *name, const char *sql) {
    for (unsigned i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name.s, name) == 0 && strcmp(p->items[i].sql.s, sql) == 0)
            return &p->items[i];
    return NULL;
}

/* Statements that drop what the table has and nobody wants; FOUND marks what is there as wanted. */
static int list_unwanted(struct conn *c, const struct table *t, const struct parts *wanted, bool *found,
                         struct text *drops) {
    sqlite3_stmt *stmt;
    int rc = conn_prepare(c,
                          "SELECT type,name,sql FROM sqlite_master WHERE sql IS NOT NULL AND name GLOB ?||'__*' AND "
                          "(tbl_name=? OR name=?||'___search')",
                          &stmt);
    if (rc != SQLITE_OK)
        return rc;
    struct binder b = { stmt, 0, SQLITE_OK };
    for (int i = 0; i < 3; i++)
        bind_text(&b, t->name, strlen(t->name));
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(stmt, 0);
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        const struct part *part = find_part(wanted, name, (const char *)sqlite3_column_text(stmt, 2));
        if (part)
            found[part - wanted->items] = true;
        else
            text_add(drops, "DROP %s \"%s\";", type, name);
    }
    conn_done(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int fill_search(struct conn *c, const struct table *t) {
    struct text sql = { 0 };
    text_add(&sql, "INSERT INTO \"%s___search\"(rowid,", t->name);
    add_search_cols(&sql, t);
    text_add(&sql, ")SELECT \"_id\",");
    add_search_values(&sql, t, "");
    text_add(&sql, " FROM \"%s\"", t->name);
    int rc = sqlite3_exec(c->db, sql.s, NULL, NULL, NULL);
    text_free(&sql);
    return rc;
}

int parts_sync(struct conn *c, const struct table *t, const struct parts *wanted) {
    bool found[PARTS_MAX] = { false };
    struct text drops = { 0 };
    int rc = list_unwanted(c, t, wanted, found, &drops);
    if (rc == SQLITE_OK && drops.len)
        rc = sqlite3_exec(c->db, drops.s, NULL, NULL, NULL);
    text_free(&drops);
    for (unsigned i = 0; rc == SQLITE_OK && i < wanted->count; i++) {
        if (found[i])
            continue;
        rc = sqlite3_exec(c->db, wanted->items[i].sql.s, NULL, NULL, NULL);
        if (rc == SQLITE_OK && i == 0 && t->searchable)
            rc = fill_search(c, t);
    }
    return rc;
}
