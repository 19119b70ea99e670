/* SPDX-License-Identifier: Apache-2.0 */
/* A request that was read whole: what it is for, and who takes it. */
#include "client.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; false if an escape is none, or stands for NUL. */
static bool decode(char *text) {
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        int high = hex(in[1]), low = high < 0 ? -1 : hex(in[2]);
        if (low < 0 || !(high | low))
            return false;
        *out++ = (char)(high << 4 | low);
        in += 2;
    }
    *out = '\0';
    return true;
}

/* Takes "." and ".." segments away; false if there is nothing to go up from. */
static bool resolve(char *path) {
    char *out = path;
    for (const char *in = path; *in;) {
        size_t len = 1 + strcspn(in + 1, "/");
        bool dot = len == 2 && in[1] == '.', up = len == 3 && in[1] == '.' && in[2] == '.';
        if (up && out == path)
            return false;
        if (up)
            do
                out--;
            while (*out != '/');
        else if (!dot) {
            memmove(out, in, len);
            out += len;
        }
        in += len;
        if ((dot || up) && !*in)
            *out++ = '/';
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
    return true;
}

static bool is_utf8(const char *s) {
    while (*s) {
        unsigned char b = (unsigned char)*s++;
        int more = b < 0x80                ? 0
                   : b >= 0xc2 && b < 0xe0 ? 1
                   : b >= 0xe0 && b < 0xf0 ? 2
                   : b >= 0xf0 && b < 0xf5 ? 3
                                           : -1;
        if (more < 0)
            return false;
        while (more--)
            if ((*s++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* Target "/path?query" or "http://host/path?query"; cut in place. */
static bool read_target(struct request *q, char *target, const char **authority) {
    char *path = target;
    q->r.query = "";
    *authority = NULL;
    if (strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0) {
        char *name = strchr(target, ':') + 3;
        path = name + strcspn(name, "/?");
        *authority = name;
    } else if (strcmp(target, "*") == 0) {
        q->r.path = target;
        return mk_http_is(&q->r, "OPTIONS");
    } else if (*target != '/') {
        return false;
    }
    char *query = strchr(path, '?');
    if (query) {
        *query = '\0';
        q->r.query = query + 1;
    }
    if (*authority) { /* moves where the scheme was, so that it can be ended */
        memmove(target, *authority, (size_t)(path - *authority));
        target[path - *authority] = '\0';
        *authority = target;
    }
    q->r.path = *path ? path : "/";
    if (!*path)
        return true;
    return decode(path) && resolve(path) && is_utf8(path);
}

/* The name without its port, lower case, in place; false if it is none. */
static bool read_host(char *host) {
    char *end = host + (*host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":"));
    size_t len = strlen(host);
    if (len > 255 || end > host + len || (*end && *end != ':'))
        return false;
    if (*end && strspn(end + 1, "0123456789") != strlen(end + 1))
        return false;
    *end = '\0';
    for (char *p = host; *p; p++) {
        if ((unsigned char)*p <= ' ' || strchr("/\\@?#\"<>", *p))
            return false;
        *p = (char)tolower((unsigned char)*p);
    }
    return true;
}

/* RFC 9110, 5.6.2; the parser lets a space pass. */
static bool is_token(const char *name) {
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *p))
            return false;
    return *name;
}

/* Fields of the client become those of the request: names in lower case, values trimmed. */
static bool read_fields(struct request *q, struct client *cl) {
    struct mk_http_field *fields = mk_malloc((cl->field_count + 1) * sizeof *fields);
    for (uint32_t i = 0; i < cl->field_count; i++) {
        char *name = q->texts + cl->fields[i].name;
        char *value = cl->fields[i].value ? q->texts + cl->fields[i].value : name + strlen(name);
        for (char *p = name; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        for (size_t len = strlen(value); len && (value[len - 1] == ' ' || value[len - 1] == '\t');)
            value[--len] = '\0';
        fields[i] = (struct mk_http_field){ name, value };
    }
    q->r.fields = fields;
    for (uint32_t i = 0; i < cl->field_count; i++)
        if (!is_token(fields[q->r.field_count++].name))
            return false;
    return true;
}

static unsigned count_of(const struct mk_http_request *r, const char *name) {
    unsigned count = 0;
    for (uint32_t i = 0; i < r->field_count; i++)
        count += strcmp(r->fields[i].name, name) == 0;
    return count;
}

static char *copy(const char *text) {
    return strcpy(mk_malloc(strlen(text) + 1), text);
}

static bool fill(struct mk_ctx *c, struct request *q, struct client *cl) {
    const struct http_config *me = mk_inst(c);
    const char *authority;
    if (!read_fields(q, cl) || !read_target(q, q->texts, &authority))
        return false;
    const char *host = authority ? authority : mk_http_field(&q->r, "host");
    if (count_of(&q->r, "host") > 1 || (!host && q->minor > 0) || (host && !read_host(q->host = copy(host))))
        return false;
    q->r.host = q->host ? q->host : "";
    q->r.authority = host ? host : "";
    q->r.origin = mk_http_field(&q->r, "origin");
    q->r.secure = mk_conn_is_secure(cl->conn);
    q->r.address = proxies_address(c, me, cl, &q->r, &q->r.secure);
    return true;
}

struct request *request_new(struct mk_ctx *c, struct client *cl) {
    struct request *q = mk_malloc(sizeof *q);
    q->client = cl;
    q->worker = mk_worker_here(c);
    q->minor = (uint8_t)cl->parser.http_minor;
    q->keeps = http_should_keep_alive(&cl->parser) && !cl->parser.upgrade;
    q->since_ms = mk_now_ms(c);
    q->r.method = http_method_str((enum http_method)cl->parser.method);
    q->r.upgrade = cl->parser.upgrade && cl->parser.method == HTTP_GET;
    q->texts = cl->head.data;
    cl->head = (struct bytes){ NULL, 0, 0 };
    q->r.body = (struct mk_view){ cl->body.data, cl->body.len };
    cl->body = (struct bytes){ NULL, 0, 0 };
    q->pending = cl->pending;
    cl->pending = 0;
    if (*q->texts && cl->parser.method != HTTP_CONNECT && fill(c, q, cl))
        return q;
    cl->wrong = cl->parser.method == HTTP_CONNECT ? 405 : 400;
    request_free(c, q);
    return NULL;
}

void request_free(struct mk_ctx *c, struct request *q) {
    if (c)
        ((struct http_worker *)mk_worker(c))->pending -= q->pending;
    mk_free((void *)q->r.fields);
    mk_free((void *)q->r.body.s);
    mk_free((void *)q->r.address);
    mk_free(q->host);
    mk_free(q->texts);
    mk_free(q);
}

/* ---- who takes it ---------------------------------------------------------------------------------------------------- */

struct run {
    struct request *q;
    struct client *client;
    bool taken;
};

static void in_host(struct mk_ctx *c, void *arg) {
    struct run *run = arg;
    struct mk_ev_http ev = { &run->q->r };
    run->taken = mk_run_http_request(c, &ev);
}

static struct mk_view view(const char *text) {
    return (struct mk_view){ text, text ? strlen(text) : 0 };
}

void request_run(struct mk_ctx *c, struct request *q) {
    const struct http_config *me = mk_inst(c);
    struct run run = { q, q->client, false };
    if (!*q->r.host || mk_in_host(c, view(q->r.host), in_host, &run) != MK_OK)
        if (mk_in_host(c, view(me->default_host), in_host, &run) != MK_OK)
            mk_log(c, MK_WARNING, "the host %s of option default_host is not served", me->default_host);
    if (run.taken) {
        if (run.client->upgraded)
            request_free(c, q);
    } else if (strcmp(q->r.path, "*") == 0) {
        answer_simple(c, q, 204);
    } else if (!files_take(c, q)) {
        answer_simple(c, q, 404);
    }
}
