/* SPDX-License-Identifier: Apache-2.0 */
/* A login as a client plays it: SCRAM-SHA-1 or ANONYMOUS, bind, and what a modern client then switches on. */
#include "bench.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct script script;
static struct salted {
    uint8_t key[20];
    char salt[128];
    int iterations;
} * salted, last_salted;

enum { START, FEATURES, CHALLENGE, SUCCESS, FEATURES_AGAIN, BOUND, SWITCHED_ON, RESUMING, RESUMED, DONE };

void login_setup(const struct script *s) {
    script = *s;
    free(salted);
    salted = calloc((size_t)s->accounts + 1, sizeof *salted);
}

static void header(struct peer *p) {
    peer_header(p, p->index % 2 && script.odd_domain ? script.odd_domain : script.domain);
}

static void to_base64(const void *data, size_t len, char *out, size_t size) {
    gnutls_datum_t in = { (void *)data, (unsigned)len }, text;
    gnutls_base64_encode2(&in, &text);
    snprintf(out, size, "%.*s", (int)text.size, text.data);
    gnutls_free(text.data);
}

static void auth(struct peer *p) {
    char first[160], text[256];
    if (script.anonymous) {
        peer_say(p, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>");
        return;
    }
    snprintf(p->nonce, sizeof p->nonce, "n%dx%ld", p->index, random());
    int len = snprintf(first, sizeof first, "n,,n=user%d,r=%s", p->index % script.accounts, p->nonce);
    to_base64(first, (size_t)len, text, sizeof text);
    peer_say(p, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>%s</auth>", text);
}

/* Accounts that a benchmark made as copies of one have its salt. */
static const uint8_t *salted_password(int account, const char *salt_text, int iterations) {
    struct salted *s = &salted[account];
    if (s->iterations)
        return s->key;
    if (last_salted.iterations != iterations || strcmp(last_salted.salt, salt_text) != 0) {
        gnutls_datum_t password = { (unsigned char *)"bench", 5 }, salt,
                       text = { (unsigned char *)salt_text, (unsigned)strlen(salt_text) };
        gnutls_base64_decode2(&text, &salt);
        gnutls_pbkdf2(GNUTLS_MAC_SHA1, &password, &salt, (unsigned)iterations, last_salted.key, sizeof s->key);
        gnutls_free(salt.data);
        snprintf(last_salted.salt, sizeof last_salted.salt, "%s", salt_text);
        last_salted.iterations = iterations;
    }
    *s = last_salted;
    return s->key;
}

static void respond(struct peer *p) {
    char *at = strstr(p->in, "<challenge"), *end;
    gnutls_datum_t text, first;
    if (!at || !(at = strchr(at, '>')) || !(end = strstr(at, "</challenge>")))
        return;
    text = (gnutls_datum_t){ (unsigned char *)at + 1, (unsigned)(end - at - 1) };
    gnutls_base64_decode2(&text, &first);
    char server_first[512], nonce[256], salt64[128], bare[160], final[1024], message[1400], proof[64];
    int iterations;
    snprintf(server_first, sizeof server_first, "%.*s", (int)first.size, first.data);
    gnutls_free(first.data);
    if (sscanf(server_first, "r=%255[^,],s=%127[^,],i=%d", nonce, salt64, &iterations) != 3)
        fail("odd challenge: %s", server_first);
    const uint8_t *key = salted_password(p->index % script.accounts, salt64, iterations);
    uint8_t client_key[20], stored[20], signature[20];
    gnutls_hmac_fast(GNUTLS_MAC_SHA1, key, 20, "Client Key", 10, client_key);
    gnutls_hash_fast(GNUTLS_DIG_SHA1, client_key, 20, stored);
    snprintf(bare, sizeof bare, "n=user%d,r=%s", p->index % script.accounts, p->nonce);
    int len = snprintf(message, sizeof message, "%s,%s,c=biws,r=%s", bare, server_first, nonce);
    gnutls_hmac_fast(GNUTLS_MAC_SHA1, stored, 20, message, (size_t)len, signature);
    for (int i = 0; i < 20; i++)
        client_key[i] ^= signature[i];
    to_base64(client_key, 20, proof, sizeof proof);
    len = snprintf(final, sizeof final, "c=biws,r=%s,p=%s", nonce, proof);
    to_base64(final, (size_t)len, message, sizeof message);
    p->state = SUCCESS;
    peer_got(p, "</challenge>");
    peer_say(p, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>", message);
}

static bool authenticated(struct peer *p) {
    if (p->in && strstr(p->in, "<failure"))
        fail("login refused: %s", p->in);
    return peer_got(p, "</success>") || peer_got(p, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
}

static bool bound(struct peer *p) {
    char *at = p->in ? strstr(p->in, "<jid>") : NULL, *end = at ? strstr(at, "</jid>") : NULL;
    if (!end)
        return false;
    snprintf(p->jid, sizeof p->jid, "%.*s", (int)(end - at - 5), at + 5);
    return peer_got(p, "</iq>");
}

/* Of what has arrived whole, which is consumed. */
static void count_stanzas(struct peer *p) {
    static const char *const stanzas[] = { "<iq ", "<presence ", "<message " };
    char *end = p->in ? memrchr(p->in, '>', p->in_len) : NULL, held;
    if (!end)
        return;
    held = end[1];
    end[1] = '\0';
    for (unsigned i = 0; i < 3; i++)
        for (const char *at = p->in; (at = strstr(at, stanzas[i])) != NULL; at++)
            p->heard++;
    end[1] = held;
    p->in_len -= (size_t)(end + 1 - p->in);
    memmove(p->in, end + 1, p->in_len + 1);
    if (p->in_len)
        return;
    free(p->in);
    p->in = NULL;
    p->in_cap = 0;
}

/* As a client at rest has. */
static void acknowledge(struct peer *p) {
    peer_say(p, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", p->heard);
}

void login_listen(struct peer *p) {
    bool asked = p->in && strstr(p->in, "<r ");
    count_stanzas(p);
    if (asked)
        acknowledge(p);
}

static void note_stream(struct peer *p) {
    const char *at = strstr(p->in, "<enabled "), *id = at ? strstr(at, " id='") : NULL;
    if (id)
        sscanf(id, " id='%63[^']", p->sm);
}

static void switch_on(struct peer *p) {
    peer_say(p,
             "<enable xmlns='urn:xmpp:sm:3' resume='true'/><iq id='c' type='set'><enable xmlns='urn:xmpp:carbons:2'/>"
             "</iq>%s<presence/><iq id='last' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
             script.roster ? "<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>" : "");
}

bool login_resumed(const struct peer *p) {
    return p->state == RESUMED;
}

static void resume(struct peer *p) {
    if (p->in && strstr(p->in, "<resumed "))
        p->state = RESUMED;
    else if (p->in && strstr(p->in, "<failed "))
        p->state = DONE;
    else
        return;
    peer_got(p, p->state == RESUMED ? "/>" : "</failed>");
    script.done(p);
}

void login_arrived(struct peer *p) {
    switch (p->state) {
    case START:
        p->state = FEATURES;
        header(p);
        break;
    case FEATURES:
        if (!peer_got(p, "</stream:features>"))
            break;
        p->state = script.anonymous ? SUCCESS : CHALLENGE;
        auth(p);
        break;
    case CHALLENGE:
        respond(p);
        break;
    case SUCCESS:
        if (!authenticated(p))
            break;
        p->state = FEATURES_AGAIN;
        header(p);
        break;
    case FEATURES_AGAIN:
        if (!peer_got(p, "</stream:features>"))
            break;
        if (*p->sm) {
            p->state = RESUMING;
            peer_say(p, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>", p->sm, p->heard);
            break;
        }
        p->state = BOUND;
        peer_say(p,
                 "<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench-%d</resource>"
                 "</bind></iq>",
                 p->index);
        break;
    case RESUMING:
        resume(p);
        break;
    case BOUND:
        if (!bound(p))
            break;
        p->state = script.full ? SWITCHED_ON : DONE;
        if (script.full)
            switch_on(p);
        else
            script.done(p);
        break;
    case SWITCHED_ON:
        if (!p->in || !strstr(p->in, "id='last'"))
            break;
        note_stream(p);
        count_stanzas(p);
        acknowledge(p);
        p->state = DONE;
        script.done(p);
        break;
    default:
        break;
    }
}
