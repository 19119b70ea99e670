/* SPDX-License-Identifier: Apache-2.0 */
/* What of jid.h needs a turn. */
#include "route/jid.h"
#include "run/turn.h"

int mk_jid_parse(struct mk_ctx *c, struct mk_view text, const struct mk_jid **out) {
    return jid_parse(&c->arena, text.s, text.len, out);
}

int mk_jid_make(struct mk_ctx *c, struct mk_view local, struct mk_view domain, struct mk_view resource,
                const struct mk_jid **out) {
    return jid_make(&c->arena, local, domain, resource, out);
}

const struct mk_jid *mk_jid_to_bare(struct mk_ctx *c, const struct mk_jid *jid) {
    return jid_bare(&c->arena, jid);
}
