/* SPDX-License-Identifier: Apache-2.0 */
/* The SDK functions about who and where a turn is. */
#include "component/component.h"
#include "load/load.h"
#include "run/op.h"
#include <stdlib.h>
#include <string.h>

const void *mk_inst(const struct mk_ctx *c) {
    return atomic_load_explicit(&c->inst->bytes, memory_order_acquire);
}

void *mk_worker(const struct mk_ctx *c) {
    return c->worker->plugin_memory[c->inst->number];
}

const struct mk_jid *mk_self(const struct mk_ctx *c) {
    return c->self;
}

const struct mk_jid *mk_host(const struct mk_ctx *c) {
    return c->host ? c->host->jid : NULL;
}

bool mk_is_admin(const struct mk_ctx *c, const struct mk_jid *jid) {
    for (uint32_t i = 0; c->host && i < c->host->admin_count; i++)
        if (mk_jid_same_bare(c->host->admins[i], jid))
            return true;
    return false;
}

const struct mk_jid *mk_admin_at(const struct mk_ctx *c, unsigned i) {
    return c->host && i < c->host->admin_count ? c->host->admins[i] : NULL;
}

bool mk_is_local(const struct mk_ctx *c, struct mk_view domain) {
    (void)c;
    return host_find(domain.s, domain.len) || domain_find(domain.s, domain.len) || component_host(domain.s, domain.len);
}

const char *mk_disco_feature(const struct mk_ctx *c, uint32_t to, unsigned i) {
    const struct host_type *t = c->host ? c->host->type : NULL;
    if (!t)
        return NULL;
    if (to & MK_TO_SERVER)
        return i < t->disco_server_count ? t->disco_server[i] : NULL;
    return i < t->disco_account_count ? t->disco_account[i] : NULL;
}

/* ---- services ---------------------------------------------------------------------------------------------------- */

const void *mk_svc_enter(struct mk_ctx *c, const struct mk_svc *svc) {
    const struct instance *before = c->inst;
    c->inst = svc->provider;
    return before;
}

void mk_svc_leave(struct mk_ctx *c, const void *before) {
    c->inst = before;
}

const void *mk_op_inst(const struct mk_op *op) {
    return atomic_load_explicit(&op->inst->bytes, memory_order_acquire);
}

void *mk_op_worker(const struct mk_op *op) {
    return op->worker->plugin_memory[op->inst->number];
}
