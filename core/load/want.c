/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include <string.h>

static const char *const levels[] = { "default", "error", "warning", "notice", "info", "debug", NULL };
static const struct mk_opt_decl common[] = {
    MK_OPT_BOOL(struct common_options, enabled, "true", MK_OPT_LIVE, "Whether the plugin is used."),
    MK_OPT_ENUM(struct common_options, log_level, "default", levels, MK_OPT_LIVE,
                "What the plugin logs: this and all that is more urgent.  The default is the server's own level."),
    MK_OPT_TEXT(struct common_options, backend, NULL, 0,
                "The plugin that this is an instance of, if it is not the group's name."),
};

const struct mk_table *common_rows(bool backend) {
    static const struct mk_table plain = { common, 2, sizeof common[0] }, all = MK_TABLE(common);
    return backend ? &all : &plain;
}

static const struct mk_opt_decl type_opts[] = {
    MK_OPT_TEXTS(struct type_options, auth, NULL, MK_OPT_LIVE,
                 "The plugins that know accounts and passwords, in the order they are asked.  By default all that are "
                 "enabled, by name."),
    MK_OPT_TEXTS(
        struct type_options, sasl, NULL, MK_OPT_LIVE,
        "The SASL mechanisms to offer, the strongest first.  By default all that the account providers can do."),
    MK_OPT_BOOL(struct type_options, sasl2, "true", MK_OPT_LIVE,
                "Whether clients may log in by SASL2 (XEP-0388) and bind by Bind 2 (XEP-0386), beside RFC 6120."),
    MK_OPT_BOOL(struct type_options, plain_without_tls, "false", MK_OPT_LIVE,
                "Whether clients may send passwords, and log in by SASL2, over connections without TLS: where a proxy "
                "ends it."),
    MK_OPT_BOOL(struct type_options, anonymous, "false", MK_OPT_LIVE,
                "Whether anybody may log in with a temporary account (SASL ANONYMOUS)."),
};
const struct mk_table type_rows = MK_TABLE(type_opts);

/* ---- host types -------------------------------------------------------------------------------------------------- */

static struct type_plan *type_find(struct plan *p, const char *name) {
    for (unsigned i = 0; i < p->type_count; i++)
        if (strcmp(p->types[i].name, name) == 0)
            return &p->types[i];
    return NULL;
}

static void add_type(struct plan *p, const char *name, const struct conf_node *group) {
    static const char *const extra[] = { "plugins", NULL };
    struct type_plan *t = &p->types[p->type_count++];
    *t = (struct type_plan){ .name = arena_strdup(&p->arena, name), .group = group };
    t->type = arena_zalloc(&p->arena, sizeof *t->type);
    t->type->name = t->name;
    conf_fill(&p->arena, arena_printf(&p->arena, "host type %s", name), group, &type_rows, extra, &t->options, p->e);
}

/* Whether a host leaves its type to the default. */
static bool wants_default(const struct plan *p) {
    const struct conf_node *hosts = conf_find(p->root, "hosts");
    for (const struct conf_node *n = hosts ? hosts->first : NULL; n; n = n->next) {
        const struct conf_node *type = n->type == CONF_GROUP ? conf_find(n, "type") : NULL;
        if (!type || (type->type == CONF_TEXT && strcmp(type->text, "default") == 0))
            return true;
    }
    return false;
}

static void plan_type_list(struct plan *p) {
    const struct conf_node *groups = conf_find(p->root, "host_types");
    unsigned count = 1;
    for (const struct conf_node *n = groups ? groups->first : NULL; n; n = n->next)
        count++;
    p->types = arena_zalloc(&p->arena, count * sizeof *p->types);
    if (groups && groups->type != CONF_GROUP)
        conf_error(p->e, groups, "`host_types` must be a group, { ... }");
    else
        for (const struct conf_node *n = groups ? groups->first : NULL; n; n = n->next)
            add_type(p, n->name, n);
    if (p->type_count == 0 || (wants_default(p) && !type_find(p, "default")))
        add_type(p, "default", NULL);
}

/* ---- wants ------------------------------------------------------------------------------------------------------- */

const char *want_text(const struct plan *p, const struct want *w) {
    struct arena *arena = (struct arena *)&p->arena;
    if (!w->type)
        return arena_printf(arena, "backend %s", w->unit->inst.name);
    if (p->type_count == 1)
        return arena_printf(arena, "plugin %s", w->unit->inst.name);
    return arena_printf(arena, "plugin %s of host type %s", w->unit->inst.name, w->type->name);
}

struct want *want_find(const struct plan *p, const struct type_plan *type, const char *name) {
    for (unsigned i = 0; i < p->want_count; i++)
        if (p->wants[i]->type == type && strcmp(p->wants[i]->unit->inst.name, name) == 0)
            return p->wants[i];
    return NULL;
}

/* The plugin's options and those that every plugin has, which then lie behind the instance. */
static struct mk_table all_rows(struct plan *p, const struct mk_plugin *d, size_t behind) {
    const struct mk_table *more = common_rows(d->flags & MK_PLUGIN_GLOBAL);
    struct mk_opt_decl *rows = arena_alloc(&p->arena, (d->options.count + more->count) * sizeof *rows);
    if (d->options.count)
        memcpy(rows, d->options.items, d->options.count * sizeof *rows);
    memcpy(rows + d->options.count, more->items, more->count * sizeof *rows);
    for (uint32_t i = 0; i < more->count; i++)
        rows[d->options.count + i].offset += (uint32_t)behind;
    return (struct mk_table){ rows, d->options.count + more->count, sizeof *rows };
}

static void add_want(struct plan *p, struct module *m, const char *name, struct type_plan *type,
                     const struct conf_node *group) {
    struct want *w = arena_zalloc(&p->arena, sizeof *w);
    const struct mk_plugin *d = &m->plugin.d;
    size_t behind = (d->inst_size + 7u) & ~7u;
    w->unit = unit_get(m, name, type ? type->name : NULL);
    w->type = type;
    w->group = group;
    w->bytes = arena_zalloc(&p->arena, behind + sizeof w->common);
    struct mk_table rows = all_rows(p, d, behind);
    conf_fill(&p->arena, arena_printf(&p->arena, "%s %s", type ? "plugin" : "backend", name), group, &rows, NULL,
              w->bytes, p->e);
    memcpy(&w->common, (char *)w->bytes + behind, sizeof w->common);
    if (!w->common.enabled)
        return;
    if (p->want_count == p->want_cap) {
        p->want_cap = p->want_cap * 2 + 16;
        struct want **grown = arena_alloc(&p->arena, p->want_cap * sizeof(struct want *));
        if (p->want_count)
            memcpy(grown, p->wants, p->want_count * sizeof(struct want *));
        p->wants = grown;
    }
    unsigned at = p->want_count++;
    for (;
         at > 0 && p->wants[at - 1]->type == type && strcmp(p->wants[at - 1]->unit->inst.name, w->unit->inst.name) > 0;
         at--)
        p->wants[at] = p->wants[at - 1];
    p->wants[at] = w;
}

static bool is_global(const struct module *m) {
    return m->plugin.d.flags & MK_PLUGIN_GLOBAL;
}

static void add_backend(struct plan *p, const char *name, const struct conf_node *group,
                        const struct conf_node *where) {
    const struct conf_node *other = group && group->type == CONF_GROUP ? conf_find(group, "backend") : NULL;
    const char *plugin = other && other->type == CONF_TEXT ? other->text : name;
    struct module *m = module_get(p, plugin, where);
    if (m && is_global(m)) {
        add_want(p, m, name, NULL, group);
        return;
    }
    if (m)
        conf_error(p->e, where, "plugin %s is no backend: its group belongs into `plugins`", plugin);
    if (group)
        conf_use(group);
}

/* The members of a group of groups; NULL and an error if it is something else. */
static const struct conf_node *members(struct plan *p, const struct conf_node *groups) {
    if (groups && groups->type != CONF_GROUP) {
        conf_error(p->e, groups, "`%s` must be a group, { ... }", groups->name);
        return NULL;
    }
    return groups ? groups->first : NULL;
}

static void plan_backends(struct plan *p) {
    const struct conf_node *groups = conf_find(p->root, "backends");
    for (const struct conf_node *n = members(p, groups); n; n = n->next)
        add_backend(p, n->name, n, n);
    /* What `storage` names needs no group if it gets along with its defaults. */
    for (const struct conf_node *n = members(p, conf_find(p->root, "storage")); n; n = n->next)
        if (n->type == CONF_TEXT && !conf_find(groups, n->text) && !want_find(p, NULL, n->text))
            add_backend(p, n->text, NULL, n);
}

static void add_plugin(struct plan *p, struct type_plan *t, const struct conf_node *base,
                       const struct conf_node *over) {
    const struct conf_node *where = over ? over : base;
    struct module *m = module_get(p, where->name, where);
    if (!m) {
        conf_use(where);
        return;
    }
    if (is_global(m)) {
        conf_error(p->e, where, "plugin %s is a backend: its group belongs into `backends`", where->name);
        conf_use(where);
        return;
    }
    if (over && conf_find(over, "log_level"))
        conf_error(p->e, conf_find(over, "log_level"),
                   "`log_level` of a plugin is the same for all host types: set it in `plugins`");
    bool groups = (!base || base->type == CONF_GROUP) && (!over || over->type == CONF_GROUP);
    add_want(p, m, where->name, t, groups ? conf_overlay(&p->arena, base, over) : where);
}

static void plan_plugins(struct plan *p, struct type_plan *t) {
    const struct conf_node *bases = conf_find(p->root, "plugins"), *overs = conf_find(t->group, "plugins");
    const struct conf_node *first_over = members(p, overs);
    for (const struct conf_node *n = members(p, bases); n; n = n->next)
        add_plugin(p, t, n, first_over ? conf_find(overs, n->name) : NULL);
    for (const struct conf_node *n = first_over; n; n = n->next)
        if (!bases || bases->type != CONF_GROUP || !conf_find(bases, n->name))
            add_plugin(p, t, NULL, n);
}

void plan_wants(struct plan *p) {
    const struct conf_node *dir = conf_find(p->root, "plugin_dir");
    if (dir && dir->type != CONF_TEXT)
        conf_error(p->e, dir, "`plugin_dir` must be a text in quotes");
    else if (dir)
        p->plugin_dir = dir->text;
    plan_type_list(p);
    plan_backends(p);
    for (unsigned i = 0; i < p->type_count; i++)
        plan_plugins(p, &p->types[i]);
}
