/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's stream over one connection: framing, negotiation, authentication, binding.  Until a resource is bound it
 * has a struct login beside it; an idle stream is this struct alone.
 */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include "net/conn.h"
#include "net/listener.h"
#include "run/turn.h"
#include "xml/parser.h"
#include "xml/scan.h"
#include <meerkat/hook.h>

struct account;
struct host;
struct sasl;

enum stream_state {
    STREAM_HEADER,   /* waits for a stream header */
    STREAM_FEATURES, /* features sent, not authenticated */
    STREAM_AUTHED,   /* authenticated, at home with its account; header and features follow */
    STREAM_ENDED     /* our end tag is written; nothing more is read */
};
enum {
    STREAM_OPENED = 1,       /* our header is out: a stream error needs none before it */
    STREAM_HELD_BY_TURN = 2, /* one step of the login is being worked on */
    STREAM_HELD_BY_MAILBOX = 4,
    STREAM_MOVING = 8, /* between two workers */
    STREAM_LEFT = 16   /* the account was told that it ended */
};

/* What a stream needs until it is bound. */
struct login {
    struct mk_entity entity; /* its turns before it is authenticated */
    struct post move;        /* to the account's worker */
    struct mail mail;        /* the one step at work */
    struct mk_stanza *step;
    struct timer deadline;
    struct mk_stream *stream;
    struct sasl *sasl;
    struct mk_jid *account; /* once authenticated, bare */
    unsigned failures;      /* in quarters: a wrong password counts whole */
    bool direct_tls;
    bool stepping; /* holds a reference of the stream */
};

struct mk_stream {
    struct conn conn;
    struct list link; /* in the worker's streams */
    struct scan scan;
    const struct host *host;    /* NULL before the header */
    struct mk_session *session; /* NULL before it is bound, and after it left */
    struct account *account;    /* of this worker, once authenticated; kept in memory by session or mail */
    struct login *login;        /* NULL once bound */
    char *lang;                 /* xml:lang of the header, NULL if none */
    char *prefixes;             /* extra declarations of the header, NULL if none: see parser.h */
    struct list unpaid_link;    /* in the worker's list of those with UNPAID */
    struct mk_receipt **unpaid; /* receipts of messages written for this client and not yet in its socket */
    uint16_t unpaid_count, unpaid_cap;
    uint32_t refs; /* mails that name it, and itself while its connection lives */
    uint8_t state, flags;
};

struct stream_config {
    struct xml_limits before, after; /* authentication */
    int64_t login_ms;                /* deadline from accept to bound */
    int64_t idle_s;                  /* XEP-0478, 0: not said */
    int64_t sasl_tries;
    int64_t out_bytes; /* most output queued for one client */
};
void stream_setup(const struct stream_config *config); /* main thread, at start and at a reload */
const struct stream_config *stream_config(void);       /* the newest; lives until stream_teardown() */
void stream_teardown(void);

/* Accepts for listeners of kind c2s. */
void stream_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                   socklen_t peer_len);

int stream_worker_start(struct worker *w);
void stream_worker_stop(struct worker *w);
/* Pays receipts of what went out: after the flush of a loop turn. */
void stream_after_flush(struct worker *w);
/* Tells every stream of this worker that the server stops, and ends their sessions' connections. */
void stream_shutdown(struct worker *w);
/* Follows a new snapshot: hosts that are gone lose their streams. */
void stream_follow_hosts(struct worker *w);
unsigned stream_count(const struct worker *w);

/* A reference for a mail. */
static inline struct mk_stream *stream_ref(struct mk_stream *st) {
    st->refs++;
    return st;
}
void stream_unref(struct mk_stream *st);

void stream_write_stanza(struct mk_stream *st, const struct mk_stanza *s, const struct mk_jid *to);
void stream_write(struct mk_stream *st, const char *data, size_t len);
/* Ends with a stream error, or in peace if COND is NULL.  Its session, if any, is the caller's business. */
void stream_close(struct mk_stream *st, const char *cond, const char *text);
/* The resource was bound by another stream. */
void stream_replaced(struct mk_ctx *c, struct mk_stream *st);
/* Stops reading (HOLD) while the account's mailbox is full, or goes on. */
void stream_hold(struct mk_stream *st, bool hold);

/* ---- between the parts of the stream ----------------------------------------------------------------------------- */

/* Ends the stream with a stream error.  APP is XML or NULL.  A session it has ends too, for REASON; with
 * MK_CLOSED_LOST it may be resumed. */
void stream_fail(struct mk_stream *st, enum mk_close_reason reason, const char *cond, const char *text,
                 const char *app);
/* The same for what the client did wrong. */
void stream_error(struct mk_stream *st, const char *cond, const char *text);
void stream_pause(struct mk_stream *st, unsigned why);
void stream_go_on(struct mk_stream *st, unsigned why);
void stream_enlist(struct mk_stream *st); /* in this worker's streams, and out of them */
void stream_delist(struct mk_stream *st);
void stream_arrived_dead(struct mk_stream *st); /* it ended while it moved: close the connection */

/* negotiate.c: header and features */
void stream_header(struct mk_stream *st, const char *data, size_t len);
void stream_send_header(struct mk_stream *st, const char *to);

/* login.c: everything before authentication */
struct login *login_new(struct mk_stream *st);
void login_free(struct login *l);
void login_element(struct mk_stream *st, struct mk_stanza *s);
/* Whether authentication may go on without TLS on this stream. */
bool login_needs_tls(const struct mk_stream *st);

/* home.c: at home on the account's worker */
void stream_go_home(struct mk_stream *st);
void stream_element(struct mk_stream *st, struct mk_stanza *s);
void stream_ended_by_client(struct mk_stream *st);
/* Tells the account, once, that the stream is over; its session then ends for REASON, or is lost. */
void stream_leave(struct mk_stream *st, enum mk_close_reason reason);
void home_trim(void); /* the thread's spare mails, at its end */

#endif
