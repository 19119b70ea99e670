/* SPDX-License-Identifier: Apache-2.0 */
/* Whom an account does not know, and how much may come from them, or go to them. */
#include "spam.h"
#include <string.h>

/* What happened lately, made when it is needed.  MET: fingerprints of whom the account wrote to. */
enum { MET = 64 };
struct lately {
    uint64_t met[MET];
    uint32_t next;
    int64_t began_ms; /* of the window that is counted */
    int64_t strangers, requests, incoming;
};

static struct account *self(struct mk_ctx *c) {
    return mk_self_slot(c, SLOT_ACCOUNT);
}

void account_fini(void *slot) {
    mk_free(((struct account *)slot)->lately);
}

/* The account stays in memory for a window, or who comes and goes would not be counted. */
static struct lately *lately(struct mk_ctx *c) {
    const struct spam *me = mk_inst(c);
    struct account *a = self(c);
    int64_t now = mk_now_ms(c);
    if (!a->lately)
        a->lately = mk_malloc(sizeof *a->lately);
    if (now - a->lately->began_ms >= me->window || a->lately->began_ms == 0) {
        a->lately->began_ms = now;
        a->lately->strangers = a->lately->requests = a->lately->incoming = 0;
    }
    if (!mk_timer_runs(c, NULL, TIMER_KEEP))
        mk_timer_start(c, NULL, TIMER_KEEP, (uint32_t)me->window);
    return a->lately;
}

void on_keep_over(struct mk_ctx *c, struct mk_session *none) {
    (void)c;
    (void)none;
}

MK_SUSPENDS enum mk_flow on_loaded(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct spam *me = mk_inst(c);
    const struct mk_roster_item *const *items;
    uint32_t count;
    (void)ev;
    lists_load(c);
    self(c)->loaded = me->roster && mk_roster_items(c, me->roster, &items, &count) == MK_OK;
    return self(c)->loaded || !me->roster ? MK_NEXT : MK_STOP;
}

/* ---- who is one ---------------------------------------------------------------------------------------------------- */

static uint64_t print_of(const struct mk_jid *jid) {
    struct mk_view bare = mk_jid_bare(jid);
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < bare.len; i++)
        hash = (hash ^ (unsigned char)bare.s[i]) * 1099511628211u; /* FNV-1a */
    return hash;
}

static bool has_met(struct mk_ctx *c, uint64_t print) {
    const struct lately *l = self(c)->lately;
    for (unsigned i = 0; l && i < MET; i++)
        if (l->met[i] == print)
            return true;
    return false;
}

static bool is_trusted(struct mk_ctx *c, struct mk_view domain) {
    const struct spam *me = mk_inst(c);
    if (me->trust_local && mk_is_local(c, domain))
        return true;
    for (unsigned i = 0; i < me->trusted.count; i++)
        if (strlen(me->trusted.items[i]) == domain.len && memcmp(me->trusted.items[i], domain.s, domain.len) == 0)
            return true;
    return false;
}

/* In the roster, and not only because of a request of theirs. */
static bool is_contact(struct mk_ctx *c, const struct mk_jid *jid) {
    const struct spam *me = mk_inst(c);
    const struct mk_roster_item *item;
    return mk_roster_find(c, me->roster, mk_jid_to_bare(c, jid), &item) == MK_OK && item->state != MK_SUB_PENDING_IN;
}

/* Until the roster is known nobody is one.  Servers speak for themselves. */
static bool is_stranger(struct mk_ctx *c, const struct mk_jid *jid) {
    if (!self(c)->loaded || !jid || !mk_jid_local(jid).len || mk_jid_same_bare(jid, mk_self(c)) ||
        mk_is_admin(c, jid) || is_trusted(c, mk_jid_domain(jid)))
        return false;
    return !is_contact(c, jid);
}

/* ---- what comes ---------------------------------------------------------------------------------------------------- */

static enum mk_flow turn_away(struct mk_ctx *c, const struct mk_stanza *s, int64_t how, unsigned metric,
                              const char *cond, const char *text) {
    mk_count(c, metric, 1);
    if (how == REFUSE && mk_refuse(c, s, cond, text) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    return MK_STOP;
}

enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct spam *me = mk_inst(c);
    const struct mk_jid *from = mk_stanza_from(ev->stanza);
    enum mk_type type = mk_stanza_type(ev->stanza);
    if (ev->again || type == MK_TYPE_ERROR || type == MK_TYPE_GROUPCHAT || !is_stranger(c, from))
        return MK_NEXT;
    if (me->listed != ALLOW && is_listed(c, from))
        return turn_away(c, ev->stanza, me->listed, M_LISTED, "policy-violation", "You are on a block list.");
    if (has_met(c, print_of(from)))
        return MK_NEXT;
    if (me->strangers != ALLOW)
        return turn_away(c, ev->stanza, me->strangers, M_STRANGERS, "policy-violation",
                         "This account takes messages from its contacts only.");
    if (me->max_incoming && ++lately(c)->incoming > me->max_incoming)
        return turn_away(c, ev->stanza, REFUSE, M_LIMITED, "policy-violation",
                         "Too many strangers write to this account.");
    return MK_NEXT;
}

/* An error would tell that there is such an account; to be denied is what happens to strangers anyway. */
enum mk_flow on_requested(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct spam *me = mk_inst(c);
    if (mk_stanza_type(ev->stanza) != MK_TYPE_SUBSCRIBE || me->listed == ALLOW ||
        !is_stranger(c, mk_stanza_from(ev->stanza)) || !is_listed(c, mk_stanza_from(ev->stanza)))
        return MK_NEXT;
    mk_count(c, M_LISTED, 1);
    return MK_STOP;
}

/* ---- what goes ----------------------------------------------------------------------------------------------------- */

enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct spam *me = mk_inst(c);
    enum mk_type type = mk_stanza_type(ev->stanza);
    if (type == MK_TYPE_ERROR || type == MK_TYPE_GROUPCHAT || !is_stranger(c, ev->to))
        return MK_NEXT;
    uint64_t print = print_of(ev->to);
    if (has_met(c, print))
        return MK_NEXT;
    struct lately *l = lately(c);
    if (me->max_strangers && l->strangers >= me->max_strangers)
        return turn_away(c, ev->stanza, REFUSE, M_LIMITED, "policy-violation",
                         "You write to too many whom you do not know.");
    l->strangers++;
    l->met[l->next++ % MET] = print;
    return MK_NEXT;
}

enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct spam *me = mk_inst(c);
    if (mk_stanza_type(ev->stanza) != MK_TYPE_SUBSCRIBE || !me->max_requests || !is_stranger(c, ev->to))
        return MK_NEXT;
    if (++lately(c)->requests > me->max_requests)
        return turn_away(c, ev->stanza, REFUSE, M_LIMITED, "policy-violation", "You ask too many to be contacts.");
    return MK_NEXT;
}
