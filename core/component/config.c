/* SPDX-License-Identifier: Apache-2.0 */
/* The options of components, and which there are. */
#include "component/part.h"
#include "util/jid.h"
#include "util/mem.h"
#include "util/text.h"
#include <stdlib.h>
#include <string.h>

static const char *const balances[] = { "round_robin", "sender", NULL };
static const char *const conflicts[] = { "refuse", "replace", NULL };
static const struct mk_opt_decl rows[] = {
    MK_OPT_TEXT(struct component_config, domain, NULL, MK_OPT_REQUIRED | MK_OPT_LIVE, "The domain that it serves."),
    MK_OPT_TEXT(struct component_config, secret, NULL, MK_OPT_REQUIRED | MK_OPT_SECRET | MK_OPT_LIVE,
                "What it and the server know, and nobody else."),
    MK_OPT_TEXT(struct component_config, host, NULL, MK_OPT_LIVE,
                "The host in whose name it speaks to other servers; without it the first."),
    MK_OPT_INT(struct component_config, streams, "1", 1, 1000, MK_OPT_LIVE,
               "Connections it may have at once, which share what comes for it."),
    MK_OPT_ENUM(struct component_config, balance, "round_robin", balances, MK_OPT_LIVE,
                "Who of several gets a stanza: each in turn, or always the same for one sender."),
    MK_OPT_ENUM(struct component_config, conflict, "refuse", conflicts, MK_OPT_LIVE,
                "What one connection too many means: it is refused, or the oldest is closed."),
    MK_OPT_BOOL(struct component_config, hidden, "false", MK_OPT_LIVE,
                "Keep it out of what service discovery lists. It is listed while it is connected."),
    MK_OPT_BOOL(struct component_config, subdomains, "false", MK_OPT_LIVE,
                "Whether it serves all domains below its own too."),
    MK_OPT_BOOL(struct component_config, tls, "false", MK_OPT_LIVE, "Whether it must connect with TLS."),
};
static const struct mk_table table = MK_TABLE(rows);

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static void read_one(struct arena *arena, struct conf_node *group, struct component_config *out,
                     struct conf_errors *e) {
    const struct mk_jid *jid;
    conf_fill(arena, "components", group, &table, NULL, out, e);
    if (!out->domain)
        return;
    if (jid_parse(arena, out->domain, strlen(out->domain), &jid) != 0 || jid->local_len || jid->resource_len)
        conf_error(e, group, "\"%s\" is no domain", out->domain);
    else
        out->domain = jid->text;
    if (out->secret && !*out->secret)
        conf_error(e, group, "the secret of component %s is empty", out->domain);
}

static void check_twice(const struct component_config *configs, unsigned i, const struct conf_node *group,
                        struct conf_errors *e) {
    for (unsigned k = 0; configs[i].domain && k < i; k++)
        if (configs[k].domain && strcmp(configs[k].domain, configs[i].domain) == 0)
            conf_error(e, group, "component %s is there twice", configs[i].domain);
}

void component_read(struct arena *arena, struct conf_node *root, const struct component_config **out, unsigned *count,
                    struct conf_errors *e) {
    const struct conf_node *list = conf_find(root, "components");
    unsigned most = 0;
    *count = 0;
    if (list && list->type != CONF_LIST)
        conf_error(e, list,
                   "components is not a list of groups: components = ( { domain = \"gateway.example.org\"; "
                   "secret = \"env:GATEWAY_SECRET\"; } );");
    if (!list || list->type != CONF_LIST)
        return;
    for (const struct conf_node *n = list->first; n; n = n->next)
        most++;
    struct component_config *configs = arena_zalloc(arena, (most + 1) * sizeof *configs);
    for (struct conf_node *n = list->first; n; n = n->next, ++*count) {
        n->used = true;
        read_one(arena, n, &configs[*count], e);
        check_twice(configs, *count, n, e);
    }
    *out = configs;
}

void component_manual(struct buf *out) {
    buf_puts(out, "## components\n\nA list of groups, one for each external component (XEP-0114), which connect to a "
                  "listener of kind component.\n\n");
    conf_manual(out, &table);
    buf_puts(out, "\n");
}

/* ---- in force ------------------------------------------------------------------------------------------------------ */

static _Atomic(struct component *) components;

static struct component *first(void) {
    return atomic_load_explicit(&components, memory_order_acquire);
}

static struct component *by_name(const char *name) {
    struct component *x = first();
    while (x && strcmp(x->name, name) != 0)
        x = x->next;
    return x;
}

/* Workers may read the list meanwhile. */
static struct component *add(const char *name) {
    struct component *x = xcalloc(1, sizeof *x);
    x->name = xstrdup(name);
    x->name_len = strlen(name);
    list_init(&x->links);
    x->next = first();
    atomic_store_explicit(&components, x, memory_order_release);
    return x;
}

void components_setup(const struct component_config *configs, unsigned count) {
    for (struct component *x = first(); x; x = x->next) {
        bool stays = false;
        for (unsigned i = 0; i < count; i++)
            stays |= strcmp(configs[i].domain, x->name) == 0;
        if (!stays)
            atomic_store_explicit(&x->config, NULL, memory_order_release);
    }
    for (unsigned i = 0; i < count; i++) {
        struct component *x = by_name(configs[i].domain);
        if (!x)
            x = add(configs[i].domain);
        atomic_store_explicit(&x->config, &configs[i], memory_order_release);
    }
}

void components_teardown(void) {
    for (struct component *x = first(), *next; x; x = next) {
        next = x->next;
        free(x->name);
        free(x);
    }
    atomic_store(&components, NULL);
}

/* ---- finding ------------------------------------------------------------------------------------------------------- */

const struct component_config *component_config(const struct component *x) {
    return atomic_load_explicit(&x->config, memory_order_acquire);
}

struct worker *component_home(const struct component *x) {
    return worker_of((uint32_t)hash_bytes(x->name, x->name_len));
}

static bool is_below(const struct component *x, const char *domain, size_t len) {
    size_t at = len - x->name_len;
    return len > x->name_len + 1 && domain[at - 1] == '.' && memcmp(domain + at, x->name, x->name_len) == 0;
}

struct component *component_find(const char *domain, size_t len) {
    struct component *below = NULL;
    for (struct component *x = first(); x; x = x->next) {
        const struct component_config *config = component_config(x);
        if (!config)
            continue;
        if (len == x->name_len && memcmp(domain, x->name, len) == 0)
            return x;
        if (config->subdomains && is_below(x, domain, len) && (!below || x->name_len > below->name_len))
            below = x;
    }
    return below;
}

struct component *component_at(unsigned i) {
    struct component *x = first();
    while (x && i--)
        x = x->next;
    return x;
}

static const struct host *host_of(const struct component *x) {
    const struct component_config *config = component_config(x);
    const struct snapshot *s = snapshot_current();
    if (config && config->host)
        return host_find(config->host, strlen(config->host));
    return s && s->host_count ? s->hosts[0] : NULL;
}

const struct host *component_host(const char *domain, size_t len) {
    const struct component *x = component_find(domain, len);
    return x ? host_of(x) : NULL;
}

/* ---- SDK ----------------------------------------------------------------------------------------------------------- */

const char *mk_component_at(const struct mk_ctx *c, unsigned i) {
    const struct component_config *config;
    (void)c;
    for (struct component *x = first(); x; x = x->next) {
        config = component_config(x);
        if (config && !config->hidden && atomic_load_explicit(&x->streams, memory_order_relaxed) && i-- == 0)
            return x->name;
    }
    return NULL;
}
