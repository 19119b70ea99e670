/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "rules.h"
#include <math.h>

static void counts_characters(void) {
    CHECK_INT(text_length(""), 0);
    CHECK_INT(text_length("abc"), 3);
    CHECK_INT(text_length("\xc3\xa4\xe2\x82\xac"), 2);
}

/* In hundredths of a bit. */
static long long bits(const char *password) {
    return llround(password_entropy(password) * 100);
}

static void measures_passwords(void) {
    CHECK_INT(bits(""), 0);
    CHECK_INT(bits("aaaa"), 1880);             /* 4 * log2(26) */
    CHECK_INT(bits("aA"), 1140);               /* 2 * log2(52) */
    CHECK_INT(bits("1111"), 1268);             /* 4 * log2(9) */
    CHECK_INT(bits("aA1!"), 2622);             /* 4 * log2(94) */
    CHECK_INT(bits("\xc3\xa4\xc3\xa4"), 1400); /* 2 * log2(128) */
}

/* -1: no rule; 0: it does not fit; 1: it allows; 2: it denies. */
static int rule(const char *text, const char *address) {
    bool allow, matches;
    if (!network_rule(text, address, &allow, &matches))
        return -1;
    return !matches ? 0 : allow ? 1 : 2;
}

static void reads_rules(void) {
    CHECK_INT(rule("allow 192.0.2.0/24", "192.0.2.77"), 1);
    CHECK_INT(rule("deny 192.0.2.0/24", "192.0.3.1"), 0);
    CHECK_INT(rule("deny 192.0.2.128/25", "192.0.2.127"), 0);
    CHECK_INT(rule("deny 192.0.2.128/25", "192.0.2.128"), 2);
    CHECK_INT(rule("deny 192.0.2.1", "192.0.2.1"), 2);
    CHECK_INT(rule("deny 192.0.2.1", "192.0.2.2"), 0);
    CHECK_INT(rule("deny 0.0.0.0/0", "198.51.100.1"), 2);
    CHECK_INT(rule("deny 0.0.0.0/0", "2001:db8::1"), 0);
    CHECK_INT(rule("deny 0.0.0.0/0", ""), 0);
    CHECK_INT(rule("allow 2001:db8::/33", "2001:db8:7fff::1"), 1);
    CHECK_INT(rule("allow 2001:db8::/33", "2001:db8:8000::1"), 0);
    CHECK_INT(rule("deny 192.0.2.0/24", "::ffff:192.0.2.9"), 2);
}

static void refuses_what_is_no_rule(void) {
    static const char *const all[] = {
        "",       "allow",       "permit 192.0.2.1", "allow 192.0.2",     "allow 192.0.2.1/33", "allow 192.0.2.1/-1",
        "deny /", "deny ::/129", "deny 192.0.2.1/x", "deny 192.0.2.1/8x", "deny 192.0.2.1/",    "192.0.2.1",
    };
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        CHECK_INT(rule(all[i], "192.0.2.1"), -1);
}

int main(void) {
    return CHECK_RUN(T(counts_characters), T(measures_passwords), T(reads_rules), T(refuses_what_is_no_rule));
}
