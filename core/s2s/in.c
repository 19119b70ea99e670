/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that other servers opened: headers, features, TLS, SASL EXTERNAL (XEP-0178), and their stanzas. */
#include "route/router.h"
#include "run/metric.h"
#include "s2s/link.h"
#include "stream/stream.h"
#include "util/jid.h"
#include "util/mem.h"
#include "util/text.h"
#include "xml/stanza.h"
#include <stdlib.h>
#include <string.h>

enum { FAILURES_MAX = 5 };

static const struct tls_cert *own_cert(const struct link *l) {
    const struct host *host = l->local ? local_host(l->local) : NULL;
    return host ? host->cert : NULL;
}

static bool is_secure(const struct link *l) {
    return conn_is_secure(&l->conn);
}

/* ---- features ------------------------------------------------------------------------------------------------------ */

static void put_before(const struct link *l, struct buf *b) {
    const struct s2s_policy *policy = policy_for(l->remote ? l->remote : "");
    if (!is_secure(l) && own_cert(l))
        buf_printf(b, "<starttls xmlns='" NS_TLS "'>%s</starttls>", policy->tls ? "<required/>" : "");
    if (!is_secure(l) && policy->tls)
        return;
    if (l->remote && policy_proves(policy, l->cert, l->remote))
        buf_puts(b, "<mechanisms xmlns='" NS_SASL "'><mechanism>EXTERNAL</mechanism></mechanisms>");
    if (s2s_config()->bidi)
        buf_puts(b, "<bidi xmlns='urn:xmpp:features:bidi'/>");
    if (policy->dialback || policy->pin_count)
        buf_puts(b, "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
}

static void put_limits(const struct link *l, struct buf *b) {
    const struct xml_limits *limits = l->grants ? &stream_config()->after : &stream_config()->before;
    buf_printf(b, "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%u</max-bytes></limits>", limits->bytes);
}

/* Our header and features. */
static void greet(struct link *l) {
    struct buf b = { 0 };
    const struct s2s_policy *policy = policy_for(l->remote ? l->remote : "");
    link_send_header(l);
    if (l->remote && is_secure(l) && policy_wants_cert(policy) && !policy_proves(policy, l->cert, l->remote)) {
        buf_printf(&b, "A certificate that proves your domain is required: %s.",
                   l->cert->trusted ? "yours is for other names" : l->cert->why);
        METRIC(this_worker, s2s_login_failures, 1);
        link_fail(l, "policy-violation", b.data);
        buf_free(&b);
        return;
    }
    buf_puts(&b, "<stream:features>");
    if (!l->grants)
        put_before(l, &b);
    else if (s2s_config()->acks)
        buf_puts(&b, "<sm xmlns='" NS_SM "'/>");
    put_limits(l, &b);
    buf_puts(&b, "</stream:features>");
    link_write(l, b.data, b.len);
    buf_free(&b);
    l->state = LINK_OPEN;
    if (l->grants && l->bidi && !l->pair) /* by certificate: this header ends it */
        pair_offer(l->local, l->remote, l);
}

/* ---- headers ------------------------------------------------------------------------------------------------------- */

/* The stream error that refuses it, or NULL.  LOCAL and REMOTE are what it names. */
static const char *wrong(const struct link *l, const struct xml_header *h, const char *local, const char *remote) {
    if (strcmp(h->ns, NS_STREAMS) != 0 || strcmp(h->content_ns, xml_profile_ns(XML_SERVER)) != 0)
        return "invalid-namespace";
    if (strcmp(h->name, "stream") != 0)
        return "bad-format";
    if (h->to && (!local || !local_host(local)))
        return "host-unknown";
    if (!h->to && !l->local)
        return "host-unknown";
    if (!h->version || strtoul(h->version, NULL, 10) < 1)
        return "unsupported-version";
    if (!h->from)
        return NULL;
    if (!remote || local_host(remote))
        return "invalid-from";
    if (l->remote && strcmp(l->remote, remote) != 0)
        return "invalid-from";
    return policy_for(remote)->deny ? "policy-violation" : NULL;
}

static void adopt(char **where, char *text) {
    if (!text)
        return;
    free(*where);
    *where = text;
}

void in_header(struct link *l, const struct xml_header *h) {
    char *local = h->to ? domain_read(h->to) : NULL, *remote = h->from ? domain_read(h->from) : NULL;
    const char *cond = wrong(l, h, local, remote);
    uint8_t random[12];
    mk_random(random, sizeof random);
    free(l->id);
    l->id = xmalloc(2 * sizeof random + 1);
    hex_encode(l->id, random, sizeof random);
    if (cond && strcmp(cond, "host-unknown") == 0) { /* which we do not answer for */
        free(local);
        local = NULL;
    }
    adopt(&l->local, local);
    if (cond) {
        free(remote);
        link_fail(l, cond, NULL);
        return;
    }
    bool first = !l->remote && remote;
    adopt(&l->remote, remote);
    if (first && !l->moved && domain_home(l->remote) != this_worker)
        link_go_home(l);
    else if (first)
        in_at_home(l);
    else
        greet(l);
}

void in_at_home(struct link *l) {
    if (links_from(l->remote) > s2s_config()->streams)
        link_fail(l, "resource-constraint", "There are too many streams from your domain.");
    else
        greet(l);
}

/* ---- TLS and SASL -------------------------------------------------------------------------------------------------- */

static void starttls(struct link *l) {
    if (is_secure(l) || !own_cert(l)) {
        link_say(l, "<failure xmlns='" NS_TLS "'/>");
        link_fail(l, NULL, "it asked for TLS that was not offered");
        return;
    }
    link_say(l, "<proceed xmlns='" NS_TLS "'/>");
    conn_start_tls_as(&l->conn, &(struct tls_start){ .role = TLS_SERVE_PEER });
}

static void sasl_failure(struct link *l, const char *cond) {
    link_printf(l, "<failure xmlns='" NS_SASL "'><%s/></failure>", cond);
    METRIC(this_worker, s2s_login_failures, 1);
    link_log(l, 6, "could not authenticate: %s", cond);
    if (++l->failures >= FAILURES_MAX)
        link_fail(l, "policy-violation", "Too many failed attempts to authenticate.");
}

/* The domain that it wants to be, malloc'd: what the header says unless it says another.  NULL: it is none. */
static char *wanted(const struct link *l, const struct mk_elem *auth) {
    struct arena arena;
    arena_init(&arena);
    const struct mk_elem *t = auth->first;
    char *domain = NULL;
    if (!t || t->name || (t->text_len == 1 && t->text[0] == '=')) {
        domain = l->remote ? xstrdup(l->remote) : NULL;
    } else {
        char *text = arena_alloc(&arena, t->text_len + 1u);
        ssize_t len = base64_decode(text, arena_memdup(&arena, t->text, t->text_len), t->text_len);
        if (len > 0 && !memchr(text, '\0', (size_t)len)) {
            text[len] = '\0';
            domain = domain_read(text);
        }
    }
    arena_free(&arena);
    return domain;
}

static void sasl_auth(struct link *l, const struct mk_elem *auth) {
    const char *mechanism = mk_attr(auth, "mechanism");
    if (!is_secure(l)) {
        sasl_failure(l, "encryption-required");
        return;
    }
    if (!mechanism || strcmp(mechanism, "EXTERNAL") != 0) {
        sasl_failure(l, "invalid-mechanism");
        return;
    }
    char *domain = wanted(l, auth);
    const struct s2s_policy *policy = policy_for(domain ? domain : "");
    bool good = domain && !local_host(domain) && !policy->deny && policy_proves(policy, l->cert, domain) &&
                (!l->remote || strcmp(l->remote, domain) == 0);
    if (!domain)
        sasl_failure(l, "invalid-authzid");
    else if (!good)
        sasl_failure(l, "not-authorized");
    if (good) {
        link_grant(l, NULL, domain, "certificate");
        link_say(l, "<success xmlns='" NS_SASL "'/>");
        l->state = LINK_HEADER;
        l->opened = false;
        scan_init(&l->scan);
        if (!l->remote)
            adopt(&l->remote, xstrdup(domain));
    }
    free(domain);
}

/* ---- elements ------------------------------------------------------------------------------------------------------ */

/* Whether it may send for REMOTE to any of our domains. */
static bool is_known(const struct link *l, const char *remote) {
    for (const struct grant *g = l->grants; g; g = g->next)
        if (strcmp(g->remote, remote) == 0)
            return true;
    return false;
}

static void route_stanza(struct link *l, struct mk_stanza *s, const struct host *host) {
    struct mk_ctx c;
    if (l->finishing && l->inbox) /* it would be acknowledged no more, and come again */
        return;
    METRIC(this_worker, s2s_stanzas_in, 1);
    stanza_stamp(s, NULL, NULL);
    turn_begin(&c, NULL, host, host->jid);
    c.handling = s;
    struct mk_receipt *receipt = ack_receive(l, s);
    route_from_server(&c, s);
    turn_end(&c);
    mk_receipt_pay(receipt);
}

void in_stanza(struct link *l, struct mk_stanza *s) {
    struct arena arena;
    arena_init(&arena);
    const char *local = NULL, *remote = NULL;
    const struct host *host = NULL;
    if (s->from && s->to) {
        local = arena_memdup(&arena, jid_domain(s->to), s->to->domain_len);
        remote = arena_memdup(&arena, jid_domain(s->from), s->from->domain_len);
        host = local_host(local);
    }
    if (!l->grants)
        link_fail(l, "not-authorized", NULL);
    else if (!local)
        link_fail(l, "improper-addressing", NULL);
    else if (!is_known(l, remote))
        link_fail(l, "invalid-from", NULL);
    else if (!host)
        link_fail(l, "host-unknown", NULL);
    else if (!link_granted(l, local, remote))
        link_fail(l, "invalid-from", "You have not proved your domain to this one.");
    else
        route_stanza(l, s, host);
    arena_free(&arena);
    mk_release(s);
}

void in_element(struct link *l, struct mk_stanza *s) {
    if (mk_stanza_kind(s) != MK_NONZA) {
        in_stanza(l, s);
        return;
    }
    const struct mk_elem *root = mk_root(s);
    if (mk_elem_is(root, "starttls", NS_TLS))
        starttls(l);
    else if (mk_elem_is(root, "auth", NS_SASL) && !l->grants)
        sasl_auth(l, root);
    else if (mk_elem_is(root, NULL, NS_SASL) && !l->grants)
        sasl_failure(l, mk_elem_is(root, "abort", NULL) ? "aborted" : "malformed-request");
    else if (mk_elem_is(root, NULL, NS_DB))
        dialback_in(l, s);
    else if (mk_elem_is(root, NULL, NS_SM) && s2s_config()->acks)
        ack_element(l, root);
    else if (mk_elem_is(root, "bidi", NS_BIDI) && !l->grants)
        l->bidi = s2s_config()->bidi && (is_secure(l) || !policy_for(l->remote ? l->remote : "")->tls);
    else if (mk_elem_is(root, "error", NS_STREAMS))
        link_error_came(l, s);
    else
        link_fail(l, l->grants ? "unsupported-stanza-type" : "not-authorized", NULL);
    mk_release(s);
}
