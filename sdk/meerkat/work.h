/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - work beside entities: between workers, later, in the name of a host; mk_aside() is in ctx.h.
 *
 * For plugins that speak protocols of their own (net.h): what they hold belongs to no account or room, but to the worker
 * it was made on.  The turns here have no entity: mk_self() is NULL or the host, there are no slots.
 */
#ifndef MEERKAT_WORK_H
#define MEERKAT_WORK_H

#include <meerkat/ctx.h>

MK_BEGIN_DECLS

/* The number of the worker whose thread this is, from 0; and how many there are. */
MK_EXPORT unsigned mk_worker_here(const struct mk_ctx *c);
MK_EXPORT unsigned mk_worker_count(const struct mk_ctx *c);

/*
 * Runs FN(c, ARG) on worker WORKER (this one too) in a turn of this plugin's, soon: what one worker posts to another
 * arrives in order.  INLINE.  When the server stops before, FN is called with C NULL, on any thread: it frees ARG and
 * does nothing else.  Does not suspend.
 */
typedef void mk_work_fn(struct mk_ctx *c, void *arg);
MK_EXPORT void mk_post(struct mk_ctx *c, unsigned worker, mk_work_fn *fn, void *arg);

/*
 * Runs FN(c, ARG) at once, INLINE, in the name of the host that serves DOMAIN, which is lower case; with DOMAIN of no
 * length in that of the first host of the configuration.  MK_E_NOTFOUND if there is none.
 */
MK_EXPORT MK_MUST_CHECK int mk_in_host(struct mk_ctx *c, struct mk_view domain, mk_work_fn *fn, void *arg);

/*
 * An alarm of this worker: it calls FN(c, ARG), INLINE, once MS milliseconds after it was set, up to 100 ms late.  Only
 * its worker touches it.  OWNED: mk_alarm_free(), which takes NULL, also from inside FN; at the latest in worker_stop.
 */
struct mk_alarm;
MK_EXPORT struct mk_alarm *mk_alarm_new(struct mk_ctx *c, mk_work_fn *fn, void *arg);
MK_EXPORT void mk_alarm_set(struct mk_alarm *alarm, uint32_t ms); /* anew, if it is set already */
MK_EXPORT void mk_alarm_stop(struct mk_alarm *alarm);
MK_EXPORT void mk_alarm_free(struct mk_alarm *alarm);

MK_END_DECLS

#endif
