/* SPDX-License-Identifier: Apache-2.0 */
/* Streams with other servers. */
#include "admin/command.h"
#include "s2s/s2s.h"
#include <stdlib.h>
#include <string.h>

static void *list_rows(struct worker *w, struct arena *arena, const void *arg) {
    (void)arg;
    return s2s_rows(w, arena);
}

static int by_domains(const void *a, const void *b) {
    const struct s2s_row *x = *(const struct s2s_row *const *)a, *y = *(const struct s2s_row *const *)b;
    int order = strcmp(x->remote, y->remote);
    if (!order)
        order = strcmp(x->local, y->local);
    return order ? order : strcmp(x->direction, y->direction);
}

/* The domain that is asked for, as streams have it; NULL: all. */
static int read_domain(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result, const char **domain) {
    const char *text = mk_arg_text(args, "domain");
    const struct mk_jid *jid = NULL;
    *domain = NULL;
    if (!text)
        return MK_OK;
    if (mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &jid) != 0 || mk_jid_local(jid).len ||
        mk_jid_resource(jid).len)
        return mk_result_error(result, MK_E_INVALID, "%s is no domain", text);
    *domain = mk_jid_text(jid);
    return MK_OK;
}

static void show(struct mk_result *result, const struct s2s_row *row) {
    mk_result_next(result);
    mk_result_text(result, "remote", row->remote);
    mk_result_text(result, "local", row->local);
    mk_result_text(result, "direction", row->direction);
    mk_result_text(result, "state", row->state);
    mk_result_text(result, "address", row->address);
    mk_result_text(result, "tls", row->tls);
    mk_result_text(result, "proved", row->auth);
    mk_result_int(result, "queued", row->queued);
    mk_result_int(result, "seconds", row->since_s);
}

int cmd_s2s_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *remote;
    void **lists;
    int rc = read_domain(c, args, result, &remote);
    if (!rc)
        rc = gather(c, list_rows, NULL, 0, &lists);
    if (rc)
        return rc;
    unsigned count = 0, at = 0;
    for (unsigned i = 0; i < worker_count; i++)
        for (const struct s2s_row *row = lists[i]; row; row = row->next)
            count++;
    const struct s2s_row **all = arena_alloc(&c->arena, (count + 1) * sizeof(struct s2s_row *));
    for (unsigned i = 0; i < worker_count; i++)
        for (const struct s2s_row *row = lists[i]; row; row = row->next)
            if (!remote || strcmp(row->remote, remote) == 0)
                all[at++] = row;
    qsort(all, at, sizeof(struct s2s_row *), by_domains);
    for (unsigned i = 0; i < at; i++)
        show(result, all[i]);
    return MK_OK;
}

static void *end_links(struct worker *w, struct arena *arena, const void *arg) {
    int64_t *count = arena_alloc(arena, sizeof *count);
    const char *remote = arg;
    *count = s2s_end(w, *remote ? remote : NULL);
    return count;
}

int cmd_s2s_close(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *given;
    void **counts;
    int64_t sum = 0;
    int rc = read_domain(c, args, result, &given);
    if (rc)
        return rc;
    const char *remote = given ? given : "";
    rc = gather(c, end_links, remote, strlen(remote) + 1, &counts);
    if (rc)
        return rc;
    for (unsigned i = 0; i < worker_count; i++)
        sum += *(int64_t *)counts[i];
    mk_result_int(result, "closed", sum);
    return MK_OK;
}
