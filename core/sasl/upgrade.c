/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0480: keys of SCRAM for a hash that an account lacks, made of what its client computed. */
#include "sasl/mechanism.h"
#include <gnutls/crypto.h>
#include <string.h>

static const struct upgrade {
    const char *task;
    uint32_t hash, cap, len;
    gnutls_mac_algorithm_t mac;
    gnutls_digest_algorithm_t digest;
} upgrades[] = {
    { "UPGR-SCRAM-SHA-512", MK_SHA_512, MK_AUTH_SCRAM_SHA_512, 64, GNUTLS_MAC_SHA512, GNUTLS_DIG_SHA512 },
    { "UPGR-SCRAM-SHA-256", MK_SHA_256, MK_AUTH_SCRAM_SHA_256, 32, GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256 },
};
enum { UPGRADES = sizeof upgrades / sizeof upgrades[0] };

static bool can_upgrade(const struct mk_auth *provider, const struct upgrade *u) {
    const struct mk_auth_ops *ops = provider->svc.ops;
    return ops->size > offsetof(struct mk_auth_ops, add_keys) && ops->add_keys && provider_caps(provider) & u->cap;
}

const char *upgrade_offer(const struct host_type *type, unsigned i) {
    for (unsigned k = 0; k < UPGRADES; k++)
        for (uint32_t n = 0; n < type->auth_count; n++)
            if (can_upgrade(type->auth[n], &upgrades[k]) && i-- == 0)
                return upgrades[k].task;
    return NULL;
}

static const struct upgrade *by_task(const char *task) {
    for (unsigned k = 0; k < UPGRADES; k++)
        if (strcmp(upgrades[k].task, task) == 0)
            return &upgrades[k];
    return NULL;
}

/* The provider of ACCOUNT, if the account has no keys for U; OUT gets the salt that they are to have.  Or NULL. */
MK_SUSPENDS static const struct mk_auth *find(struct mk_ctx *c, const struct host_type *type,
                                              const struct mk_jid *account, const struct upgrade *u,
                                              struct mk_scram_keys *out) {
    int rc = MK_E_NOTFOUND;
    for (uint32_t i = 0; i < type->auth_count && rc == MK_E_NOTFOUND; i++) {
        if (!can_upgrade(type->auth[i], u))
            continue;
        *out = (struct mk_scram_keys){ .hash = u->hash };
        rc = mk_auth_scram(c, type->auth[i], account, u->hash, out);
        if (rc == MK_E_UNSUPPORTED && out->iterations && out->salt_len && out->salt_len <= sizeof out->salt)
            return type->auth[i];
    }
    return NULL;
}

bool upgrade_missing(struct mk_ctx *c, const struct host_type *type, const struct mk_jid *account, const char *task,
                     struct mk_scram_keys *salt) {
    const struct upgrade *u = by_task(task);
    return u && find(c, type, account, u, salt);
}

int upgrade_store(struct mk_ctx *c, const struct host_type *type, const struct mk_jid *account, const char *task,
                  const void *salted, size_t len) {
    const struct upgrade *u = by_task(task);
    struct mk_scram_keys keys;
    uint8_t client[64];
    if (!u || len != u->len)
        return MK_E_INVALID;
    const struct mk_auth *provider = find(c, type, account, u, &keys);
    if (!provider)
        return MK_E_CONFLICT;
    keys.len = u->len;
    gnutls_hmac_fast(u->mac, salted, len, "Client Key", 10, client);
    gnutls_hash_fast(u->digest, client, len, keys.stored_key);
    gnutls_hmac_fast(u->mac, salted, len, "Server Key", 10, keys.server_key);
    explicit_bzero(client, sizeof client);
    int rc = mk_auth_add_keys(c, provider, account, &keys);
    explicit_bzero(&keys, sizeof keys);
    return rc;
}
