/* SPDX-License-Identifier: Apache-2.0 */
#include "store/value.h"
#include "store/queue.h"
#include "util/text.h"
#include <string.h>

struct mk_value mk_v_text(const char *s) {
    if (!s)
        return mk_v_null();
    return mk_v_view((struct mk_view){ s, strlen(s) });
}

/* ---- checking ------------------------------------------------------------------------------------------------- */

static bool is_text(const struct mk_value *v, size_t max) {
    return (v->u.s || v->len == 0) && v->len <= max && utf8_valid(v->u.s ? v->u.s : "", v->len);
}

static bool fits(const struct mk_coll *coll, unsigned col, const struct mk_value *v) {
    if (v->type != coll->cols[col].type)
        return false;
    switch (v->type) {
    case MK_C_TEXT:
        return is_text(v, coll->in_key >> col & 1 ? VALUE_KEY_MAX : VALUE_MAX);
    case MK_C_BYTES:
        return (v->u.b || v->len == 0) && v->len <= VALUE_MAX;
    case MK_C_JID:
        return v->u.j != NULL;
    default:
        return true;
    }
}

int value_check(const struct mk_coll *coll, unsigned col, const struct mk_value *v) {
    if (v->type == MK_V_NULL)
        return coll->cols[col].flags & MK_COL_NULL ? MK_OK : MK_E_INVALID;
    return fits(coll, col, v) ? MK_OK : MK_E_INVALID;
}

int row_check(const struct mk_coll *coll, const struct mk_value *row) {
    for (unsigned i = 0; i < coll->col_count; i++)
        if (value_check(coll, i, &row[i]) != MK_OK)
            return MK_E_INVALID;
    return MK_OK;
}

static int cols_check(const struct mk_coll *coll, const uint32_t *cols, unsigned count, const struct mk_value *values) {
    for (unsigned i = 0; i < count; i++)
        if (!fits(coll, cols[i], &values[i]))
            return MK_E_INVALID;
    return MK_OK;
}

int key_check(const struct mk_coll *coll, const struct mk_value *key) {
    return cols_check(coll, coll->keys[0].cols, key_count(coll), key);
}

static int search_check(const struct mk_coll *coll, const struct mk_scan *s) {
    if (!(service_of(coll)->caps & MK_CAP_TEXT_SEARCH))
        return MK_E_UNSUPPORTED;
    if (s->search_col >= coll->col_count || !(coll->cols[s->search_col].flags & MK_COL_TEXT_SEARCH))
        return MK_E_INVALID;
    size_t len = strnlen(s->search, SEARCH_MAX + 1);
    return len <= SEARCH_MAX && utf8_valid(s->search, len) ? MK_OK : MK_E_INVALID;
}

static int filters_check(const struct mk_coll *coll, const struct mk_scan *s) {
    if (s->filter_count > FILTERS_MAX)
        return MK_E_INVALID;
    for (unsigned i = 0; i < s->filter_count; i++) {
        const struct mk_filter *f = &s->filters[i];
        if (f->col >= coll->col_count || (f->value.type != MK_V_NULL && !fits(coll, f->col, &f->value)))
            return MK_E_INVALID;
    }
    return MK_OK;
}

int scan_check(const struct mk_coll *coll, const struct mk_scan *what) {
    struct mk_scan s = scan_read(what);
    if (s.index > coll->index_count || !s.partition)
        return MK_E_INVALID;
    struct mk_coll_key key = coll->keys[s.index];
    if (s.lo_count > key.sort || s.hi_count > key.sort)
        return MK_E_INVALID;
    if (cols_check(coll, key.cols, key.partition, s.partition) != MK_OK ||
        cols_check(coll, key.cols + key.partition, s.lo_count, s.lo) != MK_OK ||
        cols_check(coll, key.cols + key.partition, s.hi_count, s.hi) != MK_OK)
        return MK_E_INVALID;
    int rc = filters_check(coll, &s);
    return rc == MK_OK && s.search ? search_check(coll, &s) : rc;
}

struct mk_scan scan_read(const struct mk_scan *what) {
    struct mk_scan s = { 0 };
    memcpy(&s, what, what->size < sizeof s ? what->size : sizeof s);
    s.size = sizeof s;
    return s;
}

/* ---- copying -------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t n) {
    return (n + 7) & ~(size_t)7;
}

static size_t jid_size(const struct mk_jid *j) {
    return sizeof *j + j->text_len + 1;
}

static size_t value_size(const struct mk_value *v) {
    switch (v->type) {
    case MK_C_TEXT:
    case MK_C_BYTES:
        return round_up((size_t)v->len + 1);
    case MK_C_JID:
        return round_up(jid_size(v->u.j));
    default:
        return 0;
    }
}

size_t values_size(const struct mk_value *v, size_t count) {
    size_t size = count * sizeof *v;
    for (size_t i = 0; i < count; i++)
        size += value_size(&v[i]);
    return size;
}

static void value_copy(char **at, struct mk_value *to, const struct mk_value *from) {
    *to = *from;
    switch (from->type) {
    case MK_C_TEXT:
    case MK_C_BYTES:
        to->u.b = *at;
        if (from->len)
            memcpy(*at, from->u.b, from->len);
        (*at)[from->len] = '\0';
        break;
    case MK_C_JID:
        to->u.b = *at;
        memcpy(*at, from->u.j, jid_size(from->u.j));
        break;
    case MK_C_BOOL:
        to->u.i = from->u.i != 0;
        break;
    default:
        break;
    }
    *at += value_size(from);
}

struct mk_value *values_copy(char **at, const struct mk_value *v, size_t count) {
    struct mk_value *to = (struct mk_value *)*at;
    *at += count * sizeof *v;
    for (size_t i = 0; i < count; i++)
        value_copy(at, &to[i], &v[i]);
    return to;
}

size_t scan_size(const struct mk_coll *coll, const struct mk_scan *what) {
    struct mk_scan s = scan_read(what);
    size_t size = sizeof s + values_size(s.partition, coll->keys[s.index].partition) + values_size(s.lo, s.lo_count) +
                  values_size(s.hi, s.hi_count) + s.filter_count * sizeof *s.filters;
    for (unsigned i = 0; i < s.filter_count; i++)
        size += value_size(&s.filters[i].value);
    return size + (s.search ? round_up(strlen(s.search) + 1) : 0);
}

static struct mk_filter *filters_copy(char **at, const struct mk_filter *filters, unsigned count) {
    struct mk_filter *to = (struct mk_filter *)*at;
    *at += count * sizeof *to;
    for (unsigned i = 0; i < count; i++) {
        to[i] = (struct mk_filter){ .col = filters[i].col };
        value_copy(at, &to[i].value, &filters[i].value);
    }
    return to;
}

struct mk_scan *scan_copy(char **at, const struct mk_coll *coll, const struct mk_scan *what) {
    struct mk_scan *s = (struct mk_scan *)*at;
    *at += sizeof *s;
    *s = scan_read(what);
    s->partition = values_copy(at, s->partition, coll->keys[s->index].partition);
    s->lo = values_copy(at, s->lo, s->lo_count);
    s->hi = values_copy(at, s->hi, s->hi_count);
    s->filters = filters_copy(at, s->filters, s->filter_count);
    if (s->search) {
        size_t len = strlen(s->search) + 1;
        memcpy(*at, s->search, len);
        s->search = *at;
        *at += round_up(len);
    }
    return s;
}

/* ---- partitions ----------------------------------------------------------------------------------------------- */

static uint64_t value_hash(const struct mk_value *v) {
    switch (v->type) {
    case MK_C_TEXT:
    case MK_C_BYTES:
        return hash_bytes(v->u.b, v->len);
    case MK_C_JID:
        return hash_bytes(v->u.j->text, v->u.j->text_len);
    case MK_C_BOOL:
        return v->u.i != 0;
    default:
        return hash_bytes(&v->u.i, sizeof v->u.i);
    }
}

static const struct mk_value *find_col(uint32_t col, const uint32_t *cols, unsigned count,
                                       const struct mk_value *values) {
    for (unsigned i = 0; i < count; i++)
        if (cols[i] == col)
            return &values[i];
    return NULL;
}

static uint64_t mix(uint64_t hash, uint64_t more) {
    return (hash ^ more) * 0x9e3779b97f4a7c15u + 1;
}

bool partition_hash(const struct mk_coll *coll, const uint32_t *cols, unsigned count, const struct mk_value *values,
                    uint64_t *hash) {
    *hash = 0;
    for (unsigned i = 0; i < coll->keys[0].partition; i++) {
        const struct mk_value *v = find_col(coll->keys[0].cols[i], cols, count, values);
        if (!v)
            return false;
        *hash = mix(*hash, value_hash(v));
    }
    return true;
}

uint64_t row_partition(const struct mk_coll *coll, const struct mk_value *row) {
    uint64_t hash = 0;
    for (unsigned i = 0; i < coll->keys[0].partition; i++)
        hash = mix(hash, value_hash(&row[coll->keys[0].cols[i]]));
    return hash;
}

uint64_t key_partition(const struct mk_coll *coll, const struct mk_value *key) {
    uint64_t hash = 0;
    for (unsigned i = 0; i < coll->keys[0].partition; i++)
        hash = mix(hash, value_hash(&key[i]));
    return hash;
}
