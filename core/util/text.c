/* SPDX-License-Identifier: Apache-2.0 */
#include "util/text.h"
#include "util/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers ------------------------------------------------------------------------------------------------------ */

static void buf_room(struct buf *b, size_t more) {
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap * 2 : 64;
    b->cap = cap < need ? need : cap;
    b->data = xrealloc(b->data, b->cap);
}

void buf_add(struct buf *b, const void *data, size_t len) {
    buf_room(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *text) {
    buf_add(b, text, strlen(text));
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    buf_room(b, strlen(fmt) + 64); /* often enough: then it is written once */
    size_t room = b->cap - b->len;
    int len = vsnprintf(b->data + b->len, room, fmt, args);
    if (len > 0 && (size_t)len >= room) {
        buf_room(b, (size_t)len);
        vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
    }
    b->len += len > 0 ? (size_t)len : 0;
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void buf_free(struct buf *b) {
    free(b->data);
    *b = (struct buf){ 0 };
}

/* ---- base64, hex -------------------------------------------------------------------------------------------------- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *out, const void *data, size_t len) {
    const unsigned char *p = data;
    char *o = out;
    for (; len >= 3; len -= 3, p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *o++ = base64_digits[v >> 18];
        *o++ = base64_digits[v >> 12 & 63];
        *o++ = base64_digits[v >> 6 & 63];
        *o++ = base64_digits[v & 63];
    }
    if (len) {
        uint32_t v = (uint32_t)p[0] << 16 | (len == 2 ? (uint32_t)p[1] << 8 : 0);
        *o++ = base64_digits[v >> 18];
        *o++ = base64_digits[v >> 12 & 63];
        *o++ = len == 2 ? base64_digits[v >> 6 & 63] : '=';
        *o++ = '=';
    }
    *o = '\0';
    return (size_t)(o - out);
}

/* -1 if C is no digit. */
static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The last group may be padded; bits that no byte has must be zero, so that every text has one meaning only. */
ssize_t base64_decode(void *out, const char *text, size_t len) {
    unsigned char *o = out;
    if (len % 4)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        unsigned pad = i + 4 < len ? 0 : (text[i + 3] == '=') + (text[i + 2] == '=' && text[i + 3] == '=');
        uint32_t v = 0;
        for (unsigned k = 0; k < 4 - pad; k++) {
            int digit = base64_value(text[i + k]);
            if (digit < 0)
                return -1;
            v |= (uint32_t)digit << (18 - 6 * k);
        }
        if (v & ((1u << 8 * pad) - 1))
            return -1;
        *o++ = (unsigned char)(v >> 16);
        if (pad < 2)
            *o++ = (unsigned char)(v >> 8);
        if (pad < 1)
            *o++ = (unsigned char)v;
    }
    return o - (unsigned char *)out;
}

void hex_encode(char *out, const void *data, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

/* ---- UTF-8 -------------------------------------------------------------------------------------------------------- */

/* Length of the character at P, 2 to 4, with its code point in *CP; 0 if it is none.  P[0] is 0x80 or more. */
static size_t utf8_char(const unsigned char *p, size_t left, uint32_t *cp) {
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
        return 0;
    uint32_t v = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3f);
    }
    if (v < lowest[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *cp = v;
    return len;
}

/* Eight bytes at once are plain if none has its top bit set and none is below a space. */
static bool plain_word(const unsigned char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return !(((v - 0x2020202020202020u) | v) & 0x8080808080808080u);
}

static bool utf8_check(const char *text, size_t len, bool xml) {
    const unsigned char *p = (const unsigned char *)text, *end = p + len;
    while (p < end) {
        if (end - p >= 8 && plain_word(p)) {
            p += 8;
            continue;
        }
        if (*p < 0x80) {
            if (!*p || (xml && *p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r'))
                return false;
            p++;
            continue;
        }
        uint32_t cp;
        size_t n = utf8_char(p, (size_t)(end - p), &cp);
        if (!n || (xml && (cp == 0xfffe || cp == 0xffff)))
            return false;
        p += n;
    }
    return true;
}

bool utf8_valid(const char *text, size_t len) {
    return utf8_check(text, len, false);
}

bool utf8_valid_xml(const char *text, size_t len) {
    return utf8_check(text, len, true);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

enum { NAME_MAX_LEN = 48 };

static char folded(char c) {
    return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Insertions, deletions, changes and swaps of neighbours that make B of A. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    uint8_t row[3][NAME_MAX_LEN + 1];
    uint8_t *before = row[0], *last = row[1], *now = row[2];
    for (size_t k = 0; k <= b_len; k++)
        last[k] = (uint8_t)k;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (uint8_t)i;
        for (size_t k = 1; k <= b_len; k++) {
            unsigned same = folded(a[i - 1]) == folded(b[k - 1]);
            unsigned best = last[k - 1] + !same;
            best = last[k] + 1u < best ? last[k] + 1u : best;
            best = now[k - 1] + 1u < best ? now[k - 1] + 1u : best;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1u < best)
                best = before[k - 2] + 1u;
            now[k] = (uint8_t)best;
        }
        uint8_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *nearest_name(const char *name, const char *const *names, size_t count) {
    size_t len = strlen(name);
    const char *best = NULL;
    unsigned best_distance = len < 5 ? 2 : len < 9 ? 3 : 4;
    if (len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(names[i]);
        if (other > NAME_MAX_LEN)
            continue;
        unsigned d = distance(name, len, names[i], other);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}

bool equal_secret(const void *a, const void *b, size_t len) {
    const volatile unsigned char *x = a, *y = b;
    unsigned char differ = 0;
    for (size_t i = 0; i < len; i++)
        differ |= x[i] ^ y[i];
    return !differ;
}
