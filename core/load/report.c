/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include "run/metric.h"
#include <string.h>

static bool is_at_work(const struct snapshot *s, const struct plugin *plugin) {
    for (uint32_t i = 0; i < s->global_count; i++)
        if (s->globals[i]->plugin == plugin)
            return true;
    return false;
}

void report_types(struct buf *out, const struct snapshot *s, const struct plugin *plugin) {
    if (plugin->d.flags & MK_PLUGIN_GLOBAL) {
        buf_puts(out, is_at_work(s, plugin) ? "all" : "");
        return;
    }
    buf_puts(out, "");
    for (uint32_t i = 0; i < s->type_count; i++)
        if (type_instance(s->types[i], plugin))
            buf_printf(out, "%s%s", out->len ? ", " : "", s->types[i]->name);
}

bool report_handler(const struct host_type *t, enum mk_hook hook, uint32_t i, struct report_handler *out) {
    if (hook >= MK_HOOK_COUNT_ || i >= t->chains[hook].count)
        return false;
    const struct handler *h = &t->chains[hook].handlers[i];
    *out = (struct report_handler){ .plugin = h->inst->plugin->name, .prio = h->prio, .suspends = h->suspends };
    stats_sum(h->stats, &out->calls, &out->average_ns);
    return true;
}

const struct mk_metric_decl *report_metric(const struct snapshot *s, unsigned place, const struct plugin **plugin) {
    for (uint32_t i = 0; i < s->plugin_count; i++) {
        const struct plugin *m = s->plugins[i];
        const struct mk_metric_decl *rows = m->d.metrics.items;
        for (uint32_t k = 0; m->metric_places && k < m->d.metrics.count; k++)
            if (m->metric_places[k] == place) {
                *plugin = m;
                return &rows[k];
            }
    }
    return NULL;
}
