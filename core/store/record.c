/* SPDX-License-Identifier: Apache-2.0 */
#include "route/jid.h"
#include "store/journal.h"
#include "store/queue.h"
#include "store/value.h"
#include "util/mem.h"
#include <string.h>

/* Of what is behind the head of a record. */
enum { AT_KIND, AT_MODE, AT_NAME_LEN, AT_COUNT, AT_VERSION, AT_NAME = 8 };

/* CRC-32C, whose table is made of this polynomial. */
uint32_t journal_checksum(const char *data, size_t len) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                            0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                            0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };
        crc ^= (unsigned char)data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

void journal_put_int(char *at, uint64_t n, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (char)(n >> 8 * i);
}

static void add_int(struct buf *out, uint64_t n, unsigned bytes) {
    char text[8];
    journal_put_int(text, n, bytes);
    buf_add(out, text, bytes);
}

uint64_t journal_get_int(const char *at, unsigned bytes) {
    uint64_t n = 0;
    for (unsigned i = bytes; i-- > 0;)
        n = n << 8 | (unsigned char)at[i];
    return n;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static void add_value(struct buf *out, const struct mk_value *v) {
    add_int(out, v->type, 1);
    switch (v->type) {
    case MK_C_TEXT:
    case MK_C_BYTES:
        add_int(out, v->len, 4);
        buf_add(out, v->u.b, v->len);
        break;
    case MK_C_JID:
        add_int(out, v->u.j->text_len, 4);
        buf_add(out, v->u.j->text, v->u.j->text_len);
        break;
    case MK_V_NULL:
        break;
    default:
        add_int(out, (uint64_t)v->u.i, 8);
        break;
    }
}

void record_add(struct buf *out, const struct change *ch) {
    const struct mk_coll *coll = ch->x.coll;
    unsigned count = ch->x.kind == MK_X_PUT ? coll->col_count : key_count(coll);
    size_t start = out->len, name_len = strlen(coll->decl->name);
    add_int(out, 0, RECORD_HEAD);
    add_int(out, ch->x.kind, 1);
    add_int(out, ch->x.mode, 1);
    add_int(out, name_len, 1);
    add_int(out, count, 1);
    add_int(out, coll->decl->version, 4);
    buf_add(out, coll->decl->name, name_len);
    for (unsigned i = 0; i < count; i++)
        add_value(out, &ch->x.values[i]);
    size_t len = out->len - start - RECORD_HEAD;
    char *head = out->data + start;
    journal_put_int(head, len, 4);
    journal_put_int(head + 4, journal_checksum(head + RECORD_HEAD, len), 4);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

size_t record_length(const char *data, size_t len) {
    uint64_t n = len < RECORD_HEAD ? 0 : journal_get_int(data, 4);
    return n < AT_NAME || n > RECORD_MAX ? 0 : RECORD_HEAD + (size_t)n;
}

bool record_read(const char *data, size_t len, struct record *r) {
    const char *body = data + RECORD_HEAD;
    if (record_length(data, len) != len || journal_get_int(data + 4, 4) != journal_checksum(body, len - RECORD_HEAD))
        return false;
    r->kind = (uint32_t)journal_get_int(body + AT_KIND, 1);
    r->mode = (uint32_t)journal_get_int(body + AT_MODE, 1);
    r->count = (uint32_t)journal_get_int(body + AT_COUNT, 1);
    r->version = (uint32_t)journal_get_int(body + AT_VERSION, 4);
    r->name = (struct mk_view){ body + AT_NAME, (size_t)journal_get_int(body + AT_NAME_LEN, 1) };
    r->values = body + AT_NAME + r->name.len;
    r->end = data + len;
    return r->values <= r->end && (r->kind == MK_X_PUT || r->kind == MK_X_DEL);
}

static bool read_bytes(struct arena *arena, const char **at, const char *end, struct mk_value *v) {
    if (end - *at < 4)
        return false;
    v->len = (uint32_t)journal_get_int(*at, 4);
    *at += 4;
    if ((size_t)(end - *at) < v->len)
        return false;
    const char *text = *at;
    *at += v->len;
    if (v->type == MK_C_JID)
        return jid_read(arena, arena_memdup(arena, text, v->len), v->len, &v->u.j) == MK_OK;
    v->u.b = text;
    return true;
}

static bool read_value(struct arena *arena, const char **at, const char *end, struct mk_value *v) {
    if (*at == end)
        return false;
    *v = (struct mk_value){ .type = (unsigned char)*(*at)++ };
    if (v->type == MK_V_NULL)
        return true;
    if (v->type == MK_C_TEXT || v->type == MK_C_BYTES || v->type == MK_C_JID)
        return read_bytes(arena, at, end, v);
    if (end - *at < 8)
        return false;
    v->u.i = (int64_t)journal_get_int(*at, 8);
    *at += 8;
    return true;
}

/* What a column that came with a later version has in an old row. */
static struct mk_value value_of_old(const struct mk_col_decl *col) {
    if (col->flags & MK_COL_NULL)
        return mk_v_null();
    struct mk_value v = { .type = col->type };
    if (col->type == MK_C_TEXT || col->type == MK_C_BYTES)
        v.u.s = "";
    return v;
}

static bool read_values(struct arena *arena, const struct record *r, const struct mk_coll *coll, unsigned count,
                        struct mk_value *values) {
    const char *at = r->values;
    if (r->count > count || r->version > coll->decl->version || (r->kind == MK_X_DEL && r->count != count))
        return false;
    for (unsigned i = 0; i < r->count; i++)
        if (!read_value(arena, &at, r->end, &values[i]))
            return false;
    for (unsigned i = r->count; i < count; i++)
        values[i] = value_of_old(&coll->cols[i]);
    return at == r->end && (r->kind == MK_X_PUT ? row_check(coll, values) : key_check(coll, values)) == MK_OK;
}

struct change *record_change(const struct record *r, const struct mk_coll *coll) {
    struct arena arena;
    unsigned count = r->kind == MK_X_PUT ? coll->col_count : key_count(coll);
    arena_init(&arena);
    struct mk_value *values = arena_zalloc(&arena, count * sizeof *values);
    struct change *ch = NULL;
    if (read_values(&arena, r, coll, count, values)) {
        ch = change_new(coll, r->kind, values, count, NULL, NULL);
        ch->x.mode = r->mode;
        change_later(ch);
    }
    arena_free(&arena);
    return ch;
}
