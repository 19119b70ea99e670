/* SPDX-License-Identifier: Apache-2.0 */
/* Stanzas to and from components, and who of several gets them. */
#include "component/part.h"
#include "route/receipt.h"
#include "route/router.h"
#include "run/metric.h"
#include "util/mem.h"
#include "util/text.h"
#include "xml/stanza.h"
#include <stdlib.h>
#include <string.h>

/* ---- streams of a domain ---------------------------------------------------------------------------------------------- */

static bool make_room(struct link *l) {
    struct component *x = l->component;
    const struct component_config *config = component_config(x);
    if (x->count < config->streams)
        return true;
    if (config->conflict == CONFLICT_REFUSE) {
        component_fail(l, "conflict", NULL);
        return false;
    }
    struct link *oldest = NULL;
    for (struct list *at = x->links.next; at != &x->links; at = at->next) {
        struct link *other = container_of(at, struct link, ready);
        if (!oldest || other->since_ms < oldest->since_ms)
            oldest = other;
    }
    component_fail(oldest, "conflict", "Another connection took its place.");
    return true;
}

void component_join(struct link *l) {
    struct component *x = l->component;
    if (!make_room(l))
        return;
    l->state = LINK_READY;
    list_append(&x->links, &l->ready);
    x->count++;
    atomic_fetch_add(&x->streams, 1);
    METRIC(this_worker, components, 1);
}

void component_leave(struct link *l) {
    list_remove(&l->ready);
    l->component->count--;
    atomic_fetch_sub(&l->component->streams, 1);
    METRIC(this_worker, components, -1);
}

void component_joined(const struct component *x) {
    const struct snapshot *s = snapshot_current();
    struct mk_ev_component ev = { x->name };
    struct mk_ctx c;
    for (uint32_t i = 0; s && i < s->host_count; i++) {
        turn_begin(&c, NULL, s->hosts[i], s->hosts[i]->jid);
        chain_run(&c, MK_HOOK_component_joined, &ev);
        turn_end(&c);
    }
}

/* One that has room, beginning with the one whose turn it is; NULL: there is none. */
static struct link *choose(struct component *x, const struct mk_stanza *s) {
    const struct mk_jid *from = mk_stanza_from(s);
    struct mk_view bare = from ? mk_jid_bare(from) : (struct mk_view){ "", 0 };
    struct list *at = x->links.next;
    if (!x->count)
        return NULL;
    if (component_config(x)->balance == BALANCE_SENDER) {
        for (uint64_t n = hash_bytes(bare.s, bare.len) % x->count; n; n--)
            at = at->next;
        return container_of(at, struct link, ready);
    }
    list_remove(at);
    list_append(&x->links, at);
    return container_of(at, struct link, ready);
}

/* ---- to a component --------------------------------------------------------------------------------------------------- */

struct parcel {
    struct post post;
    struct component *component;
    struct mk_stanza *stanza;
    struct mk_jid *to; /* NULL: as the stanza says */
    struct mk_receipt *receipt;
};

/* In the home's worker, in no turn. */
static void bounce(const struct component *x, const struct mk_stanza *s, const char *cond, const char *text) {
    const struct host *host = component_host(x->name, x->name_len);
    struct mk_ctx c;
    if (!host || (mk_stanza_kind(s) == MK_PRESENCE && mk_stanza_type(s) != MK_TYPE_SUBSCRIBE))
        return;
    METRIC(this_worker, bounces, 1);
    turn_begin(&c, NULL, host, host->jid);
    if (mk_refuse(&c, s, cond, text) != 0)
        log_debug("a stanza for a component could not be refused");
    turn_end(&c);
}

static void deliver(struct post *post) {
    struct parcel *p = container_of(post, struct parcel, post);
    struct link *l = this_worker && component_config(p->component) ? choose(p->component, p->stanza) : NULL;
    if (l && l->conn.out_len > (uint64_t)stream_config()->out_bytes) {
        component_fail(l, "policy-violation", "You do not read what is sent.");
        l = NULL;
    }
    if (l) {
        METRIC(this_worker, component_stanzas_out, 1);
        component_write(l, p->stanza, p->to);
    } else if (this_worker) {
        bounce(p->component, p->stanza, "service-unavailable", "The component is not connected.");
    }
    mk_receipt_pay(p->receipt);
    mk_jid_free(p->to);
    mk_release(p->stanza);
    free(p);
}

bool component_send(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    struct component *x = component_find(jid_domain(to), to->domain_len);
    if (!x)
        return false;
    (void)c;
    struct parcel *p = xmalloc(sizeof *p);
    *p = (struct parcel){ .post.run = deliver,
                          .component = x,
                          .stanza = stanza_ref(s),
                          .to = to == s->to ? NULL : mk_jid_keep(to),
                          .receipt = mk_receipt_hold(s) };
    stanza_parse_now(p->stanza);
    worker_post(component_home(x), &p->post);
    return true;
}

/* ---- from a component --------------------------------------------------------------------------------------------------- */

void component_receive(struct link *l, struct mk_stanza *s) {
    const struct host *host = component_host(l->component->name, l->component->name_len);
    struct mk_ctx c;
    bool own = s->from && component_find(jid_domain(s->from), s->from->domain_len) == l->component;
    if (mk_stanza_kind(s) == MK_NONZA)
        component_fail(l, "unsupported-stanza-type", NULL);
    else if (!s->from || !s->to)
        component_fail(l, "improper-addressing", NULL);
    else if (!own)
        component_fail(l, "invalid-from", NULL);
    else if (!host)
        component_fail(l, "internal-server-error", NULL);
    else {
        METRIC(this_worker, component_stanzas_in, 1);
        stanza_stamp(s, NULL, NULL);
        turn_begin(&c, NULL, host, host->jid);
        c.handling = s;
        route_from_server(&c, s);
        turn_end(&c);
    }
    mk_release(s);
}

/* ---- all of a worker ------------------------------------------------------------------------------------------------- */

void components_shutdown(struct worker *w) {
    struct link *l, *next;
    (void)w;
    for (l = component_link_next(NULL); l; l = next) {
        next = component_link_next(l);
        component_fail(l, "system-shutdown", NULL);
    }
}

void components_follow(struct worker *w) {
    struct link *l, *next;
    (void)w;
    for (l = component_link_next(NULL); l; l = next) {
        next = component_link_next(l);
        if (l->component && !component_config(l->component))
            component_fail(l, "host-gone", NULL);
    }
}

unsigned components_end(struct worker *w, const char *domain) {
    struct link *l, *next;
    unsigned count = 0;
    (void)w;
    for (l = component_link_next(NULL); l; l = next) {
        next = component_link_next(l);
        if (l->state == LINK_ENDED || (domain && (!l->component || strcmp(l->component->name, domain) != 0)))
            continue;
        component_fail(l, NULL, "the operator closed it");
        count++;
    }
    return count;
}

struct component_row *component_rows(struct worker *w, struct arena *arena) {
    struct component_row *first = NULL, **tail = &first;
    for (struct link *l = component_link_next(NULL); l; l = component_link_next(l)) {
        if (l->state != LINK_READY)
            continue;
        struct component_row *row = arena_zalloc(arena, sizeof *row);
        row->domain = arena_strdup(arena, l->component->name);
        row->address = arena_strdup(arena, l->conn.address);
        row->tls = conn_is_secure(&l->conn) ? "yes" : "no";
        row->since_s = (int64_t)((worker_now_ms(w) - l->since_ms) / 1000);
        row->queued = (int64_t)l->conn.out_len;
        *tail = row;
        tail = &row->next;
    }
    return first;
}
