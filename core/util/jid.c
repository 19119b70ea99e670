/* SPDX-License-Identifier: Apache-2.0 */
#include "util/jid.h"
#include "util/mem.h"
#include "util/table.h"
#include "util/text.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

enum { PART_MAX = 1023, TEXT_MAX = 3 * PART_MAX + 2 };

/* What an ASCII character is good for. */
enum { IN_LOCAL = 1, IN_DOMAIN = 2, IN_RESOURCE = 4 };

enum { ANYWHERE = IN_LOCAL | IN_DOMAIN | IN_RESOURCE, NO_DOMAIN = IN_LOCAL | IN_RESOURCE };

/* Nothing for control characters and for bytes of UTF-8. */
static const unsigned char classes[256] = {
    [' '] = IN_RESOURCE,
    ['!'] = NO_DOMAIN,
    ['"'] = IN_RESOURCE,
    ['#' ... '%'] = NO_DOMAIN,
    ['&' ... '\''] = IN_RESOURCE,
    ['(' ... ','] = NO_DOMAIN,
    ['-' ... '.'] = ANYWHERE,
    ['/'] = IN_RESOURCE,
    ['0' ... '9'] = ANYWHERE,
    [':'] = IN_RESOURCE,
    [';'] = NO_DOMAIN,
    ['<'] = IN_RESOURCE,
    ['='] = NO_DOMAIN,
    ['>'] = IN_RESOURCE,
    ['?'] = NO_DOMAIN,
    ['@'] = IN_RESOURCE,
    ['A' ... 'Z'] = ANYWHERE,
    ['[' ... '^'] = NO_DOMAIN,
    ['_'] = ANYWHERE,
    ['`'] = NO_DOMAIN,
    ['a' ... 'z'] = ANYWHERE,
    ['{' ... '~'] = NO_DOMAIN,
};

static inline unsigned char_class(char c) {
    return classes[(unsigned char)c];
}

/* The parts of a JID are written one after the other into text that has room for what they come to. */
struct writer {
    char *at, *end;
};

static bool is_ascii(struct mk_view v) {
    uint64_t all = 0, word;
    size_t i = 0;
    for (; v.len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, v.s + i, sizeof word);
        all |= word;
    }
    for (; i < v.len; i++)
        all |= (unsigned char)v.s[i];
    return !(all & UINT64_C(0x8080808080808080));
}

/* Stringprep that is not stable when done again is refused: one address, one text. */
static bool prepare(char text[PART_MAX + 1], const Stringprep_profile *profile) {
    char again[PART_MAX + 1];
    if (stringprep(text, PART_MAX + 1, 0, profile) != STRINGPREP_OK || !text[0])
        return false;
    strcpy(again, text);
    return stringprep(again, sizeof again, 0, profile) == STRINGPREP_OK && strcmp(text, again) == 0;
}

/* IN with PROFILE.  ALLOWED is the class that ASCII characters of the result must have. */
static bool __attribute__((noinline))
write_prepared(struct writer *w, const char *in, size_t len, const Stringprep_profile *profile, unsigned allowed) {
    char text[PART_MAX + 1];
    if (!len || len > PART_MAX || !utf8_valid(in, len))
        return false;
    memcpy(text, in, len);
    text[len] = '\0';
    if (!prepare(text, profile))
        return false;
    size_t out = strlen(text);
    for (size_t i = 0; i < out; i++)
        if (!(text[i] & 0x80) && !(char_class(text[i]) & allowed))
            return false;
    if (out > (size_t)(w->end - w->at))
        return false;
    memcpy(w->at, text, out);
    w->at += out;
    return true;
}

/* Writes ASCII, capitals as small letters; false if a character is not ALLOWED, or is not ASCII. */
static inline bool write_folded(struct writer *w, const char *in, size_t len, unsigned allowed) {
    char *to = w->at;
    unsigned all = allowed;
    for (size_t i = 0; i < len; i++)
        all &= char_class(in[i]);
    for (size_t i = 0; i < len; i++)
        to[i] = (char)(in[i] | ((unsigned char)(in[i] - 'A') <= 'Z' - 'A') << 5);
    w->at += len;
    return all;
}

/* The same for a resource, which takes all that can be printed, as it is. */
static inline bool write_printable(struct writer *w, const char *in, size_t len) {
    unsigned char other = 0;
    for (size_t i = 0; i < len; i++)
        other |= (unsigned char)(in[i] - ' ') > '~' - ' ';
    memcpy(w->at, in, len);
    w->at += len;
    return !other;
}

/* A part that is not the domain. */
static bool write_part(struct writer *w, const char *in, size_t len, unsigned allowed,
                       const Stringprep_profile *profile) {
    char *from = w->at;
    if (!len || len > PART_MAX)
        return false;
    if (allowed == IN_LOCAL ? write_folded(w, in, len, IN_LOCAL) : write_printable(w, in, len))
        return true;
    w->at = from;
    return !is_ascii((struct mk_view){ in, len }) && write_prepared(w, in, len, profile, allowed);
}

/* Bytes of the dot at P, or of one of those that RFC 3490 takes for it; 0 if it is none. */
static size_t dot_len(const char *p, const char *end) {
    static const char dots[][4] = { "\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1" };
    if (!(*p & 0x80))
        return *p == '.';
    for (size_t i = 0; i < sizeof dots / sizeof dots[0] && end - p >= 3; i++)
        if (memcmp(p, dots[i], 3) == 0)
            return 3;
    return 0;
}

/* Preparation must not make several labels of one. */
static bool write_prepared_label(struct writer *w, const char *in, size_t len) {
    const char *p = w->at;
    if (!write_prepared(w, in, len, stringprep_nameprep, IN_DOMAIN))
        return false;
    while (p < w->at && !dot_len(p, w->at))
        p++;
    return p == w->at;
}

static bool write_label(struct writer *w, const char *in, size_t len, bool ascii) {
    if (!ascii)
        return write_prepared_label(w, in, len);
    if (len > (size_t)(w->end - w->at))
        return false;
    return write_folded(w, in, len, IN_DOMAIN) && len > 0;
}

/* IPv6 in brackets; in the one form that inet_ntop() gives it. */
static bool write_address(struct writer *w, const char *in, size_t len) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len < 2 || len - 2 >= sizeof text || in[len - 1] != ']')
        return false;
    memcpy(text, in + 1, len - 2);
    text[len - 2] = '\0';
    if (strlen(text) != len - 2 || inet_pton(AF_INET6, text, &address) != 1 ||
        !inet_ntop(AF_INET6, &address, text, sizeof text))
        return false;
    size_t out = strlen(text);
    if (out + 2 > (size_t)(w->end - w->at))
        return false;
    *w->at++ = '[';
    memcpy(w->at, text, out);
    w->at += out;
    *w->at++ = ']';
    return true;
}

static bool write_domain(struct writer *w, const char *in, size_t len) {
    const char *p = in, *end = in + len;
    if (!len || len > PART_MAX)
        return false;
    if (*in == '[')
        return write_address(w, in, len);
    for (;;) {
        const char *label = p;
        bool ascii = true;
        size_t dot = 0;
        while (p < end && !(dot = dot_len(p, end)))
            ascii &= !(*p++ & 0x80);
        if (!write_label(w, label, (size_t)(p - label), ascii))
            return false;
        p += dot;
        if (p == end) /* a dot at the very end names the same domain */
            return true;
        if (w->at == w->end)
            return false;
        *w->at++ = '.';
    }
}

/* False if a part is no good.  J gets the lengths. */
static bool write_jid(struct mk_jid *j, struct writer *w, struct mk_view local, struct mk_view domain,
                      struct mk_view resource) {
    char *from = w->at;
    j->local_len = j->resource_len = 0;
    if (local.len) {
        if (!write_part(w, local.s, local.len, IN_LOCAL, stringprep_xmpp_nodeprep) || w->at - from > PART_MAX)
            return false;
        j->local_len = (uint16_t)(w->at - from);
        *w->at++ = '@';
    }
    char *part = w->at;
    if (!write_domain(w, domain.s, domain.len) || w->at - part > PART_MAX)
        return false;
    j->domain_len = (uint16_t)(w->at - part);
    j->hash = (uint32_t)hash_bytes(from, (size_t)(w->at - from));
    if (resource.len) {
        *w->at++ = '/';
        part = w->at;
        if (!write_part(w, resource.s, resource.len, IN_RESOURCE, stringprep_xmpp_resourceprep) ||
            w->at - part > PART_MAX)
            return false;
        j->resource_len = (uint16_t)(w->at - part);
    }
    j->text_len = (uint16_t)(w->at - from);
    *w->at = '\0';
    return true;
}

/* Preparation may make a part longer: then it is written aside first. */
static int __attribute__((noinline)) make_aside(struct arena *arena, struct mk_view local, struct mk_view domain,
                                                struct mk_view resource, const struct mk_jid **out) {
    char text[TEXT_MAX + 1];
    struct mk_jid head = { 0 };
    struct writer w = { text, text + TEXT_MAX };
    if (!write_jid(&head, &w, local, domain, resource))
        return MK_E_JID;
    struct mk_jid *j = arena_alloc(arena, sizeof *j + head.text_len + 1u);
    *j = head;
    memcpy(j->text, text, head.text_len + 1u);
    *out = j;
    return MK_OK;
}

int jid_make(struct arena *arena, struct mk_view local, struct mk_view domain, struct mk_view resource,
             const struct mk_jid **out) {
    if (!domain.len || local.len > PART_MAX || domain.len > PART_MAX || resource.len > PART_MAX)
        return MK_E_JID;
    if (!is_ascii(local) || !is_ascii(domain) || !is_ascii(resource))
        return make_aside(arena, local, domain, resource, out);
    /* An address in brackets may grow, "::" in its middle may not be the longest run; INET6_ADDRSTRLEN bounds it. */
    size_t room = local.len + domain.len + resource.len + 2 + (*domain.s == '[' ? INET6_ADDRSTRLEN : 0);
    struct arena_mark mark = arena_mark(arena);
    struct mk_jid *j = arena_alloc(arena, sizeof *j + room + 1);
    struct writer w = { j->text, j->text + room };
    if (!write_jid(j, &w, local, domain, resource)) {
        arena_rewind(arena, mark);
        return MK_E_JID;
    }
    *out = j;
    return MK_OK;
}

/* The domain ends at the first '/', and begins behind the first '@' before that.  False if a part is empty. */
static bool split(const char *text, size_t len, struct mk_view *local, struct mk_view *domain,
                  struct mk_view *resource) {
    const char *end = text + len;
    const char *slash = len ? memchr(text, '/', len) : NULL;
    const char *bare_end = slash ? slash : end;
    const char *at = bare_end > text ? memchr(text, '@', (size_t)(bare_end - text)) : NULL;
    const char *begin = at ? at + 1 : text;
    *local = (struct mk_view){ text, at ? (size_t)(at - text) : 0 };
    *domain = (struct mk_view){ begin, (size_t)(bare_end - begin) };
    *resource = (struct mk_view){ slash ? slash + 1 : end, slash ? (size_t)(end - slash - 1) : 0 };
    return domain->len && (!at || local->len) && (!slash || resource->len);
}

int jid_parse(struct arena *arena, const char *text, size_t len, const struct mk_jid **out) {
    struct mk_view local, domain, resource;
    if (!split(text, len, &local, &domain, &resource))
        return MK_E_JID;
    return jid_make(arena, local, domain, resource, out);
}

int jid_read(struct arena *arena, const char *text, size_t len, const struct mk_jid **out) {
    struct mk_view local, domain, resource;
    if (!split(text, len, &local, &domain, &resource) || local.len > PART_MAX || domain.len > PART_MAX ||
        resource.len > PART_MAX || !utf8_valid(text, len))
        return MK_E_JID;
    struct mk_jid *j = arena_alloc(arena, sizeof *j + len + 1);
    *j = (struct mk_jid){ .local_len = (uint16_t)local.len,
                          .domain_len = (uint16_t)domain.len,
                          .resource_len = (uint16_t)resource.len,
                          .text_len = (uint16_t)len };
    memcpy(j->text, text, len);
    j->text[len] = '\0';
    j->hash = (uint32_t)hash_bytes(text, jid_bare_len(j));
    *out = j;
    return MK_OK;
}

/* ---- copies ------------------------------------------------------------------------------------------------------- */

static size_t jid_size(const struct mk_jid *j) {
    return sizeof *j + j->text_len + 1u;
}

const struct mk_jid *jid_copy(struct arena *arena, const struct mk_jid *jid) {
    return memcpy(arena_alloc(arena, jid_size(jid)), jid, jid_size(jid));
}

const struct mk_jid *jid_bare(struct arena *arena, const struct mk_jid *jid) {
    if (!jid->resource_len)
        return jid;
    size_t len = jid_bare_len(jid);
    struct mk_jid *j = arena_alloc(arena, sizeof *j + len + 1);
    memcpy(j, jid, sizeof *j + len);
    j->text[len] = '\0';
    j->resource_len = 0;
    j->text_len = (uint16_t)len;
    return j;
}

const struct mk_jid *jid_with(struct arena *arena, const struct mk_jid *bare, struct mk_view resource) {
    size_t len = jid_bare_len(bare), whole = len + 1 + resource.len;
    struct mk_jid *j = arena_alloc(arena, sizeof *j + whole + 1);
    memcpy(j, bare, sizeof *j + len);
    j->text[len] = '/';
    memcpy(j->text + len + 1, resource.s, resource.len);
    j->text[whole] = '\0';
    j->resource_len = (uint16_t)resource.len;
    j->text_len = (uint16_t)whole;
    return j;
}

struct mk_jid *mk_jid_keep(const struct mk_jid *jid) {
    return memcpy(xmalloc(jid_size(jid)), jid, jid_size(jid));
}

struct mk_jid *jid_keep_bare(const struct mk_jid *jid) {
    size_t len = jid_bare_len(jid);
    struct mk_jid *bare = xmalloc(sizeof *bare + len + 1);
    memcpy(bare, jid, sizeof *bare + len);
    bare->text[len] = '\0';
    bare->resource_len = 0;
    bare->text_len = (uint16_t)len;
    return bare;
}

bool jid_is_bare_of(const struct mk_jid *bare, const struct mk_jid *jid) {
    size_t len = jid_bare_len(jid);
    return bare->hash == jid->hash && bare->text_len == len && memcmp(bare->text, jid->text, len) == 0;
}

void mk_jid_free(struct mk_jid *jid) {
    free(jid);
}

/* ---- for plugins -------------------------------------------------------------------------------------------------- */

const char *mk_jid_text(const struct mk_jid *jid) {
    return jid->text;
}

struct mk_view mk_jid_local(const struct mk_jid *jid) {
    return (struct mk_view){ jid->text, jid->local_len };
}

struct mk_view mk_jid_domain(const struct mk_jid *jid) {
    return (struct mk_view){ jid_domain(jid), jid->domain_len };
}

struct mk_view mk_jid_resource(const struct mk_jid *jid) {
    return (struct mk_view){ jid_resource(jid), jid->resource_len };
}

struct mk_view mk_jid_bare(const struct mk_jid *jid) {
    return (struct mk_view){ jid->text, jid_bare_len(jid) };
}

bool mk_jid_same(const struct mk_jid *a, const struct mk_jid *b) {
    return a && b && a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
}

bool mk_jid_same_bare(const struct mk_jid *a, const struct mk_jid *b) {
    return a && b && a->hash == b->hash && jid_bare_len(a) == jid_bare_len(b) &&
           memcmp(a->text, b->text, jid_bare_len(a)) == 0;
}

int mk_jid_compare(const struct mk_jid *a, const struct mk_jid *b) {
    size_t len = a->text_len < b->text_len ? a->text_len : b->text_len;
    int order = memcmp(a->text, b->text, len);
    return order ? order : (a->text_len > b->text_len) - (a->text_len < b->text_len);
}
