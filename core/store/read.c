/* SPDX-License-Identifier: Apache-2.0 */
#include "run/metric.h"
#include "store/queue.h"
#include "store/rows.h"
#include "store/value.h"
#include "util/log.h"

/* In the op's arena: it must outlive a caller who gave up. */
struct call {
    struct mk_read read;
    struct wait wait;
};

static struct call *call_new(struct mk_op *op, const struct mk_coll *coll, enum mk_read_kind kind) {
    struct call *call = arena_zalloc(&op->arena, sizeof *call);
    call->read.kind = kind;
    call->read.coll = coll;
    call->wait.op = op;
    call->wait.read = &call->read;
    return call;
}

/* The last write that the read must see. */
static uint64_t last_write(struct queue *q, const struct mk_read *r) {
    const struct mk_coll *coll = r->coll;
    uint64_t partition;
    if (r->kind == MK_R_GET) {
        partition = key_partition(coll, r->key);
        return queue_last_write(q, coll, &partition);
    }
    if (r->kind == MK_R_ALL || r->kind == MK_R_COUNT_ALL)
        return queue_last_write(q, coll, NULL);
    struct mk_coll_key key = coll->keys[r->scan->index];
    bool known = partition_hash(coll, key.cols, key.partition, r->scan->partition, &partition);
    return queue_last_write(q, coll, known ? &partition : NULL);
}

static void go(struct mk_op *op, void *args) {
    struct call *call = args;
    struct queue *q = queue_of(op->worker, call->read.coll);
    if (!call->read.now)
        call->read.now = worker_now_us(op->worker);
    call->wait.seq = last_write(q, &call->read);
    queue_read(q, &call->wait);
}

/* Once for an outage, not once a read. */
static void report(struct queue *q, int rc, const char *why) {
    if (rc == MK_E_BACKEND && !q->read_failing)
        log_error("storage: %s can't read: %s", q->provider->name, why ? why : mk_strerror(rc));
    else if (rc != MK_E_BACKEND && q->read_failing && (rc == MK_OK || rc == MK_E_NOTFOUND))
        log_notice("storage: %s reads again", q->provider->name);
    else
        return;
    q->read_failing = rc == MK_E_BACKEND;
}

MK_SUSPENDS static int run(struct mk_ctx *c, struct mk_op *op, struct call *call) {
    const struct mk_coll *coll = call->read.coll;
    struct worker *w = c->worker;
    uint64_t start = store_now_us();
    void *why = NULL;
    int rc = op_wait(c, op, go, call, &why);
    METRIC(w, store_reads, 1);
    struct queue *q = queue_of(w, coll);
    uint64_t us = store_now_us() - start;
    METRIC_OBSERVE(w, store_read_us, (int64_t)us);
    q->counts.reads++;
    q->counts.read_us += us;
    report(q, rc, why);
    if (rc == MK_OK)
        rows_adopt(call->read.rows, &c->arena);
    return rc;
}

int mk_get(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key, const struct mk_row **out) {
    *out = NULL;
    if (key_check(coll, key) != MK_OK)
        return MK_E_INVALID;
    struct mk_op *op = op_begin(c, coll->provider, "get");
    struct call *call = call_new(op, coll, MK_R_GET);
    char *at = arena_alloc(&op->arena, values_size(key, key_count(coll)));
    call->read.key = values_copy(&at, key, key_count(coll));
    int rc = run(c, op, call);
    if (rc != MK_OK)
        return rc;
    *out = mk_rows_at(call->read.rows, 0);
    return *out ? MK_OK : MK_E_NOTFOUND;
}

MK_SUSPENDS static int scan(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_scan *what,
                            enum mk_read_kind kind, struct call **done) {
    int rc = scan_check(coll, what);
    if (rc != MK_OK)
        return rc;
    struct mk_op *op = op_begin(c, coll->provider, kind == MK_R_SCAN ? "scan" : "count");
    struct call *call = call_new(op, coll, kind);
    char *at = arena_alloc(&op->arena, scan_size(coll, what));
    call->read.scan = scan_copy(&at, coll, what);
    *done = call;
    return run(c, op, call);
}

int mk_scan(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_scan *what, const struct mk_rows **out) {
    struct call *call;
    *out = NULL;
    int rc = scan(c, coll, what, MK_R_SCAN, &call);
    if (rc == MK_OK)
        *out = call->read.rows;
    return rc;
}

int mk_scan_count(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_scan *what, int64_t *out) {
    struct call *call;
    *out = 0;
    int rc = scan(c, coll, what, MK_R_COUNT, &call);
    if (rc == MK_OK)
        *out = call->read.count;
    return rc;
}

/* ---- whole collections ---------------------------------------------------------------------------------------- */

static bool can_sweep(const struct mk_coll *coll) {
    const struct mk_backend_ops *ops = coll->service->svc.ops;
    return ops->sweep != NULL;
}

int store_page(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *after, uint32_t limit,
               const struct mk_rows **out) {
    return store_page_at(c, coll, after, limit, worker_now_us(c->worker), out);
}

int store_page_at(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *after, uint32_t limit,
                  int64_t now, const struct mk_rows **out) {
    *out = NULL;
    if (!can_sweep(coll))
        return MK_E_UNSUPPORTED;
    struct mk_op *op = op_begin(c, coll->provider, "sweep");
    struct call *call = call_new(op, coll, MK_R_ALL);
    call->read.limit = limit;
    call->read.now = now;
    if (after) {
        char *at = arena_alloc(&op->arena, values_size(after, key_count(coll)));
        call->read.after = values_copy(&at, after, key_count(coll));
    }
    int rc = run(c, op, call);
    if (rc == MK_OK)
        *out = call->read.rows;
    return rc;
}

int store_count(struct mk_ctx *c, const struct mk_coll *coll, int64_t *out) {
    *out = 0;
    if (!can_sweep(coll))
        return MK_E_UNSUPPORTED;
    struct mk_op *op = op_begin(c, coll->provider, "count all");
    struct call *call = call_new(op, coll, MK_R_COUNT_ALL);
    int rc = run(c, op, call);
    if (rc == MK_OK)
        *out = call->read.count;
    return rc;
}
