/* SPDX-License-Identifier: Apache-2.0 */
/* What the lists let through.  All of it is INLINE and looks at memory only. */
#include "lists.h"

static bool is_request(const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    return mk_stanza_kind(s) != MK_IQ || type == MK_TYPE_GET || type == MK_TYPE_SET;
}

/* Silent about presence, so that the account looks absent. */
static enum mk_flow refuse_in(struct mk_ctx *c, const struct mk_stanza *s, const char *cond) {
    mk_count(c, M_BLOCKED_IN, 1);
    if (mk_stanza_kind(s) != MK_PRESENCE && is_request(s) && mk_refuse(c, s, cond, NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal with %s was not sent", cond);
    return MK_STOP;
}

static enum mk_flow receive(struct mk_ctx *c, struct mk_ev_stanza *ev, uint32_t kind) {
    const struct lists *l = lists_of(c);
    const struct mk_jid *from = mk_stanza_from(ev->stanza);
    if (l->loaded && !l->items)
        return MK_NEXT;
    if (is_exempt(c, from))
        return MK_NEXT;
    if (!l->loaded)
        return refuse_in(c, ev->stanza, "resource-constraint");
    if (!ev->target_count)
        return list_denies(c, l->standard, from, kind) ? refuse_in(c, ev->stanza, "service-unavailable") : MK_NEXT;
    for (uint32_t i = 0; i < ev->target_count - ev->skipped;) {
        if (list_denies(c, list_for(c, l, ev->targets[i]), from, kind))
            mk_skip_target(ev, i);
        else
            i++;
    }
    return ev->skipped < ev->target_count ? MK_NEXT : refuse_in(c, ev->stanza, "service-unavailable");
}

enum mk_flow on_receive_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return receive(c, ev, MK_PRIVACY_MESSAGE_IN);
}

enum mk_flow on_receive_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return receive(c, ev, MK_PRIVACY_PRESENCE_IN);
}

enum mk_flow on_receive_iq(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return receive(c, ev, MK_PRIVACY_IQ_IN);
}

enum mk_flow on_receive_subscription(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return receive(c, ev, MK_PRIVACY_OTHER);
}

static bool is_notification(const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    return type == MK_TYPE_AVAILABLE || type == MK_TYPE_UNAVAILABLE;
}

/* Straight to the session: an error that seems to come from whom the lists deny would not get past them. */
static enum mk_flow refuse_out(struct mk_ctx *c, const struct mk_ev_stanza *ev, const char *cond, bool blocked) {
    const struct mk_stanza *error;
    mk_count(c, M_BLOCKED_OUT, 1);
    if (!is_request(ev->stanza) || mk_stanza_type(ev->stanza) == MK_TYPE_ERROR)
        return MK_STOP;
    struct mk_out *o = mk_reply_error(c, ev->stanza, cond);
    if (blocked)
        mk_leaf(o, "blocked", "urn:xmpp:blocking:errors", NULL);
    if (mk_seal(o, &error) == MK_OK)
        mk_session_send(c, ev->session, error, NULL);
    else
        mk_log(c, MK_DEBUG, "a refusal with %s was not sent", cond);
    return MK_STOP;
}

enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct lists *l = lists_of(c);
    if ((l->loaded && !l->items) || is_exempt(c, ev->to))
        return MK_NEXT;
    if (!l->loaded)
        return refuse_out(c, ev, "resource-constraint", false);
    const struct rule_list *list = list_for(c, l, ev->session);
    uint32_t kind = is_notification(ev->stanza) ? MK_PRIVACY_PRESENCE_OUT : MK_PRIVACY_OTHER;
    const struct rule *r = list ? rule_for(c, list, ev->to, kind) : NULL;
    return r && r->deny ? refuse_out(c, ev, "not-acceptable", rule_blocks(r)) : MK_NEXT;
}

enum mk_flow on_notify(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct lists *l = lists_of(c);
    if (l->loaded && !l->items)
        return MK_NEXT;
    if (is_exempt(c, ev->to))
        return MK_NEXT;
    return !l->loaded || list_denies(c, list_for(c, l, ev->session), ev->to, MK_PRIVACY_PRESENCE_OUT) ? MK_STOP
                                                                                                      : MK_NEXT;
}
