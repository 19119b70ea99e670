/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes go up to the plugin that holds the connection, in a turn without entity; see net.h of the SDK. */
#include "route/plugin_conn.h"
#include "route/host.h"
#include "run/turn.h"
#include "util/list.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

struct mk_conn {
    struct conn conn;
    struct list link; /* in this worker's */
    const struct mk_conn_handlers *handlers;
    const struct instance *inst; /* whose they are */
    void *user;
    bool paused; /* by the plugin */
    bool full;   /* the peer does not take what it asked for, and may ask for no more until it has */
};

enum { QUEUE_MAX = 256 * 1024 };

static __thread struct list all;

static struct mk_conn *above(struct conn *c) {
    return container_of(c, struct mk_conn, conn);
}

static void begin(struct mk_ctx *c, const struct mk_conn *conn) {
    turn_begin(c, NULL, NULL, NULL);
    c->inst = conn->inst;
}

static void forget(struct conn *c) {
    free(above(c));
}

static size_t on_input(struct conn *c, const char *data, size_t len) {
    struct mk_conn *conn = above(c);
    struct mk_ctx turn;
    if ((c->flags & CONN_BLOCKED) && c->out_len > QUEUE_MAX) {
        conn->full = true;
        conn_pause(c);
        return 0;
    }
    begin(&turn, conn);
    size_t took = conn->handlers->input(&turn, conn, data, len);
    turn_end(&turn);
    return took;
}

static void on_secured(struct conn *c) {
    (void)c;
}

static void on_closed(struct conn *c, int error) {
    struct mk_conn *conn = above(c);
    struct mk_ctx turn;
    (void)error;
    list_remove(&conn->link);
    begin(&turn, conn);
    conn->handlers->closed(&turn, conn);
    turn_end(&turn);
    conn_free_now(c);
    free(conn);
}

static void on_drained(struct conn *c) {
    struct mk_conn *conn = above(c);
    struct mk_ctx turn;
    if (conn->full && !conn->paused)
        conn_resume(c);
    conn->full = false;
    if (!conn->handlers->drained)
        return;
    begin(&turn, conn);
    conn->handlers->drained(&turn, conn);
    turn_end(&turn);
}

static const struct conn_class plugin_class = { on_input, on_secured, on_closed, on_drained };

static const struct mk_listener_decl *row_of(const struct instance *inst, const char *kind) {
    const struct mk_listener_decl *rows = inst->plugin->d.listeners.items;
    for (uint32_t i = 0; i < inst->plugin->d.listeners.count; i++)
        if (strcmp(rows[i].kind, kind) == 0)
            return &rows[i];
    return NULL;
}

static const struct mk_listener_decl *find(const char *kind, const struct instance **inst) {
    const struct snapshot *s = snapshot_current();
    const struct mk_listener_decl *row = NULL;
    for (uint32_t i = 0; i < s->global_count && !row; i++)
        row = row_of(*inst = s->globals[i], kind);
    for (uint32_t t = 0; t < s->type_count; t++)
        for (uint32_t i = 0; i < s->types[t]->instance_count && !row; i++)
            row = row_of(*inst = s->types[t]->instances[i], kind);
    return row;
}

/* The plugin may have been disabled since the listener was opened. */
void plugin_conn_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                        socklen_t peer_len) {
    const struct instance *inst;
    const struct mk_listener_decl *row = find(config->kind, &inst);
    struct mk_conn *conn = xcalloc(1, sizeof *conn);
    struct mk_ctx turn;
    (void)peer_len;
    conn_init(&conn->conn, &plugin_class, w, fd, peer);
    if (!row) {
        conn_free_now(&conn->conn);
        free(conn);
        return;
    }
    conn->conn.rate = (uint32_t)config->rate;
    conn->handlers = row->handlers;
    conn->inst = inst;
    list_append(&all, &conn->link);
    if (config->tls == LISTEN_DIRECT_TLS)
        conn_start_tls(&conn->conn, row->alpn);
    begin(&turn, conn);
    row->accepted(&turn, conn);
    turn_end(&turn);
}

int plugin_conns_start(struct worker *w) {
    (void)w;
    list_init(&all);
    return 0;
}

void plugin_conns_stop(struct worker *w) {
    (void)w;
    while (!list_empty(&all))
        on_closed(&container_of(all.next, struct mk_conn, link)->conn, 0);
}

const struct conn *plugin_conn_below(const struct mk_conn *conn) {
    return conn ? &conn->conn : NULL;
}

/* ---- SDK ----------------------------------------------------------------------------------------------------------- */

void mk_conn_set(struct mk_ctx *c, struct mk_conn *conn, const struct mk_conn_handlers *handlers, void *user) {
    conn->handlers = handlers;
    conn->inst = c->inst;
    conn->user = user;
    conn_again(&conn->conn);
}

void *mk_conn_user(const struct mk_conn *conn) {
    return conn->user;
}

void mk_conn_write(struct mk_conn *conn, const void *data, size_t len) {
    conn_write(&conn->conn, data, len);
}

size_t mk_conn_queued(const struct mk_conn *conn) {
    return conn->conn.out_len;
}

void mk_conn_pause(struct mk_conn *conn) {
    conn->paused = true;
    conn_pause(&conn->conn);
}

void mk_conn_resume(struct mk_conn *conn) {
    conn->paused = false;
    if (!conn->full)
        conn_resume(&conn->conn);
}

void mk_conn_close(struct mk_conn *conn) {
    if (list_linked(&conn->link))
        list_remove(&conn->link);
    conn_close(&conn->conn, forget);
}

const char *mk_conn_address(const struct mk_conn *conn) {
    return conn->conn.address;
}

bool mk_conn_is_secure(const struct mk_conn *conn) {
    return conn_is_secure(&conn->conn);
}

int64_t mk_conn_idle_ms(const struct mk_conn *conn) {
    return (int64_t)(worker_now_ms(this_worker) - conn->conn.heard_ms);
}

void mk_conn_leave(struct mk_conn *conn) {
    list_remove(&conn->link);
    conn_detach(&conn->conn);
}

void mk_conn_arrive(struct mk_ctx *c, struct mk_conn *conn) {
    list_append(&all, &conn->link);
    conn_attach(&conn->conn, c->worker);
}
