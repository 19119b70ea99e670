/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of a host and the world outside of it hear nothing of each other. */
#include <meerkat/plugin.h>
#include <string.h>

struct domain_isolation {
    struct mk_texts allow;
};

enum { M_REFUSED };

/* DOMAIN is HOST or below it. */
static bool is_within(struct mk_view domain, struct mk_view host) {
    if (domain.len < host.len || memcmp(domain.s + domain.len - host.len, host.s, host.len) != 0)
        return false;
    return domain.len == host.len || domain.s[domain.len - host.len - 1] == '.';
}

static bool may_talk(struct mk_ctx *c, const struct mk_jid *other) {
    const struct domain_isolation *me = mk_inst(c);
    struct mk_view domain = mk_jid_domain(other);
    if (is_within(domain, mk_jid_domain(mk_host(c))))
        return true;
    for (uint32_t i = 0; i < me->allow.count; i++)
        if (is_within(domain, (struct mk_view){ me->allow.items[i], strlen(me->allow.items[i]) }))
            return true;
    return false;
}

/* A presence from outside is dropped in silence, and so is what is itself an answer. */
static enum mk_flow judge(struct mk_ctx *c, const struct mk_ev_stanza *ev, const struct mk_jid *other, bool quiet) {
    if (may_talk(c, other))
        return MK_NEXT;
    mk_count(c, M_REFUSED, 1);
    quiet |= mk_stanza_type(ev->stanza) == MK_TYPE_RESULT;
    if (!quiet && mk_refuse(c, ev->stanza, "service-unavailable", NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    return MK_STOP;
}

static enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return judge(c, ev, ev->to, false);
}

/* An error looks as if it came from where the stanza should have gone: our own refusals are among them. */
static enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return mk_stanza_type(ev->stanza) == MK_TYPE_ERROR ? MK_NEXT : judge(c, ev, mk_stanza_from(ev->stanza), false);
}

static enum mk_flow on_receive_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return mk_stanza_type(ev->stanza) == MK_TYPE_ERROR ? MK_NEXT : judge(c, ev, mk_stanza_from(ev->stanza), true);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXTS(struct domain_isolation, allow, NULL, MK_OPT_LIVE,
                 "Domains outside that may be talked to all the same, with all below them."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_send_presence, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_send_subscription, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_send_iq, MK_ORDER_ISOLATION, MK_INLINE, on_send),
    MK_ON(user_receive_message, MK_ORDER_ISOLATION, MK_INLINE, on_receive),
    MK_ON(user_receive_presence, MK_ORDER_ISOLATION, MK_INLINE, on_receive_presence),
    MK_ON(user_receive_subscription, MK_ORDER_ISOLATION, MK_INLINE, on_receive_presence),
    MK_ON(user_receive_iq, MK_ORDER_ISOLATION, MK_INLINE, on_receive),
};
static const struct mk_metric_decl metrics[] = {
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "stanzas", "Stanzas to or from outside." },
};

MK_PLUGIN(domain_isolation, .version = "1.0", .summary = "Keeps a host's accounts to themselves",
          .inst_size = sizeof(struct domain_isolation), .options = MK_TABLE(options), .hooks = MK_TABLE(hooks),
          .metrics = MK_TABLE(metrics));
