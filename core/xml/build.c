/* SPDX-License-Identifier: Apache-2.0 */
/* Builders of whole stanzas: how they begin, and how they end as one. */
#include "run/turn.h"
#include "util/jid.h"
#include "xml/escape.h"
#include "xml/out.h"
#include "xml/wire.h"
#include <string.h>

static const char stanza_errors[] = "urn:ietf:params:xml:ns:xmpp-stanzas";
static const char *const kind_names[] = { NULL, "message", "presence", "iq" };

/* ---- beginnings --------------------------------------------------------------------------------------------------- */

static struct mk_out *begin(struct mk_ctx *c, enum mk_kind kind, enum mk_type type, const struct mk_jid *to) {
    struct mk_out *o = out_new(c, &c->arena);
    o->kind = (uint8_t)kind;
    o->type = (uint8_t)type;
    o->to = to;
    o->name = kind_names[kind];
    o->tag_open = true;
    return o;
}

struct mk_out *mk_new(struct mk_ctx *c, enum mk_kind kind, enum mk_type type, const struct mk_jid *to) {
    if (kind == MK_NONZA || kind > MK_IQ) {
        struct mk_out *o = begin(c, MK_MESSAGE, MK_TYPE_NORMAL, to);
        out_fail(o, MK_E_INVALID);
        return o;
    }
    if (type == MK_TYPE_NONE)
        type = stanza_type_of(kind, NULL);
    struct mk_out *o = begin(c, kind, type, to);
    if (type == MK_TYPE_INVALID || stanza_type_of(kind, stanza_type_text(type)) != type)
        out_fail(o, MK_E_INVALID);
    return o;
}

struct mk_out *mk_nonza(struct mk_ctx *c, const char *name, const char *ns) {
    struct mk_out *o = begin(c, MK_NONZA, MK_TYPE_NONE, NULL);
    o->name = arena_strdup(o->arena, name);
    if (ns)
        o->ns = arena_strdup(o->arena, ns);
    if (!out_is_name(name) || !utf8_valid_xml(o->ns, strlen(o->ns)))
        out_fail(o, MK_E_INVALID);
    return o;
}

static struct mk_out *answer(struct mk_ctx *c, const struct mk_stanza *s, enum mk_type type) {
    struct mk_out *o = begin(c, s->kind ? s->kind : MK_MESSAGE, type, s->from);
    o->from = s->to;
    o->id = s->id;
    return o;
}

struct mk_out *mk_reply(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_out *o = answer(c, iq, MK_TYPE_RESULT);
    o->silent = iq->type == MK_TYPE_RESULT || iq->type == MK_TYPE_ERROR;
    if (iq->kind != MK_IQ)
        out_fail(o, MK_E_INVALID);
    return o;
}

/* RFC 6120, 8.3.3. */
static const struct {
    const char *condition, *type;
} conditions[] = {
    { "bad-request", "modify" },
    { "conflict", "cancel" },
    { "feature-not-implemented", "cancel" },
    { "forbidden", "auth" },
    { "gone", "cancel" },
    { "internal-server-error", "cancel" },
    { "item-not-found", "cancel" },
    { "jid-malformed", "modify" },
    { "not-acceptable", "modify" },
    { "not-allowed", "cancel" },
    { "not-authorized", "auth" },
    { "policy-violation", "modify" },
    { "recipient-unavailable", "wait" },
    { "redirect", "modify" },
    { "registration-required", "auth" },
    { "remote-server-not-found", "cancel" },
    { "remote-server-timeout", "wait" },
    { "resource-constraint", "wait" },
    { "service-unavailable", "cancel" },
    { "subscription-required", "auth" },
    { "undefined-condition", "cancel" },
    { "unexpected-request", "wait" },
};

/* A condition that the RFC does not have is the undefined one. */
static unsigned find_condition(const char *cond) {
    unsigned count = sizeof conditions / sizeof conditions[0], i = 0, undefined = count - 2;
    while (i < count && strcmp(conditions[i].condition, cond) != 0)
        i++;
    return i < count ? i : undefined;
}

struct mk_out *mk_reply_error(struct mk_ctx *c, const struct mk_stanza *s, const char *cond) {
    struct mk_out *o = answer(c, s, MK_TYPE_ERROR);
    unsigned i = find_condition(cond);
    o->silent = s->type == MK_TYPE_ERROR || s->kind == MK_NONZA || (s->kind == MK_IQ && s->type == MK_TYPE_RESULT);
    mk_open(o, "error", NULL);
    mk_put(o, "type", conditions[i].type);
    mk_leaf(o, conditions[i].condition, stanza_errors, NULL);
    return o;
}

int mk_refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text) {
    struct mk_out *o = mk_reply_error(c, s, cond);
    if (text) {
        mk_open(o, "text", stanza_errors);
        mk_put(o, "xml:lang", "en");
        mk_put_text(o, text);
        mk_close(o);
    }
    return mk_send(o);
}

/* ---- copies that change ------------------------------------------------------------------------------------------- */

/* The attributes that the builder does not write itself. */
static void copy_attrs(struct mk_out *o, const struct mk_stanza *s) {
    size_t inner = wire_inner(s);
    const char *name_end = s->wire + 1 + tag_name_len(s->wire);
    const char *left = s->wire + inner - (s->wire[inner - 2] == '/' ? 2 : 1);
    char *room = out_room(o, inner), *end = room + inner, *to = end;
    struct tag_attr a;
    while (tag_attr_before(name_end, &left, &a)) {
        if (tag_attr_is(&a, "to") || tag_attr_is(&a, "from") || tag_attr_is(&a, "id") || tag_attr_is(&a, "xmlns"))
            continue;
        to -= a.len;
        memcpy(to, a.at, a.len);
        *--to = ' ';
    }
    memmove(room, to, (size_t)(end - to));
    out_wrote(o, (size_t)(end - to));
}

struct mk_out *mk_derive(struct mk_ctx *c, const struct mk_stanza *s, const char *without_ns) {
    struct mk_out *o = begin(c, s->kind ? s->kind : MK_MESSAGE, s->type, s->to);
    if (s->kind == MK_NONZA) {
        out_fail(o, MK_E_INVALID);
        return o;
    }
    o->from = s->from;
    o->id = s->id;
    o->receipt = s->receipt;
    o->typed = true;
    copy_attrs(o, s);
    out_end_tag_open(o);
    size_t inner = wire_inner(s);
    const char *at = s->wire + inner, *tail = s->wire + s->wire_tail;
    if (s->wire_len == inner)
        return o;
    const struct mk_elem *e = without_ns ? mk_elem_first(mk_root(s)) : NULL;
    for (; e; e = mk_elem_next(e)) {
        if (strcmp(e->ns, without_ns) != 0)
            continue;
        out_raw(o, at, (size_t)(e->raw - at));
        at = e->raw + e->raw_len;
    }
    out_raw(o, at, (size_t)(tail - at));
    return o;
}

/* ---- attributes of the stanza -------------------------------------------------------------------------------------- */

/* Those of a nonza are as any others. */
void mk_from(struct mk_out *o, const struct mk_jid *from) {
    if (o->kind == MK_NONZA)
        mk_put_jid(o, "from", from);
    else
        o->from = from;
}

void mk_id(struct mk_out *o, const char *id) {
    if (o->kind == MK_NONZA)
        mk_put(o, "id", id);
    else if (id && !utf8_valid_xml(id, strlen(id)))
        out_fail(o, MK_E_INVALID);
    else
        o->id = id;
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static char *write_attr(char *out, const char *name, const char *value) {
    if (!value)
        return out;
    *out++ = ' ';
    out = (char *)mempcpy(out, name, strlen(name));
    out = (char *)mempcpy(out, "='", 2);
    out = escape_as(out, ESCAPE_ATTR, value, strlen(value));
    *out++ = '\'';
    return out;
}

/* Room that the attribute may need. */
static size_t attr_room(const char *name, const char *value) {
    return value ? strlen(name) + 4 + escaped_len(ESCAPE_ATTR, value, strlen(value)) : 0;
}

static const char *type_to_write(const struct mk_out *o) {
    return o->typed || o->kind == MK_NONZA || o->type == MK_TYPE_NORMAL ? NULL : stanza_type_text(o->type);
}

static const char *ns_to_write(const struct mk_out *o) {
    return strcmp(o->ns, xml_profile_ns(XML_CLIENT)) != 0 ? o->ns : NULL;
}

/* Lays out the wire form of S. */
static void write_wire(struct mk_out *o, struct mk_stanza *s) {
    const char *to = s->to ? s->to->text : NULL, *from = s->from ? s->from->text : NULL;
    const char *type = type_to_write(o), *ns = ns_to_write(o);
    size_t name = strlen(o->name), content = o->len - o->attrs_len;
    size_t room = 2 * name + 5 + o->len + attr_room("to", to) + attr_room("from", from) + attr_room("id", s->id) +
                  attr_room("type", type) + attr_room("xmlns", ns);
    char *wire = arena_alloc(&s->arena, room + 1), *at = wire;
    *at++ = '<';
    at = (char *)mempcpy(at, o->name, name);
    at = write_attr(at, "to", to);
    s->wire_rest = o->kind == MK_NONZA ? 0 : (uint32_t)(at - wire);
    at = write_attr(at, "from", from);
    at = write_attr(at, "xmlns", ns);
    at = write_attr(at, "id", s->id);
    at = write_attr(at, "type", type);
    if (o->attrs_len)
        at = (char *)mempcpy(at, o->data, o->attrs_len);
    if (content) {
        *at++ = '>';
        at = (char *)mempcpy(at, o->data + o->attrs_len, content);
        s->wire_tail = (uint32_t)(at - wire);
        *at++ = '<';
        *at++ = '/';
        at = (char *)mempcpy(at, o->name, name);
        *at++ = '>';
    } else {
        s->wire_tail = (uint32_t)(at - wire);
        *at++ = '/';
        *at++ = '>';
    }
    *at = '\0';
    s->wire = wire;
    s->wire_len = (uint32_t)(at - wire);
}

static const struct mk_jid *copy(struct mk_stanza *s, const struct mk_jid *jid) {
    return jid ? jid_copy(&s->arena, jid) : NULL;
}

int mk_seal(struct mk_out *o, const struct mk_stanza **out) {
    *out = NULL;
    while (o->open && !o->error && !o->silent)
        mk_close(o);
    out_end_tag_open(o);
    if (o->silent || !o->name)
        out_fail(o, MK_E_INVALID);
    if (o->error)
        return o->error;
    struct mk_ctx *c = o->ctx;
    struct mk_stanza *s = stanza_new();
    bool needs_id = !o->id && o->kind == MK_IQ && !o->typed; /* a derived one stays what it was */
    const char *id = needs_id ? mk_random_id(c) : o->id;
    const struct mk_jid *from = o->from || o->kind == MK_NONZA ? o->from : c->self;
    s->kind = o->kind;
    s->type = o->type;
    s->lazy = 1;
    s->ns_profile = XML_CLIENT;
    s->id = id ? arena_strdup(&s->arena, id) : NULL;
    s->to = copy(s, o->to);
    s->from = copy(s, from);
    write_wire(o, s);
    if (o->receipt) {
        s->receipt = o->receipt;
        atomic_fetch_add_explicit(&o->receipt->refs, 1, memory_order_relaxed);
    }
    *out = stanza_lend(c, s);
    out_fail(o, MK_E_INVALID); /* it is used up */
    return MK_OK;
}
