/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to another server: its domain's SRV records of both kinds, merged (RFC 6120, 3.2; XEP-0368), then the addresses
 * of each target, tried one soon after the other (RFC 8305).
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/dns.h"

struct dial_config {
    const char *domain; /* A-labels */
    const char *host;   /* not NULL: this host or address and no DNS for the domain */
    uint16_t port;      /* of HOST; and of the domain itself if it has no SRV records */
    bool direct;        /* HOST wants TLS from the first byte */
    uint64_t connect_ms, dns_ms;
};

struct dial_result {
    int fd; /* connected and non-blocking; the receiver's.  -1: nothing is left to try */
    struct sockaddr_storage peer;
    bool direct;
    const struct dns_answer
        *tlsa;          /* what its certificate must be (RFC 7673); NULL: DNS does not say.  Lent for the call */
    const char *target; /* the name it is of; lent likewise */
    bool unknown;       /* fd -1: there is no such server, as DNS says for certain */
    const char *why;    /* fd -1: static */
};
/* Called from the loop.  After a failure the dial is over; it may be freed inside. */
typedef void dial_done_fn(void *arg, const struct dial_result *r);

struct dial;
/* Nothing happens before dial_next(). */
struct dial *dial_new(const struct dial_config *config, dial_done_fn *done, void *arg);
/* Goes on to the next target that can be reached: DONE comes once for each call. */
void dial_next(struct dial *d);
void dial_free(struct dial *d); /* may be NULL */

#endif
