/* SPDX-License-Identifier: Apache-2.0 */
/* Statements with their values. */
#include "pieces.h"
#include "sql.h"
#include <stdlib.h>

/* ---- values --------------------------------------------------------------------------------------------------- */

static void arg(struct sql_query *q, uint32_t type, const struct mk_value *v) {
    if (q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 32;
        q->args = sql_must(realloc(q->args, q->cap * sizeof *q->args));
    }
    q->args[q->count++] = (struct sql_arg){ v, type };
}

void sql_bind(struct sql_query *q, const struct sql_table *t, uint32_t type, const struct mk_value *v) {
    sql_mark(&q->buf, t->dialect);
    arg(q, type, v);
}

const struct mk_value *sql_own(struct sql_query *q, struct mk_value v) {
    if (q->own_count == SQL_OWN_VALUES)
        abort();
    q->own[q->own_count] = v;
    return &q->own[q->own_count++];
}

void sql_query_free(struct sql_query *q) {
    free(q->args);
    sql_free(&q->buf);
    sql_free(&q->words);
    *q = (struct sql_query){ 0 };
}

static void begin(struct sql_query *q) {
    q->text = NULL;
    q->count = q->own_count = 0;
    sql_clear(&q->buf);
    sql_clear(&q->words);
}

static void begin_fixed(struct sql_query *q, const struct sql_table *t, unsigned text) {
    begin(q);
    q->text = t->texts[text];
}

static void arg_row(struct sql_query *q, const struct sql_table *t, const struct mk_value *row) {
    for (unsigned i = 0; i < t->col_count; i++)
        arg(q, sql_col(t, i)->type, &row[i]);
}

/* All but those of the key: what sql_set_marks() left open. */
static void arg_set(struct sql_query *q, const struct sql_table *t, const struct mk_value *row) {
    for (unsigned i = 0; i < t->col_count; i++)
        if (!sql_in_key(t, i))
            arg(q, sql_col(t, i)->type, &row[i]);
}

/* What sql_in_part() left open.  KEY begins with the partition. */
static void arg_part(struct sql_query *q, const struct sql_table *t, const struct mk_value *key) {
    struct mk_coll_key cols = mk_coll_key(t->coll, 0);
    for (unsigned i = 0; t->parted && i < cols.partition; i++)
        arg(q, sql_col(t, cols.cols[i])->type, &key[i]);
}

static void arg_key(struct sql_query *q, const struct sql_table *t, const struct mk_value *key) {
    struct mk_coll_key cols = mk_coll_key(t->coll, 0);
    for (unsigned i = 0; i < t->key_count; i++)
        arg(q, sql_col(t, cols.cols[i])->type, &key[i]);
    arg_part(q, t, key);
}

/* The key of a change: puts have a row, the others the key. */
static void arg_key_of(struct sql_query *q, const struct sql_table *t, const struct mk_change *x) {
    struct mk_coll_key cols = mk_coll_key(t->coll, 0);
    bool row = x->kind == MK_X_PUT || x->kind == MK_X_PUT_IF;
    for (unsigned i = 0; i < t->key_count; i++)
        arg(q, sql_col(t, cols.cols[i])->type, &x->values[row ? cols.cols[i] : i]);
    for (unsigned i = 0; t->parted && i < cols.partition; i++)
        arg(q, sql_col(t, cols.cols[i])->type, &x->values[row ? cols.cols[i] : i]);
}

static void arg_now(struct sql_query *q, const struct sql_table *t, int64_t now) {
    if (t->ttl_col >= 0)
        arg(q, MK_C_TIME, sql_own(q, mk_v_time(now)));
}

static void is_visible(struct sql_query *q, const struct sql_table *t, int64_t now) {
    sql_visible(&q->buf, t);
    arg_now(q, t, now);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

void sql_get(struct sql_query *q, const struct sql_table *t, const struct mk_value *key, int64_t now) {
    begin_fixed(q, t, SQL_T_GET);
    arg_key(q, t, key);
    arg_now(q, t, now);
}

void sql_get_of(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    begin_fixed(q, t, SQL_T_GET);
    arg_key_of(q, t, x);
    arg_now(q, t, now);
}

static void col_is(struct sql_query *q, const struct sql_table *t, const char *before, uint32_t col,
                   const struct mk_value *v) {
    const struct mk_col_decl *d = sql_col(t, col);
    sql_name(&q->buf, t->dialect, before, d->name);
    sql_add(&q->buf, v->type == MK_V_NULL ? " IS NULL" : "=");
    if (v->type != MK_V_NULL)
        sql_bind(q, t, d->type, v);
}

/* (a>? OR (a=? AND b>=?)), with a>=? before it for an engine to find the place in an index. */
static void spelled_bound(struct sql_query *q, const struct sql_table *t, const uint32_t *cols, uint32_t count,
                          const struct mk_value *v, const char *op) {
    char strict[2] = { op[0], '\0' };
    for (uint32_t i = 0; i + 1 < count; i++) {
        const struct mk_col_decl *d = sql_col(t, cols[i]);
        sql_name(&q->buf, t->dialect, "", d->name);
        sql_add(&q->buf, "%s=", strict);
        sql_bind(q, t, d->type, &v[i]);
        sql_name(&q->buf, t->dialect, " AND (", d->name);
        sql_add(&q->buf, "%s", strict);
        sql_bind(q, t, d->type, &v[i]);
        col_is(q, t, " OR (", cols[i], &v[i]);
        sql_add(&q->buf, " AND ");
    }
    const struct mk_col_decl *last = sql_col(t, cols[count - 1]);
    sql_name(&q->buf, t->dialect, "", last->name);
    sql_add(&q->buf, "%s", op);
    sql_bind(q, t, last->type, &v[count - 1]);
    for (uint32_t i = 1; i < count; i++)
        sql_add(&q->buf, "))");
}

static void bound(struct sql_query *q, const struct sql_table *t, const uint32_t *cols, uint32_t count,
                  const struct mk_value *v, const char *op) {
    if (count == 0)
        return;
    sql_add(&q->buf, " AND ");
    if (count == 1 || !t->dialect->row_values) {
        spelled_bound(q, t, cols, count, v, op);
        return;
    }
    sql_add(&q->buf, "(");
    sql_names(&q->buf, t, cols, count);
    sql_add(&q->buf, ")%s(", op);
    for (uint32_t i = 0; i < count; i++) {
        sql_add(&q->buf, i ? "," : "");
        sql_bind(q, t, sql_col(t, cols[i])->type, &v[i]);
    }
    sql_add(&q->buf, ")");
}

/* False if a search has no word. */
static bool where_scan(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan) {
    struct mk_coll_key key = mk_coll_key(t->coll, scan->index);
    const uint32_t *sort = key.cols + key.partition;
    for (uint32_t i = 0; i < key.partition; i++)
        col_is(q, t, i ? " AND " : " WHERE ", key.cols[i], &scan->partition[i]);
    if (scan->index == 0) {
        sql_in_part(&q->buf, t, "=");
        arg_part(q, t, scan->partition);
    }
    bound(q, t, sort, scan->lo_count, scan->lo, scan->flags & MK_SCAN_LO_OPEN ? ">" : ">=");
    bound(q, t, sort, scan->hi_count, scan->hi, scan->flags & MK_SCAN_HI_OPEN ? "<" : "<=");
    for (uint32_t i = 0; i < scan->filter_count; i++)
        col_is(q, t, " AND ", scan->filters[i].col, &scan->filters[i].value);
    return !scan->search || t->dialect->search(q, t, scan);
}

static bool has_col(const uint32_t *cols, uint32_t count, uint32_t col) {
    for (uint32_t i = 0; i < count; i++)
        if (cols[i] == col)
            return true;
    return false;
}

static void order_scan(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan) {
    const char *way = scan->flags & MK_SCAN_REVERSE ? " DESC" : "", *before = " ORDER BY ";
    struct mk_coll_key key = mk_coll_key(t->coll, scan->index), own = mk_coll_key(t->coll, 0);
    for (uint32_t i = 0; i < key.sort; i++, before = ",") {
        sql_name(&q->buf, t->dialect, before, sql_col(t, key.cols[key.partition + i])->name);
        sql_add(&q->buf, "%s", way);
    }
    for (uint32_t i = 0; scan->index && i < own.partition + own.sort; i++) {
        if (has_col(key.cols, key.partition + key.sort, own.cols[i]))
            continue;
        sql_name(&q->buf, t->dialect, before, sql_col(t, own.cols[i])->name);
        sql_add(&q->buf, "%s", way);
        before = ",";
    }
    if (before[0] == ' ' && t->dialect->limit == SQL_FETCH && scan->limit) /* which wants an order */
        sql_name(&q->buf, t->dialect, before, sql_col(t, 0)->name);
}

static void limit_scan(struct sql_query *q, const struct sql_table *t, uint32_t limit) {
    bool plain = t->dialect->limit == SQL_LIMIT;
    sql_add(&q->buf, plain ? " LIMIT " : " OFFSET 0 ROWS FETCH NEXT ");
    sql_bind(q, t, MK_C_INT, sql_own(q, mk_v_int(limit)));
    sql_add(&q->buf, plain ? "" : " ROWS ONLY");
}

bool sql_scan(struct sql_query *q, const struct sql_table *t, const struct mk_read *r) {
    const struct mk_scan *scan = r->scan;
    bool count = r->kind == MK_R_COUNT;
    begin(q);
    sql_add(&q->buf, "SELECT ");
    if (count)
        sql_add(&q->buf, scan->limit ? "count(*) FROM (SELECT 1 AS n" : "count(*)");
    else
        sql_cols(&q->buf, t);
    sql_name(&q->buf, t->dialect, " FROM ", t->name);
    bool any = where_scan(q, t, scan);
    is_visible(q, t, r->now);
    if (!count || (scan->limit && t->dialect->limit == SQL_FETCH))
        order_scan(q, t, scan);
    if (scan->limit)
        limit_scan(q, t, scan->limit);
    if (scan->limit && count)
        sql_add(&q->buf, ") AS found");
    q->text = q->buf.s;
    return any;
}

static bool has_key_order(const struct sql_table *t) {
    return t->wide && !t->parted && t->dialect->key_order;
}

/* In the order of an index of the partition's hash and the sort key. */
static void behind_part(struct sql_query *q, const struct sql_table *t, const struct mk_value *after) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    sql_in_part(&q->buf, t, ">=");
    arg_part(q, t, after);
    sql_name(&q->buf, t->dialect, " AND (", "_part");
    sql_add(&q->buf, "<>");
    t->dialect->part_hash(&q->buf, t, true);
    arg_part(q, t, after);
    sql_add(&q->buf, " OR (1=%d", key.sort > 0);
    bound(q, t, key.cols + key.partition, key.sort, after + key.partition, ">");
    sql_add(&q->buf, "))");
}

static void behind_key(struct sql_query *q, const struct sql_table *t, const struct mk_value *after) {
    if (t->parted) {
        behind_part(q, t, after);
        return;
    }
    if (!has_key_order(t)) {
        bound(q, t, mk_coll_key(t->coll, 0).cols, t->key_count, after, ">");
        return;
    }
    sql_add(&q->buf, " AND ");
    t->dialect->key_order(q, t, NULL);
    sql_add(&q->buf, ">");
    t->dialect->key_order(q, t, after);
}

static void order_all(struct sql_query *q, const struct sql_table *t) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    if (has_key_order(t)) {
        t->dialect->key_order(q, t, NULL);
    } else if (t->parted) {
        sql_name(&q->buf, t->dialect, "", "_part");
        sql_add(&q->buf, key.sort ? "," : "");
        sql_names(&q->buf, t, key.cols + key.partition, key.sort);
    } else {
        sql_key_cols(&q->buf, t);
    }
}

void sql_all(struct sql_query *q, const struct sql_table *t, const struct mk_read *r) {
    bool count = r->kind == MK_R_COUNT_ALL;
    begin(q);
    sql_add(&q->buf, "SELECT ");
    if (count)
        sql_add(&q->buf, "count(*)");
    else
        sql_cols(&q->buf, t);
    sql_name(&q->buf, t->dialect, " FROM ", t->name);
    sql_add(&q->buf, " WHERE 1=1");
    if (!count && r->after)
        behind_key(q, t, r->after);
    is_visible(q, t, r->now);
    if (!count) {
        sql_add(&q->buf, " ORDER BY ");
        order_all(q, t);
        limit_scan(q, t, r->limit);
    }
    q->text = q->buf.s;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

void sql_insert(struct sql_query *q, const struct sql_table *t, const struct mk_change *x) {
    begin_fixed(q, t, SQL_T_INSERT);
    arg_row(q, t, x->values);
}

void sql_put(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    bool new = x->mode == MK_IF_ABSENT;
    begin_fixed(q, t, new ? SQL_T_PUT_NEW : SQL_T_PUT);
    arg_row(q, t, x->values);
    if (!new || t->ttl_col < 0)
        return;
    const struct mk_value *time = sql_own(q, mk_v_time(now));
    unsigned times = t->dialect->upsert == SQL_ON_DUPLICATE ? t->col_count - t->key_count : 1;
    for (unsigned i = 0; i < times; i++)
        arg(q, MK_C_TIME, time);
}

void sql_put_rows(struct sql_query *q, const struct sql_table *t, struct mk_change *const *x, uint32_t count) {
    begin(q);
    sql_insert_head(&q->buf, t);
    for (uint32_t i = 0; i < count; i++) {
        sql_add(&q->buf, i ? "," : "");
        sql_marks(&q->buf, t, t->col_count);
        arg_row(q, t, x[i]->values);
    }
    sql_upsert_tail(&q->buf, t);
    q->text = q->buf.s;
}

void sql_update(struct sql_query *q, const struct sql_table *t, const struct mk_change *x) {
    begin_fixed(q, t, SQL_T_UPDATE);
    arg_set(q, t, x->values);
    arg_key_of(q, t, x);
}

void sql_put_if(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    begin(q);
    sql_add(&q->buf, "%s", t->texts[SQL_T_UPDATE]);
    q->buf.marks = t->col_count;
    arg_set(q, t, x->values);
    arg_key_of(q, t, x);
    col_is(q, t, " AND ", x->col, &x->old);
    is_visible(q, t, now);
    q->text = q->buf.s;
}

static void number_or_0(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, const char *before) {
    sql_add(&q->buf, "%sCOALESCE(", before);
    sql_name(&q->buf, t->dialect, "", sql_col(t, x->col)->name);
    sql_add(&q->buf, ",0)");
}

static void where_key_of(struct sql_query *q, const struct sql_table *t, const struct mk_change *x) {
    sql_where_key(&q->buf, t);
    arg_key_of(q, t, x);
}

/* A sum of more than 64 bits is an error, or worse, in each engine: such a row is not touched. */
void sql_add_number(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    bool up = x->by >= 0;
    const char *name = sql_col(t, x->col)->name;
    begin(q);
    sql_name(&q->buf, t->dialect, "UPDATE ", t->name);
    sql_name(&q->buf, t->dialect, " SET ", name);
    number_or_0(q, t, x, "=");
    sql_add(&q->buf, "+");
    sql_bind(q, t, MK_C_INT, sql_own(q, mk_v_int(x->by)));
    where_key_of(q, t, x);
    number_or_0(q, t, x, " AND ");
    sql_add(&q->buf, up ? "<=" : ">=");
    sql_bind(q, t, MK_C_INT, sql_own(q, mk_v_int(up ? INT64_MAX - x->by : INT64_MIN - x->by)));
    is_visible(q, t, now);
    sql_name(&q->buf, t->dialect, " RETURNING ", name);
    q->text = q->buf.s;
}

void sql_add_read(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    begin(q);
    number_or_0(q, t, x, "SELECT ");
    sql_name(&q->buf, t->dialect, " FROM ", t->name);
    where_key_of(q, t, x);
    is_visible(q, t, now);
    sql_add(&q->buf, "%s", t->dialect->insert_lock);
    q->text = q->buf.s;
}

void sql_add_write(struct sql_query *q, const struct sql_table *t, const struct mk_change *x) {
    begin(q);
    sql_name(&q->buf, t->dialect, "UPDATE ", t->name);
    sql_name(&q->buf, t->dialect, " SET ", sql_col(t, x->col)->name);
    sql_add(&q->buf, "=");
    sql_bind(q, t, MK_C_INT, sql_own(q, mk_v_int(x->number)));
    where_key_of(q, t, x);
    q->text = q->buf.s;
}

void sql_del(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    begin_fixed(q, t, SQL_T_DEL);
    arg_key_of(q, t, x);
    arg_now(q, t, now);
}

void sql_del_old(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now) {
    begin_fixed(q, t, SQL_T_DEL_OLD);
    arg_key_of(q, t, x);
    arg_now(q, t, now);
}

void sql_del_range(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan) {
    begin(q);
    sql_name(&q->buf, t->dialect, "DELETE FROM ", t->name);
    where_scan(q, t, scan);
    q->text = q->buf.s;
}

bool sql_sweep(struct sql_query *q, const struct sql_table *t, int64_t now) {
    if (t->ttl_col < 0)
        return false;
    begin_fixed(q, t, SQL_T_SWEEP);
    arg_now(q, t, now);
    return true;
}
