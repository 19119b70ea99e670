/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PER_ADDRESS = 5000 }; /* more connections from one address make connect() slow */

static int epoll_fd = -1;
static arrived_fn *on_arrived;
static gnutls_certificate_credentials_t credentials;
static int *ended;
static enum way way;

void fail(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double cpu_of(int pid) {
    char path[64], line[1024];
    double sum = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f))
        fail("process %d is gone", pid);
    fclose(f);
    unsigned long user, system;
    if (sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
        sum = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return sum;
}

long heap_of(int pid) {
    char path[64], line[256];
    long kb = 0, part;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        fail("process %d is gone", pid);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Dirty: %ld kB", &part) == 1)
            kb = part;
    fclose(f);
    return kb * 1024;
}

static void start_tls(struct peer *p) {
    if (!credentials) {
        gnutls_certificate_allocate_credentials(&credentials);
    }
    gnutls_init(&p->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    gnutls_set_default_priority(p->tls);
    gnutls_credentials_set(p->tls, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_server_name_set(p->tls, GNUTLS_NAME_DNS, "localhost", 9);
    gnutls_transport_set_int(p->tls, p->fd);
    p->handshaking = true;
}

void peers_travel(enum way chosen) {
    way = chosen;
}

static void connected(struct peer *p) {
    if (way_open(p))
        on_arrived(p);
}

struct peer *peer_open(int index, int port, bool tls, arrived_fn *arrived) {
    if (epoll_fd < 0)
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    on_arrived = arrived;
    struct peer *p = calloc(1, sizeof *p);
    p->index = index;
    p->way = way;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET },
                       to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(index / PER_ADDRESS));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connection %d: %s", index, strerror(errno));
    if (tls)
        start_tls(p);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &ev);
    if (tls)
        gnutls_handshake(p->tls);
    else
        connected(p);
    return p;
}

void peer_close(struct peer *p) {
    if (p->tls)
        gnutls_deinit(p->tls);
    if (p->fd >= 0)
        close(p->fd);
    free(p->in);
    free(p->raw);
    free(p);
}

/* A record of TLS has 16 KiB at most. */
void peer_write(struct peer *p, const char *data, size_t len) {
    while (len) {
        ssize_t sent = p->tls ? gnutls_record_send(p->tls, data, len) : send(p->fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("connection %d: could not send %zu bytes", p->index, len);
        data += sent;
        len -= (size_t)sent;
    }
}

bool peer_got(struct peer *p, const char *text) {
    char *at = p->in_len ? memmem(p->in, p->in_len, text, strlen(text)) : NULL;
    if (!at)
        return false;
    size_t used = (size_t)(at - p->in) + strlen(text);
    memmove(p->in, p->in + used, p->in_len - used + 1);
    p->in_len -= used;
    if (!p->in_len) {
        free(p->in);
        p->in = NULL;
        p->in_cap = 0;
    }
    return true;
}

void peer_take(struct peer *p, const char *data, size_t len) {
    if (p->in_len + len + 1 > p->in_cap) {
        p->in_cap = p->in_len + len + 1;
        p->in = realloc(p->in, p->in_cap);
    }
    memcpy(p->in + p->in_len, data, len);
    p->in_len += len;
    p->in[p->in_len] = '\0';
}

static void readable(struct peer *p) {
    static char data[65536];
    if (p->handshaking) {
        int rc = gnutls_handshake(p->tls);
        if (rc != 0) {
            if (gnutls_error_is_fatal(rc))
                fail("connection %d: %s", p->index, gnutls_strerror(rc));
            return;
        }
        p->handshaking = false;
        connected(p);
        return;
    }
    ssize_t got = p->tls ? gnutls_record_recv(p->tls, data, sizeof data) : recv(p->fd, data, sizeof data, 0);
    if (p->tls && (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED))
        return;
    if (got <= 0 && ended) {
        close(p->fd);
        p->fd = -1;
        ++*ended;
        return;
    }
    if (got <= 0)
        fail("connection %d was closed: %.300s", p->index, p->in ? p->in : "");
    way_input(p, data, (size_t)got, on_arrived);
}

void peers_may_end(int *count) {
    ended = count;
}

void peers_poll(int timeout_ms) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll_fd, events, 256, timeout_ms);
    for (int i = 0; i < n; i++)
        readable(events[i].data.ptr);
}
