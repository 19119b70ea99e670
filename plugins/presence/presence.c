/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6121, section 4: what sessions announce of themselves, to whom, and what is answered to who asks.  The contacts
 * come from the roster; without one only the account's own sessions see each other.
 */
#include "directed.h"
#include <meerkat/plugin.h>
#include <meerkat/roster.h>
#include <stdlib.h>
#include <string.h>

struct presence {
    int64_t max_directed;
    const struct mk_roster *roster;
};

/* LAST is what it announced, as XML, NULL while it is not available: text, since every idle session keeps one. */
struct session {
    char *last;
    struct directed directed;
};

enum { SLOT_SESSION };
enum { M_BROADCASTS, M_NOTIFICATIONS };

struct people {
    const struct mk_roster_item *const *items;
    uint32_t count;
};

static struct session *slot(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

static void forget_last(struct session *x) {
    mk_free(x->last);
    x->last = NULL;
}

static void fini_session(void *p) {
    struct session *x = p;
    forget_last(x);
    directed_clear(&x->directed);
}

MK_SUSPENDS static int get_people(struct mk_ctx *c, struct people *out) {
    const struct presence *me = mk_inst(c);
    *out = (struct people){ NULL, 0 };
    return me->roster ? mk_roster_items(c, me->roster, &out->items, &out->count) : MK_OK;
}

static enum mk_flow refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text) {
    if (mk_refuse(c, s, cond, text) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal with %s was not sent", cond);
    return MK_STOP;
}

/* ---- what is kept of a presence -------------------------------------------------------------------------------------- */

/* The priority, 0 if there is none.  False if it is no number from -128 to 127. */
static bool read_priority(struct mk_ctx *c, const struct mk_stanza *s, int *priority) {
    const struct mk_elem *e = mk_child(s, "priority", mk_elem_ns(mk_root(s)));
    *priority = 0;
    if (!e)
        return true;
    const char *text = mk_text(c, e);
    text += strspn(text, " \t\r\n");
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || end[strspn(end, " \t\r\n")] || value < -128 || value > 127)
        return false;
    *priority = (int)value;
    return true;
}

/* A copy of presence S that says when it was sent, for those who come later.  OWNED, or NULL. */
static char *keep(struct mk_ctx *c, const struct mk_stanza *s) {
    const struct mk_stanza *stamped;
    struct mk_out *o = mk_derive(c, s, "urn:xmpp:delay");
    mk_put_delay(o, mk_stanza_from(s), mk_now(c));
    int rc = mk_seal(o, &stamped);
    if (rc != MK_OK) {
        mk_log(c, MK_ERROR, "a presence can't be kept: %s", mk_strerror(rc));
        return NULL;
    }
    struct mk_view xml = mk_stanza_xml(c, stamped);
    return memcpy(mk_malloc(xml.len + 1), xml.s, xml.len);
}

/* The same as a stanza again; NULL if nothing is kept. */
static const struct mk_stanza *last_of(struct mk_ctx *c, const struct session *x) {
    const struct mk_stanza *s;
    if (!x->last)
        return NULL;
    int rc = mk_stanza_read(c, (struct mk_view){ x->last, strlen(x->last) }, &s);
    if (rc == MK_OK)
        return s;
    mk_log(c, MK_ERROR, "a kept presence can't be read: %s", mk_strerror(rc));
    return NULL;
}

static const struct mk_stanza *unavailable(struct mk_ctx *c, struct mk_session *session) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_UNAVAILABLE, NULL);
    mk_from(o, mk_session_jid(session));
    return mk_seal(o, &s) == MK_OK ? s : NULL;
}

/* ---- telling --------------------------------------------------------------------------------------------------------- */

/* Presence S of SESSION to TO, unless somebody filters it. */
static bool notify(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s, const struct mk_jid *to) {
    struct mk_ev_stanza ev = { .stanza = s, .to = to, .session = session };
    if (mk_run_user_notify_presence(c, &ev))
        return false;
    mk_route_online(c, ev.stanza, to);
    return true;
}

static void tell_contacts(struct mk_ctx *c, const struct people *p, struct mk_session *session,
                          const struct mk_stanza *s) {
    int64_t told = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->items[i]->state & MK_SUB_FROM)
            told += notify(c, session, s, p->items[i]->jid);
    mk_count(c, M_BROADCASTS, 1);
    mk_count(c, M_NOTIFICATIONS, told);
}

static void tell_own(struct mk_ctx *c, const struct mk_stanza *s) {
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;)
        if (mk_session_is_available(x))
            mk_session_send(c, x, s, mk_session_jid(x));
}

/* State of the contact that JID belongs to; one's own account sees all. */
MK_SUSPENDS static uint32_t state_of(struct mk_ctx *c, const struct mk_jid *jid) {
    const struct presence *me = mk_inst(c);
    const struct mk_roster_item *item;
    if (mk_jid_same_bare(jid, mk_self(c)))
        return MK_SUB_FROM;
    if (!me->roster || mk_roster_find(c, me->roster, mk_jid_to_bare(c, jid), &item) != MK_OK)
        return 0;
    return item->state;
}

/* Who got directed presence hears of the end too (RFC 6121, 4.6.3), unless the broadcast told it. */
MK_SUSPENDS static void tell_directed(struct mk_ctx *c, struct mk_session *session, bool broadcast,
                                      const struct mk_stanza *s) {
    struct session *x = slot(c, session);
    for (uint32_t i = 0; i < x->directed.count; i++)
        if (!broadcast || !(state_of(c, x->directed.jids[i]) & MK_SUB_FROM))
            notify(c, session, s, x->directed.jids[i]);
    directed_clear(&x->directed);
}

/*
 * From the full JID of FROM, so that its contacts answer that session alone (RFC 6121, 4.3.1).  Contacts of this server who
 * are away say nothing: that costs a login nothing for them, and they are taken for unavailable anyway (4.3.2).
 */
static void probe_contacts(struct mk_ctx *c, const struct people *p, const struct mk_jid *from) {
    const struct mk_stanza *probe;
    struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_PROBE, NULL);
    mk_from(o, from);
    if (mk_seal(o, &probe) != MK_OK)
        return;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->items[i]->state & MK_SUB_TO)
            mk_route_online(c, probe, p->items[i]->jid);
}

/* A session that has just become available sees the others. */
static void show_own(struct mk_ctx *c, struct mk_session *session) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;) {
        const struct mk_stanza *last = s != session ? last_of(c, slot(c, s)) : NULL;
        if (last)
            mk_session_send(c, session, last, mk_session_jid(session));
    }
}

/* ---- presence without `to` ------------------------------------------------------------------------------------------ */

MK_SUSPENDS static enum mk_flow announce(struct mk_ctx *c, const struct mk_ev_stanza *ev) {
    struct session *x = slot(c, ev->session);
    bool initial = !mk_session_is_available(ev->session);
    struct people people;
    int priority;
    if (!read_priority(c, ev->stanza, &priority))
        return refuse(c, ev->stanza, "bad-request", "The priority is no number from -128 to 127.");
    if (get_people(c, &people) != MK_OK)
        return refuse(c, ev->stanza, "internal-server-error", NULL);
    mk_session_set_presence(ev->session, true, priority);
    forget_last(x);
    tell_contacts(c, &people, ev->session, ev->stanza);
    tell_own(c, ev->stanza);
    if (initial) {
        show_own(c, ev->session);
        probe_contacts(c, &people, mk_session_jid(ev->session));
    }
    x->last = keep(c, ev->stanza);
    return MK_NEXT;
}

/* S says that SESSION is not available any more.  If it never was, only those hear it who got directed presence. */
MK_SUSPENDS static void withdraw(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s) {
    struct session *x = slot(c, session);
    struct people people;
    bool broadcast = false;
    if (mk_session_is_available(session)) {
        broadcast = get_people(c, &people) == MK_OK;
        mk_session_set_presence(session, false, 0);
        forget_last(x);
        tell_own(c, s);
    }
    if (broadcast)
        tell_contacts(c, &people, session, s);
    tell_directed(c, session, broadcast, s);
}

/* ---- presence with `to` --------------------------------------------------------------------------------------------- */

static enum mk_flow direct(struct mk_ctx *c, const struct mk_ev_stanza *ev) {
    const struct presence *me = mk_inst(c);
    struct directed *list = &slot(c, ev->session)->directed;
    enum mk_type type = mk_stanza_type(ev->stanza);
    if (type == MK_TYPE_UNAVAILABLE)
        directed_remove(list, ev->to);
    else if (type == MK_TYPE_AVAILABLE && !mk_jid_same_bare(ev->to, mk_self(c)) &&
             !directed_add(list, ev->to, (uint32_t)me->max_directed))
        return refuse(c, ev->stanza, "policy-violation", "Too many others have your directed presence.");
    return MK_NEXT;
}

/* ---- hooks ---------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (mk_stanza_to(ev->stanza))
        return direct(c, ev);
    switch (mk_stanza_type(ev->stanza)) {
    case MK_TYPE_AVAILABLE:
        return announce(c, ev);
    case MK_TYPE_UNAVAILABLE:
        if (mk_session_is_available(ev->session))
            mk_session_send(c, ev->session, ev->stanza, mk_session_jid(ev->session));
        withdraw(c, ev->session, ev->stanza);
        return MK_NEXT;
    default:
        return MK_STOP; /* an error in answer to nobody */
    }
}

static enum mk_flow on_sent(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)c;
    return mk_stanza_to(ev->stanza) ? MK_NEXT : MK_STOP;
}

MK_SUSPENDS static enum mk_flow on_session_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    const struct mk_stanza *s = unavailable(c, ev->session);
    if (s)
        withdraw(c, ev->session, s);
    return MK_NEXT;
}

/* It is announced anew when the session is there again. */
static enum mk_flow on_session_saved(struct mk_ctx *c, struct mk_ev_state *ev) {
    const struct mk_stanza *last = last_of(c, slot(c, ev->session));
    if (last)
        mk_put_stanza(ev->out, last);
    return MK_NEXT;
}

/* Whom our presence does not reach can do without its end. */
static enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (mk_stanza_type(ev->stanza) == MK_TYPE_ERROR)
        for (uint32_t i = 0; i < ev->target_count; i++)
            directed_remove(&slot(c, ev->targets[i])->directed, mk_stanza_from(ev->stanza));
    return MK_NEXT;
}

static void answer_unavailable(struct mk_ctx *c, enum mk_type type, const struct mk_jid *to) {
    if (mk_send(mk_new(c, MK_PRESENCE, type, to)) != MK_OK)
        mk_log(c, MK_ERROR, "a probe was not answered");
}

/*
 * RFC 6121, 4.3.2.  Who may not see the account learns that it has no subscription; but while it waits for one, that
 * would deny it.
 */
MK_SUSPENDS static enum mk_flow on_probe(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_jid *from = mk_stanza_from(ev->stanza);
    if (mk_stanza_type(ev->stanza) != MK_TYPE_PROBE)
        return MK_NEXT;
    uint32_t state = state_of(c, from);
    bool answered = false;
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;) {
        struct session *x = slot(c, s);
        const struct mk_stanza *last = state & MK_SUB_FROM || directed_has(&x->directed, from) ? last_of(c, x) : NULL;
        if (!last)
            continue;
        answered |= notify(c, s, last, from);
    }
    if (!answered && state & MK_SUB_FROM)
        answer_unavailable(c, MK_TYPE_UNAVAILABLE, from);
    else if (!answered && !(state & MK_SUB_PENDING_IN))
        answer_unavailable(c, MK_TYPE_UNSUBSCRIBED, mk_jid_to_bare(c, from));
    return MK_STOP;
}

/* A subscription begins with the presence there is and ends with its end (RFC 6121, 3.1.5, 3.2.2, 3.3.3). */
static enum mk_flow on_contact_changed(struct mk_ctx *c, struct mk_ev_contact *ev) {
    bool saw = ev->before & MK_SUB_FROM, now = ev->after & MK_SUB_FROM;
    for (struct mk_session *s = NULL; saw != now && (s = mk_session_next(c, s)) != NULL;) {
        const struct mk_stanza *told = last_of(c, slot(c, s));
        if (!told)
            continue;
        if (now || (told = unavailable(c, s)) != NULL)
            notify(c, s, told, ev->contact);
    }
    return MK_NEXT;
}

/* Of JID, whom presence of the session went to, or goes to now. */
static void refilter(struct mk_ctx *c, const struct mk_ev_presence_filter *ev, const struct mk_stanza *last,
                     const struct mk_jid *jid) {
    struct mk_ev_stanza now = { .stanza = last, .to = jid, .session = ev->session };
    bool was = ev->was_stopped(ev->arg, ev->session, jid), is = mk_run_user_notify_presence(c, &now);
    const struct mk_stanza *end = !was && is ? unavailable(c, ev->session) : NULL;
    if (end)
        mk_route(c, end, jid);
    else if (was && !is)
        mk_route(c, now.stanza, jid);
}

MK_SUSPENDS static enum mk_flow on_filter_changed(struct mk_ctx *c, struct mk_ev_presence_filter *ev) {
    struct session *x = slot(c, ev->session);
    const struct mk_stanza *last = last_of(c, x);
    struct people people;
    if (last && get_people(c, &people) == MK_OK)
        for (uint32_t i = 0; i < people.count; i++)
            if (people.items[i]->state & MK_SUB_FROM)
                refilter(c, ev, last, people.items[i]->jid);
    /* What went to these is not kept: they see the end, and the next one that is sent to them. */
    const struct mk_stanza *end = x->directed.count ? unavailable(c, ev->session) : NULL;
    for (uint32_t i = x->directed.count; end && i-- > 0;) {
        struct mk_ev_stanza now = { .stanza = end, .to = x->directed.jids[i], .session = ev->session };
        if (ev->was_stopped(ev->arg, ev->session, now.to) || !mk_run_user_notify_presence(c, &now))
            continue;
        mk_route(c, end, now.to);
        directed_remove(&x->directed, now.to);
    }
    return MK_NEXT;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(struct presence, max_directed, "1000", 1, 100000, MK_OPT_LIVE,
               "Most addresses, rooms for instance, that one session may send directed presence to. "
               "They are remembered, to be told when the session ends."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct presence, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_presence, MK_ORDER_PRESENCE, MK_SERIAL, on_send),
    MK_ON(user_send_presence, MK_ORDER_PRESENCE_DONE, MK_INLINE, on_sent),
    MK_ON(user_receive_presence, MK_ORDER_PRESENCE, MK_INLINE, on_receive),
    MK_ON(user_receive_subscription, MK_ORDER_PRESENCE, MK_SERIAL, on_probe),
    MK_ON(contact_changed, MK_ORDER_PRESENCE, MK_INLINE, on_contact_changed),
    MK_ON(session_closed, MK_ORDER_SESSION, MK_SERIAL, on_session_closed),
    MK_ON(session_saved, MK_ORDER_SESSION, MK_INLINE, on_session_saved),
    MK_ON(presence_filter_changed, MK_ORDER_PRESENCE, MK_SERIAL, on_filter_changed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "session", MK_ON_SESSION, sizeof(struct session), NULL, fini_session },
};
static const struct mk_metric_decl metrics[] = {
    [M_BROADCASTS] = { "broadcasts", MK_COUNTER, 0, "stanzas",
                       "Presence that sessions announced, or that their end did." },
    [M_NOTIFICATIONS] = { "notifications", MK_COUNTER, 0, "stanzas", "Presence sent to contacts because of that." },
};
static const struct mk_xep_decl xeps[] = {
    { "0203", "2.0", "partial", "Presence shown later says when it was sent." },
};

MK_PLUGIN(presence, .version = "1.0", .summary = "Presence broadcast, probes and directed presence (RFC 6121)",
          .inst_size = sizeof(struct presence), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps));
