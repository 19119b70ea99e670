/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a collection from one backend to another, page by page. */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "store/store.h"

/* A way through all rows of a collection; zeroed is at the beginning.  Copied to be kept: REACHED is a plain text. */
struct sweep {
    struct buf reached; /* the key of the last row as a record of the journal; empty: none */
    int64_t rows;
    uint32_t page; /* rows of the next page: as many as fit in some megabytes */
    bool end;
    /* Of all rows so far; the order does not matter. */
    uint64_t sum;
};
void sweep_free(struct sweep *s);

/* A handle of a collection in a backend, made there; not known by its name.  Freed with coll_free(). */
struct mk_coll *coll_make(const struct mk_coll_decl *decl, const struct instance *backend, struct mk_err *err);

/*
 * The next page of FROM, and if TO is not NULL its rows stored there: durable when this returns 0.  Rows that have
 * expired by NOW, microseconds, are passed over.
 */
MK_SUSPENDS MK_MUST_CHECK int sweep_page(struct mk_ctx *c, const struct mk_coll *from, const struct mk_coll *to,
                                         int64_t now, struct sweep *s);

#endif
