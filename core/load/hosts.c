/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include "net/conn.h"
#include <stdlib.h>
#include <string.h>

struct host_options {
    const char *name, *type, *certificate, *key;
    struct mk_texts admins;
};
static const struct mk_opt_decl host_opts[] = {
    MK_OPT_TEXT(struct host_options, name, NULL, MK_OPT_REQUIRED | MK_OPT_LIVE, "The domain that is served."),
    MK_OPT_TEXT(struct host_options, type, "default", MK_OPT_LIVE, "The host type that says what the host offers."),
    MK_OPT_FILE(struct host_options, certificate, NULL, MK_OPT_LIVE,
                "The certificate with its chain, in PEM.  Without one the host offers no TLS."),
    MK_OPT_FILE(struct host_options, key, NULL, MK_OPT_LIVE,
                "The certificate's key, in PEM.  By default it is looked for in the certificate's file."),
    MK_OPT_TEXTS(struct host_options, admins, NULL, MK_OPT_LIVE,
                 "JIDs of those who may use commands of the operator on this host."),
};
const struct mk_table host_rows = MK_TABLE(host_opts);

static void read_name(struct plan *p, struct host *h, const struct host_options *o, const struct conf_node *group) {
    const struct mk_jid *jid;
    if (jid_parse(&p->arena, o->name, strlen(o->name), &jid) != 0 || jid->local_len || jid->resource_len) {
        conf_error(p->e, group, "\"%s\" is no domain", o->name);
        return;
    }
    for (unsigned i = 0; i < p->host_count; i++)
        if (strcmp(p->hosts[i].name, jid->text) == 0)
            conf_error(p->e, group, "host %s is there twice", jid->text);
    h->name = jid->text;
    h->jid = jid;
}

static void read_type(struct plan *p, struct host *h, const struct host_options *o, const struct conf_node *group) {
    const char **names = arena_alloc(&p->arena, (p->type_count + 1) * sizeof *names);
    for (unsigned i = 0; i < p->type_count; i++) {
        names[i] = p->types[i].name;
        if (strcmp(names[i], o->type) == 0)
            h->type = p->types[i].type;
    }
    if (h->type)
        return;
    const char *near = nearest_name(o->type, names, p->type_count);
    conf_error(p->e, group, "there is no host type \"%s\"%s%s%s", o->type, near ? "; did you mean \"" : "",
               near ? near : "", near ? "\"?" : "");
}

static void read_cert(struct plan *p, struct host *h, const struct host_options *o, const struct conf_node *group) {
    char why[256];
    if (!o->certificate) {
        if (o->key)
            conf_error(p->e, group, "host %s has a key and no certificate", o->name);
        return;
    }
    h->cert = tls_cert_load(o->certificate, o->key ? o->key : o->certificate, why, sizeof why);
    if (!h->cert)
        conf_error(p->e, group, "the certificate of host %s can't be used: %s", o->name, why);
}

static void read_admins(struct plan *p, struct host *h, const struct host_options *o, const struct conf_node *group) {
    const struct mk_jid **admins = arena_alloc(&p->arena, (o->admins.count + 1) * sizeof *admins);
    for (uint32_t i = 0; i < o->admins.count; i++) {
        const struct mk_jid *jid;
        if (jid_parse(&p->arena, o->admins.items[i], strlen(o->admins.items[i]), &jid) == 0)
            admins[h->admin_count++] = jid_bare(&p->arena, jid);
        else
            conf_error(p->e, conf_find(group, "admins"), "\"%s\" is no JID", o->admins.items[i]);
    }
    h->admins = admins;
}

static void add_host(struct plan *p, const struct conf_node *group) {
    struct host_options o = { 0 };
    unsigned before = p->e->count;
    conf_fill(&p->arena, "host", group, &host_rows, NULL, &o, p->e);
    if (!o.name || p->e->count != before)
        return;
    struct host h = { 0 };
    read_name(p, &h, &o, group);
    read_type(p, &h, &o, group);
    read_admins(p, &h, &o, group);
    read_cert(p, &h, &o, group);
    if (h.name)
        p->hosts[p->host_count++] = h;
    else if (h.cert)
        tls_cert_release(h.cert);
}

void plan_hosts(struct plan *p) {
    const struct conf_node *list = conf_find(p->root, "hosts");
    unsigned count = 0;
    for (const struct conf_node *n = list ? list->first : NULL; n; n = n->next)
        count++;
    p->hosts = arena_zalloc(&p->arena, (count + 1) * sizeof *p->hosts);
    if (!list || list->type != CONF_LIST || count == 0) {
        conf_error(p->e, list,
                   "no host is served: hosts = ( { name = \"example.org\"; certificate = \"...\"; key = \"...\"; } );");
        return;
    }
    for (const struct conf_node *n = list->first; n; n = n->next)
        add_host(p, n);
}

void plan_release(struct plan *p) {
    for (unsigned i = 0; i < p->host_count; i++)
        if (p->hosts[i].cert)
            tls_cert_release(p->hosts[i].cert);
    for (unsigned i = 0; i < p->type_count; i++)
        table_free(&p->types[i].type->iqs);
    table_free(&p->domains);
    if (p->snapshot)
        table_free(&p->snapshot->by_name);
    arena_free(&p->arena);
    free(p);
}
