/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dump that can be read twice is first read to its end, so that one with a mistake changes nothing.  Then its accounts
 * are made, one after the other: without a password until all of their data is there.
 */
#include "move/account.h"
#include "move/source.h"
#include "util/arena.h"
#include "util/jid.h"
#include "util/mem.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ERRORS_MAX = 20, UNKNOWN_MAX = 200 };

struct unknown {
    char *name, *ns;
    int64_t count;
};
struct job {
    const struct arguments *args;
    struct names served;
    struct import import;
    char *host; /* whose accounts come now */
    int64_t total;
    unsigned errors; /* of the check */
    struct unknown *unknown;
    int unknown_count;
};

/* ---- addresses ------------------------------------------------------------------------------------------------------- */

/* NAME@DOMAIN as the server knows it, OWNED; NULL if it is no JID.  NAME NULL: the domain alone. */
static char *prepared(const char *name, const char *domain) {
    struct arena arena;
    const struct mk_jid *jid;
    struct mk_view none = { "", 0 }, local = { name ? name : "", name ? strlen(name) : 0 };
    arena_init(&arena);
    bool good = jid_make(&arena, local, (struct mk_view){ domain, strlen(domain) }, none, &jid) == 0 &&
                (jid->local_len != 0) == (name != NULL);
    char *text = good ? xstrdup(jid->text) : NULL;
    arena_free(&arena);
    return text;
}

/* ---- the check ------------------------------------------------------------------------------------------------------- */

/* The first errors are all told of; then it is enough. */
static enum dump_next count_error(struct job *job) {
    return ++job->errors < ERRORS_MAX ? DUMP_SKIP : DUMP_STOP;
}

static enum dump_next enter_host(struct job *job, const struct dump *d, const char *jid) {
    free(job->host);
    job->host = prepared(NULL, jid);
    if (!job->host) {
        dump_fail(d, "\"%.200s\" is no domain", jid);
        return count_error(job);
    }
    if (!names_allow(&job->args->hosts, job->host))
        return DUMP_SKIP;
    if (job->served.count && names_allow(&job->served, job->host))
        return DUMP_ON;
    dump_fail(d, "host %s is not served here: add it to the configuration, or leave it out with --host", job->host);
    return count_error(job);
}

static enum dump_next check_host(void *arg, const struct dump *d, const char *jid) {
    return enter_host(arg, d, jid);
}

static enum dump_next check_user(void *arg, const struct dump *d, const char *name, const char *password) {
    struct job *job = arg;
    (void)password;
    char *account = *name ? prepared(name, job->host) : NULL;
    if (!account) {
        dump_fail(d, "\"%.200s\" is no name of an account", name);
        return count_error(job);
    }
    bool wanted = names_allow(&job->args->users, account);
    job->total += wanted;
    free(account);
    return wanted ? DUMP_ON : DUMP_SKIP;
}

static enum dump_next check_element(void *arg, const struct dump *d, const struct dump_kind *kind, const char *wrapper,
                                    const struct buf *xml) {
    (void)arg, (void)d, (void)kind, (void)wrapper, (void)xml;
    return DUMP_ON;
}

static void check_ignored(void *arg, const struct dump *d, const char *name, const char *ns, bool too_long) {
    (void)arg, (void)d, (void)name, (void)ns, (void)too_long;
}

static enum dump_next check_end(void *arg, const struct dump *d) {
    (void)arg, (void)d;
    return DUMP_ON;
}

static bool read_once(struct job *job, const struct dump_handler *handler) {
    struct dump d = { .kinds = &job->import.kinds, .handler = handler, .arg = job };
    struct source s;
    bool good = source_open(&s, job->args) && source_read(&s, &d);
    good = source_close(&s) && good;
    dump_free(&d);
    return good;
}

static int check_all(struct job *job) {
    static const struct dump_handler handler = { check_host, check_user, check_element, check_ignored, check_end };
    bool good = read_once(job, &handler) && !job->errors;
    if (good)
        return DONE;
    return fail(FAILED, "nothing was imported, for the dump has errors");
}

/* ---- the import ------------------------------------------------------------------------------------------------------ */

static enum dump_next on_host(void *arg, const struct dump *d, const char *jid) {
    struct job *job = arg;
    enum dump_next next = enter_host(job, d, jid);
    return job->errors ? DUMP_STOP : next;
}

static enum dump_next on_user(void *arg, const struct dump *d, const char *name, const char *password) {
    struct job *job = arg;
    char *account = *name ? prepared(name, job->host) : NULL;
    if (!account)
        return dump_fail(d, "\"%.200s\" is no name of an account", name);
    enum dump_next next =
        names_allow(&job->args->users, account) ? import_begin(&job->import, account, password) : DUMP_SKIP;
    free(account);
    return next;
}

static enum dump_next on_element(void *arg, const struct dump *d, const struct dump_kind *kind, const char *wrapper,
                                 const struct buf *xml) {
    struct job *job = arg;
    (void)d;
    return import_element(&job->import, kind, wrapper, xml);
}

static void on_ignored(void *arg, const struct dump *d, const char *name, const char *ns, bool too_long) {
    struct job *job = arg;
    int i = 0;
    if (too_long) {
        dump_warn(d, "<%.80s xmlns='%.200s'> is longer than %d bytes: it is left out", name, ns, ELEMENT_MAX);
        job->import.warnings++;
        return;
    }
    while (i < job->unknown_count && (strcmp(job->unknown[i].name, name) != 0 || strcmp(job->unknown[i].ns, ns) != 0))
        i++;
    if (i == UNKNOWN_MAX)
        return;
    if (i == job->unknown_count) {
        job->unknown = xrealloc(job->unknown, ((size_t)i + 1) * sizeof *job->unknown);
        job->unknown[job->unknown_count++] = (struct unknown){ xstrdup(name), xstrdup(ns), 0 };
    }
    job->unknown[i].count++;
}

static enum dump_next on_user_end(void *arg, const struct dump *d) {
    struct job *job = arg;
    (void)d;
    return import_end(&job->import);
}

static int import_all(struct job *job) {
    static const struct dump_handler handler = { on_host, on_user, on_element, on_ignored, on_user_end };
    struct import *i = &job->import;
    progress_begin(&i->progress, "import", "accounts", job->total, 0);
    bool good = read_once(job, &handler);
    progress_end(&i->progress);
    if (good)
        return DONE;
    if (i->state.path)
        fail(FAILED, "the import ended early: run the same again to go on");
    return i->status ? i->status : FAILED;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void say_json(const struct job *job) {
    const struct import *i = &job->import;
    cJSON *all = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(all, "unknown");
    cJSON_AddNumberToObject(all, "imported", (double)i->imported);
    cJSON_AddNumberToObject(all, "merged", (double)i->merged);
    cJSON_AddNumberToObject(all, "replaced", (double)i->replaced);
    cJSON_AddNumberToObject(all, "skipped", (double)i->skipped);
    cJSON_AddNumberToObject(all, "done_before", (double)i->done_before);
    cJSON_AddNumberToObject(all, "warnings", (double)i->warnings);
    for (int k = 0; k < job->unknown_count; k++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", job->unknown[k].name);
        cJSON_AddStringToObject(one, "ns", job->unknown[k].ns);
        cJSON_AddNumberToObject(one, "elements", (double)job->unknown[k].count);
        cJSON_AddItemToArray(list, one);
    }
    char *text = cJSON_PrintUnformatted(all);
    puts(text ? text : "");
    cJSON_free(text);
    cJSON_Delete(all);
}

static void say_summary(const struct job *job) {
    const struct import *i = &job->import;
    if (job->args->json) {
        say_json(job);
        return;
    }
    for (int k = 0; k < job->unknown_count; k++)
        printf("<%s xmlns='%s'> is not known here: left out %" PRId64 " times\n", job->unknown[k].name,
               job->unknown[k].ns, job->unknown[k].count);
    printf("%" PRId64 " accounts imported, %" PRId64 " merged, %" PRId64 " replaced, %" PRId64
           " skipped, for they are there",
           i->imported, i->merged, i->replaced, i->skipped);
    if (i->done_before)
        printf(", %" PRId64 " done before", i->done_before);
    printf("; %" PRId64 " warnings\n", i->warnings);
}

static bool open_state(struct job *job) {
    const struct arguments *a = job->args;
    struct buf path = { 0 };
    if (a->state)
        buf_puts(&path, a->state);
    else if (!a->from && strcmp(a->file, "-") != 0)
        buf_printf(&path, "%s.state", a->file);
    job->import.identity = source_identity(a);
    bool good = state_open(&job->import.state, path.data, job->import.identity);
    buf_free(&path);
    return good;
}

static void free_job(struct job *job) {
    for (int i = 0; i < job->unknown_count; i++) {
        free(job->unknown[i].name);
        free(job->unknown[i].ns);
    }
    free(job->unknown);
    free(job->host);
    names_free(&job->served);
    import_free(&job->import);
}

int import_accounts(const struct arguments *a) {
    struct job job = { .args = a, .import = { .server.fd = -1, .existing = a->existing } };
    int status = server_connect(&job.import.server, a->socket);
    if (status == DONE)
        status = server_hosts(&job.import.server, &a->hosts, &job.served);
    if (status == DONE)
        status = server_kinds(&job.import.server, &job.import.kinds);
    if (status == DONE && (a->check || source_is_lasting(a)))
        status = check_all(&job);
    if (status == DONE && a->check) {
        printf("the dump is good: %" PRId64 " accounts\n", job.total);
    } else if (status == DONE) {
        status = open_state(&job) ? import_all(&job) : FAILED;
        say_summary(&job);
        state_end(&job.import.state, status == DONE);
    }
    free_job(&job);
    return status;
}
