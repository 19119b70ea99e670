/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_ROWS = 200 };

/* ---- pieces --------------------------------------------------------------------------------------------------- */

static void add_names(struct text *s, const struct table *t, const uint32_t *cols, uint32_t count, const char *more) {
    for (uint32_t i = 0; i < count; i++)
        text_add(s, "%s\"%s\"%s", i ? "," : "", col_name(t, cols[i]), more);
}

void sql_cols(struct text *s, const struct table *t) {
    for (unsigned i = 0; i < t->col_count; i++)
        text_add(s, "%s\"%s\"", i ? "," : "", col_name(t, i));
}

void sql_key(struct text *s, const struct table *t) {
    add_names(s, t, mk_coll_key(t->coll, 0).cols, t->key_count, "");
}

static void add_equals(struct text *s, const struct table *t, const uint32_t *cols, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        text_add(s, "%s\"%s\"=?", i ? " AND " : "", col_name(t, cols[i]));
}

void sql_where_key(struct text *s, const struct table *t) {
    add_equals(s, t, mk_coll_key(t->coll, 0).cols, t->key_count);
}

static bool in_key(const struct table *t, unsigned col) {
    return mk_coll_col(t->coll, col)->flags & (MK_COL_PARTITION | MK_COL_SORT);
}

/* All columns but those of the key, which the caller binds in their order. */
void sql_set(struct text *s, const struct table *t, bool from_excluded) {
    const char *comma = "";
    for (unsigned i = 0; i < t->col_count; i++) {
        if (in_key(t, i))
            continue;
        text_add(s, from_excluded ? "%s\"%s\"=excluded.\"%s\"" : "%s\"%s\"=?", comma, col_name(t, i), col_name(t, i));
        comma = ",";
    }
    if (!*comma) /* there is nothing but the key */
        text_add(s, "\"%s\"=\"%s\"", col_name(t, 0), col_name(t, 0));
}

bool sql_visible(struct text *s, const struct table *t) {
    if (t->ttl_col < 0)
        return false;
    const char *name = col_name(t, (unsigned)t->ttl_col);
    text_add(s, " AND (\"%s\" IS NULL OR \"%s\">?)", name, name);
    return true;
}

/* ---- scans ---------------------------------------------------------------------------------------------------- */

static void add_bound(struct text *s, const struct table *t, const uint32_t *cols, uint32_t count, const char *op) {
    if (count == 0)
        return;
    text_add(s, " AND (");
    add_names(s, t, cols, count, "");
    text_add(s, ")%s(", op);
    for (uint32_t i = 0; i < count; i++)
        text_add(s, i ? ",?" : "?");
    text_add(s, ")");
}

void sql_scan(struct text *s, const struct table *t, const struct mk_scan *scan) {
    struct mk_coll_key key = mk_coll_key(t->coll, scan->index);
    const uint32_t *sort = key.cols + key.partition;
    add_equals(s, t, key.cols, key.partition);
    add_bound(s, t, sort, scan->lo_count, scan->flags & MK_SCAN_LO_OPEN ? ">" : ">=");
    add_bound(s, t, sort, scan->hi_count, scan->flags & MK_SCAN_HI_OPEN ? "<" : "<=");
    for (uint32_t i = 0; i < scan->filter_count; i++)
        text_add(s, " AND \"%s\" IS ?", col_name(t, scan->filters[i].col));
    if (scan->search)
        text_add(s, " AND \"_id\" IN (SELECT rowid FROM \"%s___search\" WHERE \"%s___search\" MATCH ?)", t->name,
                 t->name);
}

/* Binds what sql_scan() left open but for the search, which comes last. */
void bind_scan(struct binder *b, const struct table *t, const struct mk_scan *scan) {
    bind_values(b, scan->partition, mk_coll_key(t->coll, scan->index).partition);
    bind_values(b, scan->lo, scan->lo_count);
    bind_values(b, scan->hi, scan->hi_count);
    for (uint32_t i = 0; i < scan->filter_count; i++)
        bind_value(b, &scan->filters[i].value);
}

static bool has_col(const uint32_t *cols, uint32_t count, uint32_t col) {
    for (uint32_t i = 0; i < count; i++)
        if (cols[i] == col)
            return true;
    return false;
}

void sql_scan_order(struct text *s, const struct table *t, const struct mk_scan *scan) {
    const char *way = scan->flags & MK_SCAN_REVERSE ? " DESC" : "";
    struct mk_coll_key key = mk_coll_key(t->coll, scan->index), own = mk_coll_key(t->coll, 0);
    const char *before = " ORDER BY ";
    for (uint32_t i = 0; i < key.sort; i++, before = ",")
        text_add(s, "%s\"%s\"%s", before, col_name(t, key.cols[key.partition + i]), way);
    for (uint32_t i = 0; scan->index && i < own.partition + own.sort; i++)
        if (!has_col(key.cols, key.partition + key.sort, own.cols[i])) {
            text_add(s, "%s\"%s\"%s", before, col_name(t, own.cols[i]), way);
            before = ",";
        }
}

/* ---- search --------------------------------------------------------------------------------------------------- */

static bool is_word_byte(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static void add_hex(struct text *s, const char *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        text_add(s, "%02X", (unsigned char)data[i]);
}

/* The partition as one word: what the triggers make with hex(). */
static void add_partition(struct text *s, const struct mk_value *v, uint32_t count) {
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
        text_add(s, i ? "x" : "");
        add_hex(s, text, len);
    }
}

/*
 * Each word of the search is quoted, so that nothing in it has a meaning for FTS5.  The partition is a word of every
 * row: without it a search would look through everybody's rows.
 */
bool search_text(struct text *s, const struct table *t, const struct mk_scan *scan) {
    if (scan->index == 0) {
        text_add(s, "p : \"z");
        add_partition(s, scan->partition, mk_coll_key(t->coll, 0).partition);
        text_add(s, "\" AND ");
    }
    text_add(s, "c%u : (", scan->search_col);
    bool any = false;
    for (const char *at = scan->search; *at;) {
        size_t len = 0;
        while (is_word_byte(at[len]))
            len++;
        if (len)
            text_add(s, " \"%.*s\"", (int)len, at);
        any |= len > 0;
        at += len ? len : 1;
    }
    text_add(s, ")");
    return any;
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

static char *take(struct text *s) {
    char *text = s->s;
    *s = (struct text){ 0 };
    return text;
}

static char *make_get(const struct table *t) {
    struct text s = { 0 };
    text_add(&s, "SELECT ");
    sql_cols(&s, t);
    text_add(&s, " FROM \"%s\" WHERE ", t->name);
    sql_where_key(&s, t);
    sql_visible(&s, t);
    return take(&s);
}

static void add_insert(struct text *s, const struct table *t) {
    text_add(s, "INSERT INTO \"%s\"(", t->name);
    sql_cols(s, t);
    text_add(s, ")VALUES(");
    for (unsigned i = 0; i < t->col_count; i++)
        text_add(s, i ? ",?" : "?");
    text_add(s, ")ON CONFLICT(");
    sql_key(s, t);
    text_add(s, ")DO ");
}

static char *make_put(const struct table *t) {
    struct text s = { 0 };
    add_insert(&s, t);
    text_add(&s, "UPDATE SET ");
    sql_set(&s, t, true);
    return take(&s);
}

/* A row whose time has passed is as good as absent: it is written over. */
static char *make_put_new(const struct table *t) {
    struct text s = { 0 };
    add_insert(&s, t);
    if (t->ttl_col < 0) {
        text_add(&s, "NOTHING");
    } else {
        text_add(&s, "UPDATE SET ");
        sql_set(&s, t, true);
        text_add(&s, " WHERE \"%s\".\"%s\"<=?", t->name, col_name(t, (unsigned)t->ttl_col));
    }
    return take(&s);
}

static char *make_del(const struct table *t) {
    struct text s = { 0 };
    text_add(&s, "DELETE FROM \"%s\" WHERE ", t->name);
    sql_where_key(&s, t);
    sql_visible(&s, t);
    return take(&s);
}

static char *make_sweep(const struct table *t) {
    if (t->ttl_col < 0)
        return NULL;
    struct text s = { 0 }, key = { 0 };
    if (t->numbered)
        text_add(&key, "\"_id\"");
    else
        sql_key(&key, t);
    text_add(&s, "DELETE FROM \"%s\" WHERE (%s) IN (SELECT %s FROM \"%s\" WHERE \"%s\"<=? LIMIT %d)", t->name, key.s,
             key.s, t->name, col_name(t, (unsigned)t->ttl_col), SWEEP_ROWS);
    text_free(&key);
    return take(&s);
}

struct table *table_new(const struct mk_coll *coll) {
    struct table *t = must_alloc(calloc(1, sizeof *t));
    struct mk_coll_key key = mk_coll_key(coll, 0);
    t->coll = coll;
    t->name = mk_coll_decl(coll)->name;
    t->col_count = mk_coll_col_count(coll);
    t->key_count = key.partition + key.sort;
    t->ttl_col = -1;
    for (unsigned i = 0; i < t->col_count; i++) {
        uint32_t flags = mk_coll_col(coll, i)->flags;
        if (flags & MK_COL_TTL)
            t->ttl_col = (int)i;
        t->searchable |= (flags & MK_COL_TEXT_SEARCH) != 0;
    }
    t->numbered = t->searchable || mk_coll_decl(coll)->flags & MK_COLL_BULKY;
    t->get = make_get(t);
    t->put = make_put(t);
    t->put_new = make_put_new(t);
    t->del = make_del(t);
    t->sweep = make_sweep(t);
    return t;
}

void table_drop(struct table *t) {
    free(t->get);
    free(t->put);
    free(t->put_new);
    free(t->del);
    free(t->sweep);
    free(t);
}
