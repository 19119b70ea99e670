/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double process_cpu(int pid) {
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    char *end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    if (end)
        sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void add_memory(int pid, struct usage *u) {
    char path[64], line[256];
    unsigned long kb;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "Rss: %lu kB", &kb) == 1)
            u->rss += (uint64_t)kb * 1024;
        else if (sscanf(line, "Private_Dirty: %lu kB", &kb) == 1)
            u->dirty += (uint64_t)kb * 1024;
    }
    fclose(f);
}

struct usage usage_of(const struct scenario *s) {
    struct usage u = { 0 };
    for (int i = 0; i < s->pid_count; i++) {
        u.cpu += process_cpu(s->pids[i]);
        add_memory(s->pids[i], &u);
    }
    return u;
}

/* The first sample may be taken before the first arrival is due. */
static double seconds_since(uint64_t now, uint64_t then) {
    return now > then ? (double)(now - then) / 1e6 : 0;
}

void series_add(struct series *series, const struct scenario *s, const struct stats *now,
                const struct control *control) {
    uint64_t at = now_us();
    static struct histogram both, part;
    const struct stats *before = &series->before;
    if (series->count == series->cap) {
        series->cap = series->cap * 2 + 64;
        series->items = realloc(series->items, (size_t)series->cap * sizeof *series->items);
    }
    struct sample *x = &series->items[series->count++];
    double took = seconds_since(at, series->before_at ? series->before_at : control->begin);
    struct usage used = usage_of(s);
    uint64_t arrived = now->counts[COUNT_DELIVERED] + now->counts[COUNT_ROOM_DELIVERED];
    *x = (struct sample){ .at = seconds_since(at, control->begin), .phase = (enum phase)control->phase };
    x->online = now->online;
    x->logins = now->counts[COUNT_LOGINS] - before->counts[COUNT_LOGINS];
    x->sent = now->counts[COUNT_SENT] + now->counts[COUNT_ROOM_SENT] - before->counts[COUNT_SENT] -
              before->counts[COUNT_ROOM_SENT];
    x->arrived = arrived - before->counts[COUNT_DELIVERED] - before->counts[COUNT_ROOM_DELIVERED];
    histogram_since(&now->times[TIME_DELIVERY], &before->times[TIME_DELIVERY], &both);
    histogram_since(&now->times[TIME_ROOM], &before->times[TIME_ROOM], &part);
    histogram_merge(&both, &part);
    x->p50 = histogram_at(&both, 0.5);
    x->p99 = histogram_at(&both, 0.99);
    x->worst = both.max;
    x->cpu = series->before_at && took > 0 ? (used.cpu - series->used.cpu) / took : 0;
    x->rss = used.rss;
    series->before = *now;
    series->used = used;
    series->before_at = at;
}
