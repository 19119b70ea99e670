/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dial.h"
#include "util/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <meerkat/ctx.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TARGETS = 2 * DNS_RECORDS,
    ADDRESSES = 8,
    SILENCE_MS = 60000, /* without an acknowledgement of TCP a connection is lost */
    STAGGER_MS = 200    /* RFC 8305, section 5: 250 ms; the wheel adds up to 100 */
};

struct target {
    char name[DNS_NAME];
    uint16_t priority, weight, port;
    bool direct;
    bool secure; /* DNSSEC vouches for what names it */
};

/* One address being connected to. */
struct attempt {
    struct dial *dial;
    struct event event;
    struct sockaddr_storage peer;
    int fd; /* -1: over */
};

struct dial {
    struct dial_config config;
    dial_done_fn *done;
    void *arg;
    struct dns_query *queries[3]; /* of addresses, or services; of TLSA */
    struct dns_answer tlsa;
    struct timer timer; /* DNS, the next address, or the last one's connect */
    struct target targets[TARGETS];
    unsigned target_count, next_target;
    bool resolved, refused, dns_failed; /* refused: SRV says that there is no such service */
    bool reached;                       /* some target had an address */
    struct sockaddr_storage addresses[2][ADDRESSES], order[2 * ADDRESSES];
    unsigned address_count[2], order_count, next_address;
    struct attempt attempts[2 * ADDRESSES];
    unsigned attempt_count, open;
    struct post post;
    bool posted, freed;
};

static void try_targets(struct dial *d);

struct dial *dial_new(const struct dial_config *config, dial_done_fn *done, void *arg) {
    struct dial *d = xcalloc(1, sizeof *d);
    d->config = *config;
    d->config.domain = xstrdup(config->domain);
    d->config.host = config->host ? xstrdup(config->host) : NULL;
    d->done = done;
    d->arg = arg;
    return d;
}

static void close_attempt(struct attempt *a) {
    if (a->fd < 0)
        return;
    event_del(&a->event);
    close(a->fd);
    a->fd = -1;
    a->dial->open--;
}

/* What is under way is given up. */
static void quiet(struct dial *d) {
    wheel_stop(&d->timer);
    for (unsigned i = 0; i < 3; i++) {
        dns_cancel(d->queries[i]);
        d->queries[i] = NULL;
    }
    for (unsigned i = 0; i < d->attempt_count; i++)
        close_attempt(&d->attempts[i]);
    d->attempt_count = 0;
}

static void really_free(struct dial *d) {
    free((char *)d->config.domain);
    free((char *)d->config.host);
    free(d);
}

void dial_free(struct dial *d) {
    if (!d)
        return;
    quiet(d);
    d->freed = true;
    if (!d->posted)
        really_free(d);
}

/* ---- the end of one call ----------------------------------------------------------------------------------------- */

static void give_up(struct dial *d) {
    struct dial_result r = { .fd = -1 };
    quiet(d);
    r.unknown = !d->dns_failed && !d->reached;
    r.why = r.unknown    ? (d->refused ? "its DNS says that it has no such service" : "DNS does not know it")
            : d->reached ? "no address of it could be connected to"
                         : "DNS did not answer";
    d->done(d->arg, &r);
}

static void connected(struct attempt *a) {
    struct dial *d = a->dial;
    const struct target *t = &d->targets[d->next_target - 1];
    struct dial_result r = { .fd = a->fd, .peer = a->peer, .direct = t->direct, .target = t->name };
    r.tlsa = d->tlsa.secure && d->tlsa.count ? &d->tlsa : NULL;
    event_del(&a->event);
    a->fd = -1;
    d->open--;
    quiet(d);
    d->done(d->arg, &r);
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void try_address(struct dial *d);

static void on_connect(evutil_socket_t fd, short what, void *arg) {
    struct attempt *a = arg;
    struct dial *d = a->dial;
    int error = 0;
    socklen_t len = sizeof error;
    (void)what;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (!error) {
        connected(a);
        return;
    }
    close_attempt(a);
    if (d->next_address < d->order_count)
        try_address(d);
    else if (!d->open)
        try_targets(d);
}

static void on_connect_time(struct timer *t) {
    struct dial *d = container_of(t, struct dial, timer);
    if (d->next_address < d->order_count) {
        try_address(d);
        return;
    }
    quiet(d);
    try_targets(d);
}

static bool begin(struct dial *d, const struct sockaddr_storage *to) {
    struct attempt *a = &d->attempts[d->attempt_count];
    socklen_t len = to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int on = 1, silence = SILENCE_MS, fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence);
    if (connect(fd, (const struct sockaddr *)to, len) != 0 && errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    *a = (struct attempt){ .dial = d, .peer = *to, .fd = fd };
    d->attempt_count++;
    d->open++;
    event_assign(&a->event, this_worker->base, fd, EV_WRITE, on_connect, a);
    event_add(&a->event, NULL);
    return true;
}

static void try_address(struct dial *d) {
    while (d->next_address < d->order_count && !begin(d, &d->order[d->next_address++]))
        ;
    if (!d->open) {
        try_targets(d);
        return;
    }
    bool more = d->next_address < d->order_count;
    d->timer.fire = on_connect_time;
    worker_timer(this_worker, &d->timer, more ? STAGGER_MS : d->config.connect_ms);
}

/* IPv6 first, then by turns (RFC 8305, section 4). */
static void begin_addresses(struct dial *d) {
    wheel_stop(&d->timer);
    d->order_count = d->next_address = 0;
    for (unsigned i = 0; i < ADDRESSES; i++)
        for (unsigned family = 0; family < 2; family++)
            if (i < d->address_count[family])
                d->order[d->order_count++] = d->addresses[family][i];
    d->reached = d->reached || d->order_count;
    if (d->order_count)
        try_address(d);
    else
        try_targets(d);
}

static void add_address(struct dial *d, unsigned family, const struct dns_record *r, uint16_t port) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = r->v4 };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = r->v6 };
    if (d->address_count[family] == ADDRESSES)
        return;
    struct sockaddr_storage *to = &d->addresses[family][d->address_count[family]++];
    if (family == 0)
        memcpy(to, &v6, sizeof v6);
    else
        memcpy(to, &v4, sizeof v4);
}

static void got_addresses(struct dial *d, unsigned family, const struct dns_answer *answer) {
    d->queries[family] = NULL;
    d->dns_failed = d->dns_failed || answer->failed;
    for (unsigned i = 0; i < answer->count; i++)
        add_address(d, family, &answer->records[i], d->targets[d->next_target - 1].port);
    if (!d->queries[1 - family] && !d->queries[2])
        begin_addresses(d);
}

/* Who does not get to know what the certificate must be does not connect (RFC 7672, 2.1.1). */
static void on_tlsa(void *arg, const struct dns_answer *answer) {
    struct dial *d = arg;
    d->queries[2] = NULL;
    d->tlsa = *answer;
    d->dns_failed = d->dns_failed || answer->failed;
    if (answer->failed)
        try_targets(d);
    else if (!d->queries[0] && !d->queries[1])
        begin_addresses(d);
}

static void on_v6(void *arg, const struct dns_answer *answer) {
    got_addresses(arg, 0, answer);
}

static void on_v4(void *arg, const struct dns_answer *answer) {
    got_addresses(arg, 1, answer);
}

static void on_dns_late(struct timer *t) {
    struct dial *d = container_of(t, struct dial, timer);
    bool tlsa_late = d->queries[2] != NULL;
    d->dns_failed = true;
    quiet(d);
    if (d->resolved && !tlsa_late)
        begin_addresses(d); /* one family may have come */
    else if (d->resolved)
        try_targets(d);
    else
        give_up(d);
}

static void await_dns(struct dial *d) {
    d->timer.fire = on_dns_late;
    worker_timer(this_worker, &d->timer, d->config.dns_ms);
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */

static bool is_literal(const char *name, struct dns_record *r, unsigned *family) {
    *family = inet_pton(AF_INET6, name, &r->v6) == 1 ? 0 : 1;
    return *family == 0 || inet_pton(AF_INET, name, &r->v4) == 1;
}

static void try_targets(struct dial *d) {
    struct dns_record literal;
    unsigned family;
    quiet(d);
    if (d->next_target == d->target_count) {
        give_up(d);
        return;
    }
    const struct target *t = &d->targets[d->next_target++];
    d->tlsa.count = 0;
    d->address_count[0] = d->address_count[1] = 0;
    if (is_literal(t->name, &literal, &family)) {
        add_address(d, family, &literal, t->port);
        begin_addresses(d);
        return;
    }
    await_dns(d);
    d->queries[0] = dns_ask(t->name, DNS_AAAA, on_v6, d);
    d->queries[1] = dns_ask(t->name, DNS_A, on_v4, d);
    if (!t->secure)
        return;
    char name[DNS_NAME + 16];
    snprintf(name, sizeof name, "_%u._tcp.%s", t->port, t->name);
    d->queries[2] = dns_ask(name, DNS_TLSA, on_tlsa, d);
}

static void add_target(struct dial *d, const char *name, uint16_t port, bool direct) {
    struct target *t = &d->targets[d->target_count++];
    *t = (struct target){ .port = port, .direct = direct };
    strncpy(t->name, name, sizeof t->name - 1);
}

/* RFC 2782: by priority; among equals each is next with a chance that is its weight's. */
static void sort_targets(struct dial *d) {
    for (unsigned at = 0; at < d->target_count; at++) {
        uint16_t priority = UINT16_MAX;
        uint64_t sum = 0, chance;
        for (unsigned i = at; i < d->target_count; i++)
            if (d->targets[i].priority < priority)
                priority = d->targets[i].priority;
        for (unsigned i = at; i < d->target_count; i++)
            if (d->targets[i].priority == priority)
                sum += d->targets[i].weight * 16u + 1u;
        mk_random(&chance, sizeof chance);
        chance %= sum;
        for (unsigned i = at; i < d->target_count; i++) {
            uint64_t share = d->targets[i].priority == priority ? d->targets[i].weight * 16u + 1u : 0;
            if (chance < share) {
                struct target chosen = d->targets[i];
                d->targets[i] = d->targets[at];
                d->targets[at] = chosen;
                break;
            }
            chance -= share;
        }
    }
}

static void got_srv(struct dial *d, bool direct, const struct dns_answer *answer) {
    d->queries[direct] = NULL;
    d->dns_failed = d->dns_failed || answer->failed;
    for (unsigned i = 0; i < answer->count; i++) {
        const struct dns_record *r = &answer->records[i];
        if (!*r->srv.target) {
            d->refused = d->refused || !direct;
            continue;
        }
        add_target(d, r->srv.target, r->srv.port, direct);
        d->targets[d->target_count - 1].priority = r->srv.priority;
        d->targets[d->target_count - 1].weight = r->srv.weight;
        d->targets[d->target_count - 1].secure = answer->secure;
    }
    if (d->queries[!direct])
        return;
    d->resolved = true;
    sort_targets(d);
    if (!d->target_count && !d->refused && !d->dns_failed)
        add_target(d, d->config.domain, d->config.port, false);
    try_targets(d);
}

static void on_srv(void *arg, const struct dns_answer *answer) {
    got_srv(arg, false, answer);
}

static void on_srv_direct(void *arg, const struct dns_answer *answer) {
    got_srv(arg, true, answer);
}

static void ask_srv(struct dial *d) {
    char name[DNS_NAME + 32];
    await_dns(d);
    strcpy(stpcpy(name, "_xmpp-server._tcp."), d->config.domain);
    d->queries[0] = dns_ask(name, DNS_SRV, on_srv, d);
    strcpy(stpcpy(name, "_xmpps-server._tcp."), d->config.domain);
    d->queries[1] = dns_ask(name, DNS_SRV, on_srv_direct, d);
}

static void go(struct post *p) {
    struct dial *d = container_of(p, struct dial, post);
    d->posted = false;
    if (d->freed) {
        really_free(d);
        return;
    }
    if (!this_worker)
        return;
    if (d->resolved) {
        try_targets(d);
        return;
    }
    if (!d->config.host && strlen(d->config.domain) < DNS_NAME) {
        ask_srv(d);
        return;
    }
    d->resolved = true;
    if (d->config.host && strlen(d->config.host) < DNS_NAME)
        add_target(d, d->config.host, d->config.port, d->config.direct);
    try_targets(d);
}

/* Not at once: DONE may be what called. */
void dial_next(struct dial *d) {
    if (d->posted)
        return;
    d->posted = true;
    d->post.run = go;
    worker_post(this_worker, &d->post);
}
