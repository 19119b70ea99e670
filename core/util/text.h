/* SPDX-License-Identifier: Apache-2.0 */
/* Text: growing buffers, base64, hex, UTF-8, the nearest name for a misspelt one. */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf {
    char *data; /* NUL behind LEN once anything was added */
    size_t len, cap;
};
void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list args);
void buf_free(struct buf *b);

/* Base64 of RFC 4648 section 4.  OUT has 4 * ((len + 2) / 3) + 1 bytes; returns the length without the NUL. */
size_t base64_encode(char *out, const void *data, size_t len);
/* Strict: padding required, no white space.  OUT has 3 * len / 4 bytes; -1 if TEXT is not base64. */
ssize_t base64_decode(void *out, const char *text, size_t len);
void hex_encode(char *out, const void *data, size_t len); /* lower case, 2 * len + 1 bytes */

bool utf8_valid(const char *text, size_t len); /* no surrogates, no overlong forms, no NUL */
/* As utf8_valid, and every character is one that XML 1.0 allows. */
bool utf8_valid_xml(const char *text, size_t len);

/* The entry of NAMES (COUNT of them) nearest to NAME if it is near enough to be a slip, else NULL. */
const char *nearest_name(const char *name, const char *const *names, size_t count);

/* Equal, in time that depends on LEN alone. */
bool equal_secret(const void *a, const void *b, size_t len);

#endif
