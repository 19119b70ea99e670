/* SPDX-License-Identifier: Apache-2.0 */
#include "move/writer.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

#define NS_XML "http://www.w3.org/XML/1998/namespace"

void put_escaped(struct buf *out, const char *text, size_t len) {
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        const char *as = NULL;
        switch (text[i]) {
        case '&':
            as = "&amp;";
            break;
        case '<':
            as = "&lt;";
            break;
        case '>':
            as = "&gt;";
            break;
        case '\'':
            as = "&apos;";
            break;
        case '\r':
            as = "&#13;";
            break;
        default:
            continue;
        }
        buf_add(out, text + from, i - from);
        buf_puts(out, as);
        from = i + 1;
    }
    buf_add(out, text + from, len - from);
}

/* White space in an attribute would be read as spaces. */
static void put_value(struct buf *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        size_t plain = strcspn(text + i, "\n\t");
        plain = plain < len - i ? plain : len - i;
        put_escaped(out, text + i, plain);
        i += plain;
        if (i < len)
            buf_puts(out, text[i] == '\n' ? "&#10;" : "&#9;");
    }
}

void put_attr(struct buf *out, const char *name, const char *value) {
    buf_printf(out, " %s='", name);
    put_value(out, value, strlen(value));
    buf_puts(out, "'");
}

static void close_tag(struct writer *w) {
    if (w->open)
        buf_puts(&w->out, ">");
    w->open = false;
}

static void put_attrs(struct writer *w, const struct start_tag *tag) {
    for (int i = 0; i < tag->attr_count; i++) {
        const char *const *a = (const char *const *)tag->attrs + (size_t)i * 5;
        const char *prefix = "";
        char made[24];
        if (a[2] && strcmp(a[2], NS_XML) == 0) {
            prefix = "xml:";
        } else if (a[2] && *a[2]) {
            snprintf(made, sizeof made, "n%d:", i);
            buf_printf(&w->out, " xmlns:n%d='", i);
            put_value(&w->out, a[2], strlen(a[2]));
            buf_puts(&w->out, "'");
            prefix = made;
        }
        buf_printf(&w->out, " %s%s='", prefix, a[0]);
        put_value(&w->out, a[3], (size_t)(a[4] - a[3]));
        buf_puts(&w->out, "'");
    }
}

void writer_start(struct writer *w, const struct start_tag *tag, const char *parent_ns) {
    const char *outer = w->depth ? w->ns[w->depth - 1] : parent_ns;
    close_tag(w);
    buf_printf(&w->out, "<%s", tag->name);
    if (strcmp(outer, tag->ns) != 0)
        put_attr(&w->out, "xmlns", tag->ns);
    put_attrs(w, tag);
    w->ns[w->depth++] = xstrdup(tag->ns);
    w->open = true;
}

void writer_text(struct writer *w, const char *text, size_t len) {
    close_tag(w);
    put_escaped(&w->out, text, len);
}

void writer_end(struct writer *w, const char *name) {
    if (w->open)
        buf_puts(&w->out, "/>");
    else
        buf_printf(&w->out, "</%s>", name);
    w->open = false;
    free(w->ns[--w->depth]);
}

void writer_clear(struct writer *w) {
    while (w->depth)
        free(w->ns[--w->depth]);
    w->open = false;
    w->out.len = 0;
    if (w->out.data)
        w->out.data[0] = '\0';
}

void writer_free(struct writer *w) {
    writer_clear(w);
    buf_free(&w->out);
}
