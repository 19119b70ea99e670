/* SPDX-License-Identifier: Apache-2.0 */
/* What to do to which server, as a scenario file says it.  Times are in microseconds. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum tls { TLS_NONE, TLS_STARTTLS, TLS_DIRECT };
enum by { BY_TCP, BY_WEBSOCKET, BY_BOSH, WAYS };
extern const char *const way_names[WAYS + 1]; /* ends with NULL */
enum { MOST_GROUPS = 16, MOST_PIDS = 64, MOST_WORKERS = 256, CLIENTS_PER_WORKER = 20000, MOST_ADDRESSES = 16 };

struct address {
    struct sockaddr_storage to;
    socklen_t len;
};

/* Where one way leads. */
struct server {
    char host[128], path[256], authority[140]; /* the last two of a URL: what HTTP asks for, and where */
    const char *name;                          /* that its certificate must have; NULL: nothing leads there */
    int port;
    enum tls tls;
    struct address addresses[MOST_ADDRESSES]; /* of HOST, with the port */
    int address_count;
};

struct group {
    char name[32];
    int count;
    enum by by;
    bool presence, roster, carbons, stream_management;
    int unit; /* clients that belong together: 2 that chat, a room */
    bool chats, poisson;
    uint64_t think; /* between two messages of one client */
    int size;       /* of a body, in bytes */
    int window;     /* instead of THINK: messages of each client that are under way, the next when one has arrived */
    int room_size;  /* 0: no rooms */
    uint64_t room_think;
    char room_service[128];
    uint64_t archive_every, roster_every, reconnect_every; /* 0: never */
    int archive_page, archive_pages; /* messages in a page; pages of a reading, 0: to the begin of the archive */
    bool resume, abrupt;
};

struct scenario {
    char domain[128];
    struct server servers[WAYS];
    bool verify;  /* the servers' certificates */
    char ca[256]; /* file of those who may have signed it, "": those that the system trusts */
    int pids[MOST_PIDS], pid_count;
    char user[128], password[128], mechanism[32], accounts_file[256];
    int first;
    bool register_first;
    int workers, at_once; /* most logins under way in all workers */
    double rate;          /* arrivals a second */
    uint64_t ramp;        /* that the rate takes to climb from 0 */
    uint64_t hold, drain, login_timeout;
    int per_address; /* connections from one source address of 127.0.0.0/8; 0: addresses are left to the system */
    struct group groups[MOST_GROUPS];
    int group_count, clients, connections; /* the most that the clients have at once */
    struct account {
        char *user, *password;
    } * accounts; /* CLIENTS of them, if a file lists them */
};

/* OVER are "path=value" that replace what the file has.  Says on stderr what is wrong; then false. */
bool scenario_read(struct scenario *s, const char *path, char *const *over, int over_count);

#endif
