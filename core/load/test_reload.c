/* SPDX-License-Identifier: Apache-2.0 */
#include "run/worker.h"
#include "test_load.h"

static struct buf notes;

static bool reload(const char *text) {
    buf_free(&notes);
    buf_puts(&notes, "");
    struct conf_node *root = read_config(text);
    return load_reload(root, &errors, &notes);
}

/* The fields of struct alpha in test/abi/t_alpha.c. */
struct alpha {
    const char *greeting, *fixed;
    int64_t limit;
    struct mk_texts words;
    const char *started;
};
static const struct alpha *alpha(void) {
    return instance_of("t_alpha")->bytes;
}

static const char *messages(void) {
    return run_stanza_hook(turn_of("localhost"), MK_HOOK_user_send_message, NULL);
}

/* ---- what a reload changes --------------------------------------------------------------------------------------- */

static void live_options_change(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { greeting = \"x\"; fixed = \"old\"; }; t_starter = { }; };"));
    const struct instance *inst = instance_of("t_alpha"), *starter = instance_of("t_starter");
    const struct alpha *old = alpha();
    const void *starter_bytes = starter->bytes;
    CHECK(reload(BASE "plugins = { t_alpha = { greeting = \"y\"; limit = 33; words = [ \"w\" ]; fixed = \"old\"; }; "
                      "t_starter = { }; };"));
    CHECK_TEXT(said(), "");
    CHECK_TEXT(notes.data, "");
    CHECK(instance_of("t_alpha") == inst && alpha() != old);
    CHECK_TEXT(alpha()->greeting, "y");
    CHECK_INT(alpha()->limit, 33);
    CHECK_INT(alpha()->words.count, 1);
    /* What start() put there came along; nothing of the old instance changed. */
    CHECK(alpha()->started == old->started);
    CHECK_TEXT(old->greeting, "x");
    CHECK_INT(old->limit, 10);
    CHECK(starter->bytes == starter_bytes);
    CHECK_TEXT(messages(), "Ay");
}

static void other_options_wait(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { fixed = \"old\"; }; };"));
    const struct alpha *old = alpha();
    CHECK(reload(BASE "plugins = { t_alpha = { fixed = \"new\"; }; };"));
    CHECK_TEXT(notes.data, "needs a restart: plugin t_alpha, option fixed\n");
    CHECK(alpha() == old);
    CHECK(reload(BASE "plugins = { t_alpha = { fixed = \"new\"; greeting = \"z\"; }; };"));
    CHECK_TEXT(notes.data, "needs a restart: plugin t_alpha, option fixed\n");
    CHECK_TEXT(alpha()->fixed, "old");
    CHECK_TEXT(alpha()->greeting, "z");
    CHECK(reload(BASE "plugins = { t_alpha = { fixed = \"old\"; greeting = \"z\"; }; };"));
    CHECK_TEXT(notes.data, "");
}

static void a_wrong_configuration_changes_nothing(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { greeting = \"x\"; }; };"));
    const struct snapshot *s = snapshot_current();
    CHECK(!reload(BASE "plugins = { t_alpha = { greeting = \"y\"; limit = 0; }; t_gamma = { }; };"));
    CHECK_TEXT(said(), "1: option `limit` of plugin t_alpha must be in the range 1 to 100\n");
    CHECK(snapshot_current() == s);
    CHECK_TEXT(alpha()->greeting, "x");
    forget_errors();
    CHECK(!reload(BASE "plugins = { t_alpha = { greeting = \"y\"; }; t_starter = { fail = true; }; };"));
    CHECK_TEXT(said(), "1: plugin t_starter: told to fail\n");
    CHECK(snapshot_current() == s);
    CHECK_TEXT(alpha()->greeting, "x");
    forget_errors();
    CHECK(reload(BASE "plugins = { t_alpha = { greeting = \"y\"; }; t_starter = { }; };"));
    CHECK_TEXT(alpha()->greeting, "y");
    CHECK(instance_of("t_starter")->started);
}

static void plugins_come_and_go(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { }; };"));
    const struct instance *inst = instance_of("t_alpha");
    const struct snapshot *first = snapshot_current();
    CHECK_INT(first->number, 1);
    unsigned metrics = load_metric_limit();
    CHECK(reload(BASE "plugins = { t_alpha = { }; t_beta = { }; };"));
    CHECK_TEXT(said(), "");
    CHECK_TEXT(messages(), "eAhB4-1");
    CHECK(instance_of("t_alpha") == inst && inst->since == 1 && instance_of("t_beta")->since == 2);
    CHECK_INT(snapshot_current()->number, 2);
    CHECK_INT(instance_of("t_beta")->plugin->metric_places[0], metrics);
    CHECK_INT(load_metric_limit(), metrics + 1);
    /* Who holds the old snapshot still has its chains. */
    CHECK_INT(first->types[0]->chains[MK_HOOK_user_send_message].count, 1);

    CHECK(reload(BASE "plugins = { t_alpha = { }; t_beta = { enabled = false; }; };"));
    CHECK_TEXT(messages(), "Ah");
    CHECK(reload(BASE "plugins = { t_alpha = { }; t_beta = { }; };"));
    CHECK_TEXT(messages(), "eAhB4-1");
    CHECK_INT(instance_of("t_beta")->since, 4);
    CHECK_INT(load.started_count, 2);
    /* host_started only for those that are new. */
    struct test_turn *t = turn_of("localhost");
    struct mk_ev_stanza ev = { .session = (struct mk_session *)t->log };
    chain_run_since(&t->ctx, MK_HOOK_user_send_message, &ev, 4);
    CHECK_TEXT(t->log, "eB4-1");
}

static void services_are_bound_anew(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { }; t_beta = { provider = \"t_alpha\"; }; };"));
    CHECK_TEXT(messages(), "eAhB4-1");
    CHECK(reload(BASE "plugins = { t_alpha = { }; t_gamma = { }; t_beta = { provider = \"t_alpha\"; }; };"));
    CHECK_TEXT(messages(), "eAhB4+2");
    CHECK(reload(BASE "plugins = { t_alpha = { }; t_gamma = { }; t_beta = { provider = \"t_gamma\"; }; };"));
    CHECK_TEXT(messages(), "eAhB7+2");
    CHECK(reload(BASE "plugins = { t_gamma = { }; t_beta = { provider = \"t_gamma\"; }; };"));
    CHECK_TEXT(messages(), "eB7+1");
    CHECK(!reload(BASE "plugins = { t_beta = { }; };"));
    CHECK_TEXT(said(),
               "1: plugin t_beta needs interface t_iface 1.2, provided by plugin t_alpha: enable it in `plugins`\n");
    CHECK_TEXT(messages(), "eB7+1");
}

static void hosts_come_and_go(void) {
    begin();
    CHECK(start("hosts = ( { name = \"localhost\"; }, { name = \"gone\"; } ); host_types = { default = { anonymous = "
                "true; }; };"
                "plugins = { t_alpha = { }; };"));
    const struct host *old = host_find("localhost", 9);
    CHECK(reload("hosts = ( { name = \"localhost\"; }, { name = \"new\"; type = \"other\"; } ); host_types = { default "
                 "= { anonymous = "
                 "true; }; other = { anonymous = true; }; }; plugins = { t_alpha = { log_level = \"debug\"; }; };"));
    CHECK_TEXT(said(), "");
    CHECK(host_find("gone", 4) == NULL);
    CHECK(host_find("localhost", 9) != old);
    CHECK_INT(host_find("localhost", 9)->since, 1);
    CHECK_INT(host_find("new", 3)->since, 2);
    CHECK_INT(instance_of("t_alpha")->plugin->level, MK_DEBUG);
    /* An instance for the new type, started. */
    CHECK_INT(load.started_count, 2);
    CHECK(host_find("new", 3)->type->instances[0] != instance_of("t_alpha"));
    CHECK_TEXT(old->name, "localhost");
}

static bool serves(const char *domain) {
    return domain_find(domain, strlen(domain)) != NULL;
}

static void domains_come_and_go(void) {
    begin();
    CHECK(start(BASE "plugins = { t_room = { slow = \"slow.@HOST@\"; }; };"));
    CHECK(serves("rooms.localhost") && serves("slow.localhost"));
    /* `domain` is live, `slow` waits for a restart: the plugin goes on with the old one, and so does the router. */
    CHECK(reload(BASE "plugins = { t_room = { domain = \"chat.@HOST@\"; slow = \"snail.@HOST@\"; }; };"));
    CHECK_TEXT(notes.data, "needs a restart: plugin t_room, option slow\n");
    CHECK(serves("chat.localhost") && !serves("rooms.localhost"));
    CHECK(serves("slow.localhost") && !serves("snail.localhost"));
    CHECK(!reload(BASE "plugins = { t_room = { domain = \"localhost\"; slow = \"slow.@HOST@\"; }; };"));
    CHECK(serves("chat.localhost"));
    forget_errors();
    CHECK(reload(BASE "plugins = { t_room = { enabled = false; }; };"));
    CHECK(!serves("chat.localhost") && !serves("slow.localhost"));
}

static void storage_waits(void) {
    begin();
    CHECK(start(HOST "plugins = { t_keeper = { }; }; backends = { one = { backend = \"t_backend\"; }; two = { backend "
                     "= \"t_backend\"; "
                     "}; }; storage = { default = \"one\"; };"));
    CHECK(reload(HOST "plugins = { t_keeper = { }; }; backends = { one = { backend = \"t_backend\"; path = \"other\"; "
                      "}; two = { backend "
                      "= \"t_backend\"; }; }; storage = { default = \"two\"; };"));
    CHECK_TEXT(said(), "");
    CHECK_TEXT(notes.data, "needs a restart: backend one, option path\n"
                           "needs a restart: storage of t_things\n");
    const struct mk_coll *coll = *(struct mk_coll *const *)instance_of("t_keeper")->bytes;
    CHECK_TEXT(coll->provider->name, "one");
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

struct full {
    int64_t count;
    char **gone;
};

static void slots_are_laid_out(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { limit = 7; }; };"));
    const struct plugin *p = instance_of("t_alpha")->plugin;
    struct test_turn *t = turn_of("localhost");
    /* Head and bits, 3 bytes in 8, 16 bytes; on accounts there are no bits. */
    CHECK_INT(slots_size(MK_ON_SESSION), 8 + 8 + 8 + 16);
    CHECK_INT(slots_size(MK_ON_ACCOUNT), 8 + 8);
    CHECK_INT(slots_size(MK_ON_ROOM), 8);
    uint64_t object[5], account[2];
    memset(object, 0xff, sizeof object);
    slots_init(&t->ctx, MK_ON_SESSION, object);
    slots_init(&t->ctx, MK_ON_ACCOUNT, account);
    CHECK(t->ctx.inst == NULL);
    t->ctx.inst = instance_of("t_alpha");
    char *bare = slots_get(&t->ctx, MK_ON_SESSION, object, p->slot_base);
    struct full *full = slots_get(&t->ctx, MK_ON_SESSION, object, p->slot_base + 1);
    int64_t *mine = slots_get(&t->ctx, MK_ON_ACCOUNT, account, p->slot_base + 2);
    CHECK(bare[0] == 0 && bare[2] == 0 && *mine == 0 && (char *)mine == (char *)account + 8);
    CHECK_INT(full->count, 7);
    full->count = 8;
    CHECK(slots_get(&t->ctx, MK_ON_SESSION, object, p->slot_base + 1) == full);
    CHECK_INT(full->count, 8);
    char gone[4] = "", *at = gone;
    full->gone = &at;
    slots_fini(MK_ON_SESSION, object);
    slots_fini(MK_ON_ACCOUNT, account);
    CHECK_TEXT(gone, "A");
}

static void slots_of_a_reload(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { }; };"));
    struct test_turn *t = turn_of("localhost");
    uint64_t object[5], idle[5];
    slots_init(&t->ctx, MK_ON_SESSION, object);
    slots_init(&t->ctx, MK_ON_SESSION, idle);
    CHECK(reload(BASE "plugins = { t_alpha = { }; t_beta = { }; };"));
    CHECK_INT(slots_size(MK_ON_SESSION), sizeof object);
    t = turn_of("localhost");
    t->ctx.inst = instance_of("t_beta");
    char gone[4] = "", *at = gone;
    char ***late = slots_get(&t->ctx, MK_ON_SESSION, object, instance_of("t_beta")->plugin->slot_base);
    CHECK(*late == NULL);
    CHECK(slots_get(&t->ctx, MK_ON_SESSION, object, instance_of("t_beta")->plugin->slot_base) == late);
    *late = &at;
    t->ctx.inst = instance_of("t_alpha");
    struct full *full = slots_get(&t->ctx, MK_ON_SESSION, object, instance_of("t_alpha")->plugin->slot_base + 1);
    full->gone = &at;
    /* Last come, first gone; an object that nobody touched has nothing to release. */
    slots_fini(MK_ON_SESSION, object);
    slots_fini(MK_ON_SESSION, idle);
    CHECK_TEXT(gone, "BA");
}

static void slots_of_a_type_without_the_plugin(void) {
    begin();
    static const char *const text =
        "hosts = ( { name = \"localhost\"; }, { name = \"guests\"; type = \"guests\"; } ); host_types = { default = { "
        "anonymous = true; }; guests = { anonymous = true; plugins = { t_alpha = { enabled = %s; }; }; }; };"
        "plugins = { t_alpha = { limit = 9; }; };";
    CHECK(start(arena_printf(&trees, text, "false")));
    uint64_t object[5];
    struct test_turn *t = turn_of("guests");
    slots_init(&t->ctx, MK_ON_SESSION, object);
    CHECK_INT(object[1], 0);
    CHECK(reload(arena_printf(&trees, text, "true")));
    t = turn_of("guests");
    t->ctx.inst = type_instance(t->ctx.host->type, instance_of("t_alpha")->plugin);
    struct full *full = slots_get(&t->ctx, MK_ON_SESSION, object, instance_of("t_alpha")->plugin->slot_base + 1);
    CHECK_INT(full->count, 9);
    slots_fini(MK_ON_SESSION, object);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

static atomic_uint follows;

static void count_follow(struct worker *w) {
    (void)w;
    follows++;
}

static int64_t seen[2];

static void look(struct worker *w, void *arg) {
    const struct instance *inst = arg;
    seen[w->index] = w->plugin_count > inst->number && w->plugin_memory[inst->number]
                         ? *(int64_t *)w->plugin_memory[inst->number]
                         : -1;
    if (snapshot_current() != w->hosts)
        seen[w->index] = -2;
}

static void workers_follow(void) {
    static const struct worker_hooks hooks = { .start = load_worker_start, .stop = load_worker_stop };
    begin();
    struct load_config config = { .plugin_dir = plugin_folder(), .workers = 2, .followed = count_follow };
    load_setup(&config);
    CHECK(start(BASE "plugins = { t_gamma = { }; };"));
    CHECK_INT(workers_start(2, 4, 65536, &hooks), 0);
    follows = 0;
    CHECK(reload(BASE "plugins = { t_gamma = { }; t_alpha = { limit = 44; }; };"));
    CHECK_INT(follows, 2);
    workers_each(look, (void *)instance_of("t_alpha"));
    CHECK_INT(seen[0], 44);
    CHECK_INT(seen[1], 44);
    /* A worker that can't start a plugin refuses the reload, and what was there goes on. */
    const struct snapshot *s = snapshot_current();
    CHECK(!reload("hosts = ( { name = \"localhost\"; }, { name = \"b\"; type = \"b\"; } ); host_types = { default = { "
                  "anonymous = true; }; b "
                  "= { anonymous = true; plugins = { t_alpha = { greeting = \"worker\"; }; }; }; }; plugins = { "
                  "t_gamma = { }; t_alpha = { "
                  "}; };"));
    CHECK_TEXT(said(), "plugin t_alpha can't start in a worker: no room\n");
    CHECK(snapshot_current() == s);
    CHECK_INT(follows, 2);
    forget_errors();
    CHECK(reload(BASE "plugins = { t_gamma = { }; t_alpha = { limit = 45; }; };"));
    CHECK_INT(follows, 4);
    workers_stop();
    workers_free();
}

int main(void) {
    int failed = CHECK_RUN(T(live_options_change), T(other_options_wait), T(a_wrong_configuration_changes_nothing),
                           T(plugins_come_and_go), T(services_are_bound_anew), T(hosts_come_and_go),
                           T(domains_come_and_go), T(storage_waits), T(slots_are_laid_out), T(slots_of_a_reload),
                           T(slots_of_a_type_without_the_plugin), T(workers_follow));
    begin();
    load_free();
    buf_free(&notes);
    return failed;
}
