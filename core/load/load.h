/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin host: finds and loads plugins, checks what they say of themselves, binds them to each other by their
 * needs, gives them their options, starts them, and makes of it all the snapshot that turns run by (route/host.h).
 *
 * All of this is the main thread's, but for the functions of workers and those that read a snapshot.  In this order:
 *
 *     load_setup()             once
 *     load_server_commands()   once
 *     load_plan()              everything that can be wrong without a database: this is `meerkatd --check`
 *     load_start()             collections are defined, start() of every plugin runs
 *     load_worker_start()      in each worker, before its loop
 *     load_reload()            any number of times
 *     load_worker_stop()       in each worker, after its loop
 *     load_stop()              stop() of every plugin; load_free() when nothing of it is used any more
 *
 * What it reads: `plugin_dir` (folders of NAME.so, separated by colons), `plugins` (name -> group of options, for all
 * host types; `enabled = false` keeps one loaded but out of use), `backends` (name -> group; global plugins; `backend`
 * names the plugin if it is not the group's name), `storage` (collection or `default` -> backend), `host_types`
 * (name -> group; `plugins` in it overrides options, enables and disables for that type), and `hosts`.
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "conf/conf.h"
#include "route/host.h"
#include "util/text.h"

struct worker;

/* What mk_fail() writes to.  Zeroed memory is "nothing failed"; load_err_free() after use. */
struct mk_err {
    int rc;
    struct buf text;
};
void load_err_free(struct mk_err *err);

struct load_config {
    const char *plugin_dir; /* where the configuration names none; NULL: what was compiled in */
    unsigned workers;       /* how many there will be */
    unsigned first_metric;  /* places in worker->metrics that the server's own metrics take */
    int level;              /* log level of plugins that have none of their own */
    /* In each worker, when it has taken over another snapshot: entities must find their hosts anew.  Or NULL. */
    void (*followed)(struct worker *w);
};
void load_setup(const struct load_config *config);
void load_level(int level); /* before a reload, if it changed */

/* Commands of the server itself: they come first in every host type.  ROWS live for ever. */
void load_server_commands(const struct mk_cmd_decl *rows, unsigned count);

/* ROOT must live until load_start() returned.  False: E says why. */
bool load_plan(const struct conf_node *root, struct conf_errors *e);
bool load_start(struct conf_errors *e);
/* After load_plan(): whether an enabled plugin speaks the protocol KIND of listeners. */
bool load_serves(const char *kind);

/* 0, or -1 with the reason in the log. */
int load_worker_start(struct worker *w);
void load_worker_stop(struct worker *w);

/*
 * Makes the running server follow another configuration, or says in E why it can't, and then nothing has changed.
 * Instances go on as they are; of their options those that are live change.  NOTES gets a line for each change that
 * waits for a restart.  Newly enabled plugins are started; disabled ones leave the chains but are not stopped, since
 * turns may be in them.  Workers, if they run, have taken over the snapshot when this returns.
 *
 * What a snapshot was made of stays in memory until load_free(), because nobody knows when the last turn, op or entity
 * lets go of it; a reload costs some 10 KB and a certificate for each host.
 */
bool load_reload(const struct conf_node *root, struct conf_errors *e, struct buf *notes);

void load_stop(void);
void load_free(void);

/*
 * For tools, instead of load_start(): starts these backends alone, none of what uses them.  And every collection that
 * an enabled plugin has, once, with the backend that it is configured for.
 */
bool load_start_backends(const char *const *names, unsigned count, struct conf_errors *e);
typedef void load_coll_fn(void *arg, const struct mk_coll_decl *decl, const char *backend);
void load_collections(load_coll_fn *fn, void *arg);

/* Main thread: the backend of this name, used or not; NULL if none has started. */
const struct instance *load_backend(const char *name, size_t len);

/* Places in worker->metrics, and numbers of timers, that are taken: both grow with a reload. */
unsigned load_metric_limit(void);
unsigned load_timer_limit(void);

/* ---- looking at it, in any thread that holds the snapshot -------------------------------------------------------- */

/* Names of the host types that PLUGIN is enabled for, "default, guests"; "all" for a global one at work. */
void report_types(struct buf *out, const struct snapshot *s, const struct plugin *plugin);

/* One place in the chain of HOOK for hosts of type T, in the order they run. */
struct report_handler {
    const char *plugin;
    int prio;
    bool suspends;
    uint64_t calls, average_ns;
};
bool report_handler(const struct host_type *t, enum mk_hook hook, uint32_t i, struct report_handler *out);

/* The metric at PLACE of a plugin: its row and plugin, or NULL if none begins there. */
const struct mk_metric_decl *report_metric(const struct snapshot *s, unsigned place, const struct plugin **plugin);

/* A plugin's reference in Markdown, from its rows; and its row in a table of plugins: name, summary, XEPs. */
void manual_plugin(struct buf *out, const struct plugin *plugin);
void manual_row(struct buf *out, const struct plugin *plugin);
/* Options of `hosts`, of `host_types`, and those that every plugin has. */
void manual_hosts(struct buf *out);
/* Opens NAME in the plugin folders for its manual alone.  NULL: E says why. */
const struct plugin *load_only(const char *name, struct conf_errors *e);

#endif
