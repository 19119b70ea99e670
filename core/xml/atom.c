/* SPDX-License-Identifier: Apache-2.0 */
#include "util/mem.h"
#include "util/table.h"
#include "xml/parser.h"
#include <pthread.h>
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

static struct table atoms;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct key {
    const char *text;
    size_t len;
};

static bool same_text(const void *item, const void *key) {
    const struct key *k = key;
    return strncmp(item, k->text, k->len) == 0 && ((const char *)item)[k->len] == '\0';
}

static void declare(const char *text, size_t len) {
    struct key key = { text, len };
    uint64_t hash = hash_bytes(text, len);
    if (!table_find(&atoms, hash, same_text, &key))
        table_add(&atoms, hash, xmemdup(text, len));
}

static void declare_common(void) {
    declare("", 0);
    for (const char *p = common; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        declare(p, len);
        p += len;
    }
}

void xml_atom_declare(const char *text) {
    pthread_once(&once, declare_common);
    declare(text, strlen(text));
}

const char *xml_atom(const char *text, size_t len) {
    pthread_once(&once, declare_common);
    struct key key = { text, len };
    return table_find(&atoms, hash_bytes(text, len), same_text, &key);
}
