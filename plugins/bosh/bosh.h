/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the bosh plugin. */
#ifndef BOSH_BOSH_H
#define BOSH_BOSH_H

#include <meerkat/http.h>
#include <meerkat/plugin.h>
#include <meerkat/transport.h>
#include <meerkat/work.h>

#define NS_BODY "http://jabber.org/protocol/httpbind"
#define NS_XBOSH "urn:xmpp:xbosh"

enum { HOLD_MAX = 5, REQUESTS_MAX = HOLD_MAX + 1, KEY_LEN = 40 };

struct bosh {
    const char *path;
    int64_t max_wait, max_hold, inactivity, polling, max_pause, max_sessions;
    const struct mk_http *http;
};

enum { M_SESSIONS, M_CREATED, M_REQUESTS, M_RESENT, M_REFUSED, M_EXPIRED };

/* A request that a worker got, on its way to its session.  OWNED by whoever has it. */
struct pending {
    struct pending *next;
    struct mk_http_request *http; /* NULL: it was answered */
    const struct mk_stanza *body; /* kept; NULL once it is being read */
    uint64_t rid;
    int64_t since_ms;
};
/* A body whose elements the stream has not taken yet. */
struct unread {
    struct unread *next;
    const struct mk_stanza *body; /* kept */
    const struct mk_elem *child;  /* what the stream gets next */
    bool begun;
};
struct queue {
    struct pending *first, **last;
    uint32_t count;
};

/* An answer that was given, as long as it may be asked for again. */
struct given {
    uint64_t rid;
    char *text;
    size_t len;
    int64_t sent_ms;
};

struct session {
    struct mk_stream *stream; /* NULL: it has ended; what is left to be said is in FINAL */
    struct mk_alarm *alarm;   /* the oldest request has waited, or none has come; NULL while it travels */
    char *sid;
    int64_t wait_ms, inactivity_ms, pause_ms; /* pause_ms: until the next request, 0 if none was asked for */
    uint32_t hold, requests;
    uint64_t rid;       /* the next one */
    uint64_t acked;     /* the last answer that the client has; with ACKS */
    struct queue early; /* came before the one that is due, by rid */
    struct queue held;  /* to be answered, oldest first */
    struct unread *unread;
    struct given given[REQUESTS_MAX + 1];
    uint32_t given_count;
    char *out; /* elements for the client */
    size_t out_len, out_cap;
    char *type;            /* Content-Type of answers; NULL: the usual one */
    char *to, *lang;       /* what the client said when it began */
    char *from, *id;       /* of our last header */
    char key[KEY_LEN + 1]; /* that the hash of the next one must be; "": none are used */
    const char *condition; /* of a terminating body; with FINAL; static */
    int64_t empty_ms;      /* when an answer last had nothing in it; 0: it had */
    bool final, acks, polls, held_up, posted, pumping, announced;
};

/* ---- places.c: where sessions are.  A session is known to the worker that its sid names, and to the one it is on. */

struct place {
    struct place *next;
    struct session *session; /* NULL: not here */
    unsigned worker;         /* where it went */
    bool travels;            /* it will say where it is */
    struct pending *parked;  /* requests that came meanwhile, in order */
    char sid[];
};
enum { PLACES = 1024 };
struct places {
    struct place *by_sid[PLACES];
    unsigned here; /* sessions on this worker */
};
struct place *place_find(struct places *p, const char *sid);
struct place *place_add(struct places *p, const char *sid, struct session *s);
void place_leave(struct places *p, struct place *place); /* its session travels */
void place_remove(struct places *p, const char *sid);
void places_free(struct places *p);
char *place_new_sid(struct mk_ctx *c);                                /* OWNED */
bool place_home(struct mk_ctx *c, const char *sid, unsigned *worker); /* false: SID is none of ours */

/* ---- pending.c */
struct pending *pending_new(struct mk_ctx *c, struct mk_http_request *http, const struct mk_stanza *body);
void pending_free(struct pending *p); /* it was answered */
const struct mk_elem *pending_body(const struct pending *p);
/* Sends BODY, LEN bytes, as the answer. */
void pending_answer(struct mk_ctx *c, const struct bosh *me, struct pending *p, const char *type, const char *body,
                    size_t len);
/* Answers with a terminating body, and frees it. */
void pending_refuse(struct mk_ctx *c, const struct bosh *me, struct pending *p, const char *condition);
bool pending_number(const struct pending *p, const char *name, uint64_t most, uint64_t *value);
void queue_add(struct queue *q, struct pending *p);
struct pending *queue_take(struct queue *q);

/* ---- window.c: the order of requests, repeated ones, keys */

/* NULL: the request was taken, into the queues of S.  Else it was refused, with the condition
 * that ends the session. */
const char *window_take(struct mk_ctx *c, struct session *s, struct pending *p);
void window_remember(struct mk_ctx *c, struct session *s, uint64_t rid, const char *text, size_t len);
void window_forget(struct session *s); /* all of it */

/* ---- session.c */
void session_create(struct mk_ctx *c, struct pending *p);
void session_request(struct mk_ctx *c, struct session *s, struct pending *p);
void session_free(struct session *s);

/* bosh.c: a request goes to where the session is; nobody knows the sid: it is refused. */
void bosh_deliver(struct mk_ctx *c, void *pending);

#endif
