/* SPDX-License-Identifier: Apache-2.0 */
/* A stream in a WebSocket (RFC 7395): an element a message. */
#include "client.h"
#include "http.h"
#include "worker.h"
#include "wsframe.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_FRAMING "urn:ietf:params:xml:ns:xmpp-framing"

enum { NORMAL = 1000, KEY_SIZE = 32 };
enum { FIELD_UPGRADE, FIELD_ACCEPT, FIELD_PROTOCOL, FIELDS };

/* Until the server has agreed. */
struct hello {
    struct http http;
    struct http_head head;
    struct http_field fields[FIELDS];
    struct buffer body;
    char accept[KEY_SIZE];
};

struct websocket {
    struct hello *hello;
    struct ws_reader reader;
    bool is_open;
};

/* ---- what is said ------------------------------------------------------------------------------------------------------ */

static void put_frame(struct client *c, uint8_t op, const char *before, size_t before_len, const char *data,
                      size_t len) {
    char head[WS_HEAD_MAX];
    uint8_t mask[WS_MASK_LEN], turned[WS_MASK_LEN];
    gnutls_rnd(GNUTLS_RND_NONCE, mask, sizeof mask);
    size_t size = ws_head(op, before_len + len, mask, head);
    char *room = client_room(c, &c->conn, size + before_len + len);
    if (!room)
        return;
    memcpy(room, head, size);
    ws_mask(room + size, before, before_len, mask);
    for (unsigned i = 0; i < WS_MASK_LEN; i++)
        turned[i] = mask[(before_len + i) % WS_MASK_LEN];
    ws_mask(room + size + before_len, data, len, turned);
}

static void put(struct client *c, const char *element, size_t len) {
    char begin[XML_BEGIN_MAX];
    size_t took = xml_alone(element, len, begin);
    put_frame(c, WS_TEXT, begin, strlen(begin), element + took, len - took);
}

static void to_base64(const void *data, unsigned len, char out[KEY_SIZE]) {
    gnutls_datum_t in = { (void *)data, len }, text;
    *out = '\0';
    if (gnutls_base64_encode2(&in, &text) != 0)
        return;
    snprintf(out, KEY_SIZE, "%.*s", (int)text.size, text.data);
    gnutls_free(text.data);
}

static void say_hello(struct client *c) {
    const struct server *to = client_server(c);
    struct hello *h = c->wire.websocket->hello = calloc(1, sizeof *h);
    uint8_t noise[16], digest[20];
    char key[KEY_SIZE], text[800];
    h->fields[FIELD_UPGRADE].name = "Upgrade";
    h->fields[FIELD_ACCEPT].name = "Sec-WebSocket-Accept";
    h->fields[FIELD_PROTOCOL].name = "Sec-WebSocket-Protocol";
    h->head = (struct http_head){ .fields = h->fields, .count = FIELDS };
    http_begin(&h->http, &h->head, &h->body, MOST_MESSAGE);
    gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof noise);
    to_base64(noise, sizeof noise, key);
    snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest);
    to_base64(digest, sizeof digest, h->accept);
    int len =
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
                 to->path, to->authority, key);
    client_write(c, &c->conn, text, (size_t)len);
}

static void open_stream(struct client *c) {
    char text[300];
    int len =
        snprintf(text, sizeof text, "<open xmlns='" NS_FRAMING "' to='%s' version='1.0'/>", c->w->scenario->domain);
    put(c, text, (size_t)len);
}

static void header(struct client *c) {
    if (!c->wire.websocket)
        c->wire.websocket = calloc(1, sizeof *c->wire.websocket);
    if (c->wire.websocket->is_open)
        open_stream(c);
    else
        say_hello(c);
}

static bool flush(struct client *c) {
    return conn_flush(&c->conn);
}

static void end(struct client *c) {
    static const char element[] = "<close xmlns='" NS_FRAMING "'/>", code[] = { NORMAL >> 8, NORMAL & 0xff };
    if (!c->wire.websocket || !c->wire.websocket->is_open)
        return;
    put(c, element, sizeof element - 1);
    put_frame(c, WS_CLOSE, code, sizeof code, "", 0);
}

/* ---- what is heard ----------------------------------------------------------------------------------------------------- */

static enum frame bad(char *why, const char *what) {
    snprintf(why, WHY_SIZE, "WebSocket: %s", what);
    return FRAME_BAD;
}

/* FRAME_HEADER: the server has agreed. */
static enum frame hear_hello(struct client *c, char *why) {
    struct hello *h = c->wire.websocket->hello;
    char status[64];
    if (!http_read(&h->http, &c->conn.in))
        return bad(why, "the answer is no HTTP");
    if (!h->http.headed)
        return FRAME_MORE;
    http_status(&h->http, status, sizeof status);
    if (h->http.parser.status_code != HTTP_STATUS_SWITCHING_PROTOCOLS)
        return bad(why, status);
    if (!h->http.parser.upgrade || strcasecmp(h->fields[FIELD_UPGRADE].value, "websocket") != 0)
        return bad(why, "the server switches to another protocol");
    if (strcmp(h->fields[FIELD_ACCEPT].value, h->accept) != 0)
        return bad(why, "Sec-WebSocket-Accept is wrong");
    if (strcasecmp(h->fields[FIELD_PROTOCOL].value, "xmpp") != 0)
        return bad(why, "the server has not agreed to the subprotocol xmpp");
    return FRAME_HEADER;
}

static void forget_hello(struct websocket *ws) {
    if (ws->hello)
        buffer_free(&ws->hello->body);
    free(ws->hello);
    ws->hello = NULL;
}

/* A message is one element.  The names of those that open and close a stream are no stanza's. */
static enum frame kind_of(char *message, size_t len, char *why) {
    struct framer inside = { .depth = 1 };
    size_t at = 0;
    char name[64];
    if (framer_scan(&inside, message, len, &at) != FRAME_STANZA || strspn(message + at, " \t\r\n") != len - at)
        return bad(why, "a message that is not one element");
    if (!xml_local(message, name, sizeof name))
        return FRAME_STANZA;
    return strcmp(name, "open") == 0 ? FRAME_HEADER : strcmp(name, "close") == 0 ? FRAME_END : FRAME_STANZA;
}

static enum frame hear_close(struct client *c, const char *data, size_t len, char *why) {
    char what[48] = "closed";
    put_frame(c, WS_CLOSE, data, len >= 2 ? 2 : 0, "", 0);
    flush(c);
    if (len >= 2)
        snprintf(what, sizeof what, "closed with %u", (unsigned)(uint8_t)data[0] << 8 | (uint8_t)data[1]);
    return bad(why, what);
}

static enum frame next(struct client *c, char **stanza, char *why) {
    struct websocket *ws = c->wire.websocket;
    const char *wrong;
    size_t len;
    int op;
    if (ws && ws->hello) {
        enum frame got = hear_hello(c, why);
        if (got != FRAME_HEADER)
            return got;
        forget_hello(ws);
        ws->is_open = true;
        open_stream(c);
    }
    if (!ws || !ws->is_open)
        return FRAME_MORE;
    while ((op = ws_next(&ws->reader, &c->conn.in, MOST_MESSAGE, stanza, &len, &wrong)) != WS_MORE) {
        if (op == WS_TEXT)
            return kind_of(*stanza, len, why);
        if (op == WS_CLOSE)
            return hear_close(c, *stanza, len, why);
        if (op == WS_PING)
            put_frame(c, WS_PONG, *stanza, len, "", 0);
        ws_took(&ws->reader, &c->conn.in, op);
    }
    return wrong ? bad(why, wrong) : FRAME_MORE;
}

static void took(struct client *c) {
    ws_took(&c->wire.websocket->reader, &c->conn.in, WS_TEXT);
}

static bool down(struct client *c, struct conn *conn, char *why) {
    (void)conn;
    if (c->wire.websocket && c->wire.websocket->hello)
        bad(why, "connection closed before an answer");
    return false;
}

static void close_all(struct client *c, bool abrupt) {
    struct websocket *ws = c->wire.websocket;
    conn_close(&c->conn, abrupt);
    if (!ws)
        return;
    forget_hello(ws);
    *ws = (struct websocket){ .hello = NULL };
}

const struct way way_websocket = { header, put, flush, next, took, down, end, close_all };
