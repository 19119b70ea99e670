/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain.h - domains that a plugin serves: rooms, or a service with an address of its own.
 *
 * A room is an entity as an account is, with a home worker, one turn at a time, slots and timers (MK_ON_ROOM).  It has
 * nothing else: what it is, who is in it and what is kept of it is the plugin's business.  It is made when the first
 * stanza for its address comes, and leaves memory when it has no mail, no timers and nothing beside it, unless the
 * plugin holds it; then the fini functions of its slots run.  What must outlast that belongs into a collection.
 *
 * The domain itself is one more such entity, whose mk_self() has no local part: it has the slots and timers of a room,
 * and can be held.
 */
#ifndef MEERKAT_DOMAIN_H
#define MEERKAT_DOMAIN_H

#include <meerkat/hook.h>
#include <meerkat/slot.h>

MK_BEGIN_DECLS

/*
 * OPTION names one of the plugin's options, a MK_T_TEXT, whose value is the domain to serve.  In it @HOST@ stands for
 * the host, "rooms.@HOST@" say: each host of a type with the plugin then has a domain of its own.  NULL: none is
 * served.  It is an error of the configuration if another plugin, or a host, has the same domain.
 *
 * ROOM handles every stanza to an address with a local part, in the turn of the room: mk_self() is its bare JID, TO of
 * the event what it was sent to, a resource (an occupant) perhaps, and mk_host() the host whose domain it is.  DOMAIN
 * handles every stanza to the domain itself or to a resource of it.  Both get iqs too, results and errors included, and
 * of the event STANZA and TO only.  They answer or refuse; nobody else does.  Either may be NULL: what comes for it
 * gets service-unavailable.  MODE is that of both, INLINE or SERIAL.
 *
 * When a reload takes the domain away its rooms are let go with their timers, held or not, and get no more stanzas.
 */
struct mk_domain_decl {
    const char *option;
    uint32_t mode, zero;
    void (*room)(struct mk_ctx *c, struct mk_ev_stanza *ev);
    void (*domain)(struct mk_ctx *c, struct mk_ev_stanza *ev);
};

/* In the turn of a room: whether it stays in memory while it is idle, because somebody is in it say.  At first it does
 * not.  A room that is held does not keep the server from stopping. */
MK_EXPORT void mk_self_hold(struct mk_ctx *c, bool hold);

MK_END_DECLS

#endif
