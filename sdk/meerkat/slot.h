/* SPDX-License-Identifier: Apache-2.0 */
/* slot.h - a plugin's own data on a session, an account or a room, and timers on the same. */
#ifndef MEERKAT_SLOT_H
#define MEERKAT_SLOT_H

#include <meerkat/session.h>

MK_BEGIN_DECLS

enum mk_owner { MK_ON_SESSION, MK_ON_ACCOUNT, MK_ON_ROOM, MK_ON_HOST };

/*
 * SIZE bytes, 8-byte aligned, on every object of OWNER (not MK_ON_HOST), zeroed, then given to INIT if there is one.
 * FINI releases what the slot points to when the object goes; it runs on the object's worker, in no turn.  Every idle
 * session pays for SIZE: keep it small, put the rest behind a pointer that is NULL when idle.
 */
struct mk_slot_decl {
    const char *name;
    uint32_t owner, size;
    void (*init)(struct mk_ctx *c, void *slot);
    void (*fini)(void *slot);
};

/*
 * Slot number INDEX (row of your .slots) of a session, or of the entity whose turn it is: an account or a room.  Lent
 * until the object goes; it does not move.  In the turn only.
 */
MK_EXPORT void *mk_session_slot(struct mk_ctx *c, struct mk_session *s, unsigned index);
MK_EXPORT void *mk_self_slot(struct mk_ctx *c, unsigned index);

/*
 * A timer.  One per row and object runs at a time.  FN runs in the object's turn with the mode of the row; SESSION is
 * the session's, or NULL for the other owners, and for MK_ASIDE.  A session that ends takes its timers along.
 */
struct mk_timer_decl {
    const char *name;
    uint32_t owner, mode;
    void (*fn)(struct mk_ctx *c, struct mk_session *session);
};

/*
 * Starts timer INDEX (row of your .timers) of SESSION, or of mk_self() if SESSION is NULL, to fire in MS milliseconds
 * (about: within 100 ms, never early); one that runs is started anew.  An account without sessions, and a room,
 * stays in memory while one of its timers runs.
 */
MK_EXPORT void mk_timer_start(struct mk_ctx *c, struct mk_session *session, unsigned index, uint32_t ms);
MK_EXPORT void mk_timer_stop(struct mk_ctx *c, struct mk_session *session, unsigned index);
MK_EXPORT bool mk_timer_runs(struct mk_ctx *c, struct mk_session *session, unsigned index);

MK_END_DECLS

#endif
