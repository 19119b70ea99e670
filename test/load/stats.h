/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers count and the parent reads: one block of shared memory a worker, which it alone writes.  The parent reads
 * it while it changes; each number is whole, and later ones are never smaller.
 */
#ifndef STATS_H
#define STATS_H

#include "histogram.h"
#include <stdio.h>

enum timing {
    TIME_LOGIN,    /* from when a client was due to arrive to its bound resource */
    TIME_RESUME,   /* the same for one that came back to its stream */
    TIME_DELIVERY, /* from when a message was due to its arrival at the other end */
    TIME_ROOM,     /* the same in rooms */
    TIME_ACK,      /* from when a message was due to the server's acknowledgement */
    TIME_ROSTER,   /* of a roster's query or change */
    TIME_ARCHIVE,  /* of a page of the archive */
    TIME_LAG,      /* from when a message was due to its sending: how late the load itself was */
    TIMINGS
};
extern const char *const timing_names[TIMINGS];

enum count {
    COUNT_CONNECTIONS,
    COUNT_LOGINS,
    COUNT_LOGIN_FAILURES,
    COUNT_RESUMED,
    COUNT_RESUME_FAILURES,
    COUNT_LOST_CONNECTIONS,
    COUNT_SENT,
    COUNT_ACKED,
    COUNT_RESENT,
    COUNT_DELIVERED,
    COUNT_DUPLICATED,
    COUNT_DISORDERED,
    COUNT_UNKNOWN,
    COUNT_REFUSED,
    COUNT_STRAY,
    COUNT_ROOM_SENT,
    COUNT_ROOM_EXPECTED,
    COUNT_ROOM_DELIVERED,
    COUNT_ROOM_DUPLICATED,
    COUNT_ROOM_DISORDERED,
    COUNT_ROOM_REFUSED,
    COUNT_ROOMS,
    COUNT_ARCHIVE_PAGES,
    COUNT_ARCHIVE_ROWS,
    COUNT_ROSTER_CHANGES,
    COUNT_QUERY_ERRORS,
    COUNT_BYTES_IN,
    COUNT_BYTES_OUT,
    COUNTS
};
extern const char *const count_names[COUNTS];

enum { REASONS = 24 };
struct reason {
    char text[120];
    uint64_t count;
};

struct stats {
    uint64_t counts[COUNTS];
    uint64_t online;        /* clients now */
    uint64_t open_accounts; /* messages that may still arrive or be acknowledged, at the end */
    struct histogram times[TIMINGS];
    struct reason reasons[REASONS];
    int ended; /* the worker has said all */
};

enum phase { PHASE_ARRIVE, PHASE_HOLD, PHASE_DRAIN, PHASE_END };

/* What the parent tells the workers. */
struct control {
    volatile int phase;
    uint64_t begin; /* now_us() of the first arrival */
};

uint64_t now_us(void); /* of a clock that all processes share */
void stats_reason(struct stats *s, const char *text);
/* INTO is zeroed before. */
void stats_sum(struct stats *into, const struct stats *all, int count);

#endif
