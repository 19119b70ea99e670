/* SPDX-License-Identifier: Apache-2.0 */
/* Start tags as bytes.  All of them were checked by a parser, or written by the builder. */
#ifndef XML_WIRE_H
#define XML_WIRE_H

#include "xml/parser.h"

enum { WIRE_MAX = 1 << 30 };

/* A stanza with nothing in it, held once. */
struct mk_stanza *stanza_new(void);

/* An attribute of a start tag: all of name='value', and how much of it is the name. */
struct tag_attr {
    const char *at;
    size_t len, name_len;
};
size_t tag_name_len(const char *tag); /* of "<name ..." */
/* The attribute that ends before *END, which moves to its beginning.  BEGIN is the end of the tag's name.  False if
 * there is none left. */
bool tag_attr_before(const char *begin, const char **end, struct tag_attr *out);
bool tag_attr_is(const struct tag_attr *a, const char *name);

size_t wire_inner(const struct mk_stanza *s);       /* bytes of the start tag of its wire form */
uint32_t wire_tail(const char *wire, uint32_t len); /* offset of the end tag, or of "/>" */

/* The wire form for another recipient: most bytes it takes; and writes it, returning how many it took. */
size_t wire_room_to(const struct mk_stanza *s, const struct mk_jid *to);
size_t wire_write_to(char *out, const struct mk_stanza *s, const struct mk_jid *to);

#endif
