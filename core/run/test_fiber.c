/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "run/fiber.h"
#include <fenv.h>

static struct fiber_pool *pool;
static char trace[256];

static void note(const char *text) {
    strncat(trace, text, sizeof trace - strlen(trace) - 1);
}

static void setup(void) {
    trace[0] = '\0';
    pool = fiber_pool_new(4, 256 * 1024);
}

static void plain_run(void *arg) {
    note(arg);
    CHECK(fiber_current() != NULL);
}

static void runs_to_the_end(void) {
    setup();
    fiber_start(pool, NULL, plain_run, (char *)"a");
    fiber_start(pool, NULL, plain_run, (char *)"b");
    CHECK_TEXT(trace, "ab");
    CHECK_INT(fiber_busy(pool), 0);
    CHECK(fiber_current() == NULL);
    fiber_pool_free(pool);
}

static struct fiber *waiting[4];
static int waits;

static void waiting_run(void *arg) {
    note(arg);
    waiting[waits++] = fiber_current();
    fiber_suspend(fiber_current(), "test");
    note(arg);
}

static void suspends_and_resumes_in_any_order(void) {
    setup();
    waits = 0;
    fiber_start(pool, NULL, waiting_run, (char *)"a");
    fiber_start(pool, NULL, waiting_run, (char *)"b");
    fiber_start(pool, NULL, waiting_run, (char *)"c");
    CHECK_INT(fiber_busy(pool), 3);
    CHECK_TEXT(fiber_next(pool, NULL)->waits_for, "test");
    fiber_resume(waiting[1]);
    fiber_resume(waiting[0]);
    fiber_resume(waiting[2]);
    CHECK_TEXT(trace, "abcbac");
    CHECK_INT(fiber_busy(pool), 0);
    fiber_pool_free(pool);
}

static void pool_is_bounded(void) {
    setup();
    waits = 0;
    for (int i = 0; i < 4; i++)
        fiber_start(pool, NULL, waiting_run, (char *)"x");
    CHECK(!fiber_available(pool));
    fiber_resume(waiting[2]);
    CHECK(fiber_available(pool));
    fiber_resume(waiting[0]);
    fiber_resume(waiting[1]);
    fiber_resume(waiting[3]);
    fiber_pool_free(pool);
}

static void call_body(void *arg) {
    CHECK(fiber_current() == NULL);
    *(int *)arg += 1;
}

static void calling_run(void *arg) {
    for (int i = 0; i < 1000; i++)
        fiber_call(fiber_current(), call_body, arg);
}

static void calls_on_the_main_stack(void) {
    setup();
    int calls = 0;
    fiber_start(pool, NULL, calling_run, &calls);
    CHECK_INT(calls, 1000);
    fiber_pool_free(pool);
}

static void resume_body(void *arg) {
    fiber_resume(arg);
}

static void eager_run(void *arg) {
    for (int i = 0; i < 100000; i++)
        fiber_suspend_calling(fiber_current(), "test", resume_body, fiber_current());
    note(arg);
}

/* A call that resumes its own fiber at once must not deepen the main stack. */
static void resuming_inside_the_call_does_not_nest(void) {
    setup();
    fiber_start(pool, NULL, eager_run, (char *)"done");
    CHECK_TEXT(trace, "done");
    fiber_pool_free(pool);
}

static void rounding_run(void *arg) {
    (void)arg;
    fesetround(FE_UPWARD);
    fiber_suspend(fiber_current(), "test");
    note(fegetround() == FE_UPWARD ? "up" : "lost");
    fesetround(FE_TONEAREST);
}

static void keeps_the_floating_point_mode(void) {
    setup();
    fiber_start(pool, NULL, rounding_run, NULL);
    CHECK_INT(fegetround(), FE_TONEAREST); /* each stack has its own mode */
    fiber_resume(fiber_next(pool, NULL));
    CHECK_TEXT(trace, "up");
    fiber_pool_free(pool);
}

static void deep_run(void *arg) {
    volatile char page[96 * 1024];
    for (size_t i = 0; i < sizeof page; i += 1024)
        page[i] = 1;
    (void)arg;
}

static void high_water_is_seen(void) {
    setup();
    fiber_start(pool, NULL, deep_run, NULL);
    CHECK(fiber_high_water(pool) >= 96 * 1024);
    CHECK(fiber_high_water(pool) <= 256 * 1024);
    fiber_pool_free(pool);
}

int main(void) {
    return CHECK_RUN(T(runs_to_the_end), T(suspends_and_resumes_in_any_order), T(pool_is_bounded),
                     T(calls_on_the_main_stack), T(resuming_inside_the_call_does_not_nest),
                     T(keeps_the_floating_point_mode), T(high_water_is_seen));
}
