/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/command.h"
#include "run/metric.h"
#include "util/mem.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const struct mk_metric_decl server_rows[] = {
#define X(name, kind, unit, help) { #name, kind, 0, unit, help },
    SERVER_METRICS(X)
#undef X
};

static unsigned places_of(const struct mk_metric_decl *m) {
    return m->kind == MK_HISTOGRAM ? METRIC_BUCKETS + 2 : 1;
}

unsigned metrics_number(void) {
    unsigned place = 0;
    for (unsigned i = 0; i < SERVER_METRIC_COUNT; i++) {
        server_metric_place[i] = place;
        place += places_of(&server_rows[i]);
    }
    return place;
}

void metrics_worker(struct worker *w, unsigned count) {
    if (count <= w->metric_count)
        return;
    w->metrics = xrealloc(w->metrics, count * sizeof *w->metrics);
    memset(w->metrics + w->metric_count, 0, (count - w->metric_count) * sizeof *w->metrics);
    w->metric_count = count;
}

static unsigned plugin_place(const struct mk_ctx *c, unsigned index) {
    const struct plugin *p = c->inst->plugin;
    assert(index < p->d.metrics.count);
    return p->metric_places[index];
}

void mk_count(struct mk_ctx *c, unsigned index, int64_t by) {
    metric_add(c->worker, plugin_place(c, index), by);
}

void mk_observe(struct mk_ctx *c, unsigned index, int64_t value) {
    metric_observe(c->worker, plugin_place(c, index), value);
}

/* ---- what the workers have ------------------------------------------------------------------------------------------ */

struct samples {
    unsigned count;
    struct one {
        struct arena arena;
        struct worker_sample *sample;
    } * all;
};

static void take(struct worker *w, void *arg) {
    struct samples *s = arg;
    s->all[w->index].sample = worker_sample(w, &s->all[w->index].arena);
}

static void samples_free(struct samples *s) {
    for (unsigned i = 0; i < s->count; i++)
        arena_free(&s->all[i].arena);
    free(s->all);
}

static int64_t sum(const struct samples *s, unsigned place) {
    int64_t total = 0;
    for (unsigned i = 0; i < s->count; i++)
        total += sample_metric(s->all[i].sample, place);
    return total;
}

/* ---- the text format ------------------------------------------------------------------------------------------------ */

/* Prometheus wants seconds.  A figure that is kept in a part of them is named and shown in them. */
static const struct scale {
    const char *unit, *suffix; /* as declared */
    double factor;
} scales[] = { { "microseconds", "_us", 1e-6 }, { "milliseconds", "_ms", 1e-3 } };

static const struct scale *scale_of(const char *unit) {
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
        if (strcmp(unit, scales[i].unit) == 0)
            return &scales[i];
    return NULL;
}

static bool ends_with(const char *text, size_t len, const char *end) {
    size_t n = strlen(end);
    return len >= n && memcmp(text + len - n, end, n) == 0;
}

static bool has_word(const char *name, size_t len, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(name + i, word, n) == 0 && (i == 0 || name[i - 1] == '_') && (i + n == len || name[i + n] == '_'))
            return true;
    return false;
}

/* "meerkat_PLUGIN_NAME_UNIT_total", the last two where they are not said yet. */
static char *full_name(const char *plugin, const struct mk_metric_decl *m) {
    const char *unit = m->unit ? m->unit : "";
    const struct scale *scale = scale_of(unit);
    size_t len = strlen(m->name);
    struct buf out = { 0 };
    if (scale) {
        unit = "seconds";
        if (ends_with(m->name, len, scale->suffix))
            len -= strlen(scale->suffix);
    }
    buf_printf(&out, "meerkat_%s%s%.*s", plugin ? plugin : "", plugin ? "_" : "", (int)len, m->name);
    if (*unit && !has_word(m->name, len, unit))
        buf_printf(&out, "_%s", unit);
    if (m->kind == MK_COUNTER && !ends_with(out.data, out.len, "_total"))
        buf_puts(&out, "_total");
    return out.data;
}

static void escape(struct buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            buf_puts(out, "\\n");
        else if (*text == '\\' || *text == '"')
            buf_printf(out, "\\%c", *text);
        else
            buf_add(out, text, 1);
    }
}

static void head(struct buf *out, const char *name, enum mk_metric_kind kind, const char *help) {
    static const char *const types[] = { "counter", "gauge", "histogram" };
    buf_printf(out, "# HELP %s ", name);
    for (; *help; help++)
        buf_puts(out, *help == '\n' ? "\\n" : *help == '\\' ? "\\\\" : (char[]){ *help, '\0' });
    buf_printf(out, "\n# TYPE %s %s\n", name, types[kind <= MK_HISTOGRAM ? kind : MK_GAUGE]);
}

static void number(struct buf *out, int64_t value, const struct scale *scale) {
    if (scale)
        buf_printf(out, " %.15g\n", (double)value * scale->factor);
    else
        buf_printf(out, " %" PRId64 "\n", value);
}

/* Bucket I holds what is below 2^I; the last one has no bound. */
static void histogram(struct buf *out, const char *name, const struct samples *s, unsigned place,
                      const struct scale *scale) {
    int64_t below = 0;
    for (unsigned i = 0; i + 1 < METRIC_BUCKETS; i++) {
        double bound = (double)((INT64_C(1) << i) - 1);
        below += sum(s, place + i);
        buf_printf(out, "%s_bucket{le=\"%.15g\"} %" PRId64 "\n", name, scale ? bound * scale->factor : bound, below);
    }
    below += sum(s, place + METRIC_BUCKETS - 1);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n%s_sum", name, below, name);
    number(out, sum(s, place + METRIC_BUCKETS), scale);
    buf_printf(out, "%s_count %" PRId64 "\n", name, below);
}

/* APART is what was counted outside of workers. */
static void metric(struct buf *out, const char *plugin, const struct mk_metric_decl *m, const struct samples *s,
                   unsigned place, int64_t apart) {
    const struct scale *scale = scale_of(m->unit ? m->unit : "");
    char *name = full_name(plugin, m);
    head(out, name, m->kind, m->help);
    if (m->kind == MK_HISTOGRAM) {
        histogram(out, name, s, place, scale);
    } else {
        buf_puts(out, name);
        number(out, sum(s, place) + apart, scale);
    }
    free(name);
}

static void plugins(struct buf *out, const struct samples *s) {
    const struct snapshot *now = snapshot_current();
    for (uint32_t i = 0; now && i < now->plugin_count; i++) {
        const struct plugin *p = now->plugins[i];
        const struct mk_metric_decl *rows = p->d.metrics.items;
        for (uint32_t k = 0; p->metric_places && k < p->d.metrics.count; k++)
            metric(out, p->name, &rows[k], s, p->metric_places[k], p->apart ? atomic_load(&p->apart[k]) : 0);
    }
}

static void workers_and_process(struct buf *out, const struct samples *s) {
    struct rusage use;
    struct timespec now;
    getrusage(RUSAGE_SELF, &use);
    clock_gettime(CLOCK_REALTIME, &now);
    head(out, "meerkat_worker_turns_total", MK_COUNTER, "Turns run, by worker: how evenly the load is spread.");
    for (unsigned i = 0; i < s->count; i++)
        buf_printf(out, "meerkat_worker_turns_total{worker=\"%u\"} %" PRId64 "\n", i,
                   sample_metric(s->all[i].sample, server_metric_place[METRIC_turns_row]));
    head(out, "meerkat_fibers_busy", MK_GAUGE, "Fibers that run a turn or wait in one, by worker.");
    for (unsigned i = 0; i < s->count; i++)
        buf_printf(out, "meerkat_fibers_busy{worker=\"%u\"} %u\n", i, s->all[i].sample->fibers_busy);
    head(out, "meerkat_fiber_stack_high_water_bytes", MK_GAUGE, "Deepest use of a fiber's stack seen, by worker.");
    for (unsigned i = 0; i < s->count; i++)
        buf_printf(out, "meerkat_fiber_stack_high_water_bytes{worker=\"%u\"} %zu\n", i,
                   s->all[i].sample->stack_high_water);
    head(out, "meerkat_build_info", MK_GAUGE, "Always 1; the label tells the version.");
    buf_puts(out, "meerkat_build_info{version=\"" MEERKAT_VERSION "\"} 1\n");
    head(out, "process_resident_memory_bytes", MK_GAUGE, "Memory of the process that is resident.");
    buf_printf(out, "process_resident_memory_bytes %" PRId64 "\n", process_memory());
    head(out, "process_cpu_seconds_total", MK_COUNTER, "Processor time used.");
    buf_printf(out, "process_cpu_seconds_total %.6f\n",
               (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    head(out, "process_start_time_seconds", MK_GAUGE, "When the server was started, seconds since 1970.");
    buf_printf(out, "process_start_time_seconds %.3f\n",
               (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)server_uptime() / 1e6);
}

/* ---- handlers ------------------------------------------------------------------------------------------------------- */

/* A figure of handlers: how often they were called, or how long a call took on average. */
struct figure {
    const char *name, *help;
    enum mk_metric_kind kind;
    bool time;
};

struct spent {
    uint64_t calls, ns;
};

static void spend(struct spent *s, const struct handler *h) {
    uint64_t calls, average;
    stats_sum(h->stats, &calls, &average);
    s->calls += calls;
    s->ns += calls * average;
}

static void figure_value(struct buf *out, const struct figure *f, const struct spent *s) {
    if (f->time)
        buf_printf(out, "\"} %.15g\n", s->calls ? (double)s->ns / (double)s->calls / 1e9 : 0.0);
    else
        buf_printf(out, "\"} %" PRIu64 "\n", s->calls);
}

static void label(struct buf *out, const char *name, const char *value) {
    buf_puts(out, name);
    escape(out, value);
}

/* Instances that serve all host types count for them together. */
static bool is_shown(const struct instance *inst, uint32_t type) {
    return inst->type_name || type == 0;
}

/* Several handlers that a plugin has in one chain are shown as one. */
static void chain_figures(struct buf *out, const struct figure *f, const struct chain *chain, enum mk_hook hook,
                          uint32_t type) {
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct instance *inst = chain->handlers[i].inst;
        bool again = false;
        for (uint32_t k = 0; k < i; k++)
            again |= chain->handlers[k].inst == inst;
        if (again || !is_shown(inst, type))
            continue;
        struct spent s = { 0, 0 };
        for (uint32_t k = i; k < chain->count; k++)
            if (chain->handlers[k].inst == inst)
                spend(&s, &chain->handlers[k]);
        buf_puts(out, f->name);
        label(out, "{host_type=\"", inst->type_name ? inst->type_name : "");
        label(out, "\",hook=\"", hook_name(hook));
        label(out, "\",plugin=\"", inst->name);
        figure_value(out, f, &s);
    }
}

static void hook_figures(struct buf *out, const struct figure *f) {
    const struct snapshot *now = snapshot_current();
    head(out, f->name, f->kind, f->help);
    for (uint32_t i = 0; now && i < now->type_count; i++)
        for (enum mk_hook hook = 0; hook < MK_HOOK_COUNT_; hook++)
            chain_figures(out, f, &now->types[i]->chains[hook], hook, i);
}

static int by_iq(const void *a, const void *b) {
    const struct mk_iq_decl *x = (*(const struct iq_entry *const *)a)->row,
                            *y = (*(const struct iq_entry *const *)b)->row;
    int d = strcmp(x->ns, y->ns);
    d = d ? d : strcmp(x->name, y->name);
    return d ? d : x->to != y->to ? (int)x->to - (int)y->to : (int)x->types - (int)y->types;
}

/* An entry stands in the table once for each kind of recipient. */
static void iq_figures(struct buf *out, const struct figure *f, const struct host_type *t, uint32_t type) {
    static const char *const to[] = { "", "server", "account", "any" }, *const types[] = { "", "get", "set", "any" };
    const struct iq_entry **all = xcalloc(t->iqs.count + 1, sizeof *all), *e;
    uint32_t pos = 0, count = 0;
    while ((e = table_next(&t->iqs, &pos)) != NULL)
        all[count++] = e;
    qsort(all, count, sizeof *all, by_iq);
    for (uint32_t i = 0; i < count; i++) {
        if ((i && all[i] == all[i - 1]) || !is_shown(all[i]->inst, type))
            continue;
        struct spent s;
        stats_sum(all[i]->stats, &s.calls, &s.ns);
        s.ns *= s.calls;
        buf_puts(out, f->name);
        label(out, "{host_type=\"", all[i]->inst->type_name ? all[i]->inst->type_name : "");
        label(out, "\",plugin=\"", all[i]->inst->name);
        label(out, "\",name=\"", all[i]->row->name);
        label(out, "\",ns=\"", all[i]->row->ns);
        label(out, "\",to=\"", to[all[i]->row->to & 3]);
        label(out, "\",type=\"", types[all[i]->row->types & 3]);
        figure_value(out, f, &s);
    }
    free(all);
}

static void handlers(struct buf *out) {
    static const struct figure hooks[] = {
        { "meerkat_hook_calls_total", "Calls of a plugin's handlers of a hook.", MK_COUNTER, false },
        { "meerkat_hook_average_seconds",
          "Average time of a call, what it waited for included; one call in 16 is timed.", MK_GAUGE, true },
    };
    static const struct figure iqs[] = {
        { "meerkat_iq_calls_total", "Info queries that a plugin answered.", MK_COUNTER, false },
        { "meerkat_iq_average_seconds", "Average time of an answer, what it waited for included; one in 16 is timed.",
          MK_GAUGE, true },
    };
    const struct snapshot *now = snapshot_current();
    for (size_t i = 0; i < 2; i++)
        hook_figures(out, &hooks[i]);
    for (size_t i = 0; i < 2; i++) {
        head(out, iqs[i].name, iqs[i].kind, iqs[i].help);
        for (uint32_t k = 0; now && k < now->type_count; k++)
            iq_figures(out, &iqs[i], now->types[k], k);
    }
}

void metrics_text(struct buf *out) {
    struct samples s = { worker_count, xcalloc(worker_count, sizeof *s.all) };
    workers_each(take, &s);
    for (unsigned i = 0; i < SERVER_METRIC_COUNT; i++)
        metric(out, NULL, &server_rows[i], &s, server_metric_place[i], 0);
    plugins(out, &s);
    handlers(out);
    workers_and_process(out, &s);
    samples_free(&s);
}
