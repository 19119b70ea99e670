/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a parsed element looks like inside.  One block holds the struct, the tree, the strings and the bytes as they go
 * on the wire; several queues and threads may hold it at once.
 */
#ifndef XML_STANZA_H
#define XML_STANZA_H

#include "util/arena.h"
#include <meerkat/stanza.h>
#include <stdatomic.h>
#include <string.h>

struct xml_attr {
    const char *name, *ns; /* ns "" for none */
    const char *value;     /* decoded, NUL */
};

/* How the source bytes of an element depend on where they stand. */
enum elem_scope {
    ELEM_FREE,    /* not at all: they may be copied anywhere */
    ELEM_DEFAULT, /* they take the default namespace, that of the element itself, from outside */
    ELEM_BOUND    /* they use a prefix declared outside: write the tree instead */
};

/* An element, or a piece of the text of one, in order among its siblings. */
struct mk_elem {
    const char *name, *ns; /* atoms if known, else in the arena; ns "" for none; NULL name: this is text */
    struct mk_elem *next, *first, *last, *parent;
    struct xml_attr *attrs;
    const char *text; /* of a text node, decoded, not NUL-terminated */
    const char *raw;  /* of an element: its source bytes, inside of the stanza's `wire` */
    uint32_t text_len, raw_len;
    uint32_t inner; /* of an element: bytes of its start tag, all of it if that is "<a/>" */
    uint16_t attr_count;
    uint8_t scope, zero; /* enum elem_scope */
};

struct mk_receipt {
    atomic_uint holds, refs;
    void (*paid)(struct mk_receipt *r); /* in the thread that paid last; may be NULL */
    void (*free)(struct mk_receipt *r); /* in the thread that dropped the last reference */
};
void receipt_unref(struct mk_receipt *r); /* takes NULL */

/*
 * Whatever the stream's own default namespace was, the tree has "jabber:client" for what is in it: handlers see one
 * name for a body, be it of a client, a server or a component.
 *
 * WIRE is the stanza as written to a stream whose default namespace is its own: start tag, content, end tag.  The start
 * tag has `to` first and `from` second: WIRE_REST is the offset behind the `to` attribute, so that a copy for another
 * recipient is "<name to='...'" and the rest.  TAIL is the offset of the end tag, or of "/>" if there is no content.
 * A nonza, or a stanza just parsed and not stamped yet, has its source there, and 0 for WIRE_REST.
 */
struct mk_stanza {
    atomic_uint refs;
    uint8_t kind, type; /* mk_kind, mk_type */
    uint8_t lazy;       /* built, not parsed yet: mk_root() parses it when somebody reads */
    uint8_t ns_profile; /* enum xml_profile whose default namespace WIRE stands in */
    const char *id;
    const struct mk_jid *to, *from; /* NULL if absent; in the arena */
    struct mk_elem *root;
    const char *wire;
    uint32_t wire_len, wire_rest, wire_tail;
    uint16_t bad_to, bad_from;  /* the attribute was there and is no JID */
    uint32_t headroom;          /* bytes before `wire` that are free to be written */
    struct mk_receipt *receipt; /* held once by the stanza's way through the server; see route/receipt.h */
    struct arena arena;
};

/* A reference more; to give back with mk_release(), on any thread. */
static inline struct mk_stanza *stanza_ref(const struct mk_stanza *s) {
    struct mk_stanza *m = (struct mk_stanza *)s;
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* Parses a built stanza now.  Before it is shared with another thread. */
void stanza_parse_now(const struct mk_stanza *s);

/* Gives the caller's reference to the turn of C: it is released when the turn ends. */
const struct mk_stanza *stanza_lend(struct mk_ctx *c, struct mk_stanza *s);

/* E becomes the last in PARENT, or a root if that is NULL. */
static inline void elem_append(struct mk_elem *parent, struct mk_elem *e) {
    e->parent = parent;
    if (!parent)
        return;
    if (parent->last)
        parent->last->next = e;
    else
        parent->first = e;
    parent->last = e;
}

/* What follows E in the source, from the root on; NULL behind the last. */
static inline struct mk_elem *elem_after(struct mk_elem *e) {
    if (e->first)
        return e->first;
    while (e && !e->next)
        e = e->parent;
    return e ? e->next : NULL;
}

/* Of two names: most that differ do so in the first byte. */
static inline bool name_same(const char *a, const char *b) {
    return a == b || (*a == *b && strcmp(a, b) == 0);
}

/* enum mk_type of a `type` attribute (NULL if absent) for this kind. */
enum mk_type stanza_type_of(enum mk_kind kind, const char *text);
const char *stanza_type_text(enum mk_type type); /* NULL for normal presence and unknown */

/*
 * Sets `from` and `to`, each if not NULL, of a stanza just parsed that nobody else holds yet, and lays out its wire form.
 */
void stanza_stamp(struct mk_stanza *s, const struct mk_jid *from, const struct mk_jid *to);

#endif
