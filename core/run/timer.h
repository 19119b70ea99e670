/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timing wheel a worker: starting and stopping is O(1) and costs no system call; accuracy is one tick of 100 ms,
 * never early.
 */
#ifndef RUN_TIMER_H
#define RUN_TIMER_H

#include "util/list.h"
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct timer {
    struct list link;
    uint64_t deadline_ms;
    void (*fire)(struct timer *t); /* on the worker's main stack; the timer has stopped and may be freed */
};

struct wheel;
struct wheel *wheel_new(uint64_t now_ms);
void wheel_free(struct wheel *w);
void wheel_start(struct wheel *w, struct timer *t, uint64_t now_ms, uint64_t ms); /* restarts one that runs */
void wheel_stop(struct timer *t);                                                 /* also one that does not run */
static inline bool timer_runs(const struct timer *t) {
    return list_linked(&t->link);
}
void wheel_advance(struct wheel *w, uint64_t now_ms); /* fires what is due */
bool wheel_used(const struct wheel *w);               /* whether any timer may run; looks at every place */

#endif
