/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that show how the server is put together: all they need is in the snapshot, but for fibers. */
#include "admin/command.h"
#include "load/load.h"
#include "net/conn.h"
#include "util/log.h"
#include <stdlib.h>
#include <string.h>

int cmd_hosts_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct snapshot *s = snapshot_current();
    (void)args;
    for (uint32_t i = 0; i < s->host_count; i++) {
        const struct host *h = s->hosts[i];
        struct buf admins = { 0 };
        for (uint32_t k = 0; k < h->admin_count; k++)
            buf_printf(&admins, "%s%s", k ? ", " : "", mk_jid_text(h->admins[k]));
        mk_result_next(result);
        mk_result_text(result, "host", h->name);
        mk_result_text(result, "type", h->type->name);
        mk_result_text(result, "certificate", h->cert ? time_of_day(c, tls_cert_expires(h->cert) * 1000000) : "none");
        mk_result_text(result, "admins", admins.data);
        buf_free(&admins);
    }
    return MK_OK;
}

int cmd_plugins(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct snapshot *s = snapshot_current();
    (void)c, (void)args;
    for (uint32_t i = 0; i < s->plugin_count; i++) {
        const struct plugin *p = s->plugins[i];
        struct buf types = { 0 };
        report_types(&types, s, p);
        mk_result_next(result);
        mk_result_text(result, "plugin", p->name);
        mk_result_text(result, "version", p->d.version);
        mk_result_text(result, "enabled", types.data);
        mk_result_text(result, "log", log_level_name(atomic_load_explicit(&p->level, memory_order_relaxed)));
        mk_result_text(result, "summary", p->d.summary);
        buf_free(&types);
    }
    return MK_OK;
}

int cmd_services(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct snapshot *s = snapshot_current();
    (void)args;
    for (uint32_t i = 0; i < s->service_count; i++) {
        const struct service_entry *e = &s->services[i];
        struct buf users = { 0 };
        for (uint32_t k = 0; k < e->user_count; k++)
            buf_printf(&users, "%s%s", k ? ", " : "", e->users[k]->name);
        mk_result_next(result);
        mk_result_text(result, "service", mk_printf(c, "%s %u.%u", e->iface, e->major, e->minor));
        mk_result_text(result, "provider", e->provider->name);
        mk_result_text(result, "type", e->provider->type_name);
        mk_result_text(result, "users", users.data);
        buf_free(&users);
    }
    return MK_OK;
}

static int show_chain(const struct host_type *t, enum mk_hook hook, struct mk_result *result) {
    struct report_handler h;
    for (uint32_t i = 0; report_handler(t, hook, i, &h); i++) {
        mk_result_next(result);
        mk_result_int(result, "order", h.prio);
        mk_result_text(result, "plugin", h.plugin);
        mk_result_text(result, "mode", h.suspends ? "serial" : "inline");
        mk_result_int(result, "calls", (int64_t)h.calls);
        mk_result_int(result, "average_us", (int64_t)(h.average_ns / 1000));
    }
    return MK_OK;
}

int cmd_hooks(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *name = mk_arg_text(args, "name"), *names[MK_HOOK_COUNT_];
    const struct host_type *t = c->host->type;
    for (enum mk_hook hook = 0; hook < MK_HOOK_COUNT_; hook++) {
        names[hook] = hook_name(hook);
        if (name && strcmp(name, names[hook]) == 0)
            return show_chain(t, hook, result);
        if (name)
            continue;
        mk_result_next(result);
        mk_result_text(result, "hook", names[hook]);
        mk_result_int(result, "handlers", t->chains[hook].count);
    }
    const char *near = name ? nearest_name(name, names, MK_HOOK_COUNT_) : NULL;
    if (name)
        return mk_result_error(result, MK_E_NOTFOUND, "there is no hook %.64s%s%s%s", name,
                               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return MK_OK;
}

/* ---- fibers -------------------------------------------------------------------------------------------------------- */

struct waiting {
    struct waiting *next;
    const char *entity, *plugin, *waits_for;
    unsigned worker, fiber;
    int64_t ms;
};

static void *list_fibers(struct worker *w, struct arena *arena, const void *arg) {
    struct waiting *first = NULL, **last = &first;
    (void)arg;
    for (struct fiber *f = fiber_next(w->fibers, NULL); f; f = fiber_next(w->fibers, f)) {
        const struct mk_ctx *c = f->ctx;
        struct waiting *out = arena_zalloc(arena, sizeof *out);
        out->worker = w->index;
        out->fiber = f->number;
        out->entity = c && c->self ? arena_strdup(arena, mk_jid_text(c->self)) : "";
        out->plugin = c && c->inst ? c->inst->name : "";
        out->waits_for = f->waits_for ? f->waits_for : "";
        out->ms = f->waits_for && f->since_ms ? (int64_t)(worker_now_ms(w) - f->since_ms) : 0;
        *last = out;
        last = &out->next;
    }
    return first;
}

int cmd_fibers(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    void **lists;
    (void)args;
    int rc = gather(c, list_fibers, NULL, 0, &lists);
    if (rc)
        return rc;
    for (unsigned i = 0; i < worker_count; i++) {
        for (const struct waiting *f = lists[i]; f; f = f->next) {
            mk_result_next(result);
            mk_result_int(result, "worker", f->worker);
            mk_result_int(result, "fiber", f->fiber);
            mk_result_text(result, "entity", f->entity);
            mk_result_text(result, "plugin", f->plugin);
            mk_result_text(result, "waits_for", f->waits_for);
            mk_result_int(result, "ms", f->ms);
        }
    }
    return MK_OK;
}
