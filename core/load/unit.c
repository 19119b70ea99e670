/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include "store/store.h"
#include "util/mem.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Instance memory, that of old snapshots included: pages of its own, so that it can be made read-only. */
struct mapping {
    struct mapping *next;
    void *at;
    size_t size;
};

static void *map(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct mapping *m = arena_alloc(&load.keep, sizeof *m);
    m->size = (size + page - 1) / page * page;
    m->at = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->at == MAP_FAILED)
        abort();
    m->next = load.mappings;
    load.mappings = m;
    return m->at;
}

/* BYTES were mapped last or not long ago. */
static void protect(const void *bytes) {
    for (struct mapping *m = load.mappings; m; m = m->next)
        if (m->at == bytes && mprotect(m->at, m->size, PROT_READ) != 0)
            abort();
}

static _Atomic uint64_t **new_stats(uint32_t count) {
    _Atomic uint64_t **stats = arena_alloc(&load.keep, (count + 1) * sizeof *stats);
    for (uint32_t i = 0; i < count; i++)
        stats[i] = stats_new();
    return stats;
}

static void make_services(struct unit *u) {
    const struct mk_table *t = &u->module->plugin.d.provides;
    const struct mk_provide_decl *rows = t->items;
    u->services = arena_zalloc(&load.keep, (t->count + 1) * sizeof *u->services);
    for (uint32_t i = 0; i < t->count; i++)
        u->services[i] = (struct mk_svc){ .ops = rows[i].ops, .provider = &u->inst, .minor = rows[i].minor };
}

static bool is_unit(const struct unit *u, const struct module *m, const char *name, const char *type_name) {
    bool same_type =
        type_name && u->inst.type_name ? strcmp(u->inst.type_name, type_name) == 0 : type_name == u->inst.type_name;
    return u->module == m && same_type && strcmp(u->inst.name, name) == 0;
}

struct unit *unit_get(struct module *m, const char *name, const char *type_name) {
    for (struct unit *u = load.units; u; u = u->next)
        if (is_unit(u, m, name, type_name))
            return u;
    struct unit *u = arena_zalloc(&load.keep, sizeof *u);
    u->module = m;
    u->inst.plugin = &m->plugin;
    u->inst.name = arena_strdup(&load.keep, name);
    u->inst.type_name = type_name ? arena_strdup(&load.keep, type_name) : NULL;
    u->inst.number = load.unit_count++;
    u->hook_stats = new_stats(m->plugin.d.hooks.count);
    u->iq_stats = new_stats(m->plugin.d.iqs.count);
    u->stores = arena_zalloc(&load.keep, (m->plugin.d.collections.count + 1) * sizeof(struct unit *));
    make_services(u);
    u->next = load.units;
    load.units = u;
    return u;
}

/* ---- binding ----------------------------------------------------------------------------------------------------- */

/* Puts what the needs of W were resolved to into BYTES. */
static void put_services(const struct want *w, void *bytes) {
    const struct mk_table *t = &w->unit->module->plugin.d.needs;
    const struct mk_need_decl *rows = t->items;
    for (uint32_t i = 0; i < t->count; i++) {
        void *field = (char *)bytes + rows[i].bind;
        if (rows[i].flags == MK_NEED_MANY)
            *(struct mk_svcs *)field = w->bound[i];
        else
            *(const struct mk_svc **)field = w->bound[i].count ? w->bound[i].items[0] : NULL;
    }
}

static bool same_services(const struct want *w, const void *bytes) {
    const struct mk_table *t = &w->unit->module->plugin.d.needs;
    const struct mk_need_decl *rows = t->items;
    for (uint32_t i = 0; i < t->count; i++) {
        const void *field = (const char *)bytes + rows[i].bind;
        const struct mk_svcs *new = &w->bound[i];
        struct mk_svcs old = { field, *(const struct mk_svc *const *)field != NULL };
        if (rows[i].flags == MK_NEED_MANY)
            old = *(const struct mk_svcs *)field;
        if (old.count != new->count || (old.count && memcmp(old.items, new->items, old.count * sizeof *old.items) != 0))
            return false;
    }
    return true;
}

static bool put_collections(struct plan *p, struct want *w, void *bytes) {
    const struct mk_table *t = &w->unit->module->plugin.d.collections;
    const struct mk_coll_decl *rows = t->items;
    for (uint32_t i = 0; i < t->count; i++) {
        struct mk_err err = { 0 };
        struct mk_coll *coll = store_define(&rows[i], &w->stores[i]->unit->inst, &err);
        if (!coll)
            conf_error(p->e, w->stores[i]->group, "%s: %s", want_text(p, w),
                       err.text.data ? err.text.data : "no reason given");
        load_err_free(&err);
        if (!coll)
            return false;
        *(struct mk_coll **)((char *)bytes + rows[i].bind) = coll;
        w->unit->stores[i] = w->stores[i]->unit;
    }
    return true;
}

/* ---- starting, following, stopping ------------------------------------------------------------------------------- */

static bool call_start(struct plan *p, struct want *w, void *bytes) {
    int (*start)(void *inst, struct mk_err *err) = w->unit->module->plugin.d.start;
    struct mk_err err = { 0 };
    int rc = start ? start(bytes, &err) : 0;
    if (rc != 0)
        conf_error(p->e, w->group, "%s: %s", want_text(p, w), err.text.data ? err.text.data : mk_strerror(rc));
    load_err_free(&err);
    return rc == 0;
}

bool unit_start(struct plan *p, struct want *w) {
    struct unit *u = w->unit;
    size_t size = u->module->plugin.d.inst_size;
    void *bytes = size ? map(size) : NULL;
    if (size)
        memcpy(bytes, w->bytes, size);
    put_services(w, bytes);
    if (!put_collections(p, w, bytes))
        return false;
    atomic_store_explicit(&u->inst.bytes, bytes, memory_order_release);
    apart_add(&u->inst, bytes);
    if (!call_start(p, w, bytes))
        return false;
    if (size)
        protect(bytes);
    u->configured = w->bytes;
    u->started = u->inst.started = true;
    load.started = xrealloc(load.started, (load.started_count + 1) * sizeof(struct unit *));
    load.started[load.started_count++] = u;
    return true;
}

static void note_restarts(struct plan *p, const struct want *w, struct buf *notes) {
    const struct unit *u = w->unit;
    struct mk_table one = u->module->plugin.d.options;
    const struct mk_opt_decl *rows = one.items;
    for (uint32_t i = 0, count = one.count; i < count; i++) {
        one.items = &rows[i];
        one.count = 1;
        if (conf_differs(&one, u->configured, w->bytes, false))
            buf_printf(notes, "needs a restart: %s, option %s\n", want_text(p, w), rows[i].name);
    }
    const struct mk_coll_decl *colls = u->module->plugin.d.collections.items;
    for (uint32_t i = 0; i < u->module->plugin.d.collections.count; i++)
        if (u->stores[i] && u->stores[i] != w->stores[i]->unit)
            buf_printf(notes, "needs a restart: storage of %s\n", colls[i].name);
}

void unit_follow(struct plan *p, struct want *w, struct buf *notes) {
    struct unit *u = w->unit;
    const struct mk_table *rows = &u->module->plugin.d.options;
    size_t size = u->module->plugin.d.inst_size;
    const void *old = atomic_load_explicit(&u->inst.bytes, memory_order_relaxed);
    note_restarts(p, w, notes);
    bool differs = size && conf_differs(rows, u->configured, w->bytes, true);
    if (!size || (!differs && same_services(w, old)))
        return;
    void *bytes = map(size), *configured = arena_alloc(&p->arena, size);
    memcpy(bytes, old, size);
    memcpy(configured, u->configured, size);
    conf_copy_live(rows, configured, w->bytes);
    /* Of the running instance only what changed is set: a field that start() made its own stays as it is. */
    for (uint32_t i = 0; differs && i < rows->count; i++) {
        struct mk_table one = { (const struct mk_opt_decl *)rows->items + i, 1, rows->stride };
        if (conf_differs(&one, u->configured, w->bytes, true))
            conf_copy_live(&one, bytes, w->bytes);
    }
    put_services(w, bytes);
    protect(bytes);
    u->configured = configured;
    atomic_store_explicit(&u->inst.bytes, bytes, memory_order_release);
}

void unit_stop(struct unit *u) {
    void (*stop)(void *inst) = u->module->plugin.d.stop;
    /* stop() may release what the instance points to, and say so in it. */
    void *bytes = (void *)atomic_load_explicit(&u->inst.bytes, memory_order_relaxed);
    for (struct mapping *m = load.mappings; m; m = m->next)
        if (m->at == bytes && mprotect(m->at, m->size, PROT_READ | PROT_WRITE) != 0)
            abort();
    if (stop)
        stop(bytes);
    u->started = u->inst.started = false;
}

void units_free(void) {
    struct mapping *next;
    for (struct mapping *m = load.mappings; m; m = next) {
        next = m->next;
        munmap(m->at, m->size);
    }
    load.mappings = NULL;
}
