/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to its instance after start(), which is what the server makes impossible; fails in start() if asked to. */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>

struct starter {
    int64_t value;
    bool fail;
};
static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct starter, fail, "false", 0, "Whether to fail."),
};
static int on_iq(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)iq;
    ((struct starter *)mk_inst(c))->value = 1;
    return 0;
}
static const struct mk_iq_decl iqs[] = { { "write", "urn:test:starter", MK_TO_SERVER, MK_SET, MK_INLINE, 0, on_iq } };
static int start(void *inst, struct mk_err *err) {
    struct starter *me = inst;
    me->value = 5;
    return me->fail ? mk_fail(err, MK_E_INVALID, "told to fail") : 0;
}
MK_PLUGIN(t_starter, .version = "1.0", .summary = "Test: starts", .inst_size = sizeof(struct starter),
          .options = MK_TABLE(options), .iqs = MK_TABLE(iqs), .start = start);
