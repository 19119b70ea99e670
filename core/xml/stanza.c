/* SPDX-License-Identifier: Apache-2.0 */
/* Reading stanzas; their lifetime. */
#include "xml/stanza.h"
#include "run/turn.h"
#include "xml/out.h"
#include "xml/parser.h"
#include "xml/scan.h"
#include "xml/wire.h"

/* ---- lifetime ----------------------------------------------------------------------------------------------------- */

struct mk_stanza *stanza_new(void) {
    struct arena arena;
    arena_init(&arena);
    struct mk_stanza *s = arena_zalloc(&arena, sizeof *s);
    atomic_init(&s->refs, 1);
    s->arena = arena;
    return s;
}

const struct mk_stanza *mk_keep(const struct mk_stanza *s) {
    return stanza_ref(s);
}

void mk_release(const struct mk_stanza *s) {
    struct mk_stanza *m = (struct mk_stanza *)s;
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    receipt_unref(m->receipt);
    struct arena arena = m->arena; /* which M lies in */
    arena_free(&arena);
}

static void release(void *s) {
    mk_release(s);
}

const struct mk_stanza *stanza_lend(struct mk_ctx *c, struct mk_stanza *s) {
    arena_defer(&c->arena, release, s);
    return s;
}

/* ---- receipts ----------------------------------------------------------------------------------------------------- */

/* One that was paid already is owed nothing any more. */
struct mk_receipt *mk_receipt_hold(const struct mk_stanza *s) {
    struct mk_receipt *r = s->receipt;
    unsigned holds = r ? atomic_load_explicit(&r->holds, memory_order_relaxed) : 0;
    while (holds)
        if (atomic_compare_exchange_weak_explicit(&r->holds, &holds, holds + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return r;
    return NULL;
}

void mk_receipt_pay(struct mk_receipt *r) {
    if (r && atomic_fetch_sub_explicit(&r->holds, 1, memory_order_acq_rel) == 1 && r->paid)
        r->paid(r);
}

void receipt_unref(struct mk_receipt *r) {
    if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        r->free(r);
}

/* ---- types -------------------------------------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [MK_TYPE_ERROR] = "error",
    [MK_TYPE_NORMAL] = "normal",
    [MK_TYPE_CHAT] = "chat",
    [MK_TYPE_GROUPCHAT] = "groupchat",
    [MK_TYPE_HEADLINE] = "headline",
    [MK_TYPE_UNAVAILABLE] = "unavailable",
    [MK_TYPE_SUBSCRIBE] = "subscribe",
    [MK_TYPE_SUBSCRIBED] = "subscribed",
    [MK_TYPE_UNSUBSCRIBE] = "unsubscribe",
    [MK_TYPE_UNSUBSCRIBED] = "unsubscribed",
    [MK_TYPE_PROBE] = "probe",
    [MK_TYPE_GET] = "get",
    [MK_TYPE_SET] = "set",
    [MK_TYPE_RESULT] = "result",
    [MK_TYPE_INVALID] = NULL,
};

const char *stanza_type_text(enum mk_type type) {
    return type <= MK_TYPE_INVALID ? type_names[type] : NULL;
}

static enum mk_type find_type(const char *text, enum mk_type first, enum mk_type last, enum mk_type other) {
    for (enum mk_type t = first; t <= last; t++)
        if (type_names[t] && name_same(type_names[t], text))
            return t;
    return name_same(text, "error") ? MK_TYPE_ERROR : other;
}

enum mk_type stanza_type_of(enum mk_kind kind, const char *text) {
    switch (kind) {
    case MK_MESSAGE:
        return text ? find_type(text, MK_TYPE_NORMAL, MK_TYPE_HEADLINE, MK_TYPE_NORMAL) : MK_TYPE_NORMAL;
    case MK_PRESENCE:
        return text ? find_type(text, MK_TYPE_UNAVAILABLE, MK_TYPE_PROBE, MK_TYPE_INVALID) : MK_TYPE_AVAILABLE;
    case MK_IQ:
        return text ? find_type(text, MK_TYPE_GET, MK_TYPE_RESULT, MK_TYPE_INVALID) : MK_TYPE_INVALID;
    default:
        return MK_TYPE_NONE;
    }
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

enum mk_kind mk_stanza_kind(const struct mk_stanza *s) {
    return s->kind;
}

enum mk_type mk_stanza_type(const struct mk_stanza *s) {
    return s->type;
}

const char *mk_stanza_id(const struct mk_stanza *s) {
    return s->id;
}

const struct mk_jid *mk_stanza_from(const struct mk_stanza *s) {
    return s->from;
}

const struct mk_jid *mk_stanza_to(const struct mk_stanza *s) {
    return s->to;
}

size_t mk_stanza_size(const struct mk_stanza *s) {
    return s->wire_len;
}

const struct mk_elem *mk_root(const struct mk_stanza *s) {
    stanza_parse_now(s);
    return s->root;
}

const struct mk_elem *mk_child(const struct mk_stanza *s, const char *name, const char *ns) {
    return mk_elem_child(mk_root(s), name, ns);
}

const char *mk_elem_name(const struct mk_elem *e) {
    return e->name;
}

const char *mk_elem_ns(const struct mk_elem *e) {
    return e->ns;
}

bool mk_elem_is(const struct mk_elem *e, const char *name, const char *ns) {
    return e && (!name || name_same(e->name, name)) && (!ns || name_same(e->ns, ns));
}

const char *mk_attr_ns(const struct mk_elem *e, const char *name, const char *ns) {
    for (unsigned i = 0; e && i < e->attr_count; i++)
        if (name_same(e->attrs[i].name, name) && name_same(e->attrs[i].ns, ns))
            return e->attrs[i].value;
    return NULL;
}

const char *mk_attr(const struct mk_elem *e, const char *name) {
    return mk_attr_ns(e, name, "");
}

static const struct mk_elem *skip_text(const struct mk_elem *e) {
    while (e && !e->name)
        e = e->next;
    return e;
}

const struct mk_elem *mk_elem_first(const struct mk_elem *e) {
    return e ? skip_text(e->first) : NULL;
}

const struct mk_elem *mk_elem_next(const struct mk_elem *e) {
    return e ? skip_text(e->next) : NULL;
}

const struct mk_elem *mk_elem_child(const struct mk_elem *e, const char *name, const char *ns) {
    for (e = mk_elem_first(e); e; e = mk_elem_next(e))
        if (mk_elem_is(e, name, ns))
            return e;
    return NULL;
}

const char *mk_stanza_given_id(const struct mk_stanza *s, const struct mk_jid *by) {
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e)) {
        const char *giver = mk_elem_is(e, "stanza-id", "urn:xmpp:sid:0") ? mk_attr(e, "by") : NULL;
        if (giver && strcmp(giver, mk_jid_text(by)) == 0)
            return mk_attr(e, "id");
    }
    return NULL;
}

const char *mk_text(struct mk_ctx *c, const struct mk_elem *e) {
    const struct mk_elem *t;
    size_t len = 0;
    for (t = e ? e->first : NULL; t; t = t->next)
        len += t->name ? 0 : t->text_len;
    if (!len)
        return "";
    char *text = arena_alloc(&c->arena, len + 1), *at = text;
    for (t = e->first; t; t = t->next)
        if (!t->name)
            at = (char *)mempcpy(at, t->text, t->text_len);
    *at = '\0';
    return text;
}

/* ---- text and back ------------------------------------------------------------------------------------------------ */

struct mk_view mk_stanza_xml(struct mk_ctx *c, const struct mk_stanza *s) {
    struct mk_out *o = out_fragment(c, &c->arena);
    o->ns = "\x01"; /* which no namespace can be: the root will say its own, even if it has none */
    mk_put_stanza(o, s);
    return out_bytes(o);
}

/* What comes out of a database was a stanza once; that it may have been larger than today's limits is no fault. */
static const struct xml_limits no_limits = { .bytes = WIRE_MAX, .depth = 1000, .attrs = 1000, .children = 1000000 };

static struct mk_stanza *read_any(struct mk_view xml) {
    struct scan scan;
    size_t used;
    scan_init_open(&scan);
    if (scan_next(&scan, &no_limits, xml.s, xml.len, &used) != SCAN_STANZA || used != xml.len)
        return NULL;
    return parse_stanza(parsers_here(), XML_CLIENT, xml.s, xml.len, 0);
}

int mk_stanza_read(struct mk_ctx *c, struct mk_view xml, const struct mk_stanza **out) {
    struct mk_stanza *s = parse_alone(XML_CLIENT, &no_limits, xml.s, xml.len, 0);
    *out = NULL;
    if (!s)
        s = read_any(xml);
    if (!s)
        return MK_E_INVALID;
    if (s->kind != MK_NONZA)
        stanza_stamp(s, NULL, NULL);
    *out = stanza_lend(c, s);
    return MK_OK;
}

int mk_elem_stanza(struct mk_ctx *c, const struct mk_elem *e, const struct mk_stanza **out) {
    struct mk_out *o = out_fragment(c, &c->arena);
    o->ns = "\x01"; /* as in mk_stanza_xml() */
    mk_put_elem(o, e);
    return mk_stanza_read(c, out_bytes(o), out);
}
