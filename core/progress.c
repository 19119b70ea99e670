/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"
#include "run/worker.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 30, DRAW_US = 100 * 1000, LINE_US = 10 * 1000 * 1000 };

void progress_begin(struct progress *p, const char *what, const char *unit, int64_t total, int64_t done) {
    *p = (struct progress){ what, unit, total, done, monotonic_us(), 0, isatty(STDERR_FILENO), false };
    p->shown_us = p->tty ? 0 : p->started_us;
    if (!p->tty && total)
        fprintf(stderr, "%s: %" PRId64 " of %" PRId64 " %s\n", what, done, total, unit);
}

static int percent(const struct progress *p, int64_t done) {
    if (p->total <= 0 || done >= p->total)
        return 100;
    return (int)(done * 100.0 / (double)p->total);
}

static void draw(const struct progress *p, int64_t done, double rate, int64_t left) {
    char bar[BAR + 1];
    if (!p->total) {
        fprintf(stderr, "\r%-20.20s %" PRId64 " %s  %.0f %s/s \033[K", p->what, done, p->unit, rate, p->unit);
        fflush(stderr);
        return;
    }
    int full = percent(p, done) * BAR / 100;
    memset(bar, ' ', BAR);
    memset(bar, '#', (size_t)full);
    bar[BAR] = '\0';
    fprintf(stderr, "\r%-20.20s [%s] %3d %%  %.0f %s/s  %" PRId64 ":%02d:%02d left \033[K", p->what, bar,
            percent(p, done), rate, p->unit, left / 3600, (int)(left / 60 % 60), (int)(left % 60));
    fflush(stderr);
}

void progress_show(struct progress *p, int64_t done) {
    uint64_t now = monotonic_us();
    if (now - p->shown_us < (p->tty ? DRAW_US : LINE_US))
        return;
    p->shown_us = now;
    double seconds = (double)(now - p->started_us) / 1e6;
    double rate = seconds > 0 ? (double)(done - p->begun_at) / seconds : 0;
    int64_t left = rate > 0 && p->total > done ? (int64_t)((double)(p->total - done) / rate) : 0;
    p->drawn = true;
    if (p->tty)
        draw(p, done, rate, left);
    else if (p->total)
        fprintf(stderr, "%s: %d %%, %" PRId64 " of %" PRId64 " %s, %.0f %s/s, %" PRId64 " s left\n", p->what,
                percent(p, done), done, p->total, p->unit, rate, p->unit, left);
    else
        fprintf(stderr, "%s: %" PRId64 " %s, %.0f %s/s\n", p->what, done, p->unit, rate, p->unit);
}

void progress_end(struct progress *p) {
    if (p->tty && p->drawn)
        fputs("\r\033[K", stderr);
}
