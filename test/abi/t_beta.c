/* SPDX-License-Identifier: Apache-2.0 */
/* A right plugin that needs another, and joins the same hooks. */
#define MK_ABI_NEED 0
#include "t_iface.h"
#include <meerkat/plugin.h>
#include <string.h>

struct beta {
    const struct t_iface *numbers;
    const struct t_iface *maybe;
    struct mk_svcs all;
    const char *provider;
    struct mk_texts providers;
};
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct beta, provider, NULL, MK_OPT_LIVE, "Who provides the numbers."),
    MK_OPT_TEXTS(struct beta, providers, NULL, MK_OPT_LIVE, "Who else does."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct beta, numbers, t_iface, 1, 2, MK_NEED_HARD, "provider"),
    { "t_maybe", 1, 0, offsetof(struct beta, maybe), MK_NEED_SOFT, NULL },
    { "t_iface", 1, 0, offsetof(struct beta, all), MK_NEED_MANY, "providers" },
};

static enum mk_flow early(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)c;
    strcat((char *)ev->session, "e");
    return MK_NEXT;
}
static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct beta *me = mk_inst(c);
    char text[16] = { (char)('0' + t_iface_twice(c, me->numbers, 2) % 10), me->maybe ? '+' : '-',
                      (char)('0' + me->all.count) };
    strcat((char *)ev->session, "B");
    strcat((char *)ev->session, text);
    return me == mk_inst(c) ? MK_NEXT : MK_STOP;
}
static enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    (void)c;
    strcat((char *)ev->session, "p");
    return MK_STOP;
}
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, 50, MK_INLINE, on_message),
    MK_ON(user_send_message, 10, MK_INLINE, early),
    MK_ON(session_opened, 50, MK_INLINE, on_opened),
};
static const struct mk_disco_decl disco[] = {
    { "urn:test:both", MK_TO_SERVER, 0 },
    { "urn:test:a", MK_TO_SERVER, 0 },
};
static void slot_fini(void *slot) {
    char ***gone = slot;
    if (*gone)
        *(**gone)++ = 'B';
}
static const struct mk_slot_decl slots[] = { { "late", MK_ON_SESSION, sizeof(char **), NULL, slot_fini } };
static const struct mk_metric_decl metrics[] = { { "seen", MK_COUNTER, 0, "", "Seen." } };

MK_PLUGIN(t_beta, .version = "1.0", .summary = "Test: needs t_iface", .inst_size = sizeof(struct beta),
          .options = MK_TABLE(options), .needs = MK_TABLE(needs), .hooks = MK_TABLE(hooks), .disco = MK_TABLE(disco),
          .slots = MK_TABLE(slots), .metrics = MK_TABLE(metrics));
