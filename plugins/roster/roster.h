/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share: its instance, the account's contacts, roster pushes. */
#ifndef ROSTER_ROSTER_H
#define ROSTER_ROSTER_H

#include "contacts.h"
#include <meerkat/move.h>

#define NS_ROSTER "jabber:iq:roster"

struct roster {
    int64_t max_items, max_name, max_groups, max_pending, max_removed;
    const struct mk_coll *contacts;
    struct mk_svcs shared; /* who gives contacts: mk_shared_roster */
};

/* Bits of the byte that each session has. */
enum {
    SESSION_INTERESTED = 1, /* it asked for the roster: it gets pushes (RFC 6121, 2.2) */
    SESSION_ASKED = 2       /* it became available: it got the requests that wait */
};

/* The contacts of mk_self(), loaded if they are not. */
MK_SUSPENDS int roster_open(struct mk_ctx *c, struct contacts **out);
void roster_forget(struct mk_ctx *c);

uint8_t *roster_session(struct mk_ctx *c, struct mk_session *s);

/* Tells the interested sessions what the roster shows now of the contact JID: that it changed, or is not there any more. */
void roster_push(struct mk_ctx *c, const struct contacts *r, const struct mk_jid *jid);

/*
 * Removes a listed contact: from the store, from the clients' rosters, and what subscriptions there were.  CONTACT must
 * not be a pointer into R.  ANSWER, if not NULL, is sent between the pushes and what goes to the contact.
 */
struct roster_answer {
    struct mk_session *session;
    const struct mk_stanza *iq;
};
MK_SUSPENDS int roster_remove(struct mk_ctx *c, struct contacts *r, const struct mk_jid *contact,
                              const struct roster_answer *answer);
void roster_reply(struct mk_ctx *c, const struct roster_answer *answer, struct mk_out *o);

/* Sends unsubscribe and unsubscribed to CONTACT, whose state is STATE, as far as there is something to end. */
void roster_cancel(struct mk_ctx *c, const struct mk_jid *contact, uint32_t state);
/* A presence stanza of TYPE from the account to CONTACT. */
void roster_tell(struct mk_ctx *c, enum mk_type type, const struct mk_jid *contact);
/* Runs contact_changed if the state did, with what the account is given. */
MK_SUSPENDS void roster_changed(struct mk_ctx *c, const struct mk_jid *contact, uint32_t before, uint32_t after);

/* What the account is given has changed, perhaps. */
MK_SUSPENDS enum mk_flow roster_on_told(struct mk_ctx *c, struct mk_ev_told *ev);

/* subscribe.c: user_send_subscription, user_receive_subscription, and user_send_presence once a session is available */
MK_SUSPENDS enum mk_flow roster_on_send(struct mk_ctx *c, struct mk_ev_stanza *ev);
MK_SUSPENDS enum mk_flow roster_on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev);
MK_SUSPENDS int roster_befriend(struct mk_ctx *c, const struct mk_jid *contact);
MK_SUSPENDS enum mk_flow roster_on_available(struct mk_ctx *c, struct mk_ev_stanza *ev);

/* What waits for an answer, as it is stored; NULL if it can't be written. */
const char *roster_request_text(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *contact);

void roster_put_item(struct mk_out *o, const struct mk_roster_item *item);
/* Reads name and groups into K.  NULL if they are good, else the condition of RFC 6121, 2.3.3 that refuses them. */
const char *roster_read_item(struct mk_ctx *c, const struct mk_elem *item, struct contact *k);

/* move.c */
extern const struct mk_move_ops roster_move;

/* commands.c */
extern const struct mk_cmd_decl roster_commands[3];

#endif
