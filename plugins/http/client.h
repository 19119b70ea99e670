/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the http plugin: connections, their requests, answers. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <http_parser.h>
#include <meerkat/http.h>
#include <meerkat/plugin.h>
#include <meerkat/work.h>

struct http_config {
    const char *default_host;
    struct mk_texts trusted_proxies, cors_origins, files;
    int64_t max_head, max_body, max_pending, request_timeout, keep_alive;
    bool access_log;
    struct network *networks; /* of .trusted_proxies; OWNED */
    struct folder *folders;   /* of .files; OWNED */
};

struct http_worker {
    size_t pending; /* bytes of requests, of each those above PENDING_FREE */
};
enum { PENDING_FREE = 4096 };

enum { M_REQUESTS, M_ERRORS, M_TIMEOUTS, M_REFUSED, M_SENT };

/* Bytes that grow; mk_malloc'd. */
struct bytes {
    char *data;
    size_t len, cap;
};
void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_puts(struct bytes *b, const char *text);
void bytes_free(struct bytes *b);

/* A header as it was read: offsets in .head of the client. */
struct head_field {
    uint32_t name, value;
};

enum { FIELDS_MAX = 100 };

struct client {
    struct mk_conn *conn;
    struct mk_alarm *alarm;
    http_parser parser;
    struct bytes head, body; /* head: the target, then names and values, each ended by NUL */
    struct head_field *fields;
    uint32_t field_count;
    uint32_t wrong; /* status that refuses what is being read; 0: none yet */
    size_t pending; /* what it has of the worker's */
    bool in_value, in_body, complete, begun;
    bool in_input;         /* the loop over the input will see to it */
    bool ending;           /* closes when it has answered */
    bool upgraded;         /* the connection is somebody else's */
    struct request *waits; /* being answered; its connection gives no input meanwhile */
};

struct request {
    struct mk_http_request r; /* first */
    struct client *client;    /* NULL: the client is gone */
    unsigned worker;
    uint8_t minor; /* of HTTP/1 */
    bool keeps;    /* the connection, after the answer */
    bool chunked;
    uint32_t status;
    uint64_t sent; /* bytes of the body */
    int64_t since_ms;
    void (*ready)(struct mk_ctx *c, struct mk_http_request *r, void *arg);
    void *arg;
    size_t pending; /* what it has of its worker's */
    char *texts;    /* what R points to */
    char *host;     /* OWNED */
};

/* client.c */
void client_accepted(struct mk_ctx *c, struct mk_conn *conn);
extern const struct mk_conn_handlers client_handlers;
/* The request has its answer, all of it written. */
void client_answered(struct mk_ctx *c, struct client *cl, bool keeps);

/* request.c */
struct request *request_new(struct mk_ctx *c, struct client *cl); /* NULL: cl->wrong says why */
void request_run(struct mk_ctx *c, struct request *q);
void request_free(struct mk_ctx *c, struct request *q); /* C is NULL: the server stops */

/* answer.c: the interface */
extern const struct mk_http_ops http_ops;
void answer_refuse(struct mk_ctx *c, struct client *cl, uint32_t status); /* before there is a request */
void answer_simple(struct mk_ctx *c, struct request *q, uint32_t status);
const char *status_text(uint32_t status);

/* proxies.c */
bool proxies_parse(struct http_config *me, struct mk_err *err);
/* Who sent the request, and whether its way was secure, if the peer is trusted to say so. */
const char *proxies_address(struct mk_ctx *c, const struct http_config *me, const struct client *cl,
                            const struct mk_http_request *r, bool *secure);

/* files.c */
bool files_parse(struct http_config *me, struct mk_err *err);
bool files_take(struct mk_ctx *c, struct request *q); /* false: the path is in no folder */

#endif
