/* SPDX-License-Identifier: Apache-2.0 */
/* The documents: XRD (RFC 6415) in XML, and JRD, the same in JSON, with what XEP-0487 adds. */
#include "host_meta.h"
#include <string.h>

#define NS_XRD "http://docs.oasis-open.org/ns/xri/xrd-1.0"

static const struct mk_alternative_ops *ops_of(const struct host_meta *me, uint32_t i) {
    return me->alternatives.items[i]->ops;
}

/* A relation that the operator gives links for is not made up. */
static bool is_given(const struct host_meta *me, const char *rel) {
    for (uint32_t i = 0; i < me->links.count; i++)
        if (strcmp(me->list[i].rel, rel) == 0)
            return true;
    return false;
}

/* Where an enabled plugin is, as seen by who asks: on the listener that the request came to. */
static const char *made_href(struct mk_ctx *c, const struct host_meta *me, const struct mk_http_request *r,
                             uint32_t i) {
    const struct mk_alternative_ops *o = ops_of(me, i);
    const char *path = mk_alternative_path(c, (const struct mk_alternative *)me->alternatives.items[i], 0);
    if (!path || !*r->authority || is_given(me, o->rel))
        return NULL;
    return mk_printf(c, "%s://%s%s", r->secure ? o->secure_scheme : o->scheme, r->authority, path);
}

/* ---- XML --------------------------------------------------------------------------------------------------------------- */

static void put_link(struct mk_out *o, const char *rel, const char *href) {
    mk_open(o, "Link", NULL);
    mk_put(o, "rel", rel);
    mk_put(o, "href", href);
    mk_close(o);
}

const char *document_xrd(struct mk_ctx *c, const struct mk_http_request *r) {
    const struct host_meta *me = mk_inst(c);
    struct mk_out *o = mk_nonza(c, "XRD", NS_XRD);
    const struct mk_stanza *s;
    for (uint32_t i = 0; i < me->links.count; i++)
        if (me->list[i].href)
            put_link(o, me->list[i].rel, me->list[i].href);
    for (uint32_t i = 0; i < me->alternatives.count; i++) {
        const char *href = made_href(c, me, r, i);
        if (href)
            put_link(o, ops_of(me, i)->rel, href);
    }
    if (mk_seal(o, &s) != MK_OK)
        return NULL;
    return mk_printf(c, "<?xml version='1.0' encoding='utf-8'?>\n%s\n", mk_text_of(c, mk_stanza_xml(c, s)));
}

/* ---- JSON -------------------------------------------------------------------------------------------------------------- */

static const char *quoted(struct mk_ctx *c, const char *text) {
    char *out = mk_alloc(c, 6 * strlen(text) + 3), *at = out;
    *at++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *at++ = '\\';
        if ((unsigned char)*text < ' ')
            at = stpcpy(at, mk_printf(c, "\\u%04x", (unsigned)*text));
        else
            *at++ = *text;
    }
    *at = '"';
    return out;
}

static const char *list(struct mk_ctx *c, const struct mk_texts *texts) {
    const char *all = "";
    for (uint32_t i = 0; i < texts->count; i++)
        all = mk_printf(c, "%s%s%s", all, i ? ", " : "", quoted(c, texts->items[i]));
    return all;
}

/* XEP-0487 is in use where the operator gave the addresses that it must have. */
static const char *connection(struct mk_ctx *c, const struct host_meta *me, const struct link *l) {
    const char *sni = l && l->sni ? l->sni : mk_jid_text(mk_host(c));
    const char *ech = l && l->ech ? mk_printf(c, ", \"ech\": %s", quoted(c, l->ech)) : "";
    if (!me->ips.count)
        return "";
    return mk_printf(c, ", \"priority\": %s, \"weight\": %s, \"sni\": %s%s, \"ips\": [%s]",
                     l && l->priority ? l->priority : "10", l && l->weight ? l->weight : "50", quoted(c, sni), ech,
                     list(c, &me->ips));
}

static const char *link_text(struct mk_ctx *c, const struct host_meta *me, const char *before, const char *rel,
                             const char *href, const struct link *l) {
    const char *where = href ? mk_printf(c, "\"href\": %s", quoted(c, href)) : mk_printf(c, "\"port\": %s", l->port);
    return mk_printf(c, "%s%s\n    {\"rel\": %s, %s%s}", before, *before ? "," : "", quoted(c, rel), where,
                     connection(c, me, l));
}

const char *document_jrd(struct mk_ctx *c, const struct mk_http_request *r) {
    const struct host_meta *me = mk_inst(c);
    const char *all = "", *head = "";
    for (uint32_t i = 0; i < me->links.count; i++)
        if (me->list[i].href || me->ips.count)
            all = link_text(c, me, all, me->list[i].rel, me->list[i].href, &me->list[i]);
    for (uint32_t i = 0; i < me->alternatives.count; i++) {
        const char *href = made_href(c, me, r, i);
        if (href)
            all = link_text(c, me, all, ops_of(me, i)->rel, href, NULL);
    }
    if (me->ips.count) {
        const char *pins =
            me->pins.count ? mk_printf(c, ", \"public-key-pins-sha-256\": [%s]", list(c, &me->pins)) : "";
        head = mk_printf(c, "\n  \"xmpp\": {\"ttl\": %lld%s},", (long long)me->ttl / 1000, pins);
    }
    return mk_printf(c, "{%s\n  \"links\": [%s\n  ]\n}\n", head, all);
}
