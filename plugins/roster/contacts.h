/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contacts of one account in memory, and their rows in the store.  Read with one scan when they are first needed,
 * kept in the account's slot, written through: what is here is what is stored.
 */
#ifndef ROSTER_CONTACTS_H
#define ROSTER_CONTACTS_H

#include "shared.h"
#include <meerkat/plugin.h>
#include <meerkat/roster.h>

/* One contact.  To change one, change a copy of the struct and contacts_put() it; pointers in the copy may be borrowed. */
struct contact {
    struct mk_roster_item item; /* first: this is what mk_roster lends */
    int64_t version;            /* of the last change; 0 if not listed */
    bool listed;                /* the user put it in the roster; else it is known by its request only */
    const char *request;        /* the stanza that asks for the subscription, while PENDING_IN; or NULL */
};

/* A contact that was removed.  Kept for clients whose copy of the roster is older. */
struct gone {
    struct mk_jid *jid;
    int64_t version;
};

struct contacts {
    const struct mk_roster_item **items; /* of struct contact, sorted by JID */
    uint32_t count, cap;
    struct gone *gone; /* oldest first */
    uint32_t gone_count, gone_cap;
    uint32_t listed;        /* how many of the contacts are */
    int64_t version, floor; /* the current one; the oldest from which the changes since are known */
    struct shared *shared;  /* what the account is given beside its own; NULL if nothing.  OWNED */
};

extern const struct mk_col_decl contact_cols[8];

static inline const struct contact *contact_at(const struct contacts *r, uint32_t i) {
    return (const struct contact *)r->items[i];
}

/* Reads the contacts of mk_self(). */
MK_SUSPENDS int contacts_load(struct mk_ctx *c, const struct mk_coll *coll, struct contacts **out);
void contacts_free(struct contacts *r);

/* NULL if there is none with this bare JID. */
const struct contact *contacts_find(const struct contacts *r, const struct mk_jid *jid);

/*
 * Stores NEW in place of the contact with its JID, or beside the others.  A listed one gets the next version.  One that
 * is neither listed nor in any state is deleted.  NULL in *KEPT then, else the contact as it is now.
 */
MK_SUSPENDS int contacts_put(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r,
                             const struct contact *new, const struct contact **kept);

/* The same for COUNT contacts that are listed, in one write. */
MK_SUSPENDS int contacts_put_all(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r,
                                 const struct contact *new, uint32_t count);

/* Removes a listed contact and remembers that; of what is remembered only the last MAX_GONE stay. */
MK_SUSPENDS int contacts_remove(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r,
                                const struct mk_jid *jid, uint32_t max_gone);

#endif
