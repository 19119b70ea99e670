/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t size;
};
static const struct unit durations[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct unit sizes[] = {
    { "G", INT64_C(1) << 30 },
    { "M", 1 << 20 },
    { "K", 1 << 10 },
    { "", 1 },
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool amount_read(const char *text, const struct unit *units, size_t count, int64_t *out) {
    if (strcmp(text, "infinite") == 0) {
        *out = INT64_MAX;
        return true;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    int64_t number = strtoll(text, NULL, 10);
    for (size_t i = 0; i < count; i++)
        if (strcmp(text + digits, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].size, out);
    return false;
}

bool duration_read(const char *text, int64_t *out) {
    return amount_read(text, durations, COUNT(durations), out);
}

bool size_read(const char *text, int64_t *out) {
    return amount_read(text, sizes, COUNT(sizes), out);
}

void amount_write(struct buf *out, uint32_t type, int64_t amount) {
    const struct unit *units = type == MK_T_DURATION ? durations : sizes;
    size_t count = type == MK_T_DURATION ? COUNT(durations) : COUNT(sizes);
    if (type != MK_T_DURATION && type != MK_T_SIZE) {
        buf_printf(out, "%" PRId64, amount);
    } else if (amount == INT64_MAX) {
        buf_puts(out, "infinite");
    } else {
        size_t i = 0;
        while (i + 1 < count && (amount == 0 || amount % units[i].size != 0))
            i++;
        buf_printf(out, "%" PRId64 "%s", amount / units[i].size, units[i].name);
    }
}
