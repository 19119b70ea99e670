/* SPDX-License-Identifier: Apache-2.0 */
/* Presence of accounts and of their contacts, for the components that may see it. */
#include "privilege.h"
#include <string.h>

#define JOINED "privilege.joined "

/* What a session said when it became available, while it is; for components that come later.  NULL: it is not. */
struct session {
    const struct mk_stanza *initial; /* OWNED */
};

void session_fini(void *slot) {
    mk_release(((struct session *)slot)->initial);
}

static bool sees_accounts(const char *grant) {
    return grant_has(grant, "presence", "managed_entity") || grant_sees_contacts(grant);
}

static void send_to_all(struct mk_ctx *c, const struct mk_stanza *s, bool (*sees)(const char *grant)) {
    const struct privilege *me = mk_inst(c);
    for (uint32_t i = 0; i < me->grants.count; i++) {
        const struct mk_jid *to = sees(me->grants.items[i]) ? grant_address(c, me->grants.items[i]) : NULL;
        if (to)
            mk_route(c, s, to);
    }
}

enum mk_flow on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct session *x = mk_session_slot(c, ev->session, SLOT_SESSION);
    bool available = mk_stanza_type(ev->stanza) == MK_TYPE_AVAILABLE;
    if (mk_stanza_to(ev->stanza))
        return MK_NEXT;
    if (available == (x->initial != NULL)) {
        if (available)
            send_to_all(c, ev->stanza, grant_sees_contacts);
        return MK_NEXT;
    }
    mk_release(x->initial);
    x->initial = available ? mk_keep(ev->stanza) : NULL;
    send_to_all(c, ev->stanza, sees_accounts);
    return MK_NEXT;
}

enum mk_flow on_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    struct session *x = mk_session_slot(c, ev->session, SLOT_SESSION);
    const struct mk_stanza *s;
    if (!x->initial)
        return MK_NEXT;
    mk_release(x->initial);
    x->initial = NULL;
    struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_UNAVAILABLE, NULL);
    mk_from(o, mk_session_jid(ev->session));
    if (mk_seal(o, &s) == MK_OK)
        send_to_all(c, s, sees_accounts);
    return MK_NEXT;
}

/* Those of the host itself on_presence() has sent already. */
enum mk_flow on_contact(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_jid *from = mk_stanza_from(ev->stanza);
    enum mk_type type = mk_stanza_type(ev->stanza);
    bool shown = type == MK_TYPE_AVAILABLE || type == MK_TYPE_UNAVAILABLE;
    if (shown && !is_of_host(c, from) && !grant_of(c, from))
        send_to_all(c, ev->stanza, grant_sees_contacts);
    return MK_NEXT;
}

/* ---- one that has come ------------------------------------------------------------------------------------------------- */

void presence_tell(struct mk_ctx *c, const char *component) {
    mk_tell_accounts(c, mk_printf(c, JOINED "%s", component));
}

enum mk_flow on_told(struct mk_ctx *c, struct mk_ev_told *ev) {
    const struct mk_jid *to;
    const char *name = ev->what + strlen(JOINED);
    if (strncmp(ev->what, JOINED, strlen(JOINED)) != 0 ||
        mk_jid_parse(c, (struct mk_view){ name, strlen(name) }, &to) != MK_OK)
        return MK_NEXT;
    const char *grant = grant_of(c, to);
    for (struct mk_session *s = NULL; grant && sees_accounts(grant) && (s = mk_session_next(c, s)) != NULL;) {
        const struct session *x = mk_session_slot(c, s, SLOT_SESSION);
        if (x->initial)
            mk_route(c, x->initial, to);
    }
    return MK_NEXT;
}
