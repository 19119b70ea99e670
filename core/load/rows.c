/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include <stdio.h>
#include <string.h>

/* What is being looked at, for the sentence. */
struct rows {
    const struct plugin *m;
    const char *table;
    uint32_t row;
    struct buf *why;
};

__attribute__((format(printf, 2, 3))) static bool wrong(const struct rows *r, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    buf_printf(r->why, "row %u of its table `%s` %s", r->row, r->table, text);
    return false;
}

/* Whether a field of SIZE bytes at OFFSET lies in the instance. */
static bool fits(const struct rows *r, uint32_t offset, size_t size) {
    size_t align = size < sizeof(void *) ? size : sizeof(void *);
    if (offset % align == 0 && offset < r->m->d.inst_size && size <= r->m->d.inst_size - offset)
        return true;
    return wrong(r, "names a field at offset %u, outside the instance of %u bytes", offset, r->m->d.inst_size);
}

static bool check_name(const struct rows *r, const char *name) {
    return is_snake(name) || wrong(r, "needs a name in snake case");
}

static bool check_text(const struct rows *r, const char *text, const char *what) {
    return (text && *text) || wrong(r, "has no %s", what);
}

/* Whether a row before this one has the same name.  SIZE of the rows; the name is their first member. */
static bool check_unique(const struct rows *r, const void *rows, size_t size) {
    const char *name = *(const char *const *)((const char *)rows + r->row * size);
    for (uint32_t i = 0; i < r->row; i++)
        if (strcmp(*(const char *const *)((const char *)rows + i * size), name) == 0)
            return wrong(r, "has the name `%s` of row %u", name, i);
    return true;
}

/* ---- one function a table ---------------------------------------------------------------------------------------- */

static bool check_default(const struct rows *r, const struct mk_opt_decl *o) {
    if (!o->dflt || o->type == MK_T_FILE)
        return true;
    struct mk_opt_decl row = *o;
    row.offset = 0;
    row.flags = 0;
    struct mk_table one = { &row, 1, sizeof row };
    struct conf_errors e = { 0 };
    struct arena arena;
    uint64_t value[4] = { 0 };
    arena_init(&arena);
    conf_fill(&arena, "the plugin", NULL, &one, NULL, value, &e);
    bool ok = e.count == 0 || wrong(r, "has a default that it does not allow itself: %.*s",
                                    (int)strcspn(e.lines.data, "\n"), e.lines.data);
    arena_free(&arena);
    buf_free(&e.lines);
    return ok;
}

static bool check_option(const struct rows *r, const void *row) {
    const struct mk_opt_decl *o = row;
    size_t size = conf_value_size(o->type);
    static const char *const taken[] = { "enabled", "log_level", "backend" };
    if (!check_name(r, o->name) || !check_unique(r, r->m->d.options.items, sizeof *o) || !check_text(r, o->doc, "doc"))
        return false;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(o->name, taken[i]) == 0)
            return wrong(r, "has the name `%s`, which every plugin's group has already", o->name);
    if (size == 0)
        return wrong(r, "has the type %u, which this server does not know", o->type);
    if (o->type == MK_T_ENUM && (!o->names || !o->names[0]))
        return wrong(r, "is an enum without names");
    return fits(r, o->offset, size) && check_default(r, o);
}

static const struct mk_opt_decl *option_named(const struct plugin *m, const char *name) {
    const struct mk_opt_decl *o = m->d.options.items;
    for (uint32_t i = 0; i < m->d.options.count; i++)
        if (strcmp(o[i].name, name) == 0)
            return &o[i];
    return NULL;
}

static bool check_need(const struct rows *r, const void *row) {
    const struct mk_need_decl *n = row;
    if (!check_text(r, n->iface, "interface"))
        return false;
    if (n->flags > MK_NEED_MANY)
        return wrong(r, "has the flags %u, which this server does not know", n->flags);
    if (n->pick) {
        const struct mk_opt_decl *o = option_named(r->m, n->pick);
        if (!o || (o->type != MK_T_TEXT && !(o->type == MK_T_TEXTS && n->flags == MK_NEED_MANY)))
            return wrong(r, "picks by `%s`, which is no option of text", n->pick);
    }
    return fits(r, n->bind, n->flags == MK_NEED_MANY ? sizeof(struct mk_svcs) : sizeof(void *));
}

static bool check_provide(const struct rows *r, const void *row) {
    const struct mk_provide_decl *p = row, *rows = r->m->d.provides.items;
    if (!check_text(r, p->iface, "interface"))
        return false;
    for (uint32_t i = 0; i < r->row; i++)
        if (strcmp(rows[i].iface, p->iface) == 0 && rows[i].major == p->major)
            return wrong(r, "provides %s %u a second time", p->iface, p->major);
    uint32_t size;
    if (!p->ops)
        return wrong(r, "has no operations");
    memcpy(&size, p->ops, sizeof size);
    return size >= sizeof size || wrong(r, "has operations whose first member is not their size");
}

static bool check_hook(const struct rows *r, const void *row) {
    const struct mk_hook_decl *h = row;
    if (h->hook >= MK_HOOK_COUNT_)
        return wrong(r, "joins hook number %u, this server has %d", h->hook, MK_HOOK_COUNT_);
    if (h->prio < 0 || h->prio > 100)
        return wrong(r, "has the order %d; 0 to 100 is allowed", h->prio);
    if (h->mode != MK_INLINE && h->mode != MK_SERIAL)
        return wrong(r, "has the mode %u; handlers of hooks are INLINE or SERIAL", h->mode);
    return h->fn.user_send_message || wrong(r, "has no function");
}

static bool check_iq(const struct rows *r, const void *row) {
    const struct mk_iq_decl *q = row;
    if (!check_text(r, q->name, "element name") || !check_text(r, q->ns, "namespace"))
        return false;
    if (q->to == 0 || q->to & ~(uint32_t)(MK_TO_SERVER | MK_TO_ACCOUNT))
        return wrong(r, "has the recipients %u; MK_TO_SERVER and MK_TO_ACCOUNT there are", q->to);
    if (q->types == 0 || q->types & ~(uint32_t)(MK_GET | MK_SET))
        return wrong(r, "has the types %u; MK_GET and MK_SET there are", q->types);
    if (q->mode > MK_ASIDE)
        return wrong(r, "has the mode %u, which this server does not know", q->mode);
    return q->fn || wrong(r, "has no function");
}

static bool check_nonza(const struct rows *r, const void *row) {
    const struct mk_nonza_decl *n = row;
    if (!check_text(r, n->name, "element name") || !check_text(r, n->ns, "namespace"))
        return false;
    if (n->when == 0 || n->when & ~(uint32_t)(MK_WHEN_CONNECTED | MK_WHEN_AUTHED | MK_WHEN_BOUND))
        return wrong(r, "has the states %u, which this server does not know", n->when);
    if (n->mode != MK_INLINE && n->mode != MK_SERIAL)
        return wrong(r, "has the mode %u; handlers of nonzas are INLINE or SERIAL", n->mode);
    return n->fn || wrong(r, "has no function");
}

static bool check_feature(const struct rows *r, const void *row) {
    const struct mk_feature_decl *f = row;
    if (!f->fn && (!check_text(r, f->name, "element name") || !check_text(r, f->ns, "namespace")))
        return false;
    return (f->when != 0 && (f->when & ~(uint32_t)(MK_WHEN_CONNECTED | MK_WHEN_AUTHED)) == 0) ||
           wrong(r, "has the states %u; stream features are for CONNECTED and AUTHED", f->when);
}

static bool check_inline(const struct rows *r, const void *row) {
    const struct mk_inline_decl *n = row;
    if ((n->name || (n->offer && n->at == MK_AT_LOGIN)) && !check_text(r, n->ns, "namespace"))
        return false;
    if (n->at != MK_AT_LOGIN && n->at != MK_AT_BIND)
        return wrong(r, "is at %u; MK_AT_LOGIN or MK_AT_BIND there are", n->at);
    if (n->prio < 0 || n->prio > 100)
        return wrong(r, "has the order %d; 0 to 100 is allowed", n->prio);
    if (n->mode != MK_INLINE && n->mode != MK_SERIAL)
        return wrong(r, "has the mode %u; inline features are INLINE or SERIAL", n->mode);
    return n->fn || wrong(r, "has no function");
}

static bool check_mechanism(const struct rows *r, const void *row) {
    const struct mk_mechanism_decl *m = row;
    size_t len = m->name ? strspn(m->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") : 0;
    if (!len || m->name[len] || !check_unique(r, r->m->d.mechanisms.items, sizeof *m))
        return wrong(r, "needs a name of its own, of capitals, digits, - and _");
    return m->step || wrong(r, "has no function");
}

static bool check_disco(const struct rows *r, const void *row) {
    const struct mk_disco_decl *d = row;
    if (!check_text(r, d->var, "var"))
        return false;
    return (d->to != 0 && (d->to & ~(uint32_t)(MK_TO_SERVER | MK_TO_ACCOUNT)) == 0) ||
           wrong(r, "has the recipients %u; MK_TO_SERVER and MK_TO_ACCOUNT there are", d->to);
}

static bool check_slot(const struct rows *r, const void *row) {
    const struct mk_slot_decl *s = row;
    if (!check_name(r, s->name) || !check_unique(r, r->m->d.slots.items, sizeof *s))
        return false;
    if (s->owner > MK_ON_ROOM)
        return wrong(r, "has the owner %u; slots are on sessions, accounts and rooms", s->owner);
    return (s->size > 0 && s->size <= 65536) || wrong(r, "has %u bytes; 1 to 65536 is allowed", s->size);
}

static bool check_timer(const struct rows *r, const void *row) {
    const struct mk_timer_decl *t = row;
    if (!check_name(r, t->name) || !check_unique(r, r->m->d.timers.items, sizeof *t))
        return false;
    if (t->owner > MK_ON_HOST)
        return wrong(r, "has the owner %u, which this server does not know", t->owner);
    if (t->mode > MK_ASIDE)
        return wrong(r, "has the mode %u, which this server does not know", t->mode);
    return t->fn || wrong(r, "has no function");
}

static bool check_metric(const struct rows *r, const void *row) {
    const struct mk_metric_decl *m = row;
    if (!check_name(r, m->name) || !check_unique(r, r->m->d.metrics.items, sizeof *m) ||
        !check_text(r, m->help, "help"))
        return false;
    if (!m->unit)
        return wrong(r, "has no unit; it is \"\" for none");
    return m->kind <= MK_HISTOGRAM || wrong(r, "has the kind %u, which this server does not know", m->kind);
}

static bool is_dotted(const char *name) {
    size_t len;
    for (; name && *name; name += len + (name[len] == '.' && name[len + 1])) {
        len = strcspn(name, ".");
        if (len == 0 || len > 63 || *name < 'a' || *name > 'z' ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
            return false;
        if (!name[len])
            return true;
    }
    return false;
}

static bool check_args(const struct rows *r, const struct mk_table *t, const char *what) {
    const struct mk_arg_decl *a = t->items;
    for (uint32_t i = 0; i < t->count; i++) {
        if (!is_snake(a[i].name) || a[i].type > MK_ARG_TEXTS || !a[i].doc)
            return wrong(r, "has a wrong %s, number %u: it needs a name in snake case, a known type, and a doc", what,
                         i);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(a[j].name, a[i].name) == 0)
                return wrong(r, "has two %ss named `%s`", what, a[i].name);
    }
    return true;
}

static bool check_command(const struct rows *r, const void *row) {
    const struct mk_cmd_decl *c = row;
    if (!is_dotted(c->name))
        return wrong(r, "needs a name like roster.show");
    if (!check_unique(r, r->m->d.commands.items, sizeof *c) || !check_text(r, c->summary, "summary") ||
        !check_args(r, &c->args, "argument") || !check_args(r, &c->results, "result"))
        return false;
    const struct mk_arg_decl *a = c->args.items;
    bool found = !c->at || !*c->at;
    for (uint32_t i = 0; i < c->args.count && !found; i++)
        found = a[i].type == MK_ARG_JID && strcmp(a[i].name, c->at) == 0;
    if (!found)
        return wrong(r, "runs at `%s`, which is no JID among its arguments", c->at);
    return c->run || wrong(r, "has no function");
}

static bool has_cols(const struct mk_coll_decl *c, const char *names) {
    const struct mk_col_decl *cols = c->cols.items;
    for (; *names; names += strspn(names, ", ")) {
        size_t len = strcspn(names, ", ");
        uint32_t i = 0;
        while (i < c->cols.count && (strncmp(cols[i].name, names, len) != 0 || cols[i].name[len]))
            i++;
        if (i == c->cols.count)
            return false;
        names += len;
    }
    return true;
}

/* What a collection needs before it is compared with others; the store looks at it more closely. */
static bool check_collection(const struct rows *r, const void *row) {
    const struct mk_coll_decl *c = row;
    if (!check_name(r, c->name) || !check_unique(r, r->m->d.collections.items, sizeof *c) ||
        !check_text(r, c->doc, "doc"))
        return false;
    if (c->version == 0)
        return wrong(r, "has version 0; the first is 1");
    const struct mk_col_decl *cols = c->cols.items;
    bool partition = false;
    for (uint32_t i = 0; i < c->cols.count; i++) {
        if (!is_snake(cols[i].name) || cols[i].type > MK_C_JID)
            return wrong(r, "has a wrong column, number %u: it needs a name in snake case and a known type", i);
        partition |= cols[i].flags & MK_COL_PARTITION;
    }
    if (!partition)
        return wrong(r, "has no column that is its partition key");
    const struct mk_index_decl *indexes = c->indexes.items;
    for (uint32_t i = 0; i < c->indexes.count; i++)
        if (!is_snake(indexes[i].name) || !indexes[i].partition || !*indexes[i].partition ||
            !has_cols(c, indexes[i].partition) || (indexes[i].sort && !has_cols(c, indexes[i].sort)))
            return wrong(r, "has a wrong index, number %u: it needs a name, and columns of the collection", i);
    return fits(r, c->bind, sizeof(void *));
}

static bool check_xep(const struct rows *r, const void *row) {
    return check_text(r, ((const struct mk_xep_decl *)row)->number, "number");
}

static bool check_domain(const struct rows *r, const void *row) {
    const struct mk_domain_decl *d = row, *rows = r->m->d.domains.items;
    if (!check_text(r, d->option, "option"))
        return false;
    const struct mk_opt_decl *o = option_named(r->m, d->option);
    if (!o || o->type != MK_T_TEXT)
        return wrong(r, "takes its domain from `%s`, which is no option of text", d->option);
    for (uint32_t i = 0; i < r->row; i++)
        if (strcmp(rows[i].option, d->option) == 0)
            return wrong(r, "has the option `%s` of row %u", d->option, i);
    if (r->m->d.flags & MK_PLUGIN_GLOBAL)
        return wrong(r, "serves a domain of a host, and a global plugin has none");
    if (d->mode != MK_INLINE && d->mode != MK_SERIAL)
        return wrong(r, "has the mode %u; domains are INLINE or SERIAL", d->mode);
    return d->room || d->domain || wrong(r, "has no function");
}

static bool check_listener(const struct rows *r, const void *row) {
    const struct mk_listener_decl *l = row;
    if (!check_name(r, l->kind) || !check_unique(r, r->m->d.listeners.items, sizeof *l))
        return false;
    if (strcmp(l->kind, "c2s") == 0)
        return wrong(r, "listens for c2s, which is the server's own");
    return (l->handlers && l->handlers->input && l->handlers->closed && l->accepted) || wrong(r, "lacks a function");
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static bool check_table(const struct plugin *m, const char *name, const struct mk_table *t,
                        bool (*check)(const struct rows *r, const void *row), struct buf *why) {
    struct rows r = { .m = m, .table = name, .why = why };
    for (; r.row < t->count; r.row++)
        if (!check(&r, (const char *)t->items + (size_t)r.row * t->stride))
            return false;
    return true;
}

enum { MAX_INSTANCE = 1 << 20 };

bool rows_check(const struct plugin *m, struct buf *why) {
    const struct mk_plugin *d = &m->d;
    if (!is_snake(d->name) || !d->version || !*d->version || !d->summary || !*d->summary) {
        buf_puts(why, "its descriptor lacks a name in snake case, a version, or a summary");
        return false;
    }
    if (d->inst_size > MAX_INSTANCE || d->worker_size > MAX_INSTANCE) {
        buf_puts(why, "its instance or its worker memory is larger than 1 MB");
        return false;
    }
    return check_table(m, "options", &d->options, check_option, why) &&
           check_table(m, "needs", &d->needs, check_need, why) &&
           check_table(m, "provides", &d->provides, check_provide, why) &&
           check_table(m, "hooks", &d->hooks, check_hook, why) && check_table(m, "iqs", &d->iqs, check_iq, why) &&
           check_table(m, "nonzas", &d->nonzas, check_nonza, why) &&
           check_table(m, "features", &d->features, check_feature, why) &&
           check_table(m, "disco", &d->disco, check_disco, why) &&
           check_table(m, "slots", &d->slots, check_slot, why) &&
           check_table(m, "timers", &d->timers, check_timer, why) &&
           check_table(m, "metrics", &d->metrics, check_metric, why) &&
           check_table(m, "commands", &d->commands, check_command, why) &&
           check_table(m, "collections", &d->collections, check_collection, why) &&
           check_table(m, "xeps", &d->xeps, check_xep, why) &&
           check_table(m, "domains", &d->domains, check_domain, why) &&
           check_table(m, "inlines", &d->inlines, check_inline, why) &&
           check_table(m, "mechanisms", &d->mechanisms, check_mechanism, why) &&
           check_table(m, "listeners", &d->listeners, check_listener, why);
}
