/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that wait, on their way in and out (XEP-0227). */
#include "offline.h"
#include <stdlib.h>
#include <string.h>

enum { PART_ROWS = 50, PART_BYTES = 64 * 1024 };

/* ---- out ------------------------------------------------------------------------------------------------------------- */

/* AFTER is the id of the message before. */
MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    const struct offline *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c)), from = mk_v_int(*after ? strtoll(after, NULL, 10) : INT64_MIN);
    const struct mk_rows *rows;
    const struct mk_stanza *s;
    size_t bytes = 0, i = 0;
    int rc = mk_scan(
        c, me->messages,
        MK_SCAN(.partition = &owner, .lo = &from, .lo_count = 1, .flags = MK_SCAN_LO_OPEN, .limit = PART_ROWS), &rows);
    if (rc != MK_OK || !mk_rows_count(rows))
        return rc;
    mk_open(o, "offline-messages", MK_NS_MOVE);
    for (; i < mk_rows_count(rows) && bytes < PART_BYTES; i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        bytes += mk_row_bytes(row, COL_STANZA).len;
        if (offline_restore(c, row, &s) == MK_OK)
            mk_put_stanza(o, s);
        else
            mk_result_say(report, "a message that waits is no stanza");
    }
    mk_close(o);
    if (i < mk_rows_count(rows) || i == PART_ROWS)
        *more = mk_printf(c, "%lld", (long long)mk_row_int(mk_rows_at(rows, i - 1), COL_ID));
    return MK_OK;
}

/* ---- in -------------------------------------------------------------------------------------------------------------- */

/* When it came: what the first server that says so says.  0 if none does. */
static int64_t time_of(const struct mk_elem *message) {
    int64_t time = 0;
    for (const struct mk_elem *e = mk_elem_first(message); e; e = mk_elem_next(e)) {
        const char *stamp = mk_elem_is(e, "delay", NS_DELAY) ? mk_attr(e, "stamp") : NULL;
        if (stamp && mk_time_parse(stamp, &time) == MK_OK && time > 0)
            return time;
    }
    return 0;
}

static bool has_message(const struct mk_rows *rows, struct mk_view xml) {
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        struct mk_view stored = mk_row_bytes(mk_rows_at(rows, i), COL_STANZA);
        if (stored.len == xml.len && memcmp(stored.s, xml.s, xml.len) == 0)
            return true;
    }
    return false;
}

static struct mk_value *row_of(struct mk_ctx *c, int64_t id, struct mk_view xml) {
    struct mk_value *row = mk_alloc(c, COL_COUNT * sizeof *row);
    row[COL_OWNER] = mk_v_jid(mk_self(c));
    row[COL_ID] = mk_v_int(id);
    row[COL_STANZA] = mk_v_view(xml);
    row[COL_EXPIRES] = offline_expiry(mk_inst(c), id);
    return row;
}

/* A message that waits already is not stored again; the time of one is its place, so that the order stays. */
MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *messages, int64_t *state,
                                 struct mk_result *report) {
    const struct offline *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    uint32_t count = 0, over = 0;
    int rc = mk_scan(c, me->messages, MK_SCAN(.partition = &owner), &rows);
    if (rc != MK_OK)
        return rc;
    for (const struct mk_elem *e = mk_elem_first(messages); e; e = mk_elem_next(e))
        count++;
    struct mk_write *writes = mk_alloc(c, (count + 1) * sizeof *writes);
    count = 0;
    for (const struct mk_elem *e = mk_elem_first(messages); e; e = mk_elem_next(e)) {
        const struct mk_stanza *s;
        if (mk_elem_stanza(c, e, &s) != MK_OK || mk_stanza_kind(s) != MK_MESSAGE || !mk_stanza_from(s)) {
            mk_result_say(report, "a message that waits was left out: it is none, or says not whom it is from");
            continue;
        }
        int64_t time = time_of(mk_root(s));
        struct mk_view xml = mk_stanza_xml(c, s);
        time = time ? time : mk_now(c);
        *state = time > *state ? time : *state + 1;
        if (has_message(rows, xml))
            continue;
        if ((int64_t)(mk_rows_count(rows) + count) >= me->max_messages)
            over++;
        else
            writes[count++] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->messages, row_of(c, *state, xml) };
    }
    if (over)
        mk_result_say(report, "too many messages wait: %u were left out", over);
    offline_self(c)->counted = false;
    return count ? mk_batch(c, writes, count) : MK_OK;
}

static const struct mk_move_kind kinds[] = {
    { "offline-messages", MK_NS_MOVE, MK_MOVE_SERIES, 0 },
};
const struct mk_move_ops offline_move = {
    .size = sizeof offline_move,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = offline_drop,
};
