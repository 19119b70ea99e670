/* SPDX-License-Identifier: Apache-2.0 */
/* Many writers: group commits, receipts, and what a read must see. */
#include "suite.h"
#include "util/mem.h"
#include "xml/stanza.h"

/* A number under a name in partition PART. */
static void pair_row(struct mk_ctx *c, struct mk_value row[P_COUNT], const char *part, int place, int64_t number) {
    row[P_PART_TEXT] = text_part(c, part);
    row[P_PART_INT] = mk_v_int(0);
    row[P_SORT_TEXT] = mk_v_text("n");
    row[P_SORT_INT] = mk_v_int(place);
    row[P_NUMBER] = mk_v_int(number);
}
static void pair_key(const struct mk_value row[P_COUNT], struct mk_value key[4]) {
    key[0] = row[P_PART_TEXT];
    key[1] = row[P_PART_INT];
    key[2] = row[P_SORT_TEXT];
    key[3] = row[P_SORT_INT];
}

static int64_t count_pairs(struct mk_ctx *c, const char *part) {
    int64_t count = -1;
    struct mk_value partition[] = { text_part(c, part), mk_v_int(0) };
    int rc = mk_scan_count(c, pairs, MK_SCAN(.partition = partition), &count);
    return rc == MK_OK ? count : rc;
}

/* ---- reads see writes ------------------------------------------------------------------------------------------- */

static void see_later_fiber(struct mk_ctx *c, void *arg) {
    struct mk_value row[P_COUNT], key[4];
    const struct mk_row *got;
    const struct mk_rows *rows;
    (void)arg;
    for (int i = 1; i <= 50; i++) {
        pair_row(c, row, "see", 1, i);
        pair_key(row, key);
        NEED_INT(mk_put_later(c, pairs, MK_UPSERT, row, NULL), 0);
        if (i % 3 == 0) {
            NEED_INT(mk_get(c, pairs, key, &got), 0);
            NEED_INT(mk_row_int(got, P_NUMBER), i);
        } else if (i % 3 == 1) {
            NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = key), &rows), 0);
            NEED_INT(mk_row_int(mk_rows_at(rows, 0), P_NUMBER), i);
        }
    }
    NEED_INT(mk_del_later(c, pairs, key), 0);
    NEED_INT(mk_get(c, pairs, key, &got), MK_E_NOTFOUND);
}
static void reads_see_what_was_put_later(void) {
    harness_run(0, see_later_fiber, NULL);
}

/* An index across partitions waits for all of the collection. */
static void see_index_fiber(struct mk_ctx *c, void *arg) {
    (void)arg;
    const struct mk_jid *peer = harness_jid(c, "seen-%s@example.net", run_id);
    for (int i = 0; i < 20; i++) {
        int64_t count;
        struct mk_value part = mk_v_jid(peer), row[L_COUNT];
        row[L_OWNER] = mk_v_jid(harness_jid(c, "seer%d-%s@example.org", i, run_id));
        row[L_STAMP] = mk_v_time(i);
        row[L_ID] = mk_v_text("x");
        row[L_PEER] = part;
        row[L_BODY] = mk_v_null();
        row[L_READ] = mk_v_bool(false);
        NEED_INT(mk_put_later(c, letters, MK_UPSERT, row, NULL), 0);
        NEED_INT(mk_scan_count(c, letters, MK_SCAN(.index = 2, .partition = &part), &count), 0);
        NEED_INT(count, i + 1);
    }
}
static void index_reads_see_what_was_put_later(void) {
    harness_run(1, see_index_fiber, NULL);
}

/* ---- receipts ---------------------------------------------------------------------------------------------------- */

struct receipts {
    struct mk_receipt receipt;
    struct mk_stanza stanza;
    atomic_int paid;
};
static void on_paid(struct mk_receipt *r) {
    atomic_fetch_add(&container_of(r, struct receipts, receipt)->paid, 1);
}

static void receipt_fiber(struct mk_ctx *c, void *arg) {
    struct receipts *r = arg;
    struct mk_value row[P_COUNT], key[4];
    const struct mk_row *got;
    for (int i = 0; i < 3; i++) {
        pair_row(c, row, "receipt", i, i);
        NEED_INT(mk_put_later(c, pairs, MK_UPSERT, row, &r->stanza), 0);
    }
    mk_receipt_pay(&r->receipt); /* as the stanza's way through the server does at its end */
    NEED_INT(atomic_load(&r->paid), 0);
    pair_key(row, key);
    NEED_INT(mk_get(c, pairs, key, &got), 0); /* it waited for the commit */
    NEED_INT(atomic_load(&r->paid), 1);
}
static void receipts_are_paid_after_the_commit(void) {
    struct receipts r = { .paid = 0 };
    atomic_init(&r.receipt.holds, 1);
    atomic_init(&r.receipt.refs, 2);
    r.receipt.paid = on_paid;
    r.stanza.receipt = &r.receipt;
    harness_run(0, receipt_fiber, &r);
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

enum { WRITERS = 100, ROWS_EACH = 20 };

static void writer_fiber(struct mk_ctx *c, void *arg) {
    int n = (int)(intptr_t)arg;
    struct mk_value row[P_COUNT], key[4];
    int64_t now;
    for (int i = 0; i < ROWS_EACH; i++) {
        pair_row(c, row, "many", n * ROWS_EACH + i, i);
        if (i % 4 == 3)
            NEED_INT(mk_put_later(c, pairs, MK_IF_ABSENT, row, NULL), 0);
        else
            NEED_INT(mk_put_now(c, pairs, MK_IF_ABSENT, row), 0);
        pair_row(c, row, "sum", 0, 0);
        pair_key(row, key);
        NEED_INT(mk_add(c, pairs, key, P_NUMBER, i, &now), 0);
    }
}
static void sum_fiber(struct mk_ctx *c, void *arg) {
    struct mk_value row[P_COUNT];
    (void)arg;
    pair_row(c, row, "sum", 0, 0);
    NEED_INT(mk_put_now(c, pairs, MK_IF_ABSENT, row), 0);
}
static void check_sum_fiber(struct mk_ctx *c, void *arg) {
    struct mk_value row[P_COUNT], key[4];
    const struct mk_row *got;
    (void)arg;
    NEED_INT(count_pairs(c, "many"), WRITERS * ROWS_EACH);
    pair_row(c, row, "sum", 0, 0);
    pair_key(row, key);
    NEED_INT(mk_get(c, pairs, key, &got), 0);
    NEED_INT(mk_row_int(got, P_NUMBER), WRITERS * (ROWS_EACH * (ROWS_EACH - 1) / 2));
}
static void many_writers_on_two_workers(void) {
    harness_run(0, sum_fiber, NULL);
    for (intptr_t i = 0; i < WRITERS; i++)
        harness_begin(i % WORKERS, writer_fiber, (void *)i);
    harness_wait();
    for (int i = 0; i < WORKERS; i++)
        harness_run((unsigned)i, check_sum_fiber, NULL);
}

/* Two workers race for each row: one of them gets it. */
static atomic_int won, lost;
static void racer_fiber(struct mk_ctx *c, void *arg) {
    struct mk_value row[P_COUNT];
    (void)arg;
    for (int i = 0; i < 50; i++) {
        pair_row(c, row, "race", i, 0);
        int rc = mk_put_now(c, pairs, MK_IF_ABSENT, row);
        NEED(rc == MK_OK || rc == MK_E_CONFLICT);
        atomic_fetch_add(rc == MK_OK ? &won : &lost, 1);
    }
}
static void one_of_two_wins_each_row(void) {
    atomic_store(&won, 0);
    atomic_store(&lost, 0);
    for (unsigned i = 0; i < 4; i++)
        harness_begin(i % WORKERS, racer_fiber, NULL);
    harness_wait();
    if (atomic_load(&won) != 50 || atomic_load(&lost) != 150)
        check_failed(__FILE__, __LINE__, "%d won, %d lost", atomic_load(&won), atomic_load(&lost));
}

/* Writes of a partition keep their order, whatever is mixed in from others. */
static void order_fiber(struct mk_ctx *c, void *arg) {
    const char *part = mk_printf(c, "order%d", (int)(intptr_t)arg);
    struct mk_value row[P_COUNT], key[4];
    const struct mk_row *got;
    for (int i = 1; i <= 300; i++) {
        pair_row(c, row, part, 0, i);
        pair_key(row, key);
        if (i % 7 == 0)
            NEED_INT(mk_del_later(c, pairs, key), 0);
        NEED_INT(mk_put_later(c, pairs, i % 7 ? MK_UPSERT : MK_IF_ABSENT, row, NULL), 0);
        if (i % 40 == 0) {
            NEED_INT(mk_get(c, pairs, key, &got), 0);
            NEED_INT(mk_row_int(got, P_NUMBER), i);
        }
    }
    NEED_INT(mk_put_if(c, pairs, P_NUMBER, mk_v_int(300), row), 0);
}
static void partitions_keep_the_order_of_writes(void) {
    for (intptr_t i = 0; i < 8; i++)
        harness_begin(i % WORKERS, order_fiber, (void *)i);
    harness_wait();
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

static void full_fiber(struct mk_ctx *c, void *arg) {
    struct mk_value row[P_COUNT];
    (void)arg;
    for (int i = 0; i < 100; i++) {
        pair_row(c, row, "full", i, i);
        NEED_INT(mk_put_later(c, pairs, MK_UPSERT, row, NULL), 0);
    }
    pair_row(c, row, "full", 100, 0);
    NEED_INT(mk_put_later(c, pairs, MK_UPSERT, row, NULL), MK_E_BUSY);
    NEED_INT(mk_put_now(c, pairs, MK_UPSERT, row), MK_E_BUSY);
    NEED_INT(count_pairs(c, "full"), 100);
    NEED_INT(mk_put_later(c, pairs, MK_UPSERT, row, NULL), 0);
    NEED_INT(count_pairs(c, "full"), 101);
}
static void a_full_queue_says_so(void) {
    const struct store_config narrow = { .queue = 100, .commit_rows = 10, .retry = 100 };
    const struct store_config usual = { .queue = 10000, .commit_rows = 256, .retry = 100 };
    store_setup(&narrow);
    harness_run(0, full_fiber, NULL);
    store_setup(&usual);
}

const struct test queue_tests[] = {
    TEST(reads_see_what_was_put_later, 0),
    TEST(index_reads_see_what_was_put_later, 0),
    TEST(receipts_are_paid_after_the_commit, 0),
    TEST(many_writers_on_two_workers, 0),
    TEST(one_of_two_wins_each_row, 0),
    TEST(partitions_keep_the_order_of_writes, 0),
    TEST(a_full_queue_says_so, 0),
};
const size_t queue_test_count = sizeof queue_tests / sizeof queue_tests[0];
