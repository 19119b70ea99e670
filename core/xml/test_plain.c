/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "xml/test_tree.h"

static const char *const plain[] = {
    "<a/>",
    "<a />",
    "<a></a >",
    "<a\n\tb='1'  c=\"2\"\n></a\n>",
    "<a b='\">' c=\"'>\" d=''/>",
    "<a xml:lang='de' lang='en'/>",
    "<a>]] ]> text > ' \"\t\n</a>",
    "<a> <b/> <b>x</b>y</a>",
    "<a.b-c_1><_/></a.b-c_1>",
    "<a>\xc3\xa4 \xe2\x99\x9a \xf0\x9f\x98\x80</a>",
    "<a b='\xc3\xa4'/>",
    "<a xmlns='jabber:client'><b/><c xmlns='jabber:client'><d/></c></a>",
    "<a xmlns='jabber:server'><b/><c xmlns='jabber:server'><d/></c></a>",
    "<a xmlns='u'><b/><c xmlns='jabber:client'><d/></c></a>",
    "<message to='a@b' id='1' type='chat'><body>Hello</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
    "<request xmlns='urn:xmpp:receipts'/><x xmlns='not a URI'><y/></x></message>",
};

/* Left to libxml2, which takes some of them. */
static const char *const others[] = {
    "",
    "<a",
    "<a>",
    "<a/>x",
    "<a/><b/>",
    "</a>",
    "<a></b>",
    "<a></ab>",
    "<ab></a>",
    "<a></a b>",
    "<a><b></a></b>",
    "<p:a/>",
    "<a p:b='1'/>",
    "<a xml:space='preserve'/>",
    "<a xml:langs='de'/>",
    "<a xml:lang='de' xml:lang='en'/>",
    "<a b='1' b='2'/>",
    "<a b='1'c='2'/>",
    "<a b ='1'/>",
    "<a b=1/>",
    "<a b='<'/>",
    "<a b='&amp;'/>",
    "<a b='\t'/>",
    "<a>&amp;</a>",
    "<a>\r</a>",
    "<a\r/>",
    "<a>\x01</a>",
    "<a>]]></a>",
    "<a><![CDATA[]]></a>",
    "<a><!-- --></a>",
    "<a><?b?></a>",
    "<a xmlns=''/>",
    "<a xmlns='u' xmlns='u'/>",
    "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
    "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    "<a xmlns:p='u'/>",
    "<\xc3\xa4/>",
    "<a>\xc3</a>",
    "<a>\xef\xbf\xbf</a>",
    "<a b='\xed\xa0\x80'/>",
    "<1/>",
    "<a 1='1'/>",
    "<a/",
    "<a b='1'",
    "<a b='1",
};

static void same_as_libxml2(void) {
    for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++)
        for (enum xml_profile p = XML_CLIENT; p < XML_PROFILES; p++)
            if (tree_compare(p, plain[i], strlen(plain[i])) != TREE_SAME)
                check_fail(__FILE__, __LINE__, "in profile %d: %s", (int)p, plain[i]);
}

static void others_are_left(void) {
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (tree_compare(XML_CLIENT, others[i], strlen(others[i])) != TREE_NOT_PLAIN)
            check_fail(__FILE__, __LINE__, "%s", others[i]);
}

static struct mk_stanza *next(const char *text, const struct xml_limits *limits, size_t *used) {
    return parse_next(XML_CLIENT, limits, text, strlen(text), 10, used);
}

/* Several in a row: each is framed where it ends, and points to its own copy. */
static void one_after_the_other(void) {
    static const char text[] = "<message id='1'><body>x</body></message><a/> <b/><c></c><d";
    const struct xml_limits limits = { 40, 2, 1, 2 };
    size_t len = strlen(text) - 2, used;
    struct mk_stanza *s = parse_next(XML_CLIENT, &limits, text, len, 10, &used);
    CHECK(s && used == 40 && s->kind == MK_MESSAGE);
    CHECK_MEM(s->wire, s->wire_len, text, 40);
    CHECK_MEM(s->root->first->raw, s->root->first->raw_len, "<body>x</body>", 14);
    CHECK(s->root->raw == s->wire && s->root->first->raw == s->wire + 16);
    CHECK(s->root->first->first->text == s->wire + 22);
    mk_release(s);
    s = parse_next(XML_CLIENT, &limits, text + used, len - used, 10, &used);
    CHECK(s && used == 4);
    mk_release(s);
    CHECK(!parse_next(XML_CLIENT, &limits, text + 44, len - 44, 10, &used)); /* white space is the scanner's */
    s = parse_next(XML_CLIENT, &limits, text + 49, len - 49, 10, &used);
    CHECK(s && used == 7);
    mk_release(s);
}

static void limits_are_left_to_the_scanner(void) {
    static const char text[] = "<a b='1' c='2'><d><e/></d><f/></a>";
    struct xml_limits limits = { sizeof text - 1, 3, 2, 4 };
    size_t used;
    struct mk_stanza *s = next(text, &limits, &used);
    CHECK(s && used == sizeof text - 1);
    mk_release(s);
    limits.bytes--;
    CHECK(!next(text, &limits, &used));
    limits = (struct xml_limits){ 100, 2, 2, 4 };
    CHECK(!next(text, &limits, &used));
    limits = (struct xml_limits){ 100, 3, 1, 4 };
    CHECK(!next(text, &limits, &used));
    limits = (struct xml_limits){ 100, 3, 2, 3 };
    CHECK(!next(text, &limits, &used));
    CHECK(!next("<a><b></b>", &limits, &used));
}

/* Every byte in every place that has one: read the same, or left. */
static void any_byte_anywhere(void) {
    static const char model[] = "<a b='12' c=\"3\"><d xmlns='u'>text</d >]</a>";
    char text[sizeof model];
    for (size_t at = 0; at < sizeof model - 1; at++)
        for (int c = 0; c < 256; c++) {
            memcpy(text, model, sizeof model);
            text[at] = (char)c;
            if (tree_compare(XML_CLIENT, text, sizeof model - 1) == TREE_DIFFERS)
                check_fail(__FILE__, __LINE__, "%s", text);
        }
}

static void left_as_it_was(void) {
    struct mk_stanza *s = stanza_new();
    struct root_facts facts;
    const char *src = arena_strdup(&s->arena, "<a><b c='1'>&amp;</b></a>");
    struct arena_mark before = arena_mark(&s->arena);
    CHECK(!plain_parse(s, XML_CLIENT, src, strlen(src), &facts));
    struct arena_mark after = arena_mark(&s->arena);
    CHECK(!s->root && after.block == before.block && after.next == before.next);
    mk_release(s);
}

static void attributes(const char *format, unsigned count, enum tree_verdict verdict) {
    char text[1024];
    size_t len = 2;
    memcpy(text, "<a", 2);
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, format, i);
    memcpy(text + len, "/>", 2);
    CHECK_INT(tree_compare(XML_CLIENT, text, len + 2), verdict);
}

static void nested(unsigned depth, enum tree_verdict verdict) {
    char text[1024];
    size_t len = 0;
    for (unsigned i = 0; i < depth; i++, len += 3)
        memcpy(text + len, "<a>", 3);
    for (unsigned i = 0; i < depth; i++, len += 4)
        memcpy(text + len, "</a>", 4);
    CHECK_INT(tree_compare(XML_CLIENT, text, len), verdict);
}

static void bounds(void) {
    attributes(" a%u='x'", 24, TREE_SAME);
    attributes(" a%u='x'", 25, TREE_NOT_PLAIN);
    nested(64, TREE_SAME);
    nested(65, TREE_NOT_PLAIN);
}

int main(void) {
    return CHECK_RUN(T(same_as_libxml2), T(others_are_left), T(any_byte_anywhere), T(left_as_it_was), T(bounds),
                     T(one_after_the_other), T(limits_are_left_to_the_scanner));
}
