/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0030: says what the host and its accounts are, what they can do, and what belongs to them.  What there is to say
 * comes from the rows and hooks of the other plugins.
 */
#include <meerkat/plugin.h>
#include <meerkat/roster.h>

#define NS_INFO "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"

struct disco {
    const char *name;
    const struct mk_roster *roster;
};

/* Begins the answer and the event that lets others add to it. */
static struct mk_ev_disco begin(struct mk_ctx *c, const struct mk_stanza *iq, const char *ns, bool for_account) {
    const char *node = mk_attr(mk_child(iq, "query", ns), "node");
    struct mk_ev_disco ev = { .iq = iq, .node = node ? node : "", .for_account = for_account };
    ev.known = !ev.node[0];
    ev.reply = mk_reply(c, iq);
    mk_open(ev.reply, "query", ns);
    mk_put(ev.reply, "node", node);
    return ev;
}

static int finish(struct mk_ctx *c, const struct mk_ev_disco *ev) {
    return ev->known ? mk_send(ev->reply) : mk_refuse(c, ev->iq, "item-not-found", NULL);
}

static void put_identity(struct mk_out *o, const char *category, const char *type, const char *name) {
    mk_open(o, "identity", NULL);
    mk_put(o, "category", category);
    mk_put(o, "type", type);
    mk_put(o, "name", name);
    mk_close(o);
}

static void put_features(struct mk_ctx *c, struct mk_out *o, uint32_t to) {
    const char *var;
    for (unsigned i = 0; (var = mk_disco_feature(c, to, i)) != NULL; i++) {
        mk_open(o, "feature", NULL);
        mk_put(o, "var", var);
        mk_close(o);
    }
}

/* ---- the host --------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int on_host_info(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct disco *me = mk_inst(c);
    struct mk_ev_disco ev = begin(c, iq, NS_INFO, false);
    if (ev.known) {
        put_identity(ev.reply, "server", "im", me->name);
        put_features(c, ev.reply, MK_TO_SERVER);
    }
    mk_run_disco_info(c, &ev);
    return finish(c, &ev);
}

MK_SUSPENDS static int on_host_items(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_ev_disco ev = begin(c, iq, NS_ITEMS, false);
    mk_run_disco_items(c, &ev);
    return finish(c, &ev);
}

/* ---- accounts --------------------------------------------------------------------------------------------------- */

/*
 * Whether FROM may know about the account: itself, its host, and who sees its presence.  To all others an account looks
 * as if it did not exist (XEP-0030, 8; RFC 6121, 8.5.1).
 */
MK_SUSPENDS static bool may_ask(struct mk_ctx *c, const struct mk_jid *from) {
    const struct disco *me = mk_inst(c);
    const struct mk_roster_item *contact;
    if (mk_jid_same_bare(from, mk_self(c)) || mk_jid_same(from, mk_host(c)))
        return true;
    if (!me->roster || mk_roster_find(c, me->roster, mk_jid_to_bare(c, from), &contact) != MK_OK)
        return false;
    return contact->state & MK_SUB_FROM;
}

MK_SUSPENDS static int on_account_info(struct mk_ctx *c, const struct mk_stanza *iq) {
    if (!may_ask(c, mk_stanza_from(iq)))
        return MK_E_UNAVAILABLE;
    struct mk_ev_disco ev = begin(c, iq, NS_INFO, true);
    if (ev.known) {
        put_identity(ev.reply, "account", "registered", NULL);
        put_features(c, ev.reply, MK_TO_ACCOUNT);
    }
    mk_run_disco_info(c, &ev);
    return finish(c, &ev);
}

static void put_resources(struct mk_ctx *c, struct mk_out *o) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;) {
        if (!mk_session_is_available(s))
            continue;
        mk_open(o, "item", NULL);
        mk_put_jid(o, "jid", mk_session_jid(s));
        mk_close(o);
    }
}

MK_SUSPENDS static int on_account_items(struct mk_ctx *c, const struct mk_stanza *iq) {
    if (!may_ask(c, mk_stanza_from(iq)))
        return MK_E_UNAVAILABLE;
    struct mk_ev_disco ev = begin(c, iq, NS_ITEMS, true);
    if (ev.known)
        put_resources(c, ev.reply);
    mk_run_disco_items(c, &ev);
    return finish(c, &ev);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct disco, name, "Meerkat", MK_OPT_LIVE, "Name of the server that clients show."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct disco, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
/* The host is asked on any worker; an account in its turn, for its roster and sessions are looked at. */
static const struct mk_iq_decl iqs[] = {
    { "query", NS_INFO, MK_TO_SERVER, MK_GET, MK_ASIDE, 0, on_host_info },
    { "query", NS_ITEMS, MK_TO_SERVER, MK_GET, MK_ASIDE, 0, on_host_items },
    { "query", NS_INFO, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, 0, on_account_info },
    { "query", NS_ITEMS, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, 0, on_account_items },
};
static const struct mk_disco_decl features[] = {
    { NS_INFO, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
    { NS_ITEMS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0030", "2.5.0", "complete", "Of accounts, only those who see their presence may ask." },
};

MK_PLUGIN(disco, .version = "1.0", .summary = "Service discovery (XEP-0030)", .inst_size = sizeof(struct disco),
          .options = MK_TABLE(options), .needs = MK_TABLE(needs), .iqs = MK_TABLE(iqs), .disco = MK_TABLE(features),
          .xeps = MK_TABLE(xeps));
