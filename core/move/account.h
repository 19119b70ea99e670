/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts on their way into the server, one at a time. */
#ifndef MOVE_ACCOUNT_H
#define MOVE_ACCOUNT_H

#include "move/move.h"
#include "progress.h"

struct import {
    struct server server;
    struct dump_kinds kinds;
    enum existing existing;
    struct state state;
    char *identity; /* OWNED; of the dump */
    struct progress progress;
    int64_t seen, imported, merged, replaced, skipped, done_before, warnings;
    int status; /* why it ended */

    char *account, *last;            /* OWNED; the one that comes now, the one before */
    char *password;                  /* OWNED; or NULL */
    bool merges, replaces;           /* it was there */
    struct buf keys, part;           /* elements that wait to be sent */
    const struct dump_kind *open;    /* the series that PART is inside of */
    const struct dump_kind *went_on; /* the one that the part before was */
    struct buf wrapper;              /* its start tag */
    bool resumes;                    /* PART begins with it */
    char part_state[32];             /* what the server said of the part before */
};

/* SKIP: it is there already, or was done by an earlier run. */
enum dump_next import_begin(struct import *i, const char *account, const char *password);
enum dump_next import_element(struct import *i, const struct dump_kind *kind, const char *wrapper,
                              const struct buf *xml);
enum dump_next import_end(struct import *i);
void import_free(struct import *i);

#endif
