/* SPDX-License-Identifier: Apache-2.0 */
/* Where a message stands in its archive, and the text that names it.  Pure computation. */
#ifndef MAM_ID_H
#define MAM_ID_H

#include <meerkat/archive.h>

/* TIME orders the messages of an archive and no two have the same; NONCE makes the id one that nobody can guess. */
struct place {
    int64_t time; /* microseconds since 1970 */
    int64_t nonce;
};

/* The time of the message after LAST, whatever the clock says now. */
int64_t id_next_time(int64_t last, int64_t now);

void id_write(char out[MK_ARCHIVE_ID_SIZE], struct place at);

/* False if TEXT is no id: then no archive has it. */
bool id_read(const char *text, struct place *out);

int place_compare(struct place a, struct place b);

/* Places from LO to HI, without the ends that are OPEN. */
struct range {
    struct place lo, hi;
    bool lo_open, hi_open;
};
static inline struct range range_all(void) {
    struct range r = { { 0, 0 }, { INT64_MAX, INT64_MAX }, false, false };
    return r;
}

/* Cut off what is before or after AT, and AT itself if OPEN. */
void range_from(struct range *r, struct place at, bool open);
void range_to(struct range *r, struct place at, bool open);
bool range_has(const struct range *r, struct place at);

/* A number of XEP-0059: digits.  What is beyond 10^9 is 10^9.  False if TEXT is none. */
bool rsm_number(const char *text, int64_t *out);

#endif
