/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: a relay that does nothing but read and write.  Connection 2n is paired with 2n + 1; what one sends the other
 * gets.  What a server costs beyond this is its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int peers[65536];
static int waiting = -1;
static struct event_base *base;

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    static char data[65536];
    (void)what;
    ssize_t n = read(fd, data, sizeof data);
    if (n > 0) {
        if (write(peers[fd], data, (size_t)n) != n)
            exit(1);
    } else if (n == 0 || errno != EAGAIN) {
        event_free(*(struct event **)arg);
        free(arg);
        close(fd);
    }
}

static void on_connection(evutil_socket_t listener, short what, void *arg) {
    (void)what, (void)arg;
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (waiting >= 0) {
            peers[fd] = waiting;
            peers[waiting] = fd;
            waiting = -1;
        } else {
            waiting = fd;
        }
        struct event **ev = malloc(sizeof *ev);
        *ev = event_new(base, fd, EV_READ | EV_ET | EV_PERSIST, on_readable, ev);
        event_add(*ev, NULL);
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "0")) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
        perror("floor");
        return 1;
    }
    base = event_base_new();
    struct event *listener = event_new(base, fd, EV_READ | EV_PERSIST, on_connection, NULL);
    event_add(listener, NULL);
    return event_base_dispatch(base);
}
