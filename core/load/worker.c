/* SPDX-License-Identifier: Apache-2.0 */
#include "run/worker.h"
#include "load/plan.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

/* By instance number: what this worker has begun. */
static __thread bool *begun;

static void grow(struct worker *w, unsigned count) {
    if (count <= w->plugin_count)
        return;
    unsigned more = count - w->plugin_count;
    w->plugin_memory = xrealloc(w->plugin_memory, count * sizeof(void *));
    memset(w->plugin_memory + w->plugin_count, 0, more * sizeof(void *));
    begun = xrealloc(begun, count * sizeof *begun);
    memset(begun + w->plugin_count, 0, more * sizeof *begun);
    w->plugin_count = count;
}

static bool begin(struct worker *w, const struct unit *u, struct buf *why) {
    const struct mk_plugin *d = &u->module->plugin.d;
    void **memory = &w->plugin_memory[u->inst.number];
    if (d->worker_size && !*memory)
        *memory = xcalloc(1, d->worker_size);
    struct mk_err err = { 0 };
    int rc = d->worker_start ? d->worker_start(u->inst.bytes, *memory, &err) : 0;
    if (rc != 0)
        buf_printf(why, "plugin %s can't start in a worker: %s", u->inst.name,
                   err.text.data ? err.text.data : mk_strerror(rc));
    load_err_free(&err);
    return rc == 0;
}

/* The main thread waits while this runs: what it keeps is not changing. */
bool worker_prepare(struct worker *w, struct buf *why) {
    grow(w, load.unit_count);
    for (unsigned i = 0; i < load.started_count; i++) {
        const struct unit *u = load.started[i];
        if (!u->wanted || begun[u->inst.number])
            continue;
        if (!begin(w, u, why))
            return false;
        begun[u->inst.number] = true;
    }
    return true;
}

int load_worker_start(struct worker *w) {
    struct buf why = { 0 };
    bool ok = worker_prepare(w, &why);
    if (!ok)
        log_error("%s", why.data);
    buf_free(&why);
    w->hosts = (void *)snapshot_current();
    return ok ? 0 : -1;
}

void load_worker_stop(struct worker *w) {
    for (unsigned i = load.started_count; i-- > 0;) {
        const struct unit *u = load.started[i];
        const struct mk_plugin *d = &u->module->plugin.d;
        if (u->inst.number < w->plugin_count && begun[u->inst.number] && d->worker_stop)
            d->worker_stop(u->inst.bytes, w->plugin_memory[u->inst.number]);
    }
    for (unsigned i = 0; i < w->plugin_count; i++)
        free(w->plugin_memory[i]);
    free(w->plugin_memory);
    free(begun);
    begun = NULL;
    w->plugin_memory = NULL;
    w->plugin_count = 0;
}
