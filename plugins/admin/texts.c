/* SPDX-License-Identifier: Apache-2.0 */
/* Announcements and other texts; who administers; stopping. */
#include "services.h"
#include <stdlib.h>
#include <string.h>

/* ---- texts ---------------------------------------------------------------------------------------------------------------- */

static void put_lines(struct mk_ctx *c, struct mk_out *o, const char *var, const char *label, const char *text,
                      bool required) {
    mk_form_open(o, var, "text-multi", label);
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        mk_leaf(o, "value", NULL, mk_text_of(c, (struct mk_view){ text, len }));
        text += len + (text[len] == '\n');
    }
    if (required)
        mk_leaf(o, "required", NULL, NULL);
    mk_close(o);
}

/* Fields of a text; what is set now if the operator's command SHOW tells. */
MK_SUSPENDS static int form_text(struct mk_ctx *c, struct mk_adhoc_request *r, const char *var, const char *label,
                                 const char *show) {
    const struct call call = { show, { { NULL, NULL } } };
    const struct mk_result *result = NULL;
    bool shown = show && call_run(c, r->who, &call, &result) == MK_OK;
    form_type(r->out);
    mk_form_put(r->out, "subject", "text-single", "Subject", shown ? mk_result_get(c, result, 0, "subject") : NULL,
                false);
    put_lines(c, r->out, var, label, shown ? mk_result_get(c, result, 0, "body") : NULL, true);
    return MK_OK;
}

MK_SUSPENDS static int run_text(struct mk_ctx *c, struct mk_adhoc_request *r, const char *var) {
    const char *body = form_lines(c, r->form, var), *subject = mk_form_value(c, r->form, "subject");
    if (!body)
        return MK_E_INVALID;
    const struct call call = { service_of(r)->command,
                               { { "body", body }, { "subject", subject && *subject ? subject : NULL } } };
    call_done(c, r, &call, NULL);
    return MK_OK;
}

int form_announce(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return form_text(c, r, "announcement", "Announcement", NULL);
}

int run_announce(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return run_text(c, r, "announcement");
}

int form_motd(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return form_text(c, r, "motd", "Message of the Day", NULL);
}

int form_edit_motd(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return form_text(c, r, "motd", "Message of the Day", "motd.show");
}

int run_motd(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return run_text(c, r, "motd");
}

int form_welcome(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return form_text(c, r, "welcome", "Welcome Message", "welcome.show");
}

int run_welcome(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return run_text(c, r, "welcome");
}

int run_simple(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct call call = { service_of(r)->command, { { NULL, NULL } } };
    call_done(c, r, &call, NULL);
    return MK_OK;
}

/* ---- administrators --------------------------------------------------------------------------------------------------------- */

/* Those that can be taken from the list, and the others. */
MK_SUSPENDS static int admins(struct mk_ctx *c, struct mk_adhoc_request *r, const struct mk_result **result) {
    const struct call call = { "users.roles", { { NULL, NULL } } };
    return call_done(c, r, &call, result) ? MK_OK : MK_E_DENIED;
}

static bool is_admin_row(struct mk_ctx *c, const struct mk_result *result, unsigned row) {
    const char *role = mk_result_get(c, result, row, "role");
    return role && strcmp(role, "admin") == 0;
}

int form_admins(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct mk_result *result;
    int rc = admins(c, r, &result);
    if (rc != MK_OK)
        return rc;
    form_type(r->out);
    mk_form_open(r->out, "adminjids", "jid-multi", "The admin list");
    for (unsigned i = 0; i < mk_result_rows(result); i++)
        if (is_admin_row(c, result, i))
            mk_leaf(r->out, "value", NULL, mk_result_get(c, result, i, "account"));
    mk_close(r->out);
    return MK_OK;
}

static bool is_in(const struct mk_jid *const *jids, uint32_t count, const char *jid) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(mk_jid_text(jids[i]), jid) == 0)
            return true;
    return false;
}

static bool is_listed(struct mk_ctx *c, const struct mk_result *result, const char *jid) {
    for (unsigned i = 0; i < mk_result_rows(result); i++)
        if (is_admin_row(c, result, i) && strcmp(mk_result_get(c, result, i, "account"), jid) == 0)
            return true;
    return false;
}

MK_SUSPENDS static void set_role(struct mk_ctx *c, struct mk_adhoc_request *r, const char *account, const char *role) {
    const struct call call = { "users.role", { { "account", account }, { "role", role } } };
    call_done(c, r, &call, NULL);
}

/* The list that comes back is the whole list; nobody takes away what the configuration gives. */
int run_admins(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct mk_result *result;
    const struct mk_jid *const *jids;
    uint32_t count;
    if (!mk_form_field(r->form, "adminjids"))
        return MK_E_INVALID;
    if (form_jids(c, r, "adminjids", &jids, &count) != MK_OK || admins(c, r, &result) != MK_OK)
        return MK_OK;
    for (uint32_t i = 0; i < count; i++)
        if (!is_listed(c, result, mk_jid_text(jids[i])))
            set_role(c, r, mk_jid_text(jids[i]), "admin");
    for (unsigned i = 0; i < mk_result_rows(result); i++) {
        const char *account = mk_result_get(c, result, i, "account");
        const char *configured = mk_result_get(c, result, i, "configured");
        if (is_admin_row(c, result, i) && strcmp(configured, "true") != 0 && !is_in(jids, count, account))
            set_role(c, r, account, "user");
    }
    return MK_OK;
}

/* ---- who may be talked to ----------------------------------------------------------------------------------------------- */

static bool is_black(const struct mk_adhoc_request *r) {
    return strstr(r->command->node, "black") != NULL;
}

int form_access(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct call call = { .command = "access.show", .args = { { "list", is_black(r) ? "black" : "white" } } };
    const struct mk_result *result;
    int rc = call_run(c, r->who, &call, &result);
    if (rc != MK_OK)
        return rc;
    form_type(r->out);
    mk_form_open(r->out, is_black(r) ? "blacklistjids" : "whitelistjids", "jid-multi",
                 is_black(r) ? "The blacklist" : "The whitelist");
    for (unsigned i = 0; i < mk_result_rows(result); i++)
        if (mk_result_get(c, result, i, "jid"))
            mk_leaf(r->out, "value", NULL, mk_result_get(c, result, i, "jid"));
    mk_close(r->out);
    return MK_OK;
}

int run_access(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const char *var = is_black(r) ? "blacklistjids" : "whitelistjids";
    struct call call = { .command = "access.set", .args = { { "list", is_black(r) ? "black" : "white" } } };
    if (!mk_form_field(r->form, var))
        return MK_E_INVALID;
    call.list = "jids";
    call.values = form_values(c, r->form, var, &call.count);
    if (call.count > LIST_MAX)
        return fail(r, "The list is too long for a form.");
    call_done(c, r, &call, NULL);
    return MK_OK;
}

/* ---- stopping ------------------------------------------------------------------------------------------------------------- */

int form_stop(struct mk_ctx *c, struct mk_adhoc_request *r) {
    static const struct {
        const char *label, *value;
    } delays[] = { { "30 seconds", "30" }, { "60 seconds", "60" }, { "90 seconds", "90" }, { "2 minutes", "120" },
                   { "3 minutes", "180" }, { "4 minutes", "240" }, { "5 minutes", "300" } };
    form_type(r->out);
    mk_form_open(r->out, "delay", "list-single", "Time to wait before");
    mk_leaf(r->out, "value", NULL, "30");
    for (unsigned i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        mk_open(r->out, "option", NULL);
        mk_put(r->out, "label", delays[i].label);
        mk_leaf(r->out, "value", NULL, delays[i].value);
        mk_close(r->out);
    }
    mk_leaf(r->out, "required", NULL, NULL);
    mk_close(r->out);
    put_lines(c, r->out, "announcement", "Announcement", NULL, false);
    return MK_OK;
}

int run_stop(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const char *delay = mk_form_value(c, r->form, "delay"), *body = form_lines(c, r->form, "announcement");
    const struct call announce = { "announce.online", { { "body", body } } };
    bool again = strstr(service_of(r)->row.node, "#restart");
    const struct call call = { "stop", { { "delay", delay }, { "restart", again ? "true" : "false" } } };
    const struct mk_result *result;
    if (!delay || !*delay)
        return MK_E_INVALID;
    if (body && command_exists(c, announce.command) && !call_done(c, r, &announce, NULL))
        return MK_OK;
    if (call_done(c, r, &call, &result))
        r->note = mk_result_lines(result);
    return MK_OK;
}
