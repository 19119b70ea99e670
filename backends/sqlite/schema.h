/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belongs to a table: indexes, the full-text table, triggers.  All have names that begin with the table's and two
 * underscores, which no collection's name has; SQLite keeps the text that made each, so that what differs from
 * what is wanted can be seen and made anew.
 */
#ifndef SQLITE_SCHEMA_H
#define SQLITE_SCHEMA_H

#include "sqlite.h"

enum { PARTS_MAX = 24 };
struct part {
    struct text name, sql;
};
struct parts {
    struct part items[PARTS_MAX];
    unsigned count;
};

/* What T wants: the full-text table first if it is searchable, then indexes and triggers. */
void parts_wanted(const struct table *t, struct parts *p);
void parts_free(struct parts *p);

/* Drops what is not wanted and makes what is missing. */
int parts_sync(struct conn *c, const struct table *t, const struct parts *wanted);

#endif
