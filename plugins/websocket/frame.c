/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include <string.h>

static uint64_t read_number(const char *data, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)data[i];
    return value;
}

static bool is_known(uint8_t op) {
    return op <= FRAME_BINARY || (op >= FRAME_CLOSE && op <= FRAME_PONG);
}

/* Each length has one form, the shortest; all is checked as soon as it can be seen. */
int frame_read(const char *data, size_t len, size_t max, struct frame *f) {
    if (len < 2)
        return 0;
    uint8_t first = (uint8_t)data[0], second = (uint8_t)data[1], small = second & 0x7f;
    unsigned more = small == 127 ? 8 : small == 126 ? 2 : 0;
    bool control = first & 8;
    f->op = first & 0x0f;
    f->fin = first & 0x80;
    if (first & 0x70 || !is_known(f->op) || !(second & 0x80) || (control && (!f->fin || small > CONTROL_MAX)))
        return CLOSE_PROTOCOL;
    f->head = 2 + more + 4;
    if (len < 2 + more)
        return 0;
    uint64_t size = more ? read_number(data + 2, more) : small;
    if ((more == 2 && size < 126) || (more == 8 && (size <= UINT16_MAX || size >> 63)))
        return CLOSE_PROTOCOL;
    if (!control && size > max)
        return CLOSE_TOO_BIG;
    if (len < f->head)
        return 0;
    memcpy(f->mask, data + f->head - 4, 4);
    f->len = (size_t)size;
    return 1;
}

bool frame_unmask(const struct frame *f, const char *data, char *out) {
    const uint64_t high = 0x8080808080808080u;
    uint64_t mask, word, seen = 0;
    size_t i = 0;
    memcpy(&mask, f->mask, 4);
    memcpy((char *)&mask + 4, f->mask, 4);
    for (; i + 8 <= f->len; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= mask;
        seen |= word;
        memcpy(out + i, &word, 8);
    }
    for (; i < f->len; i++) {
        out[i] = (char)((uint8_t)data[i] ^ f->mask[i % 4]);
        seen |= (uint8_t)out[i];
    }
    return !(seen & high);
}

size_t frame_head(uint8_t op, size_t len, char out[FRAME_HEAD_MAX]) {
    unsigned more = len > UINT16_MAX ? 8 : len > CONTROL_MAX ? 2 : 0;
    out[0] = (char)(0x80 | op);
    out[1] = (char)(more == 8 ? 127 : more ? 126 : len);
    for (unsigned i = 0; i < more; i++)
        out[2 + i] = (char)((uint64_t)len >> (8 * (more - 1 - i)));
    return 2 + more;
}

/* Continuation bytes behind a first byte, and the least and greatest that the first of them may be: no surrogates, no
 * overlong forms, nothing above U+10FFFF. */
static int follow(uint8_t b, uint8_t *least, uint8_t *most) {
    *least = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
    *most = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
    return b < 0xc2 ? -1 : b < 0xe0 ? 1 : b < 0xf0 ? 2 : b < 0xf5 ? 3 : -1;
}

bool frame_is_utf8(const char *text, size_t len) {
    const uint64_t high = 0x8080808080808080u;
    for (size_t i = 0; i < len;) {
        uint64_t word;
        uint8_t least, most;
        if (i + 8 <= len && (memcpy(&word, text + i, 8), !(word & high))) {
            i += 8;
            continue;
        }
        uint8_t b = (uint8_t)text[i++];
        if (b < 0x80)
            continue;
        int more = follow(b, &least, &most);
        if (more < 0 || (size_t)more > len - i || (uint8_t)text[i] < least || (uint8_t)text[i] > most)
            return false;
        for (i++; --more; i++)
            if (((uint8_t)text[i] & 0xc0) != 0x80)
                return false;
    }
    return true;
}

bool frame_is_close_code(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code < 5000);
}
