/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a WebSocket (RFC 6455), as a client writes and reads them. */
#ifndef WSFRAME_H
#define WSFRAME_H

#include "buffer.h"
#include <stdbool.h>
#include <stdint.h>

enum { WS_MORE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum { WS_HEAD_MAX = 14, WS_MASK_LEN = 4, WS_CONTROL_MAX = 125 };

/* The head of a frame of LEN bytes that is whole, at OUT.  Returns its size. */
size_t ws_head(uint8_t op, size_t len, const uint8_t mask[WS_MASK_LEN], char out[WS_HEAD_MAX]);
void ws_mask(char *out, const char *data, size_t len, const uint8_t mask[WS_MASK_LEN]);

/* Of the messages that come: what is there of one that came in pieces. */
struct ws_reader {
    size_t len;
    bool in_pieces;
};

/*
 * The next that is whole in B: WS_TEXT, a message, put together where it lies; WS_CLOSE, WS_PING or WS_PONG; WS_MORE: none
 * is.  It stands from B->AT, or for the last three at *DATA, and has *LEN bytes, until ws_took().  NULL in WRONG: all is
 * well; else it says what is not.  MOST: bytes of a message.
 */
int ws_next(struct ws_reader *r, struct buffer *b, size_t most, char **data, size_t *len, const char **wrong);
void ws_took(struct ws_reader *r, struct buffer *b, int op);

#endif
