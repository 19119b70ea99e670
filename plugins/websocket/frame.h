/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of RFC 6455, section 5, as a server reads and writes them. */
#ifndef WEBSOCKET_FRAME_H
#define WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_op { FRAME_MORE = 0, FRAME_TEXT = 1, FRAME_BINARY = 2, FRAME_CLOSE = 8, FRAME_PING = 9, FRAME_PONG = 10 };

/* Reasons of a close frame: section 7.4.1. */
enum close_code {
    CLOSE_NORMAL = 1000,
    CLOSE_AWAY = 1001,
    CLOSE_PROTOCOL = 1002,
    CLOSE_UNSUPPORTED = 1003,
    CLOSE_UTF8 = 1007,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_BIG = 1009
};

enum { FRAME_HEAD_MAX = 14, CONTROL_MAX = 125 };

struct frame {
    uint8_t op;
    bool fin;
    uint8_t mask[4];
    size_t head, len; /* bytes of the head, and behind it of the payload */
};

/* Reads the head of a client's frame whose payload may have MAX bytes.  0: the buffer ends inside of it; 1: F is filled,
 * the payload may still be missing; else the close code that refuses it. */
int frame_read(const char *data, size_t len, size_t max, struct frame *f);

/* The payload of F at DATA, unmasked, to OUT.  Returns whether it is ASCII, which needs no look at its UTF-8. */
bool frame_unmask(const struct frame *f, const char *data, char *out);

/* Writes the head of a frame of ours with LEN bytes; returns how long it is. */
size_t frame_head(uint8_t op, size_t len, char out[FRAME_HEAD_MAX]);

bool frame_is_utf8(const char *text, size_t len);
bool frame_is_close_code(unsigned code); /* one that may be sent */

#endif
