/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stream_ask(struct client *c) {
    if (!c->sm.on || !c->sm.head || c->sm.want_ack)
        return;
    c->sm.since_ask = 0;
    c->sm.want_ack = true;
    client_raw(c, "<r xmlns='urn:xmpp:sm:3'/>");
}

void stream_forget(struct client *c) {
    while (c->sm.head) {
        struct unacked *u = c->sm.head;
        c->sm.head = u->next;
        free(u);
    }
    free(c->sm.id);
    c->sm = (struct sm){ .tail = NULL };
    c->sm.tail = &c->sm.head;
}

void stream_enabled(struct client *c, const char *stanza) {
    char id[512], resume[8];
    c->sm.heard = 0;
    if (xml_attr(stanza, "id", id, sizeof id) && xml_attr(stanza, "resume", resume, sizeof resume)) {
        free(c->sm.id);
        c->sm.id = strdup(id);
    }
}

static void acknowledged(struct client *c, struct unacked *u) {
    if (!u->due)
        return;
    c->w->stats->counts[COUNT_ACKED]++;
    if (u->is_new)
        worker_time(c->w, TIME_ACK, u->due);
}

void stream_acked(struct client *c, const char *stanza) {
    char h[16];
    if (!xml_attr(stanza, "h", h, sizeof h))
        return;
    for (uint32_t more = (uint32_t)strtoul(h, NULL, 10) - c->sm.acked; more && c->sm.head; more--) {
        struct unacked *u = c->sm.head;
        c->sm.head = u->next;
        if (!c->sm.head)
            c->sm.tail = &c->sm.head;
        c->sm.acked++;
        acknowledged(c, u);
        free(u);
    }
}

/* What the server has not got is sent once more, and counted as it was: its number in the stream is the same. */
void stream_resumed(struct client *c, const char *stanza) {
    c->sm.on = true;
    c->sm.want_ack = false;
    stream_acked(c, stanza);
    for (struct unacked *u = c->sm.head; u; u = u->next) {
        c->w->stats->counts[COUNT_RESENT] += u->due != 0;
        u->is_new = false;
        client_put(c, u->text, u->len);
    }
    stream_ask(c);
}

static void answer(struct client *c, const char *stanza, const char *type) {
    char id[256], from[512] = "", to[540] = "";
    if (!xml_attr(stanza, "id", id, sizeof id))
        return;
    if (xml_attr(stanza, "from", from, sizeof from))
        snprintf(to, sizeof to, " to='%s'", from);
    bool known = strcmp(type, "set") == 0 || strstr(stanza, "urn:xmpp:ping");
    client_say(c, "<iq type='%s' id='%s'%s>%s</iq>", known ? "result" : "error", id, to,
               known ? ""
                     : "<error type='cancel'><service-unavailable "
                       "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
}

static void on_iq(struct client *c, const char *stanza) {
    char type[16], id[128];
    if (!xml_attr(stanza, "type", type, sizeof type) || !xml_attr(stanza, "id", id, sizeof id))
        return;
    if (strcmp(type, "get") == 0 || strcmp(type, "set") == 0)
        answer(c, stanza, type);
    else
        behave_result(c, id, type, stanza);
}

void stream_stanza(struct client *c, char *stanza) {
    char name[32];
    if (!xml_name(stanza, name, sizeof name))
        return;
    if (strcmp(name, "message") == 0) {
        c->sm.heard++;
        behave_message(c, stanza);
    } else if (strcmp(name, "presence") == 0) {
        c->sm.heard++;
        behave_presence(c, stanza);
    } else if (strcmp(name, "iq") == 0) {
        c->sm.heard++;
        on_iq(c, stanza);
    } else if (strcmp(name, "r") == 0) {
        client_raw(c, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", c->sm.heard);
    } else if (strcmp(name, "a") == 0) {
        c->sm.want_ack = false;
        stream_acked(c, stanza);
        if (!worker_works(c->w)) /* at the end until all is acknowledged */
            stream_ask(c);
    } else if (strcmp(name, "enabled") == 0) {
        stream_enabled(c, stanza);
    } else if (strcmp(name, "failed") == 0) {
        stats_reason(c->w->stats, "stream management was refused");
        stream_forget(c);
    }
}
