/* SPDX-License-Identifier: Apache-2.0 */
/* What hashes stand for, on one worker: as many as its limit says, the least lately used go first. */
#ifndef CAPS_CACHE_H
#define CAPS_CACHE_H

#include <meerkat/ctx.h>

/* The features behind one hash.  Lives while it is in the cache or somebody holds it. */
struct known {
    struct known *next;          /* in its bucket */
    struct known *newer, *older; /* by use */
    uint64_t key_hash;
    uint32_t holders, count;
    bool listed;
    const char *const *features; /* sorted by octets */
    const char *key;             /* "FORM ALGO HASH"; "" for one that is its holder's alone */
};
struct cache {
    struct known **buckets;
    struct known *newest, *oldest;
    uint32_t bucket_count, count;
};

/* FEATURES is a list separated by line ends.  In the cache, which holds at most MAX, if it has a key. */
struct known *cache_add(struct cache *cache, const char *key, struct mk_view features, uint32_t max);
struct known *cache_find(struct cache *cache, const char *key);
void cache_free(struct cache *cache);

/* One that is let go by its last holder and not in the cache is freed.  NULL is fine. */
struct known *known_hold(struct known *k);
void known_let_go(struct known *k);
bool known_has(const struct known *k, const char *feature);

#endif
