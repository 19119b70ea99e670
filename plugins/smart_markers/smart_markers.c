/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers how far each side of a conversation has read: the last chat marker (XEP-0333) of each kind and thread, and
 * answers what it was (esl:xmpp:smart-markers:0, as MongooseIM does).
 */
#include "smart_markers.h"
#include <string.h>

#define NS "esl:xmpp:smart-markers:0"

enum { COL_TALK, COL_AUTHOR, COL_THREAD, COL_KIND, COL_ID, COL_AT, COL_EXPIRES, COL_COUNT };
/* Longest thread and id that is kept, and rows read at once where an account is removed. */
enum { THREAD_MAX = 255, ID_MAX = 1023, PAGE = 100 };

static const char *const kinds[] = { "displayed", "received", "acknowledged" };

bool marker_of(struct mk_ctx *c, const struct mk_stanza *s, struct marker *out) {
    const struct mk_elem *e = NULL;
    for (unsigned i = 0; !e && i < sizeof kinds / sizeof kinds[0]; i++)
        e = mk_child(s, kinds[i], NS_MARKERS);
    if (!e || !mk_attr(e, "id"))
        return false;
    *out =
        (struct marker){ mk_elem_name(e), mk_attr(e, "id"), mk_text(c, mk_child(s, "thread", mk_elem_ns(mk_root(s)))) };
    return strlen(out->thread) <= THREAD_MAX && strlen(out->id) <= ID_MAX;
}

struct mk_value marker_expiry(struct mk_ctx *c) {
    const struct smart_markers *me = mk_inst(c);
    return me->ttl == INT64_MAX ? mk_v_null() : mk_v_time(mk_now(c) + me->ttl * 1000);
}

/* ---- storing ---------------------------------------------------------------------------------------------------------------- */

/* Both sides of a talk have one partition: their bare JIDs in order.  A room's is the room. */
static const char *talk_of(struct mk_ctx *c, const struct mk_jid *a, const struct mk_jid *b) {
    const char *x = mk_jid_text(mk_jid_to_bare(c, a)), *y = mk_jid_text(mk_jid_to_bare(c, b));
    return strcmp(x, y) < 0 ? mk_printf(c, "%s %s", x, y) : mk_printf(c, "%s %s", y, x);
}

static const char *room_of(struct mk_ctx *c, const struct mk_jid *room) {
    return mk_jid_text(mk_jid_to_bare(c, room));
}

static int store(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to, const struct marker *m) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_jid *from = mk_stanza_from(s);
    const struct mk_value row[COL_COUNT] = {
        [COL_TALK] = mk_v_text(mk_stanza_type(s) == MK_TYPE_GROUPCHAT ? room_of(c, to) : talk_of(c, from, to)),
        [COL_AUTHOR] = mk_v_jid(mk_jid_to_bare(c, from)),
        [COL_THREAD] = mk_v_text(m->thread),
        [COL_KIND] = mk_v_text(m->kind),
        [COL_ID] = mk_v_text(m->id),
        [COL_AT] = mk_v_time(mk_now(c)),
        [COL_EXPIRES] = marker_expiry(c),
    };
    int rc = mk_put_later(c, me->markers, MK_UPSERT, row, s);
    if (rc == MK_OK)
        mk_count(c, M_STORED, 1);
    return rc;
}

static bool has_marker(struct mk_ctx *c, const struct mk_stanza *s, struct marker *m) {
    return mk_stanza_type(s) != MK_TYPE_ERROR && mk_stanza_type(s) != MK_TYPE_HEADLINE && marker_of(c, s, m);
}

static enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct smart_markers *me = mk_inst(c);
    struct marker m;
    if (!has_marker(c, ev->stanza, &m))
        return MK_NEXT;
    if (store(c, ev->stanza, ev->to, &m) != MK_OK) {
        if (mk_refuse(c, ev->stanza, "resource-constraint", NULL) != MK_OK)
            mk_log(c, MK_DEBUG, "a marker was not refused");
        return MK_STOP;
    }
    return me->keep_private && !mk_child(ev->stanza, "body", mk_elem_ns(mk_root(ev->stanza))) ? MK_STOP : MK_NEXT;
}

/* What accounts of this server send is stored where they send it. */
static enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct marker m;
    if (ev->again || mk_stanza_type(ev->stanza) == MK_TYPE_GROUPCHAT || !has_marker(c, ev->stanza, &m) ||
        mk_is_local(c, mk_jid_domain(mk_stanza_from(ev->stanza))))
        return MK_NEXT;
    if (store(c, ev->stanza, mk_self(c), &m) != MK_OK)
        mk_log(c, MK_WARNING, "a marker is not remembered");
    return MK_NEXT;
}

/* ---- answering --------------------------------------------------------------------------------------------------------------- */

struct question {
    const struct mk_jid *peer;
    const char *thread; /* NULL: any */
    int64_t after;
};

static void put_marker(struct mk_ctx *c, struct mk_out *o, const struct mk_row *row) {
    const char *thread = mk_row_text(row, COL_THREAD);
    mk_open(o, "marker", NULL);
    mk_put_jid(o, "from", mk_row_jid(row, COL_AUTHOR));
    mk_put(o, "id", mk_row_text(row, COL_ID));
    mk_put(o, "type", mk_row_text(row, COL_KIND));
    mk_put(o, "timestamp", mk_time_text(c, mk_row_int(row, COL_AT)));
    mk_put(o, "thread", *thread ? thread : NULL);
    mk_close(o);
}

static bool is_own(struct mk_ctx *c, const struct mk_row *row) {
    return mk_jid_same(mk_row_jid(row, COL_AUTHOR), mk_self(c));
}

/* OTHERS: also those that are not the asker's own. */
static void put_rows(struct mk_ctx *c, struct mk_out *o, const struct mk_rows *rows, const struct question *q,
                     bool others) {
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        if ((others || is_own(c, row)) && mk_row_int(row, COL_AT) > q->after &&
            (!q->thread || strcmp(q->thread, mk_row_text(row, COL_THREAD)) == 0))
            put_marker(c, o, row);
    }
}

/* In a room only who has said something there themselves sees what others did. */
static bool has_own(struct mk_ctx *c, const struct mk_rows *rows) {
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        if (is_own(c, mk_rows_at(rows, i)))
            return true;
    return false;
}

MK_SUSPENDS static int answer(struct mk_ctx *c, const struct mk_stanza *iq, const struct question *q) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_value talk = mk_v_text(talk_of(c, mk_self(c), q->peer)), room = mk_v_text(room_of(c, q->peer));
    const struct mk_rows *said, *there;
    int rc = mk_scan(c, me->markers, MK_SCAN(.partition = &talk), &said);
    if (rc == MK_OK)
        rc = mk_scan(c, me->markers, MK_SCAN(.partition = &room), &there);
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_put_jid(o, "peer", q->peer);
    put_rows(c, o, said, q, !me->keep_private);
    put_rows(c, o, there, q, me->show_rooms && !me->keep_private && has_own(c, there));
    return mk_send(o);
}

MK_SUSPENDS static int on_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *query = mk_child(iq, "query", NS);
    const char *peer = mk_attr(query, "peer"), *after = mk_attr(query, "after");
    struct question q = { .thread = mk_attr(query, "thread") };
    if (!peer || mk_jid_parse(c, (struct mk_view){ peer, strlen(peer) }, &q.peer) != MK_OK)
        return mk_refuse(c, iq, "bad-request", "invalid-peer");
    q.peer = mk_jid_to_bare(c, q.peer);
    if (after && mk_time_parse(after, &q.after) != MK_OK)
        return mk_refuse(c, iq, "bad-request", "invalid-timestamp");
    return answer(c, iq, &q);
}

static int on_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    return mk_refuse(c, iq, "not-allowed", NULL);
}

/* ---- the end of an account ----------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int forget_page(struct mk_ctx *c, const struct mk_jid *account, size_t *count) {
    const struct smart_markers *me = mk_inst(c);
    const struct mk_value author = mk_v_jid(account);
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->markers, MK_SCAN(.index = 1, .partition = &author, .limit = PAGE), &rows);
    *count = rc == MK_OK ? mk_rows_count(rows) : 0;
    for (size_t i = 0; rc == MK_OK && i < *count; i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        const struct mk_value key[] = { mk_v_text(mk_row_text(row, COL_TALK)), author,
                                        mk_v_text(mk_row_text(row, COL_THREAD)),
                                        mk_v_text(mk_row_text(row, COL_KIND)) };
        rc = mk_del(c, me->markers, key);
        rc = rc == MK_E_NOTFOUND ? MK_OK : rc;
    }
    return rc;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    size_t count = PAGE;
    int rc = MK_OK;
    while (rc == MK_OK && count == PAGE)
        rc = forget_page(c, ev->account, &count);
    if (rc != MK_OK)
        mk_log(c, MK_ERROR, "markers of a removed account are still stored");
    waiting_forget(c, ev->account);
    return MK_NEXT;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------ */

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct smart_markers, keep_private, "false", MK_OPT_LIVE,
                "Whether markers are remembered for who sent them alone: not sent on, and not shown to others."),
    MK_OPT_BOOL(struct smart_markers, show_rooms, "false", MK_OPT_LIVE,
                "Whether who has sent a marker to a room is shown everybody's there, by their real addresses. "
                "For rooms that hide nobody, MUC Light say."),
    MK_OPT_BOOL(struct smart_markers, keep_for_offline, "true", MK_OPT_LIVE,
                "Whether the newest marker of each sender, kind and thread waits for an account that is away."),
    MK_OPT_INT(struct smart_markers, max_waiting, "1000", 1, 100000, MK_OPT_LIVE,
               "Most markers that wait for one account. Further ones are treated like other messages."),
    MK_OPT_DURATION(struct smart_markers, ttl, "365d", 60000, INT64_MAX, MK_OPT_LIVE,
                    "How long a marker is remembered, or waits."),
};
static const struct mk_col_decl cols[COL_COUNT] = {
    [COL_TALK] = { "talk", MK_C_TEXT, MK_COL_PARTITION, "A room, or the bare JIDs of both sides in order." },
    [COL_AUTHOR] = { "author", MK_C_JID, MK_COL_SORT, "Bare JID of who sent the marker." },
    [COL_THREAD] = { "thread", MK_C_TEXT, MK_COL_SORT, "Thread of the message, or nothing." },
    [COL_KIND] = { "kind", MK_C_TEXT, MK_COL_SORT, "displayed, received or acknowledged." },
    [COL_ID] = { "id", MK_C_TEXT, 0, "Id of the message that is marked." },
    [COL_AT] = { "at", MK_C_TIME, 0, "When." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "When it is forgotten." },
};
static const struct mk_index_decl indexes[] = { { "by_author", "author", "talk" } };
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct smart_markers, markers, "smart_markers", 1, 0, 0, cols, MK_TABLE(indexes),
                  "The last marker of each kind, author and thread."),
    MK_COLLECTION(struct smart_markers, waiting, "markers_waiting", 1, 0, 0, waiting_cols, MK_NO_INDEX,
                  "Markers for accounts that are away."),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS, MK_TO_ACCOUNT, MK_GET, MK_ASIDE, MK_OWNER, on_get },
    { "query", NS, MK_TO_ACCOUNT, MK_SET, MK_INLINE, MK_OWNER, on_set },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, MK_ORDER_MARKERS, MK_INLINE, on_send),
    MK_ON(user_receive_message, MK_ORDER_MARKERS, MK_INLINE, on_receive),
    MK_ON(user_offline_message, MK_ORDER_OFFLINE_MARKERS, MK_SERIAL, waiting_on_offline),
    MK_ON(user_send_presence, MK_ORDER_AVAILABLE, MK_SERIAL, waiting_on_available),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "looked", MK_ON_SESSION, sizeof(bool), NULL, NULL },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_metric_decl metrics[] = {
    [M_STORED] = { "stored", MK_COUNTER, 0, "markers", "Markers remembered." },
    [M_WAITED] = { "waited", MK_COUNTER, 0, "markers", "Markers stored for accounts that were away." },
};
static const struct mk_xep_decl xeps[] = {
    { "0333", "1.0.0", "complete", "The markers received and acknowledged, which it dropped, are remembered too." },
};

MK_PLUGIN(smart_markers, .version = "1.0", .summary = "Remembers who has read how far (chat markers, XEP-0333)",
          .inst_size = sizeof(struct smart_markers), .options = MK_TABLE(options), .collections = MK_TABLE(collections),
          .iqs = MK_TABLE(iqs), .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .disco = MK_TABLE(disco),
          .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps));
