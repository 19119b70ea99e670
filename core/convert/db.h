/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of a database to read from: queries with texts as parameters, rows of texts, one query at a time inside of
 * another. */
#ifndef CONVERT_DB_H
#define CONVERT_DB_H

#include <stdbool.h>
#include <stddef.h>

struct db;
struct db_rows;

/* URL is sqlite:FILE, postgresql://... as libpq has it, or mysql://USER:PASSWORD@HOST:PORT/DATABASE.  NULL: it was said
 * why. */
struct db *db_open(const char *url);
void db_close(struct db *db);
bool db_is_url(const char *text);

/* Each ? in SQL stands for the next of COUNT PARAMS.  Rows are OWNED; NULL if it failed, which was said. */
struct db_rows *db_query(struct db *db, const char *sql, int count, const char *const *params);
bool db_next(struct db_rows *rows);
/* Lent until the next db_next(); "" for null.  LEN may be NULL. */
const char *db_text(struct db_rows *rows, int col, size_t *len);
void db_done(struct db_rows *rows);

/* Whether it has COLUMN in TABLE. */
bool db_has(struct db *db, const char *table, const char *column);

/* One kind of database.  All may be NULL in a build without its library. */
struct db_kind {
    const char *prefix;
    struct db *(*open)(const char *url);
    void (*close)(struct db *db);
    struct db_rows *(*query)(struct db *db, const char *sql, int count, const char *const *params, bool quiet);
    bool (*next)(struct db_rows *rows);
    const char *(*text)(struct db_rows *rows, int col, size_t *len);
    void (*done)(struct db_rows *rows);
    char quote; /* around names that are words of SQL */
};
struct db {
    const struct db_kind *kind;
    bool failed; /* rows ended early, which was said */
};
struct db_rows {
    struct db *db;
};
extern const struct db_kind db_sqlite, db_pgsql, db_mysql;

#endif
