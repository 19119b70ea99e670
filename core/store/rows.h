/* SPDX-License-Identifier: Apache-2.0 */
/* What a read brought. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/store.h"
#include "util/arena.h"

/* The rows, once their op is done, lie in ARENA. */
void rows_adopt(struct mk_rows *rows, struct arena *arena);

/* ROW as values in column order, lent; false: a JID of it is none. */
bool row_values(const struct mk_row *row, struct mk_value *values);

#endif
