/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that stores nothing. */
#define MK_ABI_NEED 0
#include <meerkat/backend.h>
#include <meerkat/plugin.h>
#include <string.h>

struct backend {
    const char *path;
};
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct backend, path, "nowhere", 0, "Where to."),
};

static const struct mk_metric_decl metrics[] = { { "starts", MK_COUNTER, 0, "", "Starts." } };

static int start(void *inst, struct mk_err *err) {
    (void)err;
    mk_count_from(inst, 0, 1);
    mk_log_from(inst, MK_DEBUG, "starts");
    return 0;
}
/* What it says it can, it can with a path alone. */
static uint32_t narrow(const void *inst) {
    const struct backend *me = inst;
    return strcmp(me->path, "unable") == 0 ? 0 : MK_CAP_BATCH;
}

static int define(const void *inst, struct mk_coll *coll, struct mk_err *err) {
    const struct backend *me = inst;
    if (strcmp(me->path, "broken") == 0)
        return mk_fail(err, MK_E_BACKEND, "can't make %s", mk_coll_decl(coll)->name);
    mk_coll_set_data(coll, (void *)me->path);
    return 0;
}
static void done_read(struct mk_op *op, struct mk_read *read) {
    (void)read;
    mk_op_done(op, MK_E_NOTFOUND);
}
static void done_commit(struct mk_op *op, struct mk_commit *commit) {
    (void)commit;
    mk_op_done(op, MK_OK);
}
static const struct mk_backend_ops ops = { sizeof ops, MK_CAP_BATCH, define, done_read, done_commit, narrow };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_backend, 1, 0, &ops, "Stores nothing.") };

MK_PLUGIN(t_backend, .version = "1.0", .summary = "Test: a backend", .flags = MK_PLUGIN_GLOBAL,
          .inst_size = sizeof(struct backend), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .metrics = MK_TABLE(metrics), .start = start);
