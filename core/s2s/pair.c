/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for another domain: stanzas for it, keys to ask it about, and the stream on which they go. */
#include "route/router.h"
#include "run/metric.h"
#include "s2s/link.h"
#include "util/jid.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

enum { VERIFY_MS = 30000, RESUMES_MAX = 5 };

static __thread struct table pairs;
static __thread unsigned dialing;
static __thread bool over; /* the server stops */

struct key {
    const char *local, *remote;
};

static uint64_t hash_of(const char *local, const char *remote) {
    return hash_bytes(local, strlen(local)) * 31 + hash_bytes(remote, strlen(remote));
}

static bool same_pair(const void *item, const void *key) {
    const struct pair *p = item;
    const struct key *k = key;
    return strcmp(p->local, k->local) == 0 && strcmp(p->remote, k->remote) == 0;
}

struct pair *pair_find(const char *local, const char *remote) {
    struct key key = { local, remote };
    return table_find(&pairs, hash_of(local, remote), same_pair, &key);
}

static void on_rest_over(struct timer *t);

struct pair *pair_get(const char *local, const char *remote) {
    struct pair *p = pair_find(local, remote);
    const struct host *host = p ? p->host : local_host(local);
    if (p || !host)
        return p;
    p = xcalloc(1, sizeof *p);
    p->local = xstrdup(local);
    p->remote = xstrdup(remote);
    p->host = host;
    p->rest.fire = on_rest_over;
    list_init(&p->queue);
    list_init(&p->verifies);
    list_init(&p->unacked);
    table_add(&pairs, hash_of(local, remote), p);
    return p;
}

static void pair_free(struct pair *p) {
    struct key key = { p->local, p->remote };
    table_remove(&pairs, hash_of(p->local, p->remote), same_pair, &key);
    wheel_stop(&p->rest);
    free(p->local);
    free(p->remote);
    free(p->why);
    free(p->sm_id);
    free(p);
}

static void free_if_idle(struct pair *p) {
    if (!p->link && !p->dial && list_empty(&p->queue) && list_empty(&p->verifies) && list_empty(&p->unacked) &&
        !timer_runs(&p->rest))
        pair_free(p);
}

/* ---- stanzas ------------------------------------------------------------------------------------------------------- */

void parcel_free(struct parcel *p) {
    mk_receipt_pay(p->receipt);
    mk_jid_free(p->to);
    mk_release(p->stanza);
    free(p);
}

/* Whether its sender waits for an answer.  That somebody went away, or asks for presence, needs none, and what goes to
 * all contacts, which has no `to` of its own, neither. */
static bool wants_answer(const struct mk_stanza *s) {
    enum mk_type t = mk_stanza_type(s);
    return mk_stanza_kind(s) != MK_PRESENCE || (s->to && (t == MK_TYPE_AVAILABLE || t == MK_TYPE_SUBSCRIBE));
}

/* Somebody takes care of messages to domains that there are not. */
static bool is_taken(struct mk_ctx *c, const struct parcel *parcel, const char *cond) {
    const struct mk_jid *to = parcel->to ? parcel->to : parcel->stanza->to;
    return strcmp(cond, "remote-server-not-found") == 0 && is_undeliverable(c, parcel->stanza, to);
}

static int answer(struct mk_ctx *c, const struct parcel *parcel, const char *cond, const char *why) {
    struct mk_out *o = mk_reply_error(c, parcel->stanza, cond);
    if (parcel->to)
        mk_from(o, parcel->to);
    mk_open(o, "text", NS_STANZAS);
    mk_put(o, "xml:lang", "en");
    mk_put_text(o, why);
    mk_close(o);
    return mk_send(o);
}

/* Back to its sender as an error. */
static void refuse(struct parcel *parcel, const struct host *host, const char *cond, const char *why) {
    struct mk_ctx c;
    if (host && wants_answer(parcel->stanza)) {
        turn_begin(&c, NULL, host, host->jid);
        METRIC(this_worker, s2s_refused, 1);
        if (!is_taken(&c, parcel, cond) && answer(&c, parcel, cond, why) != 0)
            mk_log(&c, MK_DEBUG, "could not answer with %s", cond);
        turn_end(&c);
    }
    parcel_free(parcel);
}

static void count_in(struct pair *p, struct parcel *parcel) {
    p->queue_count++;
    p->queue_bytes += parcel->stanza->wire_len;
    METRIC(this_worker, s2s_queue, 1);
}

static struct parcel *pop(struct pair *p) {
    struct list *at = list_pop(&p->queue);
    if (!at)
        return NULL;
    struct parcel *parcel = container_of(at, struct parcel, link);
    p->queue_count--;
    p->queue_bytes -= parcel->stanza->wire_len;
    METRIC(this_worker, s2s_queue, -1);
    return parcel;
}

static void refuse_queue(struct pair *p, const char *cond, const char *why) {
    struct parcel *parcel;
    pair_requeue(p);
    while ((parcel = pop(p)) != NULL)
        refuse(parcel, p->host, cond, why);
}

/* ---- failure ------------------------------------------------------------------------------------------------------- */

static void refuse_verifies(struct pair *p, const char *cond) {
    struct list *at;
    while ((at = list_pop(&p->verifies)) != NULL)
        verify_done(container_of(at, struct verify, link), VERDICT_ERROR, cond);
}

/* It doubles up to the most, and servers that lost the same peer do not come back at the same time. */
static uint64_t rest_ms(const struct pair *p) {
    const struct s2s_config *config = s2s_config();
    uint64_t ms = (uint64_t)config->backoff_ms, most = (uint64_t)config->backoff_max_ms, chance;
    for (unsigned i = 1; i < p->failures && ms < most; i++)
        ms *= 2;
    ms = ms < most ? ms : most;
    mk_random(&chance, sizeof chance);
    return ms + (ms ? chance % (ms / 2 + 1) : 0);
}

static void failed(struct pair *p, const char *cond, const char *why) {
    METRIC(this_worker, s2s_failures, 1);
    if (log_wants(6))
        log_line(6, &(struct log_place){ .host = p->local }, "there is no stream to %s: %s", p->remote, why);
    p->failures++;
    p->condition = cond;
    if (why != p->why) {
        free(p->why);
        p->why = xstrdup(why);
    }
    uint64_t ms = rest_ms(p);
    if (ms)
        worker_timer(this_worker, &p->rest, ms);
    p->resting = ms > 0;
    refuse_verifies(p, cond);
    refuse_queue(p, cond, p->why);
    free_if_idle(p);
}

/* Afterwards the failures are remembered for as long again. */
static void on_rest_over(struct timer *t) {
    struct pair *p = container_of(t, struct pair, rest);
    if (p->resting) {
        p->resting = false;
        worker_timer(this_worker, &p->rest, rest_ms(p));
    } else {
        free_if_idle(p);
    }
}

/* ---- the stream ---------------------------------------------------------------------------------------------------- */

static void drop_dial(struct pair *p) {
    if (!p->dial)
        return;
    dial_free(p->dial);
    p->dial = NULL;
    dialing--;
}

static void on_dial(void *arg, const struct dial_result *r) {
    struct pair *p = arg;
    if (r->fd >= 0) {
        out_begin(p, r);
        return;
    }
    drop_dial(p);
    const char *why = p->stream_failed ? p->why : r->why;
    failed(p, r->unknown ? "remote-server-not-found" : "remote-server-timeout", why);
}

static void start(struct pair *p) {
    const struct s2s_config *config = s2s_config();
    const struct s2s_policy *policy = policy_for(p->remote);
    if (p->link || p->dial)
        return;
    char *ascii = tls_ascii(p->remote);
    p->stream_failed = false;
    if (!ascii || dialing >= (uint64_t)config->connecting) {
        failed(p, ascii ? "resource-constraint" : "remote-server-not-found",
               ascii ? "too many servers are being connected to" : "it can't be the name of a server");
    } else {
        struct dial_config dial = {
            ascii, policy->host, policy->port, policy->direct, (uint64_t)config->connect_ms, (uint64_t)config->dns_ms
        };
        p->dial = dial_new(&dial, on_dial, p);
        dialing++;
        dial_next(p->dial);
    }
    free(ascii);
}

/* XEP-0478: the peer would end the stream over it. */
static void write_out(struct pair *p, struct parcel *parcel) {
    if (p->link->peer_max && parcel->stanza->wire_len > p->link->peer_max)
        refuse(parcel, p->host, "policy-violation", "The stanza is too large for that server.");
    else
        link_parcel(p->link, parcel);
}

static bool has_room(const struct link *l) {
    return !l->finishing && !link_is_full(l);
}

static void take(struct pair *p, struct parcel *parcel) {
    const struct s2s_config *config = s2s_config();
    if (p->link && p->ready && !p->queue_count && has_room(p->link)) {
        write_out(p, parcel);
        return;
    }
    if (p->resting) {
        refuse(parcel, p->host, p->condition, p->why);
        return;
    }
    if (p->queue_count >= (uint64_t)config->queue ||
        p->queue_bytes + parcel->stanza->wire_len > (size_t)config->queue_bytes) {
        refuse(parcel, p->host, "resource-constraint", "Too much waits for that server.");
        return;
    }
    list_append(&p->queue, &parcel->link);
    count_in(p, parcel);
    if (p->link)
        out_wake(p->link);
    else
        start(p);
}

void pair_ready(struct pair *p) {
    struct link *l = p->link;
    struct parcel *parcel;
    p->ready = true;
    p->resting = false;
    p->failures = 0;
    wheel_stop(&p->rest);
    drop_dial(p);
    while (l && p->link == l && has_room(l) && (parcel = pop(p)) != NULL)
        write_out(p, parcel);
}

/* What may not have arrived goes first, and once more.  FROM: a list of it. */
static void requeue(struct pair *p, struct list *from) {
    while (!list_empty(from)) {
        struct parcel *parcel = container_of(from->prev, struct parcel, link);
        list_remove(&parcel->link);
        if (parcel->resent) {
            refuse(parcel, p->host, "remote-server-timeout", "The stream broke under it.");
            continue;
        }
        parcel->resent = true;
        list_prepend(&p->queue, &parcel->link);
        count_in(p, parcel);
    }
}

void pair_requeue(struct pair *p) {
    free(p->sm_id);
    p->sm_id = NULL;
    p->unacked_count = 0;
    requeue(p, &p->unacked);
}

/* Of a stream that can be resumed the peer will tell what arrived. */
static void take_back(struct pair *p, struct link *l) {
    if (l->sm_id && l->lost && l->tracked && l->sent_count && !p->sm_id && p->resumes < RESUMES_MAX) {
        p->resumes++;
        struct list *at;
        p->sm_id = l->sm_id;
        l->sm_id = NULL;
        p->sm_acked = l->acked;
        p->sm_received = l->inbox ? l->inbox->received : 0;
        p->unacked_count = l->sent_count;
        while ((at = list_pop(&l->sent)) != NULL)
            list_append(&p->unacked, at);
    }
    l->sent_count = 0;
    requeue(p, &l->sent);
}

static void ask_again(struct pair *p) {
    for (struct list *at = p->verifies.next; at != &p->verifies; at = at->next)
        container_of(at, struct verify, link)->sent = false;
}

void pair_lost(struct pair *p, struct link *l, const char *cond, const char *why) {
    bool was_ready = p->ready;
    if (p->link != l)
        return;
    p->link = NULL;
    p->ready = false;
    take_back(p, l);
    ask_again(p);
    if (this_worker->stopping || p->ending)
        return;
    if (cond && !was_ready && l->refused_external && !p->no_external) { /* once more, with dialback from the start */
        p->no_external = true;
        drop_dial(p);
        start(p);
        return;
    }
    if (cond && !was_ready) {
        p->stream_failed = true;
        free(p->why);
        p->why = xstrdup(why);
        if (p->dial)
            dial_next(p->dial);
        else
            failed(p, cond, p->why);
        return;
    }
    drop_dial(p);
    if (list_empty(&p->queue) && list_empty(&p->verifies) && list_empty(&p->unacked))
        free_if_idle(p);
    else
        start(p);
}

void pair_adopt(struct pair *p, struct link *l) {
    p->link = l;
    l->pair = p;
}

void pair_offer(const char *local, const char *remote, struct link *l) {
    if (domain_home(remote) != this_worker || l->finishing)
        return;
    struct pair *p = pair_get(local, remote);
    if (!p || p->link)
        return;
    pair_adopt(p, l);
    pair_ready(p);
}

/* Keys are asked about on streams that we opened. */
static void let_go_of_bidi(struct pair *p) {
    struct link *l = p->link;
    if (!l || l->outgoing)
        return;
    l->pair = NULL;
    p->link = NULL;
    p->ready = false;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static void on_verify_late(struct timer *t) {
    struct verify *v = container_of(t, struct verify, deadline);
    struct pair *p = pair_find(v->local, v->remote);
    list_remove(&v->link);
    verify_done(v, VERDICT_ERROR, "remote-server-timeout");
    if (p)
        free_if_idle(p);
}

void pair_verify(struct verify *v) {
    struct pair *p = pair_get(v->local, v->remote);
    if (!p || p->resting || over) {
        verify_done(v, VERDICT_ERROR, over ? "remote-server-timeout" : p ? p->condition : "item-not-found");
        return;
    }
    list_append(&p->verifies, &v->link);
    v->deadline.fire = on_verify_late;
    worker_timer(this_worker, &v->deadline, VERIFY_MS);
    let_go_of_bidi(p);
    if (p->link)
        out_wake(p->link);
    else
        start(p);
}

/* ---- from everywhere ----------------------------------------------------------------------------------------------- */

static void parcel_here(struct post *post) {
    struct parcel *parcel = container_of(post, struct parcel, post);
    const struct mk_stanza *s = parcel->stanza;
    const struct mk_jid *to = parcel->to ? parcel->to : s->to;
    if (!this_worker) {
        parcel_free(parcel);
        return;
    }
    struct arena arena;
    arena_init(&arena);
    const char *local = arena_memdup(&arena, jid_domain(s->from), s->from->domain_len);
    const char *remote = arena_memdup(&arena, jid_domain(to), to->domain_len);
    if (over) {
        refuse(parcel, local_host(local), "remote-server-timeout", "The server stops.");
    } else if (policy_for(remote)->deny) {
        refuse(parcel, local_host(local), "not-allowed", "There are no streams with that server.");
    } else {
        struct pair *p = pair_get(local, remote);
        if (p)
            take(p, parcel);
        else
            parcel_free(parcel); /* the domain went while it was under way */
    }
    arena_free(&arena);
}

bool s2s_send(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to) {
    if (!s2s_config()->enabled || !s->from || s->kind == MK_NONZA)
        return false;
    const char *domain = mk_text_of(c, mk_jid_domain(to));
    if (!local_host(mk_text_of(c, mk_jid_domain(s->from))))
        return false;
    struct worker *home = domain_home(domain);
    if (home != this_worker)
        stanza_parse_now(s);
    struct parcel *p = xcalloc(1, sizeof *p);
    p->stanza = stanza_ref(s);
    p->receipt = mk_receipt_hold(s);
    p->to = s->to && mk_jid_same(s->to, to) ? NULL : mk_jid_keep(to);
    p->post.run = parcel_here;
    worker_post(home, &p->post); /* also to ourselves: an answer is not sent inside of what it answers */
    return true;
}

/* ---- all of a worker ----------------------------------------------------------------------------------------------- */

void pairs_start(void) {
    pairs = (struct table){ 0 };
    dialing = 0;
    over = false;
}

static struct pair *next_pair(uint32_t *pos) {
    return table_next(&pairs, pos);
}

/* A failure frees pairs: the table is not walked meanwhile. */
static unsigned list_pairs(const char *remote, struct pair ***out) {
    uint32_t pos = 0;
    unsigned count = 0;
    struct pair *p;
    *out = xmalloc((pairs.count + 1) * sizeof(struct pair *));
    while ((p = next_pair(&pos)) != NULL)
        if (!remote || strcmp(p->remote, remote) == 0)
            (*out)[count++] = p;
    return count;
}

static void give_up(struct pair *p, const char *cond, const char *why) {
    struct link *l = p->link;
    p->ending = true;
    if (l)
        link_fail(l, NULL, why);
    p->ending = false;
    drop_dial(p);
    refuse_verifies(p, cond);
    refuse_queue(p, cond, why);
    wheel_stop(&p->rest);
    p->resting = false;
    pair_free(p);
}

unsigned pairs_end(const char *remote) {
    struct pair **all;
    unsigned count = list_pairs(remote, &all), waiting = 0;
    for (unsigned i = 0; i < count; i++) {
        if (all[i]->link && all[i]->link->finishing) /* it ends in peace, and what waits goes to the next one */
            continue;
        waiting += all[i]->dial != NULL;
        give_up(all[i], "remote-server-timeout", "The operator closed the stream.");
    }
    free(all);
    return waiting;
}

void pairs_shutdown(void) {
    struct pair **all;
    over = true;
    unsigned count = list_pairs(NULL, &all);
    for (unsigned i = 0; i < count; i++)
        give_up(all[i], "remote-server-timeout", "The server stops.");
    free(all);
}

void pairs_follow_hosts(void) {
    struct pair **all;
    unsigned count = list_pairs(NULL, &all);
    for (unsigned i = 0; i < count; i++) {
        const struct host *host = local_host(all[i]->local);
        if (!host)
            give_up(all[i], "remote-server-timeout", "The domain is not served any more.");
        else
            all[i]->host = host;
    }
    free(all);
}

void pairs_stop(void) {
    struct pair **all;
    unsigned count = list_pairs(NULL, &all);
    for (unsigned i = 0; i < count; i++) {
        struct parcel *parcel;
        struct list *at;
        drop_dial(all[i]);
        pair_requeue(all[i]);
        while ((parcel = pop(all[i])) != NULL)
            parcel_free(parcel);
        while ((at = list_pop(&all[i]->verifies)) != NULL)
            verify_free(container_of(at, struct verify, link));
        pair_free(all[i]);
    }
    free(all);
    table_free(&pairs);
}

void pairs_rows(struct arena *arena, struct s2s_row **last) {
    uint32_t pos = 0;
    const struct pair *p;
    while ((p = next_pair(&pos)) != NULL) {
        if (p->link)
            continue;
        struct s2s_row *row = arena_zalloc(arena, sizeof *row);
        *row = (struct s2s_row){ .next = *last,
                                 .local = arena_strdup(arena, p->local),
                                 .remote = arena_strdup(arena, p->remote),
                                 .direction = "out",
                                 .state = p->dial ? "connecting" : "failed",
                                 .address = "",
                                 .tls = "",
                                 .auth = "",
                                 .queued = p->queue_count };
        *last = row;
    }
}
