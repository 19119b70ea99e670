/* SPDX-License-Identifier: Apache-2.0 */
/* Channel bindings of RFC 5929 and RFC 9266. */
#include "net/net.h"
#include <string.h>

const char *cb_name(enum cb_type type) {
    static const char *const names[] = {
        [CB_TLS_EXPORTER] = "tls-exporter",
        [CB_TLS_SERVER_END_POINT] = "tls-server-end-point",
        [CB_TLS_UNIQUE] = "tls-unique",
    };
    return names[type];
}

/*
 * tls-unique and, for TLS 1.2, the exporter identify the channel only with the extended master secret; the exporter
 * binding is not offered for 1.2 at all.  A resumed session was shown no certificate.
 */
bool conn_has_channel_binding(const struct conn *c, enum cb_type type) {
    if (!conn_is_secure(c))
        return false;
    gnutls_session_t s = c->tls->session;
    gnutls_protocol_t version = gnutls_protocol_get_version(s);
    switch (type) {
    case CB_TLS_EXPORTER:
        return version == GNUTLS_TLS1_3;
    case CB_TLS_UNIQUE:
        return version == GNUTLS_TLS1_2 && gnutls_session_ext_master_secret_status(s);
    case CB_TLS_SERVER_END_POINT:
        return c->tls->cert && c->tls->cert->end_point_len && !gnutls_session_is_resumed(s);
    }
    return false;
}

bool conn_channel_binding(const struct conn *c, enum cb_type type, uint8_t out[64], size_t *len) {
    if (!conn_has_channel_binding(c, type))
        return false;
    if (type == CB_TLS_SERVER_END_POINT) {
        *len = c->tls->cert->end_point_len;
        memcpy(out, c->tls->cert->end_point, *len);
        return true;
    }
    gnutls_datum_t data = { NULL, 0 };
    int rc = gnutls_session_channel_binding(
        c->tls->session, type == CB_TLS_EXPORTER ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE, &data);
    bool good = rc == 0 && data.size > 0 && data.size <= 64;
    if (good) {
        *len = data.size;
        memcpy(out, data.data, data.size);
    }
    gnutls_free(data.data);
    return good;
}
