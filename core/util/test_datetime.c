/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "util/datetime.h"

static const struct {
    int64_t time;
    const char *text;
} both[] = {
    { 0, "1970-01-01T00:00:00.000000Z" },
    { 1, "1970-01-01T00:00:00.000001Z" },
    { -1, "1969-12-31T23:59:59.999999Z" },
    { INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
    { INT64_C(951868799999999), "2000-02-29T23:59:59.999999Z" },
    { INT64_C(1795503600123456), "2026-11-24T07:00:00.123456Z" },
    { INT64_C(-2203977600000000), "1900-02-28T00:00:00.000000Z" },
    { INT64_C(-2203891200000000), "1900-03-01T00:00:00.000000Z" },
    { INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
    { INT64_C(-62167219200000000), "0000-01-01T00:00:00.000000Z" },
};

static void both_ways(void) {
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        char out[DATETIME_SIZE];
        int64_t time;
        datetime_write(out, both[i].time);
        CHECK_TEXT(out, both[i].text);
        CHECK(datetime_read(out, &time));
        CHECK_INT(time, both[i].time);
    }
}

static void every_day_of_a_century(void) {
    for (int64_t day = -20000; day < 20000; day++) {
        char out[DATETIME_SIZE];
        int64_t time, want = day * INT64_C(86400000000) + day;
        datetime_write(out, want);
        CHECK(datetime_read(out, &time));
        CHECK_INT(time, want);
    }
}

static void clamped(void) {
    char out[DATETIME_SIZE];
    datetime_write(out, INT64_MAX);
    CHECK_TEXT(out, "9999-12-31T23:59:59.999999Z");
    datetime_write(out, INT64_MIN);
    CHECK_TEXT(out, "0000-01-01T00:00:00.000000Z");
}

static void other_forms(void) {
    static const struct {
        const char *text;
        int64_t time;
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.5Z", 500000 },
        { "1970-01-01T00:00:00.1234567899Z", 123456 },
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1969-12-31T18:30:00-05:30", 0 },
        { "1969-07-21T02:56:15Z", INT64_C(-14159025000000) },
        { "1969-07-20T21:56:15-05:00", INT64_C(-14159025000000) },
        { "2016-12-31T23:59:60Z", INT64_C(1483228800000000) },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t time;
        CHECK(datetime_read(rows[i].text, &time));
        CHECK_INT(time, rows[i].time);
    }
}

static void refused(void) {
    static const char *const bad[] = {
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-1-1T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00Zx",
        "1970-01-01T00:00:00+01:00x",
        "-970-01-01T00:00:00Z",
        "19700101T00:00:00",
    };
    int64_t time;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!datetime_read(bad[i], &time));
}

int main(void) {
    return CHECK_RUN(T(both_ways), T(every_day_of_a_century), T(clamped), T(other_forms), T(refused));
}
