/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0357.  push.c: rows, what a client asks for; events.c: what is worth a notification, and for whom; publish.c: the
 * notification itself.
 */
#ifndef PUSH_PUSH_H
#define PUSH_PUSH_H

#include <meerkat/plugin.h>

#define NS_PUSH "urn:xmpp:push:0"
#define NS_FORM "jabber:x:data"
#define NS_PUBSUB "http://jabber.org/protocol/pubsub"

struct push {
    int64_t max_devices, max_failures, delay;
    bool sender, body;
    const struct mk_coll *devices;
};
enum { M_PUBLISHED, M_FAILED, M_GONE };
enum { SLOT_ACCOUNT };
enum { TIMER_PUBLISH };
enum { COL_OWNER, COL_SERVICE, COL_NODE, COL_RESOURCE, COL_OPTIONS, COL_ENABLED, COL_FAILURES, COL_COUNT };
enum { WHO_MAX = 8, NODE_MAX = 1023, FORM_MAX = 4096 };

/* What is to be told: made by the first event, gone when all is told. */
struct news {
    bool all;       /* nobody was there: each device that is not connected is told */
    unsigned count; /* of RESOURCES, which each missed something */
    char *resources[WHO_MAX];
    char *sender, *body; /* of the last message */
};
struct account {
    struct news *news;
    uint32_t messages; /* since somebody was there */
    bool none;         /* it has no devices */
};
struct account *account_self(struct mk_ctx *c);
void account_fini(void *slot);

enum mk_flow on_missed(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_session_send(struct mk_ctx *c, struct mk_ev_send *ev);
enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev);
MK_SUSPENDS void on_publish_time(struct mk_ctx *c, struct mk_session *none);

/* What a device is told, in one block of its own. */
struct notice {
    struct mk_jid *service; /* OWNED */
    char *node, *options, *sender, *body;
    uint32_t messages;
};
/* Beside the account; ARG is a struct notice, which it frees. */
MK_SUSPENDS void publish(struct mk_ctx *c, void *arg);

#endif
