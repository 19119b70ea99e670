/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "framer.h"
#include "http.h"
#include "url.h"
#include "wsframe.h"

enum { MOST = 100000 };

/* ---- frames of a WebSocket --------------------------------------------------------------------------------------------- */

static void heads_are_as_in_the_rfc(void) {
    static const uint8_t mask[] = { 0x37, 0xfa, 0x21, 0x3d };
    static const struct {
        size_t len;
        const char *head;
        size_t size;
    } heads[] = {
        { 5, "\x81\x85", 2 },
        { 125, "\x81\xfd", 2 },
        { 126, "\x81\xfe\x00\x7e", 4 },
        { 65535, "\x81\xfe\xff\xff", 4 },
        { 65536, "\x81\xff\0\0\0\0\0\1\0\0", 10 },
    };
    char out[WS_HEAD_MAX], text[5];
    for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t size = ws_head(WS_TEXT, heads[i].len, mask, out);
        CHECK_MEM(out, size - 4, heads[i].head, heads[i].size);
        CHECK_MEM(out + size - 4, 4, (const char *)mask, 4);
    }
    ws_mask(text, "Hello", 5, mask);
    CHECK_MEM(text, 5, "\x7f\x9f\x4d\x51\x58", 5);
}

static void add_frame(struct buffer *b, int first, const char *data, size_t len) {
    char head[10] = { (char)first, (char)(len < 126 ? len : len < 65536 ? 126 : 127) };
    size_t more = len < 126 ? 0 : len < 65536 ? 2 : 8;
    for (size_t i = 0; i < more; i++)
        head[2 + i] = (char)((uint64_t)len >> 8 * (more - 1 - i));
    buffer_add(b, head, 2 + more);
    buffer_add(b, data, len);
}

static const struct {
    int first;
    const char *data;
    size_t repeat;
} frames[] = { { 0x81, "<a/>", 1 },  { 0x01, "<mes", 1 }, { 0x89, "1", 1 },       { 0x00, "", 1 },
               { 0x00, "sage/", 1 }, { 0x8a, "", 1 },     { 0x80, ">", 1 },       { 0x81, "", 1 },
               { 0x01, "", 1 },      { 0x80, "<b/>", 1 }, { 0x81, "<c/>", 1000 }, { 0x01, "x", 40000 },
               { 0x89, "2", 100 },   { 0x80, "y", 99 },   { 0x81, "z", 70000 },   { 0x88, "\x03\xe8", 1 } };

/* What came out of the frames, each as its kind, its length and its ends. */
static void note(char *out, size_t size, int op, const char *data, size_t len) {
    size_t n = strlen(out);
    snprintf(out + n, size - n, "%d:%zu:%.*s%c ", op, len, (int)(len < 12 ? len : 3), data, len ? data[len - 1] : '-');
}

static const char heard[] = "1:4:<a/>> 9:1:11 10:0:- 1:10:<message/>> 1:0:- 1:4:<b/>> 1:4000:<c/> 9:100:2222 "
                            "1:40099:xxxy 1:70000:zzzz 8:2:\x03\xe8\xe8 ";

/* However it is cut, the same messages come out. */
static void messages_are_put_together(void) {
    struct buffer all = { 0 };
    static char text[80000];
    for (unsigned i = 0; i < sizeof frames / sizeof *frames; i++) {
        size_t len = strlen(frames[i].data);
        for (size_t k = 0; k < frames[i].repeat; k++)
            memcpy(text + k * len, frames[i].data, len);
        add_frame(&all, frames[i].first, text, len * frames[i].repeat);
    }
    for (size_t piece = 1; piece <= all.len; piece = piece < 40 ? piece + 1 : piece * 7 / 3) {
        struct ws_reader r = { 0 };
        struct buffer b = { 0 };
        char out[400] = "", *data;
        const char *wrong = NULL;
        size_t len;
        int op;
        for (size_t at = 0; at < all.len; at += piece) {
            buffer_add(&b, all.data + at, all.len - at < piece ? all.len - at : piece);
            while ((op = ws_next(&r, &b, MOST, &data, &len, &wrong)) != WS_MORE) {
                CHECK(op != WS_TEXT || data[len] == '\0');
                note(out, sizeof out, op, data, len);
                ws_took(&r, &b, op);
            }
            CHECK(wrong == NULL);
        }
        CHECK_TEXT(out, heard);
        CHECK(b.data == NULL);
    }
    buffer_free(&all);
}

static void bad_frames_are_named(void) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *wrong;
    } bad[] = {
        { "\xc1\x01x", 3, "a frame with reserved bits" },
        { "\x81\x81", 2, "a frame with a mask" },
        { "\x83\x01", 2, "a frame of an unknown kind" },
        { "\x8b\x01", 2, "a frame of an unknown kind" },
        { "\x09\x01", 2, "a control frame that is long or in pieces" },
        { "\x89\x7e\x00\x7e", 4, "a control frame that is long or in pieces" },
        { "\x82\x01", 2, "a binary message" },
        { "\x80\x01", 2, "a message whose pieces are out of order" },
        { "\x01\x01x\x81\x01x", 6, "a message whose pieces are out of order" },
        { "\x81\x7f\x80\0\0\0\0\0\0\1", 10, "a message that is too large" },
        { "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, "a message that is too large" },
        { "\x01\x01x\x80\x7f\0\0\0\0\0\1\x86\xa0", 13, "a message that is too large" },
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ws_reader r = { 0 };
        struct buffer b = { 0 };
        const char *wrong;
        char *data;
        size_t len;
        buffer_add(&b, bad[i].bytes, bad[i].len);
        CHECK_INT(ws_next(&r, &b, MOST, &data, &len, &wrong), WS_MORE);
        CHECK_TEXT(wrong, bad[i].wrong);
        buffer_free(&b);
    }
}

/* A message that never ends costs no memory for what stands between its pieces. */
static void pings_between_pieces_are_forgotten(void) {
    struct ws_reader r = { 0 };
    struct buffer b = { 0 };
    const char *wrong;
    char *data, noise[125] = "";
    size_t len;
    add_frame(&b, 0x01, "<a", 2);
    for (int i = 0; i < 1000; i++) {
        add_frame(&b, 0x89, noise, sizeof noise);
        add_frame(&b, 0x00, "", 0);
        CHECK_INT(ws_next(&r, &b, MOST, &data, &len, &wrong), WS_PING);
        ws_took(&r, &b, WS_PING);
        CHECK_INT(ws_next(&r, &b, MOST, &data, &len, &wrong), WS_MORE);
    }
    CHECK(b.cap < 10000);
    add_frame(&b, 0x80, "/>", 2);
    CHECK_INT(ws_next(&r, &b, MOST, &data, &len, &wrong), WS_TEXT);
    CHECK_TEXT(data, "<a/>");
    ws_took(&r, &b, WS_TEXT);
    CHECK(b.data == NULL);
}

/* ---- answers of HTTP ------------------------------------------------------------------------------------------------------ */

struct answer {
    const char *text, *body, *status;
    bool keeps_alive, needs_end;
};

static const struct answer answers[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<body/>", "<body/>", "200 OK", true, false },
    { "HTTP/1.1 200 Fine\r\ncontent-length:0\r\n\r\n", "", "200 OK", true, false },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\n<bo\r\n4\r\ndy/>\r\n0\r\nX: y\r\n\r\n", "<body/>",
      "200 OK", true, false },
    { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "x",
      "404 Not Found", false, false },
    { "HTTP/1.0 200 OK\r\n\r\nto the end", "to the end", "200 OK", false, true },
    { "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n", "", "799", true, false },
};

static void check_answer(const struct answer *a, size_t piece) {
    struct buffer in = { 0 }, body = { 0 };
    struct http h;
    char status[64];
    size_t len = strlen(a->text);
    http_begin(&h, NULL, &body, MOST);
    for (size_t at = 0; at < len; at += piece) {
        CHECK(!h.whole);
        buffer_add(&in, a->text + at, len - at < piece ? len - at : piece);
        CHECK(http_read(&h, &in));
    }
    CHECK_INT(h.whole, !a->needs_end);
    CHECK(http_end(&h));
    http_status(&h, status, sizeof status);
    CHECK_TEXT(status, a->status);
    CHECK_MEM(body.data ? body.data : "", body.len, a->body, strlen(a->body));
    CHECK_INT(http_keeps_alive(&h), a->keeps_alive);
    CHECK(in.data == NULL);
    buffer_free(&body);
}

static void answers_are_cut(void) {
    for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++)
        for (size_t piece = 1; piece <= strlen(answers[i].text); piece++)
            check_answer(&answers[i], piece);
}

static void what_follows_an_answer_stays(void) {
    struct buffer in = { 0 }, body = { 0 };
    struct http h;
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 2";
    buffer_add(&in, text, sizeof text - 1);
    http_begin(&h, NULL, &body, MOST);
    CHECK(http_read(&h, &in) && h.whole && http_read(&h, &in));
    CHECK_MEM(in.data + in.at, in.len - in.at, "HTTP/1.1 2", 10);
    buffer_free(&in);
    buffer_free(&body);
}

static void upgrade_is_read(void) {
    static const char text[] =
        "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Long-name-that-nobody-awaits-here: 1\r\n"
        "sec-websocket-accept:  abc= \r\nUPGRADE-Not: x\r\n\r\n\x81";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct http_field fields[] = { { "Upgrade", "" }, { "Sec-WebSocket-Accept", "" }, { "Other", "" } };
        struct http_head head = { .fields = fields, .count = 3 };
        struct buffer in = { 0 }, body = { 0 };
        struct http h;
        http_begin(&h, &head, &body, MOST);
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            buffer_add(&in, text + at, left < piece ? left : piece);
            CHECK(http_read(&h, &in));
        }
        CHECK(h.whole && h.parser.upgrade);
        CHECK_TEXT(fields[0].value, "websocket");
        CHECK_TEXT(fields[1].value, "abc=");
        CHECK_TEXT(fields[2].value, "");
        CHECK_MEM(in.data + in.at, in.len - in.at, "\x81", 1);
        buffer_free(&in);
    }
}

static void bad_answers_are_refused(void) {
    static const char *const bad[] = {
        "<?xml version='1.0'?><stream:stream>",
        "HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 \r\n\r\n",
    };
    static char large[MOST + 100] = "HTTP/1.0 200 OK\r\n\r\n";
    memset(large + strlen(large), 'x', MOST + 1);
    for (unsigned i = 0; i <= sizeof bad / sizeof *bad; i++) {
        const char *text = i < sizeof bad / sizeof *bad ? bad[i] : large;
        struct buffer in = { 0 }, body = { 0 };
        struct http h;
        http_begin(&h, NULL, &body, MOST);
        buffer_add(&in, text, strlen(text));
        CHECK(!http_read(&h, &in));
        buffer_free(&in);
        buffer_free(&body);
    }
}

/* ---- URLs and stanzas -------------------------------------------------------------------------------------------------------- */

static void urls_are_read(void) {
    struct server to = { .name = NULL };
    CHECK(url_read("ws://127.0.0.1:5280/xmpp-websocket?a=b", "ws", &to) == NULL);
    CHECK_TEXT(to.host, "127.0.0.1");
    CHECK_TEXT(to.path, "/xmpp-websocket?a=b");
    CHECK_TEXT(to.authority, "127.0.0.1:5280");
    CHECK(to.port == 5280 && to.tls == TLS_NONE);
    CHECK(url_read("HTTPS://[::1]", "http", &to) == NULL);
    CHECK_TEXT(to.host, "::1");
    CHECK_TEXT(to.path, "/");
    CHECK_TEXT(to.authority, "[::1]:443");
    CHECK(to.port == 443 && to.tls == TLS_DIRECT);
    CHECK(url_read("http://chat.example/x", "http", &to) == NULL && to.port == 80);
}

static void bad_urls_are_named(void) {
    static const struct {
        const char *url, *wrong;
    } bad[] = {
        { "127.0.0.1:5280/x", "not a URL" },
        { "", "not a URL" },
        { "ws:///x", "not a URL" },
        { "ws://a:99999/", "not a URL" },
        { "ws://a:0/", "a URL with port 0" },
        { "http://a/", "a URL of neither ws:// nor wss://" },
        { "wsx://a/", "a URL of neither ws:// nor wss://" },
        { "ws://u:p@a/", "a URL with a user or a fragment" },
        { "ws://a/#b", "a URL with a user or a fragment" },
        { "ws://a/\r\nX: y", "a URL has no such characters" },
        { "ws://a/b c", "a URL has no such characters" },
    };
    struct server to;
    char url[600] = "ws://";
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *wrong = url_read(bad[i].url, "ws", &to);
        CHECK_TEXT(wrong ? wrong : "nothing", bad[i].wrong);
    }
    memset(url + 5, 'a', 300);
    CHECK_TEXT(url_read(url, "ws", &to), "too long");
}

static void stanzas_name_their_namespace(void) {
    static const struct {
        const char *element, *begin;
        size_t took;
    } cases[] = {
        { "<iq id='1'/>", "<iq xmlns='jabber:client'", 3 },
        { "<presence/>", "<presence xmlns='jabber:client'", 9 },
        { "<message>", "<message xmlns='jabber:client'", 8 },
        { "<iqs/>", "", 0 },
        { "<iq", "", 0 },
        { "<r xmlns='urn:xmpp:sm:3'/>", "", 0 },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char begin[XML_BEGIN_MAX];
        CHECK_INT(xml_alone(cases[i].element, strlen(cases[i].element), begin), cases[i].took);
        CHECK_TEXT(begin, cases[i].begin);
    }
}

int main(void) {
    return CHECK_RUN(T(heads_are_as_in_the_rfc), T(messages_are_put_together), T(bad_frames_are_named),
                     T(pings_between_pieces_are_forgotten), T(answers_are_cut), T(what_follows_an_answer_stays),
                     T(upgrade_is_read), T(bad_answers_are_refused), T(urls_are_read), T(bad_urls_are_named),
                     T(stanzas_name_their_namespace));
}
