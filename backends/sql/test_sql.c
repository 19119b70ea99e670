/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of statements in three dialects, with as many values as placeholders; and the cache. */
#include "check.h"
#include "sql.h"
#include <stdarg.h>
#include <string.h>

static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_TEXT, MK_COL_SORT, "" },
    { "at", MK_C_TIME, MK_COL_SORT, "" },
    { "number", MK_C_INT, MK_COL_NULL, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
enum { OWNER, ID, AT, NUMBER, UNTIL };
static const struct mk_index_decl indexes[] = { { "by_number", "owner", "number" } };
static const struct mk_coll_decl decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };

/* ---- a collection without a server ---------------------------------------------------------------------------------- */

const struct mk_coll_decl *mk_coll_decl(const struct mk_coll *coll) {
    (void)coll;
    return &decl;
}
unsigned mk_coll_col_count(const struct mk_coll *coll) {
    (void)coll;
    return decl.cols.count;
}
const struct mk_col_decl *mk_coll_col(const struct mk_coll *coll, unsigned i) {
    (void)coll;
    return &cols[i];
}
unsigned mk_coll_index_count(const struct mk_coll *coll) {
    (void)coll;
    return decl.indexes.count;
}
struct mk_coll_key mk_coll_key(const struct mk_coll *coll, unsigned index) {
    static const uint32_t own[] = { OWNER, ID, AT }, other[] = { OWNER, NUMBER };
    (void)coll;
    return index ? (struct mk_coll_key){ other, 1, 1 } : (struct mk_coll_key){ own, 1, 2 };
}

/* ---- dialects ------------------------------------------------------------------------------------------------------- */

#define TYPES                                                                                                          \
    { "TEXT", "BLOB", "INT", "TIME", "BOOL", "TEXT" }
#define COMMON                                                                                                         \
    .types = TYPES, .key_types = TYPES, .defaults = { "''", "''", "0", "0", "0", "''" }, .create_end = "",             \
    .keyed_end = "", .add_column = "ADD", .insert_lock = " FOR UPDATE", .sweep_lock = ""
static const struct sql_dialect dollars = { COMMON,          .quote = '"',    .dollars = true, .row_values = true,
                                            .partial = true, .row_id = "ctid" };
static const struct sql_dialect ticks = { COMMON,
                                          .quote = '`',
                                          .delete_limit = true,
                                          .upsert = SQL_ON_DUPLICATE,
                                          .index_bytes = 3072,
                                          .widths = { 1024, 0, 8, 8, 1, 3071 },
                                          .name_max = 20 };
static void part_hash(struct sql_text *s, const struct sql_table *hashed, bool marks) {
    sql_add(s, marks ? "HASH(" : "HASH(`owner`)");
    if (marks)
        sql_mark(s, hashed->dialect);
    sql_add(s, marks ? ")" : "");
}
static const struct sql_dialect parted = { COMMON,
                                           .quote = '`',
                                           .upsert = SQL_ON_DUPLICATE,
                                           .index_bytes = 3072,
                                           .widths = { 1024, 0, 8, 8, 1, 3071 },
                                           .part_hash = part_hash,
                                           .part_bytes = 20 };
static const struct sql_dialect plain = { COMMON, .quote = '"', .upsert = SQL_NO_UPSERT, .limit = SQL_FETCH };

static struct sql_query q;
static struct sql_table *t;
static struct mk_value row[5];
static struct mk_change x;

static void use(const struct sql_dialect *d) {
    if (t)
        sql_table_free(t);
    t = sql_table_new(d, NULL);
    sql_query_free(&q);
    row[OWNER] = mk_v_view((struct mk_view){ "o", 1 });
    row[ID] = mk_v_view((struct mk_view){ "i", 1 });
    row[AT] = mk_v_time(3);
    row[NUMBER] = mk_v_int(4);
    row[UNTIL] = mk_v_null();
    x = (struct mk_change){ .kind = MK_X_PUT, .values = row, .col = NUMBER, .old = mk_v_int(1), .by = 2 };
}

/* WANT, and a value for each of its placeholders. */
static void said(const char *want) {
    unsigned marks = 0;
    CHECK_TEXT(q.text, want);
    for (const char *at = want; *at; at++)
        marks += *at == '?' || *at == '$';
    CHECK_INT(q.count, marks);
}

static void scan(uint32_t kind, struct mk_scan s) {
    CHECK(sql_scan(&q, t, &(struct mk_read){ .kind = kind, .scan = &s, .now = 9 }));
}

static struct sql_text printed;

void mk_schema_add(struct mk_schema *out, const char *fmt, ...) {
    char text[1024];
    va_list args;
    (void)out;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sql_add(&printed, "%s", text);
}

/* ---- tests ---------------------------------------------------------------------------------------------------------- */

static void reads(void) {
    use(&dollars);
    sql_get(&q, t, row, 9);
    said("SELECT \"owner\",\"id\",\"at\",\"number\",\"until\" FROM \"things\" WHERE \"owner\"=$1 AND \"id\"=$2 AND "
         "\"at\"=$3 "
         "AND (\"until\" IS NULL OR \"until\">$4)");
    CHECK_INT(q.args[3].v->u.i, 9);
    CHECK_INT(q.args[3].type, MK_C_TIME);
}

static void scans_with_bounds(void) {
    struct mk_filter filters[] = { { NUMBER, 0, mk_v_null() }, { NUMBER, 0, mk_v_int(1) } };
    use(&dollars);
    scan(MK_R_COUNT, (struct mk_scan){ .partition = row,
                                       .lo = row + ID,
                                       .lo_count = 2,
                                       .hi = row + ID,
                                       .hi_count = 1,
                                       .flags = MK_SCAN_LO_OPEN,
                                       .filters = filters,
                                       .filter_count = 2,
                                       .limit = 7 });
    said("SELECT count(*) FROM (SELECT 1 AS n FROM \"things\" WHERE \"owner\"=$1 AND (\"id\",\"at\")>($2,$3) AND "
         "\"id\"<=$4 AND \"number\" IS NULL AND \"number\"=$5 AND (\"until\" IS NULL OR \"until\">$6) LIMIT $7) AS "
         "found");
    CHECK_INT(q.args[6].v->u.i, 7);
    use(&plain);
    scan(MK_R_SCAN, (struct mk_scan){ .partition = row, .lo = row + ID, .lo_count = 2, .limit = 7 });
    said("SELECT \"owner\",\"id\",\"at\",\"number\",\"until\" FROM \"things\" WHERE \"owner\"=? AND \"id\">=? AND "
         "(\"id\">? OR "
         "(\"id\"=? AND \"at\">=?)) AND (\"until\" IS NULL OR \"until\">?) ORDER BY \"id\",\"at\" OFFSET 0 ROWS FETCH "
         "NEXT ? "
         "ROWS ONLY");
    scan(MK_R_SCAN, (struct mk_scan){ .index = 1, .partition = row, .flags = MK_SCAN_REVERSE });
    said("SELECT \"owner\",\"id\",\"at\",\"number\",\"until\" FROM \"things\" WHERE \"owner\"=? AND (\"until\" IS NULL "
         "OR "
         "\"until\">?) ORDER BY \"number\" DESC,\"id\" DESC,\"at\" DESC");
}

static void reads_all(void) {
    use(&dollars);
    sql_all(&q, t, &(struct mk_read){ .kind = MK_R_COUNT_ALL, .now = 9 });
    said("SELECT count(*) FROM \"things\" WHERE 1=1 AND (\"until\" IS NULL OR \"until\">$1)");
    sql_all(&q, t, &(struct mk_read){ .kind = MK_R_ALL, .limit = 5, .now = 9 });
    said("SELECT \"owner\",\"id\",\"at\",\"number\",\"until\" FROM \"things\" WHERE 1=1 AND (\"until\" IS NULL OR "
         "\"until\">$1) ORDER BY \"owner\",\"id\",\"at\" LIMIT $2");
    sql_all(&q, t, &(struct mk_read){ .kind = MK_R_ALL, .limit = 5, .now = 9, .after = row });
    said("SELECT \"owner\",\"id\",\"at\",\"number\",\"until\" FROM \"things\" WHERE 1=1 AND "
         "(\"owner\",\"id\",\"at\")>($1,$2,$3) AND (\"until\" IS NULL OR \"until\">$4) ORDER BY "
         "\"owner\",\"id\",\"at\" LIMIT $5");
    CHECK_INT(q.args[2].v->u.i, 3);
    CHECK_INT(q.args[4].v->u.i, 5);
}

static void finds_partitions_by_their_hash(void) {
    use(&parted);
    CHECK(t->parted);
    sql_get(&q, t, row, 9);
    said("SELECT `owner`,`id`,`at`,`number`,`until` FROM `things` WHERE `owner`=? AND `id`=? AND `at`=? AND "
         "`_part`=HASH(?) AND (`until` IS NULL OR `until`>?)");
    CHECK_INT(q.count, 5);
    CHECK(q.args[3].v == &row[OWNER]);
    scan(MK_R_SCAN, (struct mk_scan){ .partition = row, .lo = row + ID, .lo_count = 1, .limit = 7 });
    said("SELECT `owner`,`id`,`at`,`number`,`until` FROM `things` WHERE `owner`=? AND `_part`=HASH(?) AND `id`>=? AND "
         "(`until` IS NULL OR `until`>?) ORDER BY `id`,`at` LIMIT ?");
    sql_all(&q, t, &(struct mk_read){ .kind = MK_R_ALL, .limit = 5, .now = 9, .after = row });
    said("SELECT `owner`,`id`,`at`,`number`,`until` FROM `things` WHERE 1=1 AND `_part`>=HASH(?) AND (`_part`<>HASH(?) "
         "OR (1=1 AND `id`>=? AND (`id`>? OR (`id`=? AND `at`>?)))) AND (`until` IS NULL OR `until`>?) ORDER BY "
         "`_part`,`id`,`at` LIMIT ?");
    CHECK(q.args[1].v == &row[OWNER] && q.args[2].v == &row[ID]);
    sql_put_if(&q, t, &x, 9);
    CHECK(strstr(q.text, " AND `at`=? AND `_part`=HASH(?) AND ") != NULL);
}

static void add_mark(struct sql_text *s, const struct sql_part *part, const char *mark) {
    sql_add(s, "COMMENT ON %s IS '%s'", part->name.s, mark);
}
static void prints_the_schema(void) {
    static const struct sql_parts_how how = { .mark = add_mark };
    use(&dollars);
    const struct sql_engine engine = { .dialect = &dollars, .schema_table = "CREATE TABLE meerkat_schema(name)" };
    struct sql_parts parts = { .count = 0 };
    sql_parts_indexes(&parts, t);
    sql_print(&engine, t, &parts, &how, NULL);
    sql_parts_free(&parts);
    CHECK(strstr(printed.s, "CREATE TABLE meerkat_schema(name);\nCREATE TABLE \"things\"(") == printed.s);
    CHECK(strstr(printed.s, "\nCOMMENT ON things___ttl IS 'meerkat ") != NULL);
    CHECK(strstr(printed.s,
                 ";\nINSERT INTO meerkat_schema(name,version,cols)VALUES('things',1,'owner jid partition\n") != NULL);
    sql_free(&printed);
}

static void puts_rows(void) {
    use(&dollars);
    sql_put(&q, t, &x, 9);
    said("INSERT INTO \"things\"(\"owner\",\"id\",\"at\",\"number\",\"until\")VALUES($1,$2,$3,$4,$5)ON "
         "CONFLICT(\"owner\",\"id\",\"at\")DO UPDATE SET \"number\"=excluded.\"number\",\"until\"=excluded.\"until\"");
    x.mode = MK_IF_ABSENT;
    sql_put(&q, t, &x, 9);
    said("INSERT INTO \"things\"(\"owner\",\"id\",\"at\",\"number\",\"until\")VALUES($1,$2,$3,$4,$5)ON "
         "CONFLICT(\"owner\",\"id\",\"at\")DO UPDATE SET \"number\"=excluded.\"number\",\"until\"=excluded.\"until\" "
         "WHERE "
         "\"things\".\"until\"<=$6");
    use(&ticks);
    x.mode = MK_IF_ABSENT;
    sql_put(&q, t, &x, 9);
    said("INSERT INTO `things`(`owner`,`id`,`at`,`number`,`until`)VALUES(?,?,?,?,?)ON DUPLICATE KEY UPDATE "
         "`number`=IF(`until`<=?,VALUES(`number`),`number`),`until`=IF(`until`<=?,VALUES(`until`),`until`)");
    struct mk_change *both[] = { &x, &x };
    sql_put_rows(&q, t, both, 2);
    said("INSERT INTO `things`(`owner`,`id`,`at`,`number`,`until`)VALUES(?,?,?,?,?),(?,?,?,?,?)ON DUPLICATE KEY UPDATE "
         "`number`=VALUES(`number`),`until`=VALUES(`until`)");
    use(&plain);
    sql_update(&q, t, &x);
    said("UPDATE \"things\" SET \"number\"=?,\"until\"=? WHERE \"owner\"=? AND \"id\"=? AND \"at\"=?");
    CHECK(q.args[4].v == &row[AT]);
    sql_insert(&q, t, &x);
    said("INSERT INTO \"things\"(\"owner\",\"id\",\"at\",\"number\",\"until\")VALUES(?,?,?,?,?)");
    sql_del_old(&q, t, &x, 9);
    said("DELETE FROM \"things\" WHERE \"owner\"=? AND \"id\"=? AND \"at\"=? AND \"until\"<=?");
}

static void changes_rows(void) {
    use(&dollars);
    x.kind = MK_X_PUT_IF;
    sql_put_if(&q, t, &x, 9);
    said("UPDATE \"things\" SET \"number\"=$1,\"until\"=$2 WHERE \"owner\"=$3 AND \"id\"=$4 AND \"at\"=$5 AND "
         "\"number\"=$6 AND "
         "(\"until\" IS NULL OR \"until\">$7)");
    x.kind = MK_X_ADD;
    sql_add_number(&q, t, &x, 9);
    said(
        "UPDATE \"things\" SET \"number\"=COALESCE(\"number\",0)+$1 WHERE \"owner\"=$2 AND \"id\"=$3 AND \"at\"=$4 AND "
        "COALESCE(\"number\",0)<=$5 AND (\"until\" IS NULL OR \"until\">$6) RETURNING \"number\"");
    CHECK_INT(q.args[4].v->u.i, INT64_MAX - 2);
    x.by = INT64_MIN;
    sql_add_number(&q, t, &x, 9);
    CHECK_INT(q.args[4].v->u.i, 0);
    sql_add_read(&q, t, &x, 9);
    said("SELECT COALESCE(\"number\",0) FROM \"things\" WHERE \"owner\"=$1 AND \"id\"=$2 AND \"at\"=$3 AND (\"until\" "
         "IS NULL OR "
         "\"until\">$4) FOR UPDATE");
    x.number = 77;
    sql_add_write(&q, t, &x);
    said("UPDATE \"things\" SET \"number\"=$1 WHERE \"owner\"=$2 AND \"id\"=$3 AND \"at\"=$4");
    CHECK_INT(q.args[0].v->u.i, 77);
    sql_del_range(&q, t,
                  &(struct mk_scan){ .partition = row, .hi = row + ID, .hi_count = 1, .flags = MK_SCAN_HI_OPEN });
    said("DELETE FROM \"things\" WHERE \"owner\"=$1 AND \"id\"<$2");
}

static void sweeps(void) {
    use(&dollars);
    CHECK(sql_sweep(&q, t, 9));
    said("DELETE FROM \"things\" WHERE (ctid) IN (SELECT ctid FROM \"things\" WHERE \"until\"<=$1 LIMIT 200)");
    use(&ticks);
    CHECK(sql_sweep(&q, t, 9));
    said("DELETE FROM `things` WHERE `until`<=? LIMIT 200");
}

static void makes_tables(void) {
    struct sql_text s = { 0 };
    struct sql_parts p = { .count = 0 };
    use(&ticks);
    sql_create(&s, t, "");
    CHECK_TEXT(s.s,
               "CREATE TABLE `things`(`owner` TEXT NOT NULL,`id` TEXT NOT NULL,`at` TIME NOT NULL,`number` INT,`until` "
               "TIME,PRIMARY KEY(`owner`,`id`,`at`))");
    CHECK(t->wide);
    sql_parts_indexes(&p, t);
    CHECK_INT(p.count, 2);
    CHECK_TEXT(p.items[0].name.s, "things___ttl");
    CHECK_TEXT(p.items[0].sql.s, "CREATE INDEX `things___ttl` ON `things`(`until`)");
    CHECK_TEXT(p.items[1].sql.s, "CREATE INDEX `things__by_number` ON `things`(`owner`(2032),`number`,`id`,`at`)");
    struct sql_part *part = sql_part_add(&p, t, "a_name_that_is_too_long");
    CHECK_INT(strlen(part->name.s), 20);
    CHECK(strncmp(part->name.s, "things__a_n_", 12) == 0);
    sql_parts_free(&p);
    sql_free(&s);
}

static void finds_words(void) {
    struct sql_text s = { 0 };
    CHECK(sql_words(&s, " it's \"caf\xc3\xa9\"*1 ", "<", ">"));
    CHECK_TEXT(s.s, "<it><s><caf\xc3\xa9><1>");
    CHECK(!sql_words(&s, " ?! ", "<", ">"));
    sql_free(&s);
}

static unsigned freed;
static bool free_handle(void *conn, void *handle) {
    freed++;
    return conn != handle;
}

static void forgets_the_oldest_statement(void) {
    struct sql_cache cache = { .count = 0 };
    char text[32];
    for (uintptr_t i = 1; i <= SQL_CACHE_MAX; i++) {
        snprintf(text, sizeof text, "text %u", (unsigned)i);
        sql_cache_find(&cache, text, free_handle, (void *)1)->handle = (void *)i;
    }
    CHECK(sql_cache_find(&cache, "text 2", free_handle, (void *)1)->handle == (void *)2);
    CHECK_INT(freed, 0);
    CHECK(!sql_cache_find(&cache, "new", free_handle, (void *)1)->handle);
    CHECK_INT(freed, 2); /* the first is in use, the second was just used, the third goes */
    CHECK(sql_cache_find(&cache, "text 1", free_handle, (void *)1)->handle == (void *)1);
    CHECK(sql_cache_find(&cache, "text 2", free_handle, (void *)1)->handle == (void *)2);
    CHECK_INT(cache.count, SQL_CACHE_MAX);
    sql_cache_clear(&cache, free_handle, NULL);
    CHECK_INT(cache.count, 0);
}

int main(void) {
    int failed = CHECK_RUN(T(reads), T(scans_with_bounds), T(reads_all), T(finds_partitions_by_their_hash),
                           T(prints_the_schema), T(puts_rows), T(changes_rows), T(sweeps), T(makes_tables),
                           T(finds_words), T(forgets_the_oldest_statement));
    sql_query_free(&q);
    sql_table_free(t);
    return failed;
}
