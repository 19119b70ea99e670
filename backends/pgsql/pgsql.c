/* SPDX-License-Identifier: Apache-2.0 */
#include "pgsql.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- start and stop ------------------------------------------------------------------------------------------- */

static void db_free(struct db *db) {
    for (unsigned i = 0; i < db->thread_count; i++) {
        pg_free(&db->threads[i].pg);
        if (db->threads[i].pool == &db->writes)
            job_taker_destroy(&db->threads[i].taker);
    }
    pg_free(&db->main);
    while (db->tables) {
        struct sql_table *next = db->tables->next;
        sql_table_free(db->tables);
        db->tables = next;
    }
    jobs_destroy(&db->reads.jobs);
    jobs_destroy(&db->writes.jobs);
    pthread_mutex_destroy(&db->lock);
    pthread_cond_destroy(&db->ending_cond);
    target_free(db);
    free(db->schema);
    free(db->threads);
    free(db);
}

static void thread_init(struct db *db, struct thread *t, struct pool *pool, unsigned number) {
    t->db = t->pg.db = db;
    t->pool = pool;
    t->number = number;
    if (pool == &db->writes)
        job_taker_init(&t->taker);
    snprintf(t->name, sizeof t->name, "meerkat-%s-%c%u", db->server, pool == &db->reads ? 'r' : 'w', number);
}

static struct db *db_new(const struct pgsql *me) {
    struct db *db = sql_must(calloc(1, sizeof *db));
    unsigned char id[8];
    db->inst = me;
    db->connect_timeout = me->connect_timeout;
    db->query_timeout = me->query_timeout;
    db->sweep_interval = me->sweep_interval;
    db->synchronous = me->synchronous == 0;
    db->create = me->create;
    db->schema = me->schema ? sql_must(strdup(me->schema)) : NULL;
    db->main.db = db;
    mk_random(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(db->server + 2 * i, 3, "%02x", id[i]);
    jobs_init(&db->reads.jobs);
    jobs_init(&db->writes.jobs);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->ending_cond, NULL);
    unsigned writers = (unsigned)me->write_connections;
    db->thread_count = writers + (unsigned)me->read_connections;
    db->threads = sql_must(calloc(db->thread_count, sizeof *db->threads));
    for (unsigned i = 0; i < db->thread_count; i++)
        thread_init(db, &db->threads[i], i < writers ? &db->writes : &db->reads, i < writers ? i : i - writers);
    return db;
}

/* The main connection, until the time that the operator allows has passed. */
static int reach(struct db *db, const struct pgsql *me, struct mk_err *err) {
    int64_t deadline = now_ms() + (me->wait < INT64_MAX / 2 ? me->wait : INT64_MAX / 2);
    bool said = false;
    while (!pg_connect(&db->main, "meerkat")) {
        if (now_ms() >= deadline)
            return mk_fail(err, MK_E_BACKEND, "The database can't be used: %s.", pg_why(&db->main));
        if (!said)
            mk_log_from(me, MK_NOTICE, "waiting for the database: %s", pg_why(&db->main));
        said = true;
        nanosleep(&(struct timespec){ 0, 500000000 }, NULL);
    }
    return MK_OK;
}

static int open_all(struct db *db, const struct pgsql *me, struct mk_err *err) {
    int rc = reach(db, me, err);
    if (rc)
        return rc;
    if (!pgsql_prepare_schema(&db->main))
        return mk_fail(err, MK_E_BACKEND, "The database's tables can't be made or used%s: %s.",
                       db->create ? "" : " (and create = false)", pg_why(&db->main));
    for (unsigned i = 0; i < db->thread_count; i++)
        if (!thread_connect(&db->threads[i]))
            return mk_fail(err, MK_E_BACKEND, "The database can't be used: %s.", pg_why(&db->threads[i].pg));
    return MK_OK;
}

/* Signals are the main thread's. */
static void start_threads(struct db *db) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < db->thread_count; i++) {
        struct thread *t = &db->threads[i];
        if (pthread_create(&t->id, NULL, t->pool == &db->reads ? read_main : write_main, t) != 0)
            abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int start(void *inst, struct mk_err *err) {
    struct pgsql *me = inst;
    if (!PQisthreadsafe())
        return mk_fail(err, MK_E_UNSUPPORTED, "This libpq was built without threads.");
    struct db *db = db_new(me);
    int rc = target_fill(db, me, err);
    if (!rc)
        rc = open_all(db, me, err);
    if (rc) {
        db_free(db);
        return rc;
    }
    start_threads(db);
    me->db = db;
    return MK_OK;
}

/* Finishes what is queued, if the database is there. */
static void stop(void *inst) {
    struct db *db = ((struct pgsql *)inst)->db;
    pthread_mutex_lock(&db->lock);
    db->ending = true;
    pthread_cond_broadcast(&db->ending_cond);
    pthread_mutex_unlock(&db->lock);
    jobs_end(&db->writes.jobs);
    jobs_end(&db->reads.jobs);
    for (unsigned i = 0; i < db->thread_count; i++)
        pthread_join(db->threads[i].id, NULL);
    if (!atomic_load(&db->away) && db->main.c && pg_alive(&db->main))
        pgsql_forget_commits(&db->main);
    db_free(db);
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

static int define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    struct db *db = ((const struct pgsql *)inst)->db;
    struct sql_table *t = sql_table_new(&sql_pgsql, coll);
    if (db->main.c && !pg_alive(&db->main))
        pg_close(&db->main);
    int rc = MK_OK;
    if (!db->main.c && !pg_connect(&db->main, "meerkat"))
        rc = mk_fail(err, MK_E_BACKEND, "Collection %s: the database can't be used: %s.", t->name, pg_why(&db->main));
    if (!rc)
        rc = pgsql_define(&db->main, t, db->create, err);
    if (rc) {
        sql_table_free(t);
        return rc;
    }
    mk_coll_set_data(coll, t);
    pthread_mutex_lock(&db->lock);
    t->next = db->tables;
    db->tables = t;
    pthread_mutex_unlock(&db->lock);
    return MK_OK;
}

/* Nobody waits for a database that is known to be away. */
static void push(struct pool *pool, struct job *job) {
    if (atomic_load(&pool->up)) {
        jobs_push(&pool->jobs, job);
        return;
    }
    mk_op_explain(job->op, "the database is away");
    mk_op_done(job->op, MK_E_BACKEND);
}

static void read_rows(struct mk_op *op, struct mk_read *read) {
    const struct pgsql *me = mk_op_inst(op);
    struct job *job = job_new(op);
    job->read = read;
    push(&me->db->reads, job);
}

static void commit(struct mk_op *op, struct mk_commit *commit) {
    const struct pgsql *me = mk_op_inst(op);
    struct job *job = job_new(op);
    job->commit = commit;
    if (!writer_begin(me->db, job))
        push(&me->db->writes, job);
}

static void schema(const void *inst, const struct mk_coll *coll, struct mk_schema *out) {
    (void)inst;
    pgsql_print(coll, out);
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
    MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores collections in a PostgreSQL database."),
};

static const struct mk_metric_decl metrics[] = { SQL_METRIC_ROWS };

static const char *const synchronous_names[] = { "full", "normal", NULL };
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct pgsql, host, NULL, 0,
                "Host name or address of the database, or the folder of its socket; several separated by commas, of "
                "which the one that takes writes is used. By default the local socket."),
    MK_OPT_INT(struct pgsql, port, "0", 0, 65535, 0, "Port; 0 is libpq's default, 5432."),
    MK_OPT_TEXT(struct pgsql, dbname, NULL, 0, "Name of the database; by default that of the role."),
    MK_OPT_TEXT(struct pgsql, user, NULL, 0, "The role to log in as; by default the server's operating system user."),
    MK_OPT_TEXT(struct pgsql, password, NULL, MK_OPT_SECRET, "The role's password."),
    MK_OPT_TEXT(struct pgsql, service, NULL, 0, "Name of a connection service of libpq's file pg_service.conf."),
    MK_OPT_TEXT(struct pgsql, conninfo, NULL, MK_OPT_SECRET,
                "A libpq connection string or URI, for what has no option here. Other options come before it."),
    MK_OPT_ENUM(struct pgsql, sslmode, "auto", pgsql_sslmodes, 0,
                "How connections are encrypted and whom they trust, as libpq has it. auto is verify-full unless the "
                "host is a socket, or `service` or `conninfo` says otherwise."),
    MK_OPT_FILE(struct pgsql, sslrootcert, NULL, 0,
                "Certificates of the authorities that the database's certificate may come from; by default the "
                "system's."),
    MK_OPT_FILE(struct pgsql, sslcert, NULL, 0, "A certificate to log in with."),
    MK_OPT_FILE(struct pgsql, sslkey, NULL, 0, "Its key, which nobody else may read."),
    MK_OPT_TEXT(
        struct pgsql, schema, NULL, 0,
        "The schema that has the tables, made if it is missing; by default the first in the role's search path."),
    MK_OPT_DURATION(struct pgsql, connect_timeout, "5s", 100, 600000, 0, "How long a connection may take to come up."),
    MK_OPT_DURATION(struct pgsql, query_timeout, "10s", 100, 3600000, 0,
                    "How long the database may be silent while it owes an answer, after which the connection is "
                    "given up."),
    SQL_OPT_WAIT(struct pgsql),
    SQL_OPT_READ_CONNECTIONS(struct pgsql),
    SQL_OPT_TWO_WRITE(struct pgsql),
    MK_OPT_ENUM(struct pgsql, synchronous, "full", synchronous_names, 0,
                "full: what was acknowledged survives a crash of the database. normal: such a crash may take the last "
                "moments, and writes cost less."),
    SQL_OPT_SWEEP_INTERVAL(struct pgsql),
    MK_OPT_BOOL(struct pgsql, create, "true", 0,
                "Whether tables are made and migrated at the start. If false the role needs no right to do so, and "
                "all must be there."),
};

MK_PLUGIN(pgsql, .version = "1.0", .summary = "Storage in PostgreSQL", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct pgsql), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .metrics = MK_TABLE(metrics), .start = start, .stop = stop);
