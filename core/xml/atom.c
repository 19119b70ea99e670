/* SPDX-License-Identifier: Apache-2.0 */
#include "util/mem.h"
#include "xml/parser.h"
#include <stdlib.h>
#include <string.h>

/* What every server meets; plugins' own namespaces come with their rows. */
static const char common[] =
    "message presence iq error body subject thread show status priority query item items group text x c ping "
    "request received sent forwarded delay result fin set first last count max before after index field value "
    "option feature identity active composing paused inactive gone a r enable enabled resume resumed stanza-id "
    "origin-id displayed markable store no-store no-copy encrypted encryption header key iv payload photo bind "
    "resource jid session pubsub publish event command actor reason invite history reply reactions reaction "
    "fallback to from id type lang name ns stamp by node hash ver var label subscription ask affiliation role "
    "code category action complete queryid sid rid prekey h previd xmlns version url desc namespace for "
    "http://www.w3.org/XML/1998/namespace http://etherx.jabber.org/streams jabber:client jabber:server "
    "jabber:component:accept jabber:iq:roster jabber:iq:version jabber:iq:last jabber:iq:private "
    "jabber:iq:register jabber:iq:privacy jabber:x:data jabber:x:oob jabber:x:conference vcard-temp "
    "vcard-temp:x:update storage:bookmarks eu.siacs.conversations.axolotl http://jabber.org/protocol/chatstates "
    "http://jabber.org/protocol/caps http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items "
    "http://jabber.org/protocol/muc http://jabber.org/protocol/muc#user http://jabber.org/protocol/pubsub "
    "http://jabber.org/protocol/pubsub#event http://jabber.org/protocol/nick http://jabber.org/protocol/rsm "
    "http://jabber.org/protocol/commands urn:ietf:params:xml:ns:xmpp-stanzas urn:ietf:params:xml:ns:xmpp-streams "
    "urn:ietf:params:xml:ns:xmpp-sasl urn:ietf:params:xml:ns:xmpp-bind urn:ietf:params:xml:ns:xmpp-session "
    "urn:ietf:params:xml:ns:xmpp-tls urn:ietf:params:xml:ns:xmpp-framing urn:xmpp:ping urn:xmpp:receipts "
    "urn:xmpp:chat-markers:0 urn:xmpp:hints urn:xmpp:sid:0 urn:xmpp:delay urn:xmpp:carbons:2 urn:xmpp:forward:0 "
    "urn:xmpp:mam:2 urn:xmpp:sm:3 urn:xmpp:csi:0 urn:xmpp:eme:0 urn:xmpp:omemo:2 urn:xmpp:blocking "
    "urn:xmpp:push:0 urn:xmpp:reply:0 urn:xmpp:reactions:0 urn:xmpp:message-correct:0 urn:xmpp:fallback:0 "
    "urn:xmpp:avatar:metadata";

/*
 * Open addressing, half full at most, over what is declared before anybody else's bytes are looked up: crafted names meet
 * no longer way than our own make.
 */
struct atom {
    uint64_t hash;
    size_t len;
    const char *text; /* NULL: a free place */
};
static struct atom *atoms;
static size_t mask, count;

static uint64_t word_at(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static uint32_t half_at(const char *p) {
    uint32_t half;
    memcpy(&half, p, sizeof half);
    return half;
}

/* Of a name's length, its first bytes and its last ones: names that agree in these are rare. */
static inline uint64_t hash_name(const char *text, size_t len) {
    uint64_t first = 0, last = 0;
    if (len >= 8) {
        first = word_at(text);
        last = word_at(text + len - 8);
    } else if (len >= 4) {
        first = half_at(text);
        last = half_at(text + len - 4);
    } else if (len) {
        first = (unsigned char)text[0];
        last = (uint64_t)(unsigned char)text[len / 2] << 8 | (unsigned char)text[len - 1];
    }
    uint64_t h = (first ^ (uint64_t)len << 56) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32 ^ last) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* Where TEXT is, or would be. */
static inline struct atom *place_of(uint64_t hash, const char *text, size_t len) {
    size_t i = hash & mask;
    while (atoms[i].text && (atoms[i].hash != hash || atoms[i].len != len || memcmp(atoms[i].text, text, len) != 0))
        i = (i + 1) & mask;
    return &atoms[i];
}

static void grow(void) {
    struct atom *old = atoms;
    size_t size = old ? mask + 1 : 0;
    atoms = xcalloc(size ? 2 * size : 512, sizeof *atoms);
    mask = (size ? 2 * size : 512) - 1;
    for (size_t i = 0; i < size; i++)
        if (old[i].text)
            *place_of(old[i].hash, old[i].text, old[i].len) = old[i];
    free(old);
}

static void declare(const char *text, size_t len) {
    if (!atoms || 2 * count > mask)
        grow();
    uint64_t hash = hash_name(text, len);
    struct atom *a = place_of(hash, text, len);
    if (a->text)
        return;
    *a = (struct atom){ hash, len, xmemdup(text, len) };
    count++;
}

__attribute__((constructor)) static void declare_common(void) {
    declare("", 0);
    for (const char *p = common; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        declare(p, len);
        p += len;
    }
}

void xml_atom_declare(const char *text) {
    declare(text, strlen(text));
}

const char *xml_atom(const char *text, size_t len) {
    return place_of(hash_name(text, len), text, len)->text;
}
