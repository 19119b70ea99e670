/* SPDX-License-Identifier: Apache-2.0 */
#include "route/router.h"
#include "run/metric.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

static const char *condition_of(int rc) {
    switch (rc) {
    case MK_E_NOTFOUND:
        return "item-not-found";
    case MK_E_CONFLICT:
        return "conflict";
    case MK_E_BUSY:
    case MK_E_TIMEOUT:
        return "resource-constraint";
    case MK_E_UNSUPPORTED:
        return "feature-not-implemented";
    case MK_E_INVALID:
        return "bad-request";
    case MK_E_LIMIT:
        return "policy-violation";
    case MK_E_DENIED:
        return "forbidden";
    case MK_E_JID:
        return "jid-malformed";
    case MK_E_UNAVAILABLE:
    case MK_E_CANCELLED:
        return "service-unavailable";
    default:
        return "internal-server-error";
    }
}

void refuse_rc(struct mk_ctx *c, const struct mk_stanza *s, int rc) {
    METRIC(c->worker, bounces, 1);
    if (mk_refuse(c, s, condition_of(rc), rc == MK_E_TIMEOUT ? "The server was too slow." : NULL) != 0)
        mk_log(c, MK_DEBUG, "could not answer with %s", condition_of(rc));
}

const struct iq_entry *iq_find(const struct host_type *t, const struct mk_stanza *iq, uint32_t to) {
    const struct mk_elem *e = mk_elem_first(mk_root(iq));
    uint32_t type = mk_stanza_type(iq) == MK_TYPE_GET ? MK_GET : MK_SET;
    return e ? host_iq(t, mk_elem_name(e), mk_elem_ns(e), to, type) : NULL;
}

static void call(struct mk_ctx *c, const struct iq_entry *entry, const struct mk_stanza *iq) {
    const struct mk_stanza *handled = c->handling;
    c->handling = iq;
    int rc = iq_run(c, entry, iq);
    c->handling = handled;
    if (rc < 0)
        refuse_rc(c, iq, rc);
}

struct aside_iq {
    const struct iq_entry *entry;
    const struct mk_stanza *iq;
    struct mk_receipt *receipt;
};

static void run_aside(struct mk_ctx *c, void *arg) {
    struct aside_iq *a = arg;
    call(c, a->entry, a->iq);
    mk_receipt_pay(a->receipt);
    mk_release(a->iq);
    free(a);
}

/* An entity stays while something runs beside it, but only its own: a host's queries run on any worker. */
static struct mk_entity *own_entity(const struct mk_ctx *c) {
    return c->entity && c->entity->jid && c->self == c->entity->jid ? c->entity : NULL;
}

static void start_aside(struct mk_ctx *c, const struct iq_entry *entry, const struct mk_stanza *iq) {
    struct aside_iq *a = xmalloc(sizeof *a);
    *a = (struct aside_iq){ entry, mk_keep(iq), mk_receipt_hold(iq) };
    turn_aside(own_entity(c), c->host, c->self, run_aside, a);
}

struct aside {
    const struct instance *inst;
    void (*fn)(struct mk_ctx *c, void *arg);
    void *arg;
};

static void run_fn(struct mk_ctx *c, void *arg) {
    struct aside *a = arg;
    c->inst = a->inst;
    a->fn(c, a->arg);
    free(a);
}

void mk_aside(struct mk_ctx *c, void (*fn)(struct mk_ctx *c, void *arg), void *arg) {
    struct aside *a = xmalloc(sizeof *a);
    *a = (struct aside){ c->inst, fn, arg };
    turn_aside(own_entity(c), c->host, c->self, run_fn, a);
}

bool is_request_taken(struct mk_ctx *c, const struct mk_stanza *s) {
    struct mk_ev_request ev = { .iq = s };
    return chain_run(c, MK_HOOK_iq_request, &ev);
}

void iq_handle(struct mk_ctx *c, const struct iq_entry *entry, const struct mk_stanza *iq) {
    if (!entry) {
        METRIC(c->worker, bounces, 1);
        if (mk_refuse(c, iq, "service-unavailable", NULL) != 0)
            mk_log(c, MK_DEBUG, "could not answer an iq");
    } else if (entry->row->mode == MK_ASIDE) {
        start_aside(c, entry, iq);
    } else {
        call(c, entry, iq);
    }
}
