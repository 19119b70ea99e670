/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the backend alone; what it does as a whole is in test/stores. */
#include "check.h"
#include "load/load.h"
#include "memory.h"
#include "store/store.h"

/* ---- the tree ------------------------------------------------------------------------------------------------------ */

struct item {
    int key;
    bool in;
    struct tree_node node;
};
enum { ITEMS = 500, STEPS = 20000 };
static struct item items[ITEMS];

static struct item *item_of(struct tree_node *node) {
    return node ? (struct item *)((char *)node - offsetof(struct item, node)) : NULL;
}
static int compare(const void *key, const struct tree_node *node) {
    return *(const int *)key - item_of((struct tree_node *)node)->key;
}

static int depth(const struct tree_node *node) {
    if (!node)
        return 0;
    CHECK(!node->left || (node->left->parent == node && node->left->priority <= node->priority));
    CHECK(!node->right || (node->right->parent == node && node->right->priority <= node->priority));
    int left = depth(node->left), right = depth(node->right);
    return 1 + (left > right ? left : right);
}

static void check_tree(const struct tree *t, int probe) {
    int first = -1, last = -1;
    for (int i = 0; i < ITEMS; i++) {
        if (items[i].in && i >= probe && first < 0)
            first = i;
        if (items[i].in && i <= probe)
            last = i;
    }
    struct item *got = item_of(tree_first(t, &probe, compare));
    CHECK_INT(got ? got->key : -1, first);
    got = item_of(tree_last(t, &probe, compare));
    CHECK_INT(got ? got->key : -1, last);
}

static void a_tree_keeps_order(void) {
    struct tree t = { NULL, 0 };
    srand(1);
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){ .key = i };
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[rand() % ITEMS];
        if (item->in)
            tree_remove(&t, &item->node);
        else
            tree_add(&t, &item->node, &item->key, compare);
        item->in = !item->in;
        if (step % 50 == 0)
            check_tree(&t, rand() % (ITEMS + 2) - 1);
    }
    CHECK(depth(t.root) < 40);
    int lowest = -1, n = 0, last = -1;
    for (struct tree_node *node = tree_first(&t, &lowest, compare); node; node = tree_next(node), n++) {
        CHECK(item_of(node)->key > last && item_of(node)->in);
        last = item_of(node)->key;
        CHECK(!tree_prev(node) || tree_next(tree_prev(node)) == node);
    }
    for (int i = 0; i < ITEMS; i++)
        n -= items[i].in;
    CHECK_INT(n, 0);
}

static void sorted_input_makes_no_list(void) {
    struct tree t = { NULL, 0 };
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (struct item){ .key = i };
        tree_add(&t, &items[i].node, &items[i].key, compare);
    }
    CHECK(depth(t.root) < 40);
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

static bool found(const char *text, const char *words, locale_t unicode) {
    return has_words((struct mk_view){ text, strlen(text) }, words, unicode);
}

static void words_are_whole_and_without_case(void) {
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    for (int i = 0; i < 2; i++) { /* with and without tables of Unicode */
        locale_t l = i ? (locale_t)0 : unicode;
        CHECK(found("The quick brown fox", "FOX quick", l));
        CHECK(!found("The quick brown fox", "fo", l));
        CHECK(!found("The quick brown fox", "fox dog", l));
        CHECK(!found("text", "", l));
        CHECK(!found("text", " .,;", l));
        CHECK(!found("", "text", l));
        CHECK(found("a-b", "b", l));
    }
    CHECK(unicode);
    CHECK(found("\xc3\x84RGER \xd0\x9c\xd0\x98\xd0\xa0", "\xc3\xa4rger \xd0\xbc\xd0\xb8\xd1\x80", unicode));
    CHECK(found("don\xe2\x80\x99t stop\xe2\x80\xa6", "stop", unicode));
    CHECK(found("\xf0\x9d\x94\xb8 x", "x", unicode));
    freelocale(unicode);
}

/* ---- commits ------------------------------------------------------------------------------------------------------- */

static struct store store;

static int fake_define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    (void)inst, (void)err;
    store.sets = realloc(store.sets, sizeof(struct rowset *));
    store.sets[0] = rowset_new(coll, store.unicode);
    store.set_count = 1;
    mk_coll_set_data(coll, store.sets[0]);
    return 0;
}
static void fake_read(struct mk_op *op, struct mk_read *read) {
    (void)op, (void)read;
}
static void fake_commit(struct mk_op *op, struct mk_commit *commit) {
    (void)op, (void)commit;
}
static const struct mk_backend_ops fake_ops = { sizeof(struct mk_backend_ops), 15, fake_define, fake_read,
                                                fake_commit };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_backend, 1, 0, &fake_ops, "") };
static struct plugin plugin = { .name = "fake", .d = { .provides = MK_TABLE(provides) } };
static const struct instance backend = { .plugin = &plugin };

static const struct mk_col_decl cols[] = {
    { "part", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "data", MK_C_BYTES, MK_COL_NULL, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
static const struct mk_coll_decl decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
static struct mk_coll *coll;

static void begin(size_t max_bytes) {
    struct mk_err err = { 0 };
    store = (struct store){ .max_bytes = max_bytes };
    coll = store_define(&decl, &backend, &err);
    CHECK(coll);
}
static void end(void) {
    rowset_free(store.sets[0]);
    free(store.sets);
    free(store.steps);
    store_clear();
}

static char bytes[4096];

static int put(int id, uint32_t size, struct mk_value until) {
    struct mk_value row[] = { mk_v_text("p"), mk_v_int(id), mk_v_bytes(bytes, size), until };
    struct mk_change x = { .kind = MK_X_PUT, .coll = coll, .values = row };
    struct mk_change *const list[] = { &x };
    store_apply(&store, list, 1, 1000);
    return x.rc;
}
static int count(void) {
    struct mk_value part = mk_v_text("p");
    struct cursor cur;
    int n = 0;
    cursor_open(&cur, store.sets[0], MK_SCAN(.partition = &part), INT64_MIN);
    while (cursor_next(&cur))
        n++;
    return n;
}

static void room_is_bounded_and_given_back(void) {
    begin(10000);
    CHECK_INT(put(1, 4000, mk_v_null()), 0);
    CHECK_INT(put(2, 4000, mk_v_null()), 0);
    CHECK_INT(put(3, 4000, mk_v_null()), MK_E_BUSY);
    CHECK_INT(count(), 2);
    CHECK_INT(put(2, 10, mk_v_null()), 0); /* smaller than what it replaces */
    CHECK_INT(put(3, 4000, mk_v_null()), 0);
    struct mk_value key[] = { mk_v_text("p"), mk_v_int(1) };
    struct mk_change del = { .kind = MK_X_DEL, .coll = coll, .values = key };
    struct mk_scan *all = MK_SCAN(.partition = key);
    struct mk_change range = { .kind = MK_X_DEL_RANGE, .coll = coll, .scan = all };
    struct mk_change *const list[] = { &del, &range };
    store_apply(&store, list, 2, 0);
    CHECK_INT(del.rc, 0);
    CHECK_INT(range.rc, 0);
    CHECK_INT(store.bytes, 0);
    end();
}

static void a_group_that_does_not_fit_is_undone(void) {
    begin(10000);
    CHECK_INT(put(1, 100, mk_v_null()), 0);
    size_t before = store.bytes;
    struct mk_value key[] = { mk_v_text("p"), mk_v_int(1) };
    struct mk_value small[] = { key[0], mk_v_int(2), mk_v_bytes(bytes, 1), mk_v_null() };
    struct mk_value large[] = { key[0], mk_v_int(3), mk_v_bytes(bytes, 4000), mk_v_null() };
    struct mk_value more[] = { key[0], mk_v_int(4), mk_v_bytes(bytes, 4000), mk_v_null() };
    struct mk_value most[] = { key[0], mk_v_int(5), mk_v_bytes(bytes, 4000), mk_v_null() };
    struct mk_change x[] = {
        { .kind = MK_X_DEL, .coll = coll, .values = key, .group = 1 },
        { .kind = MK_X_PUT, .coll = coll, .values = small, .group = 1 },
        { .kind = MK_X_PUT, .coll = coll, .values = large, .group = 1 },
        { .kind = MK_X_PUT, .coll = coll, .values = more, .group = 1 },
        { .kind = MK_X_PUT, .coll = coll, .values = most, .group = 1 },
        { .kind = MK_X_PUT, .coll = coll, .values = small, .group = 2 },
    };
    struct mk_change *const list[] = { &x[0], &x[1], &x[2], &x[3], &x[4], &x[5] };
    store_apply(&store, list, 5, 0);
    CHECK_INT(x[4].rc, MK_E_BUSY);
    CHECK_INT(store.bytes, before);
    CHECK_INT(count(), 1);
    store_apply(&store, list + 4, 2, 0);
    CHECK_INT(x[4].rc, 0);
    CHECK_INT(x[5].rc, 0);
    CHECK_INT(count(), 3);
    end();
}

static void expired_rows_are_swept(void) {
    begin(1 << 20);
    for (int i = 0; i < 200; i++)
        CHECK_INT(put(i, 10, i % 4 ? mk_v_time(2000 + i) : mk_v_null()), 0);
    CHECK_INT(count(), 200);
    store_sweep(&store, 2000);
    CHECK_INT(count(), 200);
    for (int i = 0; i < 10; i++)
        store_sweep(&store, 2099); /* ids up to 99: three of four */
    CHECK_INT(count(), 125);
    for (int i = 0; i < 10; i++)
        store_sweep(&store, INT64_MAX);
    CHECK_INT(count(), 50);
    end();
}

int main(void) {
    return CHECK_RUN(T(a_tree_keeps_order), T(sorted_input_makes_no_list), T(words_are_whole_and_without_case),
                     T(room_is_bounded_and_given_back), T(a_group_that_does_not_fit_is_undone),
                     T(expired_rows_are_swept));
}
