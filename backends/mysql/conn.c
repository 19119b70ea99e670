/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of libmariadb: opened, asked, closed.  Nothing waits longer than its timeout. */
#include "mysql_backend.h"
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

enum { COLS_MAX = 64, FIRST_CAP = 256, MAIN_TIMEOUT_S = 3600 };

struct column { /* of a result */
    char *bytes;
    unsigned long cap, len;
    int64_t number;
    my_bool is_null;
};
struct conn {
    struct pool_conn base;
    MYSQL *db;
    struct sql_cache cache;
    uint64_t max_packet; /* 0: not known yet */
    MYSQL_BIND *params;
    unsigned params_cap;
    int64_t *numbers; /* of parameters */
    MYSQL_BIND results[COLS_MAX];
    struct column cols[COLS_MAX];
};
static struct conn *of(struct pool_conn *c) {
    return (struct conn *)c;
}

/* ---- reasons -------------------------------------------------------------------------------------------------- */

/* The read gave up because its time had passed. */
static bool was_silent(const char *text) {
    return strstr(text, "imed out") || strstr(text, "system error: 11") || strstr(text, "imeout");
}

static enum pool_code fail(struct conn *c, unsigned number, const char *state, const char *text) {
    enum pool_code code = pool_mariadb.judge(&c->base, number, state);
    if (code == POOL_LOST && was_silent(text))
        c->base.silent = true;
    pool_say(&c->base, "%s", c->base.silent ? "no answer in time" : text);
    return code;
}

static enum pool_code fail_db(struct conn *c) {
    return fail(c, mysql_errno(c->db), mysql_sqlstate(c->db), mysql_error(c->db));
}

static enum pool_code fail_stmt(struct conn *c, MYSQL_STMT *stmt) {
    return fail(c, mysql_stmt_errno(stmt), mysql_stmt_sqlstate(stmt), mysql_stmt_error(stmt));
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static unsigned seconds(int64_t ms) {
    return (unsigned)((ms + 999) / 1000);
}

static bool wants_tls(const struct mysql *me) {
    return me->sslmode == SSL_AUTO ? me->host != NULL : me->sslmode != SSL_DISABLE;
}

static void set_tls(MYSQL *db, const struct mysql *me) {
    my_bool yes = 1, verify = me->sslmode != SSL_REQUIRE;
    mysql_optionsv(db, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_optionsv(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    const char *authorities = me->sslrootcert ? me->sslrootcert : verify ? sql_authorities() : NULL;
    if (authorities)
        mysql_optionsv(db, MYSQL_OPT_SSL_CA, authorities);
    if (me->sslcert)
        mysql_optionsv(db, MYSQL_OPT_SSL_CERT, me->sslcert);
    if (me->sslkey)
        mysql_optionsv(db, MYSQL_OPT_SSL_KEY, me->sslkey);
}

static void set_options(struct conn *c, const struct mysql *me) {
    unsigned connect = seconds(me->connect_timeout), off = 0;
    unsigned answer = c->base.main ? MAIN_TIMEOUT_S : seconds(me->query_timeout); /* it makes indexes */
    unsigned way = me->host ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
    mysql_optionsv(c->db, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    mysql_optionsv(c->db, MYSQL_OPT_READ_TIMEOUT, &answer);
    mysql_optionsv(c->db, MYSQL_OPT_WRITE_TIMEOUT, &answer);
    mysql_optionsv(c->db, MYSQL_OPT_PROTOCOL, &way);
    mysql_optionsv(c->db, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_optionsv(c->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (wants_tls(me))
        set_tls(c->db, me);
}

static bool reach(struct conn *c, const struct mysql *me) {
    set_options(c, me);
    if (!mysql_real_connect(c->db, me->host, me->user, me->password, NULL, (unsigned)me->port, me->socket, 0)) {
        pool_say(&c->base, "%s", mysql_error(c->db));
        return false;
    }
    if (!wants_tls(me) || mysql_get_ssl_cipher(c->db))
        return true;
    pool_say(&c->base, "it does not encrypt");
    return false;
}

static void close_conn(struct pool_conn *base);

static bool open_conn(struct pool_conn *base) {
    const struct mysql *me = (const void *)base->pool->inst;
    struct conn *c = of(base);
    struct sql_text packet = { 0 };
    c->db = sql_must(mysql_init(NULL));
    bool good = reach(c, me) && pool_query(base, "SELECT @@max_allowed_packet", NULL, 0, &packet) == POOL_OK;
    if (good)
        c->max_packet = strtoull(packet.s, NULL, 10);
    else
        close_conn(base);
    sql_free(&packet);
    return good;
}

static const struct pool_product *product(struct pool_conn *base) {
    return mariadb_connection(of(base)->db) ? &pool_mariadb : &pool_mysql;
}

static bool free_stmt(void *conn, void *handle) {
    (void)conn;
    mysql_stmt_close(handle);
    return true;
}

static void close_conn(struct pool_conn *base) {
    struct conn *c = of(base);
    sql_cache_clear(&c->cache, free_stmt, c);
    mysql_close(c->db);
    c->db = NULL;
}

static struct pool_conn *make(void) {
    struct conn *c = sql_must(calloc(1, sizeof *c));
    return &c->base;
}

static void free_conn(struct pool_conn *base) {
    struct conn *c = of(base);
    for (int i = 0; i < COLS_MAX; i++)
        free(c->cols[i].bytes);
    free(c->params);
    free(c->numbers);
    free(c);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

static MYSQL_STMT *prepare(struct conn *c, const char *text, enum pool_code *code) {
    struct sql_stmt *cached = sql_cache_find(&c->cache, text, free_stmt, c);
    if (cached->handle)
        return cached->handle;
    MYSQL_STMT *stmt = sql_must(mysql_stmt_init(c->db));
    if (mysql_stmt_prepare(stmt, text, strlen(text)) != 0) {
        *code = fail_stmt(c, stmt);
        mysql_stmt_close(stmt);
        sql_cache_forget(&c->cache, cached);
        return NULL;
    }
    cached->handle = stmt;
    return stmt;
}

static void bind_bytes(MYSQL_BIND *b, enum enum_field_types type, const void *bytes, size_t len) {
    b->buffer_type = type;
    b->buffer = (void *)(len ? bytes : "");
    b->buffer_length = (unsigned long)len;
    b->length_value = (unsigned long)len;
    b->length = &b->length_value;
}

static size_t bind_one(MYSQL_BIND *b, int64_t *number, const struct sql_arg *arg) {
    const struct mk_value *v = arg->v;
    memset(b, 0, sizeof *b);
    switch (v->type) {
    case MK_V_NULL:
        b->buffer_type = MYSQL_TYPE_NULL;
        return 1;
    case MK_C_TEXT:
        bind_bytes(b, MYSQL_TYPE_STRING, v->u.s, v->len);
        break;
    case MK_C_BYTES:
        bind_bytes(b, MYSQL_TYPE_BLOB, v->u.b, v->len);
        break;
    case MK_C_JID:
        bind_bytes(b, MYSQL_TYPE_STRING, mk_jid_text(v->u.j), strlen(mk_jid_text(v->u.j)));
        break;
    default:
        *number = v->u.i;
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        b->buffer = number;
    }
    return b->buffer_length + 16u;
}

/* A statement that is too long would cost the connection. */
static enum pool_code bind(struct conn *c, MYSQL_STMT *stmt, const struct sql_query *q) {
    size_t bytes = 1024;
    if (q->count > c->params_cap) {
        c->params_cap = q->count * 2;
        c->params = sql_must(realloc(c->params, c->params_cap * sizeof *c->params));
        c->numbers = sql_must(realloc(c->numbers, c->params_cap * sizeof *c->numbers));
    }
    for (unsigned i = 0; i < q->count; i++)
        bytes += bind_one(&c->params[i], &c->numbers[i], &q->args[i]);
    if (c->max_packet && bytes > c->max_packet) {
        pool_say(&c->base, "a row has more bytes than max_allowed_packet");
        return POOL_REFUSED;
    }
    if (q->count && mysql_stmt_bind_param(stmt, c->params) != 0)
        return fail_stmt(c, stmt);
    return POOL_OK;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static void grow(struct column *col, unsigned long len) {
    if (len < col->cap)
        return;
    col->cap = len + len / 2 + FIRST_CAP;
    col->bytes = sql_must(realloc(col->bytes, col->cap));
}

static bool is_number(uint32_t type) {
    return type == MK_C_INT || type == MK_C_TIME || type == MK_C_BOOL;
}

static void bind_column(struct conn *c, unsigned i, uint32_t type) {
    MYSQL_BIND *b = &c->results[i];
    struct column *col = &c->cols[i];
    memset(b, 0, sizeof *b);
    b->is_null = &col->is_null;
    b->length = &col->len;
    if (is_number(type)) {
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        b->buffer = &col->number;
        return;
    }
    grow(col, 0);
    b->buffer_type = type == MK_C_BYTES ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
    b->buffer = col->bytes;
    b->buffer_length = col->cap - 1;
}

/* Values that were longer than their buffers. */
static bool fetch_long(struct conn *c, MYSQL_STMT *stmt, const uint32_t *types, unsigned count) {
    bool grown = false;
    for (unsigned i = 0; i < count; i++) {
        struct column *col = &c->cols[i];
        if (is_number(types[i]) || col->is_null || col->len < col->cap)
            continue;
        unsigned long len = col->len;
        grow(col, len);
        bind_column(c, i, types[i]);
        if (mysql_stmt_fetch_column(stmt, &c->results[i], i, 0) != 0)
            return false;
        col->len = len;
        grown = true;
    }
    return !grown || mysql_stmt_bind_result(stmt, c->results) == 0;
}

static void give_row(struct conn *c, const struct pool_ask *ask, unsigned have) {
    struct mk_value values[COLS_MAX];
    for (unsigned i = 0; i < ask->count; i++) {
        struct column *col = &c->cols[i];
        values[i] = mk_v_null();
        if (i >= have || col->is_null)
            continue;
        if (is_number(ask->types[i])) {
            values[i] = mk_v_int(col->number);
            continue;
        }
        col->bytes[col->len] = '\0';
        values[i] = ask->types[i] == MK_C_BYTES ? mk_v_bytes(col->bytes, col->len)
                                                : mk_v_view((struct mk_view){ col->bytes, col->len });
    }
    ask->row(ask->arg, values);
}

static enum pool_code take_rows(struct conn *c, MYSQL_STMT *stmt, const struct pool_ask *ask) {
    unsigned have = mysql_stmt_field_count(stmt);
    int rc;
    if (have > ask->count)
        have = ask->count;
    for (unsigned i = 0; i < have; i++)
        bind_column(c, i, ask->types[i]);
    if (mysql_stmt_store_result(stmt) != 0 || mysql_stmt_bind_result(stmt, c->results) != 0)
        return fail_stmt(c, stmt);
    while ((rc = mysql_stmt_fetch(stmt)) == 0 || rc == MYSQL_DATA_TRUNCATED) {
        if (!fetch_long(c, stmt, ask->types, have))
            return fail_stmt(c, stmt);
        give_row(c, ask, have);
    }
    return rc == MYSQL_NO_DATA ? POOL_OK : fail_stmt(c, stmt);
}

static enum pool_code run(struct pool_conn *base, const struct sql_query *q, int64_t *changed,
                          const struct pool_ask *ask) {
    struct conn *c = of(base);
    enum pool_code code = POOL_OK;
    if (base->lost)
        return POOL_LOST;
    MYSQL_STMT *stmt = prepare(c, q->text, &code);
    if (!stmt)
        return code;
    code = bind(c, stmt, q);
    if (code != POOL_OK)
        return code;
    if (mysql_stmt_execute(stmt) != 0)
        return fail_stmt(c, stmt);
    if (changed)
        *changed = (int64_t)mysql_stmt_affected_rows(stmt);
    if (ask)
        code = take_rows(c, stmt, ask);
    if (!base->lost)
        mysql_stmt_free_result(stmt);
    return code;
}

static enum pool_code text(struct pool_conn *base, const char *text) {
    struct conn *c = of(base);
    if (base->lost)
        return POOL_LOST;
    if (mysql_real_query(c->db, text, strlen(text)) != 0)
        return fail_db(c);
    mysql_free_result(mysql_store_result(c->db));
    return POOL_OK;
}

static bool alive(struct pool_conn *base) {
    struct conn *c = of(base);
    if (!base->lost && mysql_ping(c->db) != 0)
        fail_db(c);
    return !base->lost;
}

const struct pool_driver mysql_driver = {
    .make = make,
    .free = free_conn,
    .open = open_conn,
    .close = close_conn,
    .product = product,
    .run = run,
    .text = text,
    .alive = alive,
};
