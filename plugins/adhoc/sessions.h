/* SPDX-License-Identifier: Apache-2.0 */
/* Commands whose form was shown and not sent back yet: a table in each worker's memory, bounded. */
#ifndef ADHOC_SESSIONS_H
#define ADHOC_SESSIONS_H

#include <meerkat/jid.h>

enum { SESSIONS_MAX = 64, SESSIONS_PER_JID = 8, SESSION_ID_SIZE = 32 };

struct command_session {
    struct mk_jid *who;       /* full JID of the administrator, OWNED; NULL: free */
    char *node;               /* the command, OWNED */
    char id[SESSION_ID_SIZE]; /* what the client names it by */
    int64_t began_ms;
};

struct sessions {
    struct command_session all[SESSIONS_MAX];
};

/* Begins one.  Where there is no room the oldest goes: the same administrator's if it has SESSIONS_PER_JID. */
struct command_session *sessions_begin(struct sessions *t, const struct mk_jid *who, const char *node, const char *id,
                                       int64_t now_ms);

/* The one that WHO began, not before SINCE_MS; NULL if there is none. */
struct command_session *sessions_find(struct sessions *t, const struct mk_jid *who, const char *id, int64_t since_ms);

void sessions_end(struct command_session *s);
void sessions_clear(struct sessions *t);

#endif
