/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An authenticated stream at home: on its account's worker, every element a mail to the account, so that the client's
 * order is kept and the account's turn handles it.
 */
#include "route/object_timer.h"
#include "route/receipt.h"
#include "route/router.h"
#include "run/metric.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

#define NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"

/* ---- the way home ------------------------------------------------------------------------------------------------------- */

static void arrive(struct post *p) {
    struct login *l = container_of(p, struct login, move);
    struct mk_stream *st = l->stream;
    if (!this_worker) { /* the server has stopped */
        stream_unref(st);
        return;
    }
    if (st->transport)
        transport_arrive(st);
    else
        conn_attach(&st->conn, this_worker);
    stream_enlist(st);
    st->flags &= (uint8_t)~STREAM_MOVING;
    if (st->state == STREAM_ENDED) { /* meanwhile */
        stream_arrived_dead(st);
        stream_unref(st);
        return;
    }
    st->host = host_find(jid_domain(l->account), l->account->domain_len);
    if (!st->host) {
        stream_error(st, "host-gone", NULL);
        stream_unref(st);
        return;
    }
    st->account = account_get(st->host, l->account);
    st->account->stream_count++;
    worker_timer(this_worker, &l->deadline, (uint64_t)stream_config()->login_ms);
    if (l->sasl2) {
        stream_welcome(st);
    } else {
        st->state = STREAM_HEADER;
        scan_init(&st->scan);
        stream_go_on(st, STREAM_HELD_BY_TURN);
    }
    stream_unref(st);
}

static void depart(struct post *p) {
    struct login *l = container_of(p, struct login, move);
    struct mk_stream *st = l->stream;
    struct worker *home = worker_of(l->account->hash);
    if (st->state == STREAM_ENDED || !this_worker) {
        stream_unref(st);
        return;
    }
    wheel_stop(&l->deadline);
    stream_delist(st);
    if (st->transport)
        transport_leave(st);
    else
        conn_detach(&st->conn);
    st->flags |= STREAM_MOVING;
    l->move.run = arrive;
    if (home == this_worker)
        arrive(&l->move);
    else
        worker_post(home, &l->move);
}

/* Not at once: this may be called from inside the connection's input. */
void stream_go_home(struct mk_stream *st) {
    stream_ref(st);
    st->login->move.run = depart;
    worker_post(this_worker, &st->login->move);
}

/* ---- elements ------------------------------------------------------------------------------------------------------------- */

struct inbound {
    struct mail mail;
    struct mk_stream *stream;
    struct mk_stanza *stanza; /* NULL: the stream is over */
    uint8_t reason;
};

enum { SPARE_MAX = 256 };
static __thread struct inbound *spare;
static __thread unsigned spare_count;

static struct inbound *inbound_new(struct mk_stream *st, struct mk_stanza *s) {
    struct inbound *in = spare;
    if (in) {
        spare = (struct inbound *)in->mail.next;
        spare_count--;
    } else {
        in = xmalloc(sizeof *in);
    }
    *in = (struct inbound){ .stream = stream_ref(st), .stanza = s };
    return in;
}

static void inbound_done(struct mail *m) {
    struct inbound *in = container_of(m, struct inbound, mail);
    if (in->stanza)
        mk_release(in->stanza);
    stream_unref(in->stream);
    if (spare_count < SPARE_MAX) {
        in->mail.next = (struct mail *)spare;
        spare = in;
        spare_count++;
    } else {
        free(in);
    }
}

void home_trim(void) {
    while (spare) {
        struct inbound *in = spare;
        spare = (struct inbound *)in->mail.next;
        free(in);
    }
    spare_count = 0;
}

/* ---- before a resource is bound ---------------------------------------------------------------------------------------------- */

static const struct nonza_entry *nonza_row(const struct mk_stream *st, const struct mk_stanza *s) {
    const struct host_type *t = st->account->entity.host->type;
    unsigned when = st->session ? MK_WHEN_BOUND : MK_WHEN_AUTHED;
    for (uint32_t i = 0; i < t->nonza_count; i++)
        if (t->nonzas[i].row->when & when && mk_elem_is(mk_root(s), t->nonzas[i].row->name, t->nonzas[i].row->ns))
            return &t->nonzas[i];
    return NULL;
}

static void refuse_bind(struct mk_ctx *c, const struct mk_stanza *iq, const char *cond) {
    if (mk_refuse(c, iq, cond, NULL) != 0)
        mk_log(c, MK_DEBUG, "could not refuse to bind");
}

static void bound(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *iq) {
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "bind", NS_BIND);
    mk_leaf(o, "jid", NULL, st->session->jid->text);
    mk_close(o);
    if (mk_stream_send(c, st, o) != 0)
        stream_error(st, "internal-server-error", NULL);
}

/* A welcome still works with it, and frees it then. */
static void login_over(struct mk_stream *st) {
    if (st->login->welcoming)
        return;
    login_free(st->login);
    st->login = NULL;
}

MK_SUSPENDS static void bind_resource(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *iq,
                                      const struct mk_elem *bind) {
    const char *wanted = mk_text(c, mk_elem_child(bind, "resource", NS_BIND));
    const struct mk_jid *bare = st->account->entity.jid, *full = NULL;
    struct mk_view resource = { "", 0 };
    if (*wanted) {
        if (mk_jid_make(c, mk_jid_local(bare), mk_jid_domain(bare), (struct mk_view){ wanted, strlen(wanted) },
                        &full)) {
            refuse_bind(c, iq, "bad-request");
            return;
        }
        resource = mk_jid_resource(full);
    }
    struct mk_session *s = session_bind(c, st->account, st, resource);
    if (!s) {
        if (st->state != STREAM_ENDED)
            refuse_bind(c, iq, "resource-constraint");
        return;
    }
    if (st->state == STREAM_ENDED)
        return;
    bound(c, st, iq);
    login_over(st);
}

MK_SUSPENDS static void unbound_element(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *s) {
    const struct nonza_entry *row = nonza_row(st, s);
    if (row) {
        c->inst = row->inst;
        row->row->fn(c, st, s);
        return;
    }
    const struct mk_elem *bind = mk_child(s, "bind", NS_BIND);
    if (mk_stanza_kind(s) == MK_NONZA)
        stream_error(st, "unsupported-stanza-type", NULL);
    else if (mk_stanza_kind(s) == MK_IQ && mk_stanza_type(s) == MK_TYPE_SET && bind)
        bind_resource(c, st, s, bind);
    else
        stream_error(st, "not-authorized", NULL);
}

/* ---- of a session ----------------------------------------------------------------------------------------------------------- */

static void count(struct worker *w, const struct mk_stanza *s) {
    switch (s->kind) {
    case MK_MESSAGE:
        METRIC(w, messages_in, 1);
        break;
    case MK_PRESENCE:
        METRIC(w, presences_in, 1);
        break;
    default:
        METRIC(w, iqs_in, 1);
    }
}

static bool good_from(const struct mk_session *session, const struct mk_stanza *s) {
    if (s->bad_from)
        return false;
    return !s->from || mk_jid_same(s->from, session->jid) ||
           (!s->from->resource_len && mk_jid_same(s->from, session->account->entity.jid));
}

/* What the server answers by itself; true if it did. */
static bool answered(struct mk_ctx *c, struct mk_stream *st, struct mk_stanza *s) {
    const char *cond = NULL;
    const struct mk_elem *first;
    if (s->bad_to)
        cond = "jid-malformed";
    else if (s->kind == MK_IQ && !route_good_iq(s))
        cond = "bad-request";
    else if (s->kind == MK_IQ && s->type == MK_TYPE_SET && (first = mk_elem_first(mk_root(s))) != NULL) {
        if (mk_elem_is(first, "session", NS_SESSION) && (!s->to || !s->to->local_len))
            return mk_stream_send(c, st, mk_reply(c, s)) == 0;
        if (mk_elem_is(first, "bind", NS_BIND) && (!s->to || !s->to->local_len))
            cond = "not-allowed";
    }
    if (cond) {
        METRIC(c->worker, bounces, 1);
        if (mk_refuse(c, s, cond, NULL) != 0)
            mk_log(c, MK_DEBUG, "could not answer with %s", cond);
    }
    return cond != NULL;
}

MK_SUSPENDS static void session_stanza(struct mk_ctx *c, struct mk_stream *st, struct mk_stanza *s) {
    struct mk_session *session = st->session;
    if (!good_from(session, s)) {
        stream_error(st, "invalid-from", NULL);
        return;
    }
    stanza_stamp(s, session->jid, NULL);
    if (receipt_again(session, s))
        return;
    c->handling = s;
    count(c->worker, s);
    struct mk_receipt *receipt = session->counting ? receipt_new(session, s) : NULL;
    struct mk_ev_stanza ev = { .stanza = s, .to = s->to ? s->to : session->account->entity.jid, .session = session };
    chain_run(c, MK_HOOK_session_received, &ev);
    if (!answered(c, st, s))
        route_from_session(c, session->account, session, s);
    mk_receipt_pay(receipt);
}

static void session_nonza(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *s) {
    const struct nonza_entry *row = nonza_row(st, s);
    if (!row) {
        stream_error(st, "unsupported-stanza-type", NULL);
        return;
    }
    c->inst = row->inst;
    row->row->fn(c, st, s);
}

MK_SUSPENDS static void element_turn(struct mk_ctx *c, struct mail *m) {
    struct inbound *in = container_of(m, struct inbound, mail);
    struct mk_stream *st = in->stream;
    c->stream = st;
    if (!in->stanza) {
        stream_fail(st, MK_CLOSED_BY_CLIENT, NULL, NULL, NULL);
        return;
    }
    if (!st->session) {
        /* After its session went to another stream, or ended, nobody has received what it still says. */
        if (st->login && st->state != STREAM_ENDED)
            unbound_element(c, st, in->stanza);
    } else if (mk_stanza_kind(in->stanza) == MK_NONZA) {
        session_nonza(c, st, in->stanza);
    } else {
        session_stanza(c, st, in->stanza);
        if (c->pressed && st->state != STREAM_ENDED)
            stream_hold_for_store(st);
    }
}

static bool element_needs(struct mk_entity *e, struct mail *m) {
    struct inbound *in = container_of(m, struct inbound, mail);
    struct mk_stream *st = in->stream;
    if (!st->session || !in->stanza)
        return true;
    if (mk_stanza_kind(in->stanza) == MK_NONZA) {
        const struct nonza_entry *row = nonza_row(st, in->stanza);
        return row && row->row->mode == MK_SERIAL;
    }
    return route_from_session_suspends(account_of(e), in->stanza);
}

/* S NULL: the client closed its stream. */
void stream_element(struct mk_stream *st, struct mk_stanza *s) {
    struct inbound *in = inbound_new(st, s);
    in->mail = (struct mail){ .needs = element_needs, .turn = element_turn, .done = inbound_done };
    entity_mail(&st->account->entity, &in->mail);
}

/* ---- the end ------------------------------------------------------------------------------------------------------------------ */

static void gone_turn(struct mk_ctx *c, struct mail *m) {
    struct inbound *in = container_of(m, struct inbound, mail);
    struct mk_stream *st = in->stream;
    struct account *a = account_of(c->entity);
    struct mk_session *s = st->session;
    if (s && in->reason == MK_CLOSED_LOST)
        session_lost(c, s);
    else if (s)
        session_end(c, s, in->reason);
    a->stream_count--;
    st->account = NULL;
}

void stream_leave(struct mk_stream *st, enum mk_close_reason reason) {
    if (!st->account || st->flags & STREAM_LEFT)
        return;
    st->flags |= STREAM_LEFT;
    if (st->session)
        session_keep_address(st->session);
    struct inbound *in = inbound_new(st, NULL);
    in->reason = (uint8_t)reason;
    in->mail = (struct mail){ .suspends = true, .turn = gone_turn, .done = inbound_done };
    entity_mail(&st->account->entity, &in->mail);
}

/* In its order: what the client said before is answered before our end tag. */
void stream_ended_by_client(struct mk_stream *st) {
    if (st->account)
        stream_element(st, NULL);
    else
        stream_fail(st, MK_CLOSED_BY_CLIENT, NULL, NULL, NULL);
}

struct settled {
    struct mail mail;
    uint64_t number;
};

static void settled_turn(struct mk_ctx *c, struct mail *m) {
    struct settled *k = container_of(m, struct settled, mail);
    struct mk_session *s = session_by_number(account_of(c->entity), k->number);
    struct mk_ev_session ev = { s, 0 };
    if (s)
        chain_run(c, MK_HOOK_session_settled, &ev);
}

static bool settled_needs(struct mk_entity *e, struct mail *m) {
    (void)m;
    return e->host->type->chains[MK_HOOK_session_settled].suspends;
}

static void settled_done(struct mail *m) {
    free(container_of(m, struct settled, mail));
}

void session_settled(struct mk_session *s) {
    struct settled *k = xcalloc(1, sizeof *k);
    k->number = s->number;
    k->mail = (struct mail){ .needs = settled_needs, .turn = settled_turn, .done = settled_done };
    entity_mail(&s->account->entity, &k->mail);
}

/* ---- SDK ------------------------------------------------------------------------------------------------------------------------ */

struct mk_session *mk_stream_session(const struct mk_stream *st) {
    return st->session;
}
bool mk_stream_is_secure(const struct mk_stream *st) {
    return stream_is_secure(st);
}
const char *mk_stream_address(const struct mk_stream *st) {
    return st->conn.address ? st->conn.address : "";
}
int64_t mk_stream_idle_ms(const struct mk_stream *st) {
    return (int64_t)(worker_now_ms(this_worker) - st->conn.heard_ms);
}
const char *mk_stream_lang(const struct mk_stream *st) {
    return st->lang ? st->lang : "";
}
const struct mk_agent *mk_stream_agent(const struct mk_stream *st) {
    if (st->session)
        return mk_session_agent(st->session);
    return st->login && st->login->agent ? &st->login->agent->said : NULL;
}
struct mk_stream *mk_current_stream(const struct mk_ctx *c) {
    return c->stream;
}

int mk_stream_send(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    const struct mk_stanza *s;
    int rc = mk_seal(o, &s);
    (void)c;
    if (rc == 0)
        stream_write_stanza(st, s, NULL);
    return rc;
}

void mk_session_handle(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s) {
    struct mk_out *o = mk_derive(c, s, NULL);
    const struct mk_stanza *sent;
    mk_from(o, session->jid);
    if (mk_seal(o, &sent) == 0)
        route_from_session(c, session->account, session, (struct mk_stanza *)sent);
    else
        mk_log(c, MK_ERROR, "a stanza of %s could not be handled anew", session->jid->text);
}

void mk_stream_fail(struct mk_ctx *c, struct mk_stream *st, const char *cond, const char *text, struct mk_out *app) {
    const struct mk_stanza *s = NULL;
    if (app && mk_seal(app, &s) != 0)
        mk_log(c, MK_ERROR, "the condition beside %s could not be built", cond);
    stream_fail(st, MK_CLOSED_BY_SERVER, cond, text,
                s ? mk_text_of(c, (struct mk_view){ s->wire, s->wire_len }) : NULL);
}

void mk_stream_lose(struct mk_ctx *c, struct mk_stream *st, const char *cond, const char *text) {
    (void)c;
    stream_fail(st, MK_CLOSED_LOST, cond, text, NULL);
}

void mk_stream_resume(struct mk_ctx *c, struct mk_stream *st, struct mk_session *session) {
    if (session->stream)
        stream_replaced(c, session->stream);
    METRIC(c->worker, sessions_detached, -1);
    session->stream = st;
    st->session = session;
    free(session->address);
    session->address = NULL;
    login_tell(st->login, session);
    login_over(st);
    struct mk_ev_session ev = { session, 0 };
    chain_run(c, MK_HOOK_session_resumed, &ev);
}

bool mk_stream_binds(const struct mk_stream *st, const char *type) {
    static const enum cb_type types[] = { CB_TLS_EXPORTER, CB_TLS_SERVER_END_POINT, CB_TLS_UNIQUE };
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(cb_name(types[i]), type) == 0)
            return stream_channel(st) && conn_has_channel_binding(stream_channel(st), types[i]);
    return false;
}
