/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "run/turn.h"
#include "util/jid.h"
#include "xml/out.h"
#include "xml/parser.h"

static struct mk_ctx turn;

static const struct mk_jid *jid(const char *text) {
    const struct mk_jid *j = NULL;
    CHECK_INT(jid_parse(&turn.arena, text, strlen(text), &j), 0);
    return j;
}

static const struct mk_stanza *read_text(const char *text) {
    const struct mk_stanza *s = NULL;
    CHECK_INT(mk_stanza_read(&turn, (struct mk_view){ text, strlen(text) }, &s), 0);
    return s;
}

/* Seals, checks the bytes, and that a parser has the same in them. */
static const struct mk_stanza *check_sealed(struct mk_out *o, const char *want) {
    const struct mk_stanza *s;
    CHECK_INT(mk_seal(o, &s), 0);
    CHECK_MEM(s->wire, s->wire_len, want, strlen(want));
    CHECK(s->lazy);
    const struct mk_elem *root = mk_root(s);
    CHECK(!s->lazy);
    CHECK_INT(root->raw_len, strlen(want)); /* it was parsed, not given up */
    CHECK(root->scope != ELEM_BOUND);
    CHECK_MEM(s->wire + s->wire_tail, s->wire_len - s->wire_tail,
              want[strlen(want) - 2] == '/' ? "/>" : strrchr(want, '<'),
              want[strlen(want) - 2] == '/' ? 2 : strlen(strrchr(want, '<')));
    if (s->kind != MK_NONZA) {
        const struct mk_stanza *again = read_text(want);
        CHECK_INT(again->kind, s->kind);
        CHECK_INT(again->type, s->type);
        CHECK(mk_jid_same(again->to, s->to) || (!again->to && !s->to));
        CHECK(mk_jid_same(again->from, s->from) || (!again->from && !s->from));
        if (s->id)
            CHECK_TEXT(again->id, s->id);
    }
    CHECK(mk_seal(o, &s) != 0); /* it is used up */
    return s;
}

static struct mk_out *fragment(void) {
    return out_fragment(&turn, &turn.arena);
}

static void check_bytes(struct mk_out *o, const char *want) {
    struct mk_view bytes = out_bytes(o);
    CHECK_INT(o->error, 0);
    CHECK_MEM(bytes.s, bytes.len, want, strlen(want));
}

static void begin(void) {
    turn = (struct mk_ctx){ .self = NULL };
    turn.self = jid("me@host");
}

/* ---- new stanzas ---- */

static void new_stanzas(void) {
    begin();
    struct mk_out *o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, jid("b@y/'"));
    mk_id(o, "<1>\n");
    mk_put(o, "xml:lang", "de");
    mk_leaf(o, "body", NULL, "a<b&c>d'e\"f\r\n\t");
    mk_open(o, "x", "u:x");
    mk_put(o, "a", "<>&'\"\n\t\r");
    mk_put_int(o, "n", -5);
    mk_put_jid(o, "j", jid("c@z"));
    mk_put(o, "none", NULL);
    mk_put_jid(o, "none", NULL);
    mk_open(o, "y", NULL);
    mk_close(o);
    mk_open(o, "body", "jabber:client");
    mk_put_text(o, "one");
    mk_put_text(o, " two");
    check_sealed(o, "<message to='b@y/&apos;' from='me@host' id='&lt;1&gt;&#10;' type='chat' xml:lang='de'>"
                    "<body>a&lt;b&amp;c&gt;d'e\"f&#13;\n\t</body>"
                    "<x xmlns='u:x' a='&lt;&gt;&amp;&apos;\"&#10;&#9;&#13;' n='-5' j='c@z'><y/>"
                    "<body xmlns='jabber:client'>one two</body></x></message>");
    arena_free(&turn.arena);
}

static void kinds_and_types(void) {
    begin();
    struct mk_out *o = mk_new(&turn, MK_PRESENCE, MK_TYPE_NONE, NULL);
    mk_from(o, jid("a@x/r"));
    const struct mk_stanza *s = check_sealed(o, "<presence from='a@x/r'/>");
    CHECK(!s || s->type == MK_TYPE_AVAILABLE);
    check_sealed(mk_new(&turn, MK_PRESENCE, MK_TYPE_PROBE, jid("b@y")),
                 "<presence to='b@y' from='me@host' type='probe'/>");
    check_sealed(mk_new(&turn, MK_MESSAGE, MK_TYPE_NORMAL, jid("b@y")), "<message to='b@y' from='me@host'/>");
    check_sealed(mk_new(&turn, MK_MESSAGE, MK_TYPE_ERROR, jid("b@y")),
                 "<message to='b@y' from='me@host' type='error'/>");
    CHECK_INT(mk_seal(mk_new(&turn, MK_IQ, MK_TYPE_NONE, NULL), &s), MK_E_INVALID);
    CHECK_INT(mk_seal(mk_new(&turn, MK_IQ, MK_TYPE_CHAT, NULL), &s), MK_E_INVALID);
    CHECK_INT(mk_seal(mk_new(&turn, MK_MESSAGE, MK_TYPE_GET, NULL), &s), MK_E_INVALID);
    CHECK_INT(mk_seal(mk_new(&turn, MK_PRESENCE, MK_TYPE_INVALID, NULL), &s), MK_E_INVALID);
    CHECK_INT(mk_seal(mk_new(&turn, MK_NONZA, MK_TYPE_NONE, NULL), &s), MK_E_INVALID);
    CHECK(!s);
    arena_free(&turn.arena);
}

static void iq_gets_an_id(void) {
    begin();
    const struct mk_stanza *one, *two;
    CHECK_INT(mk_seal(mk_new(&turn, MK_IQ, MK_TYPE_GET, jid("b@y")), &one), 0);
    CHECK_INT(mk_seal(mk_new(&turn, MK_IQ, MK_TYPE_GET, jid("b@y")), &two), 0);
    CHECK(mk_stanza_id(one) && strlen(mk_stanza_id(one)) == 22);
    CHECK_TEXT(mk_attr(mk_root(one), "id"), mk_stanza_id(one));
    CHECK_INT(mk_seal(mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, jid("b@y")), &one), 0);
    CHECK(!mk_stanza_id(one));
    arena_free(&turn.arena);
}

static void sealed_outlives_the_builder(void) {
    begin();
    char name[] = "body", text[] = "text";
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, jid("b@y"));
    mk_open(o, name, NULL);
    strcpy(name, "xxxx");
    mk_put_text(o, text);
    mk_close(o);
    CHECK_INT(mk_seal(o, &s), 0);
    mk_keep(s);
    arena_free(&turn.arena);
    CHECK_TEXT(mk_text(&turn, mk_child(s, "body", "jabber:client")), "text");
    CHECK_TEXT(mk_jid_text(mk_stanza_to(s)), "b@y");
    CHECK_INT(mk_stanza_size(s), s->wire_len);
    mk_release(s);
    arena_free(&turn.arena);
}

static void nonzas(void) {
    begin();
    struct mk_out *o = mk_nonza(&turn, "enabled", "urn:xmpp:sm:3");
    mk_put(o, "id", "x");
    mk_put(o, "resume", "true");
    const struct mk_stanza *s;
    CHECK_INT(mk_seal(o, &s), 0);
    CHECK_MEM(s->wire, s->wire_len, "<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>", 53);
    CHECK(mk_elem_is(mk_root(s), "enabled", "urn:xmpp:sm:3"));
    o = mk_nonza(&turn, "success", "urn:ietf:params:xml:ns:xmpp-sasl");
    mk_put_text(o, "dj0=");
    mk_open(o, "x", NULL);
    CHECK_INT(mk_seal(o, &s), 0);
    CHECK_MEM(s->wire, s->wire_len, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj0=<x/></success>", 68);
    CHECK(mk_child(s, "x", "urn:ietf:params:xml:ns:xmpp-sasl"));
    o = mk_nonza(&turn, "plain", NULL);
    mk_id(o, "1");
    mk_from(o, jid("a@x"));
    CHECK_INT(mk_seal(o, &s), 0);
    CHECK_MEM(s->wire, s->wire_len, "<plain id='1' from='a@x'/>", 26);
    CHECK_INT(mk_seal(mk_nonza(&turn, "no name", NULL), &s), MK_E_INVALID);
    arena_free(&turn.arena);
}

/* ---- errors stick ---- */

static void refused(void (*build)(struct mk_out *o)) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, NULL);
    build(o);
    mk_leaf(o, "body", NULL, "fine");
    CHECK_INT(mk_seal(o, &s), MK_E_INVALID);
    CHECK(!s);
}

static void bad_text(struct mk_out *o) {
    mk_leaf(o, "a", NULL, "\x01");
}
static void bad_utf8(struct mk_out *o) {
    mk_leaf(o, "a", NULL, "\xff");
}
static void bad_value(struct mk_out *o) {
    mk_open(o, "a", NULL);
    mk_put(o, "b", "\xef\xbf\xbe");
}
static void bad_name(struct mk_out *o) {
    mk_open(o, "a b", NULL);
}
static void empty_name(struct mk_out *o) {
    mk_open(o, "", NULL);
}
static void prefixed_name(struct mk_out *o) {
    mk_open(o, "p:a", NULL);
}
static void bad_ns(struct mk_out *o) {
    mk_open(o, "a", "\xff");
}
static void bad_attr(struct mk_out *o) {
    mk_put(o, "a='", "x");
}
static void xmlns_attr(struct mk_out *o) {
    mk_open(o, "a", NULL);
    mk_put(o, "xmlns", "x");
}
static void prefixed_attr(struct mk_out *o) {
    mk_put(o, "xmlns:p", "x");
}
static void twice(struct mk_out *o) {
    mk_open(o, "a", NULL);
    mk_put(o, "b", "1");
    mk_put(o, "c", "1");
    mk_put(o, "b", "2");
}
static void twice_in_root(struct mk_out *o) {
    mk_put(o, "b", "1");
    mk_put(o, "b", "1");
}
static void attr_late(struct mk_out *o) {
    mk_open(o, "a", NULL);
    mk_put_text(o, "x");
    mk_put(o, "b", "1");
}
static void attr_after_child(struct mk_out *o) {
    mk_leaf(o, "a", NULL, NULL);
    mk_put(o, "b", "1");
}
static void own_attr(struct mk_out *o) {
    mk_put(o, "to", "x@y");
}
static void close_too_often(struct mk_out *o) {
    mk_open(o, "a", NULL);
    mk_close(o);
    mk_close(o);
}
static void bad_id(struct mk_out *o) {
    mk_id(o, "\x02");
}

static void errors_stick(void) {
    begin();
    void (*const builds[])(
        struct mk_out *) = { bad_text,  bad_utf8,         bad_value,  bad_name,        empty_name, prefixed_name,
                             bad_ns,    bad_attr,         xmlns_attr, prefixed_attr,   twice,      twice_in_root,
                             attr_late, attr_after_child, own_attr,   close_too_often, bad_id };
    for (size_t i = 0; i < sizeof builds / sizeof builds[0]; i++)
        refused(builds[i]);
    struct mk_out *o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, NULL);
    mk_open(o, "a", NULL);
    mk_put(o, "type", "x"); /* of a child: fine */
    mk_put(o, "b", "a='1' b='2'");
    mk_put(o, "a", "x");
    mk_close(o);
    mk_open(o, "a", NULL);
    mk_put(o, "b", "1");
    check_sealed(o, "<message from='me@host' type='chat'><a type='x' b='a=&apos;1&apos; b=&apos;2&apos;' a='x'/>"
                    "<a b='1'/></message>");
    arena_free(&turn.arena);
}

/* ---- answers ---- */

static void replies(void) {
    begin();
    const struct mk_stanza *iq = read_text("<iq to='room@h/x' from='a@x/r' id='&lt;7' type='get'><q xmlns='u'/></iq>");
    struct mk_out *o = mk_reply(&turn, iq);
    mk_open(o, "q", "u");
    check_sealed(o, "<iq to='a@x/r' from='room@h/x' id='&lt;7' type='result'><q xmlns='u'/></iq>");
    iq = read_text("<iq from='a@x/r' id='7' type='set'/>");
    check_sealed(mk_reply(&turn, iq), "<iq to='a@x/r' from='me@host' id='7' type='result'/>");
    const struct mk_stanza *s;
    CHECK_INT(mk_seal(mk_reply(&turn, read_text("<message/>")), &s), MK_E_INVALID);
    o = mk_reply(&turn, read_text("<iq id='1' type='result'/>"));
    CHECK(o->silent);
    CHECK(mk_seal(o, &s) != 0);
    arena_free(&turn.arena);
}

static void error_replies(void) {
    begin();
    static const char *const rows[][2] = {
        { "bad-request", "modify" },
        { "conflict", "cancel" },
        { "feature-not-implemented", "cancel" },
        { "forbidden", "auth" },
        { "gone", "cancel" },
        { "internal-server-error", "cancel" },
        { "item-not-found", "cancel" },
        { "jid-malformed", "modify" },
        { "not-acceptable", "modify" },
        { "not-allowed", "cancel" },
        { "not-authorized", "auth" },
        { "policy-violation", "modify" },
        { "recipient-unavailable", "wait" },
        { "redirect", "modify" },
        { "registration-required", "auth" },
        { "remote-server-not-found", "cancel" },
        { "remote-server-timeout", "wait" },
        { "resource-constraint", "wait" },
        { "service-unavailable", "cancel" },
        { "subscription-required", "auth" },
        { "undefined-condition", "cancel" },
        { "unexpected-request", "wait" },
    };
    const struct mk_stanza *s =
        read_text("<message to='b@y' from='a@x' id='5' type='chat'><body>secret</body></message>");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[300];
        snprintf(want, sizeof want,
                 "<message to='a@x' from='b@y' id='5' type='error'><error type='%s'>"
                 "<%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
                 rows[i][1], rows[i][0]);
        check_sealed(mk_reply_error(&turn, s, rows[i][0]), want);
    }
    struct mk_out *o = mk_reply_error(&turn, s, "made-up");
    mk_leaf(o, "more", "u", NULL);
    check_sealed(o, "<message to='a@x' from='b@y' id='5' type='error'><error type='cancel'><undefined-condition"
                    " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><more xmlns='u'/></error></message>");
    check_sealed(mk_reply_error(&turn, read_text("<presence to='@' from='a@x' type='probe'/>"), "jid-malformed"),
                 "<presence to='a@x' from='me@host' type='error'><error type='modify'><jid-malformed"
                 " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>");
    arena_free(&turn.arena);
}

static void errors_are_not_answered(void) {
    begin();
    static const char *const silent[] = { "<message type='error'/>", "<presence type='error'/>",
                                          "<iq type='error' id='1'/>", "<iq type='result' id='1'/>",
                                          "<r xmlns='urn:xmpp:sm:3'/>" };
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        const struct mk_stanza *s = read_text(silent[i]), *out;
        struct mk_out *o = mk_reply_error(&turn, s, "bad-request");
        CHECK(o->silent);
        mk_leaf(o, "x", NULL, NULL);
        CHECK_INT(mk_send(o), 0);
        CHECK_INT(mk_refuse(&turn, s, "bad-request", "No."), 0);
        CHECK(mk_seal(mk_reply_error(&turn, s, "bad-request"), &out) != 0);
    }
    arena_free(&turn.arena);
}

/* ---- copies ---- */

static void derived(void) {
    begin();
    static const char text[] =
        "<message to='b@y/r' from='a@x' id='&amp;' type='odd' xml:lang='de' p:z=\"'\" xmlns:p='u'>"
        "t1<x xmlns='drop'/>t2&amp;<body>b</body><p:y/><x xmlns='drop'>1<x/></x>t3</message>";
    struct mk_out *o = mk_derive(&turn, read_text(text), NULL);
    mk_put_delay(o, jid("me@host"), 0);
    check_sealed(o, "<message to='b@y/r' from='a@x' id='&amp;' type='odd' xml:lang='de' p:z=\"'\" xmlns:p='u'>"
                    "t1<x xmlns='drop'/>t2&amp;<body>b</body><p:y/><x xmlns='drop'>1<x/></x>t3"
                    "<delay xmlns='urn:xmpp:delay' from='me@host' stamp='1970-01-01T00:00:00.000000Z'/></message>");
    o = mk_derive(&turn, read_text(text), "drop");
    mk_id(o, "new");
    mk_leaf(o, "sid", "s", NULL);
    check_sealed(o, "<message to='b@y/r' from='a@x' id='new' type='odd' xml:lang='de' p:z=\"'\" xmlns:p='u'>"
                    "t1t2&amp;<body>b</body><p:y/>t3<sid xmlns='s'/></message>");
    check_sealed(mk_derive(&turn, read_text("<presence to='b@y' from='a@x'/>"), "drop"),
                 "<presence to='b@y' from='a@x'/>");
    check_sealed(mk_derive(&turn, read_text("<presence to='b@y' from='a@x'><x xmlns='drop'/></presence>"), "drop"),
                 "<presence to='b@y' from='a@x'/>");
    o = mk_derive(&turn, read_text("<presence to='b@y' from='a@x'/>"), NULL);
    mk_leaf(o, "c", "u", NULL);
    check_sealed(o, "<presence to='b@y' from='a@x'><c xmlns='u'/></presence>");
    /* Of one that was not stamped yet, and says the namespace of its stream. */
    static const char bare[] = "<message xmlns='jabber:server' from='a@x' a='1'><body/></message>";
    struct mk_stanza *raw = parse_stanza(parsers_here(), XML_SERVER, bare, strlen(bare), 0);
    check_sealed(mk_derive(&turn, raw, NULL), "<message from='a@x' a='1'><body/></message>");
    mk_release(raw);
    const struct mk_stanza *s;
    CHECK_INT(mk_seal(mk_derive(&turn, read_text("<r xmlns='u'/>"), NULL), &s), MK_E_INVALID);
    arena_free(&turn.arena);
}

/* Also of one that was built and that nobody has read yet. */
static void derived_from_built(void) {
    begin();
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, jid("b@y"));
    mk_put(o, "xml:lang", "en");
    mk_leaf(o, "body", NULL, "x");
    mk_leaf(o, "a", "drop", NULL);
    CHECK_INT(mk_seal(o, &s), 0);
    o = mk_derive(&turn, s, NULL);
    CHECK(s->lazy);
    mk_leaf(o, "b", "u", NULL);
    check_sealed(o, "<message to='b@y' from='me@host' type='chat' xml:lang='en'><body>x</body><a xmlns='drop'/>"
                    "<b xmlns='u'/></message>");
    check_sealed(mk_derive(&turn, s, "drop"),
                 "<message to='b@y' from='me@host' type='chat' xml:lang='en'><body>x</body></message>");
    arena_free(&turn.arena);
}

static int freed_count;
static void freed(struct mk_receipt *r) {
    (void)r;
    freed_count++;
}

static void derived_shares_the_receipt(void) {
    begin();
    struct mk_receipt receipt = { .free = freed };
    const struct mk_stanza *s = mk_keep(read_text("<message/>")), *copy;
    atomic_init(&receipt.holds, 1);
    atomic_init(&receipt.refs, 1);
    ((struct mk_stanza *)s)->receipt = &receipt;
    CHECK_INT(mk_seal(mk_derive(&turn, s, NULL), &copy), 0);
    CHECK(mk_receipt_hold(copy) == &receipt);
    CHECK_INT(atomic_load(&receipt.refs), 2);
    mk_receipt_pay(&receipt);
    mk_release(s);
    CHECK_INT(freed_count, 0);
    arena_free(&turn.arena);
    CHECK_INT(freed_count, 1);
}

static const char source[] = "<message xmlns:p='urn:p'><body>b&amp;'</body><free xmlns='f'><in a='1'/></free>"
                             "<p:bound p:a='v' xml:lang='de'>t&lt;<p:in>\xc3\xa4</p:in><out/></p:bound>"
                             "<q:own xmlns:q='urn:q'><q:in/></q:own></message>";

static void copied_elements(void) {
    begin();
    const struct mk_stanza *s = read_text(source);
    struct mk_out *o = fragment();
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e))
        mk_put_elem(o, e);
    check_bytes(o, "<body>b&amp;'</body><free xmlns='f'><in a='1'/></free>"
                   "<bound xmlns='urn:p' xmlns:n0='urn:p' n0:a='v' xml:lang='de'>t&lt;<in>\xc3\xa4</in>"
                   "<out xmlns='jabber:client'/></bound><q:own xmlns:q='urn:q'><q:in/></q:own>");
    o = fragment();
    mk_open(o, "item", "other");
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e))
        mk_put_elem(o, e);
    mk_put_elem(o, mk_elem_first(mk_child(s, "free", "f")));
    mk_put_elem(o, NULL);
    check_bytes(o, "<item xmlns='other'><body xmlns='jabber:client'>b&amp;'</body><free xmlns='f'><in a='1'/></free>"
                   "<bound xmlns='urn:p' xmlns:n0='urn:p' n0:a='v' xml:lang='de'>t&lt;<in>\xc3\xa4</in>"
                   "<out xmlns='jabber:client'/></bound><q:own xmlns:q='urn:q'><q:in/></q:own>"
                   "<in xmlns='f' a='1'/></item>");
    o = fragment();
    mk_open(o, "x", "f");
    mk_put_elem(o, mk_elem_first(mk_child(s, "free", "f")));
    mk_open(o, "y", "urn:p");
    mk_put_elem(o, mk_child(s, "bound", "urn:p"));
    check_bytes(o, "<x xmlns='f'><in a='1'/><y xmlns='urn:p'><bound xmlns:n0='urn:p' n0:a='v' xml:lang='de'>t&lt;"
                   "<in>\xc3\xa4</in><out xmlns='jabber:client'/></bound></y></x>");
    arena_free(&turn.arena);
}

static void copied_stanzas(void) {
    begin();
    const struct mk_stanza *s = read_text("<message to='b@y' id='1' xmlns='jabber:client'><body>x</body></message>"),
                           *built;
    struct mk_out *o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, jid("b@y"));
    mk_leaf(o, "body", NULL, "y");
    CHECK_INT(mk_seal(o, &built), 0);
    o = fragment();
    mk_open(o, "forwarded", "urn:xmpp:forward:0");
    mk_put_stanza(o, s);
    mk_put_stanza(o, built);
    mk_put_stanza(o, read_text("<r xmlns='u'/>"));
    mk_put_elem(o, mk_root(s));
    CHECK(built->lazy);
    check_bytes(o, "<forwarded xmlns='urn:xmpp:forward:0'>"
                   "<message xmlns='jabber:client' to='b@y' id='1'><body>x</body></message>"
                   "<message xmlns='jabber:client' to='b@y' from='me@host' type='chat'><body>y</body></message>"
                   "<r xmlns='u'/><message xmlns='jabber:client' to='b@y' id='1'><body>x</body></message></forwarded>");
    arena_free(&turn.arena);
}

static void fragments(void) {
    begin();
    struct mk_out *o = fragment();
    mk_leaf(o, "ver", "urn:xmpp:features:rosterver", NULL);
    mk_open(o, "mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl");
    mk_leaf(o, "mechanism", NULL, "PLAIN");
    check_bytes(o, "<ver xmlns='urn:xmpp:features:rosterver'/><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                   "<mechanism>PLAIN</mechanism></mechanisms>");
    check_bytes(fragment(), "");
    o = fragment();
    mk_put(o, "a", "b");
    CHECK_INT(out_bytes(o).len, 0);
    CHECK_INT(o->error, MK_E_INVALID);
    char out[64];
    static const char text[] = "a<>&'\"z";
    *xml_escape(out, text, strlen(text)) = '\0';
    CHECK_TEXT(out, "a&lt;&gt;&amp;&apos;\"z");
    arena_free(&turn.arena);
}

static void large_content(void) {
    begin();
    static char text[50001], want[100000];
    memset(text, '<', 5000);
    struct mk_out *o = fragment();
    mk_leaf(o, "a", NULL, text);
    char *at = stpcpy(want, "<a>");
    for (int i = 0; i < 5000; i++)
        at = stpcpy(at, "&lt;");
    stpcpy(at, "</a>");
    check_bytes(o, want);
    o = mk_new(&turn, MK_MESSAGE, MK_TYPE_CHAT, NULL);
    for (int i = 0; i < 1000; i++)
        mk_open(o, "deep", NULL);
    const struct mk_stanza *s;
    CHECK_INT(mk_seal(o, &s), 0);
    int depth = 0;
    for (const struct mk_elem *e = mk_root(s); e; e = mk_elem_first(e))
        depth++;
    CHECK_INT(depth, 1001);
    arena_free(&turn.arena);
}

int main(void) {
    return CHECK_RUN(T(new_stanzas), T(kinds_and_types), T(iq_gets_an_id), T(sealed_outlives_the_builder), T(nonzas),
                     T(errors_stick), T(replies), T(error_replies), T(errors_are_not_answered), T(derived),
                     T(derived_from_built), T(derived_shares_the_receipt), T(copied_elements), T(copied_stanzas),
                     T(fragments), T(large_content));
}
