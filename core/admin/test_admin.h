/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of admin/ share: two hosts, two workers and the main loop; no network, no plugins but the one made up
 * here.  Checks belong to the main thread: turns leave what they saw in static memory.
 */
#ifndef ADMIN_TEST_ADMIN_H
#define ADMIN_TEST_ADMIN_H

#include "admin/command.h"
#include "check.h"
#include "route/router.h"
#include "run/metric.h"
#include "run/offload.h"
#include "util/log.h"
#include "util/mem.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(MK_SANITIZED)
enum { TEST_STACK = 512 * 1024 };
#else
enum { TEST_STACK = 64 * 1024 };
#endif

static struct event_base *main_base;
static struct arena test_arena;
static struct plugin test_plugin = { .name = "t", .level = 7 };
static struct instance test_instance = { .plugin = &test_plugin, .name = "t", .type_name = "default" };
static struct host_type test_type = { .name = "default" }, other_type = { .name = "other" };
static struct host one_host = { .name = "one.example", .type = &test_type },
                   two_host = { .name = "two.example", .type = &test_type },
                   bare_host = { .name = "bare.example", .type = &other_type };
static const struct host *const all_hosts[] = { &one_host, &two_host, &bare_host };
static const struct host_type *const all_types[] = { &test_type, &other_type };
static const struct plugin *const all_plugins[] = { &test_plugin };
static struct snapshot test_snapshot = { .number = 1,
                                         .hosts = all_hosts,
                                         .host_count = 3,
                                         .types = all_types,
                                         .type_count = 2,
                                         .plugins = all_plugins,
                                         .plugin_count = 1 };

static const struct mk_jid *jid(const char *text) {
    const struct mk_jid *out;
    if (jid_parse(&test_arena, text, strlen(text), &out) != 0)
        abort();
    return out;
}

/* Commands of the server, which come first, and of the test's plugin. */
static struct command_entry *make_commands(const struct mk_cmd_decl *rows, uint32_t count) {
    struct command_entry *all = arena_zalloc(&test_arena, (server_command_count + count) * sizeof *all);
    for (uint32_t i = 0; i < server_command_count; i++)
        all[i].row = &server_commands[i];
    for (uint32_t i = 0; i < count; i++)
        all[server_command_count + i] = (struct command_entry){ &rows[i], &test_instance };
    return all;
}

static int begin_worker(struct worker *w) {
    w->hosts = &test_snapshot;
    metrics_worker(w, 2000);
    return 0;
}

static void end_worker(struct worker *w) {
    entities_free(w);
}

static void set_up(const struct mk_cmd_decl *rows, uint32_t count) {
    static const struct worker_hooks hooks = { begin_worker, NULL, end_worker };
    main_base = event_base_new();
    for (uint32_t i = 0; i < test_snapshot.host_count; i++) {
        struct host *h = (struct host *)all_hosts[i];
        h->jid = jid(h->name);
        table_add(&test_snapshot.by_name, hash_bytes(h->name, strlen(h->name)), h);
    }
    test_type.commands = make_commands(rows, count);
    test_type.command_count = server_command_count + count;
    other_type.commands = make_commands(NULL, 0);
    other_type.command_count = server_command_count;
    snapshot_publish(&test_snapshot);
    metrics_number();
    stats_setup(2);
    main_setup(main_base);
    if (offload_start(1) != 0 || workers_start(2, 16, TEST_STACK, &hooks) != 0)
        abort();
}

static void tear_down(void) {
    workers_stop();
    offload_stop();
    main_setup(NULL);
    workers_free();
    stats_free();
    table_free(&test_snapshot.by_name);
    snapshot_publish(NULL);
    event_base_free(main_base);
    arena_free(&test_arena);
    arena_pool_trim();
}

/* The main loop goes round until *DONE. */
static void loop_until(const volatile bool *done) {
    while (!*done)
        event_base_loop(main_base, EVLOOP_ONCE);
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static volatile bool call_done;

static void on_call_done(struct call *call) {
    atomic_fetch_add(&call->holders, 1);
    call_done = true;
}

/* Runs a command as the control socket does; NAMES_AND_VALUES ended by NULL.  To be given back with call_unref(). */
__attribute__((unused, sentinel)) static struct call *run_command(const char *command, ...) {
    const char *names[8], *values[8];
    uint32_t count = 0;
    va_list args;
    va_start(args, command);
    while ((names[count] = va_arg(args, const char *)) != NULL)
        values[count++] = va_arg(args, const char *);
    va_end(args);
    struct call *call = call_new();
    call->rc = call_prepare(call, NULL, command, count, names, values);
    if (call->rc)
        return call;
    call_done = false;
    call_start(call, on_call_done, NULL);
    loop_until(&call_done);
    return call;
}

#define CHECK_FIELD(c, row, name, want) CHECK_TEXT(mk_result_get(NULL, &(c)->result, (row), (name)), (want))
#define CHECK_FAILS(made, code, want)                                                                                  \
    do {                                                                                                               \
        struct call *c_ = (made);                                                                                      \
        CHECK_TEXT(mk_result_why(&c_->result), (want));                                                                \
        CHECK_INT(c_->rc, (code));                                                                                     \
        call_unref(c_);                                                                                                \
    } while (0)

/* ---- turns ------------------------------------------------------------------------------------------------------- */

struct in_turn {
    struct post post;
    void (*fn)(struct mk_ctx *c);
    volatile bool done;
};

static void turn_over(struct post *p) {
    container_of(p, struct in_turn, post)->done = true;
}

static void turn_run(struct mk_ctx *c, void *arg) {
    ((struct in_turn *)arg)->fn(c);
}

static void turn_left(void *arg) {
    struct in_turn *t = arg;
    t->post.run = turn_over;
    main_post(&t->post);
}

/* Runs FN in the turn of an account or host, on a fiber, and waits. */
__attribute__((unused)) static void in_turn_of(const char *who, void (*fn)(struct mk_ctx *c)) {
    struct in_turn t = { .fn = fn };
    entity_run(jid(who), true, turn_run, turn_left, &t);
    loop_until(&t.done);
}

/* Gives the account whose turn it is a detached session. */
__attribute__((unused)) static void add_session(struct mk_ctx *c, const char *resource, bool available) {
    static atomic_uint numbers;
    struct account *a = account_of(c->entity);
    struct mk_session *s = xcalloc(1, sizeof *s + slots_size(MK_ON_SESSION));
    s->account = a;
    s->jid = mk_jid_keep(jid_with(&c->arena, a->entity.jid, (struct mk_view){ resource, strlen(resource) }));
    s->address = xstrdup("192.0.2.1:5000");
    s->number = atomic_fetch_add(&numbers, 1) + 1;
    s->since = 1700000000000000;
    s->available = available;
    list_init(&s->owed);
    list_append(&a->sessions, &s->link);
    a->session_count++;
}

#endif
