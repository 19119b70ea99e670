/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/eterm.h"
#include "move/writer.h"
#include "util/mem.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    VERSION = 131,
    COMPRESSED = 80,
    SMALL_INT = 97,
    INT = 98,
    ATOM = 100,
    SMALL_TUPLE = 104,
    LARGE_TUPLE = 105,
    NIL = 106,
    STRING = 107,
    LIST = 108,
    BINARY = 109,
    SMALL_ATOM = 115,
    MAP = 116,
    ATOM_UTF8 = 118,
    SMALL_ATOM_UTF8 = 119
};
enum { DEPTH_MAX = 100, INFLATED_MAX = 16 << 20 };

struct cursor {
    const unsigned char *at, *end;
    bool bad;
};

static uint32_t number(struct cursor *c, unsigned bytes) {
    uint32_t n = 0;
    if ((size_t)(c->end - c->at) < bytes) {
        c->bad = true;
        c->at = c->end;
        return 0;
    }
    while (bytes--)
        n = n << 8 | *c->at++;
    return n;
}

static const char *bytes(struct cursor *c, size_t len) {
    const char *start = (const char *)c->at;
    if ((size_t)(c->end - c->at) < len) {
        c->bad = true;
        len = (size_t)(c->end - c->at);
    }
    c->at += len;
    return start;
}

/* An atom, a binary or a list of bytes. */
static bool text(struct cursor *c, const char **out, size_t *len) {
    uint32_t tag = number(c, 1);
    *out = "";
    *len = 0;
    if (tag == NIL)
        return !c->bad;
    if (tag == BINARY)
        *len = number(c, 4);
    else if (tag == ATOM || tag == ATOM_UTF8 || tag == STRING)
        *len = number(c, 2);
    else if (tag == SMALL_ATOM || tag == SMALL_ATOM_UTF8)
        *len = number(c, 1);
    else
        c->bad = true;
    *out = bytes(c, *len);
    return !c->bad;
}

static bool is_name(const char *s, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= ' ' || strchr("<>&'\"/=", s[i]))
            return false;
    return len > 0;
}

static uint32_t tuple(struct cursor *c) {
    uint32_t tag = number(c, 1);
    if (tag == SMALL_TUPLE)
        return number(c, 1);
    c->bad |= tag != LARGE_TUPLE;
    return number(c, 4);
}

/* The number of elements; the list's tail, if there is one, is behind them. */
static uint32_t list(struct cursor *c, bool *tail) {
    uint32_t tag = number(c, 1);
    *tail = tag == LIST;
    c->bad |= tag != LIST && tag != NIL;
    return tag == LIST ? number(c, 4) : 0;
}

static void skip_tail(struct cursor *c, bool tail) {
    if (tail && number(c, 1) != NIL)
        c->bad = true;
}

static void put_attribute(struct cursor *c, struct buf *out) {
    const char *name, *value;
    size_t name_len, value_len;
    if (!text(c, &name, &name_len) || !text(c, &value, &value_len) || !is_name(name, name_len)) {
        c->bad = true;
        return;
    }
    char *n = xmemdup(name, name_len), *v = xmemdup(value, value_len);
    put_attr(out, n, v);
    free(n);
    free(v);
}

/* A list of pairs, or in new releases a map. */
static void put_attributes(struct cursor *c, struct buf *out) {
    bool tail;
    if (c->at < c->end && *c->at == MAP) {
        number(c, 1);
        for (uint32_t n = number(c, 4); n && !c->bad; n--)
            put_attribute(c, out);
        return;
    }
    for (uint32_t n = list(c, &tail); n-- && !c->bad;) {
        if (tuple(c) != 2)
            c->bad = true;
        put_attribute(c, out);
        if (!n)
            skip_tail(c, tail);
    }
}

static void put_node(struct cursor *c, struct buf *out, int depth);

static void put_element(struct cursor *c, struct buf *out, int depth) {
    const char *name;
    size_t len;
    bool tail;
    if (!text(c, &name, &len) || !is_name(name, len) || depth > DEPTH_MAX) {
        c->bad = true;
        return;
    }
    buf_printf(out, "<%.*s", (int)len, name);
    put_attributes(c, out);
    buf_puts(out, ">");
    uint32_t n = list(c, &tail);
    while (n-- && !c->bad)
        put_node(c, out, depth + 1);
    if (!c->bad)
        skip_tail(c, tail);
    buf_printf(out, "</%.*s>", (int)len, name);
}

static void put_node(struct cursor *c, struct buf *out, int depth) {
    uint32_t arity = tuple(c);
    const char *kind, *content;
    size_t len;
    if (c->bad || !text(c, &kind, &len)) {
        c->bad = true;
    } else if (len == 5 && memcmp(kind, "xmlel", 5) == 0 && arity == 4) {
        put_element(c, out, depth);
    } else if (len == 8 && memcmp(kind, "xmlcdata", 8) == 0 && (arity == 2 || arity == 3)) {
        if (text(c, &content, &len))
            put_escaped(out, content, len);
        if (arity == 3)
            text(c, &content, &len); /* how it was written */
    } else {
        c->bad = true;
    }
}

static bool put_term(const unsigned char *data, size_t len, struct buf *out) {
    struct cursor c = { data, data + len, false };
    size_t before = out->len;
    put_node(&c, out, 0);
    if (c.bad && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return !c.bad;
}

bool eterm_stanza(const void *data, size_t len, struct buf *out) {
    const unsigned char *d = data;
    if (len < 6 || d[0] != VERSION)
        return false;
    if (d[1] != COMPRESSED)
        return put_term(d + 1, len - 1, out);
    struct cursor c = { d + 2, d + len, false };
    uLongf size = number(&c, 4);
    if (size > INFLATED_MAX)
        return false;
    unsigned char *inflated = xmalloc(size + 1);
    bool good = uncompress(inflated, &size, c.at, (uLong)(c.end - c.at)) == Z_OK && put_term(inflated, size, out);
    free(inflated);
    return good;
}
