/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of one worker: libxml2 push contexts left open inside a synthetic root, one a profile, fed whole framed
 * stanzas, those that plain.c does not read.  A context is thrown away after an error, after a huge stanza, and when its
 * dictionary has grown.
 */
#ifndef XML_PARSER_H
#define XML_PARSER_H

#include "xml/scan.h"
#include "xml/stanza.h"

/* By default namespace of the stream: jabber:client, jabber:server, jabber:component:accept. */
enum xml_profile { XML_CLIENT, XML_SERVER, XML_COMPONENT, XML_PROFILES };
const char *xml_profile_ns(enum xml_profile p);

struct parsers; /* all of a worker */
struct parsers *parsers_new(void);
void parsers_free(struct parsers *p);
struct parsers *parsers_here(void); /* of this worker, else of this thread */

/*
 * Parses one framed element.  FROM_LEN is the length of the `from` that stanza_stamp() will write, so that the wire
 * form can be laid over the source without moving the content.  Returns NULL if it is not well-formed or not namespace
 * well-formed, or if it is not one element and nothing else.  A message, presence or iq that uses prefixes of the
 * stream's root is written anew without them, since it may leave on a stream that does not have them.
 */
struct mk_stanza *parse_stanza(struct parsers *p, enum xml_profile profile, const char *data, size_t len,
                               size_t from_len);

/*
 * Frames and parses the stanza that DATA begins with in one pass, if it is plain (plain.c), all there and within LIMITS:
 * *USED bytes of it.  NULL for any other, which scan_next() and parse_stanza() will judge.  The last of LEN bytes is '>'.
 */
struct mk_stanza *parse_next(enum xml_profile profile, const struct xml_limits *limits, const char *data, size_t len,
                             size_t from_len, size_t *used);

/* The same of data that is one such stanza and nothing else. */
struct mk_stanza *parse_alone(enum xml_profile profile, const struct xml_limits *limits, const char *data, size_t len,
                              size_t from_len);

/* What a stream header said.  Strings are in ARENA, NULL if absent. */
struct xml_header {
    const char *name, *ns;  /* of the root element */
    const char *content_ns; /* default namespace declared on it, "" if none */
    const char *to, *from, *id, *version, *lang;
    /* Further xmlns:p='...' declarations, "" if none: stanzas of this stream are then parsed inside a root that has
     * them, by parse_stanza_with(). */
    const char *prefixes;
};
enum parse_header_result { HEADER_OK, HEADER_MALFORMED, HEADER_ENCODING /* declared and not UTF-8 */ };
enum parse_header_result parse_header(struct arena *arena, const char *data, size_t len, struct xml_header *out);

/* The same as parse_stanza for a stream with PREFIXES, or NULL: an element that needs them has a context of its own. */
struct mk_stanza *parse_stanza_with(struct parsers *p, enum xml_profile profile, const char *prefixes, const char *data,
                                    size_t len, size_t from_len);

/*
 * Names and namespaces that compare fast: made before the workers start, read by all.  xml_atom() returns the one
 * pointer for TEXT if it was declared, else NULL.
 */
void xml_atom_declare(const char *text);
const char *xml_atom(const char *text, size_t len);

#endif
