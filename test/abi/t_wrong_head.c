/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong before rows are looked at.  One of these is defined: NO_SYMBOL, MAGIC, MAJOR, MINOR, SIZE, NAME, NOTHING. */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>

#ifdef NO_SYMBOL
MK_EXPORT int some_other_function(void);
int some_other_function(void) {
    return 1;
}
#else
MK_EXPORT const struct mk_plugin *mk_plugin_entry(void);
const struct mk_plugin *mk_plugin_entry(void) {
    static const struct mk_plugin descriptor = {
        .head = { MK_MAGIC, MK_ABI_MAJOR, 0, MK_ABI_MINOR, 0, sizeof descriptor },
        .name = PLUGIN_NAME,
        .version = "1.0",
        .summary = "Test: wrong",
    };
    static struct mk_plugin wrong;
    wrong = descriptor;
#if defined MAGIC
    wrong.head.magic = 0x12345678;
#elif defined MAJOR
    wrong.head.abi_major = MK_ABI_MAJOR + 1;
#elif defined MINOR
    wrong.head.abi_need = MK_ABI_MINOR + 7;
#elif defined SIZE
    wrong.head.size = sizeof descriptor - 64;
#elif defined NAME
    wrong.name = "t_other";
#elif defined NOTHING
    return NULL;
#endif
    return &wrong;
}
#endif
