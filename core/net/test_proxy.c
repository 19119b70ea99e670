/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers, whole and cut at every byte. */
#include "check.h"
#include "net/listener.h"
#include "net/net.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xcb\x00\x71\x07\xc0\x00\x02\x01\xc3\xcb\x14\x66"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x14\x66\x00\x50"
#define TEXT(s) s, sizeof(s) - 1

struct row {
    const char *data;
    size_t len;
    const char *want; /* address; NULL: not known */
};

/* As bytes of their own, so that the sanitizer sees a read behind them. */
static int parse(const char *data, size_t len, struct sockaddr_storage *source, bool *known) {
    char *copy = malloc(len ? len : 1);
    memcpy(copy, data, len);
    int size = proxy_parse(copy, len, source, known);
    free(copy);
    return size;
}

static void accepts(void) {
    static const struct row rows[] = {
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 50123 5222\r\n"), "203.0.113.7:50123" },
        { TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535" },
        { TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 5222 80\r\n"), "[2001:db8::1]:5222" },
        { TEXT("PROXY TCP6 ffff:f:f:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1 65535\r\n"),
          "[ffff:f:f:ffff:ffff:ffff:ffff:ffff]:1" },
        { TEXT("PROXY TCP6 ::ffff:203.0.113.7 ::1 0 0\r\n"), "203.0.113.7:0" },
        { TEXT("PROXY UNKNOWN\r\n"), NULL },
        { TEXT("PROXY UNKNOWN ffff::1 whatever 65535 65535\r\n"), NULL },
        { TEXT(SIGNATURE "\x21\x11\0\x0c" V4), "203.0.113.7:50123" },
        { TEXT(SIGNATURE "\x21\x11\0\x11" V4 "\x04\0\2.."), "203.0.113.7:50123" }, /* with a TLV */
        { TEXT(SIGNATURE "\x21\x21\0\x24" V6), "[2001:db8::1]:5222" },
        { TEXT(SIGNATURE "\x20\x00\0\0"), NULL },
        { TEXT(SIGNATURE "\x20\x11\0\x0c" V4), NULL }, /* LOCAL */
        { TEXT(SIGNATURE "\x21\x00\0\3abc"), NULL },   /* UNSPEC */
        { TEXT(SIGNATURE "\x21\x31\0\4path"), NULL },  /* a local socket of the proxy */
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage source;
        bool known = i % 2;
        for (size_t cut = 0; cut < rows[i].len; cut++)
            CHECK_INT(parse(rows[i].data, cut, &source, &known), 0);
        CHECK_INT(parse(rows[i].data, rows[i].len, &source, &known), rows[i].len);
        CHECK_INT(known, rows[i].want != NULL);
        char address[ADDRESS_MAX];
        if (known) {
            address_format((struct sockaddr *)&source, address);
            CHECK_TEXT(address, rows[i].want);
        }
        char more[256];
        memcpy(more, rows[i].data, rows[i].len);
        memcpy(more + rows[i].len, "\x16\x03\x01", 3);
        CHECK_INT(parse(more, rows[i].len + 3, &source, &known), rows[i].len);
    }
}

static void refuses(void) {
    static const struct row rows[] = {
        { TEXT("<?xml version='1.0'?>"), NULL },
        { TEXT("\x16\x03\x01\x02\x00\x01"), NULL },
        { TEXT("PROXy"), NULL },
        { TEXT("PROXY TCP5"), NULL },
        { TEXT("PROXY UDP4 "), NULL },
        { TEXT("PROXY \r\n"), NULL },
        { TEXT("\r\n\r\nQUIT"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 50123 5222\r "), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 50123 5222 \r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 50123\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 50123 5222 1\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7  192.0.2.1 50123 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 65536 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 050 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 -1 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7 192.0.2.1 123456789012345678 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.256 192.0.2.1 1 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 2001:db8::1 2001:db8::2 5222 80\r\n"), NULL },
        { TEXT("PROXY TCP6 203.0.113.7 192.0.2.1 50123 5222\r\n"), NULL },
        { TEXT("PROXY TCP4 203.0.113.7\0 192.0.2.1 50123 5222\r\n"), NULL },
        { TEXT("PROXY UNKNOWNS\r\n"), NULL },
        { TEXT(SIGNATURE "\x11\x11\0\x0c" V4), NULL }, /* version 1 in binary */
        { TEXT(SIGNATURE "\x22\x11\0\x0c" V4), NULL }, /* no such command */
        { TEXT(SIGNATURE "\x21\x12\0\x0c" V4), NULL }, /* UDP */
        { TEXT(SIGNATURE "\x21\x11\0\x0b" V4), NULL }, /* too short for its family */
        { TEXT(SIGNATURE "\x21\x21\0\x0c" V4), NULL },
        { TEXT(SIGNATURE "\x21\x11\x20\x00" V4), NULL }, /* larger than any we wait for */
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage source;
        bool known;
        if (parse(rows[i].data, rows[i].len, &source, &known) != -1)
            check_fail(__FILE__, __LINE__, "row %u was not refused", i);
    }
}

/* A line that does not end is refused once it is longer than any that may be. */
static void long_line(void) {
    char line[200];
    struct sockaddr_storage source;
    bool known;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    CHECK_INT(parse(line, 106, &source, &known), 0);
    CHECK_INT(parse(line, 107, &source, &known), -1);
    CHECK_INT(parse(line, sizeof line, &source, &known), -1);
    memcpy(line + 105, "\r\n", 2);
    CHECK_INT(parse(line, sizeof line, &source, &known), 107);
    memset(line + 105, 'x', 2);
    memcpy(line + 106, "\r\n", 2);
    CHECK_INT(parse(line, sizeof line, &source, &known), -1);
}

int main(void) {
    return CHECK_RUN(T(accepts), T(refuses), T(long_line));
}
