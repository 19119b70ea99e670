/* SPDX-License-Identifier: Apache-2.0 */
/* The orderly end: what is queued, close_notify, FIN; then the peer's FIN, so that no reset eats what we sent last. */
#include "net/net.h"
#include "util/mem.h"
#include <errno.h>
#include <unistd.h>

enum { LINGER_MS = 2000, DISCARD_ROUNDS = 4 };

void close_finish(struct conn *c) {
    void (*after)(struct conn *) = c->after;
    conn_free_now(c);
    after(c);
}

static void on_linger(struct timer *t) {
    close_finish(container_of(t, struct conn_timer, timer)->conn);
}

void conn_close(struct conn *c, void (*after)(struct conn *c)) {
    if (c->flags & CONN_CLOSING)
        return;
    c->flags |= CONN_CLOSING;
    c->after = after;
    conn_drop_input(c);
    if (c->worker)
        close_start(c);
}

/* A connection that is closed while detached begins to close where it arrives. */
void close_start(struct conn *c) {
    conn_timer_start(c, LINGER_MS, on_linger);
    conn_schedule(c);
}

/* Everything out and our side shut; false if that must wait for the socket. */
static bool shut(struct conn *c) {
    if (c->flags & CONN_HANDSHAKE)
        output_drop(c);
    output_write(c);
    if (c->flags & CONN_BLOCKED)
        return false;
    if (c->tls && !(c->flags & (CONN_HANDSHAKE | CONN_DEAD)) && tls_bye(c) == TLS_WAITS)
        return false;
    shutdown(c->fd, SHUT_WR);
    c->flags |= CONN_SHUT;
    return true;
}

/* True once the peer has ended its side too. */
static bool discard(struct conn *c) {
    for (unsigned i = 0; i < DISCARD_ROUNDS; i++) {
        ssize_t n = recv(c->fd, c->worker->buffer, WORKER_BUFFER, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return true;
        if (n < 0 && errno == EAGAIN)
            return false;
    }
    conn_schedule(c);
    return false;
}

void close_step(struct conn *c) {
    bool done = (c->flags & (CONN_SHUT | CONN_DEAD)) || shut(c);
    if (done && ((c->flags & (CONN_DEAD | CONN_EOF)) || discard(c)))
        close_finish(c);
    else if (!list_linked(&c->link))
        list_append(&net_of(c)->closing, &c->link);
}
