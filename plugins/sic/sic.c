/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0279: tells a client from which address it connects. */
#include <meerkat/plugin.h>
#include <string.h>

#define NS "urn:xmpp:sic:1"

/* "192.0.2.1:5000" or "[2001:db8::1]:5000" into address and port.  False if it is neither. */
static bool split(char *text, const char **ip, const char **port) {
    char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    *colon = '\0';
    *port = colon + 1;
    *ip = text;
    if (*text == '[' && colon > text && colon[-1] == ']') {
        colon[-1] = '\0';
        *ip = text + 1;
    }
    return **ip != '\0';
}

static int answer(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_session *session) {
    const char *address = mk_session_address(session), *ip, *port;
    if (!split(mk_text_of(c, (struct mk_view){ address, strlen(address) }), &ip, &port))
        return mk_refuse(c, iq, "item-not-found", NULL);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "address", NS);
    mk_leaf(o, "ip", NULL, ip);
    mk_leaf(o, "port", NULL, port);
    return mk_send(o);
}

/*
 * Where the client's session is at hand, whether it asks its server or its own account.  To ask about another account is
 * forbidden before anybody looks whether there is one.
 */
static enum mk_flow on_send_iq(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (mk_stanza_type(ev->stanza) != MK_TYPE_GET || !mk_child(ev->stanza, "address", NS) ||
        mk_jid_resource(ev->to).len)
        return MK_NEXT;
    bool own = mk_jid_same(ev->to, mk_self(c)) || mk_jid_same(ev->to, mk_host(c));
    if (!own && !mk_jid_local(ev->to).len)
        return MK_NEXT;
    int rc = own ? answer(c, ev->stanza, ev->session) : mk_refuse(c, ev->stanza, "forbidden", NULL);
    if (rc != MK_OK)
        mk_log(c, MK_DEBUG, "a client was not told its address: %s", mk_strerror(rc));
    return MK_STOP;
}

static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_iq, MK_ORDER_FILTER, MK_INLINE, on_send_iq),
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0279", "0.2", "complete", "" },
};

MK_PLUGIN(sic, .version = "1.0", .summary = "Tells a client its own address (XEP-0279)", .hooks = MK_TABLE(hooks),
          .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps));
