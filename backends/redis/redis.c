/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include <stdlib.h>
#include <string.h>

/* ---- start and stop ------------------------------------------------------------------------------------------------- */

static int check_options(const struct redis *me, struct mk_err *err) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-/";
    if (me->servers.count == 0)
        return mk_fail(err, MK_E_INVALID, "Option servers names no server.");
    if (me->mode == MODE_SINGLE && me->servers.count > 1)
        return mk_fail(err, MK_E_INVALID, "Option servers names several, which mode single does not use.");
    if (me->mode == MODE_SENTINEL && !me->master)
        return mk_fail(err, MK_E_INVALID, "Mode sentinel needs option master, the name that the sentinels know it by.");
    if (me->mode == MODE_CLUSTER && me->database)
        return mk_fail(err, MK_E_INVALID, "A cluster has database 0 alone.");
    if (me->prefix[strspn(me->prefix, letters)])
        return mk_fail(err, MK_E_INVALID, "Option prefix may have letters, digits and _.:-/ only.");
    if (me->durable && me->mode != MODE_SINGLE && !me->wait_replicas)
        return mk_fail(err, MK_E_INVALID,
                       "durable = true in mode sentinel or cluster needs wait_replicas of at least 1: else a failover "
                       "loses what no replica has.");
    return MK_OK;
}

static int start(void *inst, struct mk_err *err) {
    struct redis *me = inst;
    int rc = check_options(me, err);
    if (rc != MK_OK)
        return rc;
    me->db = db_start(me, inst, err);
    return me->db ? MK_OK : MK_E_BACKEND;
}

/* Finishes what is under way, if the server answers. */
static void stop(void *inst) {
    db_stop(((struct redis *)inst)->db);
}

/* ---- operations ------------------------------------------------------------------------------------------------------- */

static int define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    struct db *db = ((const struct redis *)inst)->db;
    struct table *t = table_new(db, coll);
    int rc = schema_define(db, t, err);
    if (rc != MK_OK) {
        table_free(t);
        return rc;
    }
    mk_coll_set_data(coll, t);
    pthread_mutex_lock(&db->lock);
    t->next = db->tables;
    db->tables = t;
    pthread_mutex_unlock(&db->lock);
    return MK_OK;
}

static struct op_job *job_new(struct mk_op *op, void (*run)(struct db *db, struct job *job)) {
    struct op_job *job = mk_op_alloc(op, sizeof *job);
    *job = (struct op_job){ .job = { .run = run }, .op = op };
    return job;
}

static void read_rows(struct mk_op *op, struct mk_read *read) {
    const struct redis *me = mk_op_inst(op);
    struct op_job *job = job_new(op, read_run);
    job->read = read;
    db_post(me->db, &job->job);
}

static void commit(struct mk_op *op, struct mk_commit *commit) {
    const struct redis *me = mk_op_inst(op);
    struct op_job *job = job_new(op, commit_run);
    job->commit = commit;
    db_post(me->db, &job->job);
}

static uint32_t narrow(const void *inst) {
    const struct redis *me = inst;
    return me->durable ? UINT32_MAX : ~(uint32_t)MK_CAP_DURABLE;
}

static const struct mk_backend_ops ops = {
    .size = sizeof(struct mk_backend_ops),
    .caps = MK_CAP_TTL | MK_CAP_BATCH | MK_CAP_DURABLE,
    .define = define,
    .read = read_rows,
    .commit = commit,
    .narrow = narrow,
    .sweep = read_rows,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores collections in Redis."),
};
static const char *const modes[] = { "single", "sentinel", "cluster", NULL };
static const struct mk_opt_decl options[] = {
    MK_OPT_ENUM(
        struct redis, mode, "single", modes, 0,
        "single: one server. sentinel: servers are sentinels, which know the master. cluster: servers are some of "
        "a cluster, which know the others."),
    MK_OPT_TEXTS(struct redis, servers, "127.0.0.1:6379", 0,
                 "Addresses as host:port, [IPv6 address]:port, or the path of a socket."),
    MK_OPT_TEXT(struct redis, master, NULL, 0, "By what name the sentinels know the master."),
    MK_OPT_TEXT(struct redis, user, NULL, 0, "Name of the ACL user to log in as; without it the default user."),
    MK_OPT_TEXT(struct redis, password, NULL, MK_OPT_SECRET, "Password to log in with; without it there is no login."),
    MK_OPT_TEXT(struct redis, sentinel_user, NULL, 0, "The same for sentinels."),
    MK_OPT_TEXT(struct redis, sentinel_password, NULL, MK_OPT_SECRET, "The same for sentinels."),
    MK_OPT_INT(struct redis, database, "0", 0, 65535, 0, "Number of the database; a cluster has 0 alone."),
    MK_OPT_TEXT(struct redis, prefix, "meerkat:", 0,
                "What all keys begin with. Servers with the same prefix share their data."),
    MK_OPT_BOOL(struct redis, durable, "false", 0,
                "States that what is acknowledged survives, so that collections that need it may be stored. Checked at "
                "each connection: the server must have appendonly yes, appendfsync always and maxmemory-policy "
                "noeviction; modes sentinel and cluster need wait_replicas too."),
    MK_OPT_INT(struct redis, wait_replicas, "0", 0, 16, 0,
               "How many replicas must confirm a write before it is acknowledged."),
    MK_OPT_DURATION(struct redis, timeout, "5s", 100, 60000, 0,
                    "A server that does not answer for so long is taken for lost. Writes wait so long for it to come "
                    "back before they are reported and tried again."),
    MK_OPT_INT(struct redis, connections, "2", 1, CONNS_MAX, 0, "Connections to each server."),
    MK_OPT_BOOL(struct redis, tls, "false", 0, "Connect with TLS, to sentinels too."),
    MK_OPT_FILE(struct redis, ca, NULL, 0,
                "PEM file of the authorities that may have signed the server's certificate; without it the system's."),
    MK_OPT_FILE(struct redis, certificate, NULL, 0, "PEM file of a client certificate, if the server wants one."),
    MK_OPT_FILE(struct redis, key, NULL, 0, "PEM file of its key."),
    MK_OPT_BOOL(struct redis, tls_verify, "true", 0, "Refuse a server whose certificate is not good or not its own."),
    MK_OPT_TEXT(struct redis, tls_name, NULL, 0,
                "The name that the certificate must have, and that is asked for, instead of the address."),
};
static const struct mk_metric_decl metrics[] = {
    [M_CONNECTIONS] = { "connections", MK_GAUGE, 0, "", "Connections that are logged in." },
    [M_RECONNECTS] = { "reconnects", MK_COUNTER, 0, "", "Servers that were lost and came back." },
    [M_COMMANDS] = { "commands", MK_COUNTER, 0, "", "Commands sent." },
    [M_ERRORS] = { "errors", MK_COUNTER, 0, "", "Commands that were answered by an error, or not at all." },
    [M_REDIRECTS] = { "redirects", MK_COUNTER, 0, "", "Commands that another node of the cluster was asked again." },
};

MK_PLUGIN(redis, .version = "1.0", .summary = "Storage in Redis: single, Sentinel, Cluster", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct redis), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .metrics = MK_TABLE(metrics), .start = start, .stop = stop);
