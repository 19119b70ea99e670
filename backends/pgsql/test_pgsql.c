/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is PostgreSQL's own: tables as an operator sees them, rows it can't take, connections lost at the worst moments,
 * sweeping.  What all backends do is in test/stores.  Usage: test_pgsql PGSQL.so, with the service's environment.
 */
#include "database.h"
#include <libpq-fe.h>
#include <stdlib.h>
#include <unistd.h>

static char schema[40];
static PGconn *db; /* the operator */

static const char *ask_operator(const char *text) {
    static char answer[4096];
    size_t len = 0;
    PGresult *res = PQexec(db, text);
    answer[0] = '\0';
    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
        check_failed(__FILE__, __LINE__, "%s: %s", text, PQerrorMessage(db));
    for (int i = 0; i < PQntuples(res) && len < sizeof answer; i++)
        len += (size_t)snprintf(answer + len, sizeof answer - len, i ? " %s" : "%s", PQgetvalue(res, i, 0));
    PQclear(res);
    return answer;
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */

static void an_operator_can_query_it(void) {
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    ASK("SELECT count(*)||','||min(\"order\")||','||min(owner) FROM things", "10,body,brien@example.org/it's");
    ASK("SELECT \"until\" FROM things WHERE id=0", "2100-01-01 00:00:00+00");
    ASK("SELECT count(*) FROM texts WHERE rank LIKE 'odd%'", "5");
    ASK("SELECT indexname FROM pg_indexes WHERE schemaname=current_schema() AND tablename IN ('things','texts') ORDER "
        "BY 1",
        "texts___search_rank texts_pkey things___ttl things__by_order things_pkey");
    ASK("SELECT string_agg(data_type||coalesce('/'||collation_name,''),' ' ORDER BY ordinal_position) FROM "
        "information_schema.columns WHERE table_schema=current_schema() AND table_name='things'",
        "text/C bigint text/C bigint timestamp with time zone");
    end();
}

static void a_lost_index_is_made_anew(void) {
    ask("DROP INDEX things__by_order");
    ask("CREATE INDEX my_own ON things(\"order\")");
    ask("CREATE INDEX things__old ON things(\"order\")");
    if (!begin())
        return;
    ASK("SELECT indexname FROM pg_indexes WHERE schemaname=current_schema() AND tablename='things' ORDER BY 1",
        "my_own things___ttl things__by_order things_pkey");
    ask("DROP INDEX my_own");
    end();
}

static void reads_use_indexes(void) {
    static const char *const plans[][2] = {
        { "SELECT * FROM things WHERE owner='a' AND (id)>(5) ORDER BY id DESC LIMIT 5", "things_pkey" },
        { "SELECT * FROM things WHERE owner='a' AND \"order\">='b' ORDER BY \"order\",id", "things__by_order" },
        { "SELECT ctid FROM things WHERE \"until\"<=now() LIMIT 9", "things___ttl" },
    };
    ask("SET enable_seqscan=off");
    ask("SET enable_bitmapscan=off");
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "EXPLAIN %s", plans[i][0]);
        const char *plan = ask(text);
        if (!strstr(plan, plans[i][1]) || strstr(plan, "Sort"))
            check_failed(__FILE__, __LINE__, "%s: %s", plans[i][0], plan);
    }
    ask("RESET ALL");
    char path[80];
    snprintf(path, sizeof path, "SET search_path=%s", schema);
    ask(path);
}

/* ---- rows it can't take --------------------------------------------------------------------------------------------- */

static void put_too_much(struct mk_ctx *c, void *arg) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "%s@example.org/%s", noise(c, 1000), noise(c, 1000))),
                              mk_v_int((intptr_t)arg), mk_v_text(noise(c, 1000)), mk_v_int(0), mk_v_null() };
    NEED_INT(mk_put_now(c, things, MK_UPSERT, row), MK_E_BACKEND);
}
static void a_bad_row_harms_no_other(void) {
    bad_rows_harm_no_other(put_too_much);
}

/* ---- connections lost ----------------------------------------------------------------------------------------------- */

static void a_lost_answer_is_found_out(void) {
    lost_answers_are_found_out(atoi(option("port")), true,
                               (const char *[]){ "host=127.0.0.1", "port=PORT", "sslmode=disable", NULL });
}
static void an_ended_session_comes_back(void) {
    ended_sessions_come_back(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'meerkat-%-w0'");
}

/* ---- refusals ------------------------------------------------------------------------------------------------------- */

static void what_can_not_be_used_is_said(void) {
    char authority[200];
    snprintf(authority, sizeof authority, "sslrootcert=%s/tls/wrong.crt", getenv("MEERKAT_PGSQL_DIR"));
    refuse("password=wrong", "can't be used: connection to server at \"localhost\"");
    refuse("password=wrong", "password authentication failed for user \"meerkat\"");
    refuse(authority, "certificate verify failed");
    refuse("host=127.0.0.2", "can't be used");
    refuse("port=1", "Connection refused");
    refuse("dbname=nothing", "database \"nothing\" does not exist");
    refuse("conninfo=this is none", "no connection string");
}

/* ---- the program ---------------------------------------------------------------------------------------------------- */

static void connect_operator(void) {
    const char *keys[] = { "host", "port", "dbname", "user", "password", NULL };
    const char *values[] = {
        option("host"), option("port"), option("dbname"), option("user"), getenv("MEERKAT_PGSQL_PASSWORD"), NULL
    };
    char text[80];
    db = PQconnectdbParams(keys, values, 0);
    if (PQstatus(db) != CONNECTION_OK) {
        printf("Bail out! %s\n", PQerrorMessage(db));
        exit(1);
    }
    snprintf(text, sizeof text, "SET search_path=%s;SET timezone=UTC", schema);
    ask = ask_operator;
    ask(text);
}

static void drop_all(void) {
    char text[60];
    snprintf(text, sizeof text, "DROP SCHEMA %s CASCADE", schema);
    ask(text);
    PQfinish(db);
}

int main(int argc, char **argv) {
    static const struct test tests[] = {
        { "what_can_not_be_used_is_said", 0, what_can_not_be_used_is_said },
        { "an_operator_can_query_it", 0, an_operator_can_query_it },
        { "a_lost_index_is_made_anew", 0, a_lost_index_is_made_anew },
        { "reads_use_indexes", 0, reads_use_indexes },
        { "a_bad_row_harms_no_other", 0, a_bad_row_harms_no_other },
        { "refused_commits_are_made_again", 0, refused_commits_are_made_again },
        { "a_lost_answer_is_found_out", 0, a_lost_answer_is_found_out },
        { "an_ended_session_comes_back", 0, an_ended_session_comes_back },
        { "expired_rows_are_swept", 0, expired_rows_are_swept },
        { "without_the_right_to_create", 0, without_the_right_to_create },
    };
    char own[60];
    if (argc != 2)
        return 2;
    snprintf(schema, sizeof schema, "pgsql_%d", (int)getpid());
    snprintf(own, sizeof own, "schema=%s", schema);
    return database_main(argv[1], "MEERKAT_STORES_PGSQL", own, tests, sizeof tests / sizeof tests[0], connect_operator,
                         drop_all);
}
