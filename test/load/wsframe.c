/* SPDX-License-Identifier: Apache-2.0 */
#include "wsframe.h"
#include <string.h>

size_t ws_head(uint8_t op, size_t len, const uint8_t mask[WS_MASK_LEN], char out[WS_HEAD_MAX]) {
    unsigned more = len > UINT16_MAX ? 8 : len > WS_CONTROL_MAX ? 2 : 0;
    out[0] = (char)(0x80 | op);
    out[1] = (char)(0x80 | (more == 8 ? 127 : more ? 126 : len));
    for (unsigned i = 0; i < more; i++)
        out[2 + i] = (char)((uint64_t)len >> (8 * (more - 1 - i)));
    memcpy(out + 2 + more, mask, WS_MASK_LEN);
    return 2 + more + WS_MASK_LEN;
}

void ws_mask(char *out, const char *data, size_t len, const uint8_t mask[WS_MASK_LEN]) {
    for (size_t i = 0; i < len; i++)
        out[i] = (char)((uint8_t)data[i] ^ mask[i % WS_MASK_LEN]);
}

/* ---- what comes ---------------------------------------------------------------------------------------------------------- */

struct head {
    uint8_t op;
    bool is_last;
    size_t size; /* of itself */
    uint64_t len;
};

static uint64_t read_number(const char *data, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | (uint8_t)data[i];
    return value;
}

/* False: it is not whole. */
static bool read_head(const char *data, size_t len, struct head *h) {
    if (len < 2)
        return false;
    uint8_t small = (uint8_t)data[1] & 0x7f;
    unsigned more = small == 127 ? 8 : small == 126 ? 2 : 0;
    h->op = (uint8_t)data[0] & 0x0f;
    h->is_last = (uint8_t)data[0] & 0x80;
    h->size = 2 + more;
    if (len < h->size)
        return false;
    h->len = more ? read_number(data + 2, more) : small;
    return true;
}

/* What can be seen of it before the rest is there. */
static const char *fault_of(const struct ws_reader *r, const struct head *h, const char *data, size_t most) {
    bool is_control = h->op & 8;
    if (data[0] & 0x70)
        return "a frame with reserved bits";
    if ((uint8_t)data[1] & 0x80)
        return "a frame with a mask";
    if (h->op > WS_PONG || (h->op > WS_BINARY && !is_control))
        return "a frame of an unknown kind";
    if (is_control)
        return !h->is_last || h->len > WS_CONTROL_MAX ? "a control frame that is long or in pieces" : NULL;
    if (h->op == WS_BINARY)
        return "a binary message";
    if ((h->op == WS_MORE) != r->in_pieces)
        return "a message whose pieces are out of order";
    return h->len > most || r->len + h->len > most ? "a message that is too large" : NULL;
}

/* A piece goes to the end of those before it; the first needs no move. */
static void join(struct ws_reader *r, struct buffer *b, const struct head *h) {
    char *from = b->data + b->scanned + h->size;
    b->scanned += h->size + h->len;
    if (!r->in_pieces)
        b->at = (size_t)(from - b->data);
    else
        memmove(b->data + b->at + r->len, from, h->len);
    r->len += h->len;
    r->in_pieces = !h->is_last;
}

/* What lies between a message's pieces: a server may send any number of pings there. */
static void squeeze(const struct ws_reader *r, struct buffer *b) {
    enum { WORTH = 4096 };
    size_t end = b->at + r->len, waste = b->scanned - end;
    if (!r->in_pieces || waste < WORTH)
        return;
    memmove(b->data + end, b->data + b->scanned, b->len - b->scanned);
    b->len -= waste;
    b->scanned = end;
}

int ws_next(struct ws_reader *r, struct buffer *b, size_t most, char **data, size_t *len, const char **wrong) {
    struct head h;
    *wrong = NULL;
    squeeze(r, b);
    while (b->data && b->len - b->scanned >= 2) {
        const char *at = b->data + b->scanned;
        size_t there = b->len - b->scanned;
        bool seen = read_head(at, there, &h);
        if (seen)
            *wrong = fault_of(r, &h, at, most);
        if (!seen || *wrong || there - h.size < h.len)
            return WS_MORE;
        if (h.op & 8) {
            *data = b->data + b->scanned + h.size;
            *len = h.len;
            b->scanned += h.size + h.len;
            return h.op;
        }
        join(r, b, &h);
        if (!r->in_pieces) {
            *len = r->len;
            *data = buffer_hold(b, b->at + r->len);
            return WS_TEXT;
        }
    }
    return WS_MORE;
}

void ws_took(struct ws_reader *r, struct buffer *b, int op) {
    if (op == WS_TEXT) {
        buffer_took(b, b->at + r->len);
        r->len = 0;
    } else if (!r->in_pieces) {
        buffer_skip(b, b->scanned);
    }
}
