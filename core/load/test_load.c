/* SPDX-License-Identifier: Apache-2.0 */
#include "test_load.h"
#include <signal.h>
#include <sys/wait.h>

/* ---- plugins that are wrong -------------------------------------------------------------------------------------- */

static const struct {
    const char *plugin, *sentence;
} refusals[] = {
    { "t_no_symbol", "it has no function mk_plugin_entry(): it is no plugin of this server" },
    { "t_nothing", "what its mk_plugin_entry() returns is no descriptor" },
    { "t_magic", "what its mk_plugin_entry() returns is no descriptor" },
    { "t_major", "it was built for ABI 2, this server has ABI 1: install the plugin's release for this one" },
    { "t_minor", "it needs ABI 1.7, this server has 1.0: upgrade the package `meerkat`" },
    { "t_size", "its descriptor has " },
    { "t_name", "the plugin in it is named `t_other`; name and file must be the same" },
    { "t_stride",
      "its table `hooks` has rows of 8 bytes, which no release ever had: it was built with damaged headers" },
    { "t_stride_odd",
      "its table `hooks` has rows of 17 bytes, which no release ever had: it was built with damaged headers" },
    { "t_items", "its table `hooks` is damaged" },
    { "t_undefined", "undefined symbol: mk_function_of_the_future" },
    { "t_hook_number", "row 1 of its table `hooks` joins hook number " },
    { "t_hook_prio", "row 1 of its table `hooks` has the order 101; 0 to 100 is allowed" },
    { "t_hook_mode", "row 1 of its table `hooks` has the mode 2; handlers of hooks are INLINE or SERIAL" },
    { "t_hook_fn", "row 1 of its table `hooks` has no function" },
    { "t_option_offset", "row 1 of its table `options` names a field at offset 40, outside the instance of 40 bytes" },
    { "t_option_odd", "row 1 of its table `options` names a field at offset 1, outside the instance of 40 bytes" },
    { "t_option_enum", "row 1 of its table `options` is an enum without names" },
    { "t_option_twice", "row 2 of its table `options` has the name `flag` of row 0" },
    { "t_option_taken", "row 1 of its table `options` has the name `enabled`, which every plugin's group has already" },
    { "t_option_default",
      "row 1 of its table `options` has a default that it does not allow itself: option `number` of the plugin "
      "must be in the range 1 to 10" },
    { "t_option_type", "row 1 of its table `options` has the type 99, which this server does not know" },
    { "t_coll_keys", "row 0 of its table `collections` has no column that is its partition key" },
    { "t_need_pick", "row 0 of its table `needs` picks by `none`, which is no option of text" },
    { "t_provide_ops", "row 0 of its table `provides` has no operations" },
    { "t_inline_at", "row 0 of its table `inlines` is at 3; MK_AT_LOGIN or MK_AT_BIND there are" },
    { "t_mechanism_name", "row 0 of its table `mechanisms` needs a name of its own, of capitals, digits, - and _" },
    { "t_iq_to", "row 0 of its table `iqs` has the recipients 0; MK_TO_SERVER and MK_TO_ACCOUNT there are" },
    { "t_command_at", "row 0 of its table `commands` runs at `user`, which is no JID among its arguments" },
    { "t_metric_name", "row 0 of its table `metrics` needs a name in snake case" },
    { "t_domain_fn", "row 0 of its table `domains` has no function" },
    { "t_domain_global", "row 0 of its table `domains` serves a domain of a host, and a global plugin has none" },
    { "t_domain_mode", "row 0 of its table `domains` has the mode 2; domains are INLINE or SERIAL" },
    { "t_domain_option", "row 0 of its table `domains` takes its domain from `flag`, which is no option of text" },
    { "t_domain_twice", "row 1 of its table `domains` has the option `text` of row 0" },
    { "t_slot_owner", "row 0 of its table `slots` has the owner 3; slots are on sessions, accounts and rooms" },
};

static void refuses_wrong_plugins(void) {
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        begin();
        CHECK(!plan(arena_printf(&trees, BASE "\nplugins = { %s = { }; };", refusals[i].plugin)));
        const char *want = arena_printf(&trees, "2: DIR/%s.so: %s", refusals[i].plugin, refusals[i].sentence);
        CHECK_INT(errors.count, 1);
        if (strncmp(said(), want, strlen(want)) != 0)
            CHECK_TEXT(said(), want);
    }
}

static void refuses_all_at_once(void) {
    begin();
    CHECK(!plan(BASE "plugins = {\nt_magic = { };\nt_alfa = { };\nt_alpha = { limit = 0; };\nt_gamma = { limt = 0; "
                     "};\n}; plugns = 1;"));
    CHECK_TEXT(said(), "2: DIR/t_magic.so: what its mk_plugin_entry() returns is no descriptor\n"
                       "3: there is no plugin `t_alfa` in DIR; did you mean `t_alpha`?\n"
                       "4: option `limit` of plugin t_alpha must be in the range 1 to 100\n"
                       "5: unknown option `limt` in plugin t_gamma\n"
                       "6: unknown setting `plugns`; did you mean `plugins`?\n");
}

static void refuses_missing_files(void) {
    begin();
    CHECK(!plan(BASE "plugin_dir = \"/nonexistent:/also\"; plugins = { t_alpha = { enabled = false; }; };"));
    CHECK_TEXT(said(),
               "1: there is no plugin `t_alpha` in /nonexistent:/also: install its package, or remove it here\n");
    begin();
    CHECK(plan(
        arena_printf(&trees, BASE "plugin_dir = \"/nonexistent:%s\"; plugins = { t_alpha = { }; };", plugin_folder())));
}

/* The plugin that third parties start from. */
static void takes_the_template(void) {
    begin();
    CHECK(start(BASE "plugins = { hello = { greeting = \"Hi\"; log_level = \"info\"; }; };"));
    CHECK_TEXT(*(const char *const *)instance_of("hello")->bytes, "Hi");
    CHECK(host_iq(snapshot_current()->types[0], "hello", "urn:example:hello", MK_TO_SERVER, MK_GET) != NULL);
}

/* ---- needs ------------------------------------------------------------------------------------------------------- */

static void reports_unmet_needs(void) {
    begin();
    CHECK(!plan(BASE "\nplugins = {\nt_missing = { };\nt_unknown = { };\nt_alpha = { };\nt_newer = { }; };"));
    CHECK_TEXT(
        said(),
        "3: plugin t_missing needs interface t_maybe 1.0, provided by plugin t_gamma: enable it in `plugins`\n"
        "6: plugin t_newer needs interface t_iface 1.9, but plugin t_alpha provides 1.3: upgrade it\n"
        "4: plugin t_unknown needs interface t_unheard_of 2.5, which no plugin here provides: install one that does\n");
    begin();
    CHECK(!plan(BASE "plugins = { t_missing = { }; t_gamma = { enabled = false; }; };"));
    CHECK_TEXT(said(),
               "1: plugin t_missing needs interface t_maybe 1.0, provided by plugin t_gamma: enable it in `plugins`\n");
    begin();
    CHECK(plan(BASE "plugins = { t_missing = { }; t_gamma = { }; };"));
}

static void reports_circles(void) {
    begin();
    CHECK(!plan(BASE "plugins = { t_cycle_a = { }; t_cycle_b = { }; };"));
    CHECK_TEXT(said(),
               "1: plugins need each other in a circle, so that none can start first: t_cycle_a -> t_cycle_b -> "
               "t_cycle_a\n");
    /* A soft need gives way: the one that must have the other starts second. */
    begin();
    CHECK(start(BASE "plugins = { t_soft_a = { }; t_soft_b = { }; };"));
    CHECK_TEXT(load.started[0]->inst.name, "t_soft_a");
    CHECK_TEXT(load.started[1]->inst.name, "t_soft_b");
}

static void starts_in_order_of_needs(void) {
    begin();
    CHECK(start(BASE "plugins = { t_beta = { }; t_alpha = { }; };"));
    CHECK_TEXT(load.started[0]->inst.name, "t_alpha");
    CHECK_TEXT(load.started[1]->inst.name, "t_beta");
}

static const char *messages_of_beta(const char *options) {
    begin();
    if (!start(arena_printf(&trees, BASE "plugins = { t_alpha = { }; t_gamma = { }; t_beta = { %s }; };", options)))
        return said();
    return run_stanza_hook(turn_of("localhost"), MK_HOOK_user_send_message, NULL);
}

static void picks_among_providers(void) {
    CHECK_TEXT(messages_of_beta(""),
               "1: plugin t_beta needs one provider of t_iface and there are several (t_alpha, t_gamma): "
               "choose with its option `provider`\n");
    CHECK_TEXT(
        messages_of_beta("provider = \"t_zeta\";"),
        "1: option `provider` of plugin t_beta names \"t_zeta\", but t_iface is provided by: t_alpha, t_gamma\n");
    /* 2 * 2 + limit 10, in the last digit; t_maybe is there; two in the list. */
    CHECK_TEXT(messages_of_beta("provider = \"t_alpha\";"), "eAhB4+2");
    CHECK_TEXT(messages_of_beta("provider = \"t_gamma\";"), "eAhB7+2");
    CHECK_TEXT(messages_of_beta("provider = \"t_gamma\"; providers = [ \"t_gamma\" ];"), "eAhB7+1");
    CHECK_TEXT(messages_of_beta("provider = \"t_gamma\"; providers = [ ];"), "eAhB7+0");
    const struct mk_svcs *all;
    messages_of_beta("provider = \"t_gamma\"; providers = [ \"t_gamma\", \"t_alpha\" ];");
    all = (const struct mk_svcs *)((const char *)instance_of("t_beta")->bytes + 16);
    CHECK_INT(all->count, 2);
    CHECK_TEXT(((const struct instance *)all->items[0]->provider)->name, "t_gamma");
    CHECK_TEXT(((const struct instance *)all->items[1]->provider)->name, "t_alpha");
    messages_of_beta("provider = \"t_gamma\";");
    all = (const struct mk_svcs *)((const char *)instance_of("t_beta")->bytes + 16);
    CHECK_TEXT(((const struct instance *)all->items[0]->provider)->name, "t_alpha");
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { }; t_beta = { }; };"));
    CHECK_TEXT(run_stanza_hook(turn_of("localhost"), MK_HOOK_user_send_message, NULL), "eAhB4-1");
}

/* ---- storage ----------------------------------------------------------------------------------------------------- */

static void binds_storage(void) {
    begin();
    CHECK(start(HOST "plugins = { t_keeper = { }; }; backends = { pool = { backend = \"t_backend\"; path = \"there\"; "
                     "}; t_backend = "
                     "{ }; }; storage = { default = \"t_backend\"; t_things = \"pool\"; };"));
    CHECK_TEXT(said(), "");
    const struct mk_coll *coll = *(struct mk_coll *const *)instance_of("t_keeper")->bytes;
    CHECK_TEXT(coll->decl->name, "t_things");
    CHECK_TEXT(coll->provider->name, "pool");
    CHECK_TEXT((const char *)coll->data, "there");
    CHECK_INT(snapshot_current()->global_count, 2);
    CHECK_TEXT(instance_of("t_backend")->name, "t_backend");
    CHECK_INT(instance_of("t_backend")->plugin->apart[0], 2);
    mk_count_from("of nobody", 0, 1);
    CHECK_INT(instance_of("t_backend")->plugin->apart[0], 2);
    /* A backend needs no group, and the only one no storage group. */
    begin();
    CHECK(start(HOST "plugins = { t_keeper = { }; }; storage = { default = \"t_backend\"; };"));
    begin();
    CHECK(start(HOST "plugins = { t_keeper = { }; }; backends = { t_backend = { }; };"));
    coll = *(struct mk_coll *const *)instance_of("t_keeper")->bytes;
    CHECK_TEXT(coll->provider->name, "t_backend");
}

static void refuses_storage(void) {
    begin();
    CHECK(!plan(HOST "plugins = { t_keeper = { }; };"));
    CHECK_TEXT(said(), "1: plugin t_keeper stores t_things, and `storage.default` names no backend for it\n");
    begin();
    CHECK(!plan(
        HOST
        "\nplugins = { t_keeper = { }; };\nbackends = { t_backend = { }; };\nstorage = {\nt_thing = \"t_backend\";\n"
        "t_things = 5; };"));
    CHECK_TEXT(said(), "5: no plugin has a collection `t_thing`; did you mean `t_things`?\n"
                       "6: the storage of `t_things` must be the name of a backend, in quotes\n");
    begin();
    CHECK(!plan(HOST "\nplugins = { t_keeper = { }; };\nstorage = { default = \"t_alpha\"; };"));
    CHECK_TEXT(said(), "3: plugin t_alpha is no backend: its group belongs into `plugins`\n");
    begin();
    CHECK(!plan(HOST "\nplugins = { t_search = { }; t_keeper = { }; };\nbackends = { t_backend = { }; };"));
    CHECK_TEXT(
        said(),
        "plugins t_keeper and t_search both have a collection named t_things: only one of them can be used\n"
        "2: plugin t_search stores t_texts, which needs text search; backend t_backend can't do that: choose another "
        "in `storage`\n");
    begin();
    CHECK(!plan(BASE "\nplugins = { t_backend = { }; };\nbackends = { t_alpha = { }; };"));
    CHECK_TEXT(said(), "3: plugin t_alpha is no backend: its group belongs into `plugins`\n"
                       "2: plugin t_backend is a backend: its group belongs into `backends`\n");
}

static void reports_failed_starts(void) {
    begin();
    CHECK(!start(BASE "\nplugins = { t_alpha = { greeting = \"fail\"; }; };"));
    CHECK_TEXT(said(), "2: plugin t_alpha: it was asked to fail\n");
    begin();
    CHECK(!start(HOST "plugins = { t_keeper = { }; };\nbackends = { t_backend = { path = \"broken\"; }; };"));
    CHECK_TEXT(said(), "2: plugin t_keeper: can't make t_things\n");
    begin();
    CHECK(!start(
        HOST "plugins = { t_keeper = { }; t_alpha = { greeting = \"fail\"; }; };\nbackends = { t_backend = { }; };"));
    CHECK(!load_backend("t_backend", strlen("t_backend"))); /* what was started before is stopped */
}

/* ---- host types and hosts ---------------------------------------------------------------------------------------- */

static void instances_for_each_type(void) {
    begin();
    CHECK(start("hosts = ( { name = \"One.Example\"; admins = [ \"Root@one.example\" ]; }, { name = \"two.example\"; "
                "type = \"guests\"; } );\n"
                "host_types = { default = { anonymous = true; }; guests = { anonymous = true; plugins = { t_alpha = { "
                "limit = 3; };\n"
                "t_gamma = { enabled = false; }; t_future = { }; }; }; };\n"
                "plugins = { t_alpha = { limit = 20; greeting = \"x\"; }; t_gamma = { }; };"));
    const struct snapshot *s = snapshot_current();
    CHECK_INT(s->host_count, 2);
    CHECK_INT(s->type_count, 2);
    CHECK_TEXT(s->hosts[0]->name, "one.example");
    CHECK(host_find("two.example", 11) == s->hosts[1]);
    CHECK(host_find("two.exampl", 10) == NULL && host_find("two.examples", 12) == NULL);
    struct test_turn *t = turn_of("one.example");
    t->ctx.inst = type_instance(t->ctx.host->type, instance_of("t_alpha")->plugin);
    const void *first = mk_inst(&t->ctx);
    CHECK_INT(((const int64_t *)first)[2], 20);
    CHECK(mk_host(&t->ctx) == s->hosts[0]->jid && mk_self(&t->ctx) == s->hosts[0]->jid);
    CHECK(mk_is_local(&t->ctx, (struct mk_view){ "one.example", 11 }));
    CHECK(!mk_is_local(&t->ctx, (struct mk_view){ "other.example", 13 }));
    const struct mk_jid *jid;
    CHECK_INT(jid_parse(&trees, "root@one.example/phone", 22, &jid), 0);
    CHECK(mk_is_admin(&t->ctx, jid));
    CHECK_INT(jid_parse(&trees, "root@two.example", 16, &jid), 0);
    CHECK(!mk_is_admin(&t->ctx, jid));
    CHECK(mk_admin_at(&t->ctx, 0) && mk_is_admin(&t->ctx, mk_admin_at(&t->ctx, 0)));
    CHECK(!mk_admin_at(&t->ctx, t->ctx.host->admin_count));
    t = turn_of("two.example");
    t->ctx.inst = type_instance(t->ctx.host->type, instance_of("t_alpha")->plugin);
    CHECK(mk_inst(&t->ctx) != first);
    CHECK_INT(((const int64_t *)mk_inst(&t->ctx))[2], 3);
    CHECK_TEXT(*(const char *const *)mk_inst(&t->ctx), "x");
    CHECK_INT(s->types[0]->instance_count, 2);
    CHECK_INT(s->types[1]->instance_count, 2);
    CHECK_TEXT(s->types[1]->instances[1]->name, "t_future");
}

static void refuses_hosts(void) {
    begin();
    CHECK(!plan("host_types = { default = { anonymous = true; }; };"));
    CHECK_TEXT(said(),
               "no host is served: hosts = ( { name = \"example.org\"; certificate = \"...\"; key = \"...\"; } );\n");
    begin();
    CHECK(!plan("host_types = { guests = { anonymous = true; sasl = [ \"SCRAM-SHA-255\" ]; }; };\nhosts = (\n{ name = "
                "\"a@b\"; },\n"
                "{ name = \"c\"; type = \"guest\"; },\n{ name = \"c\"; type = \"guests\"; admins = [ \"@\" ]; key = "
                "\"/dev/null\"; },\n"
                "{ name = \"d\"; type = \"guests\"; certificate = \"/dev/null\"; },\n{ nam = \"e\"; }, 5 );"));
    CHECK(strstr(said(), "1: there is no SASL mechanism \"SCRAM-SHA-255\"; did you mean \"SCRAM-SHA-256\"?\n"));
    CHECK(strstr(said(), "3: \"a@b\" is no domain\n"));
    CHECK(strstr(said(), "4: there is no host type \"guest\"; did you mean \"guests\"?\n"));
    CHECK(strstr(said(), "5: host c is there twice\n5: \"@\" is no JID\n5: host c has a key and no certificate\n"));
    CHECK(strstr(said(), "6: the certificate of host d can't be used: "));
    CHECK(strstr(said(), "7: unknown option `nam` in host; did you mean `name`?\n"));
    CHECK(strstr(said(), "7: host needs the option `name`: The domain that is served.\n"));
    CHECK(strstr(said(), "7: host must be a group, { ... }\n"));
}

/* ---- domains of plugins ------------------------------------------------------------------------------------------ */

#define TWO                                                                                                            \
    "hosts = ( { name = \"one.example\"; }, { name = \"two.example\"; } );\n"                                          \
    "host_types = { default = { anonymous = true; }; };\n"

static const struct domain *served(const char *domain) {
    return domain_find(domain, strlen(domain));
}

static void serves_domains(void) {
    begin();
    CHECK(!plan(TWO "plugins = { t_room = { late = \"@HOST@.@host@.@HOST@\"; }; };"));
    CHECK_TEXT(said(), "3: option `late` of plugin t_room: \"one.example.@host@.one.example\" is no domain\n"
                       "3: option `late` of plugin t_room: \"two.example.@host@.two.example\" is no domain\n");
    begin();
    CHECK(start(TWO "plugins = { t_room = { late = \"@HOST@.in.@HOST@.at\"; }; };"));
    const struct domain *d = served("rooms.two.example");
    CHECK(d && served("rooms.one.example") && served("rooms.one.example") != d);
    CHECK(d->host == host_find("two.example", 11) && d->inst == instance_of("t_room"));
    CHECK_TEXT(d->row->option, "domain");
    CHECK_TEXT(served("one.example.in.one.example.at")->row->option, "late");
    CHECK_INT(snapshot_current()->domains.count, 4); /* `slow` has no value */
    CHECK(!served("one.example") && !served("rooms.one.exampl") && !served("rooms.one.examples"));
    struct test_turn *t = turn_of("one.example");
    CHECK(mk_is_local(&t->ctx, (struct mk_view){ "rooms.two.example", 17 }));
    CHECK(!mk_is_local(&t->ctx, (struct mk_view){ "rooms.four.example", 18 }));
}

static void serves_domains_of_its_type(void) {
    begin();
    CHECK(start("hosts = ( { name = \"one.example\"; }, { name = \"two.example\"; type = \"guests\"; } );\n"
                "host_types = { default = { anonymous = true; }; guests = { anonymous = true; plugins = { t_room = { "
                "domain = \"Other.Example\"; }; }; }; };"));
    CHECK_INT(snapshot_current()->domains.count, 1);
    CHECK(served("other.example") && served("other.example")->host == host_find("two.example", 11));
}

static void refuses_domains(void) {
    begin();
    CHECK(!plan(TWO "plugins = { t_room = {\ndomain = \"one.example\"; slow = \"a@b\"; }; };"));
    CHECK_TEXT(said(), "4: plugin t_room serves one.example for host one.example, but that is a host itself: give it "
                       "another domain\n"
                       "4: plugin t_room serves one.example for host two.example, but that is a host itself: give it "
                       "another domain\n"
                       "4: option `slow` of plugin t_room: \"a@b\" is no domain\n");
    begin();
    CHECK(!plan(TWO "plugins = { t_room = {\ndomain = \"rooms.example\"; }; };"));
    CHECK_TEXT(said(), "4: plugin t_room for host one.example and plugin t_room for host two.example both serve "
                       "rooms.example: write @HOST@ where the host's name belongs\n");
    begin();
    CHECK(!plan(BASE "plugins = {\nt_room = { };\nt_rooms = { }; };"));
    CHECK_TEXT(said(), "3: plugin t_room for host localhost and plugin t_rooms for host localhost both serve "
                       "rooms.localhost: give one another domain\n");
    begin();
    CHECK(plan(BASE "plugins = { t_room = { }; t_rooms = { domain = \"more.@HOST@\"; }; };"));
}

static void lists_accounts_and_mechanisms(void) {
    begin();
    CHECK(!plan(HOST));
    CHECK_TEXT(
        said(),
        "nobody could log in to hosts of type default: enable a plugin that knows accounts, such as auth_internal, or "
        "set `anonymous`\n");
    begin();
    CHECK(!plan(
        HOST
        "\nplugins = { t_alpha = { }; }; host_types = { default = {\nauth = [ \"t_alpha\" ]; sasl = [ ];\nplugins = "
        "{ t_alpha = { log_level = \"debug\"; }; }; }; };"));
    CHECK_TEXT(
        said(),
        "4: `log_level` of a plugin is the same for all host types: set it in `plugins`\n"
        "3: `sasl` is empty: nobody could log in\n"
        "3: \"t_alpha\" is no enabled plugin that knows accounts (provides mk_auth)\n"
        "2: nobody could log in to hosts of type default: enable a plugin that knows accounts, such as auth_internal, "
        "or set `anonymous`\n");
    begin();
    CHECK(start(HOST "backends = { t_backend = { }; }; plugins = { t_keeper = { }; t_alpha = { log_level = \"debug\"; "
                     "}; }; host_types = "
                     "{ default = { sasl = [ \"SCRAM-SHA-256\", \"PLAIN\" ]; plain_without_tls = true; }; };"));
    const struct host_type *t = snapshot_current()->types[0];
    CHECK_INT(t->auth_count, 1);
    CHECK(t->auth[0]->svc.provider == instance_of("t_keeper"));
    CHECK_INT(t->sasl_count, 2);
    CHECK_TEXT(t->sasl[1], "PLAIN");
    CHECK(t->plain_without_tls && !t->anonymous);
    CHECK_INT(instance_of("t_alpha")->plugin->level, MK_DEBUG);
    CHECK_INT(instance_of("t_keeper")->plugin->level, MK_NOTICE);
    CHECK(t->sasl && !snapshot_current()->hosts[0]->cert);
}

static int server_command(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    (void)args;
    (void)result;
    return 0;
}

static void builds_tables(void) {
    static const struct mk_cmd_decl server[] = {
        { "zz.own", "Own", "", "", 0, 0, { NULL, 0, 0 }, { NULL, 0, 0 }, server_command },
    };
    begin();
    load_server_commands(server, 1);
    CHECK(start(BASE "plugins = { t_alpha = { }; t_beta = { }; t_future = { }; };"));
    struct test_turn *turn = turn_of("localhost");
    const struct host_type *t = turn->ctx.host->type;
    CHECK_TEXT(mk_disco_feature(&turn->ctx, MK_TO_SERVER, 0), "urn:test:a");
    CHECK_TEXT(mk_disco_feature(&turn->ctx, MK_TO_SERVER, 1), "urn:test:both");
    CHECK_TEXT(mk_disco_feature(&turn->ctx, MK_TO_SERVER, 2), "urn:test:z");
    CHECK(mk_disco_feature(&turn->ctx, MK_TO_SERVER, 3) == NULL);
    CHECK_TEXT(mk_disco_feature(&turn->ctx, MK_TO_ACCOUNT, 0), "urn:test:both");
    CHECK(mk_disco_feature(&turn->ctx, MK_TO_ACCOUNT, 1) == NULL);
    CHECK_TEXT(mk_command_at(&turn->ctx, 0)->name, "zz.own");
    CHECK_TEXT(mk_command_at(&turn->ctx, 1)->name, "alpha.show");
    CHECK_TEXT(mk_command_at(&turn->ctx, 2)->name, "future.run");
    CHECK(mk_command_at(&turn->ctx, 3) == NULL);
    CHECK(t->commands[0].inst == NULL && t->commands[1].inst == instance_of("t_alpha"));
    /* Rows that are longer than ours are read at the right places. */
    const struct mk_arg_decl *args = mk_command_at(&turn->ctx, 2)->args.items;
    CHECK_INT(mk_command_at(&turn->ctx, 2)->args.count, 2);
    CHECK_TEXT(args[1].name, "second");
    CHECK_INT(t->nonza_count, 1);
    CHECK_INT(t->feature_count, 1);
    CHECK_TEXT(t->features[0].row->name, "alpha");
    const struct iq_entry *iq = host_iq(t, "query", "urn:test:alpha", MK_TO_ACCOUNT, MK_GET);
    CHECK(iq && iq == host_iq(t, "query", "urn:test:alpha", MK_TO_SERVER, MK_GET));
    CHECK(!host_iq(t, "query", "urn:test:alpha", MK_TO_SERVER, MK_SET));
    CHECK(!host_iq(t, "query", "urn:test:beta", MK_TO_SERVER, MK_GET) &&
          !host_iq(t, "q", "urn:test:alpha", MK_TO_SERVER, MK_GET));
    CHECK_INT(iq_run(&turn->ctx, iq, NULL), 10);
    CHECK(turn->ctx.inst == NULL);
    load_server_commands(NULL, 0);
}

static void refuses_clashes(void) {
    begin();
    CHECK(!plan(BASE "\nplugins = { t_alpha = { };\nt_clash = { }; };"));
    CHECK_TEXT(said(),
               "3: plugins t_alpha and t_clash both answer the iq <query xmlns='urn:test:alpha'/>: disable one\n"
               "3: plugins t_alpha and t_clash both handle <r xmlns='urn:test:alpha'/>: disable one\n"
               "t_alpha and t_clash both have the command alpha.show: disable one\n");
    begin();
    CHECK(plan(BASE "plugins = { t_alpha = { enabled = false; }; t_clash = { }; };"));
}

/* ---- chains ------------------------------------------------------------------------------------------------------ */

static void chains_run_in_order(void) {
    begin();
    CHECK(start(BASE "plugins = { t_beta = { }; t_future = { }; t_alpha = { greeting = \"Q\"; }; };"));
    struct test_turn *t = turn_of("localhost");
    bool stopped;
    /* 10: beta; 50: alpha before beta by name; 60 and 70: future. */
    CHECK_TEXT(run_stanza_hook(t, MK_HOOK_user_send_message, &stopped), "eAQB4-1FF");
    CHECK(!stopped && t->ctx.inst == NULL && t->worker.busy_with == NULL);
    const struct chain *chain = &t->ctx.host->type->chains[MK_HOOK_user_send_message];
    CHECK_INT(chain->count, 5);
    CHECK(!chain->suspends);
    CHECK_TEXT(chain->handlers[1].name, "t_alpha:user_send_message");
    /* A serial handler needs a fiber, and stops the chain. */
    CHECK(t->ctx.host->type->chains[MK_HOOK_user_send_presence].suspends);
    struct fiber fiber;
    t->ctx.fiber = &fiber;
    CHECK_TEXT(run_stanza_hook(t, MK_HOOK_user_send_presence, &stopped), "a");
    CHECK(stopped);
    CHECK_TEXT(run_stanza_hook(t, MK_HOOK_user_send_iq, &stopped), "");
    CHECK(!stopped);
    /* Where stop is ignored all run. */
    struct mk_ev_session ev = { .session = (struct mk_session *)t->log };
    *t->log = '\0';
    CHECK(!chain_run(&t->ctx, MK_HOOK_session_opened, &ev));
    CHECK_TEXT(t->log, "op");
    t->ctx.host = NULL;
    CHECK(!chain_run(&t->ctx, MK_HOOK_session_opened, &ev));
}

#ifndef NDEBUG
/* The contract: a chain with a serial handler runs in a fiber, or nowhere. */
static void serial_chains_want_a_fiber(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { }; };"));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        run_stanza_hook(turn_of("localhost"), MK_HOOK_user_send_presence, NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#else
static void serial_chains_want_a_fiber(void) {
}
#endif

static void chains_count(void) {
    begin();
    CHECK(start(BASE "plugins = { t_alpha = { }; t_future = { }; };"));
    struct test_turn *t = turn_of("localhost");
    for (int i = 0; i < 40; i++) {
        t->worker.index = (unsigned)i % 3;
        run_stanza_hook(t, MK_HOOK_user_send_message, NULL);
    }
    struct report_handler h;
    CHECK(report_handler(t->ctx.host->type, MK_HOOK_user_send_message, 0, &h));
    CHECK_TEXT(h.plugin, "t_alpha");
    CHECK_INT(h.prio, 50);
    CHECK_INT(h.calls, 40);
    CHECK(!h.suspends && h.average_ns > 0);
    CHECK(!report_handler(t->ctx.host->type, MK_HOOK_user_send_message, 3, &h));
    CHECK(report_handler(t->ctx.host->type, MK_HOOK_user_send_presence, 0, &h));
    CHECK(h.suspends);
    CHECK_INT(h.calls, 0);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void instances_are_read_only(void) {
    begin();
    CHECK(start(BASE "plugins = { t_starter = { }; };"));
    CHECK_INT(*(const int64_t *)instance_of("t_starter")->bytes, 5);
    const struct iq_entry *iq =
        host_iq(snapshot_current()->types[0], "write", "urn:test:starter", MK_TO_SERVER, MK_SET);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        struct test_turn *t = turn_of("localhost");
        iq_run(&t->ctx, iq, NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void numbers_metrics_and_timers(void) {
    begin();
    CHECK(start(BASE "plugins = { t_beta = { }; t_alpha = { }; t_gamma = { enabled = false; }; };"));
    const struct plugin *alpha = instance_of("t_alpha")->plugin, *beta = instance_of("t_beta")->plugin, *found = NULL;
    /* A counter, a histogram of 42 places, a gauge; then the counter of beta. */
    CHECK_INT(alpha->metric_places[0], 100);
    CHECK_INT(alpha->metric_places[1], 101);
    CHECK_INT(alpha->metric_places[2], 143);
    CHECK_INT(beta->metric_places[0], 144);
    CHECK_INT(load_metric_limit(), 145);
    CHECK_INT(load_timer_limit(), 1);
    CHECK_TEXT(report_metric(snapshot_current(), 143, &found)->name, "open");
    CHECK(found == alpha);
    CHECK(report_metric(snapshot_current(), 102, &found) == NULL);
}

static void reports_and_manual(void) {
    begin();
    CHECK(start("hosts = ( { name = \"a\"; }, { name = \"b\"; type = \"guests\"; } ); host_types = { default = { }; "
                "guests = { anonymous = "
                "true; plugins = { t_alpha = { enabled = true; }; t_keeper = { enabled = false; }; }; }; };"
                "plugins = { t_alpha = { enabled = false; }; t_keeper = { }; }; backends = { t_backend = { }; };"));
    const struct snapshot *s = snapshot_current();
    struct buf out = { 0 };
    CHECK_INT(s->plugin_count, 3);
    CHECK_TEXT(s->plugins[0]->name, "t_alpha");
    report_types(&out, s, s->plugins[0]);
    buf_puts(&out, "; ");
    report_types(&out, s, s->plugins[1]);
    CHECK_TEXT(out.data, "guests; all");
    buf_free(&out);
    CHECK_INT(s->service_count, 3);
    CHECK_TEXT(s->services[1].iface, "mk_backend");
    CHECK_INT(s->services[1].user_count, 1);
    CHECK_TEXT(s->services[1].users[0]->name, "t_keeper");
    manual_plugin(&out, s->plugins[0]);
    CHECK(strstr(out.data, "# t_alpha\n\nTest: right in all tables\n"));
    CHECK(strstr(out.data, "| `limit` | number | `10` | 1 to 100 | live | How much. |\n"));
    CHECK(strstr(out.data, "| `query` | `urn:test:alpha` | the server, an account | get | anybody |\n"));
    CHECK(strstr(out.data, "| `user_send_presence` | 40 | yes |\n"));
    CHECK(strstr(out.data, "### `alpha.show`\n\nShow it.  Changes nothing.\n"));
    CHECK(strstr(out.data, "- `user`: Whose.\n"));
    CHECK(strstr(out.data, "| `meerkat_t_alpha_sizes` | histogram | bytes | Sizes. |\n"));
    CHECK(strstr(out.data, "- provides `t_iface` 1.3: Numbers.\n"));
    CHECK(strstr(out.data, "| [0001](https://xmpp.org/extensions/xep-0001.html) | 1.0 | complete | All of it. |\n"));
    manual_plugin(&out, s->plugins[2]);
    CHECK(strstr(out.data, "| `owner` | jid | partition | Whose. |\n"));
    buf_free(&out);
    manual_row(&out, s->plugins[0]);
    CHECK_TEXT(out.data, "| `t_alpha` | Test: right in all tables | 0001 |\n");
    buf_free(&out);
    manual_hosts(&out);
    CHECK(strstr(out.data, "| `certificate` | file |") && strstr(out.data, "| `plain_without_tls` |") &&
          strstr(out.data, "| `enabled` |"));
    buf_free(&out);
    CHECK(load_only("t_gamma", &errors) != NULL);
    CHECK(load_only("t_magic", &errors) == NULL);
    CHECK_TEXT(said(), "DIR/t_magic.so: what its mk_plugin_entry() returns is no descriptor\n");
}

static void errors_have_names(void) {
    CHECK_TEXT(mk_strerror(0), "success");
    CHECK_TEXT(mk_strerror(MK_E_UNAVAILABLE), "unavailable");
    CHECK_TEXT(mk_strerror(-100), "unknown error");
    CHECK_TEXT(mk_strerror(7), "unknown error");
    struct mk_err err = { 0 };
    CHECK_INT(mk_fail(&err, MK_E_LIMIT, "first"), MK_E_LIMIT);
    CHECK_INT(mk_fail(&err, MK_E_BUSY, "%s %d", "second", 2), MK_E_BUSY);
    CHECK_TEXT(err.text.data, "second 2");
    CHECK_INT(err.rc, MK_E_BUSY);
    load_err_free(&err);
}

int main(void) {
    int failed = CHECK_RUN(
        T(refuses_wrong_plugins), T(refuses_all_at_once), T(refuses_missing_files), T(takes_the_template),
        T(reports_unmet_needs), T(reports_circles), T(starts_in_order_of_needs), T(picks_among_providers),
        T(binds_storage), T(refuses_storage), T(reports_failed_starts), T(instances_for_each_type), T(refuses_hosts),
        T(serves_domains), T(serves_domains_of_its_type), T(refuses_domains), T(lists_accounts_and_mechanisms),
        T(builds_tables), T(refuses_clashes), T(chains_run_in_order), T(serial_chains_want_a_fiber), T(chains_count),
        T(instances_are_read_only), T(numbers_metrics_and_timers), T(reports_and_manual), T(errors_have_names));
    begin();
    load_free();
    return failed;
}
