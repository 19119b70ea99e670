/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef CAPS_CAPS_H
#define CAPS_CAPS_H

#include "cache.h"
#include "digest.h"
#include <meerkat/disco.h>
#include <meerkat/plugin.h>

#define NS_CAPS1 "http://jabber.org/protocol/caps"
#define NS_CAPS2 "urn:xmpp:caps"
#define NS_HASHES "urn:xmpp:hashes:2"
#define NS_INFO "http://jabber.org/protocol/disco#info"

struct caps {
    const char *node;
    int64_t cache_size, ttl, max_bytes;
    const struct mk_coll *known;
    const struct mk_disco *disco;
};

/* What the host said about itself when it was last looked at. */
struct own {
    char host[256];
    char ver[32];  /* XEP-0115, SHA-1 */
    char hash[48]; /* XEP-0390, SHA-256 */
    int64_t at_ms;
};

enum { OWN_MAX = 64 };
struct worker {
    struct cache cache;
    struct own own[OWN_MAX];
    uint32_t own_count, own_next;
};

/* own.c: the host's own capabilities */
void own_feature(struct mk_ctx *c, struct mk_stream *st, struct mk_out *features);
MK_SUSPENDS enum mk_flow own_on_session_opened(struct mk_ctx *c, struct mk_ev_session *ev);
MK_SUSPENDS enum mk_flow own_on_disco_info(struct mk_ctx *c, struct mk_ev_disco *ev);
MK_SUSPENDS enum mk_flow own_on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev);

#endif
