/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/test_sasl.h"
#include "check.h"

/* ---- what is offered --------------------------------------------------------------------------------------------- */

static const char *joined(const char *const *names, unsigned count) {
    static char text[512];
    text[0] = 0;
    for (unsigned i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", names[i]);
    return names[count] ? "not ended by NULL" : text;
}
static const char *mechanisms(void) {
    struct sasl_offer offer;
    offer_make(&place.arena, &place.env, &place.channel, &offer);
    return joined(offer.mechanisms, offer.mechanism_count);
}
static const char *bindings(void) {
    struct sasl_offer offer;
    offer_make(&place.arena, &place.env, &place.channel, &offer);
    return joined(offer.bindings, offer.binding_count);
}

#define ALL_PLUS "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS"
#define ALL_SCRAM "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1"

static void strongest_first(void) {
    test_begin();
    CHECK_TEXT(mechanisms(), ALL_SCRAM " PLAIN");
    CHECK_TEXT(bindings(), "");
    test_tls("exported");
    CHECK_TEXT(mechanisms(), ALL_PLUS " " ALL_SCRAM " PLAIN");
    CHECK_TEXT(bindings(), "tls-exporter tls-server-end-point");
    place.type.anonymous = true;
    CHECK_TEXT(mechanisms(), ALL_PLUS " " ALL_SCRAM " PLAIN ANONYMOUS");
}

static void plain_wants_tls(void) {
    test_begin();
    place.env.secure = false;
    CHECK_TEXT(mechanisms(), ALL_SCRAM);
    place.type.plain_without_tls = true;
    CHECK_TEXT(mechanisms(), ALL_SCRAM " PLAIN");
}

static void end_point_or_nothing(void) {
    test_begin();
    test_tls("exported");
    place.channel.count = 1;
    CHECK_TEXT(mechanisms(), ALL_SCRAM " PLAIN");
    CHECK_TEXT(bindings(), "");
}

static void host_allows(void) {
    static const char *const some[] = { "PLAIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "X-OTHER" };
    static const char *const no_plus[] = { "SCRAM-SHA-1" };
    test_begin();
    test_tls("exported");
    place.type.anonymous = true;
    place.type.sasl = some;
    place.type.sasl_count = 4;
    CHECK_TEXT(mechanisms(), "SCRAM-SHA-256-PLUS SCRAM-SHA-1 PLAIN");
    place.type.sasl = no_plus;
    place.type.sasl_count = 1;
    CHECK_TEXT(mechanisms(), "SCRAM-SHA-1");
    CHECK_TEXT(bindings(), ""); /* nothing to bind with */
    place.type.sasl_count = 0;
    CHECK_TEXT(mechanisms(), "");
}

static uint32_t only_256(const void *inst) {
    CHECK(inst == &place);
    return MK_AUTH_SCRAM_SHA_256;
}

static void providers_can(void) {
    struct mk_auth_ops first = test_ops, second = test_ops;
    struct mk_auth other;
    test_begin();
    other = place.auth;
    first.caps = MK_AUTH_PASSWORD | MK_AUTH_LIST;
    place.auth.svc.ops = &first;
    CHECK_TEXT(mechanisms(), "PLAIN");
    other.svc.ops = &second;
    second.caps = MK_AUTH_SCRAM_SHA_1;
    place.providers[1] = &other;
    place.type.auth_count = 2;
    CHECK_TEXT(mechanisms(), "SCRAM-SHA-1 PLAIN");
    place.type.auth_count = 0;
    CHECK_TEXT(mechanisms(), "");
    /* The options of the instance narrow what the provider could do. */
    place.type.auth_count = 1;
    place.inst.bytes = &place;
    first = test_ops;
    first.narrow = only_256;
    CHECK_TEXT(mechanisms(), "SCRAM-SHA-256");
    first.size = offsetof(struct mk_auth_ops, narrow); /* an older table */
    CHECK_TEXT(mechanisms(), ALL_SCRAM " PLAIN");
}

/* The stream keeps neither the struct nor the address for us. */
static void env_is_copied(void) {
    const struct throttle_config one = { 0, 0, 1, INT64_MAX };
    char address[] = "203.0.113.9";
    test_begin();
    throttle_setup(&one);
    place.env.address = address;
    struct sasl *s = sasl_new(&place.env, "PLAIN");
    memset(address, 'x', sizeof address - 1);
    memset(&place.env, 0, sizeof place.env);
    CHECK_INT(test_bytes(s, "\0nobody\0x", 9), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), "not-authorized");
    sasl_free(s);
    CHECK(throttle_refuses("203.0.113.9", NULL));
    CHECK(!throttle_refuses("xxxxxxxxxxx", NULL));
}

static void no_connection(void) {
    struct sasl_offer offer;
    test_begin();
    sasl_offer(&place.arena, &place.env, &offer);
    CHECK_TEXT(joined(offer.mechanisms, offer.mechanism_count), ALL_SCRAM " PLAIN");
    CHECK(sasl_new(&place.env, "SCRAM-SHA-1-PLUS") == NULL);
    struct sasl *s = sasl_new(&place.env, "SCRAM-SHA-1");
    CHECK(s != NULL);
    CHECK_INT(test_step(s, "n,,n=user,r=abc"), SASL_CONTINUE);
    CHECK(strstr(place.out.data, ",h=") != NULL);
    CHECK(strstr(place.out.data, ",t=") == NULL);
    sasl_free(s);
}

/* A first step that fails with CONDITION, or no exchange at all if that is NULL. */
static void refused(const char *mechanism, const char *condition) {
    struct sasl *s = test_sasl(mechanism);
    CHECK_INT(s != NULL, condition != NULL);
    if (!s)
        return;
    CHECK_INT(test_bytes(s, "\0user\0pencil", 12), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), condition);
    sasl_free(s);
}

static void not_offered(void) {
    static const char *const strong[] = { "SCRAM-SHA-256" };
    test_begin();
    refused("X-NONE", NULL);
    refused("", NULL);
    refused("plain", NULL);
    refused("ANONYMOUS", NULL);
    refused("SCRAM-SHA-1-PLUS", NULL);
    place.env.secure = false;
    refused("PLAIN", "encryption-required");
    place.type.sasl = strong;
    place.type.sasl_count = 1;
    refused("PLAIN", "mechanism-too-weak");
    refused("SCRAM-SHA-1", "mechanism-too-weak");
    refused("SCRAM-SHA-512", NULL);
    CHECK_INT(test_lookups, 0);
    CHECK_INT(place.metrics[TEST_FAILURES], 0);
}

/* ---- PLAIN ------------------------------------------------------------------------------------------------------- */

static void plain_is(const char *message, size_t len, const char *condition) {
    struct sasl *s = test_sasl("PLAIN");
    CHECK(s != NULL);
    CHECK_INT(test_bytes(s, message, len), condition ? SASL_FAILURE : SASL_SUCCESS);
    CHECK_TEXT(place.out.data, "");
    if (condition)
        CHECK_TEXT(sasl_condition(s), condition);
    else
        CHECK_TEXT(mk_jid_text(sasl_account(s)), "user@example.org");
    CHECK(!sasl_is_anonymous(s));
    sasl_free(s);
}
#define PLAIN(text, condition) plain_is(text, sizeof(text) - 1, condition)

static void plain(void) {
    test_begin();
    PLAIN("\0user\0pencil", NULL);
    PLAIN("\0USER\0pencil", NULL);
    PLAIN("user@example.org\0user\0pencil", NULL);
    PLAIN("User@EXAMPLE.org\0user\0pencil", NULL);
    CHECK_INT(place.metrics[TEST_LOGINS], 4);
    PLAIN("\0user\0pencil2", "not-authorized");
    PLAIN("\0user\0penci", "not-authorized");
    PLAIN("\0user\0Pencil", "not-authorized");
    PLAIN("\0nobody\0pencil", "not-authorized");
    PLAIN("\0a@b\0pencil", "not-authorized");
    CHECK_INT(place.metrics[TEST_FAILURES], 5);
    CHECK_INT(place.metrics[TEST_LOGINS], 4);
}

static void plain_authzid(void) {
    test_begin();
    PLAIN("old@example.org\0user\0pencil", "invalid-authzid");
    PLAIN("user\0user\0pencil", "invalid-authzid");
    PLAIN("user@example.com\0user\0pencil", "invalid-authzid");
    PLAIN("user@example.org/x\0user\0pencil", "invalid-authzid");
    PLAIN("example.org\0user\0pencil", "invalid-authzid");
    PLAIN("@\0user\0pencil", "invalid-authzid");
}

static void plain_malformed(void) {
    test_begin();
    PLAIN("", "malformed-request");
    PLAIN("\0", "malformed-request");
    PLAIN("user", "malformed-request");
    PLAIN("user\0pencil", "malformed-request");
    PLAIN("\0\0pencil", "malformed-request");
    PLAIN("\0user\0", "malformed-request");
    PLAIN("\0user\0pencil\0", "malformed-request");
    PLAIN("\0user\0pen\0cil", "malformed-request");
    PLAIN("\0us\xff"
          "er\0pencil",
          "malformed-request");
    PLAIN("\0user\0pencil\xff", "malformed-request");
    PLAIN("\xc0\x80\0user\0pencil", "malformed-request");
    PLAIN("\0us\x07"
          "er\0pencil",
          "malformed-request");
    char long_one[SASL_NAME_MAX + 20] = "\0user";
    memset(long_one + 6, 'x', SASL_NAME_MAX + 1);
    plain_is(long_one, 6 + SASL_NAME_MAX, "not-authorized");
    plain_is(long_one, 6 + SASL_NAME_MAX + 1, "malformed-request");
}

static void plain_empty_challenge(void) {
    test_begin();
    struct sasl *s = test_sasl("PLAIN");
    CHECK_INT(test_bytes(s, NULL, 0), SASL_CONTINUE);
    CHECK_TEXT(place.out.data, "");
    CHECK_INT(test_bytes(s, "\0user\0pencil", 12), SASL_SUCCESS);
    CHECK_INT(test_bytes(s, "\0user\0pencil", 12), SASL_FAILURE); /* once is enough */
    CHECK_INT(place.metrics[TEST_LOGINS], 1);
    sasl_free(s);
}

static int knows_user(struct mk_ctx *c, const struct mk_jid *account) {
    (void)c;
    return test_is(account, "user") ? 0 : MK_E_NOTFOUND;
}
static int accepts(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    (void)c;
    (void)account;
    (void)password;
    return 0;
}

static void plain_providers(void) {
    struct mk_auth_ops first_ops = test_ops, second_ops = test_ops;
    struct mk_auth second;
    test_begin();
    PLAIN("\0broken\0pencil", "temporary-auth-failure");
    CHECK_INT(place.metrics[TEST_FAILURES], 0);
    second = place.auth;
    second.svc.ops = &second_ops;
    place.auth.svc.ops = &first_ops;
    place.providers[1] = &second;
    place.type.auth_count = 2;
    second_ops.check_password = accepts;
    PLAIN("\0user\0wrong", "not-authorized"); /* the second is not asked */
    PLAIN("\0broken\0x", "temporary-auth-failure");
    struct sasl *s = test_sasl("PLAIN");
    CHECK_INT(test_bytes(s, "\0other\0any", 10), SASL_SUCCESS);
    CHECK_TEXT(mk_jid_text(sasl_account(s)), "other@example.org");
    sasl_free(s);
    first_ops.caps = MK_AUTH_SCRAM_SHA_1;
    first_ops.exists = knows_user;
    PLAIN("\0user\0any", "not-authorized"); /* it is the first's, which takes no passwords */
}

/* ---- ANONYMOUS --------------------------------------------------------------------------------------------------- */

static void anonymous(void) {
    char first[64] = "";
    test_begin();
    place.type.anonymous = true;
    for (int i = 0; i < 2; i++) {
        struct sasl *s = test_sasl("ANONYMOUS");
        CHECK_INT(i ? test_step(s, "sirhc") : test_bytes(s, NULL, 0), SASL_SUCCESS);
        const char *jid = mk_jid_text(sasl_account(s));
        CHECK_INT(strlen(jid), 36 + strlen("@example.org"));
        CHECK_TEXT(jid + 36, "@example.org");
        for (int at = 0; at < 36; at++)
            CHECK(at == 8 || at == 13 || at == 18 || at == 23 ? jid[at] == '-'
                                                              : strchr("0123456789abcdef", jid[at]) != NULL);
        CHECK(jid[14] == '4');
        CHECK(sasl_is_anonymous(s));
        CHECK(strcmp(first, jid) != 0);
        snprintf(first, sizeof first, "%s", jid);
        sasl_free(s);
    }
    struct sasl *s = test_sasl("ANONYMOUS");
    CHECK_INT(test_step(s, "\xff"), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), "malformed-request");
    sasl_free(s);
}

/* ---- the throttle ------------------------------------------------------------------------------------------------ */

static void throttled(void) {
    const struct throttle_config two = { 0, 0, 2, INT64_MAX };
    test_begin();
    PLAIN("\0user\0pencil", NULL); /* forgets what other tests failed */
    throttle_setup(&two);
    place.env.address = "203.0.113.1";
    PLAIN("\0user\0wrong", "not-authorized");
    PLAIN("\0user\0pencil", NULL); /* clears the account, not the address */
    PLAIN("\0user\0wrong", "not-authorized");
    unsigned lookups = test_lookups;
    PLAIN("\0user\0pencil", "temporary-auth-failure");
    CHECK_INT(test_lookups, lookups);
    place.env.address = "203.0.113.2";
    PLAIN("\0user\0wrong", "not-authorized");
    lookups = test_lookups;
    place.env.address = "203.0.113.3";
    struct sasl *s = test_sasl("PLAIN");
    CHECK_INT(test_bytes(s, "\0user\0pencil", 12), SASL_FAILURE); /* the account is refused from everywhere */
    CHECK_TEXT(sasl_condition(s), "temporary-auth-failure");
    CHECK_TEXT(sasl_text(s), "Too many failed logins; try again later");
    sasl_free(s);
    CHECK_INT(test_lookups, lookups);
    CHECK_INT(place.metrics[TEST_FAILURES], 5);
    PLAIN("\0broken\0pencil", "temporary-auth-failure");
    PLAIN("\0broken\0pencil", "temporary-auth-failure");
    s = test_sasl("PLAIN");
    CHECK_INT(test_bytes(s, "\0broken\0pencil", 14), SASL_FAILURE);
    CHECK_TEXT(sasl_text(s), NULL); /* our trouble is nobody's failed login */
    sasl_free(s);
}

/* Between the steps of an exchange others may have used up the account's tries. */
static void throttled_between(void) {
    const struct throttle_config one = { 0, 0, 1, INT64_MAX };
    test_begin();
    throttle_setup(&one);
    struct sasl *s = test_sasl("SCRAM-SHA-1");
    CHECK_INT(test_step(s, "n,,n=old,r=abc"), SASL_CONTINUE);
    char *final = test_final(MK_SHA_1, PENCIL, "n=old,r=abc", place.out.data, "n,,", "", "", NULL);
    PLAIN("\0old\0wrong", "not-authorized");
    CHECK_INT(test_step(s, final), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), "temporary-auth-failure");
    sasl_free(s);
    free(final);
}

static int others_fail(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    throttle_note("203.0.113.77", account, INT64_MAX / 2);
    return test_check_password(c, account, password);
}

static void throttled_meanwhile(void) {
    const struct throttle_config one = { 0, 0, 1, INT64_MAX };
    struct mk_auth_ops ops = test_ops;
    test_begin();
    throttle_setup(&one);
    ops.check_password = others_fail;
    place.auth.svc.ops = &ops;
    PLAIN("\0busy\0pencil", "temporary-auth-failure"); /* wrong or right: it is not told */
}

int main(void) {
    return CHECK_RUN(T(strongest_first), T(plain_wants_tls), T(end_point_or_nothing), T(host_allows), T(providers_can),
                     T(env_is_copied), T(no_connection), T(not_offered), T(plain), T(plain_authzid), T(plain_malformed),
                     T(plain_empty_challenge), T(plain_providers), T(anonymous), T(throttled), T(throttled_between),
                     T(throttled_meanwhile));
}
