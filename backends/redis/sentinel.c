/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the sentinels, one after the other, who the master is, and goes on asking: a master that is cut off from them may
 * not know that it is none any more. */
#include "redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 1000, NEXT_MS = 100 };

struct node *sentinel_node_new(struct db *db) {
    struct node *n = must_alloc(calloc(1, sizeof *n));
    reqs_init(&n->waiting);
    for (unsigned i = 0; i < CONNS_MAX; i++)
        conn_init(&n->conns[i], db, n, CONN_SENTINEL);
    return n;
}

static void follow(struct db *db, const char *addr) {
    if (db->master && strcmp(db->master->addr, addr) == 0) {
        db->master->wanted = true;
        return;
    }
    struct node *old = db->master;
    db->master = node_get(db, addr);
    db->master->wanted = true;
    db->master->next_try = 0;
    if (old) {
        char why[340];
        snprintf(why, sizeof why, "the master is now %s", addr);
        mk_log_from(db->inst, MK_NOTICE, "%s", why);
        old->wanted = false;
        node_close(old, why);
    }
    db->retry_at = 0;
}

static void master_known(struct db *db, struct req *r, redisReply *reply) {
    char addr[300], why[300];
    db->sentinel_asking = false;
    req_free(r);
    if (!reply)
        return;
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_STRING;
    if (good) {
        const char *host = reply->element[0]->str;
        snprintf(addr, sizeof addr, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, reply->element[1]->str);
        follow(db, addr);
        return;
    }
    snprintf(why, sizeof why, "%s", reply->type == REDIS_REPLY_ERROR ? reply->str : "it knows no master of this name");
    conn_close(&db->sentinel, why);
}

static void ask(struct db *db) {
    struct req *r = req_new(db, master_known, NULL);
    req_text(r, "SENTINEL");
    req_text(r, "get-master-addr-by-name");
    req_text(r, db->me->master);
    db->sentinel_asking = true;
    db->sentinel_next = now_ms() + ASK_MS;
    conn_send(&db->sentinel, r);
}

void sentinel_up(struct conn *c) {
    ask(c->db);
}

void sentinel_down(struct conn *c, const char *why) {
    struct db *db = c->db;
    char text[300];
    snprintf(text, sizeof text, "sentinel %s: %s", db->sentinel_node->addr, why);
    db->sentinel_next = now_ms() + NEXT_MS;
    db->sentinel_asking = false;
    if (!db->closing)
        db_tell(db, false, text);
}

void sentinel_tick(struct db *db, int64_t now) {
    struct conn *c = &db->sentinel;
    if (db->closing || now < db->sentinel_next || db->sentinel_asking)
        return;
    if (c->state == CONN_READY) {
        ask(db);
    } else if (c->state == CONN_CLOSED) {
        db->sentinel_node->addr = db->servers[db->sentinel_turn++ % db->server_count];
        db->sentinel_next = now + NEXT_MS;
        c->node = db->sentinel_node;
        conn_open(c);
    }
}
