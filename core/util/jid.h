/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a JID: one block, its parts one after the other. */
#ifndef UTIL_JID_H
#define UTIL_JID_H

#include "util/arena.h"
#include <meerkat/jid.h>

struct mk_jid {
    uint32_t hash; /* of the bare JID: chooses the home worker and the slot in tables */
    uint16_t local_len, domain_len, resource_len, text_len;
    char text[]; /* local@domain/resource, NUL */
};

/* Prepares and checks.  0 or MK_E_JID.  ASCII that needs no preparation takes the fast path. */
int jid_parse(struct arena *arena, const char *text, size_t len, const struct mk_jid **out);
int jid_make(struct arena *arena, struct mk_view local, struct mk_view domain, struct mk_view resource,
             const struct mk_jid **out);

/* From text that was a JID's before (a stored row): splits without preparing.  0 or MK_E_JID. */
int jid_read(struct arena *arena, const char *text, size_t len, const struct mk_jid **out);

/* Bare JID in ARENA, or JID itself; a copy in ARENA; bytes of the bare part. */
const struct mk_jid *jid_bare(struct arena *arena, const struct mk_jid *jid);
const struct mk_jid *jid_copy(struct arena *arena, const struct mk_jid *jid);
/* A bare copy, OWNED: given back by mk_jid_free(). */
struct mk_jid *jid_keep_bare(const struct mk_jid *jid);
/* Whether BARE is JID without its resource. */
bool jid_is_bare_of(const struct mk_jid *bare, const struct mk_jid *jid);
/* BARE with RESOURCE, which is prepared already. */
const struct mk_jid *jid_with(struct arena *arena, const struct mk_jid *bare, struct mk_view resource);

static inline size_t jid_bare_len(const struct mk_jid *j) {
    return j->domain_len + (j->local_len ? j->local_len + 1u : 0);
}
static inline const char *jid_domain(const struct mk_jid *j) {
    return j->text + (j->local_len ? j->local_len + 1u : 0);
}
static inline const char *jid_resource(const struct mk_jid *j) {
    return j->resource_len ? j->text + jid_bare_len(j) + 1 : "";
}

#endif
