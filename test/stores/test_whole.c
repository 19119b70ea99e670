/* SPDX-License-Identifier: Apache-2.0 */
/* Whole collections: pages of all rows, their number, the schema. */
#include "suite.h"
#include <stdlib.h>

enum { PAGE = 7 };

static bool can_sweep(void) {
    return ((const struct mk_backend_ops *)pairs->service->svc.ops)->sweep != NULL;
}

/* How often each of OURS rows of partition ROOM came, by P_NUMBER. */
struct seen {
    const char *room;
    int times[256];
    int64_t all;
};

static void see(struct seen *s, const struct mk_row *row) {
    int64_t n = mk_row_int(row, P_NUMBER);
    s->all++;
    if (strcmp(mk_row_text(row, P_PART_TEXT), s->room) == 0 && n >= 0 && n < 256)
        s->times[n]++;
}

static void key_of(struct mk_value *key, const struct mk_row *row) {
    key[0] = mk_v_text(mk_row_text(row, P_PART_TEXT));
    key[1] = mk_v_int(mk_row_int(row, P_PART_INT));
    key[2] = mk_v_text(mk_row_text(row, P_SORT_TEXT));
    key[3] = mk_v_int(mk_row_int(row, P_SORT_INT));
}

/* Reads all; deletes the last row of each page that is ours and has an odd number, before it goes on behind it. */
MK_SUSPENDS static int sweep_pairs(struct mk_ctx *c, struct seen *s, bool thin_out) {
    const struct mk_rows *rows;
    struct mk_value after[4];
    bool begun = false;
    for (;;) {
        int rc = store_page(c, pairs, begun ? after : NULL, PAGE, &rows);
        if (rc)
            return rc;
        size_t count = mk_rows_count(rows);
        for (size_t i = 0; i < count; i++)
            see(s, mk_rows_at(rows, i));
        if (count < PAGE)
            return count > PAGE ? MK_E_INVALID : MK_OK;
        const struct mk_row *last = mk_rows_at(rows, count - 1);
        key_of(after, last);
        begun = true;
        if (thin_out && strcmp(mk_row_text(last, P_PART_TEXT), s->room) == 0 && mk_row_int(last, P_NUMBER) % 2)
            rc = mk_del(c, pairs, after);
        if (rc)
            return rc;
    }
}

MK_SUSPENDS static int fill_pairs(struct mk_ctx *c, const char *room) {
    struct mk_value row[P_COUNT] = { [P_PART_TEXT] = mk_v_text(room) };
    for (int i = 0; i < 100; i++) {
        row[P_PART_INT] = mk_v_int(i % 10 - 5);
        row[P_SORT_TEXT] = mk_v_text(mk_printf(c, "%d", i / 10));
        row[P_SORT_INT] = mk_v_int(i);
        row[P_NUMBER] = mk_v_int(i);
        int rc = mk_put_later(c, pairs, MK_UPSERT, row, NULL);
        if (rc)
            return rc;
    }
    return MK_OK;
}

MK_SUSPENDS static void pages_have_all_rows_once_fiber(struct mk_ctx *c, void *arg) {
    (void)arg;
    struct seen seen = { .room = mk_printf(c, "all-%s", run_id) }, again = seen;
    int64_t count;
    NEED_INT(fill_pairs(c, seen.room), 0);
    NEED_INT(sweep_pairs(c, &seen, true), 0);
    for (int i = 0; i < 100; i++)
        NEED_INT(seen.times[i], 1);
    NEED_INT(sweep_pairs(c, &again, false), 0);
    int left = 0;
    for (int i = 0; i < 100; i++) {
        NEED(again.times[i] == 1 || (again.times[i] == 0 && i % 2 == 1));
        left += again.times[i];
    }
    NEED(left < 100);
    NEED_INT(store_count(c, pairs, &count), 0);
    NEED_INT(count, again.all);
}
static void pages_have_all_rows_once(void) {
    if (can_sweep())
        harness_run(0, pages_have_all_rows_once_fiber, NULL);
}

static void put_end(struct mk_ctx *c, const char *item, struct mk_value until, int *rc) {
    struct mk_value row[E_COUNT] = { text_part(c, "all"), mk_v_text(item), mk_v_int(0), until };
    if (*rc == MK_OK)
        *rc = mk_put_later(c, ends, MK_UPSERT, row, NULL);
}
MK_SUSPENDS static void expired_rows_are_not_seen_fiber(struct mk_ctx *c, void *arg) {
    (void)arg;
    const struct mk_rows *rows;
    int64_t before, after;
    int rc = MK_OK;
    NEED_INT(store_count(c, ends, &before), 0);
    put_end(c, "gone", mk_v_time(mk_now(c) - 1000000), &rc);
    put_end(c, "later", mk_v_time(mk_now(c) + 3600ll * 1000000), &rc);
    put_end(c, "never", mk_v_null(), &rc);
    NEED_INT(rc, 0);
    NEED_INT(store_count(c, ends, &after), 0);
    NEED_INT(after - before, 2);
    NEED_INT(store_page(c, ends, NULL, 10000, &rows), 0);
    int found = 0;
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        if (strcmp(mk_row_text(row, E_NAME), text_part(c, "all").u.s) != 0)
            continue;
        NEED(strcmp(mk_row_text(row, E_ITEM), "gone") != 0);
        found++;
    }
    NEED_INT(found, 2);
}
static void expired_rows_are_not_seen(void) {
    if (can_sweep())
        harness_run(0, expired_rows_are_not_seen_fiber, NULL);
}

/* ---- a large partition ------------------------------------------------------------------------------------------ */

enum { LARGE = 20000, LARGE_PAGE = 700 };

static int put_letter(struct mk_ctx *c, const struct mk_jid *owner, const struct mk_jid *peer, int i) {
    struct mk_value row[L_COUNT] = { [L_OWNER] = mk_v_jid(owner),
                                     [L_STAMP] = mk_v_time(i / 3),
                                     [L_ID] = mk_v_text(mk_printf(c, "%06d", i)),
                                     [L_PEER] = mk_v_jid(peer),
                                     [L_BODY] = mk_v_text("A letter of some length, as most of them are."),
                                     [L_READ] = mk_v_bool(i % 2) };
    return mk_put_later(c, letters, MK_UPSERT, row, NULL);
}

struct large {
    const struct mk_jid *owner, *peer;
    int next;
};

/* Some at a time: the queue is bounded, and a count waits for those before. */
MK_SUSPENDS static int fill_large(struct mk_ctx *c, const struct large *l) {
    struct mk_value owner = mk_v_jid(l->owner);
    int64_t count = 0;
    int rc = MK_OK;
    for (int i = 0; i < LARGE && rc == MK_OK; i++) {
        rc = put_letter(c, l->owner, l->peer, i);
        if (rc == MK_OK && (i % 5000 == 4999 || i + 1 == LARGE))
            rc = mk_scan_count(c, letters, MK_SCAN(.partition = &owner), &count);
    }
    return rc == MK_OK && count != LARGE ? MK_E_INVALID : rc;
}

/* A page behind, or before, the row with number AT; the next place. */
MK_SUSPENDS static int read_large(struct mk_ctx *c, struct large *l, uint32_t flags) {
    struct mk_value owner = mk_v_jid(l->owner), at[] = { mk_v_time(l->next / 3), mk_v_null() };
    bool back = flags & MK_SCAN_REVERSE;
    const struct mk_rows *rows;
    at[1] = mk_v_text(mk_printf(c, "%06d", l->next));
    int rc = mk_scan(c, letters,
                     MK_SCAN(.partition = &owner, .lo = back ? NULL : at, .lo_count = back ? 0 : 2,
                             .hi = back ? at : NULL, .hi_count = back ? 2 : 0, .flags = flags, .limit = LARGE_PAGE),
                     &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        l->next += back ? -1 : 1;
        if (strcmp(mk_row_text(mk_rows_at(rows, i), L_ID), mk_printf(c, "%06d", l->next)) != 0)
            rc = MK_E_INVALID;
    }
    return rc;
}

MK_SUSPENDS static void a_large_partition_is_read_in_pages_fiber(struct mk_ctx *c, void *arg) {
    struct large l = { harness_jid(c, "large-%s@example.org", run_id), harness_jid(c, "p-%s@example.org", run_id), 0 };
    (void)arg;
    NEED_INT(fill_large(c, &l), 0);
    for (int pages = 0; l.next < LARGE - 1; pages++) {
        NEED(pages <= LARGE / LARGE_PAGE);
        NEED_INT(read_large(c, &l, MK_SCAN_LO_OPEN), 0);
    }
    l.next = LARGE;
    for (int pages = 0; l.next > 0; pages++) {
        NEED(pages <= LARGE / LARGE_PAGE);
        NEED_INT(read_large(c, &l, MK_SCAN_REVERSE | MK_SCAN_HI_OPEN), 0);
    }
    struct mk_value unread[] = { mk_v_jid(l.owner), mk_v_bool(false) }, peer = mk_v_jid(l.peer);
    int64_t count;
    NEED_INT(mk_scan_count(c, letters, MK_SCAN(.index = 3, .partition = unread), &count), 0);
    NEED_INT(count, LARGE / 2);
    NEED_INT(mk_scan_count(c, letters, MK_SCAN(.index = 2, .partition = &peer), &count), 0);
    NEED_INT(count, LARGE);
    NEED_INT(mk_del_range(c, letters, MK_SCAN(.partition = unread)), 0);
    NEED_INT(mk_scan_count(c, letters, MK_SCAN(.index = 2, .partition = &peer), &count), 0);
    NEED_INT(count, 0);
}
static void a_large_partition_is_read_in_pages(void) {
    harness_run(0, a_large_partition_is_read_in_pages_fiber, NULL);
}

/* ---- schema ------------------------------------------------------------------------------------------------------- */

/* Of every collection, whether it is stored in the backend or not. */
static void the_schema_can_be_printed(void) {
    const struct mk_backend_ops *ops = pairs->service->svc.ops;
    const struct mk_coll *all[] = { kinds, pairs, letters, ends, texts };
    for (unsigned i = 0; ops->schema && i < sizeof all / sizeof all[0] && all[i]; i++) {
        struct mk_schema schema = { { 0 } };
        struct mk_coll *other = coll_elsewhere(all[i], all[i]->provider, NULL);
        NEED(other && !mk_coll_data(other));
        ops->schema(all[i]->provider->bytes, other, &schema);
        coll_free(other);
        NEED(schema.text.data && strstr(schema.text.data, mk_coll_decl(all[i])->name));
        buf_free(&schema.text);
    }
}

const struct test whole_tests[] = {
    TEST(pages_have_all_rows_once, 0),
    TEST(expired_rows_are_not_seen, 0),
    TEST(a_large_partition_is_read_in_pages, 0),
    TEST(the_schema_can_be_printed, 0),
};
const size_t whole_test_count = sizeof whole_tests / sizeof whole_tests[0];
