/* SPDX-License-Identifier: Apache-2.0 */
#include "smart_markers.h"
#include <string.h>

const struct mk_col_decl waiting_cols[WAIT_COUNT] = {
    [WAIT_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account that is away." },
    [WAIT_FROM] = { "sender", MK_C_JID, MK_COL_SORT, "Bare JID of who sent the marker." },
    [WAIT_THREAD] = { "thread", MK_C_TEXT, MK_COL_SORT, "Thread of the message, or nothing." },
    [WAIT_KIND] = { "kind", MK_C_TEXT, MK_COL_SORT, "displayed, received or acknowledged." },
    [WAIT_MESSAGE] = { "message", MK_C_TEXT, 0, "The newest message with such a marker." },
    [WAIT_EXPIRES] = { "expires", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "When it is dropped." },
};

/* A message that is a marker and says nothing else. */
static bool is_marker_alone(const struct mk_stanza *s) {
    return !mk_child(s, "body", mk_elem_ns(mk_root(s))) && mk_stanza_type(s) != MK_TYPE_ERROR &&
           mk_stanza_type(s) != MK_TYPE_GROUPCHAT && mk_stanza_type(s) != MK_TYPE_HEADLINE;
}

/* Whether one more has room: it replaces another, or there are few. */
MK_SUSPENDS static bool has_room(struct mk_ctx *c, const struct mk_value *key) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_row *row;
    int64_t count;
    if (mk_get(c, me->waiting, key, &row) == MK_OK)
        return true;
    return mk_scan_count(c, me->waiting, MK_SCAN(.partition = key), &count) == MK_OK && count < me->max_waiting;
}

static const struct mk_stanza *stamped(struct mk_ctx *c, const struct mk_stanza *s) {
    const struct mk_stanza *out;
    struct mk_out *o = mk_derive(c, s, NULL);
    mk_put_delay(o, mk_host(c), mk_now(c));
    return mk_seal(o, &out) == MK_OK ? out : NULL;
}

MK_SUSPENDS enum mk_flow waiting_on_offline(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_stanza *s = ev->stanza;
    struct marker m;
    if (!me->keep_for_offline || !is_marker_alone(s) || !marker_of(c, s, &m))
        return MK_NEXT;
    struct mk_value row[WAIT_COUNT] = {
        [WAIT_OWNER] = mk_v_jid(mk_self(c)),
        [WAIT_FROM] = mk_v_jid(mk_jid_to_bare(c, mk_stanza_from(s))),
        [WAIT_THREAD] = mk_v_text(m.thread),
        [WAIT_KIND] = mk_v_text(m.kind),
    };
    const struct mk_stanza *kept = has_room(c, row) ? stamped(c, s) : NULL;
    if (!kept)
        return MK_NEXT;
    row[WAIT_MESSAGE] = mk_v_view(mk_stanza_xml(c, kept));
    row[WAIT_EXPIRES] = marker_expiry(c);
    if (mk_put_now(c, me->waiting, MK_UPSERT, row) != MK_OK) /* now, so that the next one is counted right */
        return MK_NEXT;
    mk_count(c, M_WAITED, 1);
    return MK_STOP;
}

static void deliver(struct mk_ctx *c, struct mk_session *session, const struct mk_row *row) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_value key[] = {
        mk_v_jid(mk_self(c)),
        mk_v_jid(mk_row_jid(row, WAIT_FROM)),
        mk_v_text(mk_row_text(row, WAIT_THREAD)),
        mk_v_text(mk_row_text(row, WAIT_KIND)),
    };
    const char *xml = mk_row_text(row, WAIT_MESSAGE);
    const struct mk_stanza *s;
    if (mk_stanza_read(c, (struct mk_view){ xml, strlen(xml) }, &s) == MK_OK)
        mk_session_send(c, session, s, NULL);
    if (mk_del_later(c, me->waiting, key) != MK_OK)
        mk_log(c, MK_WARNING, "a marker may come a second time");
}

/* Once for each session: the first that can take messages gets what waits. */
MK_SUSPENDS enum mk_flow waiting_on_available(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct smart_markers *me = mk_inst(c);
    bool *looked = mk_session_slot(c, ev->session, SLOT_SESSION);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    if (mk_stanza_to(ev->stanza) || *looked || !mk_session_is_available(ev->session) ||
        mk_session_priority(ev->session) < 0)
        return MK_NEXT;
    *looked = true;
    if (mk_scan(c, me->waiting, MK_SCAN(.partition = &owner), &rows) != MK_OK)
        return MK_NEXT;
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        deliver(c, ev->session, mk_rows_at(rows, i));
    return MK_NEXT;
}

MK_SUSPENDS void waiting_forget(struct mk_ctx *c, const struct mk_jid *account) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(account);
    if (mk_del_range(c, me->waiting, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "markers for a removed account are still stored");
}
