/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SASL, server side: mechanisms as state machines that take and give bytes.  XML, base64 and the profile (RFC 6120 6,
 * XEP-0388) are the stream's business.  Everything here runs in a turn that may suspend.
 */
#ifndef SASL_SASL_H
#define SASL_SASL_H

#include "net/conn.h"
#include "route/host.h"
#include "util/text.h"

enum sasl_status { SASL_CONTINUE, SASL_SUCCESS, SASL_FAILURE };

/* Who logs in where.  An exchange copies it when it begins; of what it points to only HOST must live on. */
struct sasl_env {
    const struct host *host;
    const struct conn *conn; /* channel bindings; NULL in tests */
    bool secure;
    const char *address;           /* for throttling: without port */
    const struct mk_jid *from;     /* whom the stream header named, lent for the exchange; NULL: nobody */
    const struct mk_elem *request; /* the <authenticate/> of XEP-0388, lent likewise; NULL: it is by RFC 6120 */
    const struct mk_agent *agent;  /* likewise; NULL: it said nothing */
};

/*
 * The mechanisms to offer, strongest first, ended by NULL, in ARENA; and the channel-binding types to offer with them
 * (XEP-0440), none unless a -PLUS mechanism is in the list.
 */
struct sasl_offer {
    const char **mechanisms;
    const char **bindings;
    unsigned mechanism_count, binding_count;
};
void sasl_offer(struct arena *arena, const struct sasl_env *env, struct sasl_offer *out); /* .request counts */

struct sasl; /* one exchange */

/* Begins with MECHANISM, which must be in the offer: else NULL (invalid-mechanism).  One that only lacks TLS, or that is
 * weaker than the host allows, begins an exchange whose first step fails with the condition for that. */
struct sasl *sasl_new(const struct sasl_env *env, const char *mechanism);
void sasl_free(struct sasl *s);

/*
 * One step.  DATA NULL: the client sent no initial response.  OUT gets the challenge, or the data that goes with
 * success ("" if none).  A failure was delayed as the throttle wants before this returns.
 */
MK_SUSPENDS enum sasl_status sasl_step(struct mk_ctx *c, struct sasl *s, const void *data, size_t len, struct buf *out);

/* After SASL_FAILURE: the RFC 6120 condition, and a text or NULL. */
const char *sasl_condition(const struct sasl *s);
const char *sasl_text(const struct sasl *s);
/* After SASL_SUCCESS: the account, bare; lives as long as the exchange. */
const struct mk_jid *sasl_account(const struct sasl *s);
const char *sasl_mechanism(const struct sasl *s); /* static */
bool sasl_is_anonymous(const struct sasl *s);

/*
 * Upgrades (XEP-0480): the I-th task that the providers of a host type can do, NULL past the last; whether ACCOUNT lacks
 * what TASK brings, SALT then has the salt and the iterations for it; and the SaltedPassword that its client made of
 * them.  MK_E_INVALID if that has the wrong length.
 */
const char *upgrade_offer(const struct host_type *type, unsigned i);
MK_SUSPENDS bool upgrade_missing(struct mk_ctx *c, const struct host_type *type, const struct mk_jid *account,
                                 const char *task, struct mk_scram_keys *salt);
MK_SUSPENDS int upgrade_store(struct mk_ctx *c, const struct host_type *type, const struct mk_jid *account,
                              const char *task, const void *salted, size_t len);

/* Failed logins are delayed and, past a limit, refused for a while, by address and by account. */
struct throttle_config {
    int64_t delay; /* ms a failure costs at first; doubles with each */
    int64_t max_delay;
    int64_t limit;  /* failures an address or account may make before it is refused */
    int64_t window; /* ms after which they are forgotten */
};
void throttle_setup(const struct throttle_config *config);
bool throttle_refuses(const char *address, const struct mk_jid *account);
MK_SUSPENDS int throttle_failed(struct mk_ctx *c, const char *address,
                                const struct mk_jid *account); /* waits the delay */
void throttle_succeeded(const char *address, const struct mk_jid *account);

#endif
