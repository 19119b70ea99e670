/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.h - the descriptor, the one thing a plugin exports.  Includes every header a feature needs; interfaces
 * (auth.h, roster.h, backend.h) are included by those who provide or use them.
 *
 * Life of a plugin: load all, handshake, collect rows, resolve needs, parse and check the configuration, start(inst) in
 * the order of needs on the main thread, instance memory read-only, worker_start in each worker, listeners open ...
 * listeners close, entities drained, worker_stop, stop.  Loading runs no code of the plugin but its entry function.
 */
#ifndef MEERKAT_PLUGIN_H
#define MEERKAT_PLUGIN_H

#include <meerkat/command.h>
#include <meerkat/domain.h>
#include <meerkat/hook.h>
#include <meerkat/metric.h>
#include <meerkat/option.h>
#include <meerkat/order.h>
#include <meerkat/service.h>
#include <meerkat/slot.h>
#include <meerkat/store.h>

MK_BEGIN_DECLS

enum {
    MK_PLUGIN_GLOBAL = 1 /* one instance a process, configured under `backends`; else one a host type */
};

/*
 * Everything a plugin adds is a row in one of these tables; nothing is registered at run time.  A plugin has no
 * writable globals: state lives in the instance (read-only), in worker memory (one thread), or in slots (one turn).
 *
 * start: binds what the tables can't, opens what the instance needs.  It may block.  Fails with mk_fail().
 * worker_start: once in each worker thread, with that worker's zeroed WORKER_SIZE bytes.  It must not block.
 * There is no mk_ctx in these: no turn runs.  Every member may be NULL or zero but name, version and summary.
 */
struct mk_plugin {
    struct mk_head head;
    const char *name, *version, *summary; /* name: snake case, the file's name; summary: one line */
    uint32_t flags, inst_size, worker_size, zero;
    struct mk_table options, needs, provides, hooks, iqs, nonzas, features, disco, slots, timers, metrics, commands,
        collections, xeps, domains;
    int (*start)(void *inst, struct mk_err *err);
    void (*stop)(void *inst);
    int (*worker_start)(const void *inst, void *worker, struct mk_err *err);
    void (*worker_stop)(const void *inst, void *worker);
    struct mk_table inlines, mechanisms; /* mechanisms: sasl.h */
    struct mk_table listeners;           /* net.h */
    /* end of 1.0: append only, every later member is optional */
};

/* Name of the one exported function.  Static builds (fuzzers, unit tests) name it so that a program may hold several. */
#ifdef MK_STATIC
#define MK_ENTRY(id) id##_LTX_mk_plugin
#else
#define MK_ENTRY(id) mk_plugin_entry
#endif
#define MK_ENTRY_NAME "mk_plugin_entry"

/*
 * MK_PLUGIN(name, .version = "1.0", .summary = "...", .hooks = MK_TABLE(hooks), ...);
 */
#define MK_PLUGIN(id, ...)                                                                                             \
    MK_EXPORT const struct mk_plugin *MK_ENTRY(id)(void);                                                              \
    const struct mk_plugin *MK_ENTRY(id)(void) {                                                                       \
        static const struct mk_plugin descriptor = { .head = { MK_MAGIC, MK_ABI_MAJOR, MK_ABI_NEED, MK_ABI_MINOR, 0,   \
                                                               sizeof(struct mk_plugin) },                             \
                                                     .name = #id,                                                      \
                                                     __VA_ARGS__ };                                                    \
        return &descriptor;                                                                                            \
    }                                                                                                                  \
    struct mk_plugin

MK_END_DECLS

#endif
