/* SPDX-License-Identifier: Apache-2.0 */
#include "directed.h"
#include <string.h>

static uint32_t place(const struct directed *d, const struct mk_jid *jid, bool *found) {
    uint32_t lo = 0, hi = d->count;
    *found = false;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int order = mk_jid_compare(d->jids[mid], jid);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void grow(struct directed *d) {
    d->cap = d->cap ? d->cap * 2 : 4;
    struct mk_jid **bigger = mk_malloc(d->cap * sizeof *bigger);
    if (d->count)
        memcpy(bigger, d->jids, d->count * sizeof *bigger);
    mk_free(d->jids);
    d->jids = bigger;
}

bool directed_add(struct directed *d, const struct mk_jid *jid, uint32_t max) {
    bool found;
    uint32_t at = place(d, jid, &found);
    if (found)
        return true;
    if (d->count >= max)
        return false;
    if (d->count == d->cap)
        grow(d);
    memmove(d->jids + at + 1, d->jids + at, (d->count - at) * sizeof d->jids[0]);
    d->jids[at] = mk_jid_keep(jid);
    d->count++;
    return true;
}

void directed_remove(struct directed *d, const struct mk_jid *jid) {
    bool found;
    uint32_t at = place(d, jid, &found);
    if (!found)
        return;
    mk_jid_free(d->jids[at]);
    d->count--;
    if (!d->count)
        directed_clear(d);
    else
        memmove(d->jids + at, d->jids + at + 1, (d->count - at) * sizeof d->jids[0]);
}

void directed_clear(struct directed *d) {
    for (uint32_t i = 0; i < d->count; i++)
        mk_jid_free(d->jids[i]);
    mk_free(d->jids);
    *d = (struct directed){ NULL, 0, 0 };
}

bool directed_has(const struct directed *d, const struct mk_jid *jid) {
    bool exact = false;
    place(d, jid, &exact);
    for (uint32_t i = 0; i < d->count && !exact; i++)
        exact = !mk_jid_resource(d->jids[i]).len && mk_jid_same_bare(d->jids[i], jid);
    return exact;
}
