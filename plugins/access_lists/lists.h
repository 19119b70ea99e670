/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of each host, as every worker has them in memory. */
#ifndef ACCESS_LISTS_LISTS_H
#define ACCESS_LISTS_LISTS_H

#include <meerkat/plugin.h>

struct access_lists {
    const struct mk_coll *entries;
};

enum { COL_HOST, COL_LIST, COL_JID, COL_SINCE, COL_COUNT };
extern const struct mk_col_decl entry_cols[COL_COUNT];

enum { BLACK, WHITE, LISTS };
const char *list_name(int list); /* "black", "white" */

/* Sorted by text. */
struct jids {
    struct mk_jid **items; /* OWNED */
    uint32_t count;
};
struct host_lists {
    struct host_lists *next;
    struct mk_jid *host; /* OWNED */
    struct jids lists[LISTS];
    int64_t version; /* of the change that they were last read for */
};

/* Worker memory. */
struct cache {
    struct host_lists *hosts;
};

/* Those of the turn's host as the worker has them; NULL: none, or they were not read yet. */
const struct host_lists *lists_cached(struct mk_ctx *c);
/* Reads them anew. */
MK_SUSPENDS MK_MUST_CHECK int lists_read(struct mk_ctx *c, int64_t version);
void lists_clear(struct cache *cache);

/* Whether JID may be talked to. */
bool lists_allow(const struct host_lists *h, const struct mk_jid *jid);

/* Rows of one list of the turn's host. */
MK_SUSPENDS MK_MUST_CHECK int list_scan(struct mk_ctx *c, int list, const struct mk_rows **rows);

enum { ACCESS_COMMANDS = 4 };
extern const struct mk_cmd_decl access_commands[ACCESS_COMMANDS];
#define TOLD "access_lists "

#endif
