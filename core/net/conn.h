/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP connection with or without TLS, on one worker.  Its socket is watched edge-triggered, added once and never
 * re-armed.  Idle, it holds no buffer: input is read into the worker's buffer, output goes straight to the socket and
 * is queued in pooled chunks only while the socket is full.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "run/worker.h"
#include <meerkat/abi.h>
#include <sys/socket.h>

struct conn;
struct conn_timer;
struct tls;
struct tls_cert;
struct chunk;

/* All are called from the loop, on the worker's main stack, never from inside a function of this header. */
struct conn_class {
    /*
     * Bytes arrived (after TLS).  Returns how many it took; the rest is kept and given again with what comes next.
     * It may pause, close, detach or free the connection or start TLS on it, and then must return at once.
     */
    size_t (*input)(struct conn *c, const char *data, size_t len);
    void (*secured)(struct conn *c);           /* the TLS handshake is done */
    void (*closed)(struct conn *c, int error); /* once, last: the peer or an error (errno, 0 EOF) ended it; free it.
                                                  Not called for conn_close() */
    void (*drained)(struct conn *c); /* the socket was full, and the output queue is empty again; may be NULL */
};

enum conn_flags {
    CONN_PAUSED = 1,    /* gives no input */
    CONN_DIRTY = 2,     /* has output for the next flush */
    CONN_BLOCKED = 4,   /* the socket was full: waits for the edge */
    CONN_CLOSING = 8,   /* conn_close(): flushes, then closes */
    CONN_READABLE = 16, /* reading may give something: from the socket, or from what TLS holds */
    CONN_HANDSHAKE = 32,
    CONN_EOF = 64,
    CONN_DEAD = 128,    /* the socket failed: nothing is written any more */
    CONN_LIMITED = 256, /* over its rate: gives no input */
    CONN_AGAIN = 512,   /* kept input is to be given without waiting for more */
    CONN_SOCKET = 1024, /* an edge came, and no read was short since */
    CONN_HUP = 2048,    /* the peer sent its FIN: read on until EOF, even after a short read */
    CONN_SHUT = 4096,   /* we sent our FIN */
    CONN_TOLD = 8192,   /* class->closed was called */
    CONN_WORK = 16384,  /* in the list for the loop's next turn */
    CONN_QUEUED = 32768 /* waits to be read with others; see ring.h */
};

struct conn {
    const struct conn_class *class;
    struct worker *worker; /* NULL while detached */
    int fd;
    uint16_t flags;
    uint16_t port;   /* listener it came in on */
    struct tls *tls; /* NULL: plain */
    char *in;        /* kept input, malloc'd: IN_LEN bytes from IN_AT; NULL if none */
    uint32_t in_at, in_len, in_cap;
    int error; /* errno that made it dead */
    struct chunk *out, *out_last;
    uint32_t out_len;   /* bytes queued */
    uint32_t rate;      /* bytes a second it may send us; 0: no limit */
    int64_t credit;     /* of the rate, in bytes */
    uint64_t credit_ms; /* when it was counted; 0: never */
    uint64_t heard_ms;  /* when bytes last came; at first, when it was accepted */
    struct conn *dirty_next;
    struct list link;         /* in one of the lists of struct net_worker */
    struct conn_timer *timer; /* while over its rate, or closing */
    void (*after)(struct conn *c);
    char *address; /* "host:port" of the peer, malloc'd */
};

/* FD is a connected non-blocking socket.  Reading starts with the loop's next turn. */
void conn_init(struct conn *c, const struct conn_class *class, struct worker *w, int fd, const struct sockaddr *peer);
void conn_write(struct conn *c, const char *data, size_t len); /* copies; written at the next flush */
/* The same in pieces: room for LEN bytes that the caller fills, and then commits before it writes anything else or
 * suspends. */
char *conn_room(struct conn *c, size_t len);
void conn_wrote(struct conn *c, size_t len);
void conn_pause(struct conn *c);
void conn_resume(struct conn *c); /* gives what was kept and reads on, in the next loop turn */
void conn_again(struct conn *c);  /* gives what was kept, in the next loop turn: somebody else reads it now */
/* Flushes, sends FIN (and close_notify), and frees the connection's resources when the peer closes or 2 s later.
 * AFTER(conn) is then called to free the struct; class functions are called no more. */
void conn_close(struct conn *c, void (*after)(struct conn *c));
void conn_free_now(struct conn *c); /* resources at once, the struct is the caller's */

/* Server side of TLS from here on; what was written before still goes out in the clear.  Kept input is dropped: what a
 * client sends before the handshake is an injection.  ALPN, static, is the protocol to a client that lists some; NULL: it
 * is not asked. */
void conn_start_tls(struct conn *c, const char *alpn);

/* What we are in a handshake. */
enum tls_role {
    TLS_SERVE,      /* a client's server */
    TLS_SERVE_PEER, /* another server's: it may show a certificate */
    TLS_CONNECT     /* the one that connected to another server */
};
struct tls_start {
    enum tls_role role;
    const char
        *alpn; /* static; the other may list others or none, but for a server that we connect to; NULL: not asked for */
    /* Of TLS_CONNECT: the domain we want to reach, for SNI, as A-labels; and what we show if asked, NULL: nothing. */
    const char *name;
    struct tls_cert *cert;
};
void conn_start_tls_as(struct conn *c, const struct tls_start *how);
bool conn_is_secure(const struct conn *c); /* takes NULL */
/*
 * Takes the connection off its worker, and puts it on another (in that worker's thread); kept input and queued output
 * travel along.  Inside class->input say first how much of the data was consumed: the rest is kept, and the value
 * that input returns is not looked at.  Meanwhile it may be written to, paused, resumed, closed and freed.
 */
void conn_took(struct conn *c, size_t len);
void conn_detach(struct conn *c);
void conn_attach(struct conn *c, struct worker *w);

/* ---- TLS ------------------------------------------------------------------------------------------------------ */

enum cb_type { CB_TLS_EXPORTER, CB_TLS_SERVER_END_POINT, CB_TLS_UNIQUE };
const char *cb_name(enum cb_type type);                                 /* "tls-exporter" ... */
bool conn_has_channel_binding(const struct conn *c, enum cb_type type); /* fits the negotiated version */
bool conn_channel_binding(const struct conn *c, enum cb_type type, uint8_t out[64], size_t *len);
/* These two live until the thread's next call. */
const char *conn_tls_name(const struct conn *c); /* "TLS1.3 AES-256-GCM", NULL if plain */
const char *conn_sni(const struct conn *c);      /* name the client asked for, lower case, NULL if none */

/* What the other server showed, checked once after the handshake.  OWNED by who asked. */
struct tls_peer {
    bool shown;       /* a certificate at all */
    bool trusted;     /* dates, purpose and signatures up to an authority that we trust */
    uint8_t spki[32]; /* SHA-256 of its public key */
    const char *why;  /* not trusted: a reason for the log; static */
    bool dane, named; /* DNS says what it must be; and that is what it is */
    void *leaf;       /* gnutls_x509_crt_t, for its names */
};
struct dns_answer;
/* TLSA: what DNS says of it (RFC 7673), NULL if nothing; then for DOMAIN at TARGET. */
struct tls_peer *conn_peer(const struct conn *c, const struct dns_answer *tlsa, const char *domain, const char *target);
void tls_peer_free(struct tls_peer *p); /* may be NULL */
/* Whether one of its names (RFC 6125: DNS with wildcard, SRV-ID _xmpp-server, XmppAddr) is DOMAIN, in U-labels. */
bool tls_peer_is(const struct tls_peer *p, const char *domain);
/* DOMAIN as DNS writes it, malloc'd; NULL if that can't be. */
char *tls_ascii(const char *domain);
/* The authorities we trust in other servers: PEM in FILE, NULL those of the system.  In the main thread.  0, or -1
 * and WHY says: those of before stay. */
int tls_trust_setup(const char *file, char *why, size_t why_size);
void tls_trust_teardown(void);

/* A certificate with its key.  Counted: a reload makes a new one and old sessions keep theirs. */
struct tls_cert *tls_cert_load(const char *cert_file, const char *key_file, char *why,
                               size_t why_size);       /* NULL: WHY says */
void tls_cert_release(struct tls_cert *cert);          /* may be NULL */
int64_t tls_cert_expires(const struct tls_cert *cert); /* seconds since 1970 */

/* Who knows the certificates of the hosts; called in the worker's thread.  DOMAIN is lower case, U-labels; NULL asks
 * for the one to show a client that names no host, or one that is not served.  NULL: there is none. */
typedef struct tls_cert *tls_find_fn(const char *domain, size_t len);
/* Once, in the main thread, before the first listener.  PRIORITIES is a GnuTLS priority string, NULL or "" the default;
 * versions below 1.2 are off whatever it says.  0, or -1 and WHY says. */
int tls_setup(const char *priorities, tls_find_fn *find, char *why, size_t why_size);
void tls_teardown(void);

/* Per worker: pools and the list of dirty connections. */
int net_worker_start(struct worker *w);
void net_worker_stop(struct worker *w);
void net_read(struct worker *w);  /* what is to be read of many at once: after the events of a loop turn */
void net_flush(struct worker *w); /* writes out all dirty connections: end of a loop turn, and after 32 of them */

#endif
