/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of a worker's connections, watched by an epoll of their own that is one event of the worker's libevent
 * base.  An event of libevent for each would take 170 bytes of an idle connection.  A socket is added once, for all
 * edges, and never touched again.
 */
#include "net/net.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* libevent sees an edge for as many as came at once: what is left of them must be asked for. */
static void tell(evutil_socket_t fd, short what, void *arg) {
    struct poller *p = arg;
    (void)what;
    int count = epoll_wait(fd, p->found, POLL_BATCH, 0);
    p->count = count > 0 ? (unsigned)count : 0;
    if (p->count == POLL_BATCH || (count < 0 && errno == EINTR))
        event_active(&p->event, EV_READ, 0);
    for (p->at = 0; p->at < p->count;) {
        const struct epoll_event *e = &p->found[p->at++];
        if (e->data.ptr)
            conn_happened(e->data.ptr, e->events);
    }
    p->count = 0;
}

void poller_start(struct poller *p, struct worker *w) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    event_assign(&p->event, w->base, fd, EV_READ | EV_ET | EV_PERSIST, tell, p);
    if (fd < 0 || event_add(&p->event, NULL) != 0)
        abort();
}

void poller_stop(struct poller *p) {
    event_del(&p->event);
    close(event_get_fd(&p->event));
}

bool poller_add(struct poller *p, struct conn *c) {
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    return epoll_ctl(event_get_fd(&p->event), EPOLL_CTL_ADD, c->fd, &e) == 0;
}

void poller_remove(struct poller *p, const struct conn *c) {
    epoll_ctl(event_get_fd(&p->event), EPOLL_CTL_DEL, c->fd, NULL);
    for (unsigned i = p->at; i < p->count; i++)
        if (p->found[i].data.ptr == c)
            p->found[i].data.ptr = NULL;
}
