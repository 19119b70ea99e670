/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that looks at the workers: logs a turn that holds its thread longer than 10 ms with the handler's name,
 * aborts debug builds at one second, and tells systemd that the server is alive only while all workers turn.
 */
#ifndef RUN_WATCHDOG_H
#define RUN_WATCHDOG_H

#include <stdint.h>

/* SLOW(worker index, handler name, held ms) is called in the watchdog's thread, once a turn.  ALIVE every second while all turn. */
void watchdog_start(void (*slow)(unsigned worker, const char *with, uint64_t ms), void (*alive)(void));
void watchdog_stop(void);

#endif
