/* SPDX-License-Identifier: Apache-2.0 */
#include "route/ask.h"
#include "route/router.h"
#include "run/op.h"
#include "util/mem.h"
#include <stdlib.h>

struct ask {
    struct mk_op *op; /* NULL until it is under way */
    const struct mk_jid *to;
    int (*fn)(struct mk_ctx *c, void *arg);
    void (*free_arg)(void *arg);
    void *arg;
    int rc;
};

struct starting {
    struct ask *ask;
    bool started;
};

static void ask_free(struct ask *a) {
    if (a->free_arg)
        a->free_arg(a->arg);
    free(a);
}

static void ask_turn(struct mk_ctx *c, void *arg) {
    struct ask *a = arg;
    a->rc = a->fn(c, a->arg);
}

/* After the turn, or instead of it.  Without a worker the process is ending: the op may be gone already. */
static void ask_end(void *arg) {
    struct ask *a = arg;
    if (this_worker)
        mk_op_done_remote(a->op, a->rc);
    ask_free(a);
}

static void start(struct mk_op *op, void *args) {
    struct starting *s = args;
    s->started = true;
    s->ask->op = op;
    entity_run(s->ask->to, true, ask_turn, ask_end, s->ask);
}

bool turn_is_of(const struct mk_ctx *c, const struct mk_jid *to) {
    return !c->aside && c->entity && c->entity->jid && mk_jid_same_bare(c->entity->jid, to);
}

int entity_ask(struct mk_ctx *c, const struct mk_jid *to, const char *method, int (*fn)(struct mk_ctx *c, void *arg),
               void (*free_arg)(void *arg), void *arg) {
    if (turn_is_of(c, to)) {
        int rc = fn(c, arg);
        if (free_arg)
            free_arg(arg);
        return rc;
    }
    struct ask *a = xmalloc(sizeof *a);
    *a = (struct ask){ NULL, to, fn, free_arg, arg, MK_E_UNAVAILABLE };
    struct starting s = { a, false };
    int rc = op_wait(c, op_begin(c, NULL, method), start, &s, NULL);
    if (!s.started)
        ask_free(a);
    return rc;
}
