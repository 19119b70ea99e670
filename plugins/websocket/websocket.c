/* SPDX-License-Identifier: Apache-2.0 */
/* Clients over WebSocket (RFC 7395). */
#include "websocket.h"
#include <meerkat/alternative.h>
#include <string.h>

static int start(void *inst, struct mk_err *err) {
    const struct websocket *me = inst;
    return *me->path == '/' ? MK_OK : mk_fail(err, MK_E_INVALID, "path: %s does not begin with /", me->path);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct websocket, path, "/xmpp-websocket", 0, "Where clients connect, on every listener of kind http."),
    MK_OPT_TEXTS(
        struct websocket, origins, "*", MK_OPT_LIVE,
        "Origins of web pages that may connect, \"https://chat.example.org\" say. * is all of them. Clients that "
        "are no pages name none, and are not asked."),
    MK_OPT_TEXT(struct websocket, see_other_uri, NULL, MK_OPT_LIVE,
                "A WebSocket elsewhere that clients are sent to; none may then log in here."),
    MK_OPT_DURATION(struct websocket, ping_interval, "60s", 0, 86400000, MK_OPT_LIVE,
                    "How long a client may be silent before it is sent a ping. 0 sends none."),
    MK_OPT_DURATION(struct websocket, ping_timeout, "30s", 1000, 3600000, MK_OPT_LIVE,
                    "How long a client may take to answer one; then its connection counts as lost."),
    MK_OPT_SIZE(struct websocket, max_message, "300K", 10000, 1 << 28, MK_OPT_LIVE,
                "Bytes of one message, in however many frames. limits.stanza decides about stanzas; this is about what "
                "is read at all, and should be a little more."),
};

static const struct mk_need_decl needs[] = { MK_NEED(struct websocket, http, mk_http, 1, 0, MK_NEED_HARD, NULL) };

static const char *path(struct mk_ctx *c, uint32_t flags) {
    (void)flags;
    return ((const struct websocket *)mk_inst(c))->path;
}

static const struct mk_alternative_ops alternative = {
    sizeof alternative, 0, "urn:xmpp:alt-connections:websocket", "ws", "wss", path
};
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_alternative, 1, 0, &alternative,
                                                              "Where the WebSocket is.") };

static const struct mk_hook_decl hooks[] = { MK_ON(http_request, MK_ORDER_WEBSOCKET, MK_INLINE, handshake_on_request) };

static const struct mk_metric_decl metrics[] = {
    [M_OPEN] = { "open", MK_GAUGE, 0, "", "Open WebSockets." },
    [M_OPENED] = { "opened", MK_COUNTER, 0, "", "WebSockets that clients opened." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "", "Requests for the path that were no good handshake." },
    [M_BROKEN] = { "broken", MK_COUNTER, 0, "", "WebSockets closed for a frame that was wrong." },
    [M_SILENT] = { "silent", MK_COUNTER, 0, "", "WebSockets closed because a ping was not answered." },
};

MK_PLUGIN(websocket, .version = "1.0", .summary = "Clients over WebSocket (RFC 7395)",
          .inst_size = sizeof(struct websocket), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .hooks = MK_TABLE(hooks), .metrics = MK_TABLE(metrics), .start = start);
