/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: reads the configuration, starts everything in order, waits, and stops it in the other order. */
#include "server.h"
#include "component/component.h"
#include "copy.h"
#include "load/load.h"
#include "net/conn.h"
#include "net/ring.h"
#include "route/plugin_conn.h"
#include "route/router.h"
#include "run/offload.h"
#include "run/watchdog.h"
#include "run/worker.h"
#include "s2s/s2s.h"
#include "settings.h"
#include "util/mem.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#else
#define sd_notify(unset, text) ((void)0)
#define sd_notifyf(unset, ...) ((void)0)
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(MK_SANITIZED)
enum { STACK_SIZE = 512 * 1024 }; /* instrumented frames are larger */
#else
enum { STACK_SIZE = 64 * 1024 };
#endif

struct arguments {
    const char *config;
    const char *sets[64];
    unsigned set_count;
    bool check;
    const char *copy;       /* FROM:TO */
    const char *collection; /* with COPY; NULL: all */
    const char *manual;     /* a plugin's name, "" for the server's own options */
    const char *manual_row; /* a plugin's name */
    const char *plugin_dir; /* for these two, which read no configuration */
};

static struct {
    struct arguments args;
    struct arena arena; /* of the configuration in force and all before it */
    struct settings settings;
    struct event_base *base;
    struct event *signals[3];
    struct listener **listeners;
    unsigned listener_count;
    bool stopping, again;
} server;

/* ---- arguments ---------------------------------------------------------------------------------------------------- */

static void usage(FILE *out) {
    fputs("Usage: meerkatd [-c FILE] [--set KEY=VALUE]... [--check]\n"
          "  -c, --config FILE    configuration, default " MEERKAT_CONF_DIR "/meerkat.cfg\n"
          "  -s, --set KEY=VALUE  sets one option over the files: --set limits.sessions=5\n"
          "      --copy FROM:TO   copies collections from one backend to another, while the server is stopped\n"
          "      --collection NAME  only this one\n"
          "      --check          says all that is wrong with the configuration, and ends\n"
          "      --manual[=NAME]  prints the reference of the server's options, or of a plugin, as Markdown\n"
          "      --manual-row=NAME  prints a plugin's line for a table of plugins\n"
          "      --plugin-dir DIRS  where these two find plugins\n"
          "      --version        prints the version\n",
          out);
}

/* -1: go on; else the exit status. */
static int read_arguments(int argc, char **argv, struct arguments *a) {
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "set", required_argument, NULL, 's' },
        { "copy", required_argument, NULL, 'O' },
        { "collection", required_argument, NULL, 'N' },
        { "check", no_argument, NULL, 'C' },
        { "manual", optional_argument, NULL, 'M' },
        { "manual-row", required_argument, NULL, 'R' },
        { "plugin-dir", required_argument, NULL, 'P' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    a->config = MEERKAT_CONF_DIR "/meerkat.cfg";
    while ((option = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            a->config = optarg;
            break;
        case 's':
            if (a->set_count == sizeof a->sets / sizeof *a->sets) {
                fputs("meerkatd: too many --set\n", stderr);
                return 2;
            }
            a->sets[a->set_count++] = optarg;
            break;
        case 'O':
            a->copy = optarg;
            break;
        case 'N':
            a->collection = optarg;
            break;
        case 'C':
            a->check = true;
            break;
        case 'M':
            a->manual = optarg ? optarg : "";
            break;
        case 'R':
            a->manual_row = optarg;
            break;
        case 'P':
            a->plugin_dir = optarg;
            break;
        case 'V':
            puts("meerkatd " MEERKAT_VERSION);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return 2;
    }
    return -1;
}

static int print_errors(struct conf_errors *e) {
    fputs(e->lines.data ? e->lines.data : "", stderr);
    buf_free(&e->lines);
    return 1;
}

static int print_manual(const struct arguments *a) {
    struct buf out = { 0 };
    struct conf_errors e = { 0 };
    const char *name = a->manual_row ? a->manual_row : a->manual;
    load_setup(&(struct load_config){ .plugin_dir = a->plugin_dir, .workers = 1 });
    if (*name) {
        const struct plugin *p = load_only(name, &e);
        if (!p)
            return print_errors(&e);
        if (a->manual_row)
            manual_row(&out, p);
        else
            manual_plugin(&out, p);
    } else {
        settings_manual(&out);
        manual_hosts(&out);
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    load_free();
    return 0;
}

/* ---- configuration --------------------------------------------------------------------------------------------------- */

static struct conf_node *read_config(struct settings *s, struct conf_errors *e) {
    struct conf_node *root = conf_load(&server.arena, server.args.config, server.args.sets, server.args.set_count, e);
    if (!e->count) /* what is missing after a syntax error is not missing */
        settings_read(&server.arena, root, s, e);
    return root;
}

static unsigned processors(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

/* ---- workers ---------------------------------------------------------------------------------------------------------- */

static int worker_begin(struct worker *w) {
    metrics_worker(w, load_metric_limit());
    if (plugin_conns_start(w) != 0 || stream_worker_start(w) != 0 || net_worker_start(w) != 0 ||
        store_worker_start(w) != 0)
        return -1;
    s2s_worker_start(w);
    components_worker_start(w);
    return load_worker_start(w);
}

/* Rows first: a receipt that is paid now sends its ack with this flush. */
static void worker_before_wait(struct worker *w) {
    store_flush(w);
    net_flush(w);
    stream_after_flush(w);
    s2s_after_flush(w);
    components_after_flush(w);
}

static void worker_end(struct worker *w) {
    plugin_conns_stop(w);
    entities_free(w);
    s2s_worker_stop(w);
    stream_worker_stop(w);
    net_worker_stop(w);
    store_worker_stop(w);
    load_worker_stop(w);
}

static void on_slow_turn(unsigned worker, const char *with, uint64_t ms) {
    log_warning("worker %u: %s held its thread for %llu ms", worker, with, (unsigned long long)ms);
}

static void on_alive(void) {
    sd_notify(0, "WATCHDOG=1");
}

static void follow_snapshot(struct worker *w) {
    metrics_worker(w, load_metric_limit());
    entities_follow_hosts(w);
    stream_follow_hosts(w);
    s2s_follow_hosts(w);
}

/* ---- reload ------------------------------------------------------------------------------------------------------------- */

static void follow_policies(struct worker *w, void *arg) {
    (void)arg;
    s2s_follow_hosts(w);
    components_follow(w);
}

static bool reload(struct buf *lines) {
    struct conf_errors e = { 0 };
    struct settings next;
    char why[512];
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)monotonic_us());
    struct conf_node *root = read_config(&next, &e);
    load_level(next.log.level);
    bool good = !e.count && load_reload(root, &e, lines);
    if (good) {
        hosts_started(snapshot_current());
        settings_apply(&next);
        components_setup(next.components, next.component_count);
        hosts_reloaded(snapshot_current());
        if (s2s_setup(&next.s2s, why, sizeof why))
            workers_each(follow_policies, NULL);
        else
            buf_printf(lines, "s2s: %s; the options before stay in force\n", why);
        server.settings.stop_ms = next.stop_ms;
        log_notice("configuration reloaded");
    } else {
        buf_puts(lines, e.lines.data ? e.lines.data : "");
        log_error("configuration not reloaded: %u errors", e.count);
    }
    buf_free(&e.lines);
    sd_notify(0, "READY=1");
    return good;
}

static void begin_stop(bool again) {
    server.stopping = true;
    server.again = again;
    event_base_loopbreak(server.base);
}

static void on_signal(evutil_socket_t number, short what, void *arg) {
    (void)what, (void)arg;
    if (number == SIGHUP) {
        struct buf lines = { 0 };
        reload(&lines);
        for (char *line = lines.len ? strtok(lines.data, "\n") : NULL; line; line = strtok(NULL, "\n"))
            log_notice("%s", line);
        buf_free(&lines);
    } else {
        begin_stop(false);
    }
}

/* ---- start and stop ------------------------------------------------------------------------------------------------------- */

static bool is_kind(const struct listener_config *l, const char *kind) {
    return strcmp(l->kind, kind) == 0;
}

static bool is_own(const struct listener_config *l) {
    return is_kind(l, "c2s") || is_kind(l, "s2s") || is_kind(l, "component");
}

static listener_accept_fn *accepts(const struct listener_config *l) {
    if (!is_own(l))
        return plugin_conn_accept;
    return is_kind(l, "s2s") ? s2s_accept : is_kind(l, "component") ? component_accept : stream_accept;
}

static bool open_listeners(struct conf_errors *e) {
    const struct settings *s = &server.settings;
    server.listeners = xcalloc(s->listener_count + 1, sizeof(struct listener *));
    for (unsigned i = 0; i < s->listener_count; i++) {
        char why[256];
        struct listener *l = listener_open(&s->listeners[i], accepts(&s->listeners[i]), why, sizeof why);
        if (l)
            server.listeners[server.listener_count++] = l;
        else
            conf_error(e, NULL, "%s", why);
    }
    return !e->count;
}

static void write_pid(void) {
    if (!server.settings.pid_file)
        return;
    FILE *f = fopen(server.settings.pid_file, "w");
    if (!f) {
        log_error("pid_file %s: %s", server.settings.pid_file, strerror(errno));
        return;
    }
    fprintf(f, "%ld\n", (long)getpid());
    fclose(f);
}

static void raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void watch_signals(void) {
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < 3; i++) {
        server.signals[i] = evsignal_new(server.base, numbers[i], on_signal, NULL);
        event_add(server.signals[i], NULL);
    }
}

/* What a stop waits for: sessions that end, rows that are written. */
struct rest {
    atomic_uint streams, accounts, links;
    atomic_bool writes;
};

static void ask_rest(struct worker *w, void *arg) {
    struct rest *r = arg;
    atomic_fetch_add(&r->streams, stream_count(w));
    atomic_fetch_add(&r->links, s2s_count(w) + components_count(w));
    if (!store_idle(w))
        atomic_store(&r->writes, true);
    if (entities_busy(w))
        atomic_fetch_add(&r->accounts, 1);
}

static void end_streams(struct worker *w, void *arg) {
    (void)arg;
    store_stopping(w);
    stream_shutdown(w);
    entities_shutdown(w);
}

static void end_links(struct worker *w, void *arg) {
    (void)arg;
    s2s_shutdown(w);
    components_shutdown(w);
}

/* True once nothing is left; LINKS: of streams to servers neither. */
static bool drained(uint64_t end, bool links) {
    while (monotonic_us() < end) {
        struct rest r = { 0 };
        workers_each(ask_rest, &r);
        if (!atomic_load(&r.streams) && !atomic_load(&r.accounts) && !atomic_load(&r.writes) &&
            (!links || !atomic_load(&r.links)))
            return true;
        usleep(5000);
    }
    return false;
}

/* Other servers hear who went before their streams end. */
static void drain(void) {
    uint64_t now = monotonic_us(), whole = (uint64_t)server.settings.stop_ms * 1000;
    workers_each(end_streams, NULL);
    bool good = drained(now + whole / 2, false);
    workers_each(end_links, NULL);
    if (drained(now + whole, true) && good)
        return;
    log_warning("stopped before everything was written or said: limits.stop_timeout passed");
}

/* A client that names no host of ours sees the certificate of the first host that has one. */
static struct tls_cert *find_cert(const char *domain, size_t len) {
    const struct host *host = domain ? host_find(domain, len) : NULL;
    const struct snapshot *s = snapshot_current();
    const struct domain *d = domain && !host ? domain_find(domain, len) : NULL;
    if (d)
        host = d->host;
    for (uint32_t i = 0; (!host || !host->cert) && s && i < s->host_count; i++)
        host = s->hosts[i];
    return host ? host->cert : NULL;
}

static void check_listeners(const struct settings *s, struct conf_errors *e) {
    for (unsigned i = 0; i < s->listener_count; i++) {
        const struct listener_config *l = &s->listeners[i];
        if (!l->kind || is_own(l))
            continue;
        if (!load_serves(l->kind))
            conf_error(e, l->where,
                       "no enabled plugin has the kind %s of listeners; c2s, s2s and component are the server's own",
                       l->kind);
        else if (l->tls == LISTEN_STARTTLS)
            conf_error(e, l->where, "a listener of kind %s has no starttls: its tls is direct or plain", l->kind);
    }
}

static bool start(struct conf_errors *e) {
    struct settings *s = &server.settings;
    char why[512];
    struct conf_node *root = read_config(s, e);
    if (!s->stream.login_ms)
        return false;
    if (!s->workers)
        s->workers = processors();
    settings_apply(s);
    if (!s2s_setup(&s->s2s, why, sizeof why))
        conf_error(e, NULL, "s2s.trust: %s", why);
    components_setup(s->components, s->component_count);
    if (tls_setup(s->tls_priorities, find_cert, why, sizeof why) != 0)
        conf_error(e, NULL, "tls.priorities: %s", why);
    load_setup(&(struct load_config){ .workers = (unsigned)s->workers,
                                      .first_metric = metrics_number(),
                                      .level = s->log.level,
                                      .followed = follow_snapshot });
    load_server_commands(server_commands, server_command_count);
    bool good = load_plan(root, e);
    if (good)
        check_listeners(s, e);
    conf_check_unused(root, e);
    if (!good || e->count || server.args.check || server.args.copy)
        return !e->count;
    yield_chaos = s->yield_chaos;
    store_setup(&s->store);
    if (!load_start(e))
        return false;
    if (!store_journal_open(&s->journal, why, sizeof why)) {
        conf_error(e, NULL, "%s", why);
        load_stop();
    }
    return !e->count;
}

static void start_listeners(void) {
    for (unsigned i = 0; i < server.listener_count; i++) {
        const struct listener_config *l = &server.settings.listeners[i];
        listener_start(server.listeners[i]);
        log_notice("listening for %s on %s port %d", l->kind, l->address, listener_port(server.listeners[i]));
    }
}

static void each_listener(void (*each)(const struct listener_config *config, int port, void *arg), void *arg) {
    for (unsigned i = 0; i < server.listener_count; i++)
        each(&server.settings.listeners[i], listener_port(server.listeners[i]), arg);
}

static void choose_ring(void) {
    ring_use = (enum ring_use)server.settings.io_uring;
    ring_least = server.settings.yield_chaos ? 1 : ring_least;
    if (ring_use == RING_OFF)
        return;
    if (ring_works()) {
        log_notice("sockets are read and written in batches, by io_uring");
        return;
    }
    if (ring_use == RING_ON)
        log_warning(
            "io_uring is not to be had, from the kernel or in this build: sockets are read and written one by one");
    ring_use = RING_OFF;
}

static int serve(void) {
    static const struct worker_hooks hooks = { worker_begin, worker_before_wait, worker_end, net_read };
    static struct admin_server admin = { .reload = reload, .stop = begin_stop, .listeners = each_listener };
    char why[512];
    server.base = event_base_new();
    watch_signals();
    main_setup(server.base);
    choose_ring();
    store_relieved = stream_relieved;
    if (offload_start((unsigned)server.settings.offload_threads) != 0 ||
        workers_start((unsigned)server.settings.workers, (unsigned)server.settings.fibers, STACK_SIZE, &hooks) != 0) {
        log_error("the workers could not start");
        exit(1);
    }
    watchdog_start(on_slow_turn, on_alive);
    struct conf_errors e = { 0 };
    if (!open_listeners(&e))
        return print_errors(&e);
    hosts_started(snapshot_current());
    start_listeners();
    admin.started_us = (int64_t)monotonic_us();
    if (control_open(server.base, &server.settings.control, &admin, why, sizeof why) != 0)
        log_warning("no control socket: %s", why);
    write_pid();
    log_notice("meerkatd " MEERKAT_VERSION " serves with %u workers", worker_count);
    sd_notify(0, "READY=1");
    while (!server.stopping)
        event_base_loop(server.base, EVLOOP_ONCE);
    return 0;
}

/* To systemd a restart is a reload, for the process stays. */
static void stop(void) {
    if (server.again)
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)monotonic_us());
    else
        sd_notify(0, "STOPPING=1");
    log_notice("stopping");
    for (unsigned i = 0; i < server.listener_count; i++)
        listener_close(server.listeners[i]);
    control_close();
    drain();
    watchdog_stop();
    workers_stop();
    offload_stop();
    load_stop();
    main_setup(NULL);
    workers_free();
    load_free();
    store_journal_close();
    store_clear();
    tls_teardown();
    stream_teardown();
    s2s_teardown();
    components_teardown();
    for (unsigned i = 0; i < 3; i++)
        event_free(server.signals[i]);
    event_base_free(server.base);
    free(server.listeners);
    if (server.settings.pid_file)
        unlink(server.settings.pid_file);
    log_notice("stopped");
    arena_free(&server.arena);
    arena_pool_trim();
}

int mk_server_main(int argc, char **argv) {
    struct conf_errors e = { 0 };
    int status = read_arguments(argc, argv, &server.args);
    if (status >= 0)
        return status;
    if (server.args.manual || server.args.manual_row)
        return print_manual(&server.args);
    raise_file_limit();
    if (!start(&e))
        return print_errors(&e);
    if (server.args.check) {
        printf("%s: no errors\n", server.args.config);
        return 0;
    }
    if (server.args.copy)
        return copy_collections(&server.settings, server.args.copy, server.args.collection);
    status = serve();
    stop();
    if (server.again && status == 0) {
        execv("/proc/self/exe", argv);
        perror("meerkatd: it can't be started again");
        return 1;
    }
    return status;
}
