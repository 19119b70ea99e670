/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a collection: checked against its columns, copied, hashed. */
#ifndef STORE_VALUE_H
#define STORE_VALUE_H

#include "store/store.h"

enum { VALUE_MAX = 16 << 20, VALUE_KEY_MAX = 1024, SEARCH_MAX = 4096, FILTERS_MAX = 16 };

/* 0 or MK_E_INVALID: does V fit column COL?  A whole row; the key columns of KEY in their order. */
int value_check(const struct mk_coll *coll, unsigned col, const struct mk_value *v);
int row_check(const struct mk_coll *coll, const struct mk_value *row);
int key_check(const struct mk_coll *coll, const struct mk_value *key);
/* 0, MK_E_INVALID, or MK_E_UNSUPPORTED for a search the backend can't do. */
int scan_check(const struct mk_coll *coll, const struct mk_scan *what);

/* Bytes that copies of COUNT values take, and the copies at AT: the array, then what it points to.  *AT moves on. */
size_t values_size(const struct mk_value *v, size_t count);
struct mk_value *values_copy(char **at, const struct mk_value *v, size_t count);
size_t scan_size(const struct mk_coll *coll, const struct mk_scan *what);
struct mk_scan *scan_copy(char **at, const struct mk_coll *coll, const struct mk_scan *what);

/* What WHAT says, as this server's struct, whatever the size of the caller's. */
struct mk_scan scan_read(const struct mk_scan *what);

/*
 * The partition that values are in.  COLS (COUNT of them) are the columns of VALUES; false if they don't have all
 * partition columns: then it may be any.
 */
bool partition_hash(const struct mk_coll *coll, const uint32_t *cols, unsigned count, const struct mk_value *values,
                    uint64_t *hash);
uint64_t row_partition(const struct mk_coll *coll, const struct mk_value *row);
uint64_t key_partition(const struct mk_coll *coll, const struct mk_value *key);

static inline unsigned key_count(const struct mk_coll *coll) {
    return coll->keys[0].partition + coll->keys[0].sort;
}

#endif
