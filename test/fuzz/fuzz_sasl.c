/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a client's side of SASL.  The input's first line names the mechanism, the other lines are its messages
 * ("~" alone: no initial response).  Nobody may get in but by the password, which is computed again here, apart from
 * the code under test.
 */
#include "sasl/test_sasl.h"

enum { FUZZ_STEPS = 4, FUZZ_ITERATIONS = 2 };
#define FUZZ_NONCE "SERVERNONCE"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((noreturn)) static void fail_with(const char *what) {
    fprintf(stderr, "fuzz_sasl: %s\n", what);
    abort();
}

static struct mk_view take_line(struct mk_view *in) {
    const char *end = in->len ? memchr(in->s, '\n', in->len) : NULL;
    struct mk_view line = { in->s, end ? (size_t)(end - in->s) : in->len };
    in->s += line.len + (end ? 1 : 0);
    in->len -= line.len + (end ? 1 : 0);
    return line;
}

static void begin(void) {
    test_begin();
    test_tls("exported");
    place.type.anonymous = true;
    test_iterations = FUZZ_ITERATIONS;
}

/* Where the second comma is, behind which client-first-bare begins. */
static size_t header_len(struct mk_view first) {
    size_t at = 0;
    for (int commas = 0; commas < 2 && at < first.len; at++)
        commas += first.s[at] == ',';
    return at;
}

/* Base64 may have unused bits in its last character: what counts is what it says. */
static bool same_bytes(const char *a, const char *b, size_t len) {
    char x[100], y[100];
    if (len > sizeof x)
        return false;
    ssize_t got = base64_decode(x, a, len);
    return got >= 0 && base64_decode(y, b, len) == got && memcmp(x, y, (size_t)got) == 0;
}

/* Computes FINAL as a client with the password would, and compares. */
static void check_proof(const struct sasl *s, struct mk_view first, const char *server_first, struct mk_view final) {
    size_t header = header_len(first), proof = final.len;
    char *gs2 = strndup(first.s, header), *bare = strndup(first.s + header, first.len - header);
    const char *bound = strncmp(gs2, "p=tls-e", 7) == 0 ? "exported" : strncmp(gs2, "p=", 2) == 0 ? "end point" : "";
    while (proof && final.s[proof - 1] != ',')
        proof--;
    if (!proof)
        fail_with("a final message without a proof got in");
    char *copy = strndup(final.s, proof - 1);
    char *extensions = strchr(copy, ',');
    extensions = extensions ? strchr(extensions + 1, ',') : NULL;
    char *want =
        test_final(s->mechanism->hash, PENCIL, bare, server_first, gs2, bound, extensions ? extensions : "", NULL);
    if (strlen(want) != final.len || memcmp(want, final.s, proof + 2) != 0 ||
        !same_bytes(want + proof + 2, final.s + proof + 2, final.len - proof - 2))
        fail_with("a proof got in that is not the password's");
    free(want);
    free(copy);
    free(gs2);
    free(bare);
}

static void check_plain(struct mk_view message) {
    static const char end[] = "\0" PENCIL;
    size_t len = sizeof end - 1;
    if (message.len < len || memcmp(message.s + message.len - len, end, len) != 0)
        fail_with("another password got in");
}

static void check_success(const struct sasl *s, struct mk_view first, const char *server_first, struct mk_view last) {
    const struct mk_jid *account = sasl_account(s);
    if (!account)
        fail_with("success without an account");
    if (sasl_is_anonymous(s)) {
        if (strcmp(s->mechanism->name, "ANONYMOUS") != 0 || test_is(account, "user") || test_is(account, "old"))
            fail_with("an anonymous login is somebody");
        return;
    }
    if (!test_is(account, "user") && !(test_is(account, "old") && s->mechanism->hash == MK_SHA_1))
        fail_with("an account that does not exist");
    if (server_first)
        check_proof(s, first, server_first, last);
    else
        check_plain(last);
}

static void run(struct sasl *s, struct mk_view in) {
    struct mk_view first = { NULL, 0 };
    char *server_first = NULL;
    enum sasl_status status = SASL_CONTINUE;
    for (int i = 0; i < FUZZ_STEPS && status == SASL_CONTINUE && (in.len || !i); i++) {
        struct mk_view line = take_line(&in);
        bool absent = line.len == 1 && *line.s == '~';
        status = test_bytes(s, absent ? NULL : line.s ? line.s : "", absent ? 0 : line.len);
        if (status == SASL_CONTINUE && place.out.len) {
            if (server_first)
                fail_with("a third message");
            first = line;
            server_first = strdup(place.out.data);
        }
        if (status == SASL_SUCCESS)
            check_success(s, first, server_first, line);
        if (status == SASL_FAILURE && (!sasl_condition(s) || place.out.len))
            fail_with("a failure without its condition, or with data");
    }
    free(server_first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mk_view in = { (const char *)data, size };
    begin();
    struct mk_view line = take_line(&in);
    char *mechanism = strndup(line.s ? line.s : "", line.len);
    struct sasl *s = test_sasl(mechanism);
    free(mechanism);
    if (s) {
        strcpy(s->scram.nonce, FUZZ_NONCE);
        run(s, in);
    }
    sasl_free(s);
    return 0;
}
