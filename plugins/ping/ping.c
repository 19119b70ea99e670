/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0199: answers pings to the host and to one's own account, and pings clients that say nothing. */
#include <meerkat/plugin.h>

#define NS "urn:xmpp:ping"

enum { ACTION_NONE, ACTION_CLOSE };
static const char *const actions[] = { "none", "close", NULL };

struct ping {
    bool send_pings;
    int64_t interval, timeout, timeout_action;
};

/* Each session has a number: mk_now_ms() of the ping that is out, 0 if none.  The timer is all else that it costs. */
enum { SLOT_SESSION };
enum { TIMER_IDLE };
enum { M_SENT, M_TIMEOUTS };

static int on_ping(struct mk_ctx *c, const struct mk_stanza *iq) {
    return mk_send(mk_reply(c, iq));
}

/* ---- pinging clients ---------------------------------------------------------------------------------------------------- */

static int64_t *pinged_at(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

static void wait_for(struct mk_ctx *c, struct mk_session *session, int64_t ms) {
    mk_timer_start(c, session, TIMER_IDLE, ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms);
}

static void send_ping(struct mk_ctx *c, struct mk_session *session) {
    const struct ping *me = mk_inst(c);
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_GET, mk_session_jid(session));
    mk_from(o, mk_host(c));
    mk_id(o, mk_random_id(c));
    mk_leaf(o, "ping", NS, NULL);
    if (mk_seal(o, &s) == MK_OK)
        mk_session_send(c, session, s, NULL);
    *pinged_at(c, session) = mk_now_ms(c);
    mk_count(c, M_SENT, 1);
    wait_for(c, session, me->timeout);
}

static void on_timeout(struct mk_ctx *c, struct mk_session *session) {
    const struct ping *me = mk_inst(c);
    mk_count(c, M_TIMEOUTS, 1);
    *pinged_at(c, session) = 0;
    if (me->timeout_action == ACTION_CLOSE)
        mk_stream_lose(c, mk_session_stream(session), "connection-timeout", "You do not answer pings.");
    else
        wait_for(c, session, me->interval);
}

/* Whatever came since counts as an answer: also an error, also what the client said of itself. */
static void on_idle(struct mk_ctx *c, struct mk_session *session) {
    const struct ping *me = mk_inst(c);
    int64_t *pinged = pinged_at(c, session);
    if (!me->send_pings || !mk_session_is_connected(session))
        return;
    int64_t idle = mk_stream_idle_ms(mk_session_stream(session));
    if (*pinged && idle > mk_now_ms(c) - *pinged) {
        on_timeout(c, session);
        return;
    }
    *pinged = 0;
    if (idle >= me->interval)
        send_ping(c, session);
    else
        wait_for(c, session, me->interval - idle);
}

static enum mk_flow on_connected(struct mk_ctx *c, struct mk_ev_session *ev) {
    const struct ping *me = mk_inst(c);
    *pinged_at(c, ev->session) = 0;
    if (me->send_pings)
        wait_for(c, ev->session, me->interval);
    return MK_NEXT;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct ping, send_pings, "false", MK_OPT_LIVE,
                "Whether the server pings clients that say nothing. Switched on, it holds for sessions that begin."),
    MK_OPT_DURATION(struct ping, interval, "60s", 1000, 86400000, MK_OPT_LIVE,
                    "How long a client may say nothing before it is pinged."),
    MK_OPT_DURATION(struct ping, timeout, "32s", 1000, 3600000, MK_OPT_LIVE,
                    "How long a client may take to say something when it was pinged."),
    MK_OPT_ENUM(struct ping, timeout_action, "none", actions, MK_OPT_LIVE,
                "What happens to one that does not: none counts it, close ends its connection as a broken one."),
};
/* Of accounts only the owner may ask: to others the answer would tell that the account exists. */
static const struct mk_iq_decl iqs[] = {
    { "ping", NS, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_ping },
    { "ping", NS, MK_TO_ACCOUNT, MK_GET, MK_INLINE, MK_OWNER, on_ping },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(session_opened, MK_ORDER_SESSION, MK_INLINE, on_connected),
    MK_ON(session_resumed, MK_ORDER_SESSION, MK_INLINE, on_connected),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "pinged", MK_ON_SESSION, sizeof(int64_t), NULL, NULL },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_IDLE] = { "idle", MK_ON_SESSION, MK_INLINE, on_idle },
};
static const struct mk_metric_decl metrics[] = {
    [M_SENT] = { "sent", MK_COUNTER, 0, "queries", "Clients pinged." },
    [M_TIMEOUTS] = { "timeouts", MK_COUNTER, 0, "queries", "Clients that said nothing in time." },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0199", "2.0.1", "complete", "" },
};

MK_PLUGIN(ping, .version = "1.0", .summary = "Answers pings, and pings idle clients (XEP-0199)",
          .inst_size = sizeof(struct ping), .options = MK_TABLE(options), .iqs = MK_TABLE(iqs),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .timers = MK_TABLE(timers), .metrics = MK_TABLE(metrics),
          .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps));
