/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing over the array of hashes; the items lie in an array of their own and are touched on a match only. */
#include "util/table.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct table_slot {
    void *item;
};

/* Hashes that no item has. */
enum { EMPTY, GRAVE, FIRST_HASH, MIN_SLOTS = 8 };

static uint32_t *hashes(const struct table *t) {
    return (uint32_t *)(void *)(t->slots + (size_t)t->mask + 1);
}

static uint32_t fold(uint64_t hash) {
    uint32_t h = (uint32_t)(hash ^ hash >> 32);
    return h < FIRST_HASH ? h + FIRST_HASH : h;
}

/* Items of one worker may all have the same low bits of hash: spread them again. */
static uint32_t start(const struct table *t, uint32_t h) {
    h *= 0x9e3779b1u;
    return (h ^ h >> 15) & t->mask;
}

/* Where the item is that SAME says yes to; -1 if nowhere. */
static int64_t locate(const struct table *t, uint64_t hash, table_same_fn *same, const void *key) {
    if (!t->slots)
        return -1;
    const uint32_t *hs = hashes(t);
    uint32_t h = fold(hash);
    for (uint32_t i = start(t, h); hs[i] != EMPTY; i = (i + 1) & t->mask)
        if (hs[i] == h && same(t->slots[i].item, key))
            return i;
    return -1;
}

void *table_find(const struct table *t, uint64_t hash, table_same_fn *same, const void *key) {
    int64_t i = locate(t, hash, same, key);
    return i < 0 ? NULL : t->slots[i].item;
}

static void place(struct table *t, uint32_t h, void *item) {
    uint32_t *hs = hashes(t);
    uint32_t i = start(t, h);
    while (hs[i] >= FIRST_HASH)
        i = (i + 1) & t->mask;
    t->used += hs[i] == EMPTY;
    t->count++;
    hs[i] = h;
    t->slots[i].item = item;
}

/* To a size that is half full at most; also to lose the graves. */
static void rehash(struct table *t) {
    struct table old = *t;
    size_t size = MIN_SLOTS;
    while (size < ((size_t)old.count + 1) * 2)
        size *= 2;
    t->slots = xcalloc(size, sizeof(struct table_slot) + sizeof(uint32_t));
    t->mask = (uint32_t)(size - 1);
    t->count = t->used = 0;
    if (!old.slots)
        return;
    const uint32_t *hs = hashes(&old);
    for (size_t i = 0; i <= old.mask; i++)
        if (hs[i] >= FIRST_HASH)
            place(t, hs[i], old.slots[i].item);
    free(old.slots);
}

void table_add(struct table *t, uint64_t hash, void *item) {
    if (!t->slots || ((size_t)t->used + 1) * 4 > ((size_t)t->mask + 1) * 3)
        rehash(t);
    place(t, fold(hash), item);
}

void *table_remove(struct table *t, uint64_t hash, table_same_fn *same, const void *key) {
    int64_t at = locate(t, hash, same, key);
    if (at < 0)
        return NULL;
    uint32_t *hs = hashes(t);
    uint32_t i = (uint32_t)at;
    hs[i] = GRAVE;
    t->count--;
    /* A grave with nothing behind it marks no way to anywhere. */
    while (hs[i] == GRAVE && hs[(i + 1) & t->mask] == EMPTY) {
        hs[i] = EMPTY;
        t->used--;
        i = (i - 1) & t->mask;
    }
    return t->slots[at].item;
}

void *table_next(const struct table *t, uint32_t *pos) {
    if (!t->slots)
        return NULL;
    const uint32_t *hs = hashes(t);
    while (*pos <= t->mask) {
        uint32_t i = (*pos)++;
        if (hs[i] >= FIRST_HASH)
            return t->slots[i].item;
    }
    return NULL;
}

void table_free(struct table *t) {
    free(t->slots);
    *t = (struct table){ 0 };
}

bool table_same_name(const void *item, const void *key) {
    return strcmp(*(const char *const *)item, key) == 0;
}

/* ---- SipHash-1-3 --------------------------------------------------------------------------------------------------- */

static uint64_t seed[2];

__attribute__((constructor)) static void seed_hash(void) {
    if (getrandom(seed, sizeof seed, 0) != sizeof seed)
        abort();
}

static inline uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t hash_bytes(const void *data, size_t len) {
    const unsigned char *p = data;
    uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
                      seed[1] ^ 0x7465646279746573u };
    uint64_t word, last = (uint64_t)len << 56;
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << 8 * i;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
