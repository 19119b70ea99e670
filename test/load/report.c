/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static uint64_t missing(uint64_t sent, uint64_t arrived, uint64_t refused) {
    return sent > arrived + refused ? sent - arrived - refused : 0;
}

uint64_t report_lost(const struct stats *s) {
    return missing(s->counts[COUNT_SENT], s->counts[COUNT_DELIVERED], s->counts[COUNT_REFUSED]);
}

uint64_t report_room_lost(const struct stats *s) {
    return missing(s->counts[COUNT_ROOM_EXPECTED], s->counts[COUNT_ROOM_DELIVERED], 0);
}

static uint64_t arrivals(const struct stats *s) {
    return s->counts[COUNT_DELIVERED] + s->counts[COUNT_ROOM_DELIVERED];
}

double report_cpu_us(const struct report *r) {
    uint64_t n = arrivals(r->over) - arrivals(r->hold);
    return n && r->scenario->pid_count ? (r->after.cpu - r->before.cpu) * 1e6 / (double)n : 0;
}

double report_rate(const struct report *r) {
    return r->hold_seconds > 0 ? (double)(arrivals(r->over) - arrivals(r->hold)) / r->hold_seconds : 0;
}

bool report_is_clean(const struct report *r) {
    const uint64_t *n = r->all->counts;
    return !r->broken && !n[COUNT_LOGIN_FAILURES] && !n[COUNT_LOST_CONNECTIONS] && !report_lost(r->all) &&
           !report_room_lost(r->all) && !n[COUNT_DUPLICATED] && !n[COUNT_DISORDERED] && !n[COUNT_UNKNOWN] &&
           !n[COUNT_REFUSED] && !n[COUNT_ROOM_DUPLICATED] && !n[COUNT_ROOM_DISORDERED] && !n[COUNT_ROOM_REFUSED] &&
           !n[COUNT_QUERY_ERRORS];
}

/* ---- text ---------------------------------------------------------------------------------------------------------------- */

static void text_ways(const struct scenario *s, FILE *f) {
    int counts[WAYS] = { 0 };
    for (int i = 0; i < s->group_count; i++)
        counts[s->groups[i].by] += s->groups[i].count;
    if (counts[BY_TCP] != s->clients)
        fprintf(f, "ways: %d by TCP, %d by WebSocket, %d by BOSH\n", counts[BY_TCP], counts[BY_WEBSOCKET],
                counts[BY_BOSH]);
}

void report_text(const struct report *r, FILE *f) {
    const uint64_t *n = r->all->counts;
    fprintf(
        f, "%d clients: %" PRIu64 " logins, %" PRIu64 " failures, %" PRIu64 " connections lost, %" PRIu64 " resumed\n",
        r->scenario->clients, n[COUNT_LOGINS], n[COUNT_LOGIN_FAILURES], n[COUNT_LOST_CONNECTIONS], n[COUNT_RESUMED]);
    text_ways(r->scenario, f);
    fprintf(f,
            "messages: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " delivered, %" PRIu64 " lost, %" PRIu64
            " duplicated, %" PRIu64 " out of order, %" PRIu64 " refused\n",
            n[COUNT_SENT], n[COUNT_ACKED], n[COUNT_DELIVERED], report_lost(r->all), n[COUNT_DUPLICATED],
            n[COUNT_DISORDERED], n[COUNT_REFUSED]);
    if (n[COUNT_ROOM_SENT])
        fprintf(f,
                "rooms: %" PRIu64 " open, %" PRIu64 " sent, %" PRIu64 " of %" PRIu64 " delivered, %" PRIu64
                " lost, %" PRIu64 " duplicated, %" PRIu64 " out of order\n",
                n[COUNT_ROOMS], n[COUNT_ROOM_SENT], n[COUNT_ROOM_DELIVERED], n[COUNT_ROOM_EXPECTED],
                report_room_lost(r->all), n[COUNT_ROOM_DUPLICATED], n[COUNT_ROOM_DISORDERED]);
    fprintf(f, "held for %.1f s: %.0f messages/s, load %.2f cores", r->hold_seconds, report_rate(r),
            r->hold_seconds > 0 ? r->load_cpu / r->hold_seconds : 0);
    if (r->scenario->pid_count)
        fprintf(f, ", server %.2f cores, %.1f us of CPU a message, %.1f MiB resident",
                r->hold_seconds > 0 ? (r->after.cpu - r->before.cpu) / r->hold_seconds : 0, report_cpu_us(r),
                (double)r->after.rss / 1048576);
    fputc('\n', f);
    for (int i = 0; i < TIMINGS; i++) {
        const struct histogram *h = &r->all->times[i];
        if (h->count)
            fprintf(f, "%-9s %9" PRIu64 " x  p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f ms\n", timing_names[i],
                    h->count, (double)histogram_at(h, 0.5) / 1e3, (double)histogram_at(h, 0.9) / 1e3,
                    (double)histogram_at(h, 0.99) / 1e3, (double)histogram_at(h, 0.999) / 1e3, (double)h->max / 1e3);
    }
    for (int i = 0; i < REASONS && r->all->reasons[i].count; i++)
        fprintf(f, "! %" PRIu64 " x %s\n", r->all->reasons[i].count, r->all->reasons[i].text);
    if (r->broken)
        fprintf(f, "! a process of this tool died: the figures are not complete\n");
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------------ */

static void put_text(FILE *f, const char *text) {
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(f, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(f, "\\u%04x", *text);
        else
            fputc(*text, f);
    }
    fputc('"', f);
}

static void json_groups(const struct scenario *s, FILE *f) {
    fputs("  \"groups\": [", f);
    for (int i = 0; i < s->group_count; i++) {
        const struct group *g = &s->groups[i];
        fprintf(f, "%s\n    { \"count\": %d, \"way\": \"%s\", \"name\": ", i ? "," : "", g->count, way_names[g->by]);
        put_text(f, g->name);
        fputs(" }", f);
    }
    fputs("\n  ],\n", f);
}

static void json_times(const struct stats *s, FILE *f) {
    bool first = true;
    fputs("  \"times_us\": {", f);
    for (int i = 0; i < TIMINGS; i++) {
        const struct histogram *h = &s->times[i];
        if (!h->count)
            continue;
        fprintf(f,
                "%s\n    \"%s\": { \"count\": %" PRIu64 ", \"mean\": %.1f, \"min\": %" PRIu64 ", \"p50\": %" PRIu64
                ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64 ", \"max\": %" PRIu64 " }",
                first ? "" : ",", timing_names[i], h->count, histogram_mean(h), h->min, histogram_at(h, 0.5),
                histogram_at(h, 0.9), histogram_at(h, 0.99), histogram_at(h, 0.999), h->max);
        first = false;
    }
    fputs("\n  },\n", f);
}

static void json_series(const struct series *series, FILE *f) {
    static const char *const phases[] = { "arrive", "hold", "drain", "end" };
    fputs("  \"series\": [", f);
    for (int i = 0; i < series->count; i++) {
        const struct sample *x = &series->items[i];
        fprintf(f,
                "%s\n    { \"at\": %.2f, \"phase\": \"%s\", \"online\": %" PRIu64 ", \"logins\": %" PRIu64
                ", \"sent\": %" PRIu64 ", \"arrived\": %" PRIu64 ", \"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64
                ", \"max_us\": %" PRIu64 ", \"server_cores\": %.3f, \"server_rss\": %" PRIu64 " }",
                i ? "," : "", x->at, phases[x->phase], x->online, x->logins, x->sent, x->arrived, x->p50, x->p99,
                x->worst, x->cpu, x->rss);
    }
    fputs("\n  ]\n", f);
}

void report_json(const struct report *r, FILE *f) {
    struct utsname machine;
    char date[32];
    time_t now = time(NULL);
    uname(&machine);
    strftime(date, sizeof date, "%FT%TZ", gmtime(&now));
    fputs("{\n  \"scenario\": ", f);
    put_text(f, r->scenario_path);
    fprintf(f, ",\n  \"date\": \"%s\",\n  \"machine\": \"%s %s, %ld processors\",\n", date, machine.sysname,
            machine.release, sysconf(_SC_NPROCESSORS_ONLN));
    fprintf(f, "  \"clients\": %d,\n  \"workers\": %d,\n  \"clean\": %s,\n  \"broken\": %s,\n", r->scenario->clients,
            r->scenario->workers, report_is_clean(r) ? "true" : "false", r->broken ? "true" : "false");
    json_groups(r->scenario, f);
    fputs("  \"counts\": {\n", f);
    for (int i = 0; i < COUNTS; i++)
        fprintf(f, "    \"%s\": %" PRIu64 ",\n", count_names[i], r->all->counts[i]);
    fprintf(f, "    \"lost\": %" PRIu64 ",\n    \"room_lost\": %" PRIu64 "\n  },\n", report_lost(r->all),
            report_room_lost(r->all));
    fprintf(f,
            "  \"hold\": { \"seconds\": %.3f, \"logins\": %" PRIu64
            ", \"messages_per_second\": %.1f, \"server_cpu_seconds\": %.3f, "
            "\"server_cpu_us_per_message\": %.3f, \"load_cpu_seconds\": %.3f },\n",
            r->hold_seconds, r->over->counts[COUNT_LOGINS] - r->hold->counts[COUNT_LOGINS], report_rate(r),
            r->after.cpu - r->before.cpu, report_cpu_us(r), r->load_cpu);
    fprintf(f, "  \"arrive\": { \"seconds\": %.3f, \"server_cpu_seconds\": %.3f },\n", r->arrive_seconds,
            r->before.cpu - r->idle.cpu);
    fprintf(f,
            "  \"server_memory\": { \"rss_idle\": %" PRIu64 ", \"rss_before\": %" PRIu64 ", \"rss_after\": %" PRIu64
            ", \"dirty_idle\": %" PRIu64 ", \"dirty_before\": %" PRIu64 ", \"dirty_after\": %" PRIu64 " },\n",
            r->idle.rss, r->before.rss, r->after.rss, r->idle.dirty, r->before.dirty, r->after.dirty);
    fputs("  \"reasons\": {", f);
    for (int i = 0; i < REASONS && r->all->reasons[i].count; i++) {
        fputs(i ? ", " : " ", f);
        put_text(f, r->all->reasons[i].text);
        fprintf(f, ": %" PRIu64, r->all->reasons[i].count);
    }
    fputs(" },\n", f);
    json_times(r->all, f);
    json_series(r->series, f);
    fputs("}\n", f);
}
