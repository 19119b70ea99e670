/* SPDX-License-Identifier: Apache-2.0 */
#include "mysql_backend.h"

static int start(void *inst, struct mk_err *err) {
    struct mysql *me = inst;
    if (me->host && me->socket)
        return mk_fail(err, MK_E_INVALID, "Options host and socket exclude each other.");
    return pool_begin(me, &mysql_driver, me->dbname, err);
}

static void schema(const void *inst, const struct mk_coll *coll, struct mk_schema *out) {
    const struct mysql *me = inst;
    pool_print(me->pool ? me->pool->product : &pool_mariadb, coll, out);
}

static const struct mk_backend_ops ops = POOL_OPS(schema);
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores collections in a MariaDB or MySQL database."),
};
static const struct mk_metric_decl metrics[] = { SQL_METRIC_ROWS };

static const char *const sslmodes[] = { "auto", "disable", "require", "verify-full", NULL };
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct mysql, host, NULL, 0,
                "Host name or address of the database, which is reached by TCP; by default the local socket."),
    MK_OPT_INT(struct mysql, port, "3306", 1, 65535, 0, "Port."),
    MK_OPT_TEXT(
        struct mysql, socket, NULL, 0,
        "The database's local socket, where there is no host; by default the one that libmariadb was built with."),
    MK_OPT_TEXT(struct mysql, dbname, "meerkat", 0, "Name of the database that has the tables, made if it is missing."),
    MK_OPT_TEXT(struct mysql, user, NULL, 0, "The user to log in as; by default the server's operating system user."),
    MK_OPT_TEXT(struct mysql, password, NULL, MK_OPT_SECRET, "The user's password."),
    MK_OPT_ENUM(
        struct mysql, sslmode, "auto", sslmodes, 0,
        "How connections are encrypted and whom they trust. require encrypts and trusts anybody; verify-full wants "
        "a certificate that a trusted authority gave to this host. auto is verify-full over TCP, disable on the "
        "socket."),
    MK_OPT_FILE(struct mysql, sslrootcert, NULL, 0,
                "Certificates of the authorities that the database's certificate may come from; by default the "
                "system's."),
    MK_OPT_FILE(struct mysql, sslcert, NULL, 0, "A certificate to log in with."),
    MK_OPT_FILE(struct mysql, sslkey, NULL, 0, "Its key, which nobody else may read."),
    MK_OPT_DURATION(struct mysql, connect_timeout, "5s", 1000, 600000, 0,
                    "How long a connection may take to come up; whole seconds."),
    MK_OPT_DURATION(struct mysql, query_timeout, "10s", 1000, 3600000, 0,
                    "How long the database may be silent while it owes an answer, after which the connection is "
                    "given up; whole seconds."),
    SQL_OPT_WAIT(struct mysql),
    SQL_OPT_READ_CONNECTIONS(struct mysql),
    SQL_OPT_TWO_WRITE(struct mysql),
    SQL_OPT_SWEEP_INTERVAL(struct mysql),
    MK_OPT_BOOL(
        struct mysql, create, "true", 0,
        "Whether the database and its tables are made and migrated at the start. If false the user needs no right "
        "to do so, and all must be there."),
};

MK_PLUGIN(mysql, .version = "1.0", .summary = "Storage in MariaDB and MySQL", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct mysql), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .metrics = MK_TABLE(metrics), .start = start, .stop = pool_end);
