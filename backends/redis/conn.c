/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: its socket, what is to be written, the answers that come. */
#include "redis.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WRITE_SIZE = 64 * 1024, TLS_WRITE = 16 * 1024, OUT_KEEP = 1 << 20 };

void conn_init(struct conn *c, struct db *db, struct node *node, enum conn_kind kind) {
    *c = (struct conn){ .db = db, .node = node, .kind = kind, .fd = -1 };
    reqs_init(&c->inflight);
}

static void watch(struct conn *c, uint32_t events) {
    struct epoll_event e = { .events = events, .data.ptr = c };
    if (events != c->events)
        epoll_ctl(c->db->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e);
    c->events = events;
}

/* ---- the end of one ------------------------------------------------------------------------------------------------ */

static void release(struct conn *c) {
    if (c->tls)
        gnutls_deinit(c->tls);
    free(c->tls_name);
    if (c->reader)
        redisReaderFree(c->reader);
    if (c->fd >= 0)
        close(c->fd);
    bytes_free(&c->out);
    struct req_list inflight = c->inflight;
    conn_init(c, c->db, c->node, c->kind);
    if (inflight.head)
        c->inflight = inflight;
}

void conn_close(struct conn *c, const char *why) {
    struct db *db = c->db;
    char text[256];
    snprintf(text, sizeof text, "%s", why);
    if (c->state == CONN_READY && c->kind == CONN_DATA)
        db_count(db, M_CONNECTIONS, -1);
    release(c);
    struct req_list lost = c->inflight;
    reqs_init(&c->inflight);
    if (c->kind == CONN_DATA)
        node_down(c->node, text);
    else
        sentinel_down(c, text);
    for (struct req *r = lost.head, *next; r; r = next) {
        next = r->next;
        req_done(db, r, NULL, text);
    }
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* Splits "host:port" or "[address]:port". */
static void split_addr(const char *addr, char host[256], char port[16]) {
    const char *colon = strrchr(addr, ':');
    const char *end = colon ? colon : addr + strlen(addr);
    if (*addr == '[' && end > addr && end[-1] == ']') {
        addr++;
        end--;
    }
    snprintf(host, 256, "%.*s", (int)(end - addr), addr);
    snprintf(port, 16, "%s", colon ? colon + 1 : "6379");
}

static int open_unix(const char *path) {
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static int open_one(const struct addrinfo *a) {
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

/* The Nth of the addresses of a name. */
static int open_tcp(const char *addr, unsigned n, const char **why) {
    char host[256], port[16];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
    split_addr(addr, host, port);
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    unsigned count = 0;
    for (struct addrinfo *a = list; a; a = a->ai_next)
        count++;
    struct addrinfo *a = list;
    for (n %= count; n; n--)
        a = a->ai_next;
    int fd = open_one(a);
    if (fd < 0)
        *why = strerror(errno);
    freeaddrinfo(list);
    return fd;
}

void conn_open(struct conn *c) {
    const char *addr = c->node->addr, *why = NULL;
    c->progress = now_ms();
    c->fd = *addr == '/' ? open_unix(addr) : open_tcp(addr, c->node->address, &why);
    if (c->fd < 0) {
        conn_close(c, why ? why : strerror(errno));
        return;
    }
    c->reader = must_alloc(redisReaderCreate());
    c->state = CONN_CONNECTING;
    watch(c, EPOLLIN | EPOLLOUT);
}

/* ---- TLS ------------------------------------------------------------------------------------------------------------ */

int tls_setup(struct db *db, struct mk_err *err) {
    const struct redis *me = db->me;
    int rc;
    if (!me->tls)
        return MK_OK;
    if (!me->certificate != !me->key)
        return mk_fail(err, MK_E_INVALID, "Options certificate and key go together.");
    if ((rc = gnutls_certificate_allocate_credentials(&db->credentials)) < 0 ||
        (rc = gnutls_priority_init(&db->priority, "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1", NULL)) < 0)
        return mk_fail(err, MK_E_BACKEND, "TLS can't be set up: %s", gnutls_strerror(rc));
    rc = me->ca ? gnutls_certificate_set_x509_trust_file(db->credentials, me->ca, GNUTLS_X509_FMT_PEM)
                : gnutls_certificate_set_x509_system_trust(db->credentials);
    if (rc < 0 || (rc == 0 && me->tls_verify))
        return mk_fail(err, MK_E_INVALID, "There is no certificate of an authority in %s%s%s.",
                       me->ca ? me->ca : "the system's store", rc ? ": " : "", rc ? gnutls_strerror(rc) : "");
    if (me->certificate) {
        rc = gnutls_certificate_set_x509_key_file(db->credentials, me->certificate, me->key, GNUTLS_X509_FMT_PEM);
        if (rc < 0)
            return mk_fail(err, MK_E_INVALID, "Certificate %s and key %s can't be used: %s", me->certificate, me->key,
                           gnutls_strerror(rc));
    }
    return MK_OK;
}

void tls_clear(struct db *db) {
    if (db->credentials)
        gnutls_certificate_free_credentials(db->credentials);
    if (db->priority)
        gnutls_priority_deinit(db->priority);
}

static void tls_begin(struct conn *c) {
    const struct redis *me = c->db->me;
    char host[256], port[16];
    unsigned char binary[16];
    split_addr(c->node->addr, host, port);
    const char *name = c->tls_name = must_alloc(strdup(me->tls_name ? me->tls_name : host));
    gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_priority_set(c->tls, c->db->priority);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->db->credentials);
    bool number = inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1;
    if (!number)
        gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, name, strlen(name));
    if (me->tls_verify)
        gnutls_session_set_verify_cert(c->tls, name, 0);
    gnutls_transport_set_int(c->tls, c->fd);
    c->state = CONN_TLS;
}

static void tls_failed(struct conn *c, int rc) {
    char text[256];
    gnutls_datum_t why = { 0 };
    if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(c->tls), GNUTLS_CRT_X509,
                                                     &why, 0) == 0) {
        snprintf(text, sizeof text, "TLS: %s", why.data);
        gnutls_free(why.data);
    } else {
        snprintf(text, sizeof text, "TLS: %s", gnutls_strerror(rc));
    }
    conn_close(c, text);
}

static void begin_login(struct conn *c) {
    c->state = CONN_LOGIN;
    watch(c, EPOLLIN);
    conn_login(c);
}

static void shake_hands(struct conn *c) {
    int rc;
    do
        rc = gnutls_handshake(c->tls);
    while (rc == GNUTLS_E_INTERRUPTED || (rc < 0 && rc != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(rc)));
    if (rc == GNUTLS_E_AGAIN)
        watch(c, EPOLLIN | (gnutls_record_get_direction(c->tls) ? EPOLLOUT : 0));
    else if (rc < 0)
        tls_failed(c, rc);
    else
        begin_login(c);
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

/* Bytes taken, 0 for not now, -1 for a lost connection with *WHY. */
static ssize_t put_some(struct conn *c, const char **why) {
    const char *at = c->out.s + c->out_sent;
    size_t len = c->out.len - c->out_sent;
    ssize_t n;
    if (c->tls) {
        size_t part = len < TLS_WRITE ? len : TLS_WRITE;
        do
            n = c->tls_again ? gnutls_record_send(c->tls, NULL, 0) : gnutls_record_send(c->tls, at, part);
        while (n == GNUTLS_E_INTERRUPTED);
        c->tls_again = n == GNUTLS_E_AGAIN;
        if (n < 0 && n != GNUTLS_E_AGAIN)
            *why = gnutls_strerror((int)n);
        return n == GNUTLS_E_AGAIN ? 0 : n < 0 ? -1 : n;
    }
    n = send(c->fd, at, len < WRITE_SIZE ? len : WRITE_SIZE, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        *why = strerror(errno);
    return n;
}

void conn_flush(struct conn *c) {
    const char *why = NULL;
    if (c->state != CONN_LOGIN && c->state != CONN_READY)
        return;
    while (c->out_sent < c->out.len) {
        ssize_t n = put_some(c, &why);
        if (n < 0) {
            conn_close(c, why);
            return;
        }
        if (n == 0)
            break;
        c->out_sent += (size_t)n;
        c->progress = now_ms();
    }
    bool all = c->out_sent == c->out.len;
    if (all && c->out.cap > OUT_KEEP)
        bytes_free(&c->out);
    if (all)
        c->out.len = c->out_sent = 0;
    watch(c, EPOLLIN | (all ? 0 : EPOLLOUT));
}

/* The head goes into the room before the arguments. */
static void put_command(struct conn *c, struct req *r) {
    char head[24];
    int len = snprintf(head, sizeof head, "*%u\r\n", r->argc);
    enum { ROOM = 16 };
    bytes_add(&c->out, head, (size_t)len);
    bytes_add(&c->out, r->text.s + ROOM, r->text.len - ROOM);
}

/* What is sent in one round of the loop goes out together: see the loop. */
void conn_send(struct conn *c, struct req *r) {
    struct db *db = c->db;
    if (!c->inflight.head)
        c->progress = now_ms();
    if (r->asking)
        bytes_puts(&c->out, "*1\r\n$6\r\nASKING\r\n");
    put_command(c, r);
    r->confirming = r->write && db->me->wait_replicas && c->kind == CONN_DATA && c->state == CONN_READY;
    if (r->confirming) {
        char n[24], ms[24];
        int n_len = snprintf(n, sizeof n, "%lld", (long long)db->me->wait_replicas);
        int ms_len = snprintf(ms, sizeof ms, "%lld", (long long)(db->me->timeout / 2 + 1));
        bytes_printf(&c->out, "*3\r\n$4\r\nWAIT\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", n_len, n, ms_len, ms);
    }
    reqs_push(&c->inflight, r);
    db_count(db, M_COMMANDS, 1);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static bool begins(const redisReply *reply, const char *word) {
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, word, strlen(word)) == 0;
}

static void answer(struct conn *c, struct req *r, redisReply *reply) {
    struct db *db = c->db;
    if (begins(reply, "NOSCRIPT") && r->tries++ < 3) { /* it gets them again, and then the command */
        freeReplyObject(reply);
        conn_scripts(c);
        conn_send(c, r);
    } else if (db->me->mode == MODE_CLUSTER && reply->type == REDIS_REPLY_ERROR && cluster_moved(db, r, reply->str)) {
        freeReplyObject(reply);
    } else if (c->state == CONN_READY && (begins(reply, "READONLY") || begins(reply, "LOADING") ||
                                          begins(reply, "MASTERDOWN") || begins(reply, "UNBLOCKED"))) {
        char why[200];
        snprintf(why, sizeof why, "%s", reply->str);
        req_done(db, r, reply, why);
        conn_close(c, why);
    } else {
        req_done(db, r, reply, reply->type == REDIS_REPLY_ERROR ? reply->str : NULL);
    }
}

/* First the answer to an ASKING, then the command's, then how many replicas have it. */
static void take_reply(struct conn *c, redisReply *reply) {
    struct req *r = c->inflight.head;
    if (!r) {
        freeReplyObject(reply);
        conn_close(c, "it said something that it was not asked");
        return;
    }
    if (r->asking) {
        r->asking = false;
        freeReplyObject(reply);
        return;
    }
    if (r->confirming && !r->held) {
        r->held = reply;
        return;
    }
    reqs_take(&c->inflight);
    if (!r->confirming) {
        answer(c, r, reply);
        return;
    }
    redisReply *held = r->held;
    bool enough = reply->type == REDIS_REPLY_INTEGER && reply->integer >= c->db->me->wait_replicas;
    freeReplyObject(reply);
    r->held = NULL;
    r->confirming = false;
    if (enough || held->type == REDIS_REPLY_ERROR) {
        answer(c, r, held);
    } else {
        freeReplyObject(held);
        req_done(c->db, r, NULL, "not enough replicas have confirmed it");
    }
}

static ssize_t get_some(struct conn *c, char *buffer, const char **why) {
    ssize_t n;
    if (c->tls) {
        do
            n = gnutls_record_recv(c->tls, buffer, READ_SIZE);
        while (n == GNUTLS_E_INTERRUPTED || (n < 0 && n != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)n)));
        if (n < 0 && n != GNUTLS_E_AGAIN)
            *why = gnutls_strerror((int)n);
        if (n == GNUTLS_E_AGAIN)
            return -1;
    } else {
        n = recv(c->fd, buffer, READ_SIZE, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return -1;
        if (n < 0)
            *why = strerror(errno);
    }
    if (n == 0)
        *why = "it closed the connection";
    return n > 0 ? n : -1;
}

/* True if there may be more. */
static bool read_some(struct conn *c) {
    char *buffer = c->db->buffer;
    const char *why = NULL;
    ssize_t n = get_some(c, buffer, &why);
    if (why)
        conn_close(c, why);
    if (n <= 0)
        return false;
    c->progress = now_ms();
    redisReaderFeed(c->reader, buffer, (size_t)n);
    const redisReader *reader = c->reader;
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            conn_close(c, "its answer is no RESP");
            return false;
        }
        if (!reply)
            return true;
        take_reply(c, reply);
        if (c->reader != reader) /* closed meanwhile */
            return false;
    }
}

void conn_event(struct conn *c, uint32_t events) {
    int code = 0;
    socklen_t len = sizeof code;
    if (c->state == CONN_CONNECTING) {
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0 || code != 0) {
            conn_close(c, strerror(code ? code : errno));
            return;
        }
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        c->progress = now_ms();
        if (c->db->me->tls)
            tls_begin(c);
        else
            begin_login(c);
    }
    if (c->state == CONN_TLS)
        shake_hands(c);
    if ((c->state == CONN_LOGIN || c->state == CONN_READY) && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        while (read_some(c) && (c->state == CONN_LOGIN || c->state == CONN_READY))
            ;
    conn_flush(c);
}
