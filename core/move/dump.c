/* SPDX-License-Identifier: Apache-2.0 */
#include "move/dump.h"
#include "util/mem.h"
#include <libxml/parser.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NS_XINCLUDE "http://www.w3.org/2001/XInclude"

enum { CHUNK = 64 * 1024 };

struct dump_source {
    struct dump *dump;
    struct dump_source *outer;
    const char *name;
    xmlParserCtxtPtr xml;
    enum dump_level level; /* at its begin */
    bool ended;
};

int source_depth(const struct dump_source *s) {
    int n = 0;
    for (; s; s = s->outer)
        n++;
    return n;
}

const char *source_name(const struct dump_source *s) {
    return s->name;
}

const struct dump_kind *kind_find(const struct dump_kinds *kinds, const char *name, const char *ns) {
    for (int i = 0; i < kinds->count; i++)
        if (strcmp(kinds->items[i].name, name) == 0 && strcmp(kinds->items[i].ns, ns) == 0)
            return &kinds->items[i];
    return NULL;
}

/* ---- what is said -------------------------------------------------------------------------------------------------- */

static void say(const struct dump *d, const char *fmt, va_list args) {
    fprintf(stderr, "%s:%d: ", d->source->name, d->source->xml ? xmlSAX2GetLineNumber(d->source->xml) : 1);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
}

enum dump_next dump_fail(const struct dump *d, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(d, fmt, args);
    va_end(args);
    return DUMP_STOP;
}

void dump_warn(const struct dump *d, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(d, fmt, args);
    va_end(args);
}

static void stop(struct dump *d) {
    d->failed = true;
    if (d->source->xml)
        xmlStopParser(d->source->xml);
}

static void obey(struct dump *d, enum dump_next next) {
    if (next == DUMP_STOP)
        stop(d);
}

/* ---- elements ------------------------------------------------------------------------------------------------------ */

/* Attribute NAME without namespace, OWNED; NULL if there is none. */
static char *attr(const struct start_tag *tag, const char *name) {
    for (int i = 0; i < tag->attr_count; i++) {
        const char *const *a = (const char *const *)tag->attrs + (size_t)i * 5;
        if (!(a[2] && *a[2]) && strcmp(a[0], name) == 0)
            return xmemdup(a[3], (size_t)(a[4] - a[3]));
    }
    return NULL;
}

static void pass_over(struct dump *d) {
    d->inner = 1;
    d->collecting = false;
}

static void collect(struct dump *d, const struct start_tag *tag, const char *parent_ns) {
    d->inner = 1;
    d->collecting = true;
    d->too_long = false;
    writer_clear(&d->writer);
    writer_start(&d->writer, tag, parent_ns);
}

static void ignore(struct dump *d, const struct start_tag *tag) {
    d->handler->ignored(d->arg, d, tag->name, tag->ns, false);
    pass_over(d);
}

static void enter(struct dump *d, enum dump_level level, enum dump_next next) {
    if (next == DUMP_SKIP)
        pass_over(d);
    else if (next == DUMP_ON)
        d->level = level;
    obey(d, next);
}

static void start_host(struct dump *d, const struct start_tag *tag) {
    char *jid = attr(tag, "jid");
    enter(d, IN_HOST, jid ? d->handler->host(d->arg, d, jid) : dump_fail(d, "a <host/> has no attribute `jid`"));
    free(jid);
}

static void start_user(struct dump *d, const struct start_tag *tag) {
    char *name = attr(tag, "name"), *password = attr(tag, "password");
    enter(d, IN_USER,
          name ? d->handler->user(d->arg, d, name, password) : dump_fail(d, "a <user/> has no attribute `name`"));
    free(name);
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
}

static void start_in_user(struct dump *d, const struct start_tag *tag) {
    d->kind = kind_find(d->kinds, tag->name, tag->ns);
    if (!d->kind) {
        ignore(d, tag);
    } else if (!d->kind->series) {
        collect(d, tag, NS_PIE);
    } else {
        struct writer w = { .out = { 0 } };
        writer_start(&w, tag, NS_PIE);
        d->wrapper.len = 0;
        buf_printf(&d->wrapper, "%s>", w.out.data);
        writer_free(&w);
        d->level = IN_SERIES;
    }
}

static void start_include(struct dump *d, const struct start_tag *tag) {
    char *href = attr(tag, "href"), *parse = attr(tag, "parse"), *xpointer = attr(tag, "xpointer");
    if (!dump_include(d, &(struct include){ href, parse, xpointer }))
        stop(d);
    pass_over(d);
    free(href);
    free(parse);
    free(xpointer);
}

static void start_element(struct dump *d, const struct start_tag *tag) {
    bool pie = strcmp(tag->ns, NS_PIE) == 0;
    if (d->level != AT_ROOT && d->level != IN_SERIES && strcmp(tag->ns, NS_XINCLUDE) == 0 &&
        strcmp(tag->name, "include") == 0)
        start_include(d, tag);
    else if (d->level == AT_ROOT && pie && strcmp(tag->name, "server-data") == 0)
        d->level = IN_DATA;
    else if (d->level == AT_ROOT)
        obey(d, dump_fail(d, "this is no dump of XEP-0227: it begins with <%.80s xmlns='%.200s'>", tag->name, tag->ns));
    else if (d->level == IN_DATA && pie && strcmp(tag->name, "host") == 0)
        start_host(d, tag);
    else if (d->level == IN_HOST && pie && strcmp(tag->name, "user") == 0)
        start_user(d, tag);
    else if (d->level == IN_USER)
        start_in_user(d, tag);
    else if (d->level == IN_SERIES)
        collect(d, tag, d->kind->ns);
    else
        ignore(d, tag);
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns, int ns_count,
                     const xmlChar **namespaces, int attr_count, int defaulted, const xmlChar **attrs) {
    struct dump *d = ((struct dump_source *)((xmlParserCtxtPtr)ctx)->_private)->dump;
    struct start_tag tag = { (const char *)name, ns ? (const char *)ns : "", attr_count, attrs };
    (void)prefix, (void)ns_count, (void)namespaces, (void)defaulted;
    if (d->failed)
        return;
    if (!d->inner) {
        start_element(d, &tag);
        return;
    }
    if (d->inner++ >= DEPTH_MAX)
        obey(d, dump_fail(d, "elements are nested more than %d deep", DEPTH_MAX));
    else if (d->collecting && !d->too_long)
        writer_start(&d->writer, &tag, "");
}

/* ---- ends ---------------------------------------------------------------------------------------------------------- */

static void end_inner(struct dump *d, const char *name, const char *ns) {
    d->inner--;
    if (!d->collecting)
        return;
    if (!d->too_long)
        writer_end(&d->writer, name);
    if (d->inner)
        return;
    if (d->too_long)
        d->handler->ignored(d->arg, d, name, ns, true);
    else
        obey(d,
             d->handler->element(d->arg, d, d->kind, d->level == IN_SERIES ? d->wrapper.data : NULL, &d->writer.out));
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns) {
    struct dump *d = ((struct dump_source *)((xmlParserCtxtPtr)ctx)->_private)->dump;
    (void)prefix;
    if (d->failed)
        return;
    if (d->inner) {
        end_inner(d, (const char *)name, ns ? (const char *)ns : "");
        return;
    }
    if (d->level == IN_USER)
        obey(d, d->handler->user_end(d->arg, d));
    d->level--;
}

static void on_text(void *ctx, const xmlChar *text, int len) {
    struct dump *d = ((struct dump_source *)((xmlParserCtxtPtr)ctx)->_private)->dump;
    if (d->failed || !d->inner || !d->collecting || d->too_long)
        return;
    writer_text(&d->writer, (const char *)text, (size_t)len);
    d->too_long = d->writer.out.len > ELEMENT_MAX;
}

/* ---- the parser ---------------------------------------------------------------------------------------------------- */

/* Before anything in it is read. */
static void on_dtd(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
    struct dump *d = ((struct dump_source *)((xmlParserCtxtPtr)ctx)->_private)->dump;
    (void)name, (void)external, (void)system;
    if (!d->failed)
        obey(d, dump_fail(d, "a dump must not have a DTD, nor entities of its own"));
}

static xmlEntityPtr on_entity(void *ctx, const xmlChar *name) {
    (void)ctx;
    return xmlGetPredefinedEntity(name);
}

static void on_error(void *ctx, xmlErrorPtr error) {
    struct dump_source *s = ((xmlParserCtxtPtr)ctx)->_private;
    if (!s || s->dump->failed || error->level == XML_ERR_WARNING)
        return;
    bool cut = s->ended && (s->dump->inner || s->dump->level != s->level);
    char *text = xstrdup(cut || !error->message ? "it ends too early" : error->message);
    text[strcspn(text, "\n")] = '\0';
    obey(s->dump, dump_fail(s->dump, "%s", text));
    free(text);
}

static xmlParserCtxtPtr make_parser(struct dump_source *s) {
    xmlSAXHandler sax = { .initialized = XML_SAX2_MAGIC,
                          .startElementNs = on_start,
                          .endElementNs = on_end,
                          .characters = on_text,
                          .ignorableWhitespace = on_text,
                          .cdataBlock = on_text,
                          .internalSubset = on_dtd,
                          .getEntity = on_entity,
                          .serror = on_error };
    xmlParserCtxtPtr xml = xmlCreatePushParserCtxt(&sax, NULL, NULL, 0, s->name);
    if (!xml)
        out_of_memory();
    xmlCtxtUseOptions(xml, XML_PARSE_NONET | XML_PARSE_NOENT);
    xml->_private = s;
    return xml;
}

bool dump_read(struct dump *d, FILE *file, const char *name) {
    struct dump_source s = { .dump = d, .outer = d->source, .name = name, .level = d->level };
    char *chunk = xmalloc(CHUNK);
    size_t n;
    d->source = &s;
    s.xml = make_parser(&s);
    while (!d->failed && (n = fread(chunk, 1, CHUNK, file)) > 0)
        xmlParseChunk(s.xml, chunk, (int)n, 0);
    if (!d->failed && ferror(file))
        obey(d, dump_fail(d, "it can't be read"));
    s.ended = true;
    if (!d->failed)
        xmlParseChunk(s.xml, chunk, 0, 1);
    if (!d->failed && !(s.xml->wellFormed && s.xml->nsWellFormed))
        obey(d, dump_fail(d, "this is no XML"));
    xmlFreeParserCtxt(s.xml);
    d->source = s.outer;
    free(chunk);
    return !d->failed;
}

void dump_free(struct dump *d) {
    writer_free(&d->writer);
    buf_free(&d->wrapper);
    free(d->folder);
}
