/* SPDX-License-Identifier: Apache-2.0 */
/* Plain connections: input and what is kept of it, output, pausing, limits, every way to end. */
#include "test_crowd.h"

struct server {
    struct conn conn;
    int client;
    struct sockaddr_in peer;
    const struct conn_class *class;
    size_t seen, amount;
    bool limited;
    char *data;
};

static void note_closed(struct conn *c, int error) {
    note("closed %d", error);
    conn_free_now(c);
}

static void note_drained(struct conn *c) {
    note(c->out_len == 0 ? "drained" : "drained too early");
}

static size_t echo(struct conn *c, const char *data, size_t len) {
    conn_write(c, data, len);
    return len;
}
static const struct conn_class echo_class = { echo, NULL, note_closed, note_drained };

/* Takes whole lines only, and echoes each in pieces. */
static size_t echo_lines(struct conn *c, const char *data, size_t len) {
    size_t at = 0;
    const char *end;
    while ((end = memchr(data + at, '\n', len - at)) != NULL) {
        size_t line = (size_t)(end - data) + 1 - at;
        memcpy(conn_room(c, line + 100), data + at, line);
        conn_wrote(c, line);
        at += line;
    }
    return at;
}
static const struct conn_class lines_class = { echo_lines, NULL, note_closed, NULL };

static void open_conn(void *arg) {
    struct server *s = arg;
    conn_init(&s->conn, s->class, this_worker, s->conn.fd, (struct sockaddr *)&s->peer);
    s->conn.rate = (uint32_t)s->amount;
}

static struct server *serve_limited(const struct conn_class *class, int sndbuf, size_t rate) {
    struct server *s = xcalloc(1, sizeof *s);
    struct pair p = tcp_pair(sndbuf);
    clear_notes();
    s->client = p.client;
    s->peer = p.peer;
    s->class = class;
    s->conn.fd = p.server;
    s->amount = rate;
    on_worker(0, open_conn, s);
    return s;
}

static struct server *serve(const struct conn_class *class) {
    return serve_limited(class, 0, 0);
}

static void free_conn(void *arg) {
    struct server *s = arg;
    conn_free_now(&s->conn);
}

static void finish(struct server *s) {
    on_worker(0, free_conn, s);
    if (s->client >= 0)
        close(s->client);
    free(s->data);
    free(s);
}

static void hang_up(struct server *s) {
    close(s->client);
    s->client = -1;
}

static void look_idle(void *arg) {
    struct server *s = arg;
    note("in %d out %d timer %d", s->conn.in != NULL, s->conn.out != NULL, s->conn.timer != NULL);
}

static void echoes(void) {
    struct server *s = serve(&echo_class);
    CHECK(send_text(s->client, "hello"));
    CHECK(recv_text(s->client, "hello"));
    CHECK(send_text(s->client, "again"));
    CHECK(recv_text(s->client, "again"));
    on_worker(0, look_idle, s);
    CHECK(await_note("in 0 out 0 timer 0"));
    hang_up(s);
    CHECK(await_note("closed 0"));
    finish(s);
}

static void is_small(void) {
    CHECK(sizeof(struct conn) <= 288);
}

static void counts(void) {
    int64_t in = metric_sum(METRIC_bytes_in_row), out = metric_sum(METRIC_bytes_out_row);
    struct server *s = serve(&echo_class);
    CHECK_INT(metric_sum(METRIC_connections_row), 1);
    CHECK(send_text(s->client, "12345"));
    CHECK(recv_text(s->client, "12345"));
    on_worker(0, look_idle, s); /* the turn that wrote is over */
    CHECK_INT(metric_sum(METRIC_bytes_in_row) - in, 5);
    CHECK_INT(metric_sum(METRIC_bytes_out_row) - out, 5);
    finish(s);
    CHECK_INT(metric_sum(METRIC_connections_row), 0);
}

static void bytewise(void) {
    struct server *s = serve(&lines_class);
    char line[400];
    memset(line, 'x', sizeof line);
    memcpy(line, "<a>", 3);
    line[sizeof line - 1] = '\n';
    for (size_t i = 0; i < sizeof line; i++)
        CHECK(send_all(s->client, line + i, 1));
    char got[sizeof line];
    CHECK_INT(recv_all(s->client, got, sizeof got), sizeof line);
    CHECK_MEM(got, sizeof got, line, sizeof line);
    on_worker(0, look_idle, s);
    CHECK(await_note("in 0 out 0 timer 0"));
    CHECK(send_text(s->client, "one\ntwo\nthr"));
    CHECK(recv_text(s->client, "one\ntwo\n"));
    CHECK(send_text(s->client, "ee\nfour"));
    CHECK(recv_text(s->client, "three\n"));
    CHECK(send_text(s->client, "\n"));
    CHECK(recv_text(s->client, "four\n"));
    finish(s);
}

struct transfer {
    int fd;
    const char *data;
    size_t len, step;
};

static void *send_thread(void *arg) {
    struct transfer *t = arg;
    for (size_t at = 0; at < t->len; at += t->step)
        if (!send_all(t->fd, t->data + at, t->len - at < t->step ? t->len - at : t->step))
            break;
    return NULL;
}

/* Sends DATA in steps of STEP bytes, and expects it back. */
static bool goes_round(int fd, const char *data, size_t len, size_t step) {
    struct transfer t = { fd, data, len, step };
    pthread_t thread;
    if (pthread_create(&thread, NULL, send_thread, &t) != 0)
        return false;
    char *got = xmalloc(len);
    size_t n = recv_all(fd, got, len);
    bool same = n == len && memcmp(got, data, len) == 0;
    pthread_join(thread, NULL);
    free(got);
    return same;
}

/* Kept input passes the size up to which it is copied, and comes out in one piece. */
static void keeps_long_lines(void) {
    struct server *s = serve(&lines_class);
    for (size_t len = 5000; len <= 320000; len *= 4) {
        char *line = pattern(len);
        for (size_t i = 0; i < len - 1; i++)
            if (line[i] == '\n')
                line[i] = 'n';
        line[len - 1] = '\n';
        CHECK(goes_round(s->client, line, len, 1337));
        free(line);
        on_worker(0, look_idle, s);
        CHECK(await_note("in 0 out 0 timer 0"));
    }
    finish(s);
}

static void megabyte(void) {
    struct server *s = serve_limited(&echo_class, 4096, 0);
    char *data = pattern(1 << 20);
    CHECK(goes_round(s->client, data, 1 << 20, 100000));
    free(data);
    finish(s);
}

static void write_data(void *arg) {
    struct server *s = arg;
    for (size_t at = 0; at < s->amount; at += 100000)
        conn_write(&s->conn, s->data + at, s->amount - at < 100000 ? s->amount - at : 100000);
}

static void look_blocked(void *arg) {
    struct server *s = arg;
    note("blocked %d queued %d", (s->conn.flags & CONN_BLOCKED) != 0, s->conn.out_len > 0);
}

static void blocked_output(void) {
    struct server *s = serve_limited(&echo_class, 16384, 0);
    s->amount = 3 << 20;
    s->data = pattern(s->amount);
    on_worker(0, write_data, s);
    on_worker(0, look_blocked, s);
    CHECK(await_note("blocked 1 queued 1"));
    CHECK(!noted("drained"));
    char *got = xmalloc(s->amount);
    CHECK_INT(recv_all(s->client, got, s->amount), s->amount);
    CHECK(memcmp(got, s->data, s->amount) == 0);
    free(got);
    CHECK(await_note("drained"));
    on_worker(0, look_blocked, s);
    CHECK(await_note("blocked 0 queued 0"));
    CHECK(send_text(s->client, "still there"));
    CHECK(recv_text(s->client, "still there"));
    finish(s);
}

enum { MANY = 100 };
static void write_many(void *arg) {
    struct server **all = arg;
    struct net_worker *nw = this_worker->net;
    unsigned most = 0;
    for (unsigned i = 0; i < MANY; i++) {
        char text[16];
        snprintf(text, sizeof text, "%05u", i);
        conn_write(&all[i]->conn, text, 5);
        conn_write(&all[i]->conn, ".", 1);
        if (nw->dirty_count > most)
            most = nw->dirty_count;
    }
    note("most %u", most);
    conn_free_now(&all[MANY - 2]->conn); /* it leaves the middle of the list */
}

static void write_many_on_fiber(void *arg) {
    fiber_start(this_worker->fibers, NULL, write_many, arg);
}

static void flush_in_batches(void (*write)(void *arg)) {
    struct server *all[MANY];
    for (unsigned i = 0; i < MANY; i++)
        all[i] = serve(&echo_class);
    on_worker(0, write, all);
    CHECK(await_note("most 32"));
    for (unsigned i = 0; i < MANY; i++) {
        char text[16];
        snprintf(text, sizeof text, "%05u.", i);
        if (all[i]->conn.fd >= 0)
            CHECK(recv_text(all[i]->client, text));
    }
    for (unsigned i = 0; i < MANY; i++)
        finish(all[i]);
}

static void flushes_in_batches(void) {
    flush_in_batches(write_many);
    flush_in_batches(write_many_on_fiber);
}

static size_t one_line_then_pause(struct conn *c, const char *data, size_t len) {
    if (c->flags & CONN_PAUSED)
        note("input while paused");
    const char *end = memchr(data, '\n', len);
    if (!end)
        return 0;
    note("line %.*s", (int)(end - data), data);
    conn_pause(c);
    return (size_t)(end - data) + 1;
}
static const struct conn_class pausing_class = { one_line_then_pause, NULL, note_closed, NULL };

static void resume(void *arg) {
    struct server *s = arg;
    conn_resume(&s->conn);
    note("resumed");
}

static void pauses(void) {
    struct server *s = serve(&pausing_class);
    CHECK(send_text(s->client, "a\nb\nc\nd"));
    CHECK(await_note("line a"));
    CHECK(!noted("line b"));
    on_worker(0, resume, s);
    CHECK(await_note("resumed"));
    CHECK(await_note("line b"));
    on_worker(0, resume, s);
    CHECK(await_note("line c"));
    /* What comes meanwhile stays in the socket, also the end. */
    CHECK(send_text(s->client, "e\n"));
    hang_up(s);
    on_worker(0, look_idle, s);
    CHECK(!noted("line de"));
    CHECK(!noted("closed 0"));
    on_worker(0, resume, s);
    CHECK(await_note("line de"));
    on_worker(0, look_idle, s);
    CHECK(!noted("closed 0"));
    on_worker(0, resume, s);
    CHECK(await_note("closed 0"));
    CHECK(!noted("input while paused"));
    finish(s);
}

/* Each call takes a byte and would at once be called again: others get their turn in between. */
static size_t take_one(struct conn *c, const char *data, size_t len) {
    struct server *s = container_of(c, struct server, conn);
    if (++s->seen == 1000)
        note("greedy done");
    conn_pause(c);
    conn_resume(c);
    (void)data, (void)len;
    return 1;
}
static const struct conn_class greedy_class = { take_one, NULL, note_closed, NULL };

static struct server *greedy;
static size_t tell_greedy(struct conn *c, const char *data, size_t len) {
    (void)c, (void)data;
    note(greedy->seen < 100 ? "in time" : "starved");
    return len;
}
static const struct conn_class other_class = { tell_greedy, NULL, note_closed, NULL };

static sem_t gate;
static void wait_at_gate(struct post *p) {
    (void)p;
    while (sem_wait(&gate) != 0)
        ;
}
/* Stops worker 0 until the gate is opened, so that what sockets get meanwhile is seen at once. */
static void shut_gate(void) {
    static struct post p;
    sem_init(&gate, 0, 0);
    p.run = wait_at_gate;
    worker_post(workers[0], &p);
}

static void nobody_starves(void) {
    greedy = serve(&greedy_class);
    struct server *other = serve(&other_class);
    shut_gate();
    char text[1000] = { 0 };
    CHECK(send_all(greedy->client, text, sizeof text));
    CHECK(send_text(other->client, "x"));
    sem_post(&gate);
    CHECK(await_note("in time"));
    CHECK(await_note("greedy done"));
    finish(greedy);
    finish(other);
}

static size_t echo_limited(struct conn *c, const char *data, size_t len) {
    struct server *s = container_of(c, struct server, conn);
    if ((c->flags & CONN_LIMITED) && !s->limited) {
        s->limited = true;
        note("limited");
    }
    return echo(c, data, len);
}
static const struct conn_class limited_class = { echo_limited, NULL, note_closed, NULL };

static void limits_the_rate(void) {
    enum { RATE = 2 << 20 };
    struct server *s = serve_limited(&limited_class, 0, RATE);
    char *data = pattern(RATE * 5 / 2);
    CHECK(goes_round(s->client, data, RATE * 5 / 2, 65536));
    CHECK(await_note("limited"));
    free(data);
    CHECK(send_text(s->client, "more"));
    CHECK(recv_text(s->client, "more"));
    finish(s);
}

static void small_rate_has_a_burst(void) {
    struct server *s = serve_limited(&limited_class, 0, 1000);
    char *data = pattern(60000);
    CHECK(goes_round(s->client, data, 60000, 60000));
    CHECK(!noted("limited"));
    free(data);
    finish(s);
}

static void after_close(struct conn *c) {
    note("after %d", c->fd);
}

static void write_and_close(void *arg) {
    struct server *s = arg;
    write_data(arg);
    conn_close(&s->conn, after_close);
    conn_close(&s->conn, after_close);
    conn_write(&s->conn, "too late", 8);
    memcpy(conn_room(&s->conn, 3), "too", 3);
    conn_wrote(&s->conn, 3);
    note("asked");
}

static void closes_after_output(void) {
    struct server *s = serve_limited(&echo_class, 16384, 0);
    s->amount = 2 << 20;
    s->data = pattern(s->amount);
    on_worker(0, write_and_close, s);
    CHECK(await_note("asked"));
    char *got = xmalloc(s->amount + 1);
    CHECK_INT(recv_all(s->client, got, s->amount + 1), s->amount);
    CHECK(memcmp(got, s->data, s->amount) == 0);
    free(got);
    CHECK(!noted("after -1"));
    CHECK(send_text(s->client, "nobody reads this"));
    hang_up(s);
    CHECK(await_note("after -1"));
    CHECK(!noted("after -1"));
    CHECK(!noted("closed 0"));
    CHECK(!noted("drained"));
    finish(s);
}

static void close_waits_two_seconds_at_most(void) {
    struct server *s = serve(&echo_class);
    on_worker(0, write_and_close, s);
    CHECK(recv_end(s->client));
    CHECK(await_note("after -1"));
    /* And with output that nobody reads. */
    struct server *t = serve_limited(&echo_class, 16384, 0);
    t->amount = 3 << 20;
    t->data = pattern(t->amount);
    on_worker(0, write_and_close, t);
    CHECK(await_note("after -1"));
    finish(s);
    finish(t);
}

static size_t close_inside(struct conn *c, const char *data, size_t len) {
    note("input %.*s", (int)len, data);
    conn_write(c, "bye", 3);
    conn_close(c, after_close);
    note("returned");
    return 1;
}
static const struct conn_class closing_class = { close_inside, NULL, note_closed, NULL };

static void closes_inside_input(void) {
    struct server *s = serve(&closing_class);
    CHECK(send_text(s->client, "quit"));
    CHECK(recv_text(s->client, "bye"));
    CHECK(recv_end(s->client));
    CHECK(await_note("input quit"));
    CHECK(await_note("returned"));
    CHECK(send_text(s->client, "more"));
    hang_up(s);
    CHECK(await_note("after -1"));
    CHECK(!noted("input more"));
    CHECK(!noted("input uitmore"));
    finish(s);
}

static size_t free_inside(struct conn *c, const char *data, size_t len) {
    (void)data;
    conn_free_now(c);
    note("freed");
    return len;
}
static const struct conn_class freeing_class = { free_inside, NULL, note_closed, NULL };

static void frees_inside_input(void) {
    struct server *s = serve(&freeing_class);
    CHECK(send_text(s->client, "x"));
    CHECK(await_note("freed"));
    CHECK(recv_end(s->client));
    CHECK(!noted("closed 0"));
    finish(s);
}

static void close_when_told(struct conn *c, int error) {
    note("closed %d", error);
    conn_write(c, "lost", 4);
    conn_close(c, after_close);
}
static const struct conn_class polite_class = { echo, NULL, close_when_told, NULL };

static void closes_when_told(void) {
    struct server *s = serve(&polite_class);
    hang_up(s);
    CHECK(await_note("closed 0"));
    CHECK(await_note("after -1"));
    finish(s);
    s = serve(&polite_class);
    reset_close(s->client);
    s->client = -1;
    char text[32];
    snprintf(text, sizeof text, "closed %d", ECONNRESET);
    CHECK(await_note(text));
    CHECK(await_note("after -1"));
    finish(s);
}

static size_t note_input(struct conn *c, const char *data, size_t len) {
    (void)c;
    note("input %.*s", (int)len, data);
    return len;
}
static const struct conn_class noting_class = { note_input, NULL, note_closed, NULL };

/* Data and the end of the stream are reported by one edge. */
static void sees_the_end_behind_data(void) {
    char text[32];
    snprintf(text, sizeof text, "closed %d", ECONNRESET);
    struct server *s = serve(&noting_class);
    shut_gate();
    CHECK(send_text(s->client, "last"));
    hang_up(s);
    sem_post(&gate);
    CHECK(await_note("input last"));
    CHECK(await_note("closed 0"));
    finish(s);
    s = serve(&noting_class);
    on_worker(0, look_idle, s); /* it polls */
    shut_gate();
    CHECK(send_text(s->client, "last"));
    reset_close(s->client);
    s->client = -1;
    sem_post(&gate);
    CHECK(await_note("input last"));
    CHECK(await_note(text));
    finish(s);
}

static void write_to_dead(void *arg) {
    struct server *s = arg;
    struct pollfd p = { s->conn.fd, 0, 0 };
    reset_close(s->client);
    s->client = -1;
    poll(&p, 1, PATIENCE_S * 1000);
    conn_write(&s->conn, "anybody?", 8);
    net_flush(this_worker);
    note(s->conn.flags & CONN_DEAD ? "dead, not told" : "alive");
    conn_write(&s->conn, "anybody?", 8);
    net_flush(this_worker);
    note("queued %u", s->conn.out_len);
}

static void write_error_is_told_from_the_loop(void) {
    struct server *s = serve(&noting_class);
    CHECK(send_text(s->client, "first"));
    CHECK(await_note("input first"));
    on_worker(0, write_to_dead, s);
    CHECK(await_note("dead, not told"));
    CHECK(await_note("queued 0"));
    char text[32];
    snprintf(text, sizeof text, "closed %d", ECONNRESET);
    CHECK(await_note(text));
    on_worker(0, look_idle, s);
    CHECK(!noted(text));
    finish(s);
}

/* A stream that stops in the middle of a line ends with what it has: input is not asked again. */
static void end_with_kept_input(void) {
    struct server *s = serve(&lines_class);
    CHECK(send_text(s->client, "whole\nhalf"));
    CHECK(recv_text(s->client, "whole\n"));
    hang_up(s);
    CHECK(await_note("closed 0"));
    finish(s);
}

static void stop_closes(void) {
    struct server *s = serve_limited(&echo_class, 16384, 0);
    s->amount = 2 << 20;
    s->data = pattern(s->amount);
    on_worker(0, write_and_close, s);
    stop_workers();
    CHECK(noted("after -1"));
    start_workers(1);
    finish(s);
}

static void check_address(int family, const char *host, int port, const char *want) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    char text[ADDRESS_MAX];
    CHECK_INT(inet_pton(family, host, family == AF_INET ? (void *)&v4.sin_addr : &v6.sin6_addr), 1);
    address_format(family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, text);
    CHECK_TEXT(text, want);
}

static void addresses(void) {
    check_address(AF_INET, "203.0.113.7", 50123, "203.0.113.7:50123");
    check_address(AF_INET6, "2001:db8::1", 5222, "[2001:db8::1]:5222");
    check_address(AF_INET6, "::ffff:203.0.113.7", 1, "203.0.113.7:1");
    check_address(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", 65535,
                  "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    char text[ADDRESS_MAX];
    address_format(NULL, text);
    CHECK_TEXT(text, "unknown");
}

int main(void) {
    start_workers(1);
    int rc = CHECK_RUN(CROWD_TESTS, T(is_small), T(addresses), T(echoes), T(counts), T(bytewise), T(keeps_long_lines),
                       T(megabyte), T(blocked_output), T(flushes_in_batches), T(pauses), T(nobody_starves),
                       T(limits_the_rate), T(small_rate_has_a_burst), T(closes_after_output),
                       T(close_waits_two_seconds_at_most), T(closes_inside_input), T(frees_inside_input),
                       T(closes_when_told), T(sees_the_end_behind_data), T(write_error_is_told_from_the_loop),
                       T(end_with_kept_input), T(stop_closes));
    stop_workers();
    return rc;
}
