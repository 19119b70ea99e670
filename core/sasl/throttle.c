/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failed logins of all workers, in one table under a mutex that is never held across a wait.  Keys are digests: an
 * entry has one size, whatever name was tried, and no name is kept.
 */
#include "sasl/mechanism.h"
#include "util/list.h"
#include "util/mem.h"
#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_LEN = 16, LONGEST_SLEEP = 9000 }; /* ms: a turn has 10 s by default */

struct entry {
    uint8_t key[KEY_LEN];
    int64_t last; /* ms, when it failed last */
    int64_t failures;
    struct list by_age;
};
/* The two kinds are apart, so that names tried from one place do not push out other places. */
struct kind {
    struct table entries;
    struct list by_age; /* oldest failure first */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct throttle_config config;
static struct kind addresses, accounts;
static uint8_t seed[32];
static bool ready;

/* With LOCK held. */
static void get_ready(void) {
    if (ready)
        return;
    mk_random(seed, sizeof seed);
    list_init(&addresses.by_age);
    list_init(&accounts.by_age);
    ready = true;
}

void throttle_setup(const struct throttle_config *c) {
    pthread_mutex_lock(&lock);
    config = *c;
    pthread_mutex_unlock(&lock);
}

static bool same_key(const void *item, const void *key) {
    return memcmp(((const struct entry *)item)->key, key, KEY_LEN) == 0;
}
static uint64_t key_hash(const uint8_t key[KEY_LEN]) {
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    return hash;
}

static void make_key(uint8_t key[KEY_LEN], const void *data, size_t len) {
    uint8_t digest[32];
    gnutls_hmac_fast(GNUTLS_MAC_SHA256, seed, sizeof seed, data, len, digest);
    memcpy(key, digest, KEY_LEN);
}

/* A customer of IPv6 has a /64 at least: its hosts count as one. */
static void address_key(uint8_t key[KEY_LEN], const char *address) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    size_t len = strcspn(address + (*address == '['), "]%");
    if (len < sizeof text) {
        memcpy(text, address + (*address == '['), len);
        text[len] = 0;
        if (inet_pton(AF_INET6, text, &ip) == 1) {
            if (IN6_IS_ADDR_V4MAPPED(&ip))
                make_key(key, ip.s6_addr + 12, 4);
            else
                make_key(key, ip.s6_addr, 8);
            return;
        }
        if (inet_pton(AF_INET, text, &ip) == 1) {
            make_key(key, &ip, 4);
            return;
        }
    }
    make_key(key, address, strlen(address));
}

static bool make_address_key(uint8_t key[KEY_LEN], const char *address) {
    if (!address || !*address)
        return false;
    address_key(key, address);
    return true;
}
static bool make_account_key(uint8_t key[KEY_LEN], const struct mk_jid *account) {
    if (!account)
        return false;
    make_key(key, account->text, jid_bare_len(account));
    return true;
}

static void drop(struct kind *kind, struct entry *e) {
    table_remove(&kind->entries, key_hash(e->key), same_key, e->key);
    list_remove(&e->by_age);
    free(e);
}

static struct entry *find(struct kind *kind, const uint8_t key[KEY_LEN], int64_t now) {
    struct entry *e = table_find(&kind->entries, key_hash(key), same_key, key);
    if (e && now - e->last >= config.window) {
        drop(kind, e);
        return NULL;
    }
    return e;
}

static int64_t count(struct kind *kind, const uint8_t key[KEY_LEN], int64_t now) {
    struct entry *e = find(kind, key, now);
    if (e) {
        list_remove(&e->by_age);
    } else {
        if (kind->entries.count >= THROTTLE_ENTRIES)
            drop(kind, container_of(kind->by_age.next, struct entry, by_age));
        e = xcalloc(1, sizeof *e);
        memcpy(e->key, key, KEY_LEN);
        table_add(&kind->entries, key_hash(key), e);
    }
    list_append(&kind->by_age, &e->by_age);
    e->last = now;
    return ++e->failures;
}

static int64_t delay_after(int64_t failures) {
    int64_t delay = config.delay, most = config.max_delay < LONGEST_SLEEP ? config.max_delay : LONGEST_SLEEP;
    if (delay <= 0)
        return 0;
    while (--failures > 0 && delay < most)
        delay *= 2;
    return delay < most ? delay : most;
}

int64_t throttle_note(const char *address, const struct mk_jid *account, int64_t now) {
    uint8_t key[KEY_LEN];
    int64_t failures = 0, other = 0;
    pthread_mutex_lock(&lock);
    get_ready();
    if (make_address_key(key, address))
        failures = count(&addresses, key, now);
    if (make_account_key(key, account))
        other = count(&accounts, key, now);
    int64_t delay = delay_after(failures > other ? failures : other);
    pthread_mutex_unlock(&lock);
    return delay;
}

static bool is_past_limit(struct kind *kind, const uint8_t key[KEY_LEN], int64_t now) {
    const struct entry *e = find(kind, key, now);
    return e && e->failures >= config.limit;
}

bool throttle_refuses_at(const char *address, const struct mk_jid *account, int64_t now) {
    uint8_t key[KEY_LEN];
    pthread_mutex_lock(&lock);
    get_ready();
    bool refuses = config.limit > 0 && ((make_address_key(key, address) && is_past_limit(&addresses, key, now)) ||
                                        (make_account_key(key, account) && is_past_limit(&accounts, key, now)));
    pthread_mutex_unlock(&lock);
    return refuses;
}

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool throttle_refuses(const char *address, const struct mk_jid *account) {
    return throttle_refuses_at(address, account, clock_ms());
}

int throttle_failed(struct mk_ctx *c, const char *address, const struct mk_jid *account) {
    int64_t delay = throttle_note(address, account, clock_ms());
    return delay > 0 ? mk_sleep(c, (uint32_t)delay) : 0;
}

void throttle_succeeded(const char *address, const struct mk_jid *account) {
    uint8_t key[KEY_LEN];
    (void)address; /* a right password there does not make the wrong ones for other accounts good */
    pthread_mutex_lock(&lock);
    get_ready();
    if (make_account_key(key, account)) {
        struct entry *e = find(&accounts, key, clock_ms());
        if (e)
            drop(&accounts, e);
    }
    pthread_mutex_unlock(&lock);
}
