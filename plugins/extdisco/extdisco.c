/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0215: tells clients of services beside XMPP, STUN and TURN first of all, and gives them credentials. */
#include "service.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <meerkat/plugin.h>
#include <string.h>

#define NS2 "urn:xmpp:extdisco:2"
#define NS1 "urn:xmpp:extdisco:1"

struct extdisco {
    struct mk_texts services;
    const char *secret;
    int64_t ttl;
    struct service *list; /* of .services; OWNED */
};

enum { M_CREDENTIALS };

/* ---- credentials ------------------------------------------------------------------------------------------------------- */

static bool is_turn(const struct service *s) {
    return strcmp(s->type, "turn") == 0 || strcmp(s->type, "turns") == 0;
}

/* Whether a client has to log in there, as far as we know. */
static bool is_restricted(const struct extdisco *me, const struct service *s) {
    return s->username || (me->secret && is_turn(s));
}

/* What TURN servers with a shared secret take: the user's name begins with the time at which it ends. */
static void put_timed(struct mk_ctx *c, struct mk_out *o, const struct mk_jid *who) {
    const struct extdisco *me = mk_inst(c);
    int64_t expires = (mk_now(c) / 1000 + me->ttl) / 1000;
    const char *user = mk_printf(c, "%lld:%s", (long long)expires, mk_text_of(c, mk_jid_local(who)));
    unsigned char mac[20];
    gnutls_datum_t base64;
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA1, me->secret, strlen(me->secret), user, strlen(user), mac) < 0)
        return;
    const gnutls_datum_t bytes = { mac, sizeof mac };
    if (gnutls_base64_encode2(&bytes, &base64) < 0)
        return;
    mk_put(o, "username", user);
    mk_put(o, "password", mk_text_of(c, (struct mk_view){ (const char *)base64.data, base64.size }));
    mk_put(o, "expires", mk_time_text(c, expires * 1000000));
    gnutls_free(base64.data);
    mk_count(c, M_CREDENTIALS, 1);
}

/* ---- answers --------------------------------------------------------------------------------------------------------------- */

/* Credentials are for the host's own accounts. */
static bool is_ours(struct mk_ctx *c, const struct mk_jid *who) {
    struct mk_view a = mk_jid_domain(who), b = mk_jid_domain(mk_host(c));
    return mk_jid_local(who).len && a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static void put_service(struct mk_ctx *c, struct mk_out *o, const struct service *s, const struct mk_jid *who) {
    const struct extdisco *me = mk_inst(c);
    mk_open(o, "service", NULL);
    mk_put(o, "type", s->type);
    mk_put(o, "host", s->host);
    mk_put(o, "port", s->port);
    mk_put(o, "transport", s->transport);
    mk_put(o, "name", s->name);
    if (is_restricted(me, s)) {
        mk_put(o, "restricted", "true");
        if (is_ours(c, who) && s->username) {
            mk_put(o, "username", s->username);
            mk_put(o, "password", s->password);
        } else if (is_ours(c, who)) {
            put_timed(c, o, who);
        }
    }
    mk_close(o);
}

static int on_services(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct extdisco *me = mk_inst(c);
    const struct mk_elem *query = mk_child(iq, "services", NULL);
    const char *type = mk_attr(query, "type");
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "services", mk_elem_ns(query));
    mk_put(o, "type", type);
    for (uint32_t i = 0; i < me->services.count; i++)
        if (!type || strcmp(type, me->list[i].type) == 0)
            put_service(c, o, &me->list[i], mk_stanza_from(iq));
    mk_close(o);
    return mk_send(o);
}

/* WANTED names host and type, and a port if it is to be that one. */
static bool matches(const struct mk_elem *wanted, const struct service *s) {
    const char *port = mk_attr(wanted, "port");
    return strcmp(mk_attr(wanted, "host"), s->host) == 0 && strcmp(mk_attr(wanted, "type"), s->type) == 0 &&
           (!port || (s->port && strcmp(port, s->port) == 0));
}

static int on_credentials(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct extdisco *me = mk_inst(c);
    const struct mk_elem *query = mk_child(iq, "credentials", NULL);
    const struct mk_elem *wanted = mk_elem_child(query, "service", mk_elem_ns(query));
    bool found = false;
    if (!wanted || !mk_attr(wanted, "host") || !mk_attr(wanted, "type"))
        return MK_E_INVALID;
    if (!is_ours(c, mk_stanza_from(iq)))
        return MK_E_DENIED;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "credentials", mk_elem_ns(query));
    for (uint32_t i = 0; i < me->services.count; i++) {
        if (!is_restricted(me, &me->list[i]) || !matches(wanted, &me->list[i]))
            continue;
        put_service(c, o, &me->list[i], mk_stanza_from(iq));
        found = true;
    }
    mk_close(o);
    return found ? mk_send(o) : MK_E_NOTFOUND;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------------- */

static void stop(void *inst) {
    struct extdisco *me = inst;
    for (uint32_t i = 0; me->list && i < me->services.count; i++)
        mk_free(me->list[i].text);
    mk_free(me->list);
    me->list = NULL;
}

static int start(void *inst, struct mk_err *err) {
    struct extdisco *me = inst;
    me->list = mk_malloc((me->services.count + 1) * sizeof *me->list);
    for (uint32_t i = 0; i < me->services.count; i++) {
        int rc = service_parse(me->services.items[i], &me->list[i], err);
        if (rc == MK_OK)
            continue;
        stop(me);
        return rc;
    }
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXTS(struct extdisco, services, NULL, 0,
                 "The services: \"turn:turn.example.org:3478?transport=udp\", and after it, if wanted, username=U "
                 "password=P and, last, name=N."),
    MK_OPT_TEXT(struct extdisco, secret, NULL, MK_OPT_SECRET | MK_OPT_LIVE,
                "What the server shares with the services turn and turns that have no user name of their own: "
                "each client gets credentials that end (coturn: static-auth-secret)."),
    MK_OPT_DURATION(struct extdisco, ttl, "12h", 60000, 7 * 86400000, MK_OPT_LIVE,
                    "How long such credentials are good."),
};
static const struct mk_iq_decl iqs[] = {
    { "services", NS2, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_services },
    { "services", NS1, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_services },
    { "credentials", NS2, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_credentials },
    { "credentials", NS1, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_credentials },
};
static const struct mk_disco_decl disco[] = {
    { NS1, MK_TO_SERVER, 0 },
    { NS2, MK_TO_SERVER, 0 },
};
static const struct mk_metric_decl metrics[] = {
    [M_CREDENTIALS] = { "credentials", MK_COUNTER, 0, "credentials", "Credentials made with the secret." },
};
static const struct mk_xep_decl xeps[] = {
    { "0215", "1.0.0", "complete", "Without pushes: services change with the configuration." },
};

MK_PLUGIN(extdisco, .version = "1.0", .summary = "STUN, TURN and other external services (XEP-0215)",
          .inst_size = sizeof(struct extdisco), .options = MK_TABLE(options), .iqs = MK_TABLE(iqs),
          .disco = MK_TABLE(disco), .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps), .start = start, .stop = stop);
