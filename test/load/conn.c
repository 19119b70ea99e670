/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static bool verifies;

bool conn_trust(bool verify, const char *ca, char *why, size_t size) {
    verifies = verify;
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_priority_init(&priority, "NORMAL:-CHACHA20-POLY1305", NULL);
    if (!verify)
        return true;
    int found = *ca ? gnutls_certificate_set_x509_trust_file(credentials, ca, GNUTLS_X509_FMT_PEM)
                    : gnutls_certificate_set_x509_system_trust(credentials);
    if (found > 0)
        return true;
    snprintf(why, size, "%s: %s", *ca ? ca : "the system's certificates",
             found < 0 ? gnutls_strerror(found) : "no certificate in it");
    return false;
}

static void watch(struct conn *c, int op, uint32_t events) {
    struct epoll_event ev = { .events = events, .data.ptr = c };
    epoll_ctl(c->epoll_fd, op, c->fd, &ev);
    c->wants_write = events & EPOLLOUT;
}

bool conn_open(struct conn *c, int epoll_fd, const struct address *to, uint32_t from, void *owner) {
    int on = 1, kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    *c = (struct conn){ .epoll_fd = epoll_fd, .owner = owner, .connecting = true };
    c->fd = socket(to->to.ss_family, kind, 0);
    if (c->fd < 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (from) {
        struct sockaddr_in source = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from) };
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(c->fd, (struct sockaddr *)&source, sizeof source) != 0)
            return false;
    }
    if (connect(c->fd, (const struct sockaddr *)&to->to, to->len) != 0 && errno != EINPROGRESS)
        return false;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return true;
}

void conn_tls(struct conn *c, const char *name) {
    gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_priority_set(c->tls, priority);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, name, strlen(name));
    if (verifies)
        gnutls_session_set_verify_cert(c->tls, name, 0);
    gnutls_transport_set_int(c->tls, c->fd);
    c->handshaking = true;
    buffer_free(&c->in); /* what came in clear is not part of it */
}

void conn_close(struct conn *c, bool abrupt) {
    if (c->fd >= 0 && abrupt) {
        struct linger reset = { 1, 0 };
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    if (c->tls)
        gnutls_deinit(c->tls);
    if (c->fd >= 0)
        close(c->fd);
    buffer_free(&c->in);
    free(c->out);
    *c = (struct conn){ .fd = -1 };
}

/* ---- output ----------------------------------------------------------------------------------------------------------- */

char *conn_room(struct conn *c, size_t len) {
    if (c->fd < 0)
        return NULL;
    if (c->out_len + len > c->out_cap) {
        c->out_cap = (c->out_len + len) * 3 / 2 + 256;
        c->out = realloc(c->out, c->out_cap);
    }
    c->out_len += len;
    return c->out + c->out_len - len;
}

/* Bytes that went, 0 for not now, -1 for never. */
static ssize_t push(struct conn *c) {
    size_t left = c->out_len - c->out_at;
    if (!c->tls) {
        ssize_t sent = send(c->fd, c->out + c->out_at, left, MSG_NOSIGNAL);
        return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    /* A record that met a full socket lies in the session: it is pushed on, not given again. */
    ssize_t sent =
        c->record_pending ? gnutls_record_send(c->tls, NULL, 0) : gnutls_record_send(c->tls, c->out + c->out_at, left);
    c->record_pending = sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED;
    return c->record_pending ? 0 : sent > 0 ? sent : -1;
}

bool conn_flush(struct conn *c) {
    if (c->fd < 0)
        return false;
    if (c->connecting || c->handshaking) {
        if (c->handshaking && c->wants_write)
            watch(c, EPOLL_CTL_MOD, EPOLLIN);
        return true;
    }
    while (c->out_at < c->out_len) {
        ssize_t sent = push(c);
        if (sent < 0)
            return false;
        if (sent == 0) {
            if (!c->wants_write)
                watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return true;
        }
        c->out_at += (size_t)sent;
    }
    free(c->out);
    c->out = NULL;
    c->out_len = c->out_cap = c->out_at = 0;
    if (c->wants_write)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

/* ---- input ------------------------------------------------------------------------------------------------------------ */

static void say_distrust(struct conn *c, char *why, size_t size) {
    gnutls_datum_t text = { NULL, 0 };
    gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(c->tls),
                                                 gnutls_certificate_type_get(c->tls), &text, 0);
    snprintf(why, size, "TLS: %s", text.data ? (const char *)text.data : "the certificate is not trusted");
    gnutls_free(text.data);
}

static enum conn_event shake_hands(struct conn *c, char *why, size_t size) {
    int rc = gnutls_handshake(c->tls);
    if (rc == 0) {
        c->handshaking = false;
        return CONN_TLS_UP;
    }
    if (!gnutls_error_is_fatal(rc))
        return CONN_NOTHING;
    if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
        say_distrust(c, why, size);
    else
        snprintf(why, size, "TLS: %s", gnutls_strerror(rc));
    return CONN_DOWN;
}

static enum conn_event connected(struct conn *c, char *why, size_t size) {
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        snprintf(why, size, "connect: %s", strerror(error));
        return CONN_DOWN;
    }
    c->connecting = false;
    return CONN_UP;
}

enum conn_event conn_happened(struct conn *c, size_t *got, char *why, size_t size) {
    static char data[65536];
    if (c->connecting)
        return connected(c, why, size);
    if (c->handshaking)
        return shake_hands(c, why, size);
    *got = 0;
    for (;;) {
        ssize_t n = c->tls ? gnutls_record_recv(c->tls, data, sizeof data) : recv(c->fd, data, sizeof data, 0);
        if (n <= 0) {
            bool later =
                c->tls ? n < 0 && !gnutls_error_is_fatal((int)n) : n < 0 && (errno == EAGAIN || errno == EINTR);
            if (later || *got)
                return *got ? CONN_DATA : CONN_NOTHING; /* an end comes again with the next event */
            snprintf(why, size, "connection closed%s%s", n < 0 ? ": " : "",
                     n == 0   ? ""
                     : c->tls ? gnutls_strerror((int)n)
                              : strerror(errno));
            return CONN_DOWN;
        }
        buffer_add(&c->in, data, (size_t)n);
        *got += (size_t)n;
        if (!c->tls && (size_t)n < sizeof data)
            return CONN_DATA;
    }
}
