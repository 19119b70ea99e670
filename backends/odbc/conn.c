/* SPDX-License-Identifier: Apache-2.0 */
/* One connection through the driver manager: opened, asked, closed. */
#include "odbc.h"
#include <sqlext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLS_MAX = 64, FIRST_CAP = 4096 };

struct conn {
    struct pool_conn base;
    SQLHENV env;
    SQLHDBC db;
    struct sql_cache cache;
    SQLLEN *lengths; /* of parameters */
    int64_t *numbers;
    unsigned params_cap;
    char *cells[COLS_MAX]; /* of a row of the result, each a text or bytes */
    size_t caps[COLS_MAX];
    const struct pool_product *product; /* NULL: not asked yet */
};
static struct conn *of(struct pool_conn *c) {
    return (struct conn *)c;
}

static bool is_good(SQLRETURN rc) {
    return SQL_SUCCEEDED(rc) || rc == SQL_NO_DATA;
}

/* ---- reasons -------------------------------------------------------------------------------------------------- */

/* Drivers put the names of those who speak before what they say: "[unixODBC][driver]text". */
static const char *without_names(const char *text) {
    while (*text == '[' && strchr(text, ']'))
        text = strchr(text, ']') + 1;
    return text;
}

static bool is_dead(struct conn *c) {
    SQLUINTEGER dead = SQL_CD_FALSE;
    SQLRETURN rc = SQLGetConnectAttr(c->db, SQL_ATTR_CONNECTION_DEAD, &dead, sizeof dead, NULL);
    return SQL_SUCCEEDED(rc) && dead == SQL_CD_TRUE;
}

static enum pool_code fail(struct conn *c, SQLSMALLINT kind, SQLHANDLE handle) {
    SQLCHAR state[6] = "", text[512] = "";
    SQLINTEGER number = 0;
    SQLSMALLINT len;
    SQLGetDiagRec(kind, handle, 1, state, &number, text, sizeof text, &len);
    pool_say(&c->base, "%s", without_names((const char *)text));
    if (strcmp((const char *)state, "HYT00") == 0 || strcmp((const char *)state, "HYT01") == 0)
        c->base.silent = c->base.lost = true;
    enum pool_code code = POOL_FAILED;
    if (strncmp((const char *)state, "08", 2) == 0)
        c->base.lost = true;
    else if (c->product && !c->base.lost)
        code = c->product->judge(&c->base, number, (const char *)state);
    if (code == POOL_FAILED && !c->base.lost)
        c->base.lost = is_dead(c);
    return c->base.lost && code != POOL_PASSING ? POOL_LOST : code;
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

/* What has a meaning in a connection string goes into braces. */
static void add_key(struct sql_text *s, const char *key, const char *value) {
    if (!value)
        return;
    sql_add(s, s->len ? ";%s=" : "%s=", key);
    if (!strpbrk(value, "{}[](),;?*=!@")) {
        sql_add(s, "%s", value);
        return;
    }
    sql_add(s, "{");
    for (; *value; value++)
        sql_add(s, *value == '}' ? "}}" : "%c", *value);
    sql_add(s, "}");
}

/* The string has a password: it is not left in memory that others get. */
static SQLRETURN reach(struct conn *c, const struct odbc *me) {
    struct sql_text s = { 0 };
    add_key(&s, "DSN", me->dsn); /* what comes behind it counts more */
    if (me->connection)
        sql_add(&s, s.len ? ";%s" : "%s", me->connection);
    add_key(&s, "UID", me->user);
    add_key(&s, "PWD", me->password);
    SQLRETURN rc = SQLDriverConnect(c->db, NULL, (SQLCHAR *)s.s, SQL_NTS, NULL, 0, NULL, SQL_DRIVER_NOPROMPT);
    explicit_bzero(s.s, s.len);
    sql_free(&s);
    return rc;
}

static void close_conn(struct pool_conn *base);

static bool open_conn(struct pool_conn *base) {
    const struct odbc *me = (const void *)base->pool->inst;
    struct conn *c = of(base);
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &c->env)) ||
        !SQL_SUCCEEDED(SQLSetEnvAttr(c->env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0)) ||
        !SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_DBC, c->env, &c->db)))
        abort(); /* there is no memory */
    SQLSetConnectAttr(c->db, SQL_ATTR_LOGIN_TIMEOUT, (SQLPOINTER)((me->connect_timeout + 999) / 1000), 0);
    if (SQL_SUCCEEDED(reach(c, me)))
        return true;
    fail(c, SQL_HANDLE_DBC, c->db);
    close_conn(base);
    return false;
}

static const struct pool_product *product(struct pool_conn *base) {
    static const struct {
        const char *name;
        const struct pool_product *product;
    } known[] = { { "PostgreSQL", &pool_pgsql },
                  { "MariaDB", &pool_mariadb },
                  { "MySQL", &pool_mysql },
                  { "SQLite", &pool_sqlite } };
    struct conn *c = of(base);
    char name[80] = "", version[80] = "";
    SQLGetInfo(c->db, SQL_DBMS_NAME, name, sizeof name, NULL);
    SQLGetInfo(c->db, SQL_DBMS_VER, version, sizeof version, NULL);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncasecmp(name, known[i].name, strlen(known[i].name)) == 0) {
            c->product = known[i].product;
            return strstr(version, "MariaDB") ? (c->product = &pool_mariadb) : c->product;
        }
    pool_say(base, "%s %s is a product that it does not know", name[0] ? name : "it says no name; that", version);
    return NULL;
}

static bool free_stmt(void *conn, void *handle) {
    (void)conn;
    SQLFreeHandle(SQL_HANDLE_STMT, handle);
    return true;
}

static void close_conn(struct pool_conn *base) {
    struct conn *c = of(base);
    sql_cache_clear(&c->cache, free_stmt, c);
    SQLDisconnect(c->db);
    SQLFreeHandle(SQL_HANDLE_DBC, c->db);
    SQLFreeHandle(SQL_HANDLE_ENV, c->env);
    c->db = NULL;
    c->env = NULL;
    c->product = NULL;
}

static struct pool_conn *make(void) {
    struct conn *c = sql_must(calloc(1, sizeof *c));
    return &c->base;
}

static void free_conn(struct pool_conn *base) {
    struct conn *c = of(base);
    for (int i = 0; i < COLS_MAX; i++)
        free(c->cells[i]);
    free(c->lengths);
    free(c->numbers);
    free(c);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

static SQLHSTMT stmt_new(struct conn *c) {
    const struct odbc *me = (const void *)c->base.pool->inst;
    SQLHSTMT stmt = NULL;
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, c->db, &stmt)))
        return NULL;
    if (!c->base.main) /* it makes indexes */
        SQLSetStmtAttr(stmt, SQL_ATTR_QUERY_TIMEOUT, (SQLPOINTER)((me->query_timeout + 999) / 1000), 0);
    return stmt;
}

static SQLHSTMT prepare(struct conn *c, const char *text, enum pool_code *code) {
    struct sql_stmt *cached = sql_cache_find(&c->cache, text, free_stmt, c);
    if (cached->handle)
        return cached->handle;
    SQLHSTMT stmt = stmt_new(c);
    if (!stmt) {
        *code = fail(c, SQL_HANDLE_DBC, c->db);
    } else if (!SQL_SUCCEEDED(SQLPrepare(stmt, (SQLCHAR *)text, SQL_NTS))) {
        *code = fail(c, SQL_HANDLE_STMT, stmt);
        SQLFreeHandle(SQL_HANDLE_STMT, stmt);
        stmt = NULL;
    }
    if (!stmt)
        sql_cache_forget(&c->cache, cached);
    cached = stmt ? sql_cache_find(&c->cache, text, free_stmt, c) : NULL;
    if (cached)
        cached->handle = stmt;
    return stmt;
}

static const struct {
    SQLSMALLINT c, sql;
} kinds[] = { /* by mk_col_type */
              { SQL_C_CHAR, SQL_LONGVARCHAR }, { SQL_C_BINARY, SQL_LONGVARBINARY },
              { SQL_C_SBIGINT, SQL_BIGINT },   { SQL_C_SBIGINT, SQL_BIGINT },
              { SQL_C_BIT, SQL_BIT },          { SQL_C_CHAR, SQL_LONGVARCHAR }
};

static SQLRETURN bind_one(struct conn *c, SQLHSTMT stmt, unsigned i, const struct sql_arg *arg) {
    const struct mk_value *v = arg->v;
    const void *bytes = &c->numbers[i];
    SQLLEN *len = &c->lengths[i];
    *len = 0;
    if (v->type == MK_V_NULL) {
        *len = SQL_NULL_DATA;
    } else if (v->type == MK_C_JID) {
        bytes = mk_jid_text(v->u.j);
        *len = (SQLLEN)strlen(bytes);
    } else if (v->type == MK_C_TEXT || v->type == MK_C_BYTES) {
        bytes = v->len ? v->u.b : "";
        *len = (SQLLEN)v->len;
    } else if (arg->type == MK_C_BOOL) {
        *(unsigned char *)&c->numbers[i] = v->u.i != 0;
    } else {
        c->numbers[i] = v->u.i;
    }
    SQLULEN size = *len > 0 ? (SQLULEN)*len : 1;
    return SQLBindParameter(stmt, (SQLUSMALLINT)(i + 1), SQL_PARAM_INPUT, kinds[arg->type].c, kinds[arg->type].sql,
                            size, 0, (SQLPOINTER)bytes, (SQLLEN)size, len);
}

static enum pool_code bind(struct conn *c, SQLHSTMT stmt, const struct sql_query *q) {
    if (q->count > c->params_cap) {
        c->params_cap = q->count * 2;
        c->lengths = sql_must(realloc(c->lengths, c->params_cap * sizeof *c->lengths));
        c->numbers = sql_must(realloc(c->numbers, c->params_cap * sizeof *c->numbers));
    }
    for (unsigned i = 0; i < q->count; i++)
        if (!SQL_SUCCEEDED(bind_one(c, stmt, i, &q->args[i])))
            return fail(c, SQL_HANDLE_STMT, stmt);
    return POOL_OK;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static void grow(struct conn *c, unsigned i, size_t cap) {
    if (cap <= c->caps[i])
        return;
    c->caps[i] = cap + cap / 2;
    c->cells[i] = sql_must(realloc(c->cells[i], c->caps[i]));
}

/* A text or bytes in as many pieces as they come; -1: null, -2: a failure. */
static int64_t take_bytes(struct conn *c, SQLHSTMT stmt, unsigned i, bool text) {
    size_t have = 0;
    grow(c, i, FIRST_CAP);
    for (;;) {
        SQLLEN len = 0;
        size_t room = c->caps[i] - have;
        SQLRETURN rc = SQLGetData(stmt, (SQLUSMALLINT)(i + 1), text ? SQL_C_CHAR : SQL_C_BINARY, c->cells[i] + have,
                                  (SQLLEN)room, &len);
        if (rc == SQL_NO_DATA)
            break;
        if (!SQL_SUCCEEDED(rc))
            return -2;
        if (len == SQL_NULL_DATA)
            return -1;
        size_t usable = text ? room - 1 : room; /* a text ends in a NUL */
        if (len != SQL_NO_TOTAL && (size_t)len <= usable) {
            have += (size_t)len;
            break;
        }
        have += usable;
        grow(c, i, len == SQL_NO_TOTAL ? c->caps[i] * 2 : have - usable + (size_t)len + 1);
    }
    grow(c, i, have + 1);
    c->cells[i][have] = '\0';
    return (int64_t)have;
}

static bool take_cell(struct conn *c, SQLHSTMT stmt, unsigned i, uint32_t type, struct mk_value *out) {
    bool number = type == MK_C_INT || type == MK_C_TIME || type == MK_C_BOOL;
    *out = mk_v_null();
    if (number) {
        int64_t value = 0;
        SQLLEN len = 0;
        if (!SQL_SUCCEEDED(SQLGetData(stmt, (SQLUSMALLINT)(i + 1), SQL_C_SBIGINT, &value, (SQLLEN)sizeof value, &len)))
            return false;
        if (len != SQL_NULL_DATA)
            *out = mk_v_int(value);
        return true;
    }
    int64_t len = take_bytes(c, stmt, i, type != MK_C_BYTES);
    if (len >= 0)
        *out = type == MK_C_BYTES ? mk_v_bytes(c->cells[i], (size_t)len)
                                  : mk_v_view((struct mk_view){ c->cells[i], (size_t)len });
    return len >= -1;
}

static enum pool_code take_rows(struct conn *c, SQLHSTMT stmt, const struct pool_ask *ask) {
    struct mk_value values[COLS_MAX];
    SQLSMALLINT have = 0;
    SQLRETURN rc;
    SQLNumResultCols(stmt, &have);
    for (unsigned i = 0; i < ask->count; i++)
        values[i] = mk_v_null();
    while (have && (rc = SQLFetch(stmt)) != SQL_NO_DATA) {
        if (!SQL_SUCCEEDED(rc))
            return fail(c, SQL_HANDLE_STMT, stmt);
        for (unsigned i = 0; i < ask->count && i < (unsigned)have; i++)
            if (!take_cell(c, stmt, i, ask->types[i], &values[i]))
                return fail(c, SQL_HANDLE_STMT, stmt);
        ask->row(ask->arg, values);
    }
    return POOL_OK;
}

static enum pool_code run(struct pool_conn *base, const struct sql_query *q, int64_t *changed,
                          const struct pool_ask *ask) {
    struct conn *c = of(base);
    enum pool_code code = POOL_OK;
    if (base->lost)
        return POOL_LOST;
    SQLHSTMT stmt = prepare(c, q->text, &code);
    if (!stmt)
        return code;
    code = bind(c, stmt, q);
    if (code == POOL_OK && !is_good(SQLExecute(stmt)))
        code = fail(c, SQL_HANDLE_STMT, stmt);
    SQLLEN rows = 0;
    if (code == POOL_OK && changed)
        *changed = SQL_SUCCEEDED(SQLRowCount(stmt, &rows)) ? rows : 0;
    if (code == POOL_OK && ask)
        code = take_rows(c, stmt, ask);
    SQLFreeStmt(stmt, SQL_CLOSE);
    return code;
}

static enum pool_code text(struct pool_conn *base, const char *text) {
    struct conn *c = of(base);
    enum pool_code code = POOL_OK;
    if (base->lost)
        return POOL_LOST;
    SQLHSTMT stmt = stmt_new(c);
    if (!stmt)
        return fail(c, SQL_HANDLE_DBC, c->db);
    if (!is_good(SQLExecDirect(stmt, (SQLCHAR *)text, SQL_NTS)))
        code = fail(c, SQL_HANDLE_STMT, stmt);
    SQLFreeHandle(SQL_HANDLE_STMT, stmt);
    return code;
}

/* Drivers may not look before they answer whether a connection is dead: it is asked something. */
static bool alive(struct pool_conn *c) {
    return text(c, "SELECT 1") != POOL_LOST && !c->lost;
}

const struct pool_driver odbc_driver = {
    .make = make,
    .free = free_conn,
    .open = open_conn,
    .close = close_conn,
    .product = product,
    .run = run,
    .text = text,
    .alive = alive,
};
