/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void *must_alloc(void *memory) {
    if (!memory)
        abort();
    return memory;
}

static void reserve(struct bytes *b, size_t more) {
    if (b->len + more <= b->cap)
        return;
    b->cap = (b->len + more) * 2;
    b->s = must_alloc(realloc(b->s, b->cap));
}

void bytes_add(struct bytes *b, const void *data, size_t len) {
    reserve(b, len + 1);
    if (len)
        memcpy(b->s + b->len, data, len);
    b->len += len;
}

void bytes_puts(struct bytes *b, const char *text) {
    bytes_add(b, text, strlen(text));
}

void bytes_printf(struct bytes *b, const char *fmt, ...) {
    for (;;) {
        va_list args;
        va_start(args, fmt);
        int len = vsnprintf(b->s ? b->s + b->len : NULL, b->cap - b->len, fmt, args);
        va_end(args);
        if (len < 0)
            abort();
        if (b->len + (size_t)len < b->cap) {
            b->len += (size_t)len;
            return;
        }
        reserve(b, (size_t)len + 1);
    }
}

void bytes_free(struct bytes *b) {
    free(b->s);
    *b = (struct bytes){ 0 };
}

static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t now_ms(void) {
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t time_us(void) {
    return clock_ns(CLOCK_REALTIME) / 1000;
}
