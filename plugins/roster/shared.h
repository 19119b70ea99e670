/* SPDX-License-Identifier: Apache-2.0 */
/* Contacts that an account is given, and the view of these and its own together. */
#ifndef ROSTER_SHARED_H
#define ROSTER_SHARED_H

#include <meerkat/shared_roster.h>

struct contacts;

/* What providers gave, in one piece; and the view, made anew when it is asked for after a change. */
struct shared {
    struct mk_roster_item *items; /* sorted by JID; JIDs are OWNED, what else they point to is in TEXTS */
    uint32_t count;
    void *texts;
    uint64_t hash;                      /* of all of it: part of the roster's version */
    const struct mk_roster_item **view; /* sorted by JID, own contacts and given ones */
    uint32_t view_count;
    struct mk_roster_item *joined; /* those of the view that are both */
    void *joined_groups;
    bool stale;
};

/* From all providers; NULL if they give nothing.  One that fails is left out, and logged.  OWNED. */
MK_SUSPENDS struct shared *shared_read(struct mk_ctx *c, const struct mk_svcs *providers);
void shared_free(struct shared *s);

/* S may be NULL in all that follow. */
const struct mk_roster_item *shared_find(const struct shared *s, const struct mk_jid *jid);
static inline bool shared_is_listed(const struct mk_roster_item *item) {
    return item && item->state & MK_SUB_TO;
}

/* All contacts of R, and one of them, NULL if there is none. */
void view_all(const struct contacts *r, const struct mk_roster_item *const **items, uint32_t *count);
const struct mk_roster_item *view_find(const struct contacts *r, const struct mk_jid *jid);

/* Whether the roster shows ITEM, one of the view. */
bool view_is_listed(const struct contacts *r, const struct mk_roster_item *item);

bool items_equal(const struct mk_roster_item *a, const struct mk_roster_item *b);

#endif
