/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this folder alone. */
#ifndef NET_NET_H
#define NET_NET_H

#include "net/conn.h"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

struct chunk {
    struct chunk *next;
    uint32_t start, end, cap; /* of data: what is to be written lies between start and end */
    char data[];
};

struct conn_timer {
    struct timer timer;
    struct conn *conn;
};

enum { POLL_BATCH = 256 };
struct poller {
    struct event event;                   /* of the epoll, in the worker's base */
    struct epoll_event found[POLL_BATCH]; /* connections with edges; NULL: it has gone meanwhile */
    unsigned at, count;                   /* of FOUND: the next to be told, and all */
};

struct net_worker {
    struct post post; /* brings the work list up in the next loop turn */
    bool posted, stopped;
    struct poller poller;
    struct list work;     /* connections with something to do then */
    struct list doubtful; /* whose last read was short; see read.c */
    struct list closing;  /* conn_close() was called, the end is awaited */
    struct timer sweep;   /* runs while there are doubtful ones */
    struct conn *dirty;
    unsigned dirty_count;
    struct chunk *spare; /* pool */
    unsigned spare_count;
    struct conn *current; /* whose class function runs; NULL once it has left this worker */
    const char *given;    /* to its input */
    size_t given_len, took;
    struct ring *ring; /* NULL: sockets are read and written one by one */
    char *cipher;      /* CIPHER_SIZE bytes: read from a TLS socket */
    char *record;      /* RECORD_SIZE bytes: the chunks of one record, joined */
};
enum { CIPHER_SIZE = 32 * 1024, RECORD_SIZE = 16 * 1024, OUTPUT_IOV = 16 };

struct tls {
    gnutls_session_t session; /* NULL before the first step of the handshake */
    struct tls_cert *cert;    /* the one shown, held */
    char *kept;               /* ciphertext read but not yet asked for, while not reading; malloc'd */
    const char *raw;          /* the same during a read, in KEPT or in the worker's buffer */
    uint32_t raw_len;
    uint32_t plain;   /* bytes at the head of the output queue from before TLS */
    int error;        /* errno of the socket under GnuTLS */
    uint8_t reads;    /* of the socket in this round */
    uint8_t role;     /* enum tls_role */
    char *name;       /* TLS_CONNECT: the server's, as DNS writes it; OWNED */
    const char *alpn; /* NULL: not asked for */
    bool unsent, renegotiated;
    bool dry, ended; /* the last pull had nothing to give; the socket has had its EOF */
};

/* conn.c */
void conn_schedule(struct conn *c);                 /* conn_step() in the next loop turn */
void conn_happened(struct conn *c, uint32_t edges); /* EPOLLIN and so on came */
void conn_step(struct conn *c);                     /* from the loop only: whatever its flags ask for */
void conn_fail(struct conn *c, int error);          /* dead from now on; the class hears of it from the loop */
void conn_timer_start(struct conn *c, uint64_t ms, void (*fire)(struct timer *t));
void conn_timer_stop(struct conn *c);
/* Around a call of a class function: false if the connection was freed or left the worker in it. */
void conn_enter(struct conn *c);
bool conn_leave(struct conn *c);
static inline struct net_worker *net_of(const struct conn *c) { /* NULL while detached */
    return c->worker ? c->worker->net : NULL;
}
unsigned conn_count(void); /* of all workers */

/* poll.c */
void poller_start(struct poller *p, struct worker *w);
void poller_stop(struct poller *p);                /* nothing may be in it */
bool poller_add(struct poller *p, struct conn *c); /* false with errno */
/* It hears of no edge any more, of those that came already neither. */
void poller_remove(struct poller *p, const struct conn *c);

/* read.c */
void conn_pump(struct conn *c);       /* gives input until there is none, or it is not wanted */
void conn_take_back(struct conn *c);  /* in class->input: what it did not take is kept */
void conn_drop_input(struct conn *c); /* at once, or when class->input returns */
void conn_free_input(struct conn *c);
void conn_doubt(struct conn *c);                         /* it may have ended unseen: to be read once more later */
ssize_t conn_recv(struct conn *c, void *to, size_t len); /* the socket itself; -1 and errno, 0 EOF */
size_t conn_rate_room(struct conn *c, size_t room);      /* what of ROOM its rate allows */
/*
 * Somebody else has read: RESULT bytes (-errno) of ROOM, behind KEPT ones that were there before, at DATA.  Gives them to
 * the class, or keeps them if they are not wanted now.  False if the connection is gone.
 */
bool conn_received(struct conn *c, const char *data, size_t kept, size_t room, int result);
void conn_keep_received(struct conn *c, const char *data, size_t kept, size_t room, int result);

/* output.c */
void output_write(struct conn *c); /* as much as the socket takes */
void output_drop(struct conn *c);
void output_mark(struct conn *c); /* for the next flush */
void output_unmark(struct conn *c);
void output_sent(struct conn *c, size_t len); /* the first LEN bytes are out */
unsigned output_gather(const struct conn *c, size_t len,
                       struct iovec *iov);               /* the first LEN; at most OUTPUT_IOV pieces */
bool output_wrote(struct conn *c, ssize_t n, int error); /* what a write of them said; false: no more for now */
void output_pool_free(struct net_worker *nw);

/* close.c */
void close_start(struct conn *c);
void close_step(struct conn *c);
void close_finish(struct conn *c);

/* tls.c */
enum tls_state { TLS_DONE, TLS_WAITS, TLS_FAILED };
enum tls_state tls_handshake(struct conn *c);
size_t tls_read(struct conn *c, char *to, size_t len); /* 0: none now; flags say why */
void tls_write(struct conn *c);
enum tls_state tls_bye(struct conn *c);
void tls_free(struct conn *c);

/* cert.c */
struct tls_cert {
    atomic_uint users;
    gnutls_pcert_st *chain;
    unsigned chain_len;
    gnutls_privkey_t key;
    int64_t expires;
    uint8_t end_point[64]; /* hash for tls-server-end-point */
    size_t end_point_len;  /* 0: its signature has no hash we know */
};
void tls_cert_hold(struct tls_cert *cert);

/* address.c */
enum { ADDRESS_MAX = 64 };
void address_format(const struct sockaddr *a, char out[ADDRESS_MAX]); /* "203.0.113.7:50123", "[2001:db8::1]:5222" */

#endif
