/* SPDX-License-Identifier: Apache-2.0 */
/* Timers that plugins keep on sessions, accounts, rooms and hosts. */
#ifndef ROUTE_OBJECT_TIMER_H
#define ROUTE_OBJECT_TIMER_H

#include "run/turn.h"

/* Stops those of one session (NUMBER not 0), or all of the entity. */
void object_timers_drop(struct mk_entity *e, uint64_t number);

#endif
