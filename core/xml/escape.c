/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/escape.h"
#include "xml/out.h"
#include <stdbool.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

#ifdef __SSE2__
/* Whether any of 16 bytes is one of & ' < >, a control character, or above ASCII: these may be special, others are not. */
static inline bool may_be_special(const char *p) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i amp_apos = _mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8(1)), _mm_set1_epi8('\''));
    __m128i less_more = _mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8(2)), _mm_set1_epi8('>'));
    __m128i control = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
    return _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(amp_apos, less_more)));
}

/* True if all can stand as it is; false tells nothing.  Most addresses and texts are so. */
static bool is_harmless(const char *text, size_t len) {
    if (len < 16)
        return false;
    for (size_t i = 0; i < len - 16; i += 16)
        if (may_be_special(text + i))
            return false;
    return !may_be_special(text + len - 16);
}
#else
static bool is_harmless(const char *text, size_t len) {
    (void)text;
    return len == 0;
}
#endif

char *escape_as(char *out, enum escape how, const char *text, size_t len) {
    const char *from = text, *end = text + len;
    if (is_harmless(text, len))
        return (char *)mempcpy(out, text, len);
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
    if (is_harmless(text, len))
        return len;
    for (size_t i = 0; i < len; i++)
        if (special[(unsigned char)text[i]] & how)
            out += strlen(entity(text[i])) - 1;
    return out;
}

char *xml_escape(char *out, const char *text, size_t len) {
    return escape_as(out, ESCAPE_ATTR, text, len);
}
