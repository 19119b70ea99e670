/* SPDX-License-Identifier: Apache-2.0 */
/* Services about accounts that the form names. */
#include "services.h"
#include <string.h>

int form_add_user(struct mk_ctx *c, struct mk_adhoc_request *r) {
    (void)c;
    form_type(r->out);
    mk_form_put(r->out, "accountjid", "jid-single", "The Jabber ID for the account to be added", NULL, true);
    mk_form_put(r->out, "password", "text-private", "The password for this account", NULL, true);
    mk_form_put(r->out, "password-verify", "text-private", "Retype password", NULL, false);
    return MK_OK;
}

/* The one account of the form: 0, with a note and *OUT NULL if it is none of ours. */
static int one_account(struct mk_ctx *c, struct mk_adhoc_request *r, const struct mk_jid **out) {
    const struct mk_jid *const *jids;
    uint32_t count;
    *out = NULL;
    if (form_jids(c, r, "accountjid", &jids, &count) != MK_OK)
        return MK_OK;
    if (count != 1)
        return MK_E_INVALID;
    *out = mk_jid_to_bare(c, jids[0]);
    return MK_OK;
}

MK_SUSPENDS static int with_password(struct mk_ctx *c, struct mk_adhoc_request *r, const char *command) {
    const char *password = mk_form_value(c, r->form, "password");
    const struct mk_jid *account;
    int rc = one_account(c, r, &account);
    if (rc != MK_OK || !account)
        return rc;
    if (!password || !*password)
        return MK_E_INVALID;
    const struct call call = { command, { { "account", mk_jid_text(account) }, { "password", password } } };
    call_done(c, r, &call, NULL);
    return MK_OK;
}

int run_add_user(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const char *password = mk_form_value(c, r->form, "password");
    const char *again = mk_form_value(c, r->form, "password-verify");
    if (password && again && strcmp(password, again) != 0)
        return fail(r, "The passwords differ.");
    return with_password(c, r, "users.add");
}

int form_password(struct mk_ctx *c, struct mk_adhoc_request *r) {
    (void)c;
    form_type(r->out);
    mk_form_put(r->out, "accountjid", "jid-single", "The Jabber ID for this account", NULL, true);
    mk_form_put(r->out, "password", "text-private", "The password for this account", NULL, true);
    return MK_OK;
}

int run_password(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return with_password(c, r, "users.password");
}

int run_get_password(struct mk_ctx *c, struct mk_adhoc_request *r) {
    (void)c;
    return fail(r, "Passwords are not kept, so nobody can tell them.");
}

int form_account(struct mk_ctx *c, struct mk_adhoc_request *r) {
    (void)c;
    form_type(r->out);
    mk_form_put(r->out, "accountjid", "jid-single", "The Jabber ID of the account", NULL, true);
    return MK_OK;
}

int form_accounts(struct mk_ctx *c, struct mk_adhoc_request *r) {
    (void)c;
    form_type(r->out);
    mk_form_put(r->out, "accountjids", "jid-multi", "The Jabber ID(s) of the accounts", NULL, true);
    return MK_OK;
}

/* Each by itself: one that fails does not keep the others from it. */
int run_for_accounts(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct mk_jid *const *jids;
    uint32_t count;
    if (form_jids(c, r, "accountjids", &jids, &count) != MK_OK)
        return MK_OK;
    for (uint32_t i = 0; i < count; i++) {
        const struct call call = { service_of(r)->command, { { "account", mk_jid_text(jids[i]) } } };
        call_done(c, r, &call, NULL);
    }
    return count ? MK_OK : MK_E_INVALID;
}

/* ---- roster, last login ------------------------------------------------------------------------------------------------- */

static void put_groups(struct mk_ctx *c, struct mk_out *o, const char *lines) {
    while (lines && *lines) {
        size_t len = strcspn(lines, "\n");
        mk_leaf(o, "group", NULL, mk_text_of(c, (struct mk_view){ lines, len }));
        lines += len + (lines[len] == '\n');
    }
}

static void put_roster(struct mk_ctx *c, struct mk_out *o, const struct mk_result *result) {
    mk_open(o, "query", "jabber:iq:roster");
    for (unsigned i = 0; i < mk_result_rows(result); i++) {
        const char *listed = mk_result_get(c, result, i, "listed"), *name = mk_result_get(c, result, i, "name");
        if (!listed || strcmp(listed, "true") != 0)
            continue;
        mk_open(o, "item", NULL);
        mk_put(o, "jid", mk_result_get(c, result, i, "contact"));
        mk_put(o, "name", name && *name ? name : NULL);
        mk_put(o, "subscription", mk_result_get(c, result, i, "subscription"));
        put_groups(c, o, mk_result_get(c, result, i, "groups"));
        mk_close(o);
    }
    mk_close(o);
}

static void put_times(struct mk_ctx *c, struct mk_out *o, const struct mk_result *result) {
    const char *login = mk_result_get(c, result, 0, "login");
    mk_form_put(o, "lastlogin", "text-single", "The last login time", login && *login ? login : NULL, false);
}

MK_SUSPENDS static int run_each(struct mk_ctx *c, struct mk_adhoc_request *r,
                                void (*put)(struct mk_ctx *, struct mk_out *, const struct mk_result *)) {
    const struct mk_jid *const *jids;
    uint32_t count;
    if (form_jids(c, r, "accountjids", &jids, &count) != MK_OK)
        return MK_OK;
    for (uint32_t i = 0; i < count; i++) {
        const char *jid = mk_jid_text(mk_jid_to_bare(c, jids[i]));
        const struct call call = { service_of(r)->command, { { "account", jid } } };
        const struct mk_result *result;
        if (!call_done(c, r, &call, &result))
            continue;
        open_result(r->out);
        mk_form_put(r->out, "accountjids", "jid-multi", NULL, jid, false);
        put(c, r->out, result);
        mk_close(r->out);
    }
    return count ? MK_OK : MK_E_INVALID;
}

int run_roster(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return run_each(c, r, put_roster);
}

int run_last_login(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return run_each(c, r, put_times);
}

/* ---- statistics ---------------------------------------------------------------------------------------------------------- */

static const char *host_of(struct mk_ctx *c, const char *address) {
    const char *port = address ? strrchr(address, ':') : NULL;
    return port ? mk_text_of(c, (struct mk_view){ address, (size_t)(port - address) }) : "";
}

static const char *resource_of(const char *jid) {
    const char *slash = jid ? strchr(jid, '/') : NULL;
    return slash ? slash + 1 : "";
}

MK_SUSPENDS static void put_roster_size(struct mk_ctx *c, struct mk_adhoc_request *r, const char *account) {
    const struct call call = { "roster.show", { { "account", account } } };
    const struct mk_result *result;
    int64_t size = 0;
    if (!may_run(c, r->who, call.command, NULL) || call_run(c, r->who, &call, &result) != MK_OK)
        return;
    for (unsigned i = 0; i < mk_result_rows(result); i++) {
        const char *listed = mk_result_get(c, result, i, "listed");
        size += listed && strcmp(listed, "true") == 0;
    }
    put_number(c, r->out, "rostersize", "Roster size", size);
}

int run_stats(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct mk_result *sessions, *exists;
    const struct mk_jid *account;
    int rc = one_account(c, r, &account);
    if (rc != MK_OK || !account)
        return rc;
    const char *text = mk_jid_text(account), *there;
    const struct call ask = { "users.exists", { { "account", text } } };
    const struct call call = { "sessions.list", { { "account", text } } };
    if (!call_done(c, r, &ask, &exists) || !call_done(c, r, &call, &sessions))
        return MK_OK;
    there = mk_result_get(c, exists, 0, "exists");
    if (!there || strcmp(there, "true") != 0)
        return fail(r, mk_printf(c, "there is no account %s", text));
    unsigned rows = mk_result_rows(sessions);
    const char **addresses = mk_alloc(c, (rows + 1) * sizeof *addresses);
    const char **resources = mk_alloc(c, (rows + 1) * sizeof *resources);
    for (unsigned i = 0; i < rows; i++) {
        addresses[i] = host_of(c, mk_result_get(c, sessions, i, "address"));
        resources[i] = resource_of(mk_result_get(c, sessions, i, "jid"));
    }
    open_result(r->out);
    put_values(r->out, "ipaddresses", "list-multi", "IP addresses", addresses, rows);
    put_roster_size(c, r, text);
    put_values(r->out, "onlineresources", "text-multi", "Online resources", resources, rows);
    mk_close(r->out);
    return MK_OK;
}
