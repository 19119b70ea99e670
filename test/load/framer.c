/* SPDX-License-Identifier: Apache-2.0 */
#include "framer.h"
#include <stdio.h>
#include <string.h>

enum { TEXT, OPENED, TAG, SINGLE, DOUBLE, INSTRUCTION };

static enum frame end_of_tag(struct framer *f) {
    f->state = TEXT;
    if (f->closing) {
        if (f->depth == 0)
            return FRAME_BAD;
        f->depth--;
        return f->depth == 0 ? FRAME_END : f->depth == 1 ? FRAME_STANZA : FRAME_MORE;
    }
    if (f->empty)
        return f->depth == 1 ? FRAME_STANZA : f->depth == 0 ? FRAME_END : FRAME_MORE;
    return f->depth++ == 0 ? FRAME_HEADER : FRAME_MORE;
}

static enum frame in_tag(struct framer *f, char c) {
    if (c == '>')
        return end_of_tag(f);
    if (c == '\'')
        f->state = SINGLE;
    else if (c == '"')
        f->state = DOUBLE;
    f->empty = c == '/';
    return FRAME_MORE;
}

static enum frame step(struct framer *f, char c) {
    switch (f->state) {
    case TEXT:
        if (c == '<')
            f->state = OPENED;
        return FRAME_MORE;
    case OPENED:
        if (c == '!')
            return FRAME_BAD;
        f->closing = c == '/';
        f->empty = false;
        f->state = c == '?' ? INSTRUCTION : TAG;
        return FRAME_MORE;
    case TAG:
        return in_tag(f, c);
    case INSTRUCTION:
        if (c == '>')
            f->state = TEXT;
        return FRAME_MORE;
    default:
        if (c == (f->state == SINGLE ? '\'' : '"'))
            f->state = TAG;
        return FRAME_MORE;
    }
}

enum frame framer_scan(struct framer *f, const char *data, size_t len, size_t *at) {
    while (*at < len) {
        enum frame got = step(f, data[(*at)++]);
        if (got != FRAME_MORE)
            return got;
    }
    return FRAME_MORE;
}

enum frame framer_next(struct framer *f, struct buffer *b, char **text) {
    enum frame got = b->data ? framer_scan(f, b->data, b->len, &b->scanned) : FRAME_MORE;
    if (got != FRAME_MORE)
        *text = buffer_hold(b, b->scanned);
    return got;
}

static bool unescape(const char *from, size_t len, char *out, size_t size) {
    static const struct {
        const char *entity;
        char c;
    } entities[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&apos;", '\'' }, { "&quot;", '"' } };
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        for (unsigned e = 0; c == '&' && e < 5; e++) {
            size_t width = strlen(entities[e].entity);
            if (width <= len - i && memcmp(from + i, entities[e].entity, width) == 0) {
                c = entities[e].c;
                i += width - 1;
                break;
            }
        }
        if (n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

bool xml_name(const char *stanza, char *out, size_t size) {
    stanza += strspn(stanza, " \t\r\n");
    if (*stanza != '<')
        return false;
    return unescape(stanza + 1, strcspn(stanza + 1, " \t\r\n/>"), out, size);
}

bool xml_local(const char *stanza, char *out, size_t size) {
    if (!xml_name(stanza, out, size))
        return false;
    const char *colon = strchr(out, ':');
    if (colon)
        memmove(out, colon + 1, strlen(colon));
    return true;
}

bool xml_attr(const char *stanza, const char *name, char *out, size_t size) {
    size_t width = strlen(name);
    const char *at = strchr(stanza, '<');
    at = at ? at + strcspn(at, " \t\r\n/>") : NULL;
    while (at && *at && *at != '>' && *at != '/') {
        at += strspn(at, " \t\r\n");
        size_t len = strcspn(at, " \t\r\n=/>");
        const char *value = at + len;
        value += strspn(value, " \t\r\n=");
        if (*value != '\'' && *value != '"')
            return false;
        const char *end = strchr(value + 1, *value);
        if (!end)
            return false;
        if (len == width && memcmp(at, name, width) == 0)
            return unescape(value + 1, (size_t)(end - value - 1), out, size);
        at = end + 1;
        at += strspn(at, " \t\r\n");
    }
    return false;
}

bool xml_text(const char *stanza, const char *element, char *out, size_t size) {
    size_t width = strlen(element);
    for (const char *at = stanza; (at = strchr(at, '<')) != NULL; at++) {
        if (strncmp(at + 1, element, width) != 0 || !strchr(" \t\r\n/>", at[1 + width]))
            continue;
        const char *begin = strchr(at, '>');
        if (!begin || begin[-1] == '/')
            return false;
        return unescape(begin + 1, strcspn(begin + 1, "<"), out, size);
    }
    return false;
}

size_t xml_alone(const char *element, size_t len, char begin[XML_BEGIN_MAX]) {
    static const char *const names[] = { "<message", "<iq", "<presence" };
    *begin = '\0';
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        size_t width = strlen(names[i]);
        if (len <= width || memcmp(element, names[i], width) != 0 || !strchr(" />", element[width]))
            continue;
        snprintf(begin, XML_BEGIN_MAX, "%s xmlns='jabber:client'", names[i]);
        return width;
    }
    return 0;
}
