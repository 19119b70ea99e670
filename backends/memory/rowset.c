/* SPDX-License-Identifier: Apache-2.0 */
#include "rowset.h"
#include <stdlib.h>
#include <string.h>

/* ---- values --------------------------------------------------------------------------------------------------- */

/* JIDs as text: the form that rows have. */
static struct mk_value plain(const struct mk_value *v) {
    return v->type == MK_C_JID ? mk_v_text(mk_jid_text(v->u.j)) : *v;
}

static int compare_values(const struct mk_value *a, const struct mk_value *b) {
    if (a->type != MK_C_TEXT && a->type != MK_C_BYTES)
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    size_t shorter = a->len < b->len ? a->len : b->len;
    int diff = shorter ? memcmp(a->u.b, b->u.b, shorter) : 0;
    return diff ? diff : (a->len > b->len) - (a->len < b->len);
}

bool value_same(const struct mk_value *a, const struct mk_value *b) {
    if (a->type == MK_V_NULL || b->type == MK_V_NULL)
        return a->type == b->type;
    struct mk_value x = plain(a), y = plain(b);
    return compare_values(&x, &y) == 0;
}

/* ---- orders --------------------------------------------------------------------------------------------------- */

static struct row *row_at(const struct order *o, const struct tree_node *node) {
    return (struct row *)((char *)(node - o->number) - offsetof(struct row, nodes));
}

struct row_key {
    const struct order *order;
    const struct row *row;
};

static int compare_row(const void *key, const struct tree_node *node) {
    const struct row_key *k = key;
    const struct row *row = row_at(k->order, node);
    for (uint32_t i = 0; i < k->order->count; i++) {
        uint32_t col = k->order->cols[i];
        int diff = compare_values(&k->row->values[col], &row->values[col]);
        if (diff)
            return diff;
    }
    return 0;
}

/* A place among rows: beside all that begin with these values, in front of them (EDGE -1) or behind (1). */
struct place {
    const struct order *order;
    struct mk_value values[KEY_MAX * 2];
    uint32_t count;
    int edge;
};

static int compare_place(const void *key, const struct tree_node *node) {
    const struct place *p = key;
    const struct row *row = row_at(p->order, node);
    for (uint32_t i = 0; i < p->count; i++) {
        int diff = compare_values(&p->values[i], &row->values[p->order->cols[i]]);
        if (diff)
            return diff;
    }
    return p->edge;
}

static void place_add(struct place *p, const struct mk_value *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        p->values[p->count++] = plain(&values[i]);
}

static void order_add_col(struct order *o, uint32_t col) {
    for (uint32_t i = 0; i < o->count; i++)
        if (o->cols[i] == col)
            return;
    o->cols[o->count++] = col;
}

static void order_add_key(struct order *o, const struct mk_coll *coll, unsigned index) {
    struct mk_coll_key key = mk_coll_key(coll, index);
    for (uint32_t i = 0; i < key.partition + key.sort; i++)
        order_add_col(o, key.cols[i]);
}

/* ---- sets of rows --------------------------------------------------------------------------------------------------- */

static int find_ttl(const struct mk_coll *coll) {
    for (unsigned i = 0; i < mk_coll_col_count(coll); i++)
        if (mk_coll_col(coll, i)->flags & MK_COL_TTL)
            return (int)i;
    return -1;
}

struct rowset *rowset_new(const struct mk_coll *coll, locale_t unicode) {
    unsigned indexes = mk_coll_index_count(coll);
    int ttl = find_ttl(coll);
    unsigned orders = 1 + indexes + (ttl >= 0);
    struct rowset *t = calloc(1, sizeof *t + orders * sizeof t->orders[0]);
    if (!t)
        abort();
    t->coll = coll;
    t->unicode = unicode;
    t->col_count = mk_coll_col_count(coll);
    t->key_count = mk_coll_key(coll, 0).partition + mk_coll_key(coll, 0).sort;
    t->ttl_col = ttl;
    t->order_count = orders;
    for (unsigned i = 0; i < orders; i++)
        t->orders[i].number = i;
    for (unsigned i = 0; i <= indexes; i++) {
        order_add_key(&t->orders[i], coll, i);
        t->orders[i].partition = mk_coll_key(coll, i).partition;
    }
    if (ttl >= 0)
        order_add_col(&t->orders[orders - 1], (uint32_t)ttl);
    for (unsigned i = 1; i < orders; i++)
        order_add_key(&t->orders[i], coll, 0);
    return t;
}

void rowset_free(struct rowset *t) {
    const struct tree_node *node = t->orders[0].tree.root;
    while (node) {
        struct row *row = row_at(&t->orders[0], node);
        rowset_remove(t, row);
        free(row);
        node = t->orders[0].tree.root;
    }
    free(t);
}

static bool has_bytes(const struct mk_value *v) {
    return v->type == MK_C_TEXT || v->type == MK_C_BYTES;
}

struct row *row_new(const struct rowset *t, const struct mk_value *values) {
    size_t head = sizeof(struct row) + t->order_count * sizeof(struct tree_node);
    size_t size = head + t->col_count * sizeof *values;
    for (unsigned i = 0; i < t->col_count; i++) {
        struct mk_value v = plain(&values[i]);
        size += has_bytes(&v) ? v.len : 0;
    }
    struct row *row = calloc(1, size);
    if (!row)
        abort();
    row->size = size;
    row->values = (struct mk_value *)((char *)row + head);
    char *at = (char *)(row->values + t->col_count);
    for (unsigned i = 0; i < t->col_count; i++) {
        struct mk_value *v = &row->values[i];
        *v = plain(&values[i]);
        if (!has_bytes(v))
            continue;
        if (v->len)
            memcpy(at, v->u.b, v->len);
        v->u.b = at;
        at += v->len;
    }
    return row;
}

static bool has_ttl(const struct rowset *t, const struct row *row) {
    return t->ttl_col >= 0 && row->values[t->ttl_col].type != MK_V_NULL;
}

bool row_expired(const struct rowset *t, const struct row *row, int64_t now) {
    return has_ttl(t, row) && row->values[t->ttl_col].u.i <= now;
}

/* Rows without an end are not in the order by TTL. */
static unsigned orders_of(const struct rowset *t, const struct row *row) {
    return t->order_count - (t->ttl_col >= 0 && !has_ttl(t, row));
}

void rowset_add(struct rowset *t, struct row *row) {
    for (unsigned i = 0; i < orders_of(t, row); i++) {
        struct row_key key = { &t->orders[i], row };
        tree_add(&t->orders[i].tree, &row->nodes[i], &key, compare_row);
    }
}

void rowset_remove(struct rowset *t, struct row *row) {
    for (unsigned i = 0; i < orders_of(t, row); i++)
        tree_remove(&t->orders[i].tree, &row->nodes[i]);
}

struct row *rowset_find(const struct rowset *t, const struct mk_value *key) {
    const struct order *o = &t->orders[0];
    struct place place = { .order = o };
    place_add(&place, key, t->key_count);
    struct tree_node *node = tree_first(&o->tree, &place, compare_place);
    return node && compare_place(&place, node) == 0 ? row_at(o, node) : NULL;
}

struct row *rowset_find_like(const struct rowset *t, const struct mk_value *row) {
    struct mk_value key[KEY_MAX];
    for (unsigned i = 0; i < t->key_count; i++)
        key[i] = row[t->orders[0].cols[i]];
    return rowset_find(t, key);
}

struct row *rowset_behind(const struct rowset *t, const struct mk_value *key) {
    const struct order *o = &t->orders[0];
    struct place place = { .order = o, .edge = key ? 1 : -1 };
    if (key)
        place_add(&place, key, t->key_count);
    struct tree_node *node = tree_first(&o->tree, &place, compare_place);
    return node ? row_at(o, node) : NULL;
}

struct row *rowset_next(const struct rowset *t, const struct row *row) {
    struct tree_node *node = tree_next(&row->nodes[0]);
    return node ? row_at(&t->orders[0], node) : NULL;
}

struct row *rowset_oldest(const struct rowset *t) {
    if (t->ttl_col < 0)
        return NULL;
    const struct order *o = &t->orders[t->order_count - 1];
    struct place start = { .order = o, .edge = -1 };
    struct tree_node *node = tree_first(&o->tree, &start, compare_place);
    return node ? row_at(o, node) : NULL;
}

/* ---- scans ---------------------------------------------------------------------------------------------------- */

void cursor_open(struct cursor *cur, const struct rowset *t, const struct mk_scan *scan, int64_t now) {
    const struct order *o = &t->orders[scan->index];
    struct place lo = { .order = o, .edge = -1 }, hi = { .order = o, .edge = 1 };
    place_add(&lo, scan->partition, o->partition);
    place_add(&hi, scan->partition, o->partition);
    place_add(&lo, scan->lo, scan->lo_count);
    place_add(&hi, scan->hi, scan->hi_count);
    if (scan->lo_count && scan->flags & MK_SCAN_LO_OPEN)
        lo.edge = 1;
    if (scan->hi_count && scan->flags & MK_SCAN_HI_OPEN)
        hi.edge = -1;
    struct tree_node *first = tree_first(&o->tree, &lo, compare_place);
    struct tree_node *last = tree_last(&o->tree, &hi, compare_place);
    bool back = scan->flags & MK_SCAN_REVERSE;
    *cur = (struct cursor){ .set = t, .order = o, .scan = scan, .now = now };
    cur->next = back ? last : first;
    cur->last = back ? first : last;
    cur->left = scan->limit ? scan->limit : UINT32_MAX;
    /* Bounds that cross: the first row is behind the last. */
    cur->end = !first || !last || compare_place(&hi, first) < 0;
}

static bool wanted(const struct cursor *cur, const struct row *row) {
    const struct mk_scan *s = cur->scan;
    if (row_expired(cur->set, row, cur->now))
        return false;
    for (uint32_t i = 0; i < s->filter_count; i++)
        if (!value_same(&row->values[s->filters[i].col], &s->filters[i].value))
            return false;
    if (!s->search)
        return true;
    const struct mk_value *text = &row->values[s->search_col];
    return text->type != MK_V_NULL && has_words((struct mk_view){ text->u.s, text->len }, s->search, cur->set->unicode);
}

struct row *cursor_next(struct cursor *cur) {
    while (!cur->end && cur->left) {
        struct tree_node *node = cur->next;
        cur->end = node == cur->last;
        cur->next = cur->scan->flags & MK_SCAN_REVERSE ? tree_prev(node) : tree_next(node);
        struct row *row = row_at(cur->order, node);
        if (wanted(cur, row)) {
            cur->left--;
            return row;
        }
    }
    return NULL;
}
