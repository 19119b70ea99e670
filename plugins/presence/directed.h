/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses to which a session sent directed presence: sorted, nothing in memory while there are none. */
#ifndef PRESENCE_DIRECTED_H
#define PRESENCE_DIRECTED_H

#include <meerkat/jid.h>

struct directed {
    struct mk_jid **jids;
    uint32_t count, cap;
};

/* True if JID is in the list now.  False: there are MAX already. */
bool directed_add(struct directed *d, const struct mk_jid *jid, uint32_t max);
void directed_remove(struct directed *d, const struct mk_jid *jid);
void directed_clear(struct directed *d);

/* Whether JID is in the list, or the bare JID it belongs to. */
bool directed_has(const struct directed *d, const struct mk_jid *jid);

#endif
