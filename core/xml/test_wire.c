/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves is what came, but for the start tag. */
#include "check.h"
#include "run/turn.h"
#include "util/jid.h"
#include "xml/parser.h"

static struct parsers *parsers;
static struct mk_ctx turn;

static const struct mk_jid *jid(const char *text) {
    const struct mk_jid *j = NULL;
    if (text)
        CHECK_INT(jid_parse(&turn.arena, text, strlen(text), &j), 0);
    return j;
}

static struct mk_stanza *parse(const char *text, size_t from_len) {
    struct mk_stanza *s = parse_stanza(parsers, XML_CLIENT, text, strlen(text), from_len);
    CHECK(s != NULL);
    return s;
}

static const char *part(const char *from, size_t len) {
    return arena_memdup(&turn.arena, from, len);
}

/* The tree, the offsets and the bytes must say the same. */
static void check_consistent(const struct mk_stanza *s) {
    const struct mk_elem *root = s->root;
    CHECK(root->raw == s->wire && root->raw_len == s->wire_len);
    CHECK_INT(s->wire[s->wire_len], '\0');
    CHECK_INT(s->wire[root->inner - 1], '>');
    if (s->to)
        CHECK_TEXT(mk_attr(root, "to"), s->to->text);
    else
        CHECK(!mk_attr(root, "to"));
    if (s->from)
        CHECK_TEXT(mk_attr(root, "from"), s->from->text);
    for (const struct mk_elem *e = mk_elem_first(root); e; e = mk_elem_next(e))
        CHECK(e->raw >= s->wire + root->inner && e->raw + e->raw_len <= s->wire + s->wire_tail);
    struct mk_stanza *again = parse_stanza(parsers, s->ns_profile, s->wire, s->wire_len, 0);
    CHECK(again != NULL);
    CHECK(mk_jid_same(again->from, s->from) || !s->from);
    CHECK(mk_jid_same(again->to, s->to) || !s->to);
    mk_release(again);
}

struct row {
    const char *source, *from, *to, *want;
};

static const struct row rows[] = {
    { "<message to='b@y'/>", "a@x/1", NULL, "<message to='b@y' from='a@x/1'/>" },
    { "<message to='B@Y'><body>x</body></message>", "a@x/1", NULL,
      "<message to='b@y' from='a@x/1'><body>x</body></message>" },
    { "<message from='forged@z' id='1' to='b@y' type=\"chat\">t</message>", "a@x/1", NULL,
      "<message to='b@y' from='a@x/1' id='1' type=\"chat\">t</message>" },
    { "<message>t</message>", "a@x", "b@y/2", "<message to='b@y/2' from='a@x'>t</message>" },
    { "<message to='b@y'>t</message>", NULL, NULL, "<message to='b@y'>t</message>" },
    { "<message from='a@x'>t</message>", NULL, NULL, "<message from='a@x'>t</message>" },
    { "<message>t</message>", NULL, NULL, "<message>t</message>" },
    { "<presence xmlns='jabber:client' to='b@y' xml:lang='de'/>", "a@x", NULL,
      "<presence to='b@y' from='a@x' xml:lang='de'/>" },
    { "<presence xmlns:p='u' p:to='keep' to='b@y' p:from='too'/>", "a@x", NULL,
      "<presence to='b@y' from='a@x' xmlns:p='u' p:to='keep' p:from='too'/>" },
    { "<iq id=\"it's\" to='b@y' note='say \"x\"'/>", "a@x", NULL,
      "<iq to='b@y' from='a@x' id=\"it's\" note='say \"x\"'/>" },
    { "<iq\n\tid = '1'\r\n  to\n=\n'b@y'\n>\n</iq\n>", "a@x", NULL, "<iq to='b@y' from='a@x' id = '1'>\n</iq\n>" },
    { "<iq a='&lt;&#x41;&amp;' to='b@y/&amp;&lt;'/>", "a@x/'>", NULL,
      "<iq to='b@y/&amp;&lt;' from='a@x/&apos;&gt;' a='&lt;&#x41;&amp;'/>" },
    { "<iq a='to=' b=\" from='x'\" to='b@y'/>", "a@x", NULL, "<iq to='b@y' from='a@x' a='to=' b=\" from='x'\"/>" },
    { "<iq to='b@y'></iq>", "a@x", NULL, "<iq to='b@y' from='a@x'></iq>" },
    { "<iq to='@'>x</iq>", "a@x", NULL, "<iq from='a@x'>x</iq>" },
    { "<message to='b@y'>a&amp;b<![CDATA[<x>]]>\xc3\xa4<x xmlns='y' z=\"'\"/></message>", "a@x", NULL,
      "<message to='b@y' from='a@x'>a&amp;b<![CDATA[<x>]]>\xc3\xa4<x xmlns='y' z=\"'\"/></message>" },
};

static void stamped(size_t from_len) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct mk_stanza *s = parse(r->source, from_len);
        stanza_stamp(s, jid(r->from), jid(r->to));
        CHECK_MEM(s->wire, s->wire_len, r->want, strlen(r->want));
        check_consistent(s);
        size_t name = strcspn(r->want, " />");
        const char *to = strstr(r->want, " to='");
        size_t rest = to && to == r->want + name ? (size_t)(strchr(to + 5, '\'') - r->want) + 1 : name;
        CHECK_INT(s->wire_rest, rest);
        CHECK_TEXT(part(s->wire + s->wire_tail, s->wire_len - s->wire_tail),
                   r->want[strlen(r->want) - 2] == '/' ? "/>" : strrchr(r->want, '<'));
        mk_release(s);
    }
    arena_free(&turn.arena);
}

static void in_place(void) {
    stamped(30);
}

/* Addresses that the parser was not told of: the bytes move. */
static void with_longer_addresses(void) {
    static char text[700];
    char *at = stpcpy(text, "a@x/");
    memset(at, '\'', 600);
    struct mk_stanza *s = parse("<message to='b@y' id='7'><body>x &amp; y</body><x xmlns='u'><y/></x></message>", 0);
    const struct mk_elem *body = mk_child(s, "body", NULL), *y = mk_elem_first(mk_child(s, "x", "u"));
    const char *before = s->wire;
    stanza_stamp(s, jid(text), NULL);
    CHECK(s->wire < before || s->wire > before + s->wire_len);
    check_consistent(s);
    CHECK_TEXT(part(body->raw, body->raw_len), "<body>x &amp; y</body>");
    CHECK_TEXT(part(y->raw, y->raw_len), "<y/>");
    CHECK_TEXT(mk_text(&turn, body), "x & y");
    stanza_stamp(s, jid("c@z"), jid(text));
    check_consistent(s);
    stanza_stamp(s, jid("c@z"), jid("d@z"));
    check_consistent(s);
    CHECK_TEXT(part(s->wire, s->wire_len),
               "<message to='d@z' from='c@z' id='7'><body>x &amp; y</body><x xmlns='u'><y/></x></message>");
    mk_release(s);
    arena_free(&turn.arena);
}

/* Every length of the room before the source. */
static void with_every_room(void) {
    for (size_t from_len = 0; from_len < 40; from_len += 7) {
        for (size_t len = 1; len < 120; len++) {
            char text[300] = "a@x/", want[600];
            memset(text + 4, 'r', len);
            struct mk_stanza *s = parse("<iq id='1' type='get'><q xmlns='u'/></iq>", from_len);
            stanza_stamp(s, jid(text), NULL);
            snprintf(want, sizeof want, "<iq from='%s' id='1' type='get'><q xmlns='u'/></iq>", text);
            CHECK_MEM(s->wire, s->wire_len, want, strlen(want));
            check_consistent(s);
            mk_release(s);
        }
    }
    arena_free(&turn.arena);
}

static void another_recipient(void) {
    struct mk_stanza *s = parse("<message id='1' to='b@y'>t</message>", 30);
    stanza_stamp(s, jid("a@x"), NULL);
    char copy[200];
    snprintf(copy, sizeof copy, "<message to='c@z'%.*s", (int)(s->wire_len - s->wire_rest), s->wire + s->wire_rest);
    CHECK_TEXT(copy, "<message to='c@z' from='a@x' id='1'>t</message>");
    mk_release(s);
    arena_free(&turn.arena);
}

/* From one default namespace to another: what came from a server may go to a client. */
static void between_profiles(void) {
    static const char text[] = "<message xmlns='jabber:server' to='b@y' from='a@x'><body/></message>";
    struct mk_stanza *s = parse_stanza(parsers, XML_SERVER, text, strlen(text), 0);
    stanza_stamp(s, NULL, NULL);
    CHECK_TEXT(part(s->wire, s->wire_len), "<message to='b@y' from='a@x'><body/></message>");
    struct mk_stanza *client = parse(s->wire, 0);
    CHECK(mk_child(s, "body", "jabber:client") && mk_child(client, "body", "jabber:client"));
    mk_release(client);
    mk_release(s);
    arena_free(&turn.arena);
}

static void many_attributes(void) {
    static char text[20000], want[20000];
    char *t = stpcpy(text, "<iq to='b@y'"), *w = stpcpy(want, "<iq to='b@y' from='a@x'");
    for (int i = 0; i < 300; i++) {
        t += sprintf(t, "  a%d=\"%d'\"", i, i);
        w += sprintf(w, " a%d=\"%d'\"", i, i);
    }
    stpcpy(t, " from='z'/>");
    stpcpy(w, "/>");
    struct mk_stanza *s = parse(text, 3);
    stanza_stamp(s, jid("a@x"), NULL);
    CHECK_MEM(s->wire, s->wire_len, want, strlen(want));
    check_consistent(s);
    mk_release(s);
    arena_free(&turn.arena);
}

int main(void) {
    parsers = parsers_new();
    int rc = CHECK_RUN(T(in_place), T(with_longer_addresses), T(with_every_room), T(another_recipient),
                       T(between_profiles), T(many_attributes));
    parsers_free(parsers);
    return rc;
}
