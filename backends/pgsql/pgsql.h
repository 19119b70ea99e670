/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections in PostgreSQL.  Each connection of the pool has a thread of its own, which sends what waits for it as one
 * pipeline and never blocks without a deadline; the main thread has one more connection for defining collections.
 */
#ifndef PGSQL_PGSQL_H
#define PGSQL_PGSQL_H

#include <libpq-fe.h>
#include <meerkat/plugin.h>
#include <pthread.h>
#include <sql/dialects.h>
#include <sql/jobs.h>
#include <sql/rows.h>
#include <sql/sql.h>
#include <stdatomic.h>

struct db;
struct pgsql { /* the instance: options */
    const char *host, *dbname, *user, *password, *service, *conninfo, *sslrootcert, *sslcert, *sslkey, *schema;
    int64_t port, sslmode, connect_timeout, query_timeout, wait, read_connections, write_connections, synchronous,
        sweep_interval;
    bool create;
    struct db *db;
};
enum { SSL_AUTO, SSL_DISABLE, SSL_ALLOW, SSL_PREFER, SSL_REQUIRE, SSL_VERIFY_CA, SSL_VERIFY_FULL };
extern const char *const pgsql_sslmodes[];

/* ---- values --------------------------------------------------------------------------------------------------- */

enum { PARAMS_MAX = 192 }; /* the server allows 64 columns, 8 in a key, 16 filters */
struct params {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    Oid types[PARAMS_MAX];
    char numbers[PARAMS_MAX][8];
    int count;
};
void params_fill(struct params *params, const struct sql_query *q);
int64_t result_int(const PGresult *res, int row, int col);
void result_rows(const PGresult *res, const struct sql_table *t, struct mk_rows *rows);

/* ---- connections ---------------------------------------------------------------------------------------------- */

enum pg_code {
    PG_OK,
    PG_FAILED,  /* the statement; the SQLSTATE and the reason are in the connection */
    PG_SKIPPED, /* because one before it failed */
    PG_LOST     /* the connection; it is to be closed */
};

struct expected; /* a result that will come */
struct pg {
    struct db *db;
    PGconn *c; /* NULL: not connected */
    struct sql_cache cache;
    struct sql_query query; /* being built and sent */
    struct params params;
    uintptr_t names; /* of statements; none is used again */
    struct expected *expected;
    size_t first, last, expected_cap;
    bool lost, silent, cache_lost; /* silent: lost because no answer came in time */
    char state[6];                 /* SQLSTATE of the last failure, "" if it has none */
    struct sql_text why;
};

/* Connects and sets the session up; false: p->why.  NAME is the session's for the database's operator. */
bool pg_connect(struct pg *p, const char *name);
bool pg_pipeline(struct pg *p); /* from now on; false: p->why */
void pg_close(struct pg *p);
void pg_free(struct pg *p);

/* Outside of a pipeline: the result, which PQclear() frees, or NULL: p->why.  VALUES may be NULL; text results. */
PGresult *pg_ask(struct pg *p, const char *text, const struct sql_query *values);
bool pg_run(struct pg *p, const char *text, const struct sql_query *values);

/* In a pipeline.  What can't be sent makes the connection lost, as pg_next() then says. */
void pg_send(struct pg *p, const struct sql_query *q);
void pg_send_text(struct pg *p, const char *text); /* without values */
void pg_sync(struct pg *p);
bool pg_is_sent(struct pg *p); /* all of it, so that only answers are to be waited for */
/* Takes the results that have come, without waiting, to the first failure; PG_OK: all that came were good. */
enum pg_code pg_collect(struct pg *p);
bool pg_is_over(const struct pg *p); /* no result is to come any more */
/* The next result, in the order of what was sent, syncs not counted.  *RES is NULL but for PG_OK; PQclear() frees it. */
enum pg_code pg_next(struct pg *p, PGresult **res);
enum pg_code pg_skip(struct pg *p);     /* the same without the result */
enum pg_code pg_finish(struct pg *p);   /* all that are left, to the last sync; the first failure */
const char *pg_why(const struct pg *p); /* the last failure, a phrase */
/* While nothing is under way: whether the connection is still there. */
bool pg_alive(struct pg *p);

int64_t now_ms(void);
int64_t now_us(void);

/* ---- tables --------------------------------------------------------------------------------------------------- */

/* Makes or migrates what stores T; on P outside of a pipeline. */
void pgsql_print(const struct mk_coll *coll, struct mk_schema *out); /* what it runs in an empty database */
int pgsql_define(struct pg *p, const struct sql_table *t, bool create, struct mk_err *err);
/* The schema and the server's own tables; false: p->why. */
bool pgsql_prepare_schema(struct pg *p);
void pgsql_forget_commits(struct pg *p); /* of this server, when it stops */

/* ---- threads -------------------------------------------------------------------------------------------------- */

enum { KEYWORDS_MAX = 24 };
struct pool {
    struct job_queue jobs;
    atomic_uint up; /* connections; 0: the database is away */
};
struct thread {
    struct db *db;
    struct pool *pool;
    struct pg pg;
    pthread_t id;
    unsigned number;
    char name[48]; /* of the session */
    int64_t backoff;
    _Atomic int64_t seen_ms; /* when its connection was last known to be good */
    /* Writers: the number of the last transaction, and commits of which nobody knows whether they happened. */
    int64_t transaction;
    bool numbered; /* meerkat_commits has it */
    bool refused;  /* a worker has seen that it failed */
    struct job *unknown;
    struct job_taker taker;
    int64_t begun_us; /* when a worker began its job */
};
struct db {
    const void *inst; /* for figures and log lines */
    const char *keys[KEYWORDS_MAX];
    char *values[KEYWORDS_MAX]; /* of the connection; owned */
    char *schema;               /* NULL: as the database has it */
    int64_t connect_timeout, query_timeout, sweep_interval;
    bool synchronous, create;
    char server[17]; /* names this process in table meerkat_commits */
    struct pg main;
    struct pool reads, writes;
    struct thread *threads;
    unsigned thread_count;
    atomic_bool away;        /* said so in the log */
    _Atomic int64_t lost_ms; /* when a connection was last lost */
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t ending_cond;
    bool ending;
    struct sql_table *tables; /* grows in front */
};
int target_fill(struct db *db, const struct pgsql *me, struct mk_err *err); /* the keys and values */
void target_free(struct db *db);
void *read_main(void *thread);
void *write_main(void *thread);

/* Connects a thread's connection; writers also learn the fate of their last transaction.  False: pg.why. */
bool thread_connect(struct thread *t);
void thread_lost(struct thread *t); /* closes the connection, says so */
void thread_good(struct thread *t); /* its connection has just worked */
/* Waits a while before the next try to connect; false: the server stops. */
bool thread_pause(struct thread *t);
bool is_ending(struct db *db);

/* On a worker: begins the job on a connection that has nothing to do; false if that is not for a worker, or there is none. */
bool writer_begin(struct db *db, struct job *job);
/* Whether writer T's last transaction happened; outside of a pipeline.  0 no, 1 yes, negative: p->why. */
int writer_take_over(struct thread *t);

#endif
