/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about accounts and sessions. */
#include "admin/command.h"
#include "route/session.h"
#include "util/mem.h"
#include <meerkat/auth.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 100000, LIST_DEFAULT = 10000, PAGE = 1000 };

/* ---- accounts ------------------------------------------------------------------------------------------------------ */

static int explain(struct mk_result *result, int rc, const struct mk_jid *account) {
    const char *who = mk_jid_text(account);
    switch (rc) {
    case MK_OK:
        return rc;
    case MK_E_NOTFOUND:
        return mk_result_error(result, rc, "there is no account %s", who);
    case MK_E_CONFLICT:
        return mk_result_error(result, rc, "the account %s exists already", who);
    case MK_E_UNSUPPORTED:
        return mk_result_error(result, rc, "where the passwords of %s live they can't be written to",
                               jid_domain(account));
    case MK_E_INVALID:
        return mk_result_error(result, rc, "the password is empty or has characters that no password may have");
    case MK_E_LIMIT:
        return mk_result_error(result, rc,
                               "the password breaks a rule that the configuration makes, such as a least length");
    default:
        return mk_result_error(result, rc, "%s: %s", who, mk_strerror(rc));
    }
}

static const struct mk_jid *account_arg(struct mk_ctx *c, const struct mk_args *args) {
    return jid_bare(&c->arena, mk_arg_jid(args, "account"));
}

int cmd_users_add(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *account = account_arg(c, args);
    return explain(result, mk_account_create(c, account, mk_arg_text(args, "password")), account);
}

int cmd_users_del(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *account = account_arg(c, args);
    return explain(result, mk_account_remove(c, account), account);
}

int cmd_users_password(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *account = account_arg(c, args);
    return explain(result, mk_account_set_password(c, account, mk_arg_text(args, "password")), account);
}

int cmd_users_exists(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *account = account_arg(c, args);
    int rc = mk_account_exists(c, account);
    if (rc && rc != MK_E_NOTFOUND)
        return explain(result, rc, account);
    mk_result_bool(result, "exists", rc == 0);
    return MK_OK;
}

/* ---- users.list ---------------------------------------------------------------------------------------------------- */

struct names {
    const char **items;
    uint32_t count;
};

static int by_octets(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first LIMIT names behind AFTER that any provider has. */
MK_SUSPENDS static int page_of_all(struct mk_ctx *c, const char *after, uint32_t limit, struct names *out) {
    const struct host_type *type = c->host->type;
    uint32_t kept = 0;
    out->items = arena_alloc(&c->arena, (type->auth_count * (size_t)limit + 1) * sizeof *out->items);
    out->count = 0;
    for (uint32_t i = 0; i < type->auth_count; i++) {
        struct mk_auth_page page = { NULL, 0, 0 };
        if (!(mk_auth_caps(type->auth[i]) & MK_AUTH_LIST))
            continue;
        int rc = mk_auth_list(c, type->auth[i], after, limit, &page);
        if (rc)
            return rc;
        for (uint32_t k = 0; k < page.count && k < limit; k++)
            out->items[out->count++] = page.names[k];
    }
    qsort(out->items, out->count, sizeof *out->items, by_octets);
    for (uint32_t i = 0; i < out->count && kept < limit; i++)
        if (!kept || strcmp(out->items[i], out->items[kept - 1]) != 0)
            out->items[kept++] = out->items[i];
    out->count = kept;
    return MK_OK;
}

static bool can_list(const struct host_type *type) {
    for (uint32_t i = 0; i < type->auth_count; i++)
        if (mk_auth_caps(type->auth[i]) & MK_AUTH_LIST)
            return true;
    return false;
}

/* 0, or -1: it is out of range. */
static int read_limit(const struct mk_args *args, struct mk_result *result, uint32_t *out) {
    int64_t limit = mk_arg_has(args, "limit") ? mk_arg_int(args, "limit") : LIST_DEFAULT;
    if (limit < 1 || limit > LIST_MAX) {
        mk_result_error(result, MK_E_INVALID, "limit must be from 1 to %d", LIST_MAX);
        return -1;
    }
    *out = (uint32_t)limit;
    return 0;
}

MK_SUSPENDS static void show_page(struct mk_ctx *c, struct mk_result *result, const struct names *page) {
    const char **states = arena_zalloc(&c->arena, (page->count + 1) * sizeof *states);
    struct mk_ev_accounts ev = { .names = page->items, .states = states, .count = page->count };
    chain_run(c, MK_HOOK_accounts_listed, &ev);
    for (uint32_t i = 0; i < page->count; i++) {
        mk_result_next(result);
        mk_result_text(result, "account", mk_printf(c, "%s@%s", page->items[i], c->host->name));
        mk_result_text(result, "state", states[i] ? states[i] : "enabled");
    }
}

static int check_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    if (!mk_arg_has(args, "host") && snapshot_current()->host_count > 1)
        return mk_result_error(result, MK_E_INVALID, "several hosts are served: say which with host=DOMAIN");
    if (!can_list(c->host->type))
        return mk_result_error(result, MK_E_UNSUPPORTED, "where the passwords of %s live they can't be listed",
                               c->host->name);
    return MK_OK;
}

int cmd_users_count(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *after = NULL;
    struct names page = { NULL, PAGE };
    int64_t count = 0;
    int rc = check_list(c, args, result);
    while (rc == MK_OK && page.count == PAGE) {
        rc = page_of_all(c, after, PAGE, &page);
        if (rc != MK_OK || !page.count)
            break;
        count += page.count;
        after = page.items[page.count - 1];
    }
    if (rc == MK_OK)
        mk_result_int(result, "accounts", count);
    return rc;
}

int cmd_users_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *after = mk_arg_text(args, "after");
    uint32_t left;
    int rc = check_list(c, args, result);
    if (rc != MK_OK)
        return rc;
    if (read_limit(args, result, &left) != 0)
        return MK_E_INVALID;
    while (left) {
        struct names page;
        uint32_t limit = left < PAGE ? left : PAGE;
        rc = page_of_all(c, after, limit, &page);
        if (rc)
            return rc;
        show_page(c, result, &page);
        if (page.count < limit)
            return MK_OK;
        after = page.items[page.count - 1];
        left -= limit;
    }
    mk_result_say(result, "There may be more: after=%s shows what follows.", after);
    return MK_OK;
}

/* ---- sessions ------------------------------------------------------------------------------------------------------ */

struct wanted {
    uint32_t limit;
    char texts[]; /* bare address of the account, NUL, name of the host, NUL; empty: all */
};

struct session_row {
    const char *jid, *address;
    int64_t since, idle_ms;
    int priority;
    bool connected, available;
};

/* What a worker found. */
struct found {
    const struct wanted *wanted;
    const char *account, *host;
    struct arena *arena;
    struct session_row *rows;
    uint32_t count, cap;
};

static void add_session(struct found *f, const struct mk_session *s) {
    if (f->count == f->wanted->limit)
        return;
    if (f->count == f->cap) {
        struct session_row *more = arena_alloc(f->arena, (f->cap ? f->cap * 2 : 16) * sizeof *more);
        if (f->count)
            memcpy(more, f->rows, f->count * sizeof *more);
        f->rows = more;
        f->cap = f->cap ? f->cap * 2 : 16;
    }
    f->rows[f->count++] = (struct session_row){ arena_strdup(f->arena, s->jid->text),
                                                arena_strdup(f->arena, mk_session_address(s)),
                                                s->since,
                                                s->stream ? mk_stream_idle_ms(s->stream) : 0,
                                                s->priority,
                                                s->stream != NULL,
                                                s->available };
}

static void look_at(struct account *a, void *arg) {
    struct found *f = arg;
    if ((*f->account && strcmp(a->entity.jid->text, f->account) != 0) ||
        (*f->host && strcmp(a->entity.host->name, f->host) != 0))
        return;
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next)
        add_session(f, container_of(l, struct mk_session, link));
}

static void *find_sessions(struct worker *w, struct arena *arena, const void *arg) {
    struct found *f = arena_zalloc(arena, sizeof *f);
    (void)w;
    f->wanted = arg;
    f->account = f->wanted->texts;
    f->host = f->account + strlen(f->account) + 1;
    f->arena = arena;
    accounts_each(look_at, f);
    return f;
}

static int by_jid(const void *a, const void *b) {
    return strcmp(((const struct session_row *)a)->jid, ((const struct session_row *)b)->jid);
}

static void show_session(struct mk_ctx *c, struct mk_result *result, const struct session_row *s) {
    mk_result_next(result);
    mk_result_text(result, "jid", s->jid);
    mk_result_text(result, "address", s->address);
    mk_result_bool(result, "connected", s->connected);
    mk_result_bool(result, "available", s->available);
    mk_result_int(result, "priority", s->priority);
    mk_result_text(result, "since", time_of_day(c, s->since));
    mk_result_int(result, "idle", s->idle_ms / 1000);
}

static struct wanted *make_wanted(struct mk_ctx *c, const struct mk_args *args, uint32_t limit, size_t *size) {
    const struct mk_jid *jid = mk_arg_jid(args, "account");
    const char *account = jid ? jid_bare(&c->arena, jid)->text : "",
               *host = mk_arg_has(args, "host") ? c->host->name : "";
    *size = sizeof(struct wanted) + strlen(account) + strlen(host) + 2;
    struct wanted *w = arena_zalloc(&c->arena, *size);
    w->limit = limit;
    strcpy(stpcpy(w->texts, account) + 1, host);
    return w;
}

static struct session_row *join(struct mk_ctx *c, void **found, uint32_t *count) {
    uint32_t room = 1;
    for (unsigned i = 0; i < worker_count; i++)
        room += ((const struct found *)found[i])->count;
    struct session_row *all = arena_alloc(&c->arena, room * sizeof *all);
    *count = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        const struct found *f = found[i];
        if (f->count)
            memcpy(all + *count, f->rows, f->count * sizeof *all);
        *count += f->count;
    }
    qsort(all, *count, sizeof *all, by_jid);
    return all;
}

int cmd_sessions_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    uint32_t count, limit;
    size_t size;
    void **found;
    if (read_limit(args, result, &limit) != 0)
        return MK_E_INVALID;
    const struct wanted *wanted = make_wanted(c, args, limit + 1, &size);
    int rc = gather(c, find_sessions, wanted, size, &found);
    if (rc)
        return rc;
    const struct session_row *all = join(c, found, &count);
    for (uint32_t i = 0; i < count && i < limit; i++)
        show_session(c, result, &all[i]);
    if (count > limit)
        mk_result_say(result, "There are more than %u sessions: limit=NUMBER shows more.", limit);
    return MK_OK;
}

struct tally {
    int64_t sessions, connected, accounts;
};

/* What a worker counted, by host of the snapshot that it follows: workers may follow different ones for a moment. */
struct tallies {
    const struct snapshot *snapshot;
    struct tally of_host[];
};

static void count_account(struct account *a, void *arg) {
    struct tallies *t = arg;
    uint32_t i = 0;
    while (i < t->snapshot->host_count && t->snapshot->hosts[i] != a->entity.host)
        i++;
    if (i == t->snapshot->host_count || list_empty(&a->sessions))
        return;
    t->of_host[i].accounts++;
    t->of_host[i].sessions += a->session_count;
    for (struct list *l = a->sessions.next; l != &a->sessions; l = l->next)
        t->of_host[i].connected += container_of(l, struct mk_session, link)->stream != NULL;
}

static void *count_sessions(struct worker *w, struct arena *arena, const void *arg) {
    const struct snapshot *s = snapshot_current();
    struct tallies *t = arena_zalloc(arena, sizeof *t + s->host_count * sizeof t->of_host[0]);
    (void)w, (void)arg;
    t->snapshot = s;
    accounts_each(count_account, t);
    return t;
}

static struct tally sum_of(const char *host, void **tallies) {
    struct tally sum = { 0, 0, 0 };
    for (unsigned k = 0; k < worker_count; k++) {
        const struct tallies *t = tallies[k];
        for (uint32_t i = 0; i < t->snapshot->host_count; i++) {
            if (strcmp(t->snapshot->hosts[i]->name, host) != 0)
                continue;
            sum.sessions += t->of_host[i].sessions;
            sum.connected += t->of_host[i].connected;
            sum.accounts += t->of_host[i].accounts;
        }
    }
    return sum;
}

int cmd_sessions_count(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct snapshot *s = snapshot_current();
    void **tallies;
    int rc = gather(c, count_sessions, NULL, 0, &tallies);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < s->host_count; i++) {
        if (mk_arg_has(args, "host") && strcmp(s->hosts[i]->name, c->host->name) != 0)
            continue;
        struct tally sum = sum_of(s->hosts[i]->name, tallies);
        mk_result_next(result);
        mk_result_text(result, "host", s->hosts[i]->name);
        mk_result_int(result, "sessions", sum.sessions);
        mk_result_int(result, "connected", sum.connected);
        mk_result_int(result, "accounts", sum.accounts);
    }
    return MK_OK;
}

int cmd_sessions_kick(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *who = mk_arg_jid(args, "account");
    const char *reason = mk_arg_text(args, "reason");
    int64_t ended = 0;
    for (struct mk_session *s = mk_session_next(c, NULL); s; s = mk_session_next(c, s)) {
        if (who->resource_len && !mk_jid_same(who, s->jid))
            continue;
        mk_session_close(c, s, "policy-violation", reason ? reason : "Ended by an administrator");
        ended++;
    }
    mk_result_int(result, "ended", ended);
    return MK_OK;
}
