/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests: functions of no argument in a table, results in TAP.  A failed check ends its test, not the program.
 *
 *     static void adds(void) { CHECK_INT(1 + 1, 2); }
 *     int main(void) { return CHECK_RUN(T(adds)); }
 */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

static jmp_buf check_end;

__attribute__((noreturn, format(printf, 3, 4), unused)) static void check_fail(const char *file, int line,
                                                                               const char *fmt, ...) {
    __builtin_va_list args;
    __builtin_va_start(args, fmt);
    printf("# %s:%d: ", file, line);
    vprintf(fmt, args);
    printf("\n");
    __builtin_va_end(args);
    longjmp(check_end, 1);
}

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            check_fail(__FILE__, __LINE__, "%s", #cond);                                                               \
    } while (0)
#define CHECK_INT(got, want)                                                                                           \
    do {                                                                                                               \
        long long g_ = (long long)(got), w_ = (long long)(want);                                                       \
        if (g_ != w_)                                                                                                  \
            check_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, g_, w_);                                      \
    } while (0)
#define CHECK_TEXT(got, want)                                                                                          \
    do {                                                                                                               \
        const char *g_ = (got), *w_ = (want);                                                                          \
        if (!g_ || !w_ ? g_ != w_ : strcmp(g_, w_) != 0)                                                               \
            check_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, g_ ? g_ : "(null)", w_ ? w_ : "(null)");  \
    } while (0)
#define CHECK_MEM(got, got_len, want, want_len)                                                                        \
    do {                                                                                                               \
        size_t gl_ = (got_len), wl_ = (want_len);                                                                      \
        if (gl_ != wl_ || memcmp((got), (want), gl_) != 0)                                                             \
            check_fail(__FILE__, __LINE__, "%s is \"%.*s\", not \"%.*s\"", #got, (int)gl_, (const char *)(got),        \
                       (int)wl_, (const char *)(want));                                                                \
    } while (0)

__attribute__((unused)) static int check_run(const struct check_test *tests, size_t count) {
    volatile int failed = 0;
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        volatile int bad = 0;
        if (setjmp(check_end) == 0)
            tests[i].run();
        else
            bad = 1;
        printf("%sok %zu - %s\n", bad ? "not " : "", i + 1, tests[i].name);
        fflush(stdout);
        failed |= bad;
    }
    return failed;
}

#define T(f)                                                                                                           \
    { #f, f }
#define CHECK_RUN(...)                                                                                                 \
    check_run((const struct check_test[]){ __VA_ARGS__ },                                                              \
              sizeof((const struct check_test[]){ __VA_ARGS__ }) / sizeof(struct check_test))

#endif
