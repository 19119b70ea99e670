/* SPDX-License-Identifier: Apache-2.0 */
/* Needs that can't be met.  One of these is defined: MISSING, UNKNOWN, NEWER, CYCLE_A, CYCLE_B, SOFT_A, SOFT_B. */
#define MK_ABI_NEED 0
#include "t_iface.h"
#include <meerkat/plugin.h>

struct needy {
    const struct t_iface *svc;
};
#if defined MISSING
#define IFACE "t_maybe", 1, 0
#define GIVES "t_nobody"
#elif defined UNKNOWN
#define IFACE "t_unheard_of", 2, 5
#define GIVES "t_nobody"
#elif defined NEWER
#define IFACE "t_iface", 1, 9
#define GIVES "t_nobody"
#elif defined CYCLE_A || defined SOFT_A
#define IFACE "t_cycle_b", 1, 0
#define GIVES "t_cycle_a"
#else
#define IFACE "t_cycle_a", 1, 0
#define GIVES "t_cycle_b"
#endif
#if defined SOFT_A
#define FLAGS MK_NEED_SOFT
#else
#define FLAGS MK_NEED_HARD
#endif
static const struct mk_need_decl needs[] = { { IFACE, offsetof(struct needy, svc), FLAGS, NULL } };
static const struct t_iface_ops ops = { sizeof ops, 0, NULL };
static const struct mk_provide_decl provides[] = { { GIVES, 1, 0, &ops, "Nothing." } };

MK_EXPORT const struct mk_plugin *mk_plugin_entry(void);
const struct mk_plugin *mk_plugin_entry(void) {
    static const struct mk_plugin descriptor = {
        .head = { MK_MAGIC, MK_ABI_MAJOR, MK_ABI_NEED, MK_ABI_MINOR, 0, sizeof descriptor },
        .name = PLUGIN_NAME,
        .version = "1.0",
        .summary = "Test: needs",
        .inst_size = sizeof(struct needy),
        .needs = MK_TABLE(needs),
        .provides = MK_TABLE(provides),
    };
    return &descriptor;
}
