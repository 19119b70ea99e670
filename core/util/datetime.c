/* SPDX-License-Identifier: Apache-2.0 */
#include "util/datetime.h"
#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
enum { DAYS_400_YEARS = 146097, DAYS_TO_1970 = 719528 }; /* from 0000-01-01, proleptic */

static bool is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 0000-01-01 to YEAR-01-01. */
static int64_t days_before_year(int64_t year) {
    return year == 0 ? 0 : 365 * year + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1;
}

static int days_in_month(int64_t year, int month) {
    static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (month == 2 && is_leap(year));
}

void datetime_write(char out[DATETIME_SIZE], int64_t time) {
    const int64_t first = -DAYS_TO_1970 * DAY, last = (days_before_year(10000) - DAYS_TO_1970) * DAY - 1;
    time = time < first ? first : time > last ? last : time;
    int64_t since = time - first; /* not negative */
    int64_t days = since / DAY, rest = since % DAY;
    int64_t year = days * 400 / DAYS_400_YEARS;
    while (days_before_year(year) > days)
        year--;
    while (days_before_year(year + 1) <= days)
        year++;
    days -= days_before_year(year);
    int month = 1;
    while (days >= days_in_month(year, month))
        days -= days_in_month(year, month++);
    int64_t seconds = rest / SECOND;
    snprintf(out, DATETIME_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)year % 10000, (unsigned)month % 100,
             (unsigned)(days + 1) % 100, (unsigned)(seconds / 3600) % 100, (unsigned)(seconds / 60 % 60),
             (unsigned)(seconds % 60), (unsigned)(rest % SECOND));
}

/* COUNT digits at *P, moved behind them; -1 if there are fewer. */
static int digits(const char **p, int count) {
    int value = 0;
    for (int i = 0; i < count; i++, ++*p) {
        if (**p < '0' || **p > '9')
            return -1;
        value = value * 10 + (**p - '0');
    }
    return value;
}

static bool mark(const char **p, char c) {
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* Microseconds of a fraction; digits beyond the sixth are dropped.  -1 if it is none. */
static int64_t fraction(const char **p) {
    int64_t value = 0, unit = SECOND / 10;
    if (!mark(p, '.'))
        return 0;
    if (**p < '0' || **p > '9')
        return -1;
    for (; **p >= '0' && **p <= '9'; ++*p, unit /= 10)
        value += (**p - '0') * unit;
    return value;
}

/* "Z" or "+hh:mm", and then the end: microseconds east of UTC. */
static bool zone(const char **p, int64_t *east) {
    *east = 0;
    if (mark(p, 'Z'))
        return **p == '\0';
    int64_t sign = **p == '+' ? 1 : **p == '-' ? -1 : 0;
    if (!sign)
        return false;
    ++*p;
    int hours = digits(p, 2);
    if (hours < 0 || hours > 23 || !mark(p, ':'))
        return false;
    int minutes = digits(p, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *east = sign * (hours * 60 + minutes) * 60 * SECOND;
    return **p == '\0';
}

bool datetime_read(const char *text, int64_t *time) {
    const char *p = text;
    int year = digits(&p, 4);
    if (year < 0 || !mark(&p, '-'))
        return false;
    int month = digits(&p, 2);
    if (month < 1 || month > 12 || !mark(&p, '-'))
        return false;
    int day = digits(&p, 2);
    if (day < 1 || day > days_in_month(year, month) || !mark(&p, 'T'))
        return false;
    int hour = digits(&p, 2);
    if (hour < 0 || hour > 23 || !mark(&p, ':'))
        return false;
    int minute = digits(&p, 2);
    if (minute < 0 || minute > 59 || !mark(&p, ':'))
        return false;
    int second = digits(&p, 2);
    if (second < 0 || second > 60) /* 60: a leap second */
        return false;
    int64_t micros = fraction(&p), east;
    if (micros < 0 || !zone(&p, &east))
        return false;
    int64_t days = days_before_year(year) - DAYS_TO_1970 + day - 1;
    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    *time = days * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + micros - east;
    return true;
}
