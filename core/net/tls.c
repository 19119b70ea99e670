/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS.  GnuTLS reads from a block of ciphertext that one system call filled, and writes records straight to the
 * socket.  Of a record that the socket did not take GnuTLS keeps the rest; ours stays queued until it is out.
 */
#include "net/net.h"
#include "run/metric.h"
#include "util/log.h"
#include "util/mem.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READS = 4, WARNINGS = 16, HELLO_MAX = 32 * 1024, SNI_MAX = 256, EXTENSION_ALPN = 16 /* RFC 7301 */ };

/* AEAD with forward secrecy only.  AES-GCM before ChaCha20, which is far slower in GnuTLS; no finite-field groups,
 * with which a client makes us compute for nothing. */
static const char default_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:"
                                         "+AES-128-GCM:+CHACHA20-POLY1305:-RSA:-DHE-RSA:-GROUP-DH-ALL:"
                                         "%SERVER_PRECEDENCE";
static const char never[] = ":-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1:-VERS-DTLS-ALL";

static gnutls_priority_t priorities;
static gnutls_certificate_credentials_t credentials;
static gnutls_datum_t ticket_key;
static tls_find_fn *find_cert;

/* As hosts are configured: lower case, A-labels turned into U-labels.  NULL if the client named none. */
static const char *read_sni(gnutls_session_t session) {
    static __thread char name[SNI_MAX];
    size_t len = sizeof name - 1;
    unsigned type;
    if (gnutls_server_name_get(session, name, &len, &type, 0) != 0 || type != GNUTLS_NAME_DNS)
        return NULL;
    name[len] = '\0';
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    gnutls_datum_t text;
    if (strstr(name, "xn--") && gnutls_idna_reverse_map(name, (unsigned)strlen(name), &text, 0) == 0) {
        snprintf(name, sizeof name, "%s", (char *)text.data);
        gnutls_free(text.data);
    }
    return *name ? name : NULL;
}

/* By the name that the client asked for. */
static void choose_cert(struct conn *c, gnutls_session_t session) {
    const char *name = read_sni(session);
    struct tls_cert *cert = name ? find_cert(name, strlen(name)) : NULL;
    if (!cert)
        cert = find_cert(NULL, 0);
    if (cert)
        tls_cert_hold(cert);
    tls_cert_release(c->tls->cert);
    c->tls->cert = cert;
}

static int retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs,
                    unsigned *count, gnutls_ocsp_data_st **ocsp, unsigned *ocsp_count, gnutls_privkey_t *key,
                    unsigned *flags) {
    (void)info;
    struct conn *c = gnutls_session_get_ptr(session);
    if (c->tls->role != TLS_CONNECT)
        choose_cert(c, session);
    struct tls_cert *cert = c->tls->cert;
    *certs = cert ? cert->chain : NULL;
    *count = cert ? cert->chain_len : 0;
    *key = cert ? cert->key : NULL;
    *ocsp = NULL;
    *ocsp_count = 0;
    *flags = 0;
    return 0;
}

int tls_setup(const char *text, tls_find_fn *find, char *why, size_t why_size) {
    if (!text || !*text)
        text = default_priorities;
    char *all = xmalloc(strlen(text) + sizeof never);
    strcpy(stpcpy(all, text), never);
    const char *bad = NULL;
    int rc = gnutls_priority_init(&priorities, all, &bad);
    if (rc != 0) {
        size_t at = bad ? (size_t)(bad - all) : 0;
        snprintf(why, why_size, "TLS priorities \"%s\": %s%s%s", text, gnutls_strerror(rc),
                 at && at < strlen(text) ? ", at " : "", at && at < strlen(text) ? text + at : "");
        priorities = NULL;
    }
    free(all);
    if (rc == 0)
        rc = gnutls_session_ticket_key_generate(&ticket_key);
    if (rc == 0)
        rc = gnutls_certificate_allocate_credentials(&credentials);
    if (rc != 0) {
        if (priorities)
            snprintf(why, why_size, "TLS: %s", gnutls_strerror(rc));
        tls_teardown();
        return -1;
    }
    gnutls_certificate_set_retrieve_function3(credentials, retrieve);
    find_cert = find;
    return 0;
}

void tls_teardown(void) {
    if (priorities)
        gnutls_priority_deinit(priorities);
    priorities = NULL;
    if (credentials)
        gnutls_certificate_free_credentials(credentials);
    credentials = NULL;
    if (ticket_key.data)
        gnutls_memset(ticket_key.data, 0, ticket_key.size);
    gnutls_free(ticket_key.data);
    ticket_key = (gnutls_datum_t){ NULL, 0 };
}

/* For pull and push: -1 with ERROR as GnuTLS wants to hear it. */
static ssize_t refuse(struct conn *c, int error) {
    if (error != EAGAIN)
        c->tls->error = error;
    gnutls_transport_set_errno(c->tls->session, error);
    return -1;
}

/* At most READS system calls a round, so that one connection can't hold the worker. */
static ssize_t pull(gnutls_transport_ptr_t arg, void *to, size_t len) {
    struct conn *c = arg;
    struct tls *t = c->tls;
    if (!t->raw_len) {
        struct net_worker *nw = net_of(c);
        ssize_t n = -1;
        errno = EAGAIN;
        if (t->ended)
            return 0;
        if ((c->flags & CONN_SOCKET) && t->reads < READS) {
            t->reads++;
            n = conn_recv(c, nw->cipher, CIPHER_SIZE);
        }
        t->dry = n < 0;
        t->ended = n == 0;
        if (n <= 0)
            return n < 0 ? refuse(c, errno) : 0;
        t->raw = nw->cipher;
        t->raw_len = (uint32_t)n;
    }
    if (len > t->raw_len)
        len = t->raw_len;
    memcpy(to, t->raw, len);
    t->raw += len;
    t->raw_len -= (uint32_t)len;
    return (ssize_t)len;
}

static ssize_t push(gnutls_transport_ptr_t arg, const giovec_t *iov, int count) {
    struct conn *c = arg;
    if (c->flags & CONN_BLOCKED)
        return refuse(c, EAGAIN);
    struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
    ssize_t n;
    do
        n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN)
        c->flags |= CONN_BLOCKED;
    return refuse(c, errno);
}

/* The worker's buffer is for others now: what GnuTLS has not asked for yet moves to a block of its own. */
static void park(struct tls *t) {
    if (!t->kept && !t->raw_len)
        return;
    char *old = t->kept;
    t->kept = t->raw_len ? xmemdup(t->raw, t->raw_len) : NULL;
    t->raw = t->kept;
    free(old);
}

static int set_alpn(const struct tls *t, gnutls_session_t s, unsigned flags) {
    const gnutls_datum_t alpn = { (unsigned char *)t->alpn, (unsigned)strlen(t->alpn) };
    return gnutls_alpn_set_protocols(s, &alpn, 1, flags);
}

static int note_alpn(void *found, unsigned id, const unsigned char *data, unsigned size) {
    (void)data, (void)size;
    *(bool *)found |= id == EXTENSION_ALPN;
    return 0;
}

/* Most clients list no protocols.  The session keeps 300 bytes for those that we would choose: only if it must. */
static int on_hello(gnutls_session_t s, unsigned type, unsigned when, unsigned incoming, const gnutls_datum_t *hello) {
    const struct conn *c = gnutls_session_get_ptr(s);
    bool listed = false;
    (void)type, (void)when;
    if (incoming)
        gnutls_ext_raw_parse(&listed, note_alpn, hello, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
    return listed ? set_alpn(c->tls, s, GNUTLS_ALPN_MANDATORY) : 0;
}

/* What differs by role.  Sessions of servers are not resumed: each shows its certificate anew. */
static bool set_role(const struct tls *t, gnutls_session_t s) {
    if (t->role == TLS_CONNECT)
        return (!t->alpn || set_alpn(t, s, 0) == 0) &&
               gnutls_server_name_set(s, GNUTLS_NAME_DNS, t->name, strlen(t->name)) == 0;
    if (t->alpn)
        gnutls_handshake_set_hook_function(s, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE, on_hello);
    gnutls_certificate_server_set_request(s, t->role == TLS_SERVE ? GNUTLS_CERT_IGNORE : GNUTLS_CERT_REQUEST);
    return t->role == TLS_SERVE_PEER || gnutls_session_ticket_enable_server(s, &ticket_key) == 0;
}

static bool open_session(struct conn *c) {
    gnutls_session_t s;
    unsigned end = c->tls->role == TLS_CONNECT ? GNUTLS_CLIENT | GNUTLS_NO_TICKETS : GNUTLS_SERVER;
    if (!credentials || gnutls_init(&s, end | GNUTLS_NONBLOCK) != 0)
        return false;
    c->tls->session = s;
    gnutls_session_set_ptr(s, c);
    gnutls_transport_set_ptr(s, c);
    gnutls_transport_set_pull_function(s, pull);
    gnutls_transport_set_vec_push_function(s, push);
    gnutls_handshake_set_max_packet_length(s, HELLO_MAX);
    return gnutls_priority_set(s, priorities) == 0 &&
           gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, credentials) == 0 && set_role(c->tls, s);
}

static void fail(struct conn *c, int rc) {
    struct tls *t = c->tls;
    int error = EPROTO;
    if (rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR)
        error = t->error ? t->error : EIO;
    else if (rc == GNUTLS_E_PREMATURE_TERMINATION)
        error = ECONNRESET;
    else if (rc != GNUTLS_E_FATAL_ALERT_RECEIVED && !(c->flags & CONN_DEAD))
        gnutls_alert_send_appropriate(t->session, rc);
    if ((c->flags & CONN_HANDSHAKE) && log_wants(6)) {
        const struct log_place place = { .peer = c->address };
        bool alert = rc == GNUTLS_E_FATAL_ALERT_RECEIVED, none = rc == GNUTLS_E_NO_CIPHER_SUITES && !t->cert;
        log_line(6, &place, "TLS handshake failed: %s%s%s",
                 none ? "there is no certificate to show" : gnutls_strerror(rc), alert ? " " : "",
                 alert ? gnutls_alert_get_name(gnutls_alert_get(t->session)) : "");
    }
    conn_fail(c, error);
    c->flags &= ~CONN_READABLE;
}

/* GnuTLS also says "again" when it took a message that brought no data, and when the socket took a part of a record.  A
 * client that wants to negotiate again is told no; one that insists is out. */
static bool goes_on(struct conn *c, int rc, int *warnings) {
    if (rc == GNUTLS_E_AGAIN)
        return !c->tls->dry && (!(c->flags & CONN_BLOCKED) || ++*warnings < WARNINGS);
    if (rc == GNUTLS_E_WARNING_ALERT_RECEIVED)
        return ++*warnings < WARNINGS;
    if (rc == GNUTLS_E_REHANDSHAKE && !c->tls->renegotiated) {
        c->tls->renegotiated = true;
        gnutls_alert_send(c->tls->session, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
        return true;
    }
    return rc == GNUTLS_E_INTERRUPTED;
}

enum tls_state tls_handshake(struct conn *c) {
    struct tls *t = c->tls;
    output_write(c);
    if (c->flags & CONN_DEAD)
        return TLS_FAILED;
    if (t->plain)
        return TLS_WAITS;
    if (!t->session && !open_session(c))
        return TLS_FAILED;
    t->reads = 0;
    int rc, warnings = 0;
    do {
        t->dry = false;
        rc = gnutls_handshake(t->session);
    } while (rc != 0 && !(c->flags & CONN_BLOCKED) && goes_on(c, rc, &warnings));
    park(t);
    if (rc == 0)
        return TLS_DONE;
    if (rc != GNUTLS_E_AGAIN) {
        fail(c, rc);
        return TLS_FAILED;
    }
    if (!(c->flags & CONN_SOCKET))
        c->flags &= ~CONN_READABLE;
    else if (!(c->flags & CONN_BLOCKED))
        conn_schedule(c);
    return TLS_WAITS;
}

size_t tls_read(struct conn *c, char *to, size_t len) {
    struct tls *t = c->tls;
    size_t got = 0;
    int warnings = 0;
    t->reads = 0;
    while (got < len) {
        t->dry = false;
        ssize_t n = gnutls_record_recv(t->session, to + got, len - got);
        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        if (n < 0 && goes_on(c, (int)n, &warnings))
            continue;
        if (n == 0)
            c->flags |= CONN_EOF;
        if (n == 0 || (!(c->flags & CONN_SOCKET) && !t->raw_len))
            c->flags &= ~CONN_READABLE;
        if (n < 0 && n != GNUTLS_E_AGAIN)
            fail(c, (int)n);
        break;
    }
    park(t);
    return got;
}

/* The first bytes of the queue, up to a record, in one piece. */
static const char *gather(struct conn *c, size_t most, size_t *len) {
    struct chunk *k = c->out;
    while (k->end == k->start)
        k = k->next;
    size_t part = k->end - k->start;
    if (part >= most || part == c->out_len) {
        *len = part < most ? part : most;
        return k->data + k->start;
    }
    char *to = net_of(c)->record;
    *len = 0;
    for (; k && *len < most; k = k->next) {
        part = k->end - k->start;
        if (part > most - *len)
            part = most - *len;
        memcpy(to + *len, k->data + k->start, part);
        *len += part;
    }
    return to;
}

void tls_write(struct conn *c) {
    struct tls *t = c->tls;
    size_t most = gnutls_record_get_max_size(t->session);
    if (most > RECORD_SIZE)
        most = RECORD_SIZE;
    while (c->out_len) {
        size_t len = 0;
        const char *data = t->unsent ? NULL : gather(c, most, &len);
        ssize_t n = gnutls_record_send(t->session, data, len);
        t->unsent = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
        if (n == GNUTLS_E_AGAIN && (c->flags & CONN_BLOCKED))
            return;
        if (n < 0 && !t->unsent) {
            conn_fail(c, t->error ? t->error : EPIPE);
            return;
        }
        if (n > 0)
            output_sent(c, (size_t)n);
    }
}

enum tls_state tls_bye(struct conn *c) {
    int rc;
    do
        rc = gnutls_bye(c->tls->session, GNUTLS_SHUT_WR);
    while (rc == GNUTLS_E_INTERRUPTED || (rc == GNUTLS_E_AGAIN && !(c->flags & CONN_BLOCKED)));
    return rc == 0 ? TLS_DONE : rc == GNUTLS_E_AGAIN ? TLS_WAITS : TLS_FAILED;
}

void tls_free(struct conn *c) {
    struct tls *t = c->tls;
    if (!t)
        return;
    if (t->session)
        gnutls_deinit(t->session);
    tls_cert_release(t->cert);
    free(t->name);
    free(t->kept);
    free(t);
    c->tls = NULL;
}

bool conn_is_secure(const struct conn *c) {
    return c && c->tls && !(c->flags & CONN_HANDSHAKE);
}

const char *conn_tls_name(const struct conn *c) {
    static __thread char name[64];
    if (!conn_is_secure(c))
        return NULL;
    snprintf(name, sizeof name, "%s %s", gnutls_protocol_get_name(gnutls_protocol_get_version(c->tls->session)),
             gnutls_cipher_get_name(gnutls_cipher_get(c->tls->session)));
    return name;
}

const char *conn_sni(const struct conn *c) {
    return conn_is_secure(c) ? read_sni(c->tls->session) : NULL;
}
