/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A right plugin of a later minor: its descriptor and its rows are longer than this server knows, what is new is
 * optional, and what it needs is 1.0.
 */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>
#include <string.h>

struct later_hook {
    struct mk_hook_decl now;
    uint64_t later[3];
};
struct later_command {
    struct mk_cmd_decl now;
    uint64_t later;
};
struct later_arg {
    struct mk_arg_decl now;
    uint64_t later;
};
struct later_plugin {
    struct mk_plugin now;
    uint64_t later[8];
};

static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)c;
    strcat((char *)ev->session, "F");
    return MK_NEXT;
}
static const struct later_hook hooks[] = {
    { MK_ON(user_send_message, 60, MK_INLINE, on_message), { 1, 2, 3 } },
    { MK_ON(user_send_message, 70, MK_INLINE, on_message), { 4, 5, 6 } },
};
static int run(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    (void)args;
    (void)result;
    return 0;
}
static const struct later_arg args[] = {
    { { "first", MK_ARG_TEXT, 0, "First." }, 7 },
    { { "second", MK_ARG_INT, MK_ARG_OPTIONAL, "Second." }, 8 },
};
static const struct later_command commands[] = {
    { { "future.run", "Run it", "", "", MK_CMD_WRITE, 0, MK_TABLE(args), { NULL, 0, 0 }, run }, 9 },
};

MK_EXPORT const struct mk_plugin *mk_plugin_entry(void);
const struct mk_plugin *mk_plugin_entry(void) {
    static const struct later_plugin descriptor = {
        .now = { .head = { MK_MAGIC, MK_ABI_MAJOR, 0, MK_ABI_MINOR + 5, 0, sizeof(struct later_plugin) },
                 .name = "t_future",
                 .version = "9.0",
                 .summary = "Test: of a later minor",
                 .hooks = MK_TABLE(hooks),
                 .commands = MK_TABLE(commands) },
        .later = { 1 },
    };
    return &descriptor.now;
}
