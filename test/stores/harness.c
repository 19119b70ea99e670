/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "conf/conf.h"
#include "load/load.h"
#include "route/jid.h"
#include "util/mem.h"
#include "util/text.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK = 256 * 1024 }; /* sanitizers need more than a server's 64 KiB */

static void *module;
static struct plugin plugin;
static struct instance *instance; /* one a start, as each process has its own */
static char **options;
static int option_count;
static struct arena arena; /* option values of this start */
static struct mk_err err;

/* ---- checks --------------------------------------------------------------------------------------------------- */

static atomic_int failures;

void check_failed(const char *file, int line, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (atomic_fetch_add(&failures, 1) < 5)
        printf("# %s:%d: %s\n", file, line, text);
}

bool check_any_failed(void) {
    return atomic_exchange(&failures, 0) > 0;
}

int tests_run(const struct test *tests, size_t count) {
    int failed = 0;
    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        if (tests[i].caps && tests[i].caps & ~harness_caps()) /* not what this backend promises */
            continue;
        tests[i].run();
        bool bad = check_any_failed();
        printf("%sok %zu - %s\n", bad ? "not " : "", ++number, tests[i].name);
        fflush(stdout);
        failed |= bad;
    }
    printf("1..%zu\n", number);
    return failed;
}

/* ---- the plugin ----------------------------------------------------------------------------------------------- */

static void die(const char *what, const char *why) {
    printf("Bail out! %s: %s\n", what, why);
    exit(1);
}

void harness_load(const char *so, char **opts, int count) {
    module = dlopen(so, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        die(so, dlerror());
    const struct mk_plugin *(*entry)(void) = (const struct mk_plugin *(*)(void))dlsym(module, MK_ENTRY_NAME);
    if (!entry)
        die(so, "no " MK_ENTRY_NAME);
    const struct mk_plugin *d = entry();
    if (d->head.magic != MK_MAGIC || d->head.size != sizeof *d || !(d->flags & MK_PLUGIN_GLOBAL))
        die(so, "not a backend of this build");
    plugin = (struct plugin){ .name = d->name, .d = *d, .file = so };
    harness_set_options(opts, count);
}

void harness_set_options(char **opts, int count) {
    options = opts;
    option_count = count;
}

/* Tests that run at the same time do not share a place. */
static char *with_unique(const char *word) {
    const char *mark = strstr(word, "@UNIQUE@");
    struct buf text = { 0 };
    if (!mark)
        return xstrdup(word);
    buf_printf(&text, "%.*s%x%s", (int)(mark - word), word, (unsigned)getpid(), mark + strlen("@UNIQUE@"));
    return text.data;
}

int harness_env_options(const char *name, char **opts, int max) {
    const char *words = getenv(name);
    int count = 0;
    if (!words) {
        printf("1..0 # SKIP %s is not set: no such service runs\n", name);
        exit(77);
    }
    char *copy = xstrdup(words), *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL && count < max;)
        if (*word)
            opts[count++] = with_unique(word);
    free(copy);
    return count;
}

void harness_unload(void) {
    load_err_free(&err);
    /* Not closed: leak checkers want to name what is in it. */
}

uint32_t harness_caps(void) {
    const struct mk_provide_decl *row = plugin.d.provides.items;
    return instance ? backend_caps(row->ops, instance->bytes) : ((const struct mk_backend_ops *)row->ops)->caps;
}

const char *harness_option(const char *name) {
    size_t len = strlen(name);
    for (int i = 0; i < option_count; i++)
        if (strncmp(options[i], name, len) == 0 && options[i][len] == '=')
            return options[i] + len + 1;
    return NULL;
}

pid_t harness_child(const char *what, int *from) {
    int ends[2];
    char **argv = xcalloc((size_t)option_count + 3, sizeof(char *));
    argv[0] = (char *)"test_stores";
    argv[1] = (char *)plugin.file;
    memcpy(argv + 2, options, (size_t)option_count * sizeof(char *));
    if (pipe(ends) != 0)
        die("pipe", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        setenv("STORES_CHILD", what, 1);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    if (pid < 0)
        die("fork", strerror(errno));
    close(ends[1]);
    free(argv);
    *from = ends[0];
    return pid;
}

/* The way of --set: an empty file, and values on top of it. */
static void fill_options(void *bytes) {
    struct conf_errors e = { .count = 0 };
    char path[] = "/tmp/meerkat-stores-cfg-XXXXXX";
    int fd = mkstemp(path);
    const char **sets = xcalloc((size_t)option_count + 1, sizeof(char *));
    for (int i = 0; i < option_count; i++)
        sets[i] = arena_printf(&arena, "o.%s", options[i]);
    struct conf_node *root = conf_load(&arena, path, sets, (size_t)option_count, &e);
    unlink(path);
    close(fd);
    conf_fill(&arena, plugin.name, conf_find(root, "o"), &plugin.d.options, NULL, bytes, &e);
    free(sets);
    if (e.count)
        die("options", e.lines.data);
}

static const char *last_error(void) {
    return err.text.data ? err.text.data : "no reason given";
}

const char *harness_start_backend(void) {
    load_err_free(&err);
    err = (struct mk_err){ 0 };
    void *bytes = xcalloc(1, plugin.d.inst_size);
    fill_options(bytes);
    int rc = plugin.d.start ? plugin.d.start(bytes, &err) : MK_OK;
    if (rc != MK_OK) {
        free(bytes);
        arena_free(&arena);
        return last_error();
    }
    instance = xcalloc(1, sizeof *instance);
    instance->plugin = &plugin;
    instance->name = plugin.name;
    instance->bytes = bytes;
    instance->started = true;
    return NULL;
}

void harness_stop_backend(void) {
    void *bytes = (void *)instance->bytes;
    if (plugin.d.stop)
        plugin.d.stop(bytes);
    free(bytes);
    free(instance);
    instance = NULL;
    store_clear();
    arena_free(&arena);
}

struct mk_coll *harness_define(const struct mk_coll_decl *decl) {
    load_err_free(&err);
    err = (struct mk_err){ 0 };
    struct mk_coll *coll = store_define(decl, instance, &err);
    if (!coll)
        die(decl->name, last_error());
    return coll;
}

const char *harness_refused(const struct mk_coll_decl *decl) {
    load_err_free(&err);
    err = (struct mk_err){ 0 };
    return store_define(decl, instance, &err) ? "" : last_error();
}

/* ---- workers -------------------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t less = PTHREAD_COND_INITIALIZER;
static unsigned running;

static void count_running(int by) {
    pthread_mutex_lock(&lock);
    running += (unsigned)by;
    pthread_cond_broadcast(&less);
    pthread_mutex_unlock(&lock);
}

void harness_wait(void) {
    pthread_mutex_lock(&lock);
    while (running)
        pthread_cond_wait(&less, &lock);
    pthread_mutex_unlock(&lock);
}

static unsigned busy_workers;
static void count_busy(struct worker *w, void *arg) {
    (void)arg;
    if (!store_idle(w))
        __atomic_add_fetch(&busy_workers, 1, __ATOMIC_SEQ_CST);
}

/* Until no write waits: what the server does before it stops. */
static void drain(void) {
    do {
        busy_workers = 0;
        workers_each(count_busy, NULL);
    } while (busy_workers);
}

const char *harness_start(const struct store_config *config) {
    static const struct store_config usual = { .queue = 10000, .commit_rows = 256, .retry = 100 };
    static const struct worker_hooks hooks = { store_worker_start, store_flush, store_worker_stop };
    const char *why = harness_start_backend();
    if (why)
        return why;
    store_setup(config ? config : &usual);
    if (workers_start(WORKERS, FIBERS, STACK, &hooks) != 0)
        die("workers", "did not start");
    return NULL;
}

void harness_stop(void) {
    harness_wait();
    drain();
    workers_stop();
    harness_stop_backend();
    workers_free();
}

/* ---- fibers --------------------------------------------------------------------------------------------------- */

struct job {
    struct post post;
    void (*fn)(struct mk_ctx *c, void *arg);
    void *arg;
};

static void run_in_fiber(struct mk_ctx *c, void *arg) {
    struct job *job = arg;
    c->deadline_ms = worker_now_ms(c->worker) + 120 * 1000; /* sanitizers are slow */
    job->fn(c, job->arg);
    free(job);
    count_running(-1);
}

static void run_job(struct post *p) {
    struct job *job = container_of(p, struct job, post);
    turn_aside(NULL, NULL, NULL, run_in_fiber, job);
}

void harness_begin(unsigned worker, void (*fn)(struct mk_ctx *c, void *arg), void *arg) {
    struct job *job = xcalloc(1, sizeof *job);
    *job = (struct job){ { NULL, run_job }, fn, arg };
    count_running(1);
    worker_post(workers[worker], &job->post);
}

void harness_run(unsigned worker, void (*fn)(struct mk_ctx *c, void *arg), void *arg) {
    harness_begin(worker, fn, arg);
    harness_wait();
}

const struct mk_jid *harness_jid(struct mk_ctx *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(&c->arena, fmt, args);
    va_end(args);
    const struct mk_jid *jid = NULL;
    if (jid_parse(&c->arena, text, strlen(text), &jid) != MK_OK)
        die(text, "is no JID");
    return jid;
}
