/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the builder.  It writes bytes; a tree is made only if somebody reads the stanza. */
#ifndef XML_OUT_H
#define XML_OUT_H

#include "util/text.h"
#include "xml/stanza.h"

struct mk_out {
    struct mk_ctx *ctx;
    struct arena *arena; /* of the turn */
    int error;           /* first, sticky */
    uint8_t kind, type;
    bool tag_open; /* the start tag of the innermost element is not closed yet */
    bool silent;   /* an answer to an error: nothing will be sent */
    bool typed;    /* DATA has the type attribute already */
    uint16_t depth;
    const struct mk_jid *to, *from;
    const char *id;
    struct mk_receipt *receipt; /* shared by mk_derive() */
    const char *name, *ns; /* of the root; NAME NULL: a fragment, which has none.  NS is the default inside of it */
    struct out_open *open; /* stack of open elements */
    char *data;            /* attributes of the root, then content, as written so far, in the arena */
    uint32_t len, cap, attrs_len;
};

/* Writes TEXT escaped for an attribute in single quotes or for content.  Returns the new end; OUT has 6 * len bytes. */
char *xml_escape(char *out, const char *text, size_t len);

/* A builder that starts with nothing, for fragments such as stream features: out_bytes() gives what was written. */
struct mk_out *out_fragment(struct mk_ctx *ctx, struct arena *arena);
struct mk_view out_bytes(struct mk_out *o); /* closes what is open */

/* An element written from the tree, with no prefix but xml and what its attributes need. */
void out_tree(struct mk_out *o, const struct mk_elem *e);

/* Pieces for the rest of the builder. */
struct mk_out *out_new(struct mk_ctx *c, struct arena *arena);
void out_fail(struct mk_out *o, int error);
void out_raw(struct mk_out *o, const char *data, size_t len);
void out_end_tag_open(struct mk_out *o);      /* content follows */
char *out_room(struct mk_out *o, size_t len); /* of the data; out_wrote() says how much of it was used */
void out_wrote(struct mk_out *o, size_t len);
bool out_is_name(const char *name);

#endif
