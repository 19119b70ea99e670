/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static files.  The path was resolved, and a file is opened below its folder and nowhere else, symbolic links included.
 * Files are read by the offload pool, a piece at a time, as the client takes them.
 */
#include "client.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 };

struct folder {
    const char *path, *folder; /* in one block */
};

bool files_parse(struct http_config *me, struct mk_err *err) {
    size_t size = me->files.count * sizeof(struct folder) + 1;
    for (uint32_t i = 0; i < me->files.count; i++)
        size += strlen(me->files.items[i]) + 1;
    me->folders = mk_malloc(size);
    char *at = (char *)(me->folders + me->files.count);
    for (uint32_t i = 0; i < me->files.count; i++) {
        const char *text = me->files.items[i], *equal = strchr(text, '=');
        struct stat st;
        if (*text != '/' || !equal || stat(equal + 1, &st) != 0 || !S_ISDIR(st.st_mode))
            return mk_fail(err, MK_E_INVALID, "files: %s is not a path, = and a folder that is there", text) == 0;
        me->folders[i].path = strcpy(at, text);
        at[equal - text] = '\0';
        me->folders[i].folder = at + (equal - text) + 1;
        at += strlen(text) + 1;
    }
    return true;
}

/* ---- a file --------------------------------------------------------------------------------------------------------- */

struct download {
    struct request *q;
    const char *folder;
    char *name; /* below the folder, "index.html" if it is that */
    int fd;
    int error;
    bool begun, reading, gone;
    struct stat st;
    uint64_t at, end; /* bytes to send */
    size_t got;
    char data[PIECE];
};

static void download_free(struct download *d) {
    if (d->fd >= 0)
        close(d->fd);
    mk_free(d->name);
    mk_free(d);
}

static int open_below(int folder, const char *name) {
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
}

/* In the offload pool. */
static void open_file(void *arg) {
    struct download *d = arg;
    int folder = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d->fd = folder < 0 ? -1 : open_below(folder, *d->name ? d->name : ".");
    if (d->fd >= 0 && fstat(d->fd, &d->st) == 0 && S_ISDIR(d->st.st_mode)) {
        int index = open_below(d->fd, "index.html");
        close(d->fd);
        d->fd = index;
        memcpy(d->name, "index.html", sizeof "index.html");
    }
    d->error = d->fd < 0 || fstat(d->fd, &d->st) != 0 ? errno : 0;
    if (!d->error && !S_ISREG(d->st.st_mode))
        d->error = EACCES;
    if (folder >= 0)
        close(folder);
}

static void read_piece(void *arg) {
    struct download *d = arg;
    uint64_t left = d->end - d->at;
    ssize_t n = pread(d->fd, d->data, left < PIECE ? (size_t)left : PIECE, (off_t)d->at);
    d->got = n > 0 ? (size_t)n : 0;
}

static const char *type_of(const char *name) {
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".htm", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".mjs", "text/javascript; charset=utf-8" },
        { ".json", "application/json" },
        { ".map", "application/json" },
        { ".webmanifest", "application/manifest+json" },
        { ".xml", "application/xml" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".svg", "image/svg+xml" },
        { ".png", "image/png" },
        { ".jpg", "image/jpeg" },
        { ".jpeg", "image/jpeg" },
        { ".gif", "image/gif" },
        { ".webp", "image/webp" },
        { ".ico", "image/x-icon" },
        { ".wasm", "application/wasm" },
        { ".woff", "font/woff" },
        { ".woff2", "font/woff2" },
        { ".ttf", "font/ttf" },
        { ".mp3", "audio/mpeg" },
        { ".ogg", "audio/ogg" },
        { ".pdf", "application/pdf" },
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* ---- what of it is wanted --------------------------------------------------------------------------------------------- */

/* "bytes=a-b", one range.  0: all of it; 1: a part, D says which; -1: no such part. */
static int read_range(struct download *d, const char *text) {
    char *end;
    uint64_t size = (uint64_t)d->st.st_size, first, last = size ? size - 1 : 0;
    if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
        return 0;
    text += 6;
    if (*text == '-') {
        uint64_t count = strtoull(text + 1, &end, 10);
        if (end == text + 1 || *end)
            return 0;
        if (!count || !size)
            return -1;
        first = count < size ? size - count : 0;
    } else {
        first = strtoull(text, &end, 10);
        if (end == text || *end != '-' || *text < '0' || *text > '9')
            return 0;
        const char *second = end + 1;
        uint64_t wanted = strtoull(second, &end, 10);
        if (*end || (*second && (*second < '0' || *second > '9' || wanted < first)))
            return 0;
        if (first >= size)
            return -1;
        if (*second && wanted < last)
            last = wanted;
    }
    d->at = first;
    d->end = last + 1;
    return 1;
}

static bool is_known(const struct mk_http_request *r, const char *etag, time_t changed) {
    const char *tags = mk_http_field(r, "if-none-match"), *since = mk_http_field(r, "if-modified-since");
    struct tm tm = { 0 };
    if (tags)
        return strcmp(tags, "*") == 0 || strstr(tags, etag) != NULL;
    return since && strptime(since, "%a, %d %b %Y %H:%M:%S GMT", &tm) && changed <= timegm(&tm);
}

/* ---- sending it --------------------------------------------------------------------------------------------------------- */

static void finish(struct mk_ctx *c, struct download *d, bool whole) {
    http_ops.end(c, &d->q->r, whole);
    download_free(d);
}

/* One reader at a time; READY comes while it reads, too. */
MK_SUSPENDS static void send_pieces(struct mk_ctx *c, struct download *d) {
    int rc = MK_OK;
    d->reading = true;
    while (rc == MK_OK && d->at < d->end && !d->gone) {
        rc = mk_offload(c, read_piece, d);
        if (rc == MK_OK && !d->got)
            rc = MK_E_BACKEND; /* it became shorter */
        if (rc != MK_OK)
            break;
        d->at += d->got;
        rc = http_ops.more(c, &d->q->r, (struct mk_view){ d->data, d->got });
    }
    d->reading = false;
    if (rc == MK_E_LIMIT && d->at < d->end && !d->gone)
        return;
    finish(c, d, d->at == d->end);
}

MK_SUSPENDS static void go_on(struct mk_ctx *c, void *arg) {
    send_pieces(c, arg);
}

static void on_ready(struct mk_ctx *c, struct mk_http_request *r, void *arg) {
    struct download *d = arg;
    const struct request *q = (const struct request *)r;
    d->gone |= !q->client;
    if (!d->reading) {
        d->reading = true;
        mk_aside(c, go_on, d);
    }
}

MK_SUSPENDS static void send_file(struct mk_ctx *c, struct download *d, uint32_t status, const char *etag) {
    struct mk_http_request *r = &d->q->r;
    struct tm tm;
    char changed[64];
    time_t when = d->st.st_mtime;
    strftime(changed, sizeof changed, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
    const char *range = status == 206   ? mk_printf(c, "bytes %llu-%llu/%lld", (unsigned long long)d->at,
                                                    (unsigned long long)d->end - 1, (long long)d->st.st_size)
                        : status == 416 ? mk_printf(c, "bytes */%lld", (long long)d->st.st_size)
                                        : NULL;
    const struct mk_http_field fields[] = { { "ETag", etag },
                                            { "Last-Modified", changed },
                                            { "Accept-Ranges", "bytes" },
                                            { "X-Content-Type-Options", "nosniff" },
                                            { "Content-Range", range } };
    struct mk_http_answer a = { .size = sizeof a,
                                .status = status,
                                .type = type_of(d->name),
                                .fields = fields,
                                .field_count = range ? 5 : 4,
                                .cors = true,
                                .length = d->end - d->at,
                                .ready = on_ready,
                                .arg = d };
    if (status == 304 || status == 416 || d->at == d->end || mk_http_is(r, "HEAD")) {
        a.type = status == 200 ? a.type : NULL;
        a.body.len = mk_http_is(r, "HEAD") ? d->end - d->at : 0; /* only told */
        http_ops.answer(c, r, &a);
        download_free(d);
        return;
    }
    d->reading = true;
    int rc = http_ops.begin(c, r, &a);
    if (rc == MK_OK || rc == MK_E_LIMIT)
        send_pieces(c, d);
    else
        finish(c, d, false);
}

MK_SUSPENDS static void serve(struct mk_ctx *c, void *arg) {
    struct download *d = arg;
    struct mk_http_request *r = &d->q->r;
    int rc = mk_offload(c, open_file, d);
    if (rc != MK_OK || d->error) {
        answer_simple(c, d->q,
                      rc != MK_OK                                                    ? 503
                      : d->error == EACCES || d->error == EXDEV || d->error == ELOOP ? 403
                                                                                     : 404);
        download_free(d);
        return;
    }
    const char *etag =
        mk_printf(c, "\"%llx-%llx\"",
                  (unsigned long long)d->st.st_mtim.tv_sec * 1000000000u + (unsigned long long)d->st.st_mtim.tv_nsec,
                  (unsigned long long)d->st.st_size);
    const char *if_range = mk_http_field(r, "if-range");
    d->at = 0;
    d->end = (uint64_t)d->st.st_size;
    int part = if_range && strcmp(if_range, etag) != 0 ? 0 : read_range(d, mk_http_field(r, "range"));
    if (is_known(r, etag, d->st.st_mtime))
        send_file(c, d, 304, etag);
    else
        send_file(c, d, part < 0 ? 416 : part ? 206 : 200, etag);
}

bool files_take(struct mk_ctx *c, struct request *q) {
    const struct http_config *me = mk_inst(c);
    for (uint32_t i = 0; i < me->files.count; i++) {
        if (!mk_http_path(&q->r, me->folders[i].path))
            continue;
        if (!mk_http_is(&q->r, "GET") && !mk_http_is(&q->r, "HEAD")) {
            const struct mk_http_answer a = { .size = sizeof a, .status = 405, .methods = "GET, HEAD" };
            http_ops.answer(c, &q->r, &a);
            return true;
        }
        struct download *d = mk_malloc(sizeof *d);
        const char *name = q->r.rest + (*q->r.rest == '/');
        d->q = q;
        d->fd = -1;
        d->folder = me->folders[i].folder;
        d->name = mk_malloc(strlen(name) + sizeof "index.html");
        strcpy(d->name, name);
        mk_aside(c, serve, d);
        return true;
    }
    return false;
}
