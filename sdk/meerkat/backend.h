/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - what a storage backend implements.  Features include store.h instead.
 *
 * A backend is a plugin with flag MK_PLUGIN_GLOBAL (one instance a process, whatever the number of hosts) that provides
 * `mk_backend` 1.0.  The server does what all backends would do alike: it collects concurrent writes of a worker into
 * one commit at a time, keeps their order inside a partition, lets reads wait for earlier writes of the same partition,
 * bounds the queue, retries a commit that failed as a whole, and pays receipts.  A backend only reads and commits.
 */
#ifndef MEERKAT_BACKEND_H
#define MEERKAT_BACKEND_H

#include <meerkat/store.h>

MK_BEGIN_DECLS

/* A collection as the backend sees it: the declaration, a number from 0 without gaps, and a pointer of its own. */
MK_EXPORT const struct mk_coll_decl *mk_coll_decl(const struct mk_coll *coll);
MK_EXPORT void mk_coll_set_data(struct mk_coll *coll, void *data);
MK_EXPORT void *mk_coll_data(const struct mk_coll *coll);
MK_EXPORT unsigned mk_coll_col_count(const struct mk_coll *coll);
MK_EXPORT const struct mk_col_decl *mk_coll_col(const struct mk_coll *coll, unsigned i);
MK_EXPORT unsigned mk_coll_index_count(const struct mk_coll *coll);
/* Key columns in order, partition first; of index INDEX - 1, or of the collection itself if INDEX is 0. */
struct mk_coll_key {
    const uint32_t *cols; /* column numbers: PARTITION of them, then SORT of them */
    uint32_t partition, sort;
};
MK_EXPORT struct mk_coll_key mk_coll_key(const struct mk_coll *coll, unsigned index);

/* The first three come to read(), the others to sweep(). */
enum mk_read_kind { MK_R_GET, MK_R_SCAN, MK_R_COUNT, MK_R_ALL, MK_R_COUNT_ALL };

/*
 * One read.  It and all it points to live until the op is done; values were checked against the columns.  The backend
 * sets ROWS (made with mk_rows_new()) or COUNT, then completes the op: 0, MK_E_NOTFOUND (get), MK_E_UNSUPPORTED,
 * MK_E_BACKEND.  Rows whose TTL column has passed NOW must not be seen.
 */
struct mk_read {
    uint32_t kind, zero;
    const struct mk_coll *coll;
    const struct mk_value *key;   /* get: all key columns */
    const struct mk_scan *scan;   /* scan and count */
    int64_t now;                  /* microseconds since 1970 */
    struct mk_rows *rows;         /* result */
    int64_t count;                /* result */
    const struct mk_value *after; /* MK_R_ALL: all key columns of a row, or NULL */
    uint32_t limit, zero2;        /* MK_R_ALL: most rows, 1 to 10,000 */
};

enum mk_change_kind { MK_X_PUT, MK_X_PUT_IF, MK_X_ADD, MK_X_DEL, MK_X_DEL_RANGE };

/* One write of a commit.  RC and NUMBER are results. */
struct mk_change {
    uint32_t kind, mode; /* mode: mk_put_mode of MK_X_PUT */
    const struct mk_coll *coll;
    const struct mk_value *values; /* PUT, PUT_IF: the row; ADD, DEL: the key */
    const struct mk_scan *scan;    /* DEL_RANGE */
    uint32_t col;                  /* PUT_IF: the column compared; ADD: the one added to */
    uint32_t group;                /* changes that follow each other with one number, not 0, are all or nothing */
    struct mk_value old;           /* PUT_IF */
    int64_t by;                    /* ADD */
    int64_t number;                /* ADD: the new value */
    int32_t rc;                    /* see below */
    uint32_t quiet;                /* not 0: nobody hears of RC, but that it failed */
};
/*
 * RC is 0 or: MK_E_CONFLICT, MK_E_NOTFOUND (see store.h; DEL in a group never fails so), MK_E_LIMIT (ADD would leave 64
 * bits; null counts as 0), MK_E_BUSY (no room), MK_E_BACKEND (this change can never work).  If one change of a group
 * fails, none of the group is applied.
 */

/*
 * Changes to apply in this order and make durable together.  Lives until the op is done.  A change that fails leaves
 * the others standing.  Done with MK_E_BACKEND the whole commit has not happened and the server will try it again.
 */
struct mk_commit {
    struct mk_change *const *changes;
    uint32_t count;
    uint32_t worker; /* whose writes they are; a worker has one commit under way at a time */
    uint64_t number; /* grows from commit to commit of a worker; one that is tried again keeps its number */
};

struct mk_schema;

struct mk_backend_ops {
    uint32_t size, caps; /* MK_CAP_... */
    /*
     * Main thread, at start and when a plugin is enabled later, never two at once: makes what stores COLL, or migrates
     * it from an older version.  May block.  INST is the backend's instance.
     */
    int (*define)(const void *inst, struct mk_coll *coll, struct mk_err *err);
    void (*read)(struct mk_op *op, struct mk_read *read);
    void (*commit)(struct mk_op *op, struct mk_commit *commit);
    /* Those of .caps that the instance has with its options; NULL: all.  In any thread, before start() too; pure. */
    uint32_t (*narrow)(const void *inst);

    /* What follows may be NULL: operators then go without it. */

    /*
     * Whole collections, for counting and copying them; starts and completes as read() does, with the same codes.
     * MK_R_ALL: the next LIMIT rows behind the row with the key AFTER, which need not exist any more; NULL begins.
     * Fewer than LIMIT rows, or none, end it.  Any order of all rows will do that stays the same while they do, such as
     * that of the key, partition first: a row that is there all the time comes exactly once.  MK_R_COUNT_ALL: how many
     * there are, exactly.  Neither sees rows whose TTL column has passed NOW.
     */
    void (*sweep)(struct mk_op *op, struct mk_read *read);
    /*
     * Writes with mk_schema_add() what define() would run for COLL in an empty database: complete statements that an
     * administrator can run there, each with its end, one a line.  define() then finds its work done.  Any thread;
     * must not block, and so can't ask the database.  COLL may be stored elsewhere: mk_coll_data() is NULL.  NULL if
     * the backend needs no preparation.
     */
    void (*schema)(const void *inst, const struct mk_coll *coll, struct mk_schema *out);
};
struct mk_backend {
    struct mk_svc svc;
};

/* Says in one phrase why the op is about to be done with MK_E_BACKEND, for the log.  On the thread that completes it. */
MK_EXPORT void mk_op_explain(struct mk_op *op, const char *fmt, ...) MK_PRINTF(2);

MK_EXPORT void mk_schema_add(struct mk_schema *out, const char *fmt, ...) MK_PRINTF(2);

/* Result rows in the op's memory: a new set, a row, its values in column order (copied; a JID may be given as text). */
MK_EXPORT struct mk_rows *mk_rows_new(struct mk_op *op, const struct mk_coll *coll);
MK_EXPORT void mk_rows_add(struct mk_rows *rows);
MK_EXPORT void mk_rows_put(struct mk_rows *rows, unsigned col, const struct mk_value *value);

MK_END_DECLS

#endif
