/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns.h"
#include "util/log.h"
#include "util/mem.h"
#include <arpa/nameser.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>

struct dns_query {
    struct list link; /* in the worker's queries until it is answered */
    struct post post;
    enum dns_type type;
    dns_done_fn *done; /* NULL: nobody waits any more */
    void *arg;
    struct dns_answer answer;
};

/* What a worker has; made with its first question. */
static __thread struct ub_ctx *resolver;
static __thread struct list queries;
static const struct dns_config *settings;

void dns_setup(const struct dns_config *config) {
    settings = config;
}

bool dns_available(void) {
    return true;
}

static bool set(struct ub_ctx *u, const char *option, const char *value) {
    return ub_ctx_set_option(u, option, value) == 0;
}

static bool set_servers(struct ub_ctx *u) {
    const struct mk_texts *t = &settings->resolvers;
    for (uint32_t i = 0; i < t->count; i++)
        if (ub_ctx_set_fwd(u, t->items[i]) != 0)
            return false;
    if (settings->anchor && ub_ctx_add_ta_file(u, settings->anchor) != 0)
        return false;
    return t->count || ub_ctx_resolvconf(u, NULL) == 0;
}

/* Small caches: a server talks to few others, as resolvers go.  A machine's own resolver is on the loopback. */
static struct ub_ctx *make_resolver(void) {
    struct ub_ctx *u = ub_ctx_create_event(this_worker->base);
    if (!u)
        return NULL;
    ub_ctx_debugout(u, NULL);
    bool good = set(u, "do-not-query-localhost:", "no") && set(u, "msg-cache-size:", "256k") &&
                set(u, "rrset-cache-size:", "512k") && set(u, "key-cache-size:", "64k") &&
                set(u, "infra-cache-numhosts:", "256") && set_servers(u);
    ub_ctx_hosts(u, NULL); /* there may be none */
    if (good)
        return u;
    log_error("names of other servers can't be looked up: the resolvers can't be used");
    ub_ctx_delete(u);
    return NULL;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static bool read_srv(const ns_msg *m, const ns_rr *rr, struct dns_record *out) {
    const u_char *data = ns_rr_rdata(*rr);
    if (ns_rr_rdlen(*rr) < 7)
        return false;
    out->srv.priority = (uint16_t)ns_get16(data);
    out->srv.weight = (uint16_t)ns_get16(data + 2);
    out->srv.port = (uint16_t)ns_get16(data + 4);
    if (dn_expand(ns_msg_base(*m), ns_msg_end(*m), data + 6, out->srv.target, sizeof out->srv.target) < 0)
        return false;
    if (strcmp(out->srv.target, ".") == 0)
        *out->srv.target = '\0';
    return true;
}

static bool read_tlsa(const ns_rr *rr, struct dns_record *out) {
    const u_char *data = ns_rr_rdata(*rr);
    size_t len = ns_rr_rdlen(*rr);
    if (len < 4 || len - 3 > sizeof out->tlsa.data)
        return false;
    out->tlsa.usage = data[0];
    out->tlsa.selector = data[1];
    out->tlsa.matching = data[2];
    out->tlsa.len = (uint8_t)(len - 3);
    memcpy(out->tlsa.data, data + 3, len - 3);
    return true;
}

static bool read_record(const ns_msg *m, const ns_rr *rr, enum dns_type type, struct dns_record *out) {
    if ((unsigned)ns_rr_type(*rr) != type)
        return false;
    if (type == DNS_SRV)
        return read_srv(m, rr, out);
    if (type == DNS_TLSA)
        return read_tlsa(rr, out);
    size_t size = type == DNS_A ? sizeof out->v4 : sizeof out->v6;
    if (ns_rr_rdlen(*rr) != size)
        return false;
    memcpy(out, ns_rr_rdata(*rr), size);
    return true;
}

static void read_packet(struct dns_query *q, const unsigned char *packet, int len) {
    struct dns_answer *a = &q->answer;
    ns_msg m;
    ns_rr rr;
    int code = len > 0 && ns_initparse(packet, len, &m) == 0 ? ns_msg_getflag(m, ns_f_rcode) : ns_r_servfail;
    a->failed = code != ns_r_noerror && code != ns_r_nxdomain;
    for (int i = 0; !a->failed && i < ns_msg_count(m, ns_s_an) && a->count < DNS_RECORDS; i++)
        if (ns_parserr(&m, ns_s_an, i, &rr) == 0 && read_record(&m, &rr, q->type, &a->records[a->count]))
            a->count++;
}

static void tell(struct post *p) {
    struct dns_query *q = container_of(p, struct dns_query, post);
    if (q->done && this_worker)
        q->done(q->arg, &q->answer);
    free(q);
}

static void on_answer(void *arg, int rc, void *packet, int len, int secure, char *why, int limited) {
    enum { BOGUS = 1, SECURE = 2 };
    struct dns_query *q = arg;
    (void)limited;
    list_remove(&q->link);
    q->answer.secure = secure == SECURE;
    if (secure == BOGUS)
        log_info("DNS: %s", why ? why : "a forged answer");
    if (secure != BOGUS && (rc == ns_r_noerror || rc == ns_r_nxdomain))
        read_packet(q, packet, len);
    else
        q->answer.failed = true;
    worker_post(this_worker, &q->post);
}

struct dns_query *dns_ask(const char *name, enum dns_type type, dns_done_fn *done, void *arg) {
    struct dns_query *q = xcalloc(1, sizeof *q);
    if (!queries.next)
        list_init(&queries);
    if (!resolver)
        resolver = make_resolver();
    q->type = type;
    q->done = done;
    q->arg = arg;
    q->post.run = tell;
    list_append(&queries, &q->link);
    int id;
    if (!resolver || ub_resolve_event(resolver, name, (int)type, ns_c_in, q, on_answer, &id) != 0)
        on_answer(q, ns_r_servfail, NULL, 0, 0, NULL, 0);
    return q;
}

void dns_cancel(struct dns_query *q) {
    if (q)
        q->done = NULL;
}

void dns_worker_stop(struct worker *w) {
    (void)w;
    if (resolver)
        ub_ctx_delete(resolver);
    resolver = NULL;
    struct list *link;
    while (queries.next && (link = list_pop(&queries)) != NULL)
        free(container_of(link, struct dns_query, link));
}
