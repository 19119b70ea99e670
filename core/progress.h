/* SPDX-License-Identifier: Apache-2.0 */
/* How far something is, on stderr: a bar on a terminal, else a line now and then. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what, *unit; /* unit: "rows" */
    int64_t total, begun_at; /* rows; where this run began */
    uint64_t started_us, shown_us;
    bool tty, drawn;
};
/* TOTAL 0: nobody knows how many there are. */
void progress_begin(struct progress *p, const char *what, const char *unit, int64_t total, int64_t done);
void progress_show(struct progress *p, int64_t done);
void progress_end(struct progress *p); /* the bar is gone */

#endif
