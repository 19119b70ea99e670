/* SPDX-License-Identifier: Apache-2.0 */
/* Single rows: what goes in comes out, and what must be refused is. */
#include "suite.h"
#include "util/mem.h"
#include <stdlib.h>

#define FIBER_TEST(f)                                                                                                  \
    static void f##_fiber(struct mk_ctx *c, void *arg);                                                                \
    static void f(void) {                                                                                              \
        harness_run(0, f##_fiber, NULL);                                                                               \
    }                                                                                                                  \
    static void f##_fiber(struct mk_ctx *c, __attribute__((unused)) void *arg)

static void plain_kind(struct mk_ctx *c, struct mk_value row[K_COUNT], const char *owner, int64_t id) {
    row[K_OWNER] = mk_v_jid(harness_jid(c, "%s-%s@example.org", owner, run_id));
    row[K_ID] = mk_v_int(id);
    row[K_TEXT] = row[K_BYTES] = row[K_INT] = row[K_TIME] = row[K_JID] = mk_v_null();
    row[K_BOOL] = mk_v_bool(false);
    row[K_NOTE] = mk_v_text("note");
}

FIBER_TEST(every_type_comes_back) {
    static const unsigned char bytes[] = { 0, 255, 0, '\'', 0x80, 10 };
    struct mk_value row[K_COUNT], key[2];
    const struct mk_row *got;
    plain_kind(c, row, "types", 1);
    row[K_TEXT] = mk_v_text("caf\xc3\xa9 \xf0\x9f\xa6\xa6");
    row[K_BYTES] = mk_v_bytes(bytes, sizeof bytes);
    row[K_INT] = mk_v_int(INT64_MIN);
    row[K_TIME] = mk_v_time(INT64_MAX);
    row[K_BOOL] = mk_v_bool(true);
    row[K_JID] = mk_v_jid(harness_jid(c, "room@muc.example.org/N\xc3\xa4me"));
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    key[0] = row[K_OWNER];
    key[1] = row[K_ID];
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED_TEXT(mk_jid_text(mk_row_jid(got, K_OWNER)), mk_jid_text(row[K_OWNER].u.j));
    NEED_TEXT(mk_row_text(got, K_OWNER), mk_jid_text(row[K_OWNER].u.j));
    NEED_INT(mk_row_int(got, K_ID), 1);
    NEED_TEXT(mk_row_text(got, K_TEXT), "caf\xc3\xa9 \xf0\x9f\xa6\xa6");
    struct mk_view view = mk_row_bytes(got, K_BYTES);
    NEED_INT(view.len, sizeof bytes);
    NEED(memcmp(view.s, bytes, sizeof bytes) == 0 && view.s[view.len] == '\0');
    NEED_INT(mk_row_int(got, K_INT), INT64_MIN);
    NEED_INT(mk_row_int(got, K_TIME), INT64_MAX);
    NEED_INT(mk_row_int(got, K_BOOL), 1);
    NEED(mk_jid_same(mk_row_jid(got, K_JID), row[K_JID].u.j));
    NEED_TEXT(mk_row_text(got, K_NOTE), "note");
}

FIBER_TEST(null_is_not_empty) {
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "null", 0);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    row[K_ID] = mk_v_int(-1);
    row[K_TEXT] = mk_v_text("");
    row[K_BYTES] = mk_v_bytes(NULL, 0);
    row[K_INT] = mk_v_int(0);
    row[K_NOTE] = mk_v_text("");
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    struct mk_value key[] = { row[K_OWNER], mk_v_int(0) };
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    for (unsigned i = K_TEXT; i <= K_JID; i++)
        if (i != K_BOOL)
            NEED(mk_row_is_null(got, i));
    NEED(!mk_row_text(got, K_TEXT) && !mk_row_bytes(got, K_BYTES).s && !mk_row_jid(got, K_JID));
    key[1] = mk_v_int(-1);
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED(!mk_row_is_null(got, K_TEXT) && !mk_row_is_null(got, K_BYTES) && !mk_row_is_null(got, K_INT));
    NEED_TEXT(mk_row_text(got, K_TEXT), "");
    NEED_INT(mk_row_bytes(got, K_BYTES).len, 0);
    NEED_TEXT(mk_row_text(got, K_NOTE), "");
}

FIBER_TEST(hostile_text_is_text) {
    static const char *const texts_[] = { "'; DROP TABLE test_kinds; --",
                                          "\" OR \"\"=\"",
                                          "%s%n%_\\",
                                          "a\nb\r\tc\x01",
                                          "?1 :x @y $z",
                                          "\xf0\x9f\x98\x80\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9",
                                          "NULL" };
    struct mk_value row[K_COUNT];
    plain_kind(c, row, "hostile", 0);
    for (unsigned i = 0; i < sizeof texts_ / sizeof texts_[0]; i++) {
        const struct mk_row *got;
        row[K_ID] = mk_v_int(i);
        row[K_TEXT] = row[K_NOTE] = mk_v_text(texts_[i]);
        NEED_INT(mk_put_now(c, kinds, MK_IF_ABSENT, row), 0);
        struct mk_value key[] = { row[K_OWNER], row[K_ID] };
        NEED_INT(mk_get(c, kinds, key, &got), 0);
        NEED_TEXT(mk_row_text(got, K_TEXT), texts_[i]);
        struct mk_filter filter = { K_NOTE, 0, row[K_NOTE] };
        int64_t count;
        NEED_INT(mk_scan_count(c, kinds, MK_SCAN(.partition = key, .filters = &filter, .filter_count = 1), &count), 0);
        NEED_INT(count, 1);
    }
}

FIBER_TEST(hostile_keys_are_keys) {
    static const char *const names[] = { "'", "\"", "a'b\"c", "*", "%", "_", "\xf0\x9f\xa6\xa6", "", " ", "A", "a" };
    enum { NAMES = sizeof names / sizeof names[0] };
    struct mk_value row[P_COUNT] = { [P_NUMBER] = mk_v_int(0), [P_PART_INT] = mk_v_int(0), [P_SORT_INT] = mk_v_int(0) };
    row[P_PART_TEXT] = text_part(c, "hostile '\"*");
    for (int i = 0; i < NAMES; i++) {
        row[P_SORT_TEXT] = mk_v_text(names[i]);
        row[P_NUMBER] = mk_v_int(i);
        NEED_INT(mk_put_now(c, pairs, MK_IF_ABSENT, row), 0);
    }
    for (int i = 0; i < NAMES; i++) {
        struct mk_value key[] = { row[P_PART_TEXT], mk_v_int(0), mk_v_text(names[i]), mk_v_int(0) };
        const struct mk_row *got;
        NEED_INT(mk_get(c, pairs, key, &got), 0);
        NEED_INT(mk_row_int(got, P_NUMBER), i);
    }
}

FIBER_TEST(large_values_fit) {
    enum { SIZE = 64 * 1024, LARGE = 3 << 20 };
    char *data = xmalloc(LARGE);
    for (int i = 0; i < LARGE; i++)
        data[i] = (char)('a' + i % 26);
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "large", 0);
    row[K_TEXT] = mk_v_view((struct mk_view){ data, SIZE });
    row[K_BYTES] = mk_v_bytes(data, LARGE);
    int rc = mk_put_now(c, kinds, MK_UPSERT, row);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    if (rc == MK_OK)
        rc = mk_get(c, kinds, key, &got);
    bool same = rc == MK_OK && mk_row_bytes(got, K_BYTES).len == LARGE &&
                memcmp(mk_row_bytes(got, K_BYTES).s, data, LARGE) == 0 && mk_row_bytes(got, K_TEXT).len == SIZE &&
                memcmp(mk_row_text(got, K_TEXT), data, SIZE) == 0;
    free(data);
    NEED_INT(rc, 0);
    NEED(same);
}

FIBER_TEST(bytes_are_any_octets) {
    enum { EMOJI = 16 * 1024 }; /* 64 KiB of text */
    unsigned char octets[512];
    char *text = xmalloc(EMOJI * 4);
    for (unsigned i = 0; i < sizeof octets; i++)
        octets[i] = (unsigned char)i;
    for (size_t i = 0; i < EMOJI; i++)
        memcpy(text + i * 4, "\xf0\x9f\xa6\xa6", 4);
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "octets", 0);
    row[K_BYTES] = mk_v_bytes(octets, sizeof octets);
    row[K_TEXT] = row[K_NOTE] = mk_v_view((struct mk_view){ text, EMOJI * 4 });
    int rc = mk_put_now(c, kinds, MK_UPSERT, row);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    if (rc == MK_OK)
        rc = mk_get(c, kinds, key, &got);
    bool same = rc == MK_OK && mk_row_bytes(got, K_BYTES).len == sizeof octets &&
                memcmp(mk_row_bytes(got, K_BYTES).s, octets, sizeof octets) == 0 &&
                mk_row_bytes(got, K_TEXT).len == EMOJI * 4 && memcmp(mk_row_text(got, K_TEXT), text, EMOJI * 4) == 0;
    free(text);
    NEED_INT(rc, 0);
    NEED(same);
}

FIBER_TEST(long_keys_fit) {
    char name[1025], part[1025];
    memset(name, 'k', sizeof name);
    memset(part, 'p', sizeof part);
    memcpy(part, run_id, strlen(run_id));
    struct mk_value row[P_COUNT] = { [P_NUMBER] = mk_v_int(5), [P_PART_INT] = mk_v_int(0), [P_SORT_INT] = mk_v_int(0) };
    row[P_PART_TEXT] = mk_v_view((struct mk_view){ part, 1024 });
    row[P_SORT_TEXT] = mk_v_view((struct mk_view){ name, 1024 });
    const struct mk_row *got;
    NEED_INT(mk_put_now(c, pairs, MK_UPSERT, row), 0);
    struct mk_value key[] = { row[P_PART_TEXT], mk_v_int(0), row[P_SORT_TEXT], mk_v_int(0) };
    NEED_INT(mk_get(c, pairs, key, &got), 0);
    NEED_INT(mk_row_int(got, P_NUMBER), 5);
    row[P_SORT_TEXT] = mk_v_view((struct mk_view){ name, 1025 });
    NEED_INT(mk_put_now(c, pairs, MK_UPSERT, row), MK_E_INVALID);
}

FIBER_TEST(what_is_no_text_is_refused) {
    static const struct mk_view bad[] = { { "a\0b", 3 },         { "\xc3", 1 },     { "\xff", 1 },
                                          { "\xed\xa0\x80", 3 }, { "\xc0\xaf", 2 }, { "\xf4\x90\x80\x80", 4 } };
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "bad", 0);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        row[K_NOTE] = mk_v_view(bad[i]);
        NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), MK_E_INVALID);
        NEED_INT(mk_put_later(c, kinds, MK_UPSERT, row, NULL), MK_E_INVALID);
    }
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
}

FIBER_TEST(wrong_types_are_refused) {
    struct mk_value row[K_COUNT];
    plain_kind(c, row, "wrong", 0);
    row[K_BOOL] = mk_v_int(1);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), MK_E_INVALID);
    plain_kind(c, row, "wrong", 0);
    row[K_OWNER] = mk_v_text("a@example.org");
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), MK_E_INVALID);
    plain_kind(c, row, "wrong", 0);
    row[K_NOTE] = mk_v_null();
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), MK_E_INVALID);
    plain_kind(c, row, "wrong", 0);
    row[K_ID] = mk_v_null();
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), MK_E_INVALID);
}

FIBER_TEST(upsert_replaces_the_whole_row) {
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    int64_t count;
    plain_kind(c, row, "upsert", 1);
    row[K_TEXT] = mk_v_text("first");
    row[K_INT] = mk_v_int(1);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    row[K_TEXT] = mk_v_null();
    row[K_INT] = mk_v_int(2);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED(mk_row_is_null(got, K_TEXT));
    NEED_INT(mk_row_int(got, K_INT), 2);
    NEED_INT(mk_scan_count(c, kinds, MK_SCAN(.partition = key), &count), 0);
    NEED_INT(count, 1);
}

FIBER_TEST(if_absent_keeps_what_is_there) {
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "absent", 1);
    row[K_INT] = mk_v_int(1);
    NEED_INT(mk_put_now(c, kinds, MK_IF_ABSENT, row), 0);
    row[K_INT] = mk_v_int(2);
    NEED_INT(mk_put_now(c, kinds, MK_IF_ABSENT, row), MK_E_CONFLICT);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED_INT(mk_row_int(got, K_INT), 1);
    key[1] = mk_v_int(2);
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
}

FIBER_TEST(put_if_compares) {
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "putif", 1);
    NEED_INT(mk_put_if(c, kinds, K_INT, mk_v_int(1), row), MK_E_NOTFOUND);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    row[K_INT] = mk_v_int(5);
    NEED_INT(mk_put_if(c, kinds, K_INT, mk_v_int(0), row), MK_E_CONFLICT);
    NEED_INT(mk_put_if(c, kinds, K_INT, mk_v_null(), row), 0);
    row[K_INT] = mk_v_int(6);
    NEED_INT(mk_put_if(c, kinds, K_INT, mk_v_null(), row), MK_E_CONFLICT);
    NEED_INT(mk_put_if(c, kinds, K_INT, mk_v_int(5), row), 0);
    row[K_NOTE] = mk_v_text("new");
    NEED_INT(mk_put_if(c, kinds, K_NOTE, mk_v_text("other"), row), MK_E_CONFLICT);
    NEED_INT(mk_put_if(c, kinds, K_NOTE, mk_v_text("note"), row), 0);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED_INT(mk_row_int(got, K_INT), 6);
    NEED_TEXT(mk_row_text(got, K_NOTE), "new");
    NEED_INT(mk_put_if(c, kinds, K_COUNT, mk_v_int(5), row), MK_E_INVALID);
    NEED_INT(mk_put_if(c, kinds, K_INT, mk_v_text("5"), row), MK_E_INVALID);
}

FIBER_TEST(add_counts) {
    struct mk_value row[K_COUNT];
    int64_t now;
    plain_kind(c, row, "add", 1);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    NEED_INT(mk_add(c, kinds, key, K_INT, 1, &now), MK_E_NOTFOUND);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    NEED_INT(mk_add(c, kinds, key, K_INT, 5, &now), 0);
    NEED_INT(now, 5);
    NEED_INT(mk_add(c, kinds, key, K_INT, -7, &now), 0);
    NEED_INT(now, -2);
    NEED_INT(mk_add(c, kinds, key, K_INT, 0, &now), 0);
    NEED_INT(now, -2);
    NEED_INT(mk_add(c, kinds, key, K_NOTE, 1, &now), MK_E_INVALID);
    NEED_INT(mk_add(c, kinds, key, K_ID, 1, &now), MK_E_INVALID);
    row[K_INT] = mk_v_int(INT64_MAX - 1);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    NEED_INT(mk_add(c, kinds, key, K_INT, 1, &now), 0);
    NEED_INT(now, INT64_MAX);
    NEED_INT(mk_add(c, kinds, key, K_INT, 1, &now), MK_E_LIMIT);
    const struct mk_row *got;
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED_INT(mk_row_int(got, K_INT), INT64_MAX);
}

FIBER_TEST(del_deletes) {
    struct mk_value row[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, row, "del", 1);
    struct mk_value key[] = { row[K_OWNER], row[K_ID] };
    NEED_INT(mk_del(c, kinds, key), MK_E_NOTFOUND);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    row[K_ID] = mk_v_int(2);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    NEED_INT(mk_del(c, kinds, key), 0);
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
    NEED_INT(mk_put_now(c, kinds, MK_IF_ABSENT, (row[K_ID] = mk_v_int(1), row)), 0);
    NEED_INT(mk_del_later(c, kinds, key), 0);
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
    NEED_INT(mk_del_later(c, kinds, key), 0);
    key[1] = mk_v_int(2);
    NEED_INT(mk_get(c, kinds, key, &got), 0);
}

FIBER_TEST(del_range_deletes_what_it_says) {
    struct mk_value row[K_COUNT], other[K_COUNT], one = mk_v_int(3), two = mk_v_int(7);
    int64_t count;
    plain_kind(c, row, "range", 0);
    plain_kind(c, other, "range2", 4);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, other), 0);
    for (int i = 1; i <= 10; i++) {
        row[K_ID] = mk_v_int(i);
        NEED_INT(mk_put_later(c, kinds, MK_UPSERT, row, NULL), 0);
    }
    struct mk_value *part = &row[K_OWNER];
    NEED_INT(mk_del_range(c, kinds,
                          MK_SCAN(.partition = part, .lo = &one, .lo_count = 1, .hi = &two, .hi_count = 1,
                                  .flags = MK_SCAN_HI_OPEN)),
             0);
    NEED_INT(mk_scan_count(c, kinds, MK_SCAN(.partition = part), &count), 0);
    NEED_INT(count, 6);
    struct mk_value key[] = { *part, two };
    const struct mk_row *got;
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    key[1] = one;
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
    NEED_INT(mk_del_range(c, kinds, MK_SCAN(.partition = part)), 0);
    NEED_INT(mk_scan_count(c, kinds, MK_SCAN(.partition = part), &count), 0);
    NEED_INT(count, 0);
    NEED_INT(mk_del_range(c, kinds, MK_SCAN(.partition = part)), 0);
    NEED_INT(mk_scan_count(c, kinds, MK_SCAN(.partition = &other[K_OWNER]), &count), 0);
    NEED_INT(count, 1);
    NEED_INT(mk_del_range(c, kinds, MK_SCAN(.partition = part, .limit = 1)), MK_E_INVALID);
    NEED_INT(mk_del_range(c, letters, MK_SCAN(.partition = part, .index = 1)), MK_E_INVALID);
}

FIBER_TEST(a_batch_does_all) {
    struct mk_value a[K_COUNT], b[K_COUNT], pair[P_COUNT], gone[2];
    const struct mk_row *got;
    plain_kind(c, a, "batch", 1);
    plain_kind(c, b, "batch", 2);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, a), 0);
    gone[0] = a[K_OWNER];
    gone[1] = mk_v_int(9);
    struct mk_value key[] = { a[K_OWNER], a[K_ID] };
    const struct mk_write writes[] = { { MK_W_PUT, MK_IF_ABSENT, kinds, b },
                                       { MK_W_DEL, 0, kinds, gone }, /* is not there: no failure */
                                       { MK_W_DEL, 0, kinds, key } };
    NEED_INT(mk_batch(c, writes, 3), 0);
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
    key[1] = mk_v_int(2);
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED_INT(mk_batch(c, writes, 0), 0);
    memset(pair, 0, sizeof pair);
    pair[P_PART_TEXT] = pair[P_SORT_TEXT] = mk_v_text("elsewhere");
    pair[P_NUMBER] = pair[P_PART_INT] = pair[P_SORT_INT] = mk_v_int(0);
    const struct mk_write apart[] = { writes[2], { MK_W_PUT, MK_UPSERT, pairs, pair } };
    NEED_INT(mk_batch(c, apart, 2), MK_E_INVALID);
}

FIBER_TEST(a_batch_that_fails_does_nothing) {
    struct mk_value a[K_COUNT], b[K_COUNT], d[K_COUNT], first[K_COUNT], last[K_COUNT];
    const struct mk_row *got;
    plain_kind(c, a, "atom", 1);
    plain_kind(c, b, "atom", 2);
    plain_kind(c, d, "atom", 3);
    plain_kind(c, first, "atom", 4);
    plain_kind(c, last, "atom", 5);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, b), 0);
    NEED_INT(mk_put_now(c, kinds, MK_UPSERT, d), 0);
    b[K_INT] = mk_v_int(77);
    struct mk_value del_d[] = { d[K_OWNER], d[K_ID] };
    const struct mk_write writes[] = { { MK_W_PUT, MK_UPSERT, kinds, a },
                                       { MK_W_DEL, 0, kinds, del_d },
                                       { MK_W_PUT, MK_UPSERT, kinds, b },
                                       { MK_W_PUT, MK_IF_ABSENT, kinds, b } };
    /* Beside others in the same commit, which must stand. */
    NEED_INT(mk_put_later(c, kinds, MK_UPSERT, first, NULL), 0);
    NEED_INT(mk_batch(c, writes, 4), MK_E_CONFLICT);
    NEED_INT(mk_put_later(c, kinds, MK_UPSERT, last, NULL), 0);
    struct mk_value key[] = { a[K_OWNER], a[K_ID] };
    NEED_INT(mk_get(c, kinds, key, &got), MK_E_NOTFOUND);
    NEED_INT(mk_get(c, kinds, del_d, &got), 0);
    key[1] = b[K_ID];
    NEED_INT(mk_get(c, kinds, key, &got), 0);
    NEED(mk_row_is_null(got, K_INT));
    int64_t count;
    NEED_INT(mk_scan_count(c, kinds, MK_SCAN(.partition = key), &count), 0);
    NEED_INT(count, 4);
}

const struct test row_tests[] = {
    TEST(every_type_comes_back, 0),
    TEST(null_is_not_empty, 0),
    TEST(hostile_text_is_text, 0),
    TEST(hostile_keys_are_keys, 0),
    TEST(large_values_fit, 0),
    TEST(bytes_are_any_octets, 0),
    TEST(long_keys_fit, 0),
    TEST(what_is_no_text_is_refused, 0),
    TEST(wrong_types_are_refused, 0),
    TEST(upsert_replaces_the_whole_row, 0),
    TEST(if_absent_keeps_what_is_there, 0),
    TEST(put_if_compares, 0),
    TEST(add_counts, 0),
    TEST(del_deletes, 0),
    TEST(del_range_deletes_what_it_says, 0),
    TEST(a_batch_does_all, 0),
    TEST(a_batch_that_fails_does_nothing, MK_CAP_BATCH),
};
const size_t row_test_count = sizeof row_tests / sizeof row_tests[0];
