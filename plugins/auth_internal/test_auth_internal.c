/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's own code with a stand-in for the server: one collection in memory, and a pool thread that runs at once.
 * Nothing of the server is linked.
 */
#define MK_STATIC
#include "auth_internal.c"
#include "check.h"
#include <stdarg.h>

/* ---- the stand-in ------------------------------------------------------------------------------------------------ */

struct mk_jid {
    const char *local, *domain;
};
struct mk_row {
    struct mk_value values[COL_COUNT];
};
enum { ROWS = 20 };
struct mk_rows {
    const struct mk_row *rows[ROWS];
    size_t count;
};
struct mk_err {
    char text[200];
};

static struct {
    struct auth_internal inst;
    struct mk_row rows[ROWS]; /* in the order they were written */
    size_t row_count;
    void *lent[1000]; /* freed by reset() */
    size_t lent_count;
    int store_rc, offload_rc;
    unsigned offloads, errors;
    struct job last;         /* as the pool got it */
    void (*meanwhile)(void); /* while the pool works */
    int64_t now, metrics[2];
    struct mk_jid host;
} fake;

static void *lend(size_t size) {
    CHECK(fake.lent_count < 1000);
    return fake.lent[fake.lent_count++] = calloc(1, size ? size : 1);
}
static struct mk_ctx *ctx(void) {
    return (struct mk_ctx *)&fake;
}

const void *mk_inst(const struct mk_ctx *c) {
    (void)c;
    return &fake.inst;
}
void *mk_alloc(struct mk_ctx *c, size_t size) {
    (void)c;
    return lend(size);
}
int64_t mk_now(const struct mk_ctx *c) {
    (void)c;
    return fake.now;
}
const struct mk_jid *mk_host(const struct mk_ctx *c) {
    (void)c;
    return &fake.host;
}
void mk_log(struct mk_ctx *c, enum mk_level level, const char *fmt, ...) {
    (void)c;
    (void)fmt;
    fake.errors += level == MK_ERROR;
}
void mk_count(struct mk_ctx *c, unsigned index, int64_t by) {
    (void)c;
    fake.metrics[index] += by;
}
int mk_fail(struct mk_err *err, enum mk_rc rc, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return rc;
}

/* The salt of the example in RFC 7677. */
static const uint8_t known_salt[16] = { 0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                        0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81 };
void mk_random(void *out, size_t size) {
    CHECK_INT(size, sizeof known_salt);
    memcpy(out, known_salt, size);
}

int mk_offload(struct mk_ctx *c, void (*fn)(void *arg), void *arg) {
    (void)c;
    fake.offloads++;
    fake.last = *(struct job *)arg;
    if (fake.offload_rc)
        return fake.offload_rc;
    fn(arg);
    if (fake.meanwhile)
        fake.meanwhile();
    return 0;
}

struct mk_view mk_jid_local(const struct mk_jid *jid) {
    return (struct mk_view){ jid->local, strlen(jid->local) };
}
struct mk_view mk_jid_domain(const struct mk_jid *jid) {
    return (struct mk_view){ jid->domain, strlen(jid->domain) };
}
const char *mk_jid_text(const struct mk_jid *jid) {
    return jid->local;
}

struct mk_value mk_v_text(const char *s) {
    return s ? mk_v_view((struct mk_view){ s, strlen(s) }) : mk_v_null();
}
size_t mk_rows_count(const struct mk_rows *rows) {
    return rows->count;
}
const struct mk_row *mk_rows_at(const struct mk_rows *rows, size_t i) {
    return rows->rows[i];
}
bool mk_row_is_null(const struct mk_row *row, unsigned col) {
    return row->values[col].type == MK_V_NULL;
}
int64_t mk_row_int(const struct mk_row *row, unsigned col) {
    CHECK(row->values[col].type == MK_C_INT || row->values[col].type == MK_C_TIME);
    return row->values[col].u.i;
}
const char *mk_row_text(const struct mk_row *row, unsigned col) {
    CHECK_INT(row->values[col].type, MK_C_TEXT);
    return row->values[col].u.s;
}
struct mk_view mk_row_bytes(const struct mk_row *row, unsigned col) {
    if (row->values[col].type == MK_V_NULL)
        return (struct mk_view){ NULL, 0 };
    CHECK_INT(row->values[col].type, MK_C_BYTES);
    return (struct mk_view){ row->values[col].u.s, row->values[col].len };
}

static bool same_value(const struct mk_value *a, const struct mk_value *b) {
    return a->type == b->type && a->len == b->len && memcmp(a->u.s, b->u.s, a->len) == 0;
}
static struct mk_row *find(const struct mk_value *key) {
    for (size_t i = 0; i < fake.row_count; i++)
        if (same_value(&fake.rows[i].values[COL_HOST], &key[0]) &&
            same_value(&fake.rows[i].values[COL_USERNAME], &key[1]))
            return &fake.rows[i];
    return NULL;
}
static void store(struct mk_row *to, const struct mk_value *values) {
    for (unsigned i = 0; i < COL_COUNT; i++) {
        struct mk_value v = values[i];
        CHECK(v.type == account_cols[i].type || (v.type == MK_V_NULL && (account_cols[i].flags & MK_COL_NULL)));
        if (v.type == MK_C_TEXT || v.type == MK_C_BYTES) {
            char *copy = lend(v.len + 1);
            memcpy(copy, v.u.s, v.len);
            v.u.s = copy;
        }
        to->values[i] = v;
    }
}

int mk_get(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key, const struct mk_row **out) {
    (void)c;
    CHECK(coll == fake.inst.accounts);
    if (fake.store_rc)
        return fake.store_rc;
    const struct mk_row *row = find(key);
    if (!row)
        return MK_E_NOTFOUND;
    struct mk_row *copy = lend(sizeof *copy);
    store(copy, row->values);
    *out = copy;
    return 0;
}
int mk_put_now(struct mk_ctx *c, const struct mk_coll *coll, enum mk_put_mode mode, const struct mk_value *row) {
    (void)c;
    CHECK(coll == fake.inst.accounts);
    CHECK_INT(mode, MK_IF_ABSENT);
    if (find(row))
        return MK_E_CONFLICT;
    CHECK(fake.row_count < ROWS);
    store(&fake.rows[fake.row_count++], row);
    return 0;
}
int mk_put_if(struct mk_ctx *c, const struct mk_coll *coll, unsigned col, struct mk_value old,
              const struct mk_value *row) {
    (void)c;
    (void)coll;
    struct mk_row *had = find(row);
    if (!had)
        return MK_E_NOTFOUND;
    if (had->values[col].type != old.type || had->values[col].u.i != old.u.i)
        return MK_E_CONFLICT;
    store(had, row);
    return 0;
}
int mk_del(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key) {
    (void)c;
    (void)coll;
    struct mk_row *row = find(key);
    if (!row)
        return MK_E_NOTFOUND;
    *row = fake.rows[--fake.row_count];
    return 0;
}
int mk_scan(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_scan *what, const struct mk_rows **out) {
    struct mk_rows *rows = lend(sizeof *rows);
    (void)c;
    (void)coll;
    CHECK(what->limit > 0);
    CHECK_INT(what->flags, MK_SCAN_LO_OPEN);
    for (const char *last = what->lo_count ? what->lo->u.s : ""; rows->count < what->limit;) {
        const struct mk_row *next = NULL;
        for (size_t i = 0; i < fake.row_count; i++) {
            const struct mk_row *row = &fake.rows[i];
            const char *name = row->values[COL_USERNAME].u.s;
            if (same_value(&row->values[COL_HOST], what->partition) && strcmp(name, last) > 0 &&
                (!next || strcmp(name, next->values[COL_USERNAME].u.s) < 0))
                next = row;
        }
        if (!next)
            break;
        rows->rows[rows->count++] = next;
        last = next->values[COL_USERNAME].u.s;
    }
    *out = rows;
    return fake.store_rc;
}

static void reset(void) {
    static struct mk_err err;
    while (fake.lent_count)
        free(fake.lent[--fake.lent_count]);
    memset(&fake, 0, sizeof fake);
    fake.inst.iterations = 4096;
    fake.inst.accounts = (const struct mk_coll *)&fake.inst;
    fake.host = (struct mk_jid){ "", "example.org" };
    fake.now = 1000;
    CHECK_INT(start(&fake.inst, &err), 0);
}

static const struct mk_jid user = { "user", "example.org" };
static const struct mk_jid elsewhere = { "user", "example.com" };
static const struct mk_jid nobody = { "nobody", "example.org" };

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static void check_hex(const uint8_t *got, size_t len, const char *want) {
    char hex[2 * DIGEST_MAX + 1] = "";
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", got[i]);
    CHECK_TEXT(hex, want);
}

/* The keys of "pencil", computed with Python's hashlib. */
static const char *const want_stored[] = {
    "836a44cd7dad31aa226f14c3e187c1264ab5cbcc",
    "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6",
    ("e8002e6f7d3ae446119b216933644dc2a2be7869eb918b8459b5e7d7d2ec1260"
     "6aceef106825cd735170a675fd3611f684affad1dce3f43a0ee43bd590e1dbbe"),
};
static const char *const want_server[] = {
    "64690d8ec98ac155f90b9cfcd2f1b11d9d368ce2",
    "c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5",
    ("8d91db6230b5687874fe129bc7206e1858c3ae08e02934f57ac03b6b05a229c4"
     "59d28ff46f5c9611e6c179256490215ec1ff759cb0df285db89af0f99e613aac"),
};

static void keys(void) {
    static const uint32_t lens[] = { 20, 32, 64 };
    reset();
    CHECK_INT(ops.exists(ctx(), &user), MK_E_NOTFOUND);
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    CHECK_INT(ops.exists(ctx(), &user), 0);
    CHECK_INT(ops.exists(ctx(), &elsewhere), MK_E_NOTFOUND);
    CHECK_INT(fake.offloads, 1);
    for (uint32_t hash = MK_SHA_1; hash <= MK_SHA_512; hash++) {
        struct mk_scram_keys k;
        CHECK_INT(ops.scram(ctx(), &user, hash, &k), 0);
        CHECK_INT(k.hash, hash);
        CHECK_INT(k.iterations, 4096);
        CHECK_INT(k.len, lens[hash]);
        check_hex(k.salt, k.salt_len, "5b6d99689d12358eeca04b141236fa81");
        check_hex(k.stored_key, k.len, want_stored[hash]);
        check_hex(k.server_key, k.len, want_server[hash]);
    }
    CHECK_INT(fake.offloads, 1); /* reading costs no hash */
}

static bool holds(const struct mk_value *v, const char *text) {
    if (v->type != MK_C_TEXT && v->type != MK_C_BYTES)
        return false;
    for (size_t i = 0; i + strlen(text) <= v->len; i++)
        if (memcmp(v->u.s + i, text, strlen(text)) == 0)
            return true;
    return false;
}

static void no_password_is_stored(void) {
    reset();
    CHECK_INT(ops.create(ctx(), &user, "a-rather-long-password"), 0);
    CHECK_INT(ops.set_password(ctx(), &user, "another-long-password"), 0);
    for (unsigned i = 0; i < COL_COUNT; i++) {
        CHECK(!holds(&fake.rows[0].values[i], "password"));
        CHECK(!holds(&fake.rows[0].values[i], "long"));
    }
}

static void creating(void) {
    reset();
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    CHECK_INT(fake.rows[0].values[COL_CREATED].u.i, 1000);
    CHECK_INT(fake.rows[0].values[COL_CHANGED].u.i, 1000);
    CHECK_INT(ops.create(ctx(), &user, "other"), MK_E_CONFLICT);
    CHECK_INT(fake.offloads, 1); /* no hash for what can't be */
    CHECK_INT(ops.create(ctx(), &elsewhere, "other"), 0);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), 0);
    CHECK_INT(ops.check_password(ctx(), &elsewhere, "pencil"), MK_E_DENIED);
    CHECK_INT(fake.metrics[M_CREATED], 2);
    const struct mk_jid bare = { "", "example.org" };
    CHECK_INT(ops.create(ctx(), &bare, "other"), MK_E_JID);
    CHECK_INT(ops.exists(ctx(), &bare), MK_E_NOTFOUND);
    CHECK_INT(ops.remove(ctx(), &bare), MK_E_NOTFOUND);
}

static void another_creates(void) {
    fake.meanwhile = NULL;
    CHECK_INT(ops.create(ctx(), &user, "theirs"), 0);
}
static void removes(void) {
    fake.meanwhile = NULL;
    CHECK_INT(ops.remove(ctx(), &user), 0);
}
static void changes(void) {
    fake.meanwhile = NULL;
    fake.now++;
    CHECK_INT(ops.set_password(ctx(), &user, "theirs"), 0);
}

static void races(void) {
    reset();
    fake.meanwhile = another_creates;
    CHECK_INT(ops.create(ctx(), &user, "mine"), MK_E_CONFLICT);
    CHECK_INT(ops.check_password(ctx(), &user, "theirs"), 0);
    CHECK_INT(fake.metrics[M_CREATED], 1);
    fake.meanwhile = changes;
    CHECK_INT(ops.set_password(ctx(), &user, "mine"), MK_E_CONFLICT);
    CHECK_INT(ops.check_password(ctx(), &user, "theirs"), 0);
    fake.meanwhile = removes;
    CHECK_INT(ops.set_password(ctx(), &user, "mine"), MK_E_NOTFOUND);
    CHECK_INT(ops.exists(ctx(), &user), MK_E_NOTFOUND); /* it does not come back */
}

static void changing(void) {
    reset();
    CHECK_INT(ops.set_password(ctx(), &user, "pencil"), MK_E_NOTFOUND);
    CHECK_INT(fake.row_count, 0);
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    fake.now = 2000;
    fake.inst.iterations = 5000;
    CHECK_INT(ops.set_password(ctx(), &user, "pen"), 0);
    CHECK_INT(fake.rows[0].values[COL_CREATED].u.i, 1000);
    CHECK_INT(fake.rows[0].values[COL_CHANGED].u.i, 2000);
    CHECK_INT(fake.rows[0].values[COL_ITERATIONS].u.i, 5000);
    CHECK_INT(ops.check_password(ctx(), &user, "pen"), 0);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), MK_E_DENIED);
    CHECK_INT(fake.metrics[M_CREATED], 1);
}

static void preparing(void) {
    char long_one[PASSWORD_MAX + 2];
    reset();
    CHECK_INT(ops.create(ctx(), &user, ""), MK_E_INVALID);
    CHECK_INT(ops.create(ctx(), &user, "be\aep"), MK_E_INVALID);
    CHECK_INT(ops.create(ctx(), &user, "\xff"), MK_E_INVALID);
    CHECK_INT(ops.create(ctx(), &user, "\xc2\xad"), MK_E_INVALID); /* a soft hyphen is nothing */
    memset(long_one, 'x', sizeof long_one);
    long_one[PASSWORD_MAX + 1] = 0;
    CHECK_INT(ops.create(ctx(), &user, long_one), MK_E_INVALID);
    CHECK_INT(fake.row_count, 0);
    CHECK_INT(ops.create(ctx(), &user, "I\xc2\xadX"), 0); /* RFC 4013, 3 */
    CHECK_INT(ops.check_password(ctx(), &user, "IX"), 0);
    CHECK_INT(ops.check_password(ctx(), &user, "\xe2\x85\xa8"), 0);
    CHECK_INT(ops.check_password(ctx(), &user, "ix"), MK_E_DENIED);
    CHECK_INT(ops.check_password(ctx(), &user, "\xff"), MK_E_DENIED);
    CHECK_INT(ops.check_password(ctx(), &user, ""), MK_E_DENIED);
    CHECK_INT(ops.set_password(ctx(), &user, ""), MK_E_INVALID);
    long_one[PASSWORD_MAX] = 0;
    CHECK_INT(ops.set_password(ctx(), &user, long_one), 0);
    CHECK_INT(ops.check_password(ctx(), &user, long_one), 0);
    CHECK_INT(ops.set_password(ctx(), &user, "\xf0\x9f\x90\xbf"), 0); /* newer than Unicode 3.2 */
    CHECK_INT(ops.check_password(ctx(), &user, "\xf0\x9f\x90\xbf"), 0);
}

static void least_length(void) {
    reset();
    fake.inst.min_length = 4;
    CHECK_INT(ops.create(ctx(), &user, "abc"), MK_E_LIMIT);
    CHECK_INT(ops.create(ctx(), &user, "\xc3\xa4\xc3\xb6\xc3\xbc"), MK_E_LIMIT); /* six bytes, three characters */
    CHECK_INT(ops.create(ctx(), &user, "\xc3\xa4\xc3\xb6\xc3\xbc!"), 0);
    fake.inst.min_length = 10; /* does not lock out who has a shorter one */
    CHECK_INT(ops.check_password(ctx(), &user, "\xc3\xa4\xc3\xb6\xc3\xbc!"), 0);
    CHECK_INT(ops.set_password(ctx(), &user, "abcdefghi"), MK_E_LIMIT);
}

static void checking_takes_the_same(void) {
    reset();
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    for (int i = 0; i < 3; i++) {
        static const int want[] = { 0, MK_E_DENIED, MK_E_NOTFOUND };
        fake.offloads = 0;
        CHECK_INT(ops.check_password(ctx(), i < 2 ? &user : &nobody, i == 0 ? "pencil" : "pen"), want[i]);
        CHECK_INT(fake.offloads, 1);
        CHECK_INT(fake.last.iterations, 4096);
        CHECK_INT(fake.last.wanted, MK_AUTH_SCRAM_SHA_512);
        CHECK_INT(fake.last.salt_len, 16);
    }
}

static void some_hashes(void) {
    static const char *const one[] = { "SHA-256" };
    static struct mk_err err;
    struct mk_scram_keys k;
    reset();
    CHECK_INT(narrow(&fake.inst), ops.caps);
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    fake.inst.caps = 0;
    fake.inst.hashes = (struct mk_texts){ one, 1 };
    CHECK_INT(start(&fake.inst, &err), 0);
    CHECK_INT(narrow(&fake.inst), MK_AUTH_SCRAM_SHA_256 | MK_AUTH_PASSWORD | MK_AUTH_WRITE | MK_AUTH_LIST);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_512, &k), 0); /* had before the option */
    CHECK_INT(ops.set_password(ctx(), &user, "pencil"), 0);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_256, &k), 0);
    check_hex(k.stored_key, k.len, want_stored[MK_SHA_256]);
    memset(&k, 0, sizeof k);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_512, &k), MK_E_UNSUPPORTED);
    CHECK_INT(k.iterations, 4096);
    check_hex(k.salt, k.salt_len, "5b6d99689d12358eeca04b141236fa81");
    CHECK_INT(ops.scram(ctx(), &user, 3, &k), MK_E_UNSUPPORTED);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), 0);
    CHECK_INT(fake.last.wanted, MK_AUTH_SCRAM_SHA_256);
    CHECK_INT(ops.check_password(ctx(), &nobody, "pencil"), MK_E_NOTFOUND);
    CHECK_INT(fake.last.wanted, MK_AUTH_SCRAM_SHA_256);
}

static void bad_hash_option(void) {
    static const char *const names[] = { "sha-1", "md5" };
    struct mk_err err = { "" };
    reset();
    fake.inst.hashes = (struct mk_texts){ names, 2 };
    CHECK_INT(start(&fake.inst, &err), MK_E_INVALID);
    CHECK(strstr(err.text, "\"md5\"") != NULL);
}

static void hints(void) {
    struct mk_scram_keys k;
    reset();
    fake.inst.iterations = 7777;
    CHECK_INT(ops.scram(ctx(), &nobody, MK_SHA_1, &k), MK_E_NOTFOUND);
    CHECK_INT(k.iterations, 7777);
    CHECK_INT(k.salt_len, 16);
}

static void store_fails(void) {
    struct mk_scram_keys k;
    struct mk_auth_page page;
    reset();
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    fake.store_rc = MK_E_TIMEOUT;
    CHECK_INT(ops.exists(ctx(), &user), MK_E_TIMEOUT);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_1, &k), MK_E_TIMEOUT);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), MK_E_TIMEOUT);
    CHECK_INT(ops.set_password(ctx(), &user, "pencil"), MK_E_TIMEOUT);
    CHECK_INT(ops.create(ctx(), &nobody, "pencil"), MK_E_TIMEOUT);
    CHECK_INT(ops.list(ctx(), NULL, 10, &page), MK_E_TIMEOUT);
    fake.store_rc = 0;
    fake.offload_rc = MK_E_CANCELLED;
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), MK_E_CANCELLED);
    CHECK_INT(ops.check_password(ctx(), &nobody, "pencil"), MK_E_CANCELLED);
    CHECK_INT(ops.set_password(ctx(), &user, "pencil"), MK_E_CANCELLED);
    CHECK_INT(ops.create(ctx(), &nobody, "pencil"), MK_E_CANCELLED);
    CHECK_INT(fake.row_count, 1);
}

static void damaged_rows(void) {
    struct mk_scram_keys k;
    reset();
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    struct mk_value *v = fake.rows[0].values;
    v[COL_STORED_512].len = 63; /* one hash is lost */
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_512, &k), MK_E_UNSUPPORTED);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_256, &k), 0);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), 0);
    v[COL_ITERATIONS].u.i = 0;
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_256, &k), MK_E_BACKEND);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), MK_E_BACKEND);
    v[COL_ITERATIONS].u.i = 4096;
    v[COL_SALT].len = 0;
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_256, &k), MK_E_BACKEND);
    v[COL_SALT].len = 16;
    v[COL_STORED_256] = v[COL_STORED_1] = mk_v_null();
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), MK_E_BACKEND);
    CHECK_INT(fake.errors, 4);
}

static void adding_keys(void) {
    struct mk_scram_keys all, k;
    reset();
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_512, &all), 0);
    CHECK_INT(ops.add_keys(ctx(), &user, &all), MK_E_CONFLICT);
    struct mk_value *v = fake.rows[0].values;
    v[COL_STORED_512] = v[COL_SERVER_512] = mk_v_null();
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_512, &k), MK_E_UNSUPPORTED);
    k = all;
    k.salt[0] ^= 1;
    CHECK_INT(ops.add_keys(ctx(), &user, &k), MK_E_CONFLICT);
    k = all;
    k.iterations++;
    CHECK_INT(ops.add_keys(ctx(), &user, &k), MK_E_CONFLICT);
    CHECK_INT(ops.add_keys(ctx(), &elsewhere, &all), MK_E_NOTFOUND);
    CHECK_INT(ops.add_keys(ctx(), &user, &all), 0);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_512, &k), 0);
    CHECK_INT(memcmp(k.stored_key, all.stored_key, k.len), 0);
    CHECK_INT(ops.scram(ctx(), &user, MK_SHA_1, &k), 0);
    CHECK_INT(ops.check_password(ctx(), &user, "pencil"), 0);
}

static void removing(void) {
    reset();
    CHECK_INT(ops.remove(ctx(), &user), MK_E_NOTFOUND);
    CHECK_INT(ops.create(ctx(), &user, "pencil"), 0);
    CHECK_INT(ops.create(ctx(), &elsewhere, "pencil"), 0);
    CHECK_INT(ops.remove(ctx(), &user), 0);
    CHECK_INT(ops.exists(ctx(), &user), MK_E_NOTFOUND);
    CHECK_INT(ops.exists(ctx(), &elsewhere), 0);
    CHECK_INT(fake.metrics[M_REMOVED], 1);
}

static void check_page(const char *after, uint32_t limit, const char *want) {
    struct mk_auth_page page;
    char text[200] = "";
    CHECK_INT(ops.list(ctx(), after, limit, &page), 0);
    for (uint32_t i = 0; i < page.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", page.names[i]);
    CHECK_TEXT(text, want);
}

static void listing(void) {
    static const char *const names[] = { "dora", "anna", "carl", "bert" };
    reset();
    check_page(NULL, 10, "");
    for (int i = 0; i < 4; i++) {
        const struct mk_jid jid = { names[i], "example.org" };
        CHECK_INT(ops.create(ctx(), &jid, "pencil"), 0);
    }
    CHECK_INT(ops.create(ctx(), &elsewhere, "pencil"), 0);
    check_page(NULL, 10, "anna bert carl dora ");
    check_page(NULL, 3, "anna bert carl ");
    check_page("carl", 3, "dora ");
    check_page("b", 1, "bert ");
    check_page("dora", 3, "");
    check_page(NULL, 0, "");
}

static void descriptor(void) {
    const struct mk_plugin *p = auth_internal_LTX_mk_plugin();
    CHECK_TEXT(p->name, "auth_internal");
    CHECK_INT(p->collections.count, 1);
    CHECK_INT(account_cols[COL_HOST].flags, MK_COL_PARTITION);
    CHECK_INT(account_cols[COL_USERNAME].flags, MK_COL_SORT);
    CHECK_INT(sizeof account_cols / sizeof account_cols[0], COL_COUNT);
}

int main(void) {
    return CHECK_RUN(T(keys), T(no_password_is_stored), T(creating), T(races), T(changing), T(preparing),
                     T(least_length), T(checking_takes_the_same), T(some_hashes), T(bad_hash_option), T(hints),
                     T(store_fails), T(damaged_rows), T(adding_keys), T(removing), T(listing), T(descriptor));
}
