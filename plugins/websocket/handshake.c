/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

enum { ACCEPT_LEN = 28, KEY_LEN = 24 };

/* Whether a list separated by commas has NAME. */
static bool lists(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *at = list; at && *at;) {
        at += strspn(at, ", \t");
        size_t one = strcspn(at, ",");
        size_t end = one;
        while (end && (at[end - 1] == ' ' || at[end - 1] == '\t'))
            end--;
        if (end == len && strncasecmp(at, name, len) == 0)
            return true;
        at += one;
    }
    return false;
}

/* Of pages in browsers, which say where they come from; others do not. */
static bool is_welcome(const struct websocket *me, const char *origin) {
    for (uint32_t i = 0; i < me->origins.count; i++)
        if (strcmp(me->origins.items[i], "*") == 0 || strcasecmp(me->origins.items[i], origin) == 0)
            return true;
    return false;
}

static bool is_key(const char *key) {
    return key && strlen(key) == KEY_LEN &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == 22 &&
           strcmp(key + 22, "==") == 0;
}

static void accept_key(struct mk_ctx *c, const char *key, char out[ACCEPT_LEN + 1]) {
    const char *text = mk_printf(c, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    unsigned char digest[20];
    gnutls_datum_t bytes = { digest, sizeof digest }, base64 = { NULL, 0 };
    gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest);
    gnutls_base64_encode2(&bytes, &base64);
    memcpy(out, base64.data, ACCEPT_LEN);
    out[ACCEPT_LEN] = '\0';
    gnutls_free(base64.data);
}

static void refuse(struct mk_ctx *c, struct mk_http_request *r, uint32_t status, const char *text) {
    const struct websocket *me = mk_inst(c);
    static const struct mk_http_field version = { "Sec-WebSocket-Version", "13" };
    const struct mk_http_answer a = { .size = sizeof a,
                                      .status = status,
                                      .type = "text/plain",
                                      .fields = &version,
                                      .field_count = status == 426,
                                      .methods = "GET",
                                      .body = { text, strlen(text) } };
    mk_count(c, M_REFUSED, 1);
    (void)mk_http_answer(c, me->http, r, &a);
}

/* NULL: all is well. */
static const char *wrong(const struct websocket *me, const struct mk_http_request *r, uint32_t *status) {
    const char *version = mk_http_field(r, "sec-websocket-version");
    *status = 405;
    if (!mk_http_is(r, "GET"))
        return "A WebSocket begins with GET.\n";
    *status = 426;
    if (!r->upgrade || !lists(mk_http_field(r, "upgrade"), "websocket"))
        return "This is a WebSocket for XMPP (RFC 7395).\n";
    if (!version || strcmp(version, "13") != 0)
        return "The version of WebSocket here is 13.\n";
    *status = 400;
    if (!is_key(mk_http_field(r, "sec-websocket-key")))
        return "Sec-WebSocket-Key is not 16 bytes in base64.\n";
    if (!lists(mk_http_field(r, "sec-websocket-protocol"), "xmpp"))
        return "The subprotocol here is xmpp.\n";
    *status = 403;
    return r->origin && !is_welcome(me, r->origin) ? "Pages of this origin are not welcome.\n" : NULL;
}

enum mk_flow handshake_on_request(struct mk_ctx *c, struct mk_ev_http *ev) {
    const struct websocket *me = mk_inst(c);
    struct mk_http_request *r = ev->request;
    char accept[ACCEPT_LEN + 1];
    uint32_t status;
    if (!mk_http_path(r, me->path) || *r->rest)
        return MK_NEXT;
    const char *text = wrong(me, r, &status);
    if (text) {
        refuse(c, r, status, text);
        return MK_STOP;
    }
    accept_key(c, mk_http_field(r, "sec-websocket-key"), accept);
    const struct mk_http_field fields[] = { { "Upgrade", "websocket" },
                                            { "Connection", "Upgrade" },
                                            { "Sec-WebSocket-Accept", accept },
                                            { "Sec-WebSocket-Protocol", "xmpp" } };
    const struct mk_http_answer a = { .size = sizeof a, .status = 101, .fields = fields, .field_count = 4 };
    struct mk_conn *conn = mk_http_upgrade(c, me->http, r, &a);
    if (conn)
        wire_open(c, conn, r->address, r->secure);
    return MK_STOP;
}
