/* SPDX-License-Identifier: Apache-2.0 */
/* At the start: what a process that ended left in the journal. */
#include "store/queue.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
    char *why; /* a sentence, of SIZE; empty while all is well */
    size_t size;
};

static bool refuse(struct found *f, const struct segment *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(struct found *f, const struct segment *s, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(f->why, f->size, "The journal %s %s, or move the file away: its rows are then lost.", s->path, text);
    return false;
}

static struct service *find_service(const char *name) {
    const struct service *service;
    for (unsigned i = 0; (service = store_service(i)) != NULL; i++) {
        const struct instance *inst = (const void *)service->backend.svc.provider;
        if (strcmp(inst->name, name) == 0)
            return (struct service *)service;
    }
    return NULL;
}

static const struct mk_coll *find_coll(const struct service *service, struct mk_view name) {
    const struct mk_coll *coll;
    for (unsigned i = 0; (coll = store_coll(i)) != NULL; i++)
        if (service_of(coll) == service && strlen(coll->decl->name) == name.len &&
            memcmp(coll->decl->name, name.s, name.len) == 0)
            return coll;
    return NULL;
}

static void know_coll(struct service *service, const struct mk_coll *coll) {
    unsigned n = 0;
    for (; service->left_colls && service->left_colls[n]; n++)
        if (service->left_colls[n] == coll)
            return;
    service->left_colls = xrealloc(service->left_colls, (n + 2) * sizeof(struct mk_coll *));
    service->left_colls[n] = coll;
    service->left_colls[n + 1] = NULL;
}

/* Whether the row can be stored by this server. */
static bool check_record(struct found *f, struct service *service, const struct segment *s, const struct record *r) {
    const struct mk_coll *coll = find_coll(service, r->name);
    if (!coll)
        return refuse(f, s,
                      "has rows of %.*s, which %s does not store: enable the plugin that they belong to, and "
                      "leave its storage as it was",
                      (int)r->name.len, r->name.s, ((const struct instance *)service->backend.svc.provider)->name);
    struct change *ch = record_change(r, coll);
    if (!ch)
        return refuse(f, s, "has rows of %.*s in version %u, which this server can't read: install a newer plugin",
                      (int)r->name.len, r->name.s, r->version);
    change_free(ch);
    know_coll(service, coll);
    return true;
}

/* Reads the record at AT into *DATA, which grows.  0: there is none that is whole. */
static size_t read_one(const struct segment *s, off_t at, struct buf *data, struct record *r) {
    char head[RECORD_HEAD];
    size_t left = at < s->written ? (size_t)(s->written - at) : 0;
    size_t len = left < RECORD_HEAD || segment_read(s, at, head, sizeof head) != RECORD_HEAD
                     ? 0
                     : record_length(head, sizeof head);
    if (!len || len > left)
        return 0;
    if (len > data->cap) {
        data->data = xrealloc(data->data, len);
        data->cap = len;
    }
    return segment_read(s, at, data->data, len) == (ssize_t)len && record_read(data->data, len, r) ? len : 0;
}

/* Records are written behind these: what is left of others must not be found behind a shorter one. */
static bool cut(struct found *f, struct segment *s, off_t at) {
    s->written = at;
    int rc = segment_cut(s);
    return rc == 0 || refuse(f, s, "can't be cut: %s; mend that", strerror(rc));
}

/* Counts rows, and cuts off what was not written whole. */
static bool check_records(struct found *f, struct service *service, struct segment *s) {
    struct buf data = { 0 };
    struct record r;
    off_t at = s->head;
    size_t len;
    bool good = true;
    while (good && (len = read_one(s, at, &data, &r)) > 0) {
        good = check_record(f, service, s, &r);
        s->rows++;
        at += (off_t)len;
    }
    if (good && at < s->written)
        log_warning("storage: %s ends in %lld bytes that were not written whole", s->path,
                    (long long)(s->written - at));
    if (good && at < s->written && s->rows)
        good = cut(f, s, at);
    s->written = at;
    buf_free(&data);
    return good;
}

static void take_over(struct service *service, struct segment *s) {
    struct segment **tail = &service->left;
    while (*tail)
        tail = &(*tail)->next;
    *tail = s;
    atomic_fetch_add(&service->journal_rows, s->rows);
    atomic_fetch_add(&service->journal_bytes, (long long)s->written - SEGMENT_HEADER);
    atomic_store(&service->recovering, true);
}

static bool look_at(void *arg, const char *backend, struct segment *s) {
    struct found *f = arg;
    struct service *service = find_service(backend);
    bool good = true;
    if (s->written == 0)
        good = refuse(f, s, "is none of this version: start the server that wrote it once more");
    else if (!service)
        good = refuse(f, s, "has rows for the backend %s, which is not configured: configure it", backend);
    else
        good = check_records(f, service, s);
    if (good && s->rows)
        take_over(service, s);
    else if (good)
        segment_remove(s);
    else
        segment_close(s);
    return good;
}

bool store_journal_open(const struct journal_config *config, char *why, size_t size) {
    bool taken;
    spill_config = *config;
    *why = '\0';
    if (!journal_open(config, &taken, why, size)) {
        if (!taken && config->size)
            log_warning("no journal: %s; while a database is away writes wait in memory alone", why);
        return !taken;
    }
    struct found f = { why, size };
    const struct service *service;
    if (!journal_each(look_at, &f))
        return false;
    for (unsigned i = 0; (service = store_service(i)) != NULL; i++)
        if (service->left)
            log_notice("storage: %lld rows are in the journal of %s", (long long)atomic_load(&service->journal_rows),
                       ((const struct instance *)service->backend.svc.provider)->name);
    return true;
}

void store_journal_close(void) {
    const struct service *service;
    for (unsigned i = 0; (service = store_service(i)) != NULL; i++) {
        for (struct segment *s = service->left, *next; s; s = next) {
            next = s->next;
            segment_close(s);
        }
        free(service->left_colls);
    }
    journal_close();
}
