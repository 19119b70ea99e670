/* SPDX-License-Identifier: Apache-2.0 */
/* Writes XML as text without prefixes but `xml:`, whatever prefixes it was read with. */
#ifndef MOVE_WRITER_H
#define MOVE_WRITER_H

#include "util/text.h"
#include <libxml/SAX2.h>

enum { WRITER_DEPTH = 100 };

struct writer {
    struct buf out;
    char *ns[WRITER_DEPTH]; /* OWNED; of the elements that are open */
    int depth;
    bool open; /* its start tag has no end yet */
};

/* An element as libxml2's startElementNs() tells of it.  PARENT_NS is what its parent's namespace is where DEPTH is 0. */
struct start_tag {
    const char *name, *ns; /* ns: "" if it has none */
    int attr_count;
    const xmlChar **attrs; /* five pointers each: name, prefix, namespace, value, its end */
};
void writer_start(struct writer *w, const struct start_tag *tag, const char *parent_ns);
void writer_text(struct writer *w, const char *text, size_t len);
void writer_end(struct writer *w, const char *name);
void writer_clear(struct writer *w); /* keeps its memory */
void writer_free(struct writer *w);

void put_escaped(struct buf *out, const char *text, size_t len);
/* ` NAME='VALUE'`, escaped. */
void put_attr(struct buf *out, const char *name, const char *value);

#endif
