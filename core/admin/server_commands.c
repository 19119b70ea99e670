/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the server's own commands, and those about the server as a whole. */
#include "admin/command.h"
#include "run/metric.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

#define ARGS(...) MK_TABLE(((const struct mk_arg_decl[]){ __VA_ARGS__ }))
#define NONE                                                                                                           \
    { NULL, 0, sizeof(struct mk_arg_decl) }
#define ACCOUNT                                                                                                        \
    { "account", MK_ARG_JID, 0, "Address of the account, alice@example.org." }
#define PASSWORD                                                                                                       \
    { "password", MK_ARG_SECRET, 0, "The new password." }
#define HOST                                                                                                           \
    { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Served domain; all of them if it is left out." }
#define LIMIT                                                                                                          \
    { "limit", MK_ARG_INT, MK_ARG_OPTIONAL, "Most rows to show." }

#define TEXT(name, doc)                                                                                                \
    { name, MK_ARG_TEXT, 0, doc }
#define INT(name, doc)                                                                                                 \
    { name, MK_ARG_INT, 0, doc }
#define BOOL(name, doc)                                                                                                \
    { name, MK_ARG_BOOL, 0, doc }

const struct mk_cmd_decl server_commands[] = {
    { "status", "How the server is", "GET /status", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("version", "Version of the server."), INT("uptime", "Seconds since the start."),
           INT("hosts", "Served domains."), INT("sessions", "Bound resources, connected or detached."),
           INT("connections", "Open client connections."), INT("accounts", "Accounts in memory."),
           INT("workers", "Worker threads."), INT("memory", "Resident bytes."),
           INT("allocated", "Bytes that are in use; the rest was freed, or is code.")),
      cmd_status },
    { "listeners", "Where the server listens", "GET /listeners", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("kind", "What is spoken there."), TEXT("address", "Address."), INT("port", "Port."),
           TEXT("tls", "starttls, direct or none."), BOOL("proxy", "Whether the PROXY protocol is required.")),
      cmd_listeners },
    { "hosts.list", "The served domains", "GET /hosts", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("host", "Domain."), TEXT("type", "Host type."), TEXT("certificate", "When its certificate expires."),
           TEXT("admins", "Administrators.")),
      cmd_hosts_list },
    { "users.add", "Create an account", "POST /users/{account}", "account", MK_CMD_WRITE, 0, ARGS(ACCOUNT, PASSWORD),
      NONE, cmd_users_add },
    { "users.del", "Delete an account with all that is stored for it", "DELETE /users/{account}", "account",
      MK_CMD_WRITE, 0, ARGS(ACCOUNT), NONE, cmd_users_del },
    { "users.list", "The accounts of a host", "GET /users", "", MK_CMD_READ, 0,
      ARGS({ "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Served domain; needed if there are several." },
           { "after", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Begin behind this name." }, LIMIT),
      ARGS(TEXT("account", "Address of the account."),
           TEXT("state", "enabled, or what a plugin says it is instead, such as disabled or banned.")),
      cmd_users_list },
    { "users.password", "Set an account's password", "PUT /users/{account}/password", "account", MK_CMD_WRITE, 0,
      ARGS(ACCOUNT, PASSWORD), NONE, cmd_users_password },
    { "users.exists", "Whether there is an account of this name", "GET /users/{account}", "account", MK_CMD_READ, 0,
      ARGS(ACCOUNT), ARGS(BOOL("exists", "Whether it exists.")), cmd_users_exists },
    { "users.count", "How many accounts a host has", "GET /users/count", "", MK_CMD_READ, 0,
      ARGS({ "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Served domain; needed if there are several." }),
      ARGS(INT("accounts", "Accounts.")), cmd_users_count },
    { "sessions.list", "Who is logged in", "GET /sessions", "", MK_CMD_READ, 0,
      ARGS({ "account", MK_ARG_JID, MK_ARG_OPTIONAL, "Only this account's." }, HOST, LIMIT),
      ARGS(TEXT("jid", "Full address."), TEXT("address", "Of the client."),
           BOOL("connected", "False: kept for resumption."), BOOL("available", "Whether it announced presence."),
           INT("priority", "What it announced with it."), TEXT("since", "When the resource was bound."),
           INT("idle", "Seconds since anything came from the client; 0 if it is not connected.")),
      cmd_sessions_list },
    { "sessions.count", "How many are logged in", "GET /sessions/count", "", MK_CMD_READ, 0, ARGS(HOST),
      ARGS(TEXT("host", "Domain."), INT("sessions", "Bound resources."), INT("connected", "Of them with a connection."),
           INT("accounts", "Accounts they belong to.")),
      cmd_sessions_count },
    { "sessions.kick", "End the sessions of an account, or one of them", "DELETE /sessions/{account}", "account",
      MK_CMD_WRITE, 0,
      ARGS({ "account", MK_ARG_JID, 0, "Address of the account, or the full one of a session." },
           { "reason", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Text to show to the client." }),
      ARGS(INT("ended", "Sessions that were ended.")), cmd_sessions_kick },
    { "s2s.list", "Streams with other servers, and servers that one is sought to", "GET /s2s", "", MK_CMD_READ, 0,
      ARGS({ "domain", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Only those with this remote domain." }),
      ARGS(TEXT("remote", "Remote domain, as far as it was said."), TEXT("local", "Domain here."),
           TEXT("direction", "in or out."),
           TEXT("state", "opening, negotiating, ready or closing; without a stream connecting, or failed: what is for "
                         "it is refused for a while."),
           TEXT("address", "Of the other server."), TEXT("tls", "Protocol and cipher, empty without TLS."),
           TEXT("proved", "How who sends is known: certificate or dialback."),
           INT("queued", "Stanzas that wait for it."), INT("seconds", "Since the stream began.")),
      cmd_s2s_list },
    { "s2s.close", "Close the streams with another server, or all", "DELETE /s2s/{domain}", "", MK_CMD_WRITE, 0,
      ARGS({ "domain", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Remote domain." }),
      ARGS(INT("closed", "Streams that were closed, or sought.")), cmd_s2s_close },
    { "components.list", "Components that are connected", "GET /components", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("domain", "Domain it serves."), TEXT("address", "Where it connects from."),
           TEXT("tls", "Whether the connection is encrypted."), INT("queued", "Bytes it has not read yet."),
           INT("seconds", "Since it connected.")),
      cmd_components_list },
    { "components.close", "Close the connections of a component, or of all", "DELETE /components/{domain}", "",
      MK_CMD_WRITE, 0, ARGS({ "domain", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Domain it serves." }),
      ARGS(INT("closed", "Connections that were closed.")), cmd_components_close },
    { "plugins", "The loaded plugins", "GET /plugins", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("plugin", "Name."), TEXT("version", "Version."), TEXT("enabled", "Host types it works for."),
           TEXT("log", "Its log level."), TEXT("summary", "What it does.")),
      cmd_plugins },
    { "services", "Which plugin provides what to whom", "GET /services", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("service", "Interface and version."), TEXT("provider", "Plugin that provides it."),
           TEXT("type", "Host type; empty for all."), TEXT("users", "Plugins bound to it.")),
      cmd_services },
    { "hooks", "The handlers of a hook in their order, or all hooks", "GET /hooks/{name}", "", MK_CMD_READ, 0,
      ARGS({ "name", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Hook, user_send_message." },
           { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Served domain whose chain to show; the first if it is left out." }),
      ARGS(TEXT("hook", "Hook."), INT("handlers", "How many it has."), INT("order", "Place in the chain, 0 to 100."),
           TEXT("plugin", "Whose handler it is."), TEXT("mode", "inline or serial."),
           INT("calls", "Times it was called."), INT("average_us", "Average time of a call.")),
      cmd_hooks },
    { "fibers", "What waits, and for what", "GET /fibers", "", MK_CMD_READ, 0, NONE,
      ARGS(INT("worker", "Worker."), INT("fiber", "Fiber of that worker."), TEXT("entity", "Whose turn it is."),
           TEXT("plugin", "Whose handler runs."), TEXT("waits_for", "Operation that is awaited."),
           INT("ms", "For how long already.")),
      cmd_fibers },
    { "metrics", "All metrics in the text format of Prometheus", "GET /metrics", "", MK_CMD_READ, 0, NONE, NONE,
      cmd_metrics },
    { "log.level", "Show log levels, or set one until the next reload", "PUT /log/{plugin}", "", MK_CMD_WRITE, 0,
      ARGS({ "plugin", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Plugin; \"server\" for the server itself." },
           { "level", MK_ARG_TEXT, MK_ARG_OPTIONAL, "error, warning, notice, info or debug." }),
      ARGS(TEXT("plugin", "Plugin, or server."), TEXT("level", "What it logs: this and what is more urgent.")),
      cmd_log_level },
    { "storage.status", "How the storage backends are", "GET /storage", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("backend", "Name under `backends`."),
           TEXT("state", "ok; failing: commits fail and are tried again; away: for so long that nothing waits for it; "
                         "recovering: it stores what is in the journal, and all else waits."),
           INT("seconds", "For how long commits have failed."), INT("queued", "Rows that wait in memory."),
           INT("journal_rows", "Rows that wait in the journal."), INT("journal_bytes", "Bytes that it takes."),
           INT("commits", "Commits since the start."), INT("writes", "Rows in them."),
           INT("commit_us", "Mean time of a commit."), INT("reads", "Reads since the start."),
           INT("read_us", "Mean time of a read."), TEXT("error", "What the last commit that failed said.")),
      cmd_storage_status },
    { "storage.list", "The collections and where they are stored", "GET /storage/collections", "", MK_CMD_READ, 0, NONE,
      ARGS(TEXT("collection", "Name."), TEXT("backend", "Where it is stored."), INT("version", "Of its columns.")),
      cmd_storage_list },
    { "storage.count", "How many rows collections have; the backend counts them one by one",
      "GET /storage/collections/{collection}/count", "", MK_CMD_READ, 0,
      ARGS({ "collection", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Only this one." }),
      ARGS(TEXT("collection", "Name."), TEXT("backend", "Where it is stored."), INT("version", "Of its columns."),
           TEXT("rows", "How many; unknown if the backend can't tell.")),
      cmd_storage_count },
    { "schema", "The statements that a backend runs to make collections in an empty database", "GET /schema/{backend}",
      "", MK_CMD_READ, 0,
      ARGS({ "backend", MK_ARG_TEXT, 0, "Name under `backends`; nothing need be stored in it yet." },
           { "collection", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Only of this one." }),
      NONE, cmd_schema },
    { "reload", "Read the configuration again", "POST /reload", "", MK_CMD_WRITE, 0, NONE, NONE, cmd_reload },
    { "stop", "Stop the server", "POST /stop", "", MK_CMD_WRITE, 0,
      ARGS({ "delay", MK_ARG_INT, MK_ARG_OPTIONAL, "Seconds to wait before." },
           { "restart", MK_ARG_BOOL, MK_ARG_OPTIONAL, "Whether the program starts again, in the same process." }),
      NONE, cmd_stop },
};
const unsigned server_command_count = sizeof server_commands / sizeof server_commands[0];

/* ---- status -------------------------------------------------------------------------------------------------------- */

static void *sample_worker(struct worker *w, struct arena *arena, const void *arg) {
    (void)arg;
    return worker_sample(w, arena);
}

int cmd_status(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    void **samples;
    int64_t sessions = 0, connections = 0, accounts = 0;
    (void)args;
    int rc = gather(c, sample_worker, NULL, 0, &samples);
    if (rc)
        return rc;
    for (unsigned i = 0; i < worker_count; i++) {
        const struct worker_sample *s = samples[i];
        sessions += sample_metric(s, server_metric_place[METRIC_sessions_row]);
        connections += sample_metric(s, server_metric_place[METRIC_connections_row]);
        accounts += sample_metric(s, server_metric_place[METRIC_accounts_loaded_row]);
    }
    mk_result_text(result, "version", MEERKAT_VERSION);
    mk_result_int(result, "uptime", server_uptime() / 1000000);
    mk_result_int(result, "hosts", snapshot_current()->host_count);
    mk_result_int(result, "sessions", sessions);
    mk_result_int(result, "connections", connections);
    mk_result_int(result, "accounts", accounts);
    mk_result_int(result, "workers", worker_count);
    mk_result_int(result, "memory", process_memory());
    mk_result_int(result, "allocated", process_allocated());
    return MK_OK;
}

/* ---- what the main thread knows ------------------------------------------------------------------------------------ */

static void add_listener(const struct listener_config *config, int port, void *arg) {
    static const char *const tls[] = { "starttls", "direct", "none" };
    struct mk_result *result = arg;
    mk_result_next(result);
    mk_result_text(result, "kind", config->kind);
    mk_result_text(result, "address", config->address);
    mk_result_int(result, "port", port);
    mk_result_text(result, "tls",
                   config->tls >= LISTEN_STARTTLS && config->tls <= LISTEN_PLAIN ? tls[config->tls] : "");
    mk_result_bool(result, "proxy", config->proxy);
}

static int listeners_in_main(struct mk_result *result, const char *text) {
    (void)text;
    if (admin_server->listeners)
        admin_server->listeners(add_listener, result);
    return MK_OK;
}

int cmd_listeners(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    return main_ask(c, "listeners", listeners_in_main, NULL, result);
}

static int metrics_in_main(struct mk_result *result, const char *text) {
    struct buf out = { 0 };
    (void)text;
    metrics_text(&out);
    result_say_text(result, out.data);
    buf_free(&out);
    return MK_OK;
}

int cmd_metrics(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    return main_ask(c, "metrics", metrics_in_main, NULL, result);
}

static int reload_in_main(struct mk_result *result, const char *text) {
    struct buf lines = { 0 };
    (void)text;
    bool good = admin_server->reload(&lines);
    if (lines.data)
        result_say_text(result, lines.data);
    else if (good)
        mk_result_say(result, "The configuration is in force.");
    buf_free(&lines);
    return good ? MK_OK : mk_result_error(result, MK_E_INVALID, "the configuration was refused; nothing has changed");
}

int cmd_reload(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    int rc = main_ask(c, "reload", reload_in_main, NULL, result);
    if (rc == MK_E_TIMEOUT)
        return mk_result_error(result, rc, "the reload takes long; the log will tell how it ended");
    return rc;
}

struct stopping {
    struct post post; /* first: main_post_later() */
    bool again;
};

static void stop_in_main(struct post *p) {
    struct stopping *s = container_of(p, struct stopping, post);
    bool again = s->again;
    free(s);
    if (admin_server)
        admin_server->stop(again);
}

void stop_server(const struct mk_result *result) {
    struct stopping *s = xcalloc(1, sizeof *s);
    s->post.run = stop_in_main;
    s->again = result->restarts;
    if (result->delay)
        main_post_later(&s->post, result->delay);
    else
        main_post(&s->post);
}

/* A server that stops answers nobody: whoever carries the answer begins the stop. */
int cmd_stop(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    int64_t delay = mk_arg_int(args, "delay");
    (void)c;
    if (delay < 0 || delay > MAIN_DELAY_MAX)
        return mk_result_error(result, MK_E_INVALID, "delay must be from 0 to %d seconds", MAIN_DELAY_MAX);
    result->stops = true;
    result->restarts = mk_arg_bool(args, "restart");
    result->delay = delay;
    const char *what = result->restarts ? "restarts" : "stops";
    if (delay)
        mk_result_say(result, "The server %s in %lld seconds.", what, (long long)delay);
    else
        mk_result_say(result, "The server %s.", what);
    return MK_OK;
}

/* ---- log ----------------------------------------------------------------------------------------------------------- */

static void show_level(struct mk_result *result, const char *name, int level) {
    mk_result_next(result);
    mk_result_text(result, "plugin", name);
    mk_result_text(result, "level", log_level_name(level));
}

static const struct plugin *find_plugin(struct mk_ctx *c, const char *name, struct mk_result *result) {
    const struct snapshot *s = snapshot_current();
    const char **names = arena_alloc(&c->arena, (s->plugin_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < s->plugin_count; i++) {
        if (strcmp(s->plugins[i]->name, name) == 0)
            return s->plugins[i];
        names[i] = s->plugins[i]->name;
    }
    const char *near = nearest_name(name, names, s->plugin_count);
    mk_result_error(result, MK_E_NOTFOUND, "plugin %.64s is not loaded%s%s%s", name, near ? "; did you mean " : "",
                    near ? near : "", near ? "?" : "");
    return NULL;
}

static void show_levels(struct mk_result *result) {
    const struct snapshot *s = snapshot_current();
    for (int level = MK_DEBUG; level >= MK_ERROR; level--) {
        if (log_wants(level)) {
            show_level(result, "server", level);
            break;
        }
    }
    for (uint32_t i = 0; i < s->plugin_count; i++)
        show_level(result, s->plugins[i]->name, atomic_load_explicit(&s->plugins[i]->level, memory_order_relaxed));
}

int cmd_log_level(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *name = mk_arg_text(args, "plugin"), *text = mk_arg_text(args, "level");
    const struct plugin *plugin = NULL;
    if (!name) {
        show_levels(result);
        return MK_OK;
    }
    if (!text)
        return mk_result_error(result, MK_E_INVALID,
                               "argument level is missing: error, warning, notice, info or debug");
    int level = log_level_of(text);
    if (level < 0)
        return mk_result_error(result, MK_E_INVALID,
                               "level must be error, warning, notice, info or debug, not \"%.40s\"", text);
    if (strcmp(name, "server") != 0) {
        plugin = find_plugin(c, name, result);
        if (!plugin)
            return MK_E_NOTFOUND;
        /* Const for those who read snapshots; the level is what may change in it. */
        atomic_store_explicit(&((struct plugin *)plugin)->level, level, memory_order_relaxed);
    } else {
        log_set_level(level);
    }
    show_level(result, plugin ? plugin->name : "server", level);
    return MK_OK;
}
