/* SPDX-License-Identifier: Apache-2.0 */
#include "url.h"
#include <http_parser.h>
#include <stdio.h>
#include <string.h>

struct part {
    const char *at;
    int len;
};

static struct part part_of(const char *text, const struct http_parser_url *u, enum http_parser_url_fields field) {
    bool there = u->field_set & 1 << field;
    return there ? (struct part){ text + u->field_data[field].off, u->field_data[field].len }
                 : (struct part){ text, 0 };
}

/* Whether PART is WORD, in small letters or not, and what ends it. */
static bool is(struct part part, const char *word, const char *end) {
    size_t len = strlen(word), more = strlen(end);
    return (size_t)part.len == len + more && strncasecmp(part.at, word, len) == 0 &&
           strncasecmp(part.at + len, end, more) == 0;
}

const char *url_read(const char *text, const char *scheme, struct server *to) {
    static char wrong[64];
    struct http_parser_url u;
    http_parser_url_init(&u);
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return "a URL has no such characters";
    if (http_parser_parse_url(text, strlen(text), 0, &u) != 0 || !(u.field_set & 1 << UF_HOST))
        return "not a URL";
    struct part name = part_of(text, &u, UF_SCHEMA), host = part_of(text, &u, UF_HOST),
                path = part_of(text, &u, UF_PATH), query = part_of(text, &u, UF_QUERY);
    bool tls = is(name, scheme, "s");
    if (!tls && !is(name, scheme, "")) {
        snprintf(wrong, sizeof wrong, "a URL of neither %s:// nor %ss://", scheme, scheme);
        return wrong;
    }
    if (u.field_set & (1 << UF_USERINFO | 1 << UF_FRAGMENT))
        return "a URL with a user or a fragment";
    to->tls = tls ? TLS_DIRECT : TLS_NONE;
    to->port = u.field_set & 1 << UF_PORT ? u.port : tls ? 443 : 80;
    bool is_v6 = host.at[-1] == '[';
    int n = snprintf(to->host, sizeof to->host, "%.*s", host.len, host.at);
    int m = snprintf(to->path, sizeof to->path, "%s%.*s%s%.*s", path.len ? "" : "/", path.len, path.at,
                     query.len ? "?" : "", query.len, query.at);
    if ((size_t)n >= sizeof to->host || (size_t)m >= sizeof to->path)
        return "too long";
    snprintf(to->authority, sizeof to->authority, "%s%s%s:%d", is_v6 ? "[" : "", to->host, is_v6 ? "]" : "", to->port);
    return to->port ? NULL : "a URL with port 0";
}
