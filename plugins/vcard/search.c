/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0055: the directory, a domain of its own. */
#include "vcard.h"
#include <stdlib.h>
#include <string.h>

#define NS "jabber:iq:search"
#define NS_FORM "jabber:x:data"
#define NS_RSM "http://jabber.org/protocol/rsm"
#define NS_INFO "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"
#define INSTRUCTIONS "Fill in one or more fields. A * at the end of a word stands for anything that may follow."

static bool is_on(const struct vcard *me, unsigned field) {
    return me->fields & 1u << field;
}

/* ---- the form --------------------------------------------------------------------------------------------------------- */

static void put_field(struct mk_out *o, const char *var, const char *type, const char *label, const char *value) {
    mk_open(o, "field", NULL);
    mk_put(o, "var", var);
    mk_put(o, "type", type);
    mk_put(o, "label", label);
    if (value)
        mk_leaf(o, "value", NULL, value);
    mk_close(o);
}

static int answer_form(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct vcard *me = mk_inst(c);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_leaf(o, "instructions", NULL, INSTRUCTIONS);
    for (unsigned i = 0; i < FIELDS; i++)
        if (fields[i].plain && is_on(me, i))
            mk_leaf(o, fields[i].var, NULL, NULL);
    mk_open(o, "x", NS_FORM);
    mk_put(o, "type", "form");
    mk_leaf(o, "title", NULL, mk_printf(c, "Search for users of %s", mk_jid_text(mk_host(c))));
    mk_leaf(o, "instructions", NULL, INSTRUCTIONS);
    put_field(o, "FORM_TYPE", "hidden", NULL, NS);
    for (unsigned i = 0; i < FIELDS; i++)
        if (is_on(me, i))
            put_field(o, fields[i].var, "text-single", fields[i].label, NULL);
    return mk_send(o);
}

/* ---- a search ---------------------------------------------------------------------------------------------------------- */

/* XEP-0004: what is submitted.  MK_E_INVALID if it is no such form. */
static int read_form(struct mk_ctx *c, const struct mk_elem *x, struct query *q) {
    const char *type = mk_attr(x, "type");
    if (!type || strcmp(type, "submit") != 0)
        return MK_E_INVALID;
    for (const struct mk_elem *e = mk_elem_first(x); e; e = mk_elem_next(e)) {
        const char *var = mk_elem_is(e, "field", NS_FORM) ? mk_attr(e, "var") : NULL;
        const char *value = mk_text(c, mk_elem_child(e, "value", NS_FORM));
        if (var && strcmp(var, "FORM_TYPE") == 0 && strcmp(value, NS) != 0)
            return MK_E_INVALID;
        for (unsigned i = 0; var && i < FIELDS; i++)
            if (strcmp(var, fields[i].var) == 0)
                q->wanted[i] = value;
    }
    return MK_OK;
}

static int read_page(struct mk_ctx *c, const struct mk_elem *set, struct query *q) {
    const struct vcard *me = mk_inst(c);
    const struct mk_elem *max = mk_elem_child(set, "max", NS_RSM), *after = mk_elem_child(set, "after", NS_RSM);
    const struct mk_elem *before = mk_elem_child(set, "before", NS_RSM);
    q->paged = true;
    if (max) {
        const char *text = mk_text(c, max);
        char *end;
        unsigned long n = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || *end)
            return MK_E_INVALID;
        q->max = n < (unsigned long)me->max_results ? (uint32_t)n : q->max;
    }
    q->after = after ? mk_text(c, after) : NULL;
    q->before = before ? mk_text(c, before) : NULL;
    return MK_OK;
}

static int read_query(struct mk_ctx *c, const struct mk_elem *e, struct query *q, const struct mk_elem **form) {
    const struct vcard *me = mk_inst(c);
    const struct mk_elem *set = mk_elem_child(e, "set", NS_RSM);
    *q = (struct query){ .max = (uint32_t)me->max_results };
    *form = mk_elem_child(e, "x", NS_FORM);
    for (unsigned i = 0; !*form && i < FIELDS; i++) {
        const struct mk_elem *plain = fields[i].plain ? mk_elem_child(e, fields[i].var, NS) : NULL;
        q->wanted[i] = plain ? mk_text(c, plain) : NULL;
    }
    int rc = *form ? read_form(c, *form, q) : MK_OK;
    return rc == MK_OK && set ? read_page(c, set, q) : rc;
}

static void put_plain(struct mk_ctx *c, struct mk_out *o, const struct page *p) {
    const struct vcard *me = mk_inst(c);
    for (uint32_t r = 0; r < p->count; r++) {
        const char *const *texts = shown(c, p->rows[r]);
        mk_open(o, "item", NULL);
        mk_put_jid(o, "jid", mk_row_jid(p->rows[r], DIR_OWNER));
        for (unsigned i = 0; i < FIELDS; i++)
            if (fields[i].plain && is_on(me, i))
                mk_leaf(o, fields[i].var, NULL, texts[i]);
        mk_close(o);
    }
}

static void put_result(struct mk_ctx *c, struct mk_out *o, const struct page *p) {
    const struct vcard *me = mk_inst(c);
    mk_open(o, "x", NS_FORM);
    mk_put(o, "type", "result");
    put_field(o, "FORM_TYPE", "hidden", NULL, NS);
    mk_open(o, "reported", NULL);
    put_field(o, "jid", "jid-single", "JID", NULL);
    for (unsigned i = 0; i < FIELDS; i++)
        if (is_on(me, i))
            put_field(o, fields[i].var, "text-single", fields[i].label, NULL);
    mk_close(o);
    for (uint32_t r = 0; r < p->count; r++) {
        const char *const *texts = shown(c, p->rows[r]);
        mk_open(o, "item", NULL);
        put_field(o, "jid", NULL, NULL, mk_jid_text(mk_row_jid(p->rows[r], DIR_OWNER)));
        for (unsigned i = 0; i < FIELDS; i++)
            if (is_on(me, i))
                put_field(o, fields[i].var, NULL, NULL, texts[i]);
        mk_close(o);
    }
    mk_close(o);
}

static void put_set(struct mk_ctx *c, struct mk_out *o, const struct page *p) {
    mk_open(o, "set", NS_RSM);
    if (p->count) {
        mk_leaf(o, "first", NULL, mk_jid_text(mk_row_jid(p->rows[0], DIR_OWNER)));
        mk_leaf(o, "last", NULL, mk_jid_text(mk_row_jid(p->rows[p->count - 1], DIR_OWNER)));
    }
    mk_leaf(o, "count", NULL, mk_printf(c, "%u", p->total));
    mk_close(o);
}

MK_SUSPENDS static int answer_search(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *form;
    struct query q;
    struct page page;
    int rc = read_query(c, mk_child(iq, "query", NS), &q, &form);
    if (rc != MK_OK)
        return rc;
    rc = find(c, &q, &page);
    if (rc == MK_E_INVALID)
        return mk_refuse(c, iq, "not-acceptable", "Fill in one field at least.");
    if (rc != MK_OK)
        return rc;
    mk_count(c, M_SEARCHES, 1);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    if (form)
        put_result(c, o, &page);
    else
        put_plain(c, o, &page);
    if (q.paged)
        put_set(c, o, &page);
    return mk_send(o);
}

/* ---- the domain -------------------------------------------------------------------------------------------------------- */

static int answer_info(struct mk_ctx *c, const struct mk_stanza *iq) {
    static const char *const features[] = { NS_INFO, NS_ITEMS, NS, NS_RSM };
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS_INFO);
    mk_open(o, "identity", NULL);
    mk_put(o, "category", "directory");
    mk_put(o, "type", "user");
    mk_put(o, "name", "User search");
    mk_close(o);
    for (unsigned i = 0; i < sizeof features / sizeof features[0]; i++) {
        mk_open(o, "feature", NULL);
        mk_put(o, "var", features[i]);
        mk_close(o);
    }
    return mk_send(o);
}

static int answer_items(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS_ITEMS);
    return mk_send(o);
}

MK_SUSPENDS static int answer(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct vcard *me = mk_inst(c);
    bool get = mk_stanza_type(iq) == MK_TYPE_GET;
    if (!me->search)
        return MK_E_UNAVAILABLE;
    if (get && mk_child(iq, "query", NS_INFO))
        return answer_info(c, iq);
    if (get && mk_child(iq, "query", NS_ITEMS))
        return answer_items(c, iq);
    if (!mk_child(iq, "query", NS))
        return MK_E_UNAVAILABLE;
    if (!me->search_everybody && !mk_is_local(c, mk_jid_domain(mk_stanza_from(iq))))
        return MK_E_DENIED;
    return get ? answer_form(c, iq) : answer_search(c, iq);
}

static const char *condition_of(int rc) {
    switch (rc) {
    case MK_E_DENIED:
        return "forbidden";
    case MK_E_INVALID:
        return "bad-request";
    case MK_E_UNAVAILABLE:
        return "service-unavailable";
    case MK_E_TIMEOUT:
    case MK_E_BUSY:
        return "resource-constraint";
    default:
        return "internal-server-error";
    }
}

void search_on_domain(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    enum mk_kind kind = mk_stanza_kind(ev->stanza);
    enum mk_type type = mk_stanza_type(ev->stanza);
    bool request = kind == MK_IQ && (type == MK_TYPE_GET || type == MK_TYPE_SET);
    if (kind == MK_PRESENCE || (kind == MK_IQ && !request))
        return;
    bool ours = request && !mk_jid_resource(ev->to).len;
    int rc = ours ? answer(c, ev->stanza) : MK_E_UNAVAILABLE;
    if (rc != MK_OK && mk_refuse(c, ev->stanza, condition_of(rc), NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
}

/* "vjud.@HOST@" as it is for this host. */
static const char *domain_of(struct mk_ctx *c) {
    const struct vcard *me = mk_inst(c);
    const char *place = strstr(me->search_domain, "@HOST@");
    if (!place)
        return me->search_domain;
    return mk_printf(c, "%.*s%s%s", (int)(place - me->search_domain), me->search_domain, mk_jid_text(mk_host(c)),
                     place + strlen("@HOST@"));
}

enum mk_flow search_on_disco_items(struct mk_ctx *c, struct mk_ev_disco *ev) {
    const struct vcard *me = mk_inst(c);
    if (!me->search || ev->for_account || *ev->node)
        return MK_NEXT;
    mk_open(ev->reply, "item", NULL);
    mk_put(ev->reply, "jid", domain_of(c));
    mk_put(ev->reply, "name", "User search");
    mk_close(ev->reply);
    return MK_NEXT;
}
