/* SPDX-License-Identifier: Apache-2.0 */
/* Output: pooled chunks, written out at the end of the loop turn or when many connections have some. */
#include "net/net.h"
#include "net/ring.h"
#include "run/metric.h"
#include "util/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
    CHUNK_DATA = 4080 - sizeof(struct chunk), /* with malloc's own bytes a quarter of 16 KiB */
    POOL_MAX = 128,
    DIRTY_MAX = 32
};

static struct chunk *chunk_new(struct net_worker *nw, size_t len) {
    struct chunk *k;
    if (nw && nw->spare && len <= CHUNK_DATA) {
        k = nw->spare;
        nw->spare = k->next;
        nw->spare_count--;
    } else {
        size_t cap = len > CHUNK_DATA ? len : CHUNK_DATA;
        k = xmalloc(sizeof *k + cap);
        k->cap = (uint32_t)cap;
    }
    k->next = NULL;
    k->start = k->end = 0;
    return k;
}

static void chunk_free(struct net_worker *nw, struct chunk *k) {
    if (!nw || k->cap != CHUNK_DATA || nw->spare_count == POOL_MAX) {
        free(k);
        return;
    }
    k->next = nw->spare;
    nw->spare = k;
    nw->spare_count++;
}

void output_pool_free(struct net_worker *nw) {
    while (nw->spare) {
        struct chunk *k = nw->spare;
        nw->spare = k->next;
        free(k);
    }
    nw->spare_count = 0;
}

static void pop_chunk(struct conn *c) {
    struct chunk *k = c->out;
    c->out = k->next;
    if (!c->out)
        c->out_last = NULL;
    chunk_free(net_of(c), k);
}

void output_drop(struct conn *c) {
    while (c->out)
        pop_chunk(c);
    c->out_len = 0;
    if (c->tls)
        c->tls->plain = 0;
}

void output_sent(struct conn *c, size_t len) {
    METRIC(c->worker, bytes_out, (int64_t)len);
    c->out_len -= (uint32_t)len;
    while (c->out) {
        size_t part = c->out->end - c->out->start;
        if (part > len) {
            c->out->start += (uint32_t)len;
            return;
        }
        len -= part;
        pop_chunk(c);
    }
}

char *conn_room(struct conn *c, size_t len) {
    struct chunk *last = c->out_last;
    if (last && last->cap - last->end >= len)
        return last->data + last->end;
    struct chunk *k = chunk_new(net_of(c), len);
    if (last)
        last->next = k;
    else
        c->out = k;
    c->out_last = k;
    return k->data;
}

void conn_wrote(struct conn *c, size_t len) {
    if (len == 0 || (c->flags & (CONN_DEAD | CONN_CLOSING | CONN_TOLD)))
        return;
    c->out_last->end += (uint32_t)len;
    c->out_len += (uint32_t)len;
    if (!(c->flags & (CONN_DIRTY | CONN_BLOCKED)))
        output_mark(c);
}

void conn_write(struct conn *c, const char *data, size_t len) {
    if (c->flags & (CONN_DEAD | CONN_CLOSING | CONN_TOLD))
        return;
    size_t space = c->out_last ? c->out_last->cap - c->out_last->end : 0, part = len < space ? len : space;
    if (part) {
        memcpy(c->out_last->data + c->out_last->end, data, part);
        conn_wrote(c, part);
    }
    if (len == part)
        return;
    memcpy(conn_room(c, len - part), data + part, len - part);
    conn_wrote(c, len - part);
}

static void flush_worker(void *w) {
    net_flush(w);
}

/* A full list is written out before it grows: few enough connections that their output is still in the cache.  A
 * fiber's stack is no place for GnuTLS. */
void output_mark(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (!nw || (c->flags & CONN_DIRTY))
        return;
    if (nw->dirty_count >= DIRTY_MAX) {
        struct fiber *f = fiber_current();
        if (f)
            fiber_call(f, flush_worker, c->worker);
        else
            net_flush(c->worker);
    }
    c->flags |= CONN_DIRTY;
    c->dirty_next = nw->dirty;
    nw->dirty = c;
    nw->dirty_count++;
}

void output_unmark(struct conn *c) {
    struct net_worker *nw = net_of(c);
    if (!(c->flags & CONN_DIRTY))
        return;
    c->flags &= ~CONN_DIRTY;
    struct conn **at = &nw->dirty;
    while (*at != c)
        at = &(*at)->dirty_next;
    *at = c->dirty_next;
    nw->dirty_count--;
}

static struct conn *pop_dirty(struct net_worker *nw) {
    struct conn *c = nw->dirty;
    nw->dirty = c->dirty_next;
    nw->dirty_count--;
    c->flags &= ~CONN_DIRTY;
    return c;
}

static bool fits_batch(const struct conn *c) {
    return !c->tls && c->out_len && !(c->flags & (CONN_DEAD | CONN_BLOCKED | CONN_SHUT));
}

static void flush_together(struct net_worker *nw) {
    struct conn *batch[RING_BATCH];
    unsigned count = 0;
    while (nw->dirty && count < RING_BATCH) {
        struct conn *c = pop_dirty(nw);
        if (fits_batch(c))
            batch[count++] = c;
        else
            output_write(c);
    }
    if (count)
        ring_write(nw->ring, batch, count);
}

void net_flush(struct worker *w) {
    struct net_worker *nw = w->net;
    while (nw->dirty)
        if (nw->ring && nw->dirty_count >= ring_least)
            flush_together(nw);
        else
            output_write(pop_dirty(nw));
}

unsigned output_gather(const struct conn *c, size_t len, struct iovec *iov) {
    unsigned count = 0;
    size_t sum = 0;
    for (struct chunk *k = c->out; k && sum < len && count < OUTPUT_IOV; k = k->next) {
        size_t part = k->end - k->start;
        if (part > len - sum)
            part = len - sum;
        iov[count++] = (struct iovec){ k->data + k->start, part };
        sum += part;
    }
    return count;
}

bool output_wrote(struct conn *c, ssize_t n, int error) {
    if (n >= 0) {
        output_sent(c, (size_t)n);
        return true;
    }
    if (error == EINTR)
        return true;
    if (error == EAGAIN)
        c->flags |= CONN_BLOCKED;
    else
        conn_fail(c, error);
    return false;
}

/* Writes the first LEN bytes of the queue as they are; false if not all went out. */
static bool write_plain(struct conn *c, size_t len) {
    while (len) {
        struct iovec iov[OUTPUT_IOV];
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = output_gather(c, len, iov) };
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (!output_wrote(c, n, errno))
            return false;
        if (n < 0)
            continue;
        if (c->tls)
            c->tls->plain -= (uint32_t)n;
        len -= (size_t)n;
    }
    return true;
}

void output_write(struct conn *c) {
    if (c->flags & (CONN_DEAD | CONN_BLOCKED | CONN_SHUT))
        return;
    if (!write_plain(c, c->tls ? c->tls->plain : c->out_len))
        return;
    if (c->tls && !(c->flags & CONN_HANDSHAKE))
        tls_write(c);
}
