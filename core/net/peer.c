/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of other servers: whether we trust them, and whom they name.  Authorities no longer sign for the use
 * of clients, so a server that connects may show a certificate that is for servers alone.
 */
#include "net/dns.h"
#include "net/net.h"
#include "util/mem.h"
#include <gnutls/crypto.h>
#include <gnutls/x509-ext.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHAIN_MAX = 16, NAMES_MAX = 256 };

#define OID_XMPP_ADDR "1.3.6.1.5.5.7.8.5"
#define OID_SRV "1.3.6.1.5.5.7.8.7"

/* Workers look at it during a handshake, which is no hot path; a reload changes it. */
static pthread_rwlock_t trust_lock = PTHREAD_RWLOCK_INITIALIZER;
static gnutls_x509_trust_list_t trust; /* NULL: nobody is trusted */

static void set_trust(gnutls_x509_trust_list_t list) {
    pthread_rwlock_wrlock(&trust_lock);
    gnutls_x509_trust_list_t before = trust;
    trust = list;
    pthread_rwlock_unlock(&trust_lock);
    if (before)
        gnutls_x509_trust_list_deinit(before, 1);
}

int tls_trust_setup(const char *file, char *why, size_t why_size) {
    gnutls_x509_trust_list_t list;
    if (gnutls_x509_trust_list_init(&list, 0) != 0)
        out_of_memory();
    int rc = file ? gnutls_x509_trust_list_add_trust_file(list, file, NULL, GNUTLS_X509_FMT_PEM, 0, 0)
                  : gnutls_x509_trust_list_add_system_trust(list, 0, 0);
    if (rc > 0) {
        set_trust(list);
        return 0;
    }
    gnutls_x509_trust_list_deinit(list, 1);
    snprintf(why, why_size, "%s: %s", file ? file : "the authorities of the system",
             rc < 0 ? gnutls_strerror(rc) : "there is no certificate");
    return -1;
}

void tls_trust_teardown(void) {
    set_trust(NULL);
}

char *tls_ascii(const char *domain) {
    gnutls_datum_t text;
    if (gnutls_idna_map(domain, (unsigned)strlen(domain), &text, 0) != 0)
        return NULL;
    char *copy = xstrdup((char *)text.data);
    gnutls_free(text.data);
    return copy;
}

/* ---- trust ------------------------------------------------------------------------------------------------------- */

/* Without the extension it is for anything. */
static bool has_purpose(gnutls_x509_crt_t leaf, const char *const *oids) {
    char oid[128];
    for (unsigned i = 0;; i++) {
        size_t len = sizeof oid;
        int rc = gnutls_x509_crt_get_key_purpose_oid(leaf, i, oid, &len, NULL);
        if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return i == 0;
        if (rc < 0)
            continue;
        for (unsigned k = 0; oids[k]; k++)
            if (strcmp(oid, oids[k]) == 0)
                return true;
    }
}

static const char *reason(unsigned status) {
    if (status & GNUTLS_CERT_EXPIRED)
        return "it has expired";
    if (status & GNUTLS_CERT_NOT_ACTIVATED)
        return "it is not valid yet";
    if (status & GNUTLS_CERT_REVOKED)
        return "it is revoked";
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
        return "we do not trust who signed it";
    if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
        return "its signature is weak";
    return "it is not valid";
}

static void check(struct tls_peer *p, gnutls_x509_crt_t *chain, unsigned count, bool as_server) {
    static const char *const server[] = { GNUTLS_KP_TLS_WWW_SERVER, GNUTLS_KP_ANY, NULL };
    static const char *const either[] = { GNUTLS_KP_TLS_WWW_SERVER, GNUTLS_KP_TLS_WWW_CLIENT, GNUTLS_KP_ANY, NULL };
    unsigned status = GNUTLS_CERT_SIGNER_NOT_FOUND;
    pthread_rwlock_rdlock(&trust_lock);
    if (!trust || gnutls_x509_trust_list_verify_crt2(trust, chain, count, NULL, 0, 0, &status, NULL) != 0)
        status |= GNUTLS_CERT_INVALID;
    pthread_rwlock_unlock(&trust_lock);
    if (status)
        p->why = reason(status);
    else if (!has_purpose(chain[0], as_server ? server : either))
        p->why = "it is not for servers";
    else
        p->trusted = true;
}

/* ---- TLSA (RFC 6698, RFC 7671) ------------------------------------------------------------------------------------- */

enum { PKIX_TA, PKIX_EE, DANE_TA, DANE_EE };
enum { WHOLE_CERT, PUBLIC_KEY };

static bool hash_matches(const struct dns_record *r, const gnutls_datum_t *der) {
    uint8_t digest[TLSA_DATA];
    gnutls_digest_algorithm_t hash = r->tlsa.matching == 1 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512;
    if (r->tlsa.matching == 0)
        return der->size == r->tlsa.len && memcmp(der->data, r->tlsa.data, der->size) == 0;
    return r->tlsa.matching <= 2 && gnutls_hash_get_len(hash) == r->tlsa.len &&
           gnutls_hash_fast(hash, der->data, der->size, digest) == 0 && memcmp(digest, r->tlsa.data, r->tlsa.len) == 0;
}

static bool cert_matches(const struct dns_record *r, gnutls_x509_crt_t cert) {
    gnutls_datum_t der = { NULL, 0 };
    gnutls_pubkey_t key = NULL;
    bool matches = false;
    if (r->tlsa.selector == WHOLE_CERT)
        matches = gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_DER, &der) == 0 && hash_matches(r, &der);
    else if (r->tlsa.selector == PUBLIC_KEY && gnutls_pubkey_init(&key) == 0)
        matches = gnutls_pubkey_import_x509(key, cert, 0) == 0 &&
                  gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der) == 0 && hash_matches(r, &der);
    if (key)
        gnutls_pubkey_deinit(key);
    gnutls_free(der.data);
    return matches;
}

static bool signed_by(gnutls_x509_crt_t *chain, unsigned count, gnutls_x509_crt_t authority) {
    unsigned status = GNUTLS_CERT_INVALID;
    return gnutls_x509_crt_list_verify(chain, (int)count, &authority, 1, NULL, 0, 0, &status) == 0 && status == 0;
}

static bool record_fits(const struct dns_record *r, const struct tls_peer *p, gnutls_x509_crt_t *chain, unsigned count,
                        bool names) {
    if (r->tlsa.usage == DANE_EE)
        return cert_matches(r, chain[0]);
    if (r->tlsa.usage == PKIX_EE)
        return p->trusted && names && cert_matches(r, chain[0]);
    for (unsigned i = 1; i < count && names; i++)
        if (cert_matches(r, chain[i]) && (r->tlsa.usage == PKIX_TA ? p->trusted : signed_by(chain, count, chain[i])))
            return true;
    return false;
}

/* Records that nobody can use do not count (RFC 7671, 4.1). */
static bool is_usable(const struct dns_record *r) {
    return r->tlsa.usage <= DANE_EE && r->tlsa.selector <= PUBLIC_KEY && r->tlsa.matching <= 2;
}

static void check_tlsa(struct tls_peer *p, gnutls_x509_crt_t *chain, unsigned count, const struct dns_answer *tlsa,
                       const char *domain, const char *target) {
    bool names = tls_peer_is(p, domain) || tls_peer_is(p, target);
    for (unsigned i = 0; i < tlsa->count; i++) {
        if (!is_usable(&tlsa->records[i]))
            continue;
        p->dane = true;
        p->named = p->named || record_fits(&tlsa->records[i], p, chain, count, names);
    }
    if (p->dane && !p->named)
        p->why = "it is not the one that DNS says";
}

struct tls_peer *conn_peer(const struct conn *c, const struct dns_answer *tlsa, const char *domain,
                           const char *target) {
    struct tls_peer *p = xcalloc(1, sizeof *p);
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned shown = 0, count = 0;
    const gnutls_datum_t *raw = conn_is_secure(c) ? gnutls_certificate_get_peers(c->tls->session, &shown) : NULL;
    p->why = "none was shown";
    for (; raw && count < shown && count < CHAIN_MAX; count++) {
        if (gnutls_x509_crt_init(&chain[count]) != 0)
            break;
        if (gnutls_x509_crt_import(chain[count], &raw[count], GNUTLS_X509_FMT_DER) != 0) {
            gnutls_x509_crt_deinit(chain[count]);
            break;
        }
    }
    if (!count)
        return p;
    size_t len = sizeof p->spki;
    p->shown = gnutls_x509_crt_get_key_id(chain[0], GNUTLS_KEYID_USE_SHA256, p->spki, &len) == 0;
    check(p, chain, count, c->tls->role == TLS_CONNECT);
    p->leaf = chain[0];
    if (tlsa)
        check_tlsa(p, chain, count, tlsa, domain, target);
    for (unsigned i = 1; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    return p;
}

void tls_peer_free(struct tls_peer *p) {
    if (!p)
        return;
    if (p->leaf)
        gnutls_x509_crt_deinit(p->leaf);
    free(p);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* RFC 6125, 6.4.3: "*" is all of the first label, and of one label. */
static bool dns_matches(const char *name, size_t len, const char *ascii) {
    if (len > 2 && name[0] == '*' && name[1] == '.') {
        const char *dot = strchr(ascii, '.');
        return dot && dot != ascii && strlen(dot) == len - 1 && strncasecmp(dot, name + 1, len - 1) == 0;
    }
    return strlen(ascii) == len && strncasecmp(ascii, name, len) == 0;
}

/* The text of a DER string that is all of the value.  NULL: it is none. */
static const char *der_text(const unsigned char *der, size_t len, size_t *text_len) {
    enum { UTF8 = 0x0c, IA5 = 0x16 };
    if (len < 2 || (der[0] != UTF8 && der[0] != IA5))
        return NULL;
    size_t head = 2, n = der[1];
    if (n & 0x80) {
        unsigned bytes = n & 0x7f;
        if (bytes == 0 || bytes > 2 || len < 2 + bytes)
            return NULL;
        for (n = 0; head < 2 + bytes; head++)
            n = n << 8 | der[head];
    }
    if (n != len - head || memchr(der + head, '\0', n))
        return NULL;
    *text_len = n;
    return (const char *)der + head;
}

static bool other_matches(const char *oid, const unsigned char *der, size_t der_len, const char *domain,
                          const char *ascii) {
    static const char service[] = "_xmpp-server.";
    size_t len;
    const char *text = der_text(der, der_len, &len);
    if (!text)
        return false;
    if (strcmp(oid, OID_SRV) == 0)
        return len > sizeof service - 1 && strncasecmp(text, service, sizeof service - 1) == 0 &&
               dns_matches(text + sizeof service - 1, len - (sizeof service - 1), ascii);
    return strcmp(oid, OID_XMPP_ADDR) == 0 && ((strlen(domain) == len && memcmp(domain, text, len) == 0) ||
                                               (strlen(ascii) == len && strncasecmp(ascii, text, len) == 0));
}

static bool name_matches(gnutls_subject_alt_names_t names, unsigned i, const char *domain, const char *ascii,
                         bool *last) {
    gnutls_datum_t name, oid = { NULL, 0 };
    unsigned type;
    int rc = gnutls_subject_alt_names_get(names, i, &type, &name, &oid);
    *last = rc < 0;
    if (rc < 0)
        return false;
    if (type == GNUTLS_SAN_DNSNAME)
        return !memchr(name.data, '\0', name.size) && dns_matches((char *)name.data, name.size, ascii);
    return type == GNUTLS_SAN_OTHERNAME && oid.data &&
           other_matches((char *)oid.data, name.data, name.size, domain, ascii);
}

bool tls_peer_is(const struct tls_peer *p, const char *domain) {
    gnutls_subject_alt_names_t names = NULL;
    gnutls_datum_t ext = { NULL, 0 };
    bool found = false, last = false;
    char *ascii = p && p->leaf ? tls_ascii(domain) : NULL;
    if (!ascii)
        return false;
    if (gnutls_x509_crt_get_extension_by_oid2(p->leaf, "2.5.29.17", 0, &ext, NULL) == 0 &&
        gnutls_subject_alt_names_init(&names) == 0 && gnutls_x509_ext_import_subject_alt_names(&ext, names, 0) == 0)
        for (unsigned i = 0; i < NAMES_MAX && !found && !last; i++)
            found = name_matches(names, i, domain, ascii, &last);
    if (names)
        gnutls_subject_alt_names_deinit(names);
    gnutls_free(ext.data);
    free(ascii);
    return found;
}
