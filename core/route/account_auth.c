/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts as a whole: what auth.h offers to plugins that make and remove them. */
#include "route/ask.h"
#include "route/session.h"
#include "sasl/mechanism.h"
#include "util/mem.h"
#include <stdlib.h>

/* Providers answer for the host of the account, whoever asks. */
struct visit {
    const struct host *host;
    const struct mk_jid *self;
    const struct mk_jid *account; /* bare */
};

static int visit(struct mk_ctx *c, const struct mk_jid *account, struct visit *before) {
    const struct host *host = host_find(jid_domain(account), account->domain_len);
    if (!host || !account->local_len)
        return MK_E_NOTFOUND;
    *before = (struct visit){ c->host, c->self, jid_bare(&c->arena, account) };
    c->host = host;
    c->self = host->jid;
    return 0;
}

static int leave(struct mk_ctx *c, const struct visit *before, int rc) {
    c->host = before->host;
    c->self = before->self;
    return rc;
}

/* The first that knows the account. */
MK_SUSPENDS static int find_provider(struct mk_ctx *c, const struct mk_jid *account, const struct mk_auth **out) {
    const struct host_type *type = c->host->type;
    for (uint32_t i = 0; i < type->auth_count; i++) {
        int rc = mk_auth_exists(c, type->auth[i], account);
        if (rc == MK_E_NOTFOUND || rc == MK_E_UNSUPPORTED)
            continue;
        *out = type->auth[i];
        return rc;
    }
    return MK_E_NOTFOUND;
}

MK_SUSPENDS static int find_writer(struct mk_ctx *c, const struct mk_jid *account, const struct mk_auth **out) {
    int rc = find_provider(c, account, out);
    return rc == 0 && !(provider_caps(*out) & MK_AUTH_WRITE) ? MK_E_UNSUPPORTED : rc;
}

int mk_account_exists(struct mk_ctx *c, const struct mk_jid *account) {
    struct visit before;
    const struct mk_auth *provider;
    int rc = visit(c, account, &before);
    return rc ? rc : leave(c, &before, find_provider(c, before.account, &provider));
}

int mk_account_set_password(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    struct visit before;
    const struct mk_auth *provider;
    int rc = visit(c, account, &before);
    if (rc)
        return rc;
    rc = find_writer(c, before.account, &provider);
    if (rc == 0)
        rc = mk_auth_set_password(c, provider, before.account, password);
    return leave(c, &before, rc);
}

/* ---- create ------------------------------------------------------------------------------------------------------- */

/* Another provider's account of the same name would be shadowed by it, or shadow it. */
MK_SUSPENDS static int create(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    const struct host_type *type = c->host->type;
    const struct mk_auth *known;
    int rc = find_provider(c, account, &known);
    if (rc != MK_E_NOTFOUND)
        return rc ? rc : MK_E_CONFLICT;
    for (uint32_t i = 0; i < type->auth_count; i++)
        if (provider_caps(type->auth[i]) & MK_AUTH_WRITE)
            return mk_auth_create(c, type->auth[i], account, password);
    return MK_E_UNSUPPORTED;
}

MK_SUSPENDS static int created_turn(struct mk_ctx *c, void *arg) {
    struct account *a = account_of(c->entity);
    struct visit before;
    int rc = visit(c, a->entity.jid, &before);
    (void)arg;
    if (rc)
        return rc;
    c->self = a->entity.jid;
    a->exists = EXISTS_YES;
    a->removed = false;
    struct mk_ev_account ev = { a->entity.jid };
    chain_run(c, MK_HOOK_account_created, &ev);
    return leave(c, &before, 0);
}

int mk_account_create(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    struct visit before;
    int rc = visit(c, account, &before);
    if (rc)
        return rc;
    rc = leave(c, &before, create(c, before.account, password));
    return rc ? rc : entity_ask(c, before.account, "account_created", created_turn, NULL, NULL);
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

int mk_account_scram(struct mk_ctx *c, const struct mk_jid *account, uint32_t hash, struct mk_scram_keys *out) {
    struct visit before;
    const struct mk_auth *provider;
    int rc = visit(c, account, &before);
    if (rc)
        return rc;
    rc = find_provider(c, before.account, &provider);
    if (rc == 0)
        rc = mk_auth_scram(c, provider, before.account, hash, out);
    return leave(c, &before, rc);
}

MK_SUSPENDS static int put_keys(struct mk_ctx *c, const struct mk_jid *account, const struct mk_scram_keys *keys,
                                uint32_t count, bool *made) {
    const struct host_type *type = c->host->type;
    const struct mk_auth *provider;
    int rc = find_writer(c, account, &provider);
    if (rc != MK_E_NOTFOUND)
        return rc ? rc : mk_auth_put_keys(c, provider, account, keys, count);
    *made = true;
    for (uint32_t i = 0; i < type->auth_count; i++)
        if (provider_caps(type->auth[i]) & MK_AUTH_WRITE)
            return mk_auth_put_keys(c, type->auth[i], account, keys, count);
    return MK_E_UNSUPPORTED;
}

int mk_account_put_keys(struct mk_ctx *c, const struct mk_jid *account, const struct mk_scram_keys *keys,
                        uint32_t count) {
    struct visit before;
    bool made = false;
    int rc = visit(c, account, &before);
    if (rc)
        return rc;
    rc = leave(c, &before, put_keys(c, before.account, keys, count, &made));
    return rc || !made ? rc : entity_ask(c, before.account, "account_created", created_turn, NULL, NULL);
}

/* ---- remove ------------------------------------------------------------------------------------------------------- */

struct removal {
    bool by_mail; /* a plugin asks in the account's own turn, and may hold a session */
};

static void end_sessions(struct mk_ctx *c, struct account *a, bool by_mail) {
    static const char cond[] = "not-authorized", text[] = "The account was removed";
    struct list *l, *next;
    for (l = a->sessions.next; by_mail && l != &a->sessions; l = next) {
        next = l->next;
        mk_session_close(c, container_of(l, struct mk_session, link), cond, text);
    }
    while (!by_mail && !list_empty(&a->sessions)) {
        struct mk_session *s = container_of(a->sessions.next, struct mk_session, link);
        if (s->stream)
            stream_close(s->stream, cond, text);
        session_end(c, s, MK_CLOSED_BY_SERVER);
    }
}

/* What plugins stored goes first: if the provider then fails, the account is empty but can be removed again.  The other
 * way round the next owner of the name would find what is left. */
MK_SUSPENDS static int removed_turn(struct mk_ctx *c, void *arg) {
    const struct removal *r = arg;
    struct account *a = account_of(c->entity);
    const struct mk_auth *provider;
    struct visit before;
    int rc = visit(c, a->entity.jid, &before);
    if (rc)
        return rc;
    c->self = a->entity.jid;
    rc = find_writer(c, a->entity.jid, &provider);
    if (rc)
        return leave(c, &before, rc);
    a->removed = true;
    end_sessions(c, a, r->by_mail);
    struct mk_ev_account ev = { a->entity.jid };
    chain_run(c, MK_HOOK_account_removed, &ev);
    rc = mk_auth_remove(c, provider, a->entity.jid);
    a->removed = rc == 0;
    if (rc == 0)
        a->exists = EXISTS_NO;
    else
        mk_log(c, MK_ERROR, "the data of the account is gone, but not the account itself: %s", mk_strerror(rc));
    return leave(c, &before, rc);
}

int mk_account_remove(struct mk_ctx *c, const struct mk_jid *account) {
    struct visit before;
    int rc = visit(c, account, &before);
    if (rc)
        return rc;
    leave(c, &before, 0);
    struct removal *r = xmalloc(sizeof *r);
    r->by_mail = c->inst && turn_is_of(c, account);
    return entity_ask(c, before.account, "account_removed", removed_turn, free, r);
}
