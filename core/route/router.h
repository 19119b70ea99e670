/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a stanza from its sender to an account, a host, or elsewhere. */
#ifndef ROUTE_ROUTER_H
#define ROUTE_ROUTER_H

#include "route/session.h"

/* A stanza that came from a session, its `from` stamped: the account's turn, after the session counted it. */
MK_SUSPENDS void route_from_session(struct mk_ctx *c, struct account *a, struct mk_session *s,
                                    struct mk_stanza *stanza);
bool route_from_session_suspends(const struct account *a, const struct mk_stanza *stanza);

/* To whoever TO is; and to whom a sealed stanza names. */
void route(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);
void send_sealed(struct mk_ctx *c, const struct mk_stanza *s);
/* A stanza of another server, whose addresses were checked; `to` is served here. */
void route_from_server(struct mk_ctx *c, const struct mk_stanza *s);
bool route_good_iq(const struct mk_stanza *s);
/* Frees the thread's spare mails, at its end. */
void router_trim(void);

/* An iq for which ENTRY is responsible, or service-unavailable if NULL.  E is the entity it is for, NULL for hosts. */
/* Whether a plugin answers the request S to the host in place of the one that has a row for it. */
bool is_request_taken(struct mk_ctx *c, const struct mk_stanza *s);
void iq_handle(struct mk_ctx *c, const struct iq_entry *entry, const struct mk_stanza *iq);
const struct iq_entry *iq_find(const struct host_type *t, const struct mk_stanza *iq, uint32_t to);
/* A plugin dealt with what is for nobody. */
bool is_undeliverable(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);
/* The stanza error for an mk_rc. */
void refuse_rc(struct mk_ctx *c, const struct mk_stanza *s, int rc);

/* Runs FN in the turn of the account TO (any worker), or of the host if TO has no local part.  FREE_ARG (may be NULL)
 * runs after it, on that worker. */
void entity_run(const struct mk_jid *to, bool suspends, void (*fn)(struct mk_ctx *c, void *arg),
                void (*free_arg)(void *arg), void *arg);

/* What an account does with a stanza sent to it; in its turn. */
MK_SUSPENDS void account_receive(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                 const struct mk_jid *to);
bool account_receive_suspends(const struct account *a, const struct mk_stanza *s, const struct mk_jid *to);
void host_receive(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);

/* All entities of a worker: after it took over a snapshot; whether any is at work or has sessions; at its end. */
void entities_follow_hosts(struct worker *w);
bool entities_busy(const struct worker *w);
void entities_shutdown(struct worker *w); /* ends the sessions that wait to be resumed */
void entities_free(struct worker *w);

/* Runs the host_started hooks that are due with snapshot S: all of hosts that are new in it, and of the others those of
 * plugins that are.  From the main thread. */
void hosts_started(const struct snapshot *s);
/* The same for host_reloaded, of all hosts. */
void hosts_reloaded(const struct snapshot *s);

/* The host's entity on its home worker, which is this one. */
struct mk_entity *host_entity(const struct host *host);

#endif
