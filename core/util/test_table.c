/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "util/table.h"

struct named {
    const char *name;
    char text[16];
    int seen;
};

static void fill(struct named *items, int count) {
    for (int i = 0; i < count; i++) {
        snprintf(items[i].text, sizeof items[i].text, "item%d", i);
        items[i].name = items[i].text;
        items[i].seen = 0;
    }
}

static uint64_t hash_name(const char *name) {
    return hash_bytes(name, strlen(name));
}

static void empty_has_nothing(void) {
    struct table t = { 0 };
    uint32_t pos = 0;
    CHECK(!table_find(&t, 1, table_same_name, "x"));
    CHECK(!table_remove(&t, 1, table_same_name, "x"));
    CHECK(!table_next(&t, &pos));
    table_free(&t);
}

static void finds_what_was_added(void) {
    enum { COUNT = 5000 };
    static struct named items[COUNT];
    struct table t = { 0 };
    fill(items, COUNT);
    for (int i = 0; i < COUNT; i++)
        table_add(&t, hash_name(items[i].name), &items[i]);
    CHECK_INT(t.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK(table_find(&t, hash_name(items[i].text), table_same_name, items[i].text) == &items[i]);
    CHECK(!table_find(&t, hash_name("item5000"), table_same_name, "item5000"));
    uint32_t pos = 0;
    struct named *n;
    int count = 0;
    while ((n = table_next(&t, &pos)) != NULL) {
        CHECK_INT(n->seen++, 0);
        count++;
    }
    CHECK_INT(count, COUNT);
    table_free(&t);
    CHECK_INT(t.count, 0);
}

static void colliding_hashes_are_told_apart(void) {
    static struct named items[40];
    struct table t = { 0 };
    fill(items, 40);
    for (int i = 0; i < 40; i++)
        table_add(&t, (uint64_t)(i % 2), &items[i]); /* 0 and 1 are hashes like others */
    for (int i = 0; i < 40; i++)
        CHECK(table_find(&t, (uint64_t)(i % 2), table_same_name, items[i].text) == &items[i]);
    for (int i = 0; i < 40; i += 3)
        CHECK(table_remove(&t, (uint64_t)(i % 2), table_same_name, items[i].text) == &items[i]);
    for (int i = 0; i < 40; i++)
        CHECK(!table_find(&t, (uint64_t)(i % 2), table_same_name, items[i].text) == (i % 3 == 0));
    table_free(&t);
}

/* Against a plain array of flags. */
static void survives_churn(void) {
    enum { COUNT = 300 };
    static struct named items[COUNT];
    static char in[COUNT];
    struct table t = { 0 };
    uint32_t random = 12345, present = 0;
    fill(items, COUNT);
    for (int step = 0; step < 200000; step++) {
        random = random * 1664525 + 1013904223;
        unsigned i = (random >> 8) % COUNT;
        uint64_t hash = hash_name(items[i].text);
        if (in[i]) {
            CHECK(table_remove(&t, hash, table_same_name, items[i].text) == &items[i]);
            present--;
        } else {
            CHECK(!table_find(&t, hash, table_same_name, items[i].text));
            table_add(&t, hash, &items[i]);
            present++;
        }
        in[i] = !in[i];
        CHECK_INT(t.count, present);
        CHECK(t.mask < 4096); /* graves do not make it grow */
    }
    for (int i = 0; i < COUNT; i++)
        CHECK(!table_find(&t, hash_name(items[i].text), table_same_name, items[i].text) == !in[i]);
    table_free(&t);
}

static void removal_while_going_through(void) {
    static struct named items[100];
    struct table t = { 0 };
    uint32_t pos = 0;
    struct named *n;
    int count = 0;
    fill(items, 100);
    for (int i = 0; i < 100; i++)
        table_add(&t, hash_name(items[i].text), &items[i]);
    while ((n = table_next(&t, &pos)) != NULL) {
        CHECK(table_remove(&t, hash_name(n->text), table_same_name, n->text) == n);
        count++;
    }
    CHECK_INT(count, 100);
    CHECK_INT(t.count, 0);
    table_free(&t);
}

static void hash_depends_on_every_byte(void) {
    unsigned char data[40] = { 0 };
    for (size_t len = 0; len < sizeof data; len++) {
        uint64_t plain = hash_bytes(data, len);
        CHECK(hash_bytes(data, len) == plain);
        CHECK(hash_bytes(data, len + 1) != plain);
        for (size_t i = 0; i < len; i++) {
            data[i] ^= 1;
            CHECK(hash_bytes(data, len) != plain);
            data[i] ^= 1;
        }
    }
}

int main(void) {
    return CHECK_RUN(T(empty_has_nothing), T(finds_what_was_added), T(colliding_hashes_are_told_apart),
                     T(survives_churn), T(removal_while_going_through), T(hash_depends_on_every_byte));
}
