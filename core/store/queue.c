/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue.h"
#include "run/metric.h"
#include "store/value.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of the values that may wait: with few writes of 16 MiB each the count alone is no bound. */
enum {
    QUEUE_BYTES_MAX = 64 << 20,
    RETRY_MAX_MS = 5000,
    CROWD_COMMITS = 8,
    RELIEF_MS = 100,
    FLUSH_ROUNDS = 8,
    LOST_SAY_MS = 10000
};

static struct store_config config = { .queue = 10000, .commit_rows = 512, .retry = 500 };

struct store_worker {
    struct queue **queues; /* by number of the backend; NULL if this worker never wrote to it */
    unsigned count;
};

void store_setup(const struct store_config *c) {
    config = *c;
}

uint64_t store_now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

static void list_clear(struct change_list *l) {
    l->head = NULL;
    l->tail = &l->head;
}

void list_push(struct change_list *l, struct change *ch) {
    ch->next = NULL;
    *l->tail = ch;
    l->tail = &ch->next;
}

struct change *list_take(struct change_list *l) {
    struct change *ch = l->head;
    if (ch) {
        l->head = ch->next;
        if (!l->head)
            l->tail = &l->head;
    }
    return ch;
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

struct change *change_new(const struct mk_coll *coll, uint32_t kind, const struct mk_value *values, size_t count,
                          const struct mk_value *old, const struct mk_scan *scan) {
    size_t size = sizeof(struct change) + values_size(values, count) + (old ? values_size(old, 1) : 0) +
                  (scan ? scan_size(coll, scan) : 0);
    struct change *ch = xmalloc(size);
    memset(ch, 0, sizeof *ch);
    char *at = (char *)(ch + 1);
    ch->bytes = size;
    ch->x.kind = kind;
    ch->x.coll = coll;
    ch->x.values = values_copy(&at, values, count);
    if (old)
        ch->x.old = *values_copy(&at, old, 1);
    if (scan) {
        ch->x.scan = scan_copy(&at, coll, scan);
        ch->partition = key_partition(coll, ch->x.scan->partition);
    } else {
        bool row = kind == MK_X_PUT || kind == MK_X_PUT_IF;
        ch->partition = row ? row_partition(coll, ch->x.values) : key_partition(coll, ch->x.values);
    }
    return ch;
}

void change_free(struct change *ch) {
    free(ch);
}

/* ---- writes not done yet -------------------------------------------------------------------------------------- */

static uint64_t pending_hash(const struct pending *p) {
    return p->partition + p->coll->number * 0x9e3779b97f4a7c15u + p->whole;
}

static bool pending_same(const void *item, const void *key) {
    const struct pending *a = item, *b = key;
    return a->coll == b->coll && a->partition == b->partition && a->whole == b->whole;
}

static struct pending *pending_add(struct queue *q, const struct pending *like) {
    uint64_t hash = pending_hash(like);
    struct pending *p = table_find(&q->pending, hash, pending_same, like);
    if (!p) {
        p = xmemdup(like, sizeof *like);
        table_add(&q->pending, hash, p);
    }
    p->count++;
    p->last = q->seq;
    return p;
}

static void pending_done(struct queue *q, struct pending *p) {
    if (!p || --p->count)
        return;
    table_remove(&q->pending, pending_hash(p), pending_same, p);
    free(p);
}

struct pending *queue_pending(struct queue *q, const struct mk_coll *coll, const uint64_t *partition) {
    struct pending like = { .coll = coll, .partition = partition ? *partition : 0, .whole = !partition };
    return table_find(&q->pending, pending_hash(&like), pending_same, &like);
}

uint64_t queue_last_write(struct queue *q, const struct mk_coll *coll, const uint64_t *partition) {
    const struct pending *p = queue_pending(q, coll, partition);
    return p ? p->last : 0;
}

bool queue_passes(const struct queue *q, int64_t percent) {
    return q->count * 100ll > config.queue * percent || (int64_t)q->bytes * 100 > QUEUE_BYTES_MAX * percent;
}

bool queue_has_room(const struct queue *q, uint32_t count, size_t bytes) {
    return q->count + (int64_t)count <= config.queue && (q->bytes + bytes <= QUEUE_BYTES_MAX || q->count == 0);
}

void queue_push(struct queue *q, struct change *ch) {
    ch->seq = ++q->seq;
    struct pending part = { .coll = ch->x.coll, .partition = ch->partition };
    struct pending all = { .coll = ch->x.coll, .whole = true };
    ch->of_partition = pending_add(q, &part);
    ch->of_coll = pending_add(q, &all);
    q->count++;
    q->bytes += ch->bytes;
    ch->spillable = ch->later && q->service->caps & MK_CAP_DURABLE && !(ch->x.coll->decl->flags & MK_COLL_TRANSIENT);
    q->spill.spillable += ch->spillable;
    METRIC(q->worker, store_queue, 1);
    list_push(&q->queued, ch);
}

/* ---- results -------------------------------------------------------------------------------------------------- */

/* What the caller hears: of a batch the code of its first change that failed. */
static int result_of(struct queue *q, const struct change *ch) {
    if (!ch->x.group)
        return ch->x.rc;
    if (ch->x.group != q->done_group) {
        q->done_group = ch->x.group;
        q->done_group_rc = MK_OK;
    }
    if (q->done_group_rc == MK_OK)
        q->done_group_rc = ch->x.rc;
    return q->done_group_rc;
}

/*
 * A row that the backend will never take is lost, or it would keep all behind it waiting for ever.  The log says so for
 * the first and then now and then.
 */
static void report_lost(struct queue *q, const struct change *ch) {
    int rc = ch->x.rc;
    bool expected = rc == MK_OK || rc == MK_E_CONFLICT || rc == MK_E_NOTFOUND || (rc != MK_E_BACKEND && !ch->later);
    if (expected)
        return;
    uint64_t now = worker_now_ms(q->worker);
    q->lost++;
    if (q->lost_said_ms && now - q->lost_said_ms < LOST_SAY_MS)
        return;
    log_error("storage: %s refused %u writes, the last to %s: %s; they are lost", q->provider->name, q->lost,
              ch->x.coll->decl->name, mk_strerror(rc));
    q->lost = 0;
    q->lost_said_ms = now;
}

static void tell_result(struct queue *q, struct change *ch) {
    int rc = result_of(q, ch);
    report_lost(q, ch);
    if (!ch->replayed) {
        q->count--;
        q->bytes -= ch->bytes;
    }
    mk_receipt_pay(ch->receipt);
    if (ch->op) {
        if (ch->number)
            *ch->number = ch->x.number;
        mk_op_done(ch->op, rc);
    }
    change_free(ch);
}

static void start_read(struct wait *wait) {
    const struct mk_backend_ops *ops = &service_of(wait->read->coll)->ops;
    bool whole = wait->read->kind == MK_R_ALL || wait->read->kind == MK_R_COUNT_ALL;
    if (mk_op_live(wait->op))
        (whole ? ops->sweep : ops->read)(wait->op, wait->read);
    else
        mk_op_done(wait->op, MK_E_TIMEOUT);
}

static void start_reads(struct queue *q) {
    struct list ready, *link, *next;
    list_init(&ready);
    if (atomic_load_explicit(&q->service->recovering, memory_order_acquire))
        return;
    for (link = q->waits.next; link != &q->waits; link = next) {
        next = link->next;
        if (container_of(link, struct wait, link)->seq <= q->done_seq) {
            list_remove(link);
            list_append(&ready, link);
        }
    }
    while ((link = list_pop(&ready)) != NULL)
        start_read(container_of(link, struct wait, link));
}

/* Deadlines pass in the order of arrival, about: while a backend is away the list does not grow by reads given up. */
static void drop_dead_waits(struct queue *q) {
    while (!list_empty(&q->waits)) {
        struct wait *first = container_of(q->waits.next, struct wait, link);
        if (mk_op_live(first->op))
            return;
        list_remove(&first->link);
        mk_op_done(first->op, MK_E_TIMEOUT);
    }
}

void queue_read(struct queue *q, struct wait *wait) {
    bool recovering = atomic_load_explicit(&q->service->recovering, memory_order_acquire);
    if (wait->seq <= q->done_seq && !recovering) {
        start_read(wait);
        return;
    }
    drop_dead_waits(q);
    list_append(&q->waits, &wait->link);
    if (queue_is_away(q))
        queue_hurry(q);
}

/* Those who wait for writes while the backend is away wait for one attempt. */
static void fail_waits(struct queue *q) {
    struct list all, *link;
    list_init(&all);
    while ((link = list_pop(&q->waits)) != NULL)
        list_append(&all, link);
    while ((link = list_pop(&all)) != NULL) {
        struct mk_op *op = container_of(link, struct wait, link)->op;
        mk_op_explain(op, "it waits for writes, and they fail: %s", q->why);
        mk_op_done(op, MK_E_BACKEND);
    }
}

/* ---- commits -------------------------------------------------------------------------------------------------- */

static void commit_done(struct mk_op *op);

static void start_commit(struct queue *q) {
    for (uint32_t i = 0; i < q->commit.count; i++)
        q->array[i]->rc = MK_OK;
    q->commit.changes = q->array;
    q->started_us = store_now_us();
    q->op = op_new(q->provider, "commit", commit_done, q);
    q->ops->commit(q->op, &q->commit);
}

void queue_fly(struct queue *q, struct change *ch) {
    if (q->commit.count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 16;
        q->array = xrealloc(q->array, q->cap * sizeof(struct mk_change *));
    }
    q->array[q->commit.count++] = &ch->x;
    list_push(&q->flying, ch);
}

static bool is_next(const struct change *ch) {
    return ch && !ch->rows && !ch->spilling;
}

/* A batch is never cut in two. */
static void fill_commit(struct queue *q) {
    uint32_t group = 0;
    q->commit.count = 0;
    while (is_next(q->queued.head) &&
           (q->commit.count < config.commit_rows || (group && q->queued.head->x.group == group))) {
        struct change *ch = list_take(&q->queued);
        group = ch->x.group;
        q->spill.spillable -= ch->spillable;
        queue_fly(q, ch);
    }
}

void queue_commit(struct queue *q) {
    q->commit.number++;
    start_commit(q);
}

static void try_again(struct timer *t) {
    start_commit(container_of(t, struct queue, retry));
}

void queue_hurry(struct queue *q) {
    uint64_t since = (store_now_us() - q->started_us) / 1000;
    if (!q->op && q->commit_failing && q->retry_ms > config.retry) {
        q->retry_ms = config.retry;
        worker_timer(q->worker, &q->retry, since < (uint64_t)config.retry ? (uint64_t)config.retry - since : 0);
    }
}

/* It fails, or does not answer. */
bool queue_is_away(const struct queue *q) {
    if (!q->commit_failing && !q->op)
        return false;
    uint64_t since = q->commit_failing ? q->failing_ms : q->started_us / 1000, now = worker_now_ms(q->worker);
    return now > since && now - since >= (uint64_t)spill_config.after;
}

/* ---- more than the backend can write ------------------------------------------------------------------------------ */

void (*store_relieved)(struct worker *w);

/* PERCENT of what makes those wait who write. */
static bool is_crowded(const struct queue *q, int64_t percent) {
    int64_t commits = CROWD_COMMITS * config.commit_rows, half = config.queue / 2,
            most = commits < half ? commits : half;
    return q->count * 100ll > most * percent || (int64_t)q->bytes * 200 > QUEUE_BYTES_MAX * percent;
}

static bool works(const struct queue *q) {
    return !q->commit_failing && !queue_is_away(q);
}

static void relieve(struct queue *q) {
    if (!q->pressed || (is_crowded(q, 50) && works(q)))
        return;
    q->pressed = false;
    wheel_stop(&q->relief);
    if (store_relieved)
        store_relieved(q->worker);
}

/* A backend that does not answer says nothing that would call relieve(). */
static void on_relief(struct timer *t) {
    struct queue *q = container_of(t, struct queue, relief);
    relieve(q);
    if (q->pressed)
        worker_timer(q->worker, t, RELIEF_MS);
}

bool queue_press(struct queue *q) {
    if (!is_crowded(q, 100) || !works(q))
        return false;
    if (!q->pressed) {
        q->pressed = true;
        q->relief.fire = on_relief;
        worker_timer(q->worker, &q->relief, RELIEF_MS);
    }
    return true;
}

static void remember_failure(struct queue *q, const struct mk_op *op) {
    free(q->why);
    q->why = xstrdup(op->outcome ? (const char *)op->outcome : mk_strerror(op->rc));
    if (!q->commit_failing) {
        q->failing_ms = worker_now_ms(q->worker);
        log_error("storage: %s can't commit: %s; it is tried again, writes wait", q->provider->name, q->why);
    }
    q->commit_failing = true;
}

static void commit_failed(struct queue *q, const struct mk_op *op) {
    remember_failure(q, op);
    if (q->retry_ms == 0)
        q->retry_ms = config.retry;
    q->retry.fire = try_again;
    if (queue_is_away(q))
        fail_waits(q);
    worker_timer(q->worker, &q->retry, (uint64_t)q->retry_ms);
    q->retry_ms = q->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : q->retry_ms * 2;
}

static void commit_worked(struct queue *q) {
    if (q->commit_failing)
        log_notice("storage: %s commits again", q->provider->name);
    q->commit_failing = false;
    q->retry_ms = 0;
    uint64_t us = store_now_us() - q->started_us;
    METRIC(q->worker, store_commits, 1);
    METRIC(q->worker, store_writes, q->commit.count);
    METRIC_OBSERVE(q->worker, store_commit_us, (int64_t)us);
    q->counts.commits++;
    q->counts.writes += q->commit.count;
    q->counts.commit_us += us;
    if (!q->flying.head->replayed)
        METRIC(q->worker, store_queue, -(int64_t)q->commit.count);
    spill_committed(q);
    struct change *ch;
    while ((ch = list_take(&q->flying)) != NULL) {
        q->done_seq = ch->seq;
        pending_done(q, ch->of_partition);
        pending_done(q, ch->of_coll);
        list_push(&q->finished, ch);
    }
}

static void commit_done(struct mk_op *op) {
    struct queue *q = op->user;
    q->op = NULL;
    if (op->rc != MK_OK) {
        commit_failed(q, op);
        relieve(q);
        return;
    }
    commit_worked(q);
    queue_run(q);
    relieve(q);
}

static bool can_start(const struct queue *q) {
    return !q->flying.head && spill_allows(q);
}

/*
 * Those who hear their results may write again.  If less waits than was just committed, the next commit waits for them,
 * until the end of the loop turn: or two crowds that wait for each other's commits would stay two for ever.
 */
static bool is_short(const struct queue *q) {
    const struct change *done = q->finished.head;
    return done && !done->replayed && q->count < 2 * q->commit.count;
}

/* The next commit goes out before results are told if it can, to keep the backend busy. */
void queue_run(struct queue *q) {
    if (q->running)
        return;
    q->running = true;
    if (can_start(q) && !is_short(q) && !spill_steps(q)) {
        fill_commit(q);
        queue_commit(q);
    }
    struct change *ch;
    while ((ch = list_take(&q->finished)) != NULL)
        tell_result(q, ch);
    start_reads(q);
    q->running = false;
}

/* ---- workers -------------------------------------------------------------------------------------------------- */

static struct queue *queue_new(struct worker *w, const struct mk_coll *coll) {
    struct queue *q = xcalloc(1, sizeof *q);
    q->worker = w;
    q->service = service_of(coll);
    q->commit.worker = w->index;
    q->provider = coll->provider;
    q->ops = coll->service->svc.ops;
    list_clear(&q->queued);
    list_clear(&q->flying);
    list_clear(&q->finished);
    list_init(&q->waits);
    spill_start(q);
    return q;
}

struct queue *queue_of(struct worker *w, const struct mk_coll *coll) {
    struct store_worker *s = w->store;
    if (coll->backend >= s->count) {
        s->queues = xrealloc(s->queues, (coll->backend + 1) * sizeof(struct queue *));
        while (s->count <= coll->backend)
            s->queues[s->count++] = NULL;
    }
    if (!s->queues[coll->backend])
        s->queues[coll->backend] = queue_new(w, coll);
    return s->queues[coll->backend];
}

int store_worker_start(struct worker *w) {
    w->store = xcalloc(1, sizeof(struct store_worker));
    const struct service *service;
    for (unsigned i = 0; w->index == 0 && (service = store_service(i)) != NULL; i++)
        if (service->left)
            queue_of(w, service->left_colls[0]);
    return 0;
}

void store_flush(struct worker *w) {
    struct store_worker *s = w->store;
    bool more = true;
    for (unsigned round = 0; more && round < FLUSH_ROUNDS; round++) {
        more = false;
        for (unsigned i = 0; i < s->count; i++)
            if (s->queues[i] && can_start(s->queues[i])) {
                queue_run(s->queues[i]);
                more = true;
            }
    }
    for (unsigned i = 0; i < s->count; i++)
        if (s->queues[i])
            spill_run(s->queues[i]);
}

void queues_run(struct worker *w, const struct service *service) {
    struct store_worker *s = w->store;
    for (unsigned i = 0; i < s->count; i++)
        if (s->queues[i] && s->queues[i]->service == service)
            queue_run(s->queues[i]);
}

bool store_idle(const struct worker *w) {
    const struct store_worker *s = w->store;
    for (unsigned i = 0; i < s->count; i++)
        if (s->queues[i] && (s->queues[i]->count > spill_safe(s->queues[i]) || s->queues[i]->spill.job))
            return false;
    return true;
}

void store_stopping(struct worker *w) {
    struct store_worker *s = w->store;
    for (unsigned i = 0; i < s->count; i++)
        if (s->queues[i])
            s->queues[i]->stopping = true;
}

struct store_status *store_status(struct worker *w, unsigned backend, struct arena *arena) {
    struct store_worker *s = w->store;
    const struct queue *q = backend < s->count ? s->queues[backend] : NULL;
    if (!q)
        return NULL;
    struct store_status *status = arena_zalloc(arena, sizeof *status);
    status->counts = q->counts;
    status->queued = q->count;
    status->failing = q->commit_failing;
    status->away = queue_is_away(q);
    status->failing_ms = q->commit_failing ? worker_now_ms(w) - q->failing_ms : 0;
    if (status->away && !q->commit_failing)
        status->why = "it does not answer";
    else if (q->why)
        status->why = arena_strdup(arena, q->why);
    return status;
}

static void free_changes(struct queue *q, struct change_list *l) {
    struct change *ch;
    while ((ch = list_take(l)) != NULL) {
        pending_done(q, ch->of_partition);
        pending_done(q, ch->of_coll);
        change_free(ch);
    }
}

/* Receipts of what was not stored stay unpaid: the sender must not take it for safe. */
static void queue_free(struct queue *q) {
    if (q->count > spill_safe(q))
        log_error("storage: %u writes to %s were not stored before the stop", q->count - spill_safe(q),
                  q->provider->name);
    spill_free(q);
    wheel_stop(&q->retry);
    wheel_stop(&q->relief);
    free_changes(q, &q->queued);
    free_changes(q, &q->flying);
    uint32_t pos = 0;
    for (void *pending; (pending = table_next(&q->pending, &pos)) != NULL;)
        free(pending);
    table_free(&q->pending);
    free(q->array);
    free(q->why);
    free(q);
}

static void commit_done_late(struct mk_op *op) {
    struct queue *q = op->user;
    if (op->rc == MK_OK) {
        commit_worked(q);
        struct change *ch;
        while ((ch = list_take(&q->finished)) != NULL) {
            q->count -= !ch->replayed;
            change_free(ch);
        }
    }
    queue_free(q);
}

void store_worker_stop(struct worker *w) {
    struct store_worker *s = w->store;
    for (unsigned i = 0; i < s->count; i++) {
        struct queue *q = s->queues[i];
        if (q)
            spill_stop(q);
        if (q && q->op)
            q->op->done = commit_done_late; /* the backend still reads the commit; it ends when its stop() does */
        else if (q)
            queue_free(q);
    }
    free(s->queues);
    free(s);
    w->store = NULL;
}
