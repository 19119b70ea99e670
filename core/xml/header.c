/* SPDX-License-Identifier: Apache-2.0 */
/* Stream headers, each with a parser that is thrown away: what a peer declares must not stay with the stanzas of all. */
#include "util/text.h"
#include "xml/context.h"
#include "xml/escape.h"
#include "xml/parser.h"
#include <libxml/parser.h>
#include <string.h>
#include <strings.h>

struct reader {
    xmlParserCtxtPtr xml;
    struct arena *arena;
    struct xml_header *header;
    struct buf prefixes;
    bool seen, failed;
};

static const char *copy(struct reader *r, const xmlChar *text) {
    return attr_value(r->arena, (const char *)text, (const char *)text + xmlStrlen(text));
}

/* What the synthetic roots of context.c have anyhow. */
static bool is_usual(const char *prefix, const char *uri, const char *content_ns) {
    if (strcmp(prefix, "stream") == 0)
        return strcmp(uri, "http://etherx.jabber.org/streams") == 0;
    return strcmp(prefix, "db") == 0 && strcmp(uri, "jabber:server:dialback") == 0 &&
           strcmp(content_ns, "jabber:server") == 0;
}

static void add_prefix(struct reader *r, const char *prefix, const char *uri) {
    char *value = arena_alloc(r->arena, 6 * strlen(uri) + 1);
    *escape_as(value, ESCAPE_ATTR, uri, strlen(uri)) = '\0';
    buf_printf(&r->prefixes, "%sxmlns:%s='%s'", r->prefixes.len ? " " : "", prefix, value);
}

static void read_namespaces(struct reader *r, int count, const xmlChar **ns) {
    struct xml_header *h = r->header;
    h->content_ns = "";
    for (int i = 0; i < count; i++)
        if (!ns[2 * i] && ns[2 * i + 1])
            h->content_ns = copy(r, ns[2 * i + 1]);
    for (int i = 0; i < count; i++) {
        const char *prefix = (const char *)ns[2 * i], *uri = copy(r, ns[2 * i + 1]);
        if (prefix && !is_usual(prefix, uri, h->content_ns))
            add_prefix(r, prefix, uri);
    }
    h->prefixes = r->prefixes.len ? arena_strdup(r->arena, r->prefixes.data) : "";
}

static void read_attr(struct reader *r, const xmlChar **attr) {
    const struct {
        const char *name;
        const char **to;
    } known[] = { { "to", &r->header->to },
                  { "from", &r->header->from },
                  { "id", &r->header->id },
                  { "version", &r->header->version } };
    const char *name = (const char *)attr[0], *prefix = (const char *)attr[1];
    const char *value = attr_value(r->arena, (const char *)attr[3], (const char *)attr[4]);
    for (unsigned i = 0; !prefix && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0)
            *known[i].to = value;
    if (prefix && strcmp(prefix, "xml") == 0 && strcmp(name, "lang") == 0)
        r->header->lang = value;
}

static void on_start(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int ns_count,
                     const xmlChar **ns, int attr_count, int defaulted, const xmlChar **attrs) {
    struct reader *r = user;
    (void)prefix;
    (void)defaulted;
    if (r->seen) {
        r->failed = true;
        return;
    }
    r->seen = true;
    r->header->name = copy(r, name);
    r->header->ns = uri ? copy(r, uri) : "";
    read_namespaces(r, ns_count, ns);
    for (int i = 0; i < attr_count; i++)
        read_attr(r, attrs + 5 * i);
}

static void on_subset(void *user, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
    struct reader *r = user;
    (void)name;
    (void)external;
    (void)system;
    r->failed = true;
    xmlStopParser(r->xml);
}

static void on_error(void *user, xmlErrorPtr error) {
    struct reader *r = user;
    if (error->level >= XML_ERR_ERROR && error->code != XML_WAR_NS_URI)
        r->failed = true;
}

static const xmlSAXHandler handlers = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .internalSubset = on_subset,
    .serror = on_error,
};

/* libxml2 would gladly take Latin-1. */
static bool has_other_encoding(const char *data, size_t len) {
    const char *end = len > 5 && memcmp(data, "<?xml", 5) == 0 ? memmem(data, len, "?>", 2) : NULL;
    const char *p = end ? memmem(data, (size_t)(end - data), "encoding", 8) : NULL;
    if (!p)
        return false;
    p += strlen("encoding");
    while (p < end && *p != '\'' && *p != '"')
        p++;
    return p < end && !((size_t)(end - p) >= 7 && strncasecmp(p + 1, "utf-8", 5) == 0 && p[6] == p[0]);
}

enum parse_header_result parse_header(struct arena *arena, const char *data, size_t len, struct xml_header *out) {
    struct reader r = { .arena = arena, .header = out };
    *out = (struct xml_header){ .name = NULL };
    if (has_other_encoding(data, len))
        return HEADER_ENCODING;
    if (len > INT32_MAX)
        return HEADER_MALFORMED;
    r.xml = xmlCreatePushParserCtxt((xmlSAXHandlerPtr)&handlers, &r, NULL, 0, NULL);
    if (!r.xml)
        return HEADER_MALFORMED;
    xmlCtxtUseOptions(r.xml, XML_PARSE_NONET);
    xmlParseChunk(r.xml, data, (int)len, 0);
    bool ok = r.seen && !r.failed && r.xml->wellFormed;
    xmlFreeParserCtxt(r.xml);
    buf_free(&r.prefixes);
    return ok ? HEADER_OK : HEADER_MALFORMED;
}
