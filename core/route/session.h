/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts and their sessions on their home worker.  An account is in memory while it has sessions, mail or timers.
 */
#ifndef ROUTE_SESSION_H
#define ROUTE_SESSION_H

#include "route/host.h"
#include "run/turn.h"
#include "stream/stream.h"
#include "xml/stanza.h"

enum { MAX_SESSIONS = 64 }; /* of one account; option limits.sessions is at most this */

struct account {
    struct mk_entity entity; /* its jid is bare and owned by the account */
    struct list sessions;    /* in the order they were bound */
    uint16_t session_count;
    uint16_t stream_count;              /* at home here, bound or not */
    uint8_t exists;                     /* enum account_exists: what the providers said */
    bool removed;                       /* no new session until it is created again */
    const struct host_type *loaded_for; /* account_loaded ran with its plugins */
    /* slots follow */
};
enum account_exists { EXISTS_UNKNOWN, EXISTS_YES, EXISTS_NO };

struct mk_session {
    struct list link; /* in account->sessions */
    struct account *account;
    struct mk_stream *stream; /* NULL: detached */
    struct mk_jid *jid;       /* full */
    struct agent *agent;      /* what its client said of itself, NULL if nothing; OWNED */
    const char *mechanism;    /* of SASL, by which its last stream came; static */
    char *address;            /* of the last stream, once that ends; NULL while it is STREAM's */
    uint64_t number;
    int64_t since;      /* when it was bound, us */
    struct list owed;   /* receipts, from the first that is not paid; see receipt.h */
    struct list *again; /* the first of OWED whose stanza a resumed client has not sent again; NULL: none */
    uint32_t received;  /* stanzas, since counting began */
    int8_t priority;
    uint8_t reason; /* mk_close_reason, once ending */
    bool available, counting, asked, ended, closing, reads_archive;
    /* slots follow */
};

extern _Atomic uint32_t session_limit; /* option limits.sessions */

/* ---- accounts --------------------------------------------------------------------------------------------------- */

/* The account of this worker with this bare JID's hash and text, made if it is not in memory. */
struct account *account_get(const struct host *host, const struct mk_jid *jid);
struct account *account_find(const struct mk_jid *jid); /* NULL if not in memory */
void *account_slots(struct account *a);
bool entity_is_account(const struct mk_entity *e);
static inline struct account *account_of(struct mk_entity *e) {
    return (struct account *)e;
}
/* Whether a provider knows it; remembers the answer while the account is in memory.  0 or an mk_rc. */
MK_SUSPENDS int account_check(struct mk_ctx *c, struct account *a);

/* Runs account_loaded if it has to.  Before the chains that are about the account. */
MK_SUSPENDS void account_load(struct mk_ctx *c, struct account *a);
static inline bool account_load_suspends(const struct account *a) {
    const struct host_type *t = a->entity.host->type;
    return a->loaded_for != t && t->chains[MK_HOOK_account_loaded].suspends;
}

/* Frees it with its sessions, running no hook: when the worker ends. */
void account_free(struct account *a);

/* Calls FN for every account of this worker. */
void accounts_each(void (*fn)(struct account *a, void *arg), void *arg);

/* ---- sessions --------------------------------------------------------------------------------------------------- */

/* Binds RESOURCE (prepared; len 0: one is made) for a stream, in the account's turn.  One that has the resource is
 * closed with <conflict/>.  NULL: too many sessions. */
MK_SUSPENDS struct mk_session *session_bind(struct mk_ctx *c, struct account *a, struct mk_stream *st,
                                            struct mk_view resource);
void *session_slots(struct mk_session *s);
/* Frees its memory and nothing else. */
void session_free(struct mk_session *s);
/* The session is over: takes it out, runs session_closed, frees it.  In the account's turn. */
void session_end(struct mk_ctx *c, struct mk_session *s, enum mk_close_reason reason);
/* The stream of a session is gone: runs session_lost, detaches or ends the session. */
void session_lost(struct mk_ctx *c, struct mk_session *s);
struct mk_session *session_find(const struct account *a, const char *resource, size_t len);
struct mk_session *session_by_number(const struct account *a, uint64_t number);

/* Its stream is about to lose its connection: remembers the client's address. */
void session_keep_address(struct mk_session *s);
/* Mails the account that what its session asked about was settled. */
void session_settled(struct mk_session *s);

/* Through the session_send hooks to the wire. */
void session_deliver(struct mk_ctx *c, struct mk_session *s, const struct mk_stanza *stanza, const struct mk_jid *to);

#endif
