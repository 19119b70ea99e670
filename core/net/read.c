/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input.  An edge is remembered until a read shows that the socket is empty.  A read that was short is taken as such:
 * one system call a message, not two.  Two things may hide behind a short read.  A FIN is reported as EV_CLOSED; a
 * reset is not, libevent shows it as readable and writable like any edge.  So whoever had a short read is read once
 * more later on, a few every tick.
 */
#include "net/net.h"
#include "run/metric.h"
#include "util/mem.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROUNDS = 4,             /* reads of one connection in a loop turn */
    KEEP_SMALL = 8 * 1024,  /* up to here kept input is copied before what is read, above it is read behind it */
    READ_LEAST = 16 * 1024, /* room behind a large kept block */
    SWEEP_MS = 100,
    SWEEP_COUNT = 32,
    RATE_BURST = 64 * 1024, /* least size of the bucket */
    RATE_LEAST = 1024       /* bytes read at once, even if the credit is smaller */
};

void conn_free_input(struct conn *c) {
    free(c->in);
    c->in = NULL;
    c->in_at = c->in_len = c->in_cap = 0;
}

/* While input() runs its data may be the kept block: give() drops that afterwards. */
void conn_drop_input(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (!nw || nw->current != c || !nw->given)
        conn_free_input(c);
}

/* Makes a block of CAP bytes hold the LEN bytes at DATA, which may lie in the old block. */
static void replace_kept(struct conn *c, const char *data, size_t len, size_t cap) {
    char *old = c->in;
    c->in = xmalloc(cap);
    if (len)
        memcpy(c->in, data, len);
    free(old);
    c->in_at = 0;
    c->in_len = (uint32_t)len;
    c->in_cap = (uint32_t)cap;
}

static void keep(struct conn *c, const char *data, size_t len) {
    bool inside = c->in && data >= c->in && data <= c->in + c->in_cap;
    if (len == 0) {
        conn_free_input(c);
    } else if (inside && (len > KEEP_SMALL || c->in_cap <= 2 * KEEP_SMALL)) {
        c->in_at = (uint32_t)(data - c->in);
        c->in_len = (uint32_t)len;
    } else if (!inside && len <= c->in_cap) {
        memcpy(c->in, data, len);
        c->in_at = 0;
        c->in_len = (uint32_t)len;
    } else {
        replace_kept(c, data, len, (len + (c->in ? len / 2 : 0) + 63) & ~(size_t)63);
    }
}

void conn_take_back(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (nw->given)
        keep(c, nw->given + nw->took, nw->given_len - nw->took);
}

/* False if the connection is gone. */
static bool give(struct conn *c, const char *data, size_t len) {
    struct net_worker *nw = net_of(c);
    conn_enter(c);
    nw->given = data;
    nw->given_len = len;
    nw->took = 0;
    size_t took = c->class->input(c, data, len);
    if (!conn_leave(c))
        return false;
    if (c->flags & (CONN_CLOSING | CONN_HANDSHAKE))
        conn_free_input(c);
    else
        keep(c, data + took, len - took);
    return true;
}

static void on_rate(struct timer *t) {
    struct conn *c = container_of(t, struct conn_timer, timer)->conn;
    conn_timer_stop(c);
    c->flags &= ~CONN_LIMITED;
    conn_step(c);
}

size_t conn_rate_room(struct conn *c, size_t room) {
    if (!c->rate)
        return room;
    uint64_t now = worker_now_ms(c->worker);
    int64_t burst = (int64_t)c->rate * 2 > RATE_BURST ? (int64_t)c->rate * 2 : RATE_BURST;
    uint64_t passed = now - c->credit_ms;
    if (c->credit_ms == 0 || passed > 60 * 60 * 1000)
        c->credit = burst;
    else
        c->credit += (int64_t)(passed * c->rate / 1000);
    if (c->credit > burst)
        c->credit = burst;
    c->credit_ms = now;
    size_t most = c->credit > RATE_LEAST ? (size_t)c->credit : RATE_LEAST;
    return room < most ? room : most;
}

static void rate_spend(struct conn *c, size_t len) {
    if (!c->rate)
        return;
    c->credit -= (int64_t)len;
    if (c->credit > 0)
        return;
    c->flags |= CONN_LIMITED;
    conn_timer_start(c, (uint64_t)(-c->credit) * 1000 / c->rate + 1, on_rate);
}

static void on_sweep(struct timer *t) {
    struct net_worker *nw = container_of(t, struct net_worker, sweep);
    struct list *link;
    for (unsigned i = 0; i < SWEEP_COUNT && (link = list_pop(&nw->doubtful)) != NULL; i++) {
        struct conn *c = container_of(link, struct conn, link);
        c->flags |= CONN_READABLE | CONN_SOCKET;
        conn_step(c);
    }
    if (!list_empty(&nw->doubtful))
        worker_timer(this_worker, t, SWEEP_MS);
}

void conn_doubt(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (list_linked(&c->link))
        return;
    list_append(&nw->doubtful, &c->link);
    if (!timer_runs(&nw->sweep)) {
        nw->sweep.fire = on_sweep;
        worker_timer(c->worker, &nw->sweep, SWEEP_MS);
    }
}

/* A read for LEN bytes gave N. */
static void note_length(struct conn *c, ssize_t n, size_t len) {
    if (n <= 0) {
        c->flags &= ~CONN_SOCKET;
    } else if ((size_t)n < len && !(c->flags & CONN_HUP)) {
        c->flags &= ~CONN_SOCKET;
        conn_doubt(c);
    }
}

ssize_t conn_recv(struct conn *c, void *to, size_t len) {
    ssize_t n;
    do
        n = recv(c->fd, to, len, 0);
    while (n < 0 && errno == EINTR);
    note_length(c, n, len);
    return n;
}

/* What a read of the plain socket, noted, means. */
static size_t judge(struct conn *c, ssize_t n, int error) {
    if (!(c->flags & CONN_SOCKET))
        c->flags &= ~CONN_READABLE;
    if (n > 0)
        return (size_t)n;
    if (n == 0) {
        c->flags |= CONN_EOF;
    } else if (error != EAGAIN) {
        conn_fail(c, error);
        c->flags &= ~CONN_READABLE;
    }
    return 0;
}

static size_t plain_read(struct conn *c, char *to, size_t len) {
    ssize_t n = conn_recv(c, to, len);
    return judge(c, n, errno);
}

/* Where to read: behind the kept input.  Returns its start, and the room behind it in *ROOM. */
static char *place(struct conn *c, size_t *room) {
    size_t kept = c->in_len;
    if (kept <= KEEP_SMALL) {
        if (kept)
            memcpy(c->worker->buffer, c->in + c->in_at, kept);
        *room = WORKER_BUFFER - kept;
        return c->worker->buffer;
    }
    if (c->in_cap - kept < READ_LEAST) {
        replace_kept(c, c->in + c->in_at, kept, kept * 2 + READ_LEAST);
    } else if (c->in_at) {
        memmove(c->in, c->in + c->in_at, kept);
        c->in_at = 0;
    }
    *room = c->in_cap - kept;
    return c->in;
}

static void heard(struct conn *c, size_t len) {
    METRIC(c->worker, bytes_in, (int64_t)len);
    c->heard_ms = worker_now_ms(c->worker);
    rate_spend(c, len);
}

/* False if the connection is gone. */
static bool read_once(struct conn *c) {
    size_t room, kept = c->in_len;
    char *data = place(c, &room);
    room = conn_rate_room(c, room);
    size_t n = c->tls ? tls_read(c, data + kept, room) : plain_read(c, data + kept, room);
    if (n == 0)
        return true;
    heard(c, n);
    c->flags &= ~CONN_AGAIN;
    return give(c, data, kept + n);
}

static size_t judge_received(struct conn *c, size_t room, int result) {
    if (result == -EINTR)
        return 0; /* it is still readable */
    note_length(c, result < 0 ? -1 : result, room);
    return judge(c, result < 0 ? -1 : result, -result);
}

void conn_keep_received(struct conn *c, const char *data, size_t kept, size_t room, int result) {
    size_t n = judge_received(c, room, result);
    if (n == 0 || (c->flags & (CONN_CLOSING | CONN_HANDSHAKE)))
        return;
    heard(c, n);
    keep(c, data, kept + n);
    c->flags |= CONN_AGAIN;
}

bool conn_received(struct conn *c, const char *data, size_t kept, size_t room, int result) {
    if (c->flags & (CONN_CLOSING | CONN_HANDSHAKE | CONN_TOLD | CONN_PAUSED | CONN_LIMITED)) {
        conn_keep_received(c, data, kept, room, result);
        return true;
    }
    size_t n = judge_received(c, room, result);
    if (n == 0)
        return true;
    heard(c, n);
    return give(c, data, kept + n);
}

static void tell(struct conn *c) {
    c->flags |= CONN_TOLD;
    c->flags &= ~CONN_READABLE;
    c->class->closed(c, c->flags & CONN_DEAD ? c->error : 0);
}

/* False if there is nothing more to do now, or nobody to do it for. */
static bool handshake(struct conn *c) {
    enum tls_state state = c->flags & CONN_DEAD ? TLS_FAILED : tls_handshake(c);
    if (state == TLS_WAITS)
        return false;
    if (state == TLS_FAILED) {
        METRIC(c->worker, tls_failures, 1);
        conn_fail(c, EPROTO);
        tell(c);
        return false;
    }
    METRIC(c->worker, tls_handshakes, 1);
    /* The client's last message is acknowledged now: by itself the kernel would wait 40 ms for data of ours, and a client
     * with Nagle's algorithm on holds its first bytes until then. */
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    c->flags &= ~CONN_HANDSHAKE;
    c->flags |= CONN_READABLE;
    if (c->out_len)
        output_mark(c);
    conn_enter(c);
    c->class->secured(c);
    return conn_leave(c);
}

/* The same for input: one piece of it. */
static bool next_input(struct conn *c) {
    if ((c->flags & CONN_AGAIN) && c->in_len) {
        c->flags &= ~CONN_AGAIN;
        return give(c, c->in + c->in_at, c->in_len);
    }
    if ((c->flags & CONN_READABLE) && !(c->flags & CONN_EOF))
        return read_once(c);
    if (c->flags & (CONN_EOF | CONN_DEAD))
        tell(c);
    return false;
}

void conn_pump(struct conn *c) {
    for (unsigned round = 0; !(c->flags & CONN_CLOSING); round++) {
        if (c->flags & CONN_HANDSHAKE) {
            if (!handshake(c))
                return;
            continue;
        }
        if (c->flags & (CONN_PAUSED | CONN_LIMITED)) {
            if (c->flags & CONN_DEAD)
                tell(c);
            return;
        }
        if (round == ROUNDS) {
            conn_schedule(c);
            return;
        }
        if (!next_input(c))
            return;
    }
}
