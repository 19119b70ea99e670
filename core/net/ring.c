/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ring.h"
#include "util/mem.h"
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT = 16 * 1024, KEPT_MAX = SLOT / 2 };

enum ring_use ring_use = RING_AUTO;
unsigned ring_least = 2;

struct reader {
    struct conn *conn; /* NULL: it has gone */
    size_t kept, room; /* bytes in the slot from before, and how many more it was to take; 0: it was not read */
    int result;        /* bytes received, or -errno */
};

struct ring {
    struct io_uring uring;
    struct reader readers[RING_BATCH];
    unsigned count;
    bool received; /* the readers have their results */
    char *slots;   /* SLOT bytes for each reader */
    struct msghdr messages[RING_BATCH];
    struct iovec iov[RING_BATCH][OUTPUT_IOV];
};

static int start(struct io_uring *u) {
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN };
    int rc = io_uring_queue_init_params(RING_BATCH, u, &params);
    return rc == -EINVAL ? io_uring_queue_init(RING_BATCH, u, 0) : rc;
}

bool ring_works(void) {
    struct io_uring u;
    if (start(&u) != 0)
        return false;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&u);
    bool good = probe && io_uring_opcode_supported(probe, IORING_OP_RECV) &&
                io_uring_opcode_supported(probe, IORING_OP_SENDMSG);
    io_uring_free_probe(probe);
    io_uring_queue_exit(&u);
    return good;
}

struct ring *ring_new(void) {
    struct ring *r = xcalloc(1, sizeof *r);
    if (ring_use == RING_OFF || start(&r->uring) != 0) {
        free(r);
        return NULL;
    }
    io_uring_register_ring_fd(&r->uring); /* it is faster so; where it can't be, it works as well */
    r->slots = xmalloc((size_t)RING_BATCH * SLOT);
    return r;
}

void ring_free(struct ring *r) {
    if (!r)
        return;
    io_uring_queue_exit(&r->uring);
    free(r->slots);
    free(r);
}

/* Submits COUNT operations, of which none waits for anything.  The result of each goes to where its data points. */
static void run(struct ring *r, unsigned count) {
    while (count) {
        struct io_uring_cqe *cqe;
        unsigned head, done = 0;
        int rc = io_uring_submit_and_wait(&r->uring, count);
        if (rc == -EBADF || rc == -EFAULT || rc == -EINVAL || rc == -EOPNOTSUPP)
            abort(); /* a mistake of ours; all else passes */
        io_uring_for_each_cqe(&r->uring, head, cqe) {
            *(int *)io_uring_cqe_get_data(cqe) = cqe->res;
            done++;
        }
        io_uring_cq_advance(&r->uring, done);
        count -= done;
    }
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static bool fits(const struct conn *c) {
    const unsigned other =
        CONN_PAUSED | CONN_CLOSING | CONN_HANDSHAKE | CONN_EOF | CONN_DEAD | CONN_LIMITED | CONN_AGAIN | CONN_TOLD;
    return !c->tls && (c->flags & CONN_READABLE) && !(c->flags & other) && c->in_len <= KEPT_MAX;
}

bool ring_read_later(struct ring *r, struct conn *c) {
    if (c->flags & CONN_QUEUED)
        return true;
    if (r->received || !fits(c))
        return false;
    c->flags |= CONN_QUEUED;
    r->readers[r->count++] = (struct reader){ .conn = c };
    if (r->count == RING_BATCH)
        ring_read(r);
    return true;
}

static char *slot(const struct ring *r, const struct reader *reader) {
    return r->slots + (size_t)(reader - r->readers) * SLOT;
}

/* False if the connection has changed since it was queued. */
static bool prepare(struct ring *r, struct reader *reader) {
    struct conn *c = reader->conn;
    if (!c || !fits(c))
        return false;
    char *to = slot(r, reader);
    reader->kept = c->in_len;
    if (reader->kept)
        memcpy(to, c->in + c->in_at, reader->kept);
    reader->room = conn_rate_room(c, SLOT - reader->kept);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
    io_uring_prep_recv(sqe, c->fd, to + reader->kept, reader->room, MSG_DONTWAIT);
    io_uring_sqe_set_data(sqe, &reader->result);
    return true;
}

static void hand_over(struct ring *r, struct reader *reader) {
    struct conn *c = reader->conn;
    if (!c)
        return;
    reader->conn = NULL;
    c->flags &= (uint16_t)~CONN_QUEUED;
    if (!reader->room || conn_received(c, slot(r, reader), reader->kept, reader->room, reader->result))
        conn_step(c);
}

/* What one connection's input does may end others, or pause them, or take them elsewhere. */
void ring_read(struct ring *r) {
    unsigned count = 0;
    if (!r->count || r->received)
        return;
    bool worth_it = r->count >= ring_least;
    for (unsigned i = 0; i < r->count; i++)
        count += worth_it && prepare(r, &r->readers[i]);
    run(r, count);
    r->received = true;
    for (unsigned i = 0; i < r->count; i++)
        hand_over(r, &r->readers[i]);
    r->count = 0;
    r->received = false;
}

void ring_forget(struct ring *r, struct conn *c, bool keep) {
    struct reader *reader = r->readers;
    while (reader->conn != c)
        reader++;
    reader->conn = NULL;
    c->flags &= (uint16_t)~CONN_QUEUED;
    if (keep && r->received && reader->room)
        conn_keep_received(c, slot(r, reader), reader->kept, reader->room, reader->result);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void ring_write(struct ring *r, struct conn **batch, unsigned count) {
    int results[RING_BATCH];
    for (unsigned i = 0; i < count; i++) {
        struct conn *c = batch[i];
        struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
        struct msghdr *m = &r->messages[i];
        *m = (struct msghdr){ .msg_iov = r->iov[i], .msg_iovlen = output_gather(c, c->out_len, r->iov[i]) };
        if (m->msg_iovlen == 1)
            io_uring_prep_send(sqe, c->fd, m->msg_iov->iov_base, m->msg_iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            io_uring_prep_sendmsg(sqe, c->fd, m, MSG_NOSIGNAL | MSG_DONTWAIT);
        io_uring_sqe_set_data(sqe, &results[i]);
    }
    run(r, count);
    for (unsigned i = 0; i < count; i++)
        if (output_wrote(batch[i], results[i] < 0 ? -1 : results[i], -results[i]) && batch[i]->out_len)
            output_write(batch[i]);
}
