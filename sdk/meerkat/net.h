/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - connections that speak a plugin's own protocol.
 *
 * A row of .listeners names a kind; an operator then writes `listeners = ( { kind = "http"; port = 5280; } )` and has
 * address, TLS with the certificates of the hosts, PROXY protocol, rate and limits as for any other.  The server
 * accepts, reads, writes and encrypts; the plugin gets bytes and gives bytes.  A connection belongs to one worker; every
 * function here is called on that worker, and every handler runs there, INLINE, in a turn without entity or host.
 */
#ifndef MEERKAT_NET_H
#define MEERKAT_NET_H

#include <meerkat/ctx.h>

MK_BEGIN_DECLS

struct mk_conn;

/* What is done with a connection.  Constant; SIZE is its own.  A handler may close the connection, and then returns. */
struct mk_conn_handlers {
    uint32_t size, zero;
    /* Bytes arrived, after TLS.  Returns how many it took; the others come again with what follows.  It has to take
     * some when LEN is at the plugin's own limit, for the server has none. */
    size_t (*input)(struct mk_ctx *c, struct mk_conn *conn, const char *data, size_t len);
    /* The peer closed, the connection broke, or the server stops.  It is gone when this returns; nothing is called any
     * more.  Not called after mk_conn_close(). */
    void (*closed)(struct mk_ctx *c, struct mk_conn *conn);
    void (*drained)(struct mk_ctx *c, struct mk_conn *conn); /* all that waited is written; may be NULL */
};

/*
 * A row of .listeners.  ALPN is the protocol's name in TLS (RFC 7301), or NULL.  ACCEPTED is called before a byte is read
 * or a TLS handshake done; the connection has HANDLERS and no user.  Of several enabled plugins, and of the instances of
 * one, with the same KIND the first gets them.
 */
struct mk_listener_decl {
    const char *kind, *alpn;
    const struct mk_conn_handlers *handlers;
    void (*accepted)(struct mk_ctx *c, struct mk_conn *conn);
};

/* Hands the connection to the plugin of the turn: its handlers from now on, and what they find as its user.  Bytes that
 * were not taken yet are given to them. */
MK_EXPORT void mk_conn_set(struct mk_ctx *c, struct mk_conn *conn, const struct mk_conn_handlers *handlers, void *user);
MK_EXPORT void *mk_conn_user(const struct mk_conn *conn);

/* Queues a copy of LEN bytes; they leave at the end of the loop turn.  What is queued, after that, waits for the peer. */
MK_EXPORT void mk_conn_write(struct mk_conn *conn, const void *data, size_t len);
MK_EXPORT size_t mk_conn_queued(const struct mk_conn *conn);

/* Gives no input while paused; afterwards first what was not taken, in a turn to come. */
MK_EXPORT void mk_conn_pause(struct mk_conn *conn);
MK_EXPORT void mk_conn_resume(struct mk_conn *conn);

/* Writes what is queued, says goodbye and closes.  CONN is not to be used any more; no handler is called. */
MK_EXPORT void mk_conn_close(struct mk_conn *conn);

/* "203.0.113.7:50123" of the peer, after PROXY protocol; lent as long as the connection. */
MK_EXPORT const char *mk_conn_address(const struct mk_conn *conn);
MK_EXPORT bool mk_conn_is_secure(const struct mk_conn *conn);  /* TLS, and the handshake is done */
MK_EXPORT int64_t mk_conn_idle_ms(const struct mk_conn *conn); /* since bytes came last */

/*
 * Takes the connection off its worker, and puts it on the one that calls, where the plugin has carried it by mk_post().
 * In between it may be written to and closed, by whoever holds it.  Not from inside of `input`.
 */
MK_EXPORT void mk_conn_leave(struct mk_conn *conn);
MK_EXPORT void mk_conn_arrive(struct mk_ctx *c, struct mk_conn *conn);

MK_END_DECLS

#endif
