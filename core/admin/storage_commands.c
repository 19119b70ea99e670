/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about collections and what stores them. */
#include "admin/command.h"
#include "load/load.h"
#include "store/queue.h"
#include <stdlib.h>
#include <string.h>

static const char *backend_name(const struct service *service) {
    return ((const struct instance *)service->backend.svc.provider)->name;
}

/* ---- status -------------------------------------------------------------------------------------------------------- */

/* By number of the backend; entries are NULL where the worker has nothing to say. */
static void *sample_stores(struct worker *w, struct arena *arena, const void *arg) {
    unsigned count = *(const unsigned *)arg;
    struct store_status **all = arena_zalloc(arena, (count + 1) * sizeof(struct store_status *));
    for (unsigned i = 0; i < count; i++)
        all[i] = store_status(w, i, arena);
    return all;
}

static void add_status(struct store_status *sum, const struct store_status *s) {
    sum->queued += s->queued;
    sum->counts.commits += s->counts.commits;
    sum->counts.writes += s->counts.writes;
    sum->counts.reads += s->counts.reads;
    sum->counts.commit_us += s->counts.commit_us;
    sum->counts.read_us += s->counts.read_us;
    sum->failing |= s->failing;
    sum->away |= s->away;
    if (s->failing_ms >= sum->failing_ms) {
        sum->failing_ms = s->failing_ms;
        sum->why = s->why ? s->why : sum->why;
    }
}

static void show_status(const struct service *service, const struct store_status *s, struct mk_result *result) {
    const struct queue_counts *n = &s->counts;
    bool recovering = atomic_load(&service->recovering);
    mk_result_next(result);
    mk_result_text(result, "backend", backend_name(service));
    mk_result_text(result, "state", s->away ? "away" : s->failing ? "failing" : recovering ? "recovering" : "ok");
    mk_result_int(result, "seconds", (int64_t)(s->failing_ms / 1000));
    mk_result_int(result, "queued", s->queued);
    mk_result_int(result, "journal_rows", atomic_load(&service->journal_rows));
    mk_result_int(result, "journal_bytes", atomic_load(&service->journal_bytes));
    mk_result_int(result, "commits", (int64_t)n->commits);
    mk_result_int(result, "writes", (int64_t)n->writes);
    mk_result_int(result, "commit_us", n->commits ? (int64_t)(n->commit_us / n->commits) : 0);
    mk_result_int(result, "reads", (int64_t)n->reads);
    mk_result_int(result, "read_us", n->reads ? (int64_t)(n->read_us / n->reads) : 0);
    mk_result_text(result, "error", s->why ? s->why : "");
}

int cmd_storage_status(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    unsigned count = 0;
    void **samples;
    (void)args;
    while (store_service(count))
        count++;
    int rc = gather(c, sample_stores, &count, sizeof count, &samples);
    for (unsigned i = 0; !rc && i < count; i++) {
        struct store_status sum = { 0 };
        for (unsigned w = 0; w < worker_count; w++) {
            struct store_status *const *of_worker = samples[w];
            if (of_worker && of_worker[i])
                add_status(&sum, of_worker[i]);
        }
        show_status(store_service(i), &sum, result);
    }
    return rc;
}

/* ---- collections --------------------------------------------------------------------------------------------------- */

static void show_coll(const struct mk_coll *coll, struct mk_result *result) {
    mk_result_next(result);
    mk_result_text(result, "collection", coll->decl->name);
    mk_result_text(result, "backend", coll->provider->name);
    mk_result_int(result, "version", coll->decl->version);
}

int cmd_storage_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_coll *coll;
    (void)c, (void)args;
    for (unsigned i = 0; (coll = store_coll(i)) != NULL; i++)
        show_coll(coll, result);
    return MK_OK;
}

static int no_collection(struct mk_result *result, const char *name) {
    return mk_result_error(result, MK_E_NOTFOUND, "there is no collection %.64s; storage list shows them", name);
}

int cmd_storage_count(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *name = mk_arg_text(args, "collection");
    const struct mk_coll *coll;
    bool found = false;
    for (unsigned i = 0; (coll = store_coll(i)) != NULL; i++) {
        int64_t rows;
        if (name && strcmp(coll->decl->name, name) != 0)
            continue;
        found = true;
        int rc = store_count(c, coll, &rows);
        if (rc != MK_OK && rc != MK_E_UNSUPPORTED)
            return mk_result_error(result, rc, "%s can't be counted: %s", coll->decl->name, mk_strerror(rc));
        show_coll(coll, result);
        mk_result_text(result, "rows", rc ? "unknown" : mk_printf(c, "%lld", (long long)rows));
    }
    return found || !name ? MK_OK : no_collection(result, name);
}

/* ---- schema -------------------------------------------------------------------------------------------------------- */

static void say_schema(struct mk_result *result, const struct mk_coll *coll, const struct instance *backend) {
    struct mk_err err = { 0 };
    struct mk_schema schema = { { 0 } };
    struct mk_coll *there = coll_elsewhere(coll, backend, &err);
    if (!there) {
        mk_result_say(result, "-- %s", err.text.data ? err.text.data : coll->decl->name);
        load_err_free(&err);
        return;
    }
    service_of(there)->ops.schema(backend->bytes, there, &schema);
    mk_result_say(result, "-- %s, version %u", coll->decl->name, coll->decl->version);
    if (schema.text.data)
        result_say_text(result, schema.text.data);
    buf_free(&schema.text);
    coll_free(there);
}

/* TEXT is the backend's name, and the collection's behind a line's end if there is one. */
static int schema_in_main(struct mk_result *result, const char *text) {
    size_t len = strcspn(text, "\n");
    const char *name = text[len] ? text + len + 1 : NULL;
    const struct mk_coll *coll;
    bool found = false;
    const struct instance *backend = load_backend(text, len);
    const struct mk_backend_ops *ops = backend ? store_ops(backend) : NULL;
    if (!ops)
        return mk_result_error(result, MK_E_NOTFOUND, "there is no backend %.*s in `backends`", (int)len, text);
    if (ops->size <= offsetof(struct mk_backend_ops, schema) || !ops->schema) {
        mk_result_say(result, "-- %s needs no schema", backend->name);
        return MK_OK;
    }
    for (unsigned i = 0; (coll = store_coll(i)) != NULL; i++)
        if (!name || strcmp(coll->decl->name, name) == 0) {
            say_schema(result, coll, backend);
            found = true;
        }
    return found ? MK_OK : no_collection(result, name ? name : "at all");
}

int cmd_schema(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *backend = mk_arg_text(args, "backend"), *name = mk_arg_text(args, "collection");
    return main_ask(c, "schema", schema_in_main, name ? mk_printf(c, "%s\n%s", backend, name) : backend, result);
}
