/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream in requests of HTTP (XEP-0124, XEP-0206).  One request waits at the server for what that has to say; what the
 * client has to say goes meanwhile in a second one, on a connection of its own.
 */
#include "client.h"
#include "http.h"
#include "worker.h"
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XBOSH "xmlns:xmpp='urn:xmpp:xbosh'"

enum { SLOTS = 2, WAIT = 60 /* seconds that the server may keep a request */, HEAD_MAX = 1400 };

/* One of the connections, and the request that is under way on it. */
struct slot {
    struct conn *conn;
    struct http http;
    struct buffer body;
    uint64_t rid;  /* 0: none is under way */
    char *request; /* until it is answered: where the connection breaks it is sent once more */
    size_t len;
    bool again; /* it was */
};

/* Lives as long as its client: epoll may still name the connection in it when it is closed. */
struct bosh {
    struct conn second;
    struct slot slots[SLOTS];
    struct slot *last; /* that which was used last */
    uint64_t rid;      /* of the last request */
    uint64_t heard;    /* of the last answer that was read */
    char sid[128];
    struct framer framer; /* of the answer that is read */
    char *out;            /* elements that wait for a request */
    size_t out_len, out_cap;
    char condition[64]; /* of the end, which the server told */
    bool restarts, ends, ended;
};

/* ---- what is said ------------------------------------------------------------------------------------------------------ */

static void add(struct bosh *b, const char *data, size_t len) {
    if (b->out_len + len > b->out_cap) {
        b->out_cap = (b->out_len + len) * 3 / 2 + 256;
        b->out = realloc(b->out, b->out_cap);
    }
    memcpy(b->out + b->out_len, data, len);
    b->out_len += len;
}

static void put(struct client *c, const char *element, size_t len) {
    char begin[XML_BEGIN_MAX];
    size_t took = xml_alone(element, len, begin);
    if (took)
        add(c->wire.bosh, begin, strlen(begin));
    add(c->wire.bosh, element + took, len - took);
}

static void header(struct client *c) {
    struct bosh *b = c->wire.bosh;
    uint32_t noise;
    if (b && *b->sid) {
        b->restarts = true;
        return;
    }
    if (!b)
        b = c->wire.bosh = calloc(1, sizeof *b);
    gnutls_rnd(GNUTLS_RND_NONCE, &noise, sizeof noise);
    b->second.fd = -1;
    b->slots[0].conn = &c->conn;
    b->slots[1].conn = &b->second;
    b->rid = b->heard = (uint64_t)noise + 1;
}

static void end(struct client *c) {
    if (c->wire.bosh)
        c->wire.bosh->ends = true;
}

static int under_way(const struct bosh *b) {
    return (b->slots[0].rid != 0) + (b->slots[1].rid != 0);
}

/* Whether there is a reason to ask: something to say, or nothing that waits at the server. */
static bool is_due(const struct bosh *b) {
    if (!*b->sid || b->ended)
        return !b->ended && b->rid == b->heard;
    return under_way(b) == 0 || (under_way(b) < SLOTS && (b->out_len || b->restarts || b->ends));
}

/* In turn, so that none is idle for long; one that is open is better than one that is not. */
static struct slot *free_slot(struct bosh *b) {
    struct slot *last = b->last == &b->slots[1] ? &b->slots[1] : &b->slots[0];
    struct slot *other = last == &b->slots[0] ? &b->slots[1] : &b->slots[0];
    if (last->rid)
        return other->rid ? NULL : other;
    return !other->rid && other->conn->fd >= 0 ? other : last;
}

/* The attributes of the next body. */
static void describe(struct client *c, char *out, size_t size) {
    struct bosh *b = c->wire.bosh;
    const char *domain = c->w->scenario->domain;
    int n = snprintf(out, size, "<body xmlns='http://jabber.org/protocol/httpbind' rid='%" PRIu64 "'", b->rid);
    if (!*b->sid)
        snprintf(out + n, size - (size_t)n,
                 " to='%s' wait='%d' hold='1' ver='1.11' content='text/xml; charset=utf-8' xml:lang='en' " XBOSH
                 " xmpp:version='1.0'",
                 domain, WAIT);
    else if (b->restarts)
        snprintf(out + n, size - (size_t)n, " sid='%s' to='%s' xml:lang='en' " XBOSH " xmpp:restart='true'", b->sid,
                 domain);
    else
        snprintf(out + n, size - (size_t)n, " sid='%s'%s", b->sid, b->ends ? " type='terminate'" : "");
}

/* Makes the request, of what waits. */
static void fill(struct client *c, struct slot *s) {
    static const char tail[] = "</body>";
    struct bosh *b = c->wire.bosh;
    const struct server *to = client_server(c);
    char body[HEAD_MAX / 2], head[HEAD_MAX];
    size_t inner = b->restarts ? 0 : b->out_len;
    b->last = s;
    s->rid = ++b->rid;
    s->again = false;
    describe(c, body, sizeof body);
    int len = snprintf(head, sizeof head,
                       "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %zu\r\n"
                       "\r\n%s>",
                       to->path, to->authority, strlen(body) + 1 + inner + strlen(tail), body);
    s->len = (size_t)len + inner + strlen(tail);
    s->request = malloc(s->len + 1);
    sprintf(s->request, "%s%.*s%s", head, (int)inner, inner ? b->out : "", tail);
    b->out_len -= inner;
    b->ended |= b->ends;
    b->restarts = false;
    if (b->out_len)
        return;
    free(b->out);
    b->out = NULL;
    b->out_cap = 0;
}

static bool send_request(struct client *c, struct slot *s) {
    if (s->conn->fd < 0 && !client_connect(c, s->conn))
        return false;
    http_begin(&s->http, NULL, &s->body, MOST_MESSAGE);
    client_write(c, s->conn, s->request, s->len);
    return true;
}

/* The connection broke, as it does when the server tired of it just now: the same request gets the same answer. */
static bool send_again(struct client *c, struct slot *s) {
    if (s->again || !*c->wire.bosh->sid)
        return false;
    conn_close(s->conn, true);
    buffer_free(&s->body);
    s->again = true;
    return send_request(c, s);
}

static bool flush(struct client *c) {
    struct bosh *b = c->wire.bosh;
    struct slot *s;
    if (!b || !b->rid) /* it is being connected */
        return conn_flush(&c->conn);
    while (is_due(b) && (s = free_slot(b)) != NULL) {
        fill(c, s);
        if (!send_request(c, s))
            return false;
    }
    for (s = b->slots; s < b->slots + SLOTS; s++)
        if (s->conn->fd >= 0 && !conn_flush(s->conn) && !send_again(c, s))
            return false;
    return true;
}

/* ---- what is heard ----------------------------------------------------------------------------------------------------- */

static enum frame bad(char *why, const char *what) {
    snprintf(why, WHY_SIZE, "BOSH: %s", what);
    return FRAME_BAD;
}

static void answered(struct slot *s) {
    free(s->request);
    s->request = NULL;
    if (!http_keeps_alive(&s->http))
        conn_close(s->conn, true);
}

static enum frame hear(struct slot *s, char *why) {
    char status[64];
    if (!s->conn->in.data)
        return FRAME_MORE;
    if (!s->rid || s->http.whole) { /* nobody asked: it says why it goes */
        conn_close(s->conn, true);
        return FRAME_MORE;
    }
    if (!http_read(&s->http, &s->conn->in))
        return bad(why, "the answer is no HTTP, or too large");
    if (s->http.headed && s->http.parser.status_code != HTTP_STATUS_OK) {
        http_status(&s->http, status, sizeof status);
        return bad(why, status);
    }
    if (s->http.whole)
        answered(s);
    return FRAME_MORE;
}

/* The slot whose answer is the next; NULL: it is not there yet.  Those of two connections may come in any order. */
static struct slot *answer_of(struct bosh *b) {
    for (struct slot *s = b->slots; s < b->slots + SLOTS; s++)
        if (s->rid == b->heard + 1 && s->http.whole)
            return s;
    return NULL;
}

static enum frame read_attributes(struct bosh *b, const char *body, char *why) {
    char text[32] = "";
    while ((body = strchr(body, '<')) != NULL && body[1] == '?')
        body++;
    if (!body || !xml_local(body, text, sizeof text) || strcmp(text, "body") != 0)
        return bad(why, "the answer is no <body/>");
    if (xml_attr(body, "type", text, sizeof text)) {
        b->ended = true;
        if (!xml_attr(body, "condition", b->condition, sizeof b->condition))
            snprintf(b->condition, sizeof b->condition, "%s", strcmp(text, "terminate") == 0 ? "" : text);
        return FRAME_HEADER;
    }
    if (!*b->sid && !xml_attr(body, "sid", b->sid, sizeof b->sid)) {
        *b->sid = '\0';
        return bad(why, "the answer names no session");
    }
    if (xml_attr(body, "hold", text, sizeof text) && strcmp(text, "0") == 0)
        return bad(why, "the server keeps no request until it has something to say");
    return FRAME_HEADER;
}

static void forget_answer(struct bosh *b, struct slot *s) {
    buffer_free(&s->body);
    s->rid = 0;
    b->framer = (struct framer){ 0 };
    b->heard++;
}

static enum frame next(struct client *c, char **stanza, char *why) {
    struct bosh *b = c->wire.bosh;
    struct slot *s;
    if (!b || !b->rid)
        return FRAME_MORE;
    for (s = b->slots; s < b->slots + SLOTS; s++)
        if (hear(s, why) == FRAME_BAD)
            return FRAME_BAD;
    while ((s = answer_of(b)) != NULL) {
        bool is_begin = s->body.scanned == 0;
        enum frame got = framer_next(&b->framer, &s->body, stanza);
        if (got == FRAME_STANZA)
            return got;
        if (got == FRAME_MORE || got == FRAME_BAD)
            return bad(why, "the answer is no <body/>");
        if (is_begin && read_attributes(b, *stanza, why) == FRAME_BAD)
            return FRAME_BAD;
        buffer_took(&s->body, s->body.scanned);
        if (got == FRAME_HEADER)
            continue;
        forget_answer(b, s);
        if (b->ended)
            return *b->condition ? bad(why, b->condition) : FRAME_END;
    }
    return FRAME_MORE;
}

static void took(struct client *c) {
    struct slot *s = answer_of(c->wire.bosh);
    if (s)
        buffer_took(&s->body, s->body.scanned);
}

static bool down(struct client *c, struct conn *conn, char *why) {
    struct bosh *b = c->wire.bosh;
    if (!b || !b->rid || conn->connecting || conn->handshaking)
        return false;
    struct slot *s = conn == &b->second ? &b->slots[1] : &b->slots[0];
    bool waits = s->rid && !s->http.whole;
    if (waits && http_end(&s->http)) {
        answered(s);
        waits = false;
    }
    if (waits && !send_again(c, s)) {
        bad(why, "connection closed before an answer");
        return false;
    }
    if (!waits)
        conn_close(conn, true);
    return true;
}

static void close_all(struct client *c, bool abrupt) {
    struct bosh *b = c->wire.bosh;
    conn_close(&c->conn, abrupt);
    if (!b)
        return;
    conn_close(&b->second, abrupt);
    for (struct slot *s = b->slots; s < b->slots + SLOTS; s++) {
        buffer_free(&s->body);
        free(s->request);
    }
    free(b->out);
    *b = (struct bosh){ .second.fd = -1 };
}

const struct way way_bosh = { header, put, flush, next, took, down, end, close_all };
