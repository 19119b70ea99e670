/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server sends to meerkat-load by WebSocket, or as answers of HTTP: in pieces it must be cut as it is in one.  The
 * first byte says which of the two it is, and how large the pieces are.
 */
#include "http.h"
#include "wsframe.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };

/* All that was cut, one after the other, each behind what it was. */
struct heard {
    struct buffer all;
    bool wrong;
};

static void note(struct heard *h, uint8_t kind, const char *data, size_t len) {
    uint64_t size = len;
    buffer_add(&h->all, (const char *)&kind, 1);
    buffer_add(&h->all, (const char *)&size, sizeof size);
    if (len)
        buffer_add(&h->all, data, len);
}

static void read_frames(struct ws_reader *r, struct buffer *b, struct heard *h) {
    const char *wrong;
    char *data;
    size_t len;
    int op;
    while ((op = ws_next(r, b, MOST, &data, &len, &wrong)) != WS_MORE) {
        if (data < b->data + b->at || data + len > b->data + b->len || (op == WS_TEXT && data[len] != '\0'))
            abort();
        note(h, (uint8_t)op, data, len);
        ws_took(r, b, op);
    }
    h->wrong = wrong != NULL;
}

static void hear_websocket(const char *data, size_t size, size_t piece, struct heard *h) {
    struct ws_reader r = { 0 };
    struct buffer b = { 0 };
    for (size_t at = 0; at < size && !h->wrong; at += piece) {
        buffer_add(&b, data + at, size - at < piece ? size - at : piece);
        read_frames(&r, &b, h);
    }
    if (r.len > MOST)
        abort();
    buffer_free(&b);
}

/* Answers one behind the other, as on a connection that is kept.  Of fields that go on in another line the parser gives more or
 * fewer spaces as it meets them, so what is in a field is not compared. */
static void hear_http(const char *data, size_t size, size_t piece, struct heard *h) {
    struct http_field fields[] = { { "Upgrade", "" }, { "Sec-WebSocket-Accept", "" } };
    struct http_head head = { .fields = fields, .count = 2 };
    struct buffer in = { 0 }, body = { 0 };
    struct http answer;
    http_begin(&answer, &head, &body, MOST);
    for (size_t at = 0; at < size && !h->wrong; at += piece) {
        buffer_add(&in, data + at, size - at < piece ? size - at : piece);
        do {
            h->wrong = !http_read(&answer, &in);
            if (body.len > MOST || strlen(fields[0].value) >= sizeof fields->value)
                abort();
            if (!answer.whole || h->wrong)
                break;
            note(h, (uint8_t)answer.parser.upgrade, "", 0);
            note(h, (uint8_t)http_keeps_alive(&answer), body.data, body.len);
            buffer_free(&body);
            http_begin(&answer, &head, &body, MOST);
        } while (in.data);
    }
    if (!h->wrong && http_end(&answer))
        note(h, 2, body.data, body.len);
    buffer_free(&in);
    buffer_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct heard whole = { .wrong = false }, pieces = { .wrong = false };
    if (size < 2)
        return 0;
    void (*hear)(const char *, size_t, size_t, struct heard *) = data[0] & 128 ? hear_http : hear_websocket;
    const char *text = (const char *)data + 1;
    hear(text, size - 1, size, &whole);
    hear(text, size - 1, (size_t)(data[0] & 63) + 1, &pieces);
    if (whole.wrong != pieces.wrong || whole.all.len != pieces.all.len ||
        (whole.all.len && memcmp(whole.all.data, pieces.all.data, whole.all.len) != 0))
        abort();
    buffer_free(&whole.all);
    buffer_free(&pieces.all);
    return 0;
}
