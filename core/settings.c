/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"
#include "route/session.h"
#include "run/turn.h"
#include <stdio.h>
#include <string.h>

struct top {
    int64_t workers, offload_threads, io_uring;
    const char *plugin_dir; /* the loader's; listed here so that the manual has it */
    const char *pid_file;
    bool yield_chaos;
};
struct log_options {
    int64_t format, level;
    const char *file;
};
struct limits {
    int64_t stanza_before_login, stanza, depth, attributes, children;
    int64_t login_timeout, idle_timeout, login_attempts;
    int64_t output, mailbox, turn_deadline, sessions, fibers, stop_timeout;
    int64_t failed_login_delay, failed_login_delay_max, failed_logins, failed_login_window;
    int64_t store_queue, store_commit, store_retry;
};
struct tls_options {
    const char *priorities;
};

static const char *const log_formats[] = { "text", "json", "journal", NULL };
static const char *const log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const tls_modes[] = { "starttls", "direct", "plain", NULL };

static const char *const ring_uses[] = { "auto", "on", "off", NULL }; /* enum ring_use */

static const struct mk_opt_decl top_rows[] = {
    MK_OPT_INT(struct top, workers, "0", 0, 1024, 0, "Threads that serve clients. 0 is one for each processor."),
    MK_OPT_INT(struct top, offload_threads, "2", 1, 256, 0,
               "Threads for work that computes or blocks, such as the hash of a password."),
    MK_OPT_ENUM(
        struct top, io_uring, "auto", ring_uses, 0,
        "Whether the sockets of many clients are read and written with one call of the kernel, which takes less "
        "processor time when there is much to do. auto does so where the kernel lets the server; on also warns "
        "where it does not."),
    MK_OPT_TEXT(
        struct top, plugin_dir, NULL, 0,
        "Folders that plugins are loaded from, separated by colons. Without it the one this server was built for."),
    MK_OPT_TEXT(struct top, pid_file, NULL, 0, "File that holds the number of the server's process while it runs."),
    MK_OPT_BOOL(struct top, yield_chaos, "false", 0,
                "For developers: operations that complete at once are deferred, so that turns interleave as they would "
                "with a slow database."),
};

static const struct mk_opt_decl listener_rows[] = {
    MK_OPT_TEXT(struct listener_config, kind, "c2s", 0,
                "What connects: c2s is clients, s2s other servers, which make federation possible, component external "
                "components; other kinds are those of plugins, such as http."),
    MK_OPT_TEXT(struct listener_config, address, "::", 0, "Address to listen on. :: is all, of both families."),
    MK_OPT_INT(struct listener_config, port, NULL, 0, 65535, MK_OPT_REQUIRED,
               "TCP port. 0 lets the system choose one."),
    MK_OPT_ENUM(
        struct listener_config, tls, "starttls", tls_modes, 0,
        "starttls begins in plain text and upgrades, direct is TLS from the first byte (XEP-0368), plain is for "
        "proxies that end TLS themselves. Kinds of plugins have no starttls."),
    MK_OPT_BOOL(
        struct listener_config, proxy, "false", 0,
        "Whether every connection begins with a PROXY protocol header, version 1 or 2. Then one without is refused."),
    MK_OPT_INT(struct listener_config, backlog, "1024", 1, 65535, 0,
               "Connections the system holds before they are accepted."),
    MK_OPT_SIZE(struct listener_config, rate, "0", 0, INT64_MAX, 0,
                "Bytes a second that one client may send, after a burst of two seconds. 0 is no limit."),
    MK_OPT_INT(struct listener_config, max_connections, "0", 0, INT64_MAX, 0,
               "Connections at once; more are closed. 0 is no limit but that of descriptors."),
};

static const struct mk_opt_decl log_rows[] = {
    MK_OPT_ENUM(struct log_options, format, "text", log_formats, MK_OPT_LIVE,
                "How lines look, or that they go to journald."),
    MK_OPT_ENUM(struct log_options, level, "info", log_levels, MK_OPT_LIVE,
                "The least important lines that are written. Each plugin may have a log_level of its own."),
    MK_OPT_TEXT(struct log_options, file, NULL, MK_OPT_LIVE, "File to append to; standard error without it."),
};

static const struct mk_opt_decl limit_rows[] = {
    MK_OPT_SIZE(struct limits, stanza_before_login, "10K", 1000, 1 << 24, MK_OPT_LIVE,
                "Bytes of one element before login (XEP-0478)."),
    MK_OPT_SIZE(struct limits, stanza, "256K", 10000, 1 << 28, MK_OPT_LIVE,
                "Bytes of one stanza after login (XEP-0478)."),
    MK_OPT_INT(struct limits, depth, "64", 4, 1000, MK_OPT_LIVE, "Levels of elements in a stanza."),
    MK_OPT_INT(struct limits, attributes, "128", 16, 1000, MK_OPT_LIVE, "Attributes of one element."),
    MK_OPT_INT(struct limits, children, "4096", 16, 1000000, MK_OPT_LIVE, "Elements in one stanza."),
    MK_OPT_DURATION(struct limits, login_timeout, "30s", 100, 3600000, MK_OPT_LIVE,
                    "Time a client has from connecting to a bound resource."),
    MK_OPT_DURATION(
        struct limits, idle_timeout, "0", 0, INT64_MAX, MK_OPT_LIVE,
        "Told to clients as the time after which a silent connection may be closed (XEP-0478). 0 is not told."),
    MK_OPT_INT(struct limits, login_attempts, "5", 1, 100, MK_OPT_LIVE, "Failed logins on one connection."),
    MK_OPT_SIZE(struct limits, output, "4M", 65536, 1 << 30, MK_OPT_LIVE,
                "Bytes that wait for one client to read; past it the connection is given up."),
    MK_OPT_INT(
        struct limits, mailbox, "1000", 10, 1000000, MK_OPT_LIVE,
        "Stanzas that wait for one account; past it its own connections are not read, and past eight times of it "
        "what others send is refused with resource-constraint."),
    MK_OPT_DURATION(struct limits, turn_deadline, "10s", 100, 600000, MK_OPT_LIVE,
                    "Time that handling one stanza may wait for databases and the like."),
    MK_OPT_INT(struct limits, sessions, "20", 1, MAX_SESSIONS, MK_OPT_LIVE, "Resources of one account."),
    MK_OPT_INT(struct limits, fibers, "1024", 16, 16384, 0, "Turns of one worker that may wait at once; more queue."),
    MK_OPT_DURATION(struct limits, stop_timeout, "5s", 0, 600000, MK_OPT_LIVE,
                    "Time a stop waits for writes and farewells."),
    MK_OPT_DURATION(struct limits, failed_login_delay, "200", 0, 9000, MK_OPT_LIVE,
                    "Delay of the answer to a first failed login; it doubles with each."),
    MK_OPT_DURATION(struct limits, failed_login_delay_max, "5s", 0, 9000, MK_OPT_LIVE, "The longest such delay."),
    MK_OPT_INT(struct limits, failed_logins, "50", 1, 1000000, MK_OPT_LIVE,
               "Failed logins of one address or account after which more are refused for a while."),
    MK_OPT_DURATION(struct limits, failed_login_window, "10m", 1000, INT64_MAX, MK_OPT_LIVE,
                    "Time after which failed logins are forgotten."),
    MK_OPT_INT(struct limits, store_queue, "100000", 100, 100000000, 0,
               "Rows of one worker that wait to be written; past it stanzas are refused with resource-constraint."),
    MK_OPT_INT(struct limits, store_commit, "512", 1, 100000, 0, "Most rows of one commit."),
    MK_OPT_DURATION(struct limits, store_retry, "100", 10, 30000, 0,
                    "Time before a commit that failed is tried again; it doubles up to 5 s."),
};

static const struct mk_opt_decl tls_rows[] = {
    MK_OPT_TEXT(
        struct tls_options, priorities, NULL, 0,
        "Protocols and ciphers in the syntax of GnuTLS. Without it TLS 1.3 and 1.2 with forward secrecy and AEAD "
        "ciphers, AES-GCM first; versions below 1.2 can't be switched on."),
};

static const struct mk_opt_decl control_rows[] = {
    MK_OPT_TEXT(struct control_config, socket, MEERKAT_RUN_DIR "/meerkat.sock", 0, "Socket that meerkatctl talks to."),
    MK_OPT_TEXT(struct control_config, group, NULL, 0,
                "Group whose members may use it, beside root and the server's user."),
};

static const struct mk_opt_decl journal_rows[] = {
    MK_OPT_TEXT(
        struct journal_config, folder, MEERKAT_STATE_DIR "/journal", 0,
        "Where writes wait while their database is away, on a local disk. It is made if it does not exist. What a "
        "server that ended left there is stored when it starts again."),
    MK_OPT_SIZE(struct journal_config, size, "1G", 0, INT64_MAX, 0,
                "Bytes that may wait there for one backend; past it stanzas are refused with resource-constraint. 0 "
                "switches the journal off: writes wait in memory alone."),
    MK_OPT_INT(struct journal_config, share, "50", 0, 100, 0,
               "Percent of limits.store_queue that may wait in memory before the journal is used."),
    MK_OPT_DURATION(struct journal_config, after, "5s", 0, 3600000, 0,
                    "Time that a database fails, or does not answer, before it counts as away: then all that nobody "
                    "waits for goes to the "
                    "journal and is acknowledged, and requests that need the database fail at once."),
};

static const struct section {
    const char *name, *about;
    struct mk_table rows;
} sections[] = {
    { "", "Options outside any group.", MK_TABLE(top_rows) },
    { "listeners", "A list of groups, one for each socket.", MK_TABLE(listener_rows) },
    { "log", "The log.", MK_TABLE(log_rows) },
    { "limits", "What clients and the server itself may use.", MK_TABLE(limit_rows) },
    { "tls", "Encryption. Certificates belong to hosts.", MK_TABLE(tls_rows) },
    { "control", "The socket of meerkatctl.", MK_TABLE(control_rows) },
    { "journal", "Writes that wait for a database.", MK_TABLE(journal_rows) },
};

void settings_manual(struct buf *out) {
    for (unsigned i = 0; i < sizeof sections / sizeof *sections; i++) {
        buf_printf(out, "## %s\n\n%s\n\n", *sections[i].name ? sections[i].name : "Top level", sections[i].about);
        conf_manual(out, &sections[i].rows);
        buf_puts(out, "\n");
    }
    s2s_manual(out);
    component_manual(out);
}

static void read_group(struct arena *arena, struct conf_node *root, unsigned section, void *into,
                       struct conf_errors *e) {
    const struct section *s = &sections[section];
    conf_fill(arena, s->name, conf_find(root, s->name), &s->rows, NULL, into, e);
}

static void read_listeners(struct arena *arena, struct conf_node *root, struct settings *s, struct conf_errors *e) {
    const struct conf_node *list = conf_find(root, "listeners");
    unsigned count = 0;
    if (!list)
        return;
    if (list->type != CONF_LIST) {
        conf_error(e, list, "listeners is not a list of groups: listeners = ( { port = 5222; } );");
        return;
    }
    for (const struct conf_node *n = list->first; n; n = n->next)
        count++;
    s->listeners = arena_zalloc(arena, (count + 1) * sizeof *s->listeners);
    for (struct conf_node *n = list->first; n; n = n->next) {
        struct listener_config *l = &s->listeners[s->listener_count++];
        n->used = true;
        conf_fill(arena, "listener", n, &sections[1].rows, NULL, l, e);
        l->where = n;
        s->s2s.enabled = s->s2s.enabled || (l->kind && strcmp(l->kind, "s2s") == 0);
        if (l->kind && strcmp(l->kind, "component") == 0 && l->tls == LISTEN_STARTTLS)
            conf_error(e, n, "components have no STARTTLS: say tls = \"direct\" or tls = \"plain\"");
    }
}

/* The top level is read by rows one at a time: its other members are groups of others. */
static void read_top(struct arena *arena, struct conf_node *root, struct top *top, struct conf_errors *e) {
    static const char *const others[] = { "listeners", "log",        "limits",     "tls",      "control",
                                          "hosts",     "host_types", "plugins",    "backends", "storage",
                                          "journal",   "s2s",        "components", NULL };
    conf_fill(arena, "the configuration", root, &sections[0].rows, others, top, e);
}

static int level_of(int64_t index) {
    return MK_ERROR + (int)index;
}

static void limits_to_settings(const struct limits *l, struct settings *s) {
    struct xml_limits xml = { (uint32_t)l->stanza, (uint32_t)l->depth, (uint32_t)l->attributes, (uint32_t)l->children };
    s->stream = (struct stream_config){ .before = xml, .after = xml };
    s->stream.before.bytes = (uint32_t)l->stanza_before_login;
    s->stream.login_ms = l->login_timeout;
    s->stream.idle_s = l->idle_timeout / 1000;
    s->stream.sasl_tries = l->login_attempts;
    s->stream.out_bytes = l->output;
    s->throttle = (struct throttle_config){ l->failed_login_delay, l->failed_login_delay_max, l->failed_logins,
                                            l->failed_login_window };
    s->store = (struct store_config){ l->store_queue, l->store_commit, l->store_retry };
    s->mailbox = l->mailbox;
    s->turn_deadline = l->turn_deadline;
    s->sessions = l->sessions;
    s->fibers = l->fibers;
    s->stop_ms = l->stop_timeout;
}

void settings_read(struct arena *arena, struct conf_node *root, struct settings *s, struct conf_errors *e) {
    struct top top = { 0 };
    struct log_options log = { 0 };
    struct limits limits = { 0 };
    struct tls_options tls = { 0 };
    *s = (struct settings){ 0 };
    s2s_read(arena, root, &s->s2s, e);
    component_read(arena, root, &s->components, &s->component_count, e);
    read_top(arena, root, &top, e);
    read_listeners(arena, root, s, e);
    read_group(arena, root, 2, &log, e);
    read_group(arena, root, 3, &limits, e);
    read_group(arena, root, 4, &tls, e);
    read_group(arena, root, 5, &s->control, e);
    read_group(arena, root, 6, &s->journal, e);
    s->workers = top.workers;
    s->offload_threads = top.offload_threads;
    s->io_uring = top.io_uring;
    s->pid_file = top.pid_file;
    s->yield_chaos = top.yield_chaos;
    s->log = (struct log_config){ (enum log_format)log.format, log.file, level_of(log.level) };
    s->tls_priorities = tls.priorities;
    limits_to_settings(&limits, s);
}

void settings_apply(const struct settings *s) {
    log_setup(&s->log);
    stream_setup(&s->stream);
    throttle_setup(&s->throttle);
    mailbox_high_mark = (uint32_t)s->mailbox;
    turn_deadline_ms = (uint32_t)s->turn_deadline;
    session_limit = (uint32_t)s->sessions;
}
