/* SPDX-License-Identifier: Apache-2.0 */
#include "run/metric.h"
#include "run/worker.h"

unsigned server_metric_place[SERVER_METRIC_COUNT];

/* Readers on other threads sum the places as they are: a torn read can't happen, an old one may. */
static void add(int64_t *place, int64_t by) {
    __atomic_store_n(place, *place + by, __ATOMIC_RELAXED);
}

void metric_add(struct worker *w, unsigned place, int64_t by) {
    if (place < w->metric_count)
        add(&w->metrics[place], by);
}

void metric_observe(struct worker *w, unsigned place, int64_t value) {
    if (place + METRIC_BUCKETS + 2 > w->metric_count)
        return;
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    unsigned bucket = v ? 64 - (unsigned)__builtin_clzll(v) : 0;
    if (bucket >= METRIC_BUCKETS)
        bucket = METRIC_BUCKETS - 1;
    add(&w->metrics[place + bucket], 1);
    add(&w->metrics[place + METRIC_BUCKETS], (int64_t)v);
    add(&w->metrics[place + METRIC_BUCKETS + 1], 1);
}
