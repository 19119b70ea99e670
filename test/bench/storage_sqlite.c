/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of bench_storage: the same rows into the same table, one thread and SQLite alone, BATCH rows a commit.
 *   bench_storage_sqlite FILE BATCH SECONDS      prints rows a second, microseconds of CPU a row
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { OWNERS = 1000, PAYLOAD = 300 };

static sqlite3 *db;

static void must(int rc) {
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return;
    fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    exit(1);
}
static void run(const char *sql) {
    must(sqlite3_exec(db, sql, NULL, NULL, NULL));
}
static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int batch = atoi(argv[2]);
    char owner[64], payload[PAYLOAD];
    sqlite3_stmt *insert;
    memset(payload, 'x', PAYLOAD);
    must(sqlite3_open(argv[1], &db));
    run("PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA cache_size=-8192;PRAGMA wal_autocheckpoint=4000;"
        "CREATE TABLE archive(_id INTEGER PRIMARY KEY,owner TEXT NOT NULL,id INTEGER NOT NULL,peer TEXT NOT NULL,"
        "stanza TEXT NOT NULL,UNIQUE(owner,id));CREATE INDEX by_peer ON archive(owner,peer,id)");
    must(sqlite3_prepare_v2(db, "INSERT INTO archive(owner,id,peer,stanza)VALUES(?,?,?,?)", -1, &insert, NULL));
    double start = now_s(), end = start + atof(argv[3]);
    long rows = 0;
    while (now_s() < end) {
        run("BEGIN IMMEDIATE");
        for (int i = 0; i < batch; i++, rows++) {
            int len = snprintf(owner, sizeof owner, "user%d@example.org", rand() % OWNERS);
            must(sqlite3_bind_text(insert, 1, owner, len, SQLITE_STATIC));
            must(sqlite3_bind_int64(insert, 2, rows));
            must(sqlite3_bind_text(insert, 3, "peer@example.net", -1, SQLITE_STATIC));
            must(sqlite3_bind_text(insert, 4, payload, PAYLOAD, SQLITE_STATIC));
            must(sqlite3_step(insert));
            must(sqlite3_reset(insert));
        }
        run("COMMIT");
    }
    double seconds = now_s() - start;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double cpu =
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    printf("%.0f %.1f\n", (double)rows / seconds, cpu / (double)rows);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return 0;
}
