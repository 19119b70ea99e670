/* SPDX-License-Identifier: Apache-2.0 */
/* One file with drawings inside: it can be mailed, and opens without a network. */
#include "report.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { WIDTH = 860, HEIGHT = 220, LEFT = 70, TOP = 12, BOTTOM = 26, LINES = 3 };
static const char *const colours[LINES] = { "#1b6ca8", "#c2571a", "#8a8a8a" };

struct plot {
    const char *title, *unit;
    const char *names[LINES];
    double (*value)(const struct sample *x, double interval, int line);
};

static double online_of(const struct sample *x, double interval, int line) {
    (void)interval;
    (void)line;
    return (double)x->online;
}

static double logins_of(const struct sample *x, double interval, int line) {
    (void)line;
    return (double)x->logins / interval;
}

static double messages_of(const struct sample *x, double interval, int line) {
    return (double)(line ? x->arrived : x->sent) / interval;
}

static double latency_of(const struct sample *x, double interval, int line) {
    (void)interval;
    return (double)(line == 0 ? x->p50 : line == 1 ? x->p99 : x->worst) / 1e3;
}

static double cpu_of(const struct sample *x, double interval, int line) {
    (void)interval;
    (void)line;
    return x->cpu;
}

static double memory_of(const struct sample *x, double interval, int line) {
    (void)interval;
    (void)line;
    return (double)x->rss / 1048576;
}

static const struct plot plots[] = {
    { "Clients online", "", { "online" }, online_of },
    { "Logins", "/s", { "logins" }, logins_of },
    { "Messages", "/s", { "sent", "arrived" }, messages_of },
    { "Delivery", " ms", { "p50", "p99", "max" }, latency_of },
    { "CPU of the server", " cores", { "cores" }, cpu_of },
    { "Memory of the server", " MiB", { "resident" }, memory_of },
};

/* The next of 1, 2, 5, 10, 20 ... */
static double round_up(double value) {
    double step = pow(10, floor(log10(value > 0 ? value : 1)));
    return value <= step ? step : value <= 2 * step ? 2 * step : value <= 5 * step ? 5 * step : 10 * step;
}

static double interval_of(const struct series *s, int i) {
    double before = i ? s->items[i - 1].at : 0;
    return s->items[i].at > before ? s->items[i].at - before : 1;
}

static void axes(const struct plot *p, double top, double end, FILE *f) {
    for (int i = 0; i <= 4; i++) {
        double y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - i / 4.0);
        fprintf(f,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/><text x='%d' y='%.1f' "
                "text-anchor='end'>%g%s</text>\n",
                LEFT, WIDTH, y, y, LEFT - 6, y + 4, top * i / 4, p->unit);
    }
    for (int i = 0; i <= 5; i++)
        fprintf(f, "<text x='%.1f' y='%d' text-anchor='middle'>%.4g s</text>\n", LEFT + (WIDTH - LEFT - 20) * i / 5.0,
                HEIGHT - 8, end * i / 5);
}

static void draw(const struct plot *p, const struct series *s, FILE *f) {
    double top = 0, end = s->count ? s->items[s->count - 1].at : 1;
    int lines = 0;
    while (lines < LINES && p->names[lines])
        lines++;
    for (int line = 0; line < lines; line++)
        for (int i = 0; i < s->count; i++)
            top = fmax(top, p->value(&s->items[i], interval_of(s, i), line));
    top = round_up(top);
    fprintf(f, "<h2>%s</h2>\n<svg viewBox='0 0 %d %d' role='img' aria-label='%s'>\n", p->title, WIDTH, HEIGHT,
            p->title);
    axes(p, top, end, f);
    for (int line = lines - 1; line >= 0; line--) {
        fprintf(f, "<polyline fill='none' stroke-width='1.6' stroke='%s' points='", colours[line]);
        for (int i = 0; i < s->count; i++)
            fprintf(f, "%.1f,%.1f ", LEFT + (WIDTH - LEFT - 20) * s->items[i].at / end,
                    TOP + (HEIGHT - TOP - BOTTOM) * (1 - p->value(&s->items[i], interval_of(s, i), line) / top));
        fprintf(f, "'/><text x='%d' y='%d' fill='%s'>%s</text>\n", LEFT + 10 + 80 * line, TOP + 12, colours[line],
                p->names[line]);
    }
    fputs("</svg>\n", f);
}

/* Latency against the share of messages, on a scale where each step is ten times rarer. */
static void draw_percentiles(const struct histogram *h, const char *name, FILE *f) {
    static const struct plot plot = { "", " ms", { "" }, NULL };
    enum { NINES = 4 };
    double top = round_up((double)h->max / 1e3);
    fprintf(f, "<h2>Percentiles: %s</h2>\n<svg viewBox='0 0 %d %d' role='img' aria-label='percentiles of %s'>\n", name,
            WIDTH, HEIGHT, name);
    for (int i = 0; i <= NINES; i++)
        fprintf(f, "<text x='%.1f' y='%d' text-anchor='middle'>%.6g %%</text>\n",
                LEFT + (WIDTH - LEFT - 40) * (double)i / NINES, HEIGHT - 8, 100 * (1 - pow(10, -i)));
    for (int i = 0; i <= 4; i++) {
        double y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - i / 4.0);
        fprintf(f,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/><text x='%d' y='%.1f' "
                "text-anchor='end'>%g%s</text>\n",
                LEFT, WIDTH, y, y, LEFT - 6, y + 4, top * i / 4, plot.unit);
    }
    fprintf(f, "<polyline fill='none' stroke-width='1.6' stroke='%s' points='", colours[0]);
    for (int i = 0; i <= NINES * 25; i++)
        fprintf(f, "%.1f,%.1f ", LEFT + (WIDTH - LEFT - 40) * (double)i / (NINES * 25),
                TOP +
                    (HEIGHT - TOP - BOTTOM) * (1 - (double)histogram_at(h, 1 - pow(10, -(double)i / 25)) / 1e3 / top));
    fputs("'/>\n</svg>\n", f);
}

static void row(FILE *f, const char *name, uint64_t value) {
    fprintf(f, "<tr><td>%s</td><td>%" PRIu64 "</td></tr>\n", name, value);
}

static void put_escaped(FILE *f, const char *text) {
    for (; *text; text++)
        fputs(*text == '<' ? "&lt;" : *text == '&' ? "&amp;" : (char[]){ *text, '\0' }, f);
}

static void table_of_groups(const struct scenario *s, FILE *f) {
    fputs("<h2>Groups</h2>\n<table>\n<tr><th></th><th>clients</th><th>way</th></tr>\n", f);
    for (int i = 0; i < s->group_count; i++) {
        fputs("<tr><td>", f);
        put_escaped(f, s->groups[i].name);
        fprintf(f, "</td><td>%d</td><td>%s</td></tr>\n", s->groups[i].count, way_names[s->groups[i].by]);
    }
    fputs("</table>\n", f);
}

static void tables(const struct report *r, FILE *f) {
    table_of_groups(r->scenario, f);
    fputs("<h2>Counts</h2>\n<table>\n", f);
    for (int i = 0; i < COUNTS; i++)
        if (r->all->counts[i])
            row(f, count_names[i], r->all->counts[i]);
    row(f, "lost", report_lost(r->all));
    row(f, "room_lost", report_room_lost(r->all));
    fputs("</table>\n<h2>Times, ms</h2>\n<table>\n<tr><th></th><th>count</th><th>p50</th><th>p90</th><th>p99</th>"
          "<th>p99.9</th><th>max</th></tr>\n",
          f);
    for (int i = 0; i < TIMINGS; i++) {
        const struct histogram *h = &r->all->times[i];
        if (h->count)
            fprintf(f,
                    "<tr><td>%s</td><td>%" PRIu64
                    "</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td></tr>\n",
                    timing_names[i], h->count, (double)histogram_at(h, 0.5) / 1e3, (double)histogram_at(h, 0.9) / 1e3,
                    (double)histogram_at(h, 0.99) / 1e3, (double)histogram_at(h, 0.999) / 1e3, (double)h->max / 1e3);
    }
    fputs("</table>\n", f);
}

void report_html(const struct report *r, FILE *f) {
    fputs("<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>meerkat-load</title>\n<style>\n"
          "body { font: 15px sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #222 }\n"
          "h2 { font-size: 1.1em; margin: 1.6em 0 .4em } svg { width: 100%; font-size: 11px; fill: #444 }\n"
          "td, th { padding: .15em 1em .15em 0; text-align: right } td:first-child { text-align: left }\n"
          "pre { background: #f4f4f4; padding: 1em; overflow: auto }\n</style></head>\n<body><h1>",
          f);
    put_escaped(f, r->scenario_path);
    fputs("</h1>\n<pre>", f);
    char *text = NULL;
    size_t len = 0;
    FILE *summary = open_memstream(&text, &len);
    report_text(r, summary);
    fclose(summary);
    put_escaped(f, text);
    free(text);
    fputs("</pre>\n", f);
    for (unsigned i = 0; i < sizeof plots / sizeof *plots; i++)
        draw(&plots[i], r->series, f);
    if (r->all->times[TIME_DELIVERY].count)
        draw_percentiles(&r->all->times[TIME_DELIVERY], "delivery", f);
    if (r->all->times[TIME_ROOM].count)
        draw_percentiles(&r->all->times[TIME_ROOM], "rooms", f);
    tables(r, f);
    fputs("</body></html>\n", f);
}
