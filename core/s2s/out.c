/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that we opened to other servers, until they are ready; keys of dialback are asked about even before. */
#include "route/router.h"
#include "run/metric.h"
#include "s2s/link.h"
#include "util/mem.h"
#include "util/text.h"
#include <stdlib.h>
#include <string.h>

static struct tls_cert *own_cert(const struct link *l) {
    const struct host *host = local_host(l->local);
    return host ? host->cert : NULL;
}

static void start_tls(struct link *l, bool direct) {
    char *name = tls_ascii(l->remote);
    if (name)
        conn_start_tls_as(&l->conn,
                          &(struct tls_start){ TLS_CONNECT, direct ? "xmpp-server" : NULL, name, own_cert(l) });
    else
        link_fail(l, NULL, "it can't be the name of a server");
    free(name);
}

void out_begin(struct pair *p, const struct dial_result *r) {
    struct link *l = link_new(this_worker, r->fd, (const struct sockaddr *)&r->peer, true);
    l->conn.rate = (uint32_t)s2s_config()->rate;
    l->local = xstrdup(p->local);
    l->remote = xstrdup(p->remote);
    if (r->tlsa) {
        l->tlsa = xmemdup(r->tlsa, sizeof *r->tlsa);
        l->target = xstrdup(r->target);
    }
    pair_adopt(p, l);
    if (r->direct)
        start_tls(l, true);
    else
        link_send_header(l);
}

void out_secured(struct link *l) {
    const struct s2s_policy *policy = policy_for(l->remote);
    bool refuses = l->cert->dane && !l->cert->named && !policy->pin_count;
    if (refuses || (policy_wants_cert(policy) && !policy_proves(policy, l->cert, l->remote))) {
        link_fail(l, "policy-violation",
                  l->cert->trusted && !refuses ? "your certificate is for other names" : l->cert->why);
        return;
    }
    l->starttls = l->external = false;
    link_send_header(l);
}

/* ---- authentication ------------------------------------------------------------------------------------------------ */

void out_ready(struct link *l) {
    l->state = LINK_READY;
    if (l->bidi) /* it is who DNS, or its certificate, says: that is what dialback would find out too */
        link_grant(l, l->local, l->remote, l->external ? "certificate" : "dialback");
    METRIC(this_worker, s2s_logins, 1);
    link_log(l, 6, "is authenticated by %s", l->external ? "certificate" : "dialback");
    link_timer(l, s2s_config()->idle_ms);
    ack_begin(l);
}

static void send_external(struct link *l) {
    size_t len = strlen(l->local);
    char *text = xmalloc(4 * ((len + 2) / 3) + 1);
    base64_encode(text, l->local, len);
    link_printf(l, "<auth xmlns='" NS_SASL "' mechanism='EXTERNAL'>%s</auth>", text);
    free(text);
    l->external_tried = true;
}

static void send_key(struct link *l) {
    char key[KEY_HEX + 1];
    struct buf b = { 0 };
    dialback_key(l->remote, l->local, l->id, key);
    buf_puts(&b, "<db:result");
    buf_attr(&b, "from", l->local);
    buf_attr(&b, "to", l->remote);
    buf_printf(&b, ">%s</db:result>", key);
    link_write(l, b.data, b.len);
    buf_free(&b);
    l->key_sent = true;
}

static void authenticate(struct link *l) {
    if (l->key_sent || (l->external_tried && l->external))
        return;
    if (l->can_bidi && !l->bidi) {
        l->bidi = true;
        link_say(l, "<bidi xmlns='" NS_BIDI "'/>");
    }
    if (l->external)
        send_external(l);
    else if (l->id)
        send_key(l);
    else
        link_fail(l, NULL, "its stream has no id to make a key of dialback with");
}

/* Whoever only asks about a key need not say who it is. */
void out_wake(struct link *l) {
    struct pair *p = l->pair;
    if (!p || !l->able)
        return;
    for (struct list *at = p->verifies.next; at != &p->verifies; at = at->next) {
        struct verify *v = container_of(at, struct verify, link);
        if (!v->sent)
            dialback_send_verify(l, v);
    }
    if (l->state == LINK_OPEN && (p->queue_count || p->unacked_count || list_empty(&p->verifies)))
        authenticate(l);
}

/* ---- headers and features ------------------------------------------------------------------------------------------ */

static bool must_encrypt(const struct link *l) {
    return !conn_is_secure(&l->conn) && (policy_for(l->remote)->tls || l->tlsa);
}

static void negotiate(struct link *l) {
    if (must_encrypt(l)) {
        link_fail(l, "policy-violation", "it offers no TLS");
        return;
    }
    if (!conn_is_secure(&l->conn) && policy_wants_cert(policy_for(l->remote))) {
        link_fail(l, "policy-violation", "it offers no TLS, and so has no certificate");
        return;
    }
    l->able = true;
    if (l->authed)
        out_ready(l);
    out_wake(l);
}

void out_header(struct link *l, const struct xml_header *h) {
    if (strcmp(h->ns, NS_STREAMS) != 0 || strcmp(h->content_ns, xml_profile_ns(XML_SERVER)) != 0 ||
        strcmp(h->name, "stream") != 0) {
        link_fail(l, "invalid-namespace", NULL);
        return;
    }
    free(l->id);
    l->id = h->id ? xstrdup(h->id) : NULL;
    l->state = LINK_OPEN;
    l->able = false;
    if (!h->version || strtoul(h->version, NULL, 10) < 1)
        negotiate(l); /* from before XMPP: no features follow */
}

static bool offers_external(const struct mk_elem *features) {
    const struct mk_elem *all = mk_elem_child(features, "mechanisms", NS_SASL);
    for (const struct mk_elem *e = mk_elem_first(all); e; e = mk_elem_next(e)) {
        const struct mk_elem *t = e->first;
        if (mk_elem_is(e, "mechanism", NS_SASL) && t && !t->name && t->text_len == 8 &&
            memcmp(t->text, "EXTERNAL", 8) == 0)
            return true;
    }
    return false;
}

/* The number in the content of E; 0 if there is none. */
static uint32_t number_in(const struct mk_elem *e) {
    const struct mk_elem *t = e ? e->first : NULL;
    char text[16] = "";
    if (!t || t->name || t->text_len >= sizeof text)
        return 0;
    memcpy(text, t->text, t->text_len);
    unsigned long n = strtoul(text, NULL, 10);
    return n <= UINT32_MAX ? (uint32_t)n : 0;
}

static void features(struct link *l, const struct mk_elem *f) {
    const struct mk_elem *limits = mk_elem_child(f, "limits", "urn:xmpp:stream-limits:0");
    l->peer_max = number_in(mk_elem_child(limits, "max-bytes", "urn:xmpp:stream-limits:0"));
    l->can_sm = s2s_config()->acks && mk_elem_child(f, "sm", NS_SM);
    l->can_bidi = s2s_config()->bidi && mk_elem_child(f, "bidi", "urn:xmpp:features:bidi");
    l->external = l->authed ||
                  (offers_external(f) && conn_is_secure(&l->conn) && own_cert(l) && l->pair && !l->pair->no_external);
    if (!conn_is_secure(&l->conn) && mk_elem_child(f, "starttls", NS_TLS)) {
        l->starttls = true;
        link_say(l, "<starttls xmlns='" NS_TLS "'/>");
        return;
    }
    negotiate(l);
}

/* ---- elements ------------------------------------------------------------------------------------------------------ */

static void authenticated(struct link *l) {
    l->authed = true;
    l->state = LINK_HEADER;
    l->able = false;
    scan_init(&l->scan);
    link_send_header(l);
}

/* The certificate was not good enough: dialback may be. */
static void sasl_failed(struct link *l, const struct mk_elem *failure) {
    const struct mk_elem *cond = mk_elem_first(failure);
    link_log(l, 6, "refuses our certificate: %s", cond ? mk_elem_name(cond) : "no reason");
    l->external = false;
    l->refused_external = true;
    if (policy_for(l->remote)->dialback)
        out_wake(l);
    else
        link_fail(l, NULL, "it refuses our certificate");
}

void out_element(struct link *l, struct mk_stanza *s) {
    const struct mk_elem *root = mk_root(s);
    bool waits = l->external_tried && l->external && l->state == LINK_OPEN && !l->authed;
    if (mk_stanza_kind(s) != MK_NONZA) { /* nothing was granted to who did not open the stream */
        in_stanza(l, s);
        return;
    }
    if (mk_elem_is(root, "features", NS_STREAMS) && l->state == LINK_OPEN && !l->able)
        features(l, root);
    else if (mk_elem_is(root, "error", NS_STREAMS))
        link_error_came(l, s);
    else if (mk_elem_is(root, "proceed", NS_TLS) && l->starttls)
        start_tls(l, false);
    else if (mk_elem_is(root, "failure", NS_TLS))
        link_fail(l, NULL, "it can't begin TLS");
    else if (mk_elem_is(root, "success", NS_SASL) && waits)
        authenticated(l);
    else if (mk_elem_is(root, "failure", NS_SASL) && waits)
        sasl_failed(l, root);
    else if (mk_elem_is(root, NULL, NS_SM) && l->can_sm)
        ack_element(l, root);
    else if (mk_elem_is(root, NULL, NS_DB) && l->able)
        dialback_out(l, s);
    else
        link_fail(l, "unsupported-stanza-type", NULL);
    mk_release(s);
}
