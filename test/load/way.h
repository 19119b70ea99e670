/* SPDX-License-Identifier: Apache-2.0 */
/* How a client's stream travels: over TCP, in a WebSocket, in requests of HTTP.  client.c drives it; what a client says and
 * hears is the same whichever way it takes. */
#ifndef WAY_H
#define WAY_H

#include "framer.h"

struct client;
struct conn;

enum { WHY_SIZE = 120, MOST_MESSAGE = 16 << 20 /* bytes that a server may send in one message or answer */ };

struct way {
    /* Begins a stream, on the first connection that is up or after the login. */
    void (*header)(struct client *c);
    /* One element. */
    void (*put)(struct client *c, const char *element, size_t len);
    /* Sends what was put.  False: the client has lost its connection. */
    bool (*flush)(struct client *c);
    /* What came: FRAME_MORE if nothing is whole; of FRAME_BAD WHY tells what it was.  *STANZA ends with NUL until took(). */
    enum frame (*next)(struct client *c, char **stanza, char *why);
    void (*took)(struct client *c);
    /* CONN is down.  False: and the client with it, for the reason in WHY, which it may put in better words. */
    bool (*down)(struct client *c, struct conn *conn, char *why);
    /* Says goodbye. */
    void (*end)(struct client *c);
    void (*close)(struct client *c, bool abrupt);
};

extern const struct way way_tcp, way_websocket, way_bosh;

#endif
