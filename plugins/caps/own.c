/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own capabilities.  They are computed from what service discovery answers, when a session opens and they
 * are older than a minute; in the stream features, where nothing may wait, stands what was found last.
 */
#include "caps.h"
#include <stdio.h>
#include <string.h>

enum { FRESH_MS = 60000 };

static struct own *find(struct mk_ctx *c) {
    struct worker *w = mk_worker(c);
    const char *host = mk_jid_text(mk_host(c));
    for (uint32_t i = 0; i < w->own_count; i++)
        if (strcmp(w->own[i].host, host) == 0)
            return &w->own[i];
    return NULL;
}

/* Of more hosts than there is room for, those that were looked at last. */
static void remember(struct mk_ctx *c, const char *ver, const char *hash) {
    struct worker *w = mk_worker(c);
    struct own *o = find(c);
    if (!o)
        o = &w->own[w->own_next++ % OWN_MAX];
    if (w->own_count < OWN_MAX && w->own_count < w->own_next)
        w->own_count = w->own_next;
    snprintf(o->host, sizeof o->host, "%s", mk_jid_text(mk_host(c)));
    snprintf(o->ver, sizeof o->ver, "%s", ver);
    snprintf(o->hash, sizeof o->hash, "%s", hash);
    o->at_ms = mk_now_ms(c);
}

MK_SUSPENDS static int look(struct mk_ctx *c, const char **ver, const char **hash) {
    const struct caps *me = mk_inst(c);
    const struct mk_stanza *s;
    struct mk_out *o = mk_nonza(c, "query", NS_INFO);
    int rc = mk_disco_host_info(c, me->disco, o);
    if (rc == MK_OK)
        rc = mk_seal(o, &s);
    if (rc == MK_OK)
        rc = digest_of(c, mk_root(s), "", FORM_0115, "sha-1", ver);
    if (rc == MK_OK)
        rc = digest_of(c, mk_root(s), "", FORM_0390, "sha-256", hash);
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "what the server can do has no hash: %s", mk_strerror(rc));
    else
        remember(c, *ver, *hash);
    return rc;
}

/* Inside an element: both kinds. */
static void put_caps(struct mk_ctx *c, struct mk_out *o, const char *ver, const char *hash) {
    const struct caps *me = mk_inst(c);
    mk_open(o, "c", NS_CAPS1);
    mk_put(o, "hash", "sha-1");
    mk_put(o, "node", me->node);
    mk_put(o, "ver", ver);
    mk_close(o);
    mk_open(o, "c", NS_CAPS2);
    mk_open(o, "hash", NS_HASHES);
    mk_put(o, "algo", "sha-256");
    mk_put_text(o, hash);
    mk_close(o);
    mk_close(o);
}

void own_feature(struct mk_ctx *c, struct mk_stream *st, struct mk_out *features) {
    const struct own *o = find(c);
    (void)st;
    if (o)
        put_caps(c, features, o->ver, o->hash);
}

MK_SUSPENDS enum mk_flow own_on_session_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    const struct own *o = find(c);
    const char *ver, *hash;
    (void)ev;
    if ((!o || mk_now_ms(c) - o->at_ms > FRESH_MS) && look(c, &ver, &hash) != MK_OK)
        return MK_NEXT;
    return MK_NEXT;
}

/* The nodes that stand for the hashes, as long as they are what the host is now. */
MK_SUSPENDS enum mk_flow own_on_disco_info(struct mk_ctx *c, struct mk_ev_disco *ev) {
    const struct caps *me = mk_inst(c);
    const char *ver, *hash;
    size_t len = strlen(me->node);
    bool first = strncmp(ev->node, me->node, len) == 0 && ev->node[len] == '#';
    if (ev->for_account || ev->known || (!first && strncmp(ev->node, NS_CAPS2 "#", sizeof NS_CAPS2) != 0))
        return MK_NEXT;
    if (look(c, &ver, &hash) != MK_OK)
        return MK_NEXT;
    const char *now = first ? mk_printf(c, "%s#%s", me->node, ver) : mk_printf(c, NS_CAPS2 "#sha-256.%s", hash);
    if (strcmp(ev->node, now) == 0)
        ev->known = mk_disco_host_info(c, me->disco, ev->reply) == MK_OK;
    return MK_NEXT;
}

/* Who asks whether the host is there learns that it is, and what it can do. */
MK_SUSPENDS enum mk_flow own_on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const char *ver, *hash;
    if (mk_stanza_type(ev->stanza) != MK_TYPE_PROBE)
        return MK_NEXT;
    struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_AVAILABLE, mk_stanza_from(ev->stanza));
    if (look(c, &ver, &hash) == MK_OK)
        put_caps(c, o, ver, hash);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_ERROR, "a probe of the host was not answered");
    return MK_STOP;
}
