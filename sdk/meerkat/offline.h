/* SPDX-License-Identifier: Apache-2.0 */
/* offline.h - interface `mk_offline` 1.0: messages that wait for an account (XEP-0160). */
#ifndef MEERKAT_OFFLINE_H
#define MEERKAT_OFFLINE_H

#include <meerkat/service.h>
#include <meerkat/stanza.h>

MK_BEGIN_DECLS

struct mk_offline_ops {
    uint32_t size, zero;
    /* Whether message STANZA, which came for mk_self() now that nobody is there, would be kept: by what it is, and by the room
     * that is left.  May suspend. */
    bool (*keeps)(struct mk_ctx *c, const struct mk_stanza *stanza);
};
struct mk_offline {
    struct mk_svc svc;
};

MK_CALL1(mk_offline, keeps, bool, false, const struct mk_stanza *, stanza)

MK_END_DECLS

#endif
