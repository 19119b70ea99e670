/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "run/turn.h"
#include "sasl/mechanism.h"
#include <semaphore.h>
#include <stdio.h>

static struct arena arena;

static const struct mk_jid *account(const char *name) {
    const struct mk_view local = { name, strlen(name) }, domain = { "example.org", 11 }, none = { NULL, 0 };
    const struct mk_jid *jid;
    if (jid_make(&arena, local, domain, none, &jid) != 0)
        abort();
    return jid;
}

static void setup(int64_t delay, int64_t max_delay, int64_t limit, int64_t window) {
    const struct throttle_config config = { delay, max_delay, limit, window };
    arena_free(&arena);
    throttle_setup(&config);
}

/* The table is the process's: every test has its own addresses, names and its own stretch of time. */
static void delay_doubles(void) {
    setup(500, 3000, 0, 60000);
    CHECK_INT(throttle_note("192.0.2.1", NULL, 1000), 500);
    CHECK_INT(throttle_note("192.0.2.1", NULL, 2000), 1000);
    CHECK_INT(throttle_note("192.0.2.1", NULL, 3000), 2000);
    CHECK_INT(throttle_note("192.0.2.1", NULL, 4000), 3000);
    CHECK_INT(throttle_note("192.0.2.1", NULL, 5000), 3000);
    CHECK_INT(throttle_note("192.0.2.2", NULL, 5000), 500);
    CHECK_INT(throttle_note("", NULL, 5000), 500);
    CHECK_INT(throttle_note(NULL, NULL, 5000), 500);
    setup(0, 3000, 0, 60000);
    CHECK_INT(throttle_note("192.0.2.1", NULL, 6000), 0);
}

/* However the operator sets it, a wait fits into a turn. */
static void delay_is_bounded(void) {
    setup(4000, INT64_MAX, 0, INT64_MAX);
    CHECK_INT(throttle_note("192.0.2.10", NULL, 0), 4000);
    CHECK_INT(throttle_note("192.0.2.10", NULL, 0), 8000);
    for (int i = 0; i < 100; i++)
        CHECK_INT(throttle_note("192.0.2.10", NULL, 0), 9000);
    setup(INT64_MAX, INT64_MAX, 0, INT64_MAX);
    CHECK_INT(throttle_note("192.0.2.10", NULL, 0), 9000);
}

static void worse_of_both(void) {
    setup(100, 9000, 0, 60000);
    CHECK_INT(throttle_note("192.0.2.20", account("romeo"), 0), 100);
    CHECK_INT(throttle_note("192.0.2.21", account("romeo"), 0), 200); /* from elsewhere */
    CHECK_INT(throttle_note("192.0.2.22", account("romeo"), 0), 400);
    CHECK_INT(throttle_note("192.0.2.22", account("juliet"), 0), 200);
    CHECK_INT(throttle_note("192.0.2.23", account("mercutio"), 0), 100);
}

static void window(void) {
    setup(100, 9000, 2, 1000);
    CHECK_INT(throttle_note("192.0.2.30", NULL, 10000), 100);
    CHECK_INT(throttle_note("192.0.2.30", NULL, 10999), 200);
    CHECK(throttle_refuses_at("192.0.2.30", NULL, 11998));
    CHECK(!throttle_refuses_at("192.0.2.30", NULL, 11999));
    CHECK_INT(throttle_note("192.0.2.30", NULL, 11999), 100); /* forgotten */
}

static void limit(void) {
    setup(0, 0, 3, 60000);
    for (int i = 0; i < 3; i++) {
        CHECK(!throttle_refuses_at("192.0.2.40", NULL, i));
        CHECK(!throttle_refuses_at(NULL, account("benvolio"), i));
        throttle_note("192.0.2.40", account("benvolio"), i);
    }
    CHECK(throttle_refuses_at("192.0.2.40", NULL, 10));
    CHECK(throttle_refuses_at("192.0.2.40", account("tybalt"), 10));
    CHECK(throttle_refuses_at("192.0.2.41", account("benvolio"), 10));
    CHECK(!throttle_refuses_at("192.0.2.41", account("tybalt"), 10));
    CHECK(!throttle_refuses_at(NULL, NULL, 10));
    setup(0, 0, 0, 60000); /* no limit */
    CHECK(!throttle_refuses_at("192.0.2.40", NULL, 10));
}

static void success(void) {
    setup(0, 0, 1, INT64_MAX);
    throttle_note("192.0.2.50", account("paris"), 0);
    throttle_succeeded("192.0.2.50", account("rosaline")); /* another's */
    CHECK(throttle_refuses_at("192.0.2.51", account("paris"), 0));
    throttle_succeeded("192.0.2.50", account("paris"));
    CHECK(!throttle_refuses_at("192.0.2.51", account("paris"), 0));
    CHECK(throttle_refuses_at("192.0.2.50", account("paris"), 0)); /* the address has done what it did */
}

static void networks(void) {
    setup(0, 0, 1, 60000);
    throttle_note("2001:db8:1:2::1", NULL, 0);
    CHECK(throttle_refuses_at("2001:db8:1:2:ffff::9", NULL, 0));
    CHECK(throttle_refuses_at("[2001:db8:1:2::7]", NULL, 0));
    CHECK(throttle_refuses_at("2001:db8:1:2::7%eth0", NULL, 0));
    CHECK(!throttle_refuses_at("2001:db8:1:3::1", NULL, 0));
    throttle_note("::ffff:192.0.2.60", NULL, 0);
    CHECK(throttle_refuses_at("192.0.2.60", NULL, 0));
    CHECK(!throttle_refuses_at("::ffff:192.0.2.61", NULL, 0));
    throttle_note("unix", NULL, 0);
    CHECK(throttle_refuses_at("unix", NULL, 0));
    CHECK(!throttle_refuses_at("unix2", NULL, 0));
}

static void oldest_goes(void) {
    char address[32];
    setup(0, 0, 1, 60000);
    throttle_note("198.51.100.1", account("oldest"), 100);
    throttle_note("198.51.100.2", NULL, 101);
    throttle_note("198.51.100.1", NULL, 102); /* again: younger than the second now */
    for (int i = 0; i < THROTTLE_ENTRIES - 1; i++) {
        snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        throttle_note(address, NULL, 103);
    }
    CHECK(!throttle_refuses_at("198.51.100.2", NULL, 103));
    CHECK(throttle_refuses_at("198.51.100.1", NULL, 103));
    CHECK(throttle_refuses_at(NULL, account("oldest"), 103)); /* names have a table of their own */
    throttle_note("198.51.100.3", NULL, 104);
    CHECK(!throttle_refuses_at("198.51.100.1", NULL, 104));
    CHECK(throttle_refuses_at("10.0.0.0", NULL, 104));
}

/* ---- in a turn --------------------------------------------------------------------------------------------------- */

static sem_t waited;
static int64_t waited_ms;
static int waited_rc;

static void fail_once(struct mk_ctx *c, void *arg) {
    int64_t before = mk_now_ms(c);
    (void)arg;
    waited_rc = throttle_failed(c, "192.0.2.70", NULL);
    waited_ms = mk_now_ms(c) - before;
    sem_post(&waited);
}
static void begin_turn(struct worker *w, void *arg) {
    (void)w;
    turn_aside(NULL, NULL, NULL, fail_once, arg);
}

static void failing_waits(void) {
    static const struct worker_hooks none;
    setup(150, 9000, 0, 60000);
    sem_init(&waited, 0, 0);
    CHECK_INT(workers_start(1, 2, 256 * 1024, &none), 0);
    for (int i = 1; i <= 2; i++) {
        workers_each(begin_turn, NULL);
        sem_wait(&waited);
        CHECK_INT(waited_rc, 0);
        CHECK(waited_ms >= 150 * i); /* a sleep is never too short */
    }
    workers_stop();
    workers_free();
    CHECK(throttle_note("192.0.2.70", NULL, 0) == 600);
}

int main(void) {
    return CHECK_RUN(T(delay_doubles), T(delay_is_bounded), T(worse_of_both), T(window), T(limit), T(success),
                     T(networks), T(oldest_goes), T(failing_waits));
}
