/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rooms on their home worker: the entities of domains that plugins serve, the domains themselves among them.  A room is
 * in memory while it has mail or timers, or the plugin holds it.
 */
#ifndef ROUTE_ROOM_H
#define ROUTE_ROOM_H

#include "route/host.h"
#include "run/turn.h"

struct room {
    struct mk_entity entity;     /* its jid is bare and owned by the room */
    const struct domain *domain; /* NULL: it was served when the room was made, and is no longer */
    bool stays;                  /* held by the plugin */
    /* slots follow */
};

/* The room of this worker with this bare JID's hash and text, made if it is not in memory. */
struct room *room_get(const struct domain *domain, const struct mk_jid *jid);
void *room_slots(struct room *r);
bool entity_is_room(const struct mk_entity *e);
static inline struct room *room_of(struct mk_entity *e) {
    return (struct room *)e;
}

/* Whether anybody handles what is sent to this address of the domain. */
bool domain_handles(const struct domain *domain, const struct mk_jid *to);
/* What a room does with a stanza sent to it; in its turn.  False: its domain is not served any more. */
MK_SUSPENDS bool room_receive(struct mk_ctx *c, struct room *r, const struct mk_stanza *s, const struct mk_jid *to);
bool room_receive_suspends(const struct room *r);

/* Its worker took over a snapshot.  It may free the room. */
void room_follow(struct room *r);
/* Frees it: when the worker ends. */
void room_free(struct room *r);

#endif
