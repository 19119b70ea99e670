/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0356: external components that may act in the name of accounts, as far as the operator says. */
#include "privilege.h"
#include <string.h>

/* ---- telling the component -------------------------------------------------------------------------------------------- */

static void put_perm(struct mk_out *o, const char *access, const char *type) {
    mk_open(o, "perm", NULL);
    mk_put(o, "access", access);
    mk_put(o, "type", type);
}

static const char *one_of(const char *grant, const char *name, const char *const *values) {
    for (; *values; values++)
        if (grant_has(grant, name, *values))
            return *values;
    return "none";
}

static void put_namespaces(struct mk_ctx *c, struct mk_out *o, const char *grant) {
    const char *ns, *type;
    if (!grant_namespace(c, grant, 0, &ns, &type))
        return;
    put_perm(o, "iq", NULL);
    for (uint32_t i = 0; grant_namespace(c, grant, i, &ns, &type); i++) {
        mk_open(o, "namespace", NULL);
        mk_put(o, "ns", ns);
        mk_put(o, "type", type);
        mk_close(o);
    }
    mk_close(o);
}

/* What is not granted is said too: a component that was told something else before learns that it is so no more. */
static void put_privileges(struct mk_ctx *c, struct mk_out *o, const char *grant, const char *ns) {
    static const char *const rosters[] = { "both", "get", "set", NULL }, *const messages[] = { "outgoing", NULL },
                             *const presences[] = { "roster", "managed_entity", NULL };
    mk_open(o, "privilege", ns);
    put_perm(o, "roster", one_of(grant, "roster", rosters));
    mk_put(o, "push", grant_pushes(grant) ? "true" : "false");
    mk_close(o);
    put_perm(o, "message", one_of(grant, "message", messages));
    mk_close(o);
    if (strcmp(ns, NS) == 0)
        put_namespaces(c, o, grant);
    put_perm(o, "presence", one_of(grant, "presence", presences));
    mk_close(o);
    mk_close(o);
}

static void tell(struct mk_ctx *c, const char *grant) {
    const struct mk_jid *to = grant_address(c, grant);
    if (!to)
        return;
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, to);
    mk_id(o, mk_random_id(c));
    put_privileges(c, o, grant, NS);
    put_privileges(c, o, grant, NS_OLD);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_ERROR, "component %s was not told of its privileges", mk_jid_text(to));
}

static enum mk_flow on_joined(struct mk_ctx *c, struct mk_ev_component *ev) {
    const struct mk_jid *jid;
    if (mk_jid_parse(c, (struct mk_view){ ev->domain, strlen(ev->domain) }, &jid) != MK_OK)
        return MK_NEXT;
    const char *grant = grant_of(c, jid);
    if (grant) {
        tell(c, grant);
        presence_tell(c, ev->domain);
    }
    return MK_NEXT;
}

static enum mk_flow on_reloaded(struct mk_ctx *c, struct mk_ev_host *ev) {
    const struct privilege *me = mk_inst(c);
    (void)ev;
    for (uint32_t i = 0; i < me->grants.count; i++) {
        const char *wrong = grant_check(me->grants.items[i]);
        if (wrong)
            mk_log(c, MK_WARNING, "`%s` in grants %s", me->grants.items[i], wrong);
        tell(c, me->grants.items[i]);
    }
    return MK_NEXT;
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

static const struct mk_elem *forwarded(const struct mk_stanza *s) {
    const struct mk_elem *e = mk_child(s, "privilege", NS);
    e = e ? e : mk_child(s, "privilege", NS_OLD);
    return e ? mk_elem_child(e, "forwarded", NS_FORWARD) : NULL;
}

bool is_of_host(struct mk_ctx *c, const struct mk_jid *jid) {
    struct mk_view domain = mk_jid_domain(jid), host = mk_jid_domain(mk_host(c));
    return domain.len == host.len && memcmp(domain.s, host.s, host.len) == 0;
}

/* A message of an account of this host, or of the host, whole. */
static bool may_be_sent(struct mk_ctx *c, const struct mk_stanza *s) {
    const struct mk_jid *from = mk_stanza_from(s);
    return mk_stanza_kind(s) == MK_MESSAGE && from && mk_stanza_to(s) && !mk_jid_resource(from).len &&
           is_of_host(c, from);
}

static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_elem *e = mk_stanza_type(ev->stanza) != MK_TYPE_ERROR ? forwarded(ev->stanza) : NULL;
    const struct mk_stanza *inner;
    if (!e)
        return MK_NEXT;
    const char *grant = grant_of(c, mk_stanza_from(ev->stanza));
    e = mk_elem_first(e);
    if (grant && grant_has(grant, "message", "outgoing") && e && mk_elem_stanza(c, e, &inner) == MK_OK &&
        may_be_sent(c, inner)) {
        mk_count(c, M_MESSAGES, 1);
        mk_route(c, inner, mk_stanza_to(inner));
    } else if (refuse(c, ev->stanza, "forbidden", NULL) != MK_OK) {
        mk_log(c, MK_DEBUG, "a component was not told that it may not");
    }
    return MK_STOP;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static int start(void *inst, struct mk_err *err) {
    const struct privilege *me = inst;
    for (uint32_t i = 0; i < me->grants.count; i++) {
        const char *wrong = grant_check(me->grants.items[i]);
        if (wrong)
            return mk_fail(err, MK_E_INVALID, "`%s` in grants %s", me->grants.items[i], wrong);
    }
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXTS(struct privilege, grants, NULL, MK_OPT_LIVE,
                 "What components may do, each \"COMPONENT PRIVILEGE ...\". Privileges are roster=get, roster=set or "
                 "roster=both; push=false; message=outgoing; presence=managed_entity or presence=roster; "
                 "iq=get:NAMESPACE, iq=set:NAMESPACE or iq=both:NAMESPACE."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(component_joined, 60, MK_INLINE, on_joined),
    MK_ON(host_reloaded, 50, MK_INLINE, on_reloaded),
    MK_ON(host_receive_message, 50, MK_INLINE, on_message),
    MK_ON(iq_request, 40, MK_INLINE, on_request),
    MK_ON(roster_pushed, 50, MK_INLINE, on_pushed),
    MK_ON(user_send_presence, MK_ORDER_AVAILABLE, MK_INLINE, on_presence),
    MK_ON(user_receive_presence, MK_ORDER_AVAILABLE, MK_INLINE, on_contact),
    MK_ON(session_closed, MK_ORDER_SESSION, MK_INLINE, on_closed),
    MK_ON(account_told, 50, MK_INLINE, on_told),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "session", MK_ON_SESSION, sizeof(void *), NULL, session_fini },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_metric_decl metrics[] = {
    [M_MESSAGES] = { "sent", MK_COUNTER, 0, "messages",
                     "Messages of components in the name of accounts or of the host." },
    [M_REQUESTS] = { "granted", MK_COUNTER, 0, "requests",
                     "Requests of components for rosters, or in the name of accounts." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "stanzas", "What components were not allowed to send." },
};
static const struct mk_xep_decl xeps[] = {
    { "0356", "0.4.1", "partial",
      "Presence of contacts while the account has an available session; not to components that come later." },
};

MK_PLUGIN(privilege, .version = "1.0", .summary = "Lets components act for accounts (XEP-0356)",
          .inst_size = sizeof(struct privilege), .start = start, .options = MK_TABLE(options), .hooks = MK_TABLE(hooks),
          .slots = MK_TABLE(slots), .disco = MK_TABLE(disco), .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps));
