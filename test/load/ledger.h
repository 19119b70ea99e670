/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts for every message of one sender to one receiver by its number. */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdint.h>

enum { FLOW_WINDOW = 2048 }; /* messages behind the newest that can still be told apart */

struct flow {
    uint64_t next;       /* one more than the highest number that arrived */
    uint64_t distinct;   /* messages that arrived, each counted once */
    uint64_t duplicated; /* arrivals of a message that had arrived before */
    uint64_t disordered; /* first arrivals behind a message that was sent later */
    uint64_t unknown;    /* arrivals older than the window: late or repeated, nobody can tell */
    uint64_t seen[FLOW_WINDOW / 64];
};

enum flow_verdict { FLOW_NEW, FLOW_LATE, FLOW_DUPLICATE, FLOW_UNKNOWN };

/* Message NUMBER (from 0) has arrived. */
enum flow_verdict flow_note(struct flow *f, uint64_t number);

#endif
