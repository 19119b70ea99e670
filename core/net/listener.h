/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: one a worker and address, SO_REUSEPORT.  Opened in the main thread before privileges go. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/conn.h"

enum listener_tls { LISTEN_STARTTLS, LISTEN_DIRECT_TLS, LISTEN_PLAIN };
struct listener_config {
    const void *where;   /* in the configuration, for messages */
    const char *kind;    /* "c2s" */
    const char *address; /* "::" (both families), "127.0.0.1" */
    int64_t port;
    int64_t tls; /* enum listener_tls */
    bool proxy;  /* PROXY protocol v1 or v2 is required first */
    int64_t backlog;
    int64_t rate;            /* bytes a second and connection, 0: none */
    int64_t max_connections; /* of the whole process, 0: no limit */
};
/* Takes over an accepted socket on worker W.  PEER is the client's address, after PROXY protocol.  CONFIG lives as long
 * as the listener. */
typedef void listener_accept_fn(struct worker *w, const struct listener_config *config, int fd,
                                const struct sockaddr *peer, socklen_t peer_len);

struct listener;
/* After workers_start(), as each worker gets a socket. */
struct listener *listener_open(const struct listener_config *config, listener_accept_fn *accept, char *why,
                               size_t why_size);
void listener_start(struct listener *l);     /* each worker polls its socket */
void listener_close(struct listener *l);     /* accepts no more; from the main thread, before workers_stop() */
int listener_port(const struct listener *l); /* the real one, if 0 was asked */

/* PROXY protocol header at the start of DATA: bytes it takes, 0 if more are needed, -1 if there is none.  *KNOWN is
 * false for LOCAL and UNKNOWN: keep the socket's own address. */
int proxy_parse(const char *data, size_t len, struct sockaddr_storage *source, bool *known);

#endif
