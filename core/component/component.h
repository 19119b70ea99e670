/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External components (XEP-0114): programs that connect and serve a domain of their own.
 *
 * A domain has a home worker, where its streams are and choose who gets a stanza; streams move there once they said for
 * which domain they are.  Other workers send posts.
 */
#ifndef COMPONENT_COMPONENT_H
#define COMPONENT_COMPONENT_H

#include "conf/conf.h"
#include "net/listener.h"
#include "run/turn.h"
#include <meerkat/stanza.h>

enum component_balance { BALANCE_ROUND, BALANCE_SENDER };
enum component_conflict { CONFLICT_REFUSE, CONFLICT_REPLACE };

/* What the operator says of one. */
struct component_config {
    const char *domain, *secret;
    const char *host; /* in whose name it speaks; NULL: the first */
    int64_t streams;  /* at once */
    int64_t balance;  /* enum component_balance */
    int64_t conflict; /* of one more: enum component_conflict */
    bool hidden;      /* disco does not list it */
    bool subdomains;  /* it serves all below too */
    bool tls;         /* only over TLS */
};

/* Reads list `components`; it stays in ARENA. */
void component_read(struct arena *arena, struct conf_node *root, const struct component_config **out, unsigned *count,
                    struct conf_errors *e);
void component_manual(struct buf *out);

/* Main thread: at start before the workers, and at a reload; then components_follow() in each worker. */
void components_setup(const struct component_config *configs, unsigned count);
void components_follow(struct worker *w); /* ends the streams of those that are gone, or have another secret */
void components_teardown(void);

/* Accepts for listeners of kind component. */
void component_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                      socklen_t peer_len);

void components_worker_start(struct worker *w);
void components_after_flush(struct worker *w); /* pays for what went out */
void components_shutdown(struct worker *w);    /* ends all streams */
unsigned components_count(const struct worker *w);

/* The host in whose name a component serves DOMAIN; NULL if none is to. */
struct host;
const struct host *component_host(const char *domain, size_t len);
/* Takes S for the component that TO belongs to.  False: there is none. */
bool component_send(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);

/* ---- for commands ------------------------------------------------------------------------------------------------ */

struct component_row {
    struct component_row *next;
    const char *domain, *address, *tls;
    int64_t since_s, queued; /* bytes that it has not read yet */
};
struct component_row *component_rows(struct worker *w, struct arena *arena);
unsigned components_end(struct worker *w, const char *domain);

#endif
