/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0160: keeps messages for accounts that nobody is there to read, and delivers them when somebody comes. */
#include "offline.h"
#include <meerkat/offline.h>
#include <string.h>

#define NS_HINTS "urn:xmpp:hints"

enum { TIMER_KEEP, TIMER_MORE };
enum { M_STORED, M_DELIVERED, M_REFUSED };

/* A full account is counted again no more often: messages may have expired. */
enum { RECOUNT_MS = 60000 };
/* After a message the account stays in memory, so that the next one need not count. */
enum { KEEP_MS = 60000 };
/* Messages read at once, and bytes delivered at once: a client is not to drown in what waited for it. */
enum { PAGE = 100, BURST = 32 * 1024, MORE_MS = 50, DETACHED_MS = 1000 };

/* ---- which messages ------------------------------------------------------------------------------------------------ */

static bool has_invitation(const struct mk_stanza *s) {
    const struct mk_elem *muc = mk_child(s, "x", "http://jabber.org/protocol/muc#user");
    return mk_child(s, "x", "jabber:x:conference") || (muc && mk_elem_child(muc, "invite", NULL));
}

enum verdict { NOT_OURS, WORTHLESS, WORTH_KEEPING };

/*
 * Worth keeping is what a person would miss: text, an invitation, what is encrypted, and what says so itself.  What is
 * not, as typing notices, vanishes: an error would only tell the sender that the account is away.
 */
static enum verdict judge(const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    if ((type != MK_TYPE_CHAT && type != MK_TYPE_NORMAL) || mk_child(s, "no-store", NS_HINTS))
        return NOT_OURS;
    if (mk_child(s, "body", mk_elem_ns(mk_root(s))) || mk_child(s, "store", NS_HINTS) ||
        mk_child(s, "encryption", "urn:xmpp:eme:0") || has_invitation(s))
        return WORTH_KEEPING;
    return WORTHLESS;
}

/* ---- storing ------------------------------------------------------------------------------------------------------- */

static void keep_in_memory(struct mk_ctx *c) {
    mk_timer_start(c, NULL, TIMER_KEEP, KEEP_MS);
}

/* The slot goes when the account does, which may be now. */
static void on_keep_over(struct mk_ctx *c, struct mk_session *session) {
    (void)c;
    (void)session;
}

MK_SUSPENDS static int count_stored(struct mk_ctx *c, struct account *a) {
    const struct offline *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(mk_self(c)), after = mk_v_int(a->delivered_id);
    int rc =
        mk_scan_count(c, me->messages,
                      MK_SCAN(.partition = &owner, .lo = &after, .lo_count = 1, .flags = MK_SCAN_LO_OPEN), &a->count);
    a->counted = rc == MK_OK;
    a->counted_ms = mk_now_ms(c);
    return rc;
}

MK_SUSPENDS static int has_room(struct mk_ctx *c, struct account *a) {
    const struct offline *me = mk_inst(c);
    bool stale = a->count >= me->max_messages && mk_now_ms(c) - a->counted_ms >= RECOUNT_MS;
    int rc = a->counted && !stale ? MK_OK : count_stored(c, a);
    if (rc != MK_OK)
        return rc;
    return a->count < me->max_messages ? MK_OK : MK_E_LIMIT;
}

/* The id is the time, and the message's place in the order. */
static int store(struct mk_ctx *c, struct account *a, const struct mk_stanza *s) {
    const struct offline *me = mk_inst(c);
    int64_t now = mk_now(c), last = a->last_id > a->delivered_id ? a->last_id : a->delivered_id;
    int64_t id = now > last ? now : last + 1;
    struct mk_value row[COL_COUNT] = {
        mk_v_jid(mk_self(c)),
        mk_v_int(id),
        mk_v_view(mk_stanza_xml(c, s)),
        offline_expiry(me, now),
    };
    int rc = mk_put_later(c, me->messages, MK_UPSERT, row, s);
    if (rc != MK_OK)
        return rc;
    a->last_id = id;
    a->count++;
    mk_count(c, M_STORED, 1);
    return MK_OK;
}

MK_SUSPENDS static bool op_keeps(struct mk_ctx *c, const struct mk_stanza *s) {
    return judge(s) == WORTH_KEEPING && has_room(c, offline_self(c)) == MK_OK;
}

static void refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text) {
    mk_count(c, M_REFUSED, 1);
    if (mk_refuse(c, s, cond, text) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal with %s was not sent", cond);
}

/* Its reader finds it in the account's archive. */
static bool is_archived(struct mk_ctx *c, const struct mk_stanza *s) {
    return mk_stanza_given_id(s, mk_self(c)) != NULL;
}

MK_SUSPENDS static enum mk_flow on_offline_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct account *a = offline_self(c);
    enum verdict verdict = judge(ev->stanza);
    if (verdict != WORTH_KEEPING)
        return verdict == WORTHLESS ? MK_STOP : MK_NEXT;
    int rc = has_room(c, a);
    if (rc == MK_OK)
        rc = store(c, a, ev->stanza);
    if (rc != MK_OK && is_archived(c, ev->stanza))
        mk_log(c, MK_DEBUG, "a message waits in the archive alone");
    else if (rc == MK_E_LIMIT)
        refuse(c, ev->stanza, "service-unavailable", "The recipient is away and too many messages wait already.");
    else if (rc != MK_OK)
        refuse(c, ev->stanza, "resource-constraint", "The message can't be stored now.");
    keep_in_memory(c);
    return MK_STOP;
}

/* ---- delivering ------------------------------------------------------------------------------------------------------ */

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

int offline_restore(struct mk_ctx *c, const struct mk_row *row, const struct mk_stanza **out) {
    const char *xml = mk_row_text(row, COL_STANZA);
    int rc = mk_stanza_read(c, (struct mk_view){ xml, strlen(xml) }, out);
    if (rc != MK_OK || is_stamped(c, *out))
        return rc;
    struct mk_out *o = mk_derive(c, *out, NULL);
    mk_put_delay(o, mk_host(c), mk_row_int(row, COL_ID));
    return mk_seal(o, out);
}

static struct session *session_of(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

/*
 * The row goes once the message has reached the client, or a place that survives a crash as the row does.  NULL if the
 * row holds no stanza, or one that the client fetches from the archive.
 */
static const struct mk_stanza *deliver(struct mk_ctx *c, struct mk_session *session, const struct mk_row *row) {
    const struct offline *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_int(mk_row_int(row, COL_ID)) };
    const struct mk_stanza *s;
    int rc = offline_restore(c, row, &s);
    bool fetched = mk_row_int(row, COL_ID) <= session_of(c, session)->fetched_id;
    if (rc == MK_OK && !(fetched && is_archived(c, s))) {
        mk_receipt_row(c, s, me->messages, key);
        mk_session_send(c, session, s, NULL);
        mk_count(c, M_DELIVERED, 1);
        return s;
    }
    if (rc != MK_OK)
        mk_log(c, MK_ERROR, "a stored message is no stanza and is dropped");
    if (mk_del_later(c, me->messages, key) != MK_OK)
        mk_log(c, MK_WARNING, "it stays stored for now");
    return NULL;
}

static void forget_last(struct session *x) {
    if (x->last)
        mk_release(x->last);
    x->last = NULL;
}

static void fini_session(void *slot) {
    forget_last(slot);
}

/* The next that were not delivered.  What was may still be stored, for its receipt is not paid. */
MK_SUSPENDS static int read_page(struct mk_ctx *c, const struct account *a, const struct mk_rows **rows) {
    const struct offline *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(mk_self(c)), after = mk_v_int(a->delivered_id);
    return mk_scan(c, me->messages,
                   MK_SCAN(.partition = &owner, .lo = &after, .lo_count = 1, .flags = MK_SCAN_LO_OPEN, .limit = PAGE),
                   rows);
}

/* Delivers of ROWS what makes a burst.  Returns how many; the last one in X->LAST. */
static size_t deliver_some(struct mk_ctx *c, struct mk_session *session, struct session *x,
                           const struct mk_rows *rows) {
    struct account *a = offline_self(c);
    const struct mk_stanza *last = NULL;
    size_t bytes = 0, i = 0;
    for (; i < mk_rows_count(rows) && bytes < BURST; i++) {
        const struct mk_stanza *s = deliver(c, session, mk_rows_at(rows, i));
        a->delivered_id = mk_row_int(mk_rows_at(rows, i), COL_ID);
        last = s ? s : last;
        bytes += s ? mk_stanza_size(s) : 0;
    }
    a->count = a->count > (int64_t)i ? a->count - (int64_t)i : 0;
    forget_last(x);
    x->last = last ? mk_keep(last) : NULL;
    return i;
}

MK_SUSPENDS static void go_on(struct mk_ctx *c, struct mk_session *session) {
    struct account *a = offline_self(c);
    struct session *x = session_of(c, session);
    const struct mk_rows *rows;
    if (read_page(c, a, &rows) != MK_OK) {
        a->taker = 0;
        return;
    }
    size_t read = mk_rows_count(rows), done = deliver_some(c, session, x, rows);
    if (done == read && read < PAGE) {
        a->taker = 0;
        a->count = 0;
        a->counted = true;
        forget_last(x);
    } else {
        mk_timer_start(c, session, TIMER_MORE, MORE_MS);
    }
}

/* One session takes all that waits: it would be torn apart otherwise. */
MK_SUSPENDS static void begin(struct mk_ctx *c, struct mk_session *session) {
    struct account *a = offline_self(c);
    if (a->taker)
        return;
    a->taker = mk_session_number(session);
    go_on(c, session);
}

/* SESSION takes no more: what it did not get goes to another, if there is one. */
MK_SUSPENDS static void end(struct mk_ctx *c, struct mk_session *session) {
    struct account *a = offline_self(c);
    session_of(c, session)->takes = false;
    if (a->taker != mk_session_number(session))
        return;
    a->taker = 0;
    forget_last(session_of(c, session));
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL && !a->taker;)
        if (session_of(c, s)->takes)
            begin(c, s);
}

MK_SUSPENDS static void on_more_time(struct mk_ctx *c, struct mk_session *session) {
    struct session *x = session_of(c, session);
    if (offline_self(c)->taker != mk_session_number(session))
        return;
    struct mk_receipt *unpaid = x->last ? mk_receipt_hold(x->last) : NULL;
    bool connected = mk_session_is_connected(session);
    mk_receipt_pay(unpaid);
    if (unpaid || !connected)
        mk_timer_start(c, session, TIMER_MORE, connected ? MORE_MS : DETACHED_MS);
    else
        go_on(c, session);
}

MK_SUSPENDS static enum mk_flow on_available(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct session *x = session_of(c, ev->session);
    if (mk_stanza_to(ev->stanza))
        return MK_NEXT;
    bool takes = mk_session_is_available(ev->session) && mk_session_priority(ev->session) >= 0;
    if (takes && !x->takes) {
        x->takes = true;
        begin(c, ev->session);
    } else if (!takes && x->takes) {
        end(c, ev->session);
    }
    return MK_NEXT;
}

MK_SUSPENDS static enum mk_flow on_session_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    end(c, ev->session);
    return MK_NEXT;
}

/* Its client gets from the archive what came until now (XEP-0386, 4). */
static void on_bind(struct mk_ctx *c, const struct mk_inline *in) {
    int64_t now = mk_now(c), last = offline_self(c)->last_id;
    if (mk_session_reads_archive(in->session))
        session_of(c, in->session)->fetched_id = now > last ? now : last;
}

int offline_drop(struct mk_ctx *c) {
    const struct offline *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    int rc = mk_del_range(c, me->messages, MK_SCAN(.partition = &owner));
    *offline_self(c) = (struct account){ .count = 0 };
    return rc;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    if (offline_drop(c) != MK_OK)
        mk_log(c, MK_ERROR, "messages of a removed account are still stored");
    return MK_NEXT;
}

/* ---- commands ------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS static int cmd_count(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct account *a = offline_self(c);
    (void)args;
    int rc = count_stored(c, a);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The messages can't be counted: %s.", mk_strerror(rc));
    mk_result_int(result, "messages", a->count);
    return MK_OK;
}

MK_SUSPENDS static int cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct offline *me = mk_inst(c);
    struct account *a = offline_self(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    (void)args;
    int rc = mk_del_range(c, me->messages, MK_SCAN(.partition = &owner));
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The messages can't be deleted: %s.", mk_strerror(rc));
    a->count = 0;
    a->counted = true;
    return MK_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(struct offline, max_messages, "1000", 1, 1000000, MK_OPT_LIVE,
               "Most messages that wait for one account. Further ones go back with service-unavailable."),
    MK_OPT_DURATION(struct offline, ttl, "infinite", 60000, INT64_MAX, MK_OPT_LIVE,
                    "How long a message waits before it is dropped."),
};
static const struct mk_col_decl cols[] = {
    [COL_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [COL_ID] = { "id", MK_C_INT, MK_COL_SORT, "When the message came, in microseconds since 1970, made unique." },
    [COL_STANZA] = { "stanza", MK_C_TEXT, 0, "The message as XML." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When it is dropped; null is never." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct offline, messages, "offline", 1, MK_COLL_BULKY, 0, cols, MK_NO_INDEX,
                  "Messages that wait for accounts."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_offline_message, MK_ORDER_OFFLINE, MK_SERIAL, on_offline_message),
    MK_ON(user_send_presence, MK_ORDER_AVAILABLE, MK_SERIAL, on_available),
    MK_ON(session_closed, MK_ORDER_SESSION, MK_SERIAL, on_session_closed),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_inline_decl inlines[] = {
    { NULL, NULL, NULL, MK_AT_BIND, MK_INLINE, 90, 0, on_bind, NULL },
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "session", MK_ON_SESSION, sizeof(struct session), NULL, fini_session },
    [SLOT_ACCOUNT] = { "account", MK_ON_ACCOUNT, sizeof(struct account), NULL, NULL },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_KEEP] = { "keep", MK_ON_ACCOUNT, MK_INLINE, on_keep_over },
    [TIMER_MORE] = { "more", MK_ON_SESSION, MK_SERIAL, on_more_time },
};
static const struct mk_metric_decl metrics[] = {
    [M_STORED] = { "stored", MK_COUNTER, 0, "messages", "Messages stored for accounts that were away." },
    [M_DELIVERED] = { "delivered", MK_COUNTER, 0, "messages", "Stored messages delivered." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "messages",
                    "Messages refused: too many wait, or the store is in trouble." },
};
static const struct mk_arg_decl account_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl count_results[] = {
    { "messages", MK_ARG_INT, 0, "How many messages wait." },
};
static const struct mk_cmd_decl commands[] = {
    { "offline.count", "Count the messages that wait for an account", "GET /accounts/{account}/offline", "account",
      MK_CMD_READ, 0, MK_TABLE(account_args), MK_TABLE(count_results), cmd_count },
    { "offline.delete",
      "Delete the messages that wait for an account",
      "DELETE /accounts/{account}/offline",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(account_args),
      { NULL, 0, 0 },
      cmd_delete },
};
static const struct mk_offline_ops offline_ops = {
    .size = sizeof offline_ops,
    .keeps = op_keeps,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_offline, 1, 0, &offline_ops, "Messages that wait for accounts."),
    MK_PROVIDE(mk_move, 1, 0, &offline_move, "Moves messages that wait."),
};
static const struct mk_disco_decl disco[] = {
    { "msgoffline", MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0160", "1.0.1", "complete", "" },
    { "0203", "2.0", "partial", "Stored messages say when they came." },
    { "0334", "1.0.0", "partial", "store and no-store decide about storing for later." },
};

MK_PLUGIN(offline, .version = "1.0", .summary = "Keeps messages for accounts that are away (XEP-0160)",
          .inst_size = sizeof(struct offline), .options = MK_TABLE(options), .hooks = MK_TABLE(hooks),
          .provides = MK_TABLE(provides), .inlines = MK_TABLE(inlines), .slots = MK_TABLE(slots),
          .timers = MK_TABLE(timers), .metrics = MK_TABLE(metrics), .collections = MK_TABLE(collections),
          .disco = MK_TABLE(disco), .commands = MK_TABLE(commands), .xeps = MK_TABLE(xeps));
