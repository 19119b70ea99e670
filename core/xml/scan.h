/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framing scanner: finds where the next stanza of a stream ends, without parsing it, and refuses what XMPP forbids
 * (RFC 6120, 11.1: comments, processing instructions, DTDs) and what goes over the limits, before a parser sees it.
 * State is 16 bytes, so that an idle connection keeps no parser.  It never looks at a byte twice.
 */
#ifndef XML_SCAN_H
#define XML_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xml_limits {
    uint32_t bytes;    /* of one stanza or stream header */
    uint32_t depth;    /* of elements in a stanza, the stanza itself being 1 */
    uint32_t attrs;    /* of one start tag */
    uint32_t children; /* start tags in one stanza */
};

enum scan_result {
    SCAN_MORE,       /* the buffer ends inside something: call again with more behind it */
    SCAN_SPACE,      /* white space between stanzas, a keepalive; *USED bytes of it */
    SCAN_HEADER,     /* <?xml?> if any, at the very start, and the root's start tag; *USED bytes */
    SCAN_STANZA,     /* a whole child of the root */
    SCAN_CLOSE,      /* the root's end tag */
    SCAN_RESTRICTED, /* restricted-xml */
    SCAN_MALFORMED,  /* not-well-formed */
    SCAN_BYTES,      /* over limits.bytes: policy-violation */
    SCAN_LIMIT       /* over depth, attrs or children: policy-violation */
};

struct scan {
    uint32_t pos; /* bytes of the buffer looked at so far */
    uint16_t depth, attrs;
    uint32_t children;
    uint8_t state, sub, open, zero; /* open: the root's start tag has passed */
};

static inline void scan_init(struct scan *s) { /* also when the stream restarts */
    *s = (struct scan){ 0 };
}
/* For framings without a root element (WebSocket): the first element is a stanza. */
static inline void scan_init_open(struct scan *s) {
    *s = (struct scan){ .open = 1 };
}

/*
 * Looks at BUF, LEN bytes that begin where the last result other than SCAN_MORE left off.  On SCAN_MORE the caller
 * keeps the bytes and calls again with the same ones and more.  *USED is set for the four results that have it.
 */
enum scan_result scan_next(struct scan *s, const struct xml_limits *limits, const char *buf, size_t len, size_t *used);

/* Whether the next byte begins a stanza, or is white space, or the end of the stream. */
static inline bool scan_is_between(const struct scan *s) {
    return s->open && !s->pos && !s->depth && !s->state;
}

#endif
