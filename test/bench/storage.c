/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable inserts through the server's storage into any backend, from so many writers at once, each waiting for its row.
 *   bench_storage BACKEND.so WRITERS SECONDS [OPTION=VALUE...]
 * Prints rows a second, the median and 99th percentile of what a writer waited, in microseconds, and those of CPU a row.
 */
#include "harness.h"
#include <meerkat/store.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { OWNER, ID, PEER, STANZA, COUNT, OWNERS = 1000, PAYLOAD = 300, SAMPLES = 1 << 20 };

static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Whose archive." },
    { "id", MK_C_INT, MK_COL_SORT, "Grows." },
    { "peer", MK_C_JID, 0, "With whom." },
    { "stanza", MK_C_TEXT, 0, "What was said." },
};
static const struct mk_index_decl indexes[] = { { "by_peer", "owner,peer", "id" } };
static const struct mk_coll_decl decl = {
    "bench_archive", 1, MK_COLL_BULKY, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), ""
};

static const struct mk_coll *archive;
static char payload[PAYLOAD + 1];
static atomic_uint sample_count, failed;
static atomic_ullong rows, next_id;
static uint32_t *samples;
static uint64_t end_us;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void write_on(struct mk_ctx *c, void *arg) {
    unsigned seed = (unsigned)(size_t)arg;
    const struct mk_jid *owners[4], *peer = harness_jid(c, "peer@example.net");
    for (int i = 0; i < 4; i++)
        owners[i] = harness_jid(c, "user%d@example.org", rand_r(&seed) % OWNERS);
    for (unsigned n = 0; now_us() < end_us; n++) {
        uint64_t start = now_us();
        const struct mk_value row[COUNT] = { mk_v_jid(owners[n % 4]), mk_v_int((int64_t)atomic_fetch_add(&next_id, 1)),
                                             mk_v_jid(peer), mk_v_view((struct mk_view){ payload, PAYLOAD }) };
        if (mk_put_now(c, archive, MK_UPSERT, row) != MK_OK) {
            atomic_fetch_add(&failed, 1);
            return;
        }
        atomic_fetch_add(&rows, 1);
        unsigned at = atomic_fetch_add(&sample_count, 1);
        if (at < SAMPLES)
            samples[at] = (uint32_t)(now_us() - start);
    }
}

static double cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s BACKEND.so WRITERS SECONDS [OPTION=VALUE...]\n", argv[0]);
        return 2;
    }
    static const struct store_config config = { .queue = 100000, .commit_rows = 512, .retry = 100 };
    int writers = atoi(argv[2]);
    double seconds = atof(argv[3]);
    memset(payload, 'x', PAYLOAD);
    samples = calloc(SAMPLES, sizeof *samples);
    atomic_init(&next_id, now_us()); /* a database may have rows of the run before */
    harness_load(argv[1], argv + 4, argc - 4);
    const char *why = harness_start(&config);
    if (why) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    archive = harness_define(&decl);
    uint64_t begun = now_us();
    end_us = begun + (uint64_t)(seconds * 1e6);
    for (int i = 0; i < writers; i++)
        harness_begin((unsigned)i % WORKERS, write_on, (void *)(size_t)(i + 1));
    harness_wait();
    double took = (double)(now_us() - begun) / 1e6;
    harness_stop();
    unsigned count = sample_count < SAMPLES ? sample_count : SAMPLES;
    if (failed || !count)
        return fprintf(stderr, "%u writes failed\n", failed), 1;
    qsort(samples, count, sizeof *samples, by_size);
    printf("%.0f %u %u %.1f\n", (double)rows / took, samples[count / 2], samples[count - 1 - count / 100],
           cpu_us() / (double)rows);
    free(samples);
    harness_unload();
    return 0;
}
