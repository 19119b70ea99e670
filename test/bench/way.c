/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How streams travel, as a client speaks it.  By BOSH a peer has one request under way at most, and says what it has to
 * say in the one that it would have asked with anyhow: no client does with fewer.
 */
#include "bench.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XBOSH "xmlns:xmpp='urn:xmpp:xbosh'"

enum { OUT_MAX = 256 * 1024, HEAD_MAX = 640 };

static char out[OUT_MAX]; /* what was put */
static size_t out_len;

static char *room(size_t len) {
    if (len > sizeof out - out_len)
        fail("more than %zu bytes in one write", sizeof out);
    out_len += len;
    return out + out_len - len;
}

/* ---- what is said ---------------------------------------------------------------------------------------------------- */

static void put_frame(const char *data, size_t len) {
    static const unsigned char mask[4] = { 0x5a, 0x0f, 0xc3, 0x99 };
    unsigned char head[8] = { 0x81, (unsigned char)(0x80 | (len < 126 ? len : 126)) };
    size_t size = 2;
    if (len >= 126) {
        head[size++] = (unsigned char)(len >> 8);
        head[size++] = (unsigned char)len;
    }
    memcpy(head + size, mask, 4);
    memcpy(room(size + 4), head, size + 4);
    char *at = room(len);
    for (size_t i = 0; i < len; i++)
        at[i] = (char)((unsigned char)data[i] ^ mask[i % 4]);
}

static bool is_stanza(const char *xml, size_t name) {
    static const char *const names[] = { "<iq", "<message", "<presence" };
    for (unsigned i = 0; i < 3; i++)
        if (strlen(names[i]) == name && memcmp(xml, names[i], name) == 0)
            return true;
    return false;
}

/* What the header of a stream says for all stanzas, each says elsewhere. */
void peer_put(struct peer *p, const char *xml, size_t len) {
    char text[3072];
    size_t name = strcspn(xml, " />");
    if (p->way != BY_TCP && is_stanza(xml, name)) {
        len = (size_t)snprintf(text, sizeof text, "%.*s xmlns='jabber:client'%.*s", (int)name, xml, (int)(len - name),
                               xml + name);
        xml = text;
    }
    if (p->way == BY_WEBSOCKET)
        put_frame(xml, len);
    else
        memcpy(room(len), xml, len);
}

/* Posts what was put. */
static void ask(struct peer *p, const char *attributes) {
    static char whole[OUT_MAX + 2 * HEAD_MAX];
    char body[HEAD_MAX];
    if (p->is_asking)
        fail("connection %d: a second request", p->index);
    p->is_asking = true;
    snprintf(body, sizeof body, "<body xmlns='http://jabber.org/protocol/httpbind' rid='%u'%s>", ++p->rid, attributes);
    int len = snprintf(whole, sizeof whole,
                       "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml; charset=utf-8\r\n"
                       "Content-Length: %zu\r\n\r\n%s%.*s</body>",
                       strlen(body) + out_len + strlen("</body>"), body, (int)out_len, out);
    peer_write(p, whole, (size_t)len);
    out_len = 0;
}

static void ask_more(struct peer *p) {
    char sid[96];
    snprintf(sid, sizeof sid, " sid='%s'", p->sid);
    ask(p, sid);
}

void peer_flush(struct peer *p) {
    if (p->way == BY_BOSH) {
        ask_more(p);
        return;
    }
    peer_write(p, out, out_len);
    out_len = 0;
}

void peer_listen(struct peer *p) {
    if (p->way == BY_BOSH && !p->is_asking)
        ask_more(p);
}

void peer_say(struct peer *p, const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    peer_put(p, text, (size_t)len);
    peer_flush(p);
}

void peer_header(struct peer *p, const char *domain) {
    char text[HEAD_MAX / 2];
    if (p->way == BY_TCP) {
        peer_say(p,
                 "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='%s' "
                 "version='1.0'>",
                 domain);
    } else if (p->way == BY_WEBSOCKET) {
        peer_say(p, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='%s' version='1.0'/>", domain);
    } else if (*p->sid) {
        snprintf(text, sizeof text, " sid='%s' to='%s' " XBOSH " xmpp:restart='true'", p->sid, domain);
        ask(p, text);
    } else {
        snprintf(text, sizeof text, " to='%s' wait='60' hold='1' ver='1.6' " XBOSH " xmpp:version='1.0'", domain);
        ask(p, text);
    }
}

bool way_open(struct peer *p) {
    static const char request[] = "GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n";
    if (p->way == BY_WEBSOCKET)
        peer_write(p, request, sizeof request - 1);
    return p->way != BY_WEBSOCKET;
}

/* ---- what is heard --------------------------------------------------------------------------------------------------- */

/* Bytes of the head of HTTP at DATA, 0: it is not whole. */
static size_t head_len(const char *data, size_t len) {
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

static size_t take_handshake(struct peer *p, const char *data, size_t len, arrived_fn *arrived) {
    static const char good[] = "HTTP/1.1 101";
    size_t head = head_len(data, len);
    if (!head)
        return 0;
    if (strncmp(data, good, sizeof good - 1) != 0)
        fail("no WebSocket: %.*s", (int)head, data);
    p->is_open = true;
    arrived(p);
    return head;
}

static size_t take_frame(struct peer *p, const unsigned char *data, size_t len) {
    size_t head = len < 2 ? 2 : data[1] == 127 ? 10 : data[1] == 126 ? 4 : 2, size = 0;
    if (len < head)
        return 0;
    if (data[0] != 0x81 || head == 10)
        fail("connection %d: a frame that is not awaited: %02x %02x", p->index, data[0], data[1]);
    size = head == 4 ? (size_t)data[2] << 8 | data[3] : data[1];
    if (len - head < size)
        return 0;
    peer_take(p, (const char *)data + head, size);
    return head + size;
}

static void take_body(struct peer *p, const char *body, size_t len) {
    static const char end[] = "</body>";
    const char *inner = memchr(body, '>', len), *sid = memmem(body, len, " sid='", 6);
    if (!inner || len < sizeof end || memmem(body, len, "type='terminate'", 16))
        fail("connection %d: %.*s", p->index, (int)len, body);
    if (!*p->sid && sid)
        sscanf(sid, " sid='%63[^']", p->sid);
    inner++;
    if (len - (size_t)(inner - body) > sizeof end - 1)
        peer_take(p, inner, len - (size_t)(inner - body) - (sizeof end - 1));
}

static size_t take_answer(struct peer *p, const char *data, size_t len) {
    static const char good[] = "HTTP/1.1 200", length[] = "\r\nContent-Length: ";
    size_t head = head_len(data, len), size;
    if (!head)
        return 0;
    const char *at = memmem(data, head, length, sizeof length - 1);
    if (!at || strncmp(data, good, sizeof good - 1) != 0)
        fail("no BOSH: %.*s", (int)head, data);
    size = strtoul(at + sizeof length - 1, NULL, 10);
    if (len - head < size)
        return 0;
    p->is_asking = false;
    take_body(p, data + head, size);
    return head + size;
}

void way_input(struct peer *p, const char *data, size_t len, arrived_fn *arrived) {
    size_t used, took = 0;
    if (p->way == BY_TCP) {
        peer_take(p, data, len);
        arrived(p);
        return;
    }
    p->raw = realloc(p->raw, p->raw_len + len + 1);
    memcpy(p->raw + p->raw_len, data, len);
    p->raw_len += len;
    do {
        const char *at = p->raw + took;
        size_t left = p->raw_len - took;
        used = p->way == BY_BOSH ? take_answer(p, at, left)
               : p->is_open      ? take_frame(p, (const unsigned char *)at, left)
                                 : take_handshake(p, at, left, arrived);
        took += used;
    } while (used);
    p->raw_len -= took;
    memmove(p->raw, p->raw + took, p->raw_len);
    if (p->in_len)
        arrived(p);
}
