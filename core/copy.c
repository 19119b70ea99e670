/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each collection is swept from the one backend and stored in the other, by its key, so that what is stored twice is the
 * same; then both are swept and compared by number and sum.  How far it is lies in a file beside the journal, whose
 * lock keeps servers away: "COLLECTION ROWS KEY", KEY in hexadecimal, "done" for one that is compared.
 */
#include "copy.h"
#include "load/load.h"
#include "progress.h"
#include "run/turn.h"
#include "store/copy.h"
#include "util/mem.h"
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIBERS = 4, STACK = 512 * 1024, STEP_MS = 600 * 1000, SAVE_US = 1000 * 1000 };
/* Rows that end sooner are copied and not compared: either side may have deleted them by then. */
static const int64_t horizon_us = 3600ll * 1000 * 1000;

struct item {
    struct item *next;
    const struct mk_coll_decl *decl;
    struct mk_coll *from, *to;
    struct sweep sweep;
    bool begun, done;
};

struct job {
    const struct settings *settings;
    const char *from_name, *to_name, *only;
    const struct instance *from, *to;
    struct item *items, **tail;
    char *path; /* of the file */
    uint64_t saved_us;
    bool failed;
};

__attribute__((format(printf, 1, 2))) static bool say(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("meerkatd: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    return false;
}

/* ---- steps on the worker ------------------------------------------------------------------------------------------- */

enum what { COUNT, PAGE };
struct step {
    struct post post;
    enum what what;
    const struct mk_coll *coll, *to;
    int64_t now, count;
    struct sweep *sweep;
    int rc;
    sem_t done;
};

MK_SUSPENDS static void run_step(struct mk_ctx *c, void *arg) {
    struct step *s = arg;
    c->deadline_ms = worker_now_ms(c->worker) + STEP_MS;
    s->rc = s->what == COUNT ? store_count(c, s->coll, &s->count) : sweep_page(c, s->coll, s->to, s->now, s->sweep);
    sem_post(&s->done);
}

static void begin_step(struct post *p) {
    turn_aside(NULL, NULL, NULL, run_step, container_of(p, struct step, post));
}

static int do_step(struct step *s) {
    s->post.run = begin_step;
    sem_init(&s->done, 0, 0);
    worker_post(workers[0], &s->post);
    while (sem_wait(&s->done) != 0)
        ;
    sem_destroy(&s->done);
    return s->rc;
}

static bool count_rows(const struct mk_coll *coll, int64_t *count) {
    struct step s = { .what = COUNT, .coll = coll };
    int rc = do_step(&s);
    *count = s.count;
    if (rc == MK_E_UNSUPPORTED)
        return say("%s can't be copied: %s does not list whole collections", coll->decl->name, coll->provider->name);
    return rc == MK_OK || say("%s can't be read from %s: %s", coll->decl->name, coll->provider->name, mk_strerror(rc));
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- the file ------------------------------------------------------------------------------------------------------ */

static void write_item(FILE *f, const struct item *i) {
    if (!i->begun)
        return;
    fprintf(f, "%s %" PRId64 " ", i->decl->name, i->sweep.rows);
    if (i->done || !i->sweep.reached.len)
        fputs(i->done ? "done" : "-", f);
    for (size_t k = 0; !i->done && k < i->sweep.reached.len; k++)
        fprintf(f, "%02x", (unsigned char)i->sweep.reached.data[k]);
    fputs("\n", f);
}

static bool save(struct job *job) {
    struct buf temporary = { 0 };
    buf_printf(&temporary, "%s.new", job->path);
    FILE *f = fopen(temporary.data, "we");
    for (const struct item *i = job->items; f && i; i = i->next)
        write_item(f, i);
    bool good = f && fflush(f) == 0 && fsync(fileno(f)) == 0;
    good = f && fclose(f) == 0 && good;
    good = good && rename(temporary.data, job->path) == 0;
    buf_free(&temporary);
    job->saved_us = monotonic_us();
    return good || say("%s can't be written: %s", job->path, strerror(errno));
}

static void read_key(struct sweep *s, const char *hex) {
    char byte[3] = "";
    for (; hex[0] && hex[1] && hex[0] != '\n'; hex += 2) {
        memcpy(byte, hex, 2);
        char c = (char)strtoul(byte, NULL, 16);
        buf_add(&s->reached, &c, 1);
    }
}

static void resume(struct job *job) {
    char *line = NULL;
    size_t cap = 0;
    FILE *f = fopen(job->path, "re");
    while (f && getline(&line, &cap, f) > 0) {
        char name[64];
        int at = 0;
        int64_t rows;
        if (sscanf(line, "%63s %" SCNd64 " %n", name, &rows, &at) < 2)
            continue;
        for (struct item *i = job->items; i; i = i->next)
            if (strcmp(i->decl->name, name) == 0) {
                i->begun = true;
                i->done = strncmp(line + at, "done", 4) == 0;
                i->sweep.rows = rows;
                if (!i->done && line[at] != '-')
                    read_key(&i->sweep, line + at);
            }
    }
    if (f)
        fclose(f);
    free(line);
}

/* ---- a collection -------------------------------------------------------------------------------------------------- */

static bool define(struct item *i, const struct instance *backend, struct mk_coll **out) {
    struct mk_err err = { 0 };
    *out = coll_make(i->decl, backend, &err);
    if (!*out)
        say("%s", err.text.data ? err.text.data : i->decl->name);
    load_err_free(&err);
    return *out != NULL;
}

/* What lies in the target of a copy that was not begun belongs to somebody. */
static bool is_empty(const struct item *i) {
    int64_t count;
    if (!count_rows(i->to, &count))
        return false;
    return count == 0 ||
           say("%s has %" PRId64 " rows of %s already: a copy needs an empty collection; remove them first",
               i->to->provider->name, count, i->decl->name);
}

static bool copy_rows(struct job *job, struct item *i) {
    struct progress p;
    int64_t total;
    if (!count_rows(i->from, &total))
        return false;
    progress_begin(&p, i->decl->name, "rows", total, i->sweep.rows);
    struct step s = { .what = PAGE, .coll = i->from, .to = i->to, .sweep = &i->sweep };
    bool good = true;
    while (good && !i->sweep.end) {
        s.now = now_us();
        int rc = do_step(&s);
        if (rc != MK_OK)
            say("%s can't be copied: %s; run the same again to go on", i->decl->name, mk_strerror(rc));
        progress_show(&p, i->sweep.rows);
        good = rc == MK_OK && (monotonic_us() - job->saved_us < SAVE_US || save(job));
    }
    progress_end(&p);
    return good;
}

static bool sum_rows(const struct mk_coll *coll, int64_t now, int64_t total, struct sweep *sum) {
    struct progress p;
    struct buf what = { 0 };
    buf_printf(&what, "%s in %s", coll->decl->name, coll->provider->name);
    progress_begin(&p, what.data, "rows", total, 0);
    struct step s = { .what = PAGE, .coll = coll, .now = now, .sweep = sum };
    while (!sum->end && do_step(&s) == MK_OK)
        progress_show(&p, sum->rows);
    progress_end(&p);
    buf_free(&what);
    return sum->end || say("%s can't be read from %s: %s", coll->decl->name, coll->provider->name, mk_strerror(s.rc));
}

static bool compare(const struct item *i) {
    struct sweep from = { { 0 } }, to = { { 0 } };
    int64_t now = now_us() + horizon_us;
    bool good = sum_rows(i->from, now, i->sweep.rows, &from) && sum_rows(i->to, now, i->sweep.rows, &to);
    if (good && (from.rows != to.rows || from.sum != to.sum))
        good = say("%s differs: %" PRId64 " rows with sum %016" PRIx64 " in %s, %" PRId64 " with %016" PRIx64 " in %s",
                   i->decl->name, from.rows, from.sum, i->from->provider->name, to.rows, to.sum, i->to->provider->name);
    if (good)
        printf("%s: %" PRId64 " rows, sum %016" PRIx64 ", the same in %s and %s\n", i->decl->name, from.rows, from.sum,
               i->from->provider->name, i->to->provider->name);
    fflush(stdout);
    sweep_free(&from);
    sweep_free(&to);
    return good;
}

static bool copy_item(struct job *job, struct item *i) {
    if (i->done) {
        printf("%s: copied before\n", i->decl->name);
        return true;
    }
    if (!define(i, job->from, &i->from) || !define(i, job->to, &i->to))
        return false;
    if (!i->begun && !is_empty(i))
        return false;
    i->begun = true;
    if (!save(job) || !copy_rows(job, i) || !compare(i))
        return false;
    i->done = true;
    return save(job);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

/* If none is named, those that are configured for one of the two, before the configuration is changed or after it. */
static void add_item(void *arg, const struct mk_coll_decl *decl, const char *backend) {
    struct job *job = arg;
    bool meant = strcmp(backend, job->from_name) == 0 || strcmp(backend, job->to_name) == 0;
    if (job->only ? strcmp(job->only, decl->name) != 0 : !meant)
        return;
    struct item *i = xcalloc(1, sizeof *i);
    i->decl = decl;
    *job->tail = i;
    job->tail = &i->next;
}

static bool server_runs(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    bool runs = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return runs;
}

static bool is_theirs(void *arg, const char *backend, struct segment *s) {
    const struct job *job = arg;
    bool free = strcmp(backend, job->from_name) != 0 && strcmp(backend, job->to_name) != 0;
    if (!free)
        say("%s has rows that are not stored yet: start the server, and stop it when they are", s->path);
    segment_close(s);
    return free;
}

static bool lock(struct job *job) {
    char why[512];
    bool taken;
    if (server_runs(job->settings->control.socket))
        return say("the server runs: stop it first, so that nothing changes while it is copied");
    if (!journal_open(&job->settings->journal, &taken, why, sizeof why))
        return say("%s", why);
    struct buf path = { 0 };
    buf_printf(&path, "%s/copy.%s.%s", job->settings->journal.folder, job->from_name, job->to_name);
    job->path = path.data;
    return journal_each(is_theirs, job);
}

static int worker_begin(struct worker *w) {
    metrics_worker(w, load_metric_limit());
    return store_worker_start(w) != 0 ? -1 : load_worker_start(w);
}

static void worker_end(struct worker *w) {
    store_worker_stop(w);
    load_worker_stop(w);
}

static bool run(struct job *job) {
    static const struct worker_hooks hooks = { worker_begin, store_flush, worker_end };
    static const struct store_config config = { .queue = 100000, .commit_rows = 1000, .retry = 500 };
    store_setup(&config);
    if (workers_start(1, FIBERS, STACK, &hooks) != 0)
        return say("no thread can be started");
    bool good = true;
    resume(job);
    for (struct item *i = job->items; i && good; i = i->next)
        good = copy_item(job, i);
    if (good)
        unlink(job->path);
    workers_stop();
    return good;
}

static bool is_durable(const struct instance *backend) {
    return backend_caps(store_ops(backend), backend->bytes) & MK_CAP_DURABLE ||
           say("%s keeps nothing when the process ends", backend->name);
}

static bool start_backends(struct job *job) {
    const char *const names[] = { job->from_name, job->to_name };
    struct conf_errors e = { 0 };
    bool good = load_start_backends(names, 2, &e);
    if (!good)
        fputs(e.lines.data, stderr);
    buf_free(&e.lines);
    job->from = good ? load_backend(names[0], strlen(names[0])) : NULL;
    job->to = good ? load_backend(names[1], strlen(names[1])) : NULL;
    return good && is_durable(job->from) && is_durable(job->to);
}

static void free_items(struct job *job) {
    for (struct item *i = job->items, *next; i; i = next) {
        next = i->next;
        sweep_free(&i->sweep);
        if (i->from)
            coll_free(i->from);
        if (i->to)
            coll_free(i->to);
        free(i);
    }
    free(job->path);
}

int copy_collections(const struct settings *s, const char *way, const char *collection) {
    char *names = xstrdup(way), *colon = strchr(names, ':');
    struct job job = { .settings = s, .from_name = names, .only = collection, .tail = &job.items };
    bool good = false;
    if (colon)
        *colon = '\0';
    job.to_name = colon ? colon + 1 : "";
    load_collections(add_item, &job);
    if (!*names || !*job.to_name || strcmp(names, job.to_name) == 0)
        say("--copy needs two backends, FROM:TO");
    else if (!job.items)
        say("no enabled plugin has %s%s", collection ? "a collection named " : "collections",
            collection ? collection : "");
    else
        good = lock(&job) && start_backends(&job) && run(&job);
    load_stop();
    if (worker_count)
        workers_free();
    free_items(&job);
    store_clear();
    journal_close();
    load_free();
    free(names);
    return good ? 0 : 1;
}
