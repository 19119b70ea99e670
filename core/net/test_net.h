/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of this folder: workers, a server side that notes what happens, clients on blocking sockets. */
#ifndef NET_TEST_NET_H
#define NET_TEST_NET_H

#include "check.h"
#include "net/net.h"
#include "net/ring.h"
#include "run/metric.h"
#include "util/list.h"
#include "util/log.h"
#include "util/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

enum { PATIENCE_S = 20 };

/* ---- Workers ---- */

static int start_test_worker(struct worker *w) {
    w->metrics = xcalloc(SERVER_METRIC_COUNT, sizeof *w->metrics);
    w->metric_count = SERVER_METRIC_COUNT;
    return net_worker_start(w);
}

/* By default one socket at a time; with RING, which a file defines before it includes this, in batches. */
UNUSED static void start_workers(unsigned count) {
#ifdef RING
    ring_use = RING_AUTO;
    ring_least = 1;
#else
    ring_use = RING_OFF;
#endif
    static const struct worker_hooks hooks = { start_test_worker, net_flush, net_worker_stop, net_read };
    for (unsigned i = 0; i < SERVER_METRIC_COUNT; i++)
        server_metric_place[i] = i;
    if (workers_start(count, 4, 64 * 1024, &hooks) != 0)
        abort();
}

UNUSED static void stop_workers(void) {
    workers_stop();
    workers_free();
}

struct errand {
    struct post post;
    void (*fn)(void *arg);
    void *arg;
    sem_t done;
};

static void run_errand(struct post *p) {
    struct errand *e = container_of(p, struct errand, post);
    e->fn(e->arg);
    sem_post(&e->done);
}

/* Runs FN(ARG) in worker I and waits for it. */
UNUSED static void on_worker(unsigned i, void (*fn)(void *arg), void *arg) {
    struct errand e = { .post = { NULL, run_errand }, .fn = fn, .arg = arg };
    sem_init(&e.done, 0, 0);
    worker_post(workers[i], &e.post);
    while (sem_wait(&e.done) != 0)
        ;
    sem_destroy(&e.done);
}

UNUSED static int64_t metric_sum(unsigned row) {
    int64_t sum = 0;
    for (unsigned i = 0; i < worker_count; i++)
        sum += __atomic_load_n(&workers[i]->metrics[row], __ATOMIC_RELAXED);
    return sum;
}

/* Waits until the metric is more than BEFORE. */
UNUSED static bool await_metric(unsigned row, int64_t before) {
    const struct timespec pause = { 0, 1000000 };
    for (unsigned i = 0; i < PATIENCE_S * 1000 && metric_sum(row) <= before; i++)
        nanosleep(&pause, NULL);
    return metric_sum(row) > before;
}

/* ---- Notes: what happened in the workers, in order; the test awaits them ---- */

static pthread_mutex_t note_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t note_added = PTHREAD_COND_INITIALIZER;
static char notes[64 * 1024];

__attribute__((format(printf, 1, 2), unused)) static void note(const char *fmt, ...) {
    __builtin_va_list args;
    __builtin_va_start(args, fmt);
    pthread_mutex_lock(&note_lock);
    size_t len = strlen(notes);
    if (len + 256 < sizeof notes) {
        vsnprintf(notes + len, 255, fmt, args);
        strcat(notes, "\n");
    }
    pthread_cond_broadcast(&note_added);
    pthread_mutex_unlock(&note_lock);
    __builtin_va_end(args);
}

UNUSED static void clear_notes(void) {
    pthread_mutex_lock(&note_lock);
    notes[0] = '\0';
    pthread_mutex_unlock(&note_lock);
}

static char *find_note(const char *text) {
    size_t len = strlen(text);
    for (char *at = notes; (at = strstr(at, text)) != NULL; at++)
        if ((at == notes || at[-1] == '\n') && at[len] == '\n')
            return at;
    return NULL;
}

UNUSED static bool noted(const char *text) {
    pthread_mutex_lock(&note_lock);
    bool found = find_note(text) != NULL;
    pthread_mutex_unlock(&note_lock);
    return found;
}

/* Waits until TEXT was noted and takes the note away. */
UNUSED static bool await_note(const char *text) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&note_lock);
    char *at;
    while ((at = find_note(text)) == NULL)
        if (pthread_cond_timedwait(&note_added, &note_lock, &until) != 0)
            break;
    if (at) {
        char *next = at + strlen(text) + 1;
        memmove(at, next, strlen(next) + 1);
    } else {
        printf("# \"%s\" was not noted, but: %s\n", text, notes);
    }
    pthread_mutex_unlock(&note_lock);
    return at != NULL;
}

/* ---- Sockets ---- */

static void set_patience(int fd) {
    struct timeval patience = { PATIENCE_S, 0 };
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

UNUSED static int connect_to(const char *address, int port) {
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        abort();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_patience(fd);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct pair {
    int client, server;
    struct sockaddr_in peer;
};

/* A connected pair of TCP sockets; the server's is non-blocking, with a send buffer of SNDBUF bytes if not 0. */
UNUSED static struct pair tcp_pair(int sndbuf) {
    struct pair p;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&a, len) != 0 || listen(listener, 1) != 0)
        abort();
    getsockname(listener, (struct sockaddr *)&a, &len);
    p.client = connect_to("127.0.0.1", ntohs(a.sin_port));
    len = sizeof p.peer;
    p.server = accept4(listener, (struct sockaddr *)&p.peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (p.client < 0 || p.server < 0)
        abort();
    close(listener);
    if (sndbuf)
        setsockopt(p.server, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
    return p;
}

UNUSED static bool send_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

UNUSED static bool send_text(int fd, const char *text) {
    return send_all(fd, text, strlen(text));
}

/* LEN bytes, or fewer if the stream ends. */
UNUSED static size_t recv_all(int fd, char *to, size_t len) {
    size_t got = 0;
    while (got < len) {
        ssize_t n = recv(fd, to + got, len - got, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

UNUSED static bool recv_text(int fd, const char *text) {
    char got[1024];
    size_t len = strlen(text), n = recv_all(fd, got, len);
    return n == len && memcmp(got, text, len) == 0;
}

UNUSED static bool recv_end(int fd) {
    char c;
    return recv(fd, &c, 1, 0) == 0;
}

UNUSED static void reset_close(int fd) {
    struct linger now = { 1, 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Bytes of which every stretch is different from its neighbours. */
UNUSED static char *pattern(size_t len) {
    char *p = xmalloc(len);
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)(x >> 24);
    }
    return p;
}

#endif
