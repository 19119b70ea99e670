/* SPDX-License-Identifier: Apache-2.0 */
/* meerkat-load: many XMPP clients at once.  Starts the workers, watches them, tells the phases, writes the reports. */
#include "report.h"
#include "worker.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "usage: meerkat-load [OPTION...] SCENARIO\n"
    "  -s, --set PATH=VALUE   replaces a setting of the scenario, as server.port=5222\n"
    "  -p, --pid PID          a process of the server to watch; again for more\n"
    "  -V, --verify           the server's certificate must be trusted and be the domain's\n"
    "  -C, --ca FILE          the same, trusted are those whom FILE names; else those whom the system trusts\n"
    "  -j, --json FILE        writes the report as JSON, - for standard output\n"
    "  -H, --html FILE        writes the report as a page with drawings\n"
    "  -i, --interval SECONDS between two samples, 1\n"
    "  -c, --check            reads the scenario and ends\n"
    "  -q, --quiet            no progress, no summary\n"
    "Ends with 0 if every client came in and every message arrived once, 1 if not, 2 if it could not run.\n";

enum { MOST_OVER = 32 };

static struct scenario scenario;
static struct options {
    char *over[MOST_OVER];
    int over_count, pids[MOST_PIDS], pid_count;
    const char *json, *html, *path, *ca;
    double interval;
    bool check, quiet, verify;
} opt = { .interval = 1 };

static struct shared {
    struct control control;
    struct stats workers[];
} * shared;

static struct stats total, at_hold, at_end;
static struct series series;
static struct report report = {
    .scenario = &scenario, .all = &total, .hold = &at_hold, .over = &at_end, .series = &series
};
static pid_t children[MOST_WORKERS];
static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static void set_limits(void) {
    enum { SPARE = 64 };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    rlim_t each = (rlim_t)(scenario.connections / scenario.workers + SPARE);
    if (files.rlim_cur < each)
        fprintf(stderr, "meerkat-load: a worker needs %lu descriptors and may have %lu: give it more workers\n",
                (unsigned long)each, (unsigned long)files.rlim_cur);
}

static bool start_workers(void) {
    unsigned run = (unsigned)(now_us() ^ (uint64_t)getpid() << 12);
    size_t size = sizeof *shared + (size_t)scenario.workers * sizeof(struct stats);
    shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return false;
    shared->control.begin = now_us() + 100000;
    for (int i = 0; i < scenario.workers; i++) {
        children[i] = fork();
        if (children[i] < 0)
            return false;
        if (children[i] == 0) {
            signal(SIGINT, SIG_IGN); /* the parent tells when it is over */
            worker_run(&scenario, &shared->control, &shared->workers[i], i, run);
            _exit(0);
        }
    }
    return true;
}

/* ---- while it runs ------------------------------------------------------------------------------------------------------- */

static void sum(void) {
    stats_sum(&total, shared->workers, scenario.workers);
}

static void progress(bool end) {
    static const char *const phases[] = { "arriving", "holding", "draining", "ended" };
    if (opt.quiet || !isatty(STDERR_FILENO) || !series.count)
        return;
    const struct sample *x = &series.items[series.count - 1];
    fprintf(stderr,
            "\r\033[K%6.1f s %s: %" PRIu64 " online, %" PRIu64 " logins, %" PRIu64 " sent, %" PRIu64
            " arrived, p50 %.1f p99 %.1f ms, %.2f cores, %.0f MiB%s",
            x->at, phases[x->phase], x->online, x->logins, x->sent, x->arrived, (double)x->p50 / 1e3,
            (double)x->p99 / 1e3, x->cpu, (double)x->rss / 1048576, end ? "\n" : "");
}

static void sample(void) {
    static uint64_t next;
    if (now_us() < next)
        return;
    next = now_us() + (uint64_t)(opt.interval * 1e6);
    series_add(&series, &scenario, &total, &shared->control);
    progress(false);
}

static bool all_came(void) {
    return total.counts[COUNT_LOGINS] + total.counts[COUNT_LOGIN_FAILURES] >= (uint64_t)scenario.clients;
}

static bool children_live(void) {
    for (int i = 0; i < scenario.workers; i++)
        if (children[i] && waitpid(children[i], NULL, WNOHANG) == children[i]) {
            children[i] = 0;
            report.broken = shared->control.phase != PHASE_END;
        }
    return !report.broken;
}

/* What may still come: messages under way, and acknowledgements. */
static uint64_t under_way(void) {
    const uint64_t *n = total.counts;
    bool acks = n[COUNT_ACKED] != 0;
    return report_lost(&total) + report_room_lost(&total) +
           (acks && n[COUNT_SENT] + n[COUNT_ROOM_SENT] > n[COUNT_ACKED] ? 1 : 0);
}

static void step_until(bool (*over)(uint64_t since), uint64_t since) {
    enum { STEP_US = 20000 };
    do {
        usleep(STEP_US);
        sum();
        sample();
    } while (children_live() && !stopped && !over(since));
}

static bool arrival_over(uint64_t since) {
    (void)since;
    return all_came();
}

static bool hold_over(uint64_t since) {
    return now_us() - since >= scenario.hold;
}

static uint64_t messages_heard(void) {
    static const enum count kinds[] = {
        COUNT_DELIVERED, COUNT_DUPLICATED,     COUNT_UNKNOWN,         COUNT_REFUSED,
        COUNT_STRAY,     COUNT_ROOM_DELIVERED, COUNT_ROOM_DUPLICATED, COUNT_ROOM_REFUSED
    };
    uint64_t heard = 0;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        heard += total.counts[kinds[i]];
    return heard;
}

/* A copy that comes late must be counted too, so no message may have come for a while even when all are there.  Other things
 * come all the time: by BOSH answers that are empty. */
static bool drain_over(uint64_t since) {
    enum { QUIET_US = 500000 };
    static uint64_t heard, last;
    if (heard != messages_heard() || !last) {
        heard = messages_heard();
        last = now_us();
    }
    return now_us() - since >= scenario.drain || (under_way() == 0 && now_us() - last >= QUIET_US);
}

static double load_cpu(void) {
    double sum = 0;
    for (int i = 0; i < scenario.workers; i++)
        sum += children[i] ? process_cpu(children[i]) : 0;
    return sum;
}

static void run_phases(void) {
    report.idle = usage_of(&scenario);
    step_until(arrival_over, 0);
    at_hold = total;
    report.arrive_seconds = (double)(now_us() - shared->control.begin) / 1e6;
    report.before = usage_of(&scenario);
    report.load_cpu = -load_cpu();
    shared->control.phase = PHASE_HOLD;
    uint64_t begin = now_us();
    step_until(hold_over, begin);
    sum();
    at_end = total;
    report.after = usage_of(&scenario);
    report.load_cpu += load_cpu();
    report.hold_seconds = (double)(now_us() - begin) / 1e6;
    stopped = 0; /* the first signal ends the load, the second the wait for what is under way */
    shared->control.phase = PHASE_DRAIN;
    step_until(drain_over, now_us());
    shared->control.phase = PHASE_END;
    for (int i = 0; i < scenario.workers; i++)
        if (children[i]) {
            int status = 0;
            waitpid(children[i], &status, 0);
            report.broken |= status != 0;
        }
    sum();
    report.broken |= total.ended != scenario.workers;
    series_add(&series, &scenario, &total, &shared->control);
    progress(true);
}

/* ---- before and after ------------------------------------------------------------------------------------------------------ */

static bool write_to(const char *path, void (*write)(const struct report *, FILE *)) {
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    write(&report, f);
    bool ok = !ferror(f);
    if (f != stdout)
        ok = fclose(f) == 0 && ok;
    return ok;
}

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {
        { "set", 1, NULL, 's' },      { "pid", 1, NULL, 'p' },   { "json", 1, NULL, 'j' },  { "html", 1, NULL, 'H' },
        { "interval", 1, NULL, 'i' }, { "check", 0, NULL, 'c' }, { "quiet", 0, NULL, 'q' }, { "verify", 0, NULL, 'V' },
        { "ca", 1, NULL, 'C' },       { NULL, 0, NULL, 0 },
    };
    int c;
    while ((c = getopt_long(argc, argv, "s:p:j:H:i:cqVC:", options, NULL)) != -1) {
        if (c == 's' && opt.over_count < MOST_OVER)
            opt.over[opt.over_count++] = optarg;
        else if (c == 'p' && opt.pid_count < MOST_PIDS)
            opt.pids[opt.pid_count++] = atoi(optarg);
        else if (c == 'j')
            opt.json = optarg;
        else if (c == 'H')
            opt.html = optarg;
        else if (c == 'i' && atof(optarg) >= 0.05)
            opt.interval = atof(optarg);
        else if (c == 'c')
            opt.check = true;
        else if (c == 'q')
            opt.quiet = true;
        else if (c == 'V')
            opt.verify = true;
        else if (c == 'C')
            opt.ca = optarg;
        else
            return false;
    }
    opt.path = argc == optind + 1 ? argv[optind] : NULL;
    return opt.path != NULL;
}

/* What the command line says of certificates goes before the scenario. */
static bool settle_trust(void) {
    char why[300] = "";
    scenario.verify |= opt.verify || opt.ca || *scenario.ca;
    if (opt.ca)
        snprintf(scenario.ca, sizeof scenario.ca, "%s", opt.ca);
    if (conn_trust(scenario.verify, scenario.ca, why, sizeof why))
        return true;
    fprintf(stderr, "meerkat-load: %s\n", why);
    return false;
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!scenario_read(&scenario, opt.path, opt.over, opt.over_count) || !settle_trust())
        return 2;
    if (opt.check)
        return 0;
    for (int i = 0; i < opt.pid_count && scenario.pid_count < MOST_PIDS; i++)
        scenario.pids[scenario.pid_count++] = opt.pids[i];
    report.scenario_path = opt.path;
    set_limits();
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (!start_workers()) {
        perror("meerkat-load");
        return 2;
    }
    run_phases();
    if (!opt.quiet)
        report_text(&report, opt.json && strcmp(opt.json, "-") == 0 ? stderr : stdout);
    bool written = (!opt.json || write_to(opt.json, report_json)) && (!opt.html || write_to(opt.html, report_html));
    return !written ? 2 : !report_is_clean(&report);
}
