/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void address_format(const struct sockaddr *a, char out[ADDRESS_MAX]) {
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (a && a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_MAX, "%s:%u", host, ntohs(v4.sin_port));
    } else if (a && a->sa_family == AF_INET6) {
        memcpy(&v6, a, sizeof v6);
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        inet_ntop(mapped ? AF_INET : AF_INET6, v6.sin6_addr.s6_addr + (mapped ? 12 : 0), host, sizeof host);
        snprintf(out, ADDRESS_MAX, mapped ? "%s:%u" : "[%s]:%u", host, ntohs(v6.sin6_port));
    } else {
        snprintf(out, ADDRESS_MAX, "%s", a && a->sa_family == AF_UNIX ? "local" : "unknown");
    }
}
