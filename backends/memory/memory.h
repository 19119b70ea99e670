/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include "rowset.h"
#include <pthread.h>

/* A row that went and the one that came; either may be NULL. */
struct step {
    struct rowset *set;
    struct row *old, *new;
};

/* All rows of the process.  Workers share it: reads hold LOCK for reading, commits for writing. */
struct store {
    pthread_rwlock_t lock;
    struct rowset **sets;
    unsigned set_count;
    size_t bytes, max_bytes;
    locale_t unicode;
    struct step *steps; /* of the change, or group of changes, being applied */
    size_t step_count, step_cap;
};

/* Applies the changes of a commit; LOCK is held for writing. */
void store_apply(struct store *s, struct mk_change *const *changes, uint32_t count, int64_t now);
/* Frees some rows whose time has passed. */
void store_sweep(struct store *s, int64_t now);

#endif
