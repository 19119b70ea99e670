/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - requests over HTTP, for plugins that answer some.
 *
 * The plugin `http` listens, reads requests, and runs the hook http_request in the name of the host that the request is
 * for.  A handler looks at the path, by mk_http_path(); if it is the handler's own it answers, now or later, and stops the
 * chain.  A request that nobody takes is 404.
 *
 *     static enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_http *ev) {
 *         const struct me *me = mk_inst(c);
 *         if (!mk_http_path(ev->request, me->path))
 *             return MK_NEXT;
 *         mk_http_text(c, me->http, ev->request, 200, "text/plain", "Hello");
 *         return MK_STOP;
 *     }
 *
 * Bind the interface with MK_NEED(struct me, http, mk_http, 1, 0, MK_NEED_HARD, NULL).
 */
#ifndef MEERKAT_HTTP_H
#define MEERKAT_HTTP_H

#include <meerkat/hook.h>
#include <meerkat/net.h>
#include <meerkat/service.h>
#include <string.h>

MK_BEGIN_DECLS

/* A header: both lent with what holds it.  Names are compared without case. */
struct mk_http_field {
    const char *name, *value;
};

/*
 * A request, whole with its body.  It is the http plugin's, lent until it is answered; every request is to be answered
 * once, or upgraded.  A client that goes away meanwhile changes nothing: the answer is then dropped.
 */
struct mk_http_request {
    const char *method;    /* "GET" */
    const char *path;      /* decoded, "/" first, without "." and ".."; UTF-8 */
    const char *query;     /* as it came, behind the '?'; "" if there is none */
    const char *host;      /* of the Host header, lower case, without port; "" if there is none */
    const char *authority; /* the same as it came, with its port */
    const char *address;   /* "203.0.113.7:50123": the client, after PROXY protocol and trusted proxies */
    const char *origin;    /* the Origin header, NULL if absent */
    struct mk_view body;   /* empty if there is none */
    const struct mk_http_field *fields;
    uint32_t field_count;
    bool secure;      /* by TLS, or by what a trusted proxy says */
    bool upgrade;     /* the client asks for another protocol: mk_http_upgrade() is possible */
    const char *rest; /* what is behind the prefix that mk_http_path() found, "" or from "/" on */
};

/*
 * An answer.  FIELDS beside those the server writes: Date, Content-Length or Transfer-Encoding, Connection, those of
 * CORS.  CORS: pages of any origin that the operator allows may read it.  METHODS, if not NULL, is what the resource
 * takes ("GET, POST"), for answers to OPTIONS and 405.  All is lent for the call.
 *
 * READY is for mk_http_begin(): it is called INLINE, in a turn of the http plugin's, when the client has taken what was
 * queued, and when it is gone; ARG is yours.
 */
struct mk_http_answer {
    uint32_t size; /* of this struct */
    uint32_t status;
    const char *type; /* Content-Type; NULL if there is none */
    const struct mk_http_field *fields;
    uint32_t field_count;
    bool cors;
    bool close; /* the connection ends with it */
    struct mk_view body;
    const char *methods;
    uint64_t length; /* of a body in pieces, if it is known; 0: it is not */
    void (*ready)(struct mk_ctx *c, struct mk_http_request *r, void *arg);
    void *arg;
};

struct mk_http_ops {
    uint32_t size, zero;
    int (*answer)(struct mk_ctx *c, struct mk_http_request *r, const struct mk_http_answer *a);
    int (*begin)(struct mk_ctx *c, struct mk_http_request *r, const struct mk_http_answer *a);
    int (*more)(struct mk_ctx *c, struct mk_http_request *r, struct mk_view data);
    int (*end)(struct mk_ctx *c, struct mk_http_request *r, bool whole);
    struct mk_conn *(*upgrade)(struct mk_ctx *c, struct mk_http_request *r, const struct mk_http_answer *a);
};
struct mk_http {
    struct mk_svc svc;
};

/*
 * Answers the request, from any turn of any worker; R is gone.  0, or MK_E_INVALID if A has what no answer may have (a
 * line end in a field): the client then gets 500.
 */
MK_CALL2(mk_http, answer, int, MK_E_UNSUPPORTED, struct mk_http_request *, request, const struct mk_http_answer *, a)

/*
 * The same in pieces, for what is long or without end: begin with a body or none, any number of pieces, the end.  On the
 * worker that got the request.  MK_E_LIMIT: the piece is queued, and the next is to wait for READY; MK_E_CANCELLED: the
 * client is gone, go on to the end.  WHOLE false: what was sent is not all there is, and the client is to notice.
 */
MK_CALL2(mk_http, begin, int, MK_E_UNSUPPORTED, struct mk_http_request *, request, const struct mk_http_answer *, a)
MK_CALL2(mk_http, more, int, MK_E_UNSUPPORTED, struct mk_http_request *, request, struct mk_view, data)
MK_CALL2(mk_http, end, int, MK_E_UNSUPPORTED, struct mk_http_request *, request, bool, whole)

/*
 * Inside the hook, for a request with .upgrade: writes the answer, whose status is 101, and gives the connection, for
 * mk_conn_set().  R stays until the hook returns.  NULL: it is gone.
 */
MK_CALL2(mk_http, upgrade, struct mk_conn *, NULL, struct mk_http_request *, request, const struct mk_http_answer *, a)

/* The first field NAME (lower case) of a request; NULL if absent. */
static inline const char *mk_http_field(const struct mk_http_request *r, const char *name) {
    for (uint32_t i = 0; i < r->field_count; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            return r->fields[i].value;
    return NULL;
}

/* Whether the path is PREFIX, or lies below it; sets .rest. */
static inline bool mk_http_path(struct mk_http_request *r, const char *prefix) {
    size_t len = strlen(prefix);
    while (len && prefix[len - 1] == '/')
        len--;
    if (strncmp(r->path, prefix, len) != 0 || (r->path[len] && r->path[len] != '/'))
        return false;
    r->rest = r->path + len;
    return true;
}

static inline bool mk_http_is(const struct mk_http_request *r, const char *method) {
    return strcmp(r->method, method) == 0;
}

/* An answer of a line of text, or of a document that is text. */
static inline void mk_http_text(struct mk_ctx *c, const struct mk_http *s, struct mk_http_request *r, uint32_t status,
                                const char *type, const char *text) {
    struct mk_http_answer a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.status = status;
    a.type = type;
    a.body.s = text;
    a.body.len = strlen(text);
    (void)mk_http_answer(c, s, r, &a);
}

MK_END_DECLS

#endif
