/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says by BOSH. */
#include "bosh.h"
#include "worker.h"
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XBOSH "xmlns:xmpp='urn:xmpp:xbosh'"

enum { WAIT = 60 /* seconds that the server may keep a request */, HEAD_MAX = 1400 };

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
    int len =
        snprintf(head, sizeof head,
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

bool bosh_send_again(struct client *c, struct slot *s) {
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
        if (s->conn->fd >= 0 && !conn_flush(s->conn) && !bosh_send_again(c, s))
            return false;
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

const struct way way_bosh = { header, put, flush, bosh_next, bosh_took, bosh_down, end, close_all };
