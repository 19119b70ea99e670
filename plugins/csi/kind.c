/* SPDX-License-Identifier: Apache-2.0 */
#include "kind.h"
#include <string.h>

#define NS_CARBONS "urn:xmpp:carbons:2"
#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_MUC_USER "http://jabber.org/protocol/muc#user"
#define NS_EVENT "http://jabber.org/protocol/pubsub#event"
#define NS_STATES "http://jabber.org/protocol/chatstates"

/* FNV-1a over texts; the end of each counts, so that "ab" "c" is not "a" "bc". */
static uint64_t mix(uint64_t hash, const char *text) {
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return (hash ^ 0xff) * 1099511628211u;
}

static uint64_t subject_of(uint64_t seed, enum kind kind, const char *a, const char *b) {
    return mix(mix((seed ^ kind) * 1099511628211u, a), b);
}

/* The message that S is about: of a carbon the one inside, else S's own root.  *SENT: the account sent it. */
static const struct mk_elem *message_in(const struct mk_stanza *s, bool *sent) {
    const struct mk_elem *root = mk_root(s), *copy = mk_child(s, "received", NS_CARBONS);
    *sent = false;
    if (!copy) {
        copy = mk_child(s, "sent", NS_CARBONS);
        *sent = copy != NULL;
    }
    const struct mk_elem *inner = copy ? mk_elem_child(copy, "forwarded", NS_FORWARD) : NULL;
    inner = inner ? mk_elem_child(inner, "message", NULL) : NULL;
    return inner ? inner : root;
}

static uint64_t state_subject(uint64_t seed, const struct mk_elem *message, bool sent) {
    return subject_of(seed, KIND_STATE, sent ? "" : mk_attr(message, "from"), sent ? mk_attr(message, "to") : "");
}

uint64_t kind_state_subject(uint64_t seed, const struct mk_stanza *s) {
    bool sent;
    const struct mk_elem *message = message_in(s, &sent);
    return state_subject(seed, message, sent);
}

/* What may stand beside a chat state without saying anything. */
static bool says_nothing(const struct mk_elem *e) {
    static const char *const spaces[] = { "urn:xmpp:hints", "urn:xmpp:sid:0", "urn:xmpp:occupant-id:0",
                                          "urn:xmpp:delay" };
    for (unsigned i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        if (strcmp(mk_elem_ns(e), spaces[i]) == 0)
            return true;
    return strcmp(mk_elem_name(e), "thread") == 0 ||
           (mk_elem_is(e, "x", NS_MUC_USER) && !mk_elem_child(e, "invite", NS_MUC_USER));
}

static bool is_state_alone(const struct mk_elem *message) {
    bool state = false;
    for (const struct mk_elem *e = mk_elem_first(message); e; e = mk_elem_next(e)) {
        if (strcmp(mk_elem_ns(e), NS_STATES) == 0)
            state = true;
        else if (!says_nothing(e))
            return false;
    }
    return state;
}

/*
 * An event about one item.  The items of a node can be many things - each bookmark is one - so the last of each is kept
 * and not the last of the node.  A node that is purged or deleted, or several items at once, is rare: important.
 */
static const struct mk_elem *only_item(const struct mk_elem *message) {
    const struct mk_elem *event = mk_elem_child(message, "event", NS_EVENT);
    const struct mk_elem *items = event ? mk_elem_child(event, "items", NS_EVENT) : NULL;
    const struct mk_elem *item = items ? mk_elem_first(items) : NULL;
    if (!item || mk_elem_next(item) || mk_elem_next(items) || mk_elem_child(message, "body", mk_elem_ns(message)))
        return NULL;
    return items;
}

static enum kind message_kind(uint64_t seed, const struct mk_stanza *s, uint64_t *subject) {
    bool sent;
    const struct mk_elem *message = message_in(s, &sent), *items;
    const char *type = mk_attr(message, "type");
    if (type && strcmp(type, "error") == 0)
        return KIND_IMPORTANT;
    if (is_state_alone(message)) {
        *subject = state_subject(seed, message, sent);
        return KIND_STATE;
    }
    if (mk_stanza_type(s) == MK_TYPE_HEADLINE && (items = only_item(message)) != NULL) {
        *subject = mix(subject_of(seed, KIND_EVENT, mk_attr(message, "from"), mk_attr(items, "node")),
                       mk_attr(mk_elem_first(items), "id"));
        return KIND_EVENT;
    }
    return KIND_IMPORTANT;
}

/* What a room says about the client itself answers something that it did. */
static bool is_own_occupant(const struct mk_stanza *s) {
    const struct mk_elem *x = mk_child(s, "x", NS_MUC_USER);
    for (const struct mk_elem *e = x ? mk_elem_first(x) : NULL; e; e = mk_elem_next(e)) {
        const char *code = mk_attr(e, "code");
        if (mk_elem_is(e, "status", NS_MUC_USER) && code && strcmp(code, "110") == 0)
            return true;
    }
    return false;
}

static enum kind presence_kind(uint64_t seed, const struct mk_stanza *s, uint64_t *subject) {
    enum mk_type type = mk_stanza_type(s);
    if ((type != MK_TYPE_AVAILABLE && type != MK_TYPE_UNAVAILABLE) || is_own_occupant(s))
        return KIND_IMPORTANT;
    *subject = subject_of(seed, KIND_PRESENCE, mk_attr(mk_root(s), "from"), "");
    return KIND_PRESENCE;
}

enum kind kind_of(uint64_t seed, const struct mk_stanza *s, uint64_t *subject) {
    switch (mk_stanza_kind(s)) {
    case MK_MESSAGE:
        return message_kind(seed, s, subject);
    case MK_PRESENCE:
        return presence_kind(seed, s, subject);
    default:
        return KIND_IMPORTANT;
    }
}
