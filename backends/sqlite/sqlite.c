/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct sqlite {
    const char *path;
    int64_t synchronous, read_threads, cache_size, busy_timeout, journal_size_limit;
    struct db *db;
};

/* ---- start and stop ------------------------------------------------------------------------------------------- */

static int open_all(struct db *db, struct mk_err *err) {
    const struct settings *s = &db->settings;
    struct conn *failed = NULL;
    int rc = conn_open(&db->main, s, false);
    if (rc != SQLITE_OK)
        failed = &db->main;
    if (!failed && (rc = conn_open(&db->write_conn, s, false)) != SQLITE_OK)
        failed = &db->write_conn;
    for (int64_t i = 0; !failed && i < s->read_threads; i++)
        if ((rc = conn_open(&db->read_conns[i], s, true)) != SQLITE_OK)
            failed = &db->read_conns[i];
    if (!failed)
        return MK_OK;
    return mk_fail(err, MK_E_BACKEND,
                   "The database file %s can't be opened: %s (%s). Its folder must exist, on a local disk, and belong "
                   "to the server's user.",
                   s->path, conn_error(failed), sqlite3_errstr(rc));
}

static void close_all(struct db *db) {
    for (int64_t i = 0; i < db->settings.read_threads; i++)
        if (db->read_conns[i].db)
            conn_close(&db->read_conns[i]);
    if (db->write_conn.db)
        conn_close(&db->write_conn);
    if (db->main.db)
        conn_close(&db->main);
    while (db->tables) {
        struct sql_table *next = db->tables->next;
        sql_table_free(db->tables);
        db->tables = next;
    }
    jobs_destroy(&db->writes);
    jobs_destroy(&db->reads);
    pthread_mutex_destroy(&db->tables_lock);
    free(db->readers);
    free(db->read_conns);
    free(db->reader_args);
    free(db);
}

static void must_start(pthread_t *thread, void *(*main)(void *arg), void *arg) {
    if (pthread_create(thread, NULL, main, arg) != 0)
        abort();
}

/* Signals are the main thread's. */
static void start_threads(struct db *db) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    must_start(&db->writer, write_main, db);
    for (int64_t i = 0; i < db->settings.read_threads; i++) {
        db->reader_args[i] = (struct reader){ db, &db->read_conns[i] };
        must_start(&db->readers[i], read_main, &db->reader_args[i]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct db *db_new(const struct sqlite *me) {
    size_t readers = (size_t)me->read_threads;
    struct db *db = sql_must(calloc(1, sizeof *db));
    db->settings = (struct settings){ me->path,       me->synchronous,  me->read_threads,
                                      me->cache_size, me->busy_timeout, me->journal_size_limit };
    db->read_conns = sql_must(calloc(readers, sizeof *db->read_conns));
    db->readers = sql_must(calloc(readers, sizeof *db->readers));
    db->reader_args = sql_must(calloc(readers, sizeof *db->reader_args));
    jobs_init(&db->writes);
    jobs_init(&db->reads);
    pthread_mutex_init(&db->tables_lock, NULL);
    return db;
}

static int start(void *inst, struct mk_err *err) {
    struct sqlite *me = inst;
    if (!sqlite3_threadsafe())
        return mk_fail(err, MK_E_UNSUPPORTED, "This SQLite library was built without threads.");
    /* Refused, and harmless so, if somebody in this process uses SQLite already: connections say it again. */
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    struct db *db = db_new(me);
    int rc = open_all(db, err);
    if (rc != MK_OK) {
        close_all(db);
        return rc;
    }
    start_threads(db);
    me->db = db;
    return MK_OK;
}

/* Finishes what is queued.  The last connection that closes moves the log into the file. */
static void stop(void *inst) {
    struct db *db = ((struct sqlite *)inst)->db;
    jobs_end(&db->writes);
    jobs_end(&db->reads);
    pthread_join(db->writer, NULL);
    for (int64_t i = 0; i < db->settings.read_threads; i++)
        pthread_join(db->readers[i], NULL);
    sqlite3_wal_checkpoint_v2(db->write_conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    close_all(db);
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

static int define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    struct db *db = ((const struct sqlite *)inst)->db;
    struct sql_table *t = sql_table_new(&sql_sqlite, coll);
    int rc = schema_define(&db->main, t, err);
    if (rc != MK_OK) {
        sql_table_free(t);
        return rc;
    }
    mk_coll_set_data(coll, t);
    pthread_mutex_lock(&db->tables_lock);
    t->next = db->tables;
    db->tables = t;
    pthread_mutex_unlock(&db->tables_lock);
    return MK_OK;
}

static void read_rows(struct mk_op *op, struct mk_read *read) {
    const struct sqlite *me = mk_op_inst(op);
    struct job *job = job_new(op);
    job->read = read;
    jobs_push(&me->db->reads, job);
}

static void commit(struct mk_op *op, struct mk_commit *commit) {
    const struct sqlite *me = mk_op_inst(op);
    struct job *job = job_new(op);
    job->commit = commit;
    jobs_push(&me->db->writes, job);
}

static void schema(const void *inst, const struct mk_coll *coll, struct mk_schema *out) {
    (void)inst;
    struct sql_table *t = sql_table_new(&sql_sqlite, coll);
    schema_print(t, out);
    sql_table_free(t);
}

static const struct mk_backend_ops ops = {
    .size = sizeof(struct mk_backend_ops),
    .caps = MK_CAP_TTL | MK_CAP_TEXT_SEARCH | MK_CAP_BATCH | MK_CAP_DURABLE,
    .define = define,
    .read = read_rows,
    .commit = commit,
    .sweep = read_rows,
    .schema = schema,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores collections in an SQLite database file."),
};
static const char *const synchronous_names[] = { "full", "normal", NULL };
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct sqlite, path, "/var/lib/meerkat/meerkat.db", 0,
                "The database file. It is made if it does not exist; its folder must exist, on a local disk."),
    MK_OPT_ENUM(struct sqlite, synchronous, "full", synchronous_names, 0,
                "full: what was acknowledged survives a power failure. normal: it survives the loss of the server "
                "process, and a power failure may take the last seconds."),
    MK_OPT_INT(struct sqlite, read_threads, "2", 1, 64, 0, "Threads that read; writing has one more."),
    MK_OPT_SIZE(struct sqlite, cache_size, "8M", 65536, 1ll << 40, 0, "Page cache of each thread."),
    MK_OPT_DURATION(struct sqlite, busy_timeout, "5s", 0, 60000, 0,
                    "How long to wait for a lock that another process has on the file."),
    MK_OPT_SIZE(struct sqlite, journal_size_limit, "64M", 0, 1ll << 40, 0,
                "To what size the write-ahead log is cut back after it was moved into the file."),
};

MK_PLUGIN(sqlite, .version = "1.0", .summary = "Storage in an SQLite file", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct sqlite), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .start = start, .stop = stop);
