/* SPDX-License-Identifier: Apache-2.0 */
/* One process that drives its share of the clients. */
#ifndef WORKER_H
#define WORKER_H

#include "client.h"

struct timer_entry {
    uint64_t due;
    struct client *client;
    uint32_t epoch;
    enum timer kind;
};

struct worker {
    const struct scenario *scenario;
    struct control *control;
    struct stats *stats;
    int index, epoll_fd;
    unsigned run;      /* marks the messages of this run */
    int address[WAYS]; /* of each server's: that which took the last connection */
    struct client *clients;
    struct client **order; /* of arrival */
    int count, next_arrival, at_once, logging_in;
    int places; /* connections that clients may have */
    struct room *rooms;
    int room_count;
    struct timer_entry *timers; /* a heap, the earliest first */
    size_t timer_count, timer_cap;
};

/* WORKER's part of SCENARIO, to the end.  Runs in a process of its own. */
void worker_run(const struct scenario *scenario, struct control *control, struct stats *stats, int index, unsigned run);
/* Calls client_timer() at DUE, unless the client's epoch is another by then. */
void worker_at(struct client *c, enum timer kind, uint64_t due);
bool worker_measures(const struct worker *w); /* whether times count: the load is complete and has not ended */
bool worker_works(const struct worker *w);    /* whether new things may begin */
double worker_random(void);                   /* 0 to 1, without 0 */
void worker_time(struct worker *w, enum timing timing, uint64_t due);

#endif
