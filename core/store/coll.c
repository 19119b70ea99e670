/* SPDX-License-Identifier: Apache-2.0 */
#include "store/copy.h"
#include "store/queue.h"
#include "store/store.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 48, COLS_MAX = 64, INDEXES_MAX = 16, KEY_COLS_MAX = 8 };

enum { COLLS_MAX_ALL = 4096, SERVICES_MAX = 256 };

/* All collections and the backends they are in.  The main thread adds to them; all may read. */
static struct mk_coll *colls[COLLS_MAX_ALL];
static struct service *services[SERVICES_MAX];
static atomic_uint coll_count, service_count;

/* ---- for backends --------------------------------------------------------------------------------------------- */

const struct mk_coll_decl *mk_coll_decl(const struct mk_coll *coll) {
    return coll->decl;
}
void mk_coll_set_data(struct mk_coll *coll, void *data) {
    coll->data = data;
}
void *mk_coll_data(const struct mk_coll *coll) {
    return coll->data;
}
unsigned mk_coll_col_count(const struct mk_coll *coll) {
    return coll->col_count;
}
const struct mk_col_decl *mk_coll_col(const struct mk_coll *coll, unsigned i) {
    return &coll->cols[i];
}
unsigned mk_coll_index_count(const struct mk_coll *coll) {
    return coll->index_count;
}
struct mk_coll_key mk_coll_key(const struct mk_coll *coll, unsigned index) {
    return coll->keys[index];
}

uint32_t mk_coll_caps(const struct mk_coll *coll) {
    return service_of(coll)->caps;
}

void mk_schema_add(struct mk_schema *out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&out->text, fmt, args);
    va_end(args);
}

void mk_op_explain(struct mk_op *op, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    op->outcome = arena_vprintf(&op->arena, fmt, args);
    va_end(args);
}

/* ---- checking a declaration ----------------------------------------------------------------------------------- */

/* Words of a-z and 0-9 with one underscore between them: backends make names of their own with two. */
static bool is_snake(const char *name) {
    size_t len = name ? strlen(name) : 0;
    if (len == 0 || len > NAME_MAX_LEN || name[0] < 'a' || name[0] > 'z' || name[len - 1] == '_')
        return false;
    for (size_t i = 0; i < len; i++) {
        bool word = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        if (!word && (name[i] != '_' || name[i + 1] == '_'))
            return false;
    }
    return true;
}

static int check_key_col(const struct mk_coll *coll, uint32_t i, struct mk_err *err) {
    const struct mk_col_decl *col = &coll->cols[i];
    const char *name = coll->decl->name;
    if (col->type == MK_C_BYTES)
        return mk_fail(err, MK_E_INVALID, "Collection %s: column %s is bytes and can't be in a key.", name, col->name);
    if (col->flags & MK_COL_NULL)
        return mk_fail(err, MK_E_INVALID, "Collection %s: column %s may be null and can't be in a key.", name,
                       col->name);
    return MK_OK;
}

static int check_col(const struct mk_coll *coll, uint32_t i, struct mk_err *err) {
    const struct mk_col_decl *col = &coll->cols[i];
    const char *name = coll->decl->name;
    const uint32_t key = MK_COL_PARTITION | MK_COL_SORT, all = key | MK_COL_NULL | MK_COL_TTL | MK_COL_TEXT_SEARCH;
    if (!is_snake(col->name))
        return mk_fail(err, MK_E_INVALID, "Collection %s: column %u needs a name in snake case.", name, i);
    for (uint32_t j = 0; j < i; j++)
        if (strcmp(coll->cols[j].name, col->name) == 0)
            return mk_fail(err, MK_E_INVALID, "Collection %s: two columns are named %s.", name, col->name);
    if (col->type > MK_C_JID || col->flags & ~all || (col->flags & key) == key)
        return mk_fail(err, MK_E_INVALID, "Collection %s: type or flags of column %s are wrong.", name, col->name);
    if (col->flags & MK_COL_TTL && (col->type != MK_C_TIME || coll->ttl_col >= 0))
        return mk_fail(err, MK_E_INVALID, "Collection %s: the TTL column must be one of type time.", name);
    if (col->flags & MK_COL_TEXT_SEARCH && col->type != MK_C_TEXT)
        return mk_fail(err, MK_E_INVALID, "Collection %s: column %s can't be searched for words.", name, col->name);
    return col->flags & key ? check_key_col(coll, i, err) : MK_OK;
}

static int check_cols(struct mk_coll *coll, struct mk_err *err) {
    for (uint32_t i = 0; i < coll->col_count; i++) {
        int rc = check_col(coll, i, err);
        if (rc)
            return rc;
        if (coll->cols[i].flags & MK_COL_TTL)
            coll->ttl_col = (int)i;
    }
    return MK_OK;
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

struct key_list {
    uint32_t cols[KEY_COLS_MAX * 2];
    uint32_t count;
};

static int add_key_col(const struct mk_coll *coll, struct key_list *list, uint32_t col, struct mk_err *err) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->cols[i] == col)
            return mk_fail(err, MK_E_INVALID, "Collection %s: an index names column %s twice.", coll->decl->name,
                           coll->cols[col].name);
    if (list->count == KEY_COLS_MAX)
        return mk_fail(err, MK_E_INVALID, "Collection %s: a key has more than %d columns.", coll->decl->name,
                       KEY_COLS_MAX);
    list->cols[list->count++] = col;
    return MK_OK;
}

static void set_key(struct mk_coll *coll, unsigned index, const struct key_list *list, uint32_t partition) {
    uint32_t *cols = xmalloc(list->count * sizeof *cols);
    memcpy(cols, list->cols, list->count * sizeof *cols);
    coll->keys[index] = (struct mk_coll_key){ cols, partition, list->count - partition };
    for (uint32_t i = 0; i < list->count; i++)
        coll->in_key |= 1ull << cols[i];
}

static int make_own_key(struct mk_coll *coll, struct mk_err *err) {
    struct key_list list = { .count = 0 };
    uint32_t partition = 0;
    for (unsigned flag = MK_COL_PARTITION; flag <= MK_COL_SORT; flag++) {
        for (uint32_t i = 0; i < coll->col_count; i++)
            if (coll->cols[i].flags & flag && add_key_col(coll, &list, i, err) != MK_OK)
                return MK_E_INVALID;
        if (flag == MK_COL_PARTITION)
            partition = list.count;
    }
    if (partition == 0)
        return mk_fail(err, MK_E_INVALID, "Collection %s has no partition column.", coll->decl->name);
    set_key(coll, 0, &list, partition);
    return MK_OK;
}

static int find_col(const struct mk_coll *coll, const char *name, size_t len) {
    for (uint32_t i = 0; i < coll->col_count; i++)
        if (strlen(coll->cols[i].name) == len && memcmp(coll->cols[i].name, name, len) == 0)
            return (int)i;
    return -1;
}

/* Adds the columns that NAMES has, separated by commas and blanks. */
static int add_named(const struct mk_coll *coll, struct key_list *list, const char *names, struct mk_err *err) {
    for (const char *at = names ? names : ""; *(at += strspn(at, ", "));) {
        size_t len = strcspn(at, ", ");
        int col = find_col(coll, at, len);
        if (col < 0)
            return mk_fail(err, MK_E_INVALID, "Collection %s: an index names %.*s, which is no column.",
                           coll->decl->name, (int)len, at);
        int rc = check_key_col(coll, (uint32_t)col, err);
        if (!rc)
            rc = add_key_col(coll, list, (uint32_t)col, err);
        if (rc)
            return rc;
        at += len;
    }
    return MK_OK;
}

static int make_index_key(struct mk_coll *coll, unsigned n, struct mk_err *err) {
    const struct mk_index_decl *index = &coll->indexes[n];
    if (!is_snake(index->name))
        return mk_fail(err, MK_E_INVALID, "Collection %s: index %u needs a name in snake case.", coll->decl->name, n);
    for (unsigned i = 0; i < n; i++)
        if (strcmp(coll->indexes[i].name, index->name) == 0)
            return mk_fail(err, MK_E_INVALID, "Collection %s: two indexes are named %s.", coll->decl->name,
                           index->name);
    struct key_list list = { .count = 0 };
    int rc = add_named(coll, &list, index->partition, err);
    uint32_t partition = list.count;
    if (!rc)
        rc = add_named(coll, &list, index->sort, err);
    if (!rc && partition == 0)
        rc = mk_fail(err, MK_E_INVALID, "Collection %s: index %s has no partition column.", coll->decl->name,
                     index->name);
    if (!rc)
        set_key(coll, n + 1, &list, partition);
    return rc;
}

static int make_keys(struct mk_coll *coll, struct mk_err *err) {
    coll->keys = xcalloc(coll->index_count + 1, sizeof *coll->keys);
    int rc = make_own_key(coll, err);
    for (unsigned i = 0; !rc && i < coll->index_count; i++)
        rc = make_index_key(coll, i, err);
    return rc;
}

/* ---- the handle ----------------------------------------------------------------------------------------------- */

static void *copy_rows(const struct mk_table *table, size_t size) {
    char *rows = xcalloc(table->count ? table->count : 1, size);
    for (uint32_t i = 0; i < table->count; i++)
        memcpy(rows + i * size, (const char *)table->items + (size_t)i * table->stride,
               table->stride < size ? table->stride : size);
    return rows;
}

void coll_free(struct mk_coll *coll) {
    for (unsigned i = 0; coll->keys && i <= coll->index_count; i++)
        free((void *)coll->keys[i].cols);
    free(coll->keys);
    free((void *)coll->cols);
    free((void *)coll->indexes);
    free((void *)coll->decl);
    free(coll);
}

static struct mk_coll *coll_new(const struct mk_coll_decl *decl) {
    struct mk_coll *coll = xcalloc(1, sizeof *coll);
    struct mk_coll_decl *copy = xmemdup(decl, sizeof *decl);
    coll->cols = copy_rows(&decl->cols, sizeof *coll->cols);
    coll->indexes = copy_rows(&decl->indexes, sizeof *coll->indexes);
    copy->cols = (struct mk_table){ coll->cols, decl->cols.count, sizeof *coll->cols };
    copy->indexes = (struct mk_table){ coll->indexes, decl->indexes.count, sizeof *coll->indexes };
    coll->decl = copy;
    coll->col_count = decl->cols.count;
    coll->index_count = decl->indexes.count;
    coll->ttl_col = -1;
    return coll;
}

static int check_size(const struct mk_coll_decl *decl, struct mk_err *err) {
    if (!is_snake(decl->name))
        return mk_fail(err, MK_E_INVALID, "A collection needs a name in snake case, of at most %d letters, not \"%s\".",
                       NAME_MAX_LEN, decl->name ? decl->name : "");
    if (decl->version == 0)
        return mk_fail(err, MK_E_INVALID, "Collection %s: versions start at 1.", decl->name);
    if (decl->cols.count > COLS_MAX || decl->indexes.count > INDEXES_MAX)
        return mk_fail(err, MK_E_INVALID, "Collection %s has more than %d columns or %d indexes.", decl->name, COLS_MAX,
                       INDEXES_MAX);
    return MK_OK;
}

static bool same_text(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_decl(const struct mk_coll *a, const struct mk_coll *b) {
    if (a->decl->version != b->decl->version || a->decl->flags != b->decl->flags || a->col_count != b->col_count ||
        a->index_count != b->index_count)
        return false;
    for (uint32_t i = 0; i < a->col_count; i++)
        if (!same_text(a->cols[i].name, b->cols[i].name) || a->cols[i].type != b->cols[i].type ||
            a->cols[i].flags != b->cols[i].flags)
            return false;
    for (uint32_t i = 0; i < a->index_count; i++)
        if (!same_text(a->indexes[i].name, b->indexes[i].name) ||
            !same_text(a->indexes[i].partition, b->indexes[i].partition) ||
            !same_text(a->indexes[i].sort, b->indexes[i].sort))
            return false;
    return true;
}

/* ---- backends ------------------------------------------------------------------------------------------------- */

const struct mk_backend_ops *store_ops(const struct instance *backend) {
    const struct mk_table *provides = &backend->plugin->d.provides;
    for (uint32_t i = 0; i < provides->count; i++) {
        const struct mk_provide_decl *row =
            (const void *)((const char *)provides->items + (size_t)i * provides->stride);
        if (strcmp(row->iface, "mk_backend") == 0 && row->major == 1)
            return row->ops;
    }
    return NULL;
}

uint32_t backend_caps(const struct mk_backend_ops *ops, const void *inst) {
    bool narrows = ops->size > offsetof(struct mk_backend_ops, narrow) && ops->narrow;
    return ops->caps & (narrows ? ops->narrow(inst) : UINT32_MAX);
}

static struct mk_backend *find_service(const struct instance *backend, unsigned *number, struct mk_err *err) {
    for (*number = 0; *number < service_count; ++*number)
        if (services[*number]->backend.svc.provider == backend)
            return &services[*number]->backend;
    const struct mk_backend_ops *ops = store_ops(backend);
    if (!ops || ops->size < offsetof(struct mk_backend_ops, narrow) || !ops->define || !ops->read || !ops->commit) {
        mk_fail(err, MK_E_UNSUPPORTED, "%s is no storage backend.", backend->plugin->name);
        return NULL;
    }
    if (service_count == SERVICES_MAX) {
        mk_fail(err, MK_E_LIMIT, "There are more than %d storage backends.", SERVICES_MAX);
        return NULL;
    }
    struct service *service = xcalloc(1, sizeof *service);
    memcpy(&service->ops, ops, ops->size < sizeof *ops ? ops->size : sizeof *ops);
    service->backend.svc.ops = &service->ops;
    service->backend.svc.provider = (void *)backend;
    service->caps = backend_caps(&service->ops, backend->bytes);
    services[service_count] = service;
    atomic_fetch_add(&service_count, 1);
    return &service->backend;
}

static int bind_backend(struct mk_coll *coll, const struct instance *backend, struct mk_err *err) {
    static const struct {
        uint32_t cap;
        const char *what;
    } caps[] = { { MK_CAP_TTL, "the expiry of rows" },
                 { MK_CAP_TEXT_SEARCH, "text search" },
                 { MK_CAP_BATCH, "atomic batches" },
                 { MK_CAP_DURABLE, "durable storage" } };
    coll->service = find_service(backend, &coll->backend, err);
    if (!coll->service)
        return MK_E_UNSUPPORTED;
    coll->provider = backend;
    uint32_t has = service_of(coll)->caps;
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
        if (coll->decl->need & ~has & caps[i].cap)
            return mk_fail(err, MK_E_UNSUPPORTED,
                           "Collection %s needs %s, which backend %s does not have: choose another under storage.",
                           coll->decl->name, caps[i].what, backend->plugin->name);
    return MK_OK;
}

/* ---- defining ------------------------------------------------------------------------------------------------- */

static struct mk_coll *check_again(struct mk_coll *known, struct mk_coll *asked, const struct instance *backend,
                                   struct mk_err *err) {
    if (!same_decl(known, asked))
        mk_fail(err, MK_E_CONFLICT, "Collection %s is declared twice, and differently.", asked->decl->name);
    else if (known->provider != backend)
        mk_fail(err, MK_E_CONFLICT, "Collection %s is already stored in %s and can't be in %s too.", asked->decl->name,
                known->provider->plugin->name, backend->plugin->name);
    else
        return known;
    return NULL;
}

static int define(struct mk_coll *coll, const struct instance *backend, struct mk_err *err) {
    int rc = check_cols(coll, err);
    if (!rc)
        rc = make_keys(coll, err);
    if (!rc)
        rc = bind_backend(coll, backend, err);
    if (rc)
        return rc;
    const struct mk_backend_ops *ops = coll->service->svc.ops;
    return ops->define(backend->bytes, coll, err);
}

struct mk_coll *store_define(const struct mk_coll_decl *decl, const struct instance *backend, struct mk_err *err) {
    if (check_size(decl, err) != MK_OK)
        return NULL;
    struct mk_coll *coll = coll_new(decl);
    for (unsigned i = 0; i < coll_count; i++)
        if (strcmp(colls[i]->decl->name, decl->name) == 0) {
            struct mk_coll *known = check_again(colls[i], coll, backend, err);
            coll_free(coll);
            return known;
        }
    coll->number = coll_count;
    if (coll_count == COLLS_MAX_ALL)
        mk_fail(err, MK_E_LIMIT, "There are more than %d collections.", COLLS_MAX_ALL);
    if (coll_count == COLLS_MAX_ALL || define(coll, backend, err) != MK_OK) {
        coll_free(coll);
        return NULL;
    }
    colls[coll_count] = coll;
    atomic_fetch_add(&coll_count, 1);
    return coll;
}

struct mk_coll *coll_elsewhere(const struct mk_coll *coll, const struct instance *backend, struct mk_err *err) {
    struct mk_coll *other = coll_new(coll->decl);
    other->number = coll->number;
    if (check_cols(other, err) == MK_OK && make_keys(other, err) == MK_OK && bind_backend(other, backend, err) == MK_OK)
        return other;
    coll_free(other);
    return NULL;
}

struct mk_coll *coll_make(const struct mk_coll_decl *decl, const struct instance *backend, struct mk_err *err) {
    struct mk_coll *coll = coll_new(decl);
    if (check_size(decl, err) == MK_OK && define(coll, backend, err) == MK_OK)
        return coll;
    coll_free(coll);
    return NULL;
}

const struct service *store_service(unsigned i) {
    return i < service_count ? services[i] : NULL;
}

const struct mk_coll *store_coll(unsigned i) {
    return i < coll_count ? colls[i] : NULL;
}

void store_clear(void) {
    for (unsigned i = 0; i < coll_count; i++)
        coll_free(colls[i]);
    for (unsigned i = 0; i < service_count; i++)
        free(services[i]);
    coll_count = service_count = 0;
}
