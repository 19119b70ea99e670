/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0352: a client that nobody looks at is spared what can wait. */
#include "held.h"
#include "kind.h"
#include <meerkat/plugin.h>

#define NS "urn:xmpp:csi:0"

struct csi {
    int64_t max_held, max_bytes;
    uint64_t seed;
};

/* An inactive session. */
struct inactive {
    struct held held;
    bool letting_go; /* what passes session_send now was held: it goes on */
};

enum { SLOT_SESSION };
enum { M_INACTIVE, M_HELD, M_DROPPED, M_RELEASES };

/* Every session has a pointer, NULL while it is active. */
static struct inactive **inactive_of(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

static void free_inactive(struct inactive *i) {
    held_clear(&i->held);
    mk_free(i);
}

static void fini_session(void *slot) {
    struct inactive *i = *(struct inactive **)slot;
    if (i)
        free_inactive(i);
}

/* Back into the chain: what comes after us still accounts for it. */
static void let_go(struct mk_ctx *c, struct mk_session *session, struct inactive *i) {
    if (!i->held.count)
        return;
    i->letting_go = true;
    for (uint32_t at = 0; at < i->held.count; at++) {
        const struct held_stanza *x = &i->held.items[at];
        mk_session_send(c, session, x->stanza, x->to_session ? mk_session_jid(session) : x->to);
    }
    i->letting_go = false;
    held_clear(&i->held);
    mk_count(c, M_RELEASES, 1);
}

static bool is_over(struct mk_ctx *c, const struct held *h) {
    const struct csi *me = mk_inst(c);
    return h->count > me->max_held || h->bytes > (uint64_t)me->max_bytes;
}

static enum mk_flow on_session_send(struct mk_ctx *c, struct mk_ev_send *ev) {
    const struct csi *me = mk_inst(c);
    struct inactive *i = *inactive_of(c, ev->session);
    uint64_t subject;
    if (!i || i->letting_go)
        return MK_NEXT;
    if (kind_of(me->seed, ev->stanza, &subject) == KIND_IMPORTANT) {
        if (mk_stanza_kind(ev->stanza) == MK_MESSAGE && held_drop(&i->held, kind_state_subject(me->seed, ev->stanza)))
            mk_count(c, M_DROPPED, 1);
        let_go(c, ev->session, i);
        return MK_NEXT;
    }
    if (held_drop(&i->held, subject))
        mk_count(c, M_DROPPED, 1);
    held_add(&i->held, subject, ev->session, ev->stanza, ev->to);
    mk_count(c, M_HELD, 1);
    if (is_over(c, &i->held))
        let_go(c, ev->session, i);
    return MK_STOP;
}

/* ---- what the client says ------------------------------------------------------------------------------------------------ */

static void become_inactive(struct mk_ctx *c, struct mk_session *session) {
    struct inactive **slot = inactive_of(c, session);
    if (*slot)
        return;
    *slot = mk_malloc(sizeof **slot);
    mk_count(c, M_INACTIVE, 1);
}

static void become_active(struct mk_ctx *c, struct mk_session *session) {
    struct inactive **slot = inactive_of(c, session), *i = *slot;
    if (!i)
        return;
    let_go(c, session, i);
    *slot = NULL;
    free_inactive(i);
    mk_count(c, M_INACTIVE, -1);
}

static void on_inactive(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    (void)nonza;
    become_inactive(c, mk_stream_session(st));
}

static void on_active(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    (void)nonza;
    become_active(c, mk_stream_session(st));
}

/* Said while the session is bound (XEP-0386). */
static void on_bind(struct mk_ctx *c, const struct mk_inline *in) {
    become_inactive(c, in->session);
}

/* A new stream begins active, whatever the one before it was. */
static enum mk_flow on_resumed(struct mk_ctx *c, struct mk_ev_session *ev) {
    become_active(c, ev->session);
    return MK_NEXT;
}

static enum mk_flow on_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    if (*inactive_of(c, ev->session))
        mk_count(c, M_INACTIVE, -1);
    return MK_NEXT;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static int start(void *inst, struct mk_err *err) {
    struct csi *me = inst;
    (void)err;
    mk_random(&me->seed, sizeof me->seed);
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(struct csi, max_held, "100", 1, 10000, MK_OPT_LIVE,
               "Most stanzas held for one session. With one more, all are sent."),
    MK_OPT_SIZE(struct csi, max_bytes, "128K", 1024, INT64_MAX, MK_OPT_LIVE,
                "Most bytes held for one session. With more, all are sent."),
};
static const struct mk_nonza_decl nonzas[] = {
    { "active", NS, MK_WHEN_BOUND, MK_INLINE, on_active },
    { "inactive", NS, MK_WHEN_BOUND, MK_INLINE, on_inactive },
};
static const struct mk_inline_decl inlines[] = {
    { "inactive", NS, NS, MK_AT_BIND, MK_INLINE, 50, 0, on_bind, NULL },
};
static const struct mk_feature_decl features[] = {
    { "csi", NS, MK_WHEN_AUTHED, 0, NULL },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(session_send, MK_ORDER_CSI, MK_INLINE, on_session_send),
    MK_ON(session_resumed, MK_ORDER_SESSION, MK_INLINE, on_resumed),
    MK_ON(session_closed, MK_ORDER_SESSION, MK_INLINE, on_closed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "inactive", MK_ON_SESSION, sizeof(struct inactive *), NULL, fini_session },
};
static const struct mk_metric_decl metrics[] = {
    [M_INACTIVE] = { "inactive", MK_GAUGE, 0, "sessions", "Sessions whose client is inactive." },
    [M_HELD] = { "held", MK_COUNTER, 0, "stanzas", "Stanzas that were held." },
    [M_DROPPED] = { "dropped", MK_COUNTER, 0, "stanzas", "Held stanzas that a later one made worthless." },
    [M_RELEASES] = { "releases", MK_COUNTER, 0, "times", "Times that the stanzas held for a session were sent." },
};
static const struct mk_xep_decl xeps[] = {
    { "0352", "1.0.0", "complete", "" },
};

MK_PLUGIN(csi, .version = "1.0", .summary = "Spares inactive clients what can wait (XEP-0352)",
          .inst_size = sizeof(struct csi), .options = MK_TABLE(options), .hooks = MK_TABLE(hooks),
          .nonzas = MK_TABLE(nonzas), .inlines = MK_TABLE(inlines), .features = MK_TABLE(features),
          .slots = MK_TABLE(slots), .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps), .start = start);
