/* SPDX-License-Identifier: Apache-2.0 */
/* The stanzas held for one inactive session, oldest first, one for each subject. */
#ifndef CSI_HELD_H
#define CSI_HELD_H

#include <meerkat/session.h>

struct held_stanza {
    uint64_t subject;
    const struct mk_stanza *stanza; /* OWNED */
    struct mk_jid *to;              /* OWNED: what the stanza's `to` is replaced with; NULL: nothing, or the session */
    bool to_session;
};
struct held {
    struct held_stanza *items;
    uint32_t count, cap;
    uint64_t bytes; /* of the stanzas, about */
};

/* Adds S at the end. */
void held_add(struct held *h, uint64_t subject, const struct mk_session *session, const struct mk_stanza *s,
              const struct mk_jid *to);
/* Takes the one with this subject out.  False if there is none. */
bool held_drop(struct held *h, uint64_t subject);
void held_clear(struct held *h);

#endif
