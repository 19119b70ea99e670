/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORES_SUITE_H
#define STORES_SUITE_H

#include "harness.h"
#include <meerkat/store.h>
#include <string.h>

/* Every type, each once in the key that may be there. */
enum { K_OWNER, K_ID, K_TEXT, K_BYTES, K_INT, K_TIME, K_BOOL, K_JID, K_NOTE, K_COUNT };
/* Two columns in the partition, two in the sort key, not in their order. */
enum { P_SORT_TEXT, P_PART_TEXT, P_NUMBER, P_PART_INT, P_SORT_INT, P_COUNT };
/* Like an archive, with indexes inside and across partitions. */
enum { L_OWNER, L_STAMP, L_ID, L_PEER, L_BODY, L_READ, L_COUNT };
/* Rows that end. */
enum { E_NAME, E_ITEM, E_NUMBER, E_UNTIL, E_COUNT };
/* To search in. */
enum { S_OWNER, S_ID, S_BODY, S_COUNT };

extern const struct mk_coll *kinds, *pairs, *letters, *ends, *texts;
extern char run_id[16]; /* differs from run to run: a database may have rows of others */

void suite_define(void); /* again after each start */

extern const struct test row_tests[], scan_tests[], queue_tests[], whole_tests[], life_tests[];
extern const size_t row_test_count, scan_test_count, queue_test_count, whole_test_count, life_test_count;
#define TEST(f, caps)                                                                                                  \
    { #f, (caps), f }

/* The child of the tests that end a process. */
int child_main(const char *what);

static inline struct mk_value text_part(struct mk_ctx *c, const char *name) {
    return mk_v_text(mk_printf(c, "%s-%s", name, run_id));
}

#endif
