/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "load/load.h"
#include "store/store.h"

static int define_rc;
static unsigned defined;

static int fake_define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    (void)inst;
    defined++;
    mk_coll_set_data(coll, &defined);
    return define_rc ? mk_fail(err, define_rc, "no room") : 0;
}
static void fake_read(struct mk_op *op, struct mk_read *read) {
    (void)op, (void)read;
}
static void fake_commit(struct mk_op *op, struct mk_commit *commit) {
    (void)op, (void)commit;
}
static const struct mk_backend_ops fake_ops = { sizeof(struct mk_backend_ops), MK_CAP_TTL, fake_define, fake_read,
                                                fake_commit };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_backend, 1, 0, &fake_ops, "") };
static struct plugin plugin = { .name = "fake", .d = { .provides = MK_TABLE(provides) } };
static struct plugin no_backend = { .name = "ping" };
static const struct instance one = { .plugin = &plugin }, two = { .plugin = &plugin }, none = { .plugin = &no_backend };

static const struct mk_col_decl cols[] = {
    { "stamp", MK_C_TIME, MK_COL_SORT, "" },
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "body", MK_C_TEXT, MK_COL_TEXT_SEARCH, "" },
    { "room", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
static const struct mk_index_decl indexes[] = { { "by_room", " room ,owner", NULL },
                                                { "all", "stamp", "body, owner" } };

static struct mk_coll_decl good(void) {
    return (struct mk_coll_decl){ "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
}

/* "" if it was defined, else why not. */
static const char *try(struct mk_coll_decl decl, const struct instance *backend) {
    static struct mk_err err;
    load_err_free(&err);
    err = (struct mk_err){ 0 };
    return store_define(&decl, backend, &err) ? "" : err.text.data;
}

static void keys_are_in_order(void) {
    struct mk_err err = { 0 };
    struct mk_coll_decl decl = good();
    const struct mk_coll *c = store_define(&decl, &one, &err);
    CHECK(c);
    struct mk_coll_key key = mk_coll_key(c, 0);
    CHECK_INT(key.partition, 2);
    CHECK_INT(key.sort, 1);
    CHECK_INT(key.cols[0], 1);
    CHECK_INT(key.cols[1], 3);
    CHECK_INT(key.cols[2], 0);
    key = mk_coll_key(c, 1);
    CHECK_INT(key.partition, 2);
    CHECK_INT(key.sort, 0);
    CHECK_INT(key.cols[0], 3);
    key = mk_coll_key(c, 2);
    CHECK_INT(key.partition, 1);
    CHECK_INT(key.sort, 2);
    CHECK_INT(key.cols[1], 2);
    CHECK_INT(mk_coll_col_count(c), 5);
    CHECK_INT(mk_coll_index_count(c), 2);
    CHECK_TEXT(mk_coll_col(c, 2)->name, "body");
    CHECK_INT(c->ttl_col, 4);
    CHECK_INT(c->in_key, 0xf);
    CHECK(mk_coll_data(c) == &defined);
    store_clear();
}

/* A plugin of older or newer headers has rows of another length. */
static void rows_may_have_another_stride(void) {
    struct {
        struct mk_col_decl col;
        uint64_t more;
    } longer[] = { { { "a", MK_C_TEXT, MK_COL_PARTITION, "" }, ~0ull }, { { "b", MK_C_INT, 0, "" }, ~0ull } };
    struct {
        const char *name, *partition;
    } shorter[] = { { "x", "a" } };
    struct mk_coll_decl decl = good();
    struct mk_err err = { 0 };
    decl.cols = (struct mk_table)MK_TABLE(longer);
    decl.indexes = (struct mk_table)MK_TABLE(shorter);
    const struct mk_coll *c = store_define(&decl, &one, &err);
    CHECK(c);
    CHECK_TEXT(mk_coll_col(c, 1)->name, "b");
    CHECK_INT(mk_coll_key(c, 1).sort, 0);
    store_clear();
}

static void a_name_is_one_collection(void) {
    struct mk_err err = { 0 };
    struct mk_coll_decl decl = good();
    defined = 0;
    struct mk_coll *c = store_define(&decl, &one, &err);
    CHECK(c);
    CHECK(store_define(&decl, &one, &err) == c);
    CHECK_INT(defined, 1);
    CHECK(strstr(try(decl, &two), "already stored"));
    decl.version = 2;
    CHECK(strstr(try(decl, &one), "declared twice"));
    store_clear();
}

static void numbers_have_no_gaps(void) {
    struct mk_err err = { 0 };
    struct mk_coll_decl decl = good();
    CHECK(store_define(&decl, &one, &err));
    decl.name = "others";
    define_rc = MK_E_BACKEND;
    CHECK(strstr(try(decl, &one), "no room"));
    define_rc = 0;
    struct mk_coll *c = store_define(&decl, &one, &err);
    CHECK(c);
    CHECK_INT(c->number, 1);
    decl.name = "third";
    struct mk_coll *d = store_define(&decl, &two, &err);
    CHECK(d && d->backend != c->backend);
    store_clear();
}

static void names_are_snakes(void) {
    static const char *const bad[] = { "",
                                       "A",
                                       "1a",
                                       "a-b",
                                       "_a",
                                       "a_",
                                       "a__b",
                                       "a b",
                                       "\xc3\xa4",
                                       "a\"",
                                       "'",
                                       NULL,
                                       "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mk_coll_decl decl = good();
        decl.name = bad[i];
        CHECK(strstr(try(decl, &one), "snake case"));
        struct mk_col_decl col[] = { cols[1], { bad[i], MK_C_INT, 0, "" } };
        decl = good();
        decl.indexes = (struct mk_table)MK_NO_INDEX;
        decl.cols = (struct mk_table)MK_TABLE(col);
        CHECK(strstr(try(decl, &one), "snake case"));
    }
    struct mk_coll_decl decl = good();
    decl.name = "a1_b2_c";
    CHECK_TEXT(try(decl, &one), "");
    store_clear();
}

static const char *with_col(struct mk_col_decl more) {
    struct mk_col_decl both[] = { { "p", MK_C_TEXT, MK_COL_PARTITION, "" }, { "t", MK_C_TIME, MK_COL_TTL, "" }, more };
    struct mk_coll_decl decl = good();
    decl.cols = (struct mk_table)MK_TABLE(both);
    decl.indexes = (struct mk_table)MK_NO_INDEX;
    return try(decl, &one);
}

static void columns_are_checked(void) {
    CHECK(strstr(with_col((struct mk_col_decl){ "p", MK_C_INT, 0, "" }), "two columns"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", 17, 0, "" }), "type or flags"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", MK_C_INT, 512, "" }), "type or flags"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", MK_C_INT, MK_COL_SORT | MK_COL_PARTITION, "" }), "type or flags"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", MK_C_BYTES, MK_COL_SORT, "" }), "can't be in a key"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", MK_C_INT, MK_COL_SORT | MK_COL_NULL, "" }), "may be null"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", MK_C_TIME, MK_COL_TTL, "" }), "TTL"));
    CHECK(strstr(with_col((struct mk_col_decl){ "x", MK_C_INT, MK_COL_TEXT_SEARCH, "" }), "searched"));
    struct mk_coll_decl decl = good();
    decl.cols.count = 1;
    decl.indexes = (struct mk_table)MK_NO_INDEX;
    CHECK(strstr(try(decl, &one), "no partition"));
    decl = good();
    decl.version = 0;
    CHECK(strstr(try(decl, &one), "start at 1"));
    store_clear();
}

static const char *with_index(const char *name, const char *partition, const char *sort) {
    struct mk_index_decl both[] = { { "first", "owner", NULL }, { name, partition, sort } };
    struct mk_coll_decl decl = good();
    decl.indexes = (struct mk_table)MK_TABLE(both);
    return try(decl, &one);
}

static void indexes_are_checked(void) {
    CHECK(strstr(with_index("first", "room", ""), "two indexes"));
    CHECK(strstr(with_index("Odd", "room", ""), "snake case"));
    CHECK(strstr(with_index("x", "", "room"), "no partition"));
    CHECK(strstr(with_index("x", NULL, NULL), "no partition"));
    CHECK(strstr(with_index("x", "owner,rooms", ""), "rooms, which is no column"));
    CHECK(strstr(with_index("x", "owner", "stamp,owner"), "twice"));
    CHECK(strstr(with_index("x", "owner", "until"), "may be null"));
    CHECK_TEXT(with_index("x", "owner", "stamp"), "");
    store_clear();
}

static void what_a_backend_lacks_is_said(void) {
    struct mk_coll_decl decl = good();
    decl.need = MK_CAP_TTL | MK_CAP_TEXT_SEARCH;
    CHECK(strstr(try(decl, &one), "needs text search, which backend fake does not have"));
    decl.need = MK_CAP_TTL;
    CHECK(strstr(try(decl, &none), "ping is no storage backend"));
    CHECK_TEXT(try(decl, &one), "");
    store_clear();
}

int main(void) {
    return CHECK_RUN(T(keys_are_in_order), T(rows_may_have_another_stride), T(a_name_is_one_collection),
                     T(numbers_have_no_gaps), T(names_are_snakes), T(columns_are_checked), T(indexes_are_checked),
                     T(what_a_backend_lacks_is_said));
}
