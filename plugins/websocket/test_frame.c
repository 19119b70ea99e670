/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "frame.h"
#include <stdlib.h>
#include <string.h>

static int read_head(const char *data, size_t len, struct frame *f) {
    return frame_read(data, len, 1000, f);
}
#define READ(text, f) read_head((text), sizeof(text) - 1, (f))

static void reads_frames(void) {
    struct frame f;
    /* RFC 6455, 5.7: a masked "Hello" */
    static const char hello[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    char out[5];
    for (size_t len = 0; len < 6; len++)
        CHECK_INT(read_head(hello, len, &f), 0);
    CHECK_INT(READ(hello, &f), 1);
    CHECK(f.fin && f.op == FRAME_TEXT);
    CHECK_INT(f.head, 6);
    CHECK_INT(f.len, 5);
    CHECK(frame_unmask(&f, hello + f.head, out));
    CHECK_MEM(out, 5, "Hello", 5);
    CHECK_INT(READ("\x01\xfe\x01\x00....", &f), 1);
    CHECK(!f.fin);
    CHECK_INT(f.len, 256);
}

static void tells_ascii(void) {
    struct frame f = { .mask = { 0x81, 0xff, 0x80, 0x7f }, .len = 19 };
    char masked[19], out[19];
    for (size_t odd = 0; odd <= sizeof out; odd++) { /* at each place, and nowhere */
        for (size_t i = 0; i < sizeof out; i++)
            masked[i] = (char)((i == odd ? 0xc3 : 'a') ^ f.mask[i % 4]);
        CHECK_INT(frame_unmask(&f, masked, out), odd == sizeof out);
        CHECK(odd == sizeof out || (unsigned char)out[odd] == 0xc3);
    }
}

static void refuses_frames(void) {
    struct frame f;
    CHECK_INT(READ("\x81\x05", &f), CLOSE_PROTOCOL); /* no mask */
    CHECK_INT(READ("\xc1\x85", &f), CLOSE_PROTOCOL); /* reserved bits */
    CHECK_INT(READ("\xa1\x85", &f), CLOSE_PROTOCOL);
    CHECK_INT(READ("\x91\x85", &f), CLOSE_PROTOCOL);
    CHECK_INT(READ("\x83\x85", &f), CLOSE_PROTOCOL); /* opcodes that are none */
    CHECK_INT(READ("\x8b\x85", &f), CLOSE_PROTOCOL);
    CHECK_INT(READ("\x09\x85", &f), CLOSE_PROTOCOL);         /* a control frame in pieces */
    CHECK_INT(READ("\x89\xfe", &f), CLOSE_PROTOCOL);         /* a large one */
    CHECK_INT(READ("\x81\xfe\x00\x7d", &f), CLOSE_PROTOCOL); /* a length that is longer than it need be */
    CHECK_INT(READ("\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", &f), CLOSE_PROTOCOL);
    CHECK_INT(READ("\x81\xff\x80\x00\x00\x00\x00\x00\xff\xff", &f), CLOSE_PROTOCOL);
    CHECK_INT(READ("\x81\xfe\x03\xe9", &f), CLOSE_TOO_BIG); /* before a byte of it is there */
    CHECK_INT(READ("\x81\xff\x00\x00\x00\x01\x00\x00\x00\x00", &f), CLOSE_TOO_BIG);
}

static void writes_heads(void) {
    char out[FRAME_HEAD_MAX];
    CHECK_MEM(out, frame_head(FRAME_TEXT, 125, out), "\x81\x7d", 2);
    CHECK_MEM(out, frame_head(FRAME_CLOSE, 126, out), "\x88\x7e\x00\x7e", 4);
    CHECK_MEM(out, frame_head(FRAME_TEXT, 65535, out), "\x81\x7e\xff\xff", 4);
    CHECK_MEM(out, frame_head(FRAME_TEXT, 65536, out), "\x81\x7f\0\0\0\0\0\x01\0\0", 10);
}

static void knows_utf8(void) {
    static const char *const good[] = { "",
                                        "plain text of more than eight bytes",
                                        "\xc2\x80",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "a\xc3\xa9" };
    static const char *const bad[] = { "\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "12345678\xc3",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xe2\x82",
                                       "\xe2\x82x",
                                       "\xff" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(frame_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *copy = malloc(strlen(bad[i])); /* so that a sanitizer sees a step too far */
        memcpy(copy, bad[i], strlen(bad[i]));
        CHECK(!frame_is_utf8(copy, strlen(bad[i])));
        free(copy);
    }
}

static void knows_close_codes(void) {
    static const unsigned good[] = { 1000, 1001, 1003, 1007, 1014, 3000, 4999 };
    static const unsigned bad[] = { 0, 999, 1004, 1005, 1006, 1015, 2999, 5000 };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(frame_is_close_code(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!frame_is_close_code(bad[i]));
}

int main(void) {
    return CHECK_RUN(T(reads_frames), T(tells_ascii), T(refuses_frames), T(writes_heads), T(knows_utf8),
                     T(knows_close_codes));
}
