/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request may come on any worker, and a session moves to that of its account when it logs in.  The sid begins with the
 * number of the worker it was made on, which knows where it went.
 */
#include "bosh.h"
#include <stdlib.h>
#include <string.h>

static struct place **slot(struct places *p, const char *sid) {
    uint32_t hash = 2166136261u;
    for (const char *at = sid; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    struct place **found = &p->by_sid[hash % PLACES];
    while (*found && strcmp((*found)->sid, sid) != 0)
        found = &(*found)->next;
    return found;
}

struct place *place_find(struct places *p, const char *sid) {
    return *slot(p, sid);
}

struct place *place_add(struct places *p, const char *sid, struct session *s) {
    struct place **at = slot(p, sid);
    if (!*at) {
        *at = mk_malloc(sizeof **at + strlen(sid) + 1);
        strcpy((*at)->sid, sid);
    }
    p->here += !(*at)->session;
    (*at)->session = s;
    (*at)->travels = false;
    return *at;
}

void place_leave(struct places *p, struct place *place) {
    place->session = NULL;
    place->travels = true;
    p->here--;
}

void place_remove(struct places *p, const char *sid) {
    struct place **at = slot(p, sid), *gone = *at;
    if (!gone)
        return;
    *at = gone->next;
    p->here -= gone->session != NULL;
    mk_free(gone);
}

void places_free(struct places *p) {
    for (unsigned i = 0; i < PLACES; i++) {
        while (p->by_sid[i]) {
            struct place *gone = p->by_sid[i];
            p->by_sid[i] = gone->next;
            if (gone->session)
                session_free(gone->session);
            while (gone->parked) {
                struct pending *next = gone->parked->next;
                pending_free(gone->parked);
                gone->parked = next;
            }
            mk_free(gone);
        }
    }
}

char *place_new_sid(struct mk_ctx *c) {
    const char *text = mk_printf(c, "%u.%s", mk_worker_here(c), mk_random_id(c));
    return strcpy(mk_malloc(strlen(text) + 1), text);
}

bool place_home(struct mk_ctx *c, const char *sid, unsigned *worker) {
    char *end;
    unsigned long n = strtoul(sid, &end, 10);
    *worker = (unsigned)n;
    return end != sid && *end == '.' && n < mk_worker_count(c);
}
