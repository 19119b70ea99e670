/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of bench_storage: the same rows into the same table, one connection and libpq alone, BATCH rows a commit in
 * one pipeline.
 *   bench_storage_pgsql CONNINFO BATCH SECONDS      prints rows a second, microseconds of CPU a row, of this side
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { OWNERS = 1000, PAYLOAD = 300 };

static PGconn *db;

static void must(int good) {
    if (good)
        return;
    fprintf(stderr, "%s\n", PQerrorMessage(db));
    exit(1);
}
static void run(const char *sql) {
    PGresult *res = PQexec(db, sql);
    must(PQresultStatus(res) == PGRES_COMMAND_OK);
    PQclear(res);
}
static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Until the answer to the pipeline's end. */
static void finish(void) {
    for (;;) {
        PGresult *res = PQgetResult(db);
        ExecStatusType status = res ? PQresultStatus(res) : PGRES_COMMAND_OK;
        PQclear(res);
        must(status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_SYNC);
        if (status == PGRES_PIPELINE_SYNC)
            return;
    }
}

static void insert(const char *payload, long row) {
    char owner[64], id[24];
    snprintf(owner, sizeof owner, "user%d@example.org", rand() % OWNERS);
    snprintf(id, sizeof id, "%ld", row);
    const char *values[] = { owner, id, "peer@example.net", payload };
    must(PQsendQueryPrepared(db, "put", 4, values, NULL, NULL, 0));
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int batch = atoi(argv[2]);
    char payload[PAYLOAD + 1];
    struct rusage u;
    memset(payload, 'x', PAYLOAD);
    payload[PAYLOAD] = '\0';
    db = PQconnectdb(argv[1]);
    must(PQstatus(db) == CONNECTION_OK);
    run("SET client_min_messages=warning; SET synchronous_commit=on; DROP TABLE IF EXISTS bench_by_hand");
    run("CREATE TABLE bench_by_hand(owner text COLLATE \"C\" NOT NULL,id bigint NOT NULL,peer text COLLATE \"C\" NOT "
        "NULL,"
        "stanza text NOT NULL,PRIMARY KEY(owner,id))");
    run("CREATE INDEX bench_by_peer ON bench_by_hand(owner,peer,id)");
    PQclear(PQprepare(db, "put", "INSERT INTO bench_by_hand VALUES($1,$2,$3,$4)", 0, NULL));
    must(PQenterPipelineMode(db));
    double start = now_s(), end = start + atof(argv[3]);
    long rows = 0;
    while (now_s() < end) { /* what is sent between two ends of a pipeline is a transaction */
        for (int i = 0; i < batch; i++)
            insert(payload, rows++);
        must(PQpipelineSync(db));
        finish();
    }
    double seconds = now_s() - start;
    getrusage(RUSAGE_SELF, &u);
    double cpu =
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    printf("%.0f %.1f\n", (double)rows / seconds, cpu / (double)rows);
    PQexitPipelineMode(db);
    run("DROP TABLE bench_by_hand");
    PQfinish(db);
    return 0;
}
