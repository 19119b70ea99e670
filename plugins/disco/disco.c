/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0030: says what the host and its accounts are, what they can do, and what belongs to them.  What there is to say
 * comes from the rows and hooks of the other plugins, and from the operator.
 */
#include "forms.h"
#include <meerkat/disco.h>
#include <meerkat/plugin.h>
#include <meerkat/roster.h>
#include <string.h>

#define NS_INFO "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"

struct disco {
    const char *name;
    struct mk_texts abuse_addresses, admin_addresses, feedback_addresses, sales_addresses, security_addresses,
        status_addresses, support_addresses;
    struct mk_texts forms, items;
    bool show_admins;
    struct form_value *parsed; /* of .forms; OWNED */
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
    if (ev->taken)
        return MK_OK;
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
        struct mk_ev_feature ev = { var, to == MK_TO_ACCOUNT };
        if (mk_run_disco_feature(c, &ev))
            continue;
        mk_open(o, "feature", NULL);
        mk_put(o, "var", var);
        mk_close(o);
    }
}

/* ---- contact addresses (XEP-0157) --------------------------------------------------------------------------------- */

static void put_addresses(struct mk_ctx *c, struct mk_out *o, const char *var, const struct mk_texts *list,
                          bool admins) {
    const struct mk_jid *jid = admins ? mk_admin_at(c, 0) : NULL;
    if (!list->count && !jid)
        return;
    form_open_field(o, var, "list-multi");
    for (uint32_t i = 0; i < list->count; i++)
        mk_leaf(o, "value", NULL, list->items[i]);
    for (unsigned i = 1; jid; jid = mk_admin_at(c, i++))
        mk_leaf(o, "value", NULL, mk_printf(c, "xmpp:%s", mk_jid_text(jid)));
    mk_close(o);
}

static void put_contacts(struct mk_ctx *c, struct mk_out *o) {
    const struct disco *me = mk_inst(c);
    const bool admins = me->show_admins && mk_admin_at(c, 0);
    if (!me->abuse_addresses.count && !me->admin_addresses.count && !me->feedback_addresses.count &&
        !me->sales_addresses.count && !me->security_addresses.count && !me->status_addresses.count &&
        !me->support_addresses.count && !admins)
        return;
    form_open(o, "http://jabber.org/network/serverinfo");
    put_addresses(c, o, "abuse-addresses", &me->abuse_addresses, false);
    put_addresses(c, o, "admin-addresses", &me->admin_addresses, admins);
    put_addresses(c, o, "feedback-addresses", &me->feedback_addresses, false);
    put_addresses(c, o, "sales-addresses", &me->sales_addresses, false);
    put_addresses(c, o, "security-addresses", &me->security_addresses, false);
    put_addresses(c, o, "status-addresses", &me->status_addresses, false);
    put_addresses(c, o, "support-addresses", &me->support_addresses, false);
    mk_close(o);
}

/* ---- the host --------------------------------------------------------------------------------------------------- */

/* Answers without a node: what the host is, then what other plugins add. */
MK_SUSPENDS static void put_host(struct mk_ctx *c, struct mk_ev_disco *ev) {
    const struct disco *me = mk_inst(c);
    put_identity(ev->reply, "server", "im", me->name);
    put_features(c, ev->reply, MK_TO_SERVER);
    put_contacts(c, ev->reply);
    forms_put(ev->reply, me->parsed, me->forms.count);
    mk_run_disco_info(c, ev);
}

MK_SUSPENDS static int on_host_info(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_ev_disco ev = begin(c, iq, NS_INFO, false);
    if (ev.known)
        put_host(c, &ev);
    else
        mk_run_disco_info(c, &ev);
    return finish(c, &ev);
}

MK_SUSPENDS static int host_info(struct mk_ctx *c, struct mk_out *out) {
    struct mk_ev_disco ev = { .node = "", .reply = out, .known = true };
    put_host(c, &ev);
    return MK_OK;
}

/* "JID" or "JID NAME", as the operator wrote it. */
static void put_item(struct mk_ctx *c, struct mk_out *o, const char *text) {
    size_t len = strcspn(text, " ");
    const struct mk_jid *jid;
    if (mk_jid_parse(c, (struct mk_view){ text, len }, &jid) != MK_OK) {
        mk_log(c, MK_WARNING, "option items has `%s`, which does not begin with an address", text);
        return;
    }
    text += len + strspn(text + len, " ");
    mk_open(o, "item", NULL);
    mk_put_jid(o, "jid", jid);
    mk_put(o, "name", *text ? text : NULL);
    mk_close(o);
}

MK_SUSPENDS static int on_host_items(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct disco *me = mk_inst(c);
    struct mk_ev_disco ev = begin(c, iq, NS_ITEMS, false);
    for (uint32_t i = 0; ev.known && i < me->items.count; i++)
        put_item(c, ev.reply, me->items.items[i]);
    const char *component;
    for (unsigned i = 0; ev.known && (component = mk_component_at(c, i)) != NULL; i++)
        put_item(c, ev.reply, component);
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

static const struct mk_disco_ops disco_ops = { sizeof disco_ops, 0, host_info };

/* An address is a URI: what has no scheme would be of no use to anybody. */
static int check_addresses(const struct mk_texts *list, const char *option, struct mk_err *err) {
    for (uint32_t i = 0; i < list->count; i++)
        if (!strchr(list->items[i], ':') || strchr(list->items[i], ' '))
            return mk_fail(err, MK_E_INVALID,
                           "`%s` in %s is no URI: write \"mailto:abuse@example.org\" or \"xmpp:abuse@example.org\"",
                           list->items[i], option);
    return MK_OK;
}

static int start(void *inst, struct mk_err *err) {
    struct disco *me = inst;
    const struct {
        const struct mk_texts *list;
        const char *option;
    } contacts[] = {
        { &me->abuse_addresses, "abuse_addresses" },       { &me->admin_addresses, "admin_addresses" },
        { &me->feedback_addresses, "feedback_addresses" }, { &me->sales_addresses, "sales_addresses" },
        { &me->security_addresses, "security_addresses" }, { &me->status_addresses, "status_addresses" },
        { &me->support_addresses, "support_addresses" },
    };
    int rc = MK_OK;
    for (unsigned i = 0; rc == MK_OK && i < sizeof contacts / sizeof contacts[0]; i++)
        rc = check_addresses(contacts[i].list, contacts[i].option, err);
    return rc == MK_OK ? forms_parse(&me->forms, &me->parsed, err) : rc;
}

static void stop(void *inst) {
    forms_free(((struct disco *)inst)->parsed);
}

#define ADDRESSES(field, what) MK_OPT_TEXTS(struct disco, field, NULL, 0, "URIs to write to about " what " (XEP-0157).")

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct disco, name, "Meerkat", MK_OPT_LIVE, "Name of the server that clients show."),
    ADDRESSES(abuse_addresses, "abuse"),
    ADDRESSES(admin_addresses, "the running of the server"),
    ADDRESSES(feedback_addresses, "what could be better"),
    ADDRESSES(sales_addresses, "what is for sale"),
    ADDRESSES(security_addresses, "vulnerabilities"),
    ADDRESSES(status_addresses, "whether the server works"),
    ADDRESSES(support_addresses, "help"),
    MK_OPT_BOOL(struct disco, show_admins, "false", MK_OPT_LIVE,
                "Whether the host's `admins` stand among its admin-addresses."),
    MK_OPT_TEXTS(struct disco, forms, NULL, 0,
                 "What else the host says about itself in forms (XEP-0128): a list of \"FORM_TYPE FIELD VALUE\". "
                 "A field that stands there twice has two values."),
    MK_OPT_TEXTS(struct disco, items, NULL, MK_OPT_LIVE,
                 "What belongs to the host besides its own services, \"ADDRESS\" or \"ADDRESS NAME\" each."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct disco, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_disco, 1, 0, &disco_ops, "what the host says about itself"),
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
    { "0128", "1.0.1", "complete", "Of the host, by options and by plugins." },
    { "0157", "1.1.1", "complete", "" },
};

MK_PLUGIN(disco, .version = "1.0", .summary = "Service discovery (XEP-0030)", .inst_size = sizeof(struct disco),
          .options = MK_TABLE(options), .needs = MK_TABLE(needs), .provides = MK_TABLE(provides), .iqs = MK_TABLE(iqs),
          .disco = MK_TABLE(features), .xeps = MK_TABLE(xeps), .start = start, .stop = stop);
