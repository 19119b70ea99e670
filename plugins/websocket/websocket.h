/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the websocket plugin. */
#ifndef WEBSOCKET_WEBSOCKET_H
#define WEBSOCKET_WEBSOCKET_H

#include <meerkat/http.h>
#include <meerkat/plugin.h>
#include <meerkat/transport.h>
#include <meerkat/work.h>

struct websocket {
    const char *path, *see_other_uri;
    struct mk_texts origins;
    int64_t ping_interval, ping_timeout, max_message;
    const struct mk_http *http;
};

enum { M_OPEN, M_OPENED, M_REFUSED, M_BROKEN, M_SILENT };

/* wire.c: a connection that speaks WebSocket.  ADDRESS and SECURE as in struct mk_transport_peer. */
void wire_open(struct mk_ctx *c, struct mk_conn *conn, const char *address, bool secure);

/* handshake.c: RFC 6455, section 4.2 */
enum mk_flow handshake_on_request(struct mk_ctx *c, struct mk_ev_http *ev);

#endif
