/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue.h"
#include "store/value.h"
#include "util/mem.h"
#include <stdlib.h>

/* On the caller's stack: only the start uses it. */
struct call {
    struct queue *queue;
    struct change *first; /* linked by NEXT */
    bool queued;
};

static void go(struct mk_op *op, void *args) {
    struct call *call = args;
    call->queued = true;
    for (struct change *ch = call->first, *next; ch; ch = next) {
        next = ch->next;
        if (!next)
            ch->op = op;
        queue_push(call->queue, ch);
    }
}

static void free_all(struct change *ch) {
    while (ch) {
        struct change *next = ch->next;
        change_free(ch);
        ch = next;
    }
}

/* Queues the changes from FIRST on, which must be COUNT, and waits for their result. */
MK_SUSPENDS static int run(struct mk_ctx *c, struct change *first, uint32_t count, const char *method,
                           int64_t *number) {
    struct call call = { queue_of(c->worker, first->x.coll), first, false };
    size_t bytes = 0;
    for (struct change *ch = first; ch; ch = ch->next)
        bytes += ch->bytes;
    if (queue_is_away(call.queue)) {
        queue_hurry(call.queue);
        free_all(first);
        return MK_E_BACKEND;
    }
    if (!queue_has_room(call.queue, count, bytes)) {
        free_all(first);
        return MK_E_BUSY;
    }
    struct mk_op *op = op_begin(c, first->x.coll->provider, method);
    int64_t *result = NULL;
    if (number)
        first->number = result = arena_zalloc(&op->arena, sizeof *result);
    int rc = op_wait(c, op, go, &call, NULL);
    if (!call.queued)
        free_all(first);
    if (rc == MK_OK && number)
        *number = *result;
    return rc;
}

static int push_later(struct mk_ctx *c, struct change *ch, const struct mk_stanza *receipt_of) {
    struct queue *q = queue_of(c->worker, ch->x.coll);
    if (!queue_has_room(q, 1, ch->bytes)) {
        change_free(ch);
        return MK_E_BUSY;
    }
    change_later(ch);
    if (receipt_of)
        ch->receipt = mk_receipt_hold(receipt_of);
    queue_push(q, ch);
    c->pressed |= queue_press(q);
    return MK_OK;
}

static struct change *new_put(const struct mk_coll *coll, enum mk_put_mode mode, const struct mk_value *row) {
    struct change *ch = change_new(coll, MK_X_PUT, row, coll->col_count, NULL, NULL);
    ch->x.mode = mode;
    return ch;
}

static struct change *new_del(const struct mk_coll *coll, const struct mk_value *key) {
    return change_new(coll, MK_X_DEL, key, key_count(coll), NULL, NULL);
}

static bool is_mode(uint32_t mode) {
    return mode == MK_UPSERT || mode == MK_IF_ABSENT;
}

int mk_put_now(struct mk_ctx *c, const struct mk_coll *coll, enum mk_put_mode mode, const struct mk_value *row) {
    if (!is_mode(mode) || row_check(coll, row) != MK_OK)
        return MK_E_INVALID;
    return run(c, new_put(coll, mode, row), 1, "put", NULL);
}

int mk_put_if(struct mk_ctx *c, const struct mk_coll *coll, unsigned col, struct mk_value old,
              const struct mk_value *row) {
    if (col >= coll->col_count || value_check(coll, col, &old) != MK_OK || row_check(coll, row) != MK_OK)
        return MK_E_INVALID;
    struct change *ch = change_new(coll, MK_X_PUT_IF, row, coll->col_count, &old, NULL);
    ch->x.col = col;
    return run(c, ch, 1, "put_if", NULL);
}

static bool is_own_key(const struct mk_coll *coll, unsigned col) {
    return coll->cols[col].flags & (MK_COL_PARTITION | MK_COL_SORT);
}

int mk_add(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key, unsigned col, int64_t by,
           int64_t *now) {
    *now = 0;
    if (col >= coll->col_count || coll->cols[col].type != MK_C_INT || is_own_key(coll, col) ||
        key_check(coll, key) != MK_OK)
        return MK_E_INVALID;
    struct change *ch = change_new(coll, MK_X_ADD, key, key_count(coll), NULL, NULL);
    ch->x.col = col;
    ch->x.by = by;
    return run(c, ch, 1, "add", now);
}

int mk_del(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key) {
    if (key_check(coll, key) != MK_OK)
        return MK_E_INVALID;
    return run(c, new_del(coll, key), 1, "del", NULL);
}

int mk_del_range(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_scan *what) {
    struct mk_scan s = scan_read(what);
    if (s.index || s.filter_count || s.search || s.limit || scan_check(coll, what) != MK_OK)
        return MK_E_INVALID;
    return run(c, change_new(coll, MK_X_DEL_RANGE, NULL, 0, NULL, what), 1, "del_range", NULL);
}

int mk_put_later(struct mk_ctx *c, const struct mk_coll *coll, enum mk_put_mode mode, const struct mk_value *row,
                 const struct mk_stanza *receipt_of) {
    if (!is_mode(mode) || row_check(coll, row) != MK_OK)
        return MK_E_INVALID;
    return push_later(c, new_put(coll, mode, row), receipt_of);
}

int mk_del_later(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key) {
    if (key_check(coll, key) != MK_OK)
        return MK_E_INVALID;
    return push_later(c, new_del(coll, key), NULL);
}

static struct change *new_write(const struct mk_write *w) {
    if (w->kind == MK_W_DEL)
        return key_check(w->coll, w->values) == MK_OK ? new_del(w->coll, w->values) : NULL;
    if (w->kind != MK_W_PUT || !is_mode(w->mode) || row_check(w->coll, w->values) != MK_OK)
        return NULL;
    return new_put(w->coll, w->mode, w->values);
}

/* All in one partition and one backend, or NULL. */
static struct change *new_batch(const struct mk_write *writes, size_t count, uint32_t group) {
    struct change *first = NULL, **tail = &first;
    for (size_t i = 0; i < count; i++) {
        struct change *ch = new_write(&writes[i]);
        if (ch) {
            *tail = ch;
            tail = &ch->next;
            ch->x.group = group;
        }
        if (!ch || ch->partition != first->partition || ch->x.coll->backend != first->x.coll->backend) {
            free_all(first);
            return NULL;
        }
    }
    return first;
}

int mk_batch(struct mk_ctx *c, const struct mk_write *writes, size_t count) {
    if (count == 0)
        return MK_OK;
    if (count > UINT32_MAX)
        return MK_E_LIMIT;
    struct queue *q = queue_of(c->worker, writes[0].coll);
    if (++q->group == 0)
        q->group = 1;
    struct change *first = new_batch(writes, count, q->group);
    return first ? run(c, first, (uint32_t)count, "batch", NULL) : MK_E_INVALID;
}
