/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - collections.  A feature declares rows; any backend stores them.
 *
 * A collection is a set of rows with typed columns.  One or more columns are the partition key: everything of one
 * partition lives together, and most operations are about one partition.  The columns of the sort key come next; both
 * keys together name one row.  The operator chooses the backend (storage = { default = "sqlite"; }).
 */
#ifndef MEERKAT_STORE_H
#define MEERKAT_STORE_H

#include <meerkat/service.h>
#include <meerkat/stanza.h>

MK_BEGIN_DECLS

/* ---- declaring ------------------------------------------------------------------------------------------------- */

enum mk_col_type {
    MK_C_TEXT,  /* UTF-8 without NUL, up to 16 MiB; 1 KiB in a key */
    MK_C_BYTES, /* up to 16 MiB; not in a key */
    MK_C_INT,   /* 64 bits, signed */
    MK_C_TIME,  /* microseconds since 1970-01-01 UTC */
    MK_C_BOOL,
    MK_C_JID /* stored as text, compared by octets */
};
enum {
    MK_COL_PARTITION = 1,
    MK_COL_SORT = 2,
    MK_COL_NULL = 4,        /* may be null; not in a key, nor in that of an index */
    MK_COL_TTL = 8,         /* MK_C_TIME: the row is gone once this time has passed; null is never */
    MK_COL_TEXT_SEARCH = 16 /* MK_C_TEXT: mk_scan() may search words in it */
};
struct mk_col_decl {
    const char *name; /* snake case, no SQL keyword needs avoiding */
    uint32_t type, flags;
    const char *doc;
};
/*
 * A second order of the rows: its own partition and sort columns, names separated by commas.  Rows that are equal in
 * these follow each other in the order of the collection's key.
 */
struct mk_index_decl {
    const char *name, *partition, *sort;
};

/* What a backend can do, and what a collection can't do without (its .need). */
enum {
    MK_CAP_TTL = 1, /* deletes expired rows by itself; every backend hides them */
    MK_CAP_TEXT_SEARCH = 2,
    MK_CAP_BATCH = 4,  /* mk_batch() is all or nothing */
    MK_CAP_DURABLE = 8 /* what was acknowledged survives the loss of the process */
};
enum {
    MK_COLL_TRANSIENT = 1, /* may be lost at a restart: sessions, caches */
    MK_COLL_BULKY = 2      /* rows of some hundred bytes and more, written more often than read: archives, mailboxes */
};

/*
 * NAME is unique among all plugins, snake case.  VERSION starts at 1 and grows when columns are appended (nullable, or
 * 0 and "" in old rows) or indexes change; the backend then alters what it has.  Any other change is a new name.
 * MAX_ROWS is not enforced by the store.  BIND is the offset of a `const struct mk_coll *` in the instance.
 */
struct mk_coll_decl {
    const char *name;
    uint32_t version, flags, need, bind;
    struct mk_table cols, indexes;
    const char *doc;
};
#define MK_NO_INDEX                                                                                                    \
    { NULL, 0, 0 }
#define MK_COLLECTION(T, m, name, version, flags, need, cols, indexes, doc)                                            \
    {                                                                                                                  \
        (name), (version), (flags), (need), offsetof(T, m) + MK_SAME_(const struct mk_coll *, ((T *)0)->m),            \
            MK_TABLE(cols), indexes, (doc)                                                                             \
    }

/* The capabilities (bits of MK_CAP_...) of the backend that COLL is in: for what a feature would like, but can do without. */
MK_EXPORT uint32_t mk_coll_caps(const struct mk_coll *coll);

/* ---- values and rows ------------------------------------------------------------------------------------------- */

/* Whatever goes in is copied before the call returns or suspends. */
struct mk_value {
    uint32_t type; /* mk_col_type, or MK_V_NULL */
    uint32_t len;  /* bytes of text and bytes */
    union {
        int64_t i; /* int, time, bool */
        const char *s;
        const void *b;
        const struct mk_jid *j;
    } u;
};
enum { MK_V_NULL = 255 };

/* Rows and keys are arrays of values in the order of .cols; a plugin names the places with an enum. */
static inline struct mk_value mk_v_null(void) {
    struct mk_value v = { MK_V_NULL, 0, { 0 } };
    return v;
}
static inline struct mk_value mk_v_int(int64_t i) {
    struct mk_value v = { MK_C_INT, 0, { 0 } };
    v.u.i = i;
    return v;
}
static inline struct mk_value mk_v_time(int64_t us) {
    struct mk_value v = { MK_C_TIME, 0, { 0 } };
    v.u.i = us;
    return v;
}
static inline struct mk_value mk_v_bool(bool b) {
    struct mk_value v = { MK_C_BOOL, 0, { 0 } };
    v.u.i = b;
    return v;
}
static inline struct mk_value mk_v_view(struct mk_view t) {
    struct mk_value v = { MK_C_TEXT, (uint32_t)t.len, { 0 } };
    v.u.s = t.s;
    return v;
}
static inline struct mk_value mk_v_bytes(const void *b, size_t len) {
    struct mk_value v = { MK_C_BYTES, (uint32_t)len, { 0 } };
    v.u.b = b;
    return v;
}
static inline struct mk_value mk_v_jid(const struct mk_jid *j) { /* NULL: null */
    struct mk_value v = { j ? (uint32_t)MK_C_JID : (uint32_t)MK_V_NULL, 0, { 0 } };
    v.u.j = j;
    return v;
}
MK_EXPORT struct mk_value mk_v_text(const char *s); /* NULL: null */

MK_EXPORT size_t mk_rows_count(const struct mk_rows *rows);
MK_EXPORT const struct mk_row *mk_rows_at(const struct mk_rows *rows, size_t i);

/* Column COL of a row; texts and bytes end in a NUL that LEN does not count; NULL for null. */
MK_EXPORT bool mk_row_is_null(const struct mk_row *row, unsigned col);
MK_EXPORT int64_t mk_row_int(const struct mk_row *row, unsigned col);
MK_EXPORT const char *mk_row_text(const struct mk_row *row, unsigned col);
MK_EXPORT struct mk_view mk_row_bytes(const struct mk_row *row, unsigned col);
MK_EXPORT const struct mk_jid *mk_row_jid(const struct mk_row *row, unsigned col);

/* ---- reading --------------------------------------------------------------------------------------------------- */

/*
 * All reads see what the same turn, and every earlier turn of the same entity, wrote, by mk_put_later() too.  All may
 * return MK_E_TIMEOUT, MK_E_CANCELLED, or MK_E_BACKEND, which the server has then logged.
 */

/* The row with this key (partition and sort columns in their order), or MK_E_NOTFOUND. */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_get(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key,
                                               const struct mk_row **out);

struct mk_filter {
    uint32_t col, zero;
    struct mk_value value; /* equal; null matches null */
};
/*
 * What to read: the rows of one partition, in the order of the sort key, or those of an index.  Start it with
 * MK_SCAN(...), which fills SIZE.  LO and HI bound the sort columns, as many as given by LO_COUNT and HI_COUNT: (a)
 * bounds the first, (a, b) the first two taken together.  A bound is inclusive unless its OPEN flag is set.  LIMIT 0
 * is no limit.
 */
struct mk_scan {
    uint32_t size;
    uint32_t index; /* 0: the collection itself; n: row n - 1 of .indexes */
    const struct mk_value *partition;
    const struct mk_value *lo, *hi;
    uint32_t lo_count, hi_count;
    uint32_t flags; /* MK_SCAN_... */
    uint32_t limit;
    const struct mk_filter *filters;
    uint32_t filter_count;
    uint32_t search_col; /* with SEARCH */
    const char *search;  /* words that the row must all have, whatever their case; without a word in it nothing is
                               found; needs MK_CAP_TEXT_SEARCH */
};
enum { MK_SCAN_REVERSE = 1, MK_SCAN_LO_OPEN = 2, MK_SCAN_HI_OPEN = 4 };
#define MK_SCAN(...) (&(struct mk_scan){ .size = sizeof(struct mk_scan), __VA_ARGS__ })

MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_scan(struct mk_ctx *c, const struct mk_coll *coll,
                                                const struct mk_scan *what, const struct mk_rows **out);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_scan_count(struct mk_ctx *c, const struct mk_coll *coll,
                                                      const struct mk_scan *what, int64_t *out);

/* ---- writing --------------------------------------------------------------------------------------------------- */

enum mk_put_mode {
    MK_UPSERT,   /* insert, or replace the row with this key */
    MK_IF_ABSENT /* insert, or MK_E_CONFLICT */
};

/*
 * Durable when it returns 0 (as the backend is, see MK_CAP_DURABLE).  This and the other writes may also return
 * MK_E_TIMEOUT or MK_E_CANCELLED, after which the write may still happen; MK_E_BUSY, when the bounded queue of writes is
 * full; and MK_E_BACKEND.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_put_now(struct mk_ctx *c, const struct mk_coll *coll, enum mk_put_mode mode,
                                                   const struct mk_value *row);

/* Replaces the row if column COL still has value OLD; else MK_E_CONFLICT (MK_E_NOTFOUND if there is no row). */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_put_if(struct mk_ctx *c, const struct mk_coll *coll, unsigned col,
                                                  struct mk_value old, const struct mk_value *row);

/*
 * Adds BY to an int column (null counts as 0) of the row with this key and gives the new value; MK_E_NOTFOUND if there
 * is no row, MK_E_LIMIT if the sum needs more than 64 bits.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_add(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key,
                                               unsigned col, int64_t by, int64_t *now);

/* Deletes a row; MK_E_NOTFOUND if there is none.  Or all rows of a scan (without index, filters, search, limit). */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_del(struct mk_ctx *c, const struct mk_coll *coll,
                                               const struct mk_value *key);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_del_range(struct mk_ctx *c, const struct mk_coll *coll,
                                                     const struct mk_scan *what);

/*
 * Writes that the answer does not depend on: they join the backend's next group commit, and the turn goes on.  The
 * receipt of RECEIPT_OF (may be NULL) waits until they are durable.  Does not suspend; INLINE handlers may call it.
 * MK_E_BUSY if the bounded queue is full: refuse the stanza with resource-constraint.
 */
MK_EXPORT MK_MUST_CHECK int mk_put_later(struct mk_ctx *c, const struct mk_coll *coll, enum mk_put_mode mode,
                                         const struct mk_value *row, const struct mk_stanza *receipt_of);
MK_EXPORT MK_MUST_CHECK int mk_del_later(struct mk_ctx *c, const struct mk_coll *coll, const struct mk_value *key);

/*
 * Ties a stored row to a stanza made in this turn by mk_seal() or mk_stanza_read(): when nobody holds the stanza's
 * receipt any more - it reached its client, or is durable elsewhere - the row with this key is deleted.  Until then it
 * stays, and a crash loses nothing.  Does not suspend.
 */
MK_EXPORT void mk_receipt_row(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_coll *coll,
                              const struct mk_value *key);

enum mk_write_kind { MK_W_PUT, MK_W_DEL };
struct mk_write {
    uint32_t kind, mode; /* mode: mk_put_mode of MK_W_PUT */
    const struct mk_coll *coll;
    const struct mk_value *values; /* the row, or the key */
};
/*
 * Several writes in one partition, each of size sizeof(struct mk_write): all or nothing where the backend has
 * MK_CAP_BATCH.  The first failing write's code; deleting what is not there does not fail.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_batch(struct mk_ctx *c, const struct mk_write *writes, size_t count);

MK_END_DECLS

#endif
