/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"
#include <string.h>

enum { HALF = 1 << (HISTOGRAM_BITS - 1) };

static unsigned bucket_of(uint64_t us) {
    if (us < 2 * HALF)
        return (unsigned)us;
    if (us >> HISTOGRAM_TOP)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 64 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(us);
    return 2 * HALF + (shift - 1) * HALF + (unsigned)(us >> shift) - HALF;
}

/* The highest value of a bucket. */
static uint64_t value_of(unsigned bucket) {
    if (bucket < 2 * HALF)
        return bucket;
    unsigned shift = (bucket - 2 * HALF) / HALF + 1;
    uint64_t head = (bucket - 2 * HALF) % HALF + HALF;
    return ((head + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t us) {
    h->buckets[bucket_of(us)]++;
    h->sum += us;
    if (!h->count || us < h->min)
        h->min = us;
    if (us > h->max)
        h->max = us;
    h->count++;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    if (!from->count)
        return;
    if (!into->count || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

void histogram_since(const struct histogram *now, const struct histogram *before, struct histogram *out) {
    memset(out, 0, sizeof *out);
    out->sum = now->sum - before->sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t n = now->buckets[i] - before->buckets[i];
        if (!n)
            continue;
        if (!out->count)
            out->min = value_of(i);
        out->max = value_of(i);
        out->buckets[i] = n;
        out->count += n;
    }
}

uint64_t histogram_at(const struct histogram *h, double share) {
    uint64_t want = (uint64_t)((double)h->count * share + 0.999999), seen = 0;
    if (!h->count)
        return 0;
    if (want < 1)
        want = 1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= want)
            return value_of(i) < h->max ? value_of(i) : h->max;
    }
    return h->max;
}

double histogram_mean(const struct histogram *h) {
    return h->count ? (double)h->sum / (double)h->count : 0;
}
