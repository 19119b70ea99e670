/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL writes in its own way, and what sql_define() needs of it. */
#include "pgsql.h"
#include <string.h>

/* ---- searching ------------------------------------------------------------------------------------------------ */

/* Parameters and columns have one hash, so that both sides make the same word of a partition. */
static void add_hash(struct sql_text *s, uint32_t number, uint32_t type) {
    sql_add(s, "%s'p%u'||to_hex(%s(", number ? "||' '||" : "", number,
            type == MK_C_INT ? "hashint8extended" : "hashtextextended");
}

static bool is_hashed(uint32_t type) {
    return type == MK_C_INT || type == MK_C_TEXT || type == MK_C_JID;
}

/*
 * What the index holds of a row: its words, and the partition as further ones, without which a search would look through
 * everybody's rows.  ASCII's punctuation becomes spaces, or the parser would make hosts, files, and addresses of words.
 */
static void add_document(struct sql_text *s, const struct sql_table *t, unsigned col) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    sql_add(s, "to_tsvector('simple'::regconfig,");
    for (uint32_t i = 0; i < key.partition; i++) {
        const struct mk_col_decl *d = sql_col(t, key.cols[i]);
        if (!is_hashed(d->type))
            continue;
        add_hash(s, i, d->type);
        sql_add(s, "\"%s\",0::bigint))||' '||", d->name);
    }
    sql_add(s, "translate(left(\"%s\",100000),%s,repeat(' ',32)))", sql_col(t, col)->name,
            "'!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'");
}

static bool search(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    bool any = sql_words(&q->words, scan->search, "", " ");
    for (uint32_t i = 0; scan->index == 0 && i < key.partition; i++) {
        const struct mk_col_decl *d = sql_col(t, key.cols[i]);
        if (!is_hashed(d->type))
            continue;
        sql_add(&q->buf, " AND ");
        add_document(&q->buf, t, scan->search_col);
        sql_add(&q->buf, "@@plainto_tsquery('simple',");
        add_hash(&q->buf, 0, d->type);
        sql_bind(q, t, d->type, &scan->partition[i]);
        sql_add(&q->buf, ",0)))");
    }
    sql_add(&q->buf, " AND ");
    add_document(&q->buf, t, scan->search_col);
    sql_add(&q->buf, "@@plainto_tsquery('simple',");
    sql_bind(q, t, MK_C_TEXT, sql_own(q, mk_v_view((struct mk_view){ q->words.s ? q->words.s : "", q->words.len })));
    sql_add(&q->buf, ")");
    return any;
}

#define TEXT "text COLLATE \"C\""
#define TYPES                                                                                                          \
    { TEXT, "bytea", "bigint", "timestamptz", "boolean", TEXT }
const struct sql_dialect pgsql_dialect = {
    .quote = '"',
    .dollars = true,
    .row_values = true,
    .partial = true,
    .upsert = SQL_ON_CONFLICT,
    .limit = SQL_LIMIT,
    .types = TYPES,
    .key_types = TYPES,
    .defaults = { "''", "''", "0", "'epoch'", "false", "''" },
    .create_end = "",
    .keyed_end = "",
    .add_column = "ADD COLUMN IF NOT EXISTS",
    .insert_lock = " FOR UPDATE",
    .row_id = "ctid",
    .sweep_lock = " FOR UPDATE SKIP LOCKED",
    .name_max = 63,
    .search = search,
};

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
    return run(pg, "SELECT pg_advisory_xact_lock(hashtextextended('meerkat '||coalesce(current_schema(),''),0))", NULL);
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

static void add_mark(struct sql_text *s, const struct sql_part *part, const char *mark) {
    sql_add(s, "COMMENT ON INDEX \"%s\" IS '%s'", part->name.s, mark);
}

static void add_drop(struct sql_text *s, const struct sql_table *t, const char *name) {
    (void)t;
    sql_name(s, &pgsql_dialect, "DROP INDEX ", name);
}

static int parts(void *pg, const struct sql_table *t);

static const struct sql_engine engine = {
    .dialect = &pgsql_dialect,
    .run = run,
    .ask = ask,
    .error = error,
    .begin = begin,
    .end = end,
    .parts = parts,
    .schema_table = "CREATE TABLE IF NOT EXISTS meerkat_schema(name text PRIMARY KEY,version bigint NOT NULL,cols text "
                    "NOT NULL)",
};

static const struct sql_parts_how how = {
    .list = "SELECT c.relname,obj_description(c.oid,'pg_class') FROM pg_index i JOIN pg_class c ON "
            "c.oid=i.indexrelid WHERE i.indrelid=to_regclass(quote_ident($1)) AND NOT i.indisprimary",
    .mark = add_mark,
    .drop = add_drop,
};

static void want_parts(struct sql_parts *wanted, const struct sql_table *t) {
    sql_parts_indexes(wanted, t);
    for (unsigned i = 0; i < t->col_count; i++) {
        if (!(sql_col(t, i)->flags & MK_COL_TEXT_SEARCH))
            continue;
        char suffix[80] = "_search_";
        strncat(suffix, sql_col(t, i)->name, sizeof suffix - sizeof "_search_");
        struct sql_part *part = sql_part_add(wanted, t, suffix);
        sql_add(&part->sql, "CREATE INDEX \"%s\" ON \"%s\" USING gin(", part->name.s, t->name);
        add_document(&part->sql, t, i);
        sql_add(&part->sql, ")");
    }
}

static int parts(void *pg, const struct sql_table *t) {
    struct sql_parts wanted = { .count = 0 };
    want_parts(&wanted, t);
    int rc = sql_parts_sync(&engine, pg, t, &wanted, &how);
    sql_parts_free(&wanted);
    return rc;
}

void pgsql_print(const struct mk_coll *coll, struct mk_schema *out) {
    struct sql_table *t = sql_table_new(&pgsql_dialect, coll);
    struct sql_parts wanted = { .count = 0 };
    want_parts(&wanted, t);
    sql_print(&engine, t, &wanted, &how, out);
    sql_parts_free(&wanted);
    sql_table_free(t);
}

int pgsql_define(struct pg *p, const struct sql_table *t, bool create, struct mk_err *err) {
    return sql_define(&engine, p, t, create, err);
}

/*
 * meerkat_commits tells, after a connection was lost, whether its last transaction happened: each writes its number
 * there.  Rows of servers that ended long ago are of no use.
 */
static const char commits_table[] = "CREATE TABLE IF NOT EXISTS meerkat_commits(server text,conn bigint,number bigint "
                                    "NOT NULL,at timestamptz NOT NULL,PRIMARY KEY(server,conn))";
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
