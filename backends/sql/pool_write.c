/* SPDX-License-Identifier: Apache-2.0 */
/* A writer's transactions; see pool.h. */
#include "pool.h"
#include <stdlib.h>
#include <string.h>

enum { IDLE_MS = 1000, SWEEP_AGAIN_MS = 10, TRIES = 3 };
enum outcome { DONE, CAREFUL, AGAIN, BROKEN, UNKNOWN };

static enum outcome failed(enum pool_code code) {
    if (code == POOL_PASSING)
        return AGAIN;
    return code == POOL_REFUSED || code == POOL_DUPLICATE ? CAREFUL : BROKEN;
}

static enum pool_code run(struct pool_conn *c, int64_t *changed) {
    return c->pool->driver->run(c, &c->query, changed, NULL);
}

/* ---- single changes ------------------------------------------------------------------------------------------- */

static bool same(const struct mk_value *a, const struct mk_value *b) {
    const char *x = a->u.s, *y = b->u.s;
    size_t x_len = a->len, y_len = b->len;
    if (a->type == MK_V_NULL || b->type == MK_V_NULL)
        return a->type == b->type;
    if (a->type != MK_C_TEXT && a->type != MK_C_BYTES && a->type != MK_C_JID)
        return a->u.i == b->u.i;
    if (a->type == MK_C_JID)
        x_len = strlen(x = mk_jid_text(a->u.j));
    if (b->type == MK_C_JID)
        y_len = strlen(y = mk_jid_text(b->u.j));
    return x_len == y_len && (x_len == 0 || memcmp(x, y, x_len) == 0);
}

struct found {
    const struct mk_change *x;
    bool any, old; /* the row that a PUT_IF wants to see is there */
};

static void look_at(void *arg, const struct mk_value *values) {
    struct found *f = arg;
    f->any = true;
    f->old = same(&values[f->x->col], &f->x->old);
}

/* Some databases do not count a row that stays as it was: it then has what the change wants. */
static enum pool_code why_unchanged(struct pool_conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    struct found f = { x, false, false };
    uint32_t types[64];
    for (unsigned i = 0; i < t->col_count; i++)
        types[i] = sql_col(t, i)->type;
    sql_get_of(&c->query, t, x, now);
    enum pool_code code =
        c->pool->driver->run(c, &c->query, NULL, &(struct pool_ask){ types, t->col_count, look_at, &f });
    x->rc = !f.any ? MK_E_NOTFOUND : f.old ? MK_OK : MK_E_CONFLICT;
    return code;
}

static enum pool_code put_if(struct pool_conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int64_t changed = 0;
    sql_put_if(&c->query, t, x, now);
    enum pool_code code = run(c, &changed);
    return code == POOL_OK && changed == 0 ? why_unchanged(c, t, x, now) : code;
}

/* What these databases count of an insert that became an update differs; that a plain one fails does not. */
static enum pool_code insert(struct pool_conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    if (t->ttl_col >= 0) {
        sql_del_old(&c->query, t, x, now);
        enum pool_code code = run(c, NULL);
        if (code != POOL_OK)
            return code;
    }
    sql_insert(&c->query, t, x);
    enum pool_code code = run(c, NULL);
    if (code != POOL_DUPLICATE)
        return code;
    x->rc = MK_E_CONFLICT;
    return POOL_OK;
}

static enum pool_code put(struct pool_conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int64_t changed = 0;
    if (x->mode == MK_IF_ABSENT && t->dialect->upsert == SQL_ON_DUPLICATE)
        return insert(c, t, x, now);
    sql_put(&c->query, t, x, now);
    enum pool_code code = run(c, &changed);
    if (changed == 0 && x->mode == MK_IF_ABSENT)
        x->rc = MK_E_CONFLICT;
    return code;
}

static void take_number(void *arg, const struct mk_value *values) {
    struct mk_change *x = arg;
    x->number = values[0].u.i;
    x->rc = MK_OK;
}

static enum pool_code add(struct pool_conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    static const uint32_t number[] = { MK_C_INT };
    int64_t sum;
    x->rc = MK_E_NOTFOUND;
    sql_add_read(&c->query, t, x, now);
    enum pool_code code = c->pool->driver->run(c, &c->query, NULL, &(struct pool_ask){ number, 1, take_number, x });
    if (code != POOL_OK || x->rc != MK_OK)
        return code;
    if (__builtin_add_overflow(x->number, x->by, &sum)) {
        x->rc = MK_E_LIMIT;
        return POOL_OK;
    }
    x->number = sum;
    sql_add_write(&c->query, t, x);
    return run(c, NULL);
}

static enum pool_code del(struct pool_conn *c, const struct sql_table *t, struct mk_change *x, int64_t now) {
    int64_t changed = 0;
    sql_del(&c->query, t, x, now);
    enum pool_code code = run(c, &changed);
    x->rc = changed || x->group ? MK_OK : MK_E_NOTFOUND;
    return code;
}

static enum pool_code change(struct pool_conn *c, struct mk_change *x, int64_t now) {
    const struct sql_table *t = mk_coll_data(x->coll);
    x->rc = MK_OK;
    switch (x->kind) {
    case MK_X_PUT:
        return put(c, t, x, now);
    case MK_X_PUT_IF:
        return put_if(c, t, x, now);
    case MK_X_ADD:
        return add(c, t, x, now);
    case MK_X_DEL:
        return del(c, t, x, now);
    default:
        sql_del_range(&c->query, t, x->scan);
        return run(c, NULL);
    }
}

/* ---- upserts that wait to go together --------------------------------------------------------------------------- */

/* Statements have 1, 2, 4 ... rows, so that there are few texts. */
enum { RUNS = 12, ROWS_MAX = 64, ROWS_FEW = 16, BYTES_MAX = 1 << 20 };
struct rows {
    const struct sql_table *t;
    struct mk_change *changes[ROWS_MAX];
    uint64_t keys[ROWS_MAX];
    unsigned count;
    size_t bytes;
};
struct pool_batch {
    struct rows runs[RUNS];
    unsigned count;
};

void pool_batch_free(struct pool_batch *b) {
    free(b);
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return (hash ^ len) * 1099511628211u;
}

static uint64_t key_of(const struct sql_table *t, const struct mk_change *x) {
    struct mk_coll_key key = mk_coll_key(t->coll, 0);
    uint64_t hash = 14695981039346656037u;
    for (unsigned i = 0; i < t->key_count; i++) {
        const struct mk_value *v = &x->values[key.cols[i]];
        if (v->type == MK_C_JID)
            hash = mix(hash, mk_jid_text(v->u.j), strlen(mk_jid_text(v->u.j)));
        else if (v->type == MK_C_TEXT || v->type == MK_C_BYTES)
            hash = mix(hash, v->u.s, v->len);
        else
            hash = mix(hash, &v->u.i, sizeof v->u.i);
    }
    return hash;
}

static size_t bytes_of(const struct sql_table *t, const struct mk_change *x) {
    size_t bytes = 0;
    for (unsigned i = 0; i < t->col_count; i++)
        bytes += x->values[i].type == MK_C_TEXT || x->values[i].type == MK_C_BYTES ? x->values[i].len + 8u : 64u;
    return bytes;
}

/* Few rows are one statement whatever their number; else powers of two, or there would be too many statements. */
static unsigned rows_at_once(unsigned left) {
    unsigned n = ROWS_MAX;
    while (left > ROWS_FEW && n > left)
        n /= 2;
    return left > ROWS_FEW ? n : left;
}

static enum pool_code flush(struct pool_conn *c, struct rows *r, int64_t now) {
    enum pool_code code = POOL_OK;
    for (unsigned done = 0, n; code == POOL_OK && done < r->count; done += n) {
        n = rows_at_once(r->count - done);
        if (n == 1)
            sql_put(&c->query, r->t, r->changes[done], now);
        else
            sql_put_rows(&c->query, r->t, r->changes + done, n);
        code = run(c, NULL);
    }
    r->count = 0;
    r->bytes = 0;
    return code;
}

static enum pool_code flush_all(struct pool_conn *c, struct pool_batch *b, int64_t now) {
    enum pool_code code = POOL_OK;
    for (unsigned i = 0; i < b->count && code == POOL_OK; i++)
        code = flush(c, &b->runs[i], now);
    b->count = 0;
    return code;
}

static struct rows *rows_of(struct pool_batch *b, const struct sql_table *t) {
    for (unsigned i = 0; i < b->count; i++)
        if (b->runs[i].t == t)
            return &b->runs[i];
    return NULL;
}

static bool has_key(const struct rows *r, uint64_t key) {
    for (unsigned i = 0; i < r->count; i++)
        if (r->keys[i] == key)
            return true;
    return false;
}

static enum pool_code add_row(struct pool_conn *c, struct pool_batch *b, const struct sql_table *t, struct mk_change *x,
                              int64_t now) {
    struct rows *r = rows_of(b, t);
    enum pool_code code = POOL_OK;
    uint64_t key = key_of(t, x);
    size_t bytes = bytes_of(t, x);
    if (!r && b->count == RUNS)
        code = flush_all(c, b, now);
    if (!r) {
        r = &b->runs[b->count++];
        *r = (struct rows){ .t = t };
    }
    if (r->count == ROWS_MAX || r->bytes + bytes > BYTES_MAX || has_key(r, key))
        code = flush(c, r, now);
    x->rc = MK_OK;
    r->keys[r->count] = key;
    r->changes[r->count++] = x;
    r->bytes += bytes;
    return code;
}

/* The order of changes matters inside a table alone. */
static enum pool_code change_soon(struct pool_thread *t, struct mk_change *x, int64_t now) {
    const struct sql_table *table = mk_coll_data(x->coll);
    if (x->kind == MK_X_PUT && x->mode == MK_UPSERT)
        return add_row(t->conn, t->batch, table, x, now);
    struct rows *r = rows_of(t->batch, table);
    enum pool_code code = r ? flush(t->conn, r, now) : POOL_OK;
    return code == POOL_OK ? change(t->conn, x, now) : code;
}

/* ---- all at once ---------------------------------------------------------------------------------------------- */

/* Without the row nobody could tell later whether this transaction happened: a new connection makes it again. */
static enum outcome write_number(struct pool_thread *t) {
    struct mk_value values[] = { mk_v_int(t->transaction), mk_v_int(pool_now_us()), mk_v_text(t->pool->server),
                                 mk_v_int(t->number) };
    struct sql_arg args[] = {
        { &values[0], MK_C_INT }, { &values[1], MK_C_INT }, { &values[2], MK_C_TEXT }, { &values[3], MK_C_INT }
    };
    struct sql_query q = { .text = "UPDATE meerkat_commits SET number=?,at=? WHERE server=? AND conn=?",
                           .args = args,
                           .count = 4 };
    int64_t changed = 0;
    enum pool_code code = t->pool->driver->run(t->conn, &q, &changed, NULL);
    if (code == POOL_OK && changed == 1)
        return DONE;
    if (code == POOL_OK) {
        pool_say(t->conn, "its row of meerkat_commits is gone");
        t->conn->lost = true;
    }
    return code == POOL_PASSING ? AGAIN : BROKEN;
}

static enum outcome run_all(struct pool_thread *t, struct job *jobs, int64_t now) {
    bool torn = false;
    enum pool_code code = t->pool->driver->text(t->conn, t->pool->product->begin);
    if (code != POOL_OK)
        return failed(code);
    t->batch->count = 0;
    for (struct job *job = jobs; job; job = job->next) {
        for (uint32_t i = 0; i < job->commit->count; i++) {
            code = change_soon(t, job->commit->changes[i], now);
            if (code != POOL_OK)
                return failed(code);
        }
        torn |= commit_is_torn(job->commit);
    }
    if (torn)
        return CAREFUL;
    code = flush_all(t->conn, t->batch, now);
    return code == POOL_OK ? write_number(t) : failed(code);
}

/* ---- one after the other -------------------------------------------------------------------------------------- */

static enum outcome run_group(struct pool_conn *c, struct mk_change *const *changes, uint32_t count, int64_t now) {
    const struct pool_driver *driver = c->pool->driver;
    bool good = true;
    if (driver->text(c, "SAVEPOINT one") != POOL_OK)
        return BROKEN;
    for (uint32_t i = 0; i < count && good; i++) {
        enum pool_code code = change(c, changes[i], now);
        if (code != POOL_OK && code != POOL_REFUSED && code != POOL_DUPLICATE)
            return failed(code);
        if (code != POOL_OK)
            changes[i]->rc = MK_E_BACKEND;
        good = code == POOL_OK && (count == 1 || changes[i]->rc == MK_OK);
    }
    if (!good && driver->text(c, "ROLLBACK TO SAVEPOINT one") != POOL_OK)
        return BROKEN;
    return driver->text(c, "RELEASE SAVEPOINT one") == POOL_OK ? DONE : BROKEN;
}

static enum outcome run_carefully(struct pool_thread *t, struct job *jobs, int64_t now) {
    if (t->pool->driver->text(t->conn, t->pool->product->begin) != POOL_OK)
        return BROKEN;
    for (struct job *job = jobs; job; job = job->next)
        for (uint32_t i = 0, end; i < job->commit->count; i = end) {
            end = commit_group_end(job->commit, i);
            for (uint32_t k = i; k < end; k++)
                job->commit->changes[k]->rc = MK_OK;
            enum outcome outcome = run_group(t->conn, job->commit->changes + i, end - i, now);
            if (outcome != DONE)
                return outcome;
        }
    return write_number(t);
}

/* ---- transactions --------------------------------------------------------------------------------------------- */

/* The reason stays that of the failure. */
static void roll_back(struct pool_conn *c) {
    struct sql_text why = c->why;
    c->why = (struct sql_text){ 0 };
    if (!c->lost)
        c->pool->driver->text(c, "ROLLBACK");
    sql_free(&c->why);
    c->why = why;
}

struct fate {
    int64_t number;
    bool any;
};
static void take_fate(void *arg, const struct mk_value *values) {
    *(struct fate *)arg = (struct fate){ values[0].u.i, true };
}

static enum pool_code ask_fate(struct pool_thread *t, struct fate *fate) {
    static const uint32_t number[] = { MK_C_INT };
    struct mk_value values[] = { mk_v_text(t->pool->server), mk_v_int(t->number) };
    struct sql_arg args[] = { { &values[0], MK_C_TEXT }, { &values[1], MK_C_INT } };
    struct sql_query q = { .text = "SELECT number FROM meerkat_commits WHERE server=? AND conn=?",
                           .args = args,
                           .count = 2 };
    return t->pool->driver->run(t->conn, &q, NULL, &(struct pool_ask){ number, 1, take_fate, fate });
}

/* A COMMIT that fails need not mean that nothing happened; once the transaction is over its number says. */
static enum outcome commit(struct pool_thread *t) {
    struct fate fate = { 0, false };
    enum pool_code code = t->pool->driver->text(t->conn, "COMMIT");
    if (code == POOL_OK)
        return DONE;
    roll_back(t->conn);
    if (t->conn->lost || ask_fate(t, &fate) != POOL_OK) {
        t->conn->lost = true;
        return UNKNOWN;
    }
    if (fate.any && fate.number >= t->transaction)
        return DONE;
    return code == POOL_PASSING ? AGAIN : BROKEN;
}

static enum outcome run_once(struct pool_thread *t, struct job *jobs, bool careful) {
    int64_t now = pool_now_us();
    t->transaction++;
    enum outcome outcome = careful ? run_carefully(t, jobs, now) : run_all(t, jobs, now);
    if (outcome == DONE)
        return commit(t);
    roll_back(t->conn);
    return outcome;
}

static void run_jobs(struct pool_thread *t, struct job *jobs) {
    int64_t start = pool_now_us();
    bool careful = false;
    enum outcome outcome = AGAIN;
    int64_t count = jobs_changes(jobs);
    for (int i = 0; i < TRIES && (outcome == AGAIN || outcome == CAREFUL) && !t->conn->lost; i++) {
        outcome = run_once(t, jobs, careful);
        careful |= outcome == CAREFUL;
    }
    mk_count_from(t->pool->inst, M_QUERIES, count);
    mk_count_from(t->pool->inst, M_TIME, pool_now_us() - start);
    if (outcome == DONE) {
        jobs_done(jobs);
        mk_count_from(t->pool->inst, M_COMMITS, 1);
        return;
    }
    mk_count_from(t->pool->inst, M_ERRORS, 1);
    if (outcome == UNKNOWN)
        t->unknown = jobs;
    else
        jobs_fail(jobs, pool_why(t->conn));
}

/* ---- what became of it ------------------------------------------------------------------------------------------ */

static enum pool_code make_row(struct pool_thread *t) {
    struct mk_value values[] = { mk_v_text(t->pool->server), mk_v_int(t->number), mk_v_int(0),
                                 mk_v_int(pool_now_us()) };
    struct sql_arg args[] = {
        { &values[0], MK_C_TEXT }, { &values[1], MK_C_INT }, { &values[2], MK_C_INT }, { &values[3], MK_C_INT }
    };
    struct sql_query q = { .text = "INSERT INTO meerkat_commits(server,conn,number,at)VALUES(?,?,?,?)",
                           .args = args,
                           .count = 4 };
    return t->pool->driver->run(t->conn, &q, NULL, NULL);
}

/* Waits for whoever has the row; and sees whether the database can be written to. */
static enum pool_code touch_row(struct pool_thread *t) {
    struct mk_value values[] = { mk_v_int(pool_now_us()), mk_v_text(t->pool->server), mk_v_int(t->number) };
    struct sql_arg args[] = { { &values[0], MK_C_INT }, { &values[1], MK_C_TEXT }, { &values[2], MK_C_INT } };
    struct sql_query q = { .text = "UPDATE meerkat_commits SET at=? WHERE server=? AND conn=?",
                           .args = args,
                           .count = 3 };
    int64_t changed = 0;
    enum pool_code code = t->pool->driver->run(t->conn, &q, &changed, NULL);
    return code == POOL_OK && changed == 0 ? make_row(t) : code;
}

/* The old session is over: the row tells the truth. */
int pool_learn_fate(struct pool_thread *t) {
    struct fate fate = { 0, false };
    if (touch_row(t) != POOL_OK || ask_fate(t, &fate) != POOL_OK)
        return -1;
    return fate.any && fate.number >= t->transaction;
}

static void forget_row(struct pool_thread *t) {
    struct mk_value values[] = { mk_v_text(t->pool->server), mk_v_int(t->number) };
    struct sql_arg args[] = { { &values[0], MK_C_TEXT }, { &values[1], MK_C_INT } };
    struct sql_query q = { .text = "DELETE FROM meerkat_commits WHERE server=? AND conn=?", .args = args, .count = 2 };
    if (t->conn->open && !t->conn->lost && !t->unknown)
        t->pool->driver->run(t->conn, &q, NULL, NULL);
}

/* ---- sweeping ------------------------------------------------------------------------------------------------- */

/* A slice of each table's expired rows; true if there may be more.  What fails now is tried again later. */
static bool sweep(struct pool_thread *t) {
    struct pool *pool = t->pool;
    bool more = false;
    pthread_mutex_lock(&pool->lock);
    const struct sql_table *table = pool->tables;
    pthread_mutex_unlock(&pool->lock);
    for (; table && !t->conn->lost; table = table->next) {
        int64_t changed = 0;
        if (!sql_sweep(&t->conn->query, table, pool_now_us()))
            continue;
        if (run(t->conn, &changed) == POOL_OK)
            more |= changed > 0;
    }
    return more;
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

static void give_up(struct pool_thread *t) {
    bool ended;
    if (t->unknown)
        mk_log_from(t->pool->inst, MK_ERROR, "the server stops and does not know whether its last writes were stored");
    jobs_fail(t->unknown, "the server stops");
    t->unknown = NULL;
    jobs_fail(jobs_take(&t->side->jobs, 0, 1, &ended), "the server stops");
}

/* One writer sweeps for all. */
static void sweep_in_time(struct pool_thread *t, int64_t *next_ms) {
    if (t->number == 0 && !t->conn->lost && pool_now_ms() >= *next_ms)
        *next_ms = pool_now_ms() + (sweep(t) ? SWEEP_AGAIN_MS : t->pool->inst->sweep_interval);
}

static unsigned until(int64_t next_ms) {
    int64_t left = next_ms - pool_now_ms();
    return left < 1 ? 1 : left < IDLE_MS ? (unsigned)left : IDLE_MS;
}

void *pool_writer(void *arg) {
    struct pool_thread *t = arg;
    int64_t next_sweep = pool_now_ms() + t->pool->inst->sweep_interval;
    bool ended = false;
    t->batch = sql_must(calloc(1, sizeof *t->batch));
    while (!ended) {
        if (!t->conn->open && !pool_join(t) && !pool_pause(t)) {
            give_up(t);
            break;
        }
        if (!t->conn->open)
            continue;
        struct job *jobs = t->unknown; /* which did not happen, or pool_join() would have answered them */
        t->unknown = NULL;
        if (!jobs)
            jobs = jobs_take(&t->side->jobs, 0, t->number ? IDLE_MS : until(next_sweep), &ended);
        if (jobs)
            run_jobs(t, jobs);
        else if (!ended)
            t->pool->driver->alive(t->conn);
        sweep_in_time(t, &next_sweep);
        if (t->conn->lost)
            pool_lose(t);
        else
            pool_good(t);
    }
    forget_row(t);
    return NULL;
}
