/* SPDX-License-Identifier: Apache-2.0 */
/* One push context of libxml2, left open inside a synthetic root, and the tree that its events make. */
#ifndef XML_CONTEXT_H
#define XML_CONTEXT_H

#include "xml/parser.h"

struct context;

/* PREFIXES: further namespace declarations of the root, or NULL. */
struct context *context_new(enum xml_profile profile, const char *prefixes);
void context_free(struct context *x);

/* What only the parser knows of a stanza's root. */
struct root_facts {
    bool is_content; /* it is in the default namespace of the stream */
    bool has_prefix;
};

/*
 * Makes the tree of the one element that SRC is, in the arena of S, which holds SRC too.  False if it is not
 * well-formed.
 */
bool context_parse(struct context *x, struct mk_stanza *s, const char *src, size_t len, struct root_facts *facts);

/* It has seen an error or grown too much: throw it away. */
bool context_spent(const struct context *x);

/* The value of an attribute, decoded, from what the SAX interface of libxml2 has for it. */
char *attr_value(struct arena *arena, const char *from, const char *end);

#endif
