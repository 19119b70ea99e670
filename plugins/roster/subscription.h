/* SPDX-License-Identifier: Apache-2.0 */
/* The state tables of RFC 6121, appendix A.2 and A.3, as functions of the bits of <meerkat/roster.h>. */
#ifndef ROSTER_SUBSCRIPTION_H
#define ROSTER_SUBSCRIPTION_H

#include <meerkat/roster.h>
#include <meerkat/stanza.h>

struct transition {
    uint32_t state;     /* the new one */
    bool pass;          /* outbound: route it to the contact; inbound: deliver it to the user */
    enum mk_type reply; /* what the server answers by itself, or MK_TYPE_NONE; inbound only */
};

/* TYPE is subscribe, subscribed, unsubscribe or unsubscribed.  The user sends it to a contact in STATE. */
struct transition subscription_out(enum mk_type type, uint32_t state);

/* A contact in STATE sends it to the user. */
struct transition subscription_in(enum mk_type type, uint32_t state);

#endif
