/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life on its worker: edges in, steps out.  Class functions run from here and from read.c only. */
#include "net/net.h"
#include "net/ring.h"
#include "run/metric.h"
#include "util/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_uint open_connections;

unsigned conn_count(void) {
    return atomic_load_explicit(&open_connections, memory_order_relaxed);
}

void conn_enter(struct conn *c) {
    net_of(c)->current = c;
}

/* This worker is asked, not the connection: it may be in the hands of another thread by now. */
bool conn_leave(struct conn *c) {
    struct net_worker *nw = this_worker->net;
    bool here = nw->current == c;
    nw->current = NULL;
    nw->given = NULL;
    return here;
}

void conn_step(struct conn *c) {
    if (c->flags & CONN_CLOSING)
        close_step(c);
    else if (!(c->flags & CONN_TOLD))
        conn_pump(c);
}

/* Posts made meanwhile come up in the turn after, so the sockets of others are looked at in between. */
static void run_work(struct post *p) {
    struct net_worker *nw = container_of(p, struct net_worker, post);
    nw->posted = false;
    if (nw->stopped) {
        free(nw);
        return;
    }
    struct list batch, *link;
    list_init(&batch);
    while ((link = list_pop(&nw->work)) != NULL)
        list_append(&batch, link);
    while ((link = list_pop(&batch)) != NULL) {
        struct conn *c = container_of(link, struct conn, link);
        c->flags &= ~CONN_WORK;
        if (!(c->flags & CONN_CLOSING))
            conn_doubt(c); /* it could not be in that list meanwhile */
        conn_step(c);
    }
}

void conn_schedule(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (!nw || (c->flags & CONN_WORK))
        return;
    if (list_linked(&c->link))
        list_remove(&c->link);
    c->flags |= CONN_WORK;
    list_append(&nw->work, &c->link);
    if (!nw->posted) {
        nw->posted = true;
        worker_post(c->worker, &nw->post);
    }
}

/* What the peer sent before the failure is still read: it may be there although nothing can be written. */
void conn_fail(struct conn *c, int error) {
    if (c->flags & CONN_DEAD)
        return;
    c->flags |= CONN_DEAD | CONN_READABLE | CONN_SOCKET;
    c->flags &= ~CONN_BLOCKED;
    c->error = error;
    output_drop(c);
    conn_schedule(c);
}

/* The socket takes output again.  False if the connection is gone. */
static bool unblock(struct conn *c) {
    c->flags &= ~CONN_BLOCKED;
    if (c->flags & (CONN_CLOSING | CONN_HANDSHAKE))
        return true;
    output_write(c);
    if ((c->flags & (CONN_BLOCKED | CONN_DEAD)) || c->out_len || !c->class->drained)
        return true;
    conn_enter(c);
    c->class->drained(c);
    return conn_leave(c);
}

void conn_happened(struct conn *c, uint32_t edges) {
    const uint32_t over = EPOLLERR | EPOLLHUP; /* both ways */
    if (edges & (EPOLLIN | EPOLLRDHUP | over))
        c->flags |= CONN_READABLE | CONN_SOCKET;
    if (edges & EPOLLRDHUP)
        c->flags |= CONN_HUP;
    if ((edges & (EPOLLOUT | over)) && (c->flags & CONN_BLOCKED) && !unblock(c))
        return;
    struct ring *ring = net_of(c)->ring;
    if (!ring || !ring_read_later(ring, c))
        conn_step(c);
}

static void watch(struct conn *c) {
    if (!poller_add(&net_of(c)->poller, c))
        conn_fail(c, errno);
}

void conn_init(struct conn *c, const struct conn_class *class, struct worker *w, int fd, const struct sockaddr *peer) {
    char address[ADDRESS_MAX];
    address_format(peer, address);
    memset(c, 0, sizeof *c);
    c->class = class;
    c->worker = w;
    c->fd = fd;
    c->heard_ms = worker_now_ms(w);
    c->address = xstrdup(address);
    atomic_fetch_add_explicit(&open_connections, 1, memory_order_relaxed);
    METRIC(w, connections, 1);
    watch(c);
}

void conn_free_now(struct conn *c) {
    if (c->fd < 0)
        return;
    struct net_worker *nw = net_of(c);
    if (nw && nw->current == c)
        nw->current = NULL;
    if (list_linked(&c->link))
        list_remove(&c->link);
    if (c->flags & CONN_QUEUED)
        ring_forget(nw->ring, c, false);
    if (c->worker) {
        poller_remove(&nw->poller, c);
        METRIC(c->worker, connections, -1);
    }
    conn_timer_stop(c);
    output_drop(c);
    output_unmark(c);
    conn_free_input(c);
    tls_free(c);
    close(c->fd);
    c->fd = -1;
    free(c->address);
    c->address = NULL;
    atomic_fetch_sub_explicit(&open_connections, 1, memory_order_relaxed);
}

void conn_pause(struct conn *c) {
    c->flags |= CONN_PAUSED;
}

void conn_resume(struct conn *c) {
    if (!(c->flags & CONN_PAUSED))
        return;
    c->flags &= ~CONN_PAUSED;
    c->flags |= CONN_AGAIN;
    conn_schedule(c);
}

void conn_again(struct conn *c) {
    c->flags |= CONN_AGAIN;
    conn_schedule(c);
}

void conn_start_tls_as(struct conn *c, const struct tls_start *how) {
    if (c->tls || (c->flags & (CONN_CLOSING | CONN_DEAD)))
        return;
    c->tls = xcalloc(1, sizeof *c->tls);
    c->tls->role = (uint8_t)how->role;
    c->tls->alpn = how->alpn;
    c->tls->name = how->name ? xstrdup(how->name) : NULL;
    c->tls->cert = how->cert;
    if (how->cert)
        tls_cert_hold(how->cert);
    c->tls->plain = c->out_len;
    c->flags |= CONN_HANDSHAKE;
    conn_drop_input(c);
    if ((c->flags & CONN_READABLE) || how->role == TLS_CONNECT)
        conn_schedule(c);
}

void conn_start_tls(struct conn *c, const char *alpn) {
    conn_start_tls_as(c, &(struct tls_start){ .role = TLS_SERVE, .alpn = alpn });
}

void conn_took(struct conn *c, size_t len) {
    struct net_worker *nw = net_of(c);
    if (nw->current == c && nw->given)
        nw->took = len < nw->given_len ? len : nw->given_len;
}

void conn_detach(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (nw->current == c) {
        conn_take_back(c);
        nw->current = NULL;
    }
    if (c->flags & CONN_QUEUED)
        ring_forget(nw->ring, c, true);
    if (list_linked(&c->link))
        list_remove(&c->link);
    c->flags &= ~CONN_WORK;
    poller_remove(&nw->poller, c);
    conn_timer_stop(c);
    output_unmark(c);
    METRIC(c->worker, connections, -1);
    c->worker = NULL;
}

/* The socket is new to this epoll, which reports at once whatever it is ready for. */
void conn_attach(struct conn *c, struct worker *w) {
    c->worker = w;
    METRIC(w, connections, 1);
    c->flags &= ~CONN_LIMITED;
    c->flags |= c->tls ? CONN_AGAIN | CONN_READABLE : CONN_AGAIN;
    watch(c);
    if (c->out_len && !(c->flags & CONN_BLOCKED))
        output_mark(c);
    if (c->flags & CONN_CLOSING)
        close_start(c);
    conn_schedule(c);
}

void conn_timer_start(struct conn *c, uint64_t ms, void (*fire)(struct timer *t)) {
    if (!c->timer)
        c->timer = xcalloc(1, sizeof *c->timer);
    c->timer->conn = c;
    c->timer->timer.fire = fire;
    worker_timer(c->worker, &c->timer->timer, ms);
}

void conn_timer_stop(struct conn *c) {
    if (!c->timer)
        return;
    wheel_stop(&c->timer->timer);
    free(c->timer);
    c->timer = NULL;
}

void net_read(struct worker *w) {
    struct net_worker *nw = w->net;
    if (nw->ring)
        ring_read(nw->ring);
}

int net_worker_start(struct worker *w) {
    struct net_worker *nw = xcalloc(1, sizeof *nw);
    nw->post.run = run_work;
    list_init(&nw->work);
    list_init(&nw->doubtful);
    list_init(&nw->closing);
    poller_start(&nw->poller, w);
    nw->ring = ring_new();
    nw->cipher = xmalloc(CIPHER_SIZE);
    nw->record = xmalloc(RECORD_SIZE);
    w->net = nw;
    return 0;
}

/* Closing connections end here and now; others are their owners' to free before. */
void net_worker_stop(struct worker *w) {
    struct net_worker *nw = w->net;
    net_flush(w);
    struct list *link;
    while ((link = list_pop(&nw->work)) != NULL) {
        struct conn *c = container_of(link, struct conn, link);
        c->flags &= ~CONN_WORK;
        if (c->flags & CONN_CLOSING)
            list_append(&nw->closing, link);
    }
    while ((link = list_pop(&nw->closing)) != NULL)
        close_finish(container_of(link, struct conn, link));
    while (list_pop(&nw->doubtful))
        ;
    wheel_stop(&nw->sweep);
    poller_stop(&nw->poller);
    ring_free(nw->ring);
    nw->ring = NULL;
    output_pool_free(nw);
    free(nw->cipher);
    free(nw->record);
    w->net = NULL;
    nw->stopped = true;
    if (!nw->posted)
        free(nw);
}
