/* SPDX-License-Identifier: Apache-2.0 */
/* ANONYMOUS (RFC 4505, XEP-0175): a fresh account for this one stream.  What the client says of itself is not kept. */
#include "sasl/mechanism.h"

enum { TRACE_MAX = 255 * 4 };

/* A name like a UUID of version 4, 122 bits of it random. */
static void make_name(char out[37]) {
    uint8_t bytes[16];
    char hex[33];
    mk_random(bytes, sizeof bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    hex_encode(hex, bytes, sizeof bytes);
    for (int from = 0, to = 0; from <= 32; from++) {
        if (from == 8 || from == 12 || from == 16 || from == 20)
            out[to++] = '-';
        out[to++] = hex[from];
    }
}

enum sasl_status anonymous_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out) {
    const struct mk_view none = { NULL, 0 };
    char name[37];
    (void)c;
    (void)out;
    if (in.len > TRACE_MAX || !utf8_valid(in.s, in.len))
        return sasl_fail(s, "malformed-request", NULL);
    make_name(name);
    if (jid_make(&s->arena, (struct mk_view){ name, 36 }, mk_jid_domain(s->env.host->jid), none, &s->account) != 0)
        return sasl_unable(s);
    s->anonymous = true;
    return SASL_SUCCESS;
}
