/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: its bytes go through the parser until a request is whole, then it gives no more until that is answered.
 * So answers come in the order of requests, however the client pipelines them.
 */
#include "client.h"
#include <string.h>

static const struct http_parser_settings settings;

/* Memory of requests, whole or not, is bounded for all connections of a worker together. */
static void set_pending(struct mk_ctx *c, struct client *cl, size_t bytes) {
    struct http_worker *w = mk_worker(c);
    w->pending += bytes - cl->pending;
    cl->pending = bytes;
}

/* A request that is alone is always taken. */
static bool is_too_much(struct mk_ctx *c, const struct client *cl) {
    const struct http_config *me = mk_inst(c);
    size_t all = ((const struct http_worker *)mk_worker(c))->pending;
    return me->max_pending && cl->pending && all > cl->pending && all > (uint64_t)me->max_pending / mk_worker_count(c);
}

static void begin_request(struct mk_ctx *c, struct client *cl) {
    set_pending(c, cl, 0);
    http_parser_init(&cl->parser, HTTP_REQUEST);
    cl->parser.data = cl;
    bytes_free(&cl->head);
    bytes_free(&cl->body);
    mk_free(cl->fields);
    cl->fields = NULL;
    cl->field_count = cl->wrong = 0;
    cl->in_value = cl->in_body = cl->complete = cl->begun = false;
}

static void client_free(struct mk_ctx *c, struct client *cl) {
    begin_request(c, cl);
    mk_alarm_free(cl->alarm);
    if (cl->waits)
        cl->waits->client = NULL;
    mk_free(cl);
}

static void end(struct mk_ctx *c, struct client *cl) {
    mk_conn_close(cl->conn);
    client_free(c, cl);
}

/* Nobody waits for us: the client was slow, or has nothing more to ask. */
static void on_alarm(struct mk_ctx *c, void *arg) {
    struct client *cl = arg;
    struct request *q = cl->waits;
    if (cl->begun)
        mk_count(c, M_TIMEOUTS, 1);
    if (cl->begun && !q)
        answer_refuse(c, cl, 408);
    end(c, cl);
    if (q && q->ready)
        q->ready(c, &q->r, q->arg);
}

void client_accepted(struct mk_ctx *c, struct mk_conn *conn) {
    const struct http_config *me = mk_inst(c);
    struct client *cl = mk_malloc(sizeof *cl);
    cl->conn = conn;
    cl->alarm = mk_alarm_new(c, on_alarm, cl);
    mk_alarm_set(cl->alarm, (uint32_t)me->request_timeout);
    begin_request(c, cl);
    mk_conn_set(c, conn, &client_handlers, cl);
}

/*
 * ---- the parser's callbacks: non-zero stops it ----
 *
 * Fields behind a body in chunks are read and forgotten: nobody asked for them, and as headers they would come too late
 * to be checked (RFC 9110, 6.5.1).
 */

static struct client *of(http_parser *p) {
    return p->data;
}

static int refuse(struct client *cl, uint32_t status) {
    cl->wrong = status;
    return 1;
}

static int on_url(http_parser *p, const char *at, size_t len) {
    bytes_add(&of(p)->head, at, len);
    return 0;
}

static int on_name(http_parser *p, const char *at, size_t len) {
    struct client *cl = of(p);
    if (cl->in_body)
        return 0;
    if (cl->in_value || !cl->field_count) {
        if (cl->field_count == FIELDS_MAX)
            return refuse(cl, 431);
        if (!cl->fields)
            cl->fields = mk_malloc(FIELDS_MAX * sizeof *cl->fields);
        bytes_add(&cl->head, "", 1);
        cl->fields[cl->field_count++] = (struct head_field){ (uint32_t)cl->head.len, 0 };
        cl->in_value = false;
    }
    bytes_add(&cl->head, at, len);
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len) {
    struct client *cl = of(p);
    if (cl->in_body)
        return 0;
    if (!cl->in_value) {
        bytes_add(&cl->head, "", 1);
        cl->fields[cl->field_count - 1].value = (uint32_t)cl->head.len;
        cl->in_value = true;
    }
    bytes_add(&cl->head, at, len);
    return 0;
}

static int on_headers(http_parser *p) {
    struct client *cl = of(p);
    bytes_add(&cl->head, "", 1);
    cl->in_body = true;
    if (p->http_major != 1)
        return refuse(cl, 505);
    if (p->upgrade && p->flags & F_CONTENTLENGTH && p->content_length)
        return refuse(cl, 400); /* where its body ends is then a matter of taste */
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len) {
    bytes_add(&of(p)->body, at, len);
    return 0;
}

static int on_complete(http_parser *p) {
    of(p)->complete = true;
    http_parser_pause(p, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- input ------------------------------------------------------------------------------------------------------------- */

/* In pieces, so that a limit is met near where it lies. */
enum { PIECE = 1024 };

static bool within_limits(struct mk_ctx *c, const struct http_config *me, struct client *cl) {
    const http_parser *p = &cl->parser;
    size_t held = cl->head.cap + cl->body.cap;
    set_pending(c, cl, held > PENDING_FREE ? held - PENDING_FREE : 0);
    if (!cl->wrong && cl->head.len > (size_t)me->max_head)
        cl->wrong = cl->field_count && cl->fields[0].name <= (size_t)me->max_head ? 431 : 414;
    if (!cl->wrong &&
        (cl->body.len > (size_t)me->max_body || (p->flags & F_CONTENTLENGTH && p->content_length != UINT64_MAX &&
                                                 p->content_length + cl->body.len > (uint64_t)me->max_body)))
        cl->wrong = 413;
    if (!cl->wrong && is_too_much(c, cl))
        cl->wrong = 503;
    return !cl->wrong;
}

/* Reads on in the request; returns how much of the data that took. */
static size_t parse(struct mk_ctx *c, const struct http_config *me, struct client *cl, const char *data, size_t len) {
    size_t done = 0;
    while (done < len && !cl->complete && !cl->wrong) {
        size_t piece = len - done < PIECE ? len - done : PIECE;
        size_t took = http_parser_execute(&cl->parser, &settings, data + done, piece);
        done += took;
        enum http_errno e = HTTP_PARSER_ERRNO(&cl->parser);
        if (e == HPE_HEADER_OVERFLOW)
            cl->wrong = 431;
        else if (!cl->wrong && e != HPE_OK && e != HPE_PAUSED)
            cl->wrong = e == HPE_INVALID_METHOD ? 501 : e == HPE_INVALID_VERSION ? 505 : 400;
        if (!within_limits(c, me, cl))
            break;
    }
    return done;
}

/* A client that waits for a word before it sends the body; it is told once, before the body has begun. */
static void encourage(struct client *cl) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (cl->complete || cl->wrong || cl->body.len || !cl->in_body)
        return;
    for (uint32_t i = 0; i < cl->field_count; i++) {
        const struct head_field *f = &cl->fields[i];
        if (f->value && strcasecmp(cl->head.data + f->name, "expect") == 0 &&
            strcasecmp(cl->head.data + f->value, "100-continue") == 0) {
            mk_conn_write(cl->conn, go_on, sizeof go_on - 1);
            cl->head.data[f->name] = '-'; /* once */
        }
    }
}

/* False: the client is gone, or its connection is not ours any more. */
static bool take_request(struct mk_ctx *c, struct client *cl) {
    struct request *q = request_new(c, cl);
    if (!q) {
        answer_refuse(c, cl, cl->wrong);
        return false;
    }
    mk_count(c, M_REQUESTS, 1);
    cl->waits = q;
    mk_alarm_stop(cl->alarm);
    request_run(c, q);
    return !cl->ending && !cl->upgraded;
}

static size_t on_input(struct mk_ctx *c, struct mk_conn *conn, const char *data, size_t len) {
    const struct http_config *me = mk_inst(c);
    struct client *cl = mk_conn_user(conn);
    size_t done = 0;
    bool goes_on = true;
    cl->in_input = true;
    while (goes_on && !cl->waits && done < len) {
        if (!cl->begun)
            mk_alarm_set(cl->alarm, (uint32_t)me->request_timeout);
        cl->begun = true;
        done += parse(c, me, cl, data + done, len - done);
        if (cl->wrong) {
            answer_refuse(c, cl, cl->wrong);
            goes_on = false;
        } else if (cl->complete) {
            goes_on = take_request(c, cl);
        } else {
            encourage(cl);
        }
    }
    cl->in_input = false;
    if (cl->upgraded)
        client_free(c, cl);
    else if (!goes_on)
        end(c, cl);
    else if (cl->waits)
        mk_conn_pause(conn);
    return done;
}

void client_answered(struct mk_ctx *c, struct client *cl, bool keeps) {
    const struct http_config *me = mk_inst(c);
    cl->waits = NULL;
    cl->ending = !keeps;
    if (keeps) {
        begin_request(c, cl);
        mk_alarm_set(cl->alarm, (uint32_t)me->keep_alive);
        mk_conn_resume(cl->conn);
    } else if (!cl->in_input) {
        end(c, cl);
    }
}

static void on_closed(struct mk_ctx *c, struct mk_conn *conn) {
    struct client *cl = mk_conn_user(conn);
    struct request *q = cl->waits;
    client_free(c, cl);
    if (q && q->ready)
        q->ready(c, &q->r, q->arg);
}

static void on_drained(struct mk_ctx *c, struct mk_conn *conn) {
    struct client *cl = mk_conn_user(conn);
    if (cl->waits && cl->waits->ready)
        cl->waits->ready(c, &cl->waits->r, cl->waits->arg);
}

const struct mk_conn_handlers client_handlers = { sizeof client_handlers, 0, on_input, on_closed, on_drained };
