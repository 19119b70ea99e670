/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0082 DateTime, as microseconds since 1970-01-01 UTC.  Years 0000 to 9999. */
#ifndef UTIL_DATETIME_H
#define UTIL_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

enum { DATETIME_SIZE = 28 }; /* 2026-11-24T07:00:00.000000Z and NUL */

/* A time outside of the years is written as the nearest inside. */
void datetime_write(char out[DATETIME_SIZE], int64_t time);
bool datetime_read(const char *text, int64_t *time);

#endif
