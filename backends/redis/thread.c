/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that has the connections, and what others ask of it. */
#include "redis.h"
#include <gnutls/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS = 64, BUSY_MS = 50, IDLE_MS = 1000, RETRY_MS = 50, REMEMBER_MS = 60000 };

/* ---- from other threads ------------------------------------------------------------------------------------------ */

void db_count(struct db *db, unsigned metric, int64_t by) {
    mk_count_from(db->inst, metric, by);
}

static void wake(struct db *db) {
    uint64_t one = 1;
    if (write(db->wake, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

void db_post(struct db *db, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&db->lock);
    bool first = !db->jobs;
    *db->jobs_tail = job;
    db->jobs_tail = &job->next;
    pthread_mutex_unlock(&db->lock);
    if (first)
        wake(db);
}

static struct job *take_jobs(struct db *db) {
    pthread_mutex_lock(&db->lock);
    struct job *jobs = db->jobs;
    db->jobs = NULL;
    db->jobs_tail = &db->jobs;
    db->closing |= db->ending;
    pthread_mutex_unlock(&db->lock);
    return jobs;
}

void db_tell(struct db *db, bool ready, const char *why) {
    pthread_mutex_lock(&db->lock);
    db->ready |= ready;
    db->failures += !ready;
    if (why[0])
        snprintf(db->why, sizeof db->why, "%s", why);
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->lock);
}

bool reply_is(const redisReply *r, const char *text) {
    return (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) && strcmp(r->str, text) == 0;
}

bool reply_error(const redisReply *r, const char *begin) {
    return r->type == REDIS_REPLY_ERROR && strncmp(r->str, begin, strlen(begin)) == 0;
}

/* ---- calls that the main thread waits for ------------------------------------------------------------------------ */

static void call_over(struct call *call) {
    pthread_mutex_lock(&call->db->lock);
    call->done = true;
    pthread_cond_broadcast(&call->db->changed);
    pthread_mutex_unlock(&call->db->lock);
}

static void call_wait(struct db *db, struct call *call) {
    db_post(db, &call->job);
    pthread_mutex_lock(&db->lock);
    while (!call->done)
        pthread_cond_wait(&db->changed, &db->lock);
    pthread_mutex_unlock(&db->lock);
}

/* The answer goes to another owner: what is freed here is a copy that has none. */
static void call_done(struct db *db, struct req *r, redisReply *reply) {
    struct call *call = r->arg;
    if (reply) {
        call->reply = must_alloc(calloc(1, sizeof *reply));
        *call->reply = *reply;
        *reply = (redisReply){ .type = REDIS_REPLY_NIL };
    } else {
        snprintf(call->why, sizeof call->why, "%s", r->why);
    }
    (void)db;
    req_free(r);
    call_over(call);
}

static void call_run(struct db *db, struct job *job) {
    req_send(db, ((struct call *)job)->req);
}

redisReply *db_call(struct db *db, struct req *r, char why[256]) {
    struct call call = { .job = { .run = call_run }, .db = db, .req = r };
    r->patient = true;
    r->done = call_done;
    r->arg = &call;
    call_wait(db, &call);
    snprintf(why, 256, "%s", call.why);
    if (call.reply && call.reply->type == REDIS_REPLY_ERROR) {
        snprintf(why, 256, "%s", call.reply->str);
        freeReplyObject(call.reply);
        call.reply = NULL;
    }
    return call.reply;
}

struct masters_call {
    struct call call;
    char **addrs;
    size_t count;
};

static void masters_run(struct db *db, struct job *job) {
    struct masters_call *m = (struct masters_call *)job;
    for (struct node *n = db->nodes; n; n = n->next) {
        if (!n->wanted || (db->me->mode != MODE_CLUSTER && n != db->master))
            continue;
        m->addrs = must_alloc(realloc(m->addrs, (m->count + 1) * sizeof(char *)));
        m->addrs[m->count++] = must_alloc(strdup(n->addr));
    }
    call_over(&m->call);
}

char **db_masters(struct db *db, size_t *count) {
    struct masters_call m = { .call = { .job = { .run = masters_run }, .db = db } };
    call_wait(db, &m.call);
    *count = m.count;
    return m.addrs;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void ping_done(struct db *db, struct req *r, redisReply *reply) {
    (void)db;
    (void)reply;
    req_free(r);
}

static void check_conn(struct conn *c, int64_t now) {
    struct db *db = c->db;
    int64_t timeout = db->me->timeout;
    if (c->state == CONN_CLOSED)
        return;
    bool waits = c->state != CONN_READY || c->inflight.head;
    if (waits && now - c->progress > timeout) {
        char why[64];
        snprintf(why, sizeof why, "%s within %lld ms", c->state == CONN_TLS ? "no TLS handshake" : "no answer",
                 (long long)timeout);
        conn_close(c, why);
    } else if (!waits && now - c->progress > timeout / 2) {
        struct req *r = req_new(db, ping_done, NULL);
        req_text(r, "PING");
        conn_send(c, r);
    }
}

/* Those that have waited too long, and all once the end is near. */
static void give_up(struct db *db, struct req_list *l, int64_t now) {
    struct req_list all = *l, late;
    struct req *r;
    if (!l->head)
        return;
    reqs_init(&late);
    reqs_init(l);
    while ((r = reqs_take(&all)) != NULL)
        reqs_push(db->closing || now >= r->deadline ? &late : l, r);
    while ((r = reqs_take(&late)) != NULL)
        req_done(db, r, NULL, db->why[0] ? db->why : "no server is known for this");
}

static void check_node(struct db *db, struct node *n, int64_t now, bool open_any) {
    for (unsigned i = 0; i < n->conn_count; i++)
        check_conn(&n->conns[i], now);
    bool mine = db->me->mode == MODE_CLUSTER ? n->wanted || open_any : n == db->master;
    if (mine && now >= n->next_try && !db->closing)
        node_open(n);
    give_up(db, &n->waiting, now);
}

static void send_again(struct db *db, int64_t now) {
    struct req_list all = db->retries;
    struct req *r;
    if (!all.head || now < db->retry_at)
        return;
    reqs_init(&db->retries);
    db->retry_at = now + RETRY_MS;
    while ((r = reqs_take(&all)) != NULL)
        req_send(db, r);
}

static void tick(struct db *db) {
    int64_t now = now_ms();
    bool any = false;
    for (struct node *n = db->nodes; n; n = n->next)
        any |= node_ready(n);
    for (struct node *n = db->nodes; n; n = n->next)
        check_node(db, n, now, !any);
    if (db->me->mode == MODE_CLUSTER)
        cluster_tick(db, now);
    if (db->me->mode == MODE_SENTINEL) {
        check_conn(&db->sentinel, now);
        sentinel_tick(db, now);
    }
    if (now >= db->remember_at && any) { /* somebody may have emptied it */
        schema_remember(db);
        db->remember_at = now + REMEMBER_MS;
    }
    give_up(db, &db->retries, now);
    send_again(db, now);
}

static bool flush(struct db *db) {
    bool busy = db->retries.head || db->sentinel.inflight.head;
    if (db->me->mode == MODE_SENTINEL)
        conn_flush(&db->sentinel);
    for (struct node *n = db->nodes; n; n = n->next)
        for (unsigned i = 0; i < n->conn_count; i++) {
            struct conn *c = &n->conns[i];
            if (c->out_sent < c->out.len && !(c->events & EPOLLOUT))
                conn_flush(c);
            busy |= c->inflight.head || c->state != CONN_READY;
        }
    return busy;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void wait_for_events(struct db *db, int ms) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(db->epoll, events, EVENTS, ms);
    for (int i = 0; i < count; i++) {
        struct conn *c = events[i].data.ptr;
        uint64_t number;
        if (c && c->fd >= 0)
            conn_event(c, events[i].events);
        else if (!c && read(db->wake, &number, sizeof number) < 0)
            continue;
    }
}

static void *run(void *arg) {
    struct db *db = arg;
    int64_t ticked = 0;
    int idle = db->me->timeout / 4 < IDLE_MS ? (int)(db->me->timeout / 4) + 1 : IDLE_MS;
    bool busy = true;
    while (!db->closing || db->active) {
        wait_for_events(db, busy ? BUSY_MS : idle);
        for (struct job *job = take_jobs(db), *next; job; job = next) {
            next = job->next; /* it is gone with its op */
            job->run(db, job);
        }
        if (now_ms() - ticked >= BUSY_MS || db->closing) {
            tick(db);
            ticked = now_ms();
        }
        busy = flush(db);
    }
    return NULL;
}

/* ---- start and stop ---------------------------------------------------------------------------------------------- */

static void hash_scripts(struct db *db) {
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        unsigned char sha[SHA_LEN / 2];
        gnutls_hash_fast(GNUTLS_DIG_SHA1, script_texts[i], strlen(script_texts[i]), sha);
        for (int k = 0; k < SHA_LEN / 2; k++)
            snprintf(db->sha[i] + 2 * k, 3, "%02x", sha[k]);
    }
}

static struct db *db_new(const struct redis *me, const void *inst) {
    struct db *db = must_alloc(calloc(1, sizeof *db));
    pthread_condattr_t attr;
    db->me = me;
    db->inst = inst;
    db->servers = must_alloc(calloc(me->servers.count + 1, sizeof(char *)));
    for (uint32_t i = 0; i < me->servers.count; i++)
        db->servers[db->server_count++] = must_alloc(strdup(me->servers.items[i]));
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->changed, &attr);
    pthread_condattr_destroy(&attr);
    db->jobs_tail = &db->jobs;
    reqs_init(&db->retries);
    mk_random(db->id, sizeof db->id);
    hash_scripts(db);
    db->slots = must_alloc(calloc(SLOTS, sizeof(struct node *)));
    db->sentinel_node = sentinel_node_new(db);
    conn_init(&db->sentinel, db, db->sentinel_node, CONN_SENTINEL);
    db->epoll = epoll_create1(EPOLL_CLOEXEC);
    db->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event e = { .events = EPOLLIN };
    epoll_ctl(db->epoll, EPOLL_CTL_ADD, db->wake, &e);
    if (me->mode == MODE_SINGLE)
        db->master = node_get(db, db->servers[0]);
    for (unsigned i = 0; me->mode == MODE_CLUSTER && i < db->server_count; i++)
        node_get(db, db->servers[i]);
    return db;
}

static void db_free(struct db *db) {
    if (db->sentinel.state != CONN_CLOSED)
        conn_close(&db->sentinel, "the server stops");
    for (struct node *n = db->nodes; n; n = n->next)
        node_close(n, "the server stops");
    give_up(db, &db->retries, INT64_MAX);
    for (struct node *n = db->nodes, *next; n; n = next) {
        next = n->next;
        node_free(n);
    }
    for (struct table *t = db->tables, *next; t; t = next) {
        next = t->next;
        table_free(t);
    }
    db->sentinel_node->addr = NULL;
    node_free(db->sentinel_node);
    for (unsigned i = 0; i < db->server_count; i++)
        free(db->servers[i]);
    tls_clear(db);
    close(db->epoll);
    close(db->wake);
    pthread_cond_destroy(&db->changed);
    pthread_mutex_destroy(&db->lock);
    free(db->servers);
    free(db->slots);
    free(db);
}

void db_stop(struct db *db) {
    pthread_mutex_lock(&db->lock);
    db->ending = true;
    pthread_mutex_unlock(&db->lock);
    wake(db);
    pthread_join(db->thread, NULL);
    db->closing = true;
    db_free(db);
}

/* Until it is ready, or each server was tried. */
static bool wait_ready(struct db *db) {
    struct timespec until;
    unsigned enough = db->me->mode == MODE_SINGLE ? 1 : db->server_count + 1;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(db->me->timeout / 1000 + 1) * (enough + 1);
    pthread_mutex_lock(&db->lock);
    while (!db->ready && db->failures < enough)
        if (pthread_cond_timedwait(&db->changed, &db->lock, &until) != 0)
            break;
    bool ready = db->ready;
    pthread_mutex_unlock(&db->lock);
    return ready;
}

struct db *db_start(const struct redis *me, const void *inst, struct mk_err *err) {
    struct db *db = db_new(me, inst);
    if (tls_setup(db, err) != MK_OK) {
        db_free(db);
        return NULL;
    }
    sigset_t all, before; /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&db->thread, NULL, run, db) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (wait_ready(db))
        return db;
    char why[256];
    pthread_mutex_lock(&db->lock);
    snprintf(why, sizeof why, "%s", db->why[0] ? db->why : "no answer");
    pthread_mutex_unlock(&db->lock);
    db_stop(db);
    mk_fail(err, MK_E_BACKEND, "Redis can't be used: %s", why);
    return NULL;
}
