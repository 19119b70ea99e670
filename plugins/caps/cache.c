/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One block: the struct, the pointers, the texts. */
static struct known *make(const char *key, struct mk_view features) {
    uint32_t count = features.len ? 1 : 0;
    for (size_t i = 0; i < features.len; i++)
        count += features.s[i] == '\n';
    size_t key_size = strlen(key) + 1;
    struct known *k = mk_malloc(sizeof *k + count * sizeof(char *) + features.len + 1 + key_size);
    const char **list = (const char **)(k + 1);
    char *text = memcpy(list + count, features.s ? features.s : "", features.len);
    k->key = memcpy(text + features.len + 1, key, key_size);
    k->key_hash = hash_of(key);
    k->features = list;
    while (k->count < count) {
        list[k->count++] = text;
        text = strchrnul(text, '\n');
        if (*text)
            *text++ = '\0';
    }
    qsort(list, count, sizeof *list, compare);
    return k;
}

/* ---- the order of use ------------------------------------------------------------------------------------------------------- */

static void take_out(struct cache *cache, struct known *k) {
    *(k->newer ? &k->newer->older : &cache->newest) = k->older;
    *(k->older ? &k->older->newer : &cache->oldest) = k->newer;
    k->newer = k->older = NULL;
}

static void put_first(struct cache *cache, struct known *k) {
    k->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = k;
    cache->newest = k;
    if (!cache->oldest)
        cache->oldest = k;
}

/* ---- the table ---------------------------------------------------------------------------------------------------------------- */

static struct known **bucket(const struct cache *cache, uint64_t hash) {
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static void drop(struct cache *cache, struct known *k) {
    struct known **at = bucket(cache, k->key_hash);
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    take_out(cache, k);
    cache->count--;
    k->listed = false;
    if (!k->holders)
        mk_free(k);
}

static void grow(struct cache *cache) {
    struct known **old = cache->buckets;
    uint32_t count = cache->bucket_count;
    cache->bucket_count = count ? count * 2 : 64;
    cache->buckets = mk_malloc(cache->bucket_count * sizeof *cache->buckets);
    for (uint32_t i = 0; i < count; i++)
        for (struct known *k = old[i], *next; k; k = next) {
            next = k->next;
            struct known **at = bucket(cache, k->key_hash);
            k->next = *at;
            *at = k;
        }
    mk_free(old);
}

struct known *cache_find(struct cache *cache, const char *key) {
    if (!cache->count)
        return NULL;
    uint64_t hash = hash_of(key);
    for (struct known *k = *bucket(cache, hash); k; k = k->next) {
        if (k->key_hash != hash || strcmp(k->key, key) != 0)
            continue;
        take_out(cache, k);
        put_first(cache, k);
        return k;
    }
    return NULL;
}

struct known *cache_add(struct cache *cache, const char *key, struct mk_view features, uint32_t max) {
    struct known *k = *key ? cache_find(cache, key) : NULL;
    if (k)
        return k;
    k = make(key, features);
    if (!*key)
        return k;
    while (cache->count >= max)
        drop(cache, cache->oldest);
    if (cache->count >= cache->bucket_count)
        grow(cache);
    struct known **at = bucket(cache, k->key_hash);
    k->next = *at;
    *at = k;
    put_first(cache, k);
    k->listed = true;
    cache->count++;
    return k;
}

void cache_free(struct cache *cache) {
    while (cache->oldest)
        drop(cache, cache->oldest);
    mk_free(cache->buckets);
    *cache = (struct cache){ .buckets = NULL };
}

struct known *known_hold(struct known *k) {
    k->holders++;
    return k;
}

void known_let_go(struct known *k) {
    if (k && --k->holders == 0 && !k->listed)
        mk_free(k);
}

bool known_has(const struct known *k, const char *feature) {
    return k && k->count && bsearch(&feature, k->features, k->count, sizeof *k->features, compare);
}
