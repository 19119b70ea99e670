/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmark client.  Each mode prints one line of numbers for run.sh:
 *
 *   idle     bytes of private memory an idle session costs the server
 *   route    microseconds of server CPU a routed message costs, and messages a second; with --far-... the second of each
 *            pair is at another server, and the CPU is that of both
 *   floor    the same against the floor program
 *   login    logins a second, and milliseconds of server CPU each
 */
#include "bench.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct {
    int port, pid, far_port, far_pid, count, burst, accounts;
    double seconds;
    bool tls, tell;
    const char *domain, *far_domain;
} opt = { .count = 1000, .burst = 1, .accounts = 50, .seconds = 5, .domain = "localhost" };

static struct peer **peers;
static int ready;
static long delivered;

/* ---- logging in ------------------------------------------------------------------------------------------------------ */

static void on_ready(struct peer *p) {
    (void)p;
    ready++;
}

static void log_in_all(int count, bool full) {
    enum { AT_ONCE = 200 };
    login_setup(&(struct script){ .domain = opt.domain, .anonymous = true, .full = full, .done = on_ready });
    peers = calloc((size_t)count, sizeof(struct peer *));
    ready = 0;
    for (int i = 0; i < count || ready < count;) {
        while (i < count && i - ready < AT_ONCE) {
            peers[i] = peer_open(i, opt.port, opt.tls, login_arrived);
            i++;
        }
        peers_poll(1000);
    }
}

static void settle(double seconds) {
    for (double end = now_s() + seconds; now_s() < end;)
        peers_poll(50);
}

static void idle(void) {
    enum { WARM = 500 };
    struct peer **warm;
    /* The first sessions pay for pools and tables that all others share. */
    log_in_all(WARM, true);
    warm = peers;
    settle(1);
    long before = heap_of(opt.pid);
    log_in_all(opt.count, true);
    settle(3);
    printf("%ld\n", (heap_of(opt.pid) - before) / opt.count);
    free(warm);
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

static const char body[] = "<body>Hello Bob, are we still meeting at 10:30 today?</body><active "
                           "xmlns='http://jabber.org/protocol/chatstates'/>"
                           "<request xmlns='urn:xmpp:receipts'/></message>";

static void send_burst(struct peer *p) {
    char text[1024];
    const char *to = peers[p->index ^ 1]->jid;
    for (int i = 0; i < opt.burst; i++) {
        int len = snprintf(text, sizeof text, "<message to='%s' id='5b1d2c3e-4f%d' type='chat' xml:lang='en'>%s", to, i,
                           body);
        peer_put(p, text, (size_t)len);
    }
    peer_flush(p);
}

static void on_message(struct peer *p) {
    while (peer_got(p, "</message>")) {
        delivered++;
        if (++p->got == (unsigned)opt.burst) {
            p->got = 0;
            send_burst(p);
        }
    }
    peer_listen(p);
}

static double cpu_used(void) {
    return cpu_of(opt.pid) + (opt.far_pid ? cpu_of(opt.far_pid) : 0);
}

/* For whoever wants to look at the server while it works. */
static void say_measuring(void) {
    if (opt.tell)
        fputs("measures\n", stderr);
}

static void measure(void) {
    delivered = 0;
    settle(0.5);
    say_measuring();
    long first = delivered;
    double cpu = cpu_used(), began = now_s();
    settle(opt.seconds);
    double took = now_s() - began;
    long count = delivered - first;
    printf("%.2f %.0f\n", (cpu_used() - cpu) * 1e6 / (double)count, (double)count / took);
}

/* After the login every arrival is a message: the script's last state ignores input, so the function is changed. */
static bool talking;
static void route_arrived(struct peer *p) {
    if (talking)
        on_message(p);
    else
        login_arrived(p);
}

static void route(void) {
    login_setup(
        &(struct script){ .domain = opt.domain, .odd_domain = opt.far_domain, .anonymous = true, .done = on_ready });
    peers = calloc((size_t)opt.count * 2, sizeof(struct peer *));
    for (int i = 0; i < opt.count * 2; i++) {
        peers[i] = peer_open(i, i % 2 && opt.far_port ? opt.far_port : opt.port, opt.tls, route_arrived);
        while (ready <= i)
            peers_poll(1000);
    }
    talking = true;
    for (int i = 0; i < opt.count; i++) {
        peer_listen(peers[2 * i + 1]);
        send_burst(peers[2 * i]);
    }
    measure();
}

static void floor_arrived(struct peer *p) {
    if (talking)
        on_message(p);
}

static void floor_relay(void) {
    peers = calloc((size_t)opt.count * 2, sizeof(struct peer *));
    for (int i = 0; i < opt.count * 2; i++) {
        peers[i] = peer_open(i, opt.port, false, floor_arrived);
        snprintf(peers[i]->jid, sizeof peers[i]->jid, "aB3dE5fG7hI9jK1lM3nO5p@localhost/bench-%d", i);
    }
    settle(0.5);
    talking = true;
    for (int i = 0; i < opt.count; i++)
        send_burst(peers[2 * i]);
    measure();
}

/* ---- logins -------------------------------------------------------------------------------------------------------------- */

static struct peer *over[4096];
static int over_count;

static void on_login(struct peer *p) {
    ready++;
    over[over_count++] = p;
}

static void login(void) {
    enum { AT_ONCE = 50 };
    int index = 0, open = 0;
    login_setup(&(struct script){ .domain = opt.domain, .accounts = opt.accounts, .done = on_login });
    double began = now_s(), cpu = cpu_of(opt.pid);
    int first = 0;
    bool warm = false;
    for (;;) {
        while (open < AT_ONCE) {
            peer_open(index++, opt.port, opt.tls, login_arrived);
            open++;
        }
        peers_poll(1000);
        while (over_count) {
            peer_close(over[--over_count]);
            open--;
        }
        if (!warm && now_s() - began > 1) { /* every account has computed its key */
            warm = true;
            began = now_s();
            cpu = cpu_of(opt.pid);
            first = ready;
            say_measuring();
        }
        if (warm && now_s() - began > opt.seconds)
            break;
    }
    double took = now_s() - began;
    printf("%.0f %.3f\n", (ready - first) / took, (cpu_of(opt.pid) - cpu) * 1e3 / (ready - first));
}

static enum way way_named(const char *name) {
    static const char *const names[] = { [BY_TCP] = "tcp", [BY_WEBSOCKET] = "websocket", [BY_BOSH] = "bosh" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail("streams do not travel by %s", name);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        { "port", 1, NULL, 'p' },     { "pid", 1, NULL, 'P' },     { "count", 1, NULL, 'n' },
        { "burst", 1, NULL, 'b' },    { "seconds", 1, NULL, 's' }, { "accounts", 1, NULL, 'a' },
        { "domain", 1, NULL, 'd' },   { "tls", 0, NULL, 't' },     { "by", 1, NULL, 'B' },
        { "far-port", 1, NULL, 'F' }, { "far-pid", 1, NULL, 'Q' }, { "far-domain", 1, NULL, 'D' },
        { "tell", 0, NULL, 'T' },     { NULL, 0, NULL, 0 },
    };
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = { { "idle", idle }, { "route", route }, { "floor", floor_relay }, { "login", login } };
    struct rlimit files;
    int c;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'P':
            opt.pid = atoi(optarg);
            break;
        case 'n':
            opt.count = atoi(optarg);
            break;
        case 'b':
            opt.burst = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'a':
            opt.accounts = atoi(optarg);
            break;
        case 'd':
            opt.domain = optarg;
            break;
        case 't':
            opt.tls = true;
            break;
        case 'T':
            opt.tell = true;
            break;
        case 'B':
            peers_travel(way_named(optarg));
            break;
        case 'F':
            opt.far_port = atoi(optarg);
            break;
        case 'Q':
            opt.far_pid = atoi(optarg);
            break;
        case 'D':
            opt.far_domain = optarg;
            break;
        default:
            return 2;
        }
    }
    for (unsigned i = 0; optind < argc && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[optind], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    fprintf(stderr,
            "usage: bench idle|route|floor|login --port N --pid N [--count N] [--burst N] [--seconds N] [--tls]\n"
            "             [--by tcp|websocket|bosh] [--far-port N --far-pid N --far-domain NAME]\n");
    return 2;
}
