/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that move between two workers while data is on its way in both directions. */
#include "test_tls.h"

enum { CLIENTS = 8, LINES = 3000, STEP = 50 };

struct server {
    struct conn conn;
    struct post post;
    struct worker *to;
    int client;
    struct sockaddr_in peer;
    bool tls, inside, moving;
    unsigned lines, moves;
    size_t amount;
    char *data;
};

static void note_closed(struct conn *c, int error) {
    unsigned index = c->worker->index;
    conn_free_now(c);
    note("closed %d on %u", error, index); /* last: the test frees the struct then */
}

static void arrive(struct post *p) {
    struct server *s = container_of(p, struct server, post);
    s->moving = false;
    conn_attach(&s->conn, this_worker);
    if (s->conn.flags & CONN_PAUSED)
        conn_resume(&s->conn);
}

static void leave(struct server *s) {
    s->moves++;
    s->to = workers[1 - this_worker->index];
    conn_detach(&s->conn);
    s->post.run = arrive;
    worker_post(s->to, &s->post);
}

static void leave_later(struct post *p) {
    leave(container_of(p, struct server, post));
}

/* Echoes whole lines, and moves behind every STEP of them: from here, or paused and from a post. */
static size_t echo_and_move(struct conn *c, const char *data, size_t len) {
    struct server *s = container_of(c, struct server, conn);
    size_t at = 0;
    const char *end;
    if (c->worker != this_worker)
        note("on the wrong worker");
    if (s->moving)
        note("input while moving");
    while ((end = memchr(data + at, '\n', len - at)) != NULL) {
        size_t line = (size_t)(end - data) + 1 - at;
        conn_write(c, data + at, line);
        at += line;
        if (++s->lines % STEP)
            continue;
        s->moving = true;
        if (s->inside) {
            conn_took(c, at);
            leave(s);
            return 0;
        }
        conn_pause(c);
        s->post.run = leave_later;
        worker_post(this_worker, &s->post);
        return at;
    }
    return at;
}

static void ready(struct conn *c) {
    (void)c;
    note("ready");
}
static const struct conn_class moving_class = { echo_and_move, ready, note_closed, NULL };

static void open_conn(void *arg) {
    struct server *s = arg;
    conn_init(&s->conn, &moving_class, this_worker, s->conn.fd, (struct sockaddr *)&s->peer);
    if (s->tls)
        conn_start_tls(&s->conn, "xmpp-client");
}

static struct server *serve(bool tls, bool inside, unsigned worker) {
    struct server *s = xcalloc(1, sizeof *s);
    struct pair p = tcp_pair(16384);
    s->client = p.client;
    s->peer = p.peer;
    s->conn.fd = p.server;
    s->tls = tls;
    s->inside = inside;
    on_worker(worker, open_conn, s);
    return s;
}

struct transfer {
    struct server *server;
    struct client client;
    pthread_t sender, receiver;
    const char *data;
    size_t len;
    bool good;
};

static void *send_lines(void *arg) {
    struct transfer *t = arg;
    if (t->server->tls)
        client_send(&t->client, t->data, t->len);
    else
        send_all(t->client.fd, t->data, t->len);
    return NULL;
}

static void *receive_lines(void *arg) {
    struct transfer *t = arg;
    char *got = xmalloc(t->len);
    size_t n = t->server->tls ? client_recv(&t->client, got, t->len) : recv_all(t->client.fd, got, t->len);
    t->good = n == t->len && memcmp(got, t->data, n) == 0;
    if (!t->good)
        note("got %zu of %zu", n, t->len);
    free(got);
    return NULL;
}

static char *make_lines(size_t *len) {
    char *data = xmalloc(LINES * 128);
    *len = 0;
    for (unsigned i = 0; i < LINES; i++)
        *len += (size_t)sprintf(data + *len, "<message id='%u'>%.*s</message>\n", i, (int)(i % 60),
                                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
    return data;
}

static void run_moves(bool tls, bool inside) {
    struct transfer all[CLIENTS] = { 0 };
    size_t len;
    char *data = make_lines(&len);
    clear_notes();
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct transfer *t = &all[i];
        t->server = serve(tls, inside, i % 2);
        t->client.fd = t->server->client;
        if (tls)
            CHECK_INT(client_start(&t->client, t->server->client, &(struct client_options){ 0 }), 0);
        t->data = data;
        t->len = len;
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        CHECK_INT(pthread_create(&all[i].sender, NULL, send_lines, &all[i]), 0);
        CHECK_INT(pthread_create(&all[i].receiver, NULL, receive_lines, &all[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(all[i].sender, NULL);
        pthread_join(all[i].receiver, NULL);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        char text[32];
        CHECK(all[i].good);
        if (tls)
            gnutls_bye(all[i].client.session, GNUTLS_SHUT_WR);
        else
            shutdown(all[i].client.fd, SHUT_WR);
        /* The last move was behind the last line: an even number of them leads home. */
        snprintf(text, sizeof text, "closed 0 on %u", (i + LINES / STEP) % 2);
        CHECK(await_note(text));
        CHECK_INT(all[i].server->moves, LINES / STEP);
    }
    CHECK(!noted("on the wrong worker"));
    CHECK(!noted("input while moving"));
    CHECK_INT(metric_sum(METRIC_connections_row), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (tls)
            client_end(&all[i].client);
        else
            close(all[i].client.fd);
        free(all[i].server);
    }
    free(data);
}

static void plain_from_input(void) {
    run_moves(false, true);
}
static void plain_from_post(void) {
    run_moves(false, false);
}
static void tls_from_input(void) {
    run_moves(true, true);
}
static void tls_from_post(void) {
    run_moves(true, false);
}

static void write_and_leave(void *arg) {
    struct server *s = arg;
    conn_write(&s->conn, s->data, s->amount / 2);
    net_flush(this_worker);
    note("blocked %d", (s->conn.flags & CONN_BLOCKED) != 0);
    conn_write(&s->conn, s->data + s->amount / 2, s->amount - s->amount / 2);
    leave(s);
}

static void write_unflushed_and_leave(void *arg) {
    struct server *s = arg;
    conn_write(&s->conn, "hello", 5);
    leave(s);
}

static void free_conn(void *arg) {
    struct server *s = arg;
    conn_free_now(&s->conn);
}

/* Output travels along, also what GnuTLS holds of a record that the socket took in part. */
static void carries_output(bool tls) {
    struct server *s = serve(tls, true, 0);
    struct client c = { .fd = s->client };
    clear_notes();
    if (tls) {
        CHECK_INT(client_start(&c, s->client, &(struct client_options){ 0 }), 0);
        CHECK(client_send_text(&c, "sync\n"));
        CHECK(client_recv_text(&c, "sync\n"));
    }
    s->amount = 2 << 20;
    s->data = pattern(s->amount);
    on_worker(0, write_and_leave, s);
    CHECK(await_note("blocked 1"));
    char *got = xmalloc(s->amount);
    CHECK_INT(tls ? client_recv(&c, got, s->amount) : recv_all(c.fd, got, s->amount), s->amount);
    CHECK(memcmp(got, s->data, s->amount) == 0);
    on_worker(1, write_unflushed_and_leave, s);
    CHECK(tls ? client_recv_text(&c, "hello") : recv_text(c.fd, "hello"));
    on_worker(0, free_conn, s);
    if (tls)
        client_end(&c);
    else
        close(c.fd);
    free(got);
    free(s->data);
    free(s);
}

static void carries_plain_output(void) {
    carries_output(false);
}
static void carries_tls_output(void) {
    carries_output(true);
}

static void after_close(struct conn *c) {
    note("after %d on %u", c->fd, this_worker->index);
}

static void leave_and_close(void *arg) {
    struct server *s = arg;
    s->to = workers[1];
    conn_detach(&s->conn);
    conn_write(&s->conn, "bye", 3);
    conn_close(&s->conn, after_close);
    conn_write(&s->conn, "more", 4);
    s->post.run = arrive;
    worker_post(s->to, &s->post);
}

static void closes_on_the_way(void) {
    struct server *s = serve(false, true, 0);
    clear_notes();
    on_worker(0, leave_and_close, s);
    CHECK(recv_text(s->client, "bye"));
    CHECK(recv_end(s->client));
    close(s->client);
    CHECK(await_note("after -1 on 1"));
    CHECK(!noted("closed 0 on 1"));
    free(s);
}

static void fail_and_leave(void *arg) {
    struct server *s = arg;
    struct pollfd p = { s->conn.fd, 0, 0 };
    reset_close(s->client);
    poll(&p, 1, PATIENCE_S * 1000);
    conn_write(&s->conn, "anybody?", 8);
    net_flush(this_worker);
    note("dead %d", (s->conn.flags & CONN_DEAD) != 0);
    leave(s);
}

/* A failure that nobody has heard of yet is told where the connection arrives. */
static void carries_failure(void) {
    struct server *s = serve(false, true, 0);
    clear_notes();
    on_worker(0, fail_and_leave, s);
    CHECK(await_note("dead 1"));
    char text[32];
    snprintf(text, sizeof text, "closed %d on 1", ECONNRESET);
    CHECK(await_note(text));
    free(s);
}

static void leave_in_the_handshake(void *arg) {
    leave(arg);
}

static void moves_in_the_handshake(void) {
    struct server *s = serve(true, true, 0);
    struct client c;
    clear_notes();
    CHECK(send_all(s->client, "\x16", 1));
    on_worker(0, leave_in_the_handshake, s);
    on_worker(1, leave_in_the_handshake, s);
    on_worker(0, free_conn, s);
    close(s->client);
    free(s);
    s = serve(true, true, 0);
    on_worker(0, leave_in_the_handshake, s);
    CHECK_INT(client_start(&c, s->client, &(struct client_options){ 0 }), 0);
    CHECK(await_note("ready"));
    CHECK(client_send_text(&c, "hello\n"));
    CHECK(client_recv_text(&c, "hello\n"));
    on_worker(1, free_conn, s);
    client_end(&c);
    free(s);
}

int main(void) {
    char why[256];
    make_cert_dir();
    make_cert("a.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA256, -1000, 100000);
    shown[0] = (struct shown){ "a.example", load_cert("a.example") };
    if (tls_setup(NULL, find_shown, why, sizeof why) != 0)
        abort();
    start_workers(2);
    int rc =
        CHECK_RUN(T(plain_from_input), T(plain_from_post), T(tls_from_input), T(tls_from_post), T(carries_plain_output),
                  T(carries_tls_output), T(carries_failure), T(closes_on_the_way), T(moves_in_the_handshake));
    stop_workers();
    tls_cert_release(shown[0].cert);
    tls_teardown();
    remove_cert_dir();
    return rc;
}
