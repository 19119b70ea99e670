/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients send is nearly always plain: ASCII names without prefixes, no references, no CDATA.  Such an element is
 * framed and read here in one pass.  Whatever else it may be, well-formed or not, is left to scan.c and libxml2: nothing
 * is refused here, and what is taken must be what they would have taken and give the same tree, which the fuzzer compares.
 */
#ifndef XML_PLAIN_H
#define XML_PLAIN_H

#include "xml/context.h"
#include "xml/scan.h"

/* Makes the tree in the arena of S, which holds SRC too.  False if SRC is not one plain element: S is as it was. */
bool plain_parse(struct mk_stanza *s, enum xml_profile profile, const char *src, size_t len, struct root_facts *facts);

/*
 * The same of the element that DATA begins with, if it is all there and within LIMITS, or NULL for none of them: it has
 * *USED bytes, into which the tree points.  The last of LEN bytes is '>'.
 */
bool plain_next(struct mk_stanza *s, enum xml_profile profile, const struct xml_limits *limits, const char *data,
                size_t len, size_t *used, struct root_facts *facts);

/* What points into the bytes at OLD points to the same at NEW. */
void plain_move(struct mk_elem *root, const char *old, const char *new);

#endif
