/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/command.h"
#include "route/ask.h"
#include "route/router.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

/* ---- finding ------------------------------------------------------------------------------------------------------- */

static const struct command_entry *find_in(const struct host_type *t, const char *name) {
    for (uint32_t i = 0; i < t->command_count; i++)
        if (strcmp(t->commands[i].row->name, name) == 0)
            return &t->commands[i];
    return NULL;
}

static int by_name(const void *a, const void *b) {
    const struct command_entry *const *x = a, *const *y = b;
    return strcmp((*x)->row->name, (*y)->row->name);
}

void commands_all(struct arena *arena, struct command_list *out) {
    const struct snapshot *s = snapshot_current();
    uint32_t room = 1, kept = 0;
    for (uint32_t i = 0; i < s->type_count; i++)
        room += s->types[i]->command_count;
    *out = (struct command_list){ arena_alloc(arena, room * sizeof *out->items), 0 };
    for (uint32_t i = 0; i < s->type_count; i++)
        for (uint32_t k = 0; k < s->types[i]->command_count; k++)
            out->items[out->count++] = &s->types[i]->commands[k];
    qsort(out->items, out->count, sizeof *out->items, by_name);
    for (uint32_t i = 0; i < out->count; i++)
        if (!kept || strcmp(out->items[i]->row->name, out->items[kept - 1]->row->name) != 0)
            out->items[kept++] = out->items[i];
    out->count = kept;
}

bool command_takes_host(const struct command_entry *e) {
    return e->inst && !*e->row->at;
}

static int unknown(struct call *call, const char *name) {
    struct command_list all;
    commands_all(&call->arena, &all);
    const char **names = arena_alloc(&call->arena, (all.count + 1) * sizeof *names);
    for (uint32_t i = 0; i < all.count; i++)
        names[i] = all.items[i]->row->name;
    /* Some of its words may be arguments. */
    char *part = arena_strdup(&call->arena, name), *dot;
    const char *near = nearest_name(part, names, all.count);
    while (!near && (dot = strrchr(part, '.')) != NULL) {
        *dot = '\0';
        near = nearest_name(part, names, all.count);
    }
    if (near)
        return mk_result_error(&call->result, MK_E_NOTFOUND, "there is no command %.64s; did you mean %s?", name, near);
    return mk_result_error(&call->result, MK_E_NOTFOUND, "there is no command %.64s", name);
}

/* ---- whose turn ---------------------------------------------------------------------------------------------------- */

static int for_account(struct call *call, const char *at) {
    const struct mk_jid *jid = mk_arg_jid(&call->args, at);
    const struct host *host = jid ? host_find(jid_domain(jid), jid->domain_len) : NULL;
    if (!jid)
        return mk_result_error(&call->result, MK_E_INVALID, "argument %s is missing", at);
    if (!jid->local_len)
        return mk_result_error(&call->result, MK_E_INVALID, "%s must be an account such as alice@%s, not a host", at,
                               jid_domain(jid));
    if (!host)
        return mk_result_error(&call->result, MK_E_NOTFOUND, "%.*s is not served here", (int)jid->domain_len,
                               jid_domain(jid));
    const struct command_entry *e = find_in(host->type, call->row->name);
    if (!e)
        return mk_result_error(&call->result, MK_E_UNSUPPORTED, "host %s has no command %s", host->name,
                               call->row->name);
    call->inst = e->inst;
    call->target = jid_bare(&call->arena, jid);
    return 0;
}

/* The host that was named, else that of who asks, else the only one that has the command; of those that the server
 * itself has any will do. */
static const struct host *choose_host(struct call *call, const struct host *caller) {
    const struct snapshot *s = snapshot_current();
    const struct host *only = NULL;
    uint32_t count = 0;
    if (caller && find_in(caller->type, call->row->name))
        return caller;
    for (uint32_t i = 0; i < s->host_count; i++) {
        if (!find_in(s->hosts[i]->type, call->row->name))
            continue;
        only = only ? only : s->hosts[i];
        count++;
    }
    if (count > 1 && call->inst) {
        mk_result_error(&call->result, MK_E_INVALID, "%u hosts have this command: say which with host=DOMAIN", count);
        return NULL;
    }
    return only;
}

static const char *named_host(const struct call *call) {
    for (uint32_t i = 0; i < call->args.count; i++)
        if (strcmp(call->args.items[i].decl->name, "host") == 0)
            return call->args.items[i].text;
    return NULL;
}

static int for_host(struct call *call, const struct host *caller) {
    const char *name = named_host(call);
    const struct host *host;
    if (name) {
        const struct mk_jid *jid;
        bool good = jid_parse(&call->arena, name, strlen(name), &jid) == 0;
        host = good && jid->domain_len == jid->text_len ? host_find(jid->text, jid->domain_len) : NULL;
        if (!host)
            return mk_result_error(&call->result, MK_E_NOTFOUND, "%.80s is not served here", name);
    } else {
        host = choose_host(call, caller);
        if (!host)
            return call->result.why ? MK_E_INVALID
                                    : mk_result_error(&call->result, MK_E_UNAVAILABLE, "no host is served");
    }
    const struct command_entry *e = find_in(host->type, call->row->name);
    if (!e)
        return mk_result_error(&call->result, MK_E_UNSUPPORTED, "host %s has no command %s", host->name,
                               call->row->name);
    call->inst = e->inst;
    call->target = jid_copy(&call->arena, host->jid);
    return 0;
}

/* ---- calls --------------------------------------------------------------------------------------------------------- */

struct call *call_new(void) {
    struct call *call = xcalloc(1, sizeof *call);
    atomic_init(&call->holders, 1);
    atomic_init(&call->finished, false);
    arena_init(&call->arena);
    result_init(&call->result, &call->arena);
    return call;
}

void call_unref(struct call *call) {
    if (atomic_fetch_sub_explicit(&call->holders, 1, memory_order_acq_rel) != 1)
        return;
    args_wipe(&call->args);
    arena_free(&call->arena);
    free(call);
}

static void unref(void *call) {
    call_unref(call);
}

int call_prepare(struct call *call, const struct host *caller, const char *name, uint32_t count,
                 const char *const *names, const char *const *values) {
    const struct snapshot *s = snapshot_current();
    const struct command_entry *e = caller ? find_in(caller->type, name) : NULL;
    for (uint32_t i = 0; s && !e && i < s->type_count; i++)
        e = find_in(s->types[i], name);
    if (!e)
        return unknown(call, name);
    call->row = e->row;
    call->inst = e->inst;
    int rc = args_check(&call->args, &call->arena, &e->row->args, command_takes_host(e), count, names, values,
                        &call->result);
    if (rc)
        return rc;
    return *call->row->at ? for_account(call, call->row->at) : for_host(call, caller);
}

static int run(struct mk_ctx *c, void *arg) {
    struct call *call = arg;
    c->inst = call->inst;
    atomic_store_explicit(&c->worker->busy_with, call->row->name, memory_order_relaxed);
    call->rc = call->row->run(c, &call->args, &call->result);
    if (call->rc != 0 && !call->result.why)
        mk_result_error(&call->result, call->rc, "%s", mk_strerror(call->rc));
    atomic_store_explicit(&call->finished, true, memory_order_release);
    return call->rc;
}

/* ---- from the main thread ------------------------------------------------------------------------------------------ */

static void call_back(struct post *p) {
    struct call *call = container_of(p, struct call, post);
    if (!call->finished) {
        call->rc = MK_E_UNAVAILABLE;
        mk_result_error(&call->result, call->rc, "the host is not served any more");
    }
    call->done(call);
    if (call->result.stops)
        stop_server(&call->result);
    call_unref(call);
}

static void run_turn(struct mk_ctx *c, void *arg) {
    run(c, arg);
}

static void end_turn(void *arg) {
    struct call *call = arg;
    main_post(&call->post);
}

void call_start(struct call *call, void (*done)(struct call *call), void *user) {
    call->done = done;
    call->user = user;
    call->post.run = call_back;
    entity_run(call->target, true, run_turn, end_turn, call);
}

/* ---- SDK ----------------------------------------------------------------------------------------------------------- */

const struct mk_cmd_decl *mk_command_at(const struct mk_ctx *c, unsigned i) {
    const struct host_type *t = c->host ? c->host->type : NULL;
    return t && i < t->command_count ? t->commands[i].row : NULL;
}

/* The result of a call that nobody waits for any more is not to be read: it is being written, or will be. */
static int no_answer(struct mk_ctx *c, int rc, const struct mk_result **out) {
    struct mk_result *r = arena_alloc(&c->arena, sizeof *r);
    result_init(r, &c->arena);
    *out = r;
    return mk_result_error(r, rc, "%s", mk_strerror(rc));
}

int mk_command_run(struct mk_ctx *c, const char *name, uint32_t count, const char *const *names,
                   const char *const *values, const struct mk_result **out) {
    struct call *call = call_new();
    arena_defer(&c->arena, unref, call);
    *out = &call->result;
    int rc = call_prepare(call, c->host, name, count, names, values);
    if (rc)
        return rc;
    if (turn_is_of(c, call->target))
        return mk_result_error(&call->result, MK_E_INVALID, "the command would wait for the turn that asks for it");
    atomic_fetch_add_explicit(&call->holders, 1, memory_order_relaxed);
    rc = entity_ask(c, call->target, "command", run, unref, call);
    if (!atomic_load_explicit(&call->finished, memory_order_acquire))
        return no_answer(c, rc ? rc : MK_E_UNAVAILABLE, out);
    if (call->result.stops)
        stop_server(&call->result);
    return call->rc;
}
