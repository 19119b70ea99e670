/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite writes in its own way, and how its full-text tables are searched. */
#include "sqlite.h"
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

void search_values(struct sql_text *s, const struct sql_table *t, const char *row) {
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
const struct sql_dialect sqlite_dialect = {
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
