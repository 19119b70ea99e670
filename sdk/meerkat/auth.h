/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - interface `mk_auth` 1.0: accounts and their passwords.
 *
 * SASL lives in the server; where passwords live is a provider's business.  A host has one provider or several, asked
 * in the order of option `auth` of its host type; the first that knows the account decides.
 */
#ifndef MEERKAT_AUTH_H
#define MEERKAT_AUTH_H

#include <meerkat/service.h>

MK_BEGIN_DECLS

enum mk_scram_hash { MK_SHA_1, MK_SHA_256, MK_SHA_512 };

/* What a server keeps for SCRAM (RFC 5802, 5): never the password.  LEN is the digest's: 20, 32 or 64. */
struct mk_scram_keys {
    uint32_t hash, iterations;
    uint32_t len, salt_len;
    uint8_t stored_key[64], server_key[64];
    uint8_t salt[64];
};

/* What a provider can do. */
enum {
    MK_AUTH_SCRAM_SHA_1 = 1,
    MK_AUTH_SCRAM_SHA_256 = 2,
    MK_AUTH_SCRAM_SHA_512 = 4,
    MK_AUTH_PASSWORD = 8, /* check_password(): PLAIN */
    MK_AUTH_WRITE = 16,   /* set_password(), create(), remove() */
    MK_AUTH_LIST = 32
};

/* A page of account names (local parts), sorted by octets. */
struct mk_auth_page {
    const char *const *names;
    uint32_t count, zero;
};

/* All may suspend, in any turn.  ACCOUNT is a bare JID.  PASSWORD is as the user typed it, UTF-8; never log it. */
struct mk_auth_ops {
    uint32_t size, caps;
    /* 0, or MK_E_NOTFOUND. */
    int (*exists)(struct mk_ctx *c, const struct mk_jid *account);
    /* The keys for HASH.  MK_E_NOTFOUND: no such account; OUT may then have the iterations and salt_len of a new one.
     * MK_E_UNSUPPORTED: it has none for this hash; OUT may have the iterations, salt_len and salt of another.  With
     * these an exchange that must fail looks like any other. */
    int (*scram)(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash, struct mk_scram_keys *out);
    /* 0 if right, MK_E_DENIED if wrong, MK_E_NOTFOUND.  Takes the same time for both. */
    int (*check_password)(struct mk_ctx *c, const struct mk_jid *account, const char *password);
    /* MK_E_INVALID if SASLprep refuses the password or it is empty, MK_E_LIMIT if a rule of the provider does. */
    int (*set_password)(struct mk_ctx *c, const struct mk_jid *account, const char *password);
    int (*create)(struct mk_ctx *c, const struct mk_jid *account, const char *password); /* MK_E_CONFLICT: it exists */
    int (*remove)(struct mk_ctx *c, const struct mk_jid *account);
    /* Up to LIMIT names of the turn's host that come after AFTER (NULL: from the first), in the turn's memory. */
    int (*list)(struct mk_ctx *c, const char *after, uint32_t limit, struct mk_auth_page *out);
    /* Those of .caps that the instance has with its options; NULL: all.  In any thread, without a turn; pure. */
    uint32_t (*narrow)(const void *inst);
    /* Keys for a hash that scram() said MK_E_UNSUPPORTED of, with the salt and iterations that it gave for it: the
     * client computed them of the password (XEP-0480).  MK_E_CONFLICT: the password was changed, or it has such keys. */
    int (*add_keys)(struct mk_ctx *c, const struct mk_jid *account, const struct mk_scram_keys *keys);
    /* Gives the account COUNT sets of keys, of different hashes, in place of its password; makes it if it is not there.
     * They come from another server, each with a salt and iterations of its own.  MK_E_INVALID if one makes no sense. */
    int (*put_keys)(struct mk_ctx *c, const struct mk_jid *account, const struct mk_scram_keys *keys, uint32_t count);
};
struct mk_auth {
    struct mk_svc svc;
};

MK_CALL1(mk_auth, exists, int, MK_E_UNSUPPORTED, const struct mk_jid *, account)
MK_CALL3(mk_auth, scram, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, uint32_t, hash, struct mk_scram_keys *,
         out)
MK_CALL2(mk_auth, check_password, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, const char *, password)
MK_CALL2(mk_auth, add_keys, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, const struct mk_scram_keys *, keys)
MK_CALL3(mk_auth, put_keys, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, const struct mk_scram_keys *, keys,
         uint32_t, count)
MK_CALL2(mk_auth, set_password, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, const char *, password)
MK_CALL2(mk_auth, create, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, const char *, password)
MK_CALL1(mk_auth, remove, int, MK_E_UNSUPPORTED, const struct mk_jid *, account)
MK_CALL3(mk_auth, list, int, MK_E_UNSUPPORTED, const char *, after, uint32_t, limit, struct mk_auth_page *, out)

static inline uint32_t mk_auth_caps(const struct mk_auth *s) {
    return ((const struct mk_auth_ops *)s->svc.ops)->caps;
}

/*
 * For plugins that register or manage accounts: the host's providers in their order.  mk_account_create() makes the
 * account with the first provider that can write and runs the account_created hooks; mk_account_remove() ends the
 * account's sessions, runs account_removed in its turn and removes it.  Both suspend; not in the account's own turn
 * except mk_account_remove(), which then closes the sessions after the turn.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_account_exists(struct mk_ctx *c, const struct mk_jid *account);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_account_create(struct mk_ctx *c, const struct mk_jid *account,
                                                          const char *password);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_account_set_password(struct mk_ctx *c, const struct mk_jid *account,
                                                                const char *password);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_account_remove(struct mk_ctx *c, const struct mk_jid *account);

/*
 * For plugins that move accounts from server to server.  mk_account_scram() asks the account's provider for its keys,
 * as scram() of mk_auth does; mk_account_put_keys() gives it such keys, of the provider that has it or, if there is none,
 * of the first that can write, and runs account_created if it was made.  MK_E_UNSUPPORTED if the provider can't.  Both
 * suspend, in any turn.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_account_scram(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash,
                                                         struct mk_scram_keys *out);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_account_put_keys(struct mk_ctx *c, const struct mk_jid *account,
                                                            const struct mk_scram_keys *keys, uint32_t count);

MK_END_DECLS

#endif
