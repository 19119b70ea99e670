/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of other servers.  Each worker has a resolver of its own on its loop, which keeps what it heard for as long
 * as the records say.  dns_unbound.c does it with libunbound; dns_none.c is for a build without: nothing is found.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "run/worker.h"
#include <meerkat/option.h>
#include <netinet/in.h>

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };
enum { DNS_RECORDS = 32, DNS_NAME = 256, TLSA_DATA = 64 }; /* most records of an answer that are looked at */

struct dns_record {
    union {
        struct in_addr v4;
        struct in6_addr v6;
        struct {
            uint16_t priority, weight, port;
            char target[DNS_NAME]; /* without the last dot; "" is the root: there is no such service */
        } srv;
        struct {
            uint8_t usage, selector, matching, len;
            uint8_t data[TLSA_DATA]; /* records with more are left out */
        } tlsa;
    };
};
struct dns_answer {
    bool failed; /* nobody could say; else it is certain, even that there are no records */
    bool secure; /* DNSSEC vouches for it */
    unsigned count;
    struct dns_record records[DNS_RECORDS];
};
typedef void dns_done_fn(void *arg, const struct dns_answer *answer);

struct dns_config {
    struct mk_texts resolvers; /* "192.0.2.1", "192.0.2.1@5353"; none: those of /etc/resolv.conf */
    const char *anchor;        /* file of keys that answers are checked with (DNSSEC), NULL: they are not */
};
/* Main thread, before the workers start.  CONFIG lives as long as they do. */
void dns_setup(const struct dns_config *config);
bool dns_available(void);
void dns_worker_stop(struct worker *w);

/* Asks for the records of NAME, A-labels.  DONE comes once, from the loop and never from inside, unless it was
 * cancelled. */
struct dns_query;
struct dns_query *dns_ask(const char *name, enum dns_type type, dns_done_fn *done, void *arg);
void dns_cancel(struct dns_query *q); /* may be NULL */

#endif
