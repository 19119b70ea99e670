/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of pointers, open addressing, for one thread (or read-only for many).  The caller hashes and compares;
 * the table keeps 8 bytes a slot and the hash beside it.  Zeroed memory is an empty table.
 */
#ifndef UTIL_TABLE_H
#define UTIL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot;
struct table {
    struct table_slot *slots;
    uint32_t mask, count, used; /* used: count and graves */
};
typedef bool table_same_fn(const void *item, const void *key);

uint64_t hash_bytes(const void *data, size_t len); /* seeded once a process, against crafted collisions */
void *table_find(const struct table *t, uint64_t hash, table_same_fn *same, const void *key);
void table_add(struct table *t, uint64_t hash, void *item); /* does not look for one that is equal */
void *table_remove(struct table *t, uint64_t hash, table_same_fn *same, const void *key); /* the item, or NULL */
void *table_next(const struct table *t, uint32_t *pos); /* all items: start at *POS 0; NULL at the end */
void table_free(struct table *t);

/* The usual key: text with NUL at the start of a struct's member... for tables of `struct named { const char *name; }`. */
bool table_same_name(const void *item, const void *key); /* item: first member is const char *; key: const char * */

#endif
