/* SPDX-License-Identifier: Apache-2.0 */
#include "route/receipt.h"
#include "route/session.h"
#include "run/metric.h"
#include "util/mem.h"
#include <stdlib.h>

static void account_idle(struct mk_entity *e);
static void account_full(struct mk_entity *e, bool full);

static const struct entity_class account_class = { "account", account_idle, account_full };

bool entity_is_account(const struct mk_entity *e) {
    return e && e->class == &account_class;
}

static bool same_account(const void *item, const void *key) {
    const struct mk_entity *e = item;
    return entity_is_account(e) && jid_is_bare_of(e->jid, key);
}

void *account_slots(struct account *a) {
    return a + 1;
}

struct account *account_find(const struct mk_jid *jid) {
    struct mk_entity *e = table_find(&this_worker->entities, jid->hash, same_account, jid);
    return e ? account_of(e) : NULL;
}

struct account *account_get(const struct host *host, const struct mk_jid *jid) {
    struct worker *w = this_worker;
    struct account *a = account_find(jid);
    if (a)
        return a;
    a = xmalloc(sizeof *a + slots_size(MK_ON_ACCOUNT));
    *a = (struct account){ .exists = EXISTS_UNKNOWN };
    entity_init(&a->entity, &account_class, jid_keep_bare(jid), host);
    list_init(&a->sessions);
    table_add(&w->entities, jid->hash, &a->entity);
    METRIC(w, accounts_loaded, 1);
    struct mk_ctx c;
    turn_begin(&c, &a->entity, host, a->entity.jid);
    slots_init(&c, MK_ON_ACCOUNT, account_slots(a));
    turn_end(&c);
    return a;
}

void account_free(struct account *a) {
    struct list *link;
    while ((link = list_pop(&a->sessions)) != NULL) {
        struct mk_session *s = container_of(link, struct mk_session, link);
        if (s->stream)
            s->stream->session = NULL;
        receipts_forget(s);
        session_free(s);
    }
    slots_fini(MK_ON_ACCOUNT, account_slots(a));
    mk_jid_free((struct mk_jid *)a->entity.jid);
    free(a);
}

static void account_idle(struct mk_entity *e) {
    struct account *a = account_of(e);
    if (a->session_count || a->stream_count || e->timers)
        return;
    table_remove(&this_worker->entities, e->jid->hash, same_account, e->jid);
    METRIC(this_worker, accounts_loaded, -1);
    account_free(a);
}

/* A full mailbox stops the account's own connections from feeding it. */
static void account_full(struct mk_entity *e, bool full) {
    struct account *a = account_of(e);
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        if (s->stream)
            stream_hold(s->stream, full);
    }
}

int account_check(struct mk_ctx *c, struct account *a) {
    if (a->exists == EXISTS_UNKNOWN) {
        int rc = mk_account_exists(c, a->entity.jid);
        if (rc != 0 && rc != MK_E_NOTFOUND)
            return rc;
        a->exists = rc == 0 ? EXISTS_YES : EXISTS_NO;
    }
    return a->exists == EXISTS_YES ? 0 : MK_E_NOTFOUND;
}

void account_load(struct mk_ctx *c, struct account *a) {
    const struct host_type *t = a->entity.host->type;
    struct mk_ev_account ev = { a->entity.jid };
    if (a->loaded_for != t && !chain_run(c, MK_HOOK_account_loaded, &ev))
        a->loaded_for = t;
}

void accounts_each(void (*fn)(struct account *a, void *arg), void *arg) {
    struct worker *w = this_worker;
    uint32_t pos = 0;
    struct mk_entity *e;
    while ((e = table_next(&w->entities, &pos)) != NULL)
        if (entity_is_account(e))
            fn(account_of(e), arg);
}
