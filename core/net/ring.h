/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing the sockets of many connections in one system call, by io_uring.  epoll still tells who is ready;
 * what it told in a loop turn is then read together, and what the turn wrote is sent together.  Connections with TLS, and
 * single ones, go the other way.  A worker without a ring (an old kernel, a sandbox that forbids it, a build without
 * liburing) reads and writes one by one.
 */
#ifndef NET_RING_H
#define NET_RING_H

#include "net/net.h"

enum ring_use { RING_AUTO, RING_ON, RING_OFF };
extern enum ring_use ring_use; /* these are set before the workers start */
extern unsigned ring_least;    /* connections that are worth it, 2; tests say 1 */

/* Whether the kernel lets this process have one. */
bool ring_works(void);

struct ring *ring_new(void); /* of this thread; NULL: there can't be one */
void ring_free(struct ring *r);

/* C is readable: it is read with the others, at the end of the events or when there are many.  False: read it now. */
bool ring_read_later(struct ring *r, struct conn *c);
void ring_read(struct ring *r);
/* C waits to be read (CONN_QUEUED) and goes: what was read of it by now becomes its kept input if KEEP. */
void ring_forget(struct ring *r, struct conn *c, bool keep);

/* Writes out the connections in BATCH, at most RING_BATCH, that have no TLS. */
enum { RING_BATCH = 32 };
void ring_write(struct ring *r, struct conn **batch, unsigned count);

#endif
