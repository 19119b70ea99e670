/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the benchmark client share: many connections in one process, driven by epoll. */
#ifndef BENCH_H
#define BENCH_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer {
    int fd, index;
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
};

/* ARRIVED is called when a peer has new input, and once with no input when it is connected (and TLS is up). */
typedef void arrived_fn(struct peer *p);

struct peer *peer_open(int index, int port, bool tls, arrived_fn *arrived);
void peer_close(struct peer *p);
void peer_send(struct peer *p, const char *text, size_t len);
void peer_say(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether TEXT has arrived; then everything up to its end is consumed. */
bool peer_got(struct peer *p, const char *text);
void peers_poll(int timeout_ms); /* lets things happen once */
/* From now on the server may close connections: they count in *ENDED, their FD is -1. */
void peers_may_end(int *ended);

double now_s(void);
double cpu_of(int pid); /* seconds of CPU a process has used */
long heap_of(int pid);  /* bytes of private dirty memory */
_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* login.c: plays a login to the end; DONE is called when the resource is bound. */
struct script {
    const char *domain;
    bool anonymous; /* else SCRAM-SHA-1 as userN with password "bench" */
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
