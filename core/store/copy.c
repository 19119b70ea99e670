/* SPDX-License-Identifier: Apache-2.0 */
#include "store/copy.h"
#include "store/queue.h"
#include "store/rows.h"
#include "store/value.h"
#include "util/table.h"
#include <string.h>

enum { PAGE_FIRST = 64, PAGE_MAX = 2000, PAGE_BYTES = 4 << 20, FULL_MS = 5 };

void sweep_free(struct sweep *s) {
    buf_free(&s->reached);
}

/* The key that was reached, in a change to be freed; NULL at the beginning. */
static struct change *reached_key(const struct mk_coll *coll, const struct sweep *s) {
    struct record r;
    return s->reached.len && record_read(s->reached.data, s->reached.len, &r) ? record_change(&r, coll) : NULL;
}

static void set_reached(struct sweep *s, const struct mk_coll *coll, const struct mk_value *row) {
    struct mk_value key[16]; /* the server allows no more columns in a key */
    for (unsigned i = 0; i < key_count(coll); i++)
        key[i] = row[coll->keys[0].cols[i]];
    struct change *ch = change_new(coll, MK_X_DEL, key, key_count(coll), NULL, NULL);
    s->reached.len = 0;
    record_add(&s->reached, ch);
    change_free(ch);
}

static uint64_t mix(uint64_t hash) {
    hash ^= hash >> 31;
    return hash * 0x9e3779b97f4a7c15u;
}

/* The bytes of the row. */
static size_t add_to_sum(struct sweep *s, const struct mk_coll *coll, const struct mk_value *row, struct buf *scratch) {
    struct change *ch = change_new(coll, MK_X_PUT, row, coll->col_count, NULL, NULL);
    scratch->len = 0;
    record_add(scratch, ch);
    change_free(ch);
    s->sum += mix(hash_bytes(scratch->data, scratch->len));
    s->rows++;
    return scratch->len;
}

MK_SUSPENDS static int store_row(struct mk_ctx *c, const struct mk_coll *to, const struct mk_value *row, bool last) {
    for (;;) {
        int rc = last ? mk_put_now(c, to, MK_UPSERT, row) : mk_put_later(c, to, MK_UPSERT, row, NULL);
        if (rc != MK_E_BUSY)
            return rc;
        rc = mk_sleep(c, FULL_MS);
        if (rc)
            return rc;
    }
}

static void choose_page(struct sweep *s, size_t rows, size_t bytes) {
    size_t fit = bytes ? PAGE_BYTES / (bytes / rows + 1) : PAGE_MAX;
    s->page = fit < 1 ? 1 : fit > PAGE_MAX ? PAGE_MAX : (uint32_t)fit;
}

MK_SUSPENDS static int take_rows(struct mk_ctx *c, const struct mk_coll *from, const struct mk_coll *to,
                                 const struct mk_rows *rows, struct sweep *s) {
    size_t count = mk_rows_count(rows), bytes = 0;
    struct mk_value *row = mk_alloc(c, from->col_count * sizeof *row);
    struct buf scratch = { 0 };
    int rc = MK_OK;
    for (size_t i = 0; i < count && rc == MK_OK; i++) {
        if (!row_values(mk_rows_at(rows, i), row))
            rc = MK_E_INVALID;
        else if (to)
            rc = store_row(c, to, row, i + 1 == count);
        if (rc == MK_OK)
            bytes += add_to_sum(s, from, row, &scratch);
    }
    if (rc == MK_OK && count) {
        set_reached(s, from, row);
        choose_page(s, count, bytes);
    }
    buf_free(&scratch);
    return rc;
}

int sweep_page(struct mk_ctx *c, const struct mk_coll *from, const struct mk_coll *to, int64_t now, struct sweep *s) {
    const struct mk_rows *rows;
    uint32_t limit = s->page ? s->page : PAGE_FIRST;
    struct change *key = reached_key(from, s);
    int rc = store_page_at(c, from, key ? key->x.values : NULL, limit, now, &rows);
    if (key)
        change_free(key);
    if (rc == MK_OK)
        rc = take_rows(c, from, to, rows, s);
    s->end = rc == MK_OK && mk_rows_count(rows) < limit;
    return rc;
}
