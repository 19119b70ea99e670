/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef SMART_MARKERS_SMART_MARKERS_H
#define SMART_MARKERS_SMART_MARKERS_H

#include <meerkat/plugin.h>

#define NS_MARKERS "urn:xmpp:chat-markers:0"

struct smart_markers {
    bool keep_private, show_rooms, keep_for_offline;
    int64_t ttl, max_waiting;
    const struct mk_coll *markers, *waiting;
};

enum { SLOT_SESSION };
enum { M_STORED, M_WAITED };

/* A marker in a message. */
struct marker {
    const char *kind, *id, *thread; /* thread: "" if none */
};
/* False if S has none, or one that is too long to be kept. */
bool marker_of(struct mk_ctx *c, const struct mk_stanza *s, struct marker *out);

/* When a row that is written now is to go. */
struct mk_value marker_expiry(struct mk_ctx *c);

/* waiting.c: the newest markers for accounts that are away */
enum { WAIT_OWNER, WAIT_FROM, WAIT_THREAD, WAIT_KIND, WAIT_MESSAGE, WAIT_EXPIRES, WAIT_COUNT };
extern const struct mk_col_decl waiting_cols[WAIT_COUNT];
MK_SUSPENDS enum mk_flow waiting_on_offline(struct mk_ctx *c, struct mk_ev_stanza *ev);
MK_SUSPENDS enum mk_flow waiting_on_available(struct mk_ctx *c, struct mk_ev_stanza *ev);
MK_SUSPENDS void waiting_forget(struct mk_ctx *c, const struct mk_jid *account);

#endif
