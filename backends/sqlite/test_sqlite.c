/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is SQLite's own: the file and its tables as an operator sees them, locks, a full disk, sweeping.  What all
 * backends do is in test/stores.  Usage: test_sqlite SQLITE.so
 */
#include "harness.h"
#include "util/log.h"
#include "util/mem.h"
#include "xml/stanza.h"
#include <meerkat/store.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/meerkat-sqlite-XXXXXX";
static char path[64], path_option[80], *options[] = { path_option, (char *)"busy_timeout=50ms" };
static sqlite3 *db; /* another process, as it were */

enum { OWNER, ID, BODY, UNTIL, COUNT };
static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "order", MK_C_TEXT, 0, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
static const struct mk_col_decl text_cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "rank", MK_C_TEXT, MK_COL_TEXT_SEARCH, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
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
    if (sqlite3_open(path, &db) != SQLITE_OK)
        check_failed(__FILE__, __LINE__, "%s", sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 20000);
    return true;
}
static void end(void) {
    sqlite3_close(db);
    harness_stop();
}

static void sql(const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        check_failed(__FILE__, __LINE__, "%s: %s", text, sqlite3_errmsg(db));
}
/* The first column of the first row, as text. */
static const char *ask(const char *text) {
    static char answer[512];
    sqlite3_stmt *stmt;
    snprintf(answer, sizeof answer, "nothing");
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        snprintf(answer, sizeof answer, "%s", sqlite3_errmsg(db));
    else if (sqlite3_step(stmt) == SQLITE_ROW)
        snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return answer;
}

static int put(struct mk_ctx *c, const struct mk_coll *coll, int id, const char *body, struct mk_value until) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "brien@example.org/it's")), mk_v_int(id), mk_v_text(body),
                              until };
    return mk_put_now(c, coll, MK_UPSERT, row);
}
static void put_some(struct mk_ctx *c, void *arg) {
    for (int i = 0; i < 10; i++) {
        NEED_INT(put(c, things, i, "body", mk_v_null()), 0);
        NEED_INT(put(c, texts, i, i & 1 ? "odd words" : "even words", mk_v_null()), 0);
    }
    (void)arg;
}

/* ---- the file ------------------------------------------------------------------------------------------------------- */

static void the_file_is_private(void) {
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    for (int i = 0; i < 3; i++) {
        char name[80];
        struct stat st = { .st_mode = 0 };
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        stat(name, &st);
        if ((st.st_mode & 0777) != 0600)
            check_failed(__FILE__, __LINE__, "%s has mode %o", name, st.st_mode & 0777);
    }
    end();
    char name[80];
    snprintf(name, sizeof name, "%s-wal", path);
    if (access(name, F_OK) == 0)
        check_failed(__FILE__, __LINE__, "the log is still there after a stop");
}

static void an_operator_can_query_it(void) {
    if (!begin())
        return;
    const char *got = ask("SELECT count(*)||','||min(\"order\")||','||min(owner) FROM things");
    if (strcmp(got, "10,body,brien@example.org/it's") != 0)
        check_failed(__FILE__, __LINE__, "%s", got);
    got = ask("SELECT group_concat(name) FROM (SELECT name FROM sqlite_master WHERE tbl_name='things' AND type='index' "
              "AND sql IS NOT NULL ORDER BY name)");
    if (strcmp(got, "things___ttl,things__by_order") != 0)
        check_failed(__FILE__, __LINE__, "%s", got);
    got = ask("SELECT count(*) FROM texts___search WHERE texts___search MATCH 'odd'");
    if (strcmp(got, "5") != 0)
        check_failed(__FILE__, __LINE__, "%s", got);
    sql("DELETE FROM texts WHERE id<4"); /* triggers keep the words true */
    got = ask("SELECT count(*) FROM texts___search WHERE texts___search MATCH 'odd'");
    if (strcmp(got, "3") != 0)
        check_failed(__FILE__, __LINE__, "%s", got);
    end();
}

/* No full scan and no sort hides behind what features do most. */
static void reads_use_indexes(void) {
    static const char *const plans[][2] = {
        { "SELECT * FROM things WHERE owner=? AND (id)>(?) ORDER BY id DESC LIMIT 5", "PRIMARY KEY (owner=? AND id>?" },
        { "SELECT * FROM things WHERE owner=? AND (\"order\")>=(?) ORDER BY \"order\",id",
          "things__by_order (owner=? AND" },
        { "SELECT * FROM texts WHERE owner=? AND (id)>(?) AND (until IS NULL OR until>?) ORDER BY id DESC LIMIT 5",
          "sqlite_autoindex_texts_1 (owner=? AND id>?" },
        { "SELECT * FROM things WHERE 1=1 AND (owner,id)>(?,?) ORDER BY owner,id LIMIT 5",
          "PRIMARY KEY ((owner,id)>(?,?" },
        { "SELECT owner,id FROM things WHERE until<=? LIMIT 9", "things___ttl (until" },
    };
    if (!begin())
        return;
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", plans[i][0]);
        sqlite3_stmt *stmt;
        sqlite3_prepare_v2(db, text, -1, &stmt, NULL);
        int rows = 0;
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(stmt, 3);
            if (rows++ || !strstr(step, plans[i][1]))
                check_failed(__FILE__, __LINE__, "%s: %s", plans[i][0], step);
        }
        sqlite3_finalize(stmt);
    }
    end();
}

static void a_lost_index_is_made_anew(void) {
    if (!begin())
        return;
    sql("DROP INDEX things__by_order");
    sql("DROP TRIGGER texts___search_add");
    sql("CREATE INDEX my_own ON things(\"order\")");
    sql("CREATE INDEX things__old ON things(\"order\")");
    end();
    if (!begin())
        return;
    const char *got = ask("SELECT group_concat(name) FROM (SELECT name FROM sqlite_master WHERE tbl_name IN "
                          "('things','texts') AND type IN ('index','trigger') AND sql IS NOT NULL ORDER BY name)");
    if (strcmp(got, "my_own,texts___search_add,texts___search_del,texts___search_upd,texts___ttl,things___ttl,"
                    "things__by_order") != 0)
        check_failed(__FILE__, __LINE__, "%s", got);
    sql("DROP INDEX my_own");
    end();
}

static void print_schema(const struct mk_coll *coll, struct mk_schema *out) {
    ((const struct mk_backend_ops *)coll->service->svc.ops)->schema(coll->provider->bytes, coll, out);
}

/* What is printed, run by an administrator before the first start. */
static void a_printed_schema_is_enough(void) {
    struct mk_schema schema = { { 0 } };
    char version[32];
    if (!begin())
        return;
    print_schema(things, &schema);
    print_schema(texts, &schema);
    sql("DROP TABLE things; DROP TABLE texts; DROP TABLE texts___search; DROP TABLE meerkat_schema");
    sql(schema.text.data);
    buf_free(&schema.text);
    snprintf(version, sizeof version, "%s", ask("PRAGMA schema_version"));
    end();
    if (!begin())
        return;
    NEED_TEXT(ask("PRAGMA schema_version"), version);
    end();
}

static void what_can_not_be_opened_is_said(void) {
    char missing[] = "path=/nonexistent/folder/x.db", garbage[80], *one[] = { missing };
    snprintf(garbage, sizeof garbage, "path=%s/garbage.db", folder);
    FILE *f = fopen(garbage + strlen("path="), "we");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database at all\n", f);
    fclose(f);
    harness_set_options(one, 1);
    const char *why = harness_start_backend();
    if (!why || !strstr(why, "/nonexistent/folder/x.db can't be opened: unable to open"))
        check_failed(__FILE__, __LINE__, "%s", why ? why : "it started");
    one[0] = garbage;
    why = harness_start_backend();
    if (!why || !strstr(why, "file is not a database"))
        check_failed(__FILE__, __LINE__, "%s", why ? why : "it started");
    unlink(garbage + strlen("path="));
    harness_set_options(options, 2);
}

static void a_foreign_table_is_not_touched(void) {
    static const struct mk_coll_decl decl = { "mine", 1, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
    if (!begin())
        return;
    sql("CREATE TABLE mine(x)");
    const char *why = harness_refused(&decl);
    if (!strstr(why, "already exists"))
        check_failed(__FILE__, __LINE__, "%s", why);
    sql("DROP TABLE mine");
    end();
}

/* ---- trouble -------------------------------------------------------------------------------------------------------- */

struct owed {
    struct mk_receipt receipt;
    struct mk_stanza stanza;
    atomic_int paid;
};
static void on_paid(struct mk_receipt *r) {
    atomic_store(&container_of(r, struct owed, receipt)->paid, 1);
}

enum { MANY = 200 };
static void put_many_later(struct mk_ctx *c, void *arg) {
    struct owed *owed = arg;
    char *body = mk_alloc(c, 1001);
    memset(body, 'x', 1000);
    for (int i = 0; i < MANY; i++) {
        struct mk_value row[] = { mk_v_jid(harness_jid(c, "many@example.org")), mk_v_int(i), mk_v_text(body),
                                  mk_v_null() };
        NEED_INT(mk_put_later(c, things, MK_UPSERT, row, &owed->stanza), 0);
    }
    mk_receipt_pay(&owed->receipt);
}
static void count_many(struct mk_ctx *c, void *arg) {
    struct mk_value part = mk_v_jid(harness_jid(c, "many@example.org"));
    int64_t count;
    (void)arg;
    NEED_INT(mk_scan_count(c, things, MK_SCAN(.partition = &part), &count), 0);
    NEED_INT(count, MANY);
    NEED_INT(mk_del_range(c, things, MK_SCAN(.partition = &part)), 0);
}

/* Waits until the log has the first line with these words. */
static bool logged(const char *words) {
    for (int i = 0; i < 3000; i++) {
        char text[2048] = "", name[80];
        snprintf(name, sizeof name, "%s/log", folder);
        FILE *f = fopen(name, "re");
        if (f) {
            text[fread(text, 1, sizeof text - 1, f)] = '\0';
            fclose(f);
        }
        if (strstr(text, words))
            return true;
        usleep(10000);
    }
    return false;
}
static void empty_log(void) {
    char name[80];
    snprintf(name, sizeof name, "%s/log", folder);
    unlink(name);
    log_setup(&(struct log_config){ LOG_TEXT, name, 6 });
}

/* TROUBLE begins, writes wait and nobody is told they were stored; it ends, and all are stored. */
static void with_trouble(void (*start)(void), void (*stop)(void), const char *words) {
    struct owed *owed = xcalloc(1, sizeof *owed);
    atomic_init(&owed->receipt.holds, 1);
    atomic_init(&owed->receipt.refs, 2);
    owed->receipt.paid = on_paid;
    owed->stanza.receipt = &owed->receipt;
    if (!begin())
        return;
    empty_log();
    start();
    harness_run(0, put_many_later, owed);
    if (!logged(words))
        check_failed(__FILE__, __LINE__, "the log does not say \"%s\"", words);
    if (atomic_load(&owed->paid))
        check_failed(__FILE__, __LINE__, "paid before it was stored");
    stop();
    harness_run(0, count_many, NULL);
    if (!logged("commits again") || !atomic_load(&owed->paid))
        check_failed(__FILE__, __LINE__, "not paid after all");
    end();
    free(owed);
}

static void lock(void) {
    sql("BEGIN IMMEDIATE");
}
static void unlock(void) {
    sql("COMMIT");
}
static void a_locked_database_makes_writes_wait(void) {
    with_trouble(lock, unlock, "can't commit: database is locked");
}

static struct rlimit file_limit;
static void fill_disk(void) {
    getrlimit(RLIMIT_FSIZE, &file_limit);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 128 * 1024, file_limit.rlim_max });
}
static void free_disk(void) {
    setrlimit(RLIMIT_FSIZE, &file_limit);
}
static void a_full_disk_makes_writes_wait(void) {
    with_trouble(fill_disk, free_disk, "can't commit: disk I/O error");
}

/* ---- sweeping ------------------------------------------------------------------------------------------------------- */

static void put_expired(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 500; i++) {
        struct mk_value row[] = { mk_v_jid(harness_jid(c, "past@example.org")), mk_v_int(i), mk_v_text("stale"),
                                  i % 5 ? mk_v_time(1000) : mk_v_null() };
        NEED_INT(mk_put_later(c, things, MK_UPSERT, row, NULL), 0);
        NEED_INT(mk_put_later(c, texts, MK_UPSERT, row, NULL), 0);
    }
}

static void expired_rows_are_swept(void) {
    if (!begin())
        return;
    harness_run(0, put_expired, NULL);
    const char *all = "SELECT (SELECT count(*) FROM things WHERE owner LIKE 'past%')||','||(SELECT count(*) FROM texts "
                      "WHERE owner LIKE 'past%')||','||(SELECT count(*) FROM texts___search WHERE texts___search MATCH "
                      "'stale')";
    for (int i = 0; i < 3000 && strcmp(ask(all), "100,100,100") != 0; i++)
        usleep(10000);
    if (strcmp(ask(all), "100,100,100") != 0)
        check_failed(__FILE__, __LINE__, "left: %s", ask(all));
    end();
}

static void remove_folder(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        printf("# %s stays\n", folder);
}

int main(int argc, char **argv) {
    static const struct test tests[] = {
        { "the_file_is_private", 0, the_file_is_private },
        { "an_operator_can_query_it", 0, an_operator_can_query_it },
        { "reads_use_indexes", 0, reads_use_indexes },
        { "a_lost_index_is_made_anew", 0, a_lost_index_is_made_anew },
        { "a_printed_schema_is_enough", 0, a_printed_schema_is_enough },
        { "what_can_not_be_opened_is_said", 0, what_can_not_be_opened_is_said },
        { "a_foreign_table_is_not_touched", 0, a_foreign_table_is_not_touched },
        { "a_locked_database_makes_writes_wait", 0, a_locked_database_makes_writes_wait },
        { "a_full_disk_makes_writes_wait", 0, a_full_disk_makes_writes_wait },
        { "expired_rows_are_swept", 0, expired_rows_are_swept },
    };
    if (argc != 2 || !mkdtemp(folder))
        return 2;
    atexit(remove_folder);
    signal(SIGXFSZ, SIG_IGN);
    snprintf(path, sizeof path, "%s/meerkat.db", folder);
    snprintf(path_option, sizeof path_option, "path=%s", path);
    harness_load(argv[1], options, 2);
    empty_log();
    int failed = tests_run(tests, sizeof tests / sizeof tests[0]);
    harness_unload();
    return failed;
}
