/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of dialback, as XEP-0185 and XEP-0220 print them, and which policy is for whom. */
#include "check.h"
#include "s2s/link.h"
#include "util/text.h"
#include <gnutls/crypto.h>

static void use_secret(const char *secret) {
    uint8_t digest[32];
    gnutls_hash_fast(GNUTLS_DIG_SHA256, secret, strlen(secret), digest);
    hex_encode(s2s_secret, digest, sizeof digest);
}

static void printed_keys(void) {
    char key[KEY_HEX + 1];
    use_secret("s3cr3tf0rd14lb4ck");
    dialback_key("xmpp.example.com", "example.org", "D60000229F", key);
    CHECK_TEXT(key, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643");
    dialback_key("montague.example", "capulet.example", "D60000229F", key);
    CHECK_TEXT(key, "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3");
    use_secret("d14lb4ck43v3r");
    dialback_key("capulet.example", "montague.example", "417GAF25", key);
    CHECK_TEXT(key, "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d");
}

static void policies(void) {
    static const struct s2s_policy rows[] = { { .domain = "a.example", .port = 1 },
                                              { .domain = "*.a.example", .port = 2 },
                                              { .domain = "*.example", .port = 3 } };
    static const struct {
        const char *domain;
        uint16_t port;
    } wanted[] = {
        { "a.example", 1 }, { "b.a.example", 2 }, { "c.b.a.example", 2 }, { "ba.example", 3 },
        { "b.example", 3 }, { "example", 9 },     { "a.example.org", 9 }, { "", 9 },
    };
    const struct s2s_config config = { .others = { .port = 9 }, .policies = rows, .policy_count = 3 };
    char why[64];
    CHECK(s2s_setup(&config, why, sizeof why));
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CHECK_INT(policy_for(wanted[i].domain)->port, wanted[i].port);
    s2s_teardown();
}

int main(void) {
    return CHECK_RUN(T(printed_keys), T(policies));
}
