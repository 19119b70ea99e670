/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_roster.h - interface `mk_shared_roster` 1.0: contacts that accounts have without having asked for them, because
 * they belong to the same groups.  Any number of plugins provide it; plugin roster joins what they give with the
 * account's own contacts.
 */
#ifndef MEERKAT_SHARED_ROSTER_H
#define MEERKAT_SHARED_ROSTER_H

#include <meerkat/roster.h>

MK_BEGIN_DECLS

/* What to call mk_tell_accounts() with once what items() gives has changed for any account. */
#define MK_SHARED_ROSTER_CHANGED "roster.shared"

struct mk_shared_roster_ops {
    uint32_t size, zero;
    /*
     * The contacts of mk_self(), in any order, each JID once, lent for the turn.  Of STATE: MK_SUB_TO for those it sees,
     * which are in its roster; MK_SUB_FROM for those that see it.  May suspend.
     */
    int (*items)(struct mk_ctx *c, const struct mk_roster_item **items, uint32_t *count);
};
struct mk_shared_roster {
    struct mk_svc svc;
};

MK_CALL2(mk_shared_roster, items, int, MK_E_UNSUPPORTED, const struct mk_roster_item **, items, uint32_t *, count)

MK_END_DECLS

#endif
