/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a stream: framed whole and in pieces, which must come to the same; then each stanza is parsed, stamped,
 * written and parsed again, in every way there is, and must stay what it was.
 *
 * The first byte chooses the profile and whether the stream is open, the second where the pieces end.  If bit 6 of the
 * first is set, the rest is no XML but choices from which a stanza is made: few of the others are well-formed.  Bit 5
 * has the choices be such that the stanza is plain (xml/plain.h).
 */
#include "run/turn.h"
#include "util/jid.h"
#include "util/text.h"
#include "xml/out.h"
#include "xml/parser.h"
#include "xml/scan.h"
#include "xml/test_tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct xml_limits limits = { .bytes = 65536, .depth = 40, .attrs = 40, .children = 2000 };
static struct mk_ctx turn;

__attribute__((noreturn)) static void differ(const char *what, const char *text, size_t len) {
    fprintf(stderr, "fuzz_xml: %s: %.*s\n", what, (int)len, text);
    abort();
}

/* ---- trees ---- */

static bool same_attrs(const struct mk_elem *a, const struct mk_elem *b) {
    if (a->attr_count != b->attr_count)
        return false;
    for (unsigned i = 0; i < a->attr_count; i++) {
        const char *value = mk_attr_ns(b, a->attrs[i].name, a->attrs[i].ns);
        if (!value || strcmp(value, a->attrs[i].value) != 0)
            return false;
    }
    return true;
}

static bool same_node(const struct mk_elem *a, const struct mk_elem *b) {
    if (!a->name || !b->name)
        return !a->name && !b->name && a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    return strcmp(a->name, b->name) == 0 && strcmp(a->ns, b->ns) == 0 && same_attrs(a, b);
}

static bool same_tree(const struct mk_elem *a, const struct mk_elem *b) {
    if (!same_node(a, b))
        return false;
    const struct mk_elem *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next)
        if (!same_tree(x, y))
            return false;
    return !x && !y;
}

/* Source and tree of every element must fit each other. */
static void check_sources(const struct mk_stanza *s, const struct mk_elem *e) {
    if (!e->name)
        return;
    const char *end = s->wire + s->wire_len;
    if (e->raw < s->wire || e->raw + e->raw_len > end || e->inner > e->raw_len || e->raw[0] != '<' ||
        e->raw[e->inner - 1] != '>' || e->raw[e->raw_len - 1] != '>')
        differ("source of an element", s->wire, s->wire_len);
    for (const struct mk_elem *child = e->first; child; child = child->next) {
        if (child->parent != e ||
            (child->name && (child->raw < e->raw + e->inner || child->raw + child->raw_len > e->raw + e->raw_len)))
            differ("source of a child", s->wire, s->wire_len);
        check_sources(s, child);
    }
}

/* ---- the same stanza again ---- */

static void check_again(const struct mk_stanza *s, const char *what, enum xml_profile profile, const char *text,
                        size_t len) {
    struct mk_stanza *again = parse_stanza(parsers_here(), profile, text, len, 0);
    if (!again || !same_tree(mk_root(s), again->root))
        differ(what, text, len);
    mk_release(again);
}

static void check_copies(const struct mk_stanza *s) {
    struct mk_out *o = out_fragment(&turn, &turn.arena);
    mk_open(o, "outer", "urn:outer");
    mk_put_elem(o, mk_root(s));
    out_tree(o, mk_root(s));
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e))
        mk_put_elem(o, e);
    struct mk_view text = out_bytes(o);
    struct mk_stanza *outer = parse_stanza(parsers_here(), XML_CLIENT, text.s, text.len, 0);
    if (!outer)
        differ("copied", text.s, text.len);
    const struct mk_elem *copy = mk_elem_first(outer->root);
    for (int i = 0; i < 2; i++, copy = mk_elem_next(copy))
        if (!same_tree(mk_root(s), copy))
            differ(i ? "written from the tree" : "copied", text.s, text.len);
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e), copy = mk_elem_next(copy))
        if (!same_tree(e, copy))
            differ("copied child", text.s, text.len);
    mk_release(outer);
}

static void check_stanza(struct mk_stanza *s) {
    check_sources(s, s->root);
    struct mk_view xml = mk_stanza_xml(&turn, s);
    check_again(s, "text that stands alone", XML_CLIENT, xml.s, xml.len);
    check_copies(s);
    if (s->kind == MK_NONZA)
        return;
    const struct mk_jid *from;
    if (jid_parse(&turn.arena, "from@example.org/a'b&c", 22, &from) != 0)
        abort();
    stanza_stamp(s, from, s->to ? NULL : from);
    check_sources(s, s->root);
    check_again(s, "wire form", s->ns_profile, s->wire, s->wire_len);
    check_copies(s);
    const struct mk_stanza *derived;
    if (mk_seal(mk_derive(&turn, s, NULL), &derived) != 0 || !same_tree(s->root, mk_root(derived)))
        differ("derived", s->wire, s->wire_len);
    xml = mk_stanza_xml(&turn, derived);
    check_again(derived, "text of the derived one", XML_CLIENT, xml.s, xml.len);
    struct mk_out *o = mk_derive(&turn, derived, "a");
    mk_leaf(o, "added", "urn:added", NULL);
    if (mk_seal(o, &derived) != 0 || !mk_child(derived, "added", "urn:added") || mk_child(derived, NULL, "a"))
        differ("derived again", s->wire, s->wire_len);
}

/* ---- the stream ---- */

static void take(enum scan_result r, enum xml_profile profile, const char *data, size_t len) {
    struct xml_header header;
    if (r == SCAN_HEADER && parse_header(&turn.arena, data, len, &header) == HEADER_OK && *header.prefixes)
        mk_release(parse_stanza_with(parsers_here(), profile, header.prefixes, "<a/>", 4, 0));
    if (r != SCAN_STANZA)
        return;
    if (tree_compare(profile, data, len) == TREE_DIFFERS)
        differ("read as plain", data, len);
    struct mk_stanza *s = parse_stanza(parsers_here(), profile, data, len, data[len / 2] & 63);
    if (!s)
        return;
    check_stanza(s);
    mk_release(s);
}

/* Frames the next thing, with a buffer that grows to sizes that SEED chooses. */
static enum scan_result in_pieces(struct scan *s, const char *data, size_t len, size_t *used, unsigned seed) {
    for (size_t have = 0;; have++) {
        seed = seed * 1103515245 + 12345;
        have += (seed >> 16) % 9;
        have = have < len ? have : len;
        enum scan_result r = scan_next(s, &limits, data, have, used);
        if (r != SCAN_MORE || have == len)
            return r;
    }
}

/* The size of the stanza at AT if it is plain, else 0. */
static size_t plain_size(const struct scan *scan, enum xml_profile profile, const char *at, size_t len) {
    const char *last = memrchr(at, '>', len);
    size_t used = 0;
    if (!last || !scan_is_between(scan))
        return 0;
    struct mk_stanza *s = parse_next(profile, &limits, at, (size_t)(last + 1 - at), 5, &used);
    if (!s)
        return 0;
    check_sources(s, s->root);
    mk_release(s);
    return used;
}

static void run(const uint8_t *choices, const char *at, size_t len) {
    enum xml_profile profile = choices[0] % XML_PROFILES;
    struct scan whole = { .open = choices[0] >> 7 }, pieces = whole;
    const char *end = at + len;
    while (at < end) {
        size_t used = 0, used2 = 0, plain = plain_size(&whole, profile, at, (size_t)(end - at));
        enum scan_result r = scan_next(&whole, &limits, at, (size_t)(end - at), &used);
        size_t part = r == SCAN_SPACE ? used : (size_t)(end - at);
        enum scan_result r2 = in_pieces(&pieces, at, part, &used2, choices[1]);
        if (r == SCAN_SPACE)
            used = used2; /* of white space any part may come */
        if (r != r2 || (r >= SCAN_SPACE && r <= SCAN_CLOSE && used != used2))
            differ("framed in pieces", at, (size_t)(end - at));
        if (plain && (r != SCAN_STANZA || plain != used))
            differ("framed as plain", at, (size_t)(end - at));
        if (r == SCAN_MORE || r > SCAN_CLOSE)
            break;
        whole.pos = pieces.pos = 0;
        take(r, profile, at, used);
        at += used;
    }
    arena_free(&turn.arena);
}

/* ---- made stanzas ---- */

static const char *const names[] = { "message", "a", "body", "p:a", "q:message", "stream:b", "a", "long-name_1.x" };
static const char *const attrs[] = {
    " to='b@y'",
    " from=\"a@x/'\"",
    " id='&#10;&amp;&lt;'",
    " type='chat'",
    " xml:lang='de'",
    " p:c='1'",
    " q:c=\"'>/\"",
    " xmlns:p='u'",
    " xmlns:q='v'",
    " xmlns:p='&amp;u'",
    " xmlns='u'",
    " xmlns=''",
    " xmlns='jabber:client'",
    " xmlns='jabber:server'",
    "\n\tz\r\n = \"it's\"",
    " y='\xc3\xa4 &#13;\t'",
};
static const char *const texts[] = { "text",
                                     "&amp;",
                                     "&lt;&#65;",
                                     "<![CDATA[]]]]>",
                                     "<![CDATA[<a>&amp;]]>",
                                     "\r\n",
                                     "\r",
                                     " \xc3\xa4\xe2\x99\x9a",
                                     "<![CDATA[<![CDATA[]]>",
                                     "&#13;>'\"" };
#define CHOOSE(list, n) list[(n) % (sizeof(list) / sizeof((list)[0]))]

/* Of the lists above, a bit each. */
enum { PLAIN_NAMES = 0xc7, PLAIN_ATTRS = 0x341b, PLAIN_TEXTS = 0x81 };

static unsigned plain_choice(unsigned n, unsigned count, unsigned plain) {
    for (n %= count; !(plain >> n & 1);)
        n = (n + 1) % count;
    return n;
}

/* Each byte is a choice: open an element, with what the next two say; write text; close. */
static void make(struct buf *b, const uint8_t *data, size_t size, bool plain) {
    const char *open[30];
    unsigned depth = 0;
    for (size_t i = 0; i + 3 < size; i++) {
        uint8_t c = data[i];
        if (c < 100 && depth < 30) {
            unsigned name = depth || c & 7 ? c : 0u;
            open[depth] = CHOOSE(names, plain ? plain_choice(name, 8, PLAIN_NAMES) : name);
            buf_printf(b, "<%s", open[depth]);
            unsigned bits = data[i + 1] | (unsigned)data[i + 2] << 8;
            bits &= plain ? PLAIN_ATTRS : ~0u;
            for (unsigned k = 0; k < 16; k++)
                if (bits >> k & 1)
                    buf_puts(b, CHOOSE(attrs, k));
            buf_puts(b, data[i + 3] & 1 ? "/>" : ">");
            depth += !(data[i + 3] & 1);
            i += 3;
        } else if (c < 180 && depth) {
            buf_puts(b, CHOOSE(texts, plain ? plain_choice(c, 10, PLAIN_TEXTS) : c));
        } else if (depth) {
            buf_printf(b, "</%s>", open[--depth]);
        }
    }
    while (depth)
        buf_printf(b, "</%s>", open[--depth]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    if (!(data[0] & 0x40)) {
        run(data, (const char *)data + 2, size - 2);
        return 0;
    }
    struct buf b = { 0 };
    const uint8_t choices[2] = { data[0] | 0x80, data[1] };
    make(&b, data + 2, size - 2, data[0] & 0x20);
    if (b.len)
        run(choices, b.data, b.len);
    buf_free(&b);
    return 0;
}
