/* SPDX-License-Identifier: Apache-2.0 */
#include "route/router.h"
#include "component/component.h"
#include "route/query.h"
#include "route/receipt.h"
#include "route/room.h"
#include "run/metric.h"
#include "s2s/s2s.h"
#include "util/mem.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

/* A stanza on its way to an entity, perhaps to another worker first. */
struct delivery {
    struct mail mail;
    struct post post;
    struct mk_stanza *stanza;
    const struct mk_jid *to; /* of the stanza, or OWNED below */
    struct mk_jid *own_to;
    struct mk_receipt *receipt;
    /* One of them, of the sender's snapshot; found again by name on another worker. */
    const struct host *host;
    const struct domain *domain;
    bool for_host, again, online;
};

enum {
    SPARE_MAX = 256,
    MAILBOX_FACTOR = 8 /* times limits.mailbox: what an entity may have waiting */
};
static __thread struct delivery *spare;
static __thread unsigned spare_count;

static struct delivery *delivery_new(const struct mk_stanza *s, const struct mk_jid *to) {
    struct delivery *d = spare;
    if (d) {
        spare = (struct delivery *)d->mail.next;
        spare_count--;
    } else {
        d = xmalloc(sizeof *d);
    }
    *d = (struct delivery){ .stanza = stanza_ref(s), .receipt = mk_receipt_hold(s) };
    d->own_to = to == s->to ? NULL : mk_jid_keep(to);
    d->to = d->own_to ? d->own_to : to;
    d->for_host = !to->local_len;
    return d;
}

static void delivery_free(struct delivery *d) {
    mk_receipt_pay(d->receipt);
    mk_jid_free(d->own_to);
    mk_release(d->stanza);
    if (spare_count < SPARE_MAX) {
        d->mail.next = (struct mail *)spare;
        spare = d;
        spare_count++;
    } else {
        free(d);
    }
}

void router_trim(void) {
    while (spare) {
        struct delivery *d = spare;
        spare = (struct delivery *)d->mail.next;
        free(d);
    }
    spare_count = 0;
}

static void refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond) {
    METRIC(c->worker, bounces, 1);
    if (mk_refuse(c, s, cond, NULL) != 0)
        mk_log(c, MK_DEBUG, "could not answer with %s", cond);
}

/* Presence that asks for nothing goes unanswered. */
static void refuse_unless_presence(struct mk_ctx *c, const struct mk_stanza *s, const char *cond) {
    if (mk_stanza_kind(s) != MK_PRESENCE || mk_stanza_type(s) == MK_TYPE_SUBSCRIBE)
        refuse(c, s, cond);
}

MK_SUSPENDS static void deliver_to_room(struct mk_ctx *c, struct delivery *d) {
    if (!room_receive(c, room_of(c->entity), d->stanza, d->to))
        refuse_unless_presence(c, d->stanza, "remote-server-not-found");
}

MK_SUSPENDS static void deliver_turn(struct mk_ctx *c, struct mail *m) {
    struct delivery *d = container_of(m, struct delivery, mail);
    c->handling = d->stanza;
    c->again = d->again;
    if (d->domain)
        deliver_to_room(c, d);
    else if (d->for_host)
        host_receive(c, d->stanza, d->to);
    else
        account_receive(c, account_of(c->entity), d->stanza, d->to);
}

static bool deliver_needs(struct mk_entity *e, struct mail *m) {
    struct delivery *d = container_of(m, struct delivery, mail);
    if (d->domain)
        return room_receive_suspends(room_of(e));
    return d->for_host || account_receive_suspends(account_of(e), d->stanza, d->to);
}

static void deliver_done(struct mail *m) {
    delivery_free(container_of(m, struct delivery, mail));
}

static struct mk_entity *recipient(const struct delivery *d) {
    if (d->domain)
        return &room_get(d->domain, d->to)->entity;
    return d->for_host ? host_entity(d->host) : &account_get(d->host, d->to)->entity;
}

/*
 * The senders' connections go on being read, whatever becomes of one recipient: past a multiple of the mark at which its
 * own connections stop, what others send is refused.  Answers are not answered, so this ends.
 */
static void refuse_overflow(struct mk_ctx *c, struct mk_entity *e, struct delivery *d) {
    struct mk_ctx own;
    METRIC(this_worker, mail_refused, 1);
    if (!c)
        turn_begin(&own, NULL, e->host, e->jid);
    refuse_unless_presence(c ? c : &own, d->stanza, "resource-constraint");
    if (!c)
        turn_end(&own);
    delivery_free(d);
}

/* What an account without a session can do without; looking costs nothing, and nothing is made or read for it. */
static bool is_missed(const struct delivery *d) {
    if (!d->online || !d->host || d->for_host)
        return false;
    const struct account *a = account_find(d->to);
    return !a || !a->session_count;
}

/* C: the turn that sends it, NULL if it comes from another worker. */
static void deliver_here(struct mk_ctx *c, struct delivery *d) {
    d->mail = (struct mail){ .needs = deliver_needs, .turn = deliver_turn, .done = deliver_done };
    if (c && d->again && !c->aside && entity_is_account(c->entity) && mk_jid_same_bare(c->entity->jid, d->to)) {
        entity_mail_first(c, &d->mail); /* it is older than what waits */
        return;
    }
    if (is_missed(d)) {
        delivery_free(d);
        return;
    }
    struct mk_entity *e = recipient(d);
    if (e->mail_count < MAILBOX_FACTOR * mailbox_high_mark)
        entity_mail(e, &d->mail);
    else
        refuse_overflow(c, e, d);
}

static void deliver_post(struct post *p) {
    struct delivery *d = container_of(p, struct delivery, post);
    const char *domain = jid_domain(d->to);
    d->host = this_worker ? host_find(domain, d->to->domain_len) : NULL;
    d->domain = this_worker && !d->host ? domain_find(domain, d->to->domain_len) : NULL;
    if (d->host || d->domain)
        deliver_here(NULL, d);
    else
        delivery_free(d); /* the domain went while the mail was under way */
}

/* To its home worker. */
static void send_off(struct mk_ctx *c, struct delivery *d) {
    struct worker *home = worker_of(d->to->hash);
    if (home == this_worker) {
        deliver_here(c, d);
        return;
    }
    stanza_parse_now(d->stanza);
    d->post.run = deliver_post;
    worker_post(home, &d->post);
}

enum way { ROUTE, ROUTE_AGAIN, ROUTE_ONLINE };

/* To the entity of a local account or host, wherever it lives. */
static void deliver(struct mk_ctx *c, const struct host *host, const struct mk_stanza *s, const struct mk_jid *to,
                    enum way way) {
    struct delivery *d = delivery_new(s, to);
    d->host = host;
    d->again = way == ROUTE_AGAIN;
    d->online = way == ROUTE_ONLINE;
    send_off(c, d);
}

/* To a room, or to the domain of rooms itself. */
static void deliver_to_domain(struct mk_ctx *c, const struct domain *domain, const struct mk_stanza *s,
                              const struct mk_jid *to) {
    if (!domain_handles(domain, to)) {
        refuse_unless_presence(c, s, "service-unavailable");
        return;
    }
    struct delivery *d = delivery_new(s, to);
    d->domain = domain;
    send_off(c, d);
}

/* The sender's turn answers for the host: nothing of the host's own is touched. */
static void iq_to_host(struct mk_ctx *c, const struct host *host, const struct mk_stanza *s, const struct mk_jid *to) {
    enum mk_type type = mk_stanza_type(s);
    if (type != MK_TYPE_GET && type != MK_TYPE_SET) {
        query_take(s);
        return;
    }
    const struct iq_entry *entry = to->resource_len ? NULL : iq_find(host->type, s, MK_TO_SERVER);
    const struct host *host_before = c->host;
    const struct mk_jid *self_before = c->self;
    c->host = host;
    c->self = host->jid;
    bool taken = !to->resource_len && is_request_taken(c, s);
    if (!taken && entry && entry->row->mode == MK_SERIAL)
        deliver(c, host, s, to, ROUTE);
    else if (!taken)
        iq_handle(c, entry, s);
    c->host = host_before;
    c->self = self_before;
}

static void elsewhere(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    struct mk_ev_stanza ev = { .stanza = s, .to = to };
    if (component_send(c, s, to))
        return;
    if ((c->host && chain_run(c, MK_HOOK_route_elsewhere, &ev)) || s2s_send(c, s, to) || is_undeliverable(c, s, to))
        return;
    refuse_unless_presence(c, s, "remote-server-not-found");
}

static void route_as(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to, enum way way) {
    const struct host *host = host_find(jid_domain(to), to->domain_len);
    const struct domain *domain = host ? NULL : domain_find(jid_domain(to), to->domain_len);
    if (domain)
        deliver_to_domain(c, domain, s, to);
    else if (!host)
        elsewhere(c, s, to);
    else if (!to->local_len && mk_stanza_kind(s) == MK_IQ)
        iq_to_host(c, host, s, to);
    else
        deliver(c, host, s, to, way);
}

void route(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    route_as(c, s, to, ROUTE);
}

void mk_route(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    route_as(c, s, to, ROUTE);
}

void mk_route_again(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    route_as(c, s, to, ROUTE_AGAIN);
}

void mk_route_online(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    route_as(c, s, to, ROUTE_ONLINE);
}

int mk_send(struct mk_out *o) {
    struct mk_ctx *c = o->ctx;
    const struct mk_stanza *s;
    if (o->silent)
        return MK_OK;
    int rc = mk_seal(o, &s);
    if (rc != 0)
        return rc;
    send_sealed(c, s);
    return MK_OK;
}

/* An answer to a stream that has no address yet goes straight back; so does an iq answer to a session of this very
 * account, which needs no hook and no mail. */
void send_sealed(struct mk_ctx *c, const struct mk_stanza *s) {
    const struct mk_jid *to = mk_stanza_to(s);
    if (!to) {
        if (c->stream)
            stream_write_stanza(c->stream, s, NULL);
        else
            route(c, s, c->entity && c->entity->jid ? c->entity->jid : c->self);
        return;
    }
    route(c, s, to);
}

/* ---- from a session ----------------------------------------------------------------------------------------------- */

static bool is_subscription(const struct mk_stanza *s) {
    enum mk_type t = mk_stanza_type(s);
    return t >= MK_TYPE_SUBSCRIBE && t <= MK_TYPE_PROBE;
}

static enum mk_hook send_hook(const struct mk_stanza *s) {
    switch (mk_stanza_kind(s)) {
    case MK_MESSAGE:
        return MK_HOOK_user_send_message;
    case MK_PRESENCE:
        return is_subscription(s) ? MK_HOOK_user_send_subscription : MK_HOOK_user_send_presence;
    default:
        return MK_HOOK_user_send_iq;
    }
}

static bool is_to_self(const struct account *a, const struct mk_stanza *s) {
    return !s->to || (!s->to->resource_len && mk_jid_same(s->to, a->entity.jid));
}

bool route_from_session_suspends(const struct account *a, const struct mk_stanza *s) {
    const struct host_type *t = a->entity.host->type;
    if (t->chains[send_hook(s)].suspends || account_load_suspends(a))
        return true;
    if (!is_to_self(a, s))
        return false;
    if (mk_stanza_kind(s) == MK_IQ)
        return account_receive_suspends(a, s, a->entity.jid);
    return mk_stanza_kind(s) == MK_MESSAGE && account_receive_suspends(a, s, a->entity.jid);
}

MK_SUSPENDS void route_from_session(struct mk_ctx *c, struct account *a, struct mk_session *s,
                                    struct mk_stanza *stanza) {
    const struct mk_jid *to = stanza->to ? stanza->to : a->entity.jid;
    struct mk_ev_stanza ev = { .stanza = stanza, .to = to, .session = s };
    if (stanza->type == MK_TYPE_INVALID) {
        refuse(c, stanza, "bad-request");
        return;
    }
    account_load(c, a);
    if (chain_run(c, send_hook(stanza), &ev) || s->ended)
        return;
    /* A stanza to the sender's own bare JID is handled in the turn that is running. */
    if (is_to_self(a, ev.stanza))
        account_receive(c, a, ev.stanza, a->entity.jid);
    else
        route(c, ev.stanza, ev.to);
}

/* ---- from another server ------------------------------------------------------------------------------------------ */

/* RFC 6120, 8.2.3: an iq has an id; a request has exactly one child. */
bool route_good_iq(const struct mk_stanza *s) {
    if (!s->id)
        return false;
    const struct mk_elem *first = mk_elem_first(mk_root(s));
    bool request = s->type == MK_TYPE_GET || s->type == MK_TYPE_SET;
    return s->type != MK_TYPE_INVALID && (!request || (first && !mk_elem_next(first)));
}

void route_from_server(struct mk_ctx *c, const struct mk_stanza *s) {
    if (s->type == MK_TYPE_INVALID || (s->kind == MK_IQ && !route_good_iq(s)))
        refuse(c, s, "bad-request");
    else
        route(c, s, s->to);
}

/* ---- hosts -------------------------------------------------------------------------------------------------------- */

void host_receive(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    struct mk_ev_stanza ev = { .stanza = s, .to = to };
    switch (mk_stanza_kind(s)) {
    case MK_MESSAGE:
        if (!chain_run(c, MK_HOOK_host_receive_message, &ev) && mk_stanza_type(s) != MK_TYPE_ERROR)
            refuse(c, s, "service-unavailable");
        break;
    case MK_PRESENCE:
        chain_run(c, MK_HOOK_host_receive_presence, &ev);
        break;
    default:
        iq_handle(c, iq_find(c->host->type, s, MK_TO_SERVER), s);
    }
}

static const struct entity_class host_class = { "host", NULL, NULL };

static bool same_host(const void *item, const void *key) {
    const struct mk_entity *e = item;
    return e->class == &host_class && mk_jid_same(e->jid, key);
}

struct mk_entity *host_entity(const struct host *host) {
    struct worker *w = this_worker;
    struct mk_entity *e = table_find(&w->entities, host->jid->hash, same_host, host->jid);
    if (!e) {
        e = xmalloc(sizeof *e);
        entity_init(e, &host_class, mk_jid_keep(host->jid), host);
        table_add(&w->entities, host->jid->hash, e);
    }
    return e;
}

/* ---- running something in an entity's turn --------------------------------------------------------------------------- */

struct errand {
    struct mail mail;
    struct post post;
    struct mk_jid *to;
    void (*fn)(struct mk_ctx *c, void *arg);
    void (*free_arg)(void *arg);
    void *arg;
};

static void errand_turn(struct mk_ctx *c, struct mail *m) {
    struct errand *e = container_of(m, struct errand, mail);
    e->fn(c, e->arg);
}

static void errand_done(struct mail *m) {
    struct errand *e = container_of(m, struct errand, mail);
    if (e->free_arg)
        e->free_arg(e->arg);
    mk_jid_free(e->to);
    free(e);
}

static void errand_here(struct post *p) {
    struct errand *e = container_of(p, struct errand, post);
    const struct host *host = this_worker ? host_find(jid_domain(e->to), e->to->domain_len) : NULL;
    if (!host)
        errand_done(&e->mail);
    else if (e->to->local_len)
        entity_mail(&account_get(host, e->to)->entity, &e->mail);
    else
        entity_mail(host_entity(host), &e->mail);
}

void entity_run(const struct mk_jid *to, bool suspends, void (*fn)(struct mk_ctx *c, void *arg),
                void (*free_arg)(void *arg), void *arg) {
    struct errand *e = xcalloc(1, sizeof *e);
    e->mail = (struct mail){ .suspends = suspends, .turn = errand_turn, .done = errand_done };
    e->to = mk_jid_keep(to);
    e->fn = fn;
    e->free_arg = free_arg;
    e->arg = arg;
    e->post.run = errand_here;
    struct worker *home = worker_of(to->hash);
    if (home == this_worker)
        errand_here(&e->post);
    else
        worker_post(home, &e->post);
}
