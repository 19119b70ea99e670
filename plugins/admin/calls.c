/* SPDX-License-Identifier: Apache-2.0 */
#include "services.h"
#include <stdlib.h>
#include <string.h>

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

static const struct mk_cmd_decl *command_row(struct mk_ctx *c, const char *name) {
    const struct mk_cmd_decl *row;
    for (unsigned i = 0; (row = mk_command_at(c, i)) != NULL; i++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

bool command_exists(struct mk_ctx *c, const char *name) {
    return command_row(c, name);
}

bool may_run(struct mk_ctx *c, const struct mk_jid *who, const char *name, const struct mk_jid *target) {
    const struct admin *me = mk_inst(c);
    const struct mk_cmd_decl *row = command_row(c, name);
    return row && mk_accounts_allow(c, me->accounts, who, row, target);
}

static bool takes(const struct mk_cmd_decl *row, const char *arg) {
    for (uint32_t i = 0; i < row->args.count; i++)
        if (strcmp(((const struct mk_arg_decl *)((const char *)row->args.items + i * row->args.stride))->name, arg) ==
            0)
            return true;
    return false;
}

int call_run(struct mk_ctx *c, const struct mk_jid *who, const struct call *call, const struct mk_result **result) {
    enum { MOST = ARGS_MAX + LIST_MAX + 1 };
    const char **names = mk_alloc(c, MOST * sizeof *names), **values = mk_alloc(c, MOST * sizeof *values);
    const struct mk_cmd_decl *row = command_row(c, call->command);
    const struct mk_jid *target = NULL;
    uint32_t count = 0;
    *result = NULL;
    if (!row)
        return MK_E_UNSUPPORTED;
    for (uint32_t i = 0; i < ARGS_MAX && call->args[i].name; i++) {
        if (!call->args[i].value)
            continue;
        names[count] = call->args[i].name;
        values[count++] = call->args[i].value;
        if (strcmp(call->args[i].name, row->at) == 0 &&
            mk_jid_parse(c, (struct mk_view){ call->args[i].value, strlen(call->args[i].value) }, &target) != MK_OK)
            return MK_E_JID;
    }
    for (uint32_t i = 0; i < call->count && i < LIST_MAX; i++) {
        names[count] = call->list;
        values[count++] = call->values[i];
    }
    if (!*row->at && takes(row, "host")) {
        names[count] = "host";
        values[count++] = mk_jid_text(mk_host(c));
    }
    if (!may_run(c, who, call->command, target))
        return MK_E_DENIED;
    int rc = mk_command_run(c, call->command, count, names, values, result);
    if (row->flags & MK_CMD_WRITE)
        mk_log(c, MK_NOTICE, "%s ran %s: %s", mk_jid_text(who), row->name, rc == MK_OK ? "done" : mk_strerror(rc));
    return rc;
}

int fail(struct mk_adhoc_request *r, const char *note) {
    r->failed = true;
    r->note = note;
    return MK_OK;
}

/* Several may fail: the notes are joined. */
bool call_done(struct mk_ctx *c, struct mk_adhoc_request *r, const struct call *call, const struct mk_result **result) {
    const struct mk_result *ours;
    int rc = call_run(c, r->who, call, &ours);
    if (result)
        *result = ours;
    if (rc == MK_OK)
        return true;
    const char *why = ours ? mk_result_why(ours) : NULL;
    if (!why)
        why = rc == MK_E_DENIED
                  ? mk_printf(c, "%s: you may not do that", call->args[0].value ? call->args[0].value : "")
                  : mk_strerror(rc);
    fail(r, r->failed && r->note ? mk_printf(c, "%s\n%s", r->note, why) : why);
    return false;
}

/* ---- forms -------------------------------------------------------------------------------------------------------------- */

const char *const *form_values(struct mk_ctx *c, const struct mk_elem *form, const char *var, uint32_t *count) {
    const struct mk_elem *field = mk_form_field(form, var);
    uint32_t n = 0;
    for (const struct mk_elem *e = field ? mk_elem_first(field) : NULL; e; e = mk_elem_next(e))
        n += mk_elem_is(e, "value", MK_NS_FORM);
    const char **out = mk_alloc(c, (n + 1) * sizeof *out);
    *count = 0;
    for (const struct mk_elem *e = field ? mk_elem_first(field) : NULL; e; e = mk_elem_next(e))
        if (mk_elem_is(e, "value", MK_NS_FORM))
            out[(*count)++] = mk_text(c, e);
    return out;
}

const char *form_lines(struct mk_ctx *c, const struct mk_elem *form, const char *var) {
    uint32_t count;
    size_t size = 1;
    const char *const *values = form_values(c, form, var, &count);
    for (uint32_t i = 0; i < count; i++)
        size += strlen(values[i]) + 1;
    char *text = mk_alloc(c, size), *at = text;
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            *at++ = '\n';
        at = stpcpy(at, values[i]);
    }
    return *text ? text : NULL;
}

static bool is_ours(struct mk_ctx *c, const struct mk_jid *jid) {
    struct mk_view a = mk_jid_domain(jid), b = mk_jid_domain(mk_host(c));
    return mk_jid_local(jid).len && a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

int form_jids(struct mk_ctx *c, struct mk_adhoc_request *r, const char *var, const struct mk_jid *const **out,
              uint32_t *count) {
    uint32_t n;
    const char *const *values = form_values(c, r->form, var, &n);
    const struct mk_jid **jids = mk_alloc(c, (n + 1) * sizeof(*jids));
    *count = 0;
    *out = jids;
    for (uint32_t i = 0; i < n; i++) {
        const struct mk_jid *jid;
        if (!*values[i])
            continue;
        if (mk_jid_parse(c, (struct mk_view){ values[i], strlen(values[i]) }, &jid) != MK_OK || !is_ours(c, jid)) {
            fail(r, mk_printf(c, "%s is no account of %s.", values[i], mk_jid_text(mk_host(c))));
            return MK_E_INVALID;
        }
        jids[(*count)++] = jid;
    }
    return MK_OK;
}

void form_type(struct mk_out *o) {
    mk_form_put(o, "FORM_TYPE", "hidden", NULL, NS_ADMIN, false);
}

void open_result(struct mk_out *o) {
    mk_open(o, "x", MK_NS_FORM);
    mk_put(o, "type", "result");
    form_type(o);
}

void put_values(struct mk_out *o, const char *var, const char *type, const char *label, const char *const *values,
                uint32_t count) {
    mk_form_open(o, var, type, label);
    for (uint32_t i = 0; i < count; i++)
        mk_leaf(o, "value", NULL, values[i]);
    mk_close(o);
}

void put_number(struct mk_ctx *c, struct mk_out *o, const char *var, const char *label, int64_t number) {
    mk_form_put(o, var, "text-single", label, mk_printf(c, "%lld", (long long)number), false);
}

int64_t result_int(struct mk_ctx *c, const struct mk_result *result, unsigned row, const char *name) {
    const char *text = mk_result_get(c, result, row, name);
    return text ? strtoll(text, NULL, 10) : 0;
}
