/* SPDX-License-Identifier: Apache-2.0 */
/* What the mechanisms share.  sasl.h is what the rest of the server sees. */
#ifndef SASL_MECHANISM_H
#define SASL_MECHANISM_H

#include "sasl/sasl.h"
#include <meerkat/auth.h>

enum {
    SASL_MESSAGE_MAX = 8192, /* bytes of one message of the client */
    SASL_NAME_MAX = 1023,    /* bytes of a user name or password */
    SCRAM_NONCE_MAX = 512    /* bytes of the client's */
};

/* What SASL wants to know of TLS, read once from the connection.  Tests make their own. */
struct channel {
    char version[5]; /* as XEP-0515 writes it: "0304"; "" without TLS */
    unsigned count;
    struct binding {
        enum cb_type type;
        uint8_t data[64];
        size_t len; /* 0: not read, or TLS could not tell */
    } bindings[3];
};
void channel_read(struct channel *out, const struct conn *conn, bool with_data);

enum { MECHANISM_PLUS = 1, MECHANISM_CLEAR = 2, MECHANISM_ANONYMOUS = 4, MECHANISM_SPEAKS_FIRST = 8 };
/* Any of the server's own; or made for a row of a plugin. */
struct mechanism {
    const char *name;
    uint32_t flags;
    uint32_t needs; /* MK_AUTH_... that one provider at least must have */
    uint32_t hash;  /* SCRAM: mk_scram_hash */
    /* One message of the client, at most SASL_MESSAGE_MAX bytes. */
    enum sasl_status (*step)(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out);
};
MK_SUSPENDS enum sasl_status scram_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out);
MK_SUSPENDS enum sasl_status plain_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out);
enum sasl_status anonymous_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out);

/* The mechanism of the offer with this name, or NULL; then *WHY is the condition to answer with, NULL if that is
 * invalid-mechanism. */
const struct mechanism *offer_find(const struct sasl_env *env, const struct sasl_offer *offer, const char *name,
                                   const char **why);
/* The same for one of a plugin, unlisted ones too. */
const struct mechanism_entry *offer_find_row(const struct sasl_env *env, const char *name);
void offer_make(struct arena *arena, const struct sasl_env *env, const struct channel *channel, struct sasl_offer *out);
/* MK_AUTH_... of a provider, as its options narrow them. */
uint32_t provider_caps(const struct mk_auth *provider);

struct scram {
    char nonce[40];         /* ours, text; tests set it */
    const char *extensions; /* of our first message: ",h=...,t=..." */
    const char *gs2, *first, *answer,
        *both;                     /* GS2 header, client-first-bare, server-first, both nonces; in the arena */
    const struct binding *binding; /* that the client chose; NULL: none */
    struct mk_scram_keys keys;
    bool real; /* keys of an account, not made up for a user we don't know */
};
void scram_begin(struct sasl *s);
/* XEP-0474: base64 of the digest over what was offered, in ARENA. */
const char *scram_offer_hash(struct arena *arena, uint32_t hash, const struct sasl_offer *offer);

/* plugin.c: what a mechanism of a plugin is in between */
MK_SUSPENDS enum sasl_status plugin_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out);
struct foreign {
    struct mechanism mechanism;
    const struct mechanism_entry *entry; /* NULL: the mechanism is the server's own */
    struct mk_view answer;               /* in the arena */
    void *state;
    size_t state_size;
};

struct sasl {
    const struct mechanism *mechanism;
    struct foreign foreign;
    struct sasl_env env; /* conn is NULL: it may go before the exchange does */
    struct arena arena;
    struct channel channel;
    struct sasl_offer offer;
    const struct mk_jid *account; /* whom the client says it is; NULL: not yet, or no possible account */
    const char *condition, *text; /* once failed */
    bool asked;                   /* an empty challenge went out for the missing initial response */
    bool ended, anonymous;
    bool counts; /* a failure is a failed login, not a fault of ours */
    bool costs;  /* the throttle counts it too, and has the client wait */
    struct scram scram;
};
struct sasl *sasl_begin(const struct sasl_env *env, const struct channel *channel, const char *mechanism);

/* Ways to fail, all SASL_FAILURE: the client's fault; ours; the throttle's word. */
enum sasl_status sasl_fail(struct sasl *s, const char *condition, const char *text);
enum sasl_status sasl_unable(struct sasl *s);
enum sasl_status sasl_refuse(struct sasl *s);

/*
 * Finds out who wants in: NAME as the client wrote it, AUTHZID (len 0: none) whom it wants to act for, which must be
 * the same account.  SASL_CONTINUE, with s->account NULL if no account can have that name; or SASL_FAILURE.
 */
enum sasl_status sasl_identify(struct sasl *s, struct mk_view name, struct mk_view authzid);

/* The throttle with a clock of the caller's, in ms. */
int64_t throttle_note(const char *address, const struct mk_jid *account, int64_t now); /* the delay, in ms */
bool throttle_refuses_at(const char *address, const struct mk_jid *account, int64_t now);
enum { THROTTLE_ENTRIES = 32768 }; /* kept of each kind; the oldest goes */

#endif
