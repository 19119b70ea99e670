/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef STREAM_MGMT_STREAM_MGMT_H
#define STREAM_MGMT_STREAM_MGMT_H

#include "queue.h"
#include <meerkat/plugin.h>

#define NS_SM "urn:xmpp:sm:3"

struct stream_mgmt {
    int64_t resume_timeout, max_queue, max_bytes, ack_every, ack_timeout, spool_after, remember;
    const struct mk_coll *spool, *sessions;
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
    char *state;        /* what plugins keep of it, as XML, while the server stops; else NULL */
};

/* Columns of the collections. */
enum { COL_OWNER, COL_ID, COL_HOST, COL_STANZA, COL_SENT, COL_ADDRESS, COL_KIND, UNACKED_COLS };
enum {
    KEPT_OWNER,
    KEPT_ID,
    KEPT_KEY,
    KEPT_HANDLED,
    KEPT_ACKED,
    KEPT_RESOURCE,
    KEPT_RESUME_MS,
    KEPT_STATE,
    KEPT_EXPIRES,
    KEPT_COLS
};

enum { SLOT_SESSION };
enum { TIMER_ACK, TIMER_SPOOL, TIMER_RESUME, TIMER_RECOVER };
enum { M_DETACHED, M_RESUMED, M_EXPIRED, M_SPOOLED, M_RETURNED };

/* Every session has a pointer, NULL while stream management is off. */
static inline struct managed **managed_of(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

/* stream_mgmt.c */

void free_managed(struct managed *m);

/*
 * An element of ours is a nonza, or a child of ANSWER if it answers an inline request.  element_end() sends a nonza to
 * ST.
 */
struct mk_out *element_begin(struct mk_ctx *c, struct mk_out *answer, const char *name);
void element_end(struct mk_ctx *c, struct mk_stream *st, struct mk_out *answer, struct mk_out *o);
/* HANDLED, if not NULL, is the count of the session that is gone. */
void say_failed(struct mk_ctx *c, struct mk_stream *st, struct mk_out *answer, const char *cond,
                const uint32_t *handled);
/* Takes what H acknowledges out of the queue.  False: ST was ended, for the client claims more than it was sent. */
bool acknowledge(struct mk_ctx *c, struct mk_stream *st, struct mk_session *session, struct managed *m, uint32_t h);
/* After a resumption: sends as much as the window has room for.  An ack brings the rest. */
void catch_up(struct mk_ctx *c, struct mk_session *session, struct managed *m);
/* Whether more waits than may. */
bool is_over(struct mk_ctx *c, const struct managed *m);

/* resume.c: from <enable/> to the end of a session */
void on_enable(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza);
void on_inline_enable(struct mk_ctx *c, const struct mk_inline *in);
MK_SUSPENDS void on_resume(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza);
MK_SUSPENDS void on_inline_resume(struct mk_ctx *c, const struct mk_inline *in);
void on_resume_time(struct mk_ctx *c, struct mk_session *session);
enum mk_flow on_session_lost(struct mk_ctx *c, struct mk_ev_session *ev);
MK_SUSPENDS enum mk_flow on_session_closing(struct mk_ctx *c, struct mk_ev_session *ev);
enum mk_flow on_session_closed(struct mk_ctx *c, struct mk_ev_session *ev);

/* kept.c: sessions that ended, in the store */

/* What is stored of one: all of it if the server stopped, else only what a <failed/> says. */
struct kept {
    bool whole;
    uint32_t handled, acked, resume_ms;
    const char *key, *resource;    /* KEY is the beginning of the ids of its rows in sm_unacked */
    const struct mk_stanza *state; /* its root has the children that plugins wrote */
};
/* Begins of row ids: this process and SESSION. */
const char *kept_key(struct mk_ctx *c, const struct mk_session *session);
/* The session ends: keeps its count, or if M->state is there all of it. */
void kept_put(struct mk_ctx *c, struct mk_session *session, struct managed *m);
MK_SUSPENDS int kept_get(struct mk_ctx *c, const char *id, struct kept *out);
/* When the session whose row ids begin with KEY is given up, us; 0: it is not kept. */
MK_SUSPENDS int64_t kept_until(struct mk_ctx *c, const struct mk_jid *owner, const char *key);
MK_SUSPENDS void kept_on_account_removed(struct mk_ctx *c, const struct mk_jid *account);

/* unacked.c: what becomes of stanzas that the client does not acknowledge */

/* Whether a message of S would be returned if it is not acknowledged: chats, and what is like them. */
bool unacked_matters(const struct mk_stanza *s);

/* Whether another session gets message S, which is being delivered to SESSION, too: it has it if SESSION does not. */
bool unacked_is_shared(struct mk_ctx *c, const struct mk_session *session, const struct mk_stanza *s);

/* Lets go of the first of the queue: it was acknowledged. */
void unacked_settle(struct mk_ctx *c, struct mk_session *session, struct managed *m);

/* Stores the messages that somebody waits for and that are MS milliseconds old.  True if younger ones are left. */
bool unacked_spool(struct mk_ctx *c, struct mk_session *session, struct managed *m, int64_t ms);

/* Stores all of the queue, for the session is to be there again.  False: there was no room. */
bool unacked_keep(struct mk_ctx *c, struct mk_session *session, struct managed *m);

/* Fills the empty queue of M with what unacked_keep() stored under KEY; the rows are SESSION's from then on, and the row
 * of the session itself, ID, goes.  0 or an error, after which nothing has changed. */
MK_SUSPENDS int unacked_take(struct mk_ctx *c, struct mk_session *session, struct managed *m, const char *key,
                             const char *id);

/* The session ends: sends on what its client did not acknowledge, or says that it was not delivered. */
void unacked_return(struct mk_ctx *c, struct mk_session *session, struct managed *m, uint32_t reason);

/* Sends on what a process that is gone had stored.  Host's turn. */
MK_SUSPENDS void unacked_recover(struct mk_ctx *c);
MK_SUSPENDS void unacked_on_recover(struct mk_ctx *c, struct mk_session *session);
MK_SUSPENDS enum mk_flow unacked_on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev);

extern const struct mk_coll_decl sm_collections[2];
extern const struct mk_col_decl kept_cols[KEPT_COLS], unacked_cols[UNACKED_COLS];

#endif
