/* SPDX-License-Identifier: Apache-2.0 */
/* The order of requests (XEP-0124, 14), repeated ones (14.2), acknowledgements (9), keys (15), and how fast they come (12). */
#include "bosh.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

/* ---- answers that may be asked for again ------------------------------------------------------------------------------ */

static void forget_first(struct session *s) {
    mk_free(s->given[0].text);
    memmove(s->given, s->given + 1, --s->given_count * sizeof *s->given);
}

void window_remember(struct mk_ctx *c, struct session *s, uint64_t rid, const char *text, size_t len) {
    if (s->given_count > s->requests)
        forget_first(s);
    struct given *g = &s->given[s->given_count++];
    *g = (struct given){ rid, mk_malloc(len + 1), len, mk_now_ms(c) };
    memcpy(g->text, text, len);
}

void window_forget(struct session *s) {
    while (s->given_count)
        forget_first(s);
}

/* ---- keys --------------------------------------------------------------------------------------------------------------- */

static void hash_hex(const char *text, char out[KEY_LEN + 1]) {
    unsigned char digest[KEY_LEN / 2];
    gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest);
    for (unsigned i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static bool key_fits(struct session *s, const struct mk_elem *body) {
    const char *key = mk_attr(body, "key"), *next = mk_attr(body, "newkey");
    char hash[KEY_LEN + 1];
    if (*s->key && !key)
        return false;
    if (*s->key) {
        hash_hex(key, hash);
        if (strcasecmp(hash, s->key) != 0)
            return false;
        next = next ? next : key;
    }
    if (next)
        snprintf(s->key, sizeof s->key, "%s", next);
    return true;
}

/* ---- one request ---------------------------------------------------------------------------------------------------------- */

static bool is_empty(const struct mk_elem *body) {
    return !mk_elem_first(body) && !mk_attr(body, "type") && !mk_attr(body, "pause") &&
           !mk_attr_ns(body, "restart", NS_XBOSH);
}

static void read_ack(struct session *s, const struct pending *p) {
    uint64_t ack = p->rid - 1;
    if (!s->acks)
        return;
    (void)pending_number(p, "ack", (uint64_t)1 << 53, &ack);
    s->acked = ack;
    while (s->given_count && s->given[0].rid < ack)
        forget_first(s);
}

static void add_unread(struct session *s, struct pending *p) {
    struct unread *u = mk_malloc(sizeof *u), **at = &s->unread;
    u->body = p->body;
    u->child = mk_elem_first(mk_root(u->body));
    p->body = NULL;
    while (*at)
        at = &(*at)->next;
    *at = u;
}

/* The request that is due. */
static const char *accept_one(struct mk_ctx *c, struct session *s, struct pending *p) {
    const struct bosh *me = mk_inst(c);
    const struct mk_elem *body = pending_body(p);
    uint64_t pause = 0;
    bool pauses = pending_number(p, "pause", UINT32_MAX / 1000, &pause);
    if (!key_fits(s, body))
        return "item-not-found";
    if (pauses && (int64_t)pause * 1000 > me->max_pause)
        return "policy-violation";
    if (s->polls && is_empty(body) && s->empty_ms && p->since_ms < s->empty_ms + me->polling)
        return "policy-violation";
    read_ack(s, p);
    s->pause_ms = (int64_t)pause * 1000;
    s->rid++;
    add_unread(s, p);
    queue_add(&s->held, p);
    return NULL;
}

/* Instead of an earlier one with the same rid, whose connection is dead or will be. */
static bool replace(struct mk_ctx *c, struct session *s, struct queue *q, struct pending *p) {
    static const char nothing[] = "<body xmlns='" NS_BODY "'/>";
    for (struct pending *old = q->first; old; old = old->next) {
        if (old->rid != p->rid)
            continue;
        pending_answer(c, mk_inst(c), old, s->type, nothing, sizeof nothing - 1);
        old->http = p->http;
        old->since_ms = p->since_ms;
        pending_free(p);
        return true;
    }
    return false;
}

static bool repeat(struct mk_ctx *c, struct session *s, struct pending *p) {
    for (uint32_t i = 0; i < s->given_count; i++) {
        if (s->given[i].rid != p->rid)
            continue;
        mk_count(c, M_RESENT, 1);
        pending_answer(c, mk_inst(c), p, s->type, s->given[i].text, s->given[i].len);
        pending_free(p);
        return true;
    }
    return false;
}

static void add_early(struct session *s, struct pending *p) {
    struct queue rest = s->early;
    struct pending *one;
    s->early = (struct queue){ 0 };
    while ((one = queue_take(&rest)) != NULL) {
        if (p && one->rid > p->rid) {
            queue_add(&s->early, p);
            p = NULL;
        }
        queue_add(&s->early, one);
    }
    if (p)
        queue_add(&s->early, p);
}

const char *window_take(struct mk_ctx *c, struct session *s, struct pending *p) {
    const char *wrong = NULL;
    if (p->rid >= s->rid + s->requests)
        wrong = "item-not-found";
    else if (p->rid < s->rid && (repeat(c, s, p) || replace(c, s, &s->held, p)))
        return NULL;
    else if (p->rid < s->rid)
        wrong = "item-not-found";
    else if (replace(c, s, &s->early, p))
        return NULL;
    else
        add_early(s, p);
    while (!wrong && s->early.first && s->early.first->rid == s->rid) {
        p = queue_take(&s->early);
        wrong = accept_one(c, s, p);
    }
    if (wrong)
        pending_refuse(c, mk_inst(c), p, wrong);
    return wrong;
}
