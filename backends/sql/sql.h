/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What backends over SQL share: a static library inside each of them, no plugin.
 *
 *   sql_table    a collection as a table, made once by sql_table_new() from the declaration and a dialect
 *   sql_dialect  what the engine writes differently, a const table of the backend
 *   sql_query    one statement: its text, and its values in the order of the placeholders
 *   sql_define() makes or migrates a table over a few calls of the backend (struct sql_engine)
 *   sql_cache    prepared statements of one connection, found by their text
 *   sql_jobs     a queue from the workers to a backend's threads (jobs.h)
 *   pool         connections that block, and a whole backend over them (pool.h)
 *
 * How to write a backend: fill a dialect; define() is sql_table_new(), sql_define(), mk_coll_set_data(); a read or a
 * change builds its query with the function of its name below, prepares query->text through the cache, binds
 * query->args one after the other, runs it, and reads the result as the function's comment says.
 *
 * Texts are built of declared names alone, which are snake case, and quoted; values are always bound.  The same
 * operation gives the same text but for which bounds are there, and which filters are null, so that the number of
 * texts is small.  Rows come back with all columns in the order of the declaration.
 *
 * Comparison.  Texts and JIDs compare by their octets.  The dialect's column types must see to it (COLLATE "C", VARBINARY,
 * a binary collation that pads nothing).  A value is compared to null by IS NULL, never by a bound null.
 *
 * Time.  Rows whose TTL column has passed NOW are hidden from every statement but del_range, and are written over.
 *
 * Keys may be long: a text of 1 KiB, a JID of 3 KiB, and several of them.  With dialect.index_bytes, columns of an index
 * that could be longer together are cut to prefixes, and the table's key is made by dialect.key (a hash, say).
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#ifndef MK_ABI_NEED
#define MK_ABI_NEED 0
#endif
#include <meerkat/backend.h>

/* ---- text ----------------------------------------------------------------------------------------------------- */

struct sql_text {
    char *s;
    size_t len, cap;
    unsigned marks; /* placeholders so far */
};
void sql_add(struct sql_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sql_clear(struct sql_text *t); /* keeps the memory */
void sql_free(struct sql_text *t);
void *sql_must(void *memory); /* MEMORY, or the end of the process */

/* ---- dialects --------------------------------------------------------------------------------------------------- */

struct sql_table;
struct sql_query;

enum sql_upsert {
    SQL_ON_CONFLICT,  /* INSERT ... ON CONFLICT(key) DO UPDATE SET a=excluded.a */
    SQL_ON_DUPLICATE, /* INSERT ... ON DUPLICATE KEY UPDATE a=VALUES(a) */
    SQL_NO_UPSERT     /* sql_put() is refused: sql_update() first, and sql_insert() if that changed nothing */
};
enum sql_limit {
    SQL_LIMIT, /* LIMIT ? */
    SQL_FETCH  /* OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY */
};
struct sql_dialect {
    char quote;        /* around names */
    bool dollars;      /* $1, $2 ...; else ? */
    bool row_values;   /* (a,b)>(?,?) goes by an index; else it is spelled out */
    bool partial;      /* indexes may have a WHERE */
    bool delete_limit; /* DELETE ... LIMIT n */
    uint32_t upsert, limit;
    /* By mk_col_type.  KEY_TYPES are of columns in a key or an index, DEFAULTS of old rows when a column is added. */
    const char *types[6], *key_types[6], *defaults[6];
    /*
     * "_id INTEGER PRIMARY KEY": the column that numbers rows in the order they come, for engines that keep a table in
     * the order of its primary key; tables of bulky and of searched collections then have it, and the key is a unique
     * index; so it is of those with a wide key.  NULL: no table needs it.
     */
    const char *number;
    const char *create_end;  /* after CREATE TABLE(...); "" */
    const char *keyed_end;   /* the same without the number column: " WITHOUT ROWID" */
    const char *add_column;  /* "ADD COLUMN", "ADD COLUMN IF NOT EXISTS" */
    const char *insert_lock; /* after the SELECT of a row that will be changed: " FOR UPDATE", "" */
    const char *row_id;      /* what names a row for a sweep: "ctid"; NULL: the number, or else the key */
    const char *sweep_lock;  /* in the SELECT of a sweep: " FOR UPDATE SKIP LOCKED", "" */
    uint32_t name_max;       /* bytes of an index's name; longer ones end in a hash.  0: no bound */
    uint32_t index_bytes;    /* longest key of an index, 0: no bound; see above */
    uint32_t widths[6];      /* by mk_col_type: bytes in a key at most; of texts and JIDs 1024 and 3071 */
    /* NULL, or writes the key's constraint into CREATE TABLE: ",PRIMARY KEY(...)".  It may ask t->wide. */
    void (*key)(struct sql_text *s, const struct sql_table *t);
    /*
     * Adds " AND ..." that a row has the words of SCAN, with their values (see sql_words(), query->words).  False if
     * there is no word.  NULL if the backend has no MK_CAP_TEXT_SEARCH.
     */
    bool (*search)(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan);
    /*
     * NULL, or wide tables have a column "_part" of PART_BYTES with a hash of their partition, which all that asks for a
     * key or a partition names too: an index of it and of the sort key has them, if that is short enough.  Adds the hash
     * of the partition's columns, or, MARKS, of placeholders in their order, each once.
     */
    void (*part_hash)(struct sql_text *s, const struct sql_table *t, bool marks);
    uint32_t part_bytes;
    /*
     * NULL, or adds what other wide tables are ordered by in sql_all(), as no index has their whole key: a name, or, with
     * AFTER, the value of that key.
     */
    void (*key_order)(struct sql_query *q, const struct sql_table *t, const struct mk_value *after);
};

/* ---- tables ----------------------------------------------------------------------------------------------------- */

enum {
    SQL_T_GET,
    SQL_T_PUT,
    SQL_T_PUT_NEW,
    SQL_T_INSERT,
    SQL_T_UPDATE,
    SQL_T_DEL,
    SQL_T_DEL_OLD,
    SQL_T_SWEEP,
    SQL_TEXTS
};
enum { SQL_SWEEP_ROWS = 200 };

struct sql_table {
    struct sql_table *next; /* the backend's list */
    const struct sql_dialect *dialect;
    const struct mk_coll *coll;
    const char *name;
    unsigned col_count, key_count;
    int ttl_col;            /* -1: none */
    bool searchable;        /* a column is MK_COL_TEXT_SEARCH */
    bool numbered;          /* has the column _id */
    bool wide;              /* the key may be longer than index_bytes */
    bool parted;            /* wide, and has the column _part */
    char *texts[SQL_TEXTS]; /* of statements that are always the same; NULL what does not apply */
};
struct sql_table *sql_table_new(const struct sql_dialect *d, const struct mk_coll *coll);
void sql_table_free(struct sql_table *t);

bool sql_is_indexed(const struct sql_table *t, unsigned col); /* in the key or an index */
const char *sql_authorities(void); /* the system's file of certificates; NULL: none was found */

static inline const struct mk_col_decl *sql_col(const struct sql_table *t, uint32_t col) {
    return mk_coll_col(t->coll, col);
}

/* Pieces for what a dialect adds: a quoted name; names of columns "a","b"; a placeholder. */
void sql_name(struct sql_text *s, const struct sql_dialect *d, const char *prefix, const char *name);
void sql_cols(struct sql_text *s, const struct sql_table *t);
void sql_key_cols(struct sql_text *s, const struct sql_table *t);
void sql_mark(struct sql_text *s, const struct sql_dialect *d);

/* ---- queries ---------------------------------------------------------------------------------------------------- */

struct sql_arg {
    const struct mk_value *v; /* lives as long as the read or change, or the query */
    uint32_t type;            /* mk_col_type it is compared to or put into; the value may be null */
};
enum { SQL_OWN_VALUES = 8 };
struct sql_query {
    const char *text; /* to be prepared */
    struct sql_arg *args;
    unsigned count, cap;
    struct sql_text buf, words;          /* memory of texts that are not always the same, kept from query to query */
    struct mk_value own[SQL_OWN_VALUES]; /* values that the query makes */
    unsigned own_count;
};
void sql_query_free(struct sql_query *q);

/* A placeholder and its value, for what a dialect adds.  sql_own() gives a value that lives as long as the query. */
void sql_bind(struct sql_query *q, const struct sql_table *t, uint32_t type, const struct mk_value *v);
const struct mk_value *sql_own(struct sql_query *q, struct mk_value v);

/*
 * Words of a search, runs of ASCII letters and digits and of all beyond ASCII, each between BEFORE and AFTER; false if
 * there is none.
 */
bool sql_words(struct sql_text *out, const char *search, const char *before, const char *after);

/* Each of these starts the query anew.  KEY is key columns in their order.  Result: rows of all columns. */
void sql_get(struct sql_query *q, const struct sql_table *t, const struct mk_value *key, int64_t now);
/* Of MK_R_SCAN and MK_R_COUNT, which gives one number.  False: the search has no word, so nothing is found. */
bool sql_scan(struct sql_query *q, const struct sql_table *t, const struct mk_read *r);
/* Of MK_R_ALL, in the order of the key, and MK_R_COUNT_ALL: what the backend's sweep() answers. */
void sql_all(struct sql_query *q, const struct sql_table *t, const struct mk_read *r);

/*
 * Changes.  "Changed" is the number of rows that the engine says it changed.
 *
 * put        upsert: always done.  If-absent: changed 0 is MK_E_CONFLICT.  With SQL_ON_DUPLICATE a row written over
 *            counts 2; without CLIENT_FOUND_ROWS one that stays counts 0, as it must.
 * put_rows   several upserts of one table in one statement; not for SQL_ON_CONFLICT if a key comes twice.
 * put_if     changed 0: sql_get_of() tells MK_E_CONFLICT (there is a row) from MK_E_NOTFOUND.
 * add        one statement that returns the new number.  No row: sql_get_of() tells MK_E_LIMIT (there is a row) from
 *            MK_E_NOTFOUND.  Needs UPDATE ... RETURNING; else:
 * add_read   gives the old number (null is 0) and keeps the row locked; no row is MK_E_NOTFOUND;
 * add_write  then stores x->number.
 * del        changed 0 is MK_E_NOTFOUND, but not in a group.
 * del_range  always done; takes expired rows too.
 *
 * For SQL_NO_UPSERT: update replaces a row by its key (changed: whether there was one, if the engine counts rows
 * found), insert fails if there is one, del_old deletes the row with this key if it has expired.
 */
void sql_put(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);
void sql_put_rows(struct sql_query *q, const struct sql_table *t, struct mk_change *const *x, uint32_t count);
void sql_put_if(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);
void sql_add_number(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);
void sql_add_read(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);
void sql_add_write(struct sql_query *q, const struct sql_table *t, const struct mk_change *x);
void sql_del(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);
void sql_del_range(struct sql_query *q, const struct sql_table *t, const struct mk_scan *scan);
void sql_update(struct sql_query *q, const struct sql_table *t, const struct mk_change *x);
void sql_insert(struct sql_query *q, const struct sql_table *t, const struct mk_change *x);
void sql_del_old(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);

/* The row that the change is about. */
void sql_get_of(struct sql_query *q, const struct sql_table *t, const struct mk_change *x, int64_t now);

/* Deletes SQL_SWEEP_ROWS expired rows at most; false if the table has no TTL. */
bool sql_sweep(struct sql_query *q, const struct sql_table *t, int64_t now);

/* ---- prepared statements of a connection -------------------------------------------------------------------------- */

enum { SQL_CACHE_BUCKETS = 128, SQL_CACHE_MAX = 512 };
struct sql_stmt {
    struct sql_stmt *next;
    uint64_t hash, used;
    void *handle; /* the backend's; NULL: to be prepared */
    char text[];
};
struct sql_cache {
    struct sql_stmt *buckets[SQL_CACHE_BUCKETS];
    unsigned count;
    uint64_t clock;
};
/*
 * The statement with this text, new ones with handle NULL.  Of SQL_CACHE_MAX statements the one not used longest is given
 * to FREE first; FREE says false of one that is in use.
 */
struct sql_stmt *sql_cache_find(struct sql_cache *c, const char *text, bool (*free_stmt)(void *conn, void *handle),
                                void *conn);
void sql_cache_forget(struct sql_cache *c, struct sql_stmt *stmt); /* does not call FREE */
void sql_cache_clear(struct sql_cache *c, bool (*free_stmt)(void *conn, void *handle), void *conn);
uint64_t sql_hash(const char *text);

/* ---- tables in the database --------------------------------------------------------------------------------------- */

/*
 * What sql_define() asks of a backend, on the connection of the main thread.  All may block, and return 0 or a negative
 * code after which error() says why in a phrase.
 */
typedef void sql_row_fn(void *arg, const char *const *fields); /* as text, NULL for null; lent */
struct sql_engine {
    const struct sql_dialect *dialect;
    int (*run)(void *conn, const char *text, const struct sql_query *values); /* VALUES may be NULL */
    int (*ask)(void *conn, const char *text, const struct sql_query *values, sql_row_fn *row, void *arg);
    const char *(*error)(void *conn);
    /* Begins a transaction, as far as definitions have them, that other servers wait for; ends it. */
    int (*begin)(void *conn);
    int (*end)(void *conn, bool commit);
    /* Makes the table's indexes and what a search needs, and drops what is not wanted: sql_parts_sync() or another. */
    int (*parts)(void *conn, const struct sql_table *t);
    /* NULL, or what else a table of an older version needs, which has all columns now. */
    int (*migrated)(void *conn, const struct sql_table *t);
    /* NULL, or drops what an interrupted definition left, where those are no transactions. */
    int (*leftover)(void *conn, const struct sql_table *t);
    const char *schema_table; /* CREATE TABLE IF NOT EXISTS meerkat_schema(name ... PRIMARY KEY,version ...,cols ...) */
};
/*
 * Makes or migrates what stores T.  Table meerkat_schema has name, version, and columns of each.  Refused with a
 * sentence: a newer version, other columns, columns appended without a new version.  Without CREATE nothing is changed:
 * what would have to be is refused.
 */
int sql_define(const struct sql_engine *e, void *conn, const struct sql_table *t, bool create, struct mk_err *err);

/* CREATE TABLE NAME SUFFIX. */
void sql_create(struct sql_text *s, const struct sql_table *t, const char *suffix);

/* An index or the like that belongs to a table.  Names begin with the table's and two underscores. */
enum { SQL_PARTS_MAX = 24 };
struct sql_part {
    struct sql_text name, sql;
};
struct sql_parts {
    struct sql_part items[SQL_PARTS_MAX];
    unsigned count;
};
struct sql_part *sql_part_add(struct sql_parts *p, const struct sql_table *t, const char *suffix); /* fill its .sql */
void sql_parts_indexes(struct sql_parts *p, const struct sql_table *t); /* TTL, then those declared */
void sql_parts_free(struct sql_parts *p);
/* Columns of an index, cut to prefixes where index_bytes wants it: "a","b"(100). */
void sql_index_cols(struct sql_text *s, const struct sql_table *t, const uint32_t *cols, uint32_t count);

/*
 * Makes parts that the database has not, or has with another text; drops the others whose names begin as above.  LIST
 * selects name and mark of what is there, its placeholder being the table's name; MARK(s, part, mark) writes the statement
 * that sets a part's mark (a comment), or with MARK_WITHIN the end of the one that makes it; DROP the one that drops it.
 */
struct sql_parts_how {
    const char *list;
    bool mark_within;
    void (*mark)(struct sql_text *s, const struct sql_part *part, const char *mark);
    void (*drop)(struct sql_text *s, const struct sql_table *t, const char *name);
};
int sql_parts_sync(const struct sql_engine *e, void *conn, const struct sql_table *t, const struct sql_parts *wanted,
                   const struct sql_parts_how *how);

/* The backend's schema(): what sql_define() runs in an empty database, with marks of the parts if HOW is not NULL. */
void sql_print(const struct sql_engine *e, const struct sql_table *t, const struct sql_parts *parts,
               const struct sql_parts_how *how, struct mk_schema *out);

#endif
