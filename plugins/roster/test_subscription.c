/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "subscription.h"

enum {
    TO = MK_SUB_TO,
    FROM = MK_SUB_FROM,
    OUT = MK_SUB_PENDING_OUT,
    IN = MK_SUB_PENDING_IN,
    APPROVED = MK_SUB_APPROVED
};

/* The nine states of RFC 6121, A.1, in its order. */
static const uint32_t states[9] = { 0, OUT, IN, OUT | IN, TO, TO | IN, FROM, FROM | OUT, TO | FROM };

struct table {
    enum mk_type type;
    struct transition (*fn)(enum mk_type type, uint32_t state);
    bool pass[9];
    uint32_t after[9];
    enum mk_type reply[9];
};

static void check_table(const struct table *t) {
    for (unsigned i = 0; i < 9; i++) {
        struct transition got = t->fn(t->type, states[i]);
        printf("# state %u\n", i);
        CHECK_INT(got.pass, t->pass[i]);
        CHECK_INT(got.state, t->after[i]);
        CHECK_INT(got.reply, t->reply[i]);
    }
}

static void a21_out_subscribe(void) {
    check_table(&(struct table){ MK_TYPE_SUBSCRIBE,
                                 subscription_out,
                                 { 1, 1, 1, 1, 1, 1, 1, 1, 1 },
                                 { OUT, OUT, OUT | IN, OUT | IN, TO, TO | IN, FROM | OUT, FROM | OUT, TO | FROM },
                                 { 0 } });
}

static void a22_out_unsubscribe(void) {
    check_table(&(struct table){ MK_TYPE_UNSUBSCRIBE,
                                 subscription_out,
                                 { 1, 1, 1, 1, 1, 1, 1, 1, 1 },
                                 { 0, 0, IN, IN, 0, IN, FROM, FROM, FROM },
                                 { 0 } });
}

static void a23_out_subscribed(void) {
    check_table(&(struct table){
        MK_TYPE_SUBSCRIBED,
        subscription_out,
        { 0, 0, 1, 1, 0, 1, 0, 0, 0 },
        { APPROVED, OUT | APPROVED, FROM, FROM | OUT, TO | APPROVED, TO | FROM, FROM, FROM | OUT, TO | FROM },
        { 0 } });
}

static void a24_out_unsubscribed(void) {
    check_table(&(struct table){ MK_TYPE_UNSUBSCRIBED,
                                 subscription_out,
                                 { 0, 0, 1, 1, 0, 1, 1, 1, 1 },
                                 { 0, OUT, 0, OUT, TO, TO, 0, OUT, TO },
                                 { 0 } });
}

static void a31_in_subscribe(void) {
    check_table(&(struct table){ MK_TYPE_SUBSCRIBE,
                                 subscription_in,
                                 { 1, 1, 0, 0, 1, 0, 0, 0, 0 },
                                 { IN, OUT | IN, IN, OUT | IN, TO | IN, TO | IN, FROM, FROM | OUT, TO | FROM },
                                 { 0, 0, 0, 0, 0, 0, MK_TYPE_SUBSCRIBED, MK_TYPE_SUBSCRIBED, MK_TYPE_SUBSCRIBED } });
}

static void a32_in_unsubscribe(void) {
    enum mk_type u = MK_TYPE_UNSUBSCRIBED;
    check_table(&(struct table){ MK_TYPE_UNSUBSCRIBE,
                                 subscription_in,
                                 { 0, 0, 1, 1, 0, 1, 1, 1, 1 },
                                 { 0, OUT, 0, OUT, TO, TO, 0, OUT, TO },
                                 { 0, 0, u, u, 0, u, u, u, u } });
}

static void a33_in_subscribed(void) {
    check_table(&(struct table){ MK_TYPE_SUBSCRIBED,
                                 subscription_in,
                                 { 0, 1, 0, 1, 0, 0, 0, 1, 0 },
                                 { 0, TO, IN, TO | IN, TO, TO | IN, FROM, TO | FROM, TO | FROM },
                                 { 0 } });
}

static void a34_in_unsubscribed(void) {
    check_table(&(struct table){ MK_TYPE_UNSUBSCRIBED,
                                 subscription_in,
                                 { 0, 1, 0, 1, 1, 1, 0, 1, 1 },
                                 { 0, 0, IN, IN, 0, IN, FROM, FROM, FROM },
                                 { 0 } });
}

/* Section 3.4: the flag answers a later request, outlives it, and goes when the user cancels. */
static void pre_approval(void) {
    struct transition t = subscription_out(MK_TYPE_SUBSCRIBED, TO);
    CHECK(!t.pass);
    CHECK_INT(t.state, TO | APPROVED);
    t = subscription_in(MK_TYPE_SUBSCRIBE, t.state);
    CHECK(!t.pass);
    CHECK_INT(t.state, TO | FROM | APPROVED);
    CHECK_INT(t.reply, MK_TYPE_SUBSCRIBED);
    t = subscription_out(MK_TYPE_UNSUBSCRIBED, t.state);
    CHECK(t.pass);
    CHECK_INT(t.state, TO);
    t = subscription_out(MK_TYPE_UNSUBSCRIBED, APPROVED);
    CHECK(!t.pass);
    CHECK_INT(t.state, 0);
}

int main(void) {
    return CHECK_RUN(T(a21_out_subscribe), T(a22_out_unsubscribe), T(a23_out_subscribed), T(a24_out_unsubscribed),
                     T(a31_in_subscribe), T(a32_in_unsubscribe), T(a33_in_subscribed), T(a34_in_unsubscribed),
                     T(pre_approval));
}
