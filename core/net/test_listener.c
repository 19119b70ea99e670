/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners on two workers: what they accept, with and without a PROXY header, and what they refuse. */
#include "net/listener.h"
#include "test_tls.h"
#include <sys/resource.h>

struct server {
    struct conn conn;
    struct server *next;
};
static struct server *servers[2]; /* of each worker */

static void after_close(struct conn *c) {
    struct server *s = container_of(c, struct server, conn);
    for (struct server **at = &servers[this_worker->index]; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    free(s);
}

static void end(struct conn *c, int error) {
    (void)error;
    conn_free_now(c);
    after_close(c);
    note("closed");
}

static size_t echo(struct conn *c, const char *data, size_t len) {
    conn_write(c, data, len);
    return len;
}
static const struct conn_class echo_class = { echo, NULL, end, NULL };

static void secured(struct conn *c) {
    conn_write(c, "secure", 6);
}
static const struct conn_class tls_class = { echo, secured, end, NULL };

static void take(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                 socklen_t len) {
    struct server *s = xcalloc(1, sizeof *s);
    int nodelay = 0, keepalive = 0;
    socklen_t size = sizeof nodelay;
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size);
    getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size);
    if (!nodelay || !keepalive || len == 0)
        note("options missing");
    conn_init(&s->conn, config->tls == LISTEN_DIRECT_TLS ? &tls_class : &echo_class, w, fd, peer);
    s->next = servers[w->index];
    servers[w->index] = s;
    if (config->tls == LISTEN_DIRECT_TLS)
        conn_start_tls(&s->conn, "xmpp-client");
    note("peer %s", s->conn.address);
    note("%s on worker %u", config->kind, w->index);
}

static void free_servers(struct worker *w, void *arg) {
    (void)arg;
    while (servers[w->index]) {
        struct server *s = servers[w->index];
        conn_free_now(&s->conn);
        after_close(&s->conn);
    }
}

static struct listener *listen_with(struct listener_config config) {
    char why[256];
    config.kind = "c2s";
    config.backlog = 128;
    if (!config.address)
        config.address = "127.0.0.1";
    clear_notes();
    struct listener *l = listener_open(&config, take, why, sizeof why);
    if (l)
        listener_start(l);
    else
        printf("# %s\n", why);
    return l;
}

static void finish(struct listener *l) {
    listener_close(l);
    workers_each(free_servers, NULL);
}

static void peer_note(int fd, char *text, size_t size) {
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char address[ADDRESS_MAX];
    getsockname(fd, (struct sockaddr *)&a, &len);
    address_format((struct sockaddr *)&a, address);
    snprintf(text, size, "peer %s", address);
}

static void accepts_on_all_workers(void) {
    enum { COUNT = 64 };
    int64_t total = metric_sum(METRIC_connections_total_row);
    struct listener *l = listen_with((struct listener_config){ 0 });
    CHECK(l && listener_port(l) > 0);
    int fd[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        char text[ADDRESS_MAX + 8];
        fd[i] = connect_to("127.0.0.1", listener_port(l));
        CHECK(fd[i] >= 0 && send_text(fd[i], "hello"));
        peer_note(fd[i], text, sizeof text);
        CHECK(await_note(text));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(recv_text(fd[i], "hello"));
        close(fd[i]);
    }
    CHECK(noted("c2s on worker 0"));
    CHECK(noted("c2s on worker 1"));
    CHECK(!noted("options missing"));
    CHECK_INT(metric_sum(METRIC_connections_total_row) - total, COUNT);
    finish(l);
}

static void both_families(void) {
    struct listener *l = listen_with((struct listener_config){ .address = "::" });
    char text[ADDRESS_MAX + 8];
    CHECK(l);
    int fd = connect_to("127.0.0.1", listener_port(l));
    CHECK(fd >= 0 && send_text(fd, "four") && recv_text(fd, "four"));
    peer_note(fd, text, sizeof text);
    CHECK(await_note(text)); /* without the mapping */
    close(fd);
    struct sockaddr_in6 a = { .sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)listener_port(l)),
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
        CHECK(send_text(fd, "six") && recv_text(fd, "six"));
        peer_note(fd, text, sizeof text);
        CHECK(await_note(text));
    } else {
        CHECK(fd < 0 || errno == EADDRNOTAVAIL || errno == ENETUNREACH || errno == ECONNREFUSED);
    }
    if (fd >= 0)
        close(fd);
    finish(l);
}

static void says_why_not(void) {
    struct listener *l = listen_with((struct listener_config){ 0 });
    char why[256], want[256];
    struct listener_config config = { .kind = "c2s", .address = "127.0.0.1", .port = listener_port(l) };
    CHECK(listener_open(&config, take, why, sizeof why) == NULL);
    snprintf(want, sizeof want, "can't listen on 127.0.0.1 port %d: Address already in use", listener_port(l));
    CHECK_TEXT(why, want);
    config.address = "localhost";
    CHECK(listener_open(&config, take, why, sizeof why) == NULL);
    CHECK_TEXT(why, "can't listen on \"localhost\": it is not an IP address");
    config.address = "203.0.113.7";
    CHECK(listener_open(&config, take, why, sizeof why) == NULL);
    CHECK(strstr(why, "can't listen on 203.0.113.7 port "));
    int port = listener_port(l);
    finish(l);
    CHECK_INT(connect_to("127.0.0.1", port), -1);
}

static void limits_connections(void) {
    struct listener *l = listen_with((struct listener_config){ .max_connections = 2 });
    int64_t refused = metric_sum(METRIC_connections_refused_row);
    int a = connect_to("127.0.0.1", listener_port(l)), b = connect_to("127.0.0.1", listener_port(l));
    CHECK(send_text(a, "a") && recv_text(a, "a") && send_text(b, "b") && recv_text(b, "b"));
    int c = connect_to("127.0.0.1", listener_port(l));
    CHECK(recv_end(c));
    CHECK(await_metric(METRIC_connections_refused_row, refused));
    close(c);
    close(a);
    CHECK(await_note("closed"));
    c = connect_to("127.0.0.1", listener_port(l));
    CHECK(send_text(c, "c") && recv_text(c, "c"));
    close(b);
    close(c);
    finish(l);
}

/* Every descriptor is taken: connections are closed or wait, none is lost for ever, and the server goes on. */
static void no_descriptors(void) {
    enum { COUNT = 16 };
    struct listener *l = listen_with((struct listener_config){ 0 });
    int64_t refused = metric_sum(METRIC_connections_refused_row);
    struct rlimit old, low;
    int fd[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int lowest = dup(0);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &low);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)listener_port(l)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    unsigned connected = 0, served = 0, ended = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        set_patience(fd[i]);
        connected += connect(fd[i], (struct sockaddr *)&a, sizeof a) == 0;
    }
    bool one_refused = await_metric(METRIC_connections_refused_row, refused);
    setrlimit(RLIMIT_NOFILE, &old);
    for (unsigned i = 0; i < COUNT; i++) {
        char c;
        send_text(fd[i], "x");
        ssize_t n = recv(fd[i], &c, 1, 0);
        served += n == 1;
        ended += n == 0 || (n < 0 && errno == ECONNRESET);
        close(fd[i]);
    }
    CHECK(one_refused);
    CHECK_INT(connected, COUNT);
    CHECK_INT(served + ended, COUNT);
    CHECK(ended > 0 && served > 0);
    finish(l);
}

/* ---- PROXY protocol ---- */

static int send_parts(const struct listener *l, const char *const *parts) {
    int fd = connect_to("127.0.0.1", listener_port(l));
    for (; *parts; parts++)
        if (!send_text(fd, *parts))
            return -1;
    return fd;
}

static void proxied(void) {
    struct listener *l = listen_with((struct listener_config){ .proxy = true });
    int fd = send_parts(l, (const char *[]){ "PROXY TCP4 203.0.113.7 192.0.2.1 50123 5222\r\nhello", NULL });
    CHECK(recv_text(fd, "hello"));
    CHECK(await_note("peer 203.0.113.7:50123"));
    close(fd);
    fd = send_parts(
        l, (const char *[]){ "P", "ROX", "Y TCP6 2001:db8::1 2001:db8::2 ", "5222 80\r", "\n", "he", "llo", NULL });
    CHECK(recv_text(fd, "hello"));
    CHECK(await_note("peer [2001:db8::1]:5222"));
    close(fd);
    fd = connect_to("127.0.0.1", listener_port(l));
    CHECK(send_all(fd, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\x00\x71\x08\xc0\x00\x02\x01\xc3\xcb\x14\x66", 28));
    CHECK(await_note("peer 203.0.113.8:50123"));
    CHECK(send_text(fd, "hello") && recv_text(fd, "hello"));
    close(fd);
    char text[ADDRESS_MAX + 8];
    fd = send_parts(l, (const char *[]){ "PROXY UNKNOWN\r\nhello", NULL });
    CHECK(recv_text(fd, "hello"));
    peer_note(fd, text, sizeof text);
    CHECK(await_note(text));
    close(fd);
    finish(l);
}

static void not_proxied(void) {
    struct listener *l = listen_with((struct listener_config){ .proxy = true });
    int silent = connect_to("127.0.0.1", listener_port(l));
    int slow = send_parts(l, (const char *[]){ "PROXY TCP4 203.0", NULL });
    int fd = send_parts(l, (const char *[]){ "<?xml version='1.0'?>", NULL });
    char c;
    CHECK(recv(fd, &c, 1, 0) <= 0);
    close(fd);
    fd = connect_to("127.0.0.1", listener_port(l));
    shutdown(fd, SHUT_WR);
    CHECK(recv_end(fd));
    close(fd);
    /* Five seconds later. */
    CHECK(recv_end(silent));
    CHECK(recv(slow, &c, 1, 0) <= 0);
    CHECK(!noted("c2s on worker 0"));
    CHECK(!noted("c2s on worker 1"));
    close(silent);
    close(slow);
    finish(l);
}

static void closed_while_waiting(void) {
    struct listener *l = listen_with((struct listener_config){ .proxy = true, .max_connections = 1 });
    int64_t total = metric_sum(METRIC_connections_total_row), refused = metric_sum(METRIC_connections_refused_row);
    int fd = send_parts(l, (const char *[]){ "PROXY ", NULL });
    CHECK(await_metric(METRIC_connections_total_row, total));
    int more = connect_to("127.0.0.1", listener_port(l));
    CHECK(recv_end(more));
    CHECK(await_metric(METRIC_connections_refused_row, refused));
    close(more);
    finish(l);
    char c;
    CHECK(recv(fd, &c, 1, 0) <= 0);
    close(fd);
}

/* The handshake's first bytes come right behind the header. */
struct headed {
    int fd;
    bool sent;
};
static ssize_t push_headed(gnutls_transport_ptr_t arg, const void *data, size_t len) {
    struct headed *h = arg;
    static const char header[] = "PROXY TCP4 203.0.113.7 192.0.2.1 50123 5223\r\n";
    size_t head = h->sent ? 0 : strlen(header);
    char *both = xmalloc(head + len);
    memcpy(both, header, head);
    memcpy(both + head, data, len);
    h->sent = true;
    bool sent = send_all(h->fd, both, head + len);
    free(both);
    return sent ? (ssize_t)len : -1;
}
static ssize_t pull_headed(gnutls_transport_ptr_t arg, void *data, size_t len) {
    return recv(((struct headed *)arg)->fd, data, len, 0);
}

static void proxied_tls(void) {
    struct listener *l = listen_with((struct listener_config){ .proxy = true, .tls = LISTEN_DIRECT_TLS });
    struct headed h = { connect_to("127.0.0.1", listener_port(l)), false };
    struct client c = { .fd = h.fd };
    need(gnutls_certificate_allocate_credentials(&c.credentials));
    need(gnutls_init(&c.session, GNUTLS_CLIENT));
    need(gnutls_set_default_priority(c.session));
    need(gnutls_credentials_set(c.session, GNUTLS_CRD_CERTIFICATE, c.credentials));
    gnutls_transport_set_ptr(c.session, &h);
    gnutls_transport_set_push_function(c.session, push_headed);
    gnutls_transport_set_pull_function(c.session, pull_headed);
    CHECK_INT(gnutls_handshake(c.session), 0);
    CHECK(client_recv_text(&c, "secure"));
    CHECK(client_send_text(&c, "hello") && client_recv_text(&c, "hello"));
    CHECK(await_note("peer 203.0.113.7:50123"));
    client_end(&c);
    finish(l);
}

int main(void) {
    char why[256];
    make_cert_dir();
    make_cert("a.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA256, -1000, 100000);
    shown[0] = (struct shown){ "a.example", load_cert("a.example") };
    if (tls_setup(NULL, find_shown, why, sizeof why) != 0)
        abort();
    start_workers(2);
    int rc = CHECK_RUN(T(accepts_on_all_workers), T(both_families), T(says_why_not), T(limits_connections),
                       T(no_descriptors), T(proxied), T(not_proxied), T(closed_while_waiting), T(proxied_tls));
    stop_workers();
    tls_cert_release(shown[0].cert);
    tls_teardown();
    remove_cert_dir();
    return rc;
}
