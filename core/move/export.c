/* SPDX-License-Identifier: Apache-2.0 */
#include "move/move.h"
#include "progress.h"
#include "util/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE "1000"

struct job {
    const struct arguments *args;
    struct server server;
    struct dump_kinds kinds;
    struct names hosts;
    FILE *out;
    char *path;                   /* OWNED; of what is written before it has its name */
    const struct dump_kind *open; /* the series that is being written */
    struct progress progress;
    int64_t total, done, left_out;
};

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static void put_start(struct job *job, const char *name, const char *attr, const char *value, const char *indent) {
    struct buf b = { 0 };
    put_attr(&b, attr, value);
    fprintf(job->out, "%s<%s%s>\n", indent, name, b.data);
    buf_free(&b);
}

static void close_series(struct job *job) {
    if (job->open)
        fprintf(job->out, "      </%s>\n", job->open->name);
    job->open = NULL;
}

static void put_node(struct job *job, xmlNodePtr node, const char *indent) {
    xmlBufferPtr text = xmlBufferCreate();
    if (!text)
        out_of_memory();
    xmlNodeDump(text, node->doc, node, 0, 0);
    fprintf(job->out, "%s%s\n", indent, (const char *)xmlBufferContent(text));
    xmlBufferFree(text);
}

/* Parts of one series follow each other in one element. */
static void put_series(struct job *job, xmlNodePtr node, const struct dump_kind *kind) {
    if (job->open != kind) {
        close_series(job);
        fprintf(job->out, "      <%s xmlns='%s'>\n", kind->name, kind->ns);
        job->open = kind;
    }
    for (xmlNodePtr n = node->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            put_node(job, n, "        ");
}

static int put_part(struct job *job, const char *xml) {
    xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET | XML_PARSE_HUGE);
    xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
    for (xmlNodePtr n = root ? root->children : NULL; n; n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        const struct dump_kind *kind = kind_find(&job->kinds, (const char *)n->name, (const char *)n->ns->href);
        if (kind && kind->series) {
            put_series(job, n, kind);
        } else {
            close_series(job);
            put_node(job, n, "      ");
        }
    }
    if (doc)
        xmlFreeDoc(doc);
    return root ? DONE : fail(FAILED, "the server's answer is no XML");
}

/* ---- accounts -------------------------------------------------------------------------------------------------------- */

static void say_lines(struct job *job, const cJSON *answer, const char *account) {
    const cJSON *line;
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(answer, "lines")) {
        fprintf(stderr, "%s: %s\n", account, cJSON_GetStringValue(line));
        job->left_out++;
    }
}

static int put_parts(struct job *job, const cJSON *answer) {
    const cJSON *row;
    int status = DONE;
    cJSON_ArrayForEach(row, answer_rows(answer)) if (status == DONE) status = put_part(job, text_in(row, "xml"));
    return status;
}

static bool is_gone(struct job *job, const char *account) {
    cJSON *answer;
    bool there = server_run(&job->server, &answer, "users.exists", "account", account, NULL) != DONE ||
                 true_in(answer_rows(answer)->child, "exists");
    cJSON_Delete(answer);
    return !there;
}

/* What the server answered, which is freed, and what comes after it. */
static int export_parts(struct job *job, const char *account, cJSON *answer) {
    char *after = NULL;
    int status;
    for (;;) {
        status = put_parts(job, answer);
        say_lines(job, answer, account);
        const char *more = text_in(cJSON_GetObjectItemCaseSensitive(answer, "more"), "after");
        free(after);
        after = *more ? xstrdup(more) : NULL;
        cJSON_Delete(answer);
        if (!after || status != DONE)
            break;
        status = server_run(&job->server, &answer, "move.export", "account", account, "after", after, NULL);
        if (status != DONE)
            break;
    }
    free(after);
    return status;
}

/* One that was removed since it was listed is no mistake. */
static int export_account(struct job *job, const char *account) {
    const char *at = strchr(account, '@');
    cJSON *answer;
    int status = server_run(&job->server, &answer, "move.export", "account", account, NULL);
    if (status == FAILED && !job->args->users.count && is_gone(job, account))
        return DONE;
    if (status != DONE)
        return status;
    char *name = xmemdup(account, (size_t)(at - account));
    put_start(job, "user", "name", name, "    ");
    status = export_parts(job, account, answer);
    close_series(job);
    fputs("    </user>\n", job->out);
    progress_show(&job->progress, ++job->done);
    free(name);
    return status;
}

/* Calls EACH for all accounts of HOST. */
static int each_account(struct job *job, const char *host, int (*each)(struct job *job, const char *account)) {
    char *after = NULL;
    int status = DONE, count;
    do {
        cJSON *answer;
        const cJSON *row;
        count = 0;
        status = server_run(&job->server, &answer, "users.list", "host", host, "after", after, "limit", PAGE, NULL);
        if (status != DONE)
            break;
        cJSON_ArrayForEach(row, answer_rows(answer)) {
            const char *account = text_in(row, "account"), *at = strchr(account, '@');
            if (status != DONE || !at)
                break;
            free(after);
            after = xmemdup(account, (size_t)(at - account));
            count++;
            if (names_allow(&job->args->users, account))
                status = each(job, account);
        }
        cJSON_Delete(answer);
    } while (status == DONE && count);
    free(after);
    return status;
}

static int count_account(struct job *job, const char *account) {
    (void)account;
    job->total++;
    return DONE;
}

static bool is_of(const char *account, const char *host) {
    const char *at = strchr(account, '@');
    return at && strcmp(at + 1, host) == 0;
}

/* Who was named need not be searched for. */
static int each_named(struct job *job, const char *host, int (*each)(struct job *job, const char *account)) {
    int status = DONE;
    for (int i = 0; status == DONE && i < job->args->users.count; i++)
        if (is_of(job->args->users.items[i], host))
            status = each(job, job->args->users.items[i]);
    return status;
}

static int each_wanted(struct job *job, const char *host, int (*each)(struct job *job, const char *account)) {
    return job->args->users.count ? each_named(job, host, each) : each_account(job, host, each);
}

static int count_all(struct job *job) {
    int status = DONE;
    for (int i = 0; status == DONE && i < job->hosts.count; i++)
        status = each_wanted(job, job->hosts.items[i], count_account);
    if (status == DONE && job->total < job->args->users.count)
        return fail(FAILED, "an account that was named is of a host that is not");
    return status;
}

static int export_all(struct job *job) {
    int status = DONE;
    fprintf(job->out, "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='" NS_PIE "'>\n");
    progress_begin(&job->progress, "export", "accounts", job->total, 0);
    for (int i = 0; status == DONE && i < job->hosts.count; i++) {
        put_start(job, "host", "jid", job->hosts.items[i], "  ");
        status = each_wanted(job, job->hosts.items[i], export_account);
        fputs("  </host>\n", job->out);
    }
    progress_end(&job->progress);
    fputs("</server-data>\n", job->out);
    return status;
}

/* ---- the file -------------------------------------------------------------------------------------------------------- */

/* Nobody else may read it, and it has its name only once it is whole. */
static int open_out(struct job *job) {
    const char *file = job->args->file;
    struct buf path = { 0 };
    if (strcmp(file, "-") == 0) {
        job->out = stdout;
        return DONE;
    }
    if (!job->args->force && access(file, F_OK) == 0)
        return fail(FAILED, "%s is there already; --force writes over it", file);
    buf_printf(&path, "%s.part", file);
    job->path = path.data;
    unlink(job->path);
    int fd = open(job->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    job->out = fd < 0 ? NULL : fdopen(fd, "w");
    return job->out ? DONE : fail(FAILED, "%s can't be written: %s", job->path, strerror(errno));
}

static int close_out(struct job *job, int status) {
    bool written = job->out && fflush(job->out) == 0 && !ferror(job->out);
    if (job->out && job->out != stdout) {
        written = fsync(fileno(job->out)) == 0 && written;
        written = fclose(job->out) == 0 && written;
    }
    if (status == DONE && written && job->path)
        written = rename(job->path, job->args->file) == 0;
    if (status == DONE && !written)
        status = fail(FAILED, "%s can't be written: %s", job->path ? job->path : "the output", strerror(errno));
    if (status != DONE && job->path)
        unlink(job->path);
    free(job->path);
    return status;
}

static void say_summary(const struct job *job) {
    FILE *out = job->out == stdout || !job->path ? stderr : stdout;
    if (job->args->json)
        fprintf(out, "{\"accounts\": %" PRId64 ", \"left_out\": %" PRId64 "}\n", job->done, job->left_out);
    else
        fprintf(out, "%" PRId64 " accounts exported, %" PRId64 " things left out\n", job->done, job->left_out);
}

int export_accounts(const struct arguments *a) {
    struct job job = { .args = a, .server.fd = -1 };
    int status = server_connect(&job.server, a->socket);
    if (status == DONE)
        status = server_hosts(&job.server, &a->hosts, &job.hosts);
    if (status == DONE)
        status = server_kinds(&job.server, &job.kinds);
    if (status == DONE)
        status = count_all(&job);
    if (status == DONE)
        status = open_out(&job);
    if (status == DONE)
        status = export_all(&job);
    if (status == DONE)
        say_summary(&job);
    if (job.out || job.path)
        status = close_out(&job, status);
    server_close(&job.server);
    names_free(&job.hosts);
    kinds_free(&job.kinds);
    return status;
}
