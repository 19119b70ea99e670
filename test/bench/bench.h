/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the benchmark client share: many connections in one process, driven by epoll. */
#ifndef BENCH_H
#define BENCH_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a stream travels: as it is, in messages (RFC 7395), in requests (XEP-0124) that all go by one connection. */
enum way { BY_TCP, BY_WEBSOCKET, BY_BOSH };

struct peer {
    int fd, index;
    enum way way;
    gnutls_session_t tls; /* NULL: plain */
    bool handshaking;
    int state; /* of the script being played */
    char *in;  /* what arrived and is not consumed, ended by NUL */
    size_t in_len, in_cap;
    char jid[128];
    unsigned got;   /* messages of the burst that is awaited */
    char nonce[64]; /* of a SCRAM exchange */
    char sm[64];    /* of its stream to resume, or "" */
    unsigned heard; /* stanzas since stream management began, or as the stream to resume had */
    char *raw;      /* by WebSocket and BOSH: what arrived and is no whole message or answer yet */
    size_t raw_len;
    bool is_open, is_asking; /* the handshake of the WebSocket is done; a request has no answer yet */
    char sid[64];            /* of the BOSH session, or "" */
    unsigned rid;
};

/* ARRIVED is called when a peer has new input, and once with no input when it is connected (and TLS is up). */
typedef void arrived_fn(struct peer *p);

struct peer *peer_open(int index, int port, bool tls, arrived_fn *arrived);
void peer_close(struct peer *p);
void peers_travel(enum way way);                               /* those that are opened from now on */
void peer_write(struct peer *p, const char *data, size_t len); /* bytes as they are */
void peer_take(struct peer *p, const char *data, size_t len);  /* more of what peer_got() looks at */
/* Whether TEXT has arrived; then everything up to its end is consumed. */
bool peer_got(struct peer *p, const char *text);
void peers_poll(int timeout_ms); /* lets things happen once */
/* From now on the server may close connections: they count in *ENDED, their FD is -1. */
void peers_may_end(int *ended);

/* way.c: one element each.  What is put goes out with the next flush, in one write. */
void peer_put(struct peer *p, const char *xml, size_t len);
void peer_flush(struct peer *p);
void peer_say(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void peer_header(struct peer *p, const char *domain); /* of the stream, or of its restart */
void peer_listen(struct peer *p);                     /* by BOSH: a request, if there is none, for what will be said */
bool way_open(struct peer *p);                        /* P is connected.  False: a handshake is under way */
void way_input(struct peer *p, const char *data, size_t len, arrived_fn *arrived);

double now_s(void);
double cpu_of(int pid); /* seconds of CPU a process has used */
long heap_of(int pid);  /* bytes of private dirty memory */
_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* login.c: plays a login to the end; DONE is called when the resource is bound. */
struct script {
    const char *domain, *odd_domain; /* of all peers; of those with an odd index, NULL: the same */
    bool anonymous;                  /* else SCRAM-SHA-1 as userN with password "bench" */
    int accounts;
    bool full;   /* after binding: stream management, carbons, presence */
    bool roster; /* and the roster */
    void (*done)(struct peer *p);
};
void login_setup(const struct script *s);
void login_arrived(struct peer *p);
/* Instead of binding a resource the stream SM is resumed, if that is not "" when the features are there. */
bool login_resumed(const struct peer *p);
/* After the login: counts stanzas and says so where it is asked. */
void login_listen(struct peer *p);

#endif
