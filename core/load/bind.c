/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include "store/store.h"
#include <meerkat/backend.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PROVIDERS = 64 };

/* Who may serve a need, in the order of names. */
struct provider {
    struct want *want;
    const struct mk_svc *svc;
};
struct providers {
    struct provider list[MAX_PROVIDERS];
    unsigned count;
};

const struct mk_provide_decl *provide_find(const struct plugin *m, const char *iface, uint16_t major, uint32_t *row) {
    const struct mk_provide_decl *rows = m->d.provides.items;
    for (uint32_t i = 0; i < m->d.provides.count; i++)
        if (strcmp(rows[i].iface, iface) == 0 && rows[i].major == major) {
            if (row)
                *row = i;
            return &rows[i];
        }
    return NULL;
}

/* What W can see: the instances of its host type, and the global ones. */
static bool sees(const struct want *w, const struct want *other) {
    return other != w && (!other->type || other->type == w->type);
}

static void find_providers(struct plan *p, const struct want *w, const struct mk_need_decl *need,
                           struct providers *out) {
    out->count = 0;
    for (unsigned i = 0; i < p->want_count && out->count < MAX_PROVIDERS; i++) {
        struct want *other = p->wants[i];
        uint32_t row;
        const struct mk_provide_decl *d =
            sees(w, other) ? provide_find(&other->unit->module->plugin, need->iface, need->major, &row) : NULL;
        if (!d || d->minor < need->minor)
            continue;
        unsigned at = out->count++;
        for (; at > 0 && strcmp(out->list[at - 1].want->unit->inst.name, other->unit->inst.name) > 0; at--)
            out->list[at] = out->list[at - 1];
        out->list[at] = (struct provider){ other, &other->unit->services[row] };
    }
}

static const char *names_of(struct plan *p, const struct providers *all) {
    const char *text = "";
    for (unsigned i = 0; i < all->count; i++)
        text = arena_printf(&p->arena, "%s%s%s", text, i ? ", " : "", all->list[i].want->unit->inst.name);
    return text;
}

static const struct provider *provider_named(const struct providers *all, const char *name) {
    for (unsigned i = 0; i < all->count; i++)
        if (strcmp(all->list[i].want->unit->inst.name, name) == 0)
            return &all->list[i];
    return NULL;
}

/* ---- nobody provides it ------------------------------------------------------------------------------------------ */

/* Who provides what in the server's own packages, for a hint when they are not installed. */
static const struct {
    const char *iface, *plugin;
} known[] = {
    { "mk_auth", "auth_internal" },
    { "mk_roster", "roster" },
    { "mk_backend", "sqlite" },
};

/* An enabled provider of another version: its text, or NULL. */
static const char *other_version(struct plan *p, const struct want *w, const struct mk_need_decl *need) {
    for (unsigned i = 0; i < p->want_count; i++) {
        const struct mk_table *t = &p->wants[i]->unit->module->plugin.d.provides;
        const struct mk_provide_decl *rows = t->items;
        for (uint32_t k = 0; sees(w, p->wants[i]) && k < t->count; k++)
            if (strcmp(rows[k].iface, need->iface) == 0)
                return arena_printf(&p->arena, "plugin %s provides %u.%u: %s", p->wants[i]->unit->inst.name,
                                    rows[k].major, rows[k].minor,
                                    rows[k].major > need->major ? "upgrade the plugin that needs it" : "upgrade it");
    }
    return NULL;
}

/* A plugin that could provide it: one that is loaded, one that lies in the folder, or one that we know by name. */
static const char *who_could(struct plan *p, const struct mk_need_decl *need) {
    size_t count;
    const char *const *names = module_names(p, &count);
    struct conf_errors ignored = { 0 }, *e = p->e;
    p->e = &ignored;
    for (size_t i = 0; i < count; i++)
        module_get(p, names[i], NULL);
    p->e = e;
    buf_free(&ignored.lines);
    for (const struct module *m = load.modules; m; m = m->next) {
        const struct mk_provide_decl *d = provide_find(&m->plugin, need->iface, need->major, NULL);
        if (d && d->minor >= need->minor)
            return arena_printf(&p->arena, "plugin %s: enable it in `%s`", m->plugin.name,
                                m->plugin.d.flags & MK_PLUGIN_GLOBAL ? "backends" : "plugins");
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].iface, need->iface) == 0)
            return arena_printf(&p->arena, "plugin %s: install it", known[i].plugin);
    return NULL;
}

static void report_unmet(struct plan *p, const struct want *w, const struct mk_need_decl *need) {
    const char *version = other_version(p, w, need);
    const char *who = version ? NULL : who_could(p, need);
    const char *tail = version ? version
                       : who   ? arena_printf(&p->arena, "provided by %s", who)
                               : "which no plugin here provides: install one that does";
    conf_error(p->e, w->group, "%s needs interface %s %u.%u, %s%s", want_text(p, w), need->iface, need->major,
               need->minor, version ? "but " : "", tail);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static void take(struct plan *p, struct want *w, uint32_t row, const struct provider *who, bool soft) {
    struct mk_svcs *bound = &w->bound[row];
    const struct mk_svc **items = arena_alloc(&p->arena, (bound->count + 1) * sizeof *items);
    if (bound->count)
        memcpy(items, bound->items, bound->count * sizeof *items);
    items[bound->count] = who->svc;
    *bound = (struct mk_svcs){ items, bound->count + 1 };
    want_after(p, w, who->want, soft);
}

/* The names that option `pick` holds; false if there is no such option or it is not set. */
static bool picked_names(const struct want *w, const struct mk_need_decl *need, struct mk_texts *out,
                         const char **one) {
    const struct mk_table *t = &w->unit->module->plugin.d.options;
    const struct mk_opt_decl *rows = t->items;
    for (uint32_t i = 0; need->pick && i < t->count; i++) {
        if (strcmp(rows[i].name, need->pick) != 0)
            continue;
        const void *value = (const char *)w->bytes + rows[i].offset;
        if (rows[i].type == MK_T_TEXTS) {
            *out = *(const struct mk_texts *)value;
            return out->items != NULL;
        }
        *one = *(const char *const *)value;
        *out = (struct mk_texts){ one, 1 };
        return *one != NULL;
    }
    return false;
}

static void take_picked(struct plan *p, struct want *w, uint32_t row, const struct mk_need_decl *need,
                        const struct providers *all, const struct mk_texts *names) {
    const struct conf_node *where = w->group ? conf_find(w->group, need->pick) : NULL;
    for (uint32_t i = 0; i < names->count; i++) {
        const struct provider *who = provider_named(all, names->items[i]);
        if (who)
            take(p, w, row, who, need->flags == MK_NEED_SOFT);
        else if (all->count == 0)
            conf_error(p->e, where ? where : w->group,
                       "option `%s` of %s names \"%s\", but nothing enabled provides %s", need->pick, want_text(p, w),
                       names->items[i], need->iface);
        else
            conf_error(p->e, where ? where : w->group, "option `%s` of %s names \"%s\", but %s is provided by: %s",
                       need->pick, want_text(p, w), names->items[i], need->iface, names_of(p, all));
    }
}

static void bind_need(struct plan *p, struct want *w, uint32_t row, const struct mk_need_decl *need) {
    struct providers all;
    struct mk_texts names;
    const char *one;
    find_providers(p, w, need, &all);
    if (picked_names(w, need, &names, &one)) {
        take_picked(p, w, row, need, &all, &names);
    } else if (need->flags == MK_NEED_MANY) {
        for (unsigned i = 0; i < all.count; i++)
            take(p, w, row, &all.list[i], true);
    } else if (all.count == 1) {
        take(p, w, row, &all.list[0], need->flags == MK_NEED_SOFT);
    } else if (all.count > 1) {
        conf_error(p->e, w->group, "%s needs one provider of %s and there are several (%s): %s%s%s", want_text(p, w),
                   need->iface, names_of(p, &all), need->pick ? "choose with its option `" : "disable all but one",
                   need->pick ? need->pick : "", need->pick ? "`" : "");
    } else if (need->flags == MK_NEED_HARD) {
        report_unmet(p, w, need);
    }
}

/* ---- storage ----------------------------------------------------------------------------------------------------- */

static const struct mk_backend_ops *backend_ops(const struct want *w) {
    const struct mk_provide_decl *d = provide_find(&w->unit->module->plugin, "mk_backend", 1, NULL);
    return d ? d->ops : NULL;
}

/* The one backend there is, if it is the only one. */
static struct want *only_backend(const struct plan *p) {
    struct want *found = NULL;
    for (unsigned i = 0; i < p->want_count; i++)
        if (!p->wants[i]->type && backend_ops(p->wants[i])) {
            if (found)
                return NULL;
            found = p->wants[i];
        }
    return found;
}

static struct want *backend_for(struct plan *p, const struct want *w, const struct mk_coll_decl *coll) {
    const struct conf_node *storage = conf_find(p->root, "storage");
    const struct conf_node *named = conf_find(storage, coll->name), *n = named ? named : conf_find(storage, "default");
    struct want *b = n && n->type == CONF_TEXT ? want_find(p, NULL, n->text) : NULL;
    if (n && n->type != CONF_TEXT) {
        conf_error(p->e, n, "the storage of `%s` must be the name of a backend, in quotes", n->name);
    } else if (n && (!b || !backend_ops(b))) {
        /* One without a group was looked for already, and said to be missing or no backend. */
        if (conf_find(conf_find(p->root, "backends"), n->text))
            conf_error(p->e, n, "\"%s\" is no backend that is enabled in `backends`", n->text);
        b = NULL;
    } else if (!n) {
        b = only_backend(p);
        if (!b)
            conf_error(p->e, w->group, "%s stores %s, and `storage.default` names no backend for it", want_text(p, w),
                       coll->name);
    }
    return b;
}

static void check_caps(struct plan *p, const struct want *w, const struct mk_coll_decl *coll,
                       const struct want *backend) {
    static const struct {
        uint32_t cap;
        const char *what;
    } caps[] = { { MK_CAP_TTL, "expiry of rows" },
                 { MK_CAP_TEXT_SEARCH, "text search" },
                 { MK_CAP_BATCH, "atomic batches" },
                 { MK_CAP_DURABLE, "durable storage" } };
    uint32_t has = backend_caps(backend_ops(backend), backend->bytes);
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
        if (coll->need & caps[i].cap & ~has)
            conf_error(p->e, w->group,
                       "%s stores %s, which needs %s; backend %s can't do that: choose another in `storage`",
                       want_text(p, w), coll->name, caps[i].what, backend->unit->inst.name);
}

static void bind_collections(struct plan *p, struct want *w) {
    const struct mk_table *t = &w->unit->module->plugin.d.collections;
    const struct mk_coll_decl *rows = t->items;
    w->stores = arena_zalloc(&p->arena, (t->count + 1) * sizeof(struct want *));
    for (uint32_t i = 0; i < t->count; i++) {
        w->stores[i] = backend_for(p, w, &rows[i]);
        if (!w->stores[i])
            continue;
        check_caps(p, w, &rows[i], w->stores[i]);
        want_after(p, w, w->stores[i], false);
    }
}

static bool is_wanted(const struct plan *p, const struct module *m) {
    for (unsigned i = 0; i < p->want_count; i++)
        if (p->wants[i]->unit->module == m)
            return true;
    return false;
}

/* A collection belongs to one plugin. */
static void check_owner(struct plan *p, const struct module *m, const char *name) {
    for (const struct module *other = load.modules; other != m; other = other->next) {
        const struct mk_coll_decl *rows = other->plugin.d.collections.items;
        for (uint32_t i = 0; is_wanted(p, other) && i < other->plugin.d.collections.count; i++)
            if (strcmp(rows[i].name, name) == 0)
                conf_error(p->e, NULL,
                           "plugins %s and %s both have a collection named %s: only one of them can be used",
                           other->plugin.name, m->plugin.name, name);
    }
}

/* What `storage` may name: every collection of what is loaded, whether it is enabled or not. */
static const char **collection_names(struct plan *p, size_t *count) {
    size_t max = 1;
    for (const struct module *m = load.modules; m; m = m->next)
        max += m->plugin.d.collections.count;
    const char **names = arena_alloc(&p->arena, max * sizeof *names);
    names[0] = "default";
    *count = 1;
    for (const struct module *m = load.modules; m; m = m->next) {
        const struct mk_coll_decl *rows = m->plugin.d.collections.items;
        for (uint32_t i = 0; i < m->plugin.d.collections.count; i++) {
            if (is_wanted(p, m))
                check_owner(p, m, rows[i].name);
            names[(*count)++] = rows[i].name;
        }
    }
    return names;
}

static void check_storage(struct plan *p) {
    const struct conf_node *storage = conf_find(p->root, "storage");
    size_t count;
    const char **names = collection_names(p, &count);
    for (const struct conf_node *n = storage ? storage->first : NULL; n; n = n->next) {
        size_t k = 0;
        while (k < count && strcmp(names[k], n->name) != 0)
            k++;
        conf_use(n);
        if (k < count)
            continue;
        const char *near = nearest_name(n->name, names, count);
        conf_error(p->e, n, "no plugin has a collection `%s`%s%s%s", n->name, near ? "; did you mean `" : "",
                   near ? near : "", near ? "`?" : "");
    }
}

void plan_bind(struct plan *p) {
    check_storage(p);
    for (unsigned i = 0; i < p->want_count; i++) {
        struct want *w = p->wants[i];
        const struct mk_table *t = &w->unit->module->plugin.d.needs;
        const struct mk_need_decl *rows = t->items;
        w->bound = arena_zalloc(&p->arena, (t->count + 1) * sizeof *w->bound);
        for (uint32_t k = 0; k < t->count; k++)
            bind_need(p, w, k, &rows[k]);
        bind_collections(p, w);
    }
}
