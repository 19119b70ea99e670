/* SPDX-License-Identifier: Apache-2.0 */
#include "id.h"
#include <string.h>

/* In the order of their codes, so that ids sort as what they stand for. */
static const char digits[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
enum { HALF = 11, BITS = 6 };

int64_t id_next_time(int64_t last, int64_t now) {
    return now > last ? now : last + 1;
}

static void write_half(char *out, int64_t number) {
    uint64_t left = (uint64_t)number;
    for (unsigned i = HALF; i-- > 0; left >>= BITS)
        out[i] = digits[left & ((1u << BITS) - 1)];
}

void id_write(char out[MK_ARCHIVE_ID_SIZE], struct place at) {
    write_half(out, at.time);
    write_half(out + HALF, at.nonce);
    out[2 * HALF] = '\0';
}

/* One number has one text. */
static bool read_half(const char *text, int64_t *out) {
    uint64_t number = 0;
    for (unsigned i = 0; i < HALF; i++) {
        const char *digit = strchr(digits, text[i]);
        if (number > (uint64_t)INT64_MAX >> BITS)
            return false;
        number = number << BITS | (uint64_t)(digit - digits);
    }
    *out = (int64_t)number;
    return true;
}

bool id_read(const char *text, struct place *out) {
    size_t len = strlen(text);
    return len == 2 * (size_t)HALF && strspn(text, digits) == len && read_half(text, &out->time) &&
           read_half(text + HALF, &out->nonce);
}

int place_compare(struct place a, struct place b) {
    if (a.time != b.time)
        return a.time < b.time ? -1 : 1;
    return a.nonce < b.nonce ? -1 : a.nonce > b.nonce;
}

void range_from(struct range *r, struct place at, bool open) {
    int order = place_compare(at, r->lo);
    if (order < 0)
        return;
    r->lo_open = order == 0 ? r->lo_open || open : open;
    r->lo = at;
}

void range_to(struct range *r, struct place at, bool open) {
    int order = place_compare(at, r->hi);
    if (order > 0)
        return;
    r->hi_open = order == 0 ? r->hi_open || open : open;
    r->hi = at;
}

bool range_has(const struct range *r, struct place at) {
    int lo = place_compare(at, r->lo), hi = place_compare(at, r->hi);
    return (lo > 0 || (lo == 0 && !r->lo_open)) && (hi < 0 || (hi == 0 && !r->hi_open));
}

bool rsm_number(const char *text, int64_t *out) {
    enum { MOST = 1000000000 };
    int64_t number = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (*text - '0');
        if (number > MOST)
            number = MOST;
    }
    *out = number;
    return true;
}
