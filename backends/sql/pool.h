/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of connections that block, each with a thread of its own, and the whole of a backend over them: reads, group
 * commits, definitions, sweeping, and what happens when the database is away.  A backend brings
 *
 *   pool_driver   how a connection is opened, and one statement run
 *   pool_product  what the database writes and does in its own way (product_NAME.c)
 *
 * and hands the methods of mk_backend on.
 *
 * A writer takes all commits that wait, of all workers, into one transaction.  Upserts of one table that follow each other
 * go out as statements of many rows.  If a statement is refused, or a group must be undone, all is rolled back and done
 * again with a savepoint for each group: slower, and rare.  Each transaction also writes its number into meerkat_commits.
 * If the connection is lost between COMMIT and its answer, the jobs are kept; the next connection sees to it that the
 * old session is over, and reads the number there: the transaction happened, and its results are known, or it did not,
 * and is done again.
 */
#ifndef SQL_POOL_H
#define SQL_POOL_H

#include "jobs.h"
#include "rows.h"
#include "sql.h"
#include <meerkat/plugin.h>
#include <stdatomic.h>

/* ---- connections ---------------------------------------------------------------------------------------------- */

enum pool_code {
    POOL_OK,
    POOL_DUPLICATE, /* the statement: a row with this key is there */
    POOL_REFUSED,   /* the statement: its data, a constraint, a size */
    POOL_PASSING,   /* another session was in the way: the transaction is to be done again */
    POOL_FAILED,    /* the database */
    POOL_LOST       /* the connection; it is to be closed */
};

struct pool;
struct pool_product;
struct pool_conn { /* what a driver's connection begins with */
    struct pool *pool;
    char name[48]; /* of the session; of writers and readers another each */
    bool main;     /* defines collections, and may be kept waiting for long */
    bool open, lost;
    bool silent;            /* lost because no answer came in time */
    struct sql_query query; /* being built and run */
    struct sql_text why;    /* the last failure, a phrase */
};
void pool_say(struct pool_conn *c, const char *fmt, ...) MK_PRINTF(2); /* sets WHY */
const char *pool_why(const struct pool_conn *c);

/* VALUES are of the types asked for, lent until the function returns; of columns that the result has not they are null. */
typedef void pool_row_fn(void *arg, const struct mk_value *values);
struct pool_ask {
    const uint32_t *types; /* mk_col_type of each column of the result */
    unsigned count;
    pool_row_fn *row;
    void *arg;
};

/* All may block for the time that the operator allows, say why they failed with pool_say(), and set LOST if it is. */
struct pool_driver {
    struct pool_conn *(*make)(void); /* not open; OWNED */
    void (*free)(struct pool_conn *c);
    bool (*open)(struct pool_conn *c);
    void (*close)(struct pool_conn *c);
    /* What the database is, once it is open; NULL: one that is not known, and WHY says so. */
    const struct pool_product *(*product)(struct pool_conn *c);
    /* A prepared statement.  CHANGED may be NULL, ASK too. */
    enum pool_code (*run)(struct pool_conn *c, const struct sql_query *q, int64_t *changed, const struct pool_ask *ask);
    enum pool_code (*text)(struct pool_conn *c, const char *text); /* not prepared; no values, no rows */
    bool (*alive)(struct pool_conn *c);                            /* asks */
};

/* ---- products --------------------------------------------------------------------------------------------------- */

struct pool_product {
    const struct sql_dialect *dialect;
    const char *begin;                        /* begins a transaction that writes */
    const char *schema_table, *commits_table; /* CREATE TABLE IF NOT EXISTS */
    /* Whether definitions go into a transaction; if not, they must do no harm when they are done again. */
    bool transactional;
    /* Servers that define at once take turns; begins and ends the turn.  NULL: the transaction does it. */
    enum pool_code (*lock)(struct pool_conn *c);
    enum pool_code (*unlock)(struct pool_conn *c);
    /* What a failure is, by the database's own number or its SQLSTATE; sets LOST if the connection is of no more use. */
    enum pool_code (*judge)(struct pool_conn *c, int64_t number, const char *state);
    bool (*set_up)(struct pool_conn *c); /* a new session; what counts is not left to the database's defaults */
    /* Goes to the pool's place, the schema or database; the main connection makes it if it may.  NULL: there are none. */
    bool (*choose)(struct pool_conn *c, const char *place);
    /* Ends the session that had this name, waits until it is over, and takes the name.  NULL: there are none. */
    bool (*take_name)(struct pool_conn *c);
    void (*want_parts)(struct sql_parts *parts, const struct sql_table *t);
    int (*parts)(const struct sql_engine *e, void *conn, const struct sql_table *t);
    const struct sql_parts_how *how; /* to print; may be NULL */
    /* As those of struct sql_engine; may be NULL. */
    int (*migrated)(const struct sql_engine *e, void *conn, const struct sql_table *t);
    int (*leftover)(const struct sql_engine *e, void *conn, const struct sql_table *t);
};
extern const struct pool_product pool_mariadb, pool_mysql, pool_pgsql, pool_sqlite;

bool pool_run_all(struct pool_conn *c, const char *const *texts, unsigned count);
/* NAME between QUOTEs, those in it doubled. */
void pool_quote(struct sql_text *s, char quote, const char *name);
/* For products: one statement with texts as its values, at most 4; its first column as text if OUT is not NULL. */
enum pool_code pool_query(struct pool_conn *c, const char *text, const char *const *values, unsigned count,
                          struct sql_text *out);

/* ---- the pool --------------------------------------------------------------------------------------------------- */

/* What a backend's instance begins with: its pool, and options, times in milliseconds. */
#define POOL_MEMBERS                                                                                                   \
    struct pool *pool;                                                                                                 \
    int64_t query_timeout, wait, read_connections, write_connections, sweep_interval;                                  \
    bool create
struct pool_inst {
    POOL_MEMBERS;
};
struct pool_side {
    struct job_queue jobs;
    atomic_uint up; /* connections; 0: the database is away */
};
struct pool_thread {
    struct pool *pool;
    struct pool_side *side;
    struct pool_conn *conn;
    pthread_t id;
    unsigned number;
    int64_t backoff;
    _Atomic int64_t seen_ms; /* when its connection was last known to be good */
    /* Writers: the number of the last transaction, and commits of which nobody knows whether they happened. */
    int64_t transaction;
    struct job *unknown;
    struct pool_batch *batch;
};
struct pool {
    const struct pool_inst *inst; /* the backend's */
    const char *place;            /* or NULL */
    const struct pool_driver *driver;
    const struct pool_product *product; /* known once it was reached */
    char server[17];                    /* names this process in table meerkat_commits */
    struct pool_conn *main;
    struct pool_side reads, writes;
    struct pool_thread *threads;
    unsigned thread_count;
    atomic_bool away;        /* said so in the log */
    _Atomic int64_t lost_ms; /* when a connection was last lost */
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t ending_cond;
    bool ending;
    struct sql_table *tables; /* grows in front */
};

/*
 * A plugin's start and stop.  Its metrics begin with SQL_METRIC_ROWS.  PLACE is the schema or database that has the tables,
 * NULL: where a session begins; it must live as long as the pool.
 */
int pool_begin(void *inst, const struct pool_driver *driver, const char *place, struct mk_err *err);
void pool_end(void *inst); /* finishes what is queued, if the database is there */
/* The methods of mk_backend; SCHEMA is the backend's, as it says what a pool that was not begun is for. */
int pool_define(const void *inst, struct mk_coll *coll, struct mk_err *err);
void pool_read(struct mk_op *op, struct mk_read *read);
void pool_commit(struct mk_op *op, struct mk_commit *commit);
#define POOL_OPS(schema_)                                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct mk_backend_ops),                                                                         \
        .caps = MK_CAP_TTL | MK_CAP_TEXT_SEARCH | MK_CAP_BATCH | MK_CAP_DURABLE, .define = pool_define,                \
        .read = pool_read, .commit = pool_commit, .sweep = pool_read, .schema = schema_,                               \
    }
void pool_print(const struct pool_product *product, const struct mk_coll *coll, struct mk_schema *out);

/* ---- inside ----------------------------------------------------------------------------------------------------- */

void *pool_reader(void *thread);
void *pool_writer(void *thread);
bool pool_connect(struct pool_conn *c);     /* opens it and sets the session up; false: why */
bool pool_prepare(struct pool_conn *c);     /* the pool's own tables; false: why */
bool pool_join(struct pool_thread *t);      /* connects it; writers learn the fate of their last transaction */
void pool_lose(struct pool_thread *t);      /* closes the connection, says so */
void pool_good(struct pool_thread *t);      /* its connection has just worked */
bool pool_pause(struct pool_thread *t);     /* before the next try to connect; false: the server stops */
int pool_learn_fate(struct pool_thread *t); /* of the last transaction: 0 it did not happen, 1 it did, negative: why */
void pool_batch_free(struct pool_batch *b);
int64_t pool_now_ms(void), pool_now_us(void);

#endif
