/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef STREAM_MGMT_STREAM_MGMT_H
#define STREAM_MGMT_STREAM_MGMT_H

#include "queue.h"
#include <meerkat/plugin.h>

#define NS_SM "urn:xmpp:sm:3"

struct stream_mgmt {
    int64_t resume_timeout, max_queue, max_bytes, ack_every, ack_timeout, spool_after;
    const struct mk_coll *spool;
    char process[17]; /* names this process in the keys of its rows */
};

/* A session that enabled stream management. */
struct managed {
    struct queue queue;
    uint32_t sent;      /* of the queue: written to some stream, so that the client may know them */
    uint32_t written;   /* of the queue: written to the stream that there is; the rest is to follow */
    uint64_t in_flight; /* bytes of those */
    uint32_t unasked;   /* stanzas sent since an ack was last asked for */
    bool asked;         /* it was, and has not come yet */
    bool resumable, detached;
    uint32_t resume_ms; /* how long it waits for its client */
    char id[48];        /* names it for <resume/> */
};

enum { SLOT_SESSION };
enum { TIMER_ACK, TIMER_SPOOL, TIMER_RESUME, TIMER_RECOVER };
enum { M_DETACHED, M_RESUMED, M_EXPIRED, M_SPOOLED, M_RETURNED };

/* Every session has a pointer, NULL while stream management is off. */
static inline struct managed **managed_of(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

/* unacked.c: what becomes of stanzas that the client does not acknowledge */

/* Whether a message of S would be returned if it is not acknowledged: chats, and what is like them. */
bool unacked_matters(const struct mk_stanza *s);

/* Whether another session gets message S, which is being delivered to SESSION, too: it has it if SESSION does not. */
bool unacked_is_shared(struct mk_ctx *c, const struct mk_session *session, const struct mk_stanza *s);

/* Lets go of the first of the queue: it was acknowledged. */
void unacked_settle(struct mk_ctx *c, struct mk_session *session, struct managed *m);

/* Stores the messages that somebody waits for and that are MS milliseconds old.  True if younger ones are left. */
bool unacked_spool(struct mk_ctx *c, struct mk_session *session, struct managed *m, int64_t ms);

/* The session ends: sends on what its client did not acknowledge, or says that it was not delivered. */
void unacked_return(struct mk_ctx *c, struct mk_session *session, struct managed *m, uint32_t reason);

/* Sends on what a process that is gone had stored.  Host's turn. */
MK_SUSPENDS void unacked_recover(struct mk_ctx *c);
MK_SUSPENDS void unacked_on_recover(struct mk_ctx *c, struct mk_session *session);
MK_SUSPENDS enum mk_flow unacked_on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev);

extern const struct mk_coll_decl unacked_collections[1];

#endif
