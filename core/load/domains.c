/* SPDX-License-Identifier: Apache-2.0 */
/* The domains that plugins serve beside the hosts. */
#include "load/plan.h"
#include <string.h>

static const char *const PLACE = "@HOST@";

/* TEXT with the host in its places. */
static const char *for_host(struct plan *p, const char *text, const char *host) {
    const char *out = "";
    for (const char *at; (at = strstr(text, PLACE)) != NULL; text = at + strlen(PLACE))
        out = arena_printf(&p->arena, "%s%.*s%s", out, (int)(at - text), text, host);
    return arena_printf(&p->arena, "%s%s", out, text);
}

/* What the option says, or, if a reload can't change it, what it said when the plugin was started. */
static const char *value_of(const struct want *w, const char *option) {
    const struct mk_opt_decl *o = w->unit->module->plugin.d.options.items;
    while (strcmp(o->name, option) != 0)
        o++;
    const char *bytes = w->unit->started && !(o->flags & MK_OPT_LIVE) ? w->unit->configured : w->bytes;
    const char *text;
    memcpy(&text, bytes + o->offset, sizeof text);
    return text;
}

/* Whether somebody has the domain already, which it then says. */
static bool is_taken(struct plan *p, const struct conf_node *where, const struct domain *d) {
    for (unsigned i = 0; i < p->host_count; i++) {
        if (strcmp(p->hosts[i].name, d->name) != 0)
            continue;
        conf_error(p->e, where, "plugin %s serves %s for host %s, but that is a host itself: give it another domain",
                   d->inst->plugin->name, d->name, d->host->name);
        return true;
    }
    const struct domain *other =
        table_find(&p->domains, hash_bytes(d->name, strlen(d->name)), table_same_name, d->name);
    if (other)
        conf_error(p->e, where, "plugin %s for host %s and plugin %s for host %s both serve %s%s",
                   other->inst->plugin->name, other->host->name, d->inst->plugin->name, d->host->name, d->name,
                   other->inst->plugin == d->inst->plugin ? ": write @HOST@ where the host's name belongs"
                                                          : ": give one another domain");
    return other != NULL;
}

static void add_domain(struct plan *p, const struct want *w, const struct mk_domain_decl *row,
                       const struct host *host) {
    const char *value = value_of(w, row->option);
    const struct conf_node *node = conf_find(w->group, row->option), *where = node ? node : w->group;
    const struct mk_jid *jid;
    if (!value)
        return;
    const char *text = for_host(p, value, host->name);
    if (jid_parse(&p->arena, text, strlen(text), &jid) != 0 || jid->local_len || jid->resource_len) {
        conf_error(p->e, where, "option `%s` of %s: \"%s\" is no domain", row->option, want_text(p, w), text);
        return;
    }
    struct domain *d = arena_alloc(&p->arena, sizeof *d);
    *d = (struct domain){ jid->text, host, &w->unit->inst, row,
                          arena_printf(&p->arena, "%s:%s", w->unit->inst.name, jid->text) };
    if (!is_taken(p, where, d))
        table_add(&p->domains, hash_bytes(d->name, strlen(d->name)), d);
}

void plan_domains(struct plan *p) {
    for (unsigned i = 0; i < p->want_count; i++) {
        const struct want *w = p->wants[i];
        const struct mk_domain_decl *rows = w->unit->module->plugin.d.domains.items;
        for (uint32_t k = 0; k < w->unit->module->plugin.d.domains.count; k++)
            for (unsigned h = 0; h < p->host_count; h++)
                if (w->type && p->hosts[h].type == w->type->type)
                    add_domain(p, w, &rows[k], &p->hosts[h]);
    }
}
