/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "run/turn.h"
#include "util/jid.h"
#include "xml/parser.h"

static struct mk_ctx turn;

static const struct mk_stanza *read_text(const char *text) {
    const struct mk_stanza *s = NULL;
    return mk_stanza_read(&turn, (struct mk_view){ text, strlen(text) }, &s) == 0 ? s : NULL;
}

static void elements(void) {
    const struct mk_stanza *s =
        read_text("<message xmlns='jabber:client' type='chat' xml:lang='de' p:x='2' x='1' xmlns:p='u'>"
                  " <a/>text<b xmlns='y'>1<c/>2<d/>3</b> <a z='1'/></message>");
    const struct mk_elem *root = mk_root(s), *b = mk_child(s, "b", "y");
    CHECK_TEXT(mk_elem_name(root), "message");
    CHECK_TEXT(mk_elem_ns(root), "jabber:client");
    CHECK_TEXT(mk_attr(root, "x"), "1");
    CHECK_TEXT(mk_attr_ns(root, "x", "u"), "2");
    CHECK_TEXT(mk_attr_ns(root, "lang", "http://www.w3.org/XML/1998/namespace"), "de");
    CHECK(!mk_attr(root, "lang") && !mk_attr(root, "y"));
    CHECK(mk_elem_is(b, "b", "y") && mk_elem_is(b, NULL, "y") && mk_elem_is(b, "b", NULL) && mk_elem_is(b, NULL, NULL));
    CHECK(!mk_elem_is(b, "b", "z") && !mk_elem_is(b, "c", "y") && !mk_elem_is(NULL, NULL, NULL));
    CHECK_TEXT(mk_text(&turn, b), "123");
    CHECK_TEXT(mk_text(&turn, mk_elem_first(b)), "");
    CHECK_TEXT(mk_text(&turn, NULL), "");
    CHECK_TEXT(mk_elem_name(mk_elem_next(mk_elem_first(b))), "d");
    CHECK(!mk_elem_next(mk_elem_next(mk_elem_first(b))));
    CHECK(mk_elem_first(root) == mk_child(s, NULL, NULL) && mk_elem_next(mk_elem_first(root)) == b);
    CHECK(mk_child(s, NULL, "y") == b && mk_child(s, "a", NULL) == mk_elem_first(root));
    CHECK(!mk_child(s, "a", "y") && !mk_child(s, "zz", NULL));
    CHECK(mk_elem_is(mk_elem_child(b, "d", "y"), "d", "y") && !mk_elem_child(NULL, "d", "y"));
    arena_free(&turn.arena);
}

static void given_ids(void) {
    const struct mk_stanza *s = read_text("<message xmlns='jabber:client'><stanza-id xmlns='urn:xmpp:sid:0' id='0'/>"
                                          "<stanza-id xmlns='other' by='a@b' id='1'/><origin-id xmlns='urn:xmpp:sid:0' "
                                          "by='a@b' id='2'/><stanza-id xmlns='urn:xmpp:sid:0' by='a@b/c' id='3'/>"
                                          "<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='4'/>"
                                          "<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='5'/></message>");
    const struct mk_jid *by, *nobody;
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "a@b", 3 }, &by), 0);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "b", 1 }, &nobody), 0);
    CHECK_TEXT(mk_stanza_given_id(s, by), "4");
    CHECK(!mk_stanza_given_id(s, nobody));
    arena_free(&turn.arena);
}

static void types(void) {
    static const struct {
        enum mk_kind kind;
        const char *text;
        enum mk_type type;
    } rows[] = {
        { MK_MESSAGE, NULL, MK_TYPE_NORMAL },
        { MK_MESSAGE, "normal", MK_TYPE_NORMAL },
        { MK_MESSAGE, "chat", MK_TYPE_CHAT },
        { MK_MESSAGE, "groupchat", MK_TYPE_GROUPCHAT },
        { MK_MESSAGE, "headline", MK_TYPE_HEADLINE },
        { MK_MESSAGE, "error", MK_TYPE_ERROR },
        { MK_MESSAGE, "get", MK_TYPE_NORMAL },
        { MK_MESSAGE, "", MK_TYPE_NORMAL },
        { MK_PRESENCE, NULL, MK_TYPE_AVAILABLE },
        { MK_PRESENCE, "available", MK_TYPE_INVALID },
        { MK_PRESENCE, "", MK_TYPE_INVALID },
        { MK_PRESENCE, "unavailable", MK_TYPE_UNAVAILABLE },
        { MK_PRESENCE, "subscribe", MK_TYPE_SUBSCRIBE },
        { MK_PRESENCE, "subscribed", MK_TYPE_SUBSCRIBED },
        { MK_PRESENCE, "unsubscribe", MK_TYPE_UNSUBSCRIBE },
        { MK_PRESENCE, "unsubscribed", MK_TYPE_UNSUBSCRIBED },
        { MK_PRESENCE, "probe", MK_TYPE_PROBE },
        { MK_PRESENCE, "error", MK_TYPE_ERROR },
        { MK_PRESENCE, "chat", MK_TYPE_INVALID },
        { MK_IQ, "get", MK_TYPE_GET },
        { MK_IQ, "set", MK_TYPE_SET },
        { MK_IQ, "result", MK_TYPE_RESULT },
        { MK_IQ, "error", MK_TYPE_ERROR },
        { MK_IQ, NULL, MK_TYPE_INVALID },
        { MK_IQ, "probe", MK_TYPE_INVALID },
        { MK_NONZA, "get", MK_TYPE_NONE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK_INT(stanza_type_of(rows[i].kind, rows[i].text), rows[i].type);
        const char *text = stanza_type_text(rows[i].type);
        CHECK(!text || stanza_type_of(rows[i].kind, text) == rows[i].type);
    }
    CHECK_TEXT(stanza_type_text(MK_TYPE_AVAILABLE), NULL);
    CHECK_TEXT(stanza_type_text(MK_TYPE_INVALID), NULL);
    CHECK_TEXT(stanza_type_text(MK_TYPE_NONE), NULL);
}

static void kept_beyond_the_turn(void) {
    const struct mk_stanza *s = mk_keep(read_text("<message id='1'><body>x</body></message>"));
    arena_free(&turn.arena);
    CHECK_TEXT(mk_stanza_id(s), "1");
    CHECK(mk_child(s, "body", "jabber:client"));
    mk_release(s);
    mk_release(NULL);
}

static void text_and_back(void) {
    static const char *const rows[][2] = {
        { "<message xmlns='jabber:client' to='b@y' id='1'><body>a&amp;b</body></message>",
          "<message xmlns='jabber:client' to='b@y' id='1'><body>a&amp;b</body></message>" },
        { "<message id='1' to='b@y' from='a@x'/>", "<message xmlns='jabber:client' to='b@y' from='a@x' id='1'/>" },
        { "<r xmlns='urn:xmpp:sm:3'/>", "<r xmlns='urn:xmpp:sm:3'/>" },
        { "<other>x</other>", "<other xmlns='jabber:client'>x</other>" },
        { "<other xmlns='jabber:client' a='1'>x</other>", "<other xmlns='jabber:client' a='1'>x</other>" },
        { "<stream:error><x xmlns='y'/></stream:error>",
          "<error xmlns='http://etherx.jabber.org/streams'><x xmlns='y'/></error>" },
        { "<a xmlns=''><b/></a>", "<a xmlns=''><b/></a>" },
        { "<a xmlns=''><stream:b/></a>", "<a xmlns=''><b xmlns='http://etherx.jabber.org/streams'/></a>" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mk_stanza *s = read_text(rows[i][0]);
        CHECK(s != NULL);
        struct mk_view xml = mk_stanza_xml(&turn, s);
        CHECK_MEM(xml.s, xml.len, rows[i][1], strlen(rows[i][1]));
        const struct mk_stanza *again = NULL;
        CHECK_INT(mk_stanza_read(&turn, xml, &again), 0);
        CHECK_INT(mk_stanza_kind(again), mk_stanza_kind(s));
        struct mk_view xml2 = mk_stanza_xml(&turn, again);
        CHECK_MEM(xml2.s, xml2.len, xml.s, xml.len);
    }
    arena_free(&turn.arena);
}

static void text_that_is_no_stanza(void) {
    static const char *const bad[] = { "",
                                       "x",
                                       "<a",
                                       "<a>",
                                       "<a/><b/>",
                                       "<a/> ",
                                       " <a/>",
                                       "</a>",
                                       "<a></b>",
                                       "<?xml version='1.0'?><a/>",
                                       "<!-- x --><a/>",
                                       "<a>&x;</a>",
                                       "<p:a/>",
                                       "</stream:stream>" };
    const struct mk_stanza *s;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(mk_stanza_read(&turn, (struct mk_view){ bad[i], strlen(bad[i]) }, &s), MK_E_INVALID);
        CHECK(!s);
    }
    arena_free(&turn.arena);
}

/* ---- receipts ---- */

struct paper {
    struct mk_receipt base;
    int paid, freed;
};
static void paid(struct mk_receipt *r) {
    ((struct paper *)r)->paid++;
}
static void freed(struct mk_receipt *r) {
    ((struct paper *)r)->freed++;
}

static void receipts(void) {
    struct paper paper = { .base = { .paid = paid, .free = freed } };
    struct mk_stanza *s = (struct mk_stanza *)mk_keep(read_text("<message/>"));
    CHECK(!mk_receipt_hold(s));
    mk_receipt_pay(NULL);
    atomic_init(&paper.base.holds, 1);
    atomic_init(&paper.base.refs, 1);
    s->receipt = &paper.base;
    CHECK(mk_receipt_hold(s) == &paper.base);
    CHECK(mk_receipt_hold(s) == &paper.base);
    mk_receipt_pay(&paper.base);
    mk_receipt_pay(&paper.base);
    CHECK_INT(paper.paid, 0);
    mk_receipt_pay(&paper.base);
    CHECK_INT(paper.paid, 1);
    CHECK(!mk_receipt_hold(s)); /* too late */
    arena_free(&turn.arena);
    CHECK_INT(paper.freed, 0);
    mk_release(s);
    CHECK_INT(paper.freed, 1);
    CHECK_INT(paper.paid, 1);
}

static void memory_of_the_turn(void) {
    int64_t time;
    char *zero = mk_alloc(&turn, 40);
    for (int i = 0; i < 40; i++)
        CHECK_INT(zero[i], 0);
    CHECK_TEXT(mk_printf(&turn, "%s-%d", "a", 1), "a-1");
    CHECK_TEXT(mk_text_of(&turn, (struct mk_view){ "abc", 2 }), "ab");
    CHECK_TEXT(mk_time_text(&turn, 1500000), "1970-01-01T00:00:01.500000Z");
    CHECK_INT(mk_time_parse("1970-01-01T00:00:01.5Z", &time), 0);
    CHECK_INT(time, 1500000);
    CHECK_INT(mk_time_parse("today", &time), MK_E_INVALID);
    arena_free(&turn.arena);
}

int main(void) {
    return CHECK_RUN(T(elements), T(given_ids), T(types), T(kept_beyond_the_turn), T(text_and_back),
                     T(text_that_is_no_stanza), T(receipts), T(memory_of_the_turn));
}
