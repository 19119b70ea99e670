/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/test_admin.h"
#include <math.h>

enum { M_DONE, M_QUEUE, M_SIZE, M_WAIT, M_TICKS };
static const struct mk_metric_decl metrics[] = {
    [M_DONE] = { "jobs_done", MK_COUNTER, 0, "", "Jobs \\ done.\nReally." },
    [M_QUEUE] = { "queue", MK_GAUGE, 0, "jobs", "Jobs that wait." },
    [M_SIZE] = { "bytes_read", MK_COUNTER, 0, "bytes", "Bytes." },
    [M_WAIT] = { "wait_us", MK_HISTOGRAM, 0, "microseconds", "Time." },
    [M_TICKS] = { "ticks", MK_HISTOGRAM, 0, "", "Ticks." },
};
static unsigned places[] = { 500, 501, 502, 503, 503 + METRIC_BUCKETS + 2 };

static char *all;

static void scrape(void) {
    struct buf out = { 0 };
    free(all);
    metrics_text(&out);
    all = out.data;
}

/* The value of a sample, its name with labels as they are shown; NAN if there is none. */
static double value(const char *name) {
    size_t len = strlen(name);
    for (const char *line = all; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return strtod(line + len + 1, NULL);
    return NAN;
}

#define CHECK_VALUE(name, want)                                                                                        \
    do {                                                                                                               \
        double got_ = value(name);                                                                                     \
        if (!(fabs(got_ - (want)) < 1e-9))                                                                             \
            check_fail(__FILE__, __LINE__, "%s is %g, not %g", name, got_, (double)(want));                            \
    } while (0)

static void use(struct mk_ctx *c) {
    c->inst = &test_instance;
    mk_count(c, M_DONE, 2);
    mk_count(c, M_QUEUE, c->worker->index ? 5 : -1);
    mk_count(c, M_SIZE, 100);
    mk_observe(c, M_WAIT, 3);
    mk_observe(c, M_WAIT, 1000000);
    mk_observe(c, M_TICKS, 0);
    mk_observe(c, M_TICKS, 1);
    mk_observe(c, M_TICKS, INT64_MAX / 4);
    METRIC(c->worker, logins, 1);
}

/* Accounts until each worker has had one. */
static void use_on_both(void) {
    bool had[2] = { false, false };
    for (char name[] = "a@one.example"; !had[0] || !had[1]; name[0]++) {
        unsigned home = worker_of(jid(name)->hash)->index;
        if (!had[home])
            in_turn_of(name, use);
        had[home] = true;
    }
}

static void sums_over_workers(void) {
    test_plugin.d.metrics = (struct mk_table)MK_TABLE(metrics);
    test_plugin.metric_places = places;
    use_on_both();
    scrape();
    CHECK_VALUE("meerkat_t_jobs_done_total", 4);
    static _Atomic int64_t apart[8] = { 5 };
    test_plugin.apart = apart;
    scrape();
    CHECK_VALUE("meerkat_t_jobs_done_total", 9);
    test_plugin.apart = NULL;
    scrape();
    CHECK_VALUE("meerkat_t_queue_jobs", 4);
    CHECK_VALUE("meerkat_t_bytes_read_total", 200);
    CHECK_VALUE("meerkat_logins_total", 2);
    CHECK_VALUE("meerkat_connections_total", 0);
    CHECK_VALUE("meerkat_connections", 0);
    CHECK(isnan(value("meerkat_t_queue")) && isnan(value("meerkat_connections_total_total")));
    CHECK(value("meerkat_turns_total") >= 2);
    CHECK_INT(value("meerkat_worker_turns_total{worker=\"0\"}") + value("meerkat_worker_turns_total{worker=\"1\"}"),
              value("meerkat_turns_total"));
}

static void histograms(void) {
    scrape();
    CHECK_VALUE("meerkat_t_wait_seconds_count", 4);
    CHECK_VALUE("meerkat_t_wait_seconds_sum", 2.000006);
    CHECK_VALUE("meerkat_t_wait_seconds_bucket{le=\"1e-06\"}", 0);
    CHECK_VALUE("meerkat_t_wait_seconds_bucket{le=\"3e-06\"}", 2);
    CHECK_VALUE("meerkat_t_wait_seconds_bucket{le=\"0.524287\"}", 2);
    CHECK_VALUE("meerkat_t_wait_seconds_bucket{le=\"1.048575\"}", 4);
    CHECK_VALUE("meerkat_t_wait_seconds_bucket{le=\"+Inf\"}", 4);
    CHECK_VALUE("meerkat_t_ticks_bucket{le=\"0\"}", 2);
    CHECK_VALUE("meerkat_t_ticks_bucket{le=\"1\"}", 4);
    CHECK_VALUE("meerkat_t_ticks_bucket{le=\"274877906943\"}", 4); /* the last bucket is for all that is more */
    CHECK_VALUE("meerkat_t_ticks_bucket{le=\"+Inf\"}", 6);
    CHECK_VALUE("meerkat_t_ticks_count", 6);
    CHECK(isnan(value("meerkat_t_wait_us_seconds_count")));
}

static void help_and_type(void) {
    scrape();
    CHECK(strstr(all, "# HELP meerkat_t_jobs_done_total Jobs \\\\ done.\\nReally.\n"
                      "# TYPE meerkat_t_jobs_done_total counter\nmeerkat_t_jobs_done_total 4\n") != NULL);
    CHECK(strstr(all, "# TYPE meerkat_t_queue_jobs gauge\n") != NULL);
    CHECK(strstr(all, "# TYPE meerkat_t_wait_seconds histogram\n") != NULL);
    CHECK(strstr(all, "# TYPE meerkat_sessions gauge\n") != NULL);
    CHECK(strstr(all, "meerkat_build_info{version=\"" MEERKAT_VERSION "\"} 1\n") != NULL);
    CHECK(value("process_resident_memory_bytes") > 1e6);
    CHECK(value("process_cpu_seconds_total") > 0);
}

/* Every line is a comment or "name{labels} number", and all of a name follow its TYPE. */
static void well_formed(void) {
    char family[128] = "";
    scrape();
    for (char *line = all, *end; *line; line = end + 1) {
        char name[128];
        end = strchr(line, '\n');
        CHECK(end != NULL);
        *end = '\0';
        if (sscanf(line, "# TYPE %127s", name) == 1) {
            snprintf(family, sizeof family, "%s", name);
            continue;
        }
        if (*line == '#')
            continue;
        size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
        CHECK(len >= strlen(family) && strncmp(line, family, strlen(family)) == 0);
        const char *rest = line + len;
        CHECK(*rest == ' ' || (*rest == '{' && strstr(rest, "} ")));
        char *number = strrchr(line, ' '), *behind;
        strtod(number, &behind);
        CHECK(behind != number + 1 && *behind == '\0');
    }
}

/* ---- handlers ---------------------------------------------------------------------------------------------------- */

static enum mk_flow pass(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)c, (void)ev;
    return MK_NEXT;
}

static int answer(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)c, (void)iq;
    return 0;
}

static void call_handlers(struct mk_ctx *c) {
    struct mk_ev_account ev = { c->self };
    for (int i = 0; i < 3; i++)
        chain_run(c, MK_HOOK_account_created, &ev);
    iq_run(c, host_iq(c->host->type, "query", "urn:t:\"x\"", MK_TO_SERVER, MK_GET), NULL);
}

static void handlers_are_counted(void) {
    static struct handler list[3];
    static const struct mk_iq_decl row = { "query", "urn:t:\"x\"", MK_TO_SERVER | MK_TO_ACCOUNT, MK_GET, MK_INLINE,
                                           0,       answer };
    static struct iq_entry iq;
    static struct instance global = { .plugin = &test_plugin, .name = "pool" };
    list[0] =
        (struct handler){ { .account_created = pass }, &test_instance, "t:account_created", stats_new(), 10, false };
    list[1] =
        (struct handler){ { .account_created = pass }, &test_instance, "t:account_created", stats_new(), 20, false };
    list[2] = (struct handler){ { .account_created = pass }, &global, "pool:account_created", stats_new(), 30, false };
    test_type.chains[MK_HOOK_account_created] = (struct chain){ list, 3, false };
    other_type.chains[MK_HOOK_account_created] = (struct chain){ list + 2, 1, false };
    iq = (struct iq_entry){ &row, &test_instance, "t:query", stats_new() };
    CHECK(!host_iq_add(&test_type, &iq));
    in_turn_of("alice@one.example", call_handlers);
    scrape();
    CHECK_VALUE("meerkat_hook_calls_total{host_type=\"default\",hook=\"account_created\",plugin=\"t\"}", 6);
    CHECK_VALUE("meerkat_hook_calls_total{host_type=\"\",hook=\"account_created\",plugin=\"pool\"}", 3);
    CHECK_VALUE(
        "meerkat_iq_calls_total{host_type=\"default\",plugin=\"t\",name=\"query\",ns=\"urn:t:\\\"x\\\"\",to=\"any\","
        "type=\"get\"}",
        1);
    const char *pool = strstr(all, "plugin=\"pool\"} 3\n");
    CHECK(pool && !strstr(pool + 1, "plugin=\"pool\"} 3\n"));
    CHECK(value("meerkat_hook_average_seconds{host_type=\"default\",hook=\"account_created\",plugin=\"t\"}") >= 0);
    table_free(&test_type.iqs);
    test_type.chains[MK_HOOK_account_created] = other_type.chains[MK_HOOK_account_created] = (struct chain){ 0 };
}

static void workers_grow(void) {
    struct worker w = { 0 };
    metrics_worker(&w, 3);
    CHECK_INT(w.metric_count, 3);
    metric_add(&w, 2, 7);
    metric_add(&w, 3, 7); /* not there: dropped */
    metrics_worker(&w, 10);
    CHECK(w.metric_count == 10 && w.metrics[2] == 7 && w.metrics[3] == 0 && w.metrics[9] == 0);
    metrics_worker(&w, 5);
    CHECK_INT(w.metric_count, 10);
    free(w.metrics);
}

static void numbering(void) {
    unsigned next = 0;
    unsigned count = metrics_number();
    for (unsigned i = 0; i < SERVER_METRIC_COUNT; i++) {
        CHECK_INT(server_metric_place[i], next);
        bool histogram = i == METRIC_store_read_us_row || i == METRIC_store_commit_us_row;
        next += histogram ? METRIC_BUCKETS + 2 : 1;
    }
    CHECK_INT(count, next);
}

int main(void) {
    set_up(NULL, 0);
    int failed = CHECK_RUN(T(sums_over_workers), T(histograms), T(help_and_type), T(well_formed),
                           T(handlers_are_counted), T(workers_grow), T(numbering));
    free(all);
    tear_down();
    return failed;
}
