/* SPDX-License-Identifier: Apache-2.0 */
/* Many connections with input at once, and what one of a batch does to others. */
#ifndef TEST_CROWD_H
#define TEST_CROWD_H

#include "test_net.h"

enum { CROWD = POLL_BATCH + 40 }; /* more than one batch of edges, and several of reads */

static struct crowd {
    struct conn conns[CROWD];
    int clients[CROWD];
    struct sockaddr_in peers[CROWD];
    unsigned count, told;
    void (*act)(struct conn *other); /* what the first one that is read does to all others */
} crowd;

static void crowd_closed(struct conn *c, int error) {
    (void)error;
    crowd.told++; /* before the client sees it */
    conn_free_now(c);
}

static size_t crowd_input(struct conn *c, const char *data, size_t len) {
    void (*act)(struct conn *) = crowd.act;
    crowd.act = NULL;
    for (unsigned i = 0; act && i < crowd.count; i++)
        if (&crowd.conns[i] != c)
            act(&crowd.conns[i]);
    conn_write(c, data, len);
    return len;
}
static const struct conn_class crowd_class = { crowd_input, NULL, crowd_closed, NULL };

static void open_crowd(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < crowd.count; i++)
        conn_init(&crowd.conns[i], &crowd_class, this_worker, crowd.conns[i].fd, (struct sockaddr *)&crowd.peers[i]);
}

static void gather(unsigned count, void (*act)(struct conn *other)) {
    memset(&crowd, 0, sizeof crowd);
    crowd.count = count;
    crowd.act = act;
    for (unsigned i = 0; i < count; i++) {
        struct pair p = tcp_pair(0);
        crowd.clients[i] = p.client;
        crowd.peers[i] = p.peer;
        crowd.conns[i].fd = p.server;
    }
}

/* All that the clients sent is there when the worker looks first: they are read together. */
static void all_say(const char *text) {
    for (unsigned i = 0; i < crowd.count; i++)
        CHECK(send_text(crowd.clients[i], text));
    on_worker(0, open_crowd, NULL);
}

static void free_crowd(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < crowd.count; i++)
        conn_free_now(&crowd.conns[i]);
}

static void scatter(void) {
    on_worker(0, free_crowd, NULL);
    for (unsigned i = 0; i < crowd.count; i++)
        close(crowd.clients[i]);
    CHECK_INT(metric_sum(METRIC_connections_row), 0);
}

static void many_echo(void) {
    gather(CROWD, NULL);
    all_say("hello");
    for (unsigned i = 0; i < CROWD; i++)
        CHECK(recv_text(crowd.clients[i], "hello"));
    scatter();
}

/* One of them got its answer; from the others nothing comes but the end. */
static void one_frees_all(void) {
    gather(10, conn_free_now);
    all_say("x");
    unsigned answers = 0;
    for (unsigned i = 0; i < crowd.count; i++) {
        char c;
        answers += recv(crowd.clients[i], &c, 1, 0) == 1;
    }
    CHECK_INT(answers, 1);
    scatter();
}

/* What the others sent before the first did ACT to them is given once it is undone by UNDO, and nothing behind it before. */
static void try_all(void (*act)(struct conn *other), void (*undo)(void *arg)) {
    gather(10, act);
    all_say("first ");
    on_worker(0, undo, NULL);
    for (unsigned i = 0; i < crowd.count; i++)
        CHECK(send_text(crowd.clients[i], "second"));
    for (unsigned i = 0; i < crowd.count; i++)
        CHECK(recv_text(crowd.clients[i], "first second"));
    scatter();
}

static void resume_crowd(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < crowd.count; i++)
        conn_resume(&crowd.conns[i]);
}
static void one_pauses_all(void) {
    try_all(conn_pause, resume_crowd);
}

static void attach_crowd(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < crowd.count; i++)
        if (!crowd.conns[i].worker)
            conn_attach(&crowd.conns[i], this_worker);
}
static void one_detaches_all(void) {
    try_all(conn_detach, attach_crowd);
}

static void ends_are_told(void) {
    gather(10, NULL);
    all_say("x");
    for (unsigned i = 0; i < crowd.count; i++) {
        CHECK(recv_text(crowd.clients[i], "x"));
        shutdown(crowd.clients[i], SHUT_WR);
    }
    for (unsigned i = 0; i < crowd.count; i++) {
        char c;
        CHECK_INT(recv(crowd.clients[i], &c, 1, 0), 0);
    }
    CHECK_INT(crowd.told, crowd.count);
    scatter();
}

#define CROWD_TESTS T(many_echo), T(one_frees_all), T(one_pauses_all), T(one_detaches_all), T(ends_are_told)

#endif
