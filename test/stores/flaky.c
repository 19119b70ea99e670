/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that can be told to be away: SQLite behind a gate.  The gate is a file; while it exists, its word says what
 * happens.  writes: commits fail.  all: reads and commits fail.  hang: commits do not end until the gate says otherwise.
 */
#include <meerkat/plugin.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#pragma push_macro("MK_PLUGIN")
#undef MK_PLUGIN
#define MK_PLUGIN(...) extern const int flaky_is_no_sqlite
#include "../../backends/sqlite/sqlite.c"
#pragma pop_macro("MK_PLUGIN")

struct held {
    struct held *next;
    struct mk_op *op;
    struct mk_commit *commit;
};

struct gate {
    const char *path;
    pthread_mutex_t lock;
    struct held *held, **tail;
    pthread_t thread;
    bool ending;
};

struct flaky {
    struct sqlite sqlite; /* first: to its functions this is one */
    const char *gate_file;
    struct gate *gate;
};

enum word { OPEN, WRITES, ALL, HANG };

static enum word gate_word(const struct gate *g) {
    char text[16] = "";
    FILE *f = fopen(g->path, "re");
    if (!f)
        return OPEN;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return strncmp(text, "writes", 6) == 0 ? WRITES
           : strncmp(text, "all", 3) == 0  ? ALL
           : strncmp(text, "hang", 4) == 0 ? HANG
                                           : OPEN;
}

static void fail(struct mk_op *op) {
    mk_op_explain(op, "the gate is shut");
    mk_op_done_remote(op, MK_E_BACKEND);
}

static void *wait_main(void *arg) {
    struct gate *g = arg;
    for (bool ending = false; !ending;) {
        struct held *all = NULL;
        pthread_mutex_lock(&g->lock);
        ending = g->ending;
        if (ending || gate_word(g) != HANG) {
            all = g->held;
            g->held = NULL;
            g->tail = &g->held;
        }
        pthread_mutex_unlock(&g->lock);
        for (struct held *h = all, *next; h; h = next) {
            next = h->next;
            commit(h->op, h->commit);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
    }
    return NULL;
}

static void hold(struct gate *g, struct held like) {
    struct held *h = mk_op_alloc(like.op, sizeof *h);
    *h = like;
    pthread_mutex_lock(&g->lock);
    *g->tail = h;
    g->tail = &h->next;
    pthread_mutex_unlock(&g->lock);
}

static void flaky_read(struct mk_op *op, struct mk_read *read) {
    const struct flaky *me = mk_op_inst(op);
    if (gate_word(me->gate) == ALL)
        fail(op);
    else
        read_rows(op, read);
}

static void flaky_commit(struct mk_op *op, struct mk_commit *c) {
    const struct flaky *me = mk_op_inst(op);
    struct held h = { .op = op, .commit = c };
    enum word word = gate_word(me->gate);
    if (word == HANG)
        hold(me->gate, h);
    else if (word != OPEN)
        fail(op);
    else
        commit(op, c);
}

static int flaky_start(void *inst, struct mk_err *err) {
    struct flaky *me = inst;
    int rc = start(inst, err);
    if (rc != MK_OK)
        return rc;
    me->gate = sql_must(calloc(1, sizeof *me->gate));
    me->gate->path = me->gate_file;
    me->gate->tail = &me->gate->held;
    pthread_mutex_init(&me->gate->lock, NULL);
    must_start(&me->gate->thread, wait_main, me->gate);
    return MK_OK;
}

static void flaky_stop(void *inst) {
    struct gate *g = ((struct flaky *)inst)->gate;
    pthread_mutex_lock(&g->lock);
    g->ending = true;
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    pthread_mutex_destroy(&g->lock);
    free(g);
    stop(inst);
}

static const struct mk_backend_ops flaky_ops = {
    .size = sizeof(struct mk_backend_ops),
    .caps = MK_CAP_TTL | MK_CAP_TEXT_SEARCH | MK_CAP_BATCH | MK_CAP_DURABLE,
    .define = define,
    .read = flaky_read,
    .commit = flaky_commit,
    .sweep = flaky_read,
    .schema = schema,
};
static const struct mk_provide_decl flaky_provides[] = { MK_PROVIDE(mk_backend, 1, 0, &flaky_ops, "For tests.") };
static const struct mk_opt_decl flaky_options[] = {
    MK_OPT_TEXT(struct flaky, gate_file, "/nowhere/gate", 0, "The gate."),
    MK_OPT_TEXT(struct sqlite, path, NULL, MK_OPT_REQUIRED, "The database file."),
    MK_OPT_ENUM(struct sqlite, synchronous, "normal", synchronous_names, 0, "As of sqlite."),
    MK_OPT_INT(struct sqlite, read_threads, "1", 1, 64, 0, "As of sqlite."),
    MK_OPT_SIZE(struct sqlite, cache_size, "1M", 65536, 1ll << 40, 0, "As of sqlite."),
    MK_OPT_DURATION(struct sqlite, busy_timeout, "5s", 0, 60000, 0, "As of sqlite."),
    MK_OPT_SIZE(struct sqlite, journal_size_limit, "4M", 0, 1ll << 40, 0, "As of sqlite."),
};

MK_PLUGIN(flaky, .version = "1.0", .summary = "Test: a backend that can be away", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct flaky), .options = MK_TABLE(flaky_options), .provides = MK_TABLE(flaky_provides),
          .start = flaky_start, .stop = flaky_stop);
