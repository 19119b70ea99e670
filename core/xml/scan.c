/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state machine over bytes.  It knows just enough XML to find the end of an element; whether the element is
 * well-formed is the parser's business, which gets nothing but whole ones.
 */
#include "xml/scan.h"
#include <stdbool.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum state {
    BETWEEN, /* 0: of stanzas, or before the header; sub: not at the very start any more */
    OPENING, /* behind '<' */
    CLOSING, /* behind "</" */
    TAG,     /* in a start tag, outside of quotes */
    SINGLE,  /* in quotes */
    DOUBLE,
    END_TAG,
    BANG,     /* behind "<!"; sub: characters of "[CDATA[" seen */
    CDATA,    /* sub: ']' in a row, two at most */
    CONTENT,  /* text inside of a stanza */
    NAME_XML, /* behind "<?"; sub: characters of "xml" seen */
    DECLARED  /* inside of <?xml ...?>; sub: the last one was '?' */
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What may begin a name, all of other scripts included. */
static bool begins_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || (c & 0x80);
}

/* The first of " ' < > from P on, or END. */
static const char *find_in_tag(const char *p, const char *end) {
#ifdef __SSE2__
    const __m128i twice = _mm_set1_epi8('"'), once = _mm_set1_epi8('\''), less = _mm_set1_epi8('<'),
                  more = _mm_set1_epi8('>');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i quote = _mm_or_si128(_mm_cmpeq_epi8(v, twice), _mm_cmpeq_epi8(v, once));
        __m128i angle = _mm_or_si128(_mm_cmpeq_epi8(v, less), _mm_cmpeq_epi8(v, more));
        int hits = _mm_movemask_epi8(_mm_or_si128(quote, angle));
        if (hits)
            return p + __builtin_ctz((unsigned)hits);
    }
#endif
    while (p < end && *p != '"' && *p != '\'' && *p != '<' && *p != '>')
        p++;
    return p;
}

static const char *find(const char *p, const char *end, char c) {
    const char *hit = memchr(p, c, (size_t)(end - p));
    return hit ? hit : end;
}

/* The steps below look at bytes from *P on, move *P behind what they looked at, and return SCAN_MORE to go on. */

static enum scan_result step_between(struct scan *s, const char **p, const char *end, bool at_start) {
    if (is_space(**p)) {
        while (*p < end && is_space(**p))
            ++*p;
        s->sub = 1;
        return at_start ? SCAN_SPACE : SCAN_MORE;
    }
    if (**p != '<')
        return SCAN_MALFORMED;
    ++*p;
    s->state = OPENING;
    return SCAN_MORE;
}

static enum scan_result start_tag(struct scan *s, const struct xml_limits *limits) {
    s->state = TAG;
    s->attrs = 0;
    if (!s->open)
        return SCAN_MORE;
    s->children++;
    return s->children > limits->children || s->depth >= limits->depth || s->depth == UINT16_MAX ? SCAN_LIMIT
                                                                                                 : SCAN_MORE;
}

static enum scan_result step_opening(struct scan *s, const struct xml_limits *limits, const char **p) {
    char c = *(*p)++;
    if (begins_name(c))
        return start_tag(s, limits);
    switch (c) {
    case '/':
        s->state = CLOSING;
        return s->open ? SCAN_MORE : SCAN_MALFORMED;
    case '!':
        s->state = BANG;
        s->sub = 0;
        return SCAN_MORE;
    case '?':
        if (s->open || s->sub)
            return SCAN_RESTRICTED;
        s->state = NAME_XML;
        return SCAN_MORE;
    default:
        return SCAN_MALFORMED;
    }
}

static enum scan_result step_closing(struct scan *s, const char **p) {
    s->state = END_TAG;
    return begins_name(*(*p)++) ? SCAN_MORE : SCAN_MALFORMED;
}

static enum scan_result close_element(struct scan *s) {
    s->state = s->depth ? CONTENT : BETWEEN;
    return s->depth ? SCAN_MORE : SCAN_STANZA;
}

/* The byte before '>' is at hand: the buffer begins no later than the tag. */
static enum scan_result end_of_tag(struct scan *s, bool empty) {
    if (!s->open) {
        s->open = 1;
        s->state = BETWEEN;
        return empty ? SCAN_MALFORMED : SCAN_HEADER;
    }
    if (!empty)
        s->depth++;
    return close_element(s);
}

static enum scan_result step_tag(struct scan *s, const struct xml_limits *limits, const char **p, const char *end) {
    const char *hit = find_in_tag(*p, end);
    *p = hit;
    if (hit == end)
        return SCAN_MORE;
    ++*p;
    switch (*hit) {
    case '>':
        return end_of_tag(s, hit[-1] == '/');
    case '<':
        return SCAN_MALFORMED;
    default:
        s->state = *hit == '"' ? DOUBLE : SINGLE;
        return s->attrs++ >= limits->attrs || !s->attrs ? SCAN_LIMIT : SCAN_MORE;
    }
}

static enum scan_result step_quoted(struct scan *s, const char **p, const char *end, char quote) {
    const char *hit = find(*p, end, quote);
    *p = hit;
    if (hit < end) {
        ++*p;
        s->state = TAG;
    }
    return SCAN_MORE;
}

static enum scan_result step_end_tag(struct scan *s, const char **p, const char *end) {
    const char *hit = find(*p, end, '>');
    *p = hit;
    if (hit == end)
        return SCAN_MORE;
    ++*p;
    if (!s->depth) {
        s->state = BETWEEN;
        return SCAN_CLOSE;
    }
    s->depth--;
    return close_element(s);
}

static enum scan_result step_bang(struct scan *s, const char **p) {
    static const char cdata[] = "[CDATA[";
    char c = *(*p)++;
    if (c != cdata[s->sub])
        return s->sub ? SCAN_MALFORMED : SCAN_RESTRICTED;
    if (!s->depth)
        return SCAN_MALFORMED;
    if (++s->sub == sizeof cdata - 1) {
        s->state = CDATA;
        s->sub = 0;
    }
    return SCAN_MORE;
}

static enum scan_result step_cdata(struct scan *s, const char **p, const char *end) {
    if (!s->sub)
        *p = find(*p, end, ']');
    if (*p == end)
        return SCAN_MORE;
    char c = *(*p)++;
    if (c == ']')
        s->sub = s->sub ? 2 : 1;
    else if (c == '>' && s->sub == 2)
        s->state = CONTENT;
    else
        s->sub = 0;
    return SCAN_MORE;
}

static enum scan_result step_content(struct scan *s, const char **p, const char *end) {
    const char *hit = find(*p, end, '<');
    *p = hit;
    if (hit < end) {
        ++*p;
        s->state = OPENING;
    }
    return SCAN_MORE;
}

static enum scan_result step_name_xml(struct scan *s, const char **p) {
    static const char xml[] = "xml";
    char c = *(*p)++;
    if (s->sub < sizeof xml - 1)
        return c == xml[s->sub++] ? SCAN_MORE : SCAN_RESTRICTED;
    s->state = DECLARED;
    s->sub = 0;
    return is_space(c) ? SCAN_MORE : SCAN_RESTRICTED;
}

static enum scan_result step_declared(struct scan *s, const char **p, const char *end) {
    if (!s->sub)
        *p = find(*p, end, '?');
    if (*p == end)
        return SCAN_MORE;
    char c = *(*p)++;
    if (c == '>' && s->sub) {
        s->state = BETWEEN; /* with sub set: there is no second one */
        return SCAN_MORE;
    }
    s->sub = c == '?';
    return SCAN_MORE;
}

static enum scan_result step(struct scan *s, const struct xml_limits *limits, const char **p, const char *end,
                             bool at_start) {
    switch (s->state) {
    case BETWEEN:
        return step_between(s, p, end, at_start);
    case OPENING:
        return step_opening(s, limits, p);
    case CLOSING:
        return step_closing(s, p);
    case TAG:
        return step_tag(s, limits, p, end);
    case SINGLE:
        return step_quoted(s, p, end, '\'');
    case DOUBLE:
        return step_quoted(s, p, end, '"');
    case END_TAG:
        return step_end_tag(s, p, end);
    case BANG:
        return step_bang(s, p);
    case CDATA:
        return step_cdata(s, p, end);
    case CONTENT:
        return step_content(s, p, end);
    case NAME_XML:
        return step_name_xml(s, p);
    default:
        return step_declared(s, p, end);
    }
}

enum scan_result scan_next(struct scan *s, const struct xml_limits *limits, const char *buf, size_t len, size_t *used) {
    size_t most = len < limits->bytes ? len : limits->bytes;
    const char *p = buf + s->pos, *end = buf + most;
    while (p < end) {
        enum scan_result r = step(s, limits, &p, end, p == buf);
        if (r != SCAN_MORE) {
            *used = (size_t)(p - buf);
            s->pos = 0;
            if (r == SCAN_STANZA)
                s->children = 0;
            if (r == SCAN_HEADER)
                s->sub = 0;
            return r;
        }
    }
    s->pos = (uint32_t)(p - buf);
    return s->pos >= limits->bytes ? SCAN_BYTES : SCAN_MORE;
}
