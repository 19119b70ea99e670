/* SPDX-License-Identifier: Apache-2.0 */
/* Collections in the memory of the process: for what may be lost at a restart, and for tests. */
#include "memory.h"
#include <meerkat/plugin.h>
#include <stdlib.h>
#include <time.h>

struct memory {
    int64_t max_bytes;
    struct store *store;
};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *must(void *memory) {
    if (!memory)
        abort();
    return memory;
}

static int start(void *inst, struct mk_err *err) {
    (void)err;
    struct memory *me = inst;
    me->store = must(calloc(1, sizeof *me->store));
    pthread_rwlock_init(&me->store->lock, NULL);
    me->store->max_bytes = (uint64_t)me->max_bytes > SIZE_MAX ? SIZE_MAX : (size_t)me->max_bytes;
    me->store->unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return MK_OK;
}

static void stop(void *inst) {
    struct store *s = ((struct memory *)inst)->store;
    for (unsigned i = 0; i < s->set_count; i++)
        rowset_free(s->sets[i]);
    if (s->unicode)
        freelocale(s->unicode);
    pthread_rwlock_destroy(&s->lock);
    free(s->sets);
    free(s->steps);
    free(s);
}

static int define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    (void)err;
    struct store *s = ((const struct memory *)inst)->store;
    pthread_rwlock_wrlock(&s->lock);
    s->sets = must(realloc(s->sets, (s->set_count + 1) * sizeof(struct rowset *)));
    struct rowset *t = rowset_new(coll, s->unicode);
    s->sets[s->set_count++] = t;
    mk_coll_set_data(coll, t);
    pthread_rwlock_unlock(&s->lock);
    return MK_OK;
}

static void add_row(struct mk_read *r, const struct row *row) {
    mk_rows_add(r->rows);
    for (unsigned i = 0; i < mk_coll_col_count(r->coll); i++)
        mk_rows_put(r->rows, i, &row->values[i]);
}

static int get(struct mk_op *op, struct mk_read *r, const struct rowset *t) {
    const struct row *row = rowset_find(t, r->key);
    if (!row || row_expired(t, row, r->now))
        return MK_E_NOTFOUND;
    r->rows = mk_rows_new(op, r->coll);
    add_row(r, row);
    return MK_OK;
}

static int scan(struct mk_op *op, struct mk_read *r, const struct rowset *t) {
    struct cursor cur;
    const struct row *row;
    cursor_open(&cur, t, r->scan, r->now);
    if (r->kind == MK_R_SCAN)
        r->rows = mk_rows_new(op, r->coll);
    while ((row = cursor_next(&cur)) != NULL)
        if (r->kind == MK_R_SCAN)
            add_row(r, row);
        else
            r->count++;
    return MK_OK;
}

static void read_rows(struct mk_op *op, struct mk_read *r) {
    const struct memory *me = mk_op_inst(op);
    const struct rowset *t = mk_coll_data(r->coll);
    pthread_rwlock_rdlock(&me->store->lock);
    int rc = r->kind == MK_R_GET ? get(op, r, t) : scan(op, r, t);
    pthread_rwlock_unlock(&me->store->lock);
    mk_op_done(op, rc);
}

static void commit(struct mk_op *op, struct mk_commit *commit) {
    const struct memory *me = mk_op_inst(op);
    int64_t now = now_us();
    pthread_rwlock_wrlock(&me->store->lock);
    store_sweep(me->store, now);
    store_apply(me->store, commit->changes, commit->count, now);
    pthread_rwlock_unlock(&me->store->lock);
    mk_op_done(op, MK_OK);
}

static int all_rows(struct mk_op *op, struct mk_read *r, const struct rowset *t) {
    uint32_t left = r->kind == MK_R_ALL ? r->limit : UINT32_MAX;
    if (r->kind == MK_R_ALL)
        r->rows = mk_rows_new(op, r->coll);
    for (const struct row *row = rowset_behind(t, r->after); row && left; row = rowset_next(t, row)) {
        if (row_expired(t, row, r->now))
            continue;
        if (r->kind == MK_R_COUNT_ALL) {
            r->count++;
        } else {
            add_row(r, row);
            left--;
        }
    }
    return MK_OK;
}

static void sweep(struct mk_op *op, struct mk_read *r) {
    const struct memory *me = mk_op_inst(op);
    pthread_rwlock_rdlock(&me->store->lock);
    int rc = all_rows(op, r, mk_coll_data(r->coll));
    pthread_rwlock_unlock(&me->store->lock);
    mk_op_done(op, rc);
}

static const struct mk_backend_ops ops = {
    .size = sizeof(struct mk_backend_ops),
    .caps = MK_CAP_TTL | MK_CAP_TEXT_SEARCH | MK_CAP_BATCH,
    .define = define,
    .read = read_rows,
    .commit = commit,
    .sweep = sweep,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores collections in memory; a restart loses them."),
};
static const struct mk_opt_decl options[] = {
    MK_OPT_SIZE(struct memory, max_bytes, "256M", 65536, INT64_MAX, 0,
                "Most bytes that all rows may take; a write that needs more is refused with resource-constraint."),
};

MK_PLUGIN(memory, .version = "1.0", .summary = "Storage in memory, lost at a restart", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct memory), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .start = start, .stop = stop);
