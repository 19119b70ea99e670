/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the accounts of a host may not talk to, or may talk to alone. */
#include "lists.h"
#include <stdlib.h>
#include <string.h>

enum { M_STOPPED };

/* ---- the lists in memory ---------------------------------------------------------------------------------------------- */

/* An account that comes into memory after a change was not told of it. */
MK_SUSPENDS static enum mk_flow on_loaded(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    return lists_read(c, 0) == MK_OK ? MK_NEXT : MK_STOP;
}

/* The first account of a worker that is told reads for all of them. */
MK_SUSPENDS static enum mk_flow on_told(struct mk_ctx *c, struct mk_ev_told *ev) {
    const struct host_lists *h = lists_cached(c);
    if (strncmp(ev->what, TOLD, strlen(TOLD)) != 0)
        return MK_NEXT;
    int64_t version = strtoll(ev->what + strlen(TOLD), NULL, 10);
    if ((!h || h->version < version) && lists_read(c, version) != MK_OK)
        mk_log(c, MK_ERROR, "the lists of who may be talked to can't be read: the old ones stay");
    return MK_NEXT;
}

static void worker_stop(const void *inst, void *worker) {
    (void)inst;
    lists_clear(worker);
}

/* ---- filtering -------------------------------------------------------------------------------------------------------- */

/* The account itself, and its host, are always to be talked to. */
static bool allows(struct mk_ctx *c, const struct mk_jid *peer) {
    const struct host_lists *h = lists_cached(c);
    if (!h || (!h->lists[BLACK].count && !h->lists[WHITE].count) || mk_jid_same_bare(peer, mk_self(c)) ||
        mk_jid_same_bare(peer, mk_host(c)) || lists_allow(h, peer))
        return true;
    mk_count(c, M_STOPPED, 1);
    return false;
}

/* Messages and requests are refused; errors, answers and presence are dropped. */
static bool is_answered(const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    return (mk_stanza_kind(s) == MK_MESSAGE && type != MK_TYPE_ERROR) || type == MK_TYPE_GET || type == MK_TYPE_SET;
}

/* The refusal goes straight to the session: as a stanza from who is on the list it would be stopped as well. */
static enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_stanza *error;
    if (!mk_stanza_to(ev->stanza) || allows(c, ev->to))
        return MK_NEXT;
    if (ev->session && is_answered(ev->stanza) &&
        mk_seal(mk_reply_error(c, ev->stanza, "not-acceptable"), &error) == MK_OK)
        mk_session_send(c, ev->session, error, NULL);
    return MK_STOP;
}

static enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (allows(c, mk_stanza_from(ev->stanza)))
        return MK_NEXT;
    if (is_answered(ev->stanza) && mk_refuse(c, ev->stanza, "service-unavailable", NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    return MK_STOP;
}

static enum mk_flow on_notify(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return allows(c, ev->to) ? MK_NEXT : MK_STOP;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct access_lists, entries, "access_list", 1, 0, 0, entry_cols, MK_NO_INDEX,
                  "Whom the accounts of a host may not talk to, or may talk to alone."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(account_loaded, MK_ORDER_FILTER, MK_SERIAL, on_loaded),
    MK_ON(account_told, 50, MK_SERIAL, on_told),
    MK_ON(user_send_message, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_send_presence, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_send_iq, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_send_subscription, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_receive_message, MK_ORDER_ISOLATION, MK_INLINE, on_receive),
    MK_ON(user_receive_presence, MK_ORDER_ISOLATION, MK_INLINE, on_receive),
    MK_ON(user_receive_iq, MK_ORDER_ISOLATION, MK_INLINE, on_receive),
    MK_ON(user_receive_subscription, MK_ORDER_ISOLATION, MK_INLINE, on_receive),
    MK_ON(user_notify_presence, MK_ORDER_ISOLATION, MK_INLINE, on_notify),
};
static const struct mk_metric_decl metrics[] = {
    [M_STOPPED] = { "stopped", MK_COUNTER, 0, "stanzas", "Stanzas that were stopped, in either direction." },
};

MK_PLUGIN(access_lists, .version = "1.0", .summary = "Whom a host's accounts may not talk to, or may talk to alone",
          .inst_size = sizeof(struct access_lists), .worker_size = sizeof(struct cache),
          .collections = MK_TABLE(collections), .hooks = MK_TABLE(hooks), .metrics = MK_TABLE(metrics),
          .commands = { access_commands, ACCESS_COMMANDS, sizeof(struct mk_cmd_decl) }, .worker_stop = worker_stop);
