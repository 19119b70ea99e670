/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert.h"
#include "convert/db.h"
#include "util/mem.h"
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

struct my {
    struct db db; /* first */
    MYSQL *handle;
};
struct my_rows {
    struct db_rows rows; /* first */
    MYSQL_RES *result;
    MYSQL_ROW row;
    unsigned long *lengths;
};

/* USER[:PASSWORD]@HOST[:PORT]/DATABASE, taken apart in place; false if it is none. */
static bool connect_to(MYSQL *handle, char *text) {
    char *at = strrchr(text, '@'), *slash = at ? strchr(at, '/') : NULL;
    if (!slash)
        return complain("mysql://USER:PASSWORD@HOST:PORT/DATABASE is what it must be");
    *at = *slash = '\0';
    char *password = strchr(text, ':'), *port = strchr(at + 1, ':');
    if (password)
        *password++ = '\0';
    if (port)
        *port++ = '\0';
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    return mysql_real_connect(handle, at + 1, text, password, slash + 1, port ? (unsigned)atoi(port) : 0, NULL, 0) ||
           complain("%s", mysql_error(handle));
}

static struct db *my_open(const char *url) {
    struct my *m = xcalloc(1, sizeof *m);
    char *text = xstrdup(url + strlen("mysql://"));
    m->handle = mysql_init(NULL);
    bool good = connect_to(m->handle, text);
    explicit_bzero(text, strlen(text));
    free(text);
    if (good)
        return &m->db;
    mysql_close(m->handle);
    free(m);
    return NULL;
}

static void my_close(struct db *db) {
    mysql_close(((struct my *)db)->handle);
    free(db);
}

static void put_quoted(struct buf *out, MYSQL *handle, const char *text) {
    size_t len = strlen(text);
    char *quoted = xmalloc(2 * len + 1);
    buf_puts(out, "'");
    buf_add(out, quoted, mysql_real_escape_string(handle, quoted, text, (unsigned long)len));
    buf_puts(out, "'");
    free(quoted);
}

static struct db_rows *my_query(struct db *db, const char *sql, int count, const char *const *params, bool quiet) {
    struct my *m = (struct my *)db;
    struct buf text = { 0 };
    int number = 0;
    for (const char *c = sql; *c; c++)
        if (*c == '?' && number < count)
            put_quoted(&text, m->handle, params[number++]);
        else
            buf_add(&text, c, 1);
    MYSQL_RES *result = mysql_real_query(m->handle, text.data, text.len) ? NULL : mysql_store_result(m->handle);
    buf_free(&text);
    if (!result) {
        if (!quiet)
            complain("%s: %s", sql, mysql_error(m->handle));
        return NULL;
    }
    struct my_rows *r = xcalloc(1, sizeof *r);
    r->result = result;
    return &r->rows;
}

static bool my_next(struct db_rows *rows) {
    struct my_rows *r = (struct my_rows *)rows;
    r->row = mysql_fetch_row(r->result);
    r->lengths = r->row ? mysql_fetch_lengths(r->result) : NULL;
    return r->row != NULL;
}

static const char *my_text(struct db_rows *rows, int col, size_t *len) {
    struct my_rows *r = (struct my_rows *)rows;
    *len = r->row[col] ? r->lengths[col] : 0;
    return r->row[col] ? r->row[col] : "";
}

static void my_done(struct db_rows *rows) {
    mysql_free_result(((struct my_rows *)rows)->result);
    free(rows);
}

const struct db_kind db_mysql = { "mysql://", my_open, my_close, my_query, my_next, my_text, my_done, '`' };
