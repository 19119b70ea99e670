/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0280: copies of an account's messages to its other sessions. */
#include <meerkat/plugin.h>
#include <string.h>

#define NS "urn:xmpp:carbons:2"
#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

/* Each session has a byte: true if it enabled carbons. */
enum { SLOT_SESSION, SLOT_ACCOUNT };
enum { M_COPIES };

/*
 * Fingerprints of the last messages that were copied.  An error is copied if it answers one of them; there is no other
 * way to tell, for an error need not repeat what it answers.  Made with the account's first copy.
 */
enum { RECENT = 32 };
struct recent {
    uint64_t prints[RECENT];
    uint32_t next;
};

static bool *enabled(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

/* ---- errors in answer to what was copied ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u; /* FNV-1a */
    return hash;
}

/* Of a message's id and the bare JID at its other end.  0 if it has no id: no error can name it then. */
static uint64_t print_of(const struct mk_stanza *s, const struct mk_jid *peer) {
    const char *id = mk_stanza_id(s);
    struct mk_view bare = mk_jid_bare(peer);
    return id ? mix(mix(14695981039346656037u, id, strlen(id) + 1), bare.s, bare.len) | 1 : 0;
}

static void fini_account(void *slot) {
    mk_free(*(struct recent **)slot);
}

static void remember(struct mk_ctx *c, uint64_t print) {
    struct recent **slot = mk_self_slot(c, SLOT_ACCOUNT);
    if (!print)
        return;
    if (!*slot)
        *slot = mk_malloc(sizeof **slot);
    (*slot)->prints[(*slot)->next++ % RECENT] = print;
}

static bool was_copied(struct mk_ctx *c, uint64_t print) {
    const struct recent *r = *(struct recent **)mk_self_slot(c, SLOT_ACCOUNT);
    for (unsigned i = 0; r && print && i < RECENT; i++)
        if (r->prints[i] == print)
            return true;
    return false;
}

/* ---- which messages ---------------------------------------------------------------------------------------------------- */

static bool is_im_payload(const struct mk_elem *e) {
    static const char *const spaces[] = { "urn:xmpp:receipts", "http://jabber.org/protocol/chatstates",
                                          "urn:xmpp:chat-markers:0", "jabber:x:conference" };
    for (unsigned i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        if (strcmp(mk_elem_ns(e), spaces[i]) == 0)
            return true;
    return mk_elem_is(e, "x", NS_MUC_USER) && mk_elem_child(e, "invite", NS_MUC_USER);
}

static bool has_im_payload(const struct mk_stanza *s) {
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e))
        if (is_im_payload(e))
            return true;
    return false;
}

/* A private message of a room: the room sends it to all the account's sessions itself. */
static bool is_room_private(const struct mk_stanza *s) {
    const struct mk_elem *x = mk_child(s, "x", NS_MUC_USER);
    return x && mk_jid_resource(mk_stanza_from(s)).len && !mk_elem_child(x, "invite", NS_MUC_USER);
}

/* The rules of XEP-0280, 6.1.  PRINT is the message's. */
static bool is_eligible(struct mk_ctx *c, const struct mk_stanza *s, bool received, uint64_t print) {
    enum mk_type type = mk_stanza_type(s);
    if (mk_child(s, "private", NS) || mk_child(s, "no-copy", "urn:xmpp:hints") || type == MK_TYPE_GROUPCHAT)
        return false;
    if (type == MK_TYPE_ERROR)
        return was_copied(c, print);
    if (received && is_room_private(s))
        return false;
    if (type == MK_TYPE_CHAT || (type == MK_TYPE_NORMAL && mk_child(s, "body", mk_elem_ns(mk_root(s)))))
        return true;
    return has_im_payload(s);
}

/* ---- copies ------------------------------------------------------------------------------------------------------------- */

static bool is_target(const struct mk_ev_stanza *ev, const struct mk_session *s) {
    for (uint32_t i = 0; i < ev->target_count; i++)
        if (ev->targets[i] == s)
            return true;
    return false;
}

/* Not who gets the message itself, nor who sent it. */
static bool wants(struct mk_ctx *c, const struct mk_ev_stanza *ev, struct mk_session *s) {
    return *enabled(c, s) && !is_target(ev, s) && !mk_jid_same(mk_session_jid(s), mk_stanza_from(ev->stanza));
}

static bool anybody_wants(struct mk_ctx *c, const struct mk_ev_stanza *ev) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (wants(c, ev, s))
            return true;
    return false;
}

/* One for all who get it, from the account itself: no client takes it from anybody else. */
static int wrap(struct mk_ctx *c, const struct mk_stanza *s, const char *direction, const struct mk_stanza **out) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, mk_stanza_type(s), NULL);
    mk_open(o, direction, NS);
    mk_open(o, "forwarded", NS_FORWARD);
    mk_put_stanza(o, s);
    return mk_seal(o, out);
}

static void copy(struct mk_ctx *c, const struct mk_ev_stanza *ev, bool received) {
    const struct mk_stanza *s = ev->stanza, *wrapped;
    if (!anybody_wants(c, ev))
        return;
    uint64_t print = print_of(s, received ? mk_stanza_from(s) : ev->to);
    if (!is_eligible(c, s, received, print))
        return;
    if (wrap(c, s, received ? "received" : "sent", &wrapped) != MK_OK) {
        mk_log(c, MK_WARNING, "a message could not be copied");
        return;
    }
    if (mk_stanza_type(s) != MK_TYPE_ERROR)
        remember(c, print);
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;) {
        if (!wants(c, ev, x))
            continue;
        mk_session_send(c, x, wrapped, mk_session_jid(x));
        mk_count(c, M_COPIES, 1);
    }
}

/* ---- hooks and iqs -------------------------------------------------------------------------------------------------------- */

static enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (!mk_jid_same_bare(ev->to, mk_self(c))) {
        copy(c, ev, false);
        return MK_NEXT;
    }
    /* To oneself: copied on the way in.  An error to the account bounces a copy, and concerns nobody. */
    return mk_stanza_type(ev->stanza) == MK_TYPE_ERROR && !mk_jid_resource(ev->to).len ? MK_STOP : MK_NEXT;
}

static enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (!ev->again)
        copy(c, ev, true);
    return MK_NEXT;
}

static int set_enabled(struct mk_ctx *c, const struct mk_stanza *iq, bool on) {
    struct mk_session *s = mk_session_find(c, mk_jid_resource(mk_stanza_from(iq)));
    if (!s)
        return mk_refuse(c, iq, "not-allowed", NULL);
    *enabled(c, s) = on;
    return mk_send(mk_reply(c, iq));
}

static int on_enable(struct mk_ctx *c, const struct mk_stanza *iq) {
    return set_enabled(c, iq, true);
}

static int on_disable(struct mk_ctx *c, const struct mk_stanza *iq) {
    return set_enabled(c, iq, false);
}

/* Asked for while the session is bound: no message comes between. */
static void on_bind(struct mk_ctx *c, const struct mk_inline *in) {
    *enabled(c, in->session) = true;
}

static enum mk_flow on_saved(struct mk_ctx *c, struct mk_ev_state *ev) {
    if (*enabled(c, ev->session))
        mk_leaf(ev->out, "enable", NS, NULL);
    return MK_NEXT;
}

static enum mk_flow on_restored(struct mk_ctx *c, struct mk_ev_state *ev) {
    *enabled(c, ev->session) = mk_elem_child(ev->saved, "enable", NS) != NULL;
    return MK_NEXT;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static const struct mk_iq_decl iqs[] = {
    { "enable", NS, MK_TO_ACCOUNT, MK_SET, MK_INLINE, MK_OWNER, on_enable },
    { "disable", NS, MK_TO_ACCOUNT, MK_SET, MK_INLINE, MK_OWNER, on_disable },
};
static const struct mk_inline_decl inlines[] = {
    { "enable", NS, NS, MK_AT_BIND, MK_INLINE, 50, 0, on_bind, NULL },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, MK_ORDER_CARBONS, MK_INLINE, on_send),
    MK_ON(user_receive_message, MK_ORDER_CARBONS, MK_INLINE, on_receive),
    MK_ON(session_saved, MK_ORDER_SESSION, MK_INLINE, on_saved),
    MK_ON(session_restored, MK_ORDER_SESSION, MK_INLINE, on_restored),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "enabled", MK_ON_SESSION, sizeof(bool), NULL, NULL },
    [SLOT_ACCOUNT] = { "recent", MK_ON_ACCOUNT, sizeof(struct recent *), NULL, fini_account },
};
static const struct mk_metric_decl metrics[] = {
    [M_COPIES] = { "copies", MK_COUNTER, 0, "messages", "Copies sent." },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
    { "urn:xmpp:carbons:rules:0", MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0280", "1.0.1", "complete", "" },
    { "0297", "1.0", "partial", "Wraps what is copied." },
    { "0334", "1.0.0", "partial", "no-copy." },
};

MK_PLUGIN(carbons, .version = "1.0", .summary = "Copies messages to an account's other sessions (XEP-0280)",
          .hooks = MK_TABLE(hooks), .iqs = MK_TABLE(iqs), .slots = MK_TABLE(slots), .metrics = MK_TABLE(metrics),
          .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps), .inlines = MK_TABLE(inlines));
