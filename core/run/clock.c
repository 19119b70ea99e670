/* SPDX-License-Identifier: Apache-2.0 */
/* Time and randomness for plugins. */
#include "run/turn.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int64_t mk_now(const struct mk_ctx *c) {
    return worker_now_us(c->worker);
}

int64_t mk_now_ms(const struct mk_ctx *c) {
    return (int64_t)worker_now_ms(c->worker);
}

/* The kernel's generator is asked for a block at a time: ids are made for every stanza without one. */
void mk_random(void *out, size_t size) {
    static __thread uint8_t pool[256];
    static __thread size_t left;
    uint8_t *to = out;
    while (size) {
        if (!left) {
            ssize_t got = getrandom(pool, sizeof pool, 0);
            if (got < 0 && errno != EINTR)
                abort();
            left = got > 0 ? (size_t)got : 0;
            continue;
        }
        size_t take = size < left ? size : left;
        memcpy(to, pool + left - take, take);
        explicit_bzero(pool + left - take, take);
        left -= take;
        to += take;
        size -= take;
    }
}

const char *mk_random_id(struct mk_ctx *c) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    enum { LENGTH = 22 };
    uint8_t bits[LENGTH];
    mk_random(bits, sizeof bits);
    char *id = arena_alloc(&c->arena, LENGTH + 1);
    for (unsigned i = 0; i < LENGTH; i++)
        id[i] = letters[bits[i] & 63];
    id[LENGTH] = '\0';
    return id;
}
