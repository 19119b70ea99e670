/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator. */
#include "tokens.h"
#include <meerkat/auth.h>
#include <string.h>

static const char *time_or_none(struct mk_ctx *c, int64_t time) {
    return time ? mk_time_text(c, time) : "";
}

/* Fills I from the arguments; 0, or the code with the sentence in RESULT. */
MK_SUSPENDS static int read_args(struct mk_ctx *c, const struct mk_args *args, struct invite *i,
                                 struct mk_result *result) {
    const struct mk_jid *inviter = mk_arg_jid(args, "inviter"), *account;
    const char *name = mk_arg_text(args, "username"), *expires = mk_arg_text(args, "expires");
    const struct mk_view none = { "", 0 };
    i->uses = mk_arg_has(args, "uses") ? mk_arg_int(args, "uses") : 1;
    i->inviter = inviter ? mk_jid_text(mk_jid_to_bare(c, inviter)) : "";
    i->username = "";
    i->roster = inviter != NULL;
    i->account = !mk_arg_has(args, "account") || mk_arg_bool(args, "account");
    if (i->uses < 1 || i->uses > 1000000)
        return mk_result_error(result, MK_E_INVALID, "The uses are 1 to 1000000.");
    if (expires && (mk_time_parse(expires, &i->expires) != MK_OK || i->expires <= mk_now(c)))
        return mk_result_error(result, MK_E_INVALID, "expires is a time to come, such as 2030-01-31T12:00:00Z.");
    if (inviter && mk_account_exists(c, inviter) != MK_OK)
        return mk_result_error(result, MK_E_NOTFOUND, "There is no account %s.", i->inviter);
    if (!inviter && !i->account)
        return mk_result_error(result, MK_E_INVALID, "Without inviter and account the invitation is for nothing.");
    if (!name)
        return MK_OK;
    if (mk_jid_make(c, (struct mk_view){ name, strlen(name) }, mk_jid_domain(mk_host(c)), none, &account) != MK_OK)
        return mk_result_error(result, MK_E_INVALID, "%s can't be a name.", name);
    if (mk_account_exists(c, account) != MK_E_NOTFOUND)
        return mk_result_error(result, MK_E_CONFLICT, "There is an account %s.", mk_jid_text(account));
    i->username = mk_text_of(c, mk_jid_local(account));
    return MK_OK;
}

MK_SUSPENDS static int cmd_create(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct invite i = { .expires = 0 };
    int rc = read_args(c, args, &i, result);
    if (rc != MK_OK)
        return rc;
    rc = invite_create(c, &i);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The invitation was not stored: %s.", mk_strerror(rc));
    const char *page = invite_page(c, &i);
    mk_result_text(result, "token", i.token);
    mk_result_text(result, "uri", invite_uri(c, &i));
    mk_result_text(result, "page", page ? page : "");
    mk_result_text(result, "expires", time_or_none(c, i.expires));
    return MK_OK;
}

MK_SUSPENDS static int cmd_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_rows *rows;
    (void)args;
    int rc = invites_scan(c, 0, NULL, &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The invitations can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t k = 0; k < mk_rows_count(rows); k++, mk_result_next(result)) {
        struct invite i;
        invite_read(mk_rows_at(rows, k), &i);
        mk_result_text(result, "token", i.token);
        mk_result_text(result, "inviter", i.inviter);
        mk_result_text(result, "username", i.username);
        mk_result_bool(result, "account", i.account);
        mk_result_int(result, "uses", i.uses);
        mk_result_int(result, "used", i.used);
        mk_result_text(result, "created", mk_time_text(c, i.created));
        mk_result_text(result, "expires", time_or_none(c, i.expires));
    }
    return MK_OK;
}

MK_SUSPENDS static int cmd_revoke(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    int rc = invite_delete(c, mk_arg_text(args, "token"));
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no such invitation.");
    return rc == MK_OK ? rc : mk_result_error(result, rc, "It was not revoked: %s.", mk_strerror(rc));
}

static const struct mk_arg_decl create_args[] = {
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
    { "inviter", MK_ARG_JID, MK_ARG_OPTIONAL, "Account that the invited becomes a contact of." },
    { "username", MK_ARG_TEXT, MK_ARG_OPTIONAL, "The only name that it is for; nobody else gets it meanwhile." },
    { "account", MK_ARG_BOOL, MK_ARG_OPTIONAL, "Whether it may make an account; true if left out." },
    { "uses", MK_ARG_INT, MK_ARG_OPTIONAL, "How often it may be used; once if left out." },
    { "expires", MK_ARG_TEXT, MK_ARG_OPTIONAL, "When it ends; as option ttl says if left out." },
};
static const struct mk_arg_decl create_results[] = {
    { "token", MK_ARG_TEXT, 0, "What the invited shows." },
    { "uri", MK_ARG_TEXT, 0, "Link for a client." },
    { "page", MK_ARG_TEXT, 0, "Web page, if there is one." },
    { "expires", MK_ARG_TEXT, 0, "When it ends; empty: never." },
};
static const struct mk_arg_decl host_args[] = {
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
};
static const struct mk_arg_decl list_results[] = {
    { "token", MK_ARG_TEXT, 0, "What the invited shows." },
    { "inviter", MK_ARG_TEXT, 0, "Who invites; empty: the host." },
    { "username", MK_ARG_TEXT, 0, "The name that it is for; empty: any." },
    { "account", MK_ARG_BOOL, 0, "Whether it may make an account." },
    { "uses", MK_ARG_INT, 0, "How often it may be used." },
    { "used", MK_ARG_INT, 0, "How often it was." },
    { "created", MK_ARG_TEXT, 0, "When it was made." },
    { "expires", MK_ARG_TEXT, 0, "When it ends; empty: never." },
};
static const struct mk_arg_decl revoke_args[] = {
    { "token", MK_ARG_TEXT, 0, "The invitation." },
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
};
/* clang-format off */
const struct mk_cmd_decl invite_commands[INVITE_COMMANDS] = {
    { "invites.create", "Make an invitation", "POST /invites", "",
      MK_CMD_WRITE, 0, MK_TABLE(create_args), MK_TABLE(create_results), cmd_create },
    { "invites.list", "List the invitations", "GET /invites", "",
      MK_CMD_READ, 0, MK_TABLE(host_args), MK_TABLE(list_results), cmd_list },
    { "invites.revoke", "Take an invitation back", "DELETE /invites/{token}", "",
      MK_CMD_WRITE, 0, MK_TABLE(revoke_args), { NULL, 0, 0 }, cmd_revoke },
};
/* clang-format on */
