/* SPDX-License-Identifier: Apache-2.0 */
/* What a run looks like over time: a sample each interval of what was counted, and of the server's processes. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "scenario.h"
#include "stats.h"

struct usage {
    double cpu;     /* seconds of all processes since they began */
    uint64_t rss;   /* bytes resident */
    uint64_t dirty; /* bytes of private dirty memory: what a process costs that shares its code */
};

struct sample {
    double at; /* seconds since the first arrival */
    enum phase phase;
    uint64_t online, logins, sent, arrived; /* the last three in this interval */
    uint64_t p50, p99, worst;               /* of deliveries in it, in microseconds */
    double cpu;                             /* cores that the server used */
    uint64_t rss;
};

struct series {
    struct sample *items;
    int count, cap;
    struct stats before;
    struct usage used;
    uint64_t before_at;
};

/* Zeroes for a process that is gone. */
struct usage usage_of(const struct scenario *s);
double process_cpu(int pid); /* seconds since it began */
void series_add(struct series *series, const struct scenario *s, const struct stats *now,
                const struct control *control);

#endif
