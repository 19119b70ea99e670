/* SPDX-License-Identifier: Apache-2.0 */
/* A client: its login, its stream, and what its group has it do. */
#ifndef CLIENT_H
#define CLIENT_H

#include "conn.h"
#include "ledger.h"
#include "sasl.h"
#include "scenario.h"
#include "stats.h"
#include "way.h"

struct bosh;
struct websocket;

enum timer {
    TIMER_ARRIVE, /* connect, now or again */
    TIMER_LOGIN,  /* the login takes too long */
    TIMER_CHAT,
    TIMER_ROOM,
    TIMER_JOIN,
    TIMER_ARCHIVE,
    TIMER_ROSTER,
    TIMER_RECONNECT
};

enum state {
    STATE_AWAY,
    STATE_STREAM,   /* waits for features */
    STATE_REGISTER, /* for the answer to a registration */
    STATE_PROCEED,  /* for <proceed/>, over TCP */
    STATE_AUTH,     /* for the verdict */
    STATE_BIND,
    STATE_RESUME,
    STATE_ONLINE
};

/* A stanza that the server has not acknowledged, for the stream's next life. */
struct unacked {
    struct unacked *next;
    uint64_t due; /* of a message, else 0 */
    bool is_new;  /* a message of its own, that was not sent again */
    size_t len;
    char text[];
};

/* XEP-0198, the client's side. */
struct sm {
    bool on, want_ack;
    char *id; /* NULL: cannot be resumed */
    uint32_t heard, acked, sent;
    struct unacked *head, **tail;
    unsigned since_ask;
};

struct login {
    struct sasl sasl;
    uint64_t due;
    int address, refusals; /* of the scenario's addresses: that which is tried, and those that were in vain */
    bool secured, registered, authenticated;
    enum sasl_step { SASL_NONE, SASL_SENT } step;
};

struct worker;
struct room {
    int first, size; /* its members in the worker */
    int joined;
    bool open;     /* the first member has made it */
    uint64_t sent; /* by all members: each is expected with each member */
    char jid[192];
};

struct client {
    struct worker *w;
    const struct group *group;
    int number; /* in the worker */
    int place;  /* of its connections among those of the worker */
    int account;
    const char *user, *password;
    struct salted salted;
    const struct way *way;
    struct conn conn; /* the first, if its way has several */
    union {
        struct framer framer;        /* of TCP */
        struct websocket *websocket; /* NULL before the first connection */
        struct bosh *bosh;
    } wire;
    enum state state;
    uint32_t epoch; /* of its connection: timers of another are void */
    bool was_in;    /* has been online, so that its plans exist */
    struct login *login;
    struct sm sm;
    char *jid;
    /* Behaviours: when the next thing is due, and what was done. */
    uint64_t chat_due, room_due;
    uint64_t chat_number, room_number;
    bool chatting, in_room, nobody_there;
    struct room *room;
    struct flow *from_partner, *from_room; /* ROOM_SIZE of them, by who sent */
    char *page;                            /* behind which the archive goes on */
    bool asking_archive;
    int pages_read; /* of the reading of the archive that goes on */
    unsigned churn;
};

/* ---- client.c: connection and login ---- */
void client_arrive(struct client *c, uint64_t due);
void client_event(struct client *c, struct conn *conn);
void client_timer(struct client *c, enum timer timer, uint64_t due);
void client_leave(struct client *c, bool abrupt);
void client_lost(struct client *c, const char *why);
/* A stanza; DUE is that of a message, else 0. */
void client_stanza(struct client *c, uint64_t due, const char *text, size_t len);
void client_say(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void client_raw(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void client_put(struct client *c, const char *element, size_t len); /* as client_raw() */
bool client_is_away(const struct client *c);                        /* has no connection, and makes none */
void client_flush(struct client *c);                                /* what was said leaves */

/* ---- client.c: for the ways ---- */
const struct server *client_server(const struct client *c);
bool client_connect(struct client *c,
                    struct conn *conn); /* to the address that took the last connection; false with errno */
void client_write(struct client *c, struct conn *conn, const char *data, size_t len);
char *client_room(struct client *c, struct conn *conn, size_t len); /* counts as written; NULL: it is closed */

/* ---- stream.c: what is said on an open stream ---- */
void stream_stanza(struct client *c, char *stanza);
void stream_enabled(struct client *c, const char *stanza);
void stream_acked(struct client *c, const char *stanza);
void stream_resumed(struct client *c, const char *stanza);
void stream_forget(struct client *c);
void stream_ask(struct client *c); /* for an acknowledgement, if one is missing */

/* ---- behave.c: what clients do ---- */
void behave_online(struct client *c, bool resumed);
void behave_offline(struct client *c);
void behave_timer(struct client *c, enum timer timer, uint64_t due);
void behave_message(struct client *c, const char *stanza);
void behave_presence(struct client *c, const char *stanza);
void behave_result(struct client *c, const char *id, const char *type, const char *stanza);
/* Messages of C's own that neither arrived nor were refused. */
void behave_settle(struct client *c);

#endif
