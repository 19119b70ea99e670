/* SPDX-License-Identifier: Apache-2.0 */
/* Which node has which slots: asked at the start, after a redirection, after a loss, and now and then. */
#include "redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFRESH_MS = 10000, SOON_MS = 100, TRY_AGAIN_MS = 50, TRIES_MAX = 200 };

void cluster_refresh(struct db *db) {
    int64_t soon = now_ms() + SOON_MS;
    if (db->refresh_at > soon)
        db->refresh_at = soon;
}

/* A node may not know its own address: then it is the one that was asked. */
static struct node *node_of_entry(struct db *db, const redisReply *entry, const char *asked) {
    char addr[300];
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 2 || entry->element[1]->type != REDIS_REPLY_INTEGER)
        return NULL;
    const redisReply *host = entry->element[0];
    long long port = entry->element[1]->integer;
    const char *colon = strrchr(asked, ':');
    if (host->type == REDIS_REPLY_STRING && host->len)
        snprintf(addr, sizeof addr, strchr(host->str, ':') ? "[%s]:%lld" : "%s:%lld", host->str, port);
    else
        snprintf(addr, sizeof addr, "%.*s:%lld", (int)(colon ? colon - asked : (long)strlen(asked)), asked, port);
    return node_get(db, addr);
}

static bool take_map(struct db *db, const redisReply *reply, const char *asked) {
    bool any = false;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    for (struct node *n = db->nodes; n; n = n->next)
        n->wanted = false;
    memset(db->slots, 0, SLOTS * sizeof(struct node *));
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        if (range->type != REDIS_REPLY_ARRAY || range->elements < 3)
            continue;
        struct node *n = node_of_entry(db, range->element[2], asked);
        for (long long s = range->element[0]->integer; n && s >= 0 && s <= range->element[1]->integer && s < SLOTS; s++)
            db->slots[s] = n;
        if (n)
            n->wanted = any = true;
    }
    return any;
}

static void map_done(struct db *db, struct req *r, redisReply *reply) {
    char *asked = r->arg;
    db->refreshing = false;
    if (reply && take_map(db, reply, asked)) {
        db->refresh_at = now_ms() + REFRESH_MS;
        for (struct node *n = db->nodes; n; n = n->next)
            if (!n->wanted)
                node_close(n, "it has no slots any more");
        db->retry_at = 0;
        db_tell(db, true, "");
    } else {
        db->refresh_at = now_ms() + SOON_MS;
        if (reply)
            db_tell(db, false, reply->type == REDIS_REPLY_ERROR ? reply->str : "the cluster has no slots");
    }
    free(asked);
    req_free(r);
}

void cluster_tick(struct db *db, int64_t now) {
    if (db->refreshing || now < db->refresh_at || db->closing)
        return;
    struct req *r = req_new(db, map_done, NULL);
    const struct node *n = NULL;
    unsigned ready = 0, pick;
    for (const struct node *at = db->nodes; at; at = at->next)
        ready += node_ready(at);
    if (ready) {
        mk_random(&pick, sizeof pick);
        pick %= ready;
        for (n = db->nodes; !node_ready(n) || pick--; n = n->next)
            ;
    }
    if (!n) { /* told when one is there */
        req_free(r);
        return;
    }
    r->addr = n->addr;
    r->arg = must_alloc(strdup(n->addr));
    req_text(r, "CLUSTER");
    req_text(r, "SLOTS");
    db->refreshing = true;
    req_send(db, r);
}

bool cluster_moved(struct db *db, struct req *r, const char *error) {
    int slot;
    char addr[256];
    bool moved = sscanf(error, "MOVED %d %255s", &slot, addr) == 2,
         ask = sscanf(error, "ASK %d %255s", &slot, addr) == 2;
    bool later = strncmp(error, "TRYAGAIN", 8) == 0 || strncmp(error, "CLUSTERDOWN", 11) == 0;
    if ((!moved && !ask && !later) || now_ms() >= r->deadline || r->tries++ > TRIES_MAX || db->closing)
        return false;
    db_count(db, M_REDIRECTS, 1);
    r->addr = NULL;
    r->patient = true;
    if (later) {
        cluster_refresh(db);
        if (!db->retries.head)
            db->retry_at = now_ms() + TRY_AGAIN_MS;
        reqs_push(&db->retries, r);
        return true;
    }
    struct node *n = node_get(db, addr);
    n->wanted = true;
    if (ask) {
        r->asking = true;
        r->addr = n->addr;
    } else if (slot >= 0 && slot < SLOTS) {
        db->slots[slot] = n;
        cluster_refresh(db);
    }
    req_send(db, r);
    return true;
}
