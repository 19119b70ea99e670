/* SPDX-License-Identifier: Apache-2.0 */
/* A stream over TCP (RFC 6120). */
#include "client.h"
#include "worker.h"
#include <stdio.h>

static void header(struct client *c) {
    char text[400];
    c->wire.framer = (struct framer){ 0 };
    int len = snprintf(text, sizeof text,
                       "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                       "xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>",
                       c->w->scenario->domain);
    client_write(c, &c->conn, text, (size_t)len);
}

static void put(struct client *c, const char *element, size_t len) {
    client_write(c, &c->conn, element, len);
}

static bool flush(struct client *c) {
    return conn_flush(&c->conn);
}

static enum frame next(struct client *c, char **stanza, char *why) {
    /* What stands before TLS is over with it. */
    if (c->conn.handshaking)
        return FRAME_MORE;
    enum frame got = framer_next(&c->wire.framer, &c->conn.in, stanza);
    if (got == FRAME_BAD)
        snprintf(why, WHY_SIZE, "the server sent what is no XMPP");
    return got;
}

static void took(struct client *c) {
    buffer_took(&c->conn.in, c->conn.in.scanned);
}

static bool down(struct client *c, struct conn *conn, char *why) {
    (void)c;
    (void)conn;
    (void)why;
    return false;
}

static void end(struct client *c) {
    static const char tag[] = "</stream:stream>";
    client_write(c, &c->conn, tag, sizeof tag - 1);
}

static void close_all(struct client *c, bool abrupt) {
    conn_close(&c->conn, abrupt);
}

const struct way way_tcp = { header, put, flush, next, took, down, end, close_all };
