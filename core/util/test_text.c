/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "util/mem.h"
#include "util/text.h"

static void buffers_grow(void) {
    struct buf b = { 0 };
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "%d,", i);
    buf_puts(&b, "end");
    buf_add(&b, "\0x", 2);
    CHECK_INT(b.len, 10 * 2 + 90 * 3 + 3 + 2);
    CHECK(memcmp(b.data, "0,1,2,", 6) == 0);
    CHECK(memcmp(b.data + b.len - 5, "end\0x", 6) == 0); /* and the NUL behind it */
    buf_free(&b);
    CHECK(!b.data);
}

static void memory_helpers(void) {
    char *copy = xmemdup("abc", 2), *text = xstrdup("text"), *zero = xcalloc(2, 2);
    CHECK_TEXT(copy, "ab");
    CHECK_TEXT(text, "text");
    CHECK_MEM(zero, 4, "\0\0\0\0", 4);
    copy = xrealloc(copy, 100);
    CHECK_TEXT(copy, "ab");
    free(copy);
    free(text);
    free(zero);
}

/* RFC 4648, section 10. */
static const char *const base64_pairs[][2] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
};

static void base64_both_ways(void) {
    for (size_t i = 0; i < sizeof base64_pairs / sizeof base64_pairs[0]; i++) {
        const char *plain = base64_pairs[i][0], *coded = base64_pairs[i][1];
        char out[16];
        CHECK_INT(base64_encode(out, plain, strlen(plain)), strlen(coded));
        CHECK_TEXT(out, coded);
        ssize_t len = base64_decode(out, coded, strlen(coded));
        CHECK_MEM(out, (size_t)len, plain, strlen(plain));
    }
    unsigned char all[256];
    char text[345], back[258];
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)(i * 7);
    CHECK_INT(base64_encode(text, all, 256), 344);
    CHECK_INT(base64_decode(back, text, 344), 256);
    CHECK(memcmp(all, back, 256) == 0);
}

static void base64_refuses(void) {
    static const char *const bad[] = { "Zg",     "Zg=",  "Zg===", "Z===", "====", "Zg==Zg==", "Zm 9",
                                       "Zm9v\n", "Zh==", "Zm9=",  "Zm-_", "Zm=v", "=m9v",     "\xc3\xa4==" };
    char out[16];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(base64_decode(out, bad[i], strlen(bad[i])), -1);
}

static void hex(void) {
    char out[9];
    hex_encode(out, "\x00\x7f\xab\xff", 4);
    CHECK_TEXT(out, "007fabff");
}

static void utf8(void) {
    static const char *const good[] = { "",
                                        "plain ascii, longer than a word",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "eight by\xc3\xa4 and on\xe2\x99\x9a" };
    static const char *const bad[] = { "\x80",
                                       "\xbf",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xed\xbf\xbf",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "\xe2\x99",
                                       "\xc3x",
                                       "01234567\xc3" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(utf8_valid(good[i], strlen(good[i])) && utf8_valid_xml(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!utf8_valid(bad[i], strlen(bad[i])) && !utf8_valid_xml(bad[i], strlen(bad[i])));
    CHECK(!utf8_valid("a\0b", 3));
    CHECK(!utf8_valid("\0\0\0\0\0\0\0\0", 8));
    CHECK(!utf8_valid("\xc3\xa4", 1));
}

static void utf8_of_xml(void) {
    CHECK(utf8_valid("\x01 \xef\xbf\xbe \xef\xbf\xbf", 9));
    CHECK(!utf8_valid_xml("\x01", 1));
    CHECK(!utf8_valid_xml("0123456\x1f", 8));
    CHECK(!utf8_valid_xml("\xef\xbf\xbe", 3));
    CHECK(!utf8_valid_xml("\xef\xbf\xbf", 3));
    CHECK(utf8_valid_xml("\t\r\n\x7f\xef\xbf\xbd", 7));
}

static void nearest(void) {
    static const char *const names[] = { "listeners", "plugins", "storage", "hosts", "log" };
#define NEAREST(name) nearest_name(name, names, sizeof names / sizeof names[0])
    CHECK_TEXT(NEAREST("listners"), "listeners");
    CHECK_TEXT(NEAREST("sotrage"), "storage");
    CHECK_TEXT(NEAREST("host"), "hosts");
    CHECK_TEXT(NEAREST("Plugins"), "plugins");
    CHECK_TEXT(NEAREST("lgo"), "log");
    CHECK_TEXT(NEAREST("port"), NULL);
    CHECK_TEXT(NEAREST("something"), NULL);
    CHECK_TEXT(NEAREST(""), NULL);
    CHECK_TEXT(NEAREST("a_name_that_is_far_longer_than_any_option_could_ever_be_in_here"), NULL);
}

static void secrets(void) {
    CHECK(equal_secret("abcd", "abcd", 4));
    CHECK(!equal_secret("abcd", "abce", 4));
    CHECK(!equal_secret("xbcd", "abcd", 4));
    CHECK(equal_secret("a", "b", 0));
}

int main(void) {
    return CHECK_RUN(T(buffers_grow), T(memory_helpers), T(base64_both_ways), T(base64_refuses), T(hex), T(utf8),
                     T(utf8_of_xml), T(nearest), T(secrets));
}
