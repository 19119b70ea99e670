/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include <stdlib.h>
#include <string.h>

static bool uses(const struct want *w, const struct want *provider, uint32_t row, bool is_backend) {
    const struct mk_plugin *d = &w->unit->module->plugin.d;
    for (uint32_t i = 0; i < d->needs.count; i++)
        for (uint32_t k = 0; k < w->bound[i].count; k++)
            if (w->bound[i].items[k] == &provider->unit->services[row])
                return true;
    for (uint32_t i = 0; is_backend && i < d->collections.count; i++)
        if (w->stores[i] == provider)
            return true;
    return false;
}

static void add_users(struct plan *p, struct service_entry *e, const struct want *provider, uint32_t row) {
    const struct instance **users = arena_alloc(&p->arena, (p->want_count + 1) * sizeof *users);
    for (unsigned i = 0; i < p->want_count; i++)
        if (uses(p->wants[i], provider, row, strcmp(e->iface, "mk_backend") == 0))
            users[e->user_count++] = &p->wants[i]->unit->inst;
    e->users = users;
}

static int by_service(const void *a, const void *b) {
    const struct service_entry *x = a, *y = b;
    int order = strcmp(x->iface, y->iface);
    return order ? order : strcmp(x->provider->name, y->provider->name);
}

void plan_services(struct plan *p) {
    uint32_t count = 0;
    for (unsigned i = 0; i < p->want_count; i++)
        count += p->wants[i]->unit->module->plugin.d.provides.count;
    struct service_entry *list = arena_zalloc(&p->arena, (count + 1) * sizeof *list), *e = list;
    for (unsigned i = 0; i < p->want_count; i++) {
        const struct want *w = p->wants[i];
        const struct mk_provide_decl *rows = w->unit->module->plugin.d.provides.items;
        for (uint32_t k = 0; k < w->unit->module->plugin.d.provides.count; k++, e++) {
            *e = (struct service_entry){ rows[k].iface, rows[k].major, rows[k].minor, &w->unit->inst, NULL, 0 };
            add_users(p, e, w, k);
        }
    }
    qsort(list, count, sizeof *list, by_service);
    p->snapshot->services = list;
    p->snapshot->service_count = count;
}
