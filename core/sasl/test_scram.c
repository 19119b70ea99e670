/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "sasl/test_sasl.h"

/* ---- exchanges as the specifications print them ------------------------------------------------------------------ */

struct vector {
    const char *mechanism, *nonce, *salt;
    const char *client_first, *server_first, *client_final, *server_final;
};

static void set_salt(const char *text) {
    test_salt_len = (uint32_t)base64_decode(test_salt, text, strlen(text));
}

/* Old vectors know no extensions of the first message: BARE leaves them out. */
static void run_vector(const struct vector *v, bool bare) {
    set_salt(v->salt);
    struct sasl *s = test_sasl(v->mechanism);
    CHECK(s != NULL);
    strcpy(s->scram.nonce, v->nonce);
    if (bare)
        s->scram.extensions = "";
    CHECK_INT(test_step(s, v->client_first), SASL_CONTINUE);
    CHECK_TEXT(place.out.data, v->server_first);
    CHECK_INT(test_step(s, v->client_final), SASL_SUCCESS);
    CHECK_TEXT(place.out.data, v->server_final);
    CHECK_TEXT(mk_jid_text(sasl_account(s)), "user@example.org");
    CHECK(!sasl_is_anonymous(s));
    sasl_free(s);
}

static void rfc_5802(void) {
    test_begin();
    run_vector(&(struct vector){ "SCRAM-SHA-1", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
                                 "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                                 "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                                 "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                                 "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
               true);
}

#define BOTH_256 "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
static void rfc_7677(void) {
    test_begin();
    run_vector(&(struct vector){ "SCRAM-SHA-256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
                                 "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=" BOTH_256 ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                                 "c=biws,r=" BOTH_256 ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                                 "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
               true);
}

/* The same exchange with SHA-512; the proofs were computed with Python's hashlib. */
static void sha_512(void) {
    test_begin();
    run_vector(&(struct vector){ "SCRAM-SHA-512", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
                                 "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=" BOTH_256 ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                                 "c=biws,r=" BOTH_256 ",p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+"
                                 "xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
                                 "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+"
                                 "5ZxXnJq199RVG2rR7N7Zw==" },
               true);
}

#define XEP_CLIENT "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"
#define XEP_SERVER "a09117a6-ac50-4f2f-93f1-93799c2bddf6"
#define XEP_BOTH XEP_CLIENT XEP_SERVER
#define XEP_FIRST "r=" XEP_BOTH ",s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08="
#define XEP_BINDING "cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB"

static void xep_place(void) {
    static const char *const allowed[] = { "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS" };
    test_begin();
    test_tls("THIS IS FAKE CB DATA");
    place.type.sasl = allowed;
    place.type.sasl_count = 2;
}

/* Without XEP-0515, and with an extension that the client made up. */
static void xep_0474(void) {
    xep_place();
    place.channel.version[0] = 0;
    run_vector(&(struct vector){ "SCRAM-SHA-1-PLUS", XEP_SERVER, "QSXCR+Q6sek8bf92",
                                 "p=tls-exporter,,n=user,r=" XEP_CLIENT, XEP_FIRST,
                                 "c=" XEP_BINDING ",r=" XEP_BOTH
                                 ",x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
                                 "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=" },
               false);
}

static void xep_0515(void) {
    xep_place();
    run_vector(&(struct vector){ "SCRAM-SHA-1-PLUS", XEP_SERVER, "QSXCR+Q6sek8bf92",
                                 "p=tls-exporter,,n=user,r=" XEP_CLIENT, XEP_FIRST ",t=0304",
                                 "c=" XEP_BINDING ",r=" XEP_BOTH ",p=KHUfN8dSy1K95crT4D5y1ItLJfs=",
                                 "v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4=" },
               false);
}

static void offer_hash(void) {
    const char *mechanisms[] = { "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1" };
    const char *bindings[] = { "tls-server-end-point", "tls-exporter" };
    struct sasl_offer offer = { mechanisms, bindings, 2, 2 };
    test_begin();
    CHECK_TEXT(scram_offer_hash(&place.arena, MK_SHA_1, &offer), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    CHECK_TEXT(scram_offer_hash(&place.arena, MK_SHA_256, &offer), "H6VEQ+6wl/eYKuTjJn4D9/e9GTn1AcYGw/oiSJ3Yhy0=");
    /* Without XEP-0440 the separator goes too: SHA-1 of the one name. */
    offer = (struct sasl_offer){ mechanisms + 1, NULL, 1, 0 };
    uint8_t digest[20];
    char want[29];
    gnutls_hash_fast(GNUTLS_DIG_SHA1, "SCRAM-SHA-1", 11, digest);
    base64_encode(want, digest, sizeof digest);
    CHECK_TEXT(scram_offer_hash(&place.arena, MK_SHA_1, &offer), want);
}

/* ---- whole exchanges with the client of test_sasl.h -------------------------------------------------------------- */

struct attempt {
    const char *mechanism, *header, *bare, *password, *binding, *extensions;
};
static const struct attempt good = { "SCRAM-SHA-256", "n,,", "n=user,r=abc", PENCIL, "", "" };

static uint32_t hash_of(const char *mechanism) {
    return strstr(mechanism, "512") ? MK_SHA_512 : strstr(mechanism, "256") ? MK_SHA_256 : MK_SHA_1;
}

/* Both steps.  On success checks the server's signature; *S is for looking at, and to free. */
static enum sasl_status attempt(struct attempt a, struct sasl **s) {
    char first[512], want[100];
    *s = test_sasl(a.mechanism);
    CHECK(*s != NULL);
    snprintf(first, sizeof first, "%s%s", a.header, a.bare);
    enum sasl_status status = test_step(*s, first);
    if (status != SASL_CONTINUE)
        return status;
    char *final =
        test_final(hash_of(a.mechanism), a.password, a.bare, place.out.data, a.header, a.binding, a.extensions, want);
    status = test_step(*s, final);
    free(final);
    if (status == SASL_SUCCESS)
        CHECK_TEXT(place.out.data, want);
    return status;
}

static void succeeds(struct attempt a, const char *account) {
    struct sasl *s;
    CHECK_INT(attempt(a, &s), SASL_SUCCESS);
    CHECK_TEXT(mk_jid_text(sasl_account(s)), account);
    sasl_free(s);
}
static void fails(struct attempt a, const char *condition) {
    struct sasl *s;
    CHECK_INT(attempt(a, &s), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), condition);
    CHECK_TEXT(place.out.data, "");
    sasl_free(s);
}

static void every_mechanism(void) {
    static const char *const plain[] = { "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512" };
    static const char *const plus[] = { "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS" };
    test_begin();
    test_tls("exported");
    for (int i = 0; i < 3; i++) {
        struct attempt a = good;
        a.mechanism = plain[i];
        succeeds(a, "user@example.org");
        a.password = "pencil ";
        fails(a, "not-authorized");
        a = (struct attempt){ plus[i], "p=tls-exporter,,", "n=user,r=abc", PENCIL, "exported", "" };
        succeeds(a, "user@example.org");
        a.header = "p=tls-server-end-point,,";
        a.binding = "end point";
        succeeds(a, "user@example.org");
        a.password = "Pencil";
        fails(a, "not-authorized");
    }
    CHECK_INT(place.metrics[TEST_LOGINS], 9);
    CHECK_INT(place.metrics[TEST_FAILURES], 6);
}

static void names(void) {
    struct attempt a = good;
    test_begin();
    a.bare = "n=USER,r=abc"; /* nodeprep folds */
    succeeds(a, "user@example.org");
    a.bare = "n=us\xc2\xad"
             "er,r=abc"; /* SASLprep drops a soft hyphen */
    succeeds(a, "user@example.org");
    a.bare = "n=us\xc2\xa0"
             "er,r=abc"; /* and makes a space of this one: no account */
    fails(a, "not-authorized");
    a.bare = "n=us=2Cer,r=abc"; /* a comma may be in a name: another account */
    fails(a, "not-authorized");
    a.bare = "n=user@example.org,r=abc";
    fails(a, "not-authorized");
    static const char *const bad[] = { "n=us=er,r=abc",
                                       "n=us=2cer,r=abc",
                                       "n=us=3,r=abc",
                                       "n=,r=abc",
                                       "n=\xff,r=abc",
                                       "n=\x07,r=abc",
                                       "n=user",
                                       "n=user,",
                                       "n=user,r=",
                                       "n=user,r=a\x01",
                                       "n=user,r=a b",
                                       "n=user,r=\xc3\xa9",
                                       "r=abc,n=user",
                                       "m=x,n=user,r=abc",
                                       "n=user,r=abc,m=x",
                                       "n=user,r=abc,",
                                       "n=user,r=abc,x",
                                       "n=user,r=abc,1=x",
                                       "",
                                       "n" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        a.bare = bad[i];
        fails(a, "malformed-request");
    }
    a.bare = "n=user,r=abc,x=1,y=2"; /* unknown extensions are signed, not understood */
    a.extensions = ",z=3";
    succeeds(a, "user@example.org");
    a.extensions = "x"; /* a nonce of its own, with a proof that fits */
    fails(a, "not-authorized");
    a.extensions = ",m=3";
    fails(a, "malformed-request");
}

/* The outcome of a first message of HEAD, COUNT times 'x', TAIL. */
static enum sasl_status first_of(const char *head, size_t count, const char *tail) {
    char *message = calloc(1, strlen(head) + count + strlen(tail) + 1);
    strcpy(message, head);
    memset(message + strlen(head), 'x', count);
    strcat(message, tail);
    struct sasl *s = test_sasl("SCRAM-SHA-1");
    enum sasl_status status = test_step(s, message);
    if (status == SASL_FAILURE)
        CHECK_TEXT(sasl_condition(s), "malformed-request");
    sasl_free(s);
    free(message);
    return status;
}

static void lengths(void) {
    test_begin();
    CHECK_INT(first_of("n,,n=", SASL_NAME_MAX, ",r=abc"), SASL_CONTINUE);
    CHECK_INT(first_of("n,,n=", SASL_NAME_MAX + 1, ",r=abc"), SASL_FAILURE);
    CHECK_INT(first_of("n,,n=user,r=", SCRAM_NONCE_MAX, ""), SASL_CONTINUE);
    CHECK_INT(first_of("n,,n=user,r=", SCRAM_NONCE_MAX + 1, ""), SASL_FAILURE);
    CHECK_INT(first_of("n,,n=user,r=abc,x=", SASL_MESSAGE_MAX - 18, ""), SASL_CONTINUE);
    CHECK_INT(first_of("n,,n=user,r=abc,x=", SASL_MESSAGE_MAX - 17, ""), SASL_FAILURE);
}

static void authzids(void) {
    struct attempt a = good;
    test_begin();
    a.header = "n,a=user@example.org,";
    succeeds(a, "user@example.org");
    a.header = "n,a=User@Example.org,"; /* prepared before it is compared */
    succeeds(a, "user@example.org");
    static const char *const others[] = { "n,a=old@example.org,",
                                          "n,a=user@example.com,",
                                          "n,a=user@example.org/x,",
                                          "n,a=user,",
                                          "n,a=example.org,",
                                          "n,a=us=2Cer@example.org,",
                                          "n,a=@," };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        a.header = others[i];
        fails(a, "invalid-authzid");
    }
    static const char *const bad[] = {
        "n,user@example.org,", "n,a=,", "n,a=us=er,", "n,b=x,", "x,,", ",,", "n,", "nn,,", "p=,,", "p,,",
        "p=tls-exporter"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        a.header = bad[i];
        fails(a, "malformed-request");
    }
}

static void channel_binding_flags(void) {
    struct attempt a = good;
    struct attempt plus = { "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "n=user,r=abc", PENCIL, "exported", "" };
    test_begin();
    a.header = "y,,"; /* nothing was offered: the client is right */
    succeeds(a, "user@example.org");
    a.header = "p=tls-exporter,,";
    a.binding = "exported";
    fails(a, "malformed-request");
    CHECK(test_sasl("SCRAM-SHA-256-PLUS") == NULL);

    test_tls("exported");
    a = good;
    succeeds(a, "user@example.org"); /* it can't bind */
    a.header = "y,,";                /* it was not told that we can: somebody lies */
    fails(a, "not-authorized");
    a.header = "p=tls-exporter,,";
    a.binding = "exported";
    fails(a, "malformed-request");
    succeeds(plus, "user@example.org");
    plus.binding = "exportee";
    fails(plus, "not-authorized");
    plus.binding = "";
    fails(plus, "not-authorized");
    plus.binding = "end point"; /* of the other type */
    fails(plus, "not-authorized");
    plus.binding = "exported";
    plus.header = "p=tls-unique,,";
    fails(plus, "malformed-request");
    plus.header = "n,,";
    fails(plus, "malformed-request");
    plus.header = "y,,";
    fails(plus, "malformed-request");
    place.channel.bindings[0].len = 0; /* TLS could not tell */
    plus.header = "p=tls-exporter,,";
    fails(plus, "temporary-auth-failure");
}

/* What a header says is what c= must repeat. */
static void header_is_bound(void) {
    char signature[100];
    test_begin();
    struct sasl *s = test_sasl("SCRAM-SHA-256");
    CHECK_INT(test_step(s, "y,,n=user,r=abc"), SASL_CONTINUE);
    char *final = test_final(MK_SHA_256, PENCIL, "n=user,r=abc", place.out.data, "n,,", "", "", signature);
    CHECK_INT(test_step(s, final), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), "not-authorized");
    free(final);
    sasl_free(s);
}

static void finals(void) {
    static const char *const bad[] = { "",
                                       "p=",
                                       "c=biws",
                                       "c=biws,r=%s",
                                       "c=biws,r=%s,p=",
                                       "c=biws,r=%s,p=AAAA",
                                       "r=%s,c=biws,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                       "c=biws,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                       "c=biws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=,x=1",
                                       "c=biws,r=%s,p=!!!!AAAAAAAAAAAAAAAAAAAAAAA=",
                                       "c=biws,r=%s,m=1,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                       "c=biws,r=%s,\xff,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=" };
    static const char *const wrong[] = {
        "c=biws,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "c=biws,r=%sx,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "c=eSws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "c=biws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    };
    size_t bad_count = sizeof bad / sizeof bad[0];
    test_begin();
    for (size_t i = 0; i < bad_count + sizeof wrong / sizeof wrong[0]; i++) {
        const char *pattern = i < bad_count ? bad[i] : wrong[i - bad_count];
        char both[64], message[256];
        struct sasl *s = test_sasl("SCRAM-SHA-1");
        CHECK_INT(test_step(s, "n,,n=user,r=abc"), SASL_CONTINUE);
        CHECK_INT(sscanf(place.out.data, "r=%63[^,]", both), 1);
        const char *hole = strstr(pattern, "%s");
        if (hole)
            snprintf(message, sizeof message, "%.*s%s%s", (int)(hole - pattern), pattern, both, hole + 2);
        else
            snprintf(message, sizeof message, "%s", pattern);
        CHECK_INT(test_step(s, message), SASL_FAILURE);
        CHECK_TEXT(sasl_condition(s), i < bad_count ? "malformed-request" : "not-authorized");
        CHECK_INT(test_step(s, message), SASL_FAILURE); /* it stays over */
        sasl_free(s);
    }
}

/* ---- who is not there -------------------------------------------------------------------------------------------- */

static char *first_answer(const char *mechanism, const char *first) {
    struct sasl *s = test_sasl(mechanism);
    CHECK(s != NULL);
    CHECK_INT(test_step(s, first), SASL_CONTINUE);
    char *answer = strdup(place.out.data);
    sasl_free(s);
    return answer;
}

static void nobody(void) {
    char salt[2][100];
    unsigned iterations;
    struct attempt a = good;
    test_begin();
    test_iterations = 5000; /* the provider's hint */
    a.bare = "n=nobody,r=abc";
    fails(a, "not-authorized");
    for (int i = 0; i < 2; i++) {
        char *answer = first_answer(i ? "SCRAM-SHA-1" : "SCRAM-SHA-256", i ? "n,,n=NOBODY,r=x" : "n,,n=nobody,r=x");
        CHECK_INT(sscanf(answer, "r=x%*32[^,],s=%99[^,],i=%u,h=", salt[i], &iterations), 2);
        CHECK_INT(iterations, 5000);
        CHECK_INT(strlen(salt[i]), 24);
        free(answer);
    }
    CHECK_TEXT(salt[0], salt[1]); /* as for an account: the same for every hash and every spelling */
    char *answer = first_answer("SCRAM-SHA-1", "n,,n=somebody,r=x");
    CHECK_INT(sscanf(answer, "r=x%*32[^,],s=%99[^,],i=", salt[1]), 1);
    CHECK(strcmp(salt[0], salt[1]) != 0);
    free(answer);
    answer = first_answer("SCRAM-SHA-1", "n,,n=no@body,r=x"); /* not even a name */
    CHECK(strstr(answer, ",i=10000,h=") != NULL);
    free(answer);
}

/* Not even whoever knew the keys that were made up would get in. */
static void nobody_gets_in(void) {
    uint8_t salted[64], key[64];
    test_begin();
    struct sasl *s = test_sasl("SCRAM-SHA-256");
    CHECK_INT(test_step(s, "n,,n=nobody,r=abc"), SASL_CONTINUE);
    struct mk_scram_keys *k = &s->scram.keys;
    test_salted(MK_SHA_256, PENCIL, k->salt, k->salt_len, k->iterations, salted);
    gnutls_hmac_fast(GNUTLS_MAC_SHA256, salted, k->len, "Client Key", 10, key);
    gnutls_hash_fast(GNUTLS_DIG_SHA256, key, k->len, k->stored_key);
    char *final = test_final(MK_SHA_256, PENCIL, "n=nobody,r=abc", place.out.data, "n,,", "", "", NULL);
    CHECK_INT(test_step(s, final), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), "not-authorized");
    free(final);
    sasl_free(s);
}

/* An account without keys for a hash: its salt stays, since a changing one would tell that it exists. */
static void lacks_keys(void) {
    char salt[2][100];
    struct attempt a = good;
    test_begin();
    a.bare = "n=old,r=abc";
    a.mechanism = "SCRAM-SHA-1";
    succeeds(a, "old@example.org");
    a.mechanism = "SCRAM-SHA-512";
    fails(a, "not-authorized");
    for (int i = 0; i < 2; i++) {
        char *answer = first_answer(i ? "SCRAM-SHA-1" : "SCRAM-SHA-512", "n,,n=old,r=x");
        CHECK_INT(sscanf(answer, "r=x%*32[^,],s=%99[^,],i=", salt[i]), 1);
        free(answer);
    }
    CHECK_TEXT(salt[0], salt[1]);
}

static int bad_scram(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash, struct mk_scram_keys *out) {
    int rc = test_scram(c, account, hash, out);
    out->len = 16;
    return rc;
}

static void provider_fails(void) {
    struct attempt a = good;
    test_begin();
    a.bare = "n=broken,r=abc";
    fails(a, "temporary-auth-failure");
    struct mk_auth_ops ops = test_ops;
    ops.scram = bad_scram;
    place.auth.svc.ops = &ops;
    fails(good, "temporary-auth-failure");
    CHECK_INT(place.metrics[TEST_FAILURES], 0);
}

static int not_mine(struct mk_ctx *c, const struct mk_jid *account) {
    (void)c;
    return test_is(account, "shadowed") ? 0 : MK_E_NOTFOUND;
}
static int all_scram(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash, struct mk_scram_keys *out) {
    const struct mk_jid *user;
    const struct mk_view local = { "user", 4 }, none = { NULL, 0 };
    if (jid_make(&place.arena, local, mk_jid_domain(account), none, &user) != 0)
        return MK_E_BACKEND;
    return test_scram(c, user, hash, out);
}

/* The first provider that knows the account decides, even if it knows no SCRAM. */
static void provider_order(void) {
    static const struct mk_auth_ops first_ops = { .size = sizeof first_ops,
                                                  .caps = MK_AUTH_PASSWORD,
                                                  .exists = not_mine };
    struct mk_auth_ops second_ops = test_ops;
    struct mk_auth first = { { .ops = &first_ops, .provider = NULL } };
    struct attempt a = good;
    test_begin();
    second_ops.scram = all_scram;
    place.auth.svc.ops = &second_ops;
    first.svc.provider = &place.inst;
    place.providers[0] = &first;
    place.providers[1] = &place.auth;
    place.type.auth_count = 2;
    succeeds(good, "user@example.org");
    a.bare = "n=shadowed,r=abc";
    fails(a, "not-authorized");
}

static void empty_challenge(void) {
    test_begin();
    struct sasl *s = test_sasl("SCRAM-SHA-1");
    CHECK_INT(test_bytes(s, NULL, 0), SASL_CONTINUE);
    CHECK_TEXT(place.out.data, "");
    CHECK_INT(test_step(s, "n,,n=user,r=abc"), SASL_CONTINUE);
    CHECK(strncmp(place.out.data, "r=abc", 5) == 0);
    sasl_free(s);
    s = test_sasl("SCRAM-SHA-1");
    CHECK_INT(test_bytes(s, NULL, 0), SASL_CONTINUE);
    CHECK_INT(test_bytes(s, NULL, 0), SASL_FAILURE);
    CHECK_TEXT(sasl_condition(s), "malformed-request");
    sasl_free(s);
}

static void fresh_nonces(void) {
    test_begin();
    char *a = first_answer("SCRAM-SHA-1", "n,,n=user,r=x"), *b = first_answer("SCRAM-SHA-1", "n,,n=user,r=x");
    CHECK(strncmp(a, b, 35) != 0);
    CHECK_INT(strcspn(a, ","), strlen("r=x") + 32);
    free(a);
    free(b);
}

int main(void) {
    return CHECK_RUN(T(rfc_5802), T(rfc_7677), T(sha_512), T(xep_0474), T(xep_0515), T(offer_hash), T(every_mechanism),
                     T(names), T(lengths), T(authzids), T(channel_binding_flags), T(header_is_bound), T(finals),
                     T(nobody), T(nobody_gets_in), T(lacks_keys), T(provider_fails), T(provider_order),
                     T(empty_challenge), T(fresh_nonces));
}
