/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

static const struct hash {
    const char *mechanism;
    uint32_t len;
} hashes[KEYS_MAX] = {
    [MK_SHA_1] = { "SCRAM-SHA-1", 20 },
    [MK_SHA_256] = { "SCRAM-SHA-256", 32 },
    [MK_SHA_512] = { "SCRAM-SHA-512", 64 },
};

/* ---- base64 ------------------------------------------------------------------------------------------------------------ */

static void put_base64(struct mk_ctx *c, struct mk_out *o, const char *name, const uint8_t *data, uint32_t len) {
    const gnutls_datum_t in = { (unsigned char *)data, len };
    gnutls_datum_t out;
    if (gnutls_base64_encode2(&in, &out) < 0)
        return;
    mk_leaf(o, name, NULL, mk_printf(c, "%.*s", (int)out.size, (const char *)out.data));
    gnutls_free(out.data);
}

/* How many bytes the child NAME of E says; 0 if it is not there, is not base64, or says more than MOST. */
static uint32_t read_base64(struct mk_ctx *c, const struct mk_elem *e, const char *name, uint8_t *out, uint32_t most) {
    const char *text = mk_text(c, mk_elem_child(e, name, NS_SCRAM));
    const gnutls_datum_t in = { (unsigned char *)text, (unsigned)strlen(text) };
    gnutls_datum_t got;
    if (!*text || gnutls_base64_decode2(&in, &got) < 0)
        return 0;
    uint32_t len = got.size <= most ? got.size : 0;
    memcpy(out, got.data, len);
    gnutls_free(got.data);
    return len;
}

/* ---- the elements ------------------------------------------------------------------------------------------------------ */

int keys_write(struct mk_ctx *c, struct mk_out *o) {
    for (uint32_t i = 0; i < KEYS_MAX; i++) {
        struct mk_scram_keys k;
        int rc = mk_account_scram(c, mk_self(c), i, &k);
        if (rc == MK_E_UNSUPPORTED)
            continue;
        if (rc != MK_OK)
            return rc;
        mk_open(o, "scram-credentials", NS_SCRAM);
        mk_put(o, "mechanism", hashes[i].mechanism);
        mk_leaf(o, "iter-count", NULL, mk_printf(c, "%u", k.iterations));
        put_base64(c, o, "salt", k.salt, k.salt_len);
        put_base64(c, o, "server-key", k.server_key, k.len);
        put_base64(c, o, "stored-key", k.stored_key, k.len);
        mk_close(o);
    }
    return MK_OK;
}

/* ejabberd, up to 23.01 at least, writes base64 of what is base64 already. */
static uint32_t decode_again(uint8_t *data, uint32_t len) {
    const gnutls_datum_t in = { data, len };
    gnutls_datum_t got;
    if (!len || gnutls_base64_decode2(&in, &got) < 0)
        return 0;
    uint32_t less = got.size <= len ? got.size : 0;
    memcpy(data, got.data, less);
    gnutls_free(got.data);
    return less;
}

enum { TWICE_MAX = 100 }; /* bytes of a key, or a salt, that is base64 */

/* Stored and server key of LEN bytes and the salt, each encoded once, or TWICE. */
static bool read_keys(struct mk_ctx *c, const struct mk_elem *e, bool twice, struct mk_scram_keys *k) {
    uint8_t salt[TWICE_MAX], server[TWICE_MAX], stored[TWICE_MAX];
    uint32_t salt_len = read_base64(c, e, "salt", salt, sizeof salt);
    uint32_t server_len = read_base64(c, e, "server-key", server, sizeof server);
    uint32_t stored_len = read_base64(c, e, "stored-key", stored, sizeof stored);
    if (twice) {
        salt_len = decode_again(salt, salt_len);
        server_len = decode_again(server, server_len);
        stored_len = decode_again(stored, stored_len);
    }
    if (!salt_len || salt_len > sizeof k->salt || server_len != k->len || stored_len != k->len)
        return false;
    k->salt_len = salt_len;
    memcpy(k->salt, salt, salt_len);
    memcpy(k->server_key, server, k->len);
    memcpy(k->stored_key, stored, k->len);
    return true;
}

static bool read_one(struct mk_ctx *c, const struct mk_elem *e, uint32_t hash, struct mk_scram_keys *k) {
    const char *count = mk_text(c, mk_elem_child(e, "iter-count", NS_SCRAM));
    size_t digits = strspn(count, "0123456789");
    *k = (struct mk_scram_keys){ .hash = hash, .len = hashes[hash].len };
    if (!digits || digits > 9 || count[digits] || *count == '0')
        return false;
    k->iterations = (uint32_t)strtoul(count, NULL, 10);
    return read_keys(c, e, false, k) || read_keys(c, e, true, k);
}

static uint32_t hash_of(const char *mechanism) {
    uint32_t i = 0;
    while (i < KEYS_MAX && (!mechanism || strcmp(hashes[i].mechanism, mechanism) != 0))
        i++;
    return i;
}

uint32_t keys_read(struct mk_ctx *c, const struct mk_elem *e, struct mk_scram_keys out[KEYS_MAX],
                   struct mk_result *report) {
    uint32_t count = 0, seen = 0;
    for (const struct mk_elem *s = mk_elem_first(e); s; s = mk_elem_next(s)) {
        if (!mk_elem_is(s, "scram-credentials", NS_SCRAM))
            continue;
        const char *mechanism = mk_attr(s, "mechanism");
        uint32_t hash = hash_of(mechanism);
        if (hash == KEYS_MAX)
            mk_result_say(report, "keys for %.40s are not known here", mechanism ? mechanism : "no mechanism");
        else if (seen & 1u << hash || !read_one(c, s, hash, &out[count]))
            mk_result_say(report, "the keys for %s make no sense", mechanism);
        else
            count++;
        seen |= hash < KEYS_MAX ? 1u << hash : 0;
    }
    return count;
}

void keys_of_nobody(struct mk_scram_keys *out) {
    *out = (struct mk_scram_keys){ .hash = MK_SHA_256, .len = hashes[MK_SHA_256].len, .iterations = 4096 };
    out->salt_len = 16;
    mk_random(out->salt, out->salt_len);
    mk_random(out->stored_key, out->len);
    mk_random(out->server_key, out->len);
}
