/* SPDX-License-Identifier: Apache-2.0 */
/* How many accounts of a kind there are, and which. */
#include "services.h"
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *number, *list, *number_label, *list_label;
} kinds[] = {
    [REGISTERED] = { "registeredusersnum", "registereduserjids", "The number of registered users",
                     "The list of all users" },
    [DISABLED] = { "disabledusersnum", "disableduserjids", "The number of disabled users",
                   "The list of all disabled users" },
    [ONLINE] = { "onlineusersnum", "onlineuserjids", "The number of online users", "The list of all online users" },
    [ACTIVE] = { "activeusersnum", "activeuserjids", "The number of active users", "The list of active users" },
    [IDLE] = { "idleusersnum", "idleuserjids", "The number of idle users", "The list of idle users" },
};

/* Accounts, sorted, each once. */
struct accounts {
    const char **items;
    uint32_t count;
};

static int compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(struct accounts *all) {
    uint32_t kept = 0;
    qsort(all->items, all->count, sizeof all->items[0], compare);
    for (uint32_t i = 0; i < all->count; i++)
        if (!kept || strcmp(all->items[kept - 1], all->items[i]) != 0)
            all->items[kept++] = all->items[i];
    all->count = kept;
}

static void add_rows(struct mk_ctx *c, struct accounts *out, const struct mk_result *result, const char *field) {
    unsigned rows = mk_result_rows(result);
    out->items = mk_alloc(c, (rows + 1) * sizeof *out->items);
    for (unsigned i = 0; i < rows; i++) {
        const char *jid = mk_result_get(c, result, i, field);
        if (jid)
            out->items[out->count++] = mk_text_of(c, (struct mk_view){ jid, strcspn(jid, "/") });
    }
    sort(out);
}

/* Of those online: who is active has a client from which something came lately. */
MK_SUSPENDS static bool find_online(struct mk_ctx *c, struct mk_adhoc_request *r, int kind, struct accounts *out) {
    const struct admin *me = mk_inst(c);
    const struct call call = { "sessions.list", { { "limit", "100000" } } };
    const struct mk_result *result;
    struct accounts active = { NULL, 0 };
    if (!call_done(c, r, &call, &result))
        return false;
    add_rows(c, out, result, "jid");
    if (kind == ONLINE)
        return true;
    unsigned rows = mk_result_rows(result);
    active.items = mk_alloc(c, (rows + 1) * sizeof *active.items);
    for (unsigned i = 0; i < rows; i++) {
        const char *jid = mk_result_get(c, result, i, "jid"), *there = mk_result_get(c, result, i, "connected");
        if (there && strcmp(there, "true") == 0 && result_int(c, result, i, "idle") * 1000 < me->idle_after)
            active.items[active.count++] = mk_text_of(c, (struct mk_view){ jid, strcspn(jid, "/") });
    }
    sort(&active);
    if (kind == ACTIVE) {
        *out = active;
        return true;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->count; i++)
        if (!active.count || !bsearch(&out->items[i], active.items, active.count, sizeof active.items[0], compare))
            out->items[kept++] = out->items[i];
    out->count = kept;
    return true;
}

/* "name" of "name@host". */
static const char *local_of(struct mk_ctx *c, const char *account) {
    return mk_text_of(c, (struct mk_view){ account, strcspn(account, "@") });
}

/* All of a kind behind AFTER, or some more than LIMIT of them. */
MK_SUSPENDS static bool find(struct mk_ctx *c, struct mk_adhoc_request *r, int kind, const char *after, int64_t limit,
                             struct accounts *out) {
    const char *number = mk_printf(c, "%lld", (long long)limit + 1);
    const struct call registered = { "users.list",
                                     { { "limit", number }, { "after", after ? local_of(c, after) : NULL } } };
    const struct call disabled = { "users.restricted", { { NULL, NULL } } };
    const struct mk_result *result;
    *out = (struct accounts){ NULL, 0 };
    if (kind == REGISTERED) {
        if (!call_done(c, r, &registered, &result))
            return false;
        add_rows(c, out, result, "account");
        return true;
    }
    if (kind == DISABLED) {
        if (!call_done(c, r, &disabled, &result))
            return false;
        add_rows(c, out, result, "account");
    } else if (!find_online(c, r, kind, out)) {
        return false;
    }
    while (after && out->count && strcmp(out->items[0], after) <= 0) {
        out->items++;
        out->count--;
    }
    return true;
}

int run_count(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct call registered = { "users.count", { { NULL, NULL } } };
    const struct mk_result *result;
    struct accounts all = { NULL, 0 };
    int kind = kind_of(r);
    if (kind == REGISTERED ? !call_done(c, r, &registered, &result) : !find(c, r, kind, NULL, INT32_MAX, &all))
        return MK_OK;
    open_result(r->out);
    put_number(c, r->out, kinds[kind].number, kinds[kind].number_label,
               kind == REGISTERED ? result_int(c, result, 0, "accounts") : (int64_t)all.count);
    mk_close(r->out);
    return MK_OK;
}

/* ---- lists ---------------------------------------------------------------------------------------------------------------- */

int form_list(struct mk_ctx *c, struct mk_adhoc_request *r) {
    static const char *const sizes[] = { "25", "50", "75", "100", "150", "200", "none" };
    (void)c;
    form_type(r->out);
    mk_form_open(r->out, "max_items", "list-single", "Maximum number of items to show");
    mk_leaf(r->out, "value", NULL, "100");
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        mk_open(r->out, "option", NULL);
        mk_put(r->out, "label", strcmp(sizes[i], "none") == 0 ? "None" : sizes[i]);
        mk_leaf(r->out, "value", NULL, sizes[i]);
        mk_close(r->out);
    }
    mk_close(r->out);
    mk_form_put(r->out, "after", "jid-single", "Begin behind this account", NULL, false);
    return MK_OK;
}

int run_list(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct admin *me = mk_inst(c);
    const char *text = mk_form_value(c, r->form, "max_items"), *after = mk_form_value(c, r->form, "after");
    int64_t limit = me->max_list;
    int kind = kind_of(r);
    struct accounts all;
    char *end;
    if (text && *text && strcmp(text, "none") != 0) {
        limit = strtoll(text, &end, 10);
        if (*end || limit < 1)
            return MK_E_INVALID;
    }
    if (limit > me->max_list)
        limit = me->max_list;
    if (!find(c, r, kind, after && *after ? after : NULL, limit, &all))
        return MK_OK;
    uint32_t shown = all.count < limit ? all.count : (uint32_t)limit;
    open_result(r->out);
    put_values(r->out, kinds[kind].list, "jid-multi", kinds[kind].list_label, all.items, shown);
    mk_close(r->out);
    if (shown < all.count)
        r->note = mk_printf(c, "There are more, behind %s.", all.items[shown - 1]);
    return MK_OK;
}
