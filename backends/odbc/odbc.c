/* SPDX-License-Identifier: Apache-2.0 */
#include "odbc.h"

static int start(void *inst, struct mk_err *err) {
    struct odbc *me = inst;
    if (!me->dsn && !me->connection)
        return mk_fail(err, MK_E_INVALID, "The options dsn or connection must say where the database is.");
    return pool_begin(me, &odbc_driver, me->schema, err);
}

static void schema(const void *inst, const struct mk_coll *coll, struct mk_schema *out) {
    const struct odbc *me = inst;
    pool_print(me->pool ? me->pool->product : &pool_pgsql, coll, out);
}

static const struct mk_backend_ops ops = POOL_OPS(schema);
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores collections in a database that has an ODBC driver."),
};
static const struct mk_metric_decl metrics[] = { SQL_METRIC_ROWS };

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct odbc, dsn, NULL, 0, "Name of a data source of odbc.ini."),
    MK_OPT_TEXT(struct odbc, connection, NULL, MK_OPT_SECRET,
                "More for the connection string, or all of it if there is no data source: `Driver=...;Server=...`."),
    MK_OPT_TEXT(struct odbc, user, NULL, 0, "The user to log in as; by default the data source's."),
    MK_OPT_TEXT(struct odbc, password, NULL, MK_OPT_SECRET, "The user's password."),
    MK_OPT_TEXT(struct odbc, schema, NULL, 0,
                "The schema (PostgreSQL) or database (MariaDB, MySQL) that has the tables, made if it is missing; by "
                "default the data source's."),
    MK_OPT_DURATION(struct odbc, connect_timeout, "5s", 1000, 600000, 0,
                    "How long a connection may take to come up, if the driver knows; whole seconds."),
    MK_OPT_DURATION(struct odbc, query_timeout, "10s", 1000, 3600000, 0,
                    "How long a statement may take, if the driver knows; whole seconds."),
    SQL_OPT_WAIT(struct odbc),
    SQL_OPT_READ_CONNECTIONS(struct odbc),
    MK_OPT_INT(struct odbc, write_connections, "1", 1, 16, 0,
               "Connections that write. One serves thousands of commits a second, as they share transactions."),
    SQL_OPT_SWEEP_INTERVAL(struct odbc),
    MK_OPT_BOOL(struct odbc, create, "true", 0,
                "Whether tables are made and migrated at the start. If false the user needs no right to do so, and all "
                "must be there."),
};

MK_PLUGIN(odbc, .version = "1.0", .summary = "Storage in databases through ODBC", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct odbc), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .metrics = MK_TABLE(metrics), .start = start, .stop = pool_end);
