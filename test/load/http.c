/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include <stdio.h>
#include <string.h>

static int on_begin(struct http_parser *p) {
    struct http *h = p->data;
    h->begun = true;
    for (int i = 0; h->head && i < h->head->count; i++)
        *h->head->fields[i].value = '\0';
    return 0;
}

/* ---- fields that are wanted ------------------------------------------------------------------------------------------ */

static void append(char *to, size_t size, const char *at, size_t len) {
    size_t have = strlen(to), fits = size - 1 - have;
    memcpy(to + have, at, len < fits ? len : fits);
    to[have + (len < fits ? len : fits)] = '\0';
}

static int on_name(struct http_parser *p, const char *at, size_t len) {
    struct http_head *head = ((struct http *)p->data)->head;
    if (!head)
        return 0;
    if (head->in_value)
        *head->name = '\0';
    head->in_value = false;
    append(head->name, sizeof head->name, at, len);
    return 0;
}

static int on_value(struct http_parser *p, const char *at, size_t len) {
    struct http_head *head = ((struct http *)p->data)->head;
    if (!head)
        return 0;
    if (!head->in_value) {
        head->in_value = true;
        head->current = -1;
        for (int i = 0; i < head->count; i++)
            if (strcasecmp(head->fields[i].name, head->name) == 0)
                head->current = i;
    }
    if (head->current >= 0)
        append(head->fields[head->current].value, sizeof head->fields->value, at, len);
    return 0;
}

/* ---- the answer ---------------------------------------------------------------------------------------------------------- */

/* Whether so many bytes of a body are too many. */
static bool is_too_much(const struct http *h, uint64_t more) {
    return more != UINT64_MAX && (more > h->most || h->body->len + more > h->most);
}

static bool is_interim(const struct http_parser *p) {
    return p->status_code / 100 == 1 && p->status_code != HTTP_STATUS_SWITCHING_PROTOCOLS;
}

static int on_head(struct http_parser *p) {
    struct http *h = p->data;
    for (int i = 0; h->head && i < h->head->count; i++) {
        char *value = h->head->fields[i].value;
        for (size_t len = strlen(value); len && strchr(" \t", value[len - 1]); len--)
            value[len - 1] = '\0';
    }
    h->headed = !is_interim(p);
    return is_too_much(h, p->content_length) ? -1 : 0;
}

static int on_chunk(struct http_parser *p) {
    return is_too_much(p->data, p->content_length);
}

static int on_body(struct http_parser *p, const char *at, size_t len) {
    struct http *h = p->data;
    if (is_too_much(h, len))
        return 1;
    buffer_add(h->body, at, len);
    return 0;
}

static int on_complete(struct http_parser *p) {
    struct http *h = p->data;
    h->whole = !is_interim(p);
    if (h->whole)
        http_parser_pause(p, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_chunk_header = on_chunk,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void http_begin(struct http *h, struct http_head *head, struct buffer *body, size_t most) {
    *h = (struct http){ .head = head, .body = body, .most = most };
    http_parser_init(&h->parser, HTTP_RESPONSE);
    h->parser.data = h;
}

bool http_read(struct http *h, struct buffer *from) {
    if (h->whole || !from->data)
        return true;
    size_t took = http_parser_execute(&h->parser, &settings, from->data + from->at, from->len - from->at);
    enum http_errno error = HTTP_PARSER_ERRNO(&h->parser);
    buffer_skip(from, from->at + took);
    return error == HPE_OK || error == HPE_PAUSED;
}

bool http_end(struct http *h) {
    if (!h->whole && h->begun)
        http_parser_execute(&h->parser, &settings, NULL, 0);
    return h->whole;
}

bool http_keeps_alive(const struct http *h) {
    return http_should_keep_alive(&h->parser);
}

void http_status(const struct http *h, char *out, size_t size) {
    static const struct {
        unsigned status;
        const char *words;
    } known[] = {
#define STATUS(number, name, words) { number, #words },
        HTTP_STATUS_MAP(STATUS)
#undef STATUS
    };
    const char *words = "";
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == h->parser.status_code)
            words = known[i].words;
    snprintf(out, size, "%u%s%s", h->parser.status_code, *words ? " " : "", words);
}
