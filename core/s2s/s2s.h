/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Federation: streams with other servers (RFC 6120, RFC 7590), by SASL EXTERNAL (XEP-0178) or dialback (XEP-0220).
 *
 * All that has to do with one remote domain is done by one worker, worker_of() the domain: what waits for it, the stream
 * to it, and the streams from it, which move there once they said who they are.  Other workers send posts.
 */
#ifndef S2S_S2S_H
#define S2S_S2S_H

#include "conf/conf.h"
#include "net/dns.h"
#include "net/listener.h"
#include "run/turn.h"
#include <meerkat/stanza.h>

enum { PIN_BYTES = 32, SECRET_HEX = 64 };

/* What holds for a remote domain. */
struct s2s_policy {
    const char *domain; /* "example.org", "*.example.org" for all below; NULL: all others */
    bool deny, dialback, tls;
    bool certificate;                 /* a valid one is required */
    const uint8_t (*pins)[PIN_BYTES]; /* SHA-256 of public keys: one of them is required, and enough */
    unsigned pin_count;
    const char *host; /* where its server is; NULL: DNS says */
    uint16_t port;
    bool direct;
};

struct s2s_config {
    bool enabled; /* somebody listens for servers */
    bool bidi, acks;
    struct s2s_policy others;
    const struct s2s_policy *policies;
    unsigned policy_count;
    struct dns_config dns;
    const char *trust;  /* file of authorities, NULL: the system's */
    const char *secret; /* of dialback; NULL: made at start */
    int64_t resume_ms, login_ms, connect_ms, dns_ms, idle_ms, backoff_ms, backoff_max_ms;
    int64_t queue, queue_bytes, streams, connecting, rate;
};

/* Reads group `s2s`; it stays in ARENA. */
void s2s_read(struct arena *arena, struct conf_node *root, struct s2s_config *out, struct conf_errors *e);
void s2s_manual(struct buf *out);

/* Main thread: at start before the workers, and at a reload.  False, and WHY says: the old one stays. */
bool s2s_setup(const struct s2s_config *config, char *why, size_t why_size);
void s2s_teardown(void);

/* Accepts for listeners of kind s2s. */
void s2s_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                socklen_t peer_len);

void s2s_worker_start(struct worker *w);
void s2s_worker_stop(struct worker *w);
void s2s_after_flush(struct worker *w); /* lets go of what went out */
void s2s_shutdown(struct worker *w);    /* ends all streams; what waits comes back as errors */
void s2s_follow_hosts(struct worker *w);
unsigned s2s_count(const struct worker *w);

/* Takes S on its way to a server elsewhere; TO is whom it is for.  False: there is no federation. */
bool s2s_send(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);

/* ---- for commands ------------------------------------------------------------------------------------------------ */

struct s2s_row {
    struct s2s_row *next;
    const char *local, *remote, *direction, *state, *address, *tls, *auth;
    int64_t queued, since_s;
};
/* The streams and queues of this worker, in ARENA. */
struct s2s_row *s2s_rows(struct worker *w, struct arena *arena);
/* Ends this worker's streams with REMOTE, all if NULL, and what is being sought; returns how many.  Streams that are
 * authenticated end when all is acknowledged, or at the second call. */
unsigned s2s_end(struct worker *w, const char *remote);

#endif
