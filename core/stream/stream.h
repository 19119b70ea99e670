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
#include "util/text.h"
#include "xml/parser.h"
#include "xml/scan.h"
#include <meerkat/auth.h>
#include <meerkat/hook.h>
#include <meerkat/transport.h>

struct account;
struct host;
struct instance;
struct sasl;

enum stream_state {
    STREAM_HEADER,   /* waits for a stream header */
    STREAM_FEATURES, /* features sent, not authenticated */
    STREAM_AUTHED,   /* authenticated, at home with its account; header and features follow */
    STREAM_WELCOME,  /* the same, by SASL2: what goes out is held back until <success/> is written */
    STREAM_ENDED     /* our end tag is written; nothing more is read */
};
enum {
    STREAM_OPENED = 1,       /* our header is out: a stream error needs none before it */
    STREAM_HELD_BY_TURN = 2, /* one step of the login is being worked on */
    STREAM_HELD_BY_MAILBOX = 4,
    STREAM_MOVING = 8,         /* between two workers */
    STREAM_HELD_BY_STORE = 16, /* what it says makes more writes than can be written */
    STREAM_LEFT = 16           /* the account was told that it ended */
};

/* What a client said of itself.  One block with its texts. */
struct agent {
    struct mk_agent said;
    char texts[];
};

/* What a plugin left on a stream that is logging in.  One block with its texts. */
struct note {
    struct note *next;
    const char *value; /* behind the name */
    char name[];
};

/* A login by SASL2 (XEP-0388). */
struct sasl2 {
    const struct mk_stanza *request; /* the <authenticate/>; OWNED */
    char *data;                      /* base64 for <additional-data/>, NULL if none */
    struct buf held;                 /* what the welcome sent before <success/> */
    struct mk_jid *account;          /* once the exchange succeeded: tasks are due.  NULL: it goes on, or all is done */
    const struct mk_elem *after;     /* of the request: upgrades after this one may be due too */
    char *task;                      /* the one that is due */
    bool chosen;                     /* the client began it */
    struct mk_scram_keys salt;       /* for it */
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
    struct sasl2 *sasl2;    /* of the login under way or done, NULL if that is by RFC 6120 */
    struct agent *agent;    /* NULL: it said nothing */
    struct note *notes;     /* few */
    const char *mechanism;  /* of the last exchange; static */
    struct mk_jid *from;    /* of the stream header; NULL if none, or no JID */
    struct mk_jid *account; /* once authenticated, bare */
    unsigned failures;      /* in quarters: a wrong password counts whole */
    bool direct_tls;
    bool stepping;  /* holds a reference of the stream */
    bool welcoming; /* its mail is the welcome's, and freeing it too */
};

/* Of a stream that is not over TCP; see transport.h of the SDK. */
struct transport {
    const struct mk_transport *kind;
    void *self;                 /* what the transport calls the stream; NULL once they have parted */
    const struct instance *via; /* whose transport it is */
    const struct conn *channel; /* whose TLS binds the stream; NULL: none does */
    struct post over;           /* its connection is gone */
    struct mk_stream *stream;
    bool secure; /* as TLS, whatever CHANNEL is */
};

/* Receipts of messages written for a client and not yet in its socket. */
struct unpaid {
    struct list link; /* in the worker's list of those */
    struct mk_stream *stream;
    unsigned count, cap;
    struct mk_receipt *receipts[];
};

/* An idle client pays for every field here: what few have is allocated for those few. */
struct mk_stream {
    struct conn conn;            /* with a transport only its peer's address, its worker, and when it was heard */
    struct transport *transport; /* NULL: TCP; OWNED */
    struct list link;            /* in the worker's streams */
    struct scan scan;
    const struct host *host;    /* NULL before the header */
    struct mk_session *session; /* NULL before it is bound, and after it left */
    struct account *account;    /* of this worker, once authenticated; kept in memory by session or mail */
    struct login *login;        /* NULL once bound */
    char *lang;                 /* xml:lang of the header, NULL if none */
    char *prefixes;             /* extra declarations of the header, NULL if none: see parser.h */
    struct unpaid *unpaid;      /* NULL: none; OWNED */
    uint32_t refs;              /* mails that name it, and itself while its connection lives */
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
bool stream_stopping(void); /* stream_shutdown() was called on this worker: no stream begins any more */
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
void stream_hold_for_store(struct mk_stream *st); /* until stream_relieved(), which is store_relieved() */
void stream_relieved(struct worker *w);
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

bool stream_takes(const struct mk_stream *st);      /* nothing holds its input */
size_t stream_from_len(const struct mk_stream *st); /* bytes of what the sender of its stanzas will be called */
/* A framed element, and what the scanner says of one that is refused. */
void stream_framed(struct mk_stream *st, const char *data, size_t len);
void stream_refuse(struct mk_stream *st, enum scan_result r);
/* The connection is gone, one way or the other. */
void stream_connection_over(struct mk_stream *st);
void stream_pay_sent(struct mk_stream *st);

static inline bool stream_is_secure(const struct mk_stream *st) {
    return (st->transport && st->transport->secure) || conn_is_secure(&st->conn);
}
/* The connection with the TLS that binds the stream; NULL if there is none. */
static inline const struct conn *stream_channel(const struct mk_stream *st) {
    return st->transport ? st->transport->channel : &st->conn;
}

/* transport.c: streams that are not over TCP */
void transport_opened(struct mk_stream *st, const struct mk_stream_head *head);
void transport_send(struct mk_stream *st, const char *data, size_t len); /* one element */
void transport_send_stanza(struct mk_stream *st, const struct mk_stanza *s, const struct mk_jid *to);
void transport_send_held(struct mk_stream *st, const struct buf *held); /* of a welcome */
void transport_close(struct mk_stream *st, const char *condition);
void transport_hold(struct mk_stream *st, bool hold);
void transport_leave(struct mk_stream *st);
void transport_arrive(struct mk_stream *st);
size_t transport_queued(const struct mk_stream *st);

/* negotiate.c: header and features */
void stream_header(struct mk_stream *st, const char *data, size_t len);
void stream_head(struct mk_stream *st, const struct mk_stream_head *head); /* the same, taken apart already */
void stream_send_header(struct mk_stream *st, const char *to);

/* login.c: everything before authentication */
struct login *login_new(struct mk_stream *st);
void login_free(struct login *l);
void login_element(struct mk_stream *st, struct mk_stanza *s);
/* Whether authentication may go on without TLS on this stream. */
bool login_needs_tls(const struct mk_stream *st);

/* Gives S what the login tells of its client. */
void login_tell(struct login *l, struct mk_session *s);
/* Whether a SASL2 exchange goes on: nothing but its own elements may come, not even white space. */
bool login_in_exchange(const struct mk_stream *st);
/* The rest is between login.c and sasl2.c. */
void login_failed(struct mk_ctx *c, struct login *l, const char *cond, const char *text);
/* TEXT is base64; NULL: there is no initial response. */
MK_SUSPENDS void login_begin(struct mk_ctx *c, struct login *l, const char *mechanism, const char *text);
MK_SUSPENDS void login_go(struct mk_ctx *c, struct login *l, const char *text);
char *login_base64(const struct buf *data); /* malloc'd */

/* sasl2.c: XEP-0388 before authentication */
#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"
bool sasl2_offered(const struct mk_stream *st);
MK_SUSPENDS void sasl2_element(struct mk_ctx *c, struct login *l);
void sasl2_challenge(struct login *l, const struct buf *data);
MK_SUSPENDS void sasl2_succeeded(struct mk_ctx *c, struct login *l, const struct mk_jid *account,
                                 const struct buf *data);
void sasl2_done(struct login *l); /* no task is left: it may go home */
void sasl2_free(struct login *l);

/* task.c: what is due in between */
void task_put_offer(struct mk_stream *st, struct mk_out *o);
MK_SUSPENDS bool task_offer(struct mk_ctx *c, struct login *l); /* false: nothing is due */
MK_SUSPENDS void task_element(struct mk_ctx *c, struct login *l);

/* welcome.c: after it */
void stream_welcome(struct mk_stream *st);
void welcome_put_offer(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o); /* <inline/> */

/* negotiate.c */
void stream_send_features(struct mk_stream *st);

/* home.c: at home on the account's worker */
void stream_go_home(struct mk_stream *st);
void stream_element(struct mk_stream *st, struct mk_stanza *s);
void stream_ended_by_client(struct mk_stream *st);
/* Tells the account, once, that the stream is over; its session then ends for REASON, or is lost. */
void stream_leave(struct mk_stream *st, enum mk_close_reason reason);
void home_trim(void); /* the thread's spare mails, at its end */

/* ---- whoever's stream it is: also those of servers and components ------------------------------------------------------ */

/* Adds a stream error (RFC 6120, 4.9) and counts it.  TEXT, escaped here, and APP, an element, may be NULL. */
void stream_put_error(struct buf *b, const char *cond, const char *text, const char *app);
/* The condition for what the scanner refused, and its text, NULL if it needs none. */
const char *stream_refusal(enum scan_result r, const char **text);
/* Writes S to a connection whose default namespace is not that of clients; TO, unless NULL, takes the place of its `to`. */
void foreign_write(struct conn *c, const struct mk_stanza *s, const struct mk_jid *to);

#endif
