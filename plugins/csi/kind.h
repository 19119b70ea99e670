/* SPDX-License-Identifier: Apache-2.0 */
/* Which stanzas an inactive client can wait for, and which of them make an earlier one worthless. */
#ifndef CSI_KIND_H
#define CSI_KIND_H

#include <meerkat/stanza.h>

enum kind {
    KIND_IMPORTANT, /* must go out now; ends what its sender was said to be typing */
    KIND_PRESENCE,  /* whether somebody is there */
    KIND_STATE,     /* chat state alone */
    KIND_EVENT      /* an item of a node */
};

/* SUBJECT is a hash of what S is about: a later stanza of the same kind and subject replaces an earlier one.  SEED is
 * secret, so that nobody can make a stanza that replaces another's. */
enum kind kind_of(uint64_t seed, const struct mk_stanza *s, uint64_t *subject);

/* The subject that a chat state of S's sender would have. */
uint64_t kind_state_subject(uint64_t seed, const struct mk_stanza *s);

#endif
