/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL does in its own way, through drivers that block. */
#include "dialects.h"
#include "pool.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum pool_code judge(struct pool_conn *c, int64_t number, const char *state) {
    (void)number;
    if (strncmp(state, "57P", 3) == 0) { /* an administrator ended it */
        c->lost = true;
        return POOL_LOST;
    }
    if (strcmp(state, "25006") == 0) { /* it is a copy of another now: the next connection may find another */
        c->lost = true;
        return POOL_FAILED;
    }
    if (strncmp(state, "40", 2) == 0 || strcmp(state, "55P03") == 0)
        return POOL_PASSING;
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "54", 2) == 0)
        return POOL_REFUSED;
    return POOL_FAILED;
}

static enum pool_code lock(struct pool_conn *c) {
    return c->pool->driver->text(c, SQL_PGSQL_TURN);
}

static bool is_suitable(struct pool_conn *c) {
    struct sql_text answer = { 0 };
    bool good =
        pool_query(c,
                   "SELECT CASE WHEN current_setting('server_version_num')::int<120000 THEN 'it is older than "
                   "PostgreSQL 12' WHEN current_setting('server_encoding')<>'UTF8' THEN 'its encoding is not UTF8' "
                   "END",
                   NULL, 0, &answer) == POOL_OK;
    if (good && answer.len) {
        pool_say(c, "%s", answer.s);
        good = false;
    }
    sql_free(&answer);
    return good;
}

static bool set_up(struct pool_conn *c) {
    char timeout[24], lock_timeout[24];
    const char *values[] = { c->name, timeout, lock_timeout };
    snprintf(timeout, sizeof timeout, "%" PRId64, c->main ? 0 : c->pool->inst->query_timeout);
    snprintf(lock_timeout, sizeof lock_timeout, "%" PRId64, c->pool->inst->query_timeout);
    return is_suitable(c) &&
           pool_query(c,
                      "SELECT set_config('application_name',?,false),set_config('statement_timeout',?,false),"
                      "set_config('lock_timeout',?,false),set_config('client_min_messages','warning',false),"
                      "set_config('TimeZone','UTC',false),set_config('standard_conforming_strings','on',false),"
                      "set_config('default_transaction_isolation','read committed',false),"
                      "set_config('synchronous_commit',CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
                      "ELSE current_setting('synchronous_commit')END,false)",
                      values, 3, NULL) == POOL_OK;
}

/* The right to create schemas is not needed if it is there. */
static bool choose(struct pool_conn *c, const char *place) {
    struct sql_text set = { 0 }, make = { 0 }, there = { 0 };
    sql_add(&set, "SET search_path=");
    pool_quote(&set, '"', place);
    sql_add(&make, "CREATE SCHEMA IF NOT EXISTS ");
    pool_quote(&make, '"', place);
    bool good = c->pool->driver->text(c, set.s) == POOL_OK;
    if (good && c->main && c->pool->inst->create) {
        good = pool_query(c, "SELECT current_schema()", NULL, 0, &there) == POOL_OK;
        good = good && (there.len || c->pool->driver->text(c, make.s) == POOL_OK);
    }
    sql_free(&set);
    sql_free(&make);
    sql_free(&there);
    return good;
}

/* The row of its number is locked until the old session is over. */
static bool take_name(struct pool_conn *c) {
    const char *name = c->name;
    return pool_query(c,
                      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name=? AND "
                      "pid<>pg_backend_pid() AND usename=current_user",
                      &name, 1, NULL) == POOL_OK;
}

static int parts(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct sql_parts wanted = { .count = 0 };
    sql_pgsql_want(&wanted, t);
    int rc = sql_parts_sync(e, conn, t, &wanted, &sql_pgsql_odbc_how);
    sql_parts_free(&wanted);
    return rc;
}

const struct pool_product pool_pgsql = {
    .dialect = &sql_pgsql_odbc,
    .begin = "BEGIN",
    .schema_table = SQL_PGSQL_SCHEMA_TABLE,
    .commits_table =
        "CREATE TABLE IF NOT EXISTS meerkat_commits(server text,conn bigint,number bigint NOT NULL,at bigint "
        "NOT NULL,PRIMARY KEY(server,conn))",
    .transactional = true,
    .lock = lock,
    .judge = judge,
    .set_up = set_up,
    .choose = choose,
    .take_name = take_name,
    .want_parts = sql_pgsql_want,
    .parts = parts,
    .how = &sql_pgsql_odbc_how,
};
