/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef OFFLINE_OFFLINE_H
#define OFFLINE_OFFLINE_H

#include <meerkat/move.h>
#include <meerkat/plugin.h>

#define NS_DELAY "urn:xmpp:delay"

struct offline {
    int64_t max_messages, ttl;
    const struct mk_coll *messages;
};

/* COUNT is of the stored messages that were not delivered yet, once COUNTED. */
struct account {
    int64_t count, counted_ms;
    int64_t last_id, delivered_id; /* the newest stored since the account is in memory; the newest delivered */
    uint64_t taker;                /* number of the session that messages are being delivered to, 0: none */
    bool counted;
};

struct session {
    const struct mk_stanza *last; /* OWNED; of what was delivered.  More follows when its receipt is paid */
    int64_t fetched_id;           /* newest message that its client fetches from the archive, if it is there */
    bool takes;                   /* it was available, with a priority not negative, when it last spoke of it */
};

enum { SLOT_SESSION, SLOT_ACCOUNT };
enum { COL_OWNER, COL_ID, COL_STANZA, COL_EXPIRES, COL_COUNT };

static inline struct account *offline_self(struct mk_ctx *c) {
    return mk_self_slot(c, SLOT_ACCOUNT);
}

/* When a message that came NOW is dropped.  What lies beyond the end of time is never. */
static inline struct mk_value offline_expiry(const struct offline *me, int64_t now) {
    return me->ttl < (INT64_MAX - now) / 1000 ? mk_v_time(now + me->ttl * 1000) : mk_v_null();
}

/* The message of a row, which says when it came; MK_E_INVALID if it is no stanza. */
int offline_restore(struct mk_ctx *c, const struct mk_row *row, const struct mk_stanza **out);

/* Deletes all that waits for mk_self(). */
MK_SUSPENDS int offline_drop(struct mk_ctx *c);

/* move.c */
extern const struct mk_move_ops offline_move;

#endif
