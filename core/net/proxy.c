/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol of HAProxy, versions 1 (text) and 2 (binary), as the receiver sees it. */
#include "net/listener.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { V1_MAX = 107, V2_HEAD = 16, V2_MAX = 4096, V2_V4 = 12, V2_V6 = 36 };
enum { LOCAL = 0x20, PROXY = 0x21, UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, STREAM = 0x31 };

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static void set_v4(struct sockaddr_storage *to, const void *address, uint16_t port) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    memcpy(&v4.sin_addr, address, sizeof v4.sin_addr);
    memset(to, 0, sizeof *to);
    memcpy(to, &v4, sizeof v4);
}

static void set_v6(struct sockaddr_storage *to, const void *address, uint16_t port) {
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    memcpy(&v6.sin6_addr, address, sizeof v6.sin6_addr);
    memset(to, 0, sizeof *to);
    memcpy(to, &v6, sizeof v6);
}

/* Takes the text up to the next blank, or up to the end, into OUT. */
static bool word(const char **at, const char *end, char *out, size_t size) {
    const char *blank = memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((blank ? blank : end) - *at);
    if (len == 0 || len >= size || memchr(*at, '\0', len))
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at = blank ? blank + 1 : end;
    return true;
}

static bool port_number(const char *text, uint16_t *port) {
    unsigned n = 0;
    size_t len = strlen(text);
    if (len > 5 || (len > 1 && *text == '0'))
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (unsigned)(*text - '0');
    }
    *port = (uint16_t)n;
    return n <= 65535;
}

/* What stands between "PROXY TCP4 " and the line's end. */
static bool v1_addresses(const char *at, const char *end, int family, struct sockaddr_storage *source) {
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], from_port[8], to_port[8];
    unsigned char address[16], unused[16];
    uint16_t port, unused_port;
    if (!word(&at, end, from, sizeof from) || !word(&at, end, to, sizeof to) ||
        !word(&at, end, from_port, sizeof from_port) || !word(&at, end, to_port, sizeof to_port) || at != end ||
        end[-1] == ' ')
        return false;
    if (inet_pton(family, from, address) != 1 || inet_pton(family, to, unused) != 1 || !port_number(from_port, &port) ||
        !port_number(to_port, &unused_port))
        return false;
    if (family == AF_INET)
        set_v4(source, address, port);
    else
        set_v6(source, address, port);
    return true;
}

static int parse_v1(const char *data, size_t len, struct sockaddr_storage *source, bool *known) {
    static const char *const starts[] = { "PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN" };
    const char *cr = memchr(data, '\r', len < V1_MAX ? len : V1_MAX);
    size_t line = cr ? (size_t)(cr - data) : len;
    for (unsigned i = 0; i < 3; i++) {
        size_t start = strlen(starts[i]);
        if (memcmp(data, starts[i], line < start ? line : start) != 0)
            continue;
        if (!cr || line + 1 == len)
            return !cr && len >= V1_MAX ? -1 : 0;
        if (line < start || line + 2 > V1_MAX || cr[1] != '\n')
            return -1;
        *known = i < 2;
        if (*known ? !v1_addresses(data + start, cr, i == 0 ? AF_INET : AF_INET6, source)
                   : line > start && data[start] != ' ')
            return -1;
        return (int)line + 2;
    }
    return -1;
}

static int parse_v2(const unsigned char *data, size_t len, struct sockaddr_storage *source, bool *known) {
    if (len < V2_HEAD)
        return 0;
    unsigned command = data[12], family = data[13], size = (unsigned)data[14] << 8 | data[15];
    if ((command != LOCAL && command != PROXY) || size > V2_MAX - V2_HEAD)
        return -1;
    *known = command == PROXY && (family == TCP4 || family == TCP6);
    if (command == PROXY && !*known && family != UNSPEC && family != STREAM)
        return -1;
    if (*known && size < (family == TCP4 ? V2_V4 : V2_V6))
        return -1;
    if (len < V2_HEAD + size)
        return 0;
    const unsigned char *a = data + V2_HEAD;
    if (*known && family == TCP4)
        set_v4(source, a, (uint16_t)(a[8] << 8 | a[9]));
    else if (*known)
        set_v6(source, a, (uint16_t)(a[32] << 8 | a[33]));
    return (int)(V2_HEAD + size);
}

int proxy_parse(const char *data, size_t len, struct sockaddr_storage *source, bool *known) {
    *known = false;
    if (len == 0)
        return 0;
    if (memcmp(data, signature, len < sizeof signature ? len : sizeof signature) == 0)
        return parse_v2((const unsigned char *)data, len, source, known);
    return parse_v1(data, len, source, known);
}
