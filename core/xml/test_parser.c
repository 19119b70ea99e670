/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "run/turn.h"
#include "util/text.h"
#include "xml/parser.h"
#include <pthread.h>

static struct parsers *parsers;
static struct mk_ctx turn;

static struct mk_stanza *parse(const char *text) {
    return parse_stanza(parsers, XML_CLIENT, text, strlen(text), 30);
}

static bool accepted(const char *text) {
    struct mk_stanza *s = parse(text);
    mk_release(s);
    return s != NULL;
}

static const char *const bad[] = {
    "<a b='<'/>",
    "<xml:a/>",
    "<a><xml:lang/></a>",
    "<a b='<' c=''/>",
    "<a>",
    "</a>",
    "<a></b>",
    "<a/ >",
    "<a><b></a></b>",
    "<a/><b/>",
    "<a/>x",
    "<a/>x>",
    "<a/><b c='<'/>",
    " <a/>",
    "<a/> ",
    "x<a/>",
    "<a b=c/>",
    "<a b/>",
    "<a b='1' b='2'/>",
    "<a b='1'c='2'/>",
    "<a>&unknown;</a>",
    "<a b='&unknown;'/>",
    "<a>& </a>",
    "<a>&#0;</a>",
    "<a>&#x0;</a>",
    "<a>&#xD800;</a>",
    "<a>&#xFFFE;</a>",
    "<a>&#x110000;</a>",
    "<a>]]></a>",
    "<a>\x01</a>",
    "<a b='\x01'/>",
    "<a>\xff</a>",
    "<a>\xc3</a>",
    "<a>\xed\xa0\x80</a>",
    "<a>\xef\xbf\xbe</a>",
    "<a>\xef\xbf\xbf</a>",
    "<a>\xc0\x80</a>",
    "<a>\xc1\xbf</a>",
    "<a>\xe0\x80\xaf</a>",
    "<a>\xf0\x80\x80\xaf</a>",
    "<a>\xf4\x90\x80\x80</a>",
    "<a>\xf5\x80\x80\x80</a>",
    "<a b='\xc0\xaf'/>",
    "<a b='\xff'/>",
    "<a\xff/>",
    "<a><?xml version='1.0'?></a>",
    "<?xml version='1.0'?><a/>",
    "<a><?pi x?></a>",
    "<?pi x?><a/>",
    "<a><!-- x --></a>",
    "<!-- x --><a/>",
    "<a/><!-- x -->",
    "<!DOCTYPE a><a/>",
    "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
    "<a><![CDATA[x]]</a>",
    "<a><![CDATA[x]]>",
    "<p:a/>",
    "<a p:b='x'/>",
    "<a><p:b xmlns:p='x'/><p:c/></a>",
    "<p:a xmlns:p=''/>",
    "<a xmlns:xmlns='x'/>",
    "<a xmlns:xml='x'/>",
    "<xmlns:a/>",
    "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
    "<a xmlns:p='x' xmlns:q='x' p:b='' q:b=''/>",
    "<a xmlns='x' xmlns='y'/>",
    "<a:b:c xmlns:a='x'/>",
    "</stream:stream>",
    "</stream:stream><stream:stream>",
    "<a/></stream:stream>",
    "<a",
    "<a>x",
    "<",
    "",
};

/* The parser is the same after each of these: what it took before it takes again. */
static void malformed(void) {
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (accepted(bad[i]))
            check_fail(__FILE__, __LINE__, "%s was taken", bad[i]);
        CHECK(accepted("<a xmlns:p='x'><p:b/></a>"));
    }
    static const char nul[] = "<a>\0</a>";
    CHECK(!parse_stanza(parsers, XML_CLIENT, nul, sizeof nul - 1, 0));
    static char tail[1000] = "<a/>";
    memset(tail + 4, 'x', 900);
    strcpy(tail + 904, ">");
    CHECK(!accepted(tail));
}

static void well_formed(void) {
    static const char *const good[] = {
        "<a/>",
        "<a b='>'/>",
        "<a b=\"'\" c='\"'/>",
        "<a><![CDATA[<x>]]></a>",
        "<a xmlns='vcard-temp'/>",
        "<a xmlns='relative uri with spaces'/>",
        "<a xmlns='{DAV:}'/>",
        "<\xc3\xa4 \xc3\xb6='\xc3\xbc'/>",
        "<a>\xf0\x9f\x93\xb1\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd</a>",
        "<a>&#x10FFFF;&#9;</a>",
        "<a>]]&gt;</a>",
        "<stream:error/>",
        "<a xmlns=''/>",
        "<a xml:lang='de' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a\n\tb = 'c'\r\n></a\n>",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!accepted(good[i]))
            check_fail(__FILE__, __LINE__, "%s was refused", good[i]);
}

/* ---- trees ---- */

static void dump_text(struct buf *b, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n' || text[i] == '\r' || text[i] == '\t')
            buf_printf(b, "\\%c", text[i] == '\n' ? 'n' : text[i] == '\r' ? 'r' : 't');
        else
            buf_add(b, text + i, 1);
}

/* {ns}name attr=value(children) with text in quotes; jabber:client is left out. */
static void dump(struct buf *b, const struct mk_elem *e) {
    if (!e->name) {
        buf_puts(b, "\"");
        dump_text(b, e->text, e->text_len);
        buf_puts(b, "\"");
        return;
    }
    if (strcmp(e->ns, "jabber:client") != 0)
        buf_printf(b, "{%s}", e->ns);
    buf_puts(b, e->name);
    for (unsigned i = 0; i < e->attr_count; i++) {
        buf_printf(b, " %s%s%s%s=", *e->attrs[i].ns ? "{" : "", e->attrs[i].ns, *e->attrs[i].ns ? "}" : "",
                   e->attrs[i].name);
        dump_text(b, e->attrs[i].value, strlen(e->attrs[i].value));
    }
    buf_puts(b, "(");
    for (const struct mk_elem *child = e->first; child; child = child->next) {
        CHECK(child->parent == e);
        CHECK(child->next || child == e->last);
        dump(b, child);
    }
    buf_puts(b, ")");
}

static void check_tree(const char *text, const char *want) {
    static struct buf b;
    struct mk_stanza *s = parse(text);
    CHECK(s != NULL);
    b.len = 0;
    buf_puts(&b, "");
    dump(&b, s->root);
    mk_release(s);
    CHECK_TEXT(b.data, want);
    buf_free(&b);
}

static void trees(void) {
    check_tree("<message to='a@b' id='1'><body>Hi</body><x xmlns='y'><z/></x></message>",
               "message to=a@b id=1(body(\"Hi\"){y}x({y}z()))");
    check_tree("<a>one<b/>two<c>three</c>four</a>", "a(\"one\"b()\"two\"c(\"three\")\"four\")");
    check_tree("<a xml:lang='de' p:x='1' x='2' xmlns:p='urn:p'><p:b/></a>",
               "a {http://www.w3.org/XML/1998/namespace}lang=de {urn:p}x=1 x=2({urn:p}b())");
    check_tree("<a xmlns='x'><b xmlns=''><c xmlns='jabber:client'/></b></a>", "{x}a({}b(c()))");
    check_tree("<a xmlns='x&amp;y'/>", "{x&y}a()");
    check_tree("<unknown-name strange='x'><unknown-name/></unknown-name>", "unknown-name strange=x(unknown-name())");
}

static void decoded_text(void) {
    check_tree("<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x42;</a>", "a(\"<>&'\"AB\")");
    check_tree("<a>plain&amp;more</a>", "a(\"plain&more\")");
    check_tree("<a>&amp;</a>", "a(\"&\")");
    check_tree("<a>&amp;<b>&amp;x</b>&#38;amp;</a>", "a(\"&\"b(\"&x\")\"&amp;\")");
    check_tree("<a><![CDATA[<b/>]]></a>", "a(\"<b/>\")");
    check_tree("<a>x<![CDATA[]]>y<![CDATA[<![CDATA[]]]]>z</a>", "a(\"xy<![CDATA[]]z\")");
    check_tree("<a>1\r\n2\r3\n4</a>", "a(\"1\\n2\\n3\\n4\")");
    check_tree("<a>&#13;</a>", "a(\"\\r\")");
    check_tree("<a> \n </a>", "a(\" \\n \")");
    check_tree("<a></a>", "a()");
    check_tree("<a><![CDATA[]]></a>", "a()");
    check_tree("<a b='&amp;lt;&amp;#38;&#38;#38;&#38;#38' c='&amp;' d='x&amp;y'/>",
               "a b=&lt;&#38;&#38;&#38 c=& d=x&y()");
    check_tree("<a b='&lt;&amp;&#39;&quot;' c='1\n2\t3' d='&#10;&#9;' e=\"it's\"/>",
               "a b=<&'\" c=1 2 3 d=\\n\\t e=it's()");
}

/* Long texts come from libxml2 in pieces, and in a buffer of its own if they are not ASCII. */
static void long_texts(void) {
    static char text[9000], want[9000];
    static const char *const units[] = { "x", "\xc3\xa4", "\xe2\x99\x9a", "\xf0\x9f\x93\xb1", "a\xc3\xa4" };
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        for (size_t count = 95; count < 1300; count += 137) {
            char *t = stpcpy(text, "<a>"), *w = stpcpy(want, "a(\"");
            for (size_t i = 0; i < count; i++) {
                t = stpcpy(t, units[u]);
                w = stpcpy(w, units[u]);
            }
            stpcpy(t, "</a>");
            stpcpy(w, "\")");
            check_tree(text, want);
        }
    }
}

/* Text that needs no decoding is not copied, and every element knows its own source. */
static void slices(void) {
    static const char source[] = "<message id = 'a'><body>some text</body>\n"
                                 "<x xmlns='y'><z a='/>'/><z>\xc3\xa4&lt;</z ></x><!></message>";
    char text[sizeof source];
    strcpy(text, source);
    memcpy(strstr(text, "<!>"), "abc", 3);
    struct mk_stanza *s = parse(text);
    const struct mk_elem *body = mk_child(s, "body", NULL), *x = mk_child(s, "x", "y");
    const struct mk_elem *z = mk_elem_first(x), *z2 = mk_elem_next(z);
    CHECK_MEM(s->root->raw, s->root->raw_len, text, strlen(text));
    CHECK_MEM(s->root->raw, s->root->inner, "<message id = 'a'>", 18);
    CHECK_MEM(body->raw, body->raw_len, "<body>some text</body>", 22);
    CHECK_INT(body->inner, 6);
    CHECK(body->first->text == body->raw + 6);
    CHECK_MEM(x->raw, x->raw_len, "<x xmlns='y'><z a='/>'/><z>\xc3\xa4&lt;</z ></x>", 42);
    CHECK_INT(x->inner, 13);
    CHECK_MEM(z->raw, z->raw_len, "<z a='/>'/>", 11);
    CHECK_INT(z->inner, 11);
    CHECK_MEM(z2->raw, z2->raw_len, "<z>\xc3\xa4&lt;</z >", 14);
    CHECK_MEM(z2->first->text, z2->first->text_len, "\xc3\xa4<", 3);
    CHECK_MEM(s->wire + s->wire_tail, s->wire_len - s->wire_tail, "</message>", 10);
    mk_release(s);
}

static uint8_t scope_of(const char *text, const char *name) {
    struct mk_stanza *s = parse(text);
    CHECK(s != NULL);
    const struct mk_elem *e = s->root;
    while (e && (!e->name || strcmp(e->name, name) != 0)) {
        if (e->first) {
            e = e->first;
            continue;
        }
        while (e && !e->next)
            e = e->parent;
        e = e ? e->next : NULL;
    }
    CHECK(e != NULL);
    uint8_t scope = e->scope;
    mk_release(s);
    return scope;
}

static void scopes(void) {
    CHECK_INT(scope_of("<a/>", "a"), ELEM_DEFAULT);
    CHECK_INT(scope_of("<a xmlns='jabber:client'/>", "a"), ELEM_DEFAULT);
    CHECK_INT(scope_of("<a xmlns='x'/>", "a"), ELEM_FREE);
    CHECK_INT(scope_of("<a xmlns='x'><b/></a>", "b"), ELEM_DEFAULT);
    CHECK_INT(scope_of("<a><b xmlns='x'><c/></b></a>", "b"), ELEM_FREE);
    CHECK_INT(scope_of("<a xmlns:p='x'><p:b/></a>", "a"), ELEM_DEFAULT);
    CHECK_INT(scope_of("<a xmlns:p='x'><p:b/></a>", "b"), ELEM_BOUND);
    CHECK_INT(scope_of("<a xmlns:p='x'><b xmlns='y'><c p:d=''/></b></a>", "b"), ELEM_BOUND);
    CHECK_INT(scope_of("<a xmlns:p='x'><b xmlns='y'><c/></b></a>", "b"), ELEM_FREE);
    CHECK_INT(scope_of("<a><b xmlns:p='x' xmlns='y' p:c=''><p:d/></b></a>", "b"), ELEM_FREE);
    CHECK_INT(scope_of("<a><b xmlns:p='x'><p:d/></b></a>", "b"), ELEM_DEFAULT);
    CHECK_INT(scope_of("<a><p:b xmlns:p='x'/></a>", "b"), ELEM_FREE);
    /* A prefixed element whose child takes the default of outside can't move as it is. */
    CHECK_INT(scope_of("<a><p:b xmlns:p='x'><c/></p:b></a>", "b"), ELEM_BOUND);
    CHECK_INT(scope_of("<a><p:b xmlns:p='x' xmlns='y'><c/></p:b></a>", "b"), ELEM_FREE);
    CHECK_INT(scope_of("<a><b xml:lang='de' xmlns='y'/></a>", "b"), ELEM_FREE);
    CHECK_INT(scope_of("<a><stream:b/></a>", "a"), ELEM_BOUND);
    CHECK_INT(scope_of("<a xmlns:p='x'><b xmlns:p='y' xmlns='z'><p:c/></b></a>", "b"), ELEM_FREE);
}

/* ---- what is read of the root ---- */

static void roots(void) {
    struct mk_stanza *s = parse("<message to='Juliet@Example.com/a&amp;b' from='x@y' id='&lt;1' type='chat'/>");
    CHECK_INT(s->kind, MK_MESSAGE);
    CHECK_INT(s->type, MK_TYPE_CHAT);
    CHECK_TEXT(s->id, "<1");
    CHECK_TEXT(mk_jid_text(s->to), "juliet@example.com/a&b");
    CHECK_TEXT(mk_jid_text(s->from), "x@y");
    CHECK_INT(s->bad_to + s->bad_from, 0);
    mk_release(s);
    s = parse("<iq to='@' from='' type='get'/>");
    CHECK_INT(s->kind, MK_IQ);
    CHECK(!s->to && s->bad_to && !s->from && s->bad_from && !s->id);
    mk_release(s);
    s = parse("<presence/>");
    CHECK_INT(s->kind, MK_PRESENCE);
    CHECK_INT(s->type, MK_TYPE_AVAILABLE);
    CHECK(!s->to && !s->bad_to && !s->from && !s->bad_from);
    mk_release(s);
    static const char *const nonzas[] = { "<r xmlns='urn:xmpp:sm:3'/>", "<message xmlns='x'/>", "<other/>",
                                          "<message xmlns=''/>", "<message xmlns='jabber:server'/>" };
    for (size_t i = 0; i < sizeof nonzas / sizeof nonzas[0]; i++) {
        s = parse(nonzas[i]);
        CHECK_INT(s->kind, MK_NONZA);
        CHECK_INT(s->type, MK_TYPE_NONE);
        mk_release(s);
    }
}

static void profiles(void) {
    static const char text[] = "<message><body>x</body></message>";
    for (unsigned p = 0; p < XML_PROFILES; p++) {
        char own[200];
        snprintf(own, sizeof own, "<message xmlns='%s'><body/></message>", xml_profile_ns(p));
        struct mk_stanza *s = parse_stanza(parsers, p, text, strlen(text), 0);
        CHECK_INT(s->kind, MK_MESSAGE);
        CHECK_INT(s->ns_profile, p);
        CHECK(mk_child(s, "body", "jabber:client"));
        mk_release(s);
        s = parse_stanza(parsers, p, own, strlen(own), 0);
        CHECK_INT(s->kind, MK_MESSAGE);
        CHECK(mk_child(s, "body", "jabber:client"));
        mk_release(s);
    }
    static const char other[] = "<message xmlns='jabber:client'/>";
    struct mk_stanza *s = parse_stanza(parsers, XML_SERVER, other, strlen(other), 0);
    CHECK_INT(s->kind, MK_NONZA);
    mk_release(s);
    static const char dialback[] = "<db:result to='a' from='b'>key</db:result>";
    s = parse_stanza(parsers, XML_SERVER, dialback, strlen(dialback), 0);
    CHECK(mk_elem_is(s->root, "result", "jabber:server:dialback"));
    CHECK_TEXT(mk_text(&turn, s->root), "key");
    mk_release(s);
    arena_free(&turn.arena);
}

/* Prefixes of the stream's root must not go along to other streams. */
static void prefixes_of_the_stream(void) {
    static const char prefixes[] = "xmlns:c='jabber:client' xmlns:q='urn:q'";
    static const char text[] =
        "<c:message q:a='&lt;' xml:lang='de' id='1'><c:body>a&amp;b</c:body><q:x c='1'><d/></q:x>"
        "</c:message>";
    struct mk_stanza *s = parse_stanza_with(parsers, XML_CLIENT, prefixes, text, strlen(text), 0);
    CHECK(s != NULL);
    CHECK_INT(s->kind, MK_MESSAGE);
    CHECK_MEM(s->wire, s->wire_len,
              "<message xmlns:n0='urn:q' n0:a='&lt;' xml:lang='de' id='1'><body>a&amp;b</body>"
              "<x xmlns='urn:q' c='1'><d xmlns='jabber:client'/></x></message>",
              142);
    mk_release(s);
    static const char plain[] = "<iq type='get'><x xmlns='y'/></iq>";
    s = parse_stanza_with(parsers, XML_CLIENT, prefixes, plain, strlen(plain), 0);
    CHECK_MEM(s->wire, s->wire_len, plain, strlen(plain));
    mk_release(s);
    CHECK(!parse_stanza_with(parsers, XML_CLIENT, prefixes, "<z:a/>", 6, 0));
    CHECK(!parse_stanza_with(parsers, XML_CLIENT, "broken", "<a b='&amp;'/>", 14, 0));
    s = parse("<c:message xmlns:c='jabber:client'><c:body/><x xmlns='y'/></c:message>");
    CHECK_INT(s->kind, MK_MESSAGE);
    CHECK_MEM(s->wire, s->wire_len, "<message><body/><x xmlns='y'/></message>", 40);
    mk_release(s);
    s = parse("<message><stream:x/></message>");
    CHECK_MEM(s->wire, s->wire_len, "<message><x xmlns='http://etherx.jabber.org/streams'/></message>", 64);
    mk_release(s);
}

/* ---- limits ---- */

static void deep_and_wide(void) {
    static char text[300000];
    char *at = text;
    for (int i = 0; i < 65; i++)
        at = stpcpy(at, "<a>");
    for (int i = 0; i < 65; i++)
        at = stpcpy(at, "</a>");
    struct mk_stanza *s = parse(text);
    int depth = 0;
    for (const struct mk_elem *e = s->root; e; e = e->first)
        depth++;
    CHECK_INT(depth, 65);
    mk_release(s);
    at = stpcpy(text, "<a");
    for (int i = 0; i < 300; i++)
        at += sprintf(at, " a%d='%d'", i, i);
    stpcpy(at, "/>");
    s = parse(text);
    CHECK_INT(s->root->attr_count, 300);
    CHECK_TEXT(mk_attr(s->root, "a299"), "299");
    mk_release(s);
    /* Many declarations in scope cost libxml2 a search each time. */
    at = text;
    for (int i = 0; i < 100; i++)
        at += sprintf(at, "<a xmlns:a%d='x' xmlns:b%d='x' xmlns:c%d='x' d='a value'>", i, i, i);
    for (int i = 0; i < 100; i++)
        at = stpcpy(at, "</a>");
    CHECK(!accepted(text));
}

/* Names of a hostile peer fill the dictionary, a huge stanza the buffers: what we have of a stanza must not be theirs. */
static void contexts_are_renewed(void) {
    static char text[200000];
    struct mk_stanza *first = parse("<message><never-seen-name strange='v'>text</never-seen-name></message>");
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "<n%d a%d='' xmlns:p%d='u%d'/>", i, i, i, i);
        CHECK(accepted(text));
    }
    char *at = stpcpy(text, "<a>");
    memset(at, 'x', 150000);
    stpcpy(at + 150000, "</a>");
    struct mk_stanza *huge = parse(text);
    CHECK_INT(huge->root->first->text_len, 150000);
    CHECK(!accepted("<a>"));
    CHECK(accepted("<a/>"));
    const struct mk_elem *e = mk_elem_first(first->root);
    CHECK_TEXT(mk_elem_name(e), "never-seen-name");
    CHECK_TEXT(mk_attr(e, "strange"), "v");
    CHECK_TEXT(mk_text(&turn, e), "text");
    mk_release(first);
    mk_release(huge);
    arena_free(&turn.arena);
}

static void *parse_elsewhere(void *arg) {
    static const char text[] = "<message><body>from a thread</body></message>";
    *(struct mk_stanza **)arg = parse_stanza(parsers_here(), XML_CLIENT, text, strlen(text), 0);
    arena_pool_trim();
    return NULL;
}

static void stanzas_outlive_their_thread(void) {
    struct mk_stanza *s = NULL;
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, parse_elsewhere, &s), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_TEXT(mk_text(&turn, mk_child(s, "body", "jabber:client")), "from a thread");
    mk_release(s);
    arena_free(&turn.arena);
}

static void atoms(void) {
    const char *body = xml_atom("body", 4);
    CHECK_TEXT(body, "body");
    CHECK(!xml_atom("nobody-declared-this", 20));
    xml_atom_declare("somebody-declared-this");
    const char *atom = xml_atom("somebody-declared-this", 22);
    CHECK_TEXT(atom, "somebody-declared-this");
    xml_atom_declare("somebody-declared-this");
    CHECK(xml_atom("somebody-declared-this", 22) == atom);
    CHECK(xml_atom("body-and-more", 4) == body);
    struct mk_stanza *s = parse("<message><body/></message>");
    CHECK(mk_elem_name(mk_elem_first(s->root)) == body);
    mk_release(s);
}

int main(void) {
    parsers = parsers_new();
    int rc = CHECK_RUN(T(malformed), T(well_formed), T(trees), T(decoded_text), T(long_texts), T(slices), T(scopes),
                       T(roots), T(profiles), T(prefixes_of_the_stream), T(deep_and_wide), T(contexts_are_renewed),
                       T(stanzas_outlive_their_thread), T(atoms));
    parsers_free(parsers);
    return rc;
}
