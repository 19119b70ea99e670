/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0199: answers pings to the host and to one's own account. */
#include <meerkat/plugin.h>

#define NS "urn:xmpp:ping"

static int on_ping(struct mk_ctx *c, const struct mk_stanza *iq) {
    return mk_send(mk_reply(c, iq));
}

/* Of accounts only the owner may ask: to others the answer would tell that the account exists. */
static const struct mk_iq_decl iqs[] = {
    { "ping", NS, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_ping },
    { "ping", NS, MK_TO_ACCOUNT, MK_GET, MK_INLINE, MK_OWNER, on_ping },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0199", "2.0.1", "complete", "Clients ping the server; the server does not ping clients." },
};

MK_PLUGIN(ping, .version = "1.0", .summary = "Answers pings (XEP-0199)", .iqs = MK_TABLE(iqs), .disco = MK_TABLE(disco),
          .xeps = MK_TABLE(xeps));
