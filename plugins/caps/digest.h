/* SPDX-License-Identifier: Apache-2.0 */
/* The hashes of disco#info: XEP-0115 section 5.1 and XEP-0390 section 4. */
#ifndef CAPS_DIGEST_H
#define CAPS_DIGEST_H

#include <meerkat/stanza.h>

enum form { FORM_0115 = 1, FORM_0390 = 2 };

/* Whether there is a hash function of this name, as XEP-0300 writes it. */
bool digest_knows(const char *algo);

/*
 * The base64 of the hash ALGO over what QUERY, the <query/> of an answer, says.  LANG is the xml:lang around it, "" if
 * none.  MK_E_INVALID if it says something twice, or something that can be read in two ways.
 */
MK_MUST_CHECK int digest_of(struct mk_ctx *c, const struct mk_elem *query, const char *lang, enum form form,
                            const char *algo, const char **out);

#endif
