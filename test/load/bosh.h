/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream in requests of HTTP (XEP-0124, XEP-0206).  One request waits at the server for what that has to say; what the
 * client has to say goes meanwhile in a second one, on a connection of its own.
 */
#ifndef BOSH_H
#define BOSH_H

#include "client.h"
#include "http.h"

enum { SLOTS = 2 };

/* One of the connections, and the request that is under way on it. */
struct slot {
    struct conn *conn;
    struct http http;
    struct buffer body;
    uint64_t rid;  /* 0: none is under way */
    char *request; /* until it is answered: where the connection breaks it is sent once more */
    size_t len;
    bool again; /* it was */
};

/* Lives as long as its client: epoll may still name the connection in it when it is closed. */
struct bosh {
    struct conn second;
    struct slot slots[SLOTS];
    struct slot *last; /* that which was used last */
    uint64_t rid;      /* of the last request */
    uint64_t heard;    /* of the last answer that was read */
    char sid[128];
    struct framer framer; /* of the answer that is read */
    char *out;            /* elements that wait for a request */
    size_t out_len, out_cap;
    char condition[64]; /* of the end, which the server told */
    bool restarts, ends, ended;
};

/* ---- bosh.c ---- */
/* Its connection broke, as it does when the server tired of it just now: the same request gets the same answer.  False: it
 * cannot be sent again. */
bool bosh_send_again(struct client *c, struct slot *s);

/* ---- bosh_answer.c: next(), took() and down() of the way ---- */
enum frame bosh_next(struct client *c, char **stanza, char *why);
void bosh_took(struct client *c);
bool bosh_down(struct client *c, struct conn *conn, char *why);

#endif
