/* SPDX-License-Identifier: Apache-2.0 */
#include "subscription.h"

enum {
    TO = MK_SUB_TO,
    FROM = MK_SUB_FROM,
    OUT = MK_SUB_PENDING_OUT,
    IN = MK_SUB_PENDING_IN,
    APPROVED = MK_SUB_APPROVED
};

struct transition subscription_out(enum mk_type type, uint32_t state) {
    struct transition t = { .state = state, .pass = true };
    switch (type) {
    case MK_TYPE_SUBSCRIBE:
        if (!(state & TO))
            t.state |= OUT;
        break;
    case MK_TYPE_UNSUBSCRIBE:
        t.state &= ~(uint32_t)(TO | OUT);
        break;
    case MK_TYPE_SUBSCRIBED:
        t.pass = state & IN;
        if (state & IN)
            t.state = (state & ~(uint32_t)IN) | FROM;
        else if (!(state & FROM))
            t.state |= APPROVED; /* section 3.4 */
        break;
    case MK_TYPE_UNSUBSCRIBED:
        t.pass = state & (FROM | IN);
        t.state &= ~(uint32_t)(FROM | IN | APPROVED);
        break;
    default:
        t.pass = false;
    }
    return t;
}

static struct transition in_subscribe(uint32_t state) {
    struct transition t = { .state = state };
    if (state & (FROM | APPROVED)) {
        t.state = (state & ~(uint32_t)IN) | FROM;
        t.reply = MK_TYPE_SUBSCRIBED;
    } else if (!(state & IN)) {
        t.state |= IN;
        t.pass = true;
    }
    return t;
}

struct transition subscription_in(enum mk_type type, uint32_t state) {
    struct transition t = { .state = state };
    switch (type) {
    case MK_TYPE_SUBSCRIBE:
        return in_subscribe(state);
    case MK_TYPE_UNSUBSCRIBE:
        t.pass = state & (FROM | IN);
        t.reply = t.pass ? MK_TYPE_UNSUBSCRIBED : MK_TYPE_NONE;
        t.state &= ~(uint32_t)(FROM | IN);
        break;
    case MK_TYPE_SUBSCRIBED:
        t.pass = state & OUT;
        if (state & OUT)
            t.state = (state & ~(uint32_t)OUT) | TO;
        break;
    case MK_TYPE_UNSUBSCRIBED:
        t.pass = state & (TO | OUT);
        t.state &= ~(uint32_t)(TO | OUT);
        break;
    default:
        break;
    }
    return t;
}
