/* SPDX-License-Identifier: Apache-2.0 */
/* A table, and the texts of its statements that are always the same.  query.c gives their values in the same order. */
#include "pieces.h"
#include "sql.h"
#include <stdlib.h>

/* ---- pieces --------------------------------------------------------------------------------------------------- */

void sql_names(struct sql_text *s, const struct sql_table *t, const uint32_t *cols, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        sql_name(s, t->dialect, i ? "," : "", sql_col(t, cols[i])->name);
}

void sql_cols(struct sql_text *s, const struct sql_table *t) {
    for (unsigned i = 0; i < t->col_count; i++)
        sql_name(s, t->dialect, i ? "," : "", sql_col(t, i)->name);
}

void sql_key_cols(struct sql_text *s, const struct sql_table *t) {
    sql_names(s, t, mk_coll_key(t->coll, 0).cols, t->key_count);
}

void sql_marks(struct sql_text *s, const struct sql_table *t, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        sql_add(s, i ? "," : "(");
        sql_mark(s, t->dialect);
    }
    sql_add(s, ")");
}

void sql_where_key(struct sql_text *s, const struct sql_table *t) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    for (uint32_t i = 0; i < t->key_count; i++) {
        sql_name(s, t->dialect, i ? " AND " : " WHERE ", sql_col(t, key.cols[i])->name);
        sql_add(s, "=");
        sql_mark(s, t->dialect);
    }
    sql_in_part(s, t, "=");
}

void sql_in_part(struct sql_text *s, const struct sql_table *t, const char *op) {
    if (!t->parted)
        return;
    sql_name(s, t->dialect, " AND ", "_part");
    sql_add(s, "%s", op);
    t->dialect->part_hash(s, t, true);
}

void sql_visible(struct sql_text *s, const struct sql_table *t) {
    if (t->ttl_col < 0)
        return;
    const char *name = sql_col(t, (unsigned)t->ttl_col)->name;
    sql_name(s, t->dialect, " AND (", name);
    sql_name(s, t->dialect, " IS NULL OR ", name);
    sql_add(s, ">");
    sql_mark(s, t->dialect);
    sql_add(s, ")");
}

bool sql_is_indexed(const struct sql_table *t, unsigned col) {
    for (unsigned n = 0; n <= mk_coll_index_count(t->coll); n++) {
        struct mk_coll_key key = mk_coll_key(t->coll, n);
        for (uint32_t i = 0; i < key.partition + key.sort; i++)
            if (key.cols[i] == col)
                return true;
    }
    return false;
}

bool sql_in_key(const struct sql_table *t, unsigned col) {
    return sql_col(t, col)->flags & (MK_COL_PARTITION | MK_COL_SORT);
}

void sql_set_marks(struct sql_text *s, const struct sql_table *t) {
    const char *comma = " SET ";
    for (unsigned i = 0; i < t->col_count; i++) {
        if (sql_in_key(t, i))
            continue;
        sql_name(s, t->dialect, comma, sql_col(t, i)->name);
        sql_add(s, "=");
        sql_mark(s, t->dialect);
        comma = ",";
    }
    if (comma[0] == ' ') { /* there is nothing but the key */
        sql_name(s, t->dialect, comma, sql_col(t, 0)->name);
        sql_name(s, t->dialect, "=", sql_col(t, 0)->name);
    }
}

/* ---- upserts -------------------------------------------------------------------------------------------------- */

/* What the row that was not inserted has for a column. */
static void add_new_value(struct sql_text *s, const struct sql_table *t, unsigned col) {
    if (t->dialect->upsert == SQL_ON_CONFLICT) {
        sql_name(s, t->dialect, "excluded.", sql_col(t, col)->name);
    } else {
        sql_name(s, t->dialect, "VALUES(", sql_col(t, col)->name);
        sql_add(s, ")");
    }
}

static void add_keep(struct sql_text *s, const struct sql_table *t) {
    sql_name(s, t->dialect, "", sql_col(t, 0)->name);
    sql_name(s, t->dialect, "=", sql_col(t, 0)->name);
}

static void set_new_values(struct sql_text *s, const struct sql_table *t) {
    const char *comma = "";
    for (unsigned i = 0; i < t->col_count; i++) {
        if (sql_in_key(t, i))
            continue;
        sql_name(s, t->dialect, comma, sql_col(t, i)->name);
        sql_add(s, "=");
        add_new_value(s, t, i);
        comma = ",";
    }
    if (!*comma)
        add_keep(s, t);
}

/* If the row has expired.  The engine assigns from left to right, and each looks at the TTL column: that comes last. */
static void set_if_old(struct sql_text *s, const struct sql_table *t, unsigned col, const char *comma) {
    const struct sql_dialect *d = t->dialect;
    sql_name(s, d, comma, sql_col(t, col)->name);
    sql_name(s, d, "=IF(", sql_col(t, (unsigned)t->ttl_col)->name);
    sql_add(s, "<=");
    sql_mark(s, d);
    sql_add(s, ",");
    add_new_value(s, t, col);
    sql_name(s, d, ",", sql_col(t, col)->name);
    sql_add(s, ")");
}

static void set_all_if_old(struct sql_text *s, const struct sql_table *t) {
    const char *comma = "";
    for (unsigned i = 0; i < t->col_count; i++)
        if (!sql_in_key(t, i) && (int)i != t->ttl_col) {
            set_if_old(s, t, i, comma);
            comma = ",";
        }
    set_if_old(s, t, (unsigned)t->ttl_col, comma);
}

void sql_insert_head(struct sql_text *s, const struct sql_table *t) {
    sql_name(s, t->dialect, "INSERT INTO ", t->name);
    sql_add(s, "(");
    sql_cols(s, t);
    sql_add(s, ")VALUES");
}

void sql_upsert_tail(struct sql_text *s, const struct sql_table *t) {
    if (t->dialect->upsert == SQL_ON_CONFLICT) {
        sql_add(s, "ON CONFLICT(");
        sql_key_cols(s, t);
        sql_add(s, ")DO UPDATE SET ");
    } else {
        sql_add(s, "ON DUPLICATE KEY UPDATE ");
    }
    set_new_values(s, t);
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

static void text_insert(struct sql_text *s, const struct sql_table *t) {
    sql_insert_head(s, t);
    sql_marks(s, t, t->col_count);
}

static void text_put(struct sql_text *s, const struct sql_table *t) {
    text_insert(s, t);
    sql_upsert_tail(s, t);
}

/* A row whose time has passed is as good as absent: it is written over. */
static void text_put_new(struct sql_text *s, const struct sql_table *t) {
    const struct sql_dialect *d = t->dialect;
    text_insert(s, t);
    if (d->upsert == SQL_ON_DUPLICATE) {
        sql_add(s, "ON DUPLICATE KEY UPDATE ");
        if (t->ttl_col < 0)
            add_keep(s, t);
        else
            set_all_if_old(s, t);
        return;
    }
    sql_add(s, "ON CONFLICT(");
    sql_key_cols(s, t);
    sql_add(s, ")DO ");
    if (t->ttl_col < 0) {
        sql_add(s, "NOTHING");
        return;
    }
    sql_add(s, "UPDATE SET ");
    set_new_values(s, t);
    sql_name(s, d, " WHERE ", t->name);
    sql_name(s, d, ".", sql_col(t, (unsigned)t->ttl_col)->name);
    sql_add(s, "<=");
    sql_mark(s, d);
}

static void text_get(struct sql_text *s, const struct sql_table *t) {
    sql_add(s, "SELECT ");
    sql_cols(s, t);
    sql_name(s, t->dialect, " FROM ", t->name);
    sql_where_key(s, t);
    sql_visible(s, t);
}

static void text_update(struct sql_text *s, const struct sql_table *t) {
    sql_name(s, t->dialect, "UPDATE ", t->name);
    sql_set_marks(s, t);
    sql_where_key(s, t);
}

static void text_del(struct sql_text *s, const struct sql_table *t) {
    sql_name(s, t->dialect, "DELETE FROM ", t->name);
    sql_where_key(s, t);
    sql_visible(s, t);
}

static void add_expired(struct sql_text *s, const struct sql_table *t, const char *before) {
    sql_name(s, t->dialect, before, sql_col(t, (unsigned)t->ttl_col)->name);
    sql_add(s, "<=");
    sql_mark(s, t->dialect);
}

static void text_del_old(struct sql_text *s, const struct sql_table *t) {
    sql_name(s, t->dialect, "DELETE FROM ", t->name);
    sql_where_key(s, t);
    add_expired(s, t, " AND ");
}

static void add_row_id(struct sql_text *s, const struct sql_table *t) {
    if (t->dialect->row_id)
        sql_add(s, "%s", t->dialect->row_id);
    else if (t->numbered)
        sql_name(s, t->dialect, "", "_id");
    else
        sql_key_cols(s, t);
}

static void text_sweep(struct sql_text *s, const struct sql_table *t) {
    sql_name(s, t->dialect, "DELETE FROM ", t->name);
    if (t->dialect->delete_limit) {
        add_expired(s, t, " WHERE ");
        sql_add(s, " LIMIT %d", SQL_SWEEP_ROWS);
        return;
    }
    sql_add(s, " WHERE (");
    add_row_id(s, t);
    sql_add(s, ") IN (SELECT ");
    add_row_id(s, t);
    sql_name(s, t->dialect, " FROM ", t->name);
    add_expired(s, t, " WHERE ");
    if (t->dialect->limit == SQL_LIMIT)
        sql_add(s, " LIMIT %d%s)", SQL_SWEEP_ROWS, t->dialect->sweep_lock);
    else
        sql_add(s, " ORDER BY 1 OFFSET 0 ROWS FETCH NEXT %d ROWS ONLY%s)", SQL_SWEEP_ROWS, t->dialect->sweep_lock);
}

static char *make(const struct sql_table *t, void (*text)(struct sql_text *s, const struct sql_table *t)) {
    struct sql_text s = { 0 };
    text(&s, t);
    return s.s;
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

bool sql_too_wide(const struct sql_table *t, const uint32_t *cols, uint32_t count) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += t->dialect->widths[sql_col(t, cols[i])->type];
    return t->dialect->index_bytes && bytes > t->dialect->index_bytes;
}

/* Whether the hash of the partition and the sort key fit into an index. */
static bool is_parted(const struct sql_table *t, struct mk_coll_key key) {
    uint32_t bytes = t->dialect->part_bytes;
    for (uint32_t i = 0; i < key.sort; i++)
        bytes += t->dialect->widths[sql_col(t, key.cols[key.partition + i])->type];
    return t->wide && t->dialect->part_hash && bytes <= t->dialect->index_bytes;
}

struct sql_table *sql_table_new(const struct sql_dialect *d, const struct mk_coll *coll) {
    struct sql_table *t = sql_must(calloc(1, sizeof *t));
    struct mk_coll_key key = mk_coll_key(coll, 0);
    t->dialect = d;
    t->coll = coll;
    t->name = mk_coll_decl(coll)->name;
    t->col_count = mk_coll_col_count(coll);
    t->key_count = key.partition + key.sort;
    t->ttl_col = -1;
    for (unsigned i = 0; i < t->col_count; i++) {
        uint32_t flags = sql_col(t, i)->flags;
        if (flags & MK_COL_TTL)
            t->ttl_col = (int)i;
        t->searchable |= (flags & MK_COL_TEXT_SEARCH) != 0;
    }
    t->wide = sql_too_wide(t, key.cols, t->key_count);
    t->parted = is_parted(t, key);
    t->numbered = d->number && (t->searchable || t->wide || mk_coll_decl(coll)->flags & MK_COLL_BULKY);
    t->texts[SQL_T_GET] = make(t, text_get);
    if (d->upsert != SQL_NO_UPSERT) {
        t->texts[SQL_T_PUT] = make(t, text_put);
        t->texts[SQL_T_PUT_NEW] = make(t, text_put_new);
    }
    t->texts[SQL_T_INSERT] = make(t, text_insert);
    t->texts[SQL_T_UPDATE] = make(t, text_update);
    t->texts[SQL_T_DEL] = make(t, text_del);
    if (t->ttl_col >= 0) {
        t->texts[SQL_T_DEL_OLD] = make(t, text_del_old);
        t->texts[SQL_T_SWEEP] = make(t, text_sweep);
    }
    return t;
}

void sql_table_free(struct sql_table *t) {
    for (unsigned i = 0; i < SQL_TEXTS; i++)
        free(t->texts[i]);
    free(t);
}
