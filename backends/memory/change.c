/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include <stdlib.h>

enum { SWEEP_ROWS = 64 }; /* a set and commit: more than come in, without a long stop */

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static void swap(struct store *s, struct rowset *t, struct row *old, struct row *new) {
    if (old) {
        rowset_remove(t, old);
        s->bytes -= old->size;
    }
    if (new) {
        rowset_add(t, new);
        s->bytes += new->size;
    }
}

/* Takes NEW over.  MK_E_BUSY if it does not fit. */
static int step(struct store *s, struct rowset *t, struct row *old, struct row *new) {
    size_t without = s->bytes - (old ? old->size : 0);
    if (new &&without + new->size > s->max_bytes) {
        free(new);
        return MK_E_BUSY;
    }
    if (s->step_count == s->step_cap) {
        s->step_cap = s->step_cap ? s->step_cap * 2 : 64;
        s->steps = realloc(s->steps, s->step_cap * sizeof *s->steps);
        if (!s->steps)
            abort();
    }
    swap(s, t, old, new);
    s->steps[s->step_count++] = (struct step){ t, old, new };
    return MK_OK;
}

static void keep_steps(struct store *s) {
    while (s->step_count)
        free(s->steps[--s->step_count].old);
}

static void undo_steps(struct store *s) {
    while (s->step_count) {
        struct step *last = &s->steps[--s->step_count];
        swap(s, last->set, last->new, last->old);
        free(last->new);
    }
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

static int put(struct store *s, struct rowset *t, const struct mk_change *x, int64_t now) {
    struct row *old = rowset_find_like(t, x->values);
    if (x->mode == MK_IF_ABSENT && old && !row_expired(t, old, now))
        return MK_E_CONFLICT;
    return step(s, t, old, row_new(t, x->values));
}

static int put_if(struct store *s, struct rowset *t, const struct mk_change *x, int64_t now) {
    struct row *old = rowset_find_like(t, x->values);
    if (!old || row_expired(t, old, now))
        return MK_E_NOTFOUND;
    if (!value_same(&old->values[x->col], &x->old))
        return MK_E_CONFLICT;
    return step(s, t, old, row_new(t, x->values));
}

static int add(struct store *s, struct rowset *t, struct mk_change *x, int64_t now) {
    struct row *old = rowset_find(t, x->values);
    if (!old || row_expired(t, old, now))
        return MK_E_NOTFOUND;
    const struct mk_value *before = &old->values[x->col];
    if (__builtin_add_overflow(before->type == MK_V_NULL ? 0 : before->u.i, x->by, &x->number))
        return MK_E_LIMIT;
    struct row *new = row_new(t, old->values);
    new->values[x->col] = mk_v_int(x->number);
    return step(s, t, old, new);
}

static int del(struct store *s, struct rowset *t, const struct mk_change *x, int64_t now) {
    struct row *old = rowset_find(t, x->values);
    if (!old || row_expired(t, old, now))
        return x->group ? MK_OK : MK_E_NOTFOUND;
    return step(s, t, old, NULL);
}

static int del_range(struct store *s, struct rowset *t, const struct mk_change *x) {
    struct cursor cur;
    cursor_open(&cur, t, x->scan, INT64_MIN); /* what has expired goes too */
    struct row *row, *next = cursor_next(&cur);
    while ((row = next) != NULL) {
        next = cursor_next(&cur);
        int rc = step(s, t, row, NULL);
        if (rc)
            return rc;
    }
    return MK_OK;
}

static int apply(struct store *s, struct mk_change *x, int64_t now) {
    struct rowset *t = mk_coll_data(x->coll);
    switch (x->kind) {
    case MK_X_PUT:
        return put(s, t, x, now);
    case MK_X_PUT_IF:
        return put_if(s, t, x, now);
    case MK_X_ADD:
        return add(s, t, x, now);
    case MK_X_DEL:
        return del(s, t, x, now);
    case MK_X_DEL_RANGE:
        return del_range(s, t, x);
    default:
        return MK_E_BACKEND;
    }
}

static uint32_t group_end(struct mk_change *const *changes, uint32_t count, uint32_t i) {
    uint32_t group = changes[i]->group;
    do
        i++;
    while (group && i < count && changes[i]->group == group);
    return i;
}

void store_apply(struct store *s, struct mk_change *const *changes, uint32_t count, int64_t now) {
    for (uint32_t i = 0, end; i < count; i = end) {
        end = group_end(changes, count, i);
        int rc = MK_OK;
        for (uint32_t j = i; j < end && rc == MK_OK; j++)
            rc = changes[j]->rc = apply(s, changes[j], now);
        if (rc == MK_OK)
            keep_steps(s);
        else
            undo_steps(s);
    }
}

void store_sweep(struct store *s, int64_t now) {
    for (unsigned i = 0; i < s->set_count; i++) {
        struct rowset *t = s->sets[i];
        struct row *row;
        for (unsigned n = 0; n < SWEEP_ROWS && (row = rowset_oldest(t)) != NULL && row_expired(t, row, now); n++) {
            swap(s, t, row, NULL);
            free(row);
        }
    }
}
