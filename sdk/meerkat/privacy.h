/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privacy.h - interface `mk_privacy` 1.0: whom the account whose turn it is does not want to hear from or write to
 * (XEP-0016).  What travels as a stanza is filtered by the provider; this is for those who show or change the lists, and
 * for those who send in an account's name what passes no hook.
 */
#ifndef MEERKAT_PRIVACY_H
#define MEERKAT_PRIVACY_H

#include <meerkat/service.h>

MK_BEGIN_DECLS

/* What a rule is about, as bits. */
enum {
    MK_PRIVACY_MESSAGE_IN = 1,
    MK_PRIVACY_IQ_IN = 2,
    MK_PRIVACY_PRESENCE_IN = 4,  /* available and unavailable; not what is about subscriptions */
    MK_PRIVACY_PRESENCE_OUT = 8, /* the same */
    MK_PRIVACY_OTHER = 16,       /* everything else, in and out */
    MK_PRIVACY_ALL = 31
};

struct mk_privacy_ops {
    uint32_t size, zero;
    /* The JIDs that the default list denies everything, in its order: the block list of XEP-0191.  May suspend. */
    int (*blocked)(struct mk_ctx *c, const struct mk_jid *const **jids, uint32_t *count);
    /* Puts COUNT of them at the front of the default list, which is made if there is none.  The contacts' view of the
     * account's presence follows.  MK_E_LIMIT if the list would be too long.  May suspend. */
    int (*block)(struct mk_ctx *c, const struct mk_jid *const *jids, uint32_t count);
    /* Takes COUNT of them out of it, all with COUNT 0.  One that is not there is no error.  May suspend. */
    int (*unblock)(struct mk_ctx *c, const struct mk_jid *const *jids, uint32_t count);
    /* Whether SESSION's list, or the default list with SESSION NULL, denies KIND from or to JID.  Does not suspend. */
    bool (*denies)(struct mk_ctx *c, struct mk_session *session, const struct mk_jid *jid, uint32_t kind);
};
struct mk_privacy {
    struct mk_svc svc;
};

MK_CALL2(mk_privacy, blocked, int, MK_E_UNSUPPORTED, const struct mk_jid *const **, jids, uint32_t *, count)
MK_CALL2(mk_privacy, block, int, MK_E_UNSUPPORTED, const struct mk_jid *const *, jids, uint32_t, count)
MK_CALL2(mk_privacy, unblock, int, MK_E_UNSUPPORTED, const struct mk_jid *const *, jids, uint32_t, count)
MK_CALL3(mk_privacy, denies, bool, false, struct mk_session *, session, const struct mk_jid *, jid, uint32_t, kind)

MK_END_DECLS

#endif
