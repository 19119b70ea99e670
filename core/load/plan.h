/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of load/ share.  Modules and units live as long as the process; a plan is one reading of the
 * configuration, and the snapshot made of it. */
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include "load/load.h"
#include "util/arena.h"
#include <meerkat/net.h>

/* A loaded plugin and what only load/ knows of it. */
struct module {
    struct plugin plugin; /* first */
    struct module *next;
    const char **hook_names, **iq_names; /* of rows, for handlers */
    unsigned *places;
    bool numbered; /* has slots, metrics and timers */
};

/* An instance and what only load/ knows of it. */
struct unit {
    struct instance inst; /* first */
    struct module *module;
    struct unit *next;
    struct mk_svc *services; /* by row of provides; what the fields of users point to */
    _Atomic uint64_t **hook_stats, **iq_stats;
    const void *configured;     /* options as they were last put in force, whatever start() made of the fields */
    const struct unit **stores; /* by row of collections: where it was defined */
    bool started, enabled;      /* enabled: in the newest snapshot */
    bool wanted;                /* by the plan that is being put in force */
};

struct type_options {
    struct mk_texts auth, sasl;
    bool sasl2, plain_without_tls, anonymous;
};

/* What every plugin group has beside the plugin's own options. */
struct common_options {
    bool enabled;
    int64_t log_level;
    const char *backend; /* only of backends */
};

struct want;
struct type_plan {
    const char *name;
    const struct conf_node *group;
    struct type_options options;
    struct host_type *type;
};

/* An instance as the configuration wants it. */
struct want {
    struct unit *unit;
    struct type_plan *type; /* NULL: global */
    const struct conf_node *group;
    struct common_options common;
    void *bytes;           /* options, nothing bound; inst_size bytes */
    struct mk_svcs *bound; /* by row of needs */
    struct want **stores;  /* by row of collections */
    struct want **after;   /* what must be started before it */
    bool *soft;            /* of AFTER: better, not needed */
    unsigned after_count, after_cap;
    unsigned mark;
};

struct plan {
    struct plan *before;
    struct arena arena;
    const struct conf_node *root;
    struct conf_errors *e;
    const char *plugin_dir;
    struct want **wants; /* globals by name, then by type and name */
    unsigned want_count, want_cap;
    struct type_plan *types;
    unsigned type_count;
    struct want **order; /* as they are to be started */
    unsigned order_count;
    struct snapshot *snapshot;
    struct host *hosts;
    unsigned host_count;
    struct table domains; /* of struct domain, by name; the snapshot's */
};

struct load_state {
    struct load_config config;
    struct arena keep; /* modules and units */
    struct module *modules;
    unsigned module_count;
    struct unit *units;
    unsigned unit_count;
    struct unit **started; /* in the order they were; malloc'd */
    unsigned started_count;
    struct plan *plans; /* all that were not refused, newest first */
    const struct snapshot *in_force;
    struct mapping *mappings;
    const struct mk_cmd_decl *commands;
    unsigned command_count;
    unsigned metric_limit, timer_limit, generation;
};
extern struct load_state load;

/* module.c: the module NAME, loaded now if it was not; NULL: E says why, at WHERE. */
struct module *module_get(struct plan *p, const char *name, const struct conf_node *where);
/* The plugins in the folders by name, ended by NULL, in the plan's arena. */
const char *const *module_names(struct plan *p, size_t *count);
bool is_snake(const char *name);

/* rows.c: checks what the rows of M say.  False: WHY has one sentence. */
bool rows_check(const struct plugin *m, struct buf *why);

/* want.c: modules, types and wants, options filled. */
void plan_wants(struct plan *p);
struct want *want_find(const struct plan *p, const struct type_plan *type, const char *name); /* type NULL: global */
const struct mk_table *common_rows(bool backend);
extern const struct mk_table type_rows, host_rows; /* of struct type_options (want.c), struct host_options (hosts.c) */
/* "plugin roster", "plugin roster of host type guests", "backend pool": for messages. */
const char *want_text(const struct plan *p, const struct want *w);

/* bind.c: needs, storage; order.c: what is started when. */
void plan_bind(struct plan *p);
void plan_order(struct plan *p);
void want_after(struct plan *p, struct want *w, struct want *before, bool soft);
const struct mk_provide_decl *provide_find(const struct plugin *m, const char *iface, uint16_t major, uint32_t *row);

/* types.c, hosts.c, domains.c: the snapshot. */
void plan_types(struct plan *p);
void plan_hosts(struct plan *p);
void plan_domains(struct plan *p);
void plan_services(struct plan *p);
void plan_release(struct plan *p); /* certificates and tables */

/* unit.c */
struct unit *unit_get(struct module *m, const char *name, const char *type_name);
void apart_add(const struct instance *inst, const void *bytes); /* before start(BYTES), of global plugins */
void apart_clear(void);
bool unit_start(struct plan *p, struct want *w);
void unit_follow(struct plan *p, struct want *w, struct buf *notes); /* one that runs: live options and bindings */
void unit_stop(struct unit *u);
void units_free(void);

/* worker.c: worker_start() of what was not started yet in this worker.  False: WHY has the sentence. */
bool worker_prepare(struct worker *w, struct buf *why);

#endif
