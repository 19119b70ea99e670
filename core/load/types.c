/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include <stdlib.h>
#include <string.h>

/* What works for a host type: an instance of each plugin, by plugin name. */
struct parts {
    struct plan *p;
    struct type_plan *t;
    struct want **list;
    unsigned count;
};

static const struct mk_plugin *descriptor(const struct want *w) {
    return &w->unit->module->plugin.d;
}

/* Of several instances of a global plugin, the one that has the plugin's name joins in, or the first. */
static void add_part(struct parts *parts, struct want *w) {
    const char *plugin = w->unit->module->plugin.name;
    unsigned at = 0;
    while (at < parts->count && strcmp(parts->list[at]->unit->module->plugin.name, plugin) < 0)
        at++;
    if (at < parts->count && parts->list[at]->unit->module == w->unit->module) {
        if (strcmp(w->unit->inst.name, plugin) == 0)
            parts->list[at] = w;
        return;
    }
    memmove(&parts->list[at + 1], &parts->list[at], (parts->count - at) * sizeof(struct want *));
    parts->list[at] = w;
    parts->count++;
}

static void find_parts(struct parts *parts, struct plan *p, struct type_plan *t) {
    *parts = (struct parts){ .p = p, .t = t };
    parts->list = arena_alloc(&p->arena, (p->want_count + 1) * sizeof(struct want *));
    for (unsigned i = 0; i < p->want_count; i++)
        if (!p->wants[i]->type || p->wants[i]->type == t)
            add_part(parts, p->wants[i]);
}

static uint32_t count_rows(const struct parts *parts, size_t table) {
    uint32_t count = 0;
    for (unsigned i = 0; i < parts->count; i++)
        count += ((const struct mk_table *)((const char *)descriptor(parts->list[i]) + table))->count;
    return count;
}
#define COUNT_ROWS(parts, field) count_rows((parts), offsetof(struct mk_plugin, field))

static void build_instances(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    const struct instance **own = arena_alloc(&parts->p->arena, (parts->count + 1) * sizeof *own);
    const struct instance **by_plugin = arena_zalloc(&parts->p->arena, (load.module_count + 1) * sizeof *by_plugin);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        if (w->type)
            own[type->instance_count++] = &w->unit->inst;
        by_plugin[w->unit->module->plugin.number] = &w->unit->inst;
    }
    type->instances = own;
    type->by_plugin = by_plugin;
    type->plugin_limit = load.module_count;
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

/* Parts come by name and rows in their order, so that keeping equal ones in place is all that ties want. */
static void insert_handler(struct handler *list, uint32_t count, const struct handler *h) {
    uint32_t at = count;
    for (; at > 0 && list[at - 1].prio > h->prio; at--)
        list[at] = list[at - 1];
    list[at] = *h;
}

static void build_chain(const struct parts *parts, enum mk_hook hook) {
    struct chain *chain = &parts->t->type->chains[hook];
    struct handler *list = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, hooks) + 1) * sizeof *list);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct unit *u = parts->list[i]->unit;
        const struct mk_hook_decl *rows = u->module->plugin.d.hooks.items;
        for (uint32_t k = 0; k < u->module->plugin.d.hooks.count; k++) {
            if (rows[k].hook != hook)
                continue;
            struct handler h = { .fn = rows[k].fn,
                                 .inst = &u->inst,
                                 .name = u->module->hook_names[k],
                                 .stats = u->hook_stats[k],
                                 .prio = rows[k].prio,
                                 .suspends = rows[k].mode == MK_SERIAL };
            insert_handler(list, chain->count++, &h);
            chain->suspends |= h.suspends;
        }
    }
    chain->handlers = list;
}

/* ---- iqs, nonzas, features --------------------------------------------------------------------------------------- */

static void build_iqs(const struct parts *parts) {
    struct iq_entry *e = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, iqs) + 1) * sizeof *e);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        const struct mk_iq_decl *rows = descriptor(w)->iqs.items;
        for (uint32_t k = 0; k < descriptor(w)->iqs.count; k++, e++) {
            *e = (struct iq_entry){ &rows[k], &w->unit->inst, w->unit->module->iq_names[k], w->unit->iq_stats[k] };
            const struct iq_entry *other = host_iq_add(parts->t->type, e);
            if (other)
                conf_error(parts->p->e, w->group, "plugins %s and %s both answer the iq <%s xmlns='%s'/>: disable one",
                           other->inst->plugin->name, w->unit->module->plugin.name, rows[k].name, rows[k].ns);
        }
    }
}

static void build_nonzas(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    struct nonza_entry *list = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, nonzas) + 1) * sizeof *list);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        const struct mk_nonza_decl *rows = descriptor(w)->nonzas.items;
        for (uint32_t k = 0; k < descriptor(w)->nonzas.count; k++) {
            for (uint32_t n = 0; n < type->nonza_count; n++)
                if (list[n].row->when & rows[k].when && strcmp(list[n].row->name, rows[k].name) == 0 &&
                    strcmp(list[n].row->ns, rows[k].ns) == 0)
                    conf_error(parts->p->e, w->group, "plugins %s and %s both handle <%s xmlns='%s'/>: disable one",
                               list[n].inst->plugin->name, w->unit->module->plugin.name, rows[k].name, rows[k].ns);
            list[type->nonza_count++] = (struct nonza_entry){ &rows[k], &w->unit->inst };
        }
    }
    type->nonzas = list;
}

static void build_features(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    struct feature_entry *list = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, features) + 1) * sizeof *list);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        const struct mk_feature_decl *rows = descriptor(w)->features.items;
        for (uint32_t k = 0; k < descriptor(w)->features.count; k++)
            list[type->feature_count++] = (struct feature_entry){ &rows[k], &w->unit->inst };
    }
    type->features = list;
}

/* Parts come by name: equal orders stay as they come. */
static void build_inlines(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    struct inline_entry *list = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, inlines) + 1) * sizeof *list);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        const struct mk_inline_decl *rows = descriptor(w)->inlines.items;
        for (uint32_t k = 0; k < descriptor(w)->inlines.count; k++) {
            uint32_t at = type->inline_count++;
            for (; at > 0 && list[at - 1].row->prio > rows[k].prio; at--)
                list[at] = list[at - 1];
            list[at] = (struct inline_entry){ &rows[k], &w->unit->inst };
        }
    }
    type->inlines = list;
}

static void build_mechanisms(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    struct mechanism_entry *list = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, mechanisms) + 1) * sizeof *list);
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        const struct mk_mechanism_decl *rows = descriptor(w)->mechanisms.items;
        for (uint32_t k = 0; k < descriptor(w)->mechanisms.count; k++) {
            for (uint32_t n = 0; n < type->mechanism_count; n++)
                if (strcmp(list[n].row->name, rows[k].name) == 0)
                    conf_error(parts->p->e, w->group, "plugins %s and %s both bring the mechanism %s: disable one",
                               list[n].inst->plugin->name, w->unit->module->plugin.name, rows[k].name);
            list[type->mechanism_count++] = (struct mechanism_entry){ &rows[k], &w->unit->inst };
        }
    }
    type->mechanisms = list;
}

/* ---- disco, commands --------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *const *build_disco(const struct parts *parts, uint32_t to, uint32_t *count) {
    const char **list = arena_alloc(&parts->p->arena, (COUNT_ROWS(parts, disco) + 1) * sizeof *list);
    uint32_t all = 0;
    for (unsigned i = 0; i < parts->count; i++) {
        const struct mk_disco_decl *rows = descriptor(parts->list[i])->disco.items;
        for (uint32_t k = 0; k < descriptor(parts->list[i])->disco.count; k++)
            if (rows[k].to & to)
                list[all++] = rows[k].var;
    }
    qsort(list, all, sizeof *list, by_text);
    *count = 0;
    for (uint32_t i = 0; i < all; i++)
        if (*count == 0 || strcmp(list[*count - 1], list[i]) != 0)
            list[(*count)++] = list[i];
    list[*count] = NULL;
    return list;
}

static int by_command(const void *a, const void *b) {
    return strcmp(((const struct command_entry *)a)->row->name, ((const struct command_entry *)b)->row->name);
}

static const char *command_owner(const struct command_entry *e) {
    return e->inst ? e->inst->plugin->name : "the server";
}

static void build_commands(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    uint32_t own = load.command_count;
    struct command_entry *list = arena_alloc(&parts->p->arena, (own + COUNT_ROWS(parts, commands) + 1) * sizeof *list);
    for (uint32_t i = 0; i < own; i++)
        list[type->command_count++] = (struct command_entry){ &load.commands[i], NULL };
    for (unsigned i = 0; i < parts->count; i++) {
        const struct want *w = parts->list[i];
        const struct mk_cmd_decl *rows = descriptor(w)->commands.items;
        for (uint32_t k = 0; k < descriptor(w)->commands.count; k++)
            list[type->command_count++] = (struct command_entry){ &rows[k], &w->unit->inst };
    }
    qsort(list + own, type->command_count - own, sizeof *list, by_command);
    for (uint32_t i = own; i < type->command_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(list[k].row->name, list[i].row->name) == 0)
                conf_error(parts->p->e, NULL, "%s and %s both have the command %s: disable one",
                           command_owner(&list[k]), command_owner(&list[i]), list[i].row->name);
    type->commands = list;
}

/* ---- authentication ---------------------------------------------------------------------------------------------- */

static const struct mk_auth *auth_of(const struct want *w) {
    uint32_t row;
    const struct mk_provide_decl *d = provide_find(&w->unit->module->plugin, "mk_auth", 1, &row);
    return d ? (const struct mk_auth *)&w->unit->services[row] : NULL;
}

static void take_named_auth(const struct parts *parts, const struct mk_auth **list) {
    struct host_type *type = parts->t->type;
    const struct mk_texts *names = &parts->t->options.auth;
    const struct conf_node *where = conf_find(parts->t->group, "auth");
    for (uint32_t i = 0; i < names->count; i++) {
        const struct mk_auth *auth = NULL;
        for (unsigned k = 0; k < parts->count && !auth; k++)
            if (strcmp(parts->list[k]->unit->inst.name, names->items[i]) == 0)
                auth = auth_of(parts->list[k]);
        if (auth)
            list[type->auth_count++] = auth;
        else
            conf_error(parts->p->e, where, "\"%s\" is no enabled plugin that knows accounts (provides mk_auth)",
                       names->items[i]);
    }
}

static void build_auth(const struct parts *parts) {
    struct host_type *type = parts->t->type;
    const struct type_options *o = &parts->t->options;
    const struct mk_auth **list = arena_alloc(&parts->p->arena, (parts->count + o->auth.count + 1) * sizeof *list);
    if (o->auth.items)
        take_named_auth(parts, list);
    for (unsigned i = 0; !o->auth.items && i < parts->count; i++)
        if (auth_of(parts->list[i]))
            list[type->auth_count++] = auth_of(parts->list[i]);
    if (type->auth_count == 0 && !o->anonymous)
        conf_error(parts->p->e, parts->t->group,
                   "nobody could log in to hosts of type %s: enable a plugin that knows accounts, such as "
                   "auth_internal, or set "
                   "`anonymous`",
                   type->name);
    type->auth = list;
    type->sasl = o->sasl.items;
    type->sasl_count = o->sasl.count;
    type->sasl2 = o->sasl2;
    type->plain_without_tls = o->plain_without_tls;
    type->anonymous = o->anonymous;
}

/* Names in option `sasl`: the server's own mechanisms and those that plugins list. */
static void check_sasl(const struct parts *parts) {
    static const char *const own[] = { "SCRAM-SHA-512-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256",
                                       "SCRAM-SHA-1-PLUS",   "SCRAM-SHA-1",   "EXTERNAL",           "PLAIN",
                                       "ANONYMOUS" };
    enum { OWN = sizeof own / sizeof own[0] };
    const struct host_type *type = parts->t->type;
    const struct mk_texts *names = &parts->t->options.sasl;
    const struct conf_node *where = conf_find(parts->t->group, "sasl");
    const char **known = arena_alloc(&parts->p->arena, (OWN + type->mechanism_count) * sizeof *known);
    size_t count = OWN;
    memcpy(known, own, sizeof own);
    for (uint32_t i = 0; i < type->mechanism_count; i++)
        if (!(type->mechanisms[i].row->flags & MK_MECHANISM_UNLISTED))
            known[count++] = type->mechanisms[i].row->name;
    if (names->items && names->count == 0)
        conf_error(parts->p->e, where, "`sasl` is empty: nobody could log in");
    for (uint32_t i = 0; i < names->count; i++) {
        size_t k = 0;
        while (k < count && strcmp(known[k], names->items[i]) != 0)
            k++;
        if (k < count)
            continue;
        const char *near = nearest_name(names->items[i], known, count);
        conf_error(parts->p->e, where, "there is no SASL mechanism \"%s\"%s%s%s", names->items[i],
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
}

void plan_types(struct plan *p) {
    for (unsigned i = 0; i < p->type_count; i++) {
        struct parts parts;
        struct host_type *type = p->types[i].type;
        find_parts(&parts, p, &p->types[i]);
        build_instances(&parts);
        for (int hook = 0; hook < MK_HOOK_COUNT_; hook++)
            build_chain(&parts, (enum mk_hook)hook);
        build_iqs(&parts);
        build_nonzas(&parts);
        build_features(&parts);
        build_inlines(&parts);
        build_mechanisms(&parts);
        check_sasl(&parts);
        type->disco_server = build_disco(&parts, MK_TO_SERVER, &type->disco_server_count);
        type->disco_account = build_disco(&parts, MK_TO_ACCOUNT, &type->disco_account_count);
        build_commands(&parts);
        build_auth(&parts);
    }
}
