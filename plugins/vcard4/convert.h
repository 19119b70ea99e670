/* SPDX-License-Identifier: Apache-2.0 */
/* vCards of version 4 (RFC 6351) and those of XEP-0054, as XEP-0292 maps them.  What the other has no word for is left
 * out. */
#ifndef VCARD4_CONVERT_H
#define VCARD4_CONVERT_H

#include <meerkat/stanza.h>
#include <meerkat/vcard.h>

/* Write a whole element to O. */
void convert_to_temp(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *vcard4);
void convert_to_4(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *vcard);

#endif
