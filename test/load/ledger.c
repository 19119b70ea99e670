/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"
#include <string.h>

static uint64_t *word_of(struct flow *f, uint64_t number) {
    return &f->seen[number % FLOW_WINDOW / 64];
}

static void advance(struct flow *f, uint64_t number) {
    if (number - f->next >= FLOW_WINDOW)
        memset(f->seen, 0, sizeof f->seen);
    else
        for (uint64_t n = f->next; n <= number; n++)
            *word_of(f, n) &= ~(UINT64_C(1) << n % 64);
    f->next = number + 1;
}

enum flow_verdict flow_note(struct flow *f, uint64_t number) {
    uint64_t bit = UINT64_C(1) << number % 64;
    enum flow_verdict verdict = FLOW_NEW;
    if (number >= f->next) {
        advance(f, number);
    } else if (f->next - number > FLOW_WINDOW) {
        f->unknown++;
        return FLOW_UNKNOWN;
    } else if (*word_of(f, number) & bit) {
        f->duplicated++;
        return FLOW_DUPLICATE;
    } else {
        f->disordered++;
        verdict = FLOW_LATE;
    }
    *word_of(f, number) |= bit;
    f->distinct++;
    return verdict;
}
