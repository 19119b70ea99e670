/* SPDX-License-Identifier: Apache-2.0 */
#include "route/host.h"
#include "run/worker.h"
#include <string.h>

static _Atomic(const struct snapshot *) newest;

const struct snapshot *snapshot_current(void) {
    const struct worker *w = this_worker;
    return w && w->hosts ? w->hosts : atomic_load_explicit(&newest, memory_order_acquire);
}

void snapshot_publish(const struct snapshot *s) {
    atomic_store_explicit(&newest, s, memory_order_release);
}

/* Of hosts and domains alike the name comes first. */
static bool same_domain(const void *item, const void *key) {
    const char *name = *(const char *const *)item;
    const struct mk_view *domain = key;
    return strncmp(name, domain->s, domain->len) == 0 && name[domain->len] == '\0';
}

const struct host *host_find(const char *domain, size_t len) {
    const struct snapshot *s = snapshot_current();
    struct mk_view key = { domain, len };
    return s ? table_find(&s->by_name, hash_bytes(domain, len), same_domain, &key) : NULL;
}

const struct domain *domain_find(const char *domain, size_t len) {
    const struct snapshot *s = snapshot_current();
    struct mk_view key = { domain, len };
    return s && s->domains.count ? table_find(&s->domains, hash_bytes(domain, len), same_domain, &key) : NULL;
}

/* ---- iq ---------------------------------------------------------------------------------------------------------- */

struct iq_key {
    const char *name, *ns;
    uint32_t to, types;
};

static uint64_t iq_hash(const struct iq_key *key) {
    return hash_bytes(key->ns, strlen(key->ns)) * 31 + hash_bytes(key->name, strlen(key->name)) + key->to;
}

static bool same_iq(const void *item, const void *key) {
    const struct mk_iq_decl *row = ((const struct iq_entry *)item)->row;
    const struct iq_key *k = key;
    return row->to & k->to && row->types & k->types && strcmp(row->name, k->name) == 0 && strcmp(row->ns, k->ns) == 0;
}

const struct iq_entry *host_iq(const struct host_type *t, const char *name, const char *ns, uint32_t to,
                               uint32_t type) {
    struct iq_key key = { name, ns, to, type };
    return table_find(&t->iqs, iq_hash(&key), same_iq, &key);
}

const struct iq_entry *host_iq_add(struct host_type *t, const struct iq_entry *e) {
    const struct iq_entry *claimed = NULL;
    for (uint32_t to = MK_TO_SERVER; to <= MK_TO_ACCOUNT; to <<= 1) {
        struct iq_key key = { e->row->name, e->row->ns, to, e->row->types };
        if (!(e->row->to & to))
            continue;
        if (!claimed)
            claimed = table_find(&t->iqs, iq_hash(&key), same_iq, &key);
        table_add(&t->iqs, iq_hash(&key), (void *)e);
    }
    return claimed;
}
