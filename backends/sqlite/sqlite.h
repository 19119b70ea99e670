/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections in one SQLite file.  One thread writes, a few read, each with a connection of its own; the main thread has
 * one for defining collections.  Texts of statements hold declared names only, never values.
 */
#ifndef SQLITE_SQLITE_H
#define SQLITE_SQLITE_H

#include <meerkat/plugin.h>
#include <pthread.h>
#include <sql/dialects.h>
#include <sql/jobs.h>
#include <sql/sql.h>
#include <sqlite3.h>

/* ---- connections ---------------------------------------------------------------------------------------------- */

struct settings { /* the options */
    const char *path;
    int64_t synchronous, read_threads, cache_size, busy_timeout, journal_size_limit;
};

struct conn {
    sqlite3 *db;
    struct sql_cache cache;
    struct sql_query query; /* being built and bound */
};

/* An SQLite code; after a failure conn_error() says more. */
int conn_open(struct conn *c, const struct settings *s, bool read_only);
void conn_close(struct conn *c);
const char *conn_error(const struct conn *c);

/*
 * The query's statement with its values, from the cache.  Values are bound without copying: conn_done() resets it before
 * they go.
 */
int conn_prepare(struct conn *c, const struct sql_query *q, sqlite3_stmt **out);
void conn_done(sqlite3_stmt *stmt);
/* Prepares, takes one step, and is done; CHANGED (may be NULL) gets the number of rows. */
int conn_run(struct conn *c, const struct sql_query *q, int *changed);
int conn_exec(struct conn *c, const char *sql); /* one that is used often, without values and rows */

/* ---- tables --------------------------------------------------------------------------------------------------- */

/* Makes or migrates what stores T. */
int schema_define(struct conn *c, const struct sql_table *t, struct mk_err *err);
/* What that runs in an empty database. */
void schema_print(const struct sql_table *t, struct mk_schema *out);

/* ---- threads -------------------------------------------------------------------------------------------------- */

struct db;
struct reader {
    struct db *db;
    struct conn *conn;
};
struct db {
    struct settings settings;
    struct conn main;
    struct conn write_conn;
    struct conn *read_conns;
    pthread_t writer, *readers;
    struct reader *reader_args;
    struct job_queue writes, reads;
    pthread_mutex_t tables_lock; /* of the list; tables themselves don't change */
    struct sql_table *tables;
};
void *write_main(void *db);
void *read_main(void *reader);
int64_t now_us(void);

#endif
