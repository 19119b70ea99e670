/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection of a load client, plain or with TLS, driven by epoll. */
#ifndef CONN_H
#define CONN_H

#include "buffer.h"
#include "scenario.h"
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdbool.h>

struct conn {
    int fd; /* -1: closed */
    int epoll_fd;
    void *owner; /* whose it is, for who hears of an event */
    gnutls_session_t tls;
    bool connecting, handshaking, record_pending, wants_write;
    struct buffer in;
    char *out; /* only while there is something in it */
    size_t out_len, out_cap, out_at;
};

enum conn_event { CONN_NOTHING, CONN_UP, CONN_TLS_UP, CONN_DATA, CONN_DOWN };

/* Before all connections with TLS.  VERIFY: certificates must be signed by those of file CA, or of the system if CA is "".
 * False with WHY. */
bool conn_trust(bool verify, const char *ca, char *why, size_t size);
/* FROM: an IPv4 address of this machine, 0 for any.  What epoll names is the connection.  False with errno. */
bool conn_open(struct conn *c, int epoll_fd, const struct address *to, uint32_t from, void *owner);
void conn_tls(struct conn *c, const char *name); /* NAME outlives the connection */
void conn_close(struct conn *c, bool abrupt);    /* ABRUPT: by a reset, as a network that is gone looks */
char *conn_room(struct conn *c, size_t len);     /* for so many bytes, to be written there; NULL: it is closed */
/* Sends what was written.  False: the connection is gone. */
bool conn_flush(struct conn *c);
/* After an event of epoll.  On CONN_DATA more is in IN, with *GOT bytes that came; WHY says why it is down. */
enum conn_event conn_happened(struct conn *c, size_t *got, char *why, size_t size);

#endif
