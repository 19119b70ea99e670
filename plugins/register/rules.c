/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t text_length(const char *text) {
    int64_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

double password_entropy(const char *password) {
    bool lower = false, upper = false, digit = false, other = false, beyond = false;
    for (const unsigned char *p = (const unsigned char *)password; *p; p++) {
        lower |= *p >= 'a' && *p <= 'z';
        upper |= *p >= 'A' && *p <= 'Z';
        digit |= *p >= '0' && *p <= '9';
        other |= *p < 0x80 && !isalnum(*p);
        beyond |= *p >= 0x80;
    }
    int alphabet = lower * 26 + upper * 26 + digit * 9 + other * 33 + beyond * 128;
    return alphabet ? (double)text_length(password) * log2(alphabet) : 0;
}

struct ip {
    int family;
    unsigned char bytes[16];
};

/* An IPv4 address that came through an IPv6 socket is what it was. */
static bool read_ip(const char *text, struct ip *out) {
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    if (inet_pton(AF_INET, text, out->bytes) == 1) {
        out->family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, out->bytes) != 1)
        return false;
    out->family = AF_INET6;
    if (memcmp(out->bytes, mapped, sizeof mapped) == 0) {
        out->family = AF_INET;
        memmove(out->bytes, out->bytes + 12, 4);
    }
    return true;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, int bits) {
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, (size_t)whole) != 0)
        return false;
    return !rest || !((a[whole] ^ b[whole]) & (0xff << (8 - rest)) & 0xff);
}

bool network_rule(const char *rule, const char *address, bool *allow, bool *matches) {
    char network[64];
    struct ip net, ip;
    const char *at = strchr(rule, ' ');
    if (!at)
        return false;
    *allow = strncmp(rule, "allow ", 6) == 0;
    if (!*allow && strncmp(rule, "deny ", 5) != 0)
        return false;
    at += strspn(at, " ");
    size_t len = strcspn(at, "/");
    if (len >= sizeof network)
        return false;
    memcpy(network, at, len);
    network[len] = '\0';
    if (!read_ip(network, &net))
        return false;
    long most = net.family == AF_INET ? 32 : 128, bits = most;
    if (at[len] == '/') {
        char *end;
        bits = strtol(at + len + 1, &end, 10);
        if (end == at + len + 1 || *end || bits < 0 || bits > most)
            return false;
    }
    *matches = read_ip(address, &ip) && ip.family == net.family && same_bits(ip.bytes, net.bytes, (int)bits);
    return true;
}
