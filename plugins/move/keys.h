/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as XEP-0227 has them. */
#ifndef MOVE_KEYS_H
#define MOVE_KEYS_H

#include <meerkat/auth.h>
#include <meerkat/command.h>
#include <meerkat/stanza.h>

#define NS_SCRAM "urn:xmpp:pie:0#scram"

enum { KEYS_MAX = 3 }; /* one of each hash that the server knows */

/* Writes <scram-credentials/> for each hash that mk_self() has keys of. */
MK_SUSPENDS int keys_write(struct mk_ctx *c, struct mk_out *o);

/* Reads those among the children of E.  What is none, or of a hash that is not known, is left out with a line in REPORT.
 * Returns how many there are in OUT. */
uint32_t keys_read(struct mk_ctx *c, const struct mk_elem *e, struct mk_scram_keys out[KEYS_MAX],
                   struct mk_result *report);

/* Keys of no password. */
void keys_of_nobody(struct mk_scram_keys *out);

#endif
