/* SPDX-License-Identifier: Apache-2.0 */
/* vcard.h - interface `mk_vcard` 1.0: the vCard of the account whose turn it is, and who wants to know of changes:
 * hook vcard_changed. */
#ifndef MEERKAT_VCARD_H
#define MEERKAT_VCARD_H

#include <meerkat/service.h>
#include <meerkat/stanza.h>

MK_BEGIN_DECLS

#define MK_NS_VCARD "vcard-temp"                        /* XEP-0054: <vCard/> */
#define MK_NS_VCARD4 "urn:ietf:params:xml:ns:vcard-4.0" /* RFC 6351: <vcard/> */

/* What is lent by it is lent for the turn. */
struct mk_vcard_ops {
    uint32_t size, zero;
    /* The vCard, and the one of version 4 that it was made from, NULL if it was not.  MK_E_NOTFOUND if there is none.
     * Suspends. */
    int (*get)(struct mk_ctx *c, const struct mk_elem **vcard, const struct mk_elem **vcard4);
    /* Replaces it.  VCARD4 may be NULL.  MK_E_LIMIT if it is too big, MK_E_INVALID if its photo is none that is allowed.
     * Suspends. */
    int (*put)(struct mk_ctx *c, const struct mk_elem *vcard, const struct mk_elem *vcard4);
};
struct mk_vcard {
    struct mk_svc svc;
};

MK_CALL2(mk_vcard, get, int, MK_E_UNSUPPORTED, const struct mk_elem **, vcard, const struct mk_elem **, vcard4)
MK_CALL2(mk_vcard, put, int, MK_E_UNSUPPORTED, const struct mk_elem *, vcard, const struct mk_elem *, vcard4)

MK_END_DECLS

#endif
