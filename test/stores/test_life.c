/* SPDX-License-Identifier: Apache-2.0 */
/* What lasts: a restart, a kill, a new version of a collection.  These stop and start the backend. */
#include "suite.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool restart(void) {
    harness_stop();
    const char *why = harness_start(NULL);
    if (why)
        check_failed(__FILE__, __LINE__, "%s", why);
    else
        suite_define();
    return !why;
}

/* ---- restarts ---------------------------------------------------------------------------------------------------- */

enum { LASTING = 500 };

static void put_lasting_fiber(struct mk_ctx *c, void *arg) {
    struct mk_value row[P_COUNT] = { mk_v_text("x"), text_part(c, "last"), mk_v_int(0), mk_v_int(0), mk_v_int(0) };
    (void)arg;
    for (int i = 0; i < LASTING; i++) {
        row[P_SORT_INT] = row[P_NUMBER] = mk_v_int(i);
        NEED_INT(mk_put_later(c, pairs, MK_UPSERT, row, NULL), 0);
    }
}
static void check_lasting_fiber(struct mk_ctx *c, void *arg) {
    const struct mk_rows *rows;
    struct mk_value part[] = { text_part(c, "last"), mk_v_int(0) };
    (void)arg;
    NEED_INT(mk_scan(c, pairs, MK_SCAN(.partition = part), &rows), 0);
    NEED_INT(mk_rows_count(rows), LASTING);
    for (int i = 0; i < LASTING; i++)
        NEED_INT(mk_row_int(mk_rows_at(rows, (size_t)i), P_NUMBER), i);
}
static void rows_last_over_a_restart(void) {
    harness_run(0, put_lasting_fiber, NULL);
    if (restart())
        harness_run(1, check_lasting_fiber, NULL);
}

/* ---- children ---------------------------------------------------------------------------------------------------- */

enum { CHILD_FIBERS = 16, ENOUGH = 1500 };

/* Says the number of each row once it is acknowledged, until it is killed. */
static void child_writer_fiber(struct mk_ctx *c, void *arg) {
    int fiber = (int)(intptr_t)arg;
    for (int i = 0;; i++) {
        char line[32];
        struct mk_value row[P_COUNT] = { mk_v_text("x"), text_part(c, "kill"), mk_v_int(i), mk_v_int(fiber),
                                         mk_v_int(i) };
        if (mk_put_now(c, pairs, MK_IF_ABSENT, row) != MK_OK)
            return;
        int len = snprintf(line, sizeof line, "%d %d\n", fiber, i);
        if (write(STDOUT_FILENO, line, (size_t)len) != len)
            return;
    }
}

static int child_write(const char *id) {
    snprintf(run_id, sizeof run_id, "%s", id);
    if (harness_start(NULL))
        return 1;
    suite_define();
    for (intptr_t i = 0; i < CHILD_FIBERS; i++)
        harness_begin((unsigned)i % WORKERS, child_writer_fiber, (void *)i);
    harness_wait();
    return 1; /* it is killed before */
}

struct acked {
    int count[CHILD_FIBERS], all;
};
static void check_acked_fiber(struct mk_ctx *c, void *arg) {
    const struct acked *acked = arg;
    for (int i = 0; i < CHILD_FIBERS; i++) {
        int64_t rows;
        struct mk_value part[] = { text_part(c, "kill"), mk_v_int(i) };
        struct mk_value hi[] = { mk_v_text("x"), mk_v_int(acked->count[i] - 1) };
        NEED_INT(mk_scan_count(c, pairs, MK_SCAN(.partition = part, .hi = hi, .hi_count = 2), &rows), 0);
        NEED_INT(rows, acked->count[i]);
    }
}

static void read_acked(FILE *f, pid_t pid, struct acked *acked) {
    char line[64];
    bool killed = false;
    while (fgets(line, sizeof line, f)) {
        int fiber, n;
        if (strchr(line, '\n') && sscanf(line, "%d %d", &fiber, &n) == 2 && fiber >= 0 && fiber < CHILD_FIBERS) {
            acked->count[fiber] = n + 1;
            if (++acked->all >= ENOUGH && !killed)
                killed = kill(pid, SIGKILL) == 0;
        }
    }
}

static void what_was_acknowledged_survives_a_kill(void) {
    char what[64];
    int from, status;
    struct acked acked = { .all = 0 };
    snprintf(what, sizeof what, "write %s", run_id);
    harness_stop();
    pid_t pid = harness_child(what, &from);
    FILE *f = pid > 0 ? fdopen(from, "r") : NULL;
    if (!f) {
        check_failed(__FILE__, __LINE__, "no child: %s", strerror(errno));
    } else {
        read_acked(f, pid, &acked);
        fclose(f);
        waitpid(pid, &status, 0);
        if (acked.all < ENOUGH || !WIFSIGNALED(status))
            check_failed(__FILE__, __LINE__, "the child ended by itself after %d rows", acked.all);
    }
    const char *why = harness_start(NULL);
    if (why) {
        check_failed(__FILE__, __LINE__, "%s", why);
        return;
    }
    suite_define();
    harness_run(0, check_acked_fiber, &acked);
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

static const struct mk_col_decl old_cols[] = {
    { "owner", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "body", MK_C_TEXT, MK_COL_NULL, "" },
};
static const struct mk_col_decl new_cols[] = {
    { "owner", MK_C_TEXT, MK_COL_PARTITION, "" }, { "id", MK_C_INT, MK_COL_SORT, "" },
    { "body", MK_C_TEXT, MK_COL_NULL, "" },       { "number", MK_C_INT, 0, "" },
    { "note", MK_C_TEXT, MK_COL_NULL, "" },       { "title", MK_C_TEXT, 0, "" },
};
static const struct mk_col_decl found_cols[] = {
    { "owner", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "body", MK_C_TEXT, MK_COL_NULL, "" },
    { "number", MK_C_INT, 0, "" },
    { "note", MK_C_TEXT, MK_COL_NULL, "" },
    { "title", MK_C_TEXT, 0, "" },
    { "subject", MK_C_TEXT, MK_COL_NULL | MK_COL_TEXT_SEARCH, "" },
};
static const struct mk_col_decl changed_cols[] = {
    { "owner", MK_C_TEXT, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "body", MK_C_INT, MK_COL_NULL, "" },
};
static const struct mk_index_decl old_indexes[] = { { "by_body", "owner", "id" } };
static const struct mk_index_decl new_indexes[] = { { "by_number", "owner", "number" } };

static const struct mk_coll *moving;
static char moving_name[40];

static struct mk_coll_decl version(uint32_t n, struct mk_table cols, struct mk_table indexes) {
    snprintf(moving_name, sizeof moving_name, "test_moving_%s", run_id);
    return (struct mk_coll_decl){ moving_name, n, 0, 0, 0, cols, indexes, "Of the store tests." };
}
static struct mk_coll_decl version_1(void) {
    return version(1, (struct mk_table)MK_TABLE(old_cols), (struct mk_table)MK_TABLE(old_indexes));
}
static struct mk_coll_decl version_2(void) {
    return version(2, (struct mk_table)MK_TABLE(new_cols), (struct mk_table)MK_TABLE(new_indexes));
}
static struct mk_coll_decl version_3(void) {
    return version(3, (struct mk_table)MK_TABLE(found_cols), (struct mk_table)MK_TABLE(new_indexes));
}

static void put_old_fiber(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) {
        struct mk_value row[] = { mk_v_text("o"), mk_v_int(i), mk_v_text("old") };
        NEED_INT(mk_put_now(c, moving, MK_UPSERT, row), 0);
    }
}
static void check_new_fiber(struct mk_ctx *c, void *arg) {
    const struct mk_row *got;
    const struct mk_rows *rows;
    struct mk_value key[] = { mk_v_text("o"), mk_v_int(3) };
    (void)arg;
    NEED_INT(mk_get(c, moving, key, &got), 0);
    NEED_TEXT(mk_row_text(got, 2), "old");
    NEED(!mk_row_is_null(got, 3) && mk_row_int(got, 3) == 0);
    NEED(mk_row_is_null(got, 4));
    NEED_TEXT(mk_row_text(got, 5), "");
    struct mk_value row[] = { key[0],          key[1],          mk_v_text("new"),        mk_v_int(-5),
                              mk_v_text("no"), mk_v_text("ti"), mk_v_text("green grass") };
    NEED_INT(mk_put_now(c, moving, MK_UPSERT, row), 0);
    NEED_INT(mk_scan(c, moving, MK_SCAN(.partition = key, .index = 1, .limit = 2), &rows), 0);
    NEED_INT(mk_rows_count(rows), 2);
    NEED_INT(mk_row_int(mk_rows_at(rows, 0), 1), 3);
    NEED_TEXT(mk_row_text(mk_rows_at(rows, 0), 5), "ti");
}
static void check_found_fiber(struct mk_ctx *c, void *arg) {
    const struct mk_rows *rows;
    struct mk_value key[] = { mk_v_text("o"), mk_v_int(4) };
    (void)arg;
    struct mk_value row[] = { key[0],          key[1],          mk_v_text("new"),       mk_v_int(-6),
                              mk_v_text("no"), mk_v_text("ti"), mk_v_text("blue grass") };
    NEED_INT(mk_put_now(c, moving, MK_UPSERT, row), 0);
    NEED_INT(mk_scan(c, moving, MK_SCAN(.partition = key, .search = "grass", .search_col = 6), &rows), 0);
    NEED_INT(mk_rows_count(rows), 1);
    NEED_INT(mk_row_int(mk_rows_at(rows, 0), 1), 4);
    NEED_INT(mk_scan(c, moving, MK_SCAN(.partition = key), &rows), 0);
    NEED_INT(mk_rows_count(rows), 10);
    NEED_INT(mk_coll_caps(moving), harness_caps());
}

static void refuse(struct mk_coll_decl decl, const char *because) {
    const char *why = harness_refused(&decl);
    if (!strstr(why, because))
        check_failed(__FILE__, __LINE__, "version %u of %s: \"%s\" says nothing of \"%s\"", decl.version, decl.name,
                     why, because);
}

/* Starts with another version of the collection, once the test's own were stopped. */
static bool start_with(struct mk_coll_decl decl) {
    if (!restart())
        return false;
    moving = harness_define(&decl);
    return true;
}

static void a_new_version_brings_columns_and_indexes(void) {
    if (!start_with(version_1()))
        return;
    harness_run(0, put_old_fiber, NULL);
    if (!start_with(version_2()))
        return;
    harness_run(0, check_new_fiber, NULL);
    if (harness_caps() & MK_CAP_TEXT_SEARCH) {
        if (start_with(version_3()))
            harness_run(0, check_found_fiber, NULL);
    }
}

static void what_is_no_new_version_is_refused(void) {
    struct mk_coll_decl two = version_2(), one = version_1();
    if (harness_caps() & MK_CAP_TEXT_SEARCH)
        two = version_3();
    if (!restart())
        return;
    refuse(one, "version");
    struct mk_coll_decl later = two;
    later.version++;
    later.indexes = (struct mk_table)MK_NO_INDEX;
    later.cols = (struct mk_table)MK_TABLE(changed_cols);
    refuse(later, "body");
    later.cols = (struct mk_table)MK_TABLE(old_cols);
    refuse(later, "number");
    harness_define(&two);
}

static void wrong_use_of_a_name_is_refused(void) {
    struct mk_coll_decl decl = { "test_pairs", 1, 0, 0, 0, MK_TABLE(old_cols), MK_NO_INDEX, "" };
    refuse(decl, "declared twice");
    decl.name = "Test; DROP TABLE";
    refuse(decl, "snake case");
    decl.name = "test_refused";
    decl.need = ~harness_caps() & 15;
    if (decl.need)
        refuse(decl, "needs");
}

/* ---- several servers ----------------------------------------------------------------------------------------------- */

/* Waits at the gate, a pipe that the parent closes when all are there. */
static int child_define(const char *arg) {
    int gate = -1;
    char byte;
    if (sscanf(arg, "%15s %d", run_id, &gate) != 2 || read(gate, &byte, 1) != 0)
        return 1;
    if (harness_start_backend())
        return 1;
    struct mk_coll_decl decl = version_2();
    harness_define(&decl);
    suite_define();
    harness_stop_backend();
    return 0;
}

static void servers_that_start_at_once_agree(void) {
    enum { SERVERS = 6 };
    char what[64];
    pid_t pids[SERVERS];
    int froms[SERVERS], gate[2];
    if (pipe2(gate, O_CLOEXEC) != 0 || fcntl(gate[0], F_SETFD, 0) != 0) {
        check_failed(__FILE__, __LINE__, "%s", strerror(errno));
        return;
    }
    snprintf(what, sizeof what, "define %so %d", run_id, gate[0]); /* a name that is not there yet */
    for (int i = 0; i < SERVERS; i++)
        pids[i] = harness_child(what, &froms[i]);
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < SERVERS; i++) {
        int status = -1;
        char text[256];
        ssize_t len = read(froms[i], text, sizeof text - 1);
        text[len > 0 ? len : 0] = '\0';
        close(froms[i]);
        if (waitpid(pids[i], &status, 0) < 0 || status != 0)
            check_failed(__FILE__, __LINE__, "server %d: status %x, %s", i, (unsigned)status, text);
    }
}

int child_main(const char *what) {
    if (strncmp(what, "write ", 6) == 0)
        return child_write(what + 6);
    return child_define(what + strlen("define "));
}

const struct test life_tests[] = {
    TEST(wrong_use_of_a_name_is_refused, 0),
    TEST(rows_last_over_a_restart, MK_CAP_DURABLE),
    TEST(what_was_acknowledged_survives_a_kill, MK_CAP_DURABLE),
    TEST(a_new_version_brings_columns_and_indexes, MK_CAP_DURABLE),
    TEST(what_is_no_new_version_is_refused, MK_CAP_DURABLE),
    TEST(servers_that_start_at_once_agree, MK_CAP_DURABLE),
};
const size_t life_test_count = sizeof life_tests / sizeof life_tests[0];
