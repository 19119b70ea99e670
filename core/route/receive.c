/* SPDX-License-Identifier: Apache-2.0 */
/* What an account does with a stanza sent to it: RFC 6121, section 8.5. */
#include "route/query.h"
#include "route/router.h"
#include "run/metric.h"
#include "util/mem.h"
#include <string.h>

struct targets {
    struct mk_session *sessions[MAX_SESSIONS];
    uint32_t count;
};

static void refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond) {
    METRIC(c->worker, bounces, 1);
    if (mk_refuse(c, s, cond, NULL) != 0)
        mk_log(c, MK_DEBUG, "could not answer with %s", cond);
}

static struct mk_session *addressed(const struct account *a, const struct mk_jid *to) {
    return to->resource_len ? session_find(a, jid_resource(to), to->resource_len) : NULL;
}

/* All that are available and would rather have it: those of the highest priority, or all not negative if EVERY. */
static void most_available(const struct account *a, bool every, struct targets *out) {
    int best = 0;
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        if (!s->available || s->priority < 0 || (!every && out->count && s->priority < best))
            continue;
        if (!every && s->priority > best)
            out->count = 0;
        best = s->priority > best ? s->priority : best;
        if (out->count < MAX_SESSIONS)
            out->sessions[out->count++] = s;
    }
}

static void all_available(const struct account *a, struct targets *out) {
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        if (s->available && out->count < MAX_SESSIONS)
            out->sessions[out->count++] = s;
    }
}

static void deliver(struct mk_ctx *c, enum mk_hook hook, const struct mk_stanza *s, const struct mk_jid *to,
                    struct targets *t) {
    struct mk_ev_stanza ev = {
        .stanza = s, .to = to, .targets = t->sessions, .target_count = t->count, .again = c->again
    };
    if (chain_run(c, hook, &ev))
        return;
    const struct mk_jid *other = to == mk_stanza_to(s) ? NULL : to;
    for (uint32_t i = 0; i < t->count - ev.skipped; i++)
        session_deliver(c, t->sessions[i], ev.stanza, other);
}

/* The targets of an event lie in a struct targets of ours. */
void mk_skip_target(struct mk_ev_stanza *ev, uint32_t i) {
    struct mk_session **sessions = (struct mk_session **)ev->targets, *skipped = sessions[i];
    uint32_t last = ev->target_count - ++ev->skipped;
    sessions[i] = sessions[last];
    sessions[last] = skipped;
}

bool is_undeliverable(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    struct mk_ev_stanza ev = { .stanza = s, .to = to };
    return mk_stanza_kind(s) == MK_MESSAGE && mk_stanza_type(s) != MK_TYPE_ERROR && c->host &&
           chain_run(c, MK_HOOK_message_undeliverable, &ev);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* Who gets a message; false if it has been dealt with.  Offline kinds leave T empty and return true. */
static bool message_targets(struct mk_ctx *c, struct account *a, const struct mk_stanza *s, const struct mk_jid *to,
                            struct targets *t) {
    enum mk_type type = mk_stanza_type(s);
    struct mk_session *exact = addressed(a, to);
    if (exact) {
        t->sessions[t->count++] = exact;
        return true;
    }
    switch (type) {
    case MK_TYPE_ERROR:
        return false;
    case MK_TYPE_GROUPCHAT:
        refuse(c, s, "service-unavailable");
        return false;
    case MK_TYPE_HEADLINE:
        if (to->resource_len)
            return false;
        most_available(a, true, t);
        return t->count != 0;
    default:
        most_available(a, false, t);
        return true;
    }
}

MK_SUSPENDS static void receive_message(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                        const struct mk_jid *to) {
    struct targets t = { .count = 0 };
    if (!message_targets(c, a, s, to, &t))
        return;
    if (!t.count && !a->session_count) {
        int rc = account_check(c, a);
        if (rc != 0) {
            if (rc != MK_E_NOTFOUND)
                refuse_rc(c, s, rc);
            else if (!is_undeliverable(c, s, to))
                refuse(c, s, "service-unavailable");
            return;
        }
    }
    struct mk_ev_stanza ev = { .stanza = s, .to = to, .targets = t.sessions, .again = c->again };
    account_load(c, a);
    if (t.count) {
        deliver(c, MK_HOOK_user_receive_message, s, to, &t);
        return;
    }
    if (chain_run(c, MK_HOOK_user_receive_message, &ev) || chain_run(c, MK_HOOK_user_offline_message, &ev))
        return;
    refuse(c, s, "service-unavailable");
}

/* ---- presence ---------------------------------------------------------------------------------------------------- */

static bool is_subscription(const struct mk_stanza *s) {
    enum mk_type t = mk_stanza_type(s);
    return t >= MK_TYPE_SUBSCRIBE && t <= MK_TYPE_PROBE;
}

/* RFC 6121, 4.3.2: the answer of those who are not subscribed to, so that it does not tell who exists. */
static void answer_probe(struct mk_ctx *c, const struct account *a, const struct mk_stanza *s) {
    struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_UNSUBSCRIBED, mk_jid_to_bare(c, mk_stanza_from(s)));
    mk_from(o, a->entity.jid);
    if (mk_send(o) != 0)
        mk_log(c, MK_DEBUG, "a probe could not be answered");
}

MK_SUSPENDS static void receive_presence(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                         const struct mk_jid *to) {
    struct targets t = { .count = 0 };
    if (is_subscription(s)) {
        struct mk_ev_stanza ev = { .stanza = s, .to = to };
        int rc = a->session_count ? 0 : account_check(c, a);
        if (rc == MK_E_NOTFOUND && mk_stanza_type(s) == MK_TYPE_PROBE)
            answer_probe(c, a, s);
        if (rc != 0)
            return;
        account_load(c, a);
        chain_run(c, MK_HOOK_user_receive_subscription, &ev);
        return;
    }
    if (to->resource_len) {
        struct mk_session *exact = addressed(a, to);
        if (exact)
            t.sessions[t.count++] = exact;
    } else {
        all_available(a, &t);
    }
    if (!t.count)
        return;
    account_load(c, a);
    deliver(c, MK_HOOK_user_receive_presence, s, to, &t);
}

/* ---- iq ---------------------------------------------------------------------------------------------------------- */

/* An iq of somebody else that a plugin is to answer for the account. */
MK_SUSPENDS static bool is_filtered(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                    const struct mk_jid *to) {
    struct mk_ev_stanza ev = { .stanza = s, .to = to };
    if (mk_jid_same_bare(mk_stanza_from(s), a->entity.jid))
        return false;
    account_load(c, a);
    return chain_run(c, MK_HOOK_user_receive_iq, &ev);
}

/* An iq get or set to its bare JID. */
MK_SUSPENDS static void receive_request(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                        const struct mk_jid *to) {
    const struct iq_entry *entry = iq_find(c->host->type, s, MK_TO_ACCOUNT);
    bool owner = mk_jid_same_bare(mk_stanza_from(s), a->entity.jid);
    bool hooked = c->host->type->chains[MK_HOOK_iq_request].count;
    if (!hooked && entry && entry->row->flags & MK_OWNER && !owner)
        entry = NULL;
    if ((entry || hooked) && !a->session_count && account_check(c, a) != 0) {
        iq_handle(c, NULL, s);
        return;
    }
    if ((entry || hooked) && is_filtered(c, a, s, to))
        return;
    struct mk_ev_request ev = { .iq = s, .for_account = true, .as_owner = owner };
    if (hooked && chain_run(c, MK_HOOK_iq_request, &ev))
        return;
    iq_handle(c, entry && entry->row->flags & MK_OWNER && !ev.as_owner ? NULL : entry, s);
}

MK_SUSPENDS static void receive_iq(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                   const struct mk_jid *to) {
    enum mk_type type = mk_stanza_type(s);
    bool request = type == MK_TYPE_GET || type == MK_TYPE_SET;
    struct mk_session *exact = addressed(a, to);
    if (exact) {
        struct targets t = { { exact }, 1 };
        account_load(c, a);
        deliver(c, MK_HOOK_user_receive_iq, s, to, &t);
        return;
    }
    if (!request) {
        query_take(s);
        return;
    }
    if (to->resource_len)
        iq_handle(c, NULL, s);
    else
        receive_request(c, a, s, to);
}

/* ------------------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS void account_receive(struct mk_ctx *c, struct account *a, const struct mk_stanza *s,
                                 const struct mk_jid *to) {
    c->handling = s;
    switch (mk_stanza_kind(s)) {
    case MK_MESSAGE:
        receive_message(c, a, s, to);
        break;
    case MK_PRESENCE:
        receive_presence(c, a, s, to);
        break;
    case MK_IQ:
        receive_iq(c, a, s, to);
        break;
    default:
        break;
    }
}

static bool iq_suspends(const struct account *a, const struct mk_stanza *s, const struct mk_jid *to) {
    const struct host_type *t = a->entity.host->type;
    if (to->resource_len)
        return t->chains[MK_HOOK_user_receive_iq].suspends;
    enum mk_type type = mk_stanza_type(s);
    if (type != MK_TYPE_GET && type != MK_TYPE_SET)
        return false;
    const struct iq_entry *entry = iq_find(t, s, MK_TO_ACCOUNT);
    bool hooked = t->chains[MK_HOOK_iq_request].count;
    return (entry && entry->row->mode == MK_SERIAL) ||
           ((entry || hooked) &&
            ((!a->session_count && a->exists == EXISTS_UNKNOWN) ||
             (t->chains[MK_HOOK_user_receive_iq].suspends && !mk_jid_same_bare(mk_stanza_from(s), a->entity.jid))));
}

bool account_receive_suspends(const struct account *a, const struct mk_stanza *s, const struct mk_jid *to) {
    const struct chain *chains = a->entity.host->type->chains;
    if (account_load_suspends(a))
        return true;
    switch (mk_stanza_kind(s)) {
    case MK_MESSAGE: {
        if (addressed(a, to))
            return chains[MK_HOOK_user_receive_message].suspends;
        struct targets t = { .count = 0 };
        most_available(a, true, &t);
        return !t.count || chains[MK_HOOK_user_receive_message].suspends;
    }
    case MK_PRESENCE:
        return is_subscription(s) || (a->session_count && chains[MK_HOOK_user_receive_presence].suspends);
    default:
        return iq_suspends(a, s, to);
    }
}
