/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alternative.h - ways to the server that are not a stream over TCP, told to clients by host-meta (XEP-0156).
 *
 * Provided by each plugin that is such a way: MK_PROVIDE(mk_alternative, 1, 0, &ops, "...").
 */
#ifndef MEERKAT_ALTERNATIVE_H
#define MEERKAT_ALTERNATIVE_H

#include <meerkat/service.h>

MK_BEGIN_DECLS

/* REL is the link relation, "urn:xmpp:alt-connections:websocket"; SCHEME and SECURE_SCHEME those of its addresses, "ws" and
 * "wss".  PATH gives where it is on a listener of kind http, lent as long as the instance; FLAGS is 0. */
struct mk_alternative_ops {
    uint32_t size, zero;
    const char *rel, *scheme, *secure_scheme;
    const char *(*path)(struct mk_ctx *c, uint32_t flags);
};
struct mk_alternative {
    struct mk_svc svc;
};
MK_CALL1(mk_alternative, path, const char *, NULL, uint32_t, flags)

MK_END_DECLS

#endif
