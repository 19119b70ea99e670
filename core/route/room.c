/* SPDX-License-Identifier: Apache-2.0 */
#include "route/room.h"
#include "route/object_timer.h"
#include "run/metric.h"
#include "util/mem.h"
#include <assert.h>
#include <stdlib.h>

static void room_idle(struct mk_entity *e);

static const struct entity_class room_class = { "room", room_idle, NULL };

bool entity_is_room(const struct mk_entity *e) {
    return e && e->class == &room_class;
}

static bool same_room(const void *item, const void *key) {
    const struct mk_entity *e = item;
    return entity_is_room(e) && jid_is_bare_of(e->jid, key);
}

void *room_slots(struct room *r) {
    return r + 1;
}

struct room *room_get(const struct domain *domain, const struct mk_jid *jid) {
    struct worker *w = this_worker;
    struct mk_entity *e = table_find(&w->entities, jid->hash, same_room, jid);
    if (e)
        return room_of(e);
    struct room *r = xmalloc(sizeof *r + slots_size(MK_ON_ROOM));
    *r = (struct room){ .domain = domain };
    entity_init(&r->entity, &room_class, jid_keep_bare(jid), domain->host);
    table_add(&w->entities, jid->hash, &r->entity);
    METRIC(w, rooms_loaded, 1);
    struct mk_ctx c;
    turn_begin(&c, &r->entity, domain->host, r->entity.jid);
    slots_init(&c, MK_ON_ROOM, room_slots(r));
    turn_end(&c);
    return r;
}

void room_free(struct room *r) {
    slots_fini(MK_ON_ROOM, room_slots(r));
    mk_jid_free((struct mk_jid *)r->entity.jid);
    free(r);
}

static void room_idle(struct mk_entity *e) {
    struct room *r = room_of(e);
    if (r->domain && (r->stays || e->timers))
        return;
    object_timers_drop(e, 0);
    table_remove(&this_worker->entities, e->jid->hash, same_room, e->jid);
    METRIC(this_worker, rooms_loaded, -1);
    room_free(r);
}

/* A domain that passes to another plugin is another domain; a room that has mail meanwhile hands it to that one. */
void room_follow(struct room *r) {
    struct mk_entity *e = &r->entity;
    const struct domain *d = domain_find(jid_domain(e->jid), e->jid->domain_len);
    if (!d || !r->domain || d->inst->plugin != r->domain->inst->plugin) {
        r->stays = false;
        object_timers_drop(e, 0);
    }
    r->domain = d;
    if (d) /* else its last turns end under the host that was */
        e->host = d->host;
    if (entity_is_idle(e))
        room_idle(e);
}

static void (*handler_of(const struct domain *d, const struct mk_jid *to))(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return to->local_len ? d->row->room : d->row->domain;
}

bool domain_handles(const struct domain *domain, const struct mk_jid *to) {
    return handler_of(domain, to) != NULL;
}

bool room_receive_suspends(const struct room *r) {
    return r->domain && r->domain->row->mode == MK_SERIAL;
}

bool room_receive(struct mk_ctx *c, struct room *r, const struct mk_stanza *s, const struct mk_jid *to) {
    const struct domain *d = r->domain;
    if (!d || !handler_of(d, to))
        return false;
    struct mk_ev_stanza ev = { .stanza = s, .to = to };
    const char *with = atomic_load_explicit(&c->worker->busy_with, memory_order_relaxed);
    c->inst = d->inst;
    atomic_store_explicit(&c->worker->busy_with, d->label, memory_order_relaxed);
#ifndef NDEBUG
    c->no_wait = d->row->mode == MK_INLINE;
#endif
    handler_of(d, to)(c, &ev);
#ifndef NDEBUG
    c->no_wait = false;
#endif
    atomic_store_explicit(&c->worker->busy_with, with, memory_order_relaxed);
    c->inst = NULL;
    return true;
}

/* ---- SDK -------------------------------------------------------------------------------------------------------- */

void mk_self_hold(struct mk_ctx *c, bool hold) {
    assert(!c->aside && entity_is_room(c->entity));
    if (entity_is_room(c->entity))
        room_of(c->entity)->stays = hold;
}
