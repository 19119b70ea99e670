/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "xml/parser.h"

#define STREAMS "http://etherx.jabber.org/streams"

static struct arena arena;
static struct xml_header h;

static enum parse_header_result parse(const char *text) {
    return parse_header(&arena, text, strlen(text), &h);
}

static void of_a_client(void) {
    CHECK_INT(parse("<?xml version='1.0' encoding='utf-8'?>\n<stream:stream to='example.org' from='a&amp;b' id='x'"
                    " version='1.0' xml:lang='de' xmlns='jabber:client' xmlns:stream='" STREAMS "'>"),
              HEADER_OK);
    CHECK_TEXT(h.name, "stream");
    CHECK_TEXT(h.ns, STREAMS);
    CHECK_TEXT(h.content_ns, "jabber:client");
    CHECK_TEXT(h.to, "example.org");
    CHECK_TEXT(h.from, "a&b");
    CHECK_TEXT(h.id, "x");
    CHECK_TEXT(h.version, "1.0");
    CHECK_TEXT(h.lang, "de");
    CHECK_TEXT(h.prefixes, "");
    arena_free(&arena);
}

static void with_little(void) {
    CHECK_INT(parse("<s xmlns:p='no uri'>"), HEADER_OK);
    CHECK_TEXT(h.prefixes, "xmlns:p='no uri'");
    CHECK_INT(parse("<stream>"), HEADER_OK);
    CHECK_TEXT(h.name, "stream");
    CHECK_TEXT(h.ns, "");
    CHECK_TEXT(h.content_ns, "");
    CHECK_TEXT(h.prefixes, "");
    CHECK(!h.to && !h.from && !h.id && !h.version && !h.lang);
    arena_free(&arena);
}

static void prefixes(void) {
    CHECK_INT(parse("<s:stream xmlns:s='" STREAMS
                    "' xmlns='jabber:client' xmlns:q=\"a'b&amp;\" xmlns:db='jabber:server:dialback'>"),
              HEADER_OK);
    CHECK_TEXT(h.prefixes, "xmlns:s='" STREAMS "' xmlns:q='a&apos;b&amp;' xmlns:db='jabber:server:dialback'");
    CHECK_INT(
        parse("<stream:stream xmlns:stream='" STREAMS "' xmlns='jabber:server' xmlns:db='jabber:server:dialback'>"),
        HEADER_OK);
    CHECK_TEXT(h.prefixes, "");
    CHECK_TEXT(h.content_ns, "jabber:server");
    CHECK_INT(parse("<x:stream xmlns:x='" STREAMS "' xmlns:stream='other'>"), HEADER_OK);
    CHECK_TEXT(h.prefixes, "xmlns:x='" STREAMS "' xmlns:stream='other'");
    arena_free(&arena);
}

/* What a header declared is good for the stanzas that follow it. */
static void prefixes_serve_the_parser(void) {
    struct parsers *p = parsers_new();
    CHECK_INT(parse("<s:stream xmlns:s='" STREAMS "' xmlns='jabber:client' xmlns:q=\"a'b&amp;\" xmlns:stream='other'>"),
              HEADER_OK);
    static const char text[] = "<message><q:x/><stream:y/></message>";
    struct mk_stanza *s = parse_stanza_with(p, XML_CLIENT, h.prefixes, text, strlen(text), 0);
    CHECK(s && mk_child(s, "x", "a'b&") && mk_child(s, "y", "other"));
    mk_release(s);
    parsers_free(p);
    arena_free(&arena);
}

static void encodings(void) {
    static const char *const good[] = { "<?xml version='1.0'?><s>", "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><s>",
                                        "<?xml version='1.0' encoding='Utf-8' standalone='yes'?><s>" };
    static const char *const other[] = { "<?xml version='1.0' encoding='ISO-8859-1'?><s>",
                                         "<?xml version='1.0' encoding='utf-16'?><s>",
                                         "<?xml version='1.0' encoding = \"UTF-8859\"?><s>",
                                         "<?xml version='1.0' encoding='utf-8x'?><s>",
                                         "<?xml version='1.0' encoding='us-ascii'?><s>" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK_INT(parse(good[i]), HEADER_OK);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        CHECK_INT(parse(other[i]), HEADER_ENCODING);
    arena_free(&arena);
}

static void refused(void) {
    static const char *const bad[] = {
        "",
        "<",
        "<s",
        "<s a='1' a='2'>",
        "<s:s>",
        "<s a=b>",
        "<?xml version='1.0'?>",
        "<?xml encoding?><s>",
        "<?xml?><s>",
        "<s xmlns:p=''>",
        "<s a='\xff'>",
        "<!DOCTYPE s><s>",
        " <?xml version='1.0'?><s>",
        "<s><s>",
        "<s a='&x;'>",
        "<?xml version='1.0' encoding='",
        "<?xml version='1.0' encoding=?><s>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse(bad[i]) == HEADER_OK)
            check_fail(__FILE__, __LINE__, "%s was taken", bad[i]);
    arena_free(&arena);
}

int main(void) {
    return CHECK_RUN(T(of_a_client), T(with_little), T(prefixes), T(prefixes_serve_the_parser), T(encodings),
                     T(refused));
}
