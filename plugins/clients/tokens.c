/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0484: tokens in place of passwords, and the HT mechanisms that prove one. */
#include "clients.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

enum { MAC = 32 }; /* bytes of HMAC-SHA-256 */

static const struct {
    const char *name, *binding; /* NULL: none */
} mechanisms[] = {
    { "HT-SHA-256-EXPR", "tls-exporter" },
    { "HT-SHA-256-ENDP", "tls-server-end-point" },
    { "HT-SHA-256-UNIQ", "tls-unique" },
    { "HT-SHA-256-NONE", NULL },
};
enum { MECHANISMS = sizeof mechanisms / sizeof mechanisms[0] };

static bool is_true(const char *text) {
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

/* ---- proving a token --------------------------------------------------------------------------------------------- */

static void mac(const char *token, const char *who, struct mk_view binding, uint8_t out[MAC]) {
    gnutls_hmac_hd_t h;
    if (gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, token, strlen(token)) < 0) {
        mk_random(out, MAC);
        return;
    }
    gnutls_hmac(h, who, strlen(who));
    gnutls_hmac(h, binding.s, binding.len);
    gnutls_hmac_deinit(h, out);
}

struct attempt {
    const char *mechanism;
    struct mk_view binding, proof;
    int64_t count; /* of the client, 0: it gave none */
    bool invalidate;
};

/* Of a token that is not there it is compared with what nobody can know. */
static bool proves(const struct attempt *a, const struct token *t) {
    uint8_t due[MAC];
    if (t->text)
        mac(t->text, "Initiator", a->binding, due);
    else
        mk_random(due, sizeof due);
    return gnutls_memcmp(due, a->proof.s, MAC) == 0;
}

static bool read_count(const char *text, int64_t *out) {
    int64_t value = 0;
    *out = 0;
    if (!text)
        return true;
    for (; *text >= '0' && *text <= '9' && value < INT32_MAX; text++)
        value = value * 10 + *text - '0';
    *out = value;
    return !*text && value > 0;
}

/* A count that does not grow is a login that somebody has recorded. */
static bool is_replay(const struct attempt *a, const struct client *client, bool fresh) {
    return a->count && !fresh && a->count <= client->count;
}

/* What a successful login does to the tokens. */
static void use(struct mk_ctx *c, const struct attempt *a, struct client *client, bool fresh) {
    if (fresh) {
        client->current = client->fresh;
        client->fresh = (struct token){ NULL, NULL, 0 };
        client->count = 0;
    }
    client->count = a->count ? a->count : client->count;
    if (a->invalidate) {
        client->current = (struct token){ NULL, NULL, 0 };
        client->count = 0;
    }
    client->last_seen = mk_now(c);
}

MK_SUSPENDS static enum mk_sasl_status check(struct mk_ctx *c, struct mk_sasl *x, const struct attempt *a) {
    const struct mk_jid *account = mk_sasl_account(x);
    struct client client = { .id = account ? client_id(c, account, mk_sasl_agent(x)) : "" };
    uint8_t answer[MAC];
    if (account && client_get(c, account, client.id, &client) != MK_OK)
        return mk_sasl_refuse(x, "temporary-auth-failure", NULL);
    bool is_fresh = proves(a, &client.fresh), is_current = proves(a, &client.current);
    const struct token *t = is_fresh ? &client.fresh : is_current ? &client.current : NULL;
    if (!t || strcmp(t->mechanism, a->mechanism) != 0 || is_replay(a, &client, is_fresh))
        return mk_sasl_fail(x, "not-authorized", NULL);
    if (t->expires <= mk_now(c))
        return mk_sasl_refuse(x, "credentials-expired", NULL);
    mac(t->text, "Responder", a->binding, answer);
    use(c, a, &client, is_fresh);
    if (client_put(c, account, &client) != MK_OK)
        return mk_sasl_refuse(x, "temporary-auth-failure", NULL);
    mk_sasl_answer(x, answer, sizeof answer);
    mk_count(c, M_LOGINS, 1);
    return MK_SASL_SUCCESS;
}

/* authcid NUL HMAC(token, "Initiator" channel-binding) */
MK_SUSPENDS static enum mk_sasl_status step(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in, unsigned which) {
    const struct clients *me = mk_inst(c);
    const struct mk_elem *request = mk_sasl_request(x), *fast = mk_elem_child(request, "fast", NS_FAST);
    const struct mk_agent *agent = mk_sasl_agent(x);
    const char *nul = memchr(in.s, '\0', in.len);
    struct attempt a = { .mechanism = mechanisms[which].name };
    if (!me->tokens)
        return mk_sasl_refuse(x, "invalid-mechanism", NULL);
    if (!agent || !*agent->id || !fast)
        return mk_sasl_refuse(x, "malformed-request", "A token needs <fast/> and the id of the user agent.");
    if (!nul || (size_t)(in.s + in.len - nul - 1) != MAC || !read_count(mk_attr(fast, "count"), &a.count))
        return mk_sasl_fail(x, "malformed-request", NULL);
    if (mechanisms[which].binding && !mk_sasl_binding(x, mechanisms[which].binding, &a.binding))
        return mk_sasl_refuse(x, "invalid-mechanism", NULL);
    a.proof = (struct mk_view){ nul + 1, MAC };
    a.invalidate = is_true(mk_attr(fast, "invalidate"));
    enum mk_sasl_status status =
        mk_sasl_identify(x, (struct mk_view){ in.s, (size_t)(nul - in.s) }, (struct mk_view){ NULL, 0 });
    return status == MK_SASL_CONTINUE ? check(c, x, &a) : status;
}

#define STEP(which)                                                                                                    \
    MK_SUSPENDS static enum mk_sasl_status step_##which(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in) {      \
        return step(c, x, in, which);                                                                                  \
    }
STEP(0)
STEP(1)
STEP(2)
STEP(3)

enum { FLAGS = MK_MECHANISM_SPEAKS_FIRST | MK_MECHANISM_CLEAR | MK_MECHANISM_SASL2 | MK_MECHANISM_UNLISTED };
const struct mk_mechanism_decl token_mechanisms[] = {
    { "HT-SHA-256-EXPR", FLAGS, 0, step_0 },
    { "HT-SHA-256-ENDP", FLAGS, 0, step_1 },
    { "HT-SHA-256-UNIQ", FLAGS, 0, step_2 },
    { "HT-SHA-256-NONE", FLAGS, 0, step_3 },
};

/* ---- giving tokens out ------------------------------------------------------------------------------------------- */

static bool is_offered(const struct mk_stream *st, unsigned which) {
    return !mechanisms[which].binding || mk_stream_binds(st, mechanisms[which].binding);
}

void tokens_put_offer(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    const struct clients *me = mk_inst(c);
    if (!me->tokens)
        return;
    mk_open(o, "fast", NS_FAST);
    for (unsigned i = 0; i < MECHANISMS; i++)
        if (is_offered(st, i))
            mk_leaf(o, "mechanism", NULL, mechanisms[i].name);
    mk_close(o);
}

/* The mechanism that the new token is for, NULL: none is due. */
static const char *wanted(struct mk_ctx *c, const struct mk_inline *in, const struct client *client) {
    const struct clients *me = mk_inst(c);
    const struct mk_elem *request = mk_elem_child(in->all, "request-token", NS_FAST);
    const struct mk_elem *fast = mk_elem_child(in->all, "fast", NS_FAST);
    const char *name = request ? mk_attr(request, "mechanism") : NULL;
    const char *used = mk_attr(in->all, "mechanism");
    for (unsigned i = 0; name && i < MECHANISMS; i++)
        if (strcmp(mechanisms[i].name, name) == 0 && is_offered(in->stream, i))
            return mechanisms[i].name;
    if (!fast || !client->current.text || !used || strcmp(used, client->current.mechanism) != 0 ||
        is_true(mk_attr(fast, "invalidate")))
        return NULL;
    return client->current.expires - mk_now(c) < me->rotate_before * 1000 ? client->current.mechanism : NULL;
}

bool tokens_renew(struct mk_ctx *c, const struct mk_inline *in, struct client *client) {
    const struct clients *me = mk_inst(c);
    const char *mechanism = me->tokens ? wanted(c, in, client) : NULL;
    if (!mechanism)
        return false;
    /* Two of 128 bits each. */
    client->fresh = (struct token){ mk_printf(c, "%s%s", mk_random_id(c), mk_random_id(c)), mechanism,
                                    mk_now(c) + me->token_lifetime * 1000 };
    return true;
}

void tokens_answer(struct mk_ctx *c, const struct mk_inline *in, const struct client *client) {
    mk_open(in->answer, "token", NS_FAST);
    mk_put(in->answer, "expiry", mk_time_text(c, client->fresh.expires));
    mk_put(in->answer, "token", client->fresh.text);
    mk_close(in->answer);
    mk_count(c, M_ISSUED, 1);
}
