/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and the nodes they go to. */
#include "redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_ROOM = 16, BACKOFF_MS = 50, BACKOFF_MAX_MS = 3000, TRY_AGAIN_MS = 50, TRIES_MAX = 1000 };

/* ---- requests --------------------------------------------------------------------------------------------------- */

void reqs_init(struct req_list *l) {
    l->head = NULL;
    l->tail = &l->head;
}

void reqs_push(struct req_list *l, struct req *r) {
    r->next = NULL;
    *l->tail = r;
    l->tail = &r->next;
}

struct req *reqs_take(struct req_list *l) {
    struct req *r = l->head;
    if (r) {
        l->head = r->next;
        if (!l->head)
            l->tail = &l->head;
    }
    return r;
}

struct req *req_new(struct db *db, void (*done)(struct db *db, struct req *r, redisReply *reply), void *arg) {
    struct req *r = must_alloc(calloc(1, sizeof *r));
    char room[HEAD_ROOM] = { 0 };
    bytes_add(&r->text, room, sizeof room);
    r->done = done;
    r->arg = arg;
    r->slot = ANY_SLOT;
    r->deadline = now_ms() + db->me->timeout;
    return r;
}

void req_free(struct req *r) {
    bytes_free(&r->text);
    free(r);
}

void req_arg(struct req *r, const void *data, size_t len) {
    bytes_printf(&r->text, "$%zu\r\n", len);
    bytes_add(&r->text, data, len);
    bytes_add(&r->text, "\r\n", 2);
    r->argc++;
}

void req_text(struct req *r, const char *text) {
    req_arg(r, text, strlen(text));
}

void req_int(struct req *r, int64_t i) {
    char text[24];
    req_arg(r, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)i));
}

void req_script(struct req *r, struct db *db, enum script script, int keys) {
    req_text(r, "EVALSHA");
    req_text(r, db->sha[script]);
    req_int(r, keys);
}

int key_slot(const char *key, size_t len) {
    const char *open = memchr(key, '{', len);
    const char *close = open ? memchr(open, '}', len - (size_t)(open - key)) : NULL;
    if (close && close > open + 1) {
        key = open + 1;
        len = (size_t)(close - key);
    }
    uint16_t crc = 0; /* CRC-16/XMODEM */
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint16_t)((unsigned char)key[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc % SLOTS;
}

void req_key(struct req *r, const struct db *db, const char *key, size_t len) {
    if (db->me->mode == MODE_CLUSTER)
        r->slot = key_slot(key, len);
}

void req_done(struct db *db, struct req *r, redisReply *reply, const char *why) {
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        db_count(db, M_ERRORS, 1);
    if (r->held) {
        freeReplyObject(r->held);
        r->held = NULL;
    }
    r->why = why;
    r->done(db, r, reply);
    if (reply)
        freeReplyObject(reply);
}

struct node *node_of(struct db *db, const struct req *r) {
    if (r->addr) {
        for (struct node *n = db->nodes; n; n = n->next)
            if (strcmp(n->addr, r->addr) == 0)
                return n;
        return NULL;
    }
    if (db->me->mode != MODE_CLUSTER)
        return db->master;
    if (r->slot != ANY_SLOT)
        return db->slots[r->slot];
    struct node *n = db->nodes;
    while (n && !node_ready(n))
        n = n->next;
    return n;
}

static struct conn *conn_of(struct node *n, const struct req *r) {
    unsigned first = r->write ? r->lane : n->turn++;
    for (unsigned i = 0; i < n->conn_count; i++) {
        struct conn *c = &n->conns[(first + i) % n->conn_count];
        if (c->state == CONN_READY)
            return c;
    }
    return NULL;
}

void req_send(struct db *db, struct req *r) {
    struct node *n = node_of(db, r);
    struct conn *c = n ? conn_of(n, r) : NULL;
    if (c) {
        conn_send(c, r);
    } else if (!(r->write || r->patient) || db->closing || now_ms() >= r->deadline) {
        req_done(db, r, NULL, db->why[0] ? db->why : "no server is known for this");
    } else if (n) {
        reqs_push(&n->waiting, r);
    } else {
        cluster_refresh(db);
        reqs_push(&db->retries, r);
    }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

bool node_ready(const struct node *n) {
    for (unsigned i = 0; i < n->conn_count; i++)
        if (n->conns[i].state == CONN_READY)
            return true;
    return false;
}

struct node *node_get(struct db *db, const char *addr) {
    struct node **at = &db->nodes;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->addr, addr) == 0)
            return *at;
    struct node *n = must_alloc(calloc(1, sizeof *n));
    n->addr = must_alloc(strdup(addr));
    n->conn_count = (unsigned)db->me->connections;
    n->wanted = true;
    reqs_init(&n->waiting);
    for (unsigned i = 0; i < n->conn_count; i++)
        conn_init(&n->conns[i], db, n, CONN_DATA);
    *at = n;
    return n;
}

void node_open(struct node *n) {
    for (unsigned i = 0; i < n->conn_count; i++)
        if (n->conns[i].state == CONN_CLOSED)
            conn_open(&n->conns[i]);
}

static void send_waiting(struct db *db, struct req_list *l) {
    struct req_list all = *l;
    if (!all.head)
        return;
    reqs_init(l);
    struct req *r;
    while ((r = reqs_take(&all)) != NULL)
        req_send(db, r);
}

void node_up(struct node *n) {
    struct db *db = n->conns[0].db;
    n->backoff = 0;
    if (n->away) {
        mk_log_from(db->inst, MK_NOTICE, "connected to %s again", n->addr);
        db_count(db, M_RECONNECTS, 1);
    }
    n->away = false;
    schema_remember(db);
    send_waiting(db, &n->waiting);
    if (db->me->mode != MODE_CLUSTER)
        db_tell(db, true, "");
}

/* Half of it random: many servers must not come back in step. */
static int64_t jittered(int64_t ms) {
    uint32_t dice;
    mk_random(&dice, sizeof dice);
    return ms / 2 + dice % (ms / 2 + 1);
}

void node_down(struct node *n, const char *why) {
    struct db *db = n->conns[0].db;
    if (node_ready(n) && n->backoff == 0) {
        n->next_try = now_ms() + BACKOFF_MS;
        return;
    }
    n->backoff = n->backoff ? n->backoff * 2 : BACKOFF_MS;
    if (n->backoff > BACKOFF_MAX_MS)
        n->backoff = BACKOFF_MAX_MS;
    n->next_try = now_ms() + jittered(n->backoff);
    n->address++;
    if (!n->wanted || node_ready(n))
        return;
    char text[256];
    snprintf(text, sizeof text, "%s: %s", n->addr, why);
    if (!n->away && db->ready && !db->closing)
        mk_log_from(db->inst, MK_WARNING, "lost %s; trying to connect again", text);
    n->away = true;
    db_tell(db, false, text);
    if (db->me->mode == MODE_CLUSTER)
        cluster_refresh(db);
    else if (db->me->mode == MODE_SENTINEL)
        db->sentinel_next = 0;
}

void node_close(struct node *n, const char *why) {
    for (unsigned i = 0; i < n->conn_count; i++)
        if (n->conns[i].state != CONN_CLOSED)
            conn_close(&n->conns[i], why);
    struct db *db = n->conns[0].db;
    struct req_list all = n->waiting;
    if (!all.head)
        return;
    reqs_init(&n->waiting);
    struct req *r;
    while ((r = reqs_take(&all)) != NULL)
        reqs_push(&db->retries, r);
}

void node_free(struct node *n) {
    free(n->addr);
    free(n);
}
