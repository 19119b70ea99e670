/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.h - interface `mk_caps` 1.0: what clients can do (XEP-0115, XEP-0390), as far as they proved it.  Neither
 * operation suspends.  The hook session_features tells when the answer for a session has changed.
 */
#ifndef MEERKAT_CAPS_H
#define MEERKAT_CAPS_H

#include <meerkat/service.h>
#include <meerkat/session.h>

MK_BEGIN_DECLS

struct mk_caps_ops {
    uint32_t size, zero;
    /* Whether the client of a session of mk_self() announced FEATURE, "urn:xmpp:avatar:metadata+notify" say.  False too
     * while it was not asked or has not answered.  In the account's turn, not ASIDE. */
    bool (*session_has)(struct mk_ctx *c, struct mk_session *session, const char *feature);
    /* Whether who sent PRESENCE announced FEATURE: 1 or 0 by the hash in it, MK_E_NOTFOUND if it has none or nobody
     * here has proved what it stands for. */
    int (*presence_has)(struct mk_ctx *c, const struct mk_stanza *presence, const char *feature);
};
struct mk_caps {
    struct mk_svc svc;
};

MK_CALL2(mk_caps, session_has, bool, false, struct mk_session *, session, const char *, feature)
MK_CALL2(mk_caps, presence_has, int, MK_E_NOTFOUND, const struct mk_stanza *, presence, const char *, feature)

MK_END_DECLS

#endif
