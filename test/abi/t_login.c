/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A right plugin of a login: a mechanism of two steps that wants the local part spelt backwards, one that is listed
 * nowhere, and inline features that say what they were asked, before and after the resource is bound.
 */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>
#include <meerkat/sasl.h>
#include <string.h>

#define NS "urn:test:login"

/* ---- mechanisms -------------------------------------------------------------------------------------------------- */

struct state {
    uint32_t steps;
};

/* "name", then the challenge "backwards?", then "eman". */
static enum mk_sasl_status step_back(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in) {
    struct state *s = mk_sasl_state(x, sizeof *s);
    (void)c;
    if (s->steps++ == 0) {
        enum mk_sasl_status status = mk_sasl_identify(x, in, (struct mk_view){ NULL, 0 });
        mk_sasl_answer(x, "backwards?", 10);
        return status;
    }
    struct mk_view local = { "", 0 };
    if (mk_sasl_account(x))
        local = mk_jid_local(mk_sasl_account(x));
    bool right = local.len && in.len == local.len;
    for (size_t i = 0; right && i < in.len; i++)
        right = in.s[i] == local.s[local.len - 1 - i];
    if (!right)
        return mk_sasl_fail(x, "not-authorized", NULL);
    mk_sasl_answer(x, "welcome", 7);
    return MK_SASL_SUCCESS;
}

/* Nobody gets in: it tells what it knows. */
static enum mk_sasl_status step_tell(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in) {
    struct mk_view binding;
    (void)c;
    (void)in;
    if (!mk_sasl_agent(x) || strcmp(mk_sasl_agent(x)->software, "Hare") != 0)
        return mk_sasl_refuse(x, "account-disabled", NULL);
    return mk_sasl_refuse(x,
                          mk_sasl_binding(x, "tls-server-end-point", &binding) && binding.len >= 32
                              ? "credentials-expired"
                              : "encryption-required",
                          mk_elem_name(mk_sasl_request(x)));
}

/* A success of nobody is none. */
static enum mk_sasl_status step_nobody(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in) {
    (void)c;
    (void)x;
    (void)in;
    return MK_SASL_SUCCESS;
}

static const struct mk_mechanism_decl mechanisms[] = {
    { "X-BACK", MK_MECHANISM_SPEAKS_FIRST | MK_MECHANISM_CLEAR, 0, step_back },
    { "X-TELL", MK_MECHANISM_SASL2 | MK_MECHANISM_UNLISTED, 0, step_tell },
    { "X-NOBODY", MK_MECHANISM_SASL2, 0, step_nobody },
};

/* ---- inline features --------------------------------------------------------------------------------------------- */

static void tell(struct mk_ctx *c, const struct mk_inline *in, const char *name) {
    mk_open(in->answer, name, NS);
    mk_put(in->answer, "bound", in->session ? "true" : "false");
    mk_put(in->answer, "asked", in->request ? mk_text(c, in->request) : NULL);
    mk_put(in->answer, "in", mk_elem_name(in->all));
    mk_close(in->answer);
}

static void on_login(struct mk_ctx *c, const struct mk_inline *in) {
    tell(c, in, "login");
}

/* What is sent meanwhile must not come before the answer. */
MK_SUSPENDS static void on_bind(struct mk_ctx *c, const struct mk_inline *in) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_HEADLINE, mk_session_jid(in->session));
    const struct mk_stanza *s;
    mk_leaf(o, "body", NULL, mk_session_mechanism(in->session));
    if (mk_seal(o, &s) == MK_OK)
        mk_session_send(c, in->session, s, NULL);
    if (mk_sleep(c, 1) != MK_OK)
        return;
    tell(c, in, "bind");
}

static void on_every_bind(struct mk_ctx *c, const struct mk_inline *in) {
    tell(c, in, "always");
}

static void on_archive(struct mk_ctx *c, const struct mk_inline *in) {
    (void)c;
    mk_session_set_reads_archive(in->session, true);
}

static void put_offer(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    (void)c;
    mk_open(o, "offer", NS);
    mk_put(o, "binds", mk_stream_binds(st, "tls-server-end-point") ? "true" : "false");
    mk_close(o);
}

static const struct mk_inline_decl inlines[] = {
    { NULL, NULL, NULL, MK_AT_BIND, MK_INLINE, 60, 0, on_every_bind, NULL },
    { "ask", NS, "ask", MK_AT_LOGIN, MK_INLINE, 50, 0, on_login, put_offer },
    { "ask", NS, NS, MK_AT_BIND, MK_SERIAL, 50, 0, on_bind, NULL },
    { "archive", NS, NULL, MK_AT_BIND, MK_INLINE, 50, 0, on_archive, NULL },
};

MK_PLUGIN(t_login, .version = "1.0", .summary = "Test: mechanisms and inline features", .inlines = MK_TABLE(inlines),
          .mechanisms = MK_TABLE(mechanisms));
