/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue against a backend that does nothing until it is told.  Each test runs on the main stack of one worker and
 * moves time and commits by hand.
 */
#include "check.h"
#include "load/load.h"
#include "run/op.h"
#include "store/queue.h"
#include "util/log.h"
#include "util/mem.h"
#include "xml/stanza.h"
#include <semaphore.h>
#include <unistd.h>

static char log_path[] = "/tmp/meerkat-queue-log-XXXXXX";

/* ---- a backend ---------------------------------------------------------------------------------------------------- */

static struct {
    struct mk_op *commit_op; /* being made */
    struct mk_commit *commit;
    unsigned commits, reads;
    bool broken; /* reads fail */
} fake;

static int fake_define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    (void)inst, (void)coll, (void)err;
    return 0;
}
static void fake_read(struct mk_op *op, struct mk_read *read) {
    fake.reads++;
    if (fake.broken) {
        mk_op_explain(op, "%s is gone", "the disk");
        mk_op_done(op, MK_E_BACKEND);
        return;
    }
    if (read->kind != MK_R_COUNT)
        read->rows = mk_rows_new(op, read->coll);
    mk_op_done(op, read->kind == MK_R_GET ? MK_E_NOTFOUND : MK_OK);
}
static void fake_commit(struct mk_op *op, struct mk_commit *commit) {
    fake.commits++;
    fake.commit_op = op;
    fake.commit = commit;
}
static const struct mk_backend_ops fake_ops = { sizeof(struct mk_backend_ops), MK_CAP_BATCH, fake_define, fake_read,
                                                fake_commit };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_backend, 1, 0, &fake_ops, "") };
static struct plugin plugin = { .name = "fake", .d = { .provides = MK_TABLE(provides) } };
static const struct instance backend = { .plugin = &plugin, .name = "fake" };

static const struct mk_col_decl cols[] = {
    { "part", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "number", MK_C_INT, 0, "" },
};
static const struct mk_index_decl indexes[] = { { "by_id", "id", "part" }, { "own", "part", "number" } };
static const struct mk_coll_decl decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
static const struct mk_coll *things;

static void finish_commit(int rc) {
    struct mk_op *op = fake.commit_op;
    fake.commit_op = NULL;
    mk_op_done(op, rc);
    ops_resume(this_worker);
}
static int64_t number_of(unsigned i) {
    return fake.commit->changes[i]->values[2].u.i;
}

/* ---- a worker ----------------------------------------------------------------------------------------------------- */

struct run {
    struct post post;
    void (*test)(struct worker *w);
    bool failed;
    sem_t done;
};

/* A failed check jumps: within this thread. */
static void run_post(struct post *p) {
    struct run *r = container_of(p, struct run, post);
    memset(&fake, 0, sizeof fake);
    if (setjmp(check_end) == 0)
        r->test(this_worker);
    else
        r->failed = true;
    if (fake.commit_op)
        finish_commit(MK_OK);
    sem_post(&r->done);
}

static void on_worker(void (*test)(struct worker *w), int64_t queue, int64_t commit_rows) {
    static const struct worker_hooks hooks = { store_worker_start, NULL, store_worker_stop };
    const struct store_config config = { .queue = queue, .commit_rows = commit_rows, .retry = 1000 };
    struct mk_err err = { 0 };
    jmp_buf mine;
    things = store_define(&decl, &backend, &err);
    CHECK(things);
    store_setup(&config);
    CHECK_INT(workers_start(1, 16, 256 * 1024, &hooks), 0);
    struct run r = { .post = { .run = run_post }, .test = test };
    sem_init(&r.done, 0, 0);
    memcpy(mine, check_end, sizeof mine);
    worker_post(workers[0], &r.post);
    sem_wait(&r.done);
    memcpy(check_end, mine, sizeof mine);
    workers_stop();
    workers_free();
    store_clear();
    CHECK(!r.failed);
}

/* ---- fibers ------------------------------------------------------------------------------------------------------- */

enum { RUNNING = 1234 };
struct call {
    const char *part;
    int id, number;
    int rc;
    int64_t result;
    uint64_t patience_ms;
};

static void fill(struct mk_value row[3], const struct call *call) {
    row[0] = mk_v_text(call->part);
    row[1] = mk_v_int(call->id);
    row[2] = mk_v_int(call->number);
}
static void put_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value row[3];
    fill(row, call);
    if (call->patience_ms)
        c->deadline_ms = worker_now_ms(c->worker) + call->patience_ms;
    call->rc = RUNNING;
    call->rc = mk_put_now(c, things, MK_UPSERT, row);
}
static void get_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value row[3];
    const struct mk_row *got;
    fill(row, call);
    if (call->patience_ms)
        c->deadline_ms = worker_now_ms(c->worker) + call->patience_ms;
    call->rc = RUNNING;
    call->rc = mk_get(c, things, row, &got);
}
static void count_by_id_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value id = mk_v_int(call->id);
    call->rc = RUNNING;
    call->rc = mk_scan_count(c, things, MK_SCAN(.index = 1, .partition = &id), &call->result);
}
static void count_own_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value part = mk_v_text(call->part);
    call->rc = RUNNING;
    call->rc = mk_scan_count(c, things, MK_SCAN(.index = 2, .partition = &part), &call->result);
}
static void add_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value row[3];
    fill(row, call);
    call->rc = RUNNING;
    call->rc = mk_add(c, things, row, 2, call->number, &call->result);
}
static void batch_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value rows[5][3];
    struct mk_write writes[5];
    for (int i = 0; i < 5; i++) {
        fill(rows[i], call);
        rows[i][2] = mk_v_int(i);
        writes[i] = (struct mk_write){ MK_W_PUT, MK_UPSERT, things, rows[i] };
    }
    call->rc = RUNNING;
    call->rc = mk_batch(c, writes, 5);
}
static void start(void (*fiber)(struct mk_ctx *c, void *arg), struct call *call) {
    turn_aside(NULL, NULL, NULL, fiber, call);
}

static int put_later(const char *part, int number, const struct mk_stanza *receipt_of) {
    struct mk_ctx c;
    struct mk_value row[3];
    struct call call = { part, 0, number, 0, 0, 0 };
    fill(row, &call);
    turn_begin(&c, NULL, NULL, NULL);
    int rc = mk_put_later(&c, things, MK_UPSERT, row, receipt_of);
    turn_end(&c);
    return rc;
}

struct owed {
    struct mk_receipt receipt;
    struct mk_stanza stanza;
    int paid;
};
static void on_paid(struct mk_receipt *r) {
    container_of(r, struct owed, receipt)->paid++;
}
static void owe(struct owed *o) {
    memset(o, 0, sizeof *o);
    atomic_init(&o->receipt.holds, 1); /* the stanza's way through the server */
    atomic_init(&o->receipt.refs, 2);
    o->receipt.paid = on_paid;
    o->stanza.receipt = &o->receipt;
}

/* ---- commits ------------------------------------------------------------------------------------------------------- */

static void burst(struct worker *w) {
    struct call a = { "a", 1, 1, 0, 0, 0 }, b = { "b", 1, 2, 0, 0, 0 };
    start(put_fiber, &a);
    start(put_fiber, &b);
    CHECK_INT(put_later("c", 3, NULL), 0);
    CHECK_INT(fake.commits, 0);
    store_flush(w);
    CHECK_INT(fake.commits, 1);
    CHECK_INT(fake.commit->count, 3);
    CHECK_INT(number_of(0), 1);
    CHECK_INT(number_of(2), 3);
    CHECK_INT(a.rc, RUNNING);
    fake.commit->changes[1]->rc = MK_E_CONFLICT;
    finish_commit(MK_OK);
    CHECK_INT(a.rc, 0);
    CHECK_INT(b.rc, MK_E_CONFLICT);
    CHECK(store_idle(w));
}
static void what_is_written_in_one_turn_is_one_commit(void) {
    on_worker(burst, 100, 10);
}

static void follow(struct worker *w) {
    CHECK_INT(put_later("a", 0, NULL), 0);
    store_flush(w);
    for (int i = 1; i <= 7; i++) {
        CHECK_INT(put_later(i & 1 ? "a" : "b", i, NULL), 0);
        store_flush(w);
    }
    CHECK_INT(fake.commits, 1);
    finish_commit(MK_OK);
    CHECK_INT(fake.commits, 2);
    CHECK_INT(fake.commit->count, 4);
    CHECK_INT(number_of(0), 1);
    CHECK_INT(number_of(3), 4);
    CHECK(!store_idle(w));
    finish_commit(MK_OK);
    store_flush(w);
    CHECK_INT(fake.commits, 3);
    CHECK_INT(fake.commit->count, 3);
    CHECK_INT(fake.commit->number, 3);
    CHECK_INT(fake.commit->worker, w->index);
    CHECK_INT(number_of(2), 7);
    finish_commit(MK_OK);
    CHECK(store_idle(w) && !fake.commit_op);
}
static void what_came_meanwhile_is_the_next_commit(void) {
    on_worker(follow, 100, 4);
}

static void join(struct worker *w) {
    struct call calls[4] = {
        { "a", 1, 1, 0, 0, 0 }, { "b", 1, 2, 0, 0, 0 }, { "c", 1, 3, 0, 0, 0 }, { "d", 1, 4, 0, 0, 0 }
    };
    start(put_fiber, &calls[0]);
    store_flush(w);
    for (int i = 1; i < 4; i++)
        start(put_fiber, &calls[i]);
    finish_commit(MK_OK); /* more waits than was committed */
    CHECK_INT(fake.commits, 2);
    CHECK_INT(fake.commit->count, 3);
    CHECK_INT(calls[0].rc, 0);
    start(put_fiber, &calls[0]);
    finish_commit(MK_OK); /* less does: those three may write again */
    CHECK_INT(fake.commits, 2);
    for (int i = 1; i < 4; i++) {
        CHECK_INT(calls[i].rc, 0);
        start(put_fiber, &calls[i]);
    }
    store_flush(w);
    CHECK_INT(fake.commits, 3);
    CHECK_INT(fake.commit->count, 4);
    finish_commit(MK_OK);
    CHECK(store_idle(w));
}
static void two_crowds_become_one(void) {
    on_worker(join, 100, 10);
}

static void fail_and_retry(struct worker *w) {
    struct owed o;
    struct call a = { "a", 1, 1, 0, 0, 0 };
    owe(&o);
    CHECK_INT(put_later("a", 7, &o.stanza), 0);
    mk_receipt_pay(&o.receipt);
    start(put_fiber, &a);
    store_flush(w);
    finish_commit(MK_E_BACKEND);
    CHECK_INT(put_later("a", 9, NULL), 0);
    store_flush(w);
    CHECK_INT(fake.commits, 1);
    wheel_advance(w->wheel, w->now_ms + 900);
    CHECK_INT(fake.commits, 1);
    wheel_advance(w->wheel, w->now_ms + 1200);
    CHECK_INT(fake.commits, 2);
    CHECK_INT(fake.commit->count, 2);
    CHECK_INT(number_of(0), 7);
    CHECK_INT(number_of(1), 1);
    CHECK_INT(o.paid, 0);
    CHECK_INT(a.rc, RUNNING);
    finish_commit(MK_E_BACKEND);
    wheel_advance(w->wheel, w->now_ms + 1800); /* now it waits twice as long */
    CHECK_INT(fake.commits, 2);
    wheel_advance(w->wheel, w->now_ms + 2300);
    CHECK_INT(fake.commits, 3);
    CHECK_INT(fake.commit->number, 1);
    finish_commit(MK_OK);
    CHECK_INT(o.paid, 1);
    CHECK_INT(a.rc, 0);
    store_flush(w);
    CHECK_INT(fake.commits, 4);
    CHECK_INT(number_of(0), 9);
    finish_commit(MK_OK);
    CHECK(store_idle(w));
}
static void a_failed_commit_is_tried_again_in_order(void) {
    on_worker(fail_and_retry, 100, 10);
}

static void give_up_writing(struct worker *w) {
    struct call a = { "a", 1, 1, 0, 0, 50 };
    start(put_fiber, &a);
    store_flush(w);
    wheel_advance(w->wheel, w->now_ms + 5000);
    ops_resume(w);
    CHECK_INT(a.rc, MK_E_TIMEOUT);
    finish_commit(MK_OK);
    CHECK(store_idle(w));
}
static void a_writer_may_give_up(void) {
    on_worker(give_up_writing, 100, 10);
}

static void whole_batch(struct worker *w) {
    struct call a = { "a", 1, 1, 0, 0, 0 }, b = { "a", 1, 2, 0, 0, 0 };
    CHECK_INT(put_later("a", 10, NULL), 0);
    start(batch_fiber, &a);
    start(put_fiber, &b);
    store_flush(w);
    CHECK_INT(fake.commit->count, 6);
    CHECK_INT(fake.commit->changes[0]->group, 0);
    CHECK(fake.commit->changes[1]->group != 0);
    CHECK_INT(fake.commit->changes[5]->group, fake.commit->changes[1]->group);
    fake.commit->changes[3]->rc = MK_E_CONFLICT;
    finish_commit(MK_OK);
    CHECK_INT(a.rc, MK_E_CONFLICT);
    CHECK_INT(b.rc, RUNNING);
    store_flush(w);
    finish_commit(MK_OK);
    CHECK_INT(b.rc, 0);
}
static void a_batch_is_not_cut(void) {
    on_worker(whole_batch, 100, 2);
}

static void add_number(struct worker *w) {
    struct call a = { "a", 1, 5, 0, 0, 0 };
    start(add_fiber, &a);
    store_flush(w);
    CHECK_INT(fake.commit->changes[0]->by, 5);
    fake.commit->changes[0]->number = 42;
    finish_commit(MK_OK);
    CHECK_INT(a.rc, 0);
    CHECK_INT(a.result, 42);
}
static void an_add_brings_its_number(void) {
    on_worker(add_number, 100, 10);
}

static void fill_up(struct worker *w) {
    struct owed o;
    struct call a = { "a", 1, 1, 0, 0, 0 }, b = a;
    owe(&o);
    for (int i = 0; i < 4; i++)
        CHECK_INT(put_later("a", i, NULL), 0);
    start(batch_fiber, &b);
    CHECK_INT(b.rc, MK_E_BUSY);
    CHECK_INT(put_later("a", 4, NULL), 0);
    CHECK_INT(put_later("a", 5, &o.stanza), MK_E_BUSY);
    CHECK_INT(atomic_load(&o.receipt.holds), 1);
    start(put_fiber, &a);
    CHECK_INT(a.rc, MK_E_BUSY);
    store_flush(w);
    CHECK_INT(put_later("a", 5, NULL), MK_E_BUSY); /* what flies counts too */
    finish_commit(MK_OK);
    CHECK_INT(put_later("a", 5, NULL), 0);
    store_flush(w);
}
static void a_full_queue_refuses(void) {
    on_worker(fill_up, 5, 10);
}

/* The count alone would allow them all. */
static void fill_bytes(struct worker *w) {
    struct mk_ctx c;
    size_t size = 1 << 20;
    struct queue *q = queue_of(w, things);
    turn_begin(&c, NULL, NULL, NULL);
    CHECK(queue_has_room(q, 1, size * 1000)); /* one always fits */
    CHECK_INT(put_later("a", 0, NULL), 0);
    CHECK(queue_has_room(q, 1, size * 60));
    CHECK(!queue_has_room(q, 1, size * 65));
    turn_end(&c);
    store_flush(w);
}
static void bytes_are_bounded_too(void) {
    on_worker(fill_bytes, 1000, 10);
}

/* ---- reads ---------------------------------------------------------------------------------------------------------- */

static void wait_for_own(struct worker *w) {
    struct call same = { "a", 1, 0, 0, 0, 0 }, other = { "b", 1, 0, 0, 0, 0 };
    CHECK_INT(put_later("a", 1, NULL), 0);
    start(get_fiber, &same);
    start(get_fiber, &other);
    CHECK_INT(other.rc, MK_E_NOTFOUND);
    CHECK_INT(same.rc, RUNNING);
    CHECK_INT(fake.reads, 1);
    store_flush(w);
    CHECK_INT(put_later("a", 2, NULL), 0); /* after the read: it does not wait for this */
    finish_commit(MK_OK);
    CHECK_INT(same.rc, MK_E_NOTFOUND);
    CHECK_INT(fake.reads, 2);
    CHECK(fake.commit_op);
    finish_commit(MK_OK);
}
static void reads_wait_for_writes_of_their_partition(void) {
    on_worker(wait_for_own, 100, 10);
}

static void wait_for_index(struct worker *w) {
    struct call across = { "", 1, 0, 0, 0, 0 }, own = { "b", 0, 0, 0, 0, 0 }, mine = { "a", 0, 0, 0, 0, 0 };
    CHECK_INT(put_later("a", 1, NULL), 0);
    start(count_by_id_fiber, &across);
    start(count_own_fiber, &own);
    start(count_own_fiber, &mine);
    CHECK_INT(own.rc, 0);
    CHECK_INT(across.rc, RUNNING);
    CHECK_INT(mine.rc, RUNNING);
    store_flush(w);
    finish_commit(MK_OK);
    CHECK_INT(across.rc, 0);
    CHECK_INT(mine.rc, 0);
}
static void index_reads_wait_as_far_as_they_must(void) {
    on_worker(wait_for_index, 100, 10);
}

static void give_up_reading(struct worker *w) {
    struct call reads[4];
    CHECK_INT(put_later("a", 1, NULL), 0);
    store_flush(w);
    for (int i = 0; i < 3; i++) {
        reads[i] = (struct call){ "a", 1, 0, 0, 0, 50 };
        start(get_fiber, &reads[i]);
    }
    wheel_advance(w->wheel, w->now_ms + 5000);
    ops_resume(w);
    for (int i = 0; i < 3; i++)
        CHECK_INT(reads[i].rc, MK_E_TIMEOUT);
    reads[3] = (struct call){ "a", 1, 0, 0, 0, 0 };
    start(get_fiber, &reads[3]);
    struct queue *q = queue_of(w, things);
    CHECK(q->waits.next->next == &q->waits); /* those who gave up are gone */
    finish_commit(MK_OK);
    CHECK_INT(fake.reads, 1);
    CHECK_INT(reads[3].rc, MK_E_NOTFOUND);
}
static void a_reader_may_give_up(void) {
    on_worker(give_up_reading, 100, 10);
}

static unsigned count_in_log(const char *words) {
    char text[2048] = "";
    unsigned n = 0;
    FILE *f = fopen(log_path, "re");
    if (f) {
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
    }
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        n++;
    return n;
}

static void break_reads(struct worker *w) {
    struct call a = { "a", 1, 0, 0, 0, 0 };
    (void)w;
    fake.broken = true;
    for (int i = 0; i < 3; i++) {
        start(get_fiber, &a);
        CHECK_INT(a.rc, MK_E_BACKEND);
    }
    CHECK_INT(count_in_log("fake can't read: the disk is gone"), 1);
    fake.broken = false;
    start(get_fiber, &a);
    CHECK_INT(a.rc, MK_E_NOTFOUND);
    CHECK_INT(count_in_log("fake reads again"), 1);
}
static void an_outage_is_said_once(void) {
    on_worker(break_reads, 100, 10);
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

static struct owed left_over;
static struct call cut_off = { "a", 1, 1, 0, 0, 0 };

static void leave(struct worker *w) {
    owe(&left_over);
    CHECK_INT(put_later("a", 1, &left_over.stanza), 0);
    mk_receipt_pay(&left_over.receipt);
    store_flush(w);
    finish_commit(MK_E_BACKEND);
    start(put_fiber, &cut_off);
    CHECK_INT(put_later("b", 1, NULL), 0);
}
static void what_was_not_stored_is_not_paid(void) {
    on_worker(leave, 100, 10);
    CHECK_INT(left_over.paid, 0);
    CHECK_INT(cut_off.rc, MK_E_CANCELLED);
}

/* The commit is done when the worker's thread has ended already: by the backend's stop(). */
static struct mk_op *flying;
static void fly_on(struct worker *w) {
    CHECK_INT(put_later("a", 1, NULL), 0);
    store_flush(w);
    flying = fake.commit_op;
    fake.commit_op = NULL;
}
static void a_commit_may_outlive_its_worker(void) {
    static const struct worker_hooks hooks = { store_worker_start, NULL, store_worker_stop };
    struct mk_err err = { 0 };
    jmp_buf mine;
    things = store_define(&decl, &backend, &err);
    CHECK_INT(workers_start(1, 4, 256 * 1024, &hooks), 0);
    struct run r = { .post = { .run = run_post }, .test = fly_on };
    sem_init(&r.done, 0, 0);
    memcpy(mine, check_end, sizeof mine);
    worker_post(workers[0], &r.post);
    sem_wait(&r.done);
    memcpy(check_end, mine, sizeof mine);
    workers_stop();
    mk_op_done_remote(flying, MK_OK);
    workers_free();
    store_clear();
    CHECK(!r.failed);
}

int main(void) {
    int fd = mkstemp(log_path);
    log_setup(&(struct log_config){ LOG_TEXT, log_path, 7 });
    int failed = CHECK_RUN(
        T(what_is_written_in_one_turn_is_one_commit), T(what_came_meanwhile_is_the_next_commit),
        T(two_crowds_become_one), T(a_failed_commit_is_tried_again_in_order), T(a_writer_may_give_up),
        T(a_batch_is_not_cut), T(an_add_brings_its_number), T(a_full_queue_refuses), T(bytes_are_bounded_too),
        T(reads_wait_for_writes_of_their_partition), T(index_reads_wait_as_far_as_they_must), T(a_reader_may_give_up),
        T(an_outage_is_said_once), T(what_was_not_stored_is_not_paid), T(a_commit_may_outlive_its_worker));
    close(fd);
    unlink(log_path);
    return failed;
}
