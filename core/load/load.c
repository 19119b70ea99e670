/* SPDX-License-Identifier: Apache-2.0 */
#include "load/load.h"
#include "load/plan.h"
#include "run/metric.h"
#include "run/worker.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

struct load_state load;

void load_setup(const struct load_config *config) {
    load.config = *config;
    load.metric_limit = config->first_metric;
    stats_setup(config->workers);
}

void load_level(int level) {
    load.config.level = level;
}

void load_server_commands(const struct mk_cmd_decl *rows, unsigned count) {
    load.commands = rows;
    load.command_count = count;
}

unsigned load_metric_limit(void) {
    return load.metric_limit;
}

unsigned load_timer_limit(void) {
    return load.timer_limit;
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static void make_snapshot(struct plan *p) {
    struct snapshot *s = p->snapshot = arena_zalloc(&p->arena, sizeof *s);
    const struct host **hosts = arena_alloc(&p->arena, (p->host_count + 1) * sizeof *hosts);
    const struct host_type **types = arena_alloc(&p->arena, (p->type_count + 1) * sizeof *types);
    const struct instance **globals = arena_alloc(&p->arena, (p->want_count + 1) * sizeof *globals);
    const struct plugin **plugins = arena_alloc(&p->arena, (load.module_count + 1) * sizeof *plugins);
    for (unsigned i = 0; i < p->host_count; i++) {
        hosts[s->host_count++] = &p->hosts[i];
        table_add(&s->by_name, hash_bytes(p->hosts[i].name, strlen(p->hosts[i].name)), &p->hosts[i]);
    }
    for (unsigned i = 0; i < p->type_count; i++)
        types[s->type_count++] = p->types[i].type;
    for (unsigned i = 0; i < p->want_count; i++)
        if (!p->wants[i]->type)
            globals[s->global_count++] = &p->wants[i]->unit->inst;
    for (const struct module *m = load.modules; m; m = m->next)
        plugins[s->plugin_count++] = &m->plugin;
    s->hosts = hosts;
    s->domains = p->domains;
    s->types = types;
    s->globals = globals;
    s->plugins = plugins;
    plan_services(p);
}

/* A plan, on top of the others; NULL, and nothing has changed, if E got errors. */
static struct plan *make_plan(const struct conf_node *root, struct conf_errors *e) {
    unsigned before = e->count;
    struct plan *p = xcalloc(1, sizeof *p);
    p->root = root;
    p->e = e;
    plan_wants(p);
    plan_bind(p);
    plan_order(p);
    plan_types(p);
    plan_hosts(p);
    plan_domains(p);
    if (e->count != before) {
        plan_release(p);
        return NULL;
    }
    make_snapshot(p);
    p->before = load.plans;
    load.plans = p;
    return p;
}

bool load_plan(const struct conf_node *root, struct conf_errors *e) {
    return make_plan(root, e) != NULL;
}

bool load_serves(const char *kind) {
    const struct plan *p = load.plans;
    for (unsigned i = 0; p && i < p->want_count; i++) {
        const struct mk_table *t = &p->wants[i]->unit->module->plugin.d.listeners;
        const struct mk_listener_decl *rows = t->items;
        for (uint32_t k = 0; k < t->count; k++)
            if (strcmp(rows[k].kind, kind) == 0)
                return true;
    }
    return false;
}

/* ---- putting it in force ----------------------------------------------------------------------------------------- */

static void number_metrics(struct module *m) {
    const struct mk_metric_decl *rows = m->plugin.d.metrics.items;
    m->places = arena_alloc(&load.keep, (m->plugin.d.metrics.count + 1) * sizeof *m->places);
    for (uint32_t i = 0; i < m->plugin.d.metrics.count; i++) {
        m->places[i] = load.metric_limit;
        load.metric_limit += rows[i].kind == MK_HISTOGRAM ? METRIC_BUCKETS + 2 : 1;
    }
    m->plugin.metric_places = m->places;
    m->plugin.timer_base = load.timer_limit;
    load.timer_limit += m->plugin.d.timers.count;
}

/* Slots, metrics and timers of what is enabled for the first time. */
static void number_modules(const struct plan *p) {
    struct plugin **fresh = xcalloc(p->want_count + 1, sizeof(struct plugin *));
    unsigned count = 0;
    uint32_t slots = 0;
    for (unsigned i = 0; i < p->want_count; i++) {
        struct module *m = p->wants[i]->unit->module;
        if (m->numbered)
            continue;
        m->numbered = true;
        number_metrics(m);
        slots += m->plugin.d.slots.count;
        fresh[count++] = &m->plugin;
    }
    if (slots || load.generation == 0)
        slots_add(fresh, count);
    free(fresh);
}

static void set_levels(const struct plan *p) {
    static const int levels[] = { 0, MK_ERROR, MK_WARNING, MK_NOTICE, MK_INFO, MK_DEBUG };
    for (struct module *m = load.modules; m; m = m->next)
        atomic_store_explicit(&m->plugin.level, load.config.level, memory_order_relaxed);
    for (unsigned i = 0; i < p->want_count; i++)
        if (p->wants[i]->common.log_level)
            atomic_store_explicit(&p->wants[i]->unit->module->plugin.level, levels[p->wants[i]->common.log_level],
                                  memory_order_relaxed);
}

/* Which snapshot each host and instance came with. */
static void set_since(const struct plan *p) {
    const struct snapshot *old = load.in_force;
    p->snapshot->number = ++load.generation;
    for (unsigned i = 0; i < p->host_count; i++) {
        p->hosts[i].since = load.generation;
        for (uint32_t k = 0; old && k < old->host_count; k++)
            if (strcmp(old->hosts[k]->name, p->hosts[i].name) == 0)
                p->hosts[i].since = old->hosts[k]->since;
    }
    for (struct unit *u = load.units; u; u = u->next) {
        bool enabled = false;
        for (unsigned i = 0; i < p->want_count; i++)
            enabled |= p->wants[i]->unit == u;
        if (enabled && !u->enabled)
            u->inst.since = load.generation;
        u->enabled = enabled;
    }
}

/* Starts what does not run yet, as far as it gets. */
static bool start_units(struct plan *p) {
    for (struct unit *u = load.units; u; u = u->next)
        u->wanted = false;
    for (unsigned i = 0; i < p->want_count; i++)
        p->wants[i]->unit->wanted = true;
    for (unsigned i = 0; i < p->order_count; i++)
        if (!p->order[i]->unit->started && !unit_start(p, p->order[i]))
            return false;
    return true;
}

static void put_in_force(struct plan *p) {
    set_levels(p);
    set_since(p);
    load.in_force = p->snapshot;
    snapshot_publish(p->snapshot);
}

bool load_start(struct conf_errors *e) {
    struct plan *p = load.plans;
    p->e = e;
    number_modules(p);
    if (!start_units(p)) {
        load_stop();
        return false;
    }
    put_in_force(p);
    return true;
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

struct prepare {
    pthread_mutex_t lock;
    struct buf why;
    bool failed;
};

static void prepare_worker(struct worker *w, void *arg) {
    struct prepare *prepare = arg;
    struct buf why = { 0 };
    if (!worker_prepare(w, &why)) {
        pthread_mutex_lock(&prepare->lock);
        if (!prepare->failed)
            buf_puts(&prepare->why, why.data);
        prepare->failed = true;
        pthread_mutex_unlock(&prepare->lock);
    }
    buf_free(&why);
}

static bool prepare_workers(struct conf_errors *e) {
    struct prepare prepare = { .lock = PTHREAD_MUTEX_INITIALIZER };
    if (worker_count)
        workers_each(prepare_worker, &prepare);
    if (prepare.failed)
        conf_error(e, NULL, "%s", prepare.why.data);
    buf_free(&prepare.why);
    return !prepare.failed;
}

static void follow(struct worker *w, void *arg) {
    w->hosts = arg;
    if (load.config.followed)
        load.config.followed(w);
}

static bool is_fresh(const struct unit *u, unsigned first) {
    for (unsigned i = first; i < load.started_count; i++)
        if (load.started[i] == u)
            return true;
    return false;
}

/*
 * If a plugin can't be started, those started before it in this reload stay started and idle: collections are defined
 * in them, workers may have begun them.  The next reload finds them running.  Their options are in the plan, which is
 * therefore kept.
 */
bool load_reload(const struct conf_node *root, struct conf_errors *e, struct buf *notes) {
    struct plan *p = make_plan(root, e);
    if (!p)
        return false;
    unsigned first = load.started_count;
    number_modules(p);
    if (!start_units(p) || !prepare_workers(e))
        return false;
    for (unsigned i = 0; i < p->want_count; i++)
        if (!is_fresh(p->wants[i]->unit, first))
            unit_follow(p, p->wants[i], notes);
    put_in_force(p);
    if (worker_count)
        workers_each(follow, p->snapshot);
    return true;
}

static bool start_backend(struct plan *p, const char *name) {
    struct want *w = want_find(p, NULL, name);
    if (w && w->unit->started)
        return true;
    if (!w || !provide_find(&w->unit->module->plugin, "mk_backend", 1, NULL)) {
        conf_error(p->e, conf_find(p->root, "backends"), "\"%s\" is no backend that is enabled in `backends`", name);
        return false;
    }
    w->unit->wanted = true;
    return unit_start(p, w);
}

bool load_start_backends(const char *const *names, unsigned count, struct conf_errors *e) {
    struct plan *p = load.plans;
    p->e = e;
    number_modules(p);
    for (unsigned i = 0; i < count; i++)
        if (!start_backend(p, names[i]))
            return false;
    return true;
}

/* Whether an earlier want is of the same plugin: instances of other host types have the same collections. */
static bool is_again(const struct plan *p, unsigned i) {
    for (unsigned k = 0; k < i; k++)
        if (p->wants[k]->unit->module == p->wants[i]->unit->module)
            return true;
    return false;
}

void load_collections(load_coll_fn *fn, void *arg) {
    const struct plan *p = load.plans;
    for (unsigned i = 0; i < p->want_count; i++) {
        const struct mk_table *t = &p->wants[i]->unit->module->plugin.d.collections;
        const struct mk_coll_decl *rows = t->items;
        for (uint32_t k = 0; !is_again(p, i) && k < t->count; k++)
            fn(arg, &rows[k], p->wants[i]->stores[k]->unit->inst.name);
    }
}

const struct instance *load_backend(const char *name, size_t len) {
    for (const struct unit *u = load.units; u; u = u->next)
        if (u->started && !u->inst.type_name && strlen(u->inst.name) == len && memcmp(u->inst.name, name, len) == 0 &&
            provide_find(&u->module->plugin, "mk_backend", 1, NULL))
            return &u->inst;
    return NULL;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

void load_stop(void) {
    while (load.started_count > 0)
        unit_stop(load.started[--load.started_count]);
}

void load_free(void) {
    snapshot_publish(NULL);
    struct plan *before;
    for (struct plan *p = load.plans; p; p = before) {
        before = p->before;
        plan_release(p);
    }
    apart_clear();
    units_free();
    slots_free();
    stats_free();
    free(load.started);
    arena_free(&load.keep);
    struct load_config config = load.config;
    load = (struct load_state){ .config = config, .metric_limit = config.first_metric };
}
