/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/out.h"
#include "util/arena.h"
#include "xml/escape.h"
#include "xml/parser.h"
#include "xml/wire.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAP = 512 };

struct out_open {
    struct out_open *up;
    uint32_t at, name_len; /* of its name in the data */
    const char *ns;        /* default namespace inside */
};

struct mk_out *out_new(struct mk_ctx *c, struct arena *arena) {
    struct mk_out *o = arena_zalloc(arena, sizeof *o);
    o->ctx = c;
    o->arena = arena;
    o->ns = xml_profile_ns(XML_CLIENT);
    return o;
}

struct mk_out *out_fragment(struct mk_ctx *ctx, struct arena *arena) {
    return out_new(ctx, arena);
}

void out_fail(struct mk_out *o, int error) {
    if (!o->error)
        o->error = error;
}

/* Nothing more is written. */
static bool is_dead(const struct mk_out *o) {
    return o->error || o->silent;
}

/* ---- bytes -------------------------------------------------------------------------------------------------------- */

/* When all limits are passed the bytes go to a place that nobody reads. */
char *out_room(struct mk_out *o, size_t len) {
    size_t need = o->len + len;
    if (need <= o->cap)
        return o->data + o->len;
    if (need > WIRE_MAX) {
        out_fail(o, MK_E_LIMIT);
        return arena_alloc(o->arena, len);
    }
    size_t cap = o->cap ? o->cap * 2u : FIRST_CAP;
    while (cap < need)
        cap *= 2;
    char *data = arena_alloc(o->arena, cap);
    if (o->len)
        memcpy(data, o->data, o->len);
    o->data = data;
    o->cap = (uint32_t)cap;
    return data + o->len;
}

void out_wrote(struct mk_out *o, size_t len) {
    if (!o->error)
        o->len += (uint32_t)len;
}

void out_raw(struct mk_out *o, const char *data, size_t len) {
    if (!len)
        return;
    memcpy(out_room(o, len), data, len);
    out_wrote(o, len);
}

static void put_text(struct mk_out *o, const char *text) {
    out_raw(o, text, strlen(text));
}

static void put_escaped(struct mk_out *o, enum escape how, const char *text, size_t len) {
    char *to = out_room(o, 6 * len);
    out_wrote(o, (size_t)(escape_as(to, how, text, len) - to));
}

static void put_attr(struct mk_out *o, const char *name, const char *value) {
    put_text(o, " ");
    put_text(o, name);
    put_text(o, "='");
    put_escaped(o, ESCAPE_ATTR, value, strlen(value));
    put_text(o, "'");
}

/* ---- checks ------------------------------------------------------------------------------------------------------- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Names are the plugin's, and ASCII. */
bool out_is_name(const char *name) {
    if (!is_letter(*name))
        return false;
    for (const char *p = name; *p; p++)
        if (!is_letter(*p) && (*p < '0' || *p > '9') && *p != '-' && *p != '.')
            return false;
    return true;
}

static bool is_attr_name(const char *name) {
    if (strncmp(name, "xml:", 4) == 0)
        return out_is_name(name + 4);
    return out_is_name(name) && strcmp(name, "xmlns") != 0;
}

static bool is_text(const char *text) {
    return utf8_valid_xml(text, strlen(text));
}

/* Whether the start tag that is open has attribute NAME. */
static bool has_attr(const struct mk_out *o, const char *name) {
    size_t begin = o->open ? o->open->at + o->open->name_len : 0;
    const char *end = o->data + o->len;
    struct tag_attr a;
    while (o->len && tag_attr_before(o->data + begin, &end, &a))
        if (tag_attr_is(&a, name))
            return true;
    return false;
}

/* ---- elements ----------------------------------------------------------------------------------------------------- */

static const char *scope(const struct mk_out *o) {
    return o->open ? o->open->ns : o->ns;
}

/* The start tag of the root itself is written last. */
void out_end_tag_open(struct mk_out *o) {
    if (!o->tag_open)
        return;
    o->tag_open = false;
    if (o->open)
        put_text(o, ">");
    else
        o->attrs_len = o->len;
}

void mk_open(struct mk_out *o, const char *name, const char *ns) {
    if (is_dead(o))
        return;
    if (!out_is_name(name) || (ns && !is_text(ns)) || o->depth == UINT16_MAX) {
        out_fail(o, MK_E_INVALID);
        return;
    }
    const char *outer = scope(o);
    bool same = !ns || strcmp(ns, outer) == 0;
    out_end_tag_open(o);
    put_text(o, "<");
    struct out_open *e = arena_alloc(o->arena, sizeof *e);
    *e = (struct out_open){ o->open, o->len, (uint32_t)strlen(name), same ? outer : arena_strdup(o->arena, ns) };
    put_text(o, name);
    if (!same)
        put_attr(o, "xmlns", ns);
    o->open = e;
    o->depth++;
    o->tag_open = true;
}

void mk_close(struct mk_out *o) {
    struct out_open *e = o->open;
    if (is_dead(o))
        return;
    if (!e) {
        out_fail(o, MK_E_INVALID);
        return;
    }
    if (o->tag_open) {
        put_text(o, "/>");
    } else {
        char *to = out_room(o, e->name_len + 3u);
        *to++ = '<';
        *to++ = '/';
        memcpy(to, o->data + e->at, e->name_len);
        to[e->name_len] = '>';
        out_wrote(o, e->name_len + 3u);
    }
    o->tag_open = false;
    o->open = e->up;
    o->depth--;
}

void mk_put(struct mk_out *o, const char *attr, const char *value) {
    static const char *const own[] = { "to", "from", "id", "type" };
    if (is_dead(o) || !value)
        return;
    bool ok = o->tag_open && is_attr_name(attr) && is_text(value) && !has_attr(o, attr);
    for (unsigned i = 0; i < 4 && !o->open && o->kind != MK_NONZA; i++)
        ok = ok && strcmp(attr, own[i]) != 0; /* of the stanza: they have functions of their own */
    if (ok)
        put_attr(o, attr, value);
    else
        out_fail(o, MK_E_INVALID);
}

void mk_put_int(struct mk_out *o, const char *attr, int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    mk_put(o, attr, text);
}

void mk_put_jid(struct mk_out *o, const char *attr, const struct mk_jid *value) {
    mk_put(o, attr, value ? mk_jid_text(value) : NULL);
}

void mk_put_text(struct mk_out *o, const char *text) {
    if (is_dead(o) || !text)
        return;
    if (!is_text(text)) {
        out_fail(o, MK_E_INVALID);
        return;
    }
    out_end_tag_open(o);
    put_escaped(o, ESCAPE_CONTENT, text, strlen(text));
}

void mk_leaf(struct mk_out *o, const char *name, const char *ns, const char *text) {
    mk_open(o, name, ns);
    if (text && *text)
        mk_put_text(o, text);
    mk_close(o);
}

void mk_put_delay(struct mk_out *o, const struct mk_jid *from, int64_t stamp) {
    mk_open(o, "delay", "urn:xmpp:delay");
    mk_put_jid(o, "from", from);
    mk_put(o, "stamp", mk_time_text(o->ctx, stamp));
    mk_close(o);
}

struct mk_view out_bytes(struct mk_out *o) {
    while (o->open && !is_dead(o))
        mk_close(o);
    return (struct mk_view){ o->data ? o->data : "", is_dead(o) ? 0 : o->len };
}

/* ---- copies of elements ------------------------------------------------------------------------------------------- */

static void tree_attrs(struct mk_out *o, const struct mk_elem *e) {
    for (unsigned i = 0; i < e->attr_count; i++) {
        const struct xml_attr *a = &e->attrs[i];
        char prefix[16] = "";
        if (strcmp(a->ns, "http://www.w3.org/XML/1998/namespace") == 0) {
            strcpy(prefix, "xml:");
        } else if (*a->ns) {
            snprintf(prefix, sizeof prefix, "xmlns:n%u", i);
            put_attr(o, prefix, a->ns);
            snprintf(prefix, sizeof prefix, "n%u:", i);
        }
        put_text(o, " ");
        put_text(o, prefix);
        put_text(o, a->name);
        put_text(o, "='");
        put_escaped(o, ESCAPE_ATTR, a->value, strlen(a->value));
        put_text(o, "'");
    }
}

static void tree_start(struct mk_out *o, const struct mk_elem *e, const char *outer) {
    put_text(o, "<");
    put_text(o, e->name);
    if (e->ns != outer && strcmp(e->ns, outer) != 0)
        put_attr(o, "xmlns", e->ns);
    tree_attrs(o, e);
    put_text(o, e->first ? ">" : "/>");
}

static void tree_end(struct mk_out *o, const struct mk_elem *e) {
    put_text(o, "</");
    put_text(o, e->name);
    put_text(o, ">");
}

/* Without recursion: the depth is the sender's choice. */
void out_tree(struct mk_out *o, const struct mk_elem *top) {
    if (is_dead(o))
        return;
    const char *outer = scope(o);
    out_end_tag_open(o);
    for (const struct mk_elem *e = top;;) {
        if (!e->name)
            put_escaped(o, ESCAPE_CONTENT, e->text, e->text_len);
        else
            tree_start(o, e, e == top ? outer : e->parent->ns);
        if (e->first) {
            e = e->first;
            continue;
        }
        while (e != top && !e->next) {
            e = e->parent;
            tree_end(o, e);
        }
        if (e == top)
            return;
        e = e->next;
    }
}

/* TAG is a start tag without a default namespace of its own. */
static void put_with_ns(struct mk_out *o, const char *tag, size_t len, const char *ns) {
    size_t name = 1 + tag_name_len(tag);
    out_raw(o, tag, name);
    put_attr(o, "xmlns", ns);
    out_raw(o, tag + name, len - name);
}

/* A stanza's root may say its namespace though it is the stream's. */
static bool says_ns(const struct mk_elem *e) {
    const char *end = e->raw + e->inner - (e->raw[e->inner - 2] == '/' ? 2 : 1);
    struct tag_attr a;
    while (!e->parent && tag_attr_before(e->raw + 1 + tag_name_len(e->raw), &end, &a))
        if (tag_attr_is(&a, "xmlns"))
            return true;
    return false;
}

void mk_put_elem(struct mk_out *o, const struct mk_elem *e) {
    if (is_dead(o) || !e)
        return;
    bool same = strcmp(e->ns, scope(o)) == 0;
    if (e->scope == ELEM_BOUND || (e->scope == ELEM_DEFAULT && says_ns(e))) {
        out_tree(o, e);
        return;
    }
    out_end_tag_open(o);
    if (e->scope == ELEM_FREE || same)
        out_raw(o, e->raw, e->raw_len);
    else
        put_with_ns(o, e->raw, e->raw_len, e->ns);
}

void mk_put_stanza(struct mk_out *o, const struct mk_stanza *s) {
    if (is_dead(o))
        return;
    if (s->kind == MK_NONZA || !s->wire_rest) {
        mk_put_elem(o, mk_root(s));
        return;
    }
    out_end_tag_open(o);
    put_with_ns(o, s->wire, s->wire_len, xml_profile_ns(XML_CLIENT));
}
