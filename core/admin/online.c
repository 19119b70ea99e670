/* SPDX-License-Identifier: Apache-2.0 */
/* A stanza for everybody who is there, or word for every account in memory.  Each worker goes through its accounts a piece
 * at a time. */
#include "route/router.h"
#include "util/mem.h"
#include <meerkat/command.h>
#include <stdlib.h>

enum { PIECE = 256 };

struct broadcast {
    struct post post;
    struct mk_stanza *stanza; /* NULL: WHAT is told, to accounts without sessions too */
    char *what;
    struct mk_jid *host;
    const struct mk_jid **accounts; /* OWNED, as are those from AT on */
    uint32_t count, cap, at;
    bool listed;
};

static void broadcast_free(struct broadcast *b) {
    for (uint32_t i = b->at; i < b->count; i++)
        mk_jid_free((struct mk_jid *)b->accounts[i]);
    free(b->accounts);
    mk_jid_free(b->host);
    if (b->stanza)
        mk_release(b->stanza);
    free(b->what);
    free(b);
}

static bool somebody_is_there(const struct account *a) {
    for (const struct list *l = a->sessions.next; l != &a->sessions; l = l->next)
        if (container_of(l, const struct mk_session, link)->available)
            return true;
    return false;
}

/* Turns may make and free accounts: the list is made first, and mail is sent by name. */
static void add_account(struct account *a, void *arg) {
    struct broadcast *b = arg;
    if ((b->stanza && !somebody_is_there(a)) || !mk_jid_same(a->entity.host->jid, b->host))
        return;
    if (b->count == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        b->accounts = xrealloc(b->accounts, b->cap * sizeof(struct mk_jid *));
    }
    b->accounts[b->count++] = mk_jid_keep(a->entity.jid);
}

static void deliver(struct mk_ctx *c, void *arg) {
    const struct mk_stanza *stanza = arg;
    struct account *a = account_of(c->entity);
    c->handling = stanza;
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next) {
        struct mk_session *s = container_of(l, struct mk_session, link);
        if (s->available)
            session_deliver(c, s, stanza, s->jid);
    }
}

static void tell(struct mk_ctx *c, void *arg) {
    struct mk_ev_told ev = { arg };
    chain_run(c, MK_HOOK_account_told, &ev);
}

static void release(void *stanza) {
    mk_release(stanza);
}

static void run_one(const struct broadcast *b, const struct host_type *type) {
    const struct mk_jid *account = b->accounts[b->at];
    if (b->stanza)
        entity_run(account, type->chains[MK_HOOK_session_send].suspends, deliver, release, stanza_ref(b->stanza));
    else
        entity_run(account, type->chains[MK_HOOK_account_told].suspends, tell, free, xstrdup(b->what));
}

static void run_piece(struct post *p) {
    struct broadcast *b = container_of(p, struct broadcast, post);
    const struct host *host = this_worker ? host_find(jid_domain(b->host), b->host->domain_len) : NULL;
    if (host && !b->listed)
        accounts_each(add_account, b);
    b->listed = true;
    for (unsigned i = 0; host && i < PIECE && b->at < b->count; i++, b->at++) {
        run_one(b, host->type);
        mk_jid_free((struct mk_jid *)b->accounts[b->at]);
    }
    if (host && b->at < b->count)
        worker_post(this_worker, &b->post);
    else
        broadcast_free(b);
}

static void begin(const struct host *host, struct mk_stanza *stanza, const char *what) {
    for (unsigned i = 0; i < worker_count; i++) {
        struct broadcast *b = xcalloc(1, sizeof *b);
        b->post.run = run_piece;
        b->stanza = stanza ? stanza_ref(stanza) : NULL;
        b->what = what ? xstrdup(what) : NULL;
        b->host = mk_jid_keep(host->jid);
        worker_post(workers[i], &b->post);
    }
}

void mk_send_online(struct mk_ctx *c, const struct mk_stanza *s) {
    if (!c->host)
        return;
    stanza_parse_now(s);
    begin(c->host, (struct mk_stanza *)s, NULL);
}

void mk_tell_accounts(struct mk_ctx *c, const char *what) {
    if (c->host)
        begin(c->host, NULL, what);
}
