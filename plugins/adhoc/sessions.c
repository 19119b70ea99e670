/* SPDX-License-Identifier: Apache-2.0 */
#include "sessions.h"
#include <string.h>

/* The oldest of WHO, or of all if WHO is NULL; how many there are. */
static struct command_session *oldest(struct sessions *t, const struct mk_jid *who, unsigned *count) {
    struct command_session *found = NULL;
    *count = 0;
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        struct command_session *s = &t->all[i];
        if (!s->who || (who && !mk_jid_same(s->who, who)))
            continue;
        (*count)++;
        if (!found || s->began_ms < found->began_ms)
            found = s;
    }
    return found;
}

static struct command_session *vacant(struct sessions *t) {
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        if (!t->all[i].who)
            return &t->all[i];
    return NULL;
}

struct command_session *sessions_begin(struct sessions *t, const struct mk_jid *who, const char *node, const char *id,
                                       int64_t now_ms) {
    unsigned count;
    struct command_session *s = oldest(t, who, &count);
    if (count >= SESSIONS_PER_JID)
        sessions_end(s);
    s = oldest(t, NULL, &count);
    if (count == SESSIONS_MAX)
        sessions_end(s);
    s = vacant(t);
    size_t size = strlen(node) + 1;
    s->who = mk_jid_keep(who);
    s->node = memcpy(mk_malloc(size), node, size);
    strncpy(s->id, id, SESSION_ID_SIZE - 1);
    s->began_ms = now_ms;
    return s;
}

struct command_session *sessions_find(struct sessions *t, const struct mk_jid *who, const char *id, int64_t since_ms) {
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        struct command_session *s = &t->all[i];
        if (s->who && s->began_ms >= since_ms && strcmp(s->id, id) == 0 && mk_jid_same(s->who, who))
            return s;
    }
    return NULL;
}

void sessions_end(struct command_session *s) {
    mk_jid_free(s->who);
    mk_free(s->node);
    memset(s, 0, sizeof *s);
}

void sessions_clear(struct sessions *t) {
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        sessions_end(&t->all[i]);
}
