/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts what a server sends into stanzas, and looks into one.  A parser for each of 20,000 connections would need
 * 300 MB; this keeps a few words, and names, attributes and text of whole stanzas are all that a load client reads.
 */
#ifndef FRAMER_H
#define FRAMER_H

#include "buffer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct framer {
    uint32_t depth;
    uint8_t state;
    bool closing, empty; /* of the tag that is being read */
};

enum frame { FRAME_MORE, FRAME_HEADER, FRAME_STANZA, FRAME_END, FRAME_BAD };

/* Reads on from *AT; where something ended that is what it returns, with *AT behind it. */
enum frame framer_scan(struct framer *f, const char *data, size_t len, size_t *at);
/* The same in B.  What ended is in *TEXT, until buffer_took() of what was looked at; not so for FRAME_MORE. */
enum frame framer_next(struct framer *f, struct buffer *b, char **text);

/* STANZA ends with NUL.  All write at most SIZE bytes with the NUL, and tell whether it was there and fitted. */
bool xml_name(const char *stanza, char *out, size_t size);
bool xml_local(const char *stanza, char *out, size_t size);                  /* the name without its prefix */
bool xml_attr(const char *stanza, const char *name, char *out, size_t size); /* of the first element */
bool xml_text(const char *stanza, const char *element, char *out, size_t size);

/* Over ways where each element stands alone a stanza names its namespace, as the header does for all over TCP.  BEGIN is how
 * ELEMENT then begins, "" if as it does; returns how much of it that stands for. */
enum { XML_BEGIN_MAX = 40 };
size_t xml_alone(const char *element, size_t len, char begin[XML_BEGIN_MAX]);

#endif
