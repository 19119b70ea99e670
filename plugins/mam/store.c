/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of an archive, and of the words in it. */
#include "mam.h"
#include <string.h>

/* The domain of a room is never that of its host. */
struct archive *archive_self(struct mk_ctx *c) {
    struct mk_view mine = mk_jid_domain(mk_self(c)), host = mk_jid_domain(mk_host(c));
    bool room = mine.len != host.len || memcmp(mine.s, host.s, host.len) != 0;
    struct archive *a = mk_self_slot(c, room ? SLOT_ROOM : SLOT_ACCOUNT);
    a->room = room;
    return a;
}

/* ---- adding ------------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS int archive_open(struct mk_ctx *c, struct archive *a) {
    const struct mk_row *const *rows;
    uint32_t count;
    if (a->open)
        return MK_OK;
    struct choice all = { .range = range_all() };
    int rc = archive_scan(c, &all, true, 1, &rows, &count);
    if (rc != MK_OK)
        return rc;
    if (count && row_place(rows[0]).time > a->last)
        a->last = row_place(rows[0]).time;
    a->open = true;
    return MK_OK;
}

static int64_t next_nonce(struct mk_ctx *c) {
    struct nonces *w = mk_worker(c);
    if (w->left == 0) {
        mk_random(w->numbers, sizeof w->numbers);
        w->left = NONCES;
    }
    return w->numbers[--w->left] & INT64_MAX;
}

struct place archive_next(struct mk_ctx *c, struct archive *a) {
    a->last = id_next_time(a->last, mk_now(c));
    return (struct place){ a->last, next_nonce(c) };
}

/* When a message of TIME is dropped; never, if that lies beyond the end of time. */
static struct mk_value expiry(const struct mam *me, int64_t time) {
    return me->max_age < (INT64_MAX - time) / 1000 ? mk_v_time(time + me->max_age * 1000) : mk_v_null();
}

/* What a retraction may name it by; keys are bounded. */
static const char *ref_of(const struct mk_stanza *s) {
    const char *id = mk_stanza_id(s);
    return id && strlen(id) <= 1024 ? id : "";
}

static int add_words(struct mk_ctx *c, const struct mk_value *row, const struct mk_stanza *s) {
    const struct mam *me = mk_inst(c);
    const char *body = mk_text(c, mk_child(s, "body", mk_elem_ns(mk_root(s))));
    if (!*body)
        return MK_OK;
    struct mk_value words[WORDS_COUNT];
    memcpy(words, row, WORDS_WORDS * sizeof *words);
    words[WORDS_WORDS] = mk_v_text(body);
    words[WORDS_EXPIRES] = row[COL_EXPIRES];
    return mk_put_later(c, me->words, MK_UPSERT, words, NULL);
}

bool fulltext_works(const struct mam *me) {
    return me->fulltext && mk_coll_caps(me->words) & MK_CAP_TEXT_SEARCH;
}

static void fill_row(struct mk_ctx *c, struct mk_value row[COL_COUNT], struct place at,
                     const struct mk_archive_entry *e) {
    row[COL_OWNER] = mk_v_jid(mk_self(c));
    row[COL_TIME] = mk_v_time(at.time);
    row[COL_NONCE] = mk_v_int(at.nonce);
    row[COL_PEER] = mk_v_jid(mk_jid_to_bare(c, e->with));
    row[COL_RESOURCE] = mk_v_view(mk_jid_resource(e->with));
    row[COL_SENT] = mk_v_bool(e->sent);
    row[COL_REF] = mk_v_text(ref_of(e->stanza));
    row[COL_SENDER] = mk_v_jid(e->sender);
    row[COL_STANZA] = mk_v_view(mk_stanza_xml(c, e->stanza));
    row[COL_EXPIRES] = expiry(mk_inst(c), at.time);
}

int archive_add(struct mk_ctx *c, struct archive *a, struct place at, const struct mk_archive_entry *e) {
    const struct mam *me = mk_inst(c);
    struct mk_value row[COL_COUNT];
    fill_row(c, row, at, e);
    int rc = mk_put_later(c, me->messages, MK_UPSERT, row, e->receipt_of);
    if (rc != MK_OK)
        return rc;
    if (fulltext_works(me) && add_words(c, row, e->stanza) != MK_OK)
        mk_log(c, MK_WARNING, "a message was archived without its words");
    mk_count(c, M_ARCHIVED, 1);
    a->count++;
    trim_soon(c, a);
    return MK_OK;
}

int archive_put_all(struct mk_ctx *c, struct archive *a, const struct archive_item *items, uint32_t count) {
    const struct mam *me = mk_inst(c);
    struct mk_write *writes = mk_alloc(c, (count + 1) * sizeof *writes);
    for (uint32_t i = 0; i < count; i++) {
        struct mk_value *row = mk_alloc(c, COL_COUNT * sizeof *row);
        fill_row(c, row, items[i].at, &items[i].entry);
        writes[i] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->messages, row };
        if (fulltext_works(me) && add_words(c, row, items[i].entry.stanza) != MK_OK)
            return MK_E_BUSY;
    }
    int rc = count ? mk_batch(c, writes, count) : MK_OK;
    a->counted = false;
    if (rc == MK_OK && count && items[count - 1].at.time > a->last)
        a->last = items[count - 1].at.time;
    return rc;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

struct place row_place(const struct mk_row *row) {
    return (struct place){ mk_row_int(row, COL_TIME), mk_row_int(row, COL_NONCE) };
}

bool row_is_with(const struct mk_row *row, const struct mk_jid *with) {
    struct mk_view resource = mk_jid_resource(with);
    return mk_jid_same_bare(mk_row_jid(row, COL_PEER), with) &&
           (!resource.len || strcmp(mk_row_text(row, COL_RESOURCE), resource.s) == 0);
}

int row_read(struct mk_ctx *c, const struct mk_row *row, struct mk_archive_row *out) {
    const char *xml = mk_row_text(row, COL_STANZA), *resource = mk_row_text(row, COL_RESOURCE);
    const struct mk_jid *peer = mk_row_jid(row, COL_PEER);
    *out = (struct mk_archive_row){
        .time = mk_row_int(row, COL_TIME),
        .sender = mk_row_is_null(row, COL_SENDER) ? NULL : mk_row_jid(row, COL_SENDER),
        .sent = mk_row_int(row, COL_SENT),
    };
    id_write(out->id, row_place(row));
    int rc = mk_jid_make(c, mk_jid_local(peer), mk_jid_domain(peer), (struct mk_view){ resource, strlen(resource) },
                         &out->with);
    return rc == MK_OK ? mk_stanza_read(c, (struct mk_view){ xml, strlen(xml) }, &out->stanza) : rc;
}

/* The values that a scan points to. */
struct bounds {
    struct mk_value partition[2], lo[2], hi[2];
    struct mk_filter filter;
    struct mk_scan scan;
};

static const struct mk_scan *make_scan(struct mk_ctx *c, struct bounds *b, const struct choice *which, bool reverse,
                                       uint32_t limit) {
    const struct range *r = &which->range;
    *b = (struct bounds){ .partition = { mk_v_jid(mk_self(c)) },
                          .lo = { mk_v_time(r->lo.time), mk_v_int(r->lo.nonce) },
                          .hi = { mk_v_time(r->hi.time), mk_v_int(r->hi.nonce) } };
    b->scan = (struct mk_scan){ .size = sizeof b->scan,
                                .partition = b->partition,
                                .lo = b->lo,
                                .lo_count = 2,
                                .hi = b->hi,
                                .hi_count = 2,
                                .limit = limit,
                                .search = which->words,
                                .search_col = WORDS_WORDS };
    b->scan.flags =
        (reverse ? MK_SCAN_REVERSE : 0) | (r->lo_open ? MK_SCAN_LO_OPEN : 0) | (r->hi_open ? MK_SCAN_HI_OPEN : 0);
    if (!which->with)
        return &b->scan;
    b->scan.index = BY_PEER;
    b->partition[1] = mk_v_jid(mk_jid_to_bare(c, which->with));
    if (mk_jid_resource(which->with).len) {
        b->filter = (struct mk_filter){ COL_RESOURCE, 0, mk_v_view(mk_jid_resource(which->with)) };
        b->scan.filters = &b->filter;
        b->scan.filter_count = 1;
    }
    return &b->scan;
}

static const struct mk_coll *coll_of(const struct mam *me, const struct choice *which) {
    return which->words ? me->words : me->messages;
}

MK_SUSPENDS int archive_get(struct mk_ctx *c, struct place at, const struct mk_row **row) {
    const struct mam *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_time(at.time), mk_v_int(at.nonce) };
    return mk_get(c, me->messages, key, row);
}

MK_SUSPENDS int archive_scan(struct mk_ctx *c, const struct choice *which, bool reverse, uint32_t limit,
                             const struct mk_row *const **rows, uint32_t *count) {
    struct bounds b;
    const struct mk_rows *found;
    int rc = mk_scan(c, coll_of(mk_inst(c), which), make_scan(c, &b, which, reverse, limit), &found);
    if (rc != MK_OK)
        return rc;
    const struct mk_row **out = mk_alloc(c, (mk_rows_count(found) + 1) * sizeof *out);
    *count = 0;
    for (size_t i = 0; i < mk_rows_count(found); i++) {
        const struct mk_row *row = mk_rows_at(found, i);
        rc = which->words ? archive_get(c, row_place(row), &row) : MK_OK;
        if (rc == MK_OK)
            out[(*count)++] = row;
        else if (rc != MK_E_NOTFOUND) /* it went meanwhile */
            return rc;
    }
    *rows = out;
    return MK_OK;
}

MK_SUSPENDS int archive_count(struct mk_ctx *c, const struct choice *which, uint32_t limit, int64_t *count) {
    struct bounds b;
    return mk_scan_count(c, coll_of(mk_inst(c), which), make_scan(c, &b, which, false, limit), count);
}

/* ---- deleting ------------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS int archive_drop(struct mk_ctx *c, const struct mk_jid *owner) {
    const struct mam *me = mk_inst(c);
    struct mk_value partition = mk_v_jid(owner);
    int rc = mk_del_range(c, me->words, MK_SCAN(.partition = &partition));
    return rc == MK_OK ? mk_del_range(c, me->messages, MK_SCAN(.partition = &partition)) : rc;
}

MK_SUSPENDS int archive_drop_until(struct mk_ctx *c, struct place up_to) {
    const struct mam *me = mk_inst(c);
    struct mk_value partition = mk_v_jid(mk_self(c));
    const struct mk_value hi[] = { mk_v_time(up_to.time), mk_v_int(up_to.nonce) };
    int rc = mk_del_range(c, me->words, MK_SCAN(.partition = &partition, .hi = hi, .hi_count = 2));
    return rc == MK_OK ? mk_del_range(c, me->messages, MK_SCAN(.partition = &partition, .hi = hi, .hi_count = 2)) : rc;
}

MK_SUSPENDS int archive_drop_rows(struct mk_ctx *c, const struct mk_row *const *rows, uint32_t count) {
    const struct mam *me = mk_inst(c);
    struct mk_value(*keys)[3] = mk_alloc(c, count * sizeof *keys + 1);
    struct mk_write *writes = mk_alloc(c, (2 * (size_t)count + 1) * sizeof *writes);
    for (uint32_t i = 0; i < count; i++) {
        const struct place at = row_place(rows[i]);
        keys[i][0] = mk_v_jid(mk_self(c));
        keys[i][1] = mk_v_time(at.time);
        keys[i][2] = mk_v_int(at.nonce);
        writes[i] = (struct mk_write){ MK_W_DEL, 0, me->messages, keys[i] };
        writes[count + i] = (struct mk_write){ MK_W_DEL, 0, me->words, keys[i] };
    }
    int rc = mk_batch(c, writes, count);
    return rc == MK_OK ? mk_batch(c, writes + count, count) : rc;
}
