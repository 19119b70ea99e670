/* SPDX-License-Identifier: Apache-2.0 */
/* A proxy before the database, which cuts connections at the worst moments. */
#ifndef STORES_PROXY_H
#define STORES_PROXY_H

#include <stdbool.h>

enum cut {
    CUT_BEFORE, /* the COMMIT never arrives */
    CUT_AFTER,  /* it is done, its answer never arrives */
    CUT_WITHIN, /* nobody waits for it */
    CUTS
};
/*
 * Listens on 127.0.0.1, and connects to PORT there; its own port.  A commit is the word COMMIT, or, OF_PIPELINES, the end of
 * a pipeline of libpq that writes.
 */
int proxy_start(int port, bool of_pipelines);
void proxy_cut_each(int n); /* each n-th COMMIT, in the ways above one after the other; 0: none */
int proxy_cuts(void);       /* so far */
void proxy_stop(void);

#endif
