/* SPDX-License-Identifier: Apache-2.0 */
/* What a client hears by BOSH. */
#include "bosh.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum frame bosh_next(struct client *c, char **stanza, char *why) {
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

void bosh_took(struct client *c) {
    struct slot *s = answer_of(c->wire.bosh);
    if (s)
        buffer_took(&s->body, s->body.scanned);
}

bool bosh_down(struct client *c, struct conn *conn, char *why) {
    struct bosh *b = c->wire.bosh;
    if (!b || !b->rid || conn->connecting || conn->handshaking)
        return false;
    struct slot *s = conn == &b->second ? &b->slots[1] : &b->slots[0];
    bool waits = s->rid && !s->http.whole;
    if (waits && http_end(&s->http)) {
        answered(s);
        waits = false;
    }
    if (waits && !bosh_send_again(c, s)) {
        bad(why, "connection closed before an answer");
        return false;
    }
    if (!waits)
        conn_close(conn, true);
    return true;
}
