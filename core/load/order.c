/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include <string.h>

void want_after(struct plan *p, struct want *w, struct want *before, bool soft) {
    for (unsigned i = 0; i < w->after_count; i++)
        if (w->after[i] == before) {
            w->soft[i] = w->soft[i] && soft;
            return;
        }
    if (w->after_count == w->after_cap) {
        w->after_cap = w->after_cap * 2 + 8;
        struct want **after = arena_alloc(&p->arena, w->after_cap * sizeof(struct want *));
        bool *softs = arena_alloc(&p->arena, w->after_cap * sizeof *softs);
        if (w->after_count) {
            memcpy(after, w->after, w->after_count * sizeof(struct want *));
            memcpy(softs, w->soft, w->after_count * sizeof *softs);
        }
        w->after = after;
        w->soft = softs;
    }
    w->after[w->after_count] = before;
    w->soft[w->after_count++] = soft;
}

enum { UNSEEN, OPEN, DONE };

struct path {
    struct path *before;
    const struct want *w;
};

static void report_cycle(struct plan *p, const struct path *path, const struct want *again) {
    struct buf text = { 0 };
    const struct path *at = path;
    buf_puts(&text, again->unit->inst.name);
    for (; at->w != again; at = at->before) {
        struct buf longer = { 0 };
        buf_printf(&longer, "%s -> %s", at->w->unit->inst.name, text.data);
        buf_free(&text);
        text = longer;
    }
    conf_error(p->e, again->group, "plugins need each other in a circle, so that none can start first: %s -> %s",
               again->unit->inst.name, text.data);
    buf_free(&text);
}

/* True if a circle was found: one is told, not all ways round it. */
static bool visit(struct plan *p, struct want *w, const struct path *before) {
    struct path here = { (struct path *)before, w };
    w->mark = OPEN;
    for (unsigned i = 0; i < w->after_count; i++) {
        struct want *first = w->after[i];
        if (w->soft[i] || first->mark == DONE)
            continue;
        if (first->mark == OPEN) {
            report_cycle(p, &here, first);
            return true;
        }
        if (visit(p, first, &here))
            return true;
    }
    w->mark = DONE;
    p->order[p->order_count++] = w;
    return false;
}

static void unmark(struct plan *p) {
    for (unsigned i = 0; i < p->want_count; i++)
        p->wants[i]->mark = UNSEEN;
}

/* Whether TO is among what FROM waits for, directly or not.  Soft ones do not count: they may still be dropped. */
static bool waits_for(struct want *from, const struct want *to) {
    if (from == to)
        return true;
    from->mark = DONE;
    for (unsigned i = 0; i < from->after_count; i++)
        if (!from->soft[i] && from->after[i]->mark == UNSEEN && waits_for(from->after[i], to))
            return true;
    return false;
}

/* What a soft need names is started first too, unless it waits for the one that has the need. */
static void settle_soft(struct plan *p) {
    for (unsigned i = 0; i < p->want_count; i++) {
        struct want *w = p->wants[i];
        for (unsigned k = 0; k < w->after_count; k++) {
            unmark(p);
            if (w->soft[k] && !waits_for(w->after[k], w))
                w->soft[k] = false;
        }
    }
}

static bool visit_all(struct plan *p) {
    p->order_count = 0;
    unmark(p);
    for (unsigned i = 0; i < p->want_count; i++)
        if (p->wants[i]->mark == UNSEEN && visit(p, p->wants[i], NULL))
            return false;
    return true;
}

void plan_order(struct plan *p) {
    p->order = arena_alloc(&p->arena, (p->want_count + 1) * sizeof(struct want *));
    if (visit_all(p)) {
        settle_soft(p);
        visit_all(p);
    }
}
