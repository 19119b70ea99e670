/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"
#include "net/net.h"
#include "run/metric.h"
#include "util/log.h"
#include "util/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ACCEPT_ROUND = 64,
    FULL_PAUSE_MS = 100, /* without descriptors */
    FULL_LOG_MS = 60 * 1000,
    PROXY_MS = 5000,
    PROXY_PEEK = 4096
};

/* A worker's socket. */
struct door {
    struct listener *listener;
    struct worker *worker;
    struct event event;
    struct timer pause;
    struct list waits; /* of struct wait */
    int fd;
    int reserve; /* given up to accept and close one connection when there is no other descriptor */
};

struct listener {
    struct listener_config config;
    listener_accept_fn *accept;
    int port;
    unsigned count;
    struct door doors[];
};

/* A socket whose PROXY header has not arrived whole. */
struct wait {
    struct list link;
    struct door *door;
    struct event event;
    struct timer deadline;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    int fd;
};

static atomic_uint waiting;      /* of all workers: they count as connections */
static _Atomic uint64_t full_ms; /* when the log last heard that descriptors are short; 0: never */

static void hand_over(struct door *d, int fd, const struct sockaddr *peer, socklen_t len) {
    d->listener->accept(d->worker, &d->listener->config, fd, peer, len);
}

static void wait_free(struct wait *p) {
    list_remove(&p->link);
    event_del(&p->event);
    wheel_stop(&p->deadline);
    atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
    free(p);
}

static void wait_refuse(struct wait *p, const char *reason) {
    char address[ADDRESS_MAX];
    address_format((struct sockaddr *)&p->peer, address);
    const struct log_place place = { .peer = address };
    if (log_wants(6))
        log_line(6, &place, "connection to %s port %d closed: %s", p->door->listener->config.kind,
                 p->door->listener->port, reason);
    close(p->fd);
    wait_free(p);
}

static void on_proxy_late(struct timer *t) {
    wait_refuse(container_of(t, struct wait, deadline), "no PROXY header in time");
}

/* Peeks, and takes from the socket exactly the header: what follows is the stream's, or a TLS handshake. */
static void on_proxy(evutil_socket_t fd, short what, void *arg) {
    (void)what;
    struct wait *p = arg;
    struct door *d = p->door;
    char *data = d->worker->buffer;
    ssize_t n = recv(fd, data, PROXY_PEEK, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        wait_refuse(p, "it ended before its PROXY header");
        return;
    }
    struct sockaddr_storage source;
    bool known;
    int size = proxy_parse(data, (size_t)n, &source, &known);
    if (size == 0 && n < PROXY_PEEK)
        return;
    if (size <= 0 || recv(fd, data, (size_t)size, 0) != size) {
        wait_refuse(p, "no PROXY header");
        return;
    }
    if (!known)
        memcpy(&source, &p->peer, sizeof source);
    socklen_t len = !known                         ? p->peer_len
                    : source.ss_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                   : (socklen_t)sizeof(struct sockaddr_in);
    wait_free(p);
    hand_over(d, fd, (struct sockaddr *)&source, len);
}

static void await_proxy(struct door *d, int fd, const struct sockaddr_storage *peer, socklen_t len) {
    struct wait *p = xcalloc(1, sizeof *p);
    p->door = d;
    p->fd = fd;
    p->peer = *peer;
    p->peer_len = len;
    p->deadline.fire = on_proxy_late;
    list_append(&d->waits, &p->link);
    atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    event_assign(&p->event, d->worker->base, fd, EV_READ | EV_ET | EV_PERSIST, on_proxy, p);
    event_add(&p->event, NULL);
    worker_timer(d->worker, &p->deadline, PROXY_MS);
}

static void on_pause_over(struct timer *t) {
    struct door *d = container_of(t, struct door, pause);
    event_add(&d->event, NULL);
}

static void close_one_unserved(struct door *d) {
    if (d->reserve < 0)
        return;
    close(d->reserve);
    int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        METRIC(d->worker, connections_refused, 1);
        close(fd);
    }
    d->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void no_descriptors(struct door *d, int error) {
    uint64_t now = worker_now_ms(d->worker);
    close_one_unserved(d);
    if (d->reserve < 0)
        d->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uint64_t last = atomic_load(&full_ms);
    if ((last == 0 || now >= last + FULL_LOG_MS) && atomic_compare_exchange_strong(&full_ms, &last, now))
        log_error("port %d accepts no connections for now: %s", d->listener->port, strerror(error));
    event_del(&d->event);
    worker_timer(d->worker, &d->pause, FULL_PAUSE_MS);
}

static bool is_full(const struct listener_config *config) {
    return config->max_connections &&
           conn_count() + atomic_load_explicit(&waiting, memory_order_relaxed) >= (uint64_t)config->max_connections;
}

/* False if there is none to accept now, or nothing to accept it with. */
static bool accept_one(struct door *d) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int fd = accept4(d->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            no_descriptors(d, errno);
            return false;
        }
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    }
    if (is_full(&d->listener->config)) {
        METRIC(d->worker, connections_refused, 1);
        close(fd);
        return true;
    }
    METRIC(d->worker, connections_total, 1);
    if (d->listener->config.proxy)
        await_proxy(d, fd, &peer, len);
    else
        hand_over(d, fd, (struct sockaddr *)&peer, len);
    return true;
}

static void on_accept(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    for (unsigned i = 0; i < ACCEPT_ROUND && accept_one(arg); i++)
        ;
}

static bool resolve(const struct listener_config *config, struct sockaddr_storage *a, socklen_t *len) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)config->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)config->port) };
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, config->address, &v4.sin_addr) == 1) {
        memcpy(a, &v4, *len = sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, config->address, &v6.sin6_addr) == 1) {
        memcpy(a, &v6, *len = sizeof v6);
        return true;
    }
    return false;
}

/* Keepalive and nodelay are inherited by what is accepted, which saves two system calls a connection. */
static int bind_socket(const struct sockaddr_storage *a, socklen_t len, bool shared) {
    int on = 1, off = 0;
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (a->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)a, len) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void set_port(struct sockaddr_storage *a, int fd, int *port) {
    socklen_t len = sizeof *a;
    getsockname(fd, (struct sockaddr *)a, &len);
    struct sockaddr_in v4;
    memcpy(&v4, a, sizeof v4); /* both families have the port in the same place */
    *port = ntohs(v4.sin_port);
}

/* The first bind does without SO_REUSEPORT: else a second server of the same user would share our clients unnoticed. */
static bool open_doors(struct listener *l, struct sockaddr_storage *a, socklen_t len) {
    int probe = bind_socket(a, len, false);
    if (probe < 0)
        return false;
    close(probe);
    for (unsigned i = 0; i < l->count; i++) {
        struct door *d = &l->doors[i];
        d->fd = bind_socket(a, len, true);
        if (d->fd < 0 || listen(d->fd, l->config.backlog > 0 ? (int)l->config.backlog : SOMAXCONN) != 0)
            return false;
        if (i == 0)
            set_port(a, d->fd, &l->port);
        d->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return true;
}

static void listener_free(struct listener *l) {
    for (unsigned i = 0; i < l->count; i++) {
        if (l->doors[i].fd >= 0)
            close(l->doors[i].fd);
        if (l->doors[i].reserve >= 0)
            close(l->doors[i].reserve);
    }
    free((char *)l->config.kind);
    free((char *)l->config.address);
    free(l);
}

struct listener *listener_open(const struct listener_config *config, listener_accept_fn *accept, char *why,
                               size_t why_size) {
    struct sockaddr_storage a;
    socklen_t len;
    if (!resolve(config, &a, &len)) {
        snprintf(why, why_size, "can't listen on \"%s\": it is not an IP address", config->address);
        return NULL;
    }
    struct listener *l = xcalloc(1, sizeof *l + worker_count * sizeof *l->doors);
    l->config = *config;
    l->config.kind = xstrdup(config->kind);
    l->config.address = xstrdup(config->address);
    l->accept = accept;
    l->count = worker_count;
    for (unsigned i = 0; i < l->count; i++) {
        struct door *d = &l->doors[i];
        d->listener = l;
        d->worker = workers[i];
        d->fd = d->reserve = -1;
        d->pause.fire = on_pause_over;
        list_init(&d->waits);
    }
    bool good = open_doors(l, &a, len);
    if (!good && errno == EAFNOSUPPORT && strcmp(config->address, "::") == 0) {
        /* A machine without IPv6: "::" stands for every address it has. */
        const struct listener_config v4 = { .address = "0.0.0.0", .port = config->port };
        resolve(&v4, &a, &len);
        good = open_doors(l, &a, len);
    }
    if (!good) {
        snprintf(why, why_size, "can't listen on %s port %d: %s", config->address, (int)config->port, strerror(errno));
        listener_free(l);
        return NULL;
    }
    return l;
}

static void start_door(struct worker *w, void *arg) {
    struct door *d = &((struct listener *)arg)->doors[w->index];
    event_assign(&d->event, w->base, d->fd, EV_READ | EV_PERSIST, on_accept, d);
    event_add(&d->event, NULL);
}

void listener_start(struct listener *l) {
    workers_each(start_door, l);
}

static void stop_door(struct worker *w, void *arg) {
    struct door *d = &((struct listener *)arg)->doors[w->index];
    if (event_initialized(&d->event))
        event_del(&d->event);
    wheel_stop(&d->pause);
    while (!list_empty(&d->waits)) {
        struct wait *p = container_of(d->waits.next, struct wait, link);
        close(p->fd);
        wait_free(p);
    }
}

void listener_close(struct listener *l) {
    workers_each(stop_door, l);
    listener_free(l);
}

int listener_port(const struct listener *l) {
    return l->port;
}
