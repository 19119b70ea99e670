/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of accounts on their way in and out (XEP-0227). */
#include "mam.h"
#include <string.h>

#define NS_PIE_MAM "urn:xmpp:pie:0#mam"
#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_DELAY "urn:xmpp:delay"

enum { PART_ROWS = 100, PART_BYTES = 64 * 1024, SECOND = 1000000 };

/* ---- out ------------------------------------------------------------------------------------------------------------------- */

static void put_row(struct mk_ctx *c, struct mk_out *o, const struct mk_row *row, struct mk_result *report) {
    struct mk_archive_row r;
    if (row_read(c, row, &r) != MK_OK) {
        mk_result_say(report, "an archived message is no stanza");
        return;
    }
    mk_open(o, "result", NS_MAM);
    mk_put(o, "id", r.id);
    mk_open(o, "forwarded", NS_FORWARD);
    mk_put_delay(o, NULL, r.time);
    mk_put_stanza(o, r.stanza);
    mk_close(o);
    mk_close(o);
}

/* AFTER is the id of the message before; the wishes come first. */
MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    struct account *a = account_self(c);
    struct choice left = { .range = range_all() };
    const struct mk_row *const *rows;
    struct place at;
    uint32_t count, i = 0;
    size_t bytes = 0;
    int rc = account_load(c, a);
    if (*after && id_read(after, &at))
        range_from(&left.range, at, true);
    if (rc == MK_OK)
        rc = archive_scan(c, &left, false, PART_ROWS, &rows, &count);
    if (rc != MK_OK)
        return rc;
    if (!*after && a->prefs)
        prefs_put(c, a, o, NS_MAM);
    if (!count)
        return MK_OK;
    mk_open(o, "archive", NS_PIE_MAM);
    for (; i < count && bytes < PART_BYTES; i++) {
        put_row(c, o, rows[i], report);
        bytes += mk_row_bytes(rows[i], COL_STANZA).len;
    }
    mk_close(o);
    if (i < count || count == PART_ROWS) {
        char *id = mk_alloc(c, MK_ARCHIVE_ID_SIZE);
        id_write(id, row_place(rows[i - 1]));
        *more = id;
    }
    return MK_OK;
}

/* ---- in -------------------------------------------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t mix(uint64_t sum, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3u;
    return sum;
}

/*
 * Where a message stands that had ID on its server and came at TIME.  An id of ours says it.  Another gives the same place
 * each time that the same message is moved; LAST keeps the order of those that came in the same second.
 */
static struct place place_of(struct mk_ctx *c, const char *id, int64_t time, const struct mk_stanza *s, int64_t last) {
    struct place at;
    if (id && id_read(id, &at) && at.time / SECOND == time / SECOND)
        return at;
    struct mk_view xml = mk_stanza_xml(c, s);
    uint64_t sum = mix(0xcbf29ce484222325u, id ? id : "", id ? strlen(id) : 0);
    at.time = time > last ? time : last + 1;
    at.nonce = (int64_t)(mix(sum, xml.s, xml.len) & INT64_MAX);
    return at;
}

/* The other side, and whether the account wrote it. */
static void read_sides(struct mk_ctx *c, const struct mk_stanza *s, struct mk_archive_entry *e) {
    const struct mk_jid *from = mk_stanza_from(s), *to = mk_stanza_to(s);
    from = from ? from : mk_self(c);
    to = to ? to : mk_self(c);
    e->stanza = s;
    e->sent = mk_jid_same_bare(from, mk_self(c));
    e->with = e->sent ? to : from;
}

/* NULL, or what is wrong with the message in RESULT. */
static const char *read_result(struct mk_ctx *c, const struct mk_elem *result, int64_t *last,
                               struct archive_item *item) {
    const struct mk_elem *forwarded = mk_elem_child(result, "forwarded", NS_FORWARD);
    const struct mk_elem *delay = forwarded ? mk_elem_child(forwarded, "delay", NS_DELAY) : NULL;
    const struct mk_elem *message = forwarded ? mk_elem_child(forwarded, "message", "jabber:client") : NULL;
    const char *stamp = delay ? mk_attr(delay, "stamp") : NULL;
    const struct mk_stanza *s;
    int64_t time;
    if (!stamp || mk_time_parse(stamp, &time) != MK_OK || time <= 0)
        return "it does not say when it came";
    if (!message || mk_elem_stanza(c, message, &s) != MK_OK)
        return "there is no message in it";
    *item = (struct archive_item){ .at = place_of(c, mk_attr(result, "id"), time, s, *last) };
    *last = item->at.time > *last ? item->at.time : *last;
    read_sides(c, s, &item->entry);
    return NULL;
}

MK_SUSPENDS static int take_archive(struct mk_ctx *c, struct account *a, const struct mk_elem *archive, int64_t *state,
                                    struct mk_result *report) {
    uint32_t count = 0;
    for (const struct mk_elem *e = mk_elem_first(archive); e; e = mk_elem_next(e))
        count++;
    struct archive_item *items = mk_alloc(c, (count + 1) * sizeof *items);
    count = 0;
    for (const struct mk_elem *e = mk_elem_first(archive); e; e = mk_elem_next(e)) {
        if (!mk_elem_is(e, "result", NULL))
            continue;
        const char *id = mk_attr(e, "id"), *wrong = read_result(c, e, state, &items[count]);
        if (wrong)
            mk_result_say(report, "archived message %.60s was left out: %s", id ? id : "without id", wrong);
        else
            count++;
    }
    return archive_put_all(c, &a->archive, items, count);
}

MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *e, int64_t *state, struct mk_result *report) {
    struct account *a = account_self(c);
    int rc = account_load(c, a);
    if (rc == MK_OK && mk_elem_is(e, "archive", NS_PIE_MAM))
        return take_archive(c, a, e, state, report);
    if (rc == MK_OK)
        rc = prefs_set(c, a, e);
    if (rc != MK_E_INVALID && rc != MK_E_LIMIT && rc != MK_E_JID)
        return rc;
    mk_result_say(report, "what the account wishes to have archived makes no sense, or is too long");
    return MK_OK;
}

MK_SUSPENDS static int move_drop(struct mk_ctx *c) {
    struct account *a = account_self(c);
    int rc = archive_drop(c, mk_self(c));
    if (rc == MK_OK)
        rc = prefs_drop(c, mk_self(c));
    account_fini(a);
    *a = (struct account){ .prefs = NULL };
    return rc;
}

static const struct mk_move_kind kinds[] = {
    { "archive", NS_PIE_MAM, MK_MOVE_SERIES, 0 },
    { "prefs", NS_MAM, 0, 0 },
};
const struct mk_move_ops mam_move = {
    .size = sizeof mam_move,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};
