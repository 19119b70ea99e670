/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is MariaDB's own: tables as an operator sees them, rows it can't take, connections lost at the worst moments,
 * sweeping.  What all backends do is in test/stores.  Usage: test_mysql MYSQL.so, with the service's environment.
 */
#include "database.h"
#include <mysql.h>
#include <stdlib.h>
#include <unistd.h>

static char name[40]; /* of the database */
static MYSQL *db;     /* the operator */

static const char *ask_operator(const char *text) {
    static char answer[8192];
    size_t len = 0;
    MYSQL_ROW row;
    answer[0] = '\0';
    if (mysql_query(db, text) != 0) {
        check_failed(__FILE__, __LINE__, "%s: %s", text, mysql_error(db));
        return answer;
    }
    MYSQL_RES *res = mysql_store_result(db);
    while (res && len < sizeof answer && (row = mysql_fetch_row(res)) != NULL)
        len += (size_t)snprintf(answer + len, sizeof answer - len, len ? " %s" : "%s", row[0] ? row[0] : "null");
    mysql_free_result(res);
    return answer;
}

/* ---- tables --------------------------------------------------------------------------------------------------------- */

static void an_operator_can_query_it(void) {
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    ASK("SELECT CONCAT(count(*),',',min(`order`),',',min(owner)) FROM things", "10,body,brien@example.org/it's");
    ASK("SELECT TIMESTAMP(19700101)+INTERVAL until MICROSECOND FROM things WHERE id=0", "2100-01-01 00:00:00.000000");
    ASK("SELECT count(*) FROM texts WHERE `rank` LIKE 'odd%'", "5");
    ASK("SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema=DATABASE() AND table_name "
        "IN('things','texts') ORDER BY 1",
        "PRIMARY things__by_order things___ttl _key");
    ASK("SELECT CONCAT_WS('/',column_type,collation_name) FROM information_schema.columns WHERE "
        "table_schema=DATABASE() AND table_name='texts' ORDER BY ordinal_position",
        "bigint(20) varbinary(3071) bigint(20) longtext/utf8mb4_nopad_bin binary(20)");
    end();
}

static void a_lost_index_is_made_anew(void) {
    ask("DROP INDEX things__by_order ON things");
    ask("CREATE INDEX my_own ON things(`order`)");
    ask("CREATE INDEX things__old ON things(`order`)");
    if (!begin())
        return;
    ASK("SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema=DATABASE() AND table_name="
        "'things' ORDER BY 1",
        "my_own PRIMARY things__by_order things___ttl _key");
    ask("DROP INDEX my_own ON things");
    end();
}

/* A table that an interrupted definition left is made anew; one of somebody else's is not touched. */
static void a_half_made_table_is_made_anew(void) {
    ask("DROP TABLE things");
    ask("DELETE FROM meerkat_schema WHERE name='things'");
    ask("CREATE TABLE things(half INT)COMMENT='meerkat'");
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    ASK("SELECT count(*) FROM things", "10");
    end();
    ask("CREATE TABLE others(precious INT)");
    static const struct mk_col_decl cols[] = { { "precious", MK_C_INT, MK_COL_PARTITION, "" } };
    static const struct mk_coll_decl others = { "others", 1, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
    if (harness_start(NULL) == NULL) {
        const char *why = harness_refused(&others);
        if (!strstr(why, "already exists"))
            check_failed(__FILE__, __LINE__, "%s", why);
        harness_stop();
    }
    ask("DROP TABLE others");
}

/* A text that was in no index is of a type that can't be in one. */
static void a_new_index_changes_a_type(void) {
    static const struct mk_col_decl cols[] = { { "owner", MK_C_JID, MK_COL_PARTITION, "" },
                                               { "id", MK_C_INT, MK_COL_SORT, "" },
                                               { "word", MK_C_TEXT, 0, "" },
                                               { "peer", MK_C_JID, 0, "" } };
    static const struct mk_index_decl new[] = { { "by_word", "owner,word", NULL }, { "by_peer", "peer", "word" } };
    struct mk_coll_decl decl = { "notes", 1, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
    const char *types = "SELECT column_type FROM information_schema.columns WHERE table_schema=DATABASE() AND "
                        "table_name='notes' AND column_name IN('word','peer') ORDER BY ordinal_position";
    if (!begin())
        return;
    harness_define(&decl);
    ASK(types, "longtext text");
    ask("INSERT INTO notes(owner,id,word,peer) VALUES('a',1,'caf\xc3\xa9','b')");
    end();
    decl.version = 2;
    decl.indexes = (struct mk_table)MK_TABLE(new);
    if (!begin())
        return;
    harness_define(&decl);
    ASK(types, "varbinary(1024) varbinary(3071)");
    ASK("SELECT count(*) FROM notes WHERE word='caf\xc3\xa9'", "1");
    end();
}

/* Pages of a partition are read in the order of an index. */
static void reads_use_indexes(void) {
    static const char *const plans[][2] = {
        { "SELECT * FROM things WHERE owner='o1' AND _part=LEFT(UNHEX(SHA2('o1',256)),20) AND id>5 ORDER BY id DESC "
          "LIMIT 5",
          "_key" },
        { "SELECT * FROM things WHERE _part>=LEFT(UNHEX(SHA2('o1',256)),20) AND (_part<>LEFT(UNHEX(SHA2('o1',256)),20) "
          "OR "
          "id>9) ORDER BY _part,id LIMIT 100",
          "_key" },
        { "SELECT * FROM things WHERE owner='o1' AND `order`>='b' ORDER BY `order`,id", "things__by_order" },
        { "SELECT until FROM things WHERE until<=5 LIMIT 9", "things___ttl" },
    };
    ask("INSERT INTO things(owner,id,`order`,number,until) SELECT CONCAT('o',seq%10),seq,seq,0,seq FROM seq_1_to_3000");
    ask("ANALYZE TABLE things");
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "EXPLAIN FORMAT=JSON %s", plans[i][0]);
        const char *plan = ask(text);
        if (!strstr(plan, plans[i][1]) || strstr(plan, "filesort"))
            check_failed(__FILE__, __LINE__, "%s: %s", plans[i][0], plan);
    }
    ask("DELETE FROM things WHERE owner LIKE 'o_'");
}

/* ---- rows it can't take --------------------------------------------------------------------------------------------- */

/* Of more bytes than the service's max_allowed_packet. */
static void put_too_much(struct mk_ctx *c, void *arg) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "much@example.org")), mk_v_int((intptr_t)arg),
                              mk_v_text(noise(c, (8 << 20) + 1)) };
    NEED_INT(mk_put_now(c, texts, MK_UPSERT, row), MK_E_BACKEND);
}
static void a_bad_row_harms_no_other(void) {
    bad_rows_harm_no_other(put_too_much);
    ASK("SELECT count(*) FROM texts WHERE owner='much@example.org'", "0");
}

/* ---- connections lost ----------------------------------------------------------------------------------------------- */

static void a_lost_answer_is_found_out(void) {
    lost_answers_are_found_out(atoi(option("port")), false, (const char *[]){ "port=PORT", "sslmode=disable", NULL });
}

static const char *kill_writer(void) {
    static char text[80];
    const char *ids =
        ask("SELECT id FROM information_schema.processlist WHERE user='meerkat' AND db=DATABASE() ORDER BY "
            "RAND() LIMIT 1");
    snprintf(text, sizeof text, "KILL CONNECTION %s", *ids ? ids : "0");
    return text;
}
static const char *ask_and_kill(const char *text) {
    if (strcmp(text, "kill") != 0)
        return ask_operator(text);
    mysql_query(db, kill_writer()); /* it may have ended by itself */
    return "";
}
static void an_ended_session_comes_back(void) {
    ask = ask_and_kill;
    ended_sessions_come_back("kill");
}

/* ---- refusals ------------------------------------------------------------------------------------------------------- */

static void what_can_not_be_used_is_said(void) {
    char authority[200];
    snprintf(authority, sizeof authority, "sslrootcert=%s/tls/wrong.crt", getenv("MEERKAT_MYSQL_DIR"));
    refuse("password=wrong", "The database can't be used: Access denied for user 'meerkat'");
    refuse(authority, "self-signed certificate in certificate chain");
    refuse("host=localhost.", "can't be used");
    refuse("port=1", "Can't connect to server");
    refuse("socket=/nowhere", "exclude each other");
    refuse("dbname=mysql", "Access denied");
}

/* ---- the program ---------------------------------------------------------------------------------------------------- */

static void connect_operator(void) {
    char text[120];
    snprintf(text, sizeof text, "%s/run/sock", getenv("MEERKAT_MYSQL_DIR"));
    db = mysql_init(NULL);
    if (!mysql_real_connect(db, NULL, "root", NULL, NULL, 0, text, 0)) {
        printf("Bail out! %s\n", mysql_error(db));
        exit(1);
    }
    ask = ask_operator;
    snprintf(text, sizeof text, "CREATE DATABASE %s", name);
    ask(text);
    mysql_select_db(db, name);
    ask("SET NAMES utf8mb4");
    ask("SET time_zone='+00:00'");
}

static void drop_all(void) {
    char text[60];
    snprintf(text, sizeof text, "DROP DATABASE %s", name);
    ask(text);
    mysql_close(db);
}

int main(int argc, char **argv) {
    static const struct test tests[] = {
        { "what_can_not_be_used_is_said", 0, what_can_not_be_used_is_said },
        { "an_operator_can_query_it", 0, an_operator_can_query_it },
        { "a_lost_index_is_made_anew", 0, a_lost_index_is_made_anew },
        { "a_half_made_table_is_made_anew", 0, a_half_made_table_is_made_anew },
        { "a_new_index_changes_a_type", 0, a_new_index_changes_a_type },
        { "reads_use_indexes", 0, reads_use_indexes },
        { "a_bad_row_harms_no_other", 0, a_bad_row_harms_no_other },
        { "a_lost_answer_is_found_out", 0, a_lost_answer_is_found_out },
        { "an_ended_session_comes_back", 0, an_ended_session_comes_back },
        { "expired_rows_are_swept", 0, expired_rows_are_swept },
        { "without_the_right_to_create", 0, without_the_right_to_create },
    };
    char own[60];
    if (argc != 2)
        return 2;
    snprintf(name, sizeof name, "meerkat_test_%d", (int)getpid());
    snprintf(own, sizeof own, "dbname=%s", name);
    return database_main(argv[1], "MEERKAT_STORES_MYSQL", own, tests, sizeof tests / sizeof tests[0], connect_operator,
                         drop_all);
}
