/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 64, CHUNK = 65536 };
struct pair {
    int client, server; /* -1: free */
    bool writes;        /* it has prepared what makes a transaction known, and so commits with each pipeline's end */
    bool deaf;          /* what the server says next is the end */
};
static struct pair pairs[PAIRS];
static int listener = -1, target;
static pthread_t thread;
static atomic_int each, commits, cuts;
static bool pipelines;
static atomic_bool ending;

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void cut(struct pair *p) {
    close(p->client);
    close(p->server);
    *p = (struct pair){ .client = -1, .server = -1 };
}

static void accept_one(void) {
    struct sockaddr_in to = loopback(target);
    struct pair *p = pairs;
    int client = accept(listener, NULL, NULL);
    while (p < pairs + PAIRS && p->client >= 0)
        p++;
    if (client < 0 || p == pairs + PAIRS)
        abort();
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(server, (struct sockaddr *)&to, sizeof to) != 0) {
        close(client);
        close(server);
        return;
    }
    *p = (struct pair){ .client = client, .server = server };
}

static bool send_all(int fd, const char *data, ssize_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, (size_t)len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        len -= sent;
    }
    return true;
}

/* Whether this commit's turn has come; which way, if so. */
static bool is_cut(struct pair *p, const char *data, ssize_t len, int *way) {
    static const char number[] = "INSERT INTO meerkat_commits", end[] = { 'S', 0, 0, 0, 4 };
    int n = atomic_load(&each);
    p->writes |= memmem(data, (size_t)len, number, sizeof number - 1) != NULL;
    bool ends = memmem(data, (size_t)len, end, sizeof end) != NULL;
    bool commits_it = pipelines ? p->writes && ends : memmem(data, (size_t)len, "COMMIT", 6) != NULL;
    if (!n || !commits_it || atomic_fetch_add(&commits, 1) % n)
        return false;
    *way = atomic_fetch_add(&cuts, 1) % CUTS;
    return true;
}

static void from_client(struct pair *p) {
    char data[CHUNK];
    int way = CUT_AFTER;
    ssize_t len = recv(p->client, data, sizeof data, 0);
    bool cuts_it = len > 0 && is_cut(p, data, len, &way);
    if (len <= 0 || (cuts_it && way == CUT_BEFORE) || !send_all(p->server, data, len) || (cuts_it && way == CUT_WITHIN))
        cut(p);
    else
        p->deaf = cuts_it;
}

static void from_server(struct pair *p) {
    char data[CHUNK];
    ssize_t len = recv(p->server, data, sizeof data, 0);
    if (len <= 0 || p->deaf || !send_all(p->client, data, len))
        cut(p);
}

static void *run(void *arg) {
    while (!atomic_load(&ending)) {
        struct pollfd fds[1 + 2 * PAIRS] = { { listener, POLLIN, 0 } };
        for (int i = 0; i < PAIRS; i++) {
            fds[1 + 2 * i] = (struct pollfd){ pairs[i].client, POLLIN, 0 };
            fds[2 + 2 * i] = (struct pollfd){ pairs[i].server, POLLIN, 0 };
        }
        if (poll(fds, 1 + 2 * PAIRS, 50) <= 0)
            continue;
        for (int i = 0; i < PAIRS; i++) {
            if (fds[1 + 2 * i].revents)
                from_client(&pairs[i]);
            if (fds[2 + 2 * i].revents && pairs[i].server == fds[2 + 2 * i].fd)
                from_server(&pairs[i]);
        }
        if (fds[0].revents)
            accept_one();
    }
    return arg;
}

int proxy_start(int port, bool of_pipelines) {
    struct sockaddr_in at = loopback(0);
    socklen_t len = sizeof at;
    target = port;
    pipelines = of_pipelines;
    for (int i = 0; i < PAIRS; i++)
        pairs[i] = (struct pair){ .client = -1, .server = -1 };
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0 || pthread_create(&thread, NULL, run, NULL) != 0)
        abort();
    return ntohs(at.sin_port);
}

void proxy_cut_each(int n) {
    atomic_store(&each, n);
}

int proxy_cuts(void) {
    return atomic_load(&cuts);
}

void proxy_stop(void) {
    atomic_store(&ending, true);
    pthread_join(thread, NULL);
    for (int i = 0; i < PAIRS; i++)
        if (pairs[i].client >= 0)
            cut(&pairs[i]);
    close(listener);
}
