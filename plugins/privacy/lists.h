/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of one account in memory, and their rows.  Read before the account first sends or receives, kept in its slot,
 * written through.
 */
#ifndef PRIVACY_LISTS_H
#define PRIVACY_LISTS_H

#include "rules.h"
#include <meerkat/move.h>

struct lists {
    struct rule_list **items; /* NULL while there are none */
    uint32_t count;
    struct rule_list *standard; /* the default list, or NULL */
    bool loaded;
};

struct privacy {
    int64_t max_lists, max_items;
    const struct mk_roster *roster;
    const struct mk_coll *lists;
};

struct session {
    const struct rule_list *active; /* of the account's lists, or NULL */
    bool asked;                     /* it used lists: it is told when another protocol changes them */
};

enum { MAX_LIST_NAME = 256 };
enum { SLOT_SESSION, SLOT_ACCOUNT };
enum { M_BLOCKED_IN, M_BLOCKED_OUT };

extern const struct mk_col_decl list_cols[4];

static inline struct lists *lists_of(struct mk_ctx *c) {
    return mk_self_slot(c, SLOT_ACCOUNT);
}
static inline struct session *session_of(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

/* The list that holds for SESSION, or for the account with SESSION NULL; NULL if none does. */
static inline const struct rule_list *list_for(struct mk_ctx *c, const struct lists *l, struct mk_session *session) {
    const struct rule_list *active = session ? session_of(c, session)->active : NULL;
    return active ? active : l->standard;
}

/* Reads the lists of mk_self() unless they are there. */
MK_SUSPENDS int lists_load(struct mk_ctx *c);
void lists_forget(struct lists *l);
struct rule_list *lists_find(const struct lists *l, const char *name);

/*
 * Stores NEW in place of the list with its name, or beside the others, and makes it the default if STANDARD.  Sessions
 * that had the old one active have the new one.  NEW is kept, or freed if the store fails.  The old one in *OLD is the
 * caller's to free.
 */
MK_SUSPENDS int lists_put(struct mk_ctx *c, struct rule_list *new, bool standard, struct rule_list **old);
/* Deletes L, which stays the caller's to free.  No session has it active any more. */
MK_SUSPENDS int lists_remove(struct mk_ctx *c, struct rule_list *l);
/* L becomes the default list; NULL: there is none any more. */
MK_SUSPENDS int lists_set_standard(struct mk_ctx *c, struct rule_list *l);

/* The first rule of L about KIND and JID; NULL if there is none, or no L.  Does not suspend. */
const struct rule *rule_for(struct mk_ctx *c, const struct rule_list *l, const struct mk_jid *jid, uint32_t kind);
static inline bool list_denies(struct mk_ctx *c, const struct rule_list *l, const struct mk_jid *jid, uint32_t kind) {
    const struct rule *r = l ? rule_for(c, l, jid, kind) : NULL;
    return r && r->deny;
}
/* The account itself and its host are never denied anything. */
bool is_exempt(struct mk_ctx *c, const struct mk_jid *jid);

/* privacy.c: XML of rules.  With CHECK a group that no contact is in is refused. */
void list_put_rule(struct mk_out *o, const struct rule *r);
MK_SUSPENDS int list_read_rules(struct mk_ctx *c, const struct mk_elem *list, bool check, const struct rule **out,
                                uint32_t *count);

/* move.c */
extern const struct mk_move_ops privacy_move;

/* filter.c */
enum mk_flow on_receive_message(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_receive_presence(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_receive_iq(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_receive_subscription(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_notify(struct mk_ctx *c, struct mk_ev_stanza *ev);

/* change.c: what has to be said when lists change.  Take a note before, tell after. */
struct note {
    struct mk_session *session;
    const struct rule_list *list;
};
const struct note *note_lists(struct mk_ctx *c, uint32_t *count);
MK_SUSPENDS void tell_changes(struct mk_ctx *c, const struct note *notes, uint32_t count);
/* Tells sessions that list NAME changed: all, or those that use lists. */
void push_list(struct mk_ctx *c, const char *name, bool all);
/* change.c: for mk_privacy */
extern const struct mk_privacy_ops privacy_ops;

/* commands.c */
extern const struct mk_cmd_decl privacy_commands[2];

#endif
