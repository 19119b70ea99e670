/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/context.h"
#include "util/mem.h"
#include "util/text.h"
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

/*
 * A dictionary of more entries than DICT_MAX slows every lookup.  A stanza larger than HUGE_STANZA leaves its buffer
 * behind.  Lookups of prefixes are linear in libxml2: more declarations in scope than DECLS_MAX cost a peer nothing and
 * us much.
 */
enum { DICT_MAX = 4096, HUGE_STANZA = 64 * 1024, DECLS_MAX = 256, NAME_SLOTS = 256, LEN_MAX = 1 << 30 };

/* Names come from libxml2's dictionary, which dies with the context: what we have for each pointer.  STANZA is 0 for
 * atoms, else the one in whose arena the copy lies. */
struct name_slot {
    const xmlChar *key;
    const char *text;
    uint32_t stanza;
};

struct decl {
    const xmlChar *prefix; /* NULL: the default namespace */
    unsigned depth;        /* of the element that has it; the stanza is 1 */
};

struct context {
    xmlParserCtxtPtr xml;
    const xmlChar *content_uri; /* of the root */
    unsigned level, bottom;     /* elements open; those of the root */
    unsigned long fed;          /* bytes given to libxml2 so far */
    bool failed, spent;

    struct arena *arena; /* of the stanza at hand, and so all that follows */
    const char *src;
    size_t len;
    unsigned long base; /* FED before it */
    struct mk_elem *root, *open;
    struct root_facts facts;
    size_t text_from, text_len; /* source bytes that are the text since the last tag as they are */
    bool text_differs;          /* they are not: it is in TEXT */
    struct buf text;
    struct decl decls[DECLS_MAX];
    unsigned decl_count, prefixed_open;
    uint32_t number;
    struct name_slot names[NAME_SLOTS];
};

/* What libxml2 gave to the handler at hand is gone then. */
static void fail(struct context *x) {
    x->failed = true;
    xmlStopParser(x->xml);
}

/* Offset in the source of what libxml2 looks at.  The one place that relies on how it counts. */
static bool position(struct context *x, size_t *at) {
    unsigned long consumed = (unsigned long)xmlByteConsumed(x->xml);
    *at = consumed - x->base;
    if (consumed >= x->base && *at <= x->len)
        return true;
    fail(x);
    return false;
}

/* libxml2 decodes all of a value but '&', which it always writes as a reference. */
char *attr_value(struct arena *arena, const char *from, const char *end) {
    char *value = arena_memdup(arena, from, (size_t)(end - from)), *at = value, *in = value, *hit;
    while ((hit = strchr(in, '&')) != NULL) {
        memmove(at, in, (size_t)(hit - in) + 1);
        at += hit - in + 1;
        in = hit + (strncmp(hit, "&#38;", 5) == 0 ? 5 : 1);
    }
    if (in != at)
        memmove(at, in, strlen(in) + 1);
    return value;
}

static const char *known(struct context *x, const xmlChar *name) {
    struct name_slot *slot = &x->names[(uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15) >> 56];
    if (slot->key == name && (!slot->stanza || slot->stanza == x->number))
        return slot->text;
    const char *text = (const char *)name; /* a namespace is the value of an attribute */
    size_t len = strlen(text);
    if (memchr(text, '&', len)) {
        text = attr_value(x->arena, text, text + len);
        len = strlen(text);
    }
    const char *atom = xml_atom(text, len);
    *slot = (struct name_slot){ name, atom ? atom : arena_memdup(x->arena, text, len), atom ? 0 : x->number };
    return slot->text;
}

/* ---- tree --------------------------------------------------------------------------------------------------------- */

static void append(struct context *x, struct mk_elem *e) {
    if (!x->open)
        x->root = e;
    elem_append(x->open, e);
}

static void end_text(struct context *x) {
    size_t len = x->text_differs ? x->text.len : x->text_len;
    if (len) {
        struct mk_elem *e = arena_zalloc(x->arena, sizeof *e);
        e->text = x->text_differs ? arena_memdup(x->arena, x->text.data, len) : x->src + x->text_from;
        e->text_len = (uint32_t)len;
        append(x, e);
    }
    x->text_len = 0;
    x->text_differs = false;
}

static void on_text(void *user, const xmlChar *text, int count) {
    struct context *x = user;
    size_t len = (size_t)count, at = x->text_from + x->text_len;
    if (x->failed)
        return;
    if (!x->open) {
        fail(x);
        return;
    }
    if (!x->text_differs) {
        if (len <= x->len - at && memcmp(x->src + at, text, len) == 0) {
            x->text_len += len;
            return;
        }
        x->text_differs = true;
        x->text.len = 0;
        buf_add(&x->text, x->src + x->text_from, x->text_len);
    }
    buf_add(&x->text, text, len);
}

/* ---- scope: what of the outside an element uses -------------------------------------------------------------------- */

static unsigned depth_of(const struct context *x) {
    return x->level - x->bottom;
}

/* Depth of the element that declares PREFIX for the innermost one; 0 if it is outside of the stanza. */
static unsigned declared_at(const struct context *x, const xmlChar *prefix) {
    for (unsigned i = x->decl_count; i > 0; i--)
        if (x->decls[i - 1].prefix == prefix)
            return x->decls[i - 1].depth;
    return 0;
}

static void use_prefix(struct context *x, struct mk_elem *e, const xmlChar *prefix) {
    if (strcmp((const char *)prefix, "xml") == 0)
        return;
    unsigned at = declared_at(x, prefix);
    for (unsigned depth = depth_of(x); depth > at; depth--, e = e->parent)
        e->scope = ELEM_BOUND;
}

/* An ancestor without prefix has the same default namespace and says so itself; one with a prefix does not. */
static void use_default(struct context *x, struct mk_elem *e) {
    unsigned at = declared_at(x, NULL), depth = depth_of(x);
    if (depth > at && e->scope == ELEM_FREE)
        e->scope = ELEM_DEFAULT;
    if (!x->prefixed_open)
        return;
    while (--depth > at) {
        e = e->parent;
        if (e->scope == ELEM_FREE)
            e->scope = ELEM_BOUND;
    }
}

static void declare(struct context *x, const xmlChar *prefix, const xmlChar *uri) {
    /* The stream's own default namespace, said again on the stanza, changes nothing. */
    if (!prefix && depth_of(x) == 1 && xmlStrEqual(uri, x->content_uri))
        return;
    if (x->decl_count == DECLS_MAX)
        fail(x);
    else
        x->decls[x->decl_count++] = (struct decl){ prefix, depth_of(x) };
}

/* ---- elements ----------------------------------------------------------------------------------------------------- */

/* ATTRS as SAX2 has them: five pointers each. */
static void add_attrs(struct context *x, struct mk_elem *e, unsigned count, const xmlChar **attrs) {
    unsigned spare = e->parent ? 0 : 2; /* stanza_stamp() may add to and from */
    e->attr_count = (uint16_t)count;
    if (!count && !spare)
        return;
    e->attrs = arena_alloc(x->arena, (count + spare) * sizeof *e->attrs);
    for (unsigned i = 0; i < count; i++, attrs += 5) {
        if (attrs[1])
            use_prefix(x, e, attrs[1]);
        e->attrs[i] = (struct xml_attr){ known(x, attrs[0]), attrs[2] ? known(x, attrs[2]) : "",
                                         attr_value(x->arena, (const char *)attrs[3], (const char *)attrs[4]) };
    }
}

static void name_element(struct context *x, struct mk_elem *e, const xmlChar *name, const xmlChar *prefix,
                         const xmlChar *uri) {
    bool inherits = !prefix && !declared_at(x, NULL);
    e->name = known(x, name);
    if (prefix && strcmp((const char *)prefix, "xml") == 0)
        fail(x); /* its namespace can be declared by no copy, and nothing in XMPP has it */
    if (depth_of(x) == 1) {
        x->facts.is_content = uri && xmlStrEqual(uri, x->content_uri);
        x->facts.has_prefix = prefix != NULL;
    }
    inherits |= uri && xmlStrEqual(uri, x->content_uri); /* it says what it has anyhow */
    e->ns = inherits ? xml_profile_ns(XML_CLIENT) : uri ? known(x, uri) : "";
    if (prefix) {
        x->prefixed_open++;
        use_prefix(x, e, prefix);
    } else {
        use_default(x, e);
    }
}

static void on_start(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int ns_count,
                     const xmlChar **ns, int attr_count, int defaulted, const xmlChar **attrs) {
    struct context *x = user;
    size_t at;
    (void)defaulted;
    if (++x->level <= x->bottom) {
        for (int i = 0; x->level == 1 && i < ns_count; i++)
            if (!ns[2 * i])
                x->content_uri = ns[2 * i + 1];
        return;
    }
    if (x->failed || !position(x, &at))
        return;
    /* The parser stands at the end of the tag; a '<' cannot be inside of it. */
    const char *tag = memrchr(x->src, '<', at);
    size_t tag_end = at + (at < x->len && x->src[at] == '/' ? 2 : 1);
    if ((!x->open && x->root) || !tag || tag_end > x->len || attr_count > UINT16_MAX - 2) {
        fail(x);
        return;
    }
    end_text(x);
    struct mk_elem *e = arena_zalloc(x->arena, sizeof *e);
    append(x, e);
    e->raw = tag;
    x->text_from = tag_end;
    e->inner = (uint32_t)(x->src + x->text_from - tag);
    for (int i = 0; i < ns_count && !x->failed; i++)
        declare(x, ns[2 * i], ns[2 * i + 1]);
    if (!x->failed)
        name_element(x, e, name, prefix, uri);
    if (!x->failed)
        add_attrs(x, e, (unsigned)attr_count, attrs);
    x->open = e;
}

static void on_end(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
    struct context *x = user;
    struct mk_elem *e = x->open;
    size_t at;
    (void)name;
    (void)uri;
    if (x->failed)
        return;
    if (!e) {
        fail(x);
        return;
    }
    if (!position(x, &at))
        return;
    end_text(x);
    e->raw_len = (uint32_t)(x->src + at - e->raw);
    x->text_from = at;
    while (x->decl_count && x->decls[x->decl_count - 1].depth == depth_of(x))
        x->decl_count--;
    x->prefixed_open -= prefix != NULL;
    x->open = e->parent;
    x->level--;
}

/* ---- what XMPP does not have, and errors ---------------------------------------------------------------------------- */

static void on_subset(void *user, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
    (void)name;
    (void)external;
    (void)system;
    fail(user);
}

static void on_instruction(void *user, const xmlChar *target, const xmlChar *data) {
    (void)target;
    (void)data;
    fail(user);
}

static void on_comment(void *user, const xmlChar *text) {
    (void)text;
    fail(user);
}

/*
 * Errors of namespaces are told here and nowhere else.  That a namespace is no URI is one to libxml2, but there are
 * such in use, and they harm nobody.
 */
static void on_error(void *user, xmlErrorPtr error) {
    struct context *x = user;
    if (error->level < XML_ERR_ERROR)
        return;
    x->spent = true;
    if (error->code != XML_WAR_NS_URI)
        x->failed = true;
}

static const xmlSAXHandler handlers = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .internalSubset = on_subset,
    .processingInstruction = on_instruction,
    .comment = on_comment,
    .serror = on_error,
};

/* ---- contexts ----------------------------------------------------------------------------------------------------- */

/* The stream's own prefixes of each profile, declared as every peer's header does. */
static const char *const roots[XML_PROFILES] = {
    [XML_CLIENT] = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    [XML_SERVER] = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'"
                   " xmlns:db='jabber:server:dialback'>",
    [XML_COMPONENT] = "<stream:stream xmlns='jabber:component:accept'"
                      " xmlns:stream='http://etherx.jabber.org/streams'>",
};

static void feed(struct context *x, const char *data, size_t len) {
    x->fed += len;
    xmlParseChunk(x->xml, data, (int)len, 0);
}

struct context *context_new(enum xml_profile profile, const char *prefixes) {
    struct context *x = xcalloc(1, sizeof *x);
    x->xml = xmlCreatePushParserCtxt((xmlSAXHandlerPtr)&handlers, x, NULL, 0, NULL);
    if (!x->xml)
        out_of_memory();
    xmlCtxtUseOptions(x->xml, XML_PARSE_NONET);
    x->bottom = prefixes ? 2 : 1;
    feed(x, roots[profile], strlen(roots[profile]));
    if (prefixes) {
        /* Inside of the root, so that it may declare anew what the root has. */
        struct buf inner = { 0 };
        buf_printf(&inner, "<prefixes %s>", prefixes);
        feed(x, inner.data, inner.len);
        buf_free(&inner);
    }
    return x;
}

void context_free(struct context *x) {
    if (!x)
        return;
    xmlFreeParserCtxt(x->xml);
    buf_free(&x->text);
    free(x);
}

static void begin(struct context *x, struct arena *arena, const char *src, size_t len) {
    x->arena = arena;
    x->src = src;
    x->len = len;
    x->base = x->fed;
    x->root = x->open = NULL;
    x->facts = (struct root_facts){ 0 };
    x->text_from = x->text_len = 0;
    x->text_differs = false;
    x->decl_count = x->prefixed_open = 0;
    if (++x->number == 0) {
        memset(x->names, 0, sizeof x->names);
        x->number = 1;
    }
}

bool context_parse(struct context *x, struct mk_stanza *s, const char *src, size_t len, struct root_facts *facts) {
    if (x->failed || !len || len > LEN_MAX)
        return false;
    begin(x, &s->arena, src, len);
    feed(x, src, len);
    if (x->failed || !x->xml->wellFormed || !x->root || x->open || x->level != x->bottom ||
        (unsigned long)xmlByteConsumed(x->xml) != x->fed)
        x->failed = true;
    if (x->failed || len > HUGE_STANZA || xmlDictSize(x->xml->dict) > DICT_MAX)
        x->spent = true;
    s->root = x->root;
    *facts = x->facts;
    return !x->failed;
}

bool context_spent(const struct context *x) {
    return x->spent;
}
