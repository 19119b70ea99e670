/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases through ODBC: connections lost at the worst moments, sweeping, refusals.  What all backends do is in
 * test/stores.  Usage: test_odbc ODBC.so PRODUCT, with the service's environment; PRODUCT is pgsql, mariadb or sqlite.
 */
#include "database.h"
#include "util/text.h"
#include <sqlext.h>
#include <stdlib.h>
#include <unistd.h>

static const char *product;
static SQLHDBC db; /* the operator */

static const char *ask_operator(const char *text) {
    static char answer[4096];
    char cell[256];
    SQLCHAR why[256] = "";
    SQLLEN len;
    SQLHSTMT stmt;
    size_t have = 0;
    answer[0] = '\0';
    SQLAllocHandle(SQL_HANDLE_STMT, db, &stmt);
    SQLRETURN rc = SQLExecDirect(stmt, (SQLCHAR *)text, SQL_NTS);
    if (!SQL_SUCCEEDED(rc) && rc != SQL_NO_DATA) {
        SQLGetDiagRec(SQL_HANDLE_STMT, stmt, 1, (SQLCHAR[6]){ 0 }, &(SQLINTEGER){ 0 }, why, sizeof why, NULL);
        check_failed(__FILE__, __LINE__, "%s: %s", text, (const char *)why);
    }
    SQLSMALLINT cols = 0;
    SQLNumResultCols(stmt, &cols);
    while (cols && have < sizeof answer && SQL_SUCCEEDED(SQLFetch(stmt))) {
        SQLGetData(stmt, 1, SQL_C_CHAR, cell, sizeof cell, &len);
        have += (size_t)snprintf(answer + have, sizeof answer - have, have ? " %s" : "%s",
                                 len == SQL_NULL_DATA ? "null" : cell);
    }
    SQLFreeHandle(SQL_HANDLE_STMT, stmt);
    return answer;
}

static bool is(const char *name) {
    return strcmp(product, name) == 0;
}

/* ---- tests ---------------------------------------------------------------------------------------------------------- */

static void an_operator_can_query_it(void) {
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    ASK("SELECT count(*) FROM things WHERE owner='brien@example.org/it''s'", "10");
    ASK("SELECT until FROM things WHERE id=0", "4102444800000000");
    ASK("SELECT count(*) FROM texts WHERE owner LIKE 'brien%'", "10");
    end();
}

/* Keys that an index of PostgreSQL can't hold; MariaDB's tests have rows that are too large. */
static void put_too_much(struct mk_ctx *c, void *arg) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "%s@example.org/%s", noise(c, 1000), noise(c, 1000))),
                              mk_v_int((intptr_t)arg), mk_v_text(noise(c, 1000)), mk_v_int(0), mk_v_null() };
    NEED_INT(mk_put_now(c, things, MK_UPSERT, row), MK_E_BACKEND);
}
static void put_nothing(struct mk_ctx *c, void *arg) {
    (void)c;
    (void)arg;
}
static void a_bad_row_harms_no_other(void) {
    bad_rows_harm_no_other(is("pgsql") ? put_too_much : put_nothing);
}

static void a_refused_commit_is_made_again(void) {
    if (is("pgsql"))
        refused_commits_are_made_again();
}

/* Without TLS, which the proxy could not look into.  MariaDB's driver takes no port from beside a data source. */
static void a_lost_answer_is_found_out(void) {
    char *dsn = options[0];
    if (is("pgsql"))
        lost_answers_are_found_out(atoi(getenv("MEERKAT_ODBC_PGSQL_PORT")), false,
                                   (const char *[]){ "connection=Port=PORT;SSLmode=disable", NULL });
    if (!is("mariadb"))
        return;
    options[0] = (char *)"wait=0";
    lost_answers_are_found_out(atoi(getenv("MEERKAT_ODBC_MYSQL_PORT")), false,
                               (const char *[]){ "connection=Driver=MariaDB Unicode;SERVER=127.0.0.1;PORT=PORT;"
                                                 "DATABASE=meerkat;CHARSET=utf8mb4",
                                                 NULL });
    options[0] = dsn;
}

static void what_can_not_be_used_is_said(void) {
    if (is("sqlite")) {
        refuse("connection=Driver=SQLite3;Database=/nowhere/at/all.db", "can't be used");
        refuse("connection=Driver=None", "can't be used");
        return;
    }
    refuse("password=wrong", is("pgsql") ? "password authentication failed" : "Access denied for user 'meerkat'");
    refuse("dsn=nothing", "can't be used: Data source name not found");
}

/* ---- the program ---------------------------------------------------------------------------------------------------- */

/* As the server does, in its schema. */
static void connect_operator(void) {
    SQLHENV env;
    SQLCHAR why[256] = "";
    struct buf s = { 0 };
    const char *password = getenv(is("pgsql") ? "MEERKAT_ODBC_PGSQL_PASSWORD" : "MEERKAT_ODBC_MYSQL_PASSWORD");
    SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &env);
    SQLSetEnvAttr(env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
    SQLAllocHandle(SQL_HANDLE_DBC, env, &db);
    if (is("sqlite"))
        buf_printf(&s, "%s", option("connection"));
    else
        buf_printf(&s, "DSN=%s;UID=meerkat;PWD=%s", option("dsn"), password);
    if (!SQL_SUCCEEDED(SQLDriverConnect(db, NULL, (SQLCHAR *)s.data, SQL_NTS, NULL, 0, NULL, SQL_DRIVER_NOPROMPT))) {
        SQLGetDiagRec(SQL_HANDLE_DBC, db, 1, (SQLCHAR[6]){ 0 }, &(SQLINTEGER){ 0 }, why, sizeof why, NULL);
        printf("Bail out! %s\n", (const char *)why);
        exit(1);
    }
    buf_free(&s);
    ask = ask_operator;
    if (is("sqlite"))
        return;
    buf_printf(&s, is("pgsql") ? "CREATE SCHEMA %s" : "CREATE DATABASE %s", option("schema"));
    ask(s.data);
    buf_free(&s);
    buf_printf(&s, is("pgsql") ? "SET search_path=%s" : "USE %s", option("schema"));
    ask(s.data);
    buf_free(&s);
}

static void drop_all(void) {
    struct buf s = { 0 };
    if (!is("sqlite")) {
        buf_printf(&s, is("pgsql") ? "DROP SCHEMA %s CASCADE" : "DROP DATABASE %s", option("schema"));
        ask(s.data);
        buf_free(&s);
    }
    SQLDisconnect(db);
    SQLFreeHandle(SQL_HANDLE_DBC, db);
}

int main(int argc, char **argv) {
    static const struct test tests[] = {
        { "what_can_not_be_used_is_said", 0, what_can_not_be_used_is_said },
        { "an_operator_can_query_it", 0, an_operator_can_query_it },
        { "a_bad_row_harms_no_other", 0, a_bad_row_harms_no_other },
        { "a_refused_commit_is_made_again", 0, a_refused_commit_is_made_again },
        { "a_lost_answer_is_found_out", 0, a_lost_answer_is_found_out },
        { "expired_rows_are_swept", 0, expired_rows_are_swept },
        { "without_the_right_to_create", 0, without_the_right_to_create },
    };
    char variable[60] = "MEERKAT_STORES_ODBC_";
    if (argc != 3)
        return 2;
    product = argv[2];
    for (size_t i = strlen(variable), k = 0; product[k]; k++)
        variable[i + k] = (char)(product[k] & ~32);
    return database_main(argv[1], variable, NULL, tests, sizeof tests / sizeof tests[0], connect_operator, drop_all);
}
