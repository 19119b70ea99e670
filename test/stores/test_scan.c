/* SPDX-License-Identifier: Apache-2.0 */
/* Many rows: orders, bounds, filters, indexes, expiry, search. */
#include "suite.h"
#include <stdlib.h>

#define FIBER_TEST(f)                                                                                                  \
    static void f##_fiber(struct mk_ctx *c, void *arg);                                                                \
    static void f(void) {                                                                                              \
        harness_run(1, f##_fiber, NULL);                                                                               \
    }                                                                                                                  \
    static void f##_fiber(struct mk_ctx *c, __attribute__((unused)) void *arg)

/* The values of an int column of all rows, "1 2 3". */
static const char *ints(struct mk_ctx *c, const struct mk_rows *rows, unsigned col) {
    const char *text = "";
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        text = mk_printf(c, "%s%s%lld", text, i ? " " : "", (long long)mk_row_int(mk_rows_at(rows, i), col));
    return text;
}
static const char *words(struct mk_ctx *c, const struct mk_rows *rows, unsigned col) {
    const char *text = "";
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        text = mk_printf(c, "%s%s%s", text, i ? " " : "", mk_row_text(mk_rows_at(rows, i), col));
    return text;
}

/* ---- orders ---------------------------------------------------------------------------------------------------- */

FIBER_TEST(texts_are_in_order_of_octets) {
    static const char *const names[] = { "b",           "B", "aa", "a", "", "\xc3\xa4", "z", "a b", "\xf0\x9f\xa6\xa6",
                                         "\xef\xbc\xa1" };
    struct mk_value row[P_COUNT] = { [P_NUMBER] = mk_v_int(0), [P_PART_INT] = mk_v_int(0), [P_SORT_INT] = mk_v_int(0) };
    const struct mk_rows *rows;
    row[P_PART_TEXT] = text_part(c, "octets");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        row[P_SORT_TEXT] = mk_v_text(names[i]);
        NEED_INT(mk_put_now(c, pairs, MK_UPSERT, row), 0);
    }
    struct mk_value part[] = { row[P_PART_TEXT], mk_v_int(0) };
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part), &rows), 0);
    NEED_TEXT(words(c, rows, P_SORT_TEXT), " B a a b aa b z \xc3\xa4 \xef\xbc\xa1 \xf0\x9f\xa6\xa6");
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part, .flags = MK_SCAN_REVERSE, .limit = 3), &rows), 0);
    NEED_TEXT(words(c, rows, P_SORT_TEXT), "\xf0\x9f\xa6\xa6 \xef\xbc\xa1 \xc3\xa4");
}

FIBER_TEST(numbers_are_in_order_of_size) {
    static const int64_t numbers[] = { 5, -1, INT64_MAX, 0, INT64_MIN, 10, 2 };
    struct mk_value row[K_COUNT];
    const struct mk_rows *rows;
    for (int i = 0; i < K_COUNT; i++)
        row[i] = mk_v_null();
    row[K_OWNER] = mk_v_jid(harness_jid(c, "order-%s@example.org", run_id));
    row[K_BOOL] = mk_v_bool(true);
    row[K_NOTE] = mk_v_text("");
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        row[K_ID] = mk_v_int(numbers[i]);
        NEED_INT(mk_put_now(c, kinds, MK_IF_ABSENT, row), 0);
    }
    NEED_INT(mk_scan(c, kinds, MK_SCAN(.partition = row), &rows), 0);
    NEED_TEXT(ints(c, rows, K_ID), "-9223372036854775808 -1 0 2 5 10 9223372036854775807");
    struct mk_value lo = mk_v_int(INT64_MIN), hi = mk_v_int(INT64_MAX);
    NEED_INT(mk_scan(c, kinds,
                     MK_SCAN(.partition = row, .lo = &lo, .lo_count = 1, .hi = &hi, .hi_count = 1,
                             .flags = MK_SCAN_LO_OPEN | MK_SCAN_HI_OPEN | MK_SCAN_REVERSE),
                     &rows),
             0);
    NEED_TEXT(ints(c, rows, K_ID), "10 5 2 0 -1");
}

FIBER_TEST(partitions_are_apart) {
    struct mk_value row[P_COUNT] = { [P_SORT_TEXT] = mk_v_text("x"), [P_SORT_INT] = mk_v_int(0) };
    const struct { /* neighbours, and pairs that are equal when joined carelessly */
        const char *room;
        int floor;
    } parts[] = { { "r", 1 }, { "r", 11 }, { "r1", 1 }, { "r", -1 }, { "R", 1 }, { "", 1 }, { "r\x01", 1 } };
    enum { PARTS = sizeof parts / sizeof parts[0] };
    for (int i = 0; i < PARTS; i++) {
        row[P_PART_TEXT] = mk_v_text(mk_printf(c, "%s%s", run_id, parts[i].room));
        row[P_PART_INT] = mk_v_int(parts[i].floor);
        row[P_NUMBER] = mk_v_int(i);
        NEED_INT(mk_put_now(c, pairs, MK_IF_ABSENT, row), 0);
    }
    for (int i = 0; i < PARTS; i++) {
        const struct mk_rows *rows;
        struct mk_value part[] = { mk_v_text(mk_printf(c, "%s%s", run_id, parts[i].room)), mk_v_int(parts[i].floor) };
        NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part), &rows), 0);
        NEED_TEXT(ints(c, rows, P_NUMBER), mk_printf(c, "%d", i));
    }
}

/* ---- all scans against a list ----------------------------------------------------------------------------------- */

enum { MODEL_ROWS = 60, MODEL_SCANS = 400 };
struct model_row {
    char title[4];
    int place, number;
};

static int model_compare(const void *a, const void *b) {
    const struct model_row *x = a, *y = b;
    int diff = strcmp(x->title, y->title);
    return diff ? diff : x->place - y->place;
}

static uint32_t dice_state = 12345;
static int dice(int sides) {
    dice_state = dice_state * 1664525u + 1013904223u;
    return (int)((dice_state >> 8) % (unsigned)sides);
}

static void random_title(char title[4]) {
    snprintf(title, 4, "%c%c", 'a' + dice(3), dice(3) ? 'a' + dice(2) : '\0');
}

/* Below, in or above a bound of COUNT columns. */
static int against(const struct model_row *row, const char *title, int place, unsigned count) {
    int diff = strcmp(row->title, title);
    return diff || count < 2 ? diff : row->place - place;
}

static bool model_put(struct mk_ctx *c, struct model_row *model, const struct mk_value *part) {
    int n = 0;
    while (n < MODEL_ROWS) {
        struct model_row r = { .place = dice(8) - 4, .number = dice(4) };
        random_title(r.title);
        bool there = false;
        for (int i = 0; i < n; i++)
            there |= model_compare(&model[i], &r) == 0;
        struct mk_value row[P_COUNT];
        row[P_PART_TEXT] = part[0];
        row[P_PART_INT] = part[1];
        row[P_SORT_TEXT] = mk_v_text(r.title);
        row[P_SORT_INT] = mk_v_int(r.place);
        row[P_NUMBER] = mk_v_int(r.number);
        int rc = mk_put_now(c, pairs, MK_IF_ABSENT, row);
        if (rc != (there ? MK_E_CONFLICT : MK_OK))
            return false;
        if (!there)
            model[n++] = r;
    }
    qsort(model, MODEL_ROWS, sizeof *model, model_compare);
    return true;
}

static const char *model_scan(struct mk_ctx *c, const struct model_row *model, const struct mk_scan *s, int filter) {
    const char *text = "";
    unsigned left = s->limit ? s->limit : UINT32_MAX;
    for (int n = 0; n < MODEL_ROWS && left; n++) {
        const struct model_row *r = &model[s->flags & MK_SCAN_REVERSE ? MODEL_ROWS - 1 - n : n];
        if (s->lo_count) {
            int diff = against(r, s->lo[0].u.s, s->lo_count > 1 ? (int)s->lo[1].u.i : 0, s->lo_count);
            if (diff < 0 || (diff == 0 && s->flags & MK_SCAN_LO_OPEN))
                continue;
        }
        if (s->hi_count) {
            int diff = against(r, s->hi[0].u.s, s->hi_count > 1 ? (int)s->hi[1].u.i : 0, s->hi_count);
            if (diff > 0 || (diff == 0 && s->flags & MK_SCAN_HI_OPEN))
                continue;
        }
        if (filter >= 0 && r->number != filter)
            continue;
        text = mk_printf(c, "%s%s%d,", text, r->title, r->place);
        left--;
    }
    return text;
}

static const char *rows_text(struct mk_ctx *c, const struct mk_rows *rows) {
    const char *text = "";
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *r = mk_rows_at(rows, i);
        text = mk_printf(c, "%s%s%lld,", text, mk_row_text(r, P_SORT_TEXT), (long long)mk_row_int(r, P_SORT_INT));
    }
    return text;
}

FIBER_TEST(scans_agree_with_a_list) {
    struct model_row model[MODEL_ROWS];
    struct mk_value part[] = { text_part(c, "model"), mk_v_int(-3) };
    NEED(model_put(c, model, part));
    for (int i = 0; i < MODEL_SCANS; i++) {
        char lo_title[4], hi_title[4];
        random_title(lo_title);
        random_title(hi_title);
        struct mk_value lo[] = { mk_v_text(lo_title), mk_v_int(dice(8) - 4) };
        struct mk_value hi[] = { mk_v_text(hi_title), mk_v_int(dice(8) - 4) };
        int filter = dice(3) ? -1 : dice(4);
        struct mk_filter by_number = { P_NUMBER, 0, mk_v_int(filter) };
        struct mk_scan *s =
            MK_SCAN(.partition = part, .lo = lo, .hi = hi, .lo_count = (uint32_t)dice(3), .hi_count = (uint32_t)dice(3),
                    .flags = (uint32_t)dice(8), .limit = dice(2) ? 0 : (uint32_t)dice(10), .filters = &by_number,
                    .filter_count = filter >= 0);
        const struct mk_rows *rows;
        int64_t count;
        NEED_INT(mk_scan(c, pairs, s, &rows), 0);
        NEED_TEXT(rows_text(c, rows), model_scan(c, model, s, filter));
        NEED_INT(mk_scan_count(c, pairs, s, &count), 0);
        NEED_INT(count, mk_rows_count(rows));
    }
}

FIBER_TEST(filters_match_null) {
    struct mk_value row[K_COUNT];
    const struct mk_rows *rows;
    for (int i = 0; i < K_COUNT; i++)
        row[i] = mk_v_null();
    row[K_OWNER] = mk_v_jid(harness_jid(c, "filter-%s@example.org", run_id));
    row[K_NOTE] = mk_v_text("");
    for (int i = 0; i < 6; i++) {
        row[K_ID] = mk_v_int(i);
        row[K_BOOL] = mk_v_bool(i & 1);
        row[K_INT] = i < 3 ? mk_v_null() : mk_v_int(0);
        row[K_JID] = i == 5 ? row[K_OWNER] : mk_v_null();
        NEED_INT(mk_put_now(c, kinds, MK_UPSERT, row), 0);
    }
    struct mk_filter filters[] = { { K_INT, 0, mk_v_null() }, { K_BOOL, 0, mk_v_bool(true) } };
    NEED_INT(mk_scan(c, kinds, MK_SCAN(.partition = row, .filters = filters, .filter_count = 1), &rows), 0);
    NEED_TEXT(ints(c, rows, K_ID), "0 1 2");
    NEED_INT(mk_scan(c, kinds, MK_SCAN(.partition = row, .filters = filters, .filter_count = 2), &rows), 0);
    NEED_TEXT(ints(c, rows, K_ID), "1");
    filters[0].value = mk_v_int(0);
    NEED_INT(mk_scan(c, kinds, MK_SCAN(.partition = row, .filters = filters, .filter_count = 1), &rows), 0);
    NEED_TEXT(ints(c, rows, K_ID), "3 4 5");
    filters[0] = (struct mk_filter){ K_JID, 0, row[K_OWNER] };
    NEED_INT(mk_scan(c, kinds, MK_SCAN(.partition = row, .filters = filters, .filter_count = 1), &rows), 0);
    NEED_TEXT(ints(c, rows, K_ID), "5");
    filters[0].value = mk_v_int(0);
    NEED_INT(mk_scan(c, kinds, MK_SCAN(.partition = row, .filters = filters, .filter_count = 1), &rows), MK_E_INVALID);
}

FIBER_TEST(scans_that_make_no_sense_are_refused) {
    struct mk_value part[] = { text_part(c, "nonsense"), mk_v_int(0) }, wrong = mk_v_int(0);
    const struct mk_rows *rows;
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.index = 1, .partition = part), &rows), MK_E_INVALID);
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = NULL), &rows), MK_E_INVALID);
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part, .lo = &wrong, .lo_count = 1), &rows), MK_E_INVALID);
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part, .lo_count = 3, .lo = part), &rows), MK_E_INVALID);
    int rc = mk_scan(c, pairs, MK_SCAN(.partition = part, .search = "x", .search_col = P_SORT_TEXT), &rows);
    NEED_INT(rc, harness_caps() & MK_CAP_TEXT_SEARCH ? MK_E_INVALID : MK_E_UNSUPPORTED);
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part), &rows), 0);
    NEED_INT(mk_rows_count(rows), 0);
}

/* ---- indexes ---------------------------------------------------------------------------------------------------- */

static int put_letter(struct mk_ctx *c, const char *owner, int64_t stamp, const char *id, const char *peer, bool read) {
    struct mk_value row[L_COUNT];
    row[L_OWNER] = mk_v_jid(harness_jid(c, "%s-%s@example.org", owner, run_id));
    row[L_STAMP] = mk_v_time(stamp);
    row[L_ID] = mk_v_text(id);
    row[L_PEER] = mk_v_jid(harness_jid(c, "%s-%s@example.net", peer, run_id));
    row[L_BODY] = mk_v_text(id);
    row[L_READ] = mk_v_bool(read);
    return mk_put_now(c, letters, MK_UPSERT, row);
}

FIBER_TEST(indexes_are_orders_of_their_own) {
    const struct mk_rows *rows;
    NEED_INT(put_letter(c, "ix", 30, "a", "bob", false), 0);
    NEED_INT(put_letter(c, "ix", 10, "b", "bob", true), 0);
    NEED_INT(put_letter(c, "ix", 20, "c", "eve", false), 0);
    NEED_INT(put_letter(c, "iy", 25, "d", "bob", false), 0);
    NEED_INT(put_letter(c, "ix", 20, "e", "bob", false), 0);
    NEED_INT(put_letter(c, "ix", 20, "d", "bob", true), 0);
    struct mk_value part[] = { mk_v_jid(harness_jid(c, "ix-%s@example.org", run_id)),
                               mk_v_jid(harness_jid(c, "bob-%s@example.net", run_id)) };
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 1, .partition = part), &rows), 0);
    NEED_TEXT(words(c, rows, L_ID), "b d e a");
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 1, .partition = part, .flags = MK_SCAN_REVERSE), &rows), 0);
    NEED_TEXT(words(c, rows, L_ID), "a e d b");
    struct mk_value from = mk_v_time(20);
    NEED_INT(mk_scan(c, letters,
                     MK_SCAN(.index = 1, .partition = part, .lo = &from, .lo_count = 1, .flags = MK_SCAN_LO_OPEN),
                     &rows),
             0);
    NEED_TEXT(words(c, rows, L_ID), "a");
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 2, .partition = &part[1]), &rows), 0);
    NEED_TEXT(words(c, rows, L_ID), "b d e d a");
    part[1] = mk_v_bool(false);
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 3, .partition = part), &rows), 0);
    NEED_TEXT(words(c, rows, L_ID), "c e a");
    int64_t count;
    NEED_INT(mk_scan_count(c, letters, MK_SCAN(.index = 3, .partition = part, .limit = 2), &count), 0);
    NEED_INT(count, 2);
}

FIBER_TEST(indexes_follow_changes) {
    const struct mk_rows *rows;
    NEED_INT(put_letter(c, "follow", 1, "a", "kim", false), 0);
    NEED_INT(put_letter(c, "follow", 2, "b", "kim", false), 0);
    NEED_INT(put_letter(c, "follow", 1, "a", "kim", true), 0);
    struct mk_value part[] = { mk_v_jid(harness_jid(c, "follow-%s@example.org", run_id)), mk_v_bool(false) };
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 3, .partition = part), &rows), 0);
    NEED_TEXT(words(c, rows, L_ID), "b");
    struct mk_value key[] = { part[0], mk_v_time(2), mk_v_text("b") };
    NEED_INT(mk_del(c, letters, key), 0);
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 3, .partition = part), &rows), 0);
    NEED_INT(mk_rows_count(rows), 0);
    part[1] = mk_v_bool(true);
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 3, .partition = part), &rows), 0);
    NEED_TEXT(words(c, rows, L_ID), "a");
    NEED_INT(mk_del_range(c, letters, MK_SCAN(.partition = part)), 0);
    NEED_INT(mk_scan(c, letters, MK_SCAN(.index = 3, .partition = part), &rows), 0);
    NEED_INT(mk_rows_count(rows), 0);
}

/* ---- expiry ----------------------------------------------------------------------------------------------------- */

static int put_end(struct mk_ctx *c, enum mk_put_mode mode, const char *item, int64_t number, struct mk_value until) {
    struct mk_value row[E_COUNT] = { text_part(c, "ends"), mk_v_text(item), mk_v_int(number), until };
    return mk_put_now(c, ends, mode, row);
}

FIBER_TEST(expired_rows_are_not_there) {
    const struct mk_rows *rows;
    const struct mk_row *got;
    int64_t now = mk_now(c), number;
    NEED_INT(put_end(c, MK_UPSERT, "past", 1, mk_v_time(now - 1)), 0);
    NEED_INT(put_end(c, MK_UPSERT, "never", 2, mk_v_null()), 0);
    NEED_INT(put_end(c, MK_UPSERT, "future", 3, mk_v_time(now + 3600000000)), 0);
    NEED_INT(put_end(c, MK_UPSERT, "old", 4, mk_v_time(1)), 0);
    struct mk_value key[] = { text_part(c, "ends"), mk_v_text("past") };
    NEED_INT(mk_get(c, ends, key, &got), MK_E_NOTFOUND);
    NEED_INT(mk_scan(c, ends, MK_SCAN(.partition = key), &rows), 0);
    NEED_TEXT(ints(c, rows, E_NUMBER), "3 2");
    NEED_INT(mk_scan(c, ends, MK_SCAN(.partition = key, .index = 1), &rows), 0);
    NEED_TEXT(ints(c, rows, E_NUMBER), "2 3");
    NEED_INT(mk_scan_count(c, ends, MK_SCAN(.partition = key), &number), 0);
    NEED_INT(number, 2);
    struct mk_value row[E_COUNT] = { key[0], key[1], mk_v_int(9), mk_v_null() };
    NEED_INT(mk_put_if(c, ends, E_NUMBER, mk_v_int(1), row), MK_E_NOTFOUND);
    NEED_INT(mk_add(c, ends, key, E_NUMBER, 1, &number), MK_E_NOTFOUND);
    NEED_INT(mk_del(c, ends, key), MK_E_NOTFOUND);
    NEED_INT(put_end(c, MK_IF_ABSENT, "past", 8, mk_v_null()), 0);
    NEED_INT(put_end(c, MK_IF_ABSENT, "past", 9, mk_v_null()), MK_E_CONFLICT);
    NEED_INT(mk_get(c, ends, key, &got), 0);
    NEED_INT(mk_row_int(got, E_NUMBER), 8);
    NEED_INT(put_end(c, MK_UPSERT, "old", 5, mk_v_time(now + 3600000000)), 0);
    NEED_INT(mk_scan(c, ends, MK_SCAN(.partition = key), &rows), 0);
    NEED_TEXT(ints(c, rows, E_NUMBER), "3 2 5 8");
}

FIBER_TEST(rows_end_by_themselves) {
    const struct mk_row *got;
    int rc = MK_OK;
    NEED_INT(put_end(c, MK_UPSERT, "soon", 1, mk_v_time(mk_now(c) + 200000)), 0);
    struct mk_value key[] = { text_part(c, "ends"), mk_v_text("soon") };
    for (int64_t start = mk_now(c); rc == MK_OK && mk_now(c) < start + 30000000;) {
        rc = mk_get(c, ends, key, &got);
        if (rc == MK_OK)
            NEED_INT(mk_sleep(c, 20), 0);
    }
    NEED_INT(rc, MK_E_NOTFOUND);
}

/* ---- search ------------------------------------------------------------------------------------------------------ */

static int put_text(struct mk_ctx *c, const char *owner, int id, const char *body) {
    struct mk_value row[S_COUNT] = { mk_v_jid(harness_jid(c, "%s-%s@example.org", owner, run_id)), mk_v_int(id),
                                     mk_v_text(body) };
    return mk_put_now(c, texts, MK_UPSERT, row);
}

static const char *search(struct mk_ctx *c, const char *owner, const char *what, uint32_t flags) {
    const struct mk_rows *rows;
    struct mk_value part = mk_v_jid(harness_jid(c, "%s-%s@example.org", owner, run_id));
    struct mk_scan *s = MK_SCAN(.partition = &part, .search = what, .search_col = S_BODY, .flags = flags);
    int rc = mk_scan(c, texts, s, &rows);
    return rc == MK_OK ? ints(c, rows, S_ID) : mk_printf(c, "error %d", rc);
}

FIBER_TEST(words_are_found) {
    NEED_INT(put_text(c, "find", 1, "The Quick brown fox"), 0);
    NEED_INT(put_text(c, "find", 2, "a fox, quick; and-brown!"), 0);
    NEED_INT(put_text(c, "find", 3, "foxes are quicker"), 0);
    NEED_INT(put_text(c, "find", 4, NULL), 0);
    NEED_INT(put_text(c, "find", 5, "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xd0\xbc\xd0\xb8\xd1\x80"), 0);
    NEED_INT(put_text(c, "other", 6, "quick fox of somebody else"), 0);
    NEED_TEXT(search(c, "find", "quick", 0), "1 2");
    NEED_TEXT(search(c, "find", "FOX quick", MK_SCAN_REVERSE), "2 1");
    NEED_TEXT(search(c, "find", "fox purple", 0), "");
    NEED_TEXT(search(c, "find", "quic", 0), "");
    NEED_TEXT(search(c, "find", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", 0), "5");
    NEED_TEXT(search(c, "find", "", 0), "");
    NEED_TEXT(search(c, "find", " ?! ", 0), "");
    NEED_TEXT(search(c, "other", "fox", 0), "6");
    const struct mk_rows *rows;
    struct mk_value owner = mk_v_jid(harness_jid(c, "find-%s@example.org", run_id)), id = mk_v_int(2);
    struct mk_scan *s = MK_SCAN(.index = 1, .partition = &id, .search = "fox", .search_col = S_BODY, .lo = &owner,
                                .lo_count = 1, .hi = &owner, .hi_count = 1);
    NEED_INT(mk_scan(c, texts, s, &rows), 0);
    NEED_TEXT(ints(c, rows, S_ID), "2");
    id = mk_v_int(3);
    NEED_INT(mk_scan(c, texts, s, &rows), 0);
    NEED_INT(mk_rows_count(rows), 0);
}

FIBER_TEST(searches_are_no_language) {
    static const char *const odd[] = { "fox\"", "\" OR 1=1 --", "body:fox",  "NOT fox AND",     "fox*",          "(fox",
                                       "^fox",  "{a b}:fox",    "NEAR(fox)", "'fox' <-> & | !", "-fox +fox ~ \\" };
    NEED_INT(put_text(c, "odd", 1, "fox body near not and or a b 1"), 0);
    NEED_INT(put_text(c, "odd", 2, "dog"), 0);
    for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++)
        NEED_TEXT(search(c, "odd", odd[i], 0), "1");
}

FIBER_TEST(searches_follow_changes) {
    NEED_INT(put_text(c, "change", 1, "apple pear"), 0);
    NEED_INT(put_text(c, "change", 2, "apple"), 0);
    NEED_INT(put_text(c, "change", 1, "plum"), 0);
    NEED_TEXT(search(c, "change", "apple", 0), "2");
    NEED_TEXT(search(c, "change", "plum", 0), "1");
    struct mk_value key[] = { mk_v_jid(harness_jid(c, "change-%s@example.org", run_id)), mk_v_int(2) };
    NEED_INT(mk_del(c, texts, key), 0);
    NEED_TEXT(search(c, "change", "apple", 0), "");
    NEED_INT(put_text(c, "change", 2, "apple again"), 0);
    NEED_TEXT(search(c, "change", "apple", 0), "2");
    NEED_INT(mk_del_range(c, texts, MK_SCAN(.partition = key)), 0);
    NEED_TEXT(search(c, "change", "plum", 0), "");
    NEED_TEXT(search(c, "change", "apple", 0), "");
}

const struct test scan_tests[] = {
    TEST(texts_are_in_order_of_octets, 0),
    TEST(numbers_are_in_order_of_size, 0),
    TEST(partitions_are_apart, 0),
    TEST(scans_agree_with_a_list, 0),
    TEST(filters_match_null, 0),
    TEST(scans_that_make_no_sense_are_refused, 0),
    TEST(indexes_are_orders_of_their_own, 0),
    TEST(indexes_follow_changes, 0),
    TEST(expired_rows_are_not_there, 0),
    TEST(rows_end_by_themselves, 0),
    TEST(words_are_found, MK_CAP_TEXT_SEARCH),
    TEST(searches_are_no_language, MK_CAP_TEXT_SEARCH),
    TEST(searches_follow_changes, MK_CAP_TEXT_SEARCH),
};
const size_t scan_test_count = sizeof scan_tests / sizeof scan_tests[0];
