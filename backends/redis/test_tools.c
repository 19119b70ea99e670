/* SPDX-License-Identifier: Apache-2.0 */
#include "test_redis.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <unistd.h>

enum { OPTIONS_MAX = 12 };
static char *options[OPTIONS_MAX];
static int option_count;
char folder[] = "/tmp/meerkat-redis-XXXXXX";
static const char *script;

/* ---- the services ---------------------------------------------------------------------------------------------------- */

const char *env(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        printf("Bail out! %s is not set\n", name);
        exit(1);
    }
    return value;
}

const char *shell(const char *fmt, ...) {
    static char line[4096];
    char command[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    FILE *f = popen(command, "re");
    line[0] = '\0';
    if (!f || !fgets(line, sizeof line, f))
        line[0] = '\0';
    if (f)
        pclose(f);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

void expect(const char *got, const char *want) {
    if (!strstr(got, want))
        check_failed(__FILE__, __LINE__, "\"%s\" says nothing of \"%s\"", got, want);
}

void send_signal(const char *name, const char *signal) {
    shell("kill -%s $(cat %s/%s.pid)", signal, folder, name);
}
void start_again(void) {
    shell("%s up %s", script, folder);
}

void until(const char *want, const char *fmt, ...) {
    char command[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    for (int i = 0; i < 600; i++) {
        if (strstr(shell("%s", command), want))
            return;
        usleep(100000);
    }
    check_failed(__FILE__, __LINE__, "%s never says %s", command, want);
}

void option(const char *fmt, ...) {
    va_list args;
    char text[1024];
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    options[option_count++] = xstrdup(text);
    harness_set_options(options, option_count);
}
void other_option(int n, const char *text) {
    free(options[n]);
    options[n] = xstrdup(text);
}
void drop_option(void) {
    free(options[--option_count]);
    harness_set_options(options, option_count);
}
void no_options(void) {
    while (option_count)
        free(options[--option_count]);
    harness_set_options(options, 0);
}

/* ---- the log --------------------------------------------------------------------------------------------------------------- */

static void log_path(char path[256]) {
    snprintf(path, 256, "%s/meerkat.log", folder);
}
void empty_log(void) {
    char path[256];
    log_path(path);
    unlink(path);
    log_setup(&(struct log_config){ LOG_TEXT, path, 6 });
}
int logged(const char *words) {
    char path[256];
    log_path(path);
    for (int i = 0; i < 600; i++) {
        int count = atoi(shell("grep -c '%s' %s", words, path));
        if (count)
            return count;
        usleep(50000);
    }
    return 0;
}

/* ---- collections ----------------------------------------------------------------------------------------------------------- */

static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "body", MK_C_TEXT, 0, "" },
    { "number", MK_C_INT, 0, "" },
};
static const struct mk_index_decl indexes[] = { { "by_body", "body", "number" }, { "own", "owner,body", "number" } };
static const struct mk_coll_decl things_decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
static const struct mk_col_decl token_cols[] = {
    { "name", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "text", MK_C_TEXT, MK_COL_SORT, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
static const struct mk_index_decl token_indexes[] = { { "by_text", "text", NULL } };
static const struct mk_coll_decl tokens_decl = {
    "tokens", 1, 0, 0, 0, MK_TABLE(token_cols), MK_TABLE(token_indexes), ""
};
const struct mk_coll *things, *tokens;

bool begin(void) {
    const struct store_config config = { .queue = 10000, .commit_rows = 256, .retry = 50 };
    const char *why = harness_start(&config);
    if (why) {
        check_failed(__FILE__, __LINE__, "%s", why);
        return false;
    }
    things = harness_define(&things_decl);
    tokens = harness_define(&tokens_decl);
    return true;
}

int put(struct mk_ctx *c, enum mk_put_mode mode, const char *owner, int id, const char *body, int64_t number) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "%s@example.org", owner)), mk_v_int(id), mk_v_text(body),
                              mk_v_int(number) };
    return mk_put_now(c, things, mode, row);
}

/* ---- writers --------------------------------------------------------------------------------------------------------------------- */

enum { WRITERS = 8 };
static atomic_int stop_writing, written;
static int64_t sums[WRITERS];
static int rows_of[WRITERS];

static const char *writer_name(struct mk_ctx *c, int n) {
    return mk_printf(c, "writer%d", n);
}
const struct mk_value *counter(struct mk_ctx *c, int n, struct mk_value key[2]) {
    key[0] = mk_v_jid(harness_jid(c, "%s@example.org", writer_name(c, n)));
    key[1] = mk_v_int(0);
    return key;
}

/* Each row must be new, each sum one more: a write that is done twice shows. */
static void writer_fiber(struct mk_ctx *c, void *arg) {
    int n = (int)(intptr_t)arg;
    struct mk_value key[2];
    int64_t now;
    NEED_INT(mk_del_range(c, things, MK_SCAN(.partition = counter(c, n, key))), 0);
    NEED_INT(put(c, MK_UPSERT, writer_name(c, n), 0, "counter", 0), 0);
    for (int i = 1; !atomic_load(&stop_writing); i++) {
        c->deadline_ms += 100; /* as a turn of its own */
        NEED_INT(put(c, MK_IF_ABSENT, writer_name(c, n), i, mk_printf(c, "body%d", i % 3), i), 0);
        rows_of[n] = i;
        NEED_INT(mk_add(c, things, counter(c, n, key), NUMBER, 1, &now), 0);
        sums[n] = i;
        NEED_INT(now, i);
        atomic_fetch_add(&written, 1);
    }
}
static void check_writer(struct mk_ctx *c, void *arg) {
    int n = (int)(intptr_t)arg;
    struct mk_value key[2];
    const struct mk_row *row;
    const struct mk_rows *rows;
    NEED_INT(mk_get(c, things, counter(c, n, key), &row), 0);
    NEED_INT(mk_row_int(row, NUMBER), sums[n]);
    NEED_INT(mk_scan(c, things, MK_SCAN(.partition = key), &rows), 0);
    NEED_INT(mk_rows_count(rows), rows_of[n] + 1);
}
/* The index of all writers has each row once, where the row says. */
static void check_index(struct mk_ctx *c, void *arg) {
    int want = 0, seen = 0;
    (void)arg;
    for (int n = 0; n < WRITERS; n++)
        want += rows_of[n];
    for (int i = 0; i < 3; i++) {
        const struct mk_rows *rows;
        struct mk_value body = mk_v_text(mk_printf(c, "body%d", i));
        NEED_INT(mk_scan(c, things, MK_SCAN(.index = 1, .partition = &body), &rows), 0);
        seen += (int)mk_rows_count(rows);
    }
    NEED_INT(seen, want);
    const struct mk_rows *rows;
    struct mk_value body = mk_v_text("counter");
    NEED_INT(mk_scan(c, things, MK_SCAN(.index = 1, .partition = &body), &rows), 0);
    NEED_INT(mk_rows_count(rows), WRITERS);
    for (int n = 1; n < WRITERS; n++)
        NEED(mk_row_int(mk_rows_at(rows, (size_t)n), NUMBER) >= mk_row_int(mk_rows_at(rows, (size_t)n - 1), NUMBER));
}

void begin_writing(void) {
    atomic_store(&stop_writing, 0);
    atomic_store(&written, 0);
    for (intptr_t n = 0; n < WRITERS; n++)
        harness_begin((unsigned)n % WORKERS, writer_fiber, (void *)n);
}
/* Until so many more rows are written. */
void wait_written(int more) {
    int want = atomic_load(&written) + more;
    for (int i = 0; i < 12000 && atomic_load(&written) < want; i++)
        usleep(10000);
    if (atomic_load(&written) < want)
        check_failed(__FILE__, __LINE__, "writes do not go on");
}
void end_writing(void) {
    atomic_store(&stop_writing, 1);
    harness_wait();
    for (intptr_t n = 0; n < WRITERS; n++)
        harness_run((unsigned)n % WORKERS, check_writer, (void *)n);
    harness_run(0, check_index, NULL);
    harness_stop();
}

/* ---- starting ---- */

void refuse(const char *words) {
    const char *why = harness_start_backend();
    if (!why) {
        check_failed(__FILE__, __LINE__, "it started in spite of: %s", words);
        harness_stop_backend();
    } else {
        expect(why, words);
    }
}

void service_down(void) {
    shell("%s down %s; rm -rf %s", script, folder, folder);
}

bool service_up(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/test/services/%s.sh", MEERKAT_SOURCE_DIR, name);
    script = path;
    atexit(service_down);
    char command[1024], line[1024];
    if (!mkdtemp(folder))
        exit(1);
    snprintf(command, sizeof command, "%s up %s >&2", script, folder);
    int status = system(command);
    if (status != 0)
        return false;
    snprintf(command, sizeof command, "%s/env", folder);
    FILE *f = fopen(command, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *equals = strchr(line, '='), *end = strrchr(line, '\'');
        if (equals && end > equals + 1) {
            *equals = *end = '\0';
            setenv(line, equals + 2, 1);
        }
    }
    if (f)
        fclose(f);
    return true;
}
