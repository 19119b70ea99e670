/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jid.h - XMPP addresses (RFC 7622; prepared with nodeprep, nameprep and resourceprep as RFC 6122 says, which is what
 * the network uses).  A struct mk_jid is prepared and valid by construction and never changes.
 */
#ifndef MEERKAT_JID_H
#define MEERKAT_JID_H

#include <meerkat/ctx.h>

MK_BEGIN_DECLS

/*
 * Reads TEXT as a JID in the turn's memory.  MK_E_JID if it is none: a part is empty or longer than 1023 bytes, holds
 * what its profile forbids, or is not UTF-8.
 */
MK_EXPORT MK_MUST_CHECK int mk_jid_parse(struct mk_ctx *c, struct mk_view text, const struct mk_jid **out);

/* The same from parts; a part with len 0 is left out.  The domain may not be. */
MK_EXPORT MK_MUST_CHECK int mk_jid_make(struct mk_ctx *c, struct mk_view local, struct mk_view domain,
                                        struct mk_view resource, const struct mk_jid **out);

/* The whole JID, ended by NUL; lent as long as JID. */
MK_EXPORT const char *mk_jid_text(const struct mk_jid *jid);

/* Its parts; len is 0 if there is none.  mk_jid_bare() is local@domain. */
MK_EXPORT struct mk_view mk_jid_local(const struct mk_jid *jid);
MK_EXPORT struct mk_view mk_jid_domain(const struct mk_jid *jid);
MK_EXPORT struct mk_view mk_jid_resource(const struct mk_jid *jid);
MK_EXPORT struct mk_view mk_jid_bare(const struct mk_jid *jid);

/* JID without its resource: JID itself if it has none, else in the turn's memory. */
MK_EXPORT const struct mk_jid *mk_jid_to_bare(struct mk_ctx *c, const struct mk_jid *jid);

/* Equality, of the whole or of the bare parts.  NULL equals nothing. */
MK_EXPORT bool mk_jid_same(const struct mk_jid *a, const struct mk_jid *b);
MK_EXPORT bool mk_jid_same_bare(const struct mk_jid *a, const struct mk_jid *b);

/* Order by octets of the whole text: for sorting and searching. */
MK_EXPORT int mk_jid_compare(const struct mk_jid *a, const struct mk_jid *b);

/* A copy that outlives the turn.  OWNED: give it back to mk_jid_free(), which takes NULL too. */
MK_EXPORT struct mk_jid *mk_jid_keep(const struct mk_jid *jid);
MK_EXPORT void mk_jid_free(struct mk_jid *jid);

MK_END_DECLS

#endif
