/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert.h"
#include "convert/db.h"
#include "util/mem.h"
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

struct pg {
    struct db db; /* first */
    PGconn *handle;
};
struct pg_rows {
    struct db_rows rows; /* first */
    PGresult *result;
    int row;
    unsigned char *bytes; /* OWNED by libpq; of the bytea that was read last */
};
enum { BYTEA = 17 };

static struct db *pg_open(const char *url) {
    struct pg *p = xcalloc(1, sizeof *p);
    p->handle = PQconnectdb(url);
    if (PQstatus(p->handle) == CONNECTION_OK && PQsetClientEncoding(p->handle, "UTF8") == 0)
        return &p->db;
    complain("%s", PQerrorMessage(p->handle));
    PQfinish(p->handle);
    free(p);
    return NULL;
}

static void pg_close(struct db *db) {
    PQfinish(((struct pg *)db)->handle);
    free(db);
}

static struct db_rows *pg_query(struct db *db, const char *sql, int count, const char *const *params, bool quiet) {
    struct pg *p = (struct pg *)db;
    struct buf text = { 0 };
    int number = 0;
    for (const char *c = sql; *c; c++)
        if (*c == '?')
            buf_printf(&text, "$%d", ++number);
        else
            buf_add(&text, c, 1);
    PGresult *result = PQexecParams(p->handle, text.data, count, NULL, params, NULL, NULL, 0);
    buf_free(&text);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        if (!quiet)
            complain("%s: %s", sql, PQresultErrorMessage(result));
        PQclear(result);
        return NULL;
    }
    struct pg_rows *r = xcalloc(1, sizeof *r);
    r->result = result;
    r->row = -1;
    return &r->rows;
}

static bool pg_next(struct db_rows *rows) {
    struct pg_rows *r = (struct pg_rows *)rows;
    return ++r->row < PQntuples(r->result);
}

static const char *pg_text(struct db_rows *rows, int col, size_t *len) {
    struct pg_rows *r = (struct pg_rows *)rows;
    const char *text = PQgetvalue(r->result, r->row, col);
    *len = (size_t)PQgetlength(r->result, r->row, col);
    if (PQftype(r->result, col) != BYTEA)
        return text;
    PQfreemem(r->bytes);
    r->bytes = PQunescapeBytea((const unsigned char *)text, len);
    return r->bytes ? (const char *)r->bytes : "";
}

static void pg_done(struct db_rows *rows) {
    struct pg_rows *r = (struct pg_rows *)rows;
    PQfreemem(r->bytes);
    PQclear(r->result);
    free(r);
}

const struct db_kind db_pgsql = { "postgresql:", pg_open, pg_close, pg_query, pg_next, pg_text, pg_done, '"' };
