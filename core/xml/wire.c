/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/wire.h"
#include "util/jid.h"
#include "xml/escape.h"
#include <string.h>

/* ---- start tags --------------------------------------------------------------------------------------------------- */

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t tag_name_len(const char *tag) {
    return strcspn(tag + 1, " \t\r\n/>");
}

/* Backwards, since a value cannot hold the quote that ends it. */
bool tag_attr_before(const char *begin, const char **end, struct tag_attr *out) {
    const char *p = *end;
    while (p > begin && is_space(p[-1]))
        p--;
    if (p == begin)
        return false;
    const char *stop = p--;
    p = memrchr(begin, *p, (size_t)(p - begin));
    while (p[-1] != '=')
        p--;
    p--;
    while (is_space(p[-1]))
        p--;
    const char *name_end = p;
    while (p > begin && !is_space(p[-1]))
        p--;
    *out = (struct tag_attr){ p, (size_t)(stop - p), (size_t)(name_end - p) };
    *end = p;
    return true;
}

bool tag_attr_is(const struct tag_attr *a, const char *name) {
    return strlen(name) == a->name_len && memcmp(a->at, name, a->name_len) == 0;
}

/* The length of the start tag at P: up to the first '>' outside of quotes. */
static size_t tag_len(const char *tag) {
    const char *p = tag;
    for (;;) {
        p += strcspn(p, "'\">");
        if (*p == '>')
            return (size_t)(p - tag) + 1;
        p = strchr(p + 1, *p) + 1;
    }
}

size_t wire_inner(const struct mk_stanza *s) {
    return s->root && s->root->raw == s->wire ? s->root->inner : tag_len(s->wire);
}

uint32_t wire_tail(const char *wire, uint32_t len) {
    if (wire[len - 2] == '/')
        return len - 2;
    return (uint32_t)((const char *)memrchr(wire, '<', len) - wire);
}

/* ---- stamping ----------------------------------------------------------------------------------------------------- */

struct stamp {
    const char *name;
    const struct mk_jid *jid; /* NULL: no such attribute */
    size_t escaped;
};

static struct stamp stamp_of(const char *name, const struct mk_jid *jid) {
    return (struct stamp){ name, jid, jid ? escaped_len(ESCAPE_ATTR, jid->text, jid->text_len) : 0 };
}

/* Of " name='value'". */
static size_t stamp_len(const struct stamp *t) {
    return t->jid ? strlen(t->name) + 4 + t->escaped : 0;
}

static char *write_stamp(char *out, const struct stamp *t) {
    if (!t->jid)
        return out;
    *out++ = ' ';
    out = (char *)mempcpy(out, t->name, strlen(t->name));
    *out++ = '=';
    *out++ = '\'';
    if (t->escaped == t->jid->text_len)
        out = (char *)mempcpy(out, t->jid->text, t->escaped);
    else
        out = escape_as(out, ESCAPE_ATTR, t->jid->text, t->jid->text_len);
    *out++ = '\'';
    return out;
}

/* The bytes move to a block that has ROOM before them; what points to the old ones follows. */
static void move_wire(struct mk_stanza *s, size_t room) {
    char *block = arena_alloc(&s->arena, room + s->wire_len + 1);
    memcpy(block + room, s->wire, s->wire_len + 1u);
    const char *old = s->wire;
    s->wire = block + room;
    s->headroom = (uint32_t)room;
    for (struct mk_elem *e = s->root; e; e = elem_after(e))
        if (e->name)
            e->raw = s->wire + (e->raw - old);
}

/* Moves the attributes that stay to the end of the start tag, which ends at END.  Returns where they begin. */
static char *pack_attrs(const char *name_end, char *end, bool drop_xmlns) {
    const char *left = end;
    char *to = end;
    struct tag_attr a;
    while (tag_attr_before(name_end, &left, &a)) {
        if (tag_attr_is(&a, "to") || tag_attr_is(&a, "from") || (drop_xmlns && tag_attr_is(&a, "xmlns")))
            continue;
        to -= a.len;
        memmove(to, a.at, a.len);
        *--to = ' ';
    }
    return to;
}

/* New start tag: it ends where the old one did, so that the content stays in its place. */
static void lay_out(struct mk_stanza *s) {
    struct stamp to = stamp_of("to", s->to), from = stamp_of("from", s->from);
    size_t more = stamp_len(&to) + stamp_len(&from);
    if (more > s->headroom)
        move_wire(s, more + from.escaped);
    size_t inner = wire_inner(s), name = 1 + tag_name_len(s->wire);
    char *old = (char *)s->wire, *content = old + inner, *tail = old + s->wire_tail, *stop = old + s->wire_len;
    bool drop_xmlns = s->root && s->root->scope == ELEM_DEFAULT; /* it says again what the stream's root says */
    char *attrs = pack_attrs(old + name, content - (content[-2] == '/' ? 2 : 1), drop_xmlns);
    char *wire = attrs - more - name;
    memmove(wire, old, name);
    char *rest = write_stamp(wire + name, &to);
    write_stamp(rest, &from);
    s->headroom = (uint32_t)(s->headroom + (uint32_t)(wire - old));
    s->wire = wire;
    s->wire_len = (uint32_t)(stop - wire);
    s->wire_rest = (uint32_t)(rest - wire);
    s->wire_tail = (uint32_t)(tail - wire);
    if (s->root) {
        s->root->raw = wire;
        s->root->raw_len = s->wire_len;
        s->root->inner = (uint32_t)(content - wire);
    }
}

/* The tree says what the wire says.  There is room for two attributes more than the source had. */
static void set_attr(struct mk_elem *root, const char *name, const struct mk_jid *jid) {
    uint16_t i = 0;
    while (i < root->attr_count && (*root->attrs[i].ns || !name_same(root->attrs[i].name, name)))
        i++;
    if (!jid) {
        if (i < root->attr_count)
            root->attrs[i] = root->attrs[--root->attr_count];
        return;
    }
    root->attr_count = i == root->attr_count ? (uint16_t)(i + 1) : root->attr_count;
    root->attrs[i] = (struct xml_attr){ name, "", jid->text };
}

void stanza_stamp(struct mk_stanza *s, const struct mk_jid *from, const struct mk_jid *to) {
    if (from)
        s->from = jid_copy(&s->arena, from);
    if (to)
        s->to = jid_copy(&s->arena, to);
    if (s->root) {
        set_attr(s->root, "to", s->to);
        set_attr(s->root, "from", s->from);
    }
    lay_out(s);
}

/* ---- for another recipient ---------------------------------------------------------------------------------------- */

size_t wire_room_to(const struct mk_stanza *s, const struct mk_jid *to) {
    return 16 + 6u * to->text_len + 1 + s->wire_len - s->wire_rest;
}

/* "<name to='OTHER'" and the rest. */
size_t wire_write_to(char *out, const struct mk_stanza *s, const struct mk_jid *to) {
    static const char *const names[] = { "", "<message to='", "<presence to='", "<iq to='" };
    size_t rest = s->wire_len - s->wire_rest;
    char *at = stpcpy(out, names[s->kind]);
    at = escape_as(at, ESCAPE_ATTR, to->text, to->text_len);
    *at++ = '\'';
    memcpy(at, s->wire + s->wire_rest, rest);
    return (size_t)(at - out) + rest;
}
