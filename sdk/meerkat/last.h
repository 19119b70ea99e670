/* SPDX-License-Identifier: Apache-2.0 */
/* last.h - interface `mk_last` 1.0: when accounts were last here. */
#ifndef MEERKAT_LAST_H
#define MEERKAT_LAST_H

#include <meerkat/service.h>

MK_BEGIN_DECLS

/* Times are microseconds since 1970.  LOGOUT is 0 while the account has sessions; it is also 0 if the server ended
 * before it could say when the last of them did. */
struct mk_last_seen {
    int64_t login, logout;
    const char *status; /* of the last unavailable presence, "" if it had none */
};
struct mk_last_ops {
    uint32_t size, zero;
    /* Of any account, in any turn; MK_E_NOTFOUND if it never logged in.  What SEEN points to is lent.  Suspends. */
    int (*seen)(struct mk_ctx *c, const struct mk_jid *account, struct mk_last_seen *seen);
};
struct mk_last {
    struct mk_svc svc;
};

MK_CALL2(mk_last, seen, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, struct mk_last_seen *, seen)

MK_END_DECLS

#endif
