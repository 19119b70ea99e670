/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL writes in its own way, and what sql_define() needs of it. */
#include "pgsql.h"
#include <string.h>

/* ---- definitions ---------------------------------------------------------------------------------------------- */

static int run(void *pg, const char *text, const struct sql_query *values) {
    return pg_run(pg, text, values) ? MK_OK : MK_E_BACKEND;
}

static int ask(void *pg, const char *text, const struct sql_query *values, sql_row_fn *row, void *arg) {
    enum { FIELDS = 4 };
    PGresult *res = pg_ask(pg, text, values);
    if (!res)
        return MK_E_BACKEND;
    for (int i = 0; i < PQntuples(res); i++) {
        const char *fields[FIELDS] = { NULL };
        for (int k = 0; k < PQnfields(res) && k < FIELDS; k++)
            fields[k] = PQgetisnull(res, i, k) ? NULL : PQgetvalue(res, i, k);
        row(arg, fields);
    }
    PQclear(res);
    return MK_OK;
}

static const char *error(void *pg) {
    return pg_why(pg);
}

/* Servers that start at once take turns, each schema for itself. */
static int begin(void *pg) {
    if (!pg_run(pg, "BEGIN", NULL))
        return MK_E_BACKEND;
    return run(pg, SQL_PGSQL_TURN, NULL);
}

static int end(void *pg, bool commit) {
    struct pg *p = pg;
    if (commit || p->lost)
        return run(pg, "COMMIT", NULL);
    char why[512]; /* of the failure before */
    strncpy(why, error(pg), sizeof why - 1);
    why[sizeof why - 1] = '\0';
    int rc = run(pg, "ROLLBACK", NULL);
    sql_clear(&p->why);
    sql_add(&p->why, "%s", why);
    return rc;
}

static int parts(void *pg, const struct sql_table *t);

static const struct sql_engine engine = {
    .dialect = &sql_pgsql,
    .run = run,
    .ask = ask,
    .error = error,
    .begin = begin,
    .end = end,
    .parts = parts,
    .schema_table = SQL_PGSQL_SCHEMA_TABLE,
};

static int parts(void *pg, const struct sql_table *t) {
    struct sql_parts wanted = { .count = 0 };
    sql_pgsql_want(&wanted, t);
    int rc = sql_parts_sync(&engine, pg, t, &wanted, &sql_pgsql_how);
    sql_parts_free(&wanted);
    return rc;
}

/*
 * meerkat_commits tells, after a connection was lost, whether its last transaction happened: one that must not
 * happen twice writes its number there.
 */
static const char commits_table[] = "CREATE TABLE IF NOT EXISTS meerkat_commits(server text,conn bigint,number bigint "
                                    "NOT NULL,at timestamptz NOT NULL,PRIMARY KEY(server,conn))";

void pgsql_print(const struct mk_coll *coll, struct mk_schema *out) {
    struct sql_table *t = sql_table_new(&sql_pgsql, coll);
    struct sql_parts wanted = { .count = 0 };
    sql_pgsql_want(&wanted, t);
    mk_schema_add(out, "%s;\n", commits_table);
    sql_print(&engine, t, &wanted, &sql_pgsql_how, out);
    sql_parts_free(&wanted);
    sql_table_free(t);
}

int pgsql_define(struct pg *p, const struct sql_table *t, bool create, struct mk_err *err) {
    return sql_define(&engine, p, t, create, err);
}

/* Rows of servers that ended long ago are of no use. */
static const char commits_clean[] = "DELETE FROM meerkat_commits WHERE at<now()-interval '30 days'";

bool pgsql_prepare_schema(struct pg *p) {
    struct sql_text s = { 0 };
    if (!p->db->create)
        return pg_run(p, commits_clean, NULL);
    bool good = begin(p) == MK_OK;
    if (good && p->db->schema) {
        char *name = PQescapeIdentifier(p->c, p->db->schema, strlen(p->db->schema));
        PGresult *there = NULL;
        sql_add(&s, "CREATE SCHEMA IF NOT EXISTS %s", name ? name : "");
        PQfreemem(name);
        /* The right to create schemas is not needed if it is there. */
        there = pg_ask(p, "SELECT 1 WHERE current_schema() IS NOT NULL", NULL);
        good = there != NULL && (PQntuples(there) > 0 || pg_run(p, s.s, NULL));
        PQclear(there);
        sql_free(&s);
    }
    good = good && pg_run(p, commits_table, NULL) && pg_run(p, commits_clean, NULL);
    return end(p, good) == MK_OK && good;
}

void pgsql_forget_commits(struct pg *p) {
    struct mk_value server = mk_v_text(p->db->server);
    struct sql_arg arg = { &server, MK_C_TEXT };
    pg_run(p, "DELETE FROM meerkat_commits WHERE server=$1", &(struct sql_query){ .args = &arg, .count = 1 });
}
