/* SPDX-License-Identifier: Apache-2.0 */
/* How values, keys and rows of a collection look in Redis; common.lua has the same for the scripts. */
#include "redis.h"
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NULL_LEN 0xffffffffu

/* ---- values --------------------------------------------------------------------------------------------------- */

static struct mk_view text_of(const struct mk_value *v) {
    if (v->type == MK_C_JID)
        return (struct mk_view){ mk_jid_text(v->u.j), strlen(mk_jid_text(v->u.j)) };
    return (struct mk_view){ v->u.s, v->len };
}

static bool is_text(uint32_t type) {
    return type == MK_C_TEXT || type == MK_C_JID;
}

/* Numbers in the order of octets: the sign turned over, the highest octet first. */
static void put_number(struct bytes *b, int64_t i) {
    uint64_t n = htobe64((uint64_t)i ^ UINT64_C(1) << 63);
    bytes_add(b, &n, sizeof n);
}

static int64_t get_number(const char *at) {
    uint64_t n;
    memcpy(&n, at, sizeof n);
    return (int64_t)(be64toh(n) ^ UINT64_C(1) << 63);
}

void put_value(struct bytes *b, const struct mk_value *v) {
    if (is_text(v->type) || v->type == MK_C_BYTES) {
        struct mk_view text = text_of(v);
        bytes_add(b, text.s, text.len);
    } else if (v->type == MK_C_BOOL) {
        bytes_add(b, v->u.i ? "\1" : "\0", 1);
    } else {
        put_number(b, v->u.i);
    }
}

/* No text has a NUL. */
void put_part(struct bytes *b, const struct mk_value *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        put_value(b, &values[i]);
        if (is_text(values[i].type))
            bytes_add(b, "", 1);
    }
}

static void put_escaped(struct bytes *b, struct mk_view text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if (c < 32 || c == 127 || c == '%' || c == ',' || c == '{' || c == '}')
            bytes_printf(b, "%%%02x", c);
        else
            bytes_add(b, &c, 1);
    }
}

void put_tag(struct bytes *b, const struct mk_value *values, uint32_t count) {
    size_t before = b->len;
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            bytes_puts(b, ",");
        if (is_text(values[i].type)) {
            put_escaped(b, text_of(&values[i]));
        } else if (values[i].type == MK_C_BOOL) {
            bytes_puts(b, values[i].u.i ? "01" : "00");
        } else {
            bytes_printf(b, "%016llx", (unsigned long long)((uint64_t)values[i].u.i ^ UINT64_C(1) << 63));
        }
    }
    if (b->len == before)
        bytes_puts(b, "%");
}

bool value_same(const struct mk_value *a, const struct mk_value *b) {
    bool blob = is_text(a->type) || a->type == MK_C_BYTES;
    if (a->type == MK_V_NULL || b->type == MK_V_NULL)
        return a->type == b->type;
    if (!blob)
        return a->u.i == b->u.i;
    struct mk_view x = text_of(a), y = text_of(b);
    return x.len == y.len && (x.len == 0 || memcmp(x.s, y.s, x.len) == 0);
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

static void pick(const struct mk_value *row, const uint32_t *cols, uint32_t count, struct mk_value *out) {
    for (uint32_t i = 0; i < count; i++)
        out[i] = row[cols[i]];
}

enum { KEY_COLS = 64 };

void put_base(struct bytes *b, const struct table *t, const struct mk_value *partition) {
    bytes_puts(b, t->prefix);
    bytes_puts(b, ":{");
    put_tag(b, partition, t->key.partition);
    bytes_puts(b, "}");
}

void put_base_of_row(struct bytes *b, const struct table *t, const struct mk_value *row) {
    struct mk_value values[KEY_COLS];
    pick(row, t->key.cols, t->key.partition, values);
    put_base(b, t, values);
}

void put_field_of_row(struct bytes *b, const struct table *t, const struct mk_value *row) {
    struct mk_value values[KEY_COLS];
    pick(row, t->key.cols + t->key.partition, t->key.sort, values);
    put_part(b, values, t->key.sort);
}

void put_index_key(struct bytes *b, const struct table *t, unsigned index, const struct mk_value *row) {
    struct mk_coll_key key = mk_coll_key(t->coll, index);
    struct mk_value values[KEY_COLS];
    pick(row, key.cols, key.partition, values);
    bytes_puts(b, t->prefix);
    bytes_puts(b, ":");
    bytes_puts(b, table_index_name(t, index));
    bytes_puts(b, ":{");
    put_tag(b, values, key.partition);
    bytes_puts(b, "}");
}

void put_index_member(struct bytes *b, const struct table *t, unsigned index, const struct mk_value *row) {
    struct mk_coll_key key = mk_coll_key(t->coll, index);
    struct mk_value values[KEY_COLS];
    pick(row, key.cols + key.partition, key.sort, values);
    put_part(b, values, key.sort);
    pick(row, t->key.cols, t->key.partition, values);
    put_part(b, values, t->key.partition);
    put_field_of_row(b, t, row);
}

static const struct mk_value *find_value(struct mk_coll_key key, const struct mk_value *values, uint32_t col) {
    for (uint32_t i = 0; i < key.partition; i++)
        if (key.cols[i] == col)
            return &values[i];
    return NULL;
}

static bool is_partition(const struct table *t, uint32_t col) {
    for (uint32_t i = 0; i < t->key.partition; i++)
        if (t->key.cols[i] == col)
            return true;
    return false;
}

/* The rows' key, NUL not counted, then the order's; the first alone for an index that lies elsewhere. */
void put_scan_key(struct bytes *b, const struct table *t, const struct mk_scan *s) {
    struct mk_coll_key key = mk_coll_key(t->coll, s->index);
    struct mk_value own[KEY_COLS];
    for (uint32_t i = 0; i < t->key.partition; i++)
        own[i] = *find_value(key, s->partition, t->key.cols[i]);
    put_base(b, t, own);
    if (s->index == 0) {
        bytes_puts(b, ":_k");
        return;
    }
    bytes_printf(b, ":%s", table_index_name(t, s->index));
}

unsigned table_key_count(const struct table *t) {
    unsigned count = 1 + (t->key.sort > 0) + (t->ttl_col >= 0);
    for (unsigned i = 1; i <= t->index_count; i++)
        count += !table_is_remote(t, i);
    return count;
}

void req_table_keys(struct req *r, const struct table *t, const char *base, size_t len) {
    struct bytes b = { 0 };
    bytes_add(&b, base, len);
    req_arg(r, b.s, b.len);
    if (t->key.sort > 0) {
        bytes_puts(&b, ":_k");
        req_arg(r, b.s, b.len);
    }
    b.len = len;
    if (t->ttl_col >= 0) {
        bytes_puts(&b, ":_t");
        req_arg(r, b.s, b.len);
    }
    for (unsigned i = 1; i <= t->index_count; i++) {
        b.len = len;
        bytes_printf(&b, ":%s", table_index_name(t, i));
        if (!table_is_remote(t, i))
            req_arg(r, b.s, b.len);
    }
    bytes_free(&b);
}

void req_index_keys(struct req *r, struct db *db, enum script script, const char *key, size_t len, bool timed) {
    struct bytes b = { 0 };
    req_script(r, db, script, timed ? 3 : 2);
    bytes_add(&b, key, len);
    req_arg(r, b.s, b.len);
    req_key(r, db, key, len);
    bytes_puts(&b, ":v");
    req_arg(r, b.s, b.len);
    b.s[b.len - 1] = 't';
    if (timed)
        req_arg(r, b.s, b.len);
    bytes_free(&b);
}

/* What is greater than all that begins with this; nothing is if it has only the highest octets. */
static void step_over(struct bytes *b) {
    while (b->len > 1 && (unsigned char)b->s[b->len - 1] == 0xff)
        b->len--;
    if (b->len == 1)
        b->s[0] = '+';
    else
        b->s[b->len - 1]++;
}

static void put_bound(struct bytes *b, const struct bytes *prefix, const char *how, const struct mk_value *values,
                      uint32_t count) {
    bytes_puts(b, how);
    bytes_add(b, prefix->s, prefix->len);
    put_part(b, values, count);
}

/* Partition columns that an index has beyond those of the rows begin its members. */
void put_bounds(struct bytes *min, struct bytes *max, const struct table *t, const struct mk_scan *s) {
    struct mk_coll_key key = mk_coll_key(t->coll, s->index);
    struct bytes prefix = { 0 };
    bytes_add(&prefix, "", 0);
    for (uint32_t i = 0; i < key.partition && !table_is_remote(t, s->index); i++)
        if (!is_partition(t, key.cols[i]))
            put_part(&prefix, &s->partition[i], 1);
    if (s->lo_count || prefix.len)
        put_bound(min, &prefix, "[", s->lo, s->lo_count);
    else
        bytes_puts(min, "-");
    if (s->lo_count && s->flags & MK_SCAN_LO_OPEN)
        step_over(min);
    if (s->hi_count || prefix.len)
        put_bound(max, &prefix, "(", s->hi, s->hi_count);
    else
        bytes_puts(max, "+");
    if (max->len > 1 && !(s->hi_count && s->flags & MK_SCAN_HI_OPEN))
        step_over(max);
    bytes_free(&prefix);
}

/* One value of column COL; false: there is not enough. */
static bool take_part(const struct table *t, uint32_t col, struct mk_view *from, struct mk_value *v) {
    uint32_t type = mk_coll_col(t->coll, col)->type;
    const char *end = is_text(type) && from->len ? memchr(from->s, '\0', from->len) : NULL;
    size_t len = type == MK_C_BOOL ? 1 : 8;
    if (is_text(type)) {
        if (!end)
            return false;
        *v = mk_v_view((struct mk_view){ from->s, (size_t)(end - from->s) });
        len = v->len + 1u;
    } else if (from->len < len) {
        return false;
    } else {
        *v = type == MK_C_BOOL ? mk_v_bool(*from->s) : mk_v_int(get_number(from->s));
    }
    from->s += len;
    from->len -= len;
    return true;
}

bool member_place(const struct table *t, unsigned index, struct mk_view member, struct bytes *base,
                  struct bytes *field) {
    struct mk_coll_key key = mk_coll_key(t->coll, index);
    struct mk_value values[KEY_COLS];
    for (uint32_t i = 0; i < key.sort; i++)
        if (!take_part(t, key.cols[key.partition + i], &member, &values[0]))
            return false;
    for (uint32_t i = 0; i < t->key.partition; i++)
        if (!take_part(t, t->key.cols[i], &member, &values[i]))
            return false;
    put_base(base, t, values);
    bytes_add(field, member.s, member.len);
    return true;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static void put_len(struct bytes *b, uint32_t len) {
    len = htobe32(len);
    bytes_add(b, &len, sizeof len);
}

void put_row(struct bytes *b, const struct table *t, const struct mk_value *row, const void *token, size_t token_len) {
    unsigned char len = (unsigned char)token_len;
    bytes_add(b, &len, 1);
    bytes_add(b, token, token_len);
    for (unsigned i = 0; i < t->col_count; i++) {
        if (row[i].type == MK_V_NULL) {
            put_len(b, NULL_LEN);
            continue;
        }
        size_t at = b->len;
        put_len(b, 0);
        put_value(b, &row[i]);
        uint32_t size = htobe32((uint32_t)(b->len - at - 4));
        memcpy(b->s + at, &size, sizeof size);
    }
}

static bool read_col(uint32_t type, const char *at, uint32_t len, struct mk_value *v) {
    switch (type) {
    case MK_C_TEXT:
    case MK_C_JID:
        *v = mk_v_view((struct mk_view){ at, len });
        return true;
    case MK_C_BYTES:
        *v = mk_v_bytes(at, len);
        return true;
    case MK_C_BOOL:
        *v = mk_v_bool(len && *at);
        return len == 1;
    default:
        *v = len == 8 ? mk_v_int(get_number(at)) : mk_v_null();
        return len == 8;
    }
}

static struct mk_value default_of(const struct mk_col_decl *col) {
    if (col->flags & MK_COL_NULL)
        return mk_v_null();
    if (is_text(col->type) || col->type == MK_C_BYTES)
        return mk_v_view((struct mk_view){ "", 0 });
    return mk_v_int(0);
}

bool row_read(const struct table *t, const char *row, size_t len, struct mk_value *values) {
    const char *end = row + len;
    if (len == 0 || (size_t)(unsigned char)*row + 1 > len)
        return false;
    row += (unsigned char)*row + 1;
    for (unsigned i = 0; i < t->col_count; i++) {
        const struct mk_col_decl *col = mk_coll_col(t->coll, i);
        uint32_t size;
        values[i] = default_of(col);
        if (row == end)
            continue;
        if (end - row < 4)
            return false;
        memcpy(&size, row, sizeof size);
        size = be32toh(size);
        row += 4;
        if (size == NULL_LEN)
            values[i] = mk_v_null();
        else if ((size_t)(end - row) < size || !read_col(col->type, row, size, &values[i]))
            return false;
        else
            row += size;
    }
    return true;
}

bool row_lives(const struct table *t, const struct mk_value *values, int64_t now) {
    return t->ttl_col < 0 || values[t->ttl_col].type == MK_V_NULL || values[t->ttl_col].u.i > now;
}

bool row_matches(const struct mk_scan *s, const struct mk_value *values) {
    for (uint32_t i = 0; i < s->filter_count; i++)
        if (!value_same(&s->filters[i].value, &values[s->filters[i].col]))
            return false;
    return true;
}

int64_t put_ttl(const struct table *t, const struct mk_value *row, bool *has) {
    *has = t->ttl_col >= 0 && row[t->ttl_col].type != MK_V_NULL;
    return *has ? row[t->ttl_col].u.i : 0;
}

/* ---- the collection ------------------------------------------------------------------------------------------- */

const char *table_index_name(const struct table *t, unsigned index) {
    const struct mk_index_decl *rows = mk_coll_decl(t->coll)->indexes.items;
    return rows[index - 1].name;
}

bool table_is_remote(const struct table *t, unsigned index) {
    struct mk_coll_key key = mk_coll_key(t->coll, index);
    for (uint32_t i = 0; index && i < t->key.partition; i++) {
        bool there = false;
        for (uint32_t j = 0; j < key.partition; j++)
            there |= key.cols[j] == t->key.cols[i];
        if (!there)
            return true;
    }
    return false;
}

bool table_has_col(const struct table *t, unsigned index, uint32_t col) {
    struct mk_coll_key key = mk_coll_key(t->coll, index);
    for (uint32_t i = 0; i < key.partition + key.sort; i++)
        if (key.cols[i] == col)
            return true;
    return false;
}

/* Lua counts from 1. */
static void put_list(struct bytes *b, const struct table *t, const uint32_t *cols, uint32_t count, bool foreign) {
    const char *comma = "";
    bytes_puts(b, "[");
    for (uint32_t i = 0; i < count; i++)
        if (!foreign || !is_partition(t, cols[i])) {
            bytes_printf(b, "%s%u", comma, cols[i] + 1);
            comma = ",";
        }
    bytes_puts(b, "]");
}

static char *make_json(const struct table *t) {
    struct bytes b = { 0 };
    bytes_printf(&b, "{\"n\":\"%s\",\"t\":%d,\"k\":\"", t->prefix, t->ttl_col + 1);
    for (unsigned i = 0; i < t->col_count; i++) {
        const struct mk_col_decl *col = mk_coll_col(t->coll, i);
        const char *kind = col->flags & MK_COL_NULL ? "TYIIBT" : "tyiibt";
        bytes_add(&b, &kind[col->type], 1);
    }
    bytes_puts(&b, "\",\"p\":");
    put_list(&b, t, t->key.cols, t->key.partition, false);
    bytes_puts(&b, ",\"s\":");
    put_list(&b, t, t->key.cols + t->key.partition, t->key.sort, false);
    bytes_puts(&b, ",\"x\":[");
    for (unsigned i = 1; i <= t->index_count; i++) {
        struct mk_coll_key key = mk_coll_key(t->coll, i);
        bool remote = table_is_remote(t, i);
        bytes_printf(&b, "%s{\"n\":\"%s\",\"r\":%d,\"p\":", i > 1 ? "," : "", table_index_name(t, i), remote);
        put_list(&b, t, key.cols, key.partition, !remote);
        bytes_puts(&b, ",\"s\":");
        put_list(&b, t, key.cols + key.partition, key.sort, false);
        bytes_puts(&b, "}");
    }
    bytes_add(&b, "]}", 3);
    return b.s;
}

/* One line a column, one an index. */
static char *make_schema(const struct table *t) {
    static const char *const types[] = { "text", "bytes", "int", "time", "bool", "jid" };
    struct bytes b = { 0 };
    bytes_printf(&b, "version %u\n", mk_coll_decl(t->coll)->version);
    for (unsigned i = 0; i < t->col_count; i++) {
        const struct mk_col_decl *col = mk_coll_col(t->coll, i);
        bytes_printf(&b, "column %s %s%s%s%s\n", col->name, types[col->type],
                     col->flags & MK_COL_PARTITION ? " partition" : "", col->flags & MK_COL_SORT ? " sort" : "",
                     col->flags & MK_COL_NULL ? " null" : "");
    }
    for (unsigned i = 1; i <= t->index_count; i++) {
        struct mk_coll_key key = mk_coll_key(t->coll, i);
        bytes_printf(&b, "index %s", table_index_name(t, i));
        for (uint32_t k = 0; k < key.partition + key.sort; k++)
            bytes_printf(&b, "%s%s", k == key.partition ? " / " : " ", mk_coll_col(t->coll, key.cols[k])->name);
        bytes_puts(&b, "\n");
    }
    bytes_add(&b, "", 1);
    return b.s;
}

struct table *table_new(const struct db *db, const struct mk_coll *coll) {
    struct table *t = must_alloc(calloc(1, sizeof *t));
    struct bytes prefix = { 0 };
    t->coll = coll;
    t->col_count = mk_coll_col_count(coll);
    t->index_count = mk_coll_index_count(coll);
    t->key = mk_coll_key(coll, 0);
    t->ttl_col = -1;
    for (unsigned i = 0; i < t->col_count; i++)
        if (mk_coll_col(coll, i)->flags & MK_COL_TTL)
            t->ttl_col = (int)i;
    bytes_printf(&prefix, "%s%s", db->me->prefix, mk_coll_decl(coll)->name);
    t->prefix = prefix.s;
    for (unsigned i = 1; i <= t->index_count; i++)
        t->remote |= table_is_remote(t, i);
    t->json = make_json(t);
    t->schema = make_schema(t);
    return t;
}

void table_free(struct table *t) {
    names_drop(t->names);
    free(t->prefix);
    free(t->json);
    free(t->schema);
    free(t);
}
