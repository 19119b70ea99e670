/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert.h"
#include "convert/db.h"
#include "util/mem.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct lite {
    struct db db; /* first */
    sqlite3 *handle;
};
struct lite_rows {
    struct db_rows rows; /* first */
    sqlite3_stmt *statement;
};

static struct db *lite_open(const char *url) {
    struct lite *l = xcalloc(1, sizeof *l);
    const char *path = strchr(url, ':') + 1;
    if (sqlite3_open_v2(path, &l->handle, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
        return &l->db;
    complain("%s: %s", path, sqlite3_errmsg(l->handle));
    sqlite3_close(l->handle);
    free(l);
    return NULL;
}

static void lite_close(struct db *db) {
    sqlite3_close(((struct lite *)db)->handle);
    free(db);
}

static struct db_rows *lite_query(struct db *db, const char *sql, int count, const char *const *params, bool quiet) {
    struct lite *l = (struct lite *)db;
    struct lite_rows *r = xcalloc(1, sizeof *r);
    if (sqlite3_prepare_v2(l->handle, sql, -1, &r->statement, NULL) != SQLITE_OK) {
        if (!quiet)
            complain("%s: %s", sql, sqlite3_errmsg(l->handle));
        free(r);
        return NULL;
    }
    for (int i = 0; i < count; i++)
        sqlite3_bind_text(r->statement, i + 1, params[i], -1, SQLITE_TRANSIENT);
    return &r->rows;
}

static bool lite_next(struct db_rows *rows) {
    int rc = sqlite3_step(((struct lite_rows *)rows)->statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        complain("%s", sqlite3_errmsg(((struct lite *)rows->db)->handle));
        rows->db->failed = true;
    }
    return rc == SQLITE_ROW;
}

static const char *lite_text(struct db_rows *rows, int col, size_t *len) {
    sqlite3_stmt *s = ((struct lite_rows *)rows)->statement;
    const char *text = sqlite3_column_type(s, col) == SQLITE_BLOB ? sqlite3_column_blob(s, col)
                                                                  : (const char *)sqlite3_column_text(s, col);
    *len = text ? (size_t)sqlite3_column_bytes(s, col) : 0;
    return text ? text : "";
}

static void lite_done(struct db_rows *rows) {
    sqlite3_finalize(((struct lite_rows *)rows)->statement);
    free(rows);
}

const struct db_kind db_sqlite = { "sqlite:", lite_open, lite_close, lite_query, lite_next, lite_text, lite_done, '"' };
