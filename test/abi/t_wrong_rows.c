/* SPDX-License-Identifier: Apache-2.0 */
/* Right but for one row.  One of the names below is defined. */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>
#include <meerkat/sasl.h>

struct wrong {
    bool flag;
    const char *text;
    int64_t number;
    const struct mk_svc *svc;
    const struct mk_coll *coll;
};

static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)c;
    (void)ev;
    return MK_NEXT;
}
#define HOOK(...)                                                                                                      \
    static const struct mk_hook_decl hooks[] = { MK_ON(user_send_message, 1, MK_INLINE, on_message), __VA_ARGS__ };
#define OPTION(...)                                                                                                    \
    static const struct mk_opt_decl options[] = { MK_OPT_BOOL(struct wrong, flag, "true", 0, "Flag."), __VA_ARGS__ };
static const struct mk_col_decl cols[] = { { "owner", MK_C_JID, 0, "Whose." } };

#if defined HOOK_NUMBER
HOOK({ MK_HOOK_COUNT_ + 3, 1, MK_INLINE, { .user_send_message = on_message } })
#define TABLES .hooks = MK_TABLE(hooks)
#elif defined HOOK_PRIO
HOOK(MK_ON(user_send_message, 101, MK_INLINE, on_message))
#define TABLES .hooks = MK_TABLE(hooks)
#elif defined HOOK_MODE
HOOK(MK_ON(user_send_message, 1, MK_ASIDE, on_message))
#define TABLES .hooks = MK_TABLE(hooks)
#elif defined HOOK_FN
HOOK(MK_ON(user_send_message, 1, MK_INLINE, NULL))
#define TABLES .hooks = MK_TABLE(hooks)
#elif defined STRIDE
HOOK(MK_ON(user_send_message, 2, MK_INLINE, on_message))
#define TABLES .hooks = { hooks, 2, 8 }
#elif defined STRIDE_ODD
HOOK(MK_ON(user_send_message, 2, MK_INLINE, on_message))
#define TABLES .hooks = { hooks, 2, 17 }
#elif defined ITEMS
#define TABLES .hooks = { NULL, 2, 16 }
#elif defined OPTION_OFFSET
OPTION({ "far", MK_T_TEXT, sizeof(struct wrong), 0, 0, 0, 0, NULL, "Far.", NULL })
#define TABLES .options = MK_TABLE(options)
#elif defined OPTION_ODD
OPTION({ "odd", MK_T_TEXT, 1, 0, 0, 0, 0, NULL, "Odd.", NULL })
#define TABLES .options = MK_TABLE(options)
#elif defined OPTION_ENUM
OPTION(MK_OPT_ENUM(struct wrong, number, "a", NULL, 0, "Enum."))
#define TABLES .options = MK_TABLE(options)
#elif defined OPTION_TWICE
OPTION(MK_OPT_TEXT(struct wrong, text, NULL, 0, "Text."), { "flag", MK_T_TEXT, 8, 0, 0, 0, 0, NULL, "Again.", NULL })
#define TABLES .options = MK_TABLE(options)
#elif defined OPTION_TAKEN
OPTION({ "enabled", MK_T_TEXT, 8, 0, 0, 0, 0, NULL, "Taken.", NULL })
#define TABLES .options = MK_TABLE(options)
#elif defined OPTION_DEFAULT
OPTION(MK_OPT_INT(struct wrong, number, "50", 1, 10, 0, "Number."))
#define TABLES .options = MK_TABLE(options)
#elif defined OPTION_TYPE
OPTION({ "new", 99, 8, 0, 0, 0, 0, NULL, "New.", NULL })
#define TABLES .options = MK_TABLE(options)
#elif defined COLL_KEYS
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct wrong, coll, "t_keyless", 1, 0, 0, cols, MK_NO_INDEX, "No key."),
};
#define TABLES .collections = MK_TABLE(collections)
#elif defined NEED_PICK
static const struct mk_need_decl needs[] = { { "t_iface", 1, 0, offsetof(struct wrong, svc), MK_NEED_HARD, "none" } };
#define TABLES .needs = MK_TABLE(needs)
#elif defined PROVIDE_OPS
static const struct mk_provide_decl provides[] = { { "t_iface", 1, 0, NULL, "Nothing." } };
#define TABLES .provides = MK_TABLE(provides)
#elif defined IQ_TO
static int on_iq(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)c;
    (void)iq;
    return 0;
}
static const struct mk_iq_decl iqs[] = { { "q", "urn:test", 0, MK_GET, MK_INLINE, 0, on_iq } };
#define TABLES .iqs = MK_TABLE(iqs)
#elif defined INLINE_AT
static void on_inline(struct mk_ctx *c, const struct mk_inline *in) {
    (void)c;
    (void)in;
}
static const struct mk_inline_decl inlines[] = { { "q", "urn:test", NULL, 3, MK_INLINE, 50, 0, on_inline, NULL } };
#define TABLES .inlines = MK_TABLE(inlines)
#elif defined MECHANISM_NAME
static enum mk_sasl_status step(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in) {
    (void)c;
    (void)in;
    return mk_sasl_refuse(x, "aborted", NULL);
}
static const struct mk_mechanism_decl mechanisms[] = { { "x-lower", 0, 0, step } };
#define TABLES .mechanisms = MK_TABLE(mechanisms)
#elif defined COMMAND_AT
static int run(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    (void)args;
    (void)result;
    return 0;
}
static const struct mk_cmd_decl commands[] = {
    { "t.run", "Run", "", "user", 0, 0, { NULL, 0, 0 }, { NULL, 0, 0 }, run }
};
#define TABLES .commands = MK_TABLE(commands)
#elif defined METRIC_NAME
static const struct mk_metric_decl metrics[] = { { "Bad Name", MK_COUNTER, 0, "", "Bad." } };
#define TABLES .metrics = MK_TABLE(metrics)
#elif defined SLOT_OWNER
static const struct mk_slot_decl slots[] = { { "s", MK_ON_HOST, 8, NULL, NULL } };
#define TABLES .slots = MK_TABLE(slots)
#else
static void on_room(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)c;
    (void)ev;
}
OPTION(MK_OPT_TEXT(struct wrong, text, "rooms.@HOST@", 0, "Text."))
static const struct mk_domain_decl domains[] = {
#if defined DOMAIN_FN
    { "text", MK_INLINE, 0, NULL, NULL },
#elif defined DOMAIN_MODE
    { "text", MK_ASIDE, 0, on_room, NULL },
#elif defined DOMAIN_OPTION
    { "flag", MK_INLINE, 0, on_room, NULL },
#else
    { "text", MK_INLINE, 0, on_room, NULL },
#endif
#if defined DOMAIN_TWICE
    { "text", MK_INLINE, 0, on_room, NULL },
#endif
};
#define TABLES .options = MK_TABLE(options), .domains = MK_TABLE(domains)
__attribute__((unused)) static void (*const handler)(struct mk_ctx *, struct mk_ev_stanza *) = on_room;
#endif
#ifdef DOMAIN_GLOBAL
#define FLAGS MK_PLUGIN_GLOBAL
#else
#define FLAGS 0
#endif

/* What a variant leaves out. */
__attribute__((unused)) static const void *const spare[] = { cols, (const void *)on_message };

MK_EXPORT const struct mk_plugin *mk_plugin_entry(void);
const struct mk_plugin *mk_plugin_entry(void) {
    static const struct mk_plugin descriptor = {
        .head = { MK_MAGIC, MK_ABI_MAJOR, MK_ABI_NEED, MK_ABI_MINOR, 0, sizeof descriptor },
        .name = PLUGIN_NAME,
        .version = "1.0",
        .summary = "Test: a wrong row",
        .flags = FLAGS,
        .inst_size = sizeof(struct wrong),
        TABLES,
    };
    return &descriptor;
}
