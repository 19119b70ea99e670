/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entities, mail and turns.  An entity is handed one mail at a time; a turn that must wait runs on a fiber, and the
 * entity's mail waits in its mailbox meanwhile.
 */
#ifndef RUN_TURN_H
#define RUN_TURN_H

#include "run/worker.h"
#include <meerkat/ctx.h>

struct mk_entity;
struct mk_stanza;
struct mk_receipt;
struct instance; /* load: a plugin's instance */
struct host;     /* route: a served domain */

/* The turn: what every SDK call gets as its first argument. */
struct mk_ctx {
    struct worker *worker;
    struct mk_entity *entity;    /* NULL in an op of the server itself */
    struct fiber *fiber;         /* NULL: on the worker's stack, must not suspend */
    struct arena arena;          /* freed when the turn ends */
    const struct instance *inst; /* whose handler runs */
    const struct host *host;
    const struct mk_jid *self;
    uint64_t deadline_ms;
    bool aside;                       /* beside the entity: no slots, no sessions */
    struct mk_stream *stream;         /* whose element is handled; NULL outside */
    bool pressed;                     /* it wrote more than its backend can take; see store_relieved() */
    bool again;                       /* the stanza is delivered anew: mk_ev_stanza.again */
    struct turn_end *at_end;          /* done when the turn ends */
    struct mail **first;              /* where entity_mail_first() puts the next one; NULL: at the head */
    const struct mk_stanza *handling; /* what the turn is about, for receipts; may be NULL */
    bool no_wait;                     /* debug builds: an INLINE handler runs, suspending is its mistake */
};

/* Something to do when a turn ends; in its arena. */
struct turn_end {
    struct turn_end *next;
    void (*run)(void *arg);
    void *arg;
};
void turn_at_end(struct mk_ctx *c, void (*run)(void *arg), void *arg);

/* A mail.  TURN handles it in the entity's turn and FREEs nothing; DONE runs after the turn, to give it back. */
struct mail {
    struct mail *next;
    bool suspends; /* needs a fiber; asked of NEEDS instead if that is not NULL, when its turn comes */
    bool (*needs)(struct mk_entity *e, struct mail *m);
    void (*turn)(struct mk_ctx *c, struct mail *m);
    void (*done)(struct mail *m); /* also when it is dropped unhandled */
    struct mk_entity *entity;     /* whose turn it is, set when it begins */
};

struct entity_class {
    const char *name;                             /* "account", "stream", "host", "room" */
    void (*idle)(struct mk_entity *e);            /* mailbox empty and no turn: it may free the entity */
    void (*full)(struct mk_entity *e, bool full); /* the mailbox passed its high or low mark: stop or go on reading */
};

struct mk_entity {
    const struct entity_class *class;
    const struct mk_jid *jid; /* OWNED by the entity's maker; NULL for streams */
    const struct host *host;
    struct mail *head, **tail; /* mailbox */
    struct list ready;         /* in worker->ready while it has mail that no turn took yet */
    void *timers;              /* of plugins, struct object_timer; see route/object_timer.h */
    uint32_t mail_count;
    uint16_t asides; /* fibers beside it */
    bool busy, is_full, in_table;
    bool held; /* mail gathers and waits for the ready list: several pieces are about to come */
};

void entity_init(struct mk_entity *e, const struct entity_class *class, const struct mk_jid *jid,
                 const struct host *host);

/* Mail for an entity of this worker.  Runs the turn at once if the entity is free and the stack allows. */
void entity_mail(struct mk_entity *e, struct mail *m);
/* In the turn of C: mail for its own entity that comes before what waits there, behind earlier such mail of this turn. */
void entity_mail_first(struct mk_ctx *c, struct mail *m);
bool entity_is_idle(const struct mk_entity *e);

/* A turn beside entity E (may be NULL) on a fiber of its own: RUN(ctx, arg).  Waits for a fiber if none is free. */
void turn_aside(struct mk_entity *e, const struct host *host, const struct mk_jid *self,
                void (*run)(struct mk_ctx *c, void *arg), void *arg);

/* Lets a suspended turn go on; from the main stack. */
void turn_resume(struct fiber *f);
/* One step of what is ready on this worker; false if there was none. */
bool turn_run_ready(struct worker *w);
bool turn_is_ready(const struct worker *w);

/* Prepares a turn that code outside entities runs on the main stack (timers, connections), and ends it. */
void turn_begin(struct mk_ctx *c, struct mk_entity *e, const struct host *host, const struct mk_jid *self);
void turn_end(struct mk_ctx *c);

extern _Atomic uint32_t turn_deadline_ms;  /* option limits.turn_deadline */
extern _Atomic uint32_t mailbox_high_mark; /* option limits.mailbox */
extern bool yield_chaos;                   /* debug: ops that complete at once are still deferred */

#endif
