/* SPDX-License-Identifier: Apache-2.0 */
/* Tables in the database: what sql_define() needs, over a driver. */
#include "pool.h"
#include <string.h>

enum { FIELDS = 4, COMMITS_KEPT_DAYS = 30 };

/* ---- the engine ------------------------------------------------------------------------------------------------- */

static int run(void *conn, const char *text, const struct sql_query *values) {
    struct pool_conn *c = conn;
    if (!values)
        return c->pool->driver->text(c, text) == POOL_OK ? MK_OK : MK_E_BACKEND;
    struct sql_query q = *values;
    q.text = text;
    return c->pool->driver->run(c, &q, NULL, NULL) == POOL_OK ? MK_OK : MK_E_BACKEND;
}

struct fields {
    sql_row_fn *row;
    void *arg;
};

static void take_fields(void *arg, const struct mk_value *values) {
    struct fields *f = arg;
    const char *fields[FIELDS];
    for (int i = 0; i < FIELDS; i++)
        fields[i] = values[i].type == MK_V_NULL ? NULL : values[i].u.s;
    f->row(f->arg, fields);
}

static int ask(void *conn, const char *text, const struct sql_query *values, sql_row_fn *row, void *arg) {
    static const uint32_t types[FIELDS] = { MK_C_TEXT, MK_C_TEXT, MK_C_TEXT, MK_C_TEXT };
    struct pool_conn *c = conn;
    struct fields f = { row, arg };
    struct sql_query q = { .text = text };
    if (values)
        q = *values;
    q.text = text;
    return c->pool->driver->run(c, &q, NULL, &(struct pool_ask){ types, FIELDS, take_fields, &f }) == POOL_OK
               ? MK_OK
               : MK_E_BACKEND;
}

static const char *error(void *conn) {
    return pool_why(conn);
}

static int end(void *conn, bool commit);

static int begin(void *conn) {
    struct pool_conn *c = conn;
    const struct pool_product *product = c->pool->product;
    if (product->transactional && c->pool->driver->text(c, product->begin) != POOL_OK)
        return MK_E_BACKEND;
    if (!product->lock || product->lock(c) == POOL_OK)
        return MK_OK;
    end(c, false);
    return MK_E_BACKEND;
}

/* The reason stays that of the failure before. */
static int end(void *conn, bool commit) {
    struct pool_conn *c = conn;
    const struct pool_product *product = c->pool->product;
    const struct pool_driver *driver = c->pool->driver;
    enum pool_code code = POOL_OK;
    struct sql_text why = c->why;
    c->why = (struct sql_text){ 0 };
    if (product->transactional && !c->lost)
        code = driver->text(c, commit ? "COMMIT" : "ROLLBACK");
    if (product->unlock && !c->lost && product->unlock(c) != POOL_OK)
        code = POOL_FAILED;
    if (commit && code != POOL_OK) {
        sql_free(&why);
    } else {
        sql_free(&c->why);
        c->why = why;
    }
    return code == POOL_OK ? MK_OK : MK_E_BACKEND;
}

static struct sql_engine engine_of(const struct pool_product *product);

static int parts(void *conn, const struct sql_table *t) {
    struct pool_conn *c = conn;
    struct sql_engine engine = engine_of(c->pool->product);
    return c->pool->product->parts(&engine, conn, t);
}

static int migrated(void *conn, const struct sql_table *t) {
    struct pool_conn *c = conn;
    struct sql_engine engine = engine_of(c->pool->product);
    return c->pool->product->migrated ? c->pool->product->migrated(&engine, conn, t) : MK_OK;
}

static int leftover(void *conn, const struct sql_table *t) {
    struct pool_conn *c = conn;
    struct sql_engine engine = engine_of(c->pool->product);
    return c->pool->product->leftover ? c->pool->product->leftover(&engine, conn, t) : MK_OK;
}

static struct sql_engine engine_of(const struct pool_product *product) {
    return (struct sql_engine){ .dialect = product->dialect,
                                .run = run,
                                .ask = ask,
                                .error = error,
                                .begin = begin,
                                .end = end,
                                .parts = parts,
                                .migrated = migrated,
                                .leftover = leftover,
                                .schema_table = product->schema_table };
}

/* ---- definitions ------------------------------------------------------------------------------------------------ */

static bool is_ready(struct pool *pool) {
    struct pool_conn *c = pool->main;
    if (c->open && !pool->driver->alive(c)) {
        pool->driver->close(c);
        c->open = false;
    }
    return c->open || pool_connect(c);
}

int pool_define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    struct pool *pool = ((const struct pool_inst *)inst)->pool;
    struct sql_table *t = sql_table_new(pool->product->dialect, coll);
    struct sql_engine engine = engine_of(pool->product);
    int rc = MK_OK;
    if (!is_ready(pool))
        rc =
            mk_fail(err, MK_E_BACKEND, "Collection %s: the database can't be used: %s.", t->name, pool_why(pool->main));
    if (!rc)
        rc = sql_define(&engine, pool->main, t, pool->inst->create, err);
    if (rc) {
        sql_table_free(t);
        return rc;
    }
    mk_coll_set_data(coll, t);
    pthread_mutex_lock(&pool->lock);
    t->next = pool->tables;
    pool->tables = t;
    pthread_mutex_unlock(&pool->lock);
    return MK_OK;
}

void pool_print(const struct pool_product *product, const struct mk_coll *coll, struct mk_schema *out) {
    struct sql_engine engine = engine_of(product);
    struct sql_table *t = sql_table_new(product->dialect, coll);
    struct sql_parts wanted = { .count = 0 };
    product->want_parts(&wanted, t);
    mk_schema_add(out, "%s;\n", product->commits_table);
    sql_print(&engine, t, &wanted, product->how, out);
    sql_parts_free(&wanted);
    sql_table_free(t);
}

/* ---- the pool's own table --------------------------------------------------------------------------------------- */

/* Rows of servers that ended long ago are of no use. */
static bool clean_commits(struct pool_conn *c) {
    struct mk_value before = mk_v_int(pool_now_us() - COMMITS_KEPT_DAYS * INT64_C(86400000000));
    struct sql_arg arg = { &before, MK_C_INT };
    return run(c, "DELETE FROM meerkat_commits WHERE at<?", &(struct sql_query){ .args = &arg, .count = 1 }) == MK_OK;
}

bool pool_prepare(struct pool_conn *c) {
    if (!c->pool->inst->create)
        return clean_commits(c);
    if (begin(c) != MK_OK)
        return false;
    bool good = run(c, c->pool->product->commits_table, NULL) == MK_OK && clean_commits(c);
    return end(c, good) == MK_OK && good;
}

/* ---- for products ----------------------------------------------------------------------------------------------- */

static void take_text(void *arg, const struct mk_value *values) {
    if (values[0].type != MK_V_NULL)
        sql_add(arg, "%.*s", (int)values[0].len, values[0].u.s);
}

bool pool_run_all(struct pool_conn *c, const char *const *texts, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (c->pool->driver->text(c, texts[i]) != POOL_OK)
            return false;
    return true;
}

void pool_quote(struct sql_text *s, char quote, const char *name) {
    sql_add(s, "%c", quote);
    for (; *name; name++)
        sql_add(s, *name == quote ? "%c%c" : "%c", *name, quote);
    sql_add(s, "%c", quote);
}

enum pool_code pool_query(struct pool_conn *c, const char *text, const char *const *values, unsigned count,
                          struct sql_text *out) {
    static const uint32_t type = MK_C_TEXT;
    struct mk_value texts[FIELDS];
    struct sql_arg args[FIELDS];
    struct sql_text ignored = { 0 };
    for (unsigned i = 0; i < count; i++) {
        texts[i] = mk_v_text(values[i]);
        args[i] = (struct sql_arg){ &texts[i], MK_C_TEXT };
    }
    struct sql_query q = { .text = text, .args = args, .count = count };
    enum pool_code code =
        c->pool->driver->run(c, &q, NULL, &(struct pool_ask){ &type, 1, take_text, out ? out : &ignored });
    sql_free(&ignored);
    return code;
}
