/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is PostgreSQL's own: tables as an operator sees them, rows it can't take, connections lost at the worst moments,
 * sweeping.  What all backends do is in test/stores.  Usage: test_pgsql PGSQL.so, with the service's environment.
 */
#include "harness.h"
#include "test_proxy.h"
#include "util/mem.h"
#include <libpq-fe.h>
#include <meerkat/store.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS = 32 };
static char *options[OPTIONS], schema[40];
static int option_count;
static PGconn *db; /* the operator */

enum { OWNER, ID, BODY, NUMBER, UNTIL, COUNT };
static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "order", MK_C_TEXT, 0, "" },
    { "number", MK_C_INT, 0, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
static const struct mk_col_decl text_cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "rank", MK_C_TEXT, MK_COL_TEXT_SEARCH, "" },
};
static const struct mk_index_decl indexes[] = { { "by_order", "owner", "order" } };
static const struct mk_coll_decl things_decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
static const struct mk_coll_decl texts_decl = { "texts", 1, 0, 0, 0, MK_TABLE(text_cols), MK_NO_INDEX, "" };
static const struct mk_coll *things, *texts;

static bool begin(void) {
    const char *why = harness_start(NULL);
    if (why) {
        check_failed(__FILE__, __LINE__, "%s", why);
        return false;
    }
    things = harness_define(&things_decl);
    texts = harness_define(&texts_decl);
    return true;
}
static void end(void) {
    harness_stop();
}

static const char *option(const char *name) {
    size_t len = strlen(name);
    for (int i = 0; i < option_count; i++)
        if (strncmp(options[i], name, len) == 0 && options[i][len] == '=')
            return options[i] + len + 1;
    return "";
}

/* Column COL of all rows, separated by spaces. */
static const char *ask(const char *text) {
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
#define ASK(text, want) NEED_TEXT(ask(text), want)

static int put(struct mk_ctx *c, const char *owner, int64_t id, const char *body, struct mk_value until) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "%s", owner)), mk_v_int(id), mk_v_text(body), mk_v_int(0),
                              until };
    return mk_put_now(c, things, MK_UPSERT, row);
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */

static void put_some(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) {
        struct mk_value row[] = { mk_v_jid(harness_jid(c, "brien@example.org/it's")), mk_v_int(i),
                                  mk_v_text(i & 1 ? "odd words" : "even words") };
        NEED_INT(put(c, "brien@example.org/it's", i, "body", i ? mk_v_null() : mk_v_time(4102444800000000)), 0);
        NEED_INT(mk_put_now(c, texts, MK_UPSERT, row), 0);
    }
}

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

static char *noise(struct mk_ctx *c, size_t len) {
    unsigned char *bytes = mk_alloc(c, len + 1);
    mk_random(bytes, len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)("abcdefghijklmnopqrstuvwxyz012345"[bytes[i] & 31]);
    return (char *)bytes;
}

static void put_too_much(struct mk_ctx *c, void *arg) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "%s@example.org/%s", noise(c, 1000), noise(c, 1000))),
                              mk_v_int((intptr_t)arg), mk_v_text(noise(c, 1000)), mk_v_int(0), mk_v_null() };
    NEED_INT(mk_put_now(c, things, MK_UPSERT, row), MK_E_BACKEND);
}
static void put_right(struct mk_ctx *c, void *arg) {
    NEED_INT(put(c, "right@example.org", (intptr_t)arg, "body", mk_v_null()), 0);
}
/* Of a batch nothing is left if its second write is refused. */
static void put_pair(struct mk_ctx *c, void *arg) {
    struct mk_value owner = mk_v_jid(harness_jid(c, "pair@example.org"));
    struct mk_value new[] = { owner, mk_v_int((intptr_t)arg), mk_v_text(""), mk_v_int(0), mk_v_null() };
    struct mk_value old[] = { owner, mk_v_int(-1), mk_v_text(""), mk_v_int(0), mk_v_null() };
    struct mk_write writes[] = { { MK_W_PUT, MK_UPSERT, things, new }, { MK_W_PUT, MK_IF_ABSENT, things, old } };
    NEED_INT(mk_batch(c, writes, 2), (intptr_t)arg ? MK_E_CONFLICT : MK_OK);
}

static void a_bad_row_harms_no_other(void) {
    if (!begin())
        return;
    harness_run(0, put_pair, NULL);
    for (intptr_t i = 1; i <= 30; i++) {
        harness_begin((unsigned)i % WORKERS, put_right, (void *)i);
        if (i % 3 == 0)
            harness_begin((unsigned)i % WORKERS, put_too_much, (void *)i);
        harness_begin((unsigned)i % WORKERS, put_pair, (void *)i);
    }
    harness_wait();
    ASK("SELECT count(*) FROM things WHERE owner='right@example.org'", "30");
    ASK("SELECT count(*) FROM things WHERE owner='pair@example.org'", "2");
    ASK("SELECT count(*) FROM things WHERE length(owner)>1000", "0");
    end();
}

/* ---- connections lost ----------------------------------------------------------------------------------------------- */

enum { FIBERS_BUSY = 16, ROUNDS = 12 };
static _Atomic unsigned char counted[FIBERS_BUSY * ROUNDS + 1];

static void write_on(struct mk_ctx *c, void *arg) {
    int64_t number, mine = (intptr_t)arg;
    struct mk_value all[] = { mk_v_jid(harness_jid(c, "all@example.org")), mk_v_int(0) };
    struct mk_value row[COUNT] = { mk_v_jid(harness_jid(c, "own%d@example.org", (int)mine)), mk_v_int(0),
                                   mk_v_text("x"), mk_v_int(0), mk_v_null() };
    NEED_INT(mk_put_now(c, things, MK_IF_ABSENT, row), 0);
    for (int64_t i = 1; i <= ROUNDS; i++) {
        struct mk_value new[COUNT] = { row[OWNER], mk_v_int(i), mk_v_text("x"), mk_v_int(i), mk_v_null() };
        struct mk_value del[] = { row[OWNER], mk_v_int(i - 1) };
        NEED_INT(mk_add(c, things, all, NUMBER, 1, &number), 0);
        NEED(number > 0 && number <= FIBERS_BUSY * ROUNDS);
        NEED_INT(counted[number]++, 0); /* no number twice */
        NEED_INT(mk_put_now(c, things, MK_IF_ABSENT, new), 0);
        new[NUMBER] = mk_v_int(-i);
        NEED_INT(mk_put_if(c, things, NUMBER, mk_v_int(i), new), 0);
        NEED_INT(mk_del(c, things, del), 0);
    }
}

static void put_counter(struct mk_ctx *c, void *arg) {
    (void)arg;
    NEED_INT(put(c, "all@example.org", 0, "", mk_v_null()), 0);
}

static void a_lost_answer_is_found_out(void) {
    char port[24], *through[OPTIONS];
    int count = 0;
    for (; count < option_count; count++)
        through[count] = options[count];
    snprintf(port, sizeof port, "port=%d", proxy_start(atoi(option("port"))));
    through[count++] = (char *)"host=127.0.0.1";
    through[count++] = port;
    through[count++] = (char *)"sslmode=disable";
    harness_set_options(through, count);
    if (!begin())
        return;
    harness_run(0, put_counter, NULL);
    proxy_cut_each(4);
    for (intptr_t i = 0; i < FIBERS_BUSY; i++)
        harness_begin((unsigned)i % WORKERS, write_on, (void *)i);
    harness_wait();
    proxy_cut_each(0);
    if (proxy_cuts() < 2 * CUTS)
        check_failed(__FILE__, __LINE__, "only %d connections were cut", proxy_cuts());
    ASK("SELECT number FROM things WHERE owner='all@example.org'", "192");
    ASK("SELECT count(*)||','||min(id)||','||max(number) FROM things WHERE owner LIKE 'own%'", "16,12,-12");
    end();
    ASK("SELECT count(*) FROM meerkat_commits", "0");
    harness_set_options(options, option_count);
    proxy_stop();
}

static void ended_sessions_come_back(void) {
    if (!begin())
        return;
    ask("UPDATE things SET number=0 WHERE owner='all@example.org'");
    ask("DELETE FROM things WHERE owner LIKE 'own%'");
    memset((void *)counted, 0, sizeof counted);
    for (intptr_t i = 0; i < FIBERS_BUSY; i++)
        harness_begin((unsigned)i % WORKERS, write_on, (void *)i);
    for (int i = 0; i < 10; i++) {
        ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'meerkat-%-w0'");
        usleep(20000);
    }
    harness_wait();
    ASK("SELECT number FROM things WHERE owner='all@example.org'", "192");
    end();
}

/* ---- sweeping ------------------------------------------------------------------------------------------------------- */

static void put_expired(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 500; i++) {
        struct mk_value row[] = { mk_v_jid(harness_jid(c, "past@example.org")), mk_v_int(i), mk_v_text("stale"),
                                  mk_v_int(0), i % 5 ? mk_v_time(1000) : mk_v_null() };
        NEED_INT(mk_put_later(c, things, MK_UPSERT, row, NULL), 0);
    }
}

static void expired_rows_are_swept(void) {
    const char *left = "";
    options[option_count] = (char *)"sweep_interval=100";
    harness_set_options(options, option_count + 1);
    if (!begin())
        return;
    harness_run(0, put_expired, NULL);
    for (int i = 0; i < 3000; i++) {
        left = ask("SELECT count(*) FROM things WHERE owner LIKE 'past%'");
        if (strcmp(left, "100") == 0)
            break;
        usleep(10000);
    }
    NEED_TEXT(left, "100");
    end();
    harness_set_options(options, option_count);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------- */

static void refuse(const char *more, const char *because) {
    options[option_count] = (char *)more;
    harness_set_options(options, option_count + 1);
    const char *why = harness_start_backend();
    if (!why || !strstr(why, because) || strchr(why, '\n'))
        check_failed(__FILE__, __LINE__, "%s: %s", more, why ? why : "it started");
    harness_set_options(options, option_count);
}

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

static void without_the_right_to_create(void) {
    static const struct mk_coll_decl missing = { "missing", 1, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
    static const struct mk_coll_decl newer = { "things", 2, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
    options[option_count] = (char *)"create=false";
    harness_set_options(options, option_count + 1);
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    const char *why = harness_refused(&missing);
    if (!strstr(why, "is not in the database") || !strstr(why, "create = false"))
        check_failed(__FILE__, __LINE__, "%s", why);
    end();
    if (harness_start(NULL) == NULL) {
        why = harness_refused(&newer);
        if (!strstr(why, "needs version 2") || !strstr(why, "create = false"))
            check_failed(__FILE__, __LINE__, "%s", why);
        harness_stop();
    }
    harness_set_options(options, option_count);
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
    ask(text);
}

int main(int argc, char **argv) {
    static const struct test tests[] = {
        { "what_can_not_be_used_is_said", 0, what_can_not_be_used_is_said },
        { "an_operator_can_query_it", 0, an_operator_can_query_it },
        { "a_lost_index_is_made_anew", 0, a_lost_index_is_made_anew },
        { "reads_use_indexes", 0, reads_use_indexes },
        { "a_bad_row_harms_no_other", 0, a_bad_row_harms_no_other },
        { "a_lost_answer_is_found_out", 0, a_lost_answer_is_found_out },
        { "ended_sessions_come_back", 0, ended_sessions_come_back },
        { "expired_rows_are_swept", 0, expired_rows_are_swept },
        { "without_the_right_to_create", 0, without_the_right_to_create },
    };
    char own[60];
    if (argc != 2)
        return 2;
    option_count = harness_env_options("MEERKAT_STORES_PGSQL", options, OPTIONS - 2);
    snprintf(schema, sizeof schema, "pgsql_%d", (int)getpid());
    snprintf(own, sizeof own, "schema=%s", schema);
    options[option_count++] = xstrdup(own);
    harness_load(argv[1], options, option_count);
    connect_operator();
    int failed = tests_run(tests, sizeof tests / sizeof tests[0]);
    snprintf(own, sizeof own, "DROP SCHEMA %s CASCADE", schema);
    ask(own);
    PQfinish(db);
    harness_unload();
    for (int i = 0; i < option_count; i++)
        free(options[i]);
    return failed;
}
