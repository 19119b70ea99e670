/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server dialback (XEP-0220): who says to be a domain gives a key, and we ask the domain's own server about it.  Several
 * pairs of domains may do so on one stream.  A certificate that proves the domain spares the question (XEP-0344).
 */
#include "run/metric.h"
#include "s2s/link.h"
#include "util/mem.h"
#include "util/text.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { VERIFYING_MAX = 16 /* keys of one stream that are asked about at once */ };

/* XEP-0185.  The key of the HMAC is the hash of the secret as text. */
void dialback_key(const char *receiving, const char *originating, const char *id, char out[KEY_HEX + 1]) {
    uint8_t digest[KEY_HEX / 2];
    struct buf b = { 0 };
    buf_printf(&b, "%s %s %s", receiving, originating, id);
    gnutls_hmac_fast(GNUTLS_MAC_SHA256, s2s_secret, SECRET_HEX, b.data, b.len, digest);
    hex_encode(out, digest, sizeof digest);
    buf_free(&b);
}

/* ---- elements ------------------------------------------------------------------------------------------------------ */

/* What an element of ours and theirs has. */
struct request {
    struct arena arena;
    char *from, *to; /* prepared and malloc'd; NULL if it is no domain */
    const char *id, *type, *key;
};

static const char *read_key(struct arena *arena, const struct mk_elem *e) {
    const struct mk_elem *t = e->first;
    if (!t || t->name)
        return "";
    const char *at = t->text, *end = t->text + t->text_len;
    while (at < end && strchr(" \t\r\n", *at))
        at++;
    while (end > at && strchr(" \t\r\n", end[-1]))
        end--;
    return arena_memdup(arena, at, (size_t)(end - at));
}

static void request_read(struct request *r, const struct mk_stanza *s) {
    const struct mk_elem *e = mk_root(s);
    arena_init(&r->arena);
    r->from = domain_read(mk_attr(e, "from"));
    r->to = domain_read(mk_attr(e, "to"));
    r->id = mk_attr(e, "id");
    r->type = mk_attr(e, "type");
    r->key = read_key(&r->arena, e);
}

static void request_free(struct request *r) {
    free(r->from);
    free(r->to);
    arena_free(&r->arena);
}

/* An answer, in which both domains change places.  CONDITION: it is an error. */
static void answer(struct link *l, const char *name, const char *local, const char *remote, const char *id,
                   const char *type, const char *condition) {
    struct buf b = { 0 };
    buf_printf(&b, "<db:%s", name);
    buf_attr(&b, "from", local);
    buf_attr(&b, "to", remote);
    buf_attr(&b, "id", id);
    buf_attr(&b, "type", type);
    if (condition)
        buf_printf(&b, "><error type='%s'><%s xmlns='" NS_STANZAS "'/></error></db:%s>",
                   strcmp(condition, "remote-server-timeout") == 0 ? "wait" : "cancel", condition, name);
    else
        buf_puts(&b, "/>");
    link_write(l, b.data, b.len);
    buf_free(&b);
}

/* ---- asking about a key -------------------------------------------------------------------------------------------- */

void verify_free(struct verify *v) {
    wheel_stop(&v->deadline);
    free(v->local);
    free(v->remote);
    free(v->id);
    free(v->key);
    free(v);
}

static void tell(struct link *l, const struct verify *v) {
    static const char *const types[] = { "valid", "invalid", "error" };
    l->verifying--;
    if (v->verdict == VERDICT_VALID)
        link_grant(l, v->local, v->remote, "dialback");
    else
        METRIC(this_worker, s2s_login_failures, 1);
    answer(l, "result", v->local, v->remote, NULL, types[v->verdict],
           v->verdict == VERDICT_ERROR ? v->condition : NULL);
    if (v->verdict == VERDICT_VALID && l->bidi && !l->pair)
        pair_offer(v->local, v->remote, l);
    if (v->verdict != VERDICT_VALID)
        link_log(l, 6, "could not prove to be %s: %s", v->remote,
                 v->verdict == VERDICT_ERROR ? v->condition : "its own server says that the key is wrong");
    /* Who gives a wrong key is not who it says; there may be nothing else on the stream. */
    if (v->verdict == VERDICT_INVALID && !l->grants && !l->verifying)
        link_fail(l, NULL, "its key is wrong");
}

static void come_back(struct post *p) {
    struct verify *v = container_of(p, struct verify, post);
    struct link *l = this_worker ? link_find(v->serial) : NULL;
    if (l && l->state != LINK_ENDED)
        tell(l, v);
    verify_free(v);
}

void verify_done(struct verify *v, enum verdict verdict, const char *condition) {
    wheel_stop(&v->deadline);
    v->verdict = verdict;
    v->condition = condition;
    v->post.run = come_back;
    worker_post(v->asker, &v->post);
}

static void go_out(struct post *p) {
    struct verify *v = container_of(p, struct verify, post);
    if (this_worker)
        pair_verify(v);
    else
        verify_free(v);
}

static void ask(struct link *l, const struct request *r) {
    struct verify *v = xcalloc(1, sizeof *v);
    v->asker = this_worker;
    v->serial = l->serial;
    v->local = xstrdup(r->to);
    v->remote = xstrdup(r->from);
    v->id = xstrdup(l->id);
    v->key = xstrdup(r->key);
    v->post.run = go_out;
    l->verifying++;
    worker_post(domain_home(v->remote), &v->post);
}

void dialback_send_verify(struct link *l, struct verify *v) {
    struct buf b = { 0 };
    v->sent = true;
    buf_puts(&b, "<db:verify");
    buf_attr(&b, "from", v->local);
    buf_attr(&b, "to", v->remote);
    buf_attr(&b, "id", v->id);
    buf_puts(&b, ">");
    for (const char *at = v->key; *at; at++) /* it is hex, or what somebody made up */
        if ((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
            buf_add(&b, at, 1);
    buf_puts(&b, "</db:verify>");
    link_write(l, b.data, b.len);
    buf_free(&b);
}

/* ---- on streams of others ------------------------------------------------------------------------------------------ */

/* The stanza error that refuses the request, or NULL. */
static const char *wrong(const struct link *l, const struct request *r) {
    const struct s2s_policy *policy = policy_for(r->from);
    if (!local_host(r->to))
        return "item-not-found";
    if (policy->tls && !conn_is_secure(&l->conn))
        return "policy-violation";
    return policy->deny ? "not-allowed" : NULL;
}

static void take_result(struct link *l, const struct request *r) {
    const struct s2s_policy *policy = policy_for(r->from);
    const char *cond = wrong(l, r);
    if (!cond && local_host(r->from))
        cond = "not-acceptable";
    bool proved = !cond && policy_proves(policy, l->cert, r->from);
    if (!cond && !proved && policy_wants_cert(policy))
        cond = "not-authorized";
    if (!cond && !proved && l->verifying >= VERIFYING_MAX)
        cond = "resource-constraint";
    if (cond) {
        METRIC(this_worker, s2s_login_failures, 1);
        link_log(l, 6, "may not prove to be %s by dialback: %s", r->from, cond);
        answer(l, "result", r->to, r->from, NULL, "error", cond);
    } else if (proved) {
        link_grant(l, r->to, r->from, "certificate");
        answer(l, "result", r->to, r->from, NULL, "valid", NULL);
        if (l->bidi && !l->pair)
            pair_offer(r->to, r->from, l);
    } else {
        ask(l, r);
    }
}

static void take_verify(struct link *l, const struct request *r) {
    const char *cond = wrong(l, r);
    char key[KEY_HEX + 1];
    if (cond) {
        answer(l, "verify", r->to, r->from, r->id, "error", cond);
        return;
    }
    dialback_key(r->from, r->to, r->id, key);
    bool valid = strlen(r->key) == KEY_HEX && equal_secret(r->key, key, KEY_HEX);
    answer(l, "verify", r->to, r->from, r->id, valid ? "valid" : "invalid", NULL);
}

void dialback_in(struct link *l, const struct mk_stanza *s) {
    struct request r;
    bool result = mk_elem_is(mk_root(s), "result", NULL), verify = mk_elem_is(mk_root(s), "verify", NULL);
    request_read(&r, s);
    if ((!result && !verify) || r.type)
        link_fail(l, "unsupported-stanza-type", NULL);
    else if (!r.from || !r.to)
        link_fail(l, "improper-addressing", NULL);
    else if (verify && !r.id)
        link_fail(l, "bad-format", NULL);
    else if (result)
        take_result(l, &r);
    else
        take_verify(l, &r);
    request_free(&r);
}

/* ---- on ours ------------------------------------------------------------------------------------------------------- */

static const char *condition_of(const struct mk_stanza *s) {
    static const char *const known[] = { "item-not-found",
                                         "remote-connection-failed",
                                         "remote-server-not-found",
                                         "remote-server-timeout",
                                         "policy-violation",
                                         "not-authorized",
                                         "forbidden",
                                         "not-acceptable",
                                         "resource-constraint",
                                         "internal-server-error",
                                         "not-allowed" };
    const struct mk_elem *error = mk_child(s, "error", NULL);
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (mk_elem_child(error, known[i], NS_STANZAS))
            return known[i];
    return "undefined-condition";
}

static void result_came(struct link *l, const struct request *r, const struct mk_stanza *s) {
    if (!l->key_sent || l->state != LINK_OPEN || strcmp(r->from, l->remote) != 0 || strcmp(r->to, l->local) != 0)
        return;
    if (strcmp(r->type, "valid") == 0) {
        out_ready(l);
        return;
    }
    const char *why = strcmp(r->type, "error") == 0 ? condition_of(s) : "it says that our key is wrong";
    link_log(l, 6, "is refused: %s", why);
    link_fail(l, NULL, why);
}

static void verdict_came(struct link *l, const struct request *r) {
    struct list *at, *next;
    for (at = l->pair->verifies.next; at != &l->pair->verifies; at = next) {
        next = at->next;
        struct verify *v = container_of(at, struct verify, link);
        if (!v->sent || !r->id || strcmp(v->id, r->id) != 0 || strcmp(v->remote, r->from) != 0 ||
            strcmp(v->local, r->to) != 0)
            continue;
        list_remove(&v->link);
        if (strcmp(r->type, "valid") == 0)
            verify_done(v, VERDICT_VALID, NULL);
        else if (strcmp(r->type, "error") == 0)
            verify_done(v, VERDICT_ERROR, "remote-server-not-found");
        else
            verify_done(v, VERDICT_INVALID, NULL);
    }
    /* It was opened to ask, and there is nothing else to say. */
    if (l->state == LINK_OPEN && !l->key_sent && !l->external_tried && list_empty(&l->pair->verifies) &&
        !l->pair->queue_count && !l->pair->unacked_count)
        link_finish(l);
}

void dialback_out(struct link *l, const struct mk_stanza *s) {
    struct request r;
    request_read(&r, s);
    if (!r.from || !r.to)
        link_fail(l, "improper-addressing", NULL);
    else if (!r.type && mk_elem_is(mk_root(s), "result", NULL) && l->bidi) /* it should open a stream of its own */
        answer(l, "result", r.to, r.from, NULL, "error", "resource-constraint");
    else if (!r.type)
        link_fail(l, "unsupported-stanza-type", NULL);
    else if (mk_elem_is(mk_root(s), "result", NULL))
        result_came(l, &r, s);
    else if (mk_elem_is(mk_root(s), "verify", NULL) && l->pair)
        verdict_came(l, &r);
    request_free(&r);
}
