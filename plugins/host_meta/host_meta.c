/* SPDX-License-Identifier: Apache-2.0 */
/* Tells clients where WebSocket, BOSH and other ways to the host are (XEP-0156, XEP-0487). */
#include "host_meta.h"
#include <string.h>

enum { M_REQUESTS };

static enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_http *ev) {
    const struct host_meta *me = mk_inst(c);
    struct mk_http_request *r = ev->request;
    bool xml = strcmp(r->path, "/.well-known/host-meta") == 0,
         json = strcmp(r->path, "/.well-known/host-meta.json") == 0;
    bool reads = mk_http_is(r, "GET") || mk_http_is(r, "HEAD"), asks = mk_http_is(r, "OPTIONS");
    if (!xml && !json)
        return MK_NEXT;
    const char *accept = mk_http_field(r, "accept");
    json |= xml && accept && strstr(accept, "application/json") && !strstr(accept, "xml"); /* RFC 6415, 3.1 */
    const char *text = !reads ? "" : json ? document_jrd(c, r) : document_xrd(c, r);
    struct mk_http_answer a = { .size = sizeof a,
                                .status = !reads && !asks ? 405
                                          : text          ? 200
                                                          : 500,
                                .type = json ? "application/json" : "application/xrd+xml",
                                .cors = true,
                                .methods = "GET, HEAD, OPTIONS",
                                .body = { text, text ? strlen(text) : 0 } };
    mk_count(c, M_REQUESTS, 1);
    (void)mk_http_answer(c, me->http, r, &a);
    return MK_STOP;
}

static int start(void *inst, struct mk_err *err) {
    return links_parse(inst, err);
}

static void stop(void *inst) {
    struct host_meta *me = inst;
    mk_free(me->list);
    mk_free(me->texts);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXTS(
        struct host_meta, links, NULL, 0,
        "What is told: a relation, and href or port; behind it sni, ech, priority and weight may stand. \"websocket "
        "href=wss://example.org/xmpp-websocket\", \"tls port=443 priority=5\". Without links of their relation, the "
        "plugins websocket and bosh are told as they are, on the listener that was asked."),
    MK_OPT_TEXTS(struct host_meta, ips, NULL, MK_OPT_LIVE,
                 "Addresses of the host. With them the document is that of XEP-0487, and clients need no DNS."),
    MK_OPT_TEXTS(struct host_meta, pins, NULL, MK_OPT_LIVE,
                 "Hashes of public keys to trust, SHA-256 in base64 (XEP-0487, RFC 7469)."),
    MK_OPT_DURATION(struct host_meta, ttl, "1h", 0, 31536000000, MK_OPT_LIVE,
                    "How long a client may keep the document (XEP-0487)."),
};

static const struct mk_need_decl needs[] = {
    MK_NEED(struct host_meta, http, mk_http, 1, 0, MK_NEED_HARD, NULL),
    { "mk_alternative", 1, 0, offsetof(struct host_meta, alternatives), MK_NEED_MANY, NULL },
};

static const struct mk_hook_decl hooks[] = { MK_ON(http_request, MK_ORDER_HOST_META, MK_INLINE, on_request) };

static const struct mk_metric_decl metrics[] = {
    [M_REQUESTS] = { "requests", MK_COUNTER, 0, "", "Requests for the documents." },
};

static const struct mk_xep_decl xeps[] = {
    { "0156", "1.4.0", "complete", "by HTTP; the way by DNS was dropped" },
    { "0487", "0.1.0", "complete", "" },
};

MK_PLUGIN(host_meta, .version = "1.0", .summary = "Tells where WebSocket and BOSH are (XEP-0156)",
          .inst_size = sizeof(struct host_meta), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .hooks = MK_TABLE(hooks), .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps), .start = start, .stop = stop);
