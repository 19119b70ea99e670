/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"
#include <string.h>
#include <time.h>

const char *const timing_names[TIMINGS] = { "login", "resume", "delivery", "room", "ack", "roster", "archive", "lag" };

const char *const count_names[COUNTS] = {
    "connections",      "logins",        "login_failures", "resumed",         "resume_failures",
    "lost_connections", "sent",          "acked",          "resent",          "delivered",
    "duplicated",       "disordered",    "unknown",        "refused",         "stray",
    "room_sent",        "room_expected", "room_delivered", "room_duplicated", "room_disordered",
    "room_refused",     "rooms",         "archive_pages",  "archive_rows",    "roster_changes",
    "query_errors",     "bytes_in",      "bytes_out",
};

uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The last row is for those that find no place. */
void stats_reason(struct stats *s, const char *text) {
    for (int i = 0; i < REASONS; i++) {
        struct reason *r = &s->reasons[i];
        if (!*r->text)
            snprintf(r->text, sizeof r->text, "%.119s", i == REASONS - 1 ? "other reasons" : text);
        if (i == REASONS - 1 || strncmp(r->text, text, sizeof r->text - 1) == 0) {
            r->count++;
            return;
        }
    }
}

static void sum_reasons(struct stats *into, const struct stats *from) {
    for (int i = 0; i < REASONS && *from->reasons[i].text; i++)
        for (int k = 0; k < REASONS; k++) {
            struct reason *r = &into->reasons[k];
            if (!*r->text)
                memcpy(r->text, from->reasons[i].text, sizeof r->text);
            if (k == REASONS - 1 || strcmp(r->text, from->reasons[i].text) == 0) {
                r->count += from->reasons[i].count;
                break;
            }
        }
}

void stats_sum(struct stats *into, const struct stats *all, int count) {
    memset(into, 0, sizeof *into);
    for (int w = 0; w < count; w++) {
        for (int i = 0; i < COUNTS; i++)
            into->counts[i] += all[w].counts[i];
        for (int i = 0; i < TIMINGS; i++)
            histogram_merge(&into->times[i], &all[w].times[i]);
        into->online += all[w].online;
        into->open_accounts += all[w].open_accounts;
        into->ended += all[w].ended;
        sum_reasons(into, &all[w]);
    }
}
