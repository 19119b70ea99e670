/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - clients' streams over something other than TCP.
 *
 * A transport carries whole elements.  It has no stream tags: it says what the client's header said, gives the client's
 * elements one by one, and is told the server's.  All else - SASL, binding, stream management, sessions - is that of
 * every stream, and no other plugin sees a difference.
 *
 * A stream lives on one worker and travels, once, to that of its account; its transport travels with it: `leave` on the
 * old worker, `arrive` on the new.  In between nothing is given to it.  Until then, and after, every function here is
 * called on the stream's worker, and so is every handler.  Handlers run INLINE, on a small stack, in a turn that has no
 * entity; they MUST NOT give the stream elements or tell it of its end before they return: mk_post() does.
 */
#ifndef MEERKAT_TRANSPORT_H
#define MEERKAT_TRANSPORT_H

#include <meerkat/net.h>
#include <meerkat/session.h>

MK_BEGIN_DECLS

/* Attributes of a stream header; NULL if absent.  Lent for the call. */
struct mk_stream_head {
    const char *to, *from, *id, *version, *lang;
};

/* Constant; SIZE is its own.  T is what mk_transport_open() got.  Every member is needed. */
struct mk_transport {
    uint32_t size, zero;
    const char *name;                                                             /* "websocket" */
    void (*opened)(struct mk_ctx *c, void *t, const struct mk_stream_head *head); /* the server's header */
    /* One element, which declares its namespaces itself: COUNT pieces, to be joined. */
    void (*send)(struct mk_ctx *c, void *t, const struct mk_view *pieces, uint32_t count);
    /* The stream is over, and what it had to say was said; CONDITION is that of its stream error, NULL if it ends in
     * peace.  The stream is not to be used any more. */
    void (*closed)(struct mk_ctx *c, void *t, const char *condition);
    void (*hold)(struct mk_ctx *c, void *t, bool hold); /* give it no elements, or go on */
    void (*leave)(struct mk_ctx *c, void *t);
    void (*arrive)(struct mk_ctx *c, void *t);
    size_t (*queued)(const void *t); /* bytes that wait for the client */
};

/* ADDRESS is "203.0.113.7:50123".  SECURE: TLS, or vouched for by the operator.  CONN is the connection whose TLS binds
 * the channel, NULL if there is none; it stays until `closed`, or mk_transport_lost(). */
struct mk_transport_peer {
    const char *address;
    const struct mk_conn *conn;
    bool secure;
};

/* A stream that waits for its header.  It belongs to the server; it ends by `closed` or mk_transport_lost(). */
MK_EXPORT struct mk_stream *mk_transport_open(struct mk_ctx *c, const struct mk_transport *kind, void *t,
                                              const struct mk_transport_peer *peer);

/* The client's header, at first and after each authentication by RFC 6120.  Where none is due the stream fails. */
MK_EXPORT void mk_transport_header(struct mk_ctx *c, struct mk_stream *st, const struct mk_stream_head *head);

/* One element of the client's.  False: the stream takes none now; give it again when `hold` says to go on. */
MK_EXPORT MK_MUST_CHECK bool mk_transport_element(struct mk_ctx *c, struct mk_stream *st, const char *xml, size_t len);

/* The same for an element that came inside of another, a <body/> of BOSH say. */
MK_EXPORT MK_MUST_CHECK bool mk_transport_child(struct mk_ctx *c, struct mk_stream *st, const struct mk_elem *e);

/* The client closed its stream: `closed` follows when all before is answered.  Or its connection broke: nothing follows,
 * and the stream is not to be used any more. */
MK_EXPORT void mk_transport_end(struct mk_ctx *c, struct mk_stream *st);
MK_EXPORT void mk_transport_lost(struct mk_ctx *c, struct mk_stream *st);

/* Ends the stream with this stream error, for what the client did wrong. */
MK_EXPORT void mk_transport_fail(struct mk_ctx *c, struct mk_stream *st, const char *condition, const char *text);

MK_EXPORT void mk_transport_heard(struct mk_ctx *c, struct mk_stream *st); /* the client lives: a ping, an empty poll */
MK_EXPORT void mk_transport_drained(struct mk_ctx *c, struct mk_stream *st); /* `queued` is 0 again */

MK_END_DECLS

#endif
