/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts in a collection: SCRAM keys under a salt, never a password. */
#include <gnutls/crypto.h>
#include <meerkat/auth.h>
#include <meerkat/plugin.h>
#include <string.h>
#include <stringprep.h>
#include <strings.h>

enum { SALT_LEN = 16, PASSWORD_MAX = 1023, DIGEST_MAX = 64, MAX_ITERATIONS = 10000000 };

struct auth_internal {
    int64_t iterations, min_length;
    struct mk_texts hashes;
    uint32_t caps; /* MK_AUTH_SCRAM_... of HASHES */
    const struct mk_coll *accounts;
};

enum {
    COL_HOST,
    COL_USERNAME,
    COL_CREATED,
    COL_CHANGED,
    COL_ITERATIONS,
    COL_SALT,
    COL_STORED_1,
    COL_SERVER_1,
    COL_STORED_256,
    COL_SERVER_256,
    COL_STORED_512,
    COL_SERVER_512,
    COL_ITERATIONS_1,
    COL_SALT_1,
    COL_ITERATIONS_256,
    COL_SALT_256,
    COL_ITERATIONS_512,
    COL_SALT_512,
    COL_COUNT
};
enum { M_CREATED, M_REMOVED };

/* By mk_scram_hash, weakest first. */
static const struct hash {
    const char *name;
    gnutls_mac_algorithm_t mac;
    gnutls_digest_algorithm_t digest;
    uint32_t len, cap;
    unsigned stored, server, iterations, salt; /* columns; the last two are null if it shares those of all */
} hashes[] = {
    [MK_SHA_1] = { "sha-1", GNUTLS_MAC_SHA1, GNUTLS_DIG_SHA1, 20, MK_AUTH_SCRAM_SHA_1, COL_STORED_1, COL_SERVER_1,
                   COL_ITERATIONS_1, COL_SALT_1 },
    [MK_SHA_256] = { "sha-256", GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256, 32, MK_AUTH_SCRAM_SHA_256, COL_STORED_256,
                     COL_SERVER_256, COL_ITERATIONS_256, COL_SALT_256 },
    [MK_SHA_512] = { "sha-512", GNUTLS_MAC_SHA512, GNUTLS_DIG_SHA512, 64, MK_AUTH_SCRAM_SHA_512, COL_STORED_512,
                     COL_SERVER_512, COL_ITERATIONS_512, COL_SALT_512 },
};
enum { HASHES = sizeof hashes / sizeof hashes[0] };

/* ---- hashing, in a thread of the pool -------------------------------------------------------------------------- */

struct keys {
    uint8_t stored[DIGEST_MAX], server[DIGEST_MAX];
};
struct job {
    const char *password; /* as typed */
    int64_t min_length;   /* in characters */
    uint32_t iterations;
    uint32_t wanted; /* MK_AUTH_SCRAM_... */
    uint8_t salt[DIGEST_MAX];
    uint32_t salt_len;
    struct keys keys[HASHES]; /* result */
    int rc;
};

/* SASLprep as of a query: characters newer than its Unicode 3.2 are let through, as clients do. */
static int prepare(const char *password, char out[PASSWORD_MAX + 1]) {
    size_t len = strlen(password);
    bool plain = true;
    if (!len || len > PASSWORD_MAX)
        return MK_E_INVALID;
    memcpy(out, password, len + 1);
    for (size_t i = 0; i < len; i++)
        plain &= out[i] >= ' ' && out[i] <= '~';
    if (!plain && stringprep(out, PASSWORD_MAX + 1, 0, stringprep_saslprep) != STRINGPREP_OK)
        return MK_E_INVALID;
    return *out ? 0 : MK_E_INVALID;
}

static int64_t characters(const char *text) {
    int64_t n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static int derive(const struct hash *h, const struct job *j, const char *password, struct keys *out) {
    uint8_t salted[DIGEST_MAX], client[DIGEST_MAX];
    const gnutls_datum_t key = { (unsigned char *)password, (unsigned)strlen(password) };
    const gnutls_datum_t salt = { (unsigned char *)j->salt, j->salt_len };
    bool failed = gnutls_pbkdf2(h->mac, &key, &salt, j->iterations, salted, h->len) < 0 ||
                  gnutls_hmac_fast(h->mac, salted, h->len, "Client Key", 10, client) < 0 ||
                  gnutls_hash_fast(h->digest, client, h->len, out->stored) < 0 ||
                  gnutls_hmac_fast(h->mac, salted, h->len, "Server Key", 10, out->server) < 0;
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client, sizeof client);
    return failed ? MK_E_BACKEND : 0;
}

static void run_job(void *arg) {
    struct job *j = arg;
    char password[PASSWORD_MAX + 1];
    j->rc = prepare(j->password, password);
    if (j->rc == 0 && characters(password) < j->min_length)
        j->rc = MK_E_LIMIT;
    for (size_t i = 0; i < HASHES && j->rc == 0; i++)
        if (j->wanted & hashes[i].cap)
            j->rc = derive(&hashes[i], j, password, &j->keys[i]);
    explicit_bzero(password, sizeof password);
}

MK_SUSPENDS static int hash_password(struct mk_ctx *c, struct job *j) {
    int rc = mk_offload(c, run_job, j);
    return rc ? rc : j->rc;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS static int get(struct mk_ctx *c, const struct mk_jid *account, const struct mk_row **out) {
    const struct auth_internal *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_view(mk_jid_domain(account)), mk_v_view(mk_jid_local(account)) };
    return mk_jid_local(account).len ? mk_get(c, me->accounts, key, out) : MK_E_NOTFOUND;
}

static bool has_keys(const struct mk_row *row, const struct hash *h) {
    return mk_row_bytes(row, h->stored).len == h->len && mk_row_bytes(row, h->server).len == h->len;
}

static bool is_sane(size_t salt, int64_t iterations) {
    return salt >= 1 && salt <= DIGEST_MAX && iterations >= 1 && iterations <= MAX_ITERATIONS;
}

/* The columns that the salt and iterations of H are in. */
static unsigned salt_col(const struct mk_row *row, const struct hash *h) {
    return mk_row_is_null(row, h->salt) ? (unsigned)COL_SALT : h->salt;
}
static unsigned iterations_col(const struct mk_row *row, const struct hash *h) {
    return mk_row_is_null(row, h->iterations) ? (unsigned)COL_ITERATIONS : h->iterations;
}

static bool row_is_sane(const struct mk_row *row) {
    bool sane = is_sane(mk_row_bytes(row, COL_SALT).len, mk_row_int(row, COL_ITERATIONS));
    for (size_t i = 0; i < HASHES; i++)
        sane &=
            is_sane(mk_row_bytes(row, salt_col(row, &hashes[i])).len, mk_row_int(row, iterations_col(row, &hashes[i])));
    return sane;
}

/* Makes the row of ACCOUNT with keys of PASSWORD into ROW; what it points to is the turn's. */
MK_SUSPENDS static int make_row(struct mk_ctx *c, const struct mk_jid *account, const char *password, int64_t created,
                                struct mk_value row[COL_COUNT]) {
    const struct auth_internal *me = mk_inst(c);
    struct job *j = mk_alloc(c, sizeof *j);
    *j = (struct job){ .password = password, .min_length = me->min_length, .wanted = me->caps };
    j->iterations = (uint32_t)me->iterations;
    j->salt_len = SALT_LEN;
    mk_random(j->salt, SALT_LEN);
    int rc = hash_password(c, j);
    if (rc)
        return rc;
    row[COL_HOST] = mk_v_view(mk_jid_domain(account));
    row[COL_USERNAME] = mk_v_view(mk_jid_local(account));
    row[COL_CREATED] = mk_v_time(created ? created : mk_now(c));
    row[COL_CHANGED] = mk_v_time(mk_now(c));
    row[COL_ITERATIONS] = mk_v_int(j->iterations);
    row[COL_SALT] = mk_v_bytes(j->salt, SALT_LEN);
    for (size_t i = 0; i < HASHES; i++) {
        const struct hash *h = &hashes[i];
        bool has = j->wanted & h->cap;
        row[h->stored] = has ? mk_v_bytes(j->keys[i].stored, h->len) : mk_v_null();
        row[h->server] = has ? mk_v_bytes(j->keys[i].server, h->len) : mk_v_null();
        row[h->iterations] = row[h->salt] = mk_v_null();
    }
    return 0;
}

/* ---- operations ------------------------------------------------------------------------------------------------ */

MK_SUSPENDS static int exists(struct mk_ctx *c, const struct mk_jid *account) {
    const struct mk_row *row;
    return get(c, account, &row);
}

static void copy_salt(const struct mk_row *row, const struct hash *h, struct mk_scram_keys *out) {
    struct mk_view salt = mk_row_bytes(row, salt_col(row, h));
    out->iterations = (uint32_t)mk_row_int(row, iterations_col(row, h));
    out->salt_len = (uint32_t)salt.len;
    memcpy(out->salt, salt.s, salt.len);
}

MK_SUSPENDS static int scram(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash, struct mk_scram_keys *out) {
    const struct auth_internal *me = mk_inst(c);
    const struct mk_row *row;
    if (hash >= HASHES)
        return MK_E_UNSUPPORTED;
    const struct hash *h = &hashes[hash];
    *out = (struct mk_scram_keys){ .hash = hash, .len = h->len };
    int rc = get(c, account, &row);
    if (rc == MK_E_NOTFOUND) {
        out->iterations = (uint32_t)me->iterations;
        out->salt_len = SALT_LEN;
    }
    if (rc)
        return rc;
    if (!row_is_sane(row)) {
        mk_log(c, MK_ERROR, "The row of %s in collection accounts is damaged", mk_jid_text(account));
        return MK_E_BACKEND;
    }
    copy_salt(row, h, out);
    if (!has_keys(row, h))
        return MK_E_UNSUPPORTED;
    memcpy(out->stored_key, mk_row_bytes(row, h->stored).s, h->len);
    memcpy(out->server_key, mk_row_bytes(row, h->server).s, h->len);
    return 0;
}

static const struct hash *strongest(uint32_t caps, const struct mk_row *row) {
    for (size_t i = HASHES; i-- > 0;)
        if (row ? has_keys(row, &hashes[i]) : (caps & hashes[i].cap) != 0)
            return &hashes[i];
    return NULL;
}

/* Nobody's password takes as long to check as anybody's. */
MK_SUSPENDS static int check_nobody(struct mk_ctx *c, const char *password) {
    const struct auth_internal *me = mk_inst(c);
    struct job j = { .password = password, .iterations = (uint32_t)me->iterations, .salt_len = SALT_LEN };
    j.wanted = strongest(me->caps, NULL)->cap;
    int rc = mk_offload(c, run_job, &j);
    explicit_bzero(&j, sizeof j);
    return rc ? rc : MK_E_NOTFOUND;
}

MK_SUSPENDS static int check_password(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    const struct mk_row *row;
    int rc = get(c, account, &row);
    if (rc == MK_E_NOTFOUND)
        return check_nobody(c, password);
    if (rc)
        return rc;
    const struct hash *h = strongest(0, row);
    if (!h || !row_is_sane(row)) {
        mk_log(c, MK_ERROR, "The row of %s in collection accounts is damaged", mk_jid_text(account));
        return MK_E_BACKEND;
    }
    struct mk_scram_keys salt;
    copy_salt(row, h, &salt);
    struct job j = { .password = password, .iterations = salt.iterations, .wanted = h->cap };
    memcpy(j.salt, salt.salt, salt.salt_len);
    j.salt_len = salt.salt_len;
    rc = hash_password(c, &j);
    bool same = gnutls_memcmp(j.keys[h - hashes].stored, mk_row_bytes(row, h->stored).s, h->len) == 0;
    explicit_bzero(&j, sizeof j);
    return rc == MK_E_INVALID ? MK_E_DENIED : rc ? rc : same ? 0 : MK_E_DENIED;
}

MK_SUSPENDS static int set_password(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    const struct auth_internal *me = mk_inst(c);
    struct mk_value values[COL_COUNT];
    const struct mk_row *row;
    int rc = get(c, account, &row);
    if (rc)
        return rc;
    int64_t changed = mk_row_int(row, COL_CHANGED);
    rc = make_row(c, account, password, mk_row_int(row, COL_CREATED), values);
    /* Not a plain put: an account removed meanwhile must not come back. */
    return rc ? rc : mk_put_if(c, me->accounts, COL_CHANGED, mk_v_time(changed), values);
}

/* They share the salt of all. */
MK_SUSPENDS static int add_keys(struct mk_ctx *c, const struct mk_jid *account, const struct mk_scram_keys *keys) {
    const struct auth_internal *me = mk_inst(c);
    struct mk_value values[COL_COUNT];
    const struct mk_row *row;
    if (keys->hash >= HASHES)
        return MK_E_UNSUPPORTED;
    const struct hash *h = &hashes[keys->hash];
    int rc = get(c, account, &row);
    if (rc)
        return rc;
    struct mk_view salt = mk_row_bytes(row, COL_SALT);
    if (has_keys(row, h) || keys->len != h->len || keys->iterations != mk_row_int(row, COL_ITERATIONS) ||
        salt.len != keys->salt_len || memcmp(salt.s, keys->salt, salt.len) != 0)
        return MK_E_CONFLICT;
    values[COL_HOST] = mk_v_view(mk_jid_domain(account));
    values[COL_USERNAME] = mk_v_view(mk_jid_local(account));
    values[COL_CREATED] = mk_v_time(mk_row_int(row, COL_CREATED));
    values[COL_CHANGED] = mk_v_time(mk_row_int(row, COL_CHANGED));
    values[COL_ITERATIONS] = mk_v_int(keys->iterations);
    values[COL_SALT] = mk_v_bytes(salt.s, salt.len);
    for (unsigned i = COL_STORED_1; i < COL_COUNT; i++)
        values[i] = mk_row_is_null(row, i) ? mk_v_null()
                    : i >= COL_ITERATIONS_1 && (i - COL_ITERATIONS_1) % 2 == 0
                        ? mk_v_int(mk_row_int(row, i))
                        : mk_v_bytes(mk_row_bytes(row, i).s, mk_row_bytes(row, i).len);
    values[h->stored] = mk_v_bytes(keys->stored_key, h->len);
    values[h->server] = mk_v_bytes(keys->server_key, h->len);
    return mk_put_if(c, me->accounts, COL_CHANGED, mk_v_time(mk_row_int(row, COL_CHANGED)), values);
}

MK_SUSPENDS static int create(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    const struct auth_internal *me = mk_inst(c);
    struct mk_value values[COL_COUNT];
    const struct mk_row *row;
    if (!mk_jid_local(account).len)
        return MK_E_JID;
    int rc = get(c, account, &row);
    if (rc != MK_E_NOTFOUND)
        return rc ? rc : MK_E_CONFLICT;
    rc = make_row(c, account, password, 0, values);
    if (rc == 0)
        rc = mk_put_now(c, me->accounts, MK_IF_ABSENT, values);
    if (rc == 0)
        mk_count(c, M_CREATED, 1);
    return rc;
}

/* ---- keys of another server ------------------------------------------------------------------------------------ */

static bool keys_are_sane(const struct mk_scram_keys *keys, uint32_t count) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].hash >= HASHES || seen & 1u << keys[i].hash || keys[i].len != hashes[keys[i].hash].len ||
            !is_sane(keys[i].salt_len, keys[i].iterations))
            return false;
        seen |= 1u << keys[i].hash;
    }
    return count > 0;
}

/* The salt of the strongest becomes that of all; another hash with another one has it beside its keys. */
static void fill_keys(struct mk_value row[COL_COUNT], const struct mk_scram_keys *keys, uint32_t count) {
    const struct mk_scram_keys *top = &keys[0];
    for (uint32_t i = 1; i < count; i++)
        top = keys[i].hash > top->hash ? &keys[i] : top;
    row[COL_ITERATIONS] = mk_v_int(top->iterations);
    row[COL_SALT] = mk_v_bytes(top->salt, top->salt_len);
    for (unsigned i = COL_STORED_1; i < COL_COUNT; i++)
        row[i] = mk_v_null();
    for (uint32_t i = 0; i < count; i++) {
        const struct mk_scram_keys *k = &keys[i];
        const struct hash *h = &hashes[k->hash];
        row[h->stored] = mk_v_bytes(k->stored_key, k->len);
        row[h->server] = mk_v_bytes(k->server_key, k->len);
        if (k->salt_len == top->salt_len && memcmp(k->salt, top->salt, k->salt_len) == 0 &&
            k->iterations == top->iterations)
            continue;
        row[h->salt] = mk_v_bytes(k->salt, k->salt_len);
        row[h->iterations] = mk_v_int(k->iterations);
    }
}

MK_SUSPENDS static int put_keys(struct mk_ctx *c, const struct mk_jid *account, const struct mk_scram_keys *keys,
                                uint32_t count) {
    const struct auth_internal *me = mk_inst(c);
    struct mk_value values[COL_COUNT];
    const struct mk_row *row;
    if (!mk_jid_local(account).len || !keys_are_sane(keys, count))
        return MK_E_INVALID;
    int rc = get(c, account, &row);
    if (rc && rc != MK_E_NOTFOUND)
        return rc;
    bool there = rc == MK_OK;
    values[COL_HOST] = mk_v_view(mk_jid_domain(account));
    values[COL_USERNAME] = mk_v_view(mk_jid_local(account));
    values[COL_CREATED] = mk_v_time(there ? mk_row_int(row, COL_CREATED) : mk_now(c));
    values[COL_CHANGED] = mk_v_time(mk_now(c));
    fill_keys(values, keys, count);
    if (there)
        return mk_put_if(c, me->accounts, COL_CHANGED, mk_v_time(mk_row_int(row, COL_CHANGED)), values);
    rc = mk_put_now(c, me->accounts, MK_IF_ABSENT, values);
    if (rc == MK_OK)
        mk_count(c, M_CREATED, 1);
    return rc;
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int remove_account(struct mk_ctx *c, const struct mk_jid *account) {
    const struct auth_internal *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_view(mk_jid_domain(account)), mk_v_view(mk_jid_local(account)) };
    if (!mk_jid_local(account).len)
        return MK_E_NOTFOUND;
    int rc = mk_del(c, me->accounts, key);
    if (rc == 0)
        mk_count(c, M_REMOVED, 1);
    return rc;
}

MK_SUSPENDS static int list(struct mk_ctx *c, const char *after, uint32_t limit, struct mk_auth_page *out) {
    const struct auth_internal *me = mk_inst(c);
    const struct mk_value host = mk_v_view(mk_jid_domain(mk_host(c)));
    const struct mk_value lo = mk_v_text(after);
    const struct mk_rows *rows;
    *out = (struct mk_auth_page){ NULL, 0, 0 };
    if (!limit)
        return 0;
    int rc = mk_scan(
        c, me->accounts,
        MK_SCAN(.partition = &host, .lo = &lo, .lo_count = after ? 1 : 0, .flags = MK_SCAN_LO_OPEN, .limit = limit),
        &rows);
    if (rc)
        return rc;
    out->count = (uint32_t)mk_rows_count(rows);
    const char **names = mk_alloc(c, (out->count + 1) * sizeof *names);
    for (uint32_t i = 0; i < out->count; i++)
        names[i] = mk_row_text(mk_rows_at(rows, i), COL_USERNAME);
    out->names = names;
    return 0;
}

static uint32_t narrow(const void *inst) {
    const struct auth_internal *me = inst;
    return me->caps | MK_AUTH_PASSWORD | MK_AUTH_WRITE | MK_AUTH_LIST;
}

/* ---- rows of the plugin ---------------------------------------------------------------------------------------- */

static const struct mk_auth_ops ops = {
    .size = sizeof ops,
    .caps = MK_AUTH_SCRAM_SHA_1 | MK_AUTH_SCRAM_SHA_256 | MK_AUTH_SCRAM_SHA_512 | MK_AUTH_PASSWORD | MK_AUTH_WRITE |
            MK_AUTH_LIST,
    .exists = exists,
    .scram = scram,
    .check_password = check_password,
    .set_password = set_password,
    .create = create,
    .remove = remove_account,
    .list = list,
    .narrow = narrow,
    .add_keys = add_keys,
    .put_keys = put_keys,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_auth, 1, 0, &ops, "Accounts kept in a collection of any storage backend."),
};

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(
        struct auth_internal, iterations, "10000", 4096, MAX_ITERATIONS, MK_OPT_LIVE,
        "Iterations of PBKDF2 for a password that is set from now on. More make a stolen database harder to use, "
        "and every login slower for the client."),
    MK_OPT_TEXTS(struct auth_internal, hashes, "sha-1, sha-256, sha-512", 0,
                 "Hashes to keep SCRAM keys for: \"sha-1\", \"sha-256\", \"sha-512\". Only "
                 "their mechanisms are offered."),
    MK_OPT_INT(struct auth_internal, min_length, "0", 0, PASSWORD_MAX, MK_OPT_LIVE,
               "Least number of characters of a password that is set from now on."),
};

static const struct mk_col_decl account_cols[] = {
    [COL_HOST] = { "host", MK_C_TEXT, MK_COL_PARTITION, "Domain of the account." },
    [COL_USERNAME] = { "username", MK_C_TEXT, MK_COL_SORT, "Local part of the account, prepared." },
    [COL_CREATED] = { "created", MK_C_TIME, 0, "When the account was made." },
    [COL_CHANGED] = { "changed", MK_C_TIME, 0, "When the password was set." },
    [COL_ITERATIONS] = { "iterations", MK_C_INT, 0, "Iterations of PBKDF2 for them." },
    [COL_SALT] = { "salt", MK_C_BYTES, 0, "Salt of the hashes that have none of their own." },
    [COL_STORED_1] = { "stored_sha1", MK_C_BYTES, MK_COL_NULL, "StoredKey of SCRAM-SHA-1." },
    [COL_SERVER_1] = { "server_sha1", MK_C_BYTES, MK_COL_NULL, "ServerKey of SCRAM-SHA-1." },
    [COL_STORED_256] = { "stored_sha256", MK_C_BYTES, MK_COL_NULL, "StoredKey of SCRAM-SHA-256." },
    [COL_SERVER_256] = { "server_sha256", MK_C_BYTES, MK_COL_NULL, "ServerKey of SCRAM-SHA-256." },
    [COL_STORED_512] = { "stored_sha512", MK_C_BYTES, MK_COL_NULL, "StoredKey of SCRAM-SHA-512." },
    [COL_SERVER_512] = { "server_sha512", MK_C_BYTES, MK_COL_NULL, "ServerKey of SCRAM-SHA-512." },
    [COL_ITERATIONS_1] = { "iterations_sha1", MK_C_INT, MK_COL_NULL, "Iterations of SHA-1, of keys that were moved." },
    [COL_SALT_1] = { "salt_sha1", MK_C_BYTES, MK_COL_NULL, "Their salt." },
    [COL_ITERATIONS_256] = { "iterations_sha256", MK_C_INT, MK_COL_NULL, "The same of SHA-256." },
    [COL_SALT_256] = { "salt_sha256", MK_C_BYTES, MK_COL_NULL, "Their salt." },
    [COL_ITERATIONS_512] = { "iterations_sha512", MK_C_INT, MK_COL_NULL, "The same of SHA-512." },
    [COL_SALT_512] = { "salt_sha512", MK_C_BYTES, MK_COL_NULL, "Their salt." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct auth_internal, accounts, "accounts", 2, 0, 0, account_cols, MK_NO_INDEX,
                  "Accounts with their SCRAM keys."),
};

static const struct mk_metric_decl metrics[] = {
    [M_CREATED] = { "accounts_created", MK_COUNTER, 0, "", "Accounts made." },
    [M_REMOVED] = { "accounts_removed", MK_COUNTER, 0, "", "Accounts removed." },
};

static const struct hash *hash_named(const char *name) {
    for (size_t i = 0; i < HASHES; i++)
        if (strcasecmp(hashes[i].name, name) == 0)
            return &hashes[i];
    return NULL;
}

static int start(void *inst, struct mk_err *err) {
    struct auth_internal *me = inst;
    for (uint32_t i = 0; i < me->hashes.count; i++) {
        const struct hash *h = hash_named(me->hashes.items[i]);
        if (!h)
            return mk_fail(err, MK_E_INVALID, "There is no hash \"%s\"; use \"sha-1\", \"sha-256\" or \"sha-512\".",
                           me->hashes.items[i]);
        me->caps |= h->cap;
    }
    if (!me->caps)
        me->caps = MK_AUTH_SCRAM_SHA_1 | MK_AUTH_SCRAM_SHA_256 | MK_AUTH_SCRAM_SHA_512;
    return 0;
}

MK_PLUGIN(auth_internal, .version = "1.0", .summary = "Accounts in the server's own storage",
          .inst_size = sizeof(struct auth_internal), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .collections = MK_TABLE(collections), .metrics = MK_TABLE(metrics), .start = start);
