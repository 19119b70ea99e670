/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/escape.h"
#include "xml/out.h"
#include <string.h>

/* Bit 1: in content; bit 2: in attributes. */
static const unsigned char special[256] = {
    ['&'] = 1, ['<'] = 1, ['>'] = 1, ['\r'] = 1, ['\''] = 2, ['\n'] = 2, ['\t'] = 2,
};

static const char *entity(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\'':
        return "&apos;";
    case '\r':
        return "&#13;";
    case '\n':
        return "&#10;";
    default:
        return "&#9;";
    }
}

char *escape_as(char *out, enum escape how, const char *text, size_t len) {
    const char *from = text, *end = text + len;
    for (const char *p = text; p < end; p++) {
        if (!(special[(unsigned char)*p] & how))
            continue;
        out = (char *)mempcpy(out, from, (size_t)(p - from));
        out = (char *)mempcpy(out, entity(*p), strlen(entity(*p))); /* and no NUL: OUT may be full */
        from = p + 1;
    }
    return len ? (char *)mempcpy(out, from, (size_t)(end - from)) : out;
}

size_t escaped_len(enum escape how, const char *text, size_t len) {
    size_t out = len;
    for (size_t i = 0; i < len; i++)
        if (special[(unsigned char)text[i]] & how)
            out += strlen(entity(text[i])) - 1;
    return out;
}

char *xml_escape(char *out, const char *text, size_t len) {
    return escape_as(out, ESCAPE_ATTR, text, len);
}
