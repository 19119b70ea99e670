/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a run when it is over. */
#ifndef REPORT_H
#define REPORT_H

#include "sample.h"

struct report {
    const struct scenario *scenario;
    const char *scenario_path;
    const struct stats *all;             /* at the end */
    const struct stats *hold, *over;     /* when the load was complete, and when it ended */
    double hold_seconds, arrive_seconds; /* from the first arrival until all were in */
    double load_cpu;                     /* seconds of CPU that the workers used while they held */
    struct usage idle, before, after;    /* of the server: before all, at the begin and at the end of the hold */
    const struct series *series;
    bool broken; /* a worker died */
};

/* Messages that were sent and neither arrived nor came back. */
uint64_t report_lost(const struct stats *s);
uint64_t report_room_lost(const struct stats *s);
double report_cpu_us(const struct report *r); /* of the server for each message that arrived, 0 if unknown */
double report_rate(const struct report *r);   /* messages that arrived, a second */
/* Whether every client came in and every message arrived once. */
bool report_is_clean(const struct report *r);
void report_text(const struct report *r, FILE *f);
void report_json(const struct report *r, FILE *f);
void report_html(const struct report *r, FILE *f);

#endif
