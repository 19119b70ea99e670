/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: made, set up, asked, or fed with a pipeline.  Nothing waits longer than its timeout. */
#include "pgsql.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OLDEST_SERVER = 120000 };
enum kind { PREPARED, FREED, WANTED, SYNC };
struct expected {
    uint32_t kind;
};

int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- reasons -------------------------------------------------------------------------------------------------- */

/* The last line of TEXT: libpq tells one for each address it tried, with advice in further ones that begin with a tab. */
static void say(struct pg *p, const char *text) {
    const char *line = text;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL;)
        if (*++at && *at != '\t')
            line = at;
    size_t len = strcspn(line, "\n");
    while (len && line[len - 1] == '.')
        len--;
    sql_clear(&p->why);
    sql_add(&p->why, "%.*s", (int)len, line);
}

static void say_result(struct pg *p, const PGresult *res) {
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(p->state, sizeof p->state, "%s", state ? state : "");
    say(p, text ? text : PQresultErrorMessage(res));
}

static void lose(struct pg *p, const char *text) {
    if (!p->lost)
        say(p, text);
    p->lost = true;
}

const char *pg_why(const struct pg *p) {
    return p->why.s && p->why.len ? p->why.s : "no reason given";
}

/* ---- waiting -------------------------------------------------------------------------------------------------- */

static int poll_until(struct pg *p, short events, int64_t deadline) {
    struct pollfd fd = { PQsocket(p->c), events, 0 };
    int64_t left = deadline - now_ms();
    if (fd.fd < 0)
        return -1;
    return poll(&fd, 1, left > 0 ? (int)left : 0) > 0 ? fd.revents : 0;
}

/* Until a result can be taken without blocking.  The time begins anew whenever the database moves. */
static bool wait_result(struct pg *p) {
    int64_t deadline = now_ms() + p->db->query_timeout;
    while (!p->lost) {
        int more = PQflush(p->c);
        if (more < 0)
            lose(p, PQerrorMessage(p->c));
        else if (!PQisBusy(p->c))
            return true;
        if (p->lost)
            break;
        int got = poll_until(p, (short)(POLLIN | (more ? POLLOUT : 0)), deadline);
        if (got == 0 && now_ms() >= deadline) {
            lose(p, "no answer in time");
            p->silent = true;
        }
        if (got > 0)
            deadline = now_ms() + p->db->query_timeout;
        if (got && (got < 0 || got & ~POLLOUT) && !PQconsumeInput(p->c))
            lose(p, PQerrorMessage(p->c));
    }
    return false;
}

/* What the database says when it ends a session comes before the end itself: one look is not enough. */
bool pg_alive(struct pg *p) {
    for (int i = 0; i < 3 && !p->lost; i++) {
        bool good = PQconsumeInput(p->c);
        (void)PQisBusy(p->c);
        if (!good || PQstatus(p->c) != CONNECTION_OK)
            lose(p, PQerrorMessage(p->c));
    }
    return !p->lost;
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

PGresult *pg_ask(struct pg *p, const char *text, const struct sql_query *values) {
    struct params *params = &p->params;
    if (values)
        params_fill(params, values);
    PGresult *res, *last = NULL;
    int sent = values ? PQsendQueryParams(p->c, text, params->count, params->types, params->values, params->lengths,
                                          params->formats, 0)
                      : PQsendQuery(p->c, text);
    if (!sent)
        lose(p, PQerrorMessage(p->c));
    while (wait_result(p) && (res = PQgetResult(p->c)) != NULL) {
        bool bad = last && PQresultStatus(last) == PGRES_FATAL_ERROR;
        PQclear(bad ? res : last);
        last = bad ? last : res;
    }
    if (last && !p->lost && PQresultStatus(last) != PGRES_FATAL_ERROR)
        return last;
    if (last && !p->lost)
        say_result(p, last);
    if (PQstatus(p->c) != CONNECTION_OK)
        p->lost = true;
    PQclear(last);
    return NULL;
}

bool pg_run(struct pg *p, const char *text, const struct sql_query *values) {
    PGresult *res = pg_ask(p, text, values);
    PQclear(res);
    return res != NULL;
}

/* ---- connecting ----------------------------------------------------------------------------------------------- */

static void quiet(void *arg, const char *message) {
    (void)arg;
    (void)message;
}

static bool reach(struct pg *p) {
    struct db *db = p->db;
    int64_t deadline = now_ms() + db->connect_timeout;
    p->c = PQconnectStartParams(db->keys, (const char *const *)db->values, 1);
    if (!p->c || PQstatus(p->c) == CONNECTION_BAD) {
        say(p, p->c ? PQerrorMessage(p->c) : "out of memory");
        return false;
    }
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (want != PGRES_POLLING_OK) {
        int got = poll_until(p, want == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (got == 0 && now_ms() >= deadline) {
            say(p, "it does not answer");
            return false;
        }
        want = PQconnectPoll(p->c);
        if (want == PGRES_POLLING_FAILED) {
            say(p, PQerrorMessage(p->c));
            return false;
        }
    }
    return true;
}

static bool is_suitable(struct pg *p) {
    const char *encoding = PQparameterStatus(p->c, "server_encoding");
    if (PQserverVersion(p->c) < OLDEST_SERVER)
        say(p, "it is older than PostgreSQL 12");
    else if (!encoding || strcmp(encoding, "UTF8") != 0)
        say(p, "its encoding is not UTF8");
    else
        return true;
    return false;
}

/* What counts for us is not left to defaults of the database, the role, or the client's environment. */
static bool set_up(struct pg *p, const char *name) {
    static const char text[] =
        "SELECT set_config('search_path',coalesce(quote_ident($1),current_setting('search_path')),false),"
        "set_config('application_name',$2,false),set_config('statement_timeout',$3,false),"
        "set_config('idle_in_transaction_session_timeout',$3,false),set_config('lock_timeout',$4,false),"
        "set_config('synchronous_commit',CASE WHEN $5 THEN CASE current_setting('synchronous_commit') WHEN 'off' THEN "
        "'on' ELSE current_setting('synchronous_commit')END ELSE 'off' END,false),"
        "set_config('client_min_messages','warning',false),set_config('TimeZone','UTC',false),"
        "set_config('standard_conforming_strings','on',false),"
        "set_config('default_transaction_isolation','read committed',false)";
    char timeout[24], lock[24];
    snprintf(timeout, sizeof timeout, "%" PRId64, p == &p->db->main ? 0 : p->db->query_timeout);
    snprintf(lock, sizeof lock, "%" PRId64, p->db->query_timeout);
    struct mk_value values[] = { mk_v_null(), mk_v_view((struct mk_view){ name, strlen(name) }),
                                 mk_v_view((struct mk_view){ timeout, strlen(timeout) }),
                                 mk_v_view((struct mk_view){ lock, strlen(lock) }), mk_v_bool(p->db->synchronous) };
    if (p->db->schema)
        values[0] = mk_v_view((struct mk_view){ p->db->schema, strlen(p->db->schema) });
    struct sql_arg args[] = { { &values[0], MK_C_TEXT },
                              { &values[1], MK_C_TEXT },
                              { &values[2], MK_C_TEXT },
                              { &values[3], MK_C_TEXT },
                              { &values[4], MK_C_BOOL } };
    return pg_run(p, text, &(struct sql_query){ .args = args, .count = 5 });
}

bool pg_pipeline(struct pg *p) {
    if (PQsetnonblocking(p->c, 1) == 0 && PQenterPipelineMode(p->c))
        return true;
    say(p, PQerrorMessage(p->c));
    return false;
}

bool pg_connect(struct pg *p, const char *name) {
    p->lost = p->silent = p->cache_lost = false;
    p->state[0] = '\0';
    bool good = reach(p) && is_suitable(p);
    if (good) {
        PQsetNoticeProcessor(p->c, quiet, NULL);
        good = set_up(p, name);
    }
    if (!good)
        pg_close(p);
    return good;
}

static bool forget_stmt(void *conn, void *handle) {
    (void)conn;
    (void)handle;
    return true;
}

void pg_close(struct pg *p) {
    PQfinish(p->c);
    p->c = NULL;
    p->first = p->last = 0;
    sql_cache_clear(&p->cache, forget_stmt, p);
}

void pg_free(struct pg *p) {
    if (p->c)
        pg_close(p);
    sql_query_free(&p->query);
    sql_free(&p->why);
    free(p->expected);
}

/* ---- pipelines ------------------------------------------------------------------------------------------------ */

static void expect(struct pg *p, enum kind kind, int sent) {
    if (!sent) {
        lose(p, PQerrorMessage(p->c));
        return;
    }
    if (p->last == p->expected_cap) {
        p->expected_cap = p->expected_cap ? p->expected_cap * 2 : 256;
        p->expected = sql_must(realloc(p->expected, p->expected_cap * sizeof *p->expected));
    }
    p->expected[p->last++].kind = kind;
}

static int send_text(struct pg *p, const char *text) {
    return PQsendQueryParams(p->c, text, 0, NULL, NULL, NULL, NULL, 1);
}

static bool free_stmt(void *conn, void *handle) {
    char text[48];
    snprintf(text, sizeof text, "DEALLOCATE s%" PRIuPTR, (uintptr_t)handle);
    expect(conn, FREED, send_text(conn, text));
    return true;
}

/* A statement that was not prepared, because of another failure before it, is in the cache as if it were. */
static void renew_cache(struct pg *p) {
    if (!p->cache_lost)
        return;
    p->cache_lost = false;
    sql_cache_clear(&p->cache, forget_stmt, p);
    expect(p, FREED, send_text(p, "DEALLOCATE ALL"));
}

void pg_send(struct pg *p, const struct sql_query *q) {
    struct params *params = &p->params;
    char name[24];
    if (p->lost)
        return;
    if (p->first == p->last)
        renew_cache(p);
    struct sql_stmt *stmt = sql_cache_find(&p->cache, q->text, free_stmt, p);
    params_fill(params, q);
    if (!stmt->handle) {
        stmt->handle = (void *)++p->names;
        snprintf(name, sizeof name, "s%" PRIuPTR, (uintptr_t)stmt->handle);
        expect(p, PREPARED, PQsendPrepare(p->c, name, q->text, params->count, params->types));
    }
    snprintf(name, sizeof name, "s%" PRIuPTR, (uintptr_t)stmt->handle);
    if (!p->lost)
        expect(p, WANTED,
               PQsendQueryPrepared(p->c, name, params->count, params->values, params->lengths, params->formats, 1));
}

void pg_send_text(struct pg *p, const char *text) {
    if (!p->lost)
        expect(p, WANTED, send_text(p, text));
}

void pg_sync(struct pg *p) {
    if (!p->lost)
        expect(p, SYNC, PQpipelineSync(p->c));
}

bool pg_is_sent(struct pg *p) {
    return !p->lost && PQflush(p->c) == 0;
}

/* NULL: none, or the connection is lost. */
static PGresult *get(struct pg *p) {
    PGresult *res = PQgetResult(p->c);
    if (PQstatus(p->c) == CONNECTION_OK)
        return res;
    if (res)
        say_result(p, res);
    PQclear(res);
    p->lost = true;
    return NULL;
}

/* A NULL ends the results of each statement; more of them than that are a connection that gives none. */
static PGresult *take(struct pg *p) {
    PGresult *res = NULL;
    for (int i = 0; i < 3 && !res && wait_result(p); i++)
        res = get(p);
    if (!res)
        lose(p, "it gives no answer");
    return res;
}

static enum pg_code judge(struct pg *p, const PGresult *res) {
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        return PG_OK;
    case PGRES_PIPELINE_ABORTED:
        return PG_SKIPPED;
    default:
        say_result(p, res);
        return PG_FAILED;
    }
}

/* GOT is the next of any kind; *RES is it if it was wanted and is good. */
static enum pg_code accept(struct pg *p, PGresult *got, PGresult **res, enum kind *kind) {
    *res = NULL;
    *kind = p->expected[p->first++].kind;
    if (p->first == p->last)
        p->first = p->last = 0;
    if ((PQresultStatus(got) == PGRES_PIPELINE_SYNC) != (*kind == SYNC)) {
        PQclear(got);
        lose(p, "answers are out of order");
        return PG_LOST;
    }
    enum pg_code code = *kind == SYNC ? PG_OK : judge(p, got);
    if (*kind == PREPARED && code != PG_OK)
        p->cache_lost = true;
    if (code == PG_OK && *kind == WANTED)
        *res = got;
    else
        PQclear(got);
    return code;
}

static enum pg_code next(struct pg *p, PGresult **res, enum kind *kind) {
    *res = NULL;
    if (p->lost || p->first == p->last)
        return PG_LOST;
    PGresult *got = take(p);
    return got ? accept(p, got, res, kind) : PG_LOST;
}

bool pg_is_over(const struct pg *p) {
    return p->first == p->last;
}

enum pg_code pg_collect(struct pg *p) {
    if (!p->lost && !PQconsumeInput(p->c))
        lose(p, PQerrorMessage(p->c));
    for (int nulls = 0; !p->lost && !pg_is_over(p) && !PQisBusy(p->c);) {
        enum kind kind;
        PGresult *res, *got = get(p);
        enum pg_code code = got ? accept(p, got, &res, &kind) : PG_OK;
        nulls = got ? 0 : nulls + 1;
        if (nulls == 3)
            lose(p, "it gives no answer");
        if (got)
            PQclear(res);
        if (code != PG_OK)
            return code;
    }
    return p->lost ? PG_LOST : PG_OK;
}

/* If a statement can't be prepared, that is its failure, and its execution is skipped. */
enum pg_code pg_next(struct pg *p, PGresult **res) {
    enum pg_code code, prepared = PG_OK;
    enum kind kind;
    do {
        code = next(p, res, &kind);
        if (code == PG_LOST)
            return PG_LOST;
        if (kind == PREPARED && code == PG_FAILED)
            prepared = PG_FAILED;
    } while (kind != WANTED);
    return prepared == PG_FAILED ? PG_FAILED : code;
}

enum pg_code pg_skip(struct pg *p) {
    PGresult *res;
    enum pg_code code = pg_next(p, &res);
    PQclear(res);
    return code;
}

enum pg_code pg_finish(struct pg *p) {
    enum pg_code first = PG_OK;
    while (p->first != p->last) {
        PGresult *res;
        enum kind kind;
        enum pg_code code = next(p, &res, &kind);
        PQclear(res);
        if (code == PG_LOST)
            return PG_LOST;
        if (code == PG_FAILED && first == PG_OK)
            first = PG_FAILED;
    }
    return p->lost ? PG_LOST : first;
}
