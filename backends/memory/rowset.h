/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of one collection, in every order that is asked for. */
#ifndef MEMORY_ROWSET_H
#define MEMORY_ROWSET_H

#define MK_ABI_NEED 0
#include "tree.h"
#include <locale.h>
#include <meerkat/backend.h>

enum { KEY_MAX = 8 }; /* the server allows no more columns in a key */

/* Columns by which rows are compared, one after the other; the collection's key is among them, so no two are equal. */
struct order {
    struct tree tree;
    uint32_t cols[KEY_MAX * 2 + 1];
    uint32_t count, number;
    uint32_t partition; /* columns of the partition, then of the sort key */
};

struct rowset {
    const struct mk_coll *coll;
    unsigned col_count, key_count, order_count;
    int ttl_col;           /* -1: none; else the last order is by it */
    locale_t unicode;      /* for text search; 0: not on this system */
    struct order orders[]; /* 0: the collection's; n: of index n */
};

/* One allocation: nodes, values, texts.  A JID is a text here. */
struct row {
    size_t size;
    struct mk_value *values;
    struct tree_node nodes[]; /* one an order */
};

struct rowset *rowset_new(const struct mk_coll *coll, locale_t unicode);
void rowset_free(struct rowset *t);

/* A row with copies of VALUES in column order, in no set yet. */
struct row *row_new(const struct rowset *t, const struct mk_value *values);
bool row_expired(const struct rowset *t, const struct row *row, int64_t now);

struct row *rowset_find(const struct rowset *t, const struct mk_value *key);
struct row *rowset_find_like(const struct rowset *t, const struct mk_value *row); /* with the key of these values */
struct row *rowset_oldest(const struct rowset *t);                                /* by TTL; NULL if none expires */
/* In the order of the key: the first row behind a key (NULL: of all), the one after ROW; NULL: no more. */
struct row *rowset_behind(const struct rowset *t, const struct mk_value *key);
struct row *rowset_next(const struct rowset *t, const struct row *row);
void rowset_add(struct rowset *t, struct row *row);
void rowset_remove(struct rowset *t, struct row *row);

/* The rows that a scan means, but for what has expired. */
struct cursor {
    const struct rowset *set;
    const struct order *order;
    const struct mk_scan *scan;
    struct tree_node *next, *last; /* NULL: no more */
    int64_t now;
    uint32_t left; /* rows that may still come */
    bool end;
};
void cursor_open(struct cursor *cur, const struct rowset *t, const struct mk_scan *scan, int64_t now);
struct row *cursor_next(struct cursor *cur);

bool value_same(const struct mk_value *a, const struct mk_value *b); /* null equals null */

/* Whether TEXT has every word of WORDS, whatever the case; false if WORDS has none. */
bool has_words(struct mk_view text, const char *words, locale_t unicode);

#endif
