/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records and segments as bytes on disk, and a queue that goes to the journal and comes back, against a backend that
 * does nothing until it is told.
 */
#include "check.h"
#include "load/load.h"
#include "route/jid.h"
#include "store/queue.h"
#include "util/log.h"
#include "util/mem.h"
#include "xml/stanza.h"
#include <dirent.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/meerkat-journal-XXXXXX";
static char journal_folder[64];

/* ---- a backend ---------------------------------------------------------------------------------------------------- */

static struct {
    struct mk_op *op; /* the commit being made, or NULL */
    struct mk_commit *commit;
    unsigned reads;
    char all[4096]; /* numbers of rows as they were stored */
} fake;

static int fake_define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    (void)inst, (void)coll, (void)err;
    return 0;
}
static void fake_read(struct mk_op *op, struct mk_read *read) {
    (void)read;
    fake.reads++;
    mk_op_done(op, MK_E_NOTFOUND);
}
static void fake_commit(struct mk_op *op, struct mk_commit *commit) {
    fake.op = op;
    fake.commit = commit;
}
static const struct mk_backend_ops ops = { .size = sizeof ops,
                                           .caps = MK_CAP_BATCH | MK_CAP_DURABLE,
                                           .define = fake_define,
                                           .read = fake_read,
                                           .commit = fake_commit };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_backend, 1, 0, &ops, "") };
static struct plugin plugin = { .name = "fake", .d = { .provides = MK_TABLE(provides) } };
static const struct instance backend = { .plugin = &plugin, .name = "fake" };

enum { PART, ID, NUMBER, DATA, WHO, COUNT };
static const struct mk_col_decl cols[] = {
    { "part", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "number", MK_C_INT, 0, "" },
    { "data", MK_C_BYTES, MK_COL_NULL, "" },
    { "who", MK_C_JID, MK_COL_NULL, "" },
    { "flag", MK_C_BOOL, 0, "" },
    { "note", MK_C_TEXT, 0, "" },
};
static const struct mk_coll_decl decl = { "things", 1, 0, 0, 0, { cols, COUNT, sizeof cols[0] }, MK_NO_INDEX, "" };
static const struct mk_coll_decl later_decl = { "things", 2, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
static const struct mk_coll_decl transient_decl = { "fleeting",  1, MK_COLL_TRANSIENT,
                                                    0,           0, { cols, COUNT, sizeof cols[0] },
                                                    MK_NO_INDEX, "" };
static const struct mk_coll *things, *fleeting;

/* RC is what the commit ends with; if it works its rows are remembered. */
static void finish_commit(int rc) {
    struct mk_op *op = fake.op;
    for (uint32_t i = 0; rc == MK_OK && i < fake.commit->count; i++) {
        const struct mk_change *x = fake.commit->changes[i];
        snprintf(fake.all + strlen(fake.all), sizeof fake.all - strlen(fake.all), "%s%s%lld", *fake.all ? " " : "",
                 x->kind == MK_X_DEL ? "-" : "", (long long)x->values[x->kind == MK_X_DEL ? ID : NUMBER].u.i);
    }
    fake.op = NULL;
    mk_op_done(op, rc);
    ops_resume(this_worker);
}

/* ---- a worker ----------------------------------------------------------------------------------------------------- */

struct run {
    struct post post;
    void (*test)(struct worker *w);
    bool failed;
    sem_t done;
};

static void run_post(struct post *p) {
    struct run *r = container_of(p, struct run, post);
    memset(&fake, 0, sizeof fake);
    if (setjmp(check_end) == 0)
        r->test(this_worker);
    else
        r->failed = true;
    sem_post(&r->done);
}

static void with_journal(int64_t share, int64_t size) {
    char why[256];
    struct mk_err err = { 0 };
    const struct journal_config journal = { journal_folder, size, share, 60 * 1000 };
    things = store_define(&decl, &backend, &err);
    fleeting = store_define(&transient_decl, &backend, &err);
    CHECK(things && fleeting);
    if (!store_journal_open(&journal, why, sizeof why)) {
        printf("# %s\n", why);
        CHECK(false);
    }
}

static void without(void) {
    store_journal_close();
    store_clear();
}

static void on_worker(void (*test)(struct worker *w), int64_t share, int64_t size) {
    static const struct worker_hooks hooks = { store_worker_start, NULL, store_worker_stop };
    const struct store_config config = { .queue = 100, .commit_rows = 4, .retry = 1000 };
    jmp_buf mine;
    with_journal(share, size);
    store_setup(&config);
    CHECK_INT(offload_start(1), 0);
    CHECK_INT(workers_start(1, 16, 256 * 1024, &hooks), 0);
    struct run r = { .post = { .run = run_post }, .test = test };
    sem_init(&r.done, 0, 0);
    memcpy(mine, check_end, sizeof mine);
    worker_post(workers[0], &r.post);
    sem_wait(&r.done);
    memcpy(check_end, mine, sizeof mine);
    workers_stop();
    offload_stop();
    if (fake.op)
        mk_op_done_remote(fake.op, MK_E_BACKEND);
    workers_free();
    without();
    CHECK(!r.failed);
}

/* Until no job of the pool is under way: what it brings comes through the worker's inbox. */
static void let_pool_work(struct worker *w) {
    struct queue *q = queue_of(w, things);
    store_flush(w);
    while (q->spill.job) {
        poll(NULL, 0, 1);
        posts_run(&w->inbox);
    }
    ops_resume(w);
}

static unsigned file_count(void) {
    unsigned n = 0;
    DIR *dir = opendir(journal_folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strstr(e->d_name, ".journal") != NULL;
    closedir(dir);
    return n;
}

static void clean(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", journal_folder);
    CHECK_INT(system(command), 0);
}

/* ---- writes ------------------------------------------------------------------------------------------------------- */

static void fill(struct mk_value row[COUNT], const char *part, int number) {
    row[PART] = mk_v_text(part);
    row[ID] = mk_v_int(number);
    row[NUMBER] = mk_v_int(number);
    row[DATA] = mk_v_bytes("a\0b", 3);
    row[WHO] = mk_v_null();
}

static int put_in(const struct mk_coll *coll, const char *part, int number, const struct mk_stanza *receipt_of) {
    struct mk_ctx c;
    struct mk_value row[COUNT];
    fill(row, part, number);
    turn_begin(&c, NULL, NULL, NULL);
    int rc = mk_put_later(&c, coll, MK_UPSERT, row, receipt_of);
    turn_end(&c);
    return rc;
}
static int put(const char *part, int number) {
    return put_in(things, part, number, NULL);
}
static int del(const char *part, int number) {
    struct mk_ctx c;
    struct mk_value row[COUNT];
    fill(row, part, number);
    turn_begin(&c, NULL, NULL, NULL);
    int rc = mk_del_later(&c, things, row);
    turn_end(&c);
    return rc;
}

enum { RUNNING = 1234 };
struct call {
    const char *part;
    int number, rc;
};
static void put_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value row[COUNT];
    fill(row, call->part, call->number);
    call->rc = RUNNING;
    call->rc = mk_put_now(c, things, MK_UPSERT, row);
}
static void get_fiber(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    struct mk_value row[COUNT];
    const struct mk_row *got;
    fill(row, call->part, call->number);
    call->rc = RUNNING;
    call->rc = mk_get(c, things, row, &got);
}
static void start(void (*fiber)(struct mk_ctx *c, void *arg), struct call *call) {
    turn_aside(NULL, NULL, NULL, fiber, call);
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
    atomic_init(&o->receipt.holds, 1);
    atomic_init(&o->receipt.refs, 2);
    o->receipt.paid = on_paid;
    o->stanza.receipt = &o->receipt;
}

/* Stores all that is left, one commit after the other. */
static void finish_all(struct worker *w) {
    for (let_pool_work(w); fake.op; let_pool_work(w))
        finish_commit(MK_OK);
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

static struct change *sample(struct arena *arena) {
    struct mk_value row[COUNT];
    const struct mk_jid *jid;
    fill(row, "it's \xf0\x9f\x90\x99", -5);
    CHECK_INT(jid_parse(arena, "a@example.org/b c", 17, &jid), 0);
    row[WHO] = mk_v_jid(jid);
    return change_new(things, MK_X_PUT, row, COUNT, NULL, NULL);
}

static void a_record_is_what_was_written(void) {
    struct arena arena;
    struct buf out = { 0 };
    struct record r;
    arena_init(&arena);
    with_journal(0, 0);
    struct change *ch = sample(&arena), *again;
    ch->x.mode = MK_IF_ABSENT;
    record_add(&out, ch);
    record_add(&out, ch);
    CHECK_INT(record_length(out.data, out.len) * 2, out.len);
    CHECK(record_read(out.data, out.len / 2, &r));
    CHECK((again = record_change(&r, things)) != NULL);
    CHECK_INT(again->x.mode, MK_IF_ABSENT);
    CHECK_INT(again->x.values[NUMBER].u.i, -5);
    CHECK_INT(again->x.values[DATA].len, 3);
    CHECK(memcmp(again->x.values[DATA].u.b, "a\0b", 3) == 0);
    CHECK(strcmp(mk_jid_text(again->x.values[WHO].u.j), "a@example.org/b c") == 0);
    CHECK(again->partition == ch->partition);
    change_free(again);
    change_free(ch);
    buf_free(&out);
    arena_free(&arena);
    without();
}

static void any_changed_byte_is_seen(void) {
    struct arena arena;
    struct buf out = { 0 };
    struct record r;
    arena_init(&arena);
    with_journal(0, 0);
    struct change *ch = sample(&arena);
    record_add(&out, ch);
    for (size_t i = 0; i < out.len; i++) {
        out.data[i] ^= 0x10;
        CHECK(!record_read(out.data, out.len, &r));
        out.data[i] ^= 0x10;
    }
    for (size_t len = RECORD_HEAD; len < out.len; len++)
        CHECK(!record_read(out.data, len, &r));
    CHECK(record_read(out.data, out.len, &r));
    change_free(ch);
    buf_free(&out);
    arena_free(&arena);
    without();
}

/* Columns that a later version appended are as in old rows of the backend. */
static void an_old_record_fits_a_new_version(void) {
    struct arena arena;
    struct buf out = { 0 };
    struct record r;
    struct mk_err err = { 0 };
    arena_init(&arena);
    with_journal(0, 0);
    struct change *ch = sample(&arena);
    record_add(&out, ch);
    change_free(ch);
    without();
    const struct mk_coll *later = store_define(&later_decl, &backend, &err);
    CHECK(record_read(out.data, out.len, &r));
    CHECK((ch = record_change(&r, later)) != NULL);
    CHECK(ch->x.values[COUNT].type == MK_C_BOOL && ch->x.values[COUNT].u.i == 0);
    CHECK(ch->x.values[COUNT + 1].type == MK_C_TEXT && ch->x.values[COUNT + 1].len == 0);
    out.len = 0;
    record_add(&out, ch);
    change_free(ch);
    store_clear();
    things = store_define(&decl, &backend, &err);
    CHECK(record_read(out.data, out.len, &r));
    CHECK(!record_change(&r, things)); /* the other way round it does not */
    store_clear();
    buf_free(&out);
    arena_free(&arena);
}

/* ---- a queue and its journal ---------------------------------------------------------------------------------------- */

static void spill_all(struct worker *w) {
    struct owed o[3];
    struct call now = { "a", 4, 0 }, get = { "a", 5, 0 };
    for (int i = 0; i < 3; i++)
        owe(&o[i]);
    CHECK_INT(put_in(things, "a", 1, &o[0].stanza), 0);
    let_pool_work(w); /* 1 flies, and is copied */
    CHECK_INT(put_in(things, "a", 2, &o[1].stanza), 0);
    CHECK_INT(put("b", 3), 0);
    start(put_fiber, &now);
    CHECK_INT(put_in(things, "a", 5, &o[2].stanza), 0);
    CHECK_INT(del("a", 2), 0);
    let_pool_work(w);
    let_pool_work(w);
    struct queue *q = queue_of(w, things);
    CHECK_INT(q->count, 2); /* what flies, and whose caller waits */
    for (int i = 0; i < 3; i++) {
        mk_receipt_pay(&o[i].receipt);
        CHECK_INT(o[i].paid, 1);
    }
    CHECK_INT(file_count(), 1);
    start(get_fiber, &get);
    CHECK_INT(get.rc, RUNNING);
    finish_commit(MK_E_BACKEND); /* and once more */
    wheel_advance(w->wheel, w->now_ms + 1300);
    finish_all(w);
    CHECK(strcmp(fake.all, "1 2 3 4 5 -2") == 0);
    CHECK_INT(now.rc, 0);
    CHECK_INT(get.rc, MK_E_NOTFOUND);
    CHECK(store_idle(w));
    CHECK_INT(file_count(), 0);
    CHECK_INT(atomic_load(&q->service->journal_rows), 0);
    CHECK_INT(atomic_load(&q->service->journal_bytes), 0);
}
static void the_order_stays(void) {
    clean();
    on_worker(spill_all, 0, 1 << 20);
}

static void many_parts(struct worker *w) {
    char want[4096] = "";
    put("a", 0);
    let_pool_work(w);
    for (int i = 1; i <= 300; i++) {
        CHECK_INT(put(i % 3 ? "a" : "b", i), 0);
        if (i % 50 == 0)
            let_pool_work(w);
    }
    for (int i = 0; i <= 300; i++)
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%d", i ? " " : "", i);
    finish_all(w);
    CHECK(strcmp(fake.all, want) == 0);
    CHECK_INT(file_count(), 0);
}
static void more_rows_than_memory_may_hold(void) {
    clean();
    on_worker(many_parts, 10, 1 << 20);
}

static void keep_fleeting(struct worker *w) {
    CHECK_INT(put_in(fleeting, "a", 1, NULL), 0);
    let_pool_work(w);
    for (int i = 2; i < 6; i++)
        CHECK_INT(put_in(fleeting, "a", i, NULL), 0);
    let_pool_work(w);
    CHECK_INT(file_count(), 0);
    finish_all(w);
    CHECK(strcmp(fake.all, "1 2 3 4 5") == 0);
}
static void what_may_be_lost_is_not_kept(void) {
    clean();
    on_worker(keep_fleeting, 0, 1 << 20);
}

static void fill_up(struct worker *w) {
    int taken = 0, rc;
    put("a", 0);
    let_pool_work(w);
    while ((rc = put("a", taken + 1)) == MK_OK && taken < 1000) {
        taken++;
        let_pool_work(w);
    }
    CHECK_INT(rc, MK_E_BUSY);
    CHECK(taken > 100 && taken < 150); /* the queue of 100, and what fits in 2,000 bytes */
    CHECK(atomic_load(&queue_of(w, things)->service->journal_bytes) <= 2000);
    finish_all(w);
    char last[16];
    snprintf(last, sizeof last, " %d", taken);
    CHECK(strcmp(fake.all + strlen(fake.all) - strlen(last), last) == 0);
    CHECK_INT(file_count(), 0);
}
static void a_full_journal_refuses(void) {
    clean();
    on_worker(fill_up, 0, 2000);
}

/* ---- the next process ------------------------------------------------------------------------------------------------ */

static void leave_rows(struct worker *w) {
    put("a", 1);
    let_pool_work(w);
    for (int i = 2; i <= 9; i++)
        put("a", i);
    let_pool_work(w);
    let_pool_work(w);
    CHECK_INT(file_count(), 1);
}
static void leave_after_some(struct worker *w) {
    leave_rows(w);
    finish_commit(MK_OK); /* 1 */
    let_pool_work(w);
    finish_commit(MK_OK); /* all others */
    put("a", 10);         /* and something newer */
    let_pool_work(w);     /* the segment goes, 10 flies */
    let_pool_work(w);     /* and is copied */
    CHECK_INT(file_count(), 1);
}
static void find_rows(struct worker *w) {
    struct call get = { "a", 1, 0 }, other = { "z", 1, 0 };
    queue_run(queue_of(w, things));
    put("a", 11);
    start(get_fiber, &get);
    start(get_fiber, &other);
    let_pool_work(w);
    CHECK_INT(get.rc, RUNNING);
    CHECK_INT(other.rc, RUNNING); /* nobody knows of which partitions they are */
    CHECK_INT(fake.reads, 0);
    finish_all(w);
    posts_run(&w->inbox);
    finish_all(w);
    ops_resume(w);
    CHECK_INT(get.rc, MK_E_NOTFOUND);
    CHECK_INT(other.rc, MK_E_NOTFOUND);
    CHECK_INT(file_count(), 0);
}
static void find_all(struct worker *w) {
    find_rows(w);
    CHECK(strcmp(fake.all, "1 2 3 4 5 6 7 8 9 11") == 0);
}
static void find_last(struct worker *w) {
    find_rows(w);
    CHECK(strcmp(fake.all, "10 11") == 0);
}
static void the_next_process_stores_them_first(void) {
    clean();
    on_worker(leave_rows, 0, 1 << 20);
    CHECK_INT(file_count(), 1);
    on_worker(find_all, 100, 1 << 20);
}
/* An old row must not come over a newer one. */
static void what_was_stored_does_not_come_again(void) {
    clean();
    on_worker(leave_after_some, 0, 1 << 20);
    on_worker(find_last, 100, 1 << 20);
}

static void read_what_was_put(struct worker *w) {
    struct call get = { "a", 11, 0 };
    queue_run(queue_of(w, things));
    put("a", 11);
    start(get_fiber, &get);
    for (let_pool_work(w); fake.op && fake.commit->changes[0]->values[NUMBER].u.i != 11; let_pool_work(w)) {
        finish_commit(MK_OK);
        let_pool_work(w);
        posts_run(&w->inbox); /* all that was held up goes on */
    }
    ops_resume(w);
    CHECK(fake.op != NULL);
    CHECK_INT(get.rc, RUNNING);
    CHECK_INT(fake.reads, 0);
    finish_all(w);
    CHECK_INT(get.rc, MK_E_NOTFOUND);
}
/* However many rows of before were stored, a read waits for the writes of this process. */
static void reads_after_them_see_what_was_put(void) {
    clean();
    on_worker(leave_rows, 0, 1 << 20);
    on_worker(read_what_was_put, 100, 1 << 20);
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", journal_folder, name);
    return path;
}
static void leave_file(const char *name, const char *data, size_t len) {
    FILE *f = fopen(path_of(name), "w");
    CHECK(f && fwrite(data, 1, len, f) == len);
    fclose(f);
}
static bool starts(void) {
    char why[256];
    struct mk_err err = { 0 };
    const struct journal_config journal = { journal_folder, 1 << 20, 50, 1000 };
    things = store_define(&decl, &backend, &err);
    bool good = store_journal_open(&journal, why, sizeof why);
    without();
    return good;
}

/* kill -9 came before there was a row. */
static void a_file_that_was_being_made_is_no_hindrance(void) {
    char header[SEGMENT_HEADER] = "MKJRNL\0\0\1";
    static const char empty[SEGMENT_HEADER];
    clean();
    CHECK(starts());
    leave_file("fake.1.journal", "", 0);
    leave_file("fake.2.journal", header, 100);
    leave_file("fake.3.journal", header, sizeof header);
    leave_file("fake.4.journal", empty, sizeof empty); /* so does a lost block read */
    CHECK(starts());
    CHECK_INT(file_count(), 0);
    header[8] = 2;
    leave_file("fake.5.journal", header, sizeof header);
    CHECK(!starts());
    leave_file("fake.5.journal", "something else", 14);
    CHECK(!starts());
    CHECK_INT(file_count(), 1);
}

static void what_was_not_written_whole_is_cut_off(void) {
    char name[64] = "";
    clean();
    on_worker(leave_rows, 0, 1 << 20);
    DIR *dir = opendir(journal_folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strstr(e->d_name, ".journal"))
            snprintf(name, sizeof name, "%.60s", e->d_name);
    closedir(dir);
    FILE *f = fopen(path_of(name), "a");
    long before = (fseek(f, 0, SEEK_END), ftell(f));
    CHECK(fwrite("torn", 1, 4, f) == 4);
    fclose(f);
    CHECK(starts());
    f = fopen(path_of(name), "r");
    CHECK_INT((fseek(f, 0, SEEK_END), ftell(f)), before);
    fclose(f);
}

/* The other slot has the last mark that is known to be there. */
static void a_mark_that_failed_takes_its_slot_again(void) {
    struct segment *s;
    clean();
    with_journal(0, 1 << 20);
    CHECK_INT(segment_new("fake", &s), 0);
    CHECK_INT(segment_mark(s), 0);
    int fd = s->fd;
    s->fd = -1;
    CHECK(segment_mark(s) != 0);
    s->fd = fd;
    CHECK_INT(s->slot, 1);
    CHECK_INT(segment_mark(s), 0);
    CHECK_INT(s->slot, 2);
    CHECK_INT(segment_remove(s), 0);
    without();
}

static void lose_rows(struct worker *w) {
    struct call get = { "b", 1, 0 };
    put("a", 1);
    let_pool_work(w);
    for (int i = 2; i <= 5; i++)
        put("b", i);
    let_pool_work(w);
    let_pool_work(w);
    CHECK_INT(file_count(), 1);
    CHECK_INT(ftruncate(queue_of(w, things)->spill.first->fd, SEGMENT_HEADER), 0);
    start(get_fiber, &get);
    finish_all(w);
    CHECK(strcmp(fake.all, "1") == 0);
    CHECK_INT(get.rc, MK_E_NOTFOUND);
    CHECK_INT(file_count(), 0);
}
static void nobody_waits_for_rows_that_are_lost(void) {
    clean();
    on_worker(lose_rows, 0, 1 << 20);
}

static void a_folder_is_one_server_s(void) {
    char why[256];
    bool taken;
    const struct journal_config config = { journal_folder, 1 << 20, 50, 1000 };
    with_journal(0, 1 << 20);
    CHECK(!journal_open(&config, &taken, why, sizeof why));
    CHECK(taken);
    without();
}

int main(void) {
    char log_path[80];
    if (!mkdtemp(folder))
        return 2;
    snprintf(journal_folder, sizeof journal_folder, "%s/journal", folder);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    log_setup(&(struct log_config){ LOG_TEXT, log_path, 7 });
    int failed = CHECK_RUN(T(a_record_is_what_was_written), T(any_changed_byte_is_seen),
                           T(an_old_record_fits_a_new_version), T(the_order_stays), T(more_rows_than_memory_may_hold),
                           T(what_may_be_lost_is_not_kept), T(a_full_journal_refuses),
                           T(the_next_process_stores_them_first), T(what_was_stored_does_not_come_again),
                           T(reads_after_them_see_what_was_put), T(a_file_that_was_being_made_is_no_hindrance),
                           T(what_was_not_written_whole_is_cut_off), T(a_mark_that_failed_takes_its_slot_again),
                           T(nobody_waits_for_rows_that_are_lost), T(a_folder_is_one_server_s));
    clean();
    unlink(log_path);
    rmdir(folder);
    return failed;
}
