/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "worker.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"

static void count(struct client *c, enum count what) {
    c->w->stats->counts[what]++;
}

/* ---- output ----------------------------------------------------------------------------------------------------------- */

char *client_room(struct client *c, struct conn *conn, size_t len) {
    c->w->stats->counts[COUNT_BYTES_OUT] += len;
    return conn_room(conn, len);
}

void client_write(struct client *c, struct conn *conn, const char *data, size_t len) {
    char *room = client_room(c, conn, len);
    if (room)
        memcpy(room, data, len);
}

void client_put(struct client *c, const char *element, size_t len) {
    c->way->put(c, element, len);
}

void client_raw(struct client *c, const char *fmt, ...) {
    char text[4000];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    client_put(c, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

static void remember(struct client *c, uint64_t due, const char *text, size_t len) {
    struct unacked *u = malloc(sizeof *u + len);
    *u = (struct unacked){ .due = due, .is_new = true, .len = len };
    memcpy(u->text, text, len);
    *c->sm.tail = u;
    c->sm.tail = &u->next;
    c->sm.sent++;
}

void client_stanza(struct client *c, uint64_t due, const char *text, size_t len) {
    enum { ASK_EVERY = 8 };
    if (c->sm.on)
        remember(c, due, text, len);
    client_put(c, text, len);
    if (c->sm.on && ++c->sm.since_ask >= ASK_EVERY)
        stream_ask(c);
}

void client_say(struct client *c, const char *fmt, ...) {
    char text[4000];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    client_stanza(c, 0, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

bool client_is_away(const struct client *c) {
    return c->state == STATE_AWAY && !c->login;
}

void client_flush(struct client *c) {
    if (!client_is_away(c) && !c->way->flush(c))
        client_lost(c, "connection closed while sending");
}

/* ---- coming and going --------------------------------------------------------------------------------------------------- */

static void login_over(struct client *c) {
    if (!c->login)
        return;
    free(c->login);
    c->login = NULL;
    c->w->logging_in--;
}

static void gone(struct client *c, bool abrupt) {
    if (c->state == STATE_ONLINE) {
        c->w->stats->online--;
        behave_offline(c);
    }
    login_over(c);
    c->way->close(c, abrupt);
    c->state = STATE_AWAY;
    c->sm.on = false;
    c->epoch++;
}

void client_leave(struct client *c, bool abrupt) {
    if (c->state == STATE_ONLINE && !abrupt) {
        c->way->end(c);
        c->way->flush(c);
        stream_forget(c);
    }
    gone(c, abrupt);
}

void client_lost(struct client *c, const char *why) {
    enum { AGAIN_US = 1000000 };
    stats_reason(c->w->stats, why);
    count(c, c->login ? COUNT_LOGIN_FAILURES : COUNT_LOST_CONNECTIONS);
    bool again = c->was_in;
    gone(c, true);
    /* One that was in comes back, as a client does; one that never was is a failure and stays one. */
    if (again && worker_works(c->w))
        worker_at(c, TIMER_ARRIVE, now_us() + AGAIN_US);
}

const struct server *client_server(const struct client *c) {
    return &c->w->scenario->servers[c->group->by];
}

/* Where the client comes from: 127.0.0.2, 127.0.0.3 ..., for one address has too few ports. */
static uint32_t source(const struct client *c, const struct address *to) {
    const struct sockaddr_in *in = (const void *)&to->to;
    int each = c->w->scenario->per_address;
    if (!each || in->sin_family != AF_INET || ntohl(in->sin_addr.s_addr) >> 24 != 127)
        return 0;
    return INADDR_LOOPBACK + 1 + (uint32_t)((c->w->index * 2 * CLIENTS_PER_WORKER + c->place) / each);
}

static bool connect_to(struct client *c, struct conn *conn, int address) {
    const struct address *to = &client_server(c)->addresses[address];
    count(c, COUNT_CONNECTIONS);
    return conn_open(conn, c->w->epoll_fd, to, source(c, to), c);
}

bool client_connect(struct client *c, struct conn *conn) {
    return connect_to(c, conn, c->w->address[c->group->by]);
}

/* The one it was opened to is not there: to the next, once round. */
static bool open_next(struct client *c) {
    int addresses = client_server(c)->address_count;
    while (++c->login->refusals < addresses) {
        conn_close(&c->conn, true);
        c->login->address = (c->login->address + 1) % addresses;
        if (connect_to(c, &c->conn, c->login->address))
            return true;
    }
    return false;
}

void client_arrive(struct client *c, uint64_t due) {
    const struct scenario *s = c->w->scenario;
    c->login = calloc(1, sizeof *c->login);
    c->login->due = due;
    c->login->address = c->w->address[c->group->by];
    c->w->logging_in++;
    if (!connect_to(c, &c->conn, c->login->address) && !open_next(c)) {
        char why[96];
        snprintf(why, sizeof why, "connect: %s", strerror(errno));
        client_lost(c, why);
        return;
    }
    worker_at(c, TIMER_LOGIN, due + s->login_timeout > now_us() ? due + s->login_timeout : now_us() + s->login_timeout);
}

void client_timer(struct client *c, enum timer timer, uint64_t due) {
    if (timer == TIMER_ARRIVE) {
        if (c->state == STATE_AWAY && !c->login)
            client_arrive(c, due);
    } else if (timer == TIMER_LOGIN) {
        if (c->login)
            client_lost(c, "the login took too long");
    } else if (timer == TIMER_RECONNECT) {
        if (c->state == STATE_ONLINE && worker_works(c->w)) {
            client_leave(c, c->group->abrupt);
            client_arrive(c, now_us());
        }
    } else if (c->state == STATE_ONLINE) {
        behave_timer(c, timer, due);
    }
    client_flush(c);
}

/* ---- the login ------------------------------------------------------------------------------------------------------------ */

static void header(struct client *c) {
    c->state = STATE_STREAM;
    c->way->header(c);
}

static void authenticate(struct client *c) {
    char text[800];
    const struct scenario *s = c->w->scenario;
    c->state = STATE_AUTH;
    sasl_begin(&c->login->sasl, s->mechanism, c->user, c->password, &c->salted, text, sizeof text);
    client_raw(c, "<auth xmlns='" NS_SASL "' mechanism='%s'>%s</auth>", s->mechanism, text);
}

static void bind_or_resume(struct client *c) {
    if (c->sm.id) {
        c->state = STATE_RESUME;
        client_raw(c, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>", c->sm.id, c->sm.heard);
        return;
    }
    c->state = STATE_BIND;
    client_raw(c,
               "<iq id='bind' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>load-%d</resource>"
               "</bind></iq>",
               c->account);
}

static void on_features(struct client *c, const char *features) {
    const struct scenario *s = c->w->scenario;
    char wanted[64];
    if (c->login->authenticated) {
        bind_or_resume(c);
    } else if (client_server(c)->tls == TLS_STARTTLS && !c->login->secured) {
        c->state = STATE_PROCEED;
        client_raw(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    } else if (s->register_first && !c->was_in && !c->login->registered) {
        c->login->registered = true;
        c->state = STATE_REGISTER;
        client_raw(c,
                   "<iq id='reg' type='set'><query xmlns='jabber:iq:register'><username>%s</username>"
                   "<password>%s</password></query></iq>",
                   c->user, c->password);
    } else {
        snprintf(wanted, sizeof wanted, ">%s<", s->mechanism);
        if (strstr(features, wanted))
            authenticate(c);
        else
            client_lost(c, "the server does not offer the mechanism here");
    }
}

static void on_verdict(struct client *c, const char *name, const char *stanza) {
    char text[800], answer[1400], why[120];
    if (strcmp(name, "challenge") == 0) {
        if (!xml_text(stanza, "challenge", text, sizeof text) ||
            !sasl_answer(&c->login->sasl, text, answer, sizeof answer))
            client_lost(c, "SASL: odd challenge");
        else
            client_raw(c, "<response xmlns='" NS_SASL "'>%s</response>", answer);
    } else if (strcmp(name, "success") == 0) {
        if (!xml_text(stanza, "success", text, sizeof text))
            *text = '\0';
        if (!sasl_is_genuine(&c->login->sasl, text)) {
            client_lost(c, "SASL: the server did not prove that it knows the password");
            return;
        }
        c->login->authenticated = true;
        header(c);
    } else {
        const char *condition = strchr(stanza + 1, '<');
        char inner[64];
        if (!condition || !xml_name(condition, inner, sizeof inner))
            snprintf(inner, sizeof inner, "%.60s", name);
        snprintf(why, sizeof why, "SASL: %s", inner);
        client_lost(c, why);
    }
}

static void online(struct client *c, bool resumed) {
    uint64_t due = c->login->due;
    worker_time(c->w, resumed ? TIME_RESUME : TIME_LOGIN, due);
    count(c, resumed ? COUNT_RESUMED : COUNT_LOGINS);
    login_over(c);
    c->state = STATE_ONLINE;
    c->w->stats->online++;
    behave_online(c, resumed);
    c->was_in = true;
}

static void on_bound(struct client *c, const char *stanza) {
    char jid[512];
    if (!xml_text(stanza, "jid", jid, sizeof jid)) {
        client_lost(c, "the resource could not be bound");
        return;
    }
    free(c->jid);
    c->jid = strdup(jid);
    online(c, false);
}

static void on_resumption(struct client *c, const char *name, const char *stanza) {
    if (strcmp(name, "resumed") == 0) {
        stream_resumed(c, stanza);
        online(c, true);
    } else if (strcmp(name, "failed") == 0) {
        count(c, COUNT_RESUME_FAILURES);
        stream_forget(c);
        bind_or_resume(c);
    }
}

static void on_registration(struct client *c, const char *stanza) {
    char type[16];
    if (xml_attr(stanza, "type", type, sizeof type) && strcmp(type, "error") == 0 && !strstr(stanza, "<conflict"))
        client_lost(c, "the account could not be registered");
    else
        authenticate(c);
}

static void take(struct client *c, char *stanza) {
    char name[64];
    if (!xml_local(stanza, name, sizeof name))
        return;
    if (strcmp(name, "error") == 0) {
        char why[120], inner[80] = "";
        const char *condition = strchr(stanza + strcspn(stanza, "<") + 1, '<');
        if (condition)
            xml_name(condition, inner, sizeof inner);
        snprintf(why, sizeof why, "stream error: %s", inner);
        client_lost(c, why);
        return;
    }
    switch (c->state) {
    case STATE_STREAM:
        if (strcmp(name, "features") == 0)
            on_features(c, stanza);
        break;
    case STATE_PROCEED:
        if (strcmp(name, "proceed") == 0)
            conn_tls(&c->conn, client_server(c)->name);
        else
            client_lost(c, "STARTTLS was refused");
        break;
    case STATE_REGISTER:
        on_registration(c, stanza);
        break;
    case STATE_AUTH:
        on_verdict(c, name, stanza);
        break;
    case STATE_BIND:
        if (strcmp(name, "iq") == 0)
            on_bound(c, stanza);
        break;
    case STATE_RESUME:
        on_resumption(c, name, stanza);
        break;
    case STATE_ONLINE:
        stream_stanza(c, stanza);
        break;
    case STATE_AWAY:
        break;
    }
}

/* ---- events ----------------------------------------------------------------------------------------------------------------- */

static void read_stanzas(struct client *c) {
    char why[WHY_SIZE], *stanza;
    uint32_t epoch = c->epoch;
    enum frame kind;
    while ((kind = c->way->next(c, &stanza, why)) != FRAME_MORE) {
        if (kind == FRAME_BAD || kind == FRAME_END) {
            client_lost(c, kind == FRAME_BAD ? why : "the server closed the stream");
            return;
        }
        if (kind == FRAME_STANZA)
            take(c, stanza);
        if (c->epoch != epoch)
            return;
        c->way->took(c);
    }
}

static void up(struct client *c, struct conn *conn) {
    if (client_server(c)->tls == TLS_DIRECT && !conn->tls)
        conn_tls(conn, client_server(c)->name);
    else if (c->state == STATE_AWAY || c->state == STATE_PROCEED)
        header(c);
}

static void is_down(struct client *c, struct conn *conn, char *why) {
    bool is_first = c->state == STATE_AWAY && conn->connecting;
    if (is_first && open_next(c))
        return;
    if (is_first || !c->way->down(c, conn, why))
        client_lost(c, why);
    else
        read_stanzas(c);
}

/* Returns whether a handshake has just begun, in which the client speaks first. */
static bool handle(struct client *c, struct conn *conn, enum conn_event what, char *why) {
    uint32_t epoch = c->epoch;
    if (what == CONN_UP) {
        if (c->login)
            c->w->address[c->group->by] = c->login->address;
        up(c, conn);
    } else if (what == CONN_TLS_UP) {
        if (c->login)
            c->login->secured = true;
        up(c, conn);
    } else if (what == CONN_DATA) {
        read_stanzas(c);
    } else if (what == CONN_DOWN) {
        is_down(c, conn, why);
    }
    return c->epoch == epoch && conn->handshaking && what != CONN_NOTHING;
}

void client_event(struct client *c, struct conn *conn) {
    char why[WHY_SIZE] = "";
    bool again = true;
    while (again) {
        size_t got = 0;
        enum conn_event what = conn_happened(conn, &got, why, sizeof why);
        c->w->stats->counts[COUNT_BYTES_IN] += got;
        again = handle(c, conn, what, why);
    }
    client_flush(c);
}
