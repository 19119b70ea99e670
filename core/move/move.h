/* SPDX-License-Identifier: Apache-2.0 */
/* meerkat-move: accounts out of a running server into a dump of XEP-0227, and into it. */
#ifndef MOVE_MOVE_H
#define MOVE_MOVE_H

#include "move/dump.h"
#include <cjson/cJSON.h>
#include <stdint.h>

enum { DONE, FAILED, MISUSED, NO_SERVER }; /* exit status */
enum existing { EXISTING_SKIP, EXISTING_MERGE, EXISTING_REPLACE };

/* Names that were given, in no order; none is all. */
struct names {
    char **items; /* OWNED */
    int count;
};
bool names_allow(const struct names *n, const char *name);

struct arguments {
    const char *socket, *file, *state; /* file: "-" is standard input or output */
    struct names hosts, users;         /* prepared: domains, bare JIDs */
    enum existing existing;
    char **from; /* a foreign server's name, and what meerkat-convert is to be told; NULL: FILE is read */
    int from_count;
    bool json, check, force;
};

int export_accounts(const struct arguments *a);
int import_accounts(const struct arguments *a);

/* Says it on stderr, and returns STATUS. */
int fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- server.c -------------------------------------------------------------------------------------------------------- */

struct server {
    int fd;
    const char *socket;
};
/* DONE, or it was said why not. */
int server_connect(struct server *s, const char *socket);
void server_close(struct server *s);

/* Runs a command.  NAME, VALUE, ... end with NULL; a VALUE that is NULL leaves it out.  DONE, and the answer, OWNED. */
int server_run(struct server *s, cJSON **answer, const char *command, ...) __attribute__((sentinel));

cJSON *answer_rows(const cJSON *answer);
const char *text_in(const cJSON *object, const char *name); /* "" if it is not there */
bool true_in(const cJSON *object, const char *name);

/* What the server takes. */
int server_kinds(struct server *s, struct dump_kinds *out);
void kinds_free(struct dump_kinds *k);
/* Its hosts, as far as ASKED allows; one that was asked for and is not served is an error. */
int server_hosts(struct server *s, const struct names *asked, struct names *out);
void names_add(struct names *n, const char *name);
void names_free(struct names *n);

/* ---- state.c: how far an import came --------------------------------------------------------------------------------- */

struct state {
    char *path;   /* OWNED; NULL: nothing is kept */
    char *begun;  /* OWNED; bare JID of the account that was being imported when an earlier run ended; NULL: none */
    int64_t done; /* accounts of the dump that are done */
    char *last;   /* OWNED; the last of them */
};
/* IDENTITY is of the dump: a state of another is not gone by. */
bool state_open(struct state *s, const char *path, const char *identity);
/* An account is begun; the ones before it, DONE of them, are done. */
bool state_save(struct state *s, const char *identity, int64_t done, const char *last, const char *begun);
void state_end(struct state *s, bool good); /* with GOOD the file goes */

#endif
