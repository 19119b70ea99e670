/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL writes in its own way: types, and indexes for searching. */
#include "dialects.h"
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
#define TYPES(time)                                                                                                    \
    { TEXT, "bytea", "bigint", time, "boolean", TEXT }
#define DIALECT(numbered_marks, time, epoch)                                                                           \
    {                                                                                                                  \
        .quote = '"', .dollars = numbered_marks, .row_values = true, .partial = true, .upsert = SQL_ON_CONFLICT,       \
        .limit = SQL_LIMIT, .types = TYPES(time), .key_types = TYPES(time),                                            \
        .defaults = { "''", "''", "0", epoch, "false", "''" }, .create_end = "", .keyed_end = "",                      \
        .add_column = "ADD COLUMN IF NOT EXISTS", .insert_lock = " FOR UPDATE", .row_id = "ctid",                      \
        .sweep_lock = " FOR UPDATE SKIP LOCKED", .name_max = 63, .search = search,                                     \
    }
const struct sql_dialect sql_pgsql = DIALECT(true, "timestamptz", "'epoch'");
const struct sql_dialect sql_pgsql_odbc = DIALECT(false, "bigint", "0");

/* ---- indexes ---------------------------------------------------------------------------------------------------- */

static void add_mark(struct sql_text *s, const struct sql_part *part, const char *mark) {
    sql_add(s, "COMMENT ON INDEX \"%s\" IS '%s'", part->name.s, mark);
}

static void add_drop(struct sql_text *s, const struct sql_table *t, const char *name) {
    sql_name(s, t->dialect, "DROP INDEX ", name);
}

#define HOW(mark_of_name)                                                                                              \
    {                                                                                                                  \
        .list =                                                                                                        \
            "SELECT c.relname,obj_description(c.oid,'pg_class') FROM pg_index i JOIN pg_class c ON "                   \
            "c.oid=i.indexrelid WHERE i.indrelid=to_regclass(quote_ident(" mark_of_name ")) AND NOT i.indisprimary",   \
        .mark = add_mark, .drop = add_drop,                                                                            \
    }
const struct sql_parts_how sql_pgsql_how = HOW("$1");
const struct sql_parts_how sql_pgsql_odbc_how = HOW("?");

void sql_pgsql_want(struct sql_parts *wanted, const struct sql_table *t) {
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
