/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0198: acknowledgements between client and server, and resumption of a session on a new connection. */
#include "stream_mgmt.h"
#include <stdio.h>
#include <string.h>

#define NS_STANZAS "urn:ietf:params:xml:ns:xmpp-stanzas"

/* With stanzas on the way an ack is asked for after this long, however few they are. */
enum { ACK_DELAY_MS = 1000 };
/* A client that has just been sent a lot is given time to acknowledge before max_queue is held against it. */
enum { GRACE_MS = 10000 };
/* After a resumption no more than this is on its way at a time: what waits may be far more than a connection holds. */
enum { WINDOW = 64 * 1024 };

static uint32_t ms32(int64_t ms) {
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

void free_managed(struct managed *m) {
    for (uint32_t i = 0; i < m->queue.count; i++) {
        struct unacked *u = queue_at(&m->queue, i);
        mk_receipt_pay(u->receipt);
        mk_release(u->stanza);
        mk_jid_free(u->to);
    }
    queue_free(&m->queue);
    mk_free(m->state);
    mk_free(m);
}

static void fini_session(void *slot) {
    struct managed *m = *(struct managed **)slot;
    if (m)
        free_managed(m);
}

/* ---- what the server says ------------------------------------------------------------------------------------------- */

static void say(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    if (st && mk_stream_send(c, st, o) != MK_OK)
        mk_log(c, MK_ERROR, "an element of stream management was not sent");
}

struct mk_out *element_begin(struct mk_ctx *c, struct mk_out *answer, const char *name) {
    if (!answer)
        return mk_nonza(c, name, NS_SM);
    mk_open(answer, name, NS_SM);
    return answer;
}

void element_end(struct mk_ctx *c, struct mk_stream *st, struct mk_out *answer, struct mk_out *o) {
    if (answer)
        mk_close(o);
    else
        say(c, st, o);
}

void say_failed(struct mk_ctx *c, struct mk_stream *st, struct mk_out *answer, const char *cond,
                const uint32_t *handled) {
    struct mk_out *o = element_begin(c, answer, "failed");
    if (handled)
        mk_put_int(o, "h", *handled);
    mk_leaf(o, cond, NS_STANZAS, NULL);
    element_end(c, st, answer, o);
}

static void say_handled(struct mk_ctx *c, struct mk_session *session) {
    struct mk_out *o = mk_nonza(c, "a", NS_SM);
    mk_put_int(o, "h", mk_session_handled(session));
    say(c, mk_session_stream(session), o);
}

static void ask(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    const struct stream_mgmt *me = mk_inst(c);
    say(c, mk_session_stream(session), mk_nonza(c, "r", NS_SM));
    m->asked = true;
    m->unasked = 0;
    mk_timer_start(c, session, TIMER_ACK, ms32(me->ack_timeout));
}

/* ---- stanzas to the client -------------------------------------------------------------------------------------------- */

static void enqueue(struct mk_ctx *c, struct managed *m, const struct mk_ev_send *ev) {
    struct unacked *u = queue_push(&m->queue);
    u->stanza = mk_keep(ev->stanza);
    if (unacked_matters(ev->stanza)) {
        u->receipt = mk_receipt_hold(ev->stanza);
        u->shared = unacked_is_shared(c, ev->session, ev->stanza);
    }
    u->sent_ms = mk_now_ms(c);
    m->queue.bytes += mk_stanza_size(ev->stanza);
    if (!ev->to) {
        u->address = ADDRESS_OWN;
    } else if (mk_jid_same(ev->to, mk_session_jid(ev->session))) {
        u->address = ADDRESS_SESSION;
    } else {
        u->address = ADDRESS_OTHER;
        u->to = mk_jid_keep(ev->to);
    }
}

static const struct mk_jid *address_of(const struct mk_session *session, const struct unacked *u) {
    return u->address == ADDRESS_SESSION ? mk_session_jid(session) : u->to;
}

bool is_over(struct mk_ctx *c, const struct managed *m) {
    const struct stream_mgmt *me = mk_inst(c);
    if (m->queue.bytes > (uint64_t)me->max_bytes)
        return true;
    return m->queue.count > me->max_queue && (m->detached || mk_now_ms(c) - queue_at(&m->queue, 0)->sent_ms > GRACE_MS);
}

/* Writes the next of the queue. */
static void write_next(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    const struct unacked *u = queue_at(&m->queue, m->written++);
    mk_session_write(c, session, u->stanza, address_of(session, u));
    m->in_flight += mk_stanza_size(u->stanza);
    m->sent = m->written > m->sent ? m->written : m->sent;
}

void catch_up(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    while (m->written < m->queue.count) {
        size_t size = mk_stanza_size(queue_at(&m->queue, m->written)->stanza);
        if (m->in_flight && m->in_flight + size > WINDOW)
            break;
        write_next(c, session, m);
    }
    if (m->queue.count && !m->asked)
        ask(c, session, m);
}

static void ask_in_time(struct mk_ctx *c, struct mk_session *session, struct managed *m) {
    const struct stream_mgmt *me = mk_inst(c);
    m->unasked++;
    if (m->asked)
        return;
    if (m->unasked >= me->ack_every)
        ask(c, session, m);
    else if (!mk_timer_runs(c, session, TIMER_ACK))
        mk_timer_start(c, session, TIMER_ACK, ACK_DELAY_MS);
}

static enum mk_flow on_session_send(struct mk_ctx *c, struct mk_ev_send *ev) {
    const struct stream_mgmt *me = mk_inst(c);
    struct managed *m = *managed_of(c, ev->session);
    if (!m)
        return MK_NEXT;
    enqueue(c, m, ev);
    if (!m->detached && m->written == m->queue.count - 1) {
        write_next(c, ev->session, m);
        ask_in_time(c, ev->session, m);
    }
    if (queue_at(&m->queue, m->queue.count - 1)->receipt && !mk_timer_runs(c, ev->session, TIMER_SPOOL))
        mk_timer_start(c, ev->session, TIMER_SPOOL, ms32(me->spool_after));
    if (is_over(c, m))
        mk_session_close(c, ev->session, "resource-constraint", "Too many stanzas are not acknowledged.");
    return MK_STOP;
}

/* Stanzas are on the way and no ack was asked for; or it was, and the client has had its time. */
static void on_ack_time(struct mk_ctx *c, struct mk_session *session) {
    struct managed *m = *managed_of(c, session);
    if (!m || !mk_session_is_connected(session) || !m->queue.count)
        return;
    if (m->asked)
        mk_stream_lose(c, mk_session_stream(session), "connection-timeout", "You do not acknowledge stanzas.");
    else
        ask(c, session, m);
}

static void on_spool_time(struct mk_ctx *c, struct mk_session *session) {
    const struct stream_mgmt *me = mk_inst(c);
    struct managed *m = *managed_of(c, session);
    if (m && unacked_spool(c, session, m, me->spool_after))
        mk_timer_start(c, session, TIMER_SPOOL, ms32(me->spool_after));
}

/* ---- acks ------------------------------------------------------------------------------------------------------------- */

bool acknowledge(struct mk_ctx *c, struct mk_stream *st, struct mk_session *session, struct managed *m, uint32_t h) {
    uint32_t count, sent = m->queue.acked + m->sent;
    if (!queue_covers(&m->queue, m->sent, h, &count)) {
        struct mk_out *app = mk_nonza(c, "handled-count-too-high", NS_SM);
        mk_put_int(app, "h", h);
        mk_put_int(app, "send-count", sent);
        mk_stream_fail(c, st, "undefined-condition",
                       mk_printf(c, "You acknowledged %u stanzas, but I only sent you %u so far.", h, sent), app);
        return false;
    }
    while (count--)
        unacked_settle(c, session, m);
    return true;
}

static void on_a(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    struct mk_session *session = mk_stream_session(st);
    struct managed *m = *managed_of(c, session);
    uint32_t h;
    if (!m) {
        say_failed(c, st, NULL, "unexpected-request", NULL);
        return;
    }
    if (!read_uint32(mk_attr(mk_root(nonza), "h"), &h)) {
        mk_stream_fail(c, st, "bad-format", "An ack has an h from 0 to 4294967295.", NULL);
        return;
    }
    if (!acknowledge(c, st, session, m, h))
        return;
    m->asked = false;
    if (m->written < m->queue.count)
        catch_up(c, session, m);
    else if (m->queue.count)
        mk_timer_start(c, session, TIMER_ACK, ACK_DELAY_MS);
    else
        mk_timer_stop(c, session, TIMER_ACK);
}

static void on_r(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    struct mk_session *session = mk_stream_session(st);
    (void)nonza;
    if (*managed_of(c, session))
        say_handled(c, session);
    else
        say_failed(c, st, NULL, "unexpected-request", NULL);
}

/* An ack that said less than the client hoped is followed by another. */
static enum mk_flow on_settled(struct mk_ctx *c, struct mk_ev_session *ev) {
    if (*managed_of(c, ev->session) && mk_session_is_connected(ev->session))
        say_handled(c, ev->session);
    return MK_NEXT;
}

/* <resume/> before authentication or after binding; <enable/> before binding is refused where it is handled. */
static void on_wrong_time(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    (void)nonza;
    say_failed(c, st, NULL, "unexpected-request", NULL);
}

/* Not once Bind 2 has switched it on: a client would do it again. */
static void put_feature(struct mk_ctx *c, struct mk_stream *st, struct mk_out *features) {
    struct mk_session *session = mk_stream_session(st);
    if (!session || !*managed_of(c, session))
        mk_leaf(features, "sm", NS_SM, NULL);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static enum mk_flow on_host_started(struct mk_ctx *c, struct mk_ev_host *ev) {
    (void)ev;
    unacked_recover(c);
    return MK_NEXT;
}

static const struct mk_index_decl unacked_indexes[] = {
    { "by_host", "host", "owner,id" },
};
const struct mk_coll_decl sm_collections[] = {
    { "sm_unacked", 2, MK_COLL_BULKY, 0, offsetof(struct stream_mgmt, spool), MK_TABLE(unacked_cols),
      MK_TABLE(unacked_indexes), "Messages sent to clients that have not acknowledged them." },
    { "sm_sessions", 1, 0, 0, offsetof(struct stream_mgmt, sessions), MK_TABLE(kept_cols), MK_NO_INDEX,
      "Sessions that wait for the server to come back, and the counts of those that ended." },
};

static int start(void *inst, struct mk_err *err) {
    struct stream_mgmt *me = inst;
    unsigned char bytes[8];
    (void)err;
    mk_random(bytes, sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes; i++)
        snprintf(me->process + 2 * i, 3, "%02x", bytes[i]);
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_DURATION(struct stream_mgmt, resume_timeout, "10m", 0, 7 * 86400000, MK_OPT_LIVE,
                    "How long a session whose connection broke waits to be resumed. 0: sessions can't be resumed."),
    MK_OPT_INT(struct stream_mgmt, max_queue, "1000", 10, 1000000, MK_OPT_LIVE,
               "Most stanzas that may wait for an acknowledgement. A session with more is closed; "
               "one that is connected only if the oldest of them waits for 10 seconds."),
    MK_OPT_SIZE(struct stream_mgmt, max_bytes, "8M", 65536, INT64_MAX, MK_OPT_LIVE,
                "Most bytes that may wait for an acknowledgement. A session with more is closed."),
    MK_OPT_INT(struct stream_mgmt, ack_every, "5", 1, 10000, MK_OPT_LIVE,
               "Stanzas after which an acknowledgement is asked for. Fewer are asked for after a second."),
    MK_OPT_DURATION(
        struct stream_mgmt, ack_timeout, "60s", 1000, 86400000, MK_OPT_LIVE,
        "How long a client may take to acknowledge when it was asked. Then its connection counts as broken."),
    MK_OPT_DURATION(struct stream_mgmt, spool_after, "1s", 100, 3600000, MK_OPT_LIVE,
                    "How long a message waits for its acknowledgement before it is stored. "
                    "Until then its sender waits for its own."),
    MK_OPT_DURATION(struct stream_mgmt, remember, "1h", 0, 30 * INT64_C(86400000), MK_OPT_LIVE,
                    "How long the count of a session that can't be resumed any more is remembered, so that its client "
                    "learns what of its own arrived. 0: not at all."),
};
static const struct mk_nonza_decl nonzas[] = {
    { "enable", NS_SM, MK_WHEN_BOUND, MK_INLINE, on_enable },
    { "enable", NS_SM, MK_WHEN_CONNECTED | MK_WHEN_AUTHED, MK_INLINE, on_wrong_time },
    { "resume", NS_SM, MK_WHEN_AUTHED, MK_SERIAL, on_resume },
    { "resume", NS_SM, MK_WHEN_CONNECTED | MK_WHEN_BOUND, MK_INLINE, on_wrong_time },
    { "r", NS_SM, MK_WHEN_BOUND, MK_INLINE, on_r },
    { "a", NS_SM, MK_WHEN_BOUND, MK_INLINE, on_a },
};
static const struct mk_inline_decl inlines[] = {
    { "resume", NS_SM, "sm", MK_AT_LOGIN, MK_SERIAL, 10, 0, on_inline_resume, NULL },
    { "enable", NS_SM, NS_SM, MK_AT_BIND, MK_INLINE, 50, 0, on_inline_enable, NULL },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(session_send, MK_ORDER_STREAM_MGMT, MK_INLINE, on_session_send),
    MK_ON(session_settled, MK_ORDER_STREAM_MGMT, MK_INLINE, on_settled),
    MK_ON(session_lost, MK_ORDER_STREAM_MGMT, MK_INLINE, on_session_lost),
    MK_ON(session_closed, MK_ORDER_SAVE, MK_SERIAL, on_session_closing),
    MK_ON(session_closed, MK_ORDER_UNACKED, MK_INLINE, on_session_closed),
    MK_ON(account_removed, 50, MK_SERIAL, unacked_on_account_removed),
    MK_ON(host_started, 50, MK_SERIAL, on_host_started),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "managed", MK_ON_SESSION, sizeof(struct managed *), NULL, fini_session },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_ACK] = { "ack", MK_ON_SESSION, MK_INLINE, on_ack_time },
    [TIMER_SPOOL] = { "spool", MK_ON_SESSION, MK_INLINE, on_spool_time },
    [TIMER_RESUME] = { "resume", MK_ON_SESSION, MK_INLINE, on_resume_time },
    [TIMER_RECOVER] = { "recover", MK_ON_HOST, MK_SERIAL, unacked_on_recover },
};
static const struct mk_feature_decl features[] = {
    { "sm", NS_SM, MK_WHEN_AUTHED, 0, put_feature },
};
static const struct mk_metric_decl metrics[] = {
    [M_DETACHED] = { "detached", MK_GAUGE, 0, "sessions", "Sessions that wait to be resumed." },
    [M_RESUMED] = { "resumed", MK_COUNTER, 0, "sessions", "Sessions resumed." },
    [M_EXPIRED] = { "expired", MK_COUNTER, 0, "sessions", "Sessions that nobody resumed in time." },
    [M_SPOOLED] = { "spooled", MK_COUNTER, 0, "messages",
                    "Messages stored because they were not acknowledged at once." },
    [M_RETURNED] = { "returned", MK_COUNTER, 0, "messages", "Messages sent on because a session ended without them." },
};
static const struct mk_xep_decl xeps[] = {
    { "0198", "1.6.3", "complete", "Between clients and server; inline in SASL2 and Bind 2." },
    { "0203", "2.0", "partial", "Messages that are sent on say when they were sent first." },
};

MK_PLUGIN(stream_mgmt, .version = "1.0", .summary = "Acknowledged and resumable sessions (XEP-0198)",
          .inst_size = sizeof(struct stream_mgmt), .options = MK_TABLE(options), .hooks = MK_TABLE(hooks),
          .nonzas = MK_TABLE(nonzas), .features = MK_TABLE(features), .slots = MK_TABLE(slots),
          .timers = MK_TABLE(timers), .metrics = MK_TABLE(metrics), .collections = MK_TABLE(sm_collections),
          .xeps = MK_TABLE(xeps), .inlines = MK_TABLE(inlines), .start = start);
