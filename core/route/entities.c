/* SPDX-License-Identifier: Apache-2.0 */
/* All entities of a worker together: at a reload, at a stop. */
#include "route/object_timer.h"
#include "route/receipt.h"
#include "route/room.h"
#include "route/router.h"
#include "util/mem.h"
#include <stdlib.h>

void entities_follow_hosts(struct worker *w) {
    uint32_t pos = 0;
    struct mk_entity *e;
    while ((e = table_next(&w->entities, &pos)) != NULL) {
        if (entity_is_room(e)) {
            room_follow(room_of(e));
            continue;
        }
        const struct host *host = host_find(jid_domain(e->jid), e->jid->domain_len);
        if (host) /* else its last turns end under the host that was */
            e->host = host;
    }
}

bool entities_busy(const struct worker *w) {
    uint32_t pos = 0;
    const struct mk_entity *e;
    while ((e = table_next(&w->entities, &pos)) != NULL)
        if (!entity_is_idle(e) || (entity_is_account(e) && ((const struct account *)e)->session_count))
            return true;
    return false;
}

/* Those that wait to be resumed: a connected one ends with its stream. */
static void end_detached(struct mk_ctx *c, struct mail *m) {
    struct account *a = account_of(c->entity);
    struct list *l, *next;
    (void)m;
    for (l = a->sessions.next; l != &a->sessions; l = next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        next = l->next;
        if (!s->stream)
            session_end(c, s, MK_CLOSED_SHUTDOWN);
    }
}

static void free_mail(struct mail *m) {
    free(m);
}

void entities_shutdown(struct worker *w) {
    uint32_t pos = 0;
    struct mk_entity *e;
    /* A turn may add and remove entities: none runs while the table is walked. */
    while ((e = table_next(&w->entities, &pos)) != NULL) {
        if (!entity_is_account(e) || !account_of(e)->session_count)
            continue;
        struct mail *m = xcalloc(1, sizeof *m);
        *m = (struct mail){ .suspends = true, .turn = end_detached, .done = free_mail };
        e->held = true;
        entity_mail(e, m);
        e->held = false;
    }
}

/* Nothing runs any more: turns were cancelled, and what is still in mailboxes nobody will handle. */
static void drop_mail(struct mk_entity *e) {
    while (e->head) {
        struct mail *m = e->head;
        e->head = m->next;
        if (m->done)
            m->done(m);
    }
    object_timers_drop(e, 0);
}

void entities_free(struct worker *w) {
    uint32_t pos = 0;
    struct mk_entity *e;
    while ((e = table_next(&w->entities, &pos)) != NULL)
        drop_mail(e);
    pos = 0;
    while ((e = table_next(&w->entities, &pos)) != NULL) {
        if (entity_is_account(e)) {
            account_free(account_of(e));
        } else if (entity_is_room(e)) {
            room_free(room_of(e));
        } else {
            mk_jid_free((struct mk_jid *)e->jid);
            free(e);
        }
    }
    table_free(&w->entities);
}

/* ---- host_started ---------------------------------------------------------------------------------------------------- */

static void run_started(struct mk_ctx *c, void *arg) {
    struct mk_ev_host ev = { c->host->jid };
    chain_run_since(c, MK_HOOK_host_started, &ev, (unsigned)(uintptr_t)arg);
}

static void run_reloaded(struct mk_ctx *c, void *arg) {
    struct mk_ev_host ev = { c->host->jid };
    (void)arg;
    chain_run(c, MK_HOOK_host_reloaded, &ev);
}

void hosts_reloaded(const struct snapshot *s) {
    for (uint32_t i = 0; i < s->host_count; i++)
        entity_run(s->hosts[i]->jid, true, run_reloaded, NULL, NULL);
}

void hosts_started(const struct snapshot *s) {
    for (uint32_t i = 0; i < s->host_count; i++) {
        unsigned since = s->hosts[i]->since == s->number ? 0 : s->number;
        entity_run(s->hosts[i]->jid, true, run_started, NULL, (void *)(uintptr_t)since);
    }
}
