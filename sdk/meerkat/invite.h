/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invite.h - interface `mk_invites` 1.0: for who makes accounts on the wish of strangers.  The stranger has shown the
 * token of an invitation on its stream before (XEP-0445).
 */
#ifndef MEERKAT_INVITE_H
#define MEERKAT_INVITE_H

#include <meerkat/service.h>
#include <meerkat/session.h>

MK_BEGIN_DECLS

/* In the turn of the stream ST. */
struct mk_invites_ops {
    uint32_t size, zero;
    /* 0: the stream has shown a good token; *NAME is the only name that it is for, NULL if it is for any.
     * MK_E_NOTFOUND: it has not.  Does not suspend. */
    int (*shown)(struct mk_ctx *c, struct mk_stream *st, const char **name);
    /* 0: ACCOUNT is nobody's in particular, or the token that the stream has shown is for it.  MK_E_CONFLICT: it is
     * kept for who has another token; MK_E_DENIED: the stream's token is for another name.  Suspends. */
    int (*check)(struct mk_ctx *c, struct mk_stream *st, const struct mk_jid *account);
    /* Before the account is made: counts one use of the token.  MK_E_LIMIT: it was used up meanwhile, or revoked. */
    int (*take)(struct mk_ctx *c, struct mk_stream *st);
    /* After it: it was not made, and the use does not count; or it was, and inviter and ACCOUNT become contacts. */
    int (*give_back)(struct mk_ctx *c, struct mk_stream *st);
    int (*made)(struct mk_ctx *c, struct mk_stream *st, const struct mk_jid *account);
};
struct mk_invites {
    struct mk_svc svc;
};

MK_CALL2(mk_invites, shown, int, MK_E_NOTFOUND, struct mk_stream *, st, const char **, name)
MK_CALL2(mk_invites, check, int, MK_OK, struct mk_stream *, st, const struct mk_jid *, account)
MK_CALL1(mk_invites, take, int, MK_E_UNSUPPORTED, struct mk_stream *, st)
MK_CALL1(mk_invites, give_back, int, MK_E_UNSUPPORTED, struct mk_stream *, st)
MK_CALL2(mk_invites, made, int, MK_E_UNSUPPORTED, struct mk_stream *, st, const struct mk_jid *, account)

MK_END_DECLS

#endif
