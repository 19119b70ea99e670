/* SPDX-License-Identifier: Apache-2.0 */
/* Times in microseconds, counted in buckets whose width grows with the value: what is read is at most 1/128 too high. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

/* Values up to 256 have buckets of their own, then each doubling has 128, up to 2^36 us (19 hours). */
enum { HISTOGRAM_BITS = 8, HISTOGRAM_TOP = 36, HISTOGRAM_BUCKETS = 256 + (HISTOGRAM_TOP - HISTOGRAM_BITS) * 128 };

/* Holds no pointer: it may lie in memory that processes share, where one writes and others read. */
struct histogram {
    uint64_t count, sum, min, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* What came into NOW since it was BEFORE; min and max are those of the buckets. */
void histogram_since(const struct histogram *now, const struct histogram *before, struct histogram *out);
/* The value that SHARE (0 to 1) of all values do not exceed; 0 if there is none. */
uint64_t histogram_at(const struct histogram *h, double share);
double histogram_mean(const struct histogram *h);

#endif
