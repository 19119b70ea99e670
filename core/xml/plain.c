/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/plain.h"
#include "util/text.h"
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const char xml_ns[] = "http://www.w3.org/XML/1998/namespace";
/* What is longer than LEN_MAX may have a name that libxml2 finds too long. */
enum { ATTRS_MAX = 24, DEPTH_MAX = 64, LEN_MAX = 48 * 1024 };

/* Classes of bytes. */
enum { BEGINS_NAME = 1, IN_NAME = 2, SPACE = 4 };
static const unsigned char classes[256] = {
    ['a' ... 'z'] = BEGINS_NAME | IN_NAME,
    ['A' ... 'Z'] = BEGINS_NAME | IN_NAME,
    ['_'] = BEGINS_NAME | IN_NAME,
    ['0' ... '9'] = IN_NAME,
    ['.'] = IN_NAME,
    ['-'] = IN_NAME,
    [' '] = SPACE,
    ['\t'] = SPACE,
    ['\n'] = SPACE,
};

struct name {
    const char *at;
    size_t len;
};

struct raw_attr {
    struct name name, value;
};

struct reader {
    const char *p, *end; /* what is left; the last byte is '>', at which every loop below stops */
    struct arena *arena;
    const char *content_ns; /* the default namespace of the stream */
    struct mk_elem *root, *open;
    unsigned depth, children, depth_max, attrs_max, children_max;
    bool wide; /* bytes above ASCII were seen */
    struct root_facts *facts;
};

static bool is(char c, unsigned char class) {
    return classes[(unsigned char)c] & class;
}

static bool same_name(const struct name *a, const char *text, size_t len) {
    return a->len == len && memcmp(a->at, text, len) == 0;
}

static const char *kept(struct reader *r, const struct name *n) {
    const char *atom = xml_atom(n->at, n->len);
    return atom ? atom : arena_memdup(r->arena, n->at, n->len);
}

/* The first byte from P on that needs a look: A, B, C, one below the space, or one above ASCII. */
static const char *skip(const char *p, const char *end, char a, char b, char c) {
#ifdef __SSE2__
    const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b), vc = _mm_set1_epi8(c), space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb));
        hit = _mm_or_si128(hit, _mm_or_si128(_mm_cmpeq_epi8(v, vc), _mm_cmplt_epi8(v, space)));
        int hits = _mm_movemask_epi8(hit);
        if (hits)
            return p + __builtin_ctz((unsigned)hits);
    }
#endif
    while (p < end && (signed char)*p >= ' ' && *p != a && *p != b && *p != c)
        p++;
    return p;
}

static bool read_name(struct reader *r, struct name *n) {
    const char *p = r->p;
    if (!is(*p, BEGINS_NAME))
        return false;
    while (is(*p, IN_NAME))
        p++;
    *n = (struct name){ r->p, (size_t)(p - r->p) };
    r->p = p;
    return true;
}

/* The one prefix that needs no declaration. */
static bool read_attr_name(struct reader *r, struct name *n) {
    static const char lang[] = "xml:lang";
    if (!read_name(r, n))
        return false;
    if (*r->p != ':')
        return true;
    if ((size_t)(r->end - n->at) < sizeof lang || memcmp(n->at, lang, sizeof lang - 1) != 0)
        return false;
    n->len = sizeof lang - 1;
    r->p = n->at + n->len;
    return !is(*r->p, IN_NAME);
}

static bool read_value(struct reader *r, struct name *value) {
    char quote = *r->p;
    if (quote != '\'' && quote != '"')
        return false;
    const char *from = ++r->p;
    while ((r->p = skip(r->p, r->end, quote, '<', '&')) < r->end && *r->p & 0x80) {
        r->wide = true;
        r->p++;
    }
    if (r->p == r->end || *r->p != quote)
        return false;
    *value = (struct name){ from, (size_t)(r->p - from) };
    r->p++;
    return true;
}

static bool read_attr(struct reader *r, struct raw_attr *a, const struct raw_attr *before, unsigned count) {
    if (!read_attr_name(r, &a->name) || *r->p++ != '=' || !read_value(r, &a->value))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (same_name(&a->name, before[i].name.at, before[i].name.len))
            return false;
    return true;
}

/* False for namespaces that may not be declared so, and for none. */
static bool set_ns(struct reader *r, struct mk_elem *e, const struct name *uri) {
    static const char reserved[] = "http://www.w3.org/";
    bool is_content = !uri || same_name(uri, r->content_ns, strlen(r->content_ns));
    if (uri && (!uri->len || (uri->len >= sizeof reserved - 1 && memcmp(uri->at, reserved, sizeof reserved - 1) == 0)))
        return false;
    if (!e->parent)
        *r->facts = (struct root_facts){ .is_content = is_content };
    /* The stream's own default namespace, said again on the stanza, changes nothing. */
    e->scope = uri && !(is_content && !e->parent) ? ELEM_FREE : ELEM_DEFAULT;
    if (!uri && e->parent)
        e->ns = e->parent->ns;
    else
        e->ns = is_content ? xml_profile_ns(XML_CLIENT) : kept(r, uri);
    return true;
}

static void set_attr(struct reader *r, struct xml_attr *to, const struct raw_attr *a) {
    static const char xml[] = "xml:";
    size_t prefix = sizeof xml - 1;
    *to = (struct xml_attr){ .ns = "", .value = arena_memdup(r->arena, a->value.at, a->value.len) };
    if (a->name.len > prefix && a->name.at[prefix - 1] == ':') {
        to->name = kept(r, &(struct name){ a->name.at + prefix, a->name.len - prefix });
        to->ns = xml_ns;
    } else {
        to->name = kept(r, &a->name);
    }
}

static bool fill(struct reader *r, struct mk_elem *e, const struct raw_attr *attrs, unsigned count) {
    const struct name *uri = NULL;
    unsigned spare = e->parent ? 0 : 2; /* stanza_stamp() may add to and from */
    for (unsigned i = 0; i < count && !uri; i++)
        if (same_name(&attrs[i].name, "xmlns", 5))
            uri = &attrs[i].value;
    if (!set_ns(r, e, uri))
        return false;
    count -= uri != NULL;
    e->attr_count = (uint16_t)count;
    if (count + spare)
        e->attrs = arena_alloc(r->arena, (count + spare) * sizeof *e->attrs);
    for (unsigned i = 0; i < count; attrs++)
        if (&attrs->value != uri)
            set_attr(r, &e->attrs[i++], attrs);
    return true;
}

static void end_element(struct reader *r) {
    r->open->raw_len = (uint32_t)(r->p - r->open->raw);
    r->open = r->open->parent;
    r->depth--;
}

/* Behind '<'. */
static bool read_start(struct reader *r) {
    struct raw_attr attrs[ATTRS_MAX];
    unsigned count = 0;
    const char *raw = r->p - 1;
    struct name name;
    if (!read_name(r, &name) || r->depth >= r->depth_max || ++r->children > r->children_max)
        return false;
    for (;;) {
        bool apart = is(*r->p, SPACE);
        while (is(*r->p, SPACE))
            r->p++;
        if (*r->p == '>' || *r->p == '/')
            break;
        if (!apart || count >= r->attrs_max || !read_attr(r, &attrs[count], attrs, count))
            return false;
        count++;
    }
    bool empty = *r->p == '/';
    r->p += empty;
    if (r->p == r->end || *r->p++ != '>')
        return false;
    struct mk_elem *e = arena_zalloc(r->arena, sizeof *e);
    elem_append(r->open, e);
    r->root = r->root ? r->root : e;
    e->name = kept(r, &name);
    e->raw = raw;
    e->inner = (uint32_t)(r->p - raw);
    r->open = e;
    r->depth++;
    if (!fill(r, e, attrs, count))
        return false;
    if (empty)
        end_element(r);
    return true;
}

/* Behind "</". */
static bool read_end(struct reader *r) {
    struct name name;
    const char *began = r->open->raw + 1;
    if (!read_name(r, &name) || memcmp(name.at, began, name.len) != 0 || is(began[name.len], IN_NAME))
        return false;
    while (is(*r->p, SPACE))
        r->p++;
    if (*r->p++ != '>')
        return false;
    end_element(r);
    return true;
}

/* Up to the next tag. */
static bool read_text(struct reader *r) {
    const char *from = r->p;
    while ((r->p = skip(r->p, r->end, '<', '&', ']')) < r->end && *r->p != '<') {
        char c = *r->p++;
        if (c & 0x80)
            r->wide = true;
        else if (c != '\t' && c != '\n' && (c != ']' || (r->p[0] == ']' && r->end - r->p > 1 && r->p[1] == '>')))
            return false;
    }
    if (r->p == r->end)
        return false;
    if (r->p > from) {
        struct mk_elem *e = arena_zalloc(r->arena, sizeof *e);
        e->text = from;
        e->text_len = (uint32_t)(r->p - from);
        elem_append(r->open, e);
    }
    return true;
}

static bool read_element(struct reader *r) {
    const char *from = r->p;
    do {
        if (!read_text(r) || r->p - from > LEN_MAX)
            return false;
        r->p++;
        bool ends = *r->p == '/';
        r->p += ends;
        if (!(ends ? r->open && read_end(r) : read_start(r)))
            return false;
    } while (r->open);
    return true;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

bool plain_next(struct mk_stanza *s, enum xml_profile profile, const struct xml_limits *limits, const char *data,
                size_t len, size_t *used, struct root_facts *facts) {
    static const struct xml_limits none = { LEN_MAX, DEPTH_MAX, ATTRS_MAX, UINT32_MAX };
    struct arena_mark before = arena_mark(&s->arena);
    limits = limits ? limits : &none;
    struct reader r = { .p = data,
                        .end = data + len,
                        .arena = &s->arena,
                        .content_ns = xml_profile_ns(profile),
                        .depth_max = least(limits->depth, DEPTH_MAX),
                        .attrs_max = least(limits->attrs, ATTRS_MAX),
                        .children_max = limits->children,
                        .facts = facts };
    bool good = data[0] == '<' && read_element(&r);
    *used = (size_t)(r.p - data);
    if (good && *used <= least(limits->bytes, LEN_MAX) && (!r.wide || utf8_valid_xml(data, *used))) {
        s->root = r.root;
        return true;
    }
    arena_rewind(&s->arena, before);
    return false;
}

bool plain_parse(struct mk_stanza *s, enum xml_profile profile, const char *src, size_t len, struct root_facts *facts) {
    size_t used;
    if (len < 4 || len > LEN_MAX || src[len - 1] != '>' || !plain_next(s, profile, NULL, src, len, &used, facts))
        return false;
    if (used == len)
        return true;
    s->root = NULL;
    return false;
}

void plain_move(struct mk_elem *root, const char *old, const char *new) {
    for (struct mk_elem *e = root; e; e = elem_after(e))
        if (e->name)
            e->raw = new + (e->raw - old);
        else
            e->text = new + (e->text - old);
}
