/* SPDX-License-Identifier: Apache-2.0 */
/* Stream headers and features: RFC 6120, 4.3 and 4.7. */
#include "route/session.h"
#include "sasl/sasl.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

static const char stream_ns[] = "http://etherx.jabber.org/streams";

/* Our header.  TO is the client's `from`, or NULL. */
void stream_send_header(struct mk_stream *st, const char *to) {
    struct mk_ctx c;
    turn_begin(&c, NULL, st->host, NULL);
    if (st->transport) {
        const char *from = st->host ? st->host->name : NULL;
        transport_opened(st, &(struct mk_stream_head){ to, from, mk_random_id(&c), "1.0", "en" });
        st->flags |= STREAM_OPENED;
        turn_end(&c);
        return;
    }
    char *text = mk_printf(&c,
                           "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='%s' id='%s' "
                           "version='1.0' xml:lang='en'",
                           stream_ns, mk_random_id(&c));
    stream_write(st, text, strlen(text));
    const struct { const char *name, *value; } attrs[] = { { "from", st->host ? st->host->name : NULL }, { "to", to } };
    for (unsigned i = 0; i < 2; i++) {
        if (!attrs[i].value)
            continue;
        size_t len = strlen(attrs[i].value);
        char *value = mk_alloc(&c, 6 * len + 1);
        *xml_escape(value, attrs[i].value, len) = '\0';
        text = mk_printf(&c, " %s='%s'", attrs[i].name, value);
        stream_write(st, text, strlen(text));
    }
    stream_write(st, ">", 1);
    st->flags |= STREAM_OPENED;
    turn_end(&c);
}

/* ---- features ---------------------------------------------------------------------------------------------------------- */

static void put_limits(struct mk_stream *st, struct mk_out *o) {
    const struct xml_limits *limits = st->account ? &stream_config()->after : &stream_config()->before;
    mk_open(o, "limits", "urn:xmpp:stream-limits:0");
    mk_open(o, "max-bytes", NULL);
    char number[24];
    snprintf(number, sizeof number, "%u", limits->bytes);
    mk_put_text(o, number);
    mk_close(o);
    if (stream_config()->idle_s) {
        snprintf(number, sizeof number, "%lld", (long long)stream_config()->idle_s);
        mk_leaf(o, "idle-seconds", NULL, number);
    }
    mk_close(o);
}

static void put_mechanisms(struct mk_out *o, const struct sasl_offer *offer) {
    for (unsigned i = 0; i < offer->mechanism_count; i++)
        mk_leaf(o, "mechanism", NULL, offer->mechanisms[i]);
}

static void put_sasl(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    struct sasl_env env = { .host = st->host, .conn = stream_channel(st), .secure = stream_is_secure(st) };
    struct sasl_offer offer;
    sasl_offer(&c->arena, &env, &offer);
    if (!offer.mechanism_count)
        return;
    mk_open(o, "mechanisms", NS_SASL);
    put_mechanisms(o, &offer);
    mk_close(o);
    if (sasl2_offered(st)) {
        static const struct mk_elem any;
        env.request = &any;
        sasl_offer(&c->arena, &env, &offer);
        mk_open(o, "authentication", NS_SASL2);
        put_mechanisms(o, &offer);
        welcome_put_offer(c, st, o);
        task_put_offer(st, o);
        mk_close(o);
    }
    if (!offer.binding_count)
        return;
    mk_open(o, "sasl-channel-binding", "urn:xmpp:sasl-cb:0");
    for (unsigned i = 0; i < offer.binding_count; i++) {
        mk_open(o, "channel-binding", NULL);
        mk_put(o, "type", offer.bindings[i]);
        mk_close(o);
    }
    mk_close(o);
}

static void put_rows(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o, unsigned when) {
    const struct host_type *t = st->host->type;
    for (uint32_t i = 0; i < t->feature_count; i++) {
        const struct feature_entry *f = &t->features[i];
        if (!(f->row->when & when))
            continue;
        if (!f->row->fn) {
            mk_leaf(o, f->row->name, f->row->ns, NULL);
            continue;
        }
        c->inst = f->inst;
        f->row->fn(c, st, o);
    }
    c->inst = NULL;
}

static void put_before(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    bool secure = stream_is_secure(st), must = login_needs_tls(st);
    if (!secure && !st->transport && st->host->cert) {
        mk_open(o, "starttls", "urn:ietf:params:xml:ns:xmpp-tls");
        if (must)
            mk_leaf(o, "required", NULL, NULL);
        mk_close(o);
    }
    if (must)
        return;
    put_sasl(c, st, o);
    put_rows(c, st, o, MK_WHEN_CONNECTED);
}

static void put_after(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    if (!st->session) {
        mk_leaf(o, "bind", "urn:ietf:params:xml:ns:xmpp-bind", NULL);
        mk_open(o, "session", "urn:ietf:params:xml:ns:xmpp-session");
        mk_leaf(o, "optional", NULL, NULL);
        mk_close(o);
    }
    put_rows(c, st, o, MK_WHEN_AUTHED);
}

void stream_send_features(struct mk_stream *st) {
    struct mk_ctx c;
    turn_begin(&c, st->account ? &st->account->entity : NULL, st->host, st->host->jid);
    c.stream = st;
    struct mk_out *o = out_fragment(&c, &c.arena);
    if (st->account)
        put_after(&c, st, o);
    else
        put_before(&c, st, o);
    put_limits(st, o);
    struct mk_view bytes = out_bytes(o);
    char *text = mk_printf(&c, "<stream:features>%.*s</stream:features>", (int)bytes.len, bytes.s);
    stream_write(st, text, strlen(text));
    st->state = st->account ? STREAM_AUTHED : STREAM_FEATURES;
    turn_end(&c);
}

/* ---- the client's header ------------------------------------------------------------------------------------------------- */

static bool good_version(const char *version) {
    if (!version)
        return false;
    char *end;
    unsigned long major = strtoul(version, &end, 10);
    return end != version && *end == '.' && major >= 1;
}

/* The condition that refuses this header, or NULL. */
static const char *wrong(struct mk_ctx *c, struct mk_stream *st, const struct xml_header *h) {
    if (strcmp(h->ns, stream_ns) != 0 || strcmp(h->content_ns, xml_profile_ns(XML_CLIENT)) != 0)
        return "invalid-namespace";
    if (strcmp(h->name, "stream") != 0)
        return "bad-format";
    if (!h->to)
        return st->host ? NULL : "host-unknown";
    const struct mk_jid *to;
    if (mk_jid_parse(c, (struct mk_view){ h->to, strlen(h->to) }, &to) != 0 || to->local_len || to->resource_len)
        return "host-unknown";
    const struct host *host = host_find(to->text, to->text_len);
    if (!host || (st->account && host != st->host) ||
        (st->transport && !type_instance(host->type, st->transport->via->plugin)))
        return "host-unknown";
    st->host = host;
    return NULL;
}

/* A client may say who it is, if that is at this host (XEP-0388, 2.1); later it must be who it was. */
static bool wrong_from(struct mk_ctx *c, struct mk_stream *st, const struct xml_header *h) {
    const struct mk_jid *from = NULL;
    if (!h->from)
        return false;
    int rc = mk_jid_parse(c, (struct mk_view){ h->from, strlen(h->from) }, &from);
    if (st->account)
        return rc != 0 || !mk_jid_same_bare(from, st->account->entity.jid);
    mk_jid_free(st->login->from);
    st->login->from = rc == 0 && from->local_len ? mk_jid_keep(from) : NULL;
    return rc == 0 && host_find(jid_domain(from), from->domain_len) != st->host;
}

static void keep(char **where, const char *text) {
    free(*where);
    *where = text && *text ? xstrdup(text) : NULL;
}

static void accept_header(struct mk_ctx *c, struct mk_stream *st, const struct xml_header *h) {
    const char *cond = wrong(c, st, h);
    if (!cond && st->login)
        st->login->entity.host = st->host;
    stream_send_header(st, h->from && !cond ? h->from : NULL);
    if (cond) {
        stream_error(st, cond, NULL);
        return;
    }
    if (!good_version(h->version)) {
        stream_error(st, "unsupported-version", NULL);
        return;
    }
    if (wrong_from(c, st, h)) {
        stream_error(st, "invalid-from", NULL);
        return;
    }
    keep(&st->lang, h->lang);
    keep(&st->prefixes, h->prefixes);
    stream_send_features(st);
}

void stream_header(struct mk_stream *st, const char *data, size_t len) {
    struct xml_header h;
    struct mk_ctx c;
    turn_begin(&c, NULL, st->host, NULL);
    switch (parse_header(&c.arena, data, len, &h)) {
    case HEADER_OK:
        accept_header(&c, st, &h);
        break;
    case HEADER_ENCODING:
        stream_error(st, "unsupported-encoding", NULL);
        break;
    default:
        stream_error(st, "not-well-formed", NULL);
    }
    turn_end(&c);
}

void stream_head(struct mk_stream *st, const struct mk_stream_head *head) {
    struct xml_header h = { "stream",      stream_ns,  xml_profile_ns(XML_CLIENT),
                            head->to,      head->from, head->id,
                            head->version, head->lang, "" };
    struct mk_ctx c;
    turn_begin(&c, NULL, st->host, NULL);
    accept_header(&c, st, &h);
    turn_end(&c);
}
