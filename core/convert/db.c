/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/db.h"
#include "convert/convert.h"
#include <stdio.h>
#include <string.h>

struct db *db_open(const char *url) {
    static const struct db_kind *const kinds[] = {
#ifdef HAVE_SQLITE
        &db_sqlite,
#endif
#ifdef HAVE_PGSQL
        &db_pgsql,
#endif
#ifdef HAVE_MYSQL
        &db_mysql,
#endif
        NULL
    };
    for (size_t i = 0; kinds[i]; i++) {
        if (strncmp(url, kinds[i]->prefix, strlen(kinds[i]->prefix)) != 0)
            continue;
        struct db *db = kinds[i]->open(url);
        if (db)
            db->kind = kinds[i];
        return db;
    }
    complain("a database is sqlite:FILE, postgresql://... or mysql://..., as far as this build has them");
    return NULL;
}

bool db_is_url(const char *text) {
    return strncmp(text, "sqlite:", 7) == 0 || strncmp(text, "postgresql:", 11) == 0 || strncmp(text, "mysql:", 6) == 0;
}

void db_close(struct db *db) {
    db->kind->close(db);
}

static struct db_rows *query(struct db *db, const char *sql, int count, const char *const *params, bool quiet) {
    struct db_rows *rows = db->kind->query(db, sql, count, params, quiet);
    if (rows)
        rows->db = db;
    return rows;
}

struct db_rows *db_query(struct db *db, const char *sql, int count, const char *const *params) {
    return query(db, sql, count, params, false);
}

bool db_next(struct db_rows *rows) {
    return rows->db->kind->next(rows);
}

const char *db_text(struct db_rows *rows, int col, size_t *len) {
    size_t ignored;
    return rows->db->kind->text(rows, col, len ? len : &ignored);
}

void db_done(struct db_rows *rows) {
    rows->db->kind->done(rows);
}

bool db_has(struct db *db, const char *table, const char *column) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE 1 = 0", column, table);
    struct db_rows *rows = query(db, sql, 0, NULL, true);
    if (rows)
        db_done(rows);
    return rows != NULL;
}
