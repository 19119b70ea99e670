/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: the interface `http`.  An answer is made where its author is, and written where the connection is. */
#include "client.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { QUEUE_MAX = 256 * 1024 }; /* bytes of a streamed answer that wait for the client */

const char *status_text(uint32_t status) {
    static const struct {
        uint32_t status;
        const char *text;
    } texts[] = {
        { 101, "Switching Protocols" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Other";
}

/* ---- heads --------------------------------------------------------------------------------------------------------- */

static void add_field(struct bytes *b, const char *name, const char *value) {
    bytes_puts(b, name);
    bytes_puts(b, ": ");
    bytes_puts(b, value);
    bytes_puts(b, "\r\n");
}

static void add_status(struct bytes *b, uint32_t status) {
    char text[96];
    struct tm tm;
    time_t now = time(NULL);
    snprintf(text, sizeof text, "HTTP/1.1 %u %s\r\n", status, status_text(status));
    bytes_puts(b, text);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    add_field(b, "Date", text);
}

static void add_number(struct bytes *b, const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    add_field(b, name, text);
}

static bool is_allowed(const struct mk_texts *origins, const char *origin, bool *any) {
    bool allowed = false;
    for (uint32_t i = 0; i < origins->count; i++) {
        *any |= strcmp(origins->items[i], "*") == 0;
        allowed |= strcasecmp(origins->items[i], origin) == 0;
    }
    return allowed || *any;
}

/* The Fetch standard: what a page may know, and what it may ask. */
static void add_cors(struct bytes *b, const struct http_config *me, const struct request *q,
                     const struct mk_http_answer *a) {
    bool any = false;
    const char *wanted = mk_http_field(&q->r, "access-control-request-headers");
    bool allowed = is_allowed(&me->cors_origins, q->r.origin ? q->r.origin : "", &any);
    if (!any)
        add_field(b, "Vary", "Origin");
    if (!allowed || (!any && !q->r.origin))
        return;
    add_field(b, "Access-Control-Allow-Origin", any ? "*" : q->r.origin);
    if (!mk_http_is(&q->r, "OPTIONS") || !a->methods)
        return;
    add_field(b, "Access-Control-Allow-Methods", a->methods);
    add_field(b, "Access-Control-Allow-Headers", wanted ? wanted : "Content-Type");
    add_field(b, "Access-Control-Max-Age", "86400");
}

static bool is_clean(const char *text) {
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' && *text != '\t')
            return false;
    return true;
}

static bool is_sound(const struct mk_http_answer *a) {
    bool clean = is_clean(a->type) && is_clean(a->methods) && a->status >= 100 && a->status < 600;
    for (uint32_t i = 0; i < a->field_count; i++)
        clean &= is_clean(a->fields[i].name) && is_clean(a->fields[i].value) && *a->fields[i].name;
    return clean;
}

/* All of the head but what says how long the body is. */
static void add_head(struct bytes *b, const struct http_config *me, struct request *q, const struct mk_http_answer *a) {
    add_status(b, a->status);
    if (a->type)
        add_field(b, "Content-Type", a->type);
    if (a->cors)
        add_cors(b, me, q, a);
    if (a->methods && (a->status == 405 || mk_http_is(&q->r, "OPTIONS")))
        add_field(b, "Allow", a->methods);
    for (uint32_t i = 0; i < a->field_count; i++)
        add_field(b, a->fields[i].name, a->fields[i].value);
    q->status = a->status;
    q->keeps &= !a->close;
    if (a->status != 101)
        add_field(b, "Connection", q->keeps ? "keep-alive" : "close");
}

static bool has_body(const struct request *q, uint32_t status) {
    return status >= 200 && status != 204 && status != 304 && !mk_http_is(&q->r, "HEAD");
}

/* ---- the end of a request ------------------------------------------------------------------------------------------ */

static void log_access(struct mk_ctx *c, const struct http_config *me, const struct request *q) {
    if (q->status >= 400)
        mk_count(c, M_ERRORS, 1);
    mk_count(c, M_SENT, (int64_t)q->sent);
    if (me->access_log)
        mk_log(c, MK_INFO, "%s %s %s: %u, %llu bytes in %lld ms", q->r.address, q->r.method, q->r.path, q->status,
               (unsigned long long)q->sent, (long long)(mk_now_ms(c) - q->since_ms));
}

static void over(struct mk_ctx *c, struct request *q) {
    log_access(c, mk_inst(c), q);
    if (q->client)
        client_answered(c, q->client, q->keeps);
    request_free(c, q);
}

struct posted {
    struct request *q;
    struct bytes bytes;
};

/* On the worker of the connection. */
static void write_posted(struct mk_ctx *c, void *arg) {
    struct posted *p = arg;
    if (c && p->q->client)
        mk_conn_write(p->q->client->conn, p->bytes.data, p->bytes.len);
    if (c)
        over(c, p->q);
    else
        request_free(NULL, p->q);
    bytes_free(&p->bytes);
    mk_free(p);
}

static int answer(struct mk_ctx *c, struct mk_http_request *r, const struct mk_http_answer *a) {
    struct request *q = (struct request *)r;
    struct posted *p = mk_malloc(sizeof *p);
    static const struct mk_http_answer wrong = { .size = sizeof wrong, .status = 500 };
    bool sound = is_sound(a);
    if (!sound)
        a = &wrong;
    add_head(&p->bytes, mk_inst(c), q, a);
    if (a->status >= 200 && a->status != 204)
        add_number(&p->bytes, "Content-Length", a->body.len);
    bytes_puts(&p->bytes, "\r\n");
    if (has_body(q, a->status)) {
        bytes_add(&p->bytes, a->body.s, a->body.len);
        q->sent = a->body.len;
    }
    p->q = q;
    if (q->worker == mk_worker_here(c))
        write_posted(c, p);
    else
        mk_post(c, q->worker, write_posted, p);
    return sound ? MK_OK : MK_E_INVALID;
}

void answer_simple(struct mk_ctx *c, struct request *q, uint32_t status) {
    char text[64];
    int len = snprintf(text, sizeof text, "%u %s\n", status, status_text(status));
    const struct mk_http_answer a = {
        .size = sizeof a, .status = status, .type = "text/plain; charset=utf-8", .body = { text, (size_t)len }
    };
    answer(c, &q->r, &a);
}

void answer_refuse(struct mk_ctx *c, struct client *cl, uint32_t status) {
    struct bytes b = { NULL, 0, 0 };
    mk_count(c, M_REFUSED, 1);
    add_status(&b, status);
    bytes_puts(&b, "Connection: close\r\nContent-Length: 0\r\n\r\n");
    mk_conn_write(cl->conn, b.data, b.len);
    bytes_free(&b);
}

/* ---- in pieces ----------------------------------------------------------------------------------------------------- */

static int queued(struct mk_ctx *c, struct request *q) {
    const struct http_config *me = mk_inst(c);
    if (!q->client)
        return MK_E_CANCELLED;
    mk_alarm_set(q->client->alarm, (uint32_t)me->keep_alive);
    return mk_conn_queued(q->client->conn) > QUEUE_MAX ? MK_E_LIMIT : MK_OK;
}

static int more(struct mk_ctx *c, struct mk_http_request *r, struct mk_view data) {
    struct request *q = (struct request *)r;
    char size[24];
    if (!q->client || !data.len || !has_body(q, q->status))
        return queued(c, q);
    snprintf(size, sizeof size, "%zx\r\n", data.len);
    if (q->chunked)
        mk_conn_write(q->client->conn, size, strlen(size));
    mk_conn_write(q->client->conn, data.s, data.len);
    if (q->chunked)
        mk_conn_write(q->client->conn, "\r\n", 2);
    q->sent += data.len;
    return queued(c, q);
}

static int begin(struct mk_ctx *c, struct mk_http_request *r, const struct mk_http_answer *a) {
    struct request *q = (struct request *)r;
    struct bytes b = { NULL, 0, 0 };
    if (!is_sound(a) || q->worker != mk_worker_here(c))
        return MK_E_INVALID;
    q->chunked = q->minor > 0 && !a->length && has_body(q, a->status);
    q->keeps &= q->chunked || a->length || !has_body(q, a->status);
    q->ready = a->ready;
    q->arg = a->arg;
    add_head(&b, mk_inst(c), q, a);
    if (q->chunked)
        add_field(&b, "Transfer-Encoding", "chunked");
    else if (a->length)
        add_number(&b, "Content-Length", a->length);
    bytes_puts(&b, "\r\n");
    if (q->client)
        mk_conn_write(q->client->conn, b.data, b.len);
    bytes_free(&b);
    return more(c, r, a->body);
}

static int finish(struct mk_ctx *c, struct mk_http_request *r, bool whole) {
    struct request *q = (struct request *)r;
    q->ready = NULL;
    q->keeps &= whole;
    if (q->client && q->chunked && whole)
        mk_conn_write(q->client->conn, "0\r\n\r\n", 5);
    over(c, q);
    return MK_OK;
}

/* ---- another protocol ---------------------------------------------------------------------------------------------- */

static struct mk_conn *upgrade(struct mk_ctx *c, struct mk_http_request *r, const struct mk_http_answer *a) {
    struct request *q = (struct request *)r;
    struct bytes b = { NULL, 0, 0 };
    if (!q->client || !r->upgrade || !is_sound(a) || !q->client->in_input)
        return NULL;
    add_head(&b, mk_inst(c), q, a);
    bytes_puts(&b, "\r\n");
    struct client *cl = q->client;
    mk_conn_write(cl->conn, b.data, b.len);
    bytes_free(&b);
    log_access(c, mk_inst(c), q);
    cl->upgraded = true;
    cl->waits = NULL;
    q->client = NULL;
    return cl->conn;
}

const struct mk_http_ops http_ops = { sizeof http_ops, 0, answer, begin, more, finish, upgrade };
