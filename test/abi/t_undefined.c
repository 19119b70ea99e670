/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a function that the server does not have: refused when it is loaded, not when the call is reached. */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>

MK_EXPORT int mk_function_of_the_future(struct mk_ctx *c);

static int on_iq(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)iq;
    return mk_function_of_the_future(c);
}
static const struct mk_iq_decl iqs[] = { { "q", "urn:test:undefined", MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_iq } };

MK_PLUGIN(t_undefined, .version = "1.0", .summary = "Test: undefined symbol", .iqs = MK_TABLE(iqs));
