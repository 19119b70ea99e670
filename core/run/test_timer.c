/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "run/timer.h"
#include "util/mem.h"

struct probe {
    struct timer timer;
    int fired;
    uint64_t at;
};

static uint64_t now;
static struct wheel *wheel;

static void on_fire(struct timer *t) {
    struct probe *p = container_of(t, struct probe, timer);
    p->fired++;
    p->at = now;
}

static void advance(uint64_t to) {
    for (; now < to; now += 50)
        wheel_advance(wheel, now);
    wheel_advance(wheel, now);
}

static void start(struct probe *p, uint64_t ms) {
    p->timer.fire = on_fire;
    wheel_start(wheel, &p->timer, now, ms);
}

static void fires_once_and_not_early(void) {
    static const uint64_t delays[] = { 0, 1, 99, 100, 101, 2500, 25599, 25600, 25601, 60000, 3600000, 8000000 };
    for (unsigned i = 0; i < sizeof delays / sizeof *delays; i++) {
        struct probe p = { 0 };
        now = 123456;
        wheel = wheel_new(now);
        start(&p, delays[i]);
        uint64_t due = now + delays[i];
        advance(due + 500);
        CHECK_INT(p.fired, 1);
        CHECK(p.at >= due);
        CHECK(p.at <= due + 250);
        CHECK(!timer_runs(&p.timer));
        wheel_free(wheel);
    }
}

static void stops_and_restarts(void) {
    struct probe a = { 0 }, b = { 0 };
    now = 0;
    wheel = wheel_new(now);
    start(&a, 1000);
    start(&b, 1000);
    CHECK(wheel_used(wheel));
    advance(500);
    wheel_stop(&a.timer);
    start(&b, 1000);
    advance(1400);
    CHECK_INT(a.fired, 0);
    CHECK_INT(b.fired, 0);
    advance(1700);
    CHECK_INT(a.fired, 0);
    CHECK_INT(b.fired, 1);
    CHECK(!wheel_used(wheel));
    wheel_stop(&b.timer);
    wheel_free(wheel);
}

static struct probe again;
static void fire_again(struct timer *t) {
    again.fired++;
    if (again.fired < 3)
        wheel_start(wheel, t, now, 0);
}

static void handler_may_start_itself(void) {
    now = 0;
    wheel = wheel_new(now);
    again = (struct probe){ .timer.fire = fire_again };
    wheel_start(wheel, &again.timer, now, 100);
    advance(2000);
    CHECK_INT(again.fired, 3);
    wheel_free(wheel);
}

static struct probe victim;
static void fire_stop(struct timer *t) {
    (void)t;
    wheel_stop(&victim.timer);
}

static void handler_may_stop_one_due_in_the_same_tick(void) {
    struct probe killer = { .timer.fire = fire_stop };
    now = 0;
    wheel = wheel_new(now);
    victim = (struct probe){ 0 };
    wheel_start(wheel, &killer.timer, now, 100);
    start(&victim, 100);
    advance(1000);
    CHECK_INT(victim.fired, 0);
    wheel_free(wheel);
}

int main(void) {
    return CHECK_RUN(T(fires_once_and_not_early), T(stops_and_restarts), T(handler_may_start_itself),
                     T(handler_may_stop_one_due_in_the_same_tick));
}
