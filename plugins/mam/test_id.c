/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "id.h"

static const int64_t now = 1790000000000000;

static void there_and_back(void) {
    static const struct place places[] = { { 0, 0 },  { now, 12345 }, { now, INT64_MAX }, { INT64_MAX, INT64_MAX },
                                           { 1, 63 }, { 64, 64 } };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char text[MK_ARCHIVE_ID_SIZE];
        struct place back;
        id_write(text, places[i]);
        CHECK_INT(strlen(text), 22);
        CHECK(id_read(text, &back));
        CHECK_INT(place_compare(back, places[i]), 0);
    }
}

static void texts_sort_as_places(void) {
    uint64_t seed = 7;
    for (unsigned i = 0; i < 20000; i++) {
        struct place p[2];
        char text[2][MK_ARCHIVE_ID_SIZE];
        for (unsigned k = 0; k < 2; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            p[k].time = now + (int64_t)(seed >> 60);
            p[k].nonce = (int64_t)(seed >> 1);
            id_write(text[k], p[k]);
        }
        int order = strcmp(text[0], text[1]);
        CHECK_INT((order > 0) - (order < 0), place_compare(p[0], p[1]));
    }
}

static void what_is_no_id(void) {
    struct place out;
    static const char *const bad[] = { "",
                                       "-",
                                       "---------------------",
                                       "-----------------------",
                                       "--------------------- ",
                                       "z---------------------",
                                       "-----------z----------",
                                       "7---------------------",
                                       "\xc3\xa4--------------------",
                                       "28482-98726-73623" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        printf("# %s\n", bad[i]);
        CHECK(!id_read(bad[i], &out));
    }
    CHECK(id_read("----------------------", &out));
    CHECK(id_read("6zzzzzzzzzz6zzzzzzzzzz", &out));
    CHECK_INT(out.time, INT64_MAX);
}

static void clocks_that_step_back(void) {
    int64_t last = 0;
    static const int64_t clock[] = { 100, 100, 101, 50, 50, 103, 200 }, want[] = { 100, 101, 102, 103, 104, 105, 200 };
    for (size_t i = 0; i < sizeof clock / sizeof clock[0]; i++) {
        last = id_next_time(last, clock[i]);
        CHECK_INT(last, want[i]);
    }
}

static struct place at(int64_t time) {
    return (struct place){ time, 5 };
}

static void ranges(void) {
    struct range r = range_all();
    CHECK(range_has(&r, at(0)) && range_has(&r, at(INT64_MAX)));
    range_from(&r, at(10), false);
    range_to(&r, at(20), false);
    CHECK(range_has(&r, at(10)) && range_has(&r, at(20)) && !range_has(&r, at(9)) && !range_has(&r, at(21)));
    range_from(&r, at(5), true); /* wider: no effect */
    range_to(&r, at(30), true);
    CHECK(range_has(&r, at(10)) && range_has(&r, at(20)));
    range_from(&r, at(10), true);
    range_to(&r, at(20), true);
    CHECK(!range_has(&r, at(10)) && !range_has(&r, at(20)) && range_has(&r, at(15)));
    range_from(&r, at(10), false); /* open stays open */
    CHECK(!range_has(&r, at(10)));
    range_from(&r, at(25), false); /* empty */
    CHECK(!range_has(&r, at(25)) && !range_has(&r, at(15)));
}

static void same_time_other_nonce(void) {
    struct range r = range_all();
    range_from(&r, (struct place){ 10, 3 }, true);
    CHECK(range_has(&r, (struct place){ 10, 4 }));
    CHECK(!range_has(&r, (struct place){ 10, 3 }));
    CHECK(!range_has(&r, (struct place){ 10, 2 }));
}

static void numbers(void) {
    int64_t n = -1;
    CHECK(rsm_number("0", &n));
    CHECK_INT(n, 0);
    CHECK(rsm_number("050", &n));
    CHECK_INT(n, 50);
    CHECK(rsm_number("99999999999999999999999999", &n));
    CHECK_INT(n, 1000000000);
    CHECK(!rsm_number("", &n));
    CHECK(!rsm_number("-1", &n));
    CHECK(!rsm_number("1.5", &n));
    CHECK(!rsm_number(" 1", &n));
}

int main(void) {
    return CHECK_RUN(T(there_and_back), T(texts_sort_as_places), T(what_is_no_id), T(clocks_that_step_back), T(ranges),
                     T(same_time_other_nonce), T(numbers));
}
