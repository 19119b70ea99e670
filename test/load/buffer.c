/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include <stdlib.h>
#include <string.h>

void buffer_add(struct buffer *b, const char *data, size_t len) {
    if (b->at) {
        b->len -= b->at;
        b->scanned -= b->at;
        memmove(b->data, b->data + b->at, b->len);
        b->at = 0;
    }
    if (b->len + len + 1 > b->cap) { /* one more for a NUL */
        b->cap = b->len + len + 1;
        b->data = realloc(b->data, b->cap);
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

char *buffer_hold(struct buffer *b, size_t end) {
    b->held = b->data[end];
    b->data[end] = '\0';
    return b->data + b->at;
}

void buffer_took(struct buffer *b, size_t end) {
    if (!b->data)
        return;
    b->data[end] = b->held;
    buffer_skip(b, b->scanned);
}

void buffer_skip(struct buffer *b, size_t at) {
    b->at = b->scanned = at;
    if (b->at == b->len)
        buffer_free(b);
}

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){ .data = NULL };
}
