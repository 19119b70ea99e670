/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What MariaDB and MySQL write and do in their own way.
 *
 * Texts of a key or an index are VARBINARY, which compares by octets and pads nothing.  A key of an index has 3072 bytes
 * at most: longer columns are cut to prefixes there.  A table whose own key could be longer has a column `_part` with a
 * hash of its partition, which with the sort key is the unique one; or, if that is too long, a column `_key` with a hash of
 * the whole.  Definitions are no transactions: they take turns by a lock of the server, and
 * do no harm when they are done again.
 */
#include "pool.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_BYTES = 3072, PART_BYTES = 20, TURN_S = 600 };

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* Of the columns, or of AFTER's values: each with its length before it, so that no two keys give the same text. */
static void add_hash(struct sql_query *q, struct sql_text *s, const struct sql_table *t, const struct mk_value *after) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    sql_add(s, "UNHEX(SHA2(CONCAT(");
    for (unsigned i = 0; i < t->key_count; i++) {
        const struct mk_col_decl *d = sql_col(t, key.cols[i]);
        sql_add(s, i ? ",LENGTH(" : "LENGTH(");
        if (after)
            sql_bind(q, t, d->type, &after[i]);
        else
            sql_name(s, t->dialect, "", d->name);
        sql_add(s, "),':',");
        if (after)
            sql_bind(q, t, d->type, &after[i]);
        else
            sql_name(s, t->dialect, "", d->name);
    }
    sql_add(s, "),256))");
}

/* Of one column its hash; of several that of their hashes. */
static void part_hash(struct sql_text *s, const struct sql_table *t, bool marks) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    bool many = key.partition > 1;
    sql_add(s, many ? "LEFT(UNHEX(SHA2(CONCAT(" : "LEFT(UNHEX(");
    for (uint32_t i = 0; i < key.partition; i++) {
        sql_add(s, i ? ",SHA2(" : "SHA2(");
        if (marks)
            sql_mark(s, t->dialect);
        else
            sql_name(s, t->dialect, "", sql_col(t, key.cols[i])->name);
        sql_add(s, ",256)");
    }
    sql_add(s, many ? "),256)),%d)" : "),%d)", PART_BYTES);
}

static void add_part(struct sql_text *s, const struct sql_table *t) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    sql_add(s, ",`_part` BINARY(%d) AS (", PART_BYTES);
    part_hash(s, t, false);
    sql_add(s, ") STORED,UNIQUE KEY `_key`(`_part`");
    for (uint32_t i = 0; i < key.sort; i++)
        sql_name(s, t->dialect, ",", sql_col(t, key.cols[key.partition + i])->name);
    sql_add(s, ")");
}

static void add_key(struct sql_text *s, const struct sql_table *t) {
    if (t->parted) {
        add_part(s, t);
        return;
    }
    if (t->wide) {
        sql_add(s, ",`_key` BINARY(32) AS (");
        add_hash(NULL, s, t, NULL);
        sql_add(s, ") STORED,UNIQUE KEY `_key`(`_key`)");
        return;
    }
    sql_add(s, t->numbered ? ",UNIQUE KEY `_key`(" : ",PRIMARY KEY(");
    sql_key_cols(s, t);
    sql_add(s, ")");
}

static void key_order(struct sql_query *q, const struct sql_table *t, const struct mk_value *after) {
    if (after)
        add_hash(q, &q->buf, t, after);
    else
        sql_add(&q->buf, "`_key`");
}

/* ---- searching -------------------------------------------------------------------------------------------------- */

#define LETTER "[0-9A-Za-z\\x{80}-\\x{10ffff}]"

/* Looks at all rows of the partition: the full-text index has its own idea of words, and knows no short ones. */
static bool search(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan) {
    sql_add(&q->words, "(?is)\\A");
    bool any = sql_words(&q->words, scan->search, "(?=.*?(?<!" LETTER ")", "(?!" LETTER "))");
    sql_name(&q->buf, t->dialect, " AND ", sql_col(t, scan->search_col)->name);
    sql_add(&q->buf, " REGEXP ");
    sql_bind(q, t, MK_C_TEXT, sql_own(q, mk_v_view((struct mk_view){ q->words.s, q->words.len })));
    return any;
}

/* ---- dialects --------------------------------------------------------------------------------------------------- */

#define DIALECT(binary, add)                                                                                           \
    {                                                                                                                  \
        .quote = '`', .delete_limit = true, .upsert = SQL_ON_DUPLICATE, .limit = SQL_LIMIT,                            \
        .types = { "LONGTEXT CHARACTER SET utf8mb4 COLLATE " binary, "LONGBLOB", "BIGINT", "BIGINT", "BOOLEAN",        \
                   "TEXT CHARACTER SET utf8mb4 COLLATE " binary },                                                     \
        .key_types = { "VARBINARY(1024)", "VARBINARY(1024)", "BIGINT", "BIGINT", "BOOLEAN", "VARBINARY(3071)" },       \
        .defaults = { "('')", "('')", "0", "0", "0", "('')" },                                                         \
        .number = "`_id` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",                                                  \
        .create_end = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT='meerkat'", .keyed_end = "", .add_column = add,        \
        .insert_lock = " FOR UPDATE", .sweep_lock = "", .name_max = 64, .index_bytes = INDEX_BYTES,                    \
        .widths = { 1024, 1024, 8, 8, 1, 3071 }, .key = add_key, .key_order = key_order, .part_hash = part_hash,       \
        .part_bytes = PART_BYTES, .search = search,                                                                    \
    }
static const struct sql_dialect mariadb_dialect = DIALECT("utf8mb4_nopad_bin", "ADD COLUMN IF NOT EXISTS");
static const struct sql_dialect mysql_dialect = DIALECT("utf8mb4_0900_bin", "ADD COLUMN");

/* ---- indexes ---------------------------------------------------------------------------------------------------- */

static void add_mark(struct sql_text *s, const struct sql_part *part, const char *mark) {
    (void)part;
    sql_add(s, " COMMENT '%s'", mark);
}

static void add_drop(struct sql_text *s, const struct sql_table *t, const char *name) {
    sql_name(s, t->dialect, "DROP INDEX ", name);
    sql_name(s, t->dialect, " ON ", t->name);
}

static const struct sql_parts_how how = {
    .list = "SELECT DISTINCT index_name,index_comment FROM information_schema.statistics WHERE table_schema=DATABASE() "
            "AND table_name=? AND index_name<>'PRIMARY'",
    .mark_within = true,
    .mark = add_mark,
    .drop = add_drop,
};

/* By the columns, as the unique one is by their hash. */
static void want_key(struct sql_parts *wanted, const struct sql_table *t) {
    struct sql_part *part = sql_part_add(wanted, t, "_key");
    sql_name(&part->sql, t->dialect, "CREATE INDEX ", part->name.s);
    sql_name(&part->sql, t->dialect, " ON ", t->name);
    sql_add(&part->sql, "(");
    sql_index_cols(&part->sql, t, mk_coll_key(t->coll, 0).cols, t->key_count);
    sql_add(&part->sql, ")");
}

static void want_parts(struct sql_parts *wanted, const struct sql_table *t) {
    if (t->wide && !t->parted)
        want_key(wanted, t);
    sql_parts_indexes(wanted, t);
}

static int parts(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct sql_parts wanted = { .count = 0 };
    want_parts(&wanted, t);
    int rc = sql_parts_sync(e, conn, t, &wanted, &how);
    sql_parts_free(&wanted);
    return rc;
}

/* ---- tables of before ------------------------------------------------------------------------------------------- */

struct columns {
    const struct sql_engine *e;
    const struct sql_table *t;
    struct sql_text changes;
};

/* A column that a new index wants may be of a type that can't be in one. */
static void look_at_column(void *arg, const char *const *fields) {
    struct columns *all = arg;
    for (unsigned i = 0; fields[0] && i < all->t->col_count; i++) {
        const struct mk_col_decl *d = sql_col(all->t, i);
        if (strcmp(d->name, fields[0]) != 0 || !sql_is_indexed(all->t, i))
            continue;
        sql_name(&all->changes, all->t->dialect, all->changes.len ? ",MODIFY " : " MODIFY ", d->name);
        sql_add(&all->changes, " %s NOT NULL", all->t->dialect->key_types[d->type]);
    }
}

static int migrated(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct mk_value name = mk_v_text(t->name);
    struct sql_arg arg = { &name, MK_C_TEXT };
    struct columns all = { e, t, { 0 } };
    int rc = e->ask(conn,
                    "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name=? "
                    "AND data_type IN('text','longtext','longblob')",
                    &(struct sql_query){ .args = &arg, .count = 1 }, look_at_column, &all);
    if (!rc && all.changes.len) {
        struct sql_text s = { 0 };
        sql_name(&s, t->dialect, "ALTER TABLE ", t->name);
        sql_add(&s, "%s", all.changes.s);
        rc = e->run(conn, s.s, NULL);
        sql_free(&s);
    }
    sql_free(&all.changes);
    return rc;
}

static void seen(void *arg, const char *const *fields) {
    (void)fields;
    *(bool *)arg = true;
}

/* One whose definition was interrupted has no rows: nobody used it yet. */
static int leftover(const struct sql_engine *e, void *conn, const struct sql_table *t) {
    struct mk_value name = mk_v_text(t->name);
    struct sql_arg arg = { &name, MK_C_TEXT };
    struct sql_query q = { .args = &arg, .count = 1 };
    struct sql_text s = { 0 };
    bool there = false, used = false;
    int rc = e->ask(conn,
                    "SELECT 1 FROM information_schema.tables WHERE table_schema=DATABASE() AND table_name=? AND "
                    "table_comment='meerkat'",
                    &q, seen, &there);
    if (rc || !there)
        return rc;
    sql_name(&s, t->dialect, "SELECT 1 FROM ", t->name);
    sql_add(&s, " LIMIT 1");
    rc = e->ask(conn, s.s, NULL, seen, &used);
    sql_clear(&s);
    sql_name(&s, t->dialect, "DROP TABLE ", t->name);
    if (!rc && !used)
        rc = e->run(conn, s.s, NULL);
    sql_free(&s);
    return rc;
}

/* ---- failures --------------------------------------------------------------------------------------------------- */

enum { /* the database's numbers */
       FIRST_OF_CLIENT = 2000,
       LAST_OF_CLIENT = 2999,
       IN_DEADLOCK = 1213,
       LOCK_TIMEOUT = 1205,
       ROW_CHANGED = 1020,
       STATEMENT_CHANGED = 1615,
       SERVER_ENDS = 1053,
       SESSION_KILLED = 1927,
       SESSION_ABORTED = 1152,
       PACKET_TOO_LARGE = 1153, /* it does not read on */
       DUPLICATE_KEY = 1062,
       READ_ONLY_SERVER = 1290, /* it is a copy of another now: the next connection may find another */
       READ_ONLY_TRANSACTION = 1792,
       ROW_TOO_LARGE = 1118,
       WRONG_VALUE = 1366
};

static enum pool_code judge(struct pool_conn *c, int64_t number, const char *state) {
    switch (number) {
    case IN_DEADLOCK:
    case LOCK_TIMEOUT:
    case ROW_CHANGED:
    case STATEMENT_CHANGED:
        return POOL_PASSING;
    case SERVER_ENDS:
    case SESSION_KILLED:
    case SESSION_ABORTED:
    case PACKET_TOO_LARGE:
        c->lost = true;
        return POOL_LOST;
    case DUPLICATE_KEY:
        return POOL_DUPLICATE;
    case READ_ONLY_SERVER:
    case READ_ONLY_TRANSACTION:
        c->lost = true;
        return POOL_FAILED;
    case ROW_TOO_LARGE:
    case WRONG_VALUE:
        return POOL_REFUSED;
    }
    if (number >= FIRST_OF_CLIENT && number <= LAST_OF_CLIENT) {
        c->lost = true;
        return POOL_LOST;
    }
    return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ? POOL_REFUSED : POOL_FAILED;
}

/* ---- sessions --------------------------------------------------------------------------------------------------- */

/* "10.11.6-MariaDB-log", "8.0.36". */
static bool is_new_enough(struct pool_conn *c) {
    bool mariadb = c->pool->product->dialect == &mariadb_dialect;
    const int oldest[] = { mariadb ? 10 : 8, mariadb ? 3 : 0, mariadb ? 0 : 17 };
    struct sql_text version = { 0 };
    int have[3] = { 0, 0, 0 };
    bool good = pool_query(c, "SELECT VERSION()", NULL, 0, &version) == POOL_OK;
    if (good && (!version.s || sscanf(version.s, "%d.%d.%d", &have[0], &have[1], &have[2]) != 3))
        have[0] = 0;
    sql_free(&version);
    for (int i = 0; good && i < 3 && have[i] <= oldest[i]; i++)
        if (have[i] < oldest[i]) {
            pool_say(c, "it is older than %s", mariadb ? "MariaDB 10.3" : "MySQL 8.0.17");
            good = false;
        }
    return good;
}

/* Of what is sent and received; a driver's data source may say another. */
static bool has_all_letters(struct pool_conn *c) {
    struct sql_text charset = { 0 };
    bool good = pool_query(c, "SELECT @@character_set_connection", NULL, 0, &charset) == POOL_OK;
    if (good && (!charset.s || strcmp(charset.s, "utf8mb4") != 0)) {
        pool_say(c, "the connection's character set is not utf8mb4");
        good = false;
    }
    sql_free(&charset);
    return good;
}

/* A lock is waited for not quite as long as an answer, so that it is the statement that fails. */
static bool set_up(struct pool_conn *c) {
    static const char *const texts[] = {
        "SET SESSION sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',time_zone='+00:00',"
        "autocommit=1",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    };
    int64_t seconds = c->pool->inst->query_timeout / 1000, lock = seconds > 1 ? seconds - 1 : 1;
    struct sql_text s = { 0 };
    if (!is_new_enough(c) || !has_all_letters(c) || !pool_run_all(c, texts, sizeof texts / sizeof texts[0]))
        return false;
    sql_add(&s, "SET SESSION wait_timeout=%" PRId64 ",innodb_lock_wait_timeout=%" PRId64 ",lock_wait_timeout=%" PRId64,
            60 + 3 * seconds, lock, c->main ? TURN_S : lock);
    bool good = c->pool->driver->text(c, s.s) == POOL_OK;
    sql_free(&s);
    return good;
}

static bool choose(struct pool_conn *c, const char *place) {
    struct sql_text use = { 0 }, make = { 0 };
    sql_add(&use, "USE ");
    pool_quote(&use, '`', place);
    sql_add(&make, "CREATE DATABASE ");
    pool_quote(&make, '`', place);
    sql_add(&make, " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    bool good = c->pool->driver->text(c, use.s) == POOL_OK;
    if (!good && !c->lost && c->main && c->pool->inst->create) {
        c->pool->driver->text(c, make.s); /* another server may have been faster */
        good = !c->lost && c->pool->driver->text(c, use.s) == POOL_OK;
    }
    sql_free(&use);
    sql_free(&make);
    return good;
}

#define TURN "CONCAT('meerkat ',MD5(DATABASE()))"

static enum pool_code ask_lock(struct pool_conn *c, const char *text, const char *const *values, unsigned count,
                               const char *why_not) {
    struct sql_text answer = { 0 };
    enum pool_code code = pool_query(c, text, values, count, &answer);
    if (code == POOL_OK && (!answer.s || strcmp(answer.s, "1") != 0)) {
        pool_say(c, "%s", why_not);
        code = POOL_FAILED;
    }
    sql_free(&answer);
    return code;
}

static enum pool_code lock(struct pool_conn *c) {
    return ask_lock(c, "SELECT GET_LOCK(" TURN ",600)", NULL, 0, "another server defines its tables, and does not end");
}

static enum pool_code unlock(struct pool_conn *c) {
    return c->pool->driver->text(c, "DO RELEASE_LOCK(" TURN ")");
}

/* A session's name is a lock that it holds. */
static bool take_name(struct pool_conn *c) {
    const char *name = c->name;
    struct sql_text id = { 0 }, kill = { 0 };
    char seconds[24];
    bool good = pool_query(c, "SELECT IS_USED_LOCK(?)", &name, 1, &id) == POOL_OK;
    if (good && id.len) {
        sql_add(&kill, "KILL CONNECTION %" PRIu64, (uint64_t)strtoull(id.s, NULL, 10));
        c->pool->driver->text(c, kill.s); /* it may be over by now */
        sql_free(&kill);
    }
    sql_free(&id);
    snprintf(seconds, sizeof seconds, "%" PRId64, 1 + c->pool->inst->query_timeout / 2000);
    return good && !c->lost &&
           ask_lock(c, "SELECT GET_LOCK(?,?)", (const char *[]){ name, seconds }, 2, "its old session does not end") ==
               POOL_OK;
}

#define PRODUCT(name)                                                                                                  \
    {                                                                                                                  \
        .dialect = &name##_dialect, .begin = "BEGIN", .judge = judge, .choose = choose,                                \
        .schema_table = "CREATE TABLE IF NOT EXISTS meerkat_schema(name VARBINARY(64) NOT NULL PRIMARY KEY,version "   \
                        "BIGINT NOT NULL,cols TEXT CHARACTER SET utf8mb4 NOT NULL)ENGINE=InnoDB",                      \
        .commits_table = "CREATE TABLE IF NOT EXISTS meerkat_commits(server VARBINARY(16) NOT NULL,conn BIGINT NOT "   \
                         "NULL,number BIGINT NOT NULL,at BIGINT NOT NULL,PRIMARY KEY(server,conn))ENGINE=InnoDB",      \
        .lock = lock, .unlock = unlock, .set_up = set_up, .take_name = take_name, .want_parts = want_parts,            \
        .parts = parts, .how = &how, .migrated = migrated, .leftover = leftover,                                       \
    }
const struct pool_product pool_mariadb = PRODUCT(mariadb);
const struct pool_product pool_mysql = PRODUCT(mysql);
