/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that ended: what is stored of them, for a restart of the server or for a <failed/> that says how far it got. */
#include "stream_mgmt.h"

const char *kept_key(struct mk_ctx *c, const struct mk_session *session) {
    const struct stream_mgmt *me = mk_inst(c);
    return mk_printf(c, "%s-%016llx", me->process, (unsigned long long)mk_session_number(session));
}

void kept_put(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    const struct stream_mgmt *me = mk_inst(c);
    int64_t ms = m->state ? (int64_t)m->resume_ms : me->remember;
    if (!ms)
        return;
    const struct mk_value row[KEPT_COLS] = {
        [KEPT_OWNER] = mk_v_jid(mk_self(c)),
        [KEPT_ID] = mk_v_text(m->id),
        [KEPT_KEY] = mk_v_text(kept_key(c, session)),
        [KEPT_HANDLED] = mk_v_int(mk_session_handled(session)),
        [KEPT_ACKED] = mk_v_int(m->queue.acked),
        [KEPT_RESOURCE] = mk_v_view(mk_jid_resource(mk_session_jid(session))),
        [KEPT_RESUME_MS] = mk_v_int(m->resume_ms),
        [KEPT_STATE] = mk_v_text(m->state),
        [KEPT_EXPIRES] = mk_v_time(mk_now(c) + ms * 1000),
    };
    if (mk_put_later(c, me->sessions, MK_UPSERT, row, NULL) != MK_OK)
        mk_log(c, MK_WARNING, "the count of a session that ended is not kept");
}

int kept_get(struct mk_ctx *c, const char *id, struct kept *out) {
    const struct stream_mgmt *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_text(id) };
    const struct mk_row *row;
    int rc = mk_get(c, me->sessions, key, &row);
    if (rc != MK_OK)
        return rc;
    *out = (struct kept){ .handled = (uint32_t)mk_row_int(row, KEPT_HANDLED),
                          .acked = (uint32_t)mk_row_int(row, KEPT_ACKED),
                          .resume_ms = (uint32_t)mk_row_int(row, KEPT_RESUME_MS),
                          .key = mk_row_text(row, KEPT_KEY),
                          .resource = mk_row_text(row, KEPT_RESOURCE) };
    struct mk_view state = mk_row_bytes(row, KEPT_STATE);
    out->whole = state.s && mk_stanza_read(c, state, &out->state) == MK_OK;
    return MK_OK;
}

int64_t kept_until(struct mk_ctx *c, const struct mk_jid *owner, const char *key) {
    const struct stream_mgmt *me = mk_inst(c);
    const struct mk_value partition = mk_v_jid(owner);
    const struct mk_filter filter = { KEPT_KEY, 0, mk_v_text(key) };
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->sessions,
                     MK_SCAN(.partition = &partition, .filters = &filter, .filter_count = 1, .limit = 1), &rows);
    if (rc != MK_OK)
        return mk_now(c);
    if (!mk_rows_count(rows) || mk_row_is_null(mk_rows_at(rows, 0), KEPT_STATE))
        return 0;
    return mk_row_int(mk_rows_at(rows, 0), KEPT_EXPIRES);
}

void kept_on_account_removed(struct mk_ctx *c, const struct mk_jid *account) {
    const struct stream_mgmt *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(account);
    if (mk_del_range(c, me->sessions, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "sessions of a removed account are still stored");
}

const struct mk_col_decl kept_cols[KEPT_COLS] = {
    [KEPT_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [KEPT_ID] = { "id", MK_C_TEXT, MK_COL_SORT, "What the client knows the session by." },
    [KEPT_KEY] = { "key", MK_C_TEXT, 0, "Process and session, the beginning of the ids of its rows in sm_unacked." },
    [KEPT_HANDLED] = { "handled", MK_C_INT, 0, "Stanzas of the client that were handled." },
    [KEPT_ACKED] = { "acked", MK_C_INT, 0, "Stanzas to the client that it has acknowledged." },
    [KEPT_RESOURCE] = { "resource", MK_C_TEXT, 0, "Its resource." },
    [KEPT_RESUME_MS] = { "resume_ms", MK_C_INT, 0, "How long it waits for its client, in ms." },
    [KEPT_STATE] = { "state", MK_C_TEXT, MK_COL_NULL,
                     "What plugins keep of it, as XML; null: it can't be resumed any more." },
    [KEPT_EXPIRES] = { "expires", MK_C_TIME, MK_COL_TTL, "When the row goes." },
};
