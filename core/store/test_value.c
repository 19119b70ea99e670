/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "load/load.h"
#include "route/jid.h"
#include "run/op.h"
#include "store/rows.h"
#include "store/value.h"
#include "util/mem.h"

static int fake_define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    (void)inst, (void)coll, (void)err;
    return 0;
}
static void fake_read(struct mk_op *op, struct mk_read *read) {
    (void)op, (void)read;
}
static void fake_commit(struct mk_op *op, struct mk_commit *commit) {
    (void)op, (void)commit;
}
static const struct mk_backend_ops fake_ops = { sizeof(struct mk_backend_ops), MK_CAP_TEXT_SEARCH, fake_define,
                                                fake_read, fake_commit };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_backend, 1, 0, &fake_ops, "") };
static struct plugin plugin = { .name = "fake", .d = { .provides = MK_TABLE(provides) } };
static const struct instance backend = { .plugin = &plugin, .name = "fake" };

enum { OWNER, ROOM, ID, BODY, DATA, FLAG, COUNT };
static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" }, { "room", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },         { "body", MK_C_TEXT, MK_COL_TEXT_SEARCH | MK_COL_NULL, "" },
    { "data", MK_C_BYTES, MK_COL_NULL, "" },     { "flag", MK_C_BOOL, 0, "" },
};
static const struct mk_index_decl indexes[] = { { "by_room", "room", "owner, id" },
                                                { "rest", "id, room, owner", NULL } };
static const struct mk_coll_decl decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };

static struct arena arena;
static const struct mk_coll *coll;
static struct mk_value row[COUNT];

static void begin(void) {
    struct mk_err err = { 0 };
    const struct mk_jid *jid;
    coll = store_define(&decl, &backend, &err);
    CHECK(coll);
    CHECK_INT(jid_parse(&arena, "a@example.org/r", 15, &jid), 0);
    row[OWNER] = mk_v_jid(jid);
    row[ROOM] = mk_v_text("room");
    row[ID] = mk_v_int(7);
    row[BODY] = mk_v_text("body");
    row[DATA] = mk_v_bytes("\0x", 2);
    row[FLAG] = mk_v_bool(true);
}
static void end(void) {
    arena_free(&arena);
    store_clear();
}

static int with(unsigned col, struct mk_value v) {
    struct mk_value r[COUNT];
    memcpy(r, row, sizeof r);
    r[col] = v;
    return row_check(coll, r);
}
static struct mk_value typed(uint32_t type, uint32_t len) {
    struct mk_value v = { type, len, { 0 } };
    return v;
}

static void rows_are_checked(void) {
    begin();
    CHECK_INT(row_check(coll, row), 0);
    CHECK_INT(with(BODY, mk_v_null()), 0);
    CHECK_INT(with(FLAG, mk_v_null()), MK_E_INVALID);
    CHECK_INT(with(OWNER, mk_v_null()), MK_E_INVALID);
    CHECK_INT(with(OWNER, mk_v_text("a@example.org")), MK_E_INVALID);
    CHECK_INT(with(ID, mk_v_time(1)), MK_E_INVALID);
    CHECK_INT(with(OWNER, typed(MK_C_JID, 0)), MK_E_INVALID);
    CHECK_INT(with(BODY, typed(MK_C_TEXT, 0)), 0);
    CHECK_INT(with(BODY, typed(MK_C_TEXT, 1)), MK_E_INVALID);
    CHECK_INT(with(DATA, typed(MK_C_BYTES, 1)), MK_E_INVALID);
    CHECK_INT(with(BODY, typed(77, 0)), MK_E_INVALID);
    CHECK_INT(with(BODY, mk_v_view((struct mk_view){ "a\0b", 3 })), MK_E_INVALID);
    CHECK_INT(with(BODY, mk_v_view((struct mk_view){ "\xff", 1 })), MK_E_INVALID);
    end();
}

static void lengths_are_bounded(void) {
    begin();
    char *large = xmalloc(VALUE_MAX + 1);
    memset(large, 'x', VALUE_MAX + 1);
    CHECK_INT(with(ROOM, mk_v_view((struct mk_view){ large, VALUE_KEY_MAX })), 0);
    CHECK_INT(with(ROOM, mk_v_view((struct mk_view){ large, VALUE_KEY_MAX + 1 })), MK_E_INVALID);
    CHECK_INT(with(BODY, mk_v_view((struct mk_view){ large, VALUE_MAX })), 0);
    CHECK_INT(with(BODY, mk_v_view((struct mk_view){ large, VALUE_MAX + 1 })), MK_E_INVALID);
    CHECK_INT(with(DATA, mk_v_bytes(large, VALUE_MAX)), 0);
    CHECK_INT(with(DATA, mk_v_bytes(large, VALUE_MAX + 1)), MK_E_INVALID);
    free(large);
    end();
}

static void copies_stand_alone(void) {
    begin();
    char text[] = "text", bytes[] = { 1, 0, 2 };
    struct mk_value from[] = { row[OWNER],  mk_v_text(text), mk_v_bytes(bytes, 3),
                               mk_v_null(), mk_v_bool(true), mk_v_bytes(NULL, 0) };
    from[4].u.i = 77;
    size_t size = values_size(from, 6);
    char *memory = xmalloc(size), *at = memory;
    struct mk_value *to = values_copy(&at, from, 6);
    CHECK_INT(at - memory, size);
    memset(text, 'y', 4);
    memset(bytes, 9, 3);
    CHECK(to[0].u.j != row[OWNER].u.j);
    CHECK_TEXT(mk_jid_text(to[0].u.j), "a@example.org/r");
    CHECK_TEXT(to[1].u.s, "text");
    CHECK_MEM((const char *)to[2].u.b, to[2].len, "\1\0\2", 3);
    CHECK_INT(to[3].type, MK_V_NULL);
    CHECK_INT(to[4].u.i, 1);
    CHECK(to[5].u.b && to[5].len == 0);
    free(memory);
    end();
}

static void scans_are_checked_and_copied(void) {
    begin();
    struct mk_value lo[] = { row[OWNER], mk_v_int(3) };
    struct mk_filter filters[] = { { BODY, 0, mk_v_null() }, { DATA, 0, mk_v_bytes("q", 1) } };
    struct mk_scan *s = MK_SCAN(.index = 1, .partition = &row[ROOM], .lo = lo, .lo_count = 2, .hi = lo, .hi_count = 1,
                                .filters = filters, .filter_count = 2, .search = "words", .search_col = BODY,
                                .limit = 9, .flags = MK_SCAN_HI_OPEN);
    CHECK_INT(scan_check(coll, s), 0);
    size_t size = scan_size(coll, s);
    char *memory = xmalloc(size), *at = memory;
    const struct mk_scan *copy = scan_copy(&at, coll, s);
    CHECK_INT(at - memory, size);
    memset(lo, 0, sizeof lo);
    memset(filters, 0, sizeof filters);
    CHECK_TEXT(copy->partition[0].u.s, "room");
    CHECK_INT(copy->lo[1].u.i, 3);
    CHECK_TEXT(mk_jid_text(copy->hi[0].u.j), "a@example.org/r");
    CHECK_TEXT(copy->filters[1].value.u.s, "q");
    CHECK_INT(copy->filters[1].col, DATA);
    CHECK_TEXT(copy->search, "words");
    CHECK_INT(copy->limit, 9);
    CHECK_INT(copy->flags, MK_SCAN_HI_OPEN);
    free(memory);
    s->filter_count = FILTERS_MAX + 1;
    CHECK_INT(scan_check(coll, s), MK_E_INVALID);
    s->filter_count = 0;
    s->lo_count = 3;
    CHECK_INT(scan_check(coll, s), MK_E_INVALID);
    s->lo_count = 0;
    s->search = "\xff";
    CHECK_INT(scan_check(coll, s), MK_E_INVALID);
    s->search_col = ROOM;
    CHECK_INT(scan_check(coll, s), MK_E_INVALID);
    end();
}

/* A plugin of older headers knows less of the struct; what lies behind it is not ours to read. */
static void a_shorter_scan_is_read_as_far_as_it_goes(void) {
    begin();
    struct mk_scan s = { .size = offsetof(struct mk_scan, limit), .limit = 5, .search = "x", .search_col = 99 };
    s.partition = (const struct mk_value[]){ row[OWNER], row[ROOM] };
    struct mk_scan got = scan_read(&s);
    CHECK(got.partition == s.partition);
    CHECK_INT(got.limit, 0);
    CHECK(!got.search);
    CHECK_INT(scan_check(coll, &s), 0);
    end();
}

static void partitions_have_one_hash(void) {
    begin();
    struct mk_value key[] = { row[OWNER], row[ROOM], row[ID] };
    uint64_t hash;
    CHECK(row_partition(coll, row) == key_partition(coll, key));
    struct mk_coll_key rest = coll->keys[2];
    struct mk_value values[] = { row[ID], row[ROOM], row[OWNER] };
    CHECK(partition_hash(coll, rest.cols, rest.partition, values, &hash) && hash == row_partition(coll, row));
    CHECK(!partition_hash(coll, coll->keys[1].cols, coll->keys[1].partition, &row[ROOM], &hash));
    uint64_t before = row_partition(coll, row);
    row[ROOM] = mk_v_text("other");
    CHECK(row_partition(coll, row) != before);
    end();
}

static void rows_give_what_was_put(void) {
    begin();
    struct mk_op op = { .rc = 0 };
    struct mk_rows *rows = mk_rows_new(&op, coll);
    for (int i = 0; i < 100; i++) {
        mk_rows_add(rows);
        for (unsigned col = 0; col < COUNT; col++)
            mk_rows_put(rows, col, &row[col]);
        row[ID] = mk_v_int(i);
        struct mk_value as_text = mk_v_text("b@example.org");
        mk_rows_put(rows, OWNER, i & 1 ? &as_text : &row[OWNER]);
        mk_rows_put(rows, ID, &row[ID]);
    }
    mk_rows_add(rows);
    struct mk_value broken = mk_v_text("@");
    mk_rows_put(rows, OWNER, &broken);
    arena_adopt(&arena, &op.arena);
    rows_adopt(rows, &arena);
    CHECK_INT(mk_rows_count(rows), 101);
    CHECK(!mk_rows_at(rows, 101));
    const struct mk_row *r = mk_rows_at(rows, 40);
    CHECK_INT(mk_row_int(r, ID), 40);
    CHECK_TEXT(mk_row_text(r, OWNER), "a@example.org/r");
    const struct mk_jid *jid = mk_row_jid(r, OWNER);
    CHECK(jid && mk_row_jid(r, OWNER) == jid);
    CHECK_INT(jid->hash, row[OWNER].u.j->hash);
    CHECK_TEXT(mk_row_text(r, OWNER), "a@example.org/r");
    CHECK_TEXT(mk_jid_text(mk_row_jid(mk_rows_at(rows, 41), OWNER)), "b@example.org");
    CHECK_MEM(mk_row_bytes(r, DATA).s, mk_row_bytes(r, DATA).len, "\0x", 2);
    CHECK(!mk_row_jid(r, BODY) && !mk_row_text(r, ID) && mk_row_int(r, BODY) == 0);
    CHECK(mk_row_is_null(r, COUNT) && !mk_row_text(r, COUNT));
    r = mk_rows_at(rows, 100);
    CHECK(mk_row_is_null(r, ID) && !mk_row_jid(r, OWNER));
    CHECK_INT(mk_rows_count(NULL), 0);
    end();
}

int main(void) {
    return CHECK_RUN(T(rows_are_checked), T(lengths_are_bounded), T(copies_stand_alone),
                     T(scans_are_checked_and_copied), T(a_shorter_scan_is_read_as_far_as_it_goes),
                     T(partitions_have_one_hash), T(rows_give_what_was_put));
}
