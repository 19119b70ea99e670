/* SPDX-License-Identifier: Apache-2.0 */
/* What global plugins do in threads of their own, where no turn says who they are. */
#include "load/plan.h"
#include "util/log.h"
#include <stdatomic.h>

/* Found by the bytes that start() got: a reload may give the instance others. */
struct apart {
    struct apart *next;
    const struct instance *inst;
    const void *bytes;
};
static _Atomic(struct apart *) first; /* the main thread adds in front, any thread reads */

void apart_add(const struct instance *inst, const void *bytes) {
    if (!(inst->plugin->d.flags & MK_PLUGIN_GLOBAL) || !bytes)
        return;
    struct apart *a = arena_alloc(&load.keep, sizeof *a);
    *a = (struct apart){ atomic_load(&first), inst, bytes };
    atomic_store(&first, a);
}

void apart_clear(void) {
    atomic_store(&first, NULL);
}

static struct plugin *plugin_of(const void *bytes) {
    const struct apart *a = atomic_load(&first);
    while (a && a->bytes != bytes)
        a = a->next;
    return a ? a->inst->plugin : NULL;
}

void mk_log_from(const void *inst, enum mk_level level, const char *fmt, ...) {
    const struct plugin *p = plugin_of(inst);
    if (p ? (int)level > atomic_load_explicit(&p->level, memory_order_relaxed) : !log_wants((int)level))
        return;
    const struct log_place place = { .plugin = p ? p->name : NULL };
    va_list args;
    va_start(args, fmt);
    log_vline((int)level, &place, fmt, args);
    va_end(args);
}

void mk_count_from(const void *inst, unsigned index, int64_t by) {
    struct plugin *p = plugin_of(inst);
    if (p && p->apart && index < p->d.metrics.count)
        atomic_fetch_add_explicit(&p->apart[index], by, memory_order_relaxed);
}
