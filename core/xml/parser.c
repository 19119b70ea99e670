/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/parser.h"
#include "run/worker.h"
#include "util/jid.h"
#include "util/mem.h"
#include "xml/context.h"
#include "xml/out.h"
#include "xml/plain.h"
#include "xml/wire.h"
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct parsers {
    struct context *of[XML_PROFILES]; /* NULL until one is needed */
};

const char *xml_profile_ns(enum xml_profile p) {
    static const char *const names[XML_PROFILES] = { "jabber:client", "jabber:server", "jabber:component:accept" };
    return names[p];
}

/* ---- pools -------------------------------------------------------------------------------------------------------- */

/* Threads that are no workers have parsers of their own, freed by the key's destructor. */
static pthread_key_t own_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_own(void *p) {
    parsers_free(p);
}

static void prepare(void) {
    xmlInitParser();
    if (pthread_key_create(&own_key, free_own) != 0)
        abort();
}

struct parsers *parsers_new(void) {
    pthread_once(&once, prepare);
    return xcalloc(1, sizeof(struct parsers));
}

void parsers_free(struct parsers *p) {
    if (!p)
        return;
    for (unsigned i = 0; i < XML_PROFILES; i++)
        context_free(p->of[i]);
    free(p);
}

struct parsers *parsers_here(void) {
    if (this_worker && this_worker->parsers)
        return this_worker->parsers;
    pthread_once(&once, prepare);
    struct parsers *own = pthread_getspecific(own_key);
    if (!own) {
        own = parsers_new();
        if (pthread_setspecific(own_key, own) != 0)
            abort();
    }
    return own;
}

static struct context *take(struct parsers *p, enum xml_profile profile) {
    if (!p->of[profile])
        p->of[profile] = context_new(profile, NULL);
    return p->of[profile];
}

static void give_back(struct parsers *p, enum xml_profile profile) {
    if (!context_spent(p->of[profile]))
        return;
    context_free(p->of[profile]);
    p->of[profile] = NULL;
}

/* ---- stanzas ------------------------------------------------------------------------------------------------------ */

/* Room before the source: a `from` of FROM_LEN, quotes, and a little for characters that need escaping or for `to`. */
enum { ROOM = 64 };

static void set_source(struct mk_stanza *s, enum xml_profile profile, const char *data, size_t len, size_t from_len) {
    size_t room = from_len + ROOM;
    char *block = arena_alloc(&s->arena, room + len + 1);
    memcpy(block + room, data, len);
    block[room + len] = '\0';
    s->ns_profile = (uint8_t)profile;
    s->wire = block + room;
    s->wire_len = (uint32_t)len;
    s->headroom = (uint32_t)room;
}

static enum mk_kind kind_of(const struct mk_elem *root) {
    if (strcmp(root->name, "message") == 0)
        return MK_MESSAGE;
    if (strcmp(root->name, "presence") == 0)
        return MK_PRESENCE;
    return strcmp(root->name, "iq") == 0 ? MK_IQ : MK_NONZA;
}

/* The address in attribute NAME; sets *BAD if it is there and is none. */
static const struct mk_jid *address(struct mk_stanza *s, const char *name, uint16_t *bad) {
    const char *text = mk_attr(s->root, name);
    const struct mk_jid *jid = NULL;
    if (text && jid_parse(&s->arena, text, strlen(text), &jid) != 0)
        *bad = 1;
    return jid;
}

static void read_root(struct mk_stanza *s, const struct root_facts *facts) {
    const struct mk_elem *root = s->root;
    s->kind = (uint8_t)(facts->is_content ? kind_of(root) : MK_NONZA);
    s->type = (uint8_t)stanza_type_of(s->kind, mk_attr(root, "type"));
    s->id = mk_attr(root, "id");
    s->wire_tail = wire_tail(s->wire, s->wire_len);
    if (s->kind == MK_NONZA)
        return;
    s->to = address(s, "to", &s->bad_to);
    s->from = address(s, "from", &s->bad_from);
}

/* PREFIXES: of the stream's root, NULL if it has none of its own. */
static bool parse_tree(struct parsers *p, enum xml_profile profile, const char *prefixes, struct mk_stanza *s,
                       struct root_facts *facts) {
    if (plain_parse(s, profile, s->wire, s->wire_len, facts))
        return true;
    if (!prefixes) {
        bool good = context_parse(take(p, profile), s, s->wire, s->wire_len, facts);
        give_back(p, profile);
        return good;
    }
    struct context *x = context_new(profile, prefixes);
    bool good = context_parse(x, s, s->wire, s->wire_len, facts);
    context_free(x);
    return good;
}

static struct mk_stanza *parse_in(struct parsers *p, enum xml_profile profile, const char *prefixes, const char *data,
                                  size_t len, size_t from_len, struct root_facts *facts) {
    if (len < 4 || len > WIRE_MAX || data[0] != '<' || data[len - 1] != '>')
        return NULL;
    struct mk_stanza *s = stanza_new();
    set_source(s, profile, data, len, from_len);
    if (!parse_tree(p, profile, prefixes, s, facts)) {
        mk_release(s);
        return NULL;
    }
    read_root(s, facts);
    return s;
}

/* Some elements say the namespace of their stream, which is another on the streams of clients. */
static bool says_profile(const struct mk_stanza *s) {
    const char *ns = xml_profile_ns(s->ns_profile);
    return s->ns_profile != XML_CLIENT && memmem(s->wire, s->wire_len, ns, strlen(ns));
}

/* It can't leave on another stream as it is. A nonza is for this stream, but its content may be handed on. */
static bool is_foreign(const struct mk_stanza *s, const struct root_facts *facts) {
    if (!s)
        return false;
    return says_profile(s) || (s->kind != MK_NONZA && (s->root->scope == ELEM_BOUND || facts->has_prefix));
}

/* The same stanza, written with no prefix but its own. */
static struct mk_stanza *parse_rewritten(struct parsers *p, enum xml_profile profile, struct mk_stanza *s,
                                         size_t from_len) {
    struct arena arena;
    struct root_facts facts;
    arena_init(&arena);
    struct mk_out *o = out_fragment(NULL, &arena);
    out_tree(o, s->root);
    struct mk_view text = out_bytes(o);
    struct mk_stanza *again = parse_in(p, profile, NULL, text.s, text.len, from_len, &facts);
    arena_free(&arena);
    mk_release(s);
    return again;
}

struct mk_stanza *parse_stanza(struct parsers *p, enum xml_profile profile, const char *data, size_t len,
                               size_t from_len) {
    return parse_stanza_with(p, profile, NULL, data, len, from_len);
}

struct mk_stanza *parse_stanza_with(struct parsers *p, enum xml_profile profile, const char *prefixes, const char *data,
                                    size_t len, size_t from_len) {
    struct root_facts facts;
    struct mk_stanza *s = parse_in(p, profile, prefixes, data, len, from_len, &facts);
    return is_foreign(s, &facts) ? parse_rewritten(p, profile, s, from_len) : s;
}

struct mk_stanza *parse_next(enum xml_profile profile, const struct xml_limits *limits, const char *data, size_t len,
                             size_t from_len, size_t *used) {
    struct root_facts facts;
    struct mk_stanza *s = stanza_new();
    if (!plain_next(s, profile, limits, data, len, used, &facts)) {
        mk_release(s);
        return NULL;
    }
    set_source(s, profile, data, *used, from_len);
    plain_move(s->root, data, s->wire);
    read_root(s, &facts);
    return says_profile(s) ? parse_rewritten(parsers_here(), profile, s, from_len) : s;
}

struct mk_stanza *parse_alone(enum xml_profile profile, const struct xml_limits *limits, const char *data, size_t len,
                              size_t from_len) {
    size_t used;
    bool ends = len && data[len - 1] == '>';
    struct mk_stanza *s = ends ? parse_next(profile, limits, data, len, from_len, &used) : NULL;
    if (!s || used == len)
        return s;
    mk_release(s);
    return NULL;
}

/* What the builder wrote is well-formed; should it not be, a reader sees an empty element. */
static void bare_root(struct mk_stanza *s) {
    static const char *const names[] = { "nonza", "message", "presence", "iq" };
    struct mk_elem *root = arena_zalloc(&s->arena, sizeof *root);
    root->name = names[s->kind];
    root->ns = xml_profile_ns(XML_CLIENT);
    root->raw = s->wire;
    root->raw_len = root->inner = s->wire_len;
    root->scope = ELEM_BOUND;
    root->attrs = arena_alloc(&s->arena, 2 * sizeof *root->attrs); /* for stanza_stamp() */
    s->root = root;
}

void stanza_parse_now(const struct mk_stanza *s) {
    struct mk_stanza *m = (struct mk_stanza *)s;
    struct root_facts facts;
    if (!m->lazy)
        return;
    m->lazy = 0;
    if (!parse_tree(parsers_here(), m->ns_profile, NULL, m, &facts))
        bare_root(m);
}
