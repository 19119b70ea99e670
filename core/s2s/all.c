/* SPDX-License-Identifier: Apache-2.0 */
/* All streams with other servers that a worker has: at a stop, at a reload, for commands. */
#include "s2s/link.h"
#include "util/mem.h"
#include <string.h>

/* Streams were ended by s2s_shutdown(); their connections are the net layer's to end. */
void s2s_worker_stop(struct worker *w) {
    pairs_stop();
    ack_worker_stop();
    dns_worker_stop(w);
}

void s2s_shutdown(struct worker *w) {
    struct link *l, *next;
    (void)w;
    for (l = link_next(NULL); l; l = next) {
        next = link_next(l);
        link_fail(l, "system-shutdown", NULL);
    }
    pairs_shutdown();
}

static bool speaks_for_denied(const struct link *l) {
    for (const struct grant *g = l->grants; g; g = g->next)
        if (policy_for(g->remote)->deny)
            return true;
    return false;
}

void s2s_follow_hosts(struct worker *w) {
    struct link *l, *next;
    (void)w;
    for (l = link_next(NULL); l; l = next) {
        next = link_next(l);
        if (l->local && !local_host(l->local))
            link_fail(l, "host-gone", NULL);
        else if ((l->remote && policy_for(l->remote)->deny) || speaks_for_denied(l))
            link_fail(l, "policy-violation", NULL);
    }
    pairs_follow_hosts();
}

/* In peace, which takes seconds if the peer is slow; who says it twice will not wait. */
static void end_link(struct link *l) {
    if (l->finishing || (!l->grants && l->state != LINK_READY)) {
        link_fail(l, NULL, "the operator closed it");
        return;
    }
    link_log(l, 6, "is being closed: the operator wants it");
    link_finish(l);
}

unsigned s2s_end(struct worker *w, const char *remote) {
    struct link *l, *next;
    unsigned count = 0;
    (void)w;
    for (l = link_next(NULL); l; l = next) {
        next = link_next(l);
        if (l->state == LINK_ENDED || (remote && (!l->remote || strcmp(l->remote, remote) != 0)))
            continue;
        end_link(l);
        count++;
    }
    return count + pairs_end(remote);
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static const char *state_of(const struct link *l) {
    static const char *const states[] = { "opening", "negotiating", "ready", "closing" };
    if (l->finishing)
        return states[LINK_ENDED];
    return l->grants ? states[LINK_READY] : states[l->state];
}

struct s2s_row *s2s_rows(struct worker *w, struct arena *arena) {
    struct s2s_row *first = NULL, *row;
    for (struct link *l = link_next(NULL); l; l = link_next(l)) {
        const char *tls = conn_tls_name(&l->conn), *name = tls ? tls : "";
        row = arena_zalloc(arena, sizeof *row);
        *row = (struct s2s_row){
            .next = first,
            .local = arena_strdup(arena, l->local ? l->local : ""),
            .remote = arena_strdup(arena, l->remote ? l->remote : ""),
            .direction = !l->outgoing ? "in" : "out",
            .state = state_of(l),
            .address = arena_strdup(arena, l->conn.address ? l->conn.address : ""),
            .tls = arena_strdup(arena, name),
            .auth = l->grants                ? l->grants->by
                    : l->state != LINK_READY ? ""
                    : l->external            ? "certificate"
                                             : "dialback",
            .queued = l->pair ? l->pair->queue_count : 0,
            .since_s = (int64_t)(worker_now_ms(w) - l->since_ms) / 1000,
        };
        first = row;
    }
    struct s2s_row *pairs = NULL;
    pairs_rows(arena, &pairs);
    if (!first)
        return pairs;
    for (row = first; row->next; row = row->next)
        ;
    row->next = pairs;
    return first;
}
