/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0355, as the operator configures it: requests in some namespaces, to the host or to an account, go to an external
 * component, and its answers go back as if they were the server's own.
 */
#include "delegation.h"
#include <stdatomic.h>
#include <string.h>

#define NS_FORWARD "urn:xmpp:forward:0"

/* ---- telling the component -------------------------------------------------------------------------------------------- */

static void put_entry(struct mk_out *o, const struct entry *e) {
    mk_open(o, "delegated", NULL);
    mk_put(o, "namespace", e->ns);
    for (uint32_t i = 0; i < e->attribute_count; i++) {
        mk_open(o, "attribute", NULL);
        mk_put(o, "name", e->attributes[i]);
        mk_close(o);
    }
    mk_close(o);
}

static const struct mk_jid *address_of(struct mk_ctx *c, const char *component) {
    const struct mk_jid *jid;
    if (mk_jid_parse(c, (struct mk_view){ component, strlen(component) }, &jid) == MK_OK)
        return jid;
    mk_log(c, MK_WARNING, "option namespaces names %s, which is no address", component);
    return NULL;
}

static void tell(struct mk_ctx *c, const char *component) {
    const struct delegation *me = mk_inst(c);
    const struct mk_jid *to = address_of(c, component);
    if (!to)
        return;
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, to);
    mk_id(o, mk_random_id(c));
    mk_open(o, "delegation", NS);
    for (uint32_t i = 0; i < me->namespaces.count; i++)
        if (strcmp(me->entries[i].component, component) == 0)
            put_entry(o, &me->entries[i]);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_ERROR, "component %s was not told what is delegated to it", component);
}

/* The first entry of a component; the count of entries if it has none. */
static uint32_t first_of(const struct delegation *me, const char *component) {
    uint32_t i = 0;
    while (i < me->namespaces.count && strcmp(me->entries[i].component, component) != 0)
        i++;
    return i;
}

static enum mk_flow on_joined(struct mk_ctx *c, struct mk_ev_component *ev) {
    const struct delegation *me = mk_inst(c);
    if (first_of(me, ev->domain) == me->namespaces.count)
        return MK_NEXT;
    atomic_fetch_add(me->joined, 1);
    tell(c, ev->domain);
    return MK_NEXT;
}

/* Components may be connected when a reload adds the host, or the plugin; those that are not miss nothing. */
static enum mk_flow on_started(struct mk_ctx *c, struct mk_ev_host *ev) {
    const struct delegation *me = mk_inst(c);
    (void)ev;
    for (uint32_t i = 0; i < me->namespaces.count; i++)
        if (first_of(me, me->entries[i].component) == i)
            tell(c, me->entries[i].component);
    return MK_NEXT;
}

/* ---- a request and its answer ----------------------------------------------------------------------------------------- */

struct forward {
    const struct mk_stanza *iq;
    struct mk_receipt *receipt;
    const struct entry *entry;
};

static bool is_address(struct mk_ctx *c, const char *text, const struct mk_jid *jid) {
    const struct mk_jid *given;
    return text && mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &given) == MK_OK && mk_jid_same(given, jid);
}

/* The answer that the component wraps; NULL if it is none to IQ. */
static const struct mk_elem *unwrap(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_stanza *answer) {
    const struct mk_elem *e = mk_child(answer, "delegation", NS);
    e = e ? mk_elem_child(e, "forwarded", NS_FORWARD) : NULL;
    e = e ? mk_elem_child(e, "iq", NULL) : NULL;
    if (!e || mk_stanza_type(answer) != MK_TYPE_RESULT)
        return NULL;
    const char *type = mk_attr(e, "type"), *id = mk_attr(e, "id"), *from = mk_attr(e, "from");
    const struct mk_jid *to = mk_stanza_to(iq) ? mk_stanza_to(iq) : mk_self(c);
    bool fits = type && id && strcmp(type, "result") == 0 && strcmp(id, mk_stanza_id(iq)) == 0 &&
                is_address(c, mk_attr(e, "to"), mk_stanza_from(iq)) && (!from || is_address(c, from, to));
    return fits ? e : NULL;
}

static int relay(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_elem *result) {
    struct mk_out *o = mk_reply(c, iq);
    for (const struct mk_elem *e = mk_elem_first(result); e; e = mk_elem_next(e))
        mk_put_elem(o, e);
    return mk_send(o);
}

MK_SUSPENDS static int ask(struct mk_ctx *c, const struct forward *f, const struct mk_elem **result) {
    const struct mk_jid *component = address_of(c, f->entry->component);
    const struct mk_stanza *answer;
    if (!component)
        return MK_E_INVALID;
    struct mk_out *o = mk_query(c, MK_TYPE_SET, component);
    mk_open(o, "delegation", NS);
    mk_open(o, "forwarded", NS_FORWARD);
    mk_put_stanza(o, f->iq);
    int rc = mk_query_wait(c, o, &answer);
    if (rc != MK_OK)
        return rc;
    *result = unwrap(c, f->iq, answer);
    if (!*result && mk_stanza_type(answer) == MK_TYPE_RESULT)
        mk_log(c, MK_WARNING, "component %s gave an answer that does not fit the request", f->entry->component);
    return *result ? MK_OK : MK_E_UNAVAILABLE;
}

MK_SUSPENDS static void forward(struct mk_ctx *c, void *arg) {
    struct forward *f = arg;
    const struct mk_elem *result = NULL;
    int rc = ask(c, f, &result);
    if (rc == MK_OK) {
        rc = relay(c, f->iq, result);
    } else {
        mk_count(c, M_FAILED, 1);
        rc = mk_refuse(c, f->iq, "service-unavailable", NULL);
    }
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "a request in %s was not answered: %s", f->entry->ns, mk_strerror(rc));
    mk_receipt_pay(f->receipt);
    mk_release(f->iq);
    mk_free(f);
}

static void start_forward(struct mk_ctx *c, const struct mk_stanza *iq, const struct entry *e) {
    struct forward *f = mk_malloc(sizeof *f);
    *f = (struct forward){ mk_keep(iq), mk_receipt_hold(iq), e };
    mk_count(c, M_FORWARDED, 1);
    mk_aside(c, forward, f);
}

/* ---- which requests --------------------------------------------------------------------------------------------------- */

static bool has_attributes(const struct entry *e, const struct mk_elem *payload) {
    for (uint32_t i = 0; i < e->attribute_count; i++)
        if (!mk_attr(payload, e->attributes[i]))
            return false;
    return true;
}

static const struct entry *entry_for(const struct delegation *me, const struct mk_elem *payload, bool for_account) {
    bool items = for_account && mk_elem_is(payload, "query", NS_ITEMS) && !mk_attr(payload, "node");
    for (uint32_t i = 0; i < me->namespaces.count; i++) {
        const struct entry *e = &me->entries[i];
        if ((strcmp(e->ns, mk_elem_ns(payload)) == 0 && has_attributes(e, payload)) ||
            (items && strcmp(e->ns, NS_ANY_ITEMS) == 0))
            return e;
    }
    return NULL;
}

static enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_request *ev) {
    const struct delegation *me = mk_inst(c);
    const struct mk_elem *payload = mk_elem_first(mk_root(ev->iq));
    const struct entry *e = payload && mk_stanza_from(ev->iq) ? entry_for(me, payload, ev->for_account) : NULL;
    if (e && !entry_is_from(e, mk_stanza_from(ev->iq))) {
        start_forward(c, ev->iq, e);
        return MK_STOP;
    }
    return payload && nested_fetch(c, ev->iq, ev->for_account) ? MK_STOP : MK_NEXT;
}

/* A query for a node of an account that nobody here knows. */
static enum mk_flow take_node(struct mk_ctx *c, struct mk_ev_disco *ev, const char *ns) {
    const struct delegation *me = mk_inst(c);
    for (uint32_t i = 0; ev->for_account && ev->iq && !ev->known && !ev->taken && i < me->namespaces.count; i++) {
        if (strcmp(me->entries[i].ns, ns) != 0 || entry_is_from(&me->entries[i], mk_stanza_from(ev->iq)))
            continue;
        start_forward(c, ev->iq, &me->entries[i]);
        ev->taken = true;
    }
    return MK_NEXT;
}

static enum mk_flow on_info(struct mk_ctx *c, struct mk_ev_disco *ev) {
    return *ev->node ? take_node(c, ev, NS_ANY_INFO) : nested_on_info(c, ev);
}

static enum mk_flow on_items(struct mk_ctx *c, struct mk_ev_disco *ev) {
    return take_node(c, ev, NS_ANY_ITEMS);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static void stop(void *inst) {
    struct delegation *me = inst;
    entries_free(me);
    mk_free((void *)me->joined);
}

static int start(void *inst, struct mk_err *err) {
    struct delegation *me = inst;
    me->joined = mk_malloc(sizeof *me->joined);
    atomic_init(me->joined, 1);
    int rc = entries_read(me, err);
    if (rc != MK_OK)
        stop(inst);
    return rc;
}

static void worker_stop(const void *inst, void *worker) {
    nested_free(inst, worker);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXTS(
        struct delegation, namespaces, NULL, 0,
        "What is delegated to whom, each \"COMPONENT NAMESPACE\", and then names of attributes that the request's "
        "payload must have, if any: \"pubsub.example.org urn:xmpp:mam:2 node\"."),
    MK_OPT_DURATION(struct delegation, features_for, "10m", 1000, 7 * 86400000ll, MK_OPT_LIVE,
                    "How long the server believes what a component said of its features. When it connects anew, it is "
                    "asked anew."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(component_joined, 50, MK_INLINE, on_joined),
    MK_ON(host_started, 50, MK_INLINE, on_started),
    MK_ON(iq_request, 50, MK_INLINE, on_request),
    MK_ON(disco_info, MK_ORDER_DELEGATION, MK_INLINE, on_info),
    MK_ON(disco_items, MK_ORDER_DELEGATION, MK_INLINE, on_items),
    MK_ON(disco_feature, 50, MK_INLINE, nested_on_feature),
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_metric_decl metrics[] = {
    [M_FORWARDED] = { "forwarded", MK_COUNTER, 0, "requests", "Requests that went to a component." },
    [M_FAILED] = { "failed", MK_COUNTER, 0, "requests",
                   "Of those, the ones that it did not answer, or not as XEP-0355 says." },
};
static const struct mk_xep_decl xeps[] = {
    { "0355", "0.5", "partial", "Admin mode; not the mode where clients delegate." },
};

MK_PLUGIN(delegation, .version = "1.0", .summary = "Lets components answer in the server's place (XEP-0355)",
          .inst_size = sizeof(struct delegation), .worker_size = sizeof(struct nested_all), .start = start,
          .stop = stop, .worker_stop = worker_stop, .options = MK_TABLE(options), .hooks = MK_TABLE(hooks),
          .disco = MK_TABLE(disco), .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps));
