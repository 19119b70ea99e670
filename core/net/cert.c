/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"
#include "util/log.h"
#include "util/mem.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FILE_MAX = 1024 * 1024 };

/* The whole file with a NUL behind it, malloc'd; NULL: WHY says. */
static unsigned char *read_pem(const char *path, const char *what, unsigned *len, char *why, size_t why_size) {
    FILE *f = fopen(path, "re");
    if (!f) {
        snprintf(why, why_size, "can't read the %s %s: %s", what, path, strerror(errno));
        return NULL;
    }
    unsigned char *data = xmalloc(FILE_MAX + 1);
    size_t n = fread(data, 1, FILE_MAX + 1, f);
    bool bad = ferror(f);
    if (bad || n > FILE_MAX) {
        snprintf(why, why_size, "can't read the %s %s: %s", what, path, bad ? strerror(errno) : "it is too large");
        gnutls_memset(data, 0, FILE_MAX);
        free(data);
        data = NULL;
    } else {
        data[n] = '\0';
        *len = (unsigned)n;
    }
    fclose(f);
    return data;
}

/* RFC 5929, section 4.1: the hash of the certificate's signature, SHA-256 for the weak ones. */
static void hash_end_point(struct tls_cert *cert, gnutls_x509_crt_t leaf) {
    gnutls_digest_algorithm_t hash =
        gnutls_sign_get_hash_algorithm((gnutls_sign_algorithm_t)gnutls_x509_crt_get_signature_algorithm(leaf));
    if (hash == GNUTLS_DIG_MD5 || hash == GNUTLS_DIG_SHA1)
        hash = GNUTLS_DIG_SHA256;
    unsigned len = gnutls_hash_get_len(hash);
    if (len == 0 || len > sizeof cert->end_point)
        return;
    const gnutls_datum_t *der = &cert->chain[0].cert;
    if (gnutls_hash_fast(hash, der->data, der->size, cert->end_point) == 0)
        cert->end_point_len = len;
}

static void check_dates(const gnutls_x509_crt_t leaf, const char *path) {
    time_t now = time(NULL), from = gnutls_x509_crt_get_activation_time(leaf),
           until = gnutls_x509_crt_get_expiration_time(leaf);
    char day[32];
    struct tm tm;
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(until < now ? &until : &from, &tm));
    if (until < now)
        log_warning("certificate %s expired on %s: clients will refuse it", path, day);
    else if (from > now)
        log_warning("certificate %s is valid from %s only: clients will refuse it until then", path, day);
}

static bool load_chain(struct tls_cert *cert, const char *path, char *why, size_t why_size) {
    unsigned len;
    unsigned char *pem = read_pem(path, "certificate", &len, why, why_size);
    if (!pem)
        return false;
    gnutls_datum_t data = { pem, len };
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    int rc = gnutls_x509_crt_list_import2(&list, &count, &data, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
    free(pem);
    if (rc >= 0 && count > 0) {
        cert->chain = xcalloc(count, sizeof *cert->chain);
        cert->chain_len = count;
        rc = gnutls_pcert_import_x509_list(cert->chain, list, &cert->chain_len, 0);
    } else if (rc >= 0) {
        rc = GNUTLS_E_NO_CERTIFICATE_FOUND;
    }
    if (rc >= 0) {
        cert->expires = gnutls_x509_crt_get_expiration_time(list[0]);
        hash_end_point(cert, list[0]);
        check_dates(list[0], path);
    } else {
        cert->chain_len = 0;
        snprintf(why, why_size, "certificate %s: %s", path,
                 rc == GNUTLS_E_NO_CERTIFICATE_FOUND ? "there is no PEM certificate in it" : gnutls_strerror(rc));
    }
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return rc >= 0;
}

static bool load_key(struct tls_cert *cert, const char *path, char *why, size_t why_size) {
    unsigned len;
    unsigned char *pem = read_pem(path, "private key", &len, why, why_size);
    if (!pem)
        return false;
    gnutls_datum_t data = { pem, len };
    int rc = gnutls_privkey_init(&cert->key);
    if (rc == 0)
        rc = gnutls_privkey_import_x509_raw(cert->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_memset(pem, 0, len);
    free(pem);
    if (rc == 0)
        return true;
    bool locked = rc == GNUTLS_E_DECRYPTION_FAILED;
    bool none = rc == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR || rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
    snprintf(why, why_size, "private key %s: %s", path,
             locked ? "it is encrypted; store it without a password"
             : none ? "there is no PEM private key in it"
                    : gnutls_strerror(rc));
    return false;
}

static bool keys_match(const struct tls_cert *cert) {
    gnutls_pubkey_t public;
    unsigned char a[64], b[64];
    size_t a_len = sizeof a, b_len = sizeof b;
    if (gnutls_pubkey_init(&public) != 0)
        return false;
    bool same = gnutls_pubkey_import_privkey(public, cert->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
                gnutls_pubkey_get_key_id(cert->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
                a_len == b_len && memcmp(a, b, a_len) == 0;
    gnutls_pubkey_deinit(public);
    return same;
}

struct tls_cert *tls_cert_load(const char *cert_file, const char *key_file, char *why, size_t why_size) {
    struct tls_cert *cert = xcalloc(1, sizeof *cert);
    atomic_init(&cert->users, 1);
    if (load_chain(cert, cert_file, why, why_size) && load_key(cert, key_file, why, why_size)) {
        if (keys_match(cert))
            return cert;
        snprintf(why, why_size, "private key %s does not belong to certificate %s", key_file, cert_file);
    }
    tls_cert_release(cert);
    return NULL;
}

void tls_cert_hold(struct tls_cert *cert) {
    atomic_fetch_add_explicit(&cert->users, 1, memory_order_relaxed);
}

void tls_cert_release(struct tls_cert *cert) {
    if (!cert || atomic_fetch_sub_explicit(&cert->users, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < cert->chain_len; i++)
        gnutls_pcert_deinit(&cert->chain[i]);
    free(cert->chain);
    if (cert->key)
        gnutls_privkey_deinit(cert->key);
    free(cert);
}

int64_t tls_cert_expires(const struct tls_cert *cert) {
    return cert->expires;
}
