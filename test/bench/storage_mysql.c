/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of bench_storage: the same rows into the same table, one connection with TLS and libmariadb alone, BATCH rows
 * a commit in statements of 50 rows.
 *   bench_storage_mysql PLACE BATCH SECONDS      prints rows a second, microseconds of CPU a row, of this side
 * PLACE is HOST,PORT,USER,PASSWORD,DATABASE.
 */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { OWNERS = 1000, PAYLOAD = 300, ROWS = 50, COLS = 4, TEXT_MAX = 64 };

static MYSQL *db;
static char payload[PAYLOAD];
static MYSQL_BIND binds[ROWS * COLS];
static char owners[ROWS][TEXT_MAX];
static long long ids[ROWS];

static void must(int good) {
    if (good)
        return;
    fprintf(stderr, "%s\n", mysql_error(db));
    exit(1);
}
static void run(const char *sql) {
    must(mysql_query(db, sql) == 0);
}
static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void bind_text(MYSQL_BIND *b, char *text, size_t len) {
    *b = (MYSQL_BIND){ .buffer_type = MYSQL_TYPE_STRING, .buffer = text, .buffer_length = len, .length_value = len };
    b->length = &b->length_value;
}

static MYSQL_STMT *prepare(int rows) {
    char sql[2000] = "INSERT INTO bench_by_hand(owner,id,peer,stanza)VALUES";
    for (int i = 0; i < rows; i++)
        strcat(sql, i ? ",(?,?,?,?)" : "(?,?,?,?)");
    MYSQL_STMT *stmt = mysql_stmt_init(db);
    must(mysql_stmt_prepare(stmt, sql, strlen(sql)) == 0);
    return stmt;
}

static void insert(MYSQL_STMT *stmt, int rows, long first) {
    static char peer[] = "peer@example.net";
    for (int i = 0; i < rows; i++) {
        MYSQL_BIND *b = binds + i * COLS;
        int len = snprintf(owners[i], TEXT_MAX, "user%d@example.org", rand() % OWNERS);
        ids[i] = first + i;
        bind_text(&b[0], owners[i], (size_t)len);
        b[1] = (MYSQL_BIND){ .buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &ids[i] };
        bind_text(&b[2], peer, sizeof peer - 1);
        bind_text(&b[3], payload, PAYLOAD);
    }
    must(mysql_stmt_bind_param(stmt, binds) == 0 && mysql_stmt_execute(stmt) == 0);
}

static void connect_to(char *place) {
    const char *parts[5] = { NULL };
    my_bool on = 1;
    for (int i = 0; i < 5 && place; i++)
        parts[i] = strsep(&place, ",");
    db = mysql_init(NULL);
    mysql_optionsv(db, MYSQL_OPT_SSL_ENFORCE, &on);
    must(mysql_real_connect(db, parts[0], parts[2], parts[3], parts[4], (unsigned)atoi(parts[1] ? parts[1] : "0"), NULL,
                            0) != NULL);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int batch = atoi(argv[2]);
    struct rusage u;
    memset(payload, 'x', PAYLOAD);
    connect_to(argv[1]);
    run("DROP TABLE IF EXISTS bench_by_hand");
    run("CREATE TABLE bench_by_hand(_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,owner VARBINARY(1000) NOT NULL,"
        "id BIGINT NOT NULL,peer VARBINARY(1000) NOT NULL,stanza LONGTEXT CHARACTER SET utf8mb4 NOT NULL,"
        "UNIQUE KEY(owner,id))ENGINE=InnoDB");
    run("CREATE INDEX bench_by_peer ON bench_by_hand(owner,peer,id)");
    int rows_each = batch < ROWS ? batch : ROWS;
    MYSQL_STMT *stmt = prepare(rows_each);
    double start = now_s(), end = start + atof(argv[3]);
    long rows = 0;
    while (now_s() < end) {
        run("BEGIN");
        for (int i = 0; i < batch; i += rows_each, rows += rows_each)
            insert(stmt, rows_each, rows);
        run("COMMIT");
    }
    double seconds = now_s() - start;
    getrusage(RUSAGE_SELF, &u);
    double cpu =
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    printf("%.0f %.1f\n", (double)rows / seconds, cpu / (double)rows);
    mysql_stmt_close(stmt);
    run("DROP TABLE bench_by_hand");
    mysql_close(db);
    return 0;
}
