/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.h - what a plugin counts.  The server already counts and times every hook, iq and store call; count only what
 * has a meaning of its own.
 */
#ifndef MEERKAT_METRIC_H
#define MEERKAT_METRIC_H

#include <meerkat/ctx.h>

MK_BEGIN_DECLS

enum mk_metric_kind {
    MK_COUNTER,  /* only grows */
    MK_GAUGE,    /* goes up and down; the figure shown is the sum over the workers */
    MK_HISTOGRAM /* buckets in powers of two from 1 */
};
/* Shown as meerkat_PLUGIN_NAME; NAME in snake case without unit, HELP one sentence. */
struct mk_metric_decl {
    const char *name;
    uint32_t kind, zero;
    const char *unit; /* "messages", "bytes", "seconds"; "" if it has none */
    const char *help;
};

/* Adds BY to counter or gauge INDEX (row of your .metrics); one add to this worker's memory. */
MK_EXPORT void mk_count(struct mk_ctx *c, unsigned index, int64_t by);

/* The same from any thread and without a turn; see mk_log_from(). */
MK_EXPORT void mk_count_from(const void *inst, unsigned index, int64_t by);

/* Enters VALUE in histogram INDEX. */
MK_EXPORT void mk_observe(struct mk_ctx *c, unsigned index, int64_t value);

MK_END_DECLS

#endif
