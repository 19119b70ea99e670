/* SPDX-License-Identifier: Apache-2.0 */
/* A second provider of t_iface, and the one of t_maybe; it answers the same iq and has the same command as t_alpha. */
#define MK_ABI_NEED 0
#include "t_iface.h"
#include <meerkat/plugin.h>

#ifdef CLASH
static int on_iq(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)c;
    (void)iq;
    return 0;
}
static const struct mk_iq_decl iqs[] = { { "query", "urn:test:alpha", MK_TO_SERVER, MK_GET | MK_SET, MK_ASIDE, 0,
                                           on_iq } };
static void on_nonza(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    (void)c;
    (void)st;
    (void)nonza;
}
static const struct mk_nonza_decl nonzas[] = { { "r", "urn:test:alpha", MK_WHEN_BOUND | MK_WHEN_AUTHED, MK_INLINE,
                                                 on_nonza } };
static int run(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    (void)args;
    (void)result;
    return 0;
}
static const struct mk_cmd_decl commands[] = {
    { "alpha.show", "Show it too", "", "", 0, 0, { NULL, 0, 0 }, { NULL, 0, 0 }, run }
};
MK_PLUGIN(t_clash, .version = "1.0", .summary = "Test: claims what t_alpha has", .iqs = MK_TABLE(iqs),
          .nonzas = MK_TABLE(nonzas), .commands = MK_TABLE(commands));
#else
struct gamma {
    bool unused;
};

static int seven(struct mk_ctx *c, int64_t n) {
    (void)c;
    (void)n;
    return 7;
}
static const struct t_iface_ops ops = { sizeof ops, 0, seven };
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(t_iface, 1, 2, &ops, "Seven."),
    MK_PROVIDE(t_maybe, 1, 0, &ops, "Maybe."),
};

MK_PLUGIN(t_gamma, .version = "1.0", .summary = "Test: another t_iface", .inst_size = sizeof(struct gamma),
          .provides = MK_TABLE(provides));
#endif
