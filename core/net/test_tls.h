/* SPDX-License-Identifier: Apache-2.0 */
/* For tests with TLS: certificates made on the spot, and a client on a blocking socket. */
#ifndef NET_TEST_TLS_H
#define NET_TEST_TLS_H

#include "test_net.h"
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

static char cert_dir[] = "/tmp/meerkat-test-XXXXXX";

UNUSED static void need(int rc) {
    if (rc < 0) {
        fprintf(stderr, "gnutls: %s\n", gnutls_strerror(rc));
        abort();
    }
}

/* cert_dir/NAME + ENDING; lives until the next but one. */
UNUSED static const char *cert_file(const char *name, const char *ending) {
    static char paths[2][128];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s%s", cert_dir, name, ending);
    return path;
}

UNUSED static void write_file(const char *path, const void *data, size_t len) {
    FILE *f = fopen(path, "w");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
        abort();
}

/* A self-signed certificate for NAME in NAME.crt, its key in NAME.key; valid from FROM to UNTIL seconds from now. */
UNUSED static void make_cert(const char *name, gnutls_pk_algorithm_t pk, gnutls_digest_algorithm_t hash, long from,
                             long until) {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t pem;
    need(gnutls_x509_privkey_init(&key));
    unsigned bits = pk == GNUTLS_PK_RSA     ? 2048
                    : pk == GNUTLS_PK_ECDSA ? GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)
                                            : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519);
    need(gnutls_x509_privkey_generate(key, pk, bits, 0));
    need(gnutls_x509_crt_init(&crt));
    need(gnutls_x509_crt_set_version(crt, 3));
    need(gnutls_x509_crt_set_serial(crt, "\1", 1));
    need(gnutls_x509_crt_set_dn(crt, "CN=test", NULL));
    need(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), 0));
    need(gnutls_x509_crt_set_activation_time(crt, time(NULL) + from));
    need(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + until));
    need(gnutls_x509_crt_set_key(crt, key));
    need(gnutls_x509_crt_sign2(crt, crt, key, hash, 0));
    need(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
    write_file(cert_file(name, ".crt"), pem.data, pem.size);
    gnutls_free(pem.data);
    need(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem));
    write_file(cert_file(name, ".key"), pem.data, pem.size);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

UNUSED static struct tls_cert *load_cert(const char *name) {
    char why[256];
    struct tls_cert *cert = tls_cert_load(cert_file(name, ".crt"), cert_file(name, ".key"), why, sizeof why);
    if (!cert)
        fprintf(stderr, "%s\n", why);
    return cert;
}

/* What the servers of a test show: by name, the first one to everybody else. */
static struct shown {
    const char *name;
    struct tls_cert *cert;
} shown[4];

UNUSED static struct tls_cert *find_shown(const char *domain, size_t len) {
    if (!domain)
        return shown[0].cert;
    for (unsigned i = 0; i < 4; i++)
        if (shown[i].name && strlen(shown[i].name) == len && memcmp(shown[i].name, domain, len) == 0)
            return shown[i].cert;
    return NULL;
}

UNUSED static void make_cert_dir(void) {
    if (!mkdtemp(cert_dir))
        abort();
}

UNUSED static void remove_cert_dir(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", cert_dir);
    if (system(command) != 0)
        abort();
}

/* ---- The client ---- */

struct client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

struct client_options {
    const char *priorities, *sni, *alpn;
    const gnutls_datum_t *resume;
    bool bytewise;
};

static ssize_t push_bytewise(gnutls_transport_ptr_t p, const void *data, size_t len) {
    const char *at = data;
    for (size_t i = 0; i < len; i++)
        if (send((int)(intptr_t)p, at + i, 1, MSG_NOSIGNAL) != 1)
            return -1;
    return (ssize_t)len;
}

/* Handshakes over FD, which becomes the client's.  0, or GnuTLS's error. */
UNUSED static int client_start(struct client *c, int fd, const struct client_options *o) {
    const char *bad;
    c->fd = fd;
    need(gnutls_certificate_allocate_credentials(&c->credentials));
    need(gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL));
    need(gnutls_priority_set_direct(c->session, o->priorities ? o->priorities : "NORMAL", &bad));
    need(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials));
    if (o->sni)
        need(gnutls_server_name_set(c->session, GNUTLS_NAME_DNS, o->sni, strlen(o->sni)));
    gnutls_datum_t alpn = { (unsigned char *)o->alpn, o->alpn ? (unsigned)strlen(o->alpn) : 0 };
    if (o->alpn)
        need(gnutls_alpn_set_protocols(c->session, &alpn, 1, 0));
    if (o->resume)
        need(gnutls_session_set_data(c->session, o->resume->data, o->resume->size));
    gnutls_transport_set_int(c->session, fd);
    if (o->bytewise)
        gnutls_transport_set_push_function(c->session, push_bytewise);
    int rc;
    do
        rc = gnutls_handshake(c->session);
    while (rc < 0 && !gnutls_error_is_fatal(rc) && rc != GNUTLS_E_AGAIN);
    return rc;
}

UNUSED static void client_end(struct client *c) {
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

UNUSED static bool client_send(struct client *c, const char *data, size_t len) {
    while (len) {
        ssize_t n = gnutls_record_send(c->session, data, len);
        if (n < 0 && n != GNUTLS_E_INTERRUPTED)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

UNUSED static size_t client_recv(struct client *c, char *to, size_t len) {
    size_t got = 0;
    unsigned again = 0; /* said of a ticket, and when patience is at its end */
    while (got < len && again < 4) {
        ssize_t n = gnutls_record_recv(c->session, to + got, len - got);
        if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n)))
            break;
        got += n > 0 ? (size_t)n : 0;
        again += n == GNUTLS_E_AGAIN;
    }
    return got;
}

UNUSED static bool client_send_text(struct client *c, const char *text) {
    return client_send(c, text, strlen(text));
}

UNUSED static bool client_recv_text(struct client *c, const char *text) {
    char got[1024];
    size_t len = strlen(text), n = client_recv(c, got, len);
    return n == len && memcmp(got, text, len) == 0;
}

#endif
