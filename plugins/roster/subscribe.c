/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 6121, section 3: subscriptions on their way out and in, and the requests that wait for an answer. */
#include "roster.h"
#include "subscription.h"
#include <string.h>

/* A request with more than this around it is kept without what is around it. */
enum { REQUEST_SIZE = 4096 };

static enum mk_flow refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text) {
    if (mk_refuse(c, s, cond, text) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal with %s was not sent", cond);
    return MK_STOP;
}

static void reply(struct mk_ctx *c, enum mk_type type, const struct mk_jid *contact) {
    if (type != MK_TYPE_NONE)
        roster_tell(c, type, contact);
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

/* The contact sees the bare JIDs only (RFC 6121, 3.1.2). */
static void route_from_bare(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *contact) {
    const struct mk_stanza *stamped;
    struct mk_out *o = mk_derive(c, s, NULL);
    mk_from(o, mk_self(c));
    if (mk_seal(o, &stamped) == MK_OK)
        mk_route(c, stamped, contact);
}

/* Whom the user asks, or approves, is in the roster from then on. */
static bool lists(enum mk_type type) {
    return type == MK_TYPE_SUBSCRIBE || type == MK_TYPE_SUBSCRIBED;
}

/* The direction of a subscription that a stanza of this type, sent to a contact, is about. */
static uint32_t out_bit(enum mk_type type) {
    return type == MK_TYPE_SUBSCRIBE || type == MK_TYPE_UNSUBSCRIBE ? MK_SUB_TO : MK_SUB_FROM;
}

/* Whether the account is given this subscription, whatever it does by itself. */
static bool is_given(const struct contacts *r, const struct mk_jid *contact, uint32_t bit) {
    const struct mk_roster_item *given = shared_find(r->shared, contact);
    return given && given->state & bit;
}

enum mk_flow roster_on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct roster *me = mk_inst(c);
    enum mk_type type = mk_stanza_type(ev->stanza);
    const struct mk_jid *contact = mk_jid_to_bare(c, ev->to);
    struct contacts *r;
    if (type == MK_TYPE_PROBE)
        return MK_NEXT;
    if (mk_jid_same(contact, mk_self(c)))
        return MK_STOP; /* one's own presence needs no subscription */
    if (roster_open(c, &r) != MK_OK)
        return refuse(c, ev->stanza, "internal-server-error", NULL);
    const struct contact *old = contacts_find(r, contact), *kept = NULL;
    if (is_given(r, contact, out_bit(type)))
        return MK_STOP; /* it is not the user's to begin or to end */
    struct contact k = old ? *old : (struct contact){ .item.jid = contact };
    uint32_t before = k.item.state;
    struct transition t = subscription_out(type, before);
    if (t.state != before) {
        if (!k.listed && lists(type) && r->listed >= (uint32_t)me->max_items)
            return refuse(c, ev->stanza, "policy-violation", "The roster is full.");
        k.listed |= lists(type);
        k.item.state = t.state;
        if (!(t.state & MK_SUB_PENDING_IN))
            k.request = NULL;
        if (contacts_put(c, me->contacts, r, &k, &kept) != MK_OK)
            return refuse(c, ev->stanza, "internal-server-error", NULL);
    }
    if (t.pass)
        route_from_bare(c, ev->stanza, contact);
    if (kept && kept->listed)
        roster_push(c, r, contact);
    roster_changed(c, contact, before, t.state);
    return MK_STOP;
}

MK_SUSPENDS static int send_as_user(struct mk_ctx *c, enum mk_type type, const struct mk_jid *contact) {
    struct mk_ev_stanza ev = { .to = contact };
    int rc = mk_seal(mk_new(c, MK_PRESENCE, type, contact), &ev.stanza);
    if (rc == MK_OK)
        roster_on_send(c, &ev);
    return rc;
}

int roster_befriend(struct mk_ctx *c, const struct mk_jid *contact) {
    int rc = send_as_user(c, MK_TYPE_SUBSCRIBED, mk_jid_to_bare(c, contact));
    return rc == MK_OK ? send_as_user(c, MK_TYPE_SUBSCRIBE, mk_jid_to_bare(c, contact)) : rc;
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

const char *roster_request_text(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *contact) {
    if (mk_stanza_size(s) > REQUEST_SIZE) {
        struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_SUBSCRIBE, mk_self(c));
        mk_from(o, contact);
        if (mk_seal(o, &s) != MK_OK)
            return NULL;
    }
    return mk_text_of(c, mk_stanza_xml(c, s));
}

/*
 * A request goes to who is available, the rest to who is interested (RFC 6121, 3.1.3 and 3.1.6); but those who are there
 * and did not ask for the roster want to know too.
 */
static void deliver(struct mk_ctx *c, enum mk_type type, const struct mk_ev_stanza *ev) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (mk_session_is_available(s) || (type != MK_TYPE_SUBSCRIBE && *roster_session(c, s) & SESSION_INTERESTED))
            mk_session_send(c, s, ev->stanza, ev->to);
}

/* What the roster shows is not all of the state: that the contact waits for an answer is the server's to know. */
static bool is_shown(const struct contact *k, uint32_t before, uint32_t after) {
    return k && k->listed && ((before ^ after) & ~(uint32_t)MK_SUB_PENDING_IN);
}

MK_SUSPENDS static int keep(struct mk_ctx *c, struct contacts *r, const struct mk_stanza *s, const struct contact *old,
                            const struct mk_jid *contact, uint32_t state, const struct contact **kept) {
    const struct roster *me = mk_inst(c);
    struct contact k = old ? *old : (struct contact){ .item.jid = contact };
    if (!k.listed && !k.item.state && r->count - r->listed >= (uint32_t)me->max_pending)
        return MK_E_LIMIT;
    k.item.state = state;
    if (!(state & MK_SUB_PENDING_IN))
        k.request = NULL;
    else if (!k.request)
        k.request = roster_request_text(c, s, contact);
    return contacts_put(c, me->contacts, r, &k, kept);
}

enum mk_flow roster_on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    enum mk_type type = mk_stanza_type(ev->stanza);
    const struct mk_jid *contact = mk_jid_to_bare(c, mk_stanza_from(ev->stanza));
    struct contacts *r;
    if (type == MK_TYPE_PROBE)
        return MK_NEXT;
    if (mk_jid_same(contact, mk_self(c)))
        return MK_STOP;
    if (roster_open(c, &r) != MK_OK)
        return refuse(c, ev->stanza, "internal-server-error", NULL);
    if (is_given(r, contact, out_bit(type) == MK_SUB_TO ? MK_SUB_FROM : MK_SUB_TO)) {
        reply(c, type == MK_TYPE_SUBSCRIBE ? MK_TYPE_SUBSCRIBED : MK_TYPE_NONE, contact);
        return MK_STOP;
    }
    const struct contact *old = contacts_find(r, contact), *kept = NULL;
    uint32_t before = old ? old->item.state : 0;
    struct transition t = subscription_in(type, before);
    if (t.state != before) {
        int rc = keep(c, r, ev->stanza, old, contact, t.state, &kept);
        if (rc == MK_E_LIMIT) { /* without a word, as if there were no such account */
            mk_log(c, MK_INFO, "too many subscription requests wait: that of %s is dropped", mk_jid_text(contact));
            return MK_STOP;
        }
        if (rc != MK_OK)
            return refuse(c, ev->stanza, "internal-server-error", NULL);
    }
    /* In this order: RFC 6121, 3.1.6, 3.2.3 and 3.3.3. */
    if (t.pass)
        deliver(c, type, ev);
    if (is_shown(kept, before, t.state))
        roster_push(c, r, contact);
    reply(c, t.reply, contact);
    /* Who asks for what he has got has lost it: he is shown the presence again. */
    roster_changed(c, contact, t.reply == MK_TYPE_SUBSCRIBED ? before & ~(uint32_t)MK_SUB_FROM : before, t.state);
    return MK_STOP;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

/* Requests are delivered again to each session that becomes available until they are answered (RFC 6121, 3.1.3). */
static void ask(struct mk_ctx *c, struct mk_session *session, const struct contacts *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        const struct contact *k = contact_at(r, i);
        const struct mk_stanza *s;
        if (!k->request)
            continue;
        struct mk_view xml = { k->request, strlen(k->request) };
        if (mk_stanza_read(c, xml, &s) == MK_OK)
            mk_session_send(c, session, s, NULL);
        else
            mk_log(c, MK_WARNING, "the stored request of %s is no stanza", mk_jid_text(k->item.jid));
    }
}

enum mk_flow roster_on_available(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    uint8_t *flags = roster_session(c, ev->session);
    struct contacts *r;
    if (mk_stanza_to(ev->stanza))
        return MK_NEXT;
    if (!mk_session_is_available(ev->session)) {
        *flags &= (uint8_t)~SESSION_ASKED;
    } else if (!(*flags & SESSION_ASKED) && roster_open(c, &r) == MK_OK) {
        *flags |= SESSION_ASKED;
        ask(c, ev->session, r);
    }
    return MK_NEXT;
}
