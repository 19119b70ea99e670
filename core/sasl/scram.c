/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCRAM (RFC 5802, 7677) with SHA-1, SHA-256 and SHA-512, channel binding, and the downgrade protection of XEP-0474
 * and XEP-0515.  A user that nobody knows gets an exchange like any other, with keys made up from the name.
 */
#include "sasl/mechanism.h"
#include "util/log.h"
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST_MAX = 64, USUAL_ITERATIONS = 10000, USUAL_SALT = 16 };

static const struct digest {
    gnutls_mac_algorithm_t mac;
    gnutls_digest_algorithm_t hash;
    uint32_t len, cap;
} digests[] = {
    [MK_SHA_1] = { GNUTLS_MAC_SHA1, GNUTLS_DIG_SHA1, 20, MK_AUTH_SCRAM_SHA_1 },
    [MK_SHA_256] = { GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256, 32, MK_AUTH_SCRAM_SHA_256 },
    [MK_SHA_512] = { GNUTLS_MAC_SHA512, GNUTLS_DIG_SHA512, 64, MK_AUTH_SCRAM_SHA_512 },
};

static enum sasl_status malformed(struct sasl *s, const char *text) {
    return sasl_fail(s, "malformed-request", text);
}

/* ---- beginning ------------------------------------------------------------------------------------------------- */

static void add_sorted(struct buf *out, const char *const *names, unsigned count) {
    const char *last = "", *next;
    do {
        next = NULL;
        for (unsigned i = 0; i < count; i++)
            if (strcmp(names[i], last) > 0 && (!next || strcmp(names[i], next) < 0))
                next = names[i];
        if (next && *last)
            buf_puts(out, "\x1e");
        if (next)
            buf_puts(out, next);
        last = next;
    } while (next);
}

const char *scram_offer_hash(struct arena *arena, uint32_t hash, const struct sasl_offer *offer) {
    const struct digest *d = &digests[hash];
    uint8_t digest[DIGEST_MAX];
    struct buf text = { 0 };
    add_sorted(&text, offer->mechanisms, offer->mechanism_count);
    if (offer->binding_count) {
        buf_puts(&text, "\x1f");
        add_sorted(&text, offer->bindings, offer->binding_count);
    }
    gnutls_hash_fast(d->hash, text.data, text.len, digest);
    buf_free(&text);
    char *out = arena_alloc(arena, 4 * ((DIGEST_MAX + 2) / 3) + 1);
    base64_encode(out, digest, d->len);
    return out;
}

void scram_begin(struct sasl *s) {
    uint8_t nonce[24];
    mk_random(nonce, sizeof nonce);
    base64_encode(s->scram.nonce, nonce, sizeof nonce);
    const char *version = s->channel.version;
    s->scram.extensions =
        arena_printf(&s->arena, ",h=%s%s%s", scram_offer_hash(&s->arena, s->mechanism->hash, &s->offer),
                     *version ? ",t=" : "", version);
}

/* ---- the client's first message -------------------------------------------------------------------------------- */

struct first {
    struct mk_view binding; /* type after "p=" */
    struct mk_view authzid, name, nonce;
    size_t header; /* bytes of the GS2 header */
    char flag;     /* 'n', 'y', 'p' */
};

/* Takes "X=value" and the comma behind it off IN.  More must follow a comma. */
static bool take_attr(struct mk_view *in, char *name, struct mk_view *value) {
    if (in->len < 3 || in->s[1] != '=' || !((in->s[0] | 32) >= 'a' && (in->s[0] | 32) <= 'z'))
        return false;
    const char *comma = memchr(in->s, ',', in->len);
    size_t len = comma ? (size_t)(comma - in->s) : in->len;
    if (len < 3 || (comma && len + 1 == in->len))
        return false;
    *name = in->s[0];
    *value = (struct mk_view){ in->s + 2, len - 2 };
    in->s += comma ? len + 1 : len;
    in->len -= comma ? len + 1 : len;
    return true;
}

/* Takes what is before the next comma, and the comma, off IN. */
static bool take_field(struct mk_view *in, struct mk_view *field) {
    const char *comma = memchr(in->s, ',', in->len);
    if (!comma)
        return false;
    *field = (struct mk_view){ in->s, (size_t)(comma - in->s) };
    in->s = comma + 1;
    in->len -= field->len + 1;
    return true;
}

static bool parse_header(struct mk_view *in, struct first *f) {
    const struct mk_view whole = *in;
    struct mk_view flag, authzid;
    if (!take_field(in, &flag) || !take_field(in, &authzid) || !flag.len)
        return false;
    f->flag = flag.s[0];
    f->header = whole.len - in->len;
    if (f->flag == 'p') {
        if (flag.len < 3 || flag.s[1] != '=')
            return false;
        f->binding = (struct mk_view){ flag.s + 2, flag.len - 2 };
    } else if (flag.len != 1 || (f->flag != 'n' && f->flag != 'y')) {
        return false;
    }
    if (!authzid.len)
        return true;
    if (authzid.len < 3 || authzid.s[0] != 'a' || authzid.s[1] != '=')
        return false;
    f->authzid = (struct mk_view){ authzid.s + 2, authzid.len - 2 };
    return true;
}

static bool nonce_is_fine(struct mk_view nonce) {
    if (nonce.len > SCRAM_NONCE_MAX)
        return false;
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.s[i] < 0x21 || nonce.s[i] > 0x7e)
            return false;
    return true;
}

/* Extensions are ours to ignore, but for one that is mandatory: "m". */
static bool skip_extensions(struct mk_view in) {
    char name;
    struct mk_view value;
    while (in.len)
        if (!take_attr(&in, &name, &value) || name == 'm')
            return false;
    return true;
}

static bool parse_first(struct mk_view in, struct first *f) {
    char n, r;
    return utf8_valid(in.s, in.len) && parse_header(&in, f) && take_attr(&in, &n, &f->name) && n == 'n' &&
           take_attr(&in, &r, &f->nonce) && r == 'r' && nonce_is_fine(f->nonce) && skip_extensions(in);
}

/* A saslname: comma and equals sign are written =2C and =3D.  False if another = is in it. */
static bool decode_name(struct arena *arena, struct mk_view in, struct mk_view *out) {
    char *to = arena_alloc(arena, in.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (in.s[i] != '=') {
            to[len++] = in.s[i];
            continue;
        }
        bool comma = in.len - i >= 3 && memcmp(in.s + i, "=2C", 3) == 0;
        if (!comma && !(in.len - i >= 3 && memcmp(in.s + i, "=3D", 3) == 0))
            return false;
        to[len++] = comma ? ',' : '=';
        i += 2;
    }
    *out = (struct mk_view){ to, len };
    return true;
}

static const struct binding *find_binding(const struct sasl *s, struct mk_view type) {
    for (unsigned i = 0; i < s->channel.count; i++) {
        const char *name = cb_name(s->channel.bindings[i].type);
        if (strlen(name) == type.len && memcmp(name, type.s, type.len) == 0)
            return &s->channel.bindings[i];
    }
    return NULL;
}

static enum sasl_status choose_binding(struct sasl *s, const struct first *f) {
    bool plus = s->mechanism->flags & MECHANISM_PLUS;
    if (plus != (f->flag == 'p'))
        return malformed(s, "The channel-binding flag does not fit the mechanism");
    if (f->flag == 'y' && s->offer.binding_count)
        return sasl_fail(s, "not-authorized", "Channel binding was offered; somebody may be in between");
    if (!plus)
        return SASL_CONTINUE;
    s->scram.binding = find_binding(s, f->binding);
    if (!s->scram.binding)
        return malformed(s, "That channel-binding type was not offered");
    return s->scram.binding->len ? SASL_CONTINUE : sasl_unable(s);
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static uint8_t fake_secret[32];
static void make_fake_secret(void) {
    mk_random(fake_secret, sizeof fake_secret);
}

/* For a user without keys: always the same salt, in this process.  No proof fits the keys, and it would not count. */
static void fake_keys(struct mk_scram_keys *keys, uint32_t hash, struct mk_view name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_fake_secret);
    *keys = (struct mk_scram_keys){ .hash = hash, .iterations = USUAL_ITERATIONS, .salt_len = USUAL_SALT };
    keys->len = digests[hash].len;
    gnutls_hmac_fast(GNUTLS_MAC_SHA512, fake_secret, sizeof fake_secret, name.s, name.len, keys->salt);
    mk_random(keys->stored_key, sizeof keys->stored_key);
    mk_random(keys->server_key, sizeof keys->server_key);
}

/* 0; MK_E_NOTFOUND; MK_E_UNSUPPORTED: the provider knows the account, but has no keys for this; or its error. */
MK_SUSPENDS static int ask(struct mk_ctx *c, const struct mk_auth *provider, const struct mk_jid *account,
                           uint32_t hash, struct mk_scram_keys *out) {
    if (provider_caps(provider) & digests[hash].cap)
        return mk_auth_scram(c, provider, account, hash, out);
    int rc = mk_auth_exists(c, provider, account);
    return rc == 0 ? MK_E_UNSUPPORTED : rc == MK_E_UNSUPPORTED ? MK_E_NOTFOUND : rc;
}

static bool keys_are_sane(const struct mk_scram_keys *k, uint32_t hash) {
    return k->hash == hash && k->len == digests[hash].len && k->iterations > 0 && k->salt_len > 0 &&
           k->salt_len <= sizeof k->salt;
}

/* A salt that changed with the mechanism would tell that the account exists. */
static void take_hint(struct mk_scram_keys *fake, const struct mk_scram_keys *hint, bool is_account) {
    fake->iterations = hint->iterations;
    if (!hint->salt_len || hint->salt_len > sizeof hint->salt)
        return;
    fake->salt_len = hint->salt_len;
    if (is_account)
        memcpy(fake->salt, hint->salt, hint->salt_len);
}

/* Fills s->scram.keys, real ones or not.  0 or the error of a provider. */
MK_SUSPENDS static int find_keys(struct mk_ctx *c, struct sasl *s, struct mk_view name) {
    const struct host_type *type = s->env.host->type;
    uint32_t hash = s->mechanism->hash;
    bool hinted = false;
    int rc = MK_E_NOTFOUND;
    fake_keys(&s->scram.keys, hash, s->account ? mk_jid_bare(s->account) : name);
    for (uint32_t i = 0; i < type->auth_count && s->account && rc == MK_E_NOTFOUND; i++) {
        struct mk_scram_keys keys = { 0 };
        rc = ask(c, type->auth[i], s->account, hash, &keys);
        if (rc == 0 && !keys_are_sane(&keys, hash)) {
            log_error("A provider has unusable SCRAM keys for %s", s->account->text);
            rc = MK_E_BACKEND;
        } else if (rc == 0) {
            s->scram.keys = keys;
            s->scram.real = true;
        } else if (keys.iterations && (rc == MK_E_UNSUPPORTED || !hinted)) {
            take_hint(&s->scram.keys, &keys, rc == MK_E_UNSUPPORTED);
            hinted = true;
        }
        explicit_bzero(&keys, sizeof keys);
    }
    return rc == MK_E_NOTFOUND || rc == MK_E_UNSUPPORTED ? 0 : rc;
}

/* ---- the steps ------------------------------------------------------------------------------------------------- */

static void write_answer(struct sasl *s, struct mk_view nonce, struct buf *out) {
    struct scram *m = &s->scram;
    char salt[4 * ((sizeof m->keys.salt + 2) / 3) + 1];
    base64_encode(salt, m->keys.salt, m->keys.salt_len);
    m->both = arena_printf(&s->arena, "%.*s%s", (int)nonce.len, nonce.s, m->nonce);
    m->answer = arena_printf(&s->arena, "r=%s,s=%s,i=%u%s", m->both, salt, m->keys.iterations, m->extensions);
    buf_puts(out, m->answer);
}

MK_SUSPENDS static enum sasl_status first_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out) {
    struct first f = { 0 };
    struct mk_view name, authzid;
    if (!parse_first(in, &f) || !decode_name(&s->arena, f.name, &name) || !decode_name(&s->arena, f.authzid, &authzid))
        return malformed(s, NULL);
    enum sasl_status status = choose_binding(s, &f);
    if (status == SASL_CONTINUE)
        status = sasl_identify(s, name, authzid);
    if (status != SASL_CONTINUE)
        return status;
    s->scram.gs2 = arena_memdup(&s->arena, in.s, f.header);
    s->scram.first = arena_memdup(&s->arena, in.s + f.header, in.len - f.header);
    struct mk_view nonce = { arena_memdup(&s->arena, f.nonce.s, f.nonce.len), f.nonce.len };
    if (find_keys(c, s, name) != 0)
        return sasl_unable(s);
    write_answer(s, nonce, out);
    return SASL_CONTINUE;
}

struct final {
    struct mk_view binding, nonce, proof;
    struct mk_view signed_part; /* all before ",p=" */
};

static bool parse_final(struct mk_view in, struct final *f) {
    char c, r;
    size_t at = in.len;
    if (!utf8_valid(in.s, in.len))
        return false;
    while (at && in.s[at - 1] != ',')
        at--;
    if (!at || in.len - at < 3 || in.s[at] != 'p' || in.s[at + 1] != '=')
        return false;
    f->proof = (struct mk_view){ in.s + at + 2, in.len - at - 2 };
    f->signed_part = (struct mk_view){ in.s, at - 1 };
    in.len = at - 1;
    return take_attr(&in, &c, &f->binding) && c == 'c' && take_attr(&in, &r, &f->nonce) && r == 'r' &&
           skip_extensions(in);
}

static bool same_text(struct mk_view a, const char *b) {
    return strlen(b) == a.len && equal_secret(a.s, b, a.len);
}

/* Base64 of the GS2 header as the client sent it and of what binds the channel. */
static const char *expected_binding(struct sasl *s) {
    const struct scram *m = &s->scram;
    size_t header = strlen(m->gs2), data = m->binding ? m->binding->len : 0;
    char *bytes = arena_alloc(&s->arena, header + data + 1);
    char *text = arena_alloc(&s->arena, 4 * ((header + data + 2) / 3) + 1);
    memcpy(bytes, m->gs2, header);
    if (data)
        memcpy(bytes + header, m->binding->data, data);
    base64_encode(text, bytes, header + data);
    return text;
}

static bool read_proof(struct mk_view text, size_t len, uint8_t proof[DIGEST_MAX]) {
    uint8_t room[DIGEST_MAX + 3];
    if (text.len != 4 * ((len + 2) / 3) || base64_decode(room, text.s, text.len) != (ssize_t)len)
        return false;
    memcpy(proof, room, len);
    return true;
}

/* The client proves its key: H(proof XOR HMAC(StoredKey, auth)) is StoredKey. */
static bool proof_fits(const struct scram *m, const char *auth, const uint8_t *proof) {
    const struct digest *d = &digests[m->keys.hash];
    uint8_t key[DIGEST_MAX], stored[DIGEST_MAX];
    gnutls_hmac_fast(d->mac, m->keys.stored_key, d->len, auth, strlen(auth), key);
    for (uint32_t i = 0; i < d->len; i++)
        key[i] ^= proof[i];
    gnutls_hash_fast(d->hash, key, d->len, stored);
    bool same = equal_secret(stored, m->keys.stored_key, d->len);
    explicit_bzero(key, sizeof key);
    explicit_bzero(stored, sizeof stored);
    return same && m->real;
}

static void write_signature(const struct scram *m, const char *auth, struct buf *out) {
    const struct digest *d = &digests[m->keys.hash];
    uint8_t signature[DIGEST_MAX];
    char text[4 * ((DIGEST_MAX + 2) / 3) + 1];
    gnutls_hmac_fast(d->mac, m->keys.server_key, d->len, auth, strlen(auth), signature);
    base64_encode(text, signature, d->len);
    buf_printf(out, "v=%s", text);
}

static enum sasl_status final_step(struct sasl *s, struct mk_view in, struct buf *out) {
    struct scram *m = &s->scram;
    struct final f;
    uint8_t proof[DIGEST_MAX];
    if (!parse_final(in, &f) || !read_proof(f.proof, m->keys.len, proof))
        return malformed(s, NULL);
    if (!same_text(f.nonce, m->both))
        return sasl_fail(s, "not-authorized", "The nonce is another");
    if (!same_text(f.binding, expected_binding(s)))
        return sasl_fail(s, "not-authorized", "The channel binding does not match");
    const char *auth =
        arena_printf(&s->arena, "%s,%s,%.*s", m->first, m->answer, (int)f.signed_part.len, f.signed_part.s);
    if (!proof_fits(m, auth, proof))
        return sasl_fail(s, "not-authorized", NULL);
    write_signature(m, auth, out);
    return SASL_SUCCESS;
}

enum sasl_status scram_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out) {
    return s->scram.answer ? final_step(s, in, out) : first_step(c, s, in, out);
}
