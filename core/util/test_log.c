/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "util/log.h"
#include "util/mem.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static char path[64];

static void start(enum log_format format, int level) {
    snprintf(path, sizeof path, "/tmp/test_log.%d", (int)getpid());
    unlink(path);
    log_setup(&(struct log_config){ format, path, level });
}

/* What the log has; the caller frees it. */
static char *content(const char *file) {
    FILE *f = fopen(file, "r");
    CHECK(f != NULL);
    char *text = xcalloc(1, 1 << 20);
    size_t len = fread(text, 1, (1 << 20) - 1, f);
    text[len] = '\0';
    fclose(f);
    return text;
}

/* Checks the time at the start of LINE, "2026-11-24T10:11:12.345Z", and steps over it. */
static const char *past_time(const char *line) {
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; shape[i]; i++)
        CHECK(shape[i] == 'd' ? line[i] >= '0' && line[i] <= '9' : line[i] == shape[i]);
    return line + sizeof shape - 1;
}

static void check_line(const char *want) {
    char *text = content(path);
    CHECK_TEXT(past_time(text), want);
    free(text);
    unlink(path);
}

static void text_of_server(void) {
    start(LOG_TEXT, 6);
    log_notice("ready on port %d", 5222);
    check_line(" notice: ready on port 5222\n");
}

static void text_with_place(void) {
    start(LOG_TEXT, 6);
    log_line(4, &(struct log_place){ "roster", "example.org", "alice@example.org", NULL }, "no %s", "luck");
    check_line(" warning roster alice@example.org: no luck\n");
    start(LOG_TEXT, 6);
    log_line(4, &(struct log_place){ "register", "example.org", NULL, "203.0.113.7:50123" }, "x");
    check_line(" warning register example.org 203.0.113.7:50123: x\n");
}

static void text_is_one_line(void) {
    start(LOG_TEXT, 6);
    log_info("a\nb\tc\x1b[31m\x7f\\ \xc3\xa9 \xc2\x9b \xff\xc3 \xe2\x82\xac \xf0\x9f\x98\x80.");
    check_line(" info: a\\nb\\tc\\x1b[31m\\x7f\\\\ \xc3\xa9 \\u009b \\xff\\xc3 \xe2\x82\xac \xf0\x9f\x98\x80.\n");
}

static void place_is_quoted(void) {
    start(LOG_TEXT, 6);
    log_line(4, &(struct log_place){ "a", NULL, "b\nc", NULL }, "x");
    check_line(" warning a b\\nc: x\n");
}

static const char *member(const cJSON *line, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, name));
}

static void json_lines(void) {
    start(LOG_JSON, 6);
    log_line(3, &(struct log_place){ "mam", "example.org", "alice@example.org", "[::1]:99" },
             "a \"b\"\n\x01\\ \xff \xc2\x80");
    log_notice("two");
    char *text = content(path);
    char *second = strchr(text, '\n');
    CHECK(second != NULL && strchr(second + 1, '\n') == second + strlen(second) - 1);
    *second++ = '\0';
    cJSON *line = cJSON_Parse(text);
    CHECK(line != NULL);
    past_time(member(line, "time"));
    CHECK_TEXT(member(line, "level"), "error");
    CHECK_TEXT(member(line, "plugin"), "mam");
    CHECK_TEXT(member(line, "host"), "example.org");
    CHECK_TEXT(member(line, "entity"), "alice@example.org");
    CHECK_TEXT(member(line, "peer"), "[::1]:99");
    CHECK_TEXT(member(line, "message"), "a \"b\"\n\x01\\ \xef\xbf\xbd \xc2\x80");
    cJSON_Delete(line);
    line = cJSON_Parse(second);
    CHECK_TEXT(member(line, "message"), "two");
    CHECK(!cJSON_GetObjectItemCaseSensitive(line, "plugin"));
    cJSON_Delete(line);
    free(text);
    unlink(path);
}

static void levels(void) {
    start(LOG_TEXT, 5);
    log_info("not this");
    log_debug("nor this");
    CHECK(log_wants(5) && !log_wants(6));
    log_set_level(3);
    log_warning("nor that");
    log_line(6, &(struct log_place){ .plugin = "p" }, "plugins have their own");
    check_line(" info p: plugins have their own\n");
    CHECK_INT(log_level_of("debug"), 7);
    CHECK_INT(log_level_of("error"), 3);
    CHECK_INT(log_level_of("loud"), -1);
    CHECK_TEXT(log_level_name(4), "warning");
}

static void long_messages_are_cut(void) {
    static char big[20001];
    memset(big, 'a', sizeof big - 1);
    start(LOG_TEXT, 6);
    log_info("%s", big);
    char *text = content(path);
    CHECK_INT(strlen(text), 24 + strlen(" info: ") + 8192 + strlen(" (cut)\n"));
    CHECK_TEXT(text + strlen(text) - 8, "a (cut)\n");
    free(text);
    big[300] = '\0';
    start(LOG_TEXT, 6);
    log_info("%s", big);
    text = content(path);
    CHECK_INT(strlen(text), 24 + strlen(" info: ") + 300 + 1);
    free(text);
    unlink(path);
}

static void reopens(void) {
    char moved[80];
    start(LOG_TEXT, 6);
    log_info("one");
    snprintf(moved, sizeof moved, "%s.1", path);
    CHECK_INT(rename(path, moved), 0);
    log_info("two");
    log_setup(&(struct log_config){ LOG_TEXT, path, 6 });
    log_info("three");
    char *old = content(moved), *new = content(path);
    CHECK(strstr(old, "one") && strstr(old, "two") && !strstr(old, "three"));
    CHECK(strstr(new, "three") && !strstr(new, "two"));
    free(old);
    free(new);
    unlink(moved);
    unlink(path);
}

static void bad_file_keeps_the_old(void) {
    start(LOG_TEXT, 6);
    log_setup(&(struct log_config){ LOG_TEXT, "/nonexistent/log", 6 });
    check_line(" error: the log stays where it was: can't open /nonexistent/log: No such file or directory\n");
}

static void errno_survives(void) {
    start(LOG_JSON, 6);
    errno = EPERM;
    log_info("x");
    CHECK_INT(errno, EPERM);
    unlink(path);
}

enum { THREADS = 4, LINES = 500 };

static void *writer(void *arg) {
    for (int i = 0; i < LINES; i++)
        log_info("thread %s line %d of many that must stay whole", (const char *)arg, i);
    return NULL;
}

static void threads_write_whole_lines(void) {
    static char names[THREADS][2] = { "a", "b", "c", "d" };
    pthread_t threads[THREADS];
    start(LOG_TEXT, 6);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, writer, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *text = content(path), *line = text, *end;
    int count = 0, next[THREADS] = { 0 };
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1, count++) {
        char who;
        int number, used = 0;
        *end = '\0';
        const char *rest = past_time(line);
        CHECK_INT(sscanf(rest, " info: thread %c line %d of many that must stay whole%n", &who, &number, &used), 2);
        CHECK(used > 0 && rest[used] == '\0' && who >= 'a' && who < 'a' + THREADS);
        CHECK_INT(number, next[who - 'a']++);
    }
    CHECK_INT(count, THREADS * LINES);
    free(text);
    unlink(path);
}

int main(void) {
    return CHECK_RUN(T(text_of_server), T(text_with_place), T(text_is_one_line), T(place_is_quoted), T(json_lines),
                     T(levels), T(long_messages_are_cut), T(reopens), T(bad_file_keeps_the_old), T(errno_survives),
                     T(threads_write_whole_lines));
}
