/* SPDX-License-Identifier: Apache-2.0 */
/* External components. */
#include "admin/command.h"
#include "component/component.h"
#include <string.h>

static void *list_rows(struct worker *w, struct arena *arena, const void *arg) {
    (void)arg;
    return component_rows(w, arena);
}

int cmd_components_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    void **lists;
    int rc = gather(c, list_rows, NULL, 0, &lists);
    (void)args;
    for (unsigned i = 0; rc == MK_OK && i < worker_count; i++)
        for (const struct component_row *row = lists[i]; row; row = row->next) {
            mk_result_next(result);
            mk_result_text(result, "domain", row->domain);
            mk_result_text(result, "address", row->address);
            mk_result_text(result, "tls", row->tls);
            mk_result_int(result, "queued", row->queued);
            mk_result_int(result, "seconds", row->since_s);
        }
    return rc;
}

static void *end_links(struct worker *w, struct arena *arena, const void *arg) {
    int64_t *count = arena_alloc(arena, sizeof *count);
    const char *domain = arg;
    *count = components_end(w, *domain ? domain : NULL);
    return count;
}

int cmd_components_close(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *given = mk_arg_text(args, "domain"), *domain = given ? given : "";
    void **counts;
    int64_t sum = 0;
    int rc = gather(c, end_links, domain, strlen(domain) + 1, &counts);
    for (unsigned i = 0; rc == MK_OK && i < worker_count; i++)
        sum += *(int64_t *)counts[i];
    if (rc == MK_OK)
        mk_result_int(result, "closed", sum);
    return rc;
}
