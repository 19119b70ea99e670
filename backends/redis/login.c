/* SPDX-License-Identifier: Apache-2.0 */
/* What is said first on a connection, and what the server must be. */
#include "redis.h"
#include <stdio.h>
#include <string.h>

enum login { L_AUTH, L_SELECT, L_ROLE, L_POLICY, L_AOF, L_SYNC, L_SCRIPT };

static bool is_value(const redisReply *reply, const char *value) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 && reply_is(reply->element[1], value);
}

/* NULL, or why the server is not what it must be. */
static const char *judge(struct db *db, enum login step, const redisReply *reply, char text[256]) {
    bool durable = db->me->durable;
    snprintf(text, 256, "%s", reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    if (step == L_POLICY && !durable)
        return NULL;
    if (reply->type == REDIS_REPLY_ERROR && step >= L_POLICY && step <= L_SYNC)
        snprintf(text, 256, "durable = true, and whether the server keeps it can't be seen: %.100s; allow CONFIG GET",
                 reply->str);
    else if (step == L_ROLE && !text[0] && !(reply->elements && reply_is(reply->element[0], "master")))
        snprintf(text, 256, "it is a replica, not a master");
    else if (step == L_AOF && !is_value(reply, "yes"))
        snprintf(text, 256, "durable = true, but the server has appendonly no");
    else if (step == L_SYNC && !is_value(reply, "always"))
        snprintf(text, 256, "durable = true, but the server has not appendfsync always");
    else if (step == L_POLICY && !is_value(reply, "noeviction"))
        snprintf(text, 256, "durable = true, but the server's maxmemory-policy is not noeviction");
    return text[0] ? text : NULL;
}

static void login_done(struct db *db, struct req *r, redisReply *reply) {
    struct conn *c = r->arg;
    char text[256];
    const char *why = NULL;
    bool lost = !reply;
    if (reply)
        why = judge(db, (enum login)r->number, reply, text);
    req_free(r);
    if (lost)
        return;
    if (why) {
        char copy[256];
        snprintf(copy, sizeof copy, "%s", why);
        c->logins = UINT32_MAX; /* not ready whatever the rest says */
        conn_close(c, copy);
        return;
    }
    if (--c->logins || c->state != CONN_LOGIN)
        return;
    c->state = CONN_READY;
    if (c->kind == CONN_SENTINEL) {
        sentinel_up(c);
        return;
    }
    db_count(db, M_CONNECTIONS, 1);
    node_up(c->node);
}

static struct req *step(struct conn *c, enum login number, const char *command) {
    struct req *r = req_new(c->db, login_done, c);
    r->number = number;
    req_text(r, command);
    return r;
}

static void send_step(struct conn *c, struct req *r) {
    c->logins++;
    conn_send(c, r);
}

static void send_config(struct conn *c, enum login number, const char *name) {
    struct req *r = step(c, number, "CONFIG");
    req_text(r, "GET");
    req_text(r, name);
    send_step(c, r);
}

static void script_loaded(struct db *db, struct req *r, redisReply *reply) {
    (void)db;
    (void)reply;
    req_free(r);
}

void conn_scripts(struct conn *c) {
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        bool login = c->state == CONN_LOGIN;
        struct req *r = login ? step(c, L_SCRIPT, "SCRIPT") : req_new(c->db, script_loaded, NULL);
        if (!login)
            req_text(r, "SCRIPT");
        req_text(r, "LOAD");
        req_text(r, script_texts[i]);
        if (login)
            send_step(c, r);
        else
            conn_send(c, r);
    }
}

void conn_login(struct conn *c) {
    const struct redis *me = c->db->me;
    bool data = c->kind == CONN_DATA;
    const char *user = data ? me->user : me->sentinel_user, *password = data ? me->password : me->sentinel_password;
    c->logins = 0;
    if (password) {
        struct req *r = step(c, L_AUTH, "AUTH");
        if (user)
            req_text(r, user);
        req_text(r, password);
        send_step(c, r);
    }
    if (data && me->database) {
        struct req *r = step(c, L_SELECT, "SELECT");
        req_int(r, me->database);
        send_step(c, r);
    }
    if (data && me->mode != MODE_CLUSTER)
        send_step(c, step(c, L_ROLE, "ROLE"));
    if (data && me->durable) {
        send_config(c, L_POLICY, "maxmemory-policy");
        send_config(c, L_AOF, "appendonly");
        send_config(c, L_SYNC, "appendfsync");
    }
    if (data)
        conn_scripts(c);
    else if (!c->logins)
        send_step(c, step(c, L_SCRIPT, "PING"));
    conn_flush(c);
}
