/* SPDX-License-Identifier: Apache-2.0 */
#include "route/session.h"
#include "route/object_timer.h"
#include "route/receipt.h"
#include "route/room.h"
#include "run/metric.h"
#include "stream/stream.h"
#include "util/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Atomic uint32_t session_limit = 20;

static __thread uint64_t last_number;

void *session_slots(struct mk_session *s) {
    return s + 1;
}

struct mk_session *session_find(const struct account *a, const char *resource, size_t len) {
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        if (s->jid->resource_len == len && memcmp(jid_resource(s->jid), resource, len) == 0)
            return s;
    }
    return NULL;
}

struct mk_session *session_by_number(const struct account *a, uint64_t number) {
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        if (s->number == number)
            return s;
    }
    return NULL;
}

static struct mk_jid *full_jid(struct mk_ctx *c, const struct mk_jid *bare, struct mk_view resource) {
    if (!resource.len) {
        resource.s = mk_random_id(c);
        resource.len = strlen(resource.s);
    }
    return mk_jid_keep(jid_with(&c->arena, bare, resource));
}

static struct mk_session *session_new(struct mk_ctx *c, struct account *a, struct mk_stream *st,
                                      struct mk_view resource) {
    struct mk_session *s = xmalloc(sizeof *s + slots_size(MK_ON_SESSION));
    *s = (struct mk_session){ .account = a, .stream = st, .since = mk_now(c), .mechanism = "" };
    s->jid = full_jid(c, a->entity.jid, resource);
    s->number = (uint64_t)c->worker->index << 48 | ++last_number;
    list_init(&s->owed);
    list_append(&a->sessions, &s->link);
    a->session_count++;
    a->exists = EXISTS_YES;
    slots_init(c, MK_ON_SESSION, session_slots(s));
    METRIC(c->worker, sessions, 1);
    return s;
}

struct mk_session *session_bind(struct mk_ctx *c, struct account *a, struct mk_stream *st, struct mk_view resource) {
    struct mk_session *old = resource.len ? session_find(a, resource.s, resource.len) : NULL;
    if (old) {
        if (old->stream)
            stream_replaced(c, old->stream);
        session_end(c, old, MK_CLOSED_REPLACED);
    }
    if (a->removed || a->session_count >= session_limit)
        return NULL;
    struct mk_session *s = session_new(c, a, st, resource);
    st->session = s;
    login_tell(st->login, s);
    struct mk_ev_session ev = { s, 0 };
    chain_run(c, MK_HOOK_session_opened, &ev);
    return s->ended ? NULL : s;
}

struct mk_session *mk_session_restore(struct mk_ctx *c, struct mk_view resource, uint32_t received) {
    struct account *a = account_of(c->entity);
    if (a->removed || a->session_count >= session_limit || session_find(a, resource.s, resource.len))
        return NULL;
    struct mk_session *s = session_new(c, a, NULL, resource);
    METRIC(c->worker, sessions_detached, 1);
    s->counting = true;
    s->received = received;
    struct mk_ev_session ev = { s, 0 };
    chain_run(c, MK_HOOK_session_opened, &ev);
    return s->ended ? NULL : s;
}

void session_free(struct mk_session *s) {
    slots_fini(MK_ON_SESSION, session_slots(s));
    mk_jid_free(s->jid);
    free(s->address);
    free(s->agent);
    free(s);
}

void session_end(struct mk_ctx *c, struct mk_session *s, enum mk_close_reason reason) {
    if (s->ended)
        return;
    struct account *a = s->account;
    s->ended = true;
    s->reason = (uint8_t)reason;
    if (s->stream)
        s->stream->session = NULL;
    else
        METRIC(c->worker, sessions_detached, -1);
    s->stream = NULL;
    list_remove(&s->link);
    a->session_count--;
    METRIC(c->worker, sessions, -1);
    struct mk_ev_session ev = { s, reason };
    chain_run(c, MK_HOOK_session_closed, &ev);
    receipts_forget(s);
    object_timers_drop(&a->entity, s->number);
    session_free(s);
}

void session_lost(struct mk_ctx *c, struct mk_session *s) {
    s->stream->session = NULL;
    s->stream = NULL;
    METRIC(c->worker, sessions_detached, 1);
    struct mk_ev_session ev = { s, MK_CLOSED_LOST };
    if (!chain_run(c, MK_HOOK_session_lost, &ev))
        session_end(c, s, MK_CLOSED_LOST);
}

void session_deliver(struct mk_ctx *c, struct mk_session *s, const struct mk_stanza *stanza, const struct mk_jid *to) {
    if (s->ended)
        return;
    struct mk_ev_send ev = { s, stanza, to };
    if (!chain_run(c, MK_HOOK_session_send, &ev))
        mk_session_write(c, s, ev.stanza, ev.to);
}

/* ---- SDK -------------------------------------------------------------------------------------------------------- */

struct mk_session *mk_session_next(struct mk_ctx *c, struct mk_session *prev) {
    assert(!c->aside && entity_is_account(c->entity));
    struct account *a = account_of(c->entity);
    struct list *l = prev ? prev->link.next : a->sessions.next;
    return l == &a->sessions ? NULL : container_of(l, struct mk_session, link);
}

struct mk_session *mk_session_find(struct mk_ctx *c, struct mk_view resource) {
    assert(!c->aside && entity_is_account(c->entity));
    return session_find(account_of(c->entity), resource.s, resource.len);
}

const struct mk_jid *mk_session_jid(const struct mk_session *s) {
    return s->jid;
}
uint64_t mk_session_number(const struct mk_session *s) {
    return s->number;
}
bool mk_session_is_connected(const struct mk_session *s) {
    return s->stream != NULL;
}
void session_keep_address(struct mk_session *s) {
    free(s->address);
    s->address = xstrdup(mk_stream_address(s->stream));
}

const char *mk_session_address(const struct mk_session *s) {
    if (s->address)
        return s->address;
    return s->stream ? mk_stream_address(s->stream) : "";
}
const struct mk_agent *mk_session_agent(const struct mk_session *s) {
    return s->agent ? &s->agent->said : NULL;
}
const char *mk_session_mechanism(const struct mk_session *s) {
    return s->mechanism;
}
bool mk_session_reads_archive(const struct mk_session *s) {
    return s->reads_archive;
}
void mk_session_set_reads_archive(struct mk_session *s, bool reads) {
    s->reads_archive = reads;
}
bool mk_session_is_available(const struct mk_session *s) {
    return s->available;
}
int mk_session_priority(const struct mk_session *s) {
    return s->priority;
}
void mk_session_set_presence(struct mk_session *s, bool available, int priority) {
    s->available = available;
    s->priority = (int8_t)priority;
}
struct mk_stream *mk_session_stream(const struct mk_session *s) {
    return s->stream;
}

void mk_session_send(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s, const struct mk_jid *to) {
    session_deliver(c, session, s, to);
}

void mk_session_write(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s,
                      const struct mk_jid *to) {
    METRIC(c->worker, stanzas_out, 1);
    if (session->stream)
        stream_write_stanza(session->stream, s, to);
}

struct closing {
    struct mail mail;
    uint64_t number;
    char *cond, *text;
};

static void close_turn(struct mk_ctx *c, struct mail *m) {
    struct closing *k = container_of(m, struct closing, mail);
    struct mk_session *s = session_by_number(account_of(c->entity), k->number);
    if (!s)
        return;
    if (s->stream)
        stream_close(s->stream, k->cond, k->text);
    session_end(c, s, MK_CLOSED_BY_SERVER);
}

static void close_done(struct mail *m) {
    struct closing *k = container_of(m, struct closing, mail);
    free(k->cond);
    free(k->text);
    free(k);
}

/* By mail, so that no handler sees its session end under it. */
void mk_session_close(struct mk_ctx *c, struct mk_session *session, const char *cond, const char *text) {
    if (session->closing || session->ended)
        return;
    session->closing = true;
    struct closing *k = xcalloc(1, sizeof *k);
    k->mail = (struct mail){ .suspends = true, .turn = close_turn, .done = close_done };
    k->number = session->number;
    k->cond = cond ? xstrdup(cond) : NULL;
    k->text = text ? xstrdup(text) : NULL;
    entity_mail(&session->account->entity, &k->mail);
    (void)c;
}

void *mk_session_slot(struct mk_ctx *c, struct mk_session *s, unsigned index) {
    assert(!c->aside && index < c->inst->plugin->d.slots.count);
    return slots_get(c, MK_ON_SESSION, session_slots(s), c->inst->plugin->slot_base + index);
}

void *mk_self_slot(struct mk_ctx *c, unsigned index) {
    assert(!c->aside && index < c->inst->plugin->d.slots.count);
    unsigned number = c->inst->plugin->slot_base + index;
    if (entity_is_room(c->entity))
        return slots_get(c, MK_ON_ROOM, room_slots(room_of(c->entity)), number);
    assert(entity_is_account(c->entity));
    return slots_get(c, MK_ON_ACCOUNT, account_slots(account_of(c->entity)), number);
}
