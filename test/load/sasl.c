/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    gnutls_mac_algorithm_t mac;
    unsigned width;
} mechanisms[] = {
    { "PLAIN", 0, 0 },
    { "ANONYMOUS", 0, 0 },
    { "SCRAM-SHA-1", GNUTLS_MAC_SHA1, 20 },
    { "SCRAM-SHA-256", GNUTLS_MAC_SHA256, 32 },
    { "SCRAM-SHA-512", GNUTLS_MAC_SHA512, 64 },
};

bool sasl_is_known(const char *mechanism) {
    for (unsigned i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (strcmp(mechanisms[i].name, mechanism) == 0)
            return true;
    return false;
}

static bool to_base64(const void *data, size_t len, char *out, size_t size) {
    gnutls_datum_t in = { (void *)data, (unsigned)len }, text;
    if (gnutls_base64_encode2(&in, &text) != 0)
        return false;
    int n = snprintf(out, size, "%.*s", (int)text.size, text.data);
    gnutls_free(text.data);
    return n >= 0 && (size_t)n < size;
}

static bool from_base64(const char *text, char *out, size_t size, size_t *len) {
    gnutls_datum_t in = { (unsigned char *)text, (unsigned)strlen(text) }, data;
    if (gnutls_base64_decode2(&in, &data) != 0)
        return false;
    bool fits = data.size < size;
    if (fits) {
        memcpy(out, data.data, data.size);
        out[data.size] = '\0';
        *len = data.size;
    }
    gnutls_free(data.data);
    return fits;
}

/* RFC 5802: "," and "=" in a name. */
static void escaped(const char *name, char *out, size_t size) {
    size_t n = 0;
    for (; *name && n + 4 < size; name++) {
        if (*name == ',' || *name == '=')
            n += (size_t)snprintf(out + n, size - n, "=%02X", (unsigned char)*name);
        else
            out[n++] = *name;
    }
    out[n] = '\0';
}

static bool begin_scram(struct sasl *s, char *out, size_t size) {
    uint8_t noise[15];
    char name[200], message[400];
    gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof noise);
    to_base64(noise, sizeof noise, s->nonce, sizeof s->nonce);
    escaped(s->user, name, sizeof name);
    snprintf(s->first, sizeof s->first, "n=%s,r=%s", name, s->nonce);
    int len = snprintf(message, sizeof message, "n,,%s", s->first);
    return to_base64(message, (size_t)len, out, size);
}

bool sasl_begin(struct sasl *s, const char *mechanism, const char *user, const char *password, struct salted *salted,
                char *out, size_t size) {
    *s = (struct sasl){ .mechanism = mechanism, .user = user, .password = password, .salted = salted };
    for (unsigned i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (strcmp(mechanisms[i].name, mechanism) == 0) {
            s->mac = mechanisms[i].mac;
            s->width = mechanisms[i].width;
        }
    *out = '\0';
    if (s->mac)
        return begin_scram(s, out, size);
    if (strcmp(mechanism, "ANONYMOUS") == 0)
        return true;
    char message[600];
    int len = snprintf(message, sizeof message, "%c%s%c%s", 0, user, 0, password);
    return (size_t)len < sizeof message && to_base64(message, (size_t)len, out, size);
}

static void salt_password(struct sasl *s, const char *salt_text, unsigned iterations) {
    struct salted *kept = s->salted;
    char salt[96];
    size_t len;
    if (kept->iterations == iterations && strcmp(kept->salt, salt_text) == 0)
        return;
    if (!from_base64(salt_text, salt, sizeof salt, &len))
        return;
    gnutls_datum_t password = { (unsigned char *)s->password, (unsigned)strlen(s->password) },
                   salt_data = { (unsigned char *)salt, (unsigned)len };
    gnutls_pbkdf2(s->mac, &password, &salt_data, iterations, kept->key, s->width);
    snprintf(kept->salt, sizeof kept->salt, "%s", salt_text);
    kept->iterations = iterations;
}

static void proof_of(struct sasl *s, const char *message, uint8_t *proof) {
    uint8_t stored[64], signature[64], server_key[64];
    const uint8_t *key = s->salted->key;
    gnutls_hmac_fast(s->mac, key, s->width, "Client Key", 10, proof);
    gnutls_hash_fast((gnutls_digest_algorithm_t)s->mac, proof, s->width, stored);
    gnutls_hmac_fast(s->mac, stored, s->width, message, strlen(message), signature);
    for (unsigned i = 0; i < s->width; i++)
        proof[i] ^= signature[i];
    gnutls_hmac_fast(s->mac, key, s->width, "Server Key", 10, server_key);
    gnutls_hmac_fast(s->mac, server_key, s->width, message, strlen(message), s->signature);
}

bool sasl_answer(struct sasl *s, const char *challenge, char *out, size_t size) {
    char theirs[512], nonce[256], salt[96], message[1500], text[1024], proof64[100];
    uint8_t proof[64];
    size_t len;
    unsigned iterations;
    if (!s->mac || !from_base64(challenge, theirs, sizeof theirs, &len))
        return false;
    if (sscanf(theirs, "r=%255[^,],s=%95[^,],i=%u", nonce, salt, &iterations) != 3 ||
        strncmp(nonce, s->nonce, strlen(s->nonce)) != 0)
        return false;
    salt_password(s, salt, iterations);
    snprintf(message, sizeof message, "%s,%s,c=biws,r=%s", s->first, theirs, nonce);
    proof_of(s, message, proof);
    to_base64(proof, s->width, proof64, sizeof proof64);
    int n = snprintf(text, sizeof text, "c=biws,r=%s,p=%s", nonce, proof64);
    return to_base64(text, (size_t)n, out, size);
}

bool sasl_is_genuine(const struct sasl *s, const char *success) {
    char text[160], want[140] = "v=";
    size_t len;
    if (!s->mac)
        return true;
    to_base64(s->signature, s->width, want + 2, sizeof want - 2);
    return from_base64(success, text, sizeof text, &len) && strcmp(text, want) == 0;
}
