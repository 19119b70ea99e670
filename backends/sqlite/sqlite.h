/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections in one SQLite file.  One thread writes, a few read, each with a connection of its own; the main thread has
 * one for defining collections.  Texts of statements hold declared names only, never values.
 */
#ifndef SQLITE_SQLITE_H
#define SQLITE_SQLITE_H

#define MK_ABI_NEED 0
#include <meerkat/backend.h>
#include <meerkat/plugin.h>
#include <pthread.h>
#include <sqlite3.h>

/* ---- text of statements --------------------------------------------------------------------------------------- */

struct text {
    char *s;
    size_t len, cap;
};
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *t);
void *must_alloc(void *memory); /* MEMORY, or the end of the process */

/* ---- connections ---------------------------------------------------------------------------------------------- */

struct settings { /* the options */
    const char *path;
    int64_t synchronous, read_threads, cache_size, busy_timeout, journal_size_limit;
};

enum { STMT_BUCKETS = 128, STMT_MAX = 512 };
struct stmt;
struct conn {
    sqlite3 *db;
    struct stmt *buckets[STMT_BUCKETS];
    unsigned stmt_count;
    uint64_t clock;
    struct text text; /* of the statement being built */
};

/* An SQLite code; after a failure conn_error() says more. */
int conn_open(struct conn *c, const struct settings *s, bool read_only);
void conn_close(struct conn *c);
const char *conn_error(const struct conn *c);

/* A statement ready to be bound, from the cache; it is reset by conn_done(). */
int conn_prepare(struct conn *c, const char *sql, sqlite3_stmt **out);
void conn_done(sqlite3_stmt *stmt);
int conn_exec(struct conn *c, const char *sql); /* a statement without values and rows */

/* Binds one after the other, to the question marks in their order. */
struct binder {
    sqlite3_stmt *stmt;
    int n, rc;
};
void bind_value(struct binder *b, const struct mk_value *v);
void bind_values(struct binder *b, const struct mk_value *v, uint32_t count);
void bind_int(struct binder *b, int64_t i);
void bind_text(struct binder *b, const char *text, size_t len);

/* ---- tables --------------------------------------------------------------------------------------------------- */

struct table {
    struct table *next;
    const struct mk_coll *coll;
    const char *name;
    unsigned col_count, key_count;
    int ttl_col;     /* -1: none */
    bool searchable; /* has the full-text table NAME___search */
    bool numbered;   /* has the column _id: rows lie in the order they came, else in that of the key */
    char *get, *put, *put_new, *del, *sweep; /* statements; SWEEP NULL without TTL */
};
struct table *table_new(const struct mk_coll *coll);
void table_drop(struct table *t);

/* Pieces of statements.  They bind: visible() a time if it adds anything, which it then says. */
void sql_cols(struct text *s, const struct table *t);      /* "a","b" */
void sql_key(struct text *s, const struct table *t);       /* the same of the key */
void sql_where_key(struct text *s, const struct table *t); /* "a"=? AND "b"=? */
void sql_set(struct text *s, const struct table *t, bool from_excluded);
bool sql_visible(struct text *s, const struct table *t); /*  AND ("ttl" IS NULL OR "ttl">?) */
void sql_scan(struct text *s, const struct table *t, const struct mk_scan *scan);
void sql_scan_order(struct text *s, const struct table *t, const struct mk_scan *scan);
void bind_scan(struct binder *b, const struct table *t, const struct mk_scan *scan);
static inline const char *col_name(const struct table *t, uint32_t col) {
    return mk_coll_col(t->coll, col)->name;
}

/* What to match in the full-text table; false if the search has no word. */
bool search_text(struct text *s, const struct table *t, const struct mk_scan *scan);

/* Makes or migrates what stores T. */
int schema_define(struct conn *c, const struct table *t, struct mk_err *err);

/* ---- threads -------------------------------------------------------------------------------------------------- */

struct job { /* in the op's memory */
    struct job *next;
    struct mk_op *op;
    struct mk_commit *commit;
    struct mk_read *read;
};
struct job_queue {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *head, **tail;
    bool ending;
};
void jobs_init(struct job_queue *q);
void jobs_destroy(struct job_queue *q);
void jobs_push(struct job_queue *q, struct job *job);
void jobs_end(struct job_queue *q);
/* All jobs, or the first alone; waits, MS at most if that is not 0.  NULL: time passed, or no more will come. */
struct job *jobs_take(struct job_queue *q, bool all, unsigned ms, bool *ended);

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
    struct table *tables;
};
void *write_main(void *db);
void *read_main(void *reader);
int64_t now_us(void);

#endif
