/* SPDX-License-Identifier: Apache-2.0 */
/* What came and was not taken yet. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>

struct buffer {
    char *data;          /* only while there is something in it */
    size_t at, len, cap; /* what was not taken stands from AT to LEN */
    size_t scanned;      /* up to here it was looked at */
    char held;
};

void buffer_add(struct buffer *b, const char *data, size_t len);
/* What stands from AT to END, ended by NUL until buffer_took(). */
char *buffer_hold(struct buffer *b, size_t end);
/* END is that of buffer_hold(); all that was looked at is done with. */
void buffer_took(struct buffer *b, size_t end);
/* All before AT is done with. */
void buffer_skip(struct buffer *b, size_t at);
void buffer_free(struct buffer *b);

#endif
