/* SPDX-License-Identifier: Apache-2.0 */
/* disco.h - interface `mk_disco` 1.0: what service discovery (XEP-0030) says, for those who need it besides the answer
 * to a query. */
#ifndef MEERKAT_DISCO_H
#define MEERKAT_DISCO_H

#include <meerkat/service.h>
#include <meerkat/stanza.h>

MK_BEGIN_DECLS

struct mk_disco_ops {
    uint32_t size, zero;
    /* 0.  Writes what is inside <query/> when anybody asks the turn's host for disco#info without a node: identities,
     * features, forms.  OUT is inside an element of namespace http://jabber.org/protocol/disco#info.  May suspend. */
    int (*host_info)(struct mk_ctx *c, struct mk_out *out);
};
struct mk_disco {
    struct mk_svc svc;
};

MK_CALL1(mk_disco, host_info, int, MK_E_UNSUPPORTED, struct mk_out *, out)

MK_END_DECLS

#endif
