/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts that wait for an administrator's approval: they are made, and nobody can log in to them yet. */
#include "register.h"
#include <meerkat/auth.h>
#include <string.h>

const struct mk_col_decl waiting_cols[WAITING_COUNT] = {
    [WAITING_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [WAITING_HOST] = { "host", MK_C_JID, 0, "Its host." },
    [WAITING_SINCE] = { "since", MK_C_TIME, 0, "When it was registered." },
    [WAITING_ADDRESS] = { "address", MK_C_TEXT, 0, "From where." },
};

int waiting_begin(struct mk_ctx *c, const struct mk_jid *account, const char *address) {
    const struct registration *me = mk_inst(c);
    const struct mk_value row[WAITING_COUNT] = { mk_v_jid(account), mk_v_jid(mk_host(c)), mk_v_time(mk_now(c)),
                                                 mk_v_text(address) };
    return mk_put_now(c, me->waiting, MK_IF_ABSENT, row);
}

void waiting_end(struct mk_ctx *c, const struct mk_jid *account) {
    const struct registration *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(account);
    int rc = mk_del(c, me->waiting, &key);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        mk_log(c, MK_ERROR, "%s still waits for approval: %s", mk_jid_text(account), mk_strerror(rc));
}

/* ---- hooks ------------------------------------------------------------------------------------------------------------- */

enum mk_flow waiting_on_login(struct mk_ctx *c, struct mk_ev_login *ev) {
    const struct registration *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(ev->account);
    const struct mk_row *row;
    int rc = mk_get(c, me->waiting, &key, &row);
    if (rc == MK_E_NOTFOUND)
        return MK_NEXT;
    ev->condition = rc == MK_OK ? "account-disabled" : "temporary-auth-failure";
    ev->text = rc == MK_OK ? "The account waits for the approval of an administrator." : NULL;
    return MK_STOP;
}

MK_SUSPENDS static int scan(struct mk_ctx *c, const struct mk_rows **rows) {
    const struct registration *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c));
    return mk_scan(c, me->waiting, MK_SCAN(.index = 1, .partition = &host), rows);
}

static bool is_named(const struct mk_jid *jid, const char *name) {
    struct mk_view local = mk_jid_local(jid);
    return strlen(name) == local.len && memcmp(name, local.s, local.len) == 0;
}

/* Few wait. */
enum mk_flow waiting_on_listed(struct mk_ctx *c, struct mk_ev_accounts *ev) {
    const struct mk_rows *rows;
    if (scan(c, &rows) != MK_OK)
        return MK_NEXT;
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        for (uint32_t k = 0; k < ev->count; k++)
            if (!ev->states[k] && is_named(mk_row_jid(mk_rows_at(rows, i), WAITING_OWNER), ev->names[k]))
                ev->states[k] = "waiting";
    return MK_NEXT;
}

enum mk_flow waiting_on_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    waiting_end(c, ev->account);
    return MK_NEXT;
}

/* ---- telling ----------------------------------------------------------------------------------------------------------- */

static void tell(struct mk_ctx *c, const struct mk_jid *to, const char *body) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, to);
    mk_from(o, mk_host(c));
    mk_id(o, mk_random_id(c));
    mk_leaf(o, "subject", NULL, "Registration");
    mk_leaf(o, "body", NULL, body);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_WARNING, "%s was not told of a registration", mk_jid_text(to));
}

MK_SUSPENDS static void tell_admins(struct mk_ctx *c, const char *body) {
    const struct registration *me = mk_inst(c);
    const struct mk_jid *const *jids = NULL, *jid;
    uint32_t count = 0;
    if (me->accounts && mk_accounts_admins(c, me->accounts, &jids, &count) == MK_OK) {
        for (uint32_t i = 0; i < count; i++)
            tell(c, jids[i], body);
        return;
    }
    for (unsigned i = 0; (jid = mk_admin_at(c, i)) != NULL; i++)
        tell(c, mk_jid_to_bare(c, jid), body);
}

void tell_registered(struct mk_ctx *c, const struct mk_jid *account, const char *address, bool waits) {
    const struct registration *me = mk_inst(c);
    const char *body =
        mk_printf(c, "%s registered from %s.%s", mk_jid_text(account), *address ? address : "somewhere",
                  waits ? " The account waits: run the command register.approve or register.reject." : "");
    if (waits)
        tell_admins(c, body);
    for (uint32_t i = 0; i < me->registration_watchers.count; i++) {
        const struct mk_jid *jid;
        if (mk_jid_parse(c, view_of(me->registration_watchers.items[i]), &jid) == MK_OK &&
            !(waits && mk_is_admin(c, jid)))
            tell(c, jid, body);
    }
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int cmd_waiting(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_rows *rows;
    (void)args;
    int rc = scan(c, &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The accounts can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t i = 0; i < mk_rows_count(rows); i++, mk_result_next(result)) {
        const struct mk_row *row = mk_rows_at(rows, i);
        mk_result_text(result, "account", mk_jid_text(mk_row_jid(row, WAITING_OWNER)));
        mk_result_text(result, "since", mk_time_text(c, mk_row_int(row, WAITING_SINCE)));
        mk_result_text(result, "address", mk_row_text(row, WAITING_ADDRESS));
    }
    return MK_OK;
}

static int not_waiting(struct mk_ctx *c, struct mk_result *result, int rc) {
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "%s does not wait for approval.", mk_jid_text(mk_self(c)));
    return mk_result_error(result, rc, "It was not done: %s.", mk_strerror(rc));
}

MK_SUSPENDS static int cmd_approve(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct registration *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    (void)args;
    int rc = mk_del(c, me->waiting, &key);
    return rc == MK_OK ? rc : not_waiting(c, result, rc);
}

MK_SUSPENDS static int cmd_reject(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct registration *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    (void)args;
    int rc = mk_get(c, me->waiting, &key, &row);
    if (rc == MK_OK)
        rc = mk_account_remove(c, mk_self(c));
    return rc == MK_OK ? rc : not_waiting(c, result, rc);
}

static const struct mk_arg_decl host_args[] = {
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
};
static const struct mk_arg_decl account_args[] = {
    { "account", MK_ARG_JID, 0, "Address of the account." },
};
static const struct mk_arg_decl waiting_results[] = {
    { "account", MK_ARG_TEXT, 0, "Address of the account." },
    { "since", MK_ARG_TEXT, 0, "When it was registered." },
    { "address", MK_ARG_TEXT, 0, "From where." },
};
/* clang-format off */
const struct mk_cmd_decl waiting_commands[WAITING_COMMANDS] = {
    { "register.waiting", "List the accounts that wait for approval", "GET /registrations", "",
      MK_CMD_READ, 0, MK_TABLE(host_args), MK_TABLE(waiting_results), cmd_waiting },
    { "register.approve", "Approve an account that was registered", "POST /registrations/{account}", "account",
      MK_CMD_WRITE, 0, MK_TABLE(account_args), { NULL, 0, 0 }, cmd_approve },
    { "register.reject", "Reject an account that was registered, and remove it", "DELETE /registrations/{account}",
      "account", MK_CMD_WRITE, 0, MK_TABLE(account_args), { NULL, 0, 0 }, cmd_reject },
};
/* clang-format on */
