/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests and the fuzzer of SASL: a host with a stand-in provider, a turn that never waits, and a client that
 * computes its own proofs.  Delays are off unless a test sets them.
 */
#ifndef SASL_TEST_SASL_H
#define SASL_TEST_SASL_H

#include "run/metric.h"
#include "run/turn.h"
#include "sasl/mechanism.h"
#include "util/log.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENCIL "pencil"
enum { TEST_LOGINS = 1, TEST_FAILURES = 2 }; /* places of metrics */

/* ---- the provider ---------------------------------------------------------------------------------------------- */

/* The salt of `user`, and for how many iterations its password "pencil" is hashed. */
static uint8_t test_salt[64] = "0123456789abcdef";
static uint32_t test_salt_len = 16, test_iterations = 4096;
static unsigned test_lookups;

static gnutls_mac_algorithm_t test_mac(uint32_t hash) {
    return hash == MK_SHA_1 ? GNUTLS_MAC_SHA1 : hash == MK_SHA_256 ? GNUTLS_MAC_SHA256 : GNUTLS_MAC_SHA512;
}
static gnutls_digest_algorithm_t test_digest(uint32_t hash) {
    return hash == MK_SHA_1 ? GNUTLS_DIG_SHA1 : hash == MK_SHA_256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512;
}
static uint32_t test_len(uint32_t hash) {
    return hash == MK_SHA_1 ? 20 : hash == MK_SHA_256 ? 32 : 64;
}

static void test_salted(uint32_t hash, const char *password, const void *salt, size_t salt_len, unsigned iterations,
                        uint8_t out[64]) {
    const gnutls_datum_t key = { (unsigned char *)password, (unsigned)strlen(password) };
    const gnutls_datum_t with = { (unsigned char *)salt, (unsigned)salt_len };
    if (gnutls_pbkdf2(test_mac(hash), &key, &with, iterations, out, test_len(hash)) < 0)
        abort();
}

static bool test_is(const struct mk_jid *account, const char *name) {
    struct mk_view local = mk_jid_local(account);
    return local.len == strlen(name) && memcmp(local.s, name, local.len) == 0;
}

/* Names with a part: "broken" has a database that is down, "old" has keys for SHA-1 only. */
static int test_exists(struct mk_ctx *c, const struct mk_jid *account) {
    (void)c;
    test_lookups++;
    if (test_is(account, "broken"))
        return MK_E_BACKEND;
    return test_is(account, "user") || test_is(account, "old") ? 0 : MK_E_NOTFOUND;
}

static int test_scram(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash, struct mk_scram_keys *out) {
    uint8_t salted[64], key[64];
    int rc = test_exists(c, account);
    if (rc == MK_E_BACKEND)
        return rc;
    *out = (struct mk_scram_keys){ .hash = hash, .iterations = test_iterations, .salt_len = test_salt_len };
    if (rc)
        return rc;
    memcpy(out->salt, test_salt, test_salt_len);
    if (test_is(account, "old") && hash != MK_SHA_1)
        return MK_E_UNSUPPORTED;
    out->len = test_len(hash);
    test_salted(hash, PENCIL, test_salt, test_salt_len, test_iterations, salted);
    gnutls_hmac_fast(test_mac(hash), salted, out->len, "Client Key", 10, key);
    gnutls_hash_fast(test_digest(hash), key, out->len, out->stored_key);
    gnutls_hmac_fast(test_mac(hash), salted, out->len, "Server Key", 10, out->server_key);
    return 0;
}

static int test_check_password(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    int rc = test_exists(c, account);
    return rc ? rc : strcmp(password, PENCIL) == 0 ? 0 : MK_E_DENIED;
}

static const struct mk_auth_ops test_ops = {
    .size = sizeof test_ops,
    .caps = MK_AUTH_SCRAM_SHA_1 | MK_AUTH_SCRAM_SHA_256 | MK_AUTH_SCRAM_SHA_512 | MK_AUTH_PASSWORD,
    .exists = test_exists,
    .scram = test_scram,
    .check_password = test_check_password,
};

/* ---- the host and the turn -------------------------------------------------------------------------------------- */

struct test_place {
    struct plugin plugin;
    struct instance inst;
    struct mk_auth auth;
    const struct mk_auth *providers[2];
    struct host_type type;
    struct host host;
    struct sasl_env env;
    struct channel channel;
    struct worker worker;
    int64_t metrics[3];
    struct mk_ctx ctx;
    struct arena arena;
    struct buf out; /* of the last step */
};

static struct test_place place;

__attribute__((unused)) static void test_begin(void) {
    const struct mk_view none = { NULL, 0 }, domain = { "example.org", 11 };
    const struct throttle_config free_of_delays = { 0 };
    log_set_level(0);
    arena_free(&place.arena);
    buf_free(&place.out);
    memset(&place, 0, sizeof place);
    place.plugin.name = "stand_in";
    place.inst = (struct instance){ .plugin = &place.plugin };
    place.auth.svc = (struct mk_svc){ .ops = &test_ops, .provider = &place.inst };
    place.providers[0] = &place.auth;
    place.type = (struct host_type){ .name = "test", .auth = place.providers, .auth_count = 1 };
    if (jid_make(&place.arena, none, domain, none, &place.host.jid) != 0)
        abort();
    place.host.name = "example.org";
    place.host.type = &place.type;
    place.env = (struct sasl_env){ .host = &place.host, .secure = true };
    place.worker.metrics = place.metrics;
    place.worker.metric_count = 3;
    place.ctx.worker = &place.worker;
    server_metric_place[METRIC_logins_row] = TEST_LOGINS;
    server_metric_place[METRIC_login_failures_row] = TEST_FAILURES;
    test_lookups = 0;
    test_iterations = 4096;
    test_salt_len = 16;
    memcpy(test_salt, "0123456789abcdef", 16);
    throttle_setup(&free_of_delays);
}

/* TLS 1.3 with tls-exporter and tls-server-end-point, whose data are texts. */
__attribute__((unused)) static void test_tls(const char *exporter) {
    struct channel *t = &place.channel;
    memcpy(t->version, "0304", 5);
    t->count = 2;
    t->bindings[0].type = CB_TLS_EXPORTER;
    t->bindings[0].len = strlen(exporter);
    memcpy(t->bindings[0].data, exporter, t->bindings[0].len);
    t->bindings[1].type = CB_TLS_SERVER_END_POINT;
    t->bindings[1].len = 9;
    memcpy(t->bindings[1].data, "end point", 9);
}

__attribute__((unused)) static struct sasl *test_sasl(const char *mechanism) {
    return sasl_begin(&place.env, &place.channel, mechanism);
}

/* A step with LEN bytes, or with text; what the server said is in place.out. */
__attribute__((unused)) static enum sasl_status test_bytes(struct sasl *s, const void *data, size_t len) {
    /* On the heap to its last byte, so that reading past the end is seen. */
    char *copy = data ? malloc(len ? len : 1) : NULL;
    if (copy && len)
        memcpy(copy, data, len);
    buf_free(&place.out);
    enum sasl_status status = sasl_step(&place.ctx, s, copy, len, &place.out);
    free(copy);
    return status;
}
__attribute__((unused)) static enum sasl_status test_step(struct sasl *s, const char *text) {
    return test_bytes(s, text, strlen(text));
}

/* ---- the client ------------------------------------------------------------------------------------------------- */

/*
 * What a client with PASSWORD sends as client-final to SERVER_FIRST: c= of HEADER and BINDING, r= as the server said,
 * EXTENSIONS, and the proof.  SIGNATURE (may be NULL) gets the "v=..." that it expects.  malloc'd.
 */
__attribute__((unused)) static char *test_final(uint32_t hash, const char *password, const char *first,
                                                const char *server_first, const char *header, const char *binding,
                                                const char *extensions, char signature[100]) {
    char c[1024], both[600], salt_text[200], text[100];
    struct buf auth = { 0 }, final = { 0 };
    uint8_t bytes[512], salt[128], salted[64], key[64], stored[64], sign[64];
    unsigned iterations;
    size_t header_len = strlen(header), binding_len = strlen(binding), len = test_len(hash);
    if (sscanf(server_first, "r=%599[^,],s=%199[^,],i=%u", both, salt_text, &iterations) != 3)
        abort();
    ssize_t salt_len = base64_decode(salt, salt_text, strlen(salt_text));
    memcpy(bytes, header, header_len);
    memcpy(bytes + header_len, binding, binding_len);
    base64_encode(c, bytes, header_len + binding_len);
    if (salt_len < 0)
        abort();
    buf_printf(&final, "c=%s,r=%s%s", c, both, extensions);
    buf_printf(&auth, "%s,%s,%s", first, server_first, final.data);
    test_salted(hash, password, salt, (size_t)salt_len, iterations, salted);
    gnutls_hmac_fast(test_mac(hash), salted, len, "Server Key", 10, key);
    gnutls_hmac_fast(test_mac(hash), key, len, auth.data, auth.len, sign);
    base64_encode(text, sign, len);
    if (signature)
        snprintf(signature, 100, "v=%.96s", text);
    gnutls_hmac_fast(test_mac(hash), salted, len, "Client Key", 10, key);
    gnutls_hash_fast(test_digest(hash), key, len, stored);
    gnutls_hmac_fast(test_mac(hash), stored, len, auth.data, auth.len, sign);
    for (size_t i = 0; i < len; i++)
        key[i] ^= sign[i];
    base64_encode(text, key, len);
    buf_free(&auth);
    buf_printf(&final, ",p=%s", text);
    return final.data;
}

#endif
