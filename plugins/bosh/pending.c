/* SPDX-License-Identifier: Apache-2.0 */
#include "bosh.h"
#include <stdlib.h>
#include <string.h>

struct pending *pending_new(struct mk_ctx *c, struct mk_http_request *http, const struct mk_stanza *body) {
    struct pending *p = mk_malloc(sizeof *p);
    p->http = http;
    p->body = mk_keep(body);
    p->since_ms = mk_now_ms(c);
    return p;
}

void pending_free(struct pending *p) {
    if (p->body)
        mk_release(p->body);
    mk_free(p);
}

const struct mk_elem *pending_body(const struct pending *p) {
    return mk_root(p->body);
}

void pending_answer(struct mk_ctx *c, const struct bosh *me, struct pending *p, const char *type, const char *body,
                    size_t len) {
    const struct mk_http_answer a = { .size = sizeof a,
                                      .status = 200,
                                      .type = type ? type : "text/xml; charset=utf-8",
                                      .cors = true,
                                      .body = { body, len } };
    if (p->http)
        (void)mk_http_answer(c, me->http, p->http, &a);
    p->http = NULL;
}

/* A client that names no version of BOSH is of the time when errors were statuses of HTTP: XEP-0124, 17.1. */
static uint32_t legacy_status(const char *condition) {
    return strcmp(condition, "bad-request") == 0        ? 400
           : strcmp(condition, "policy-violation") == 0 ? 403
           : strcmp(condition, "item-not-found") == 0   ? 404
                                                        : 200;
}

void pending_refuse(struct mk_ctx *c, const struct bosh *me, struct pending *p, const char *condition) {
    const struct mk_elem *body = pending_body(p);
    const char *text = mk_printf(c, "<body xmlns='" NS_BODY "' type='terminate' condition='%s'/>", condition);
    bool old = !mk_attr(body, "sid") && !mk_attr(body, "ver");
    const struct mk_http_answer a = { .size = sizeof a,
                                      .status = old ? legacy_status(condition) : 200,
                                      .type = "text/xml; charset=utf-8",
                                      .cors = true,
                                      .body = { text, strlen(text) } };
    mk_count(c, M_REFUSED, 1);
    (void)mk_http_answer(c, me->http, p->http, &a);
    pending_free(p);
}

/* A missing attribute is no number, and neither is one that is more than MOST. */
bool pending_number(const struct pending *p, const char *name, uint64_t most, uint64_t *value) {
    const char *text = mk_attr(pending_body(p), name);
    size_t len = text ? strspn(text, "0123456789") : 0;
    if (!len || text[len] || len > 16)
        return false;
    *value = strtoull(text, NULL, 10);
    return *value <= most;
}

void queue_add(struct queue *q, struct pending *p) {
    if (!q->first)
        q->last = &q->first;
    p->next = NULL;
    *q->last = p;
    q->last = &p->next;
    q->count++;
}

struct pending *queue_take(struct queue *q) {
    struct pending *p = q->first;
    if (!p)
        return NULL;
    q->first = p->next;
    q->count--;
    if (!q->first)
        q->last = &q->first;
    p->next = NULL;
    return p;
}
