/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster.h - interface `mk_roster` 1.0: the contacts of the account whose turn it is.  What it gives is lent until the
 * turn ends and kept up to date by the provider.
 *
 * Once a call has succeeded, none suspends any more for that account as long as it stays in memory: INLINE handlers may
 * ask what a SERIAL one, of account_loaded say, has asked before.
 */
#ifndef MEERKAT_ROSTER_H
#define MEERKAT_ROSTER_H

#include <meerkat/service.h>

MK_BEGIN_DECLS

/* State of a contact, as bits (RFC 6121, appendix A). */
enum {
    MK_SUB_TO = 1,          /* the account sees the contact's presence */
    MK_SUB_FROM = 2,        /* the contact sees the account's */
    MK_SUB_PENDING_OUT = 4, /* the account asked and waits */
    MK_SUB_PENDING_IN = 8,  /* the contact asked and waits */
    MK_SUB_APPROVED = 16    /* pre-approved */
};
struct mk_roster_item {
    const struct mk_jid *jid; /* bare */
    const char *name;         /* NULL if none */
    const char *const *groups;
    uint32_t group_count;
    uint32_t state;
};

struct mk_roster_ops {
    uint32_t size, zero;
    /* All contacts, also those known only by PENDING_IN (which the roster itself does not show).  May suspend. */
    int (*items)(struct mk_ctx *c, const struct mk_roster_item *const **items, uint32_t *count);
    /* One contact by bare JID; MK_E_NOTFOUND.  May suspend. */
    int (*find)(struct mk_ctx *c, const struct mk_jid *contact, const struct mk_roster_item **item);
    /* As if the user had approved the subscription of CONTACT, asked for or not, and asked for one in return.  Suspends. */
    int (*befriend)(struct mk_ctx *c, const struct mk_jid *contact);
};
struct mk_roster {
    struct mk_svc svc;
};

MK_CALL2(mk_roster, items, int, MK_E_UNSUPPORTED, const struct mk_roster_item *const **, items, uint32_t *, count)
MK_CALL2(mk_roster, find, int, MK_E_UNSUPPORTED, const struct mk_jid *, contact, const struct mk_roster_item **, item)
MK_CALL1(mk_roster, befriend, int, MK_E_UNSUPPORTED, const struct mk_jid *, contact)

MK_END_DECLS

#endif
