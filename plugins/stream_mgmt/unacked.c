/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of stanzas that a client does not acknowledge.  A message whose sender waits for a receipt is stored after
 * a moment, so that the sender need not wait for this client; and when the session ends, it goes back to the account.
 */
#include "stream_mgmt.h"
#include <string.h>

#define NS_DELAY "urn:xmpp:delay"

enum { INDEX_HOST = 1 };
/* Column kind: what becomes of the row if its session is not resumed. */
enum { KIND_RETURN, KIND_DROP };

/* Rows read at once when those of a dead process are sent on; how long one turn goes on with it, and the next begins. */
enum { PAGE = 100, RECOVER_MS = 5000, AGAIN_MS = 30000, SECOND = 1000000 };

bool unacked_matters(const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    return mk_stanza_kind(s) == MK_MESSAGE && (type == MK_TYPE_CHAT || type == MK_TYPE_NORMAL);
}

/* Whether this server said already when S was sent. */
static bool is_stamped(struct mk_ctx *c, const struct mk_stanza *s) {
    const char *host = mk_jid_text(mk_host(c));
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e)) {
        const char *from = mk_elem_is(e, "delay", NS_DELAY) ? mk_attr(e, "from") : NULL;
        if (from && strcmp(from, host) == 0)
            return true;
    }
    return false;
}

/* A message to the bare JID goes to all sessions of the highest priority.  One that is stamped was sent to one alone. */
bool unacked_is_shared(struct mk_ctx *c, const struct mk_session *session, const struct mk_stanza *s) {
    const struct mk_jid *to = mk_stanza_to(s);
    if (to && mk_jid_resource(to).len)
        return false;
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;)
        if (x != session && mk_session_is_available(x) && mk_session_priority(x) == mk_session_priority(session))
            return !is_stamped(c, s);
    return false;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* "PROCESS-SESSION-NUMBER" of the I-th of the queue; sorts as it was sent. */
static const char *row_id(struct mk_ctx *c, const struct mk_session *session, const struct managed *m, uint32_t i) {
    return mk_printf(c, "%s-%08x", kept_key(c, session), m->queue.acked + 1 + i);
}

static int64_t sent_at(struct mk_ctx *c, const struct unacked *u) {
    return mk_now(c) - (mk_now_ms(c) - u->sent_ms) * 1000;
}

/*
 * Said by the account itself to this session: a copy of what another one got, what it asked of the archive.  Nobody waits
 * for it, and nobody else is to get it.
 */
static bool is_own(struct mk_ctx *c, const struct mk_stanza *s) {
    return mk_jid_same(mk_stanza_from(s), mk_self(c));
}

static void make_row(struct mk_ctx *c, const struct mk_session *session, const char *id, const struct unacked *u,
                     struct mk_value row[UNACKED_COLS]) {
    bool goes_back = unacked_matters(u->stanza) && !u->shared && !is_own(c, u->stanza);
    row[COL_OWNER] = mk_v_jid(mk_self(c));
    row[COL_ID] = mk_v_text(id);
    row[COL_HOST] = mk_v_text(mk_jid_text(mk_host(c)));
    row[COL_STANZA] = mk_v_view(mk_stanza_xml(c, u->stanza));
    row[COL_SENT] = mk_v_time(sent_at(c, u));
    row[COL_ADDRESS] = mk_v_jid(u->address == ADDRESS_SESSION ? mk_session_jid(session) : u->to);
    row[COL_KIND] = mk_v_int(goes_back ? KIND_RETURN : KIND_DROP);
}

static bool spool(struct mk_ctx *c, const struct mk_session *session, const char *id, struct unacked *u) {
    const struct stream_mgmt *me = mk_inst(c);
    struct mk_value row[UNACKED_COLS];
    make_row(c, session, id, u, row);
    if (mk_put_later(c, me->spool, MK_UPSERT, row, u->stanza) != MK_OK)
        return false;
    mk_receipt_pay(u->receipt);
    u->receipt = NULL;
    u->spooled = true;
    mk_count(c, M_SPOOLED, 1);
    return true;
}

bool unacked_spool(struct mk_ctx *c, struct mk_session *session, struct managed *m, int64_t ms) {
    int64_t now = mk_now_ms(c);
    for (uint32_t i = 0; i < m->queue.count; i++) {
        struct unacked *u = queue_at(&m->queue, i);
        if (!u->receipt)
            continue;
        if (now - u->sent_ms < ms || !spool(c, session, row_id(c, session, m, i), u))
            return true;
    }
    return false;
}

bool unacked_keep(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    for (uint32_t i = 0; i < m->queue.count; i++) {
        struct unacked *u = queue_at(&m->queue, i);
        if (!u->spooled && !spool(c, session, row_id(c, session, m, i), u))
            return false;
    }
    return true;
}

/* ---- coming back -------------------------------------------------------------------------------------------------- */

static int take_row(struct mk_ctx *c, const struct mk_row *row, struct managed *m, struct mk_session *session) {
    const struct mk_stanza *s;
    struct mk_view xml = mk_row_bytes(row, COL_STANZA);
    int rc = mk_stanza_read(c, xml, &s);
    if (rc != MK_OK)
        return rc;
    struct unacked *u = queue_push(&m->queue);
    const struct mk_jid *to = mk_row_jid(row, COL_ADDRESS);
    u->stanza = mk_keep(s);
    u->spooled = true;
    u->shared = unacked_matters(s) && !is_own(c, s) && mk_row_int(row, COL_KIND) == KIND_DROP;
    u->sent_ms = mk_now_ms(c) - (mk_now(c) - mk_row_int(row, COL_SENT)) / 1000;
    u->address = !to ? ADDRESS_OWN : mk_jid_same(to, mk_session_jid(session)) ? ADDRESS_SESSION : ADDRESS_OTHER;
    u->to = u->address == ADDRESS_OTHER ? mk_jid_keep(to) : NULL;
    m->queue.bytes += mk_stanza_size(s);
    return MK_OK;
}

/* The rows get new names, and the session's own row goes: all or nothing. */
MK_SUSPENDS static int rename_rows(struct mk_ctx *c, const struct mk_rows *rows, struct managed *m,
                                   struct mk_session *session, const char *id) {
    const struct stream_mgmt *me = mk_inst(c);
    size_t n = mk_rows_count(rows), count = 0;
    struct mk_write *writes = mk_alloc(c, (2 * n + 1) * sizeof *writes);
    struct mk_value *values = mk_alloc(c, (n * (UNACKED_COLS + 2) + 2) * sizeof *values), *at = values;
    for (size_t i = 0; i < n; i++) {
        make_row(c, session, row_id(c, session, m, (uint32_t)i), queue_at(&m->queue, (uint32_t)i), at);
        writes[count++] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->spool, at };
        at += UNACKED_COLS;
        at[0] = mk_v_jid(mk_self(c));
        at[1] = mk_v_text(mk_row_text(mk_rows_at(rows, i), COL_ID));
        writes[count++] = (struct mk_write){ MK_W_DEL, 0, me->spool, at };
        at += 2;
    }
    at[0] = mk_v_jid(mk_self(c));
    at[1] = mk_v_text(id);
    writes[count++] = (struct mk_write){ MK_W_DEL, 0, me->sessions, at };
    return mk_batch(c, writes, count);
}

/* Its number, the end of the row's id. */
static const char *number_of(const char *id) {
    return strrchr(id, '-') + 1;
}

int unacked_take(struct mk_ctx *c, struct mk_session *session, struct managed *m, const char *key, const char *id) {
    const struct stream_mgmt *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c)), lo = mk_v_text(mk_printf(c, "%s-", key)),
                          hi = mk_v_text(mk_printf(c, "%s.", key)); /* . follows - */
    const struct mk_rows *rows;
    int rc =
        mk_scan(c, me->spool, MK_SCAN(.partition = &owner, .lo = &lo, .lo_count = 1, .hi = &hi, .hi_count = 1), &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        const char *due = mk_printf(c, "%08x", m->queue.acked + 1 + (uint32_t)i);
        rc = strcmp(number_of(mk_row_text(row, COL_ID)), due) == 0 ? take_row(c, row, m, session) : MK_E_NOTFOUND;
    }
    if (rc == MK_OK)
        rc = rename_rows(c, rows, m, session, id);
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "a session can't be there again: %s", mk_strerror(rc));
    m->sent = m->queue.count;
    return rc;
}

/* ---- letting go --------------------------------------------------------------------------------------------------- */

/* Of the first of the queue, whose row is not looked at. */
static void drop(struct managed *m) {
    struct unacked *u = queue_at(&m->queue, 0);
    size_t size = mk_stanza_size(u->stanza);
    m->queue.bytes -= size;
    m->in_flight -= m->written ? size : 0;
    m->written -= m->written ? 1 : 0;
    m->sent -= m->sent ? 1 : 0;
    mk_receipt_pay(u->receipt);
    mk_release(u->stanza);
    mk_jid_free(u->to);
    queue_pop(&m->queue);
}

void unacked_settle(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    const struct stream_mgmt *me = mk_inst(c);
    if (queue_at(&m->queue, 0)->spooled) {
        const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_text(row_id(c, session, m, 0)) };
        if (mk_del_later(c, me->spool, key) != MK_OK)
            mk_log(c, MK_WARNING, "an acknowledged message stays stored and may come a second time");
    }
    drop(m);
}

/* ---- sending on --------------------------------------------------------------------------------------------------- */

/* To the account TO.  ROW is the key of the row that keeps the message, or NULL: it goes when the message is safe. */
static void send_on(struct mk_ctx *c, const struct mk_stanza *s, int64_t sent, const struct mk_jid *to,
                    const struct mk_value *row) {
    const struct stream_mgmt *me = mk_inst(c);
    const struct mk_stanza *again;
    struct mk_out *o = mk_derive(c, s, NULL);
    if (!is_stamped(c, s))
        mk_put_delay(o, mk_host(c), sent);
    if (mk_seal(o, &again) != MK_OK) {
        mk_log(c, MK_ERROR, "a message to %s can't be sent on", mk_jid_text(to));
        return;
    }
    if (row)
        mk_receipt_row(c, again, me->spool, row);
    mk_route_again(c, again, to);
    mk_count(c, M_RETURNED, 1);
}

/* Of the first of the queue.  A row that still stands for it is given on, or stays if the server stops. */
static void return_message(struct mk_ctx *c, struct mk_session *session, struct managed *m, uint32_t reason) {
    struct unacked *u = queue_at(&m->queue, 0);
    const char *id = row_id(c, session, m, 0);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_text(id) };
    if (u->shared) {
        unacked_settle(c, session, m);
        return;
    }
    if (reason != MK_CLOSED_SHUTDOWN || !(u->spooled || spool(c, session, id, u)))
        send_on(c, u->stanza, sent_at(c, u), mk_self(c), u->spooled ? key : NULL);
    drop(m);
}

static void return_first(struct mk_ctx *c, struct mk_session *session, struct managed *m, uint32_t reason) {
    const struct mk_stanza *s = queue_at(&m->queue, 0)->stanza;
    enum mk_type type = mk_stanza_type(s);
    if (unacked_matters(s) && !is_own(c, s)) {
        return_message(c, session, m, reason);
        return;
    }
    bool asks = mk_stanza_kind(s) == MK_IQ && (type == MK_TYPE_GET || type == MK_TYPE_SET);
    if (asks && !mk_jid_same(mk_stanza_from(s), mk_self(c)) && mk_refuse(c, s, "service-unavailable", NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "an iq that was not delivered is not answered");
    unacked_settle(c, session, m);
}

void unacked_return(struct mk_ctx *c, struct mk_session *session, struct managed *m, uint32_t reason) {
    while (m->queue.count)
        return_first(c, session, m, reason);
}

/* ---- after a crash ------------------------------------------------------------------------------------------------- */

/* What was found about the session of the row before: rows of one session follow each other. */
struct recovery {
    const char *key;
    int64_t until; /* its session may be resumed until then, us; 0: it may not */
    int64_t first; /* the first time at which one of those that may is given up; 0: there is none */
};

MK_SUSPENDS static bool may_be_resumed(struct mk_ctx *c, const struct mk_row *row, struct recovery *r) {
    const char *id = mk_row_text(row, COL_ID);
    const char *key = mk_text_of(c, (struct mk_view){ id, (size_t)(number_of(id) - 1 - id) });
    if (!r->key || strcmp(r->key, key) != 0) {
        r->key = key;
        r->until = kept_until(c, mk_row_jid(row, COL_OWNER), key);
    }
    if (r->until && (!r->first || r->until < r->first))
        r->first = r->until;
    return r->until != 0;
}

MK_SUSPENDS static void recover_row(struct mk_ctx *c, const struct mk_row *row, struct recovery *r) {
    const struct stream_mgmt *me = mk_inst(c);
    const char *id = mk_row_text(row, COL_ID), *xml = mk_row_text(row, COL_STANZA);
    const struct mk_value key[] = { mk_v_jid(mk_row_jid(row, COL_OWNER)), mk_v_text(id) };
    const struct mk_stanza *s;
    if (strncmp(id, me->process, strlen(me->process)) == 0 || may_be_resumed(c, row, r))
        return;
    if (mk_row_int(row, COL_KIND) == KIND_DROP) {
        if (mk_del_later(c, me->spool, key) != MK_OK)
            mk_log(c, MK_DEBUG, "a stanza for a session that is gone stays stored");
    } else if (mk_stanza_read(c, (struct mk_view){ xml, strlen(xml) }, &s) == MK_OK) {
        send_on(c, s, mk_row_int(row, COL_SENT), mk_row_jid(row, COL_OWNER), key);
    } else {
        mk_log(c, MK_ERROR, "a stored message is no stanza: sm_unacked %s", id);
    }
}

static void recover_again(struct mk_ctx *c, const struct recovery *r) {
    int64_t ms = (r->first - mk_now(c) + SECOND) / 1000;
    if (r->first)
        mk_timer_start(c, NULL, TIMER_RECOVER, ms < AGAIN_MS ? (uint32_t)(ms < 100 ? 100 : ms) : AGAIN_MS);
}

void unacked_recover(struct mk_ctx *c) {
    const struct stream_mgmt *me = mk_inst(c);
    const struct mk_value host = mk_v_text(mk_jid_text(mk_host(c)));
    int64_t until = mk_now_ms(c) + RECOVER_MS;
    struct recovery recovery = { .key = NULL };
    struct mk_value after[2];
    uint32_t bounds = 0;
    size_t n;
    do {
        const struct mk_rows *rows;
        int rc = mk_scan(c, me->spool,
                         MK_SCAN(.index = INDEX_HOST, .partition = &host, .lo = after, .lo_count = bounds,
                                 .flags = MK_SCAN_LO_OPEN, .limit = PAGE),
                         &rows);
        if (rc != MK_OK || mk_now_ms(c) > until) {
            mk_timer_start(c, NULL, TIMER_RECOVER, AGAIN_MS);
            return;
        }
        n = mk_rows_count(rows);
        for (size_t i = 0; i < n; i++)
            recover_row(c, mk_rows_at(rows, i), &recovery);
        if (n) {
            after[0] = mk_v_jid(mk_row_jid(mk_rows_at(rows, n - 1), COL_OWNER));
            after[1] = mk_v_text(mk_row_text(mk_rows_at(rows, n - 1), COL_ID));
            bounds = 2;
        }
    } while (n == PAGE);
    recover_again(c, &recovery);
}

void unacked_on_recover(struct mk_ctx *c, struct mk_session *session) {
    (void)session;
    unacked_recover(c);
}

enum mk_flow unacked_on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct stream_mgmt *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(ev->account);
    if (mk_del_range(c, me->spool, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "messages of a removed account are still stored");
    kept_on_account_removed(c, ev->account);
    return MK_NEXT;
}

const struct mk_col_decl unacked_cols[UNACKED_COLS] = {
    [COL_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [COL_ID] = { "id", MK_C_TEXT, MK_COL_SORT, "Process, session, and number of the stanza in it." },
    [COL_HOST] = { "host", MK_C_TEXT, 0, "Host of the account." },
    [COL_STANZA] = { "stanza", MK_C_TEXT, 0, "The message as XML." },
    [COL_SENT] = { "sent", MK_C_TIME, 0, "When it was sent to the client." },
    [COL_ADDRESS] = { "address", MK_C_JID, MK_COL_NULL, "What stands in its to instead, if anything does." },
    [COL_KIND] = { "kind", MK_C_INT, 0,
                   "What becomes of it if the session is not resumed: 0, it goes back to the account; 1, nothing." },
};
