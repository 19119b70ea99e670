/* SPDX-License-Identifier: Apache-2.0 */
/* Who is believed about the clients that stand behind it. */
#include "client.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

/* TEXT is an address, perhaps in brackets. */
static bool read_address(const char *text, uint8_t out[16], bool *is_v4) {
    char name[INET6_ADDRSTRLEN + 2];
    size_t len = strlen(text);
    if (*text == '[' && len > 2 && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof name)
        return false;
    memcpy(name, text, len);
    name[len] = '\0';
    memset(out, 0, 16);
    memset(out + 10, 0xff, 2);
    *is_v4 = inet_pton(AF_INET, name, out + 12) == 1;
    return *is_v4 || inet_pton(AF_INET6, name, out) == 1;
}

static bool read_network(const char *text, struct network *n) {
    char name[INET6_ADDRSTRLEN + 2];
    size_t len = strcspn(text, "/");
    bool v4;
    if (len >= sizeof name)
        return false;
    memcpy(name, text, len);
    name[len] = '\0';
    if (!read_address(name, n->address, &v4))
        return false;
    n->bits = 128;
    if (text[len]) {
        char *end;
        unsigned long bits = strtoul(text + len + 1, &end, 10);
        if (end == text + len + 1 || *end || bits > (v4 ? 32 : 128))
            return false;
        n->bits = (unsigned)bits + (v4 ? 96 : 0);
    }
    return true;
}

bool proxies_parse(struct http_config *me, struct mk_err *err) {
    me->networks = mk_malloc((me->trusted_proxies.count + 1) * sizeof *me->networks);
    for (uint32_t i = 0; i < me->trusted_proxies.count; i++)
        if (!read_network(me->trusted_proxies.items[i], &me->networks[i]))
            return mk_fail(err, MK_E_INVALID, "trusted_proxies: %s is no address and no network",
                           me->trusted_proxies.items[i]) == 0;
    return true;
}

static bool is_in(const struct network *n, const uint8_t address[16]) {
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    return memcmp(n->address, address, whole) == 0 &&
           (!rest || ((n->address[whole] ^ address[whole]) & (0xff00 >> rest) & 0xff) == 0);
}

static bool is_trusted(const struct http_config *me, const char *text) {
    uint8_t address[16];
    bool v4;
    if (!read_address(text, address, &v4))
        return false;
    for (uint32_t i = 0; i < me->trusted_proxies.count; i++)
        if (is_in(&me->networks[i], address))
            return true;
    return false;
}

static char *copy(const char *text, size_t len) {
    char *out = mk_malloc(len + 1);
    memcpy(out, text, len);
    return out;
}

/* The last one in the list that is not itself a trusted proxy; NULL if there is none that is an address. */
static char *real_client(struct mk_ctx *c, const struct http_config *me, const char *list) {
    char *all = mk_text_of(c, (struct mk_view){ list, strlen(list) }), *found = NULL;
    for (char *at; all; *at = '\0') {
        uint8_t address[16];
        bool v4;
        at = strrchr(all, ',');
        char *one = at ? at + 1 : all;
        one += strspn(one, " \t");
        one[strcspn(one, " \t")] = '\0';
        if (!read_address(one, address, &v4))
            return found;
        found = one;
        if (!at || !is_trusted(me, one))
            return found;
    }
    return found;
}

const char *proxies_address(struct mk_ctx *c, const struct http_config *me, const struct client *cl,
                            const struct mk_http_request *r, bool *secure) {
    const char *peer = mk_conn_address(cl->conn), *list = mk_http_field(r, "x-forwarded-for"),
               *proto = mk_http_field(r, "x-forwarded-proto");
    const char *host = mk_text_of(c, (struct mk_view){ peer, (size_t)(strrchr(peer, ':') - peer) });
    if (!me->trusted_proxies.count || !is_trusted(me, host))
        return copy(peer, strlen(peer));
    if (proto)
        *secure = strcasecmp(proto, "https") == 0 || strcasecmp(proto, "wss") == 0;
    const char *client = list ? real_client(c, me, list) : NULL;
    if (!client)
        return copy(peer, strlen(peer));
    const char *text = mk_printf(c, *client != '[' && strchr(client, ':') ? "[%s]:0" : "%s:0", client);
    return copy(text, strlen(text));
}
