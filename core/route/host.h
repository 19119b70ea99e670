/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts, host types, and what runs in their name.  A snapshot of all of it is immutable: a reload makes another and
 * hands it to every worker.  load/ builds snapshots; everything below only reads them.  Old ones stay in memory until
 * the process ends, since turns, entities and ops may still hold what belongs to them.
 *
 * Plugins and instances live as long as the process and are the same in all snapshots; of them a reload changes the
 * log level and, when an option that is live changed, BYTES: the old bytes stay valid for whoever read the pointer.
 */
#ifndef ROUTE_HOST_H
#define ROUTE_HOST_H

#include "route/jid.h"
#include "util/table.h"
#include <meerkat/auth.h>
#include <meerkat/plugin.h>
#include <meerkat/sasl.h>

struct tls_cert;
struct host_type;

/* A loaded plugin: its descriptor and rows as this server reads them, whatever their size in the .so. */
struct plugin {
    const char *name;
    struct mk_plugin d; /* tables point to rows of our own stride */
    const char *file;   /* the .so */
    unsigned number;    /* of all loaded */
    const unsigned
        *metric_places;     /* of each row: its first place in worker->metrics; NULL before it is first enabled */
    unsigned slot_base;     /* number of its first slot, see slots_get() */
    unsigned timer_base;    /* of its first timer, over all plugins */
    _Atomic int64_t *apart; /* what mk_count_from() counted, of each row; NULL if the plugin is not global */
    _Atomic int level;      /* log level, from the configuration; mk_level */
};

/* A plugin at work for one host type (or for the process, if global). */
struct instance {
    struct plugin *plugin;
    const char *name;            /* of a global one: its name under `backends`; else the plugin's */
    const char *type_name;       /* of its host type; NULL if global */
    _Atomic(const void *) bytes; /* read-only once started; NULL if inst_size is 0 */
    unsigned number;             /* index in worker->plugin_memory */
    unsigned since;              /* number of the snapshot that it was enabled with, the last time it was */
    bool started;
};

/*
 * STATS is how often a handler ran and how long: [0] calls, [1] nanoseconds of the first worker; the others count in
 * rows of their own, see stats_sum().  Every call is counted, one in 16 is timed; for a handler that suspends the time
 * holds the waiting too.
 */
/* One handler in a chain. */
struct handler {
    union mk_hook_fn fn;
    const struct instance *inst;
    const char *name; /* "roster:user_send_presence", for the watchdog */
    _Atomic uint64_t *stats;
    int16_t prio;
    bool suspends;
};
struct chain {
    const struct handler *handlers;
    uint32_t count;
    bool suspends; /* any handler is SERIAL */
};

struct iq_entry {
    const struct mk_iq_decl *row;
    const struct instance *inst;
    const char *name; /* "roster:query jabber:iq:roster" */
    _Atomic uint64_t *stats;
};
struct nonza_entry {
    const struct mk_nonza_decl *row;
    const struct instance *inst;
};
struct feature_entry {
    const struct mk_feature_decl *row;
    const struct instance *inst;
};
struct inline_entry {
    const struct mk_inline_decl *row;
    const struct instance *inst;
};
struct mechanism_entry {
    const struct mk_mechanism_decl *row;
    const struct instance *inst;
};
struct command_entry {
    const struct mk_cmd_decl *row;
    const struct instance *inst; /* NULL: the server's own */
};

struct host_type {
    const char *name;
    struct chain chains[MK_HOOK_COUNT_];
    struct table iqs; /* of struct iq_entry, by name, ns, to */
    const struct nonza_entry *nonzas;
    uint32_t nonza_count;
    const struct feature_entry *features;
    uint32_t feature_count;
    const struct inline_entry *inlines; /* in their order */
    uint32_t inline_count;
    const struct mechanism_entry *mechanisms; /* of plugins */
    uint32_t mechanism_count;
    const char *const *disco_server, *const *disco_account; /* sorted, ended by NULL */
    uint32_t disco_server_count, disco_account_count;
    const struct mk_auth *const *auth; /* providers in order */
    uint32_t auth_count;
    const struct command_entry *commands;
    uint32_t command_count;
    const struct instance *const *instances; /* of this type, by name */
    uint32_t instance_count;
    const struct instance *const *by_plugin; /* of this type or global, by plugin number; NULL: not enabled */
    uint32_t plugin_limit;
    const char *const *sasl; /* mechanisms allowed, strongest first; NULL: all */
    uint32_t sasl_count;
    bool sasl2, plain_without_tls, anonymous;
};

/* A served domain. */
struct host {
    const char *name;
    const struct mk_jid *jid;
    const struct host_type *type;
    struct tls_cert *cert; /* NULL: no TLS for this host */
    const struct mk_jid *const *admins;
    uint32_t admin_count;
    unsigned since; /* number of the snapshot that it was first in */
};

/* A domain that a plugin serves in the name of a host. */
struct domain {
    const char *name;
    const struct host *host;
    const struct instance *inst;
    const struct mk_domain_decl *row;
    const char *label; /* "muc:rooms.example.org", for the watchdog */
};

/* An interface, who provides it and who is bound to it. */
struct service_entry {
    const char *iface;
    uint16_t major, minor;
    const struct instance *provider;
    const struct instance *const *users;
    uint32_t user_count;
};

struct snapshot {
    unsigned number;
    const struct host *const *hosts; /* in the order of the configuration */
    uint32_t host_count;
    struct table by_name; /* of struct host */
    struct table domains; /* of struct domain, by name */
    const struct host_type *const *types;
    uint32_t type_count;
    const struct instance *const *globals; /* backends and the like */
    uint32_t global_count;
    const struct plugin *const *plugins; /* all that are loaded, by name */
    uint32_t plugin_count;
    const struct service_entry *services; /* by interface, then provider */
    uint32_t service_count;
};

/* The host that serves DOMAIN on this worker's snapshot, or NULL. */
const struct host *host_find(const char *domain, size_t len);
/* The same for one that a plugin serves. */
const struct domain *domain_find(const char *domain, size_t len);
const struct snapshot *snapshot_current(void);   /* of this worker; of the main thread: the newest */
void snapshot_publish(const struct snapshot *s); /* makes it the newest */

/* The instance of PLUGIN that works for hosts of type T, or NULL. */
static inline const struct instance *type_instance(const struct host_type *t, const struct plugin *plugin) {
    return plugin->number < t->plugin_limit ? t->by_plugin[plugin->number] : NULL;
}

/* The iq row for these, or NULL.  TO is one of MK_TO_..., TYPE one of MK_GET, MK_SET. */
const struct iq_entry *host_iq(const struct host_type *t, const char *name, const char *ns, uint32_t to, uint32_t type);
/* Enters E, which must outlive T, for each of the bits of its TO.  The entry that claims the same before, or NULL. */
const struct iq_entry *host_iq_add(struct host_type *t, const struct iq_entry *e);

/*
 * Runs a chain of c->host: handlers in order until one stops.  True if one did; always false, and all run, for the hooks
 * whose stop is ignored.  EV is the hook's payload.  Nothing runs in a turn without host.
 */
bool chain_run(struct mk_ctx *c, enum mk_hook hook, void *ev);
/* The same for the handlers of instances that were enabled with snapshot number SINCE or later: host_started. */
bool chain_run_since(struct mk_ctx *c, enum mk_hook hook, void *ev, unsigned since);
/* Calls the handler of an iq as chain_run() calls those of hooks; returns what it returned. */
int iq_run(struct mk_ctx *c, const struct iq_entry *e, const struct mk_stanza *iq);
const char *hook_name(enum mk_hook hook);

/* Main thread.  Rows for WORKERS workers, before the first stats_new(); what stats_new() gives lives until stats_free(). */
void stats_setup(unsigned workers);
_Atomic uint64_t *stats_new(void);
void stats_free(void);
/* Calls of all workers together and the average time of those that were timed; any thread, approximate. */
void stats_sum(const _Atomic uint64_t *stats, uint64_t *calls, uint64_t *average_ns);

/*
 * Slots: one segment for all plugins enabled at start, which lies behind its object; and one more each time a reload
 * brought plugins with slots, allocated for an object when it is first touched.  Segments begin with a pointer to the
 * later ones, and a bit for each slot that has an init or fini function, set once init ran.  Slots are 8-byte aligned.
 */
void slots_add(struct plugin *const *plugins, unsigned count); /* main thread; sets slot_base */
void slots_free(void);                                         /* at exit */
size_t slots_size(enum mk_owner owner); /* bytes of the first segment, to allocate behind the object */
void slots_init(struct mk_ctx *c, enum mk_owner owner, void *first); /* zeroes it, runs init functions */
/* NUMBER is plugin->slot_base and the row; c->inst is an instance of that plugin. */
void *slots_get(struct mk_ctx *c, enum mk_owner owner, void *first, unsigned number);
void slots_fini(enum mk_owner owner, void *first);

#endif
