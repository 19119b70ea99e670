/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of XEP-0401. */
#include "tokens.h"
#include <meerkat/adhoc.h>
#include <meerkat/auth.h>
#include <string.h>

enum { INVITE, CREATE_ACCOUNT, COMMANDS };
static const struct mk_adhoc_command commands[COMMANDS] = {
    [INVITE] = { "urn:xmpp:invite#invite", "Invite user", 0, 0 },
    [CREATE_ACCOUNT] = { "urn:xmpp:invite#create-account", "Create account", MK_ADHOC_FORM, 0 },
};

static int at(struct mk_ctx *c, uint32_t i, const struct mk_adhoc_command **command) {
    (void)c;
    *command = i < COMMANDS ? &commands[i] : NULL;
    return i < COMMANDS ? MK_OK : MK_E_NOTFOUND;
}

static bool is_ours(struct mk_ctx *c, const struct mk_jid *who) {
    struct mk_view a = mk_jid_domain(who), b = mk_jid_domain(mk_host(c));
    return mk_jid_local(who).len && a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

MK_SUSPENDS static bool is_admin(struct mk_ctx *c, const struct mk_jid *who) {
    const struct invites *me = mk_inst(c);
    return mk_accounts_role_of(c, me->accounts, who) == MK_ROLE_ADMIN;
}

MK_SUSPENDS static int may(struct mk_ctx *c, const struct mk_jid *who, const struct mk_adhoc_command *command) {
    const struct invites *me = mk_inst(c);
    bool users = command == &commands[INVITE] && me->users_invite;
    return is_ours(c, who) && (users || is_admin(c, who)) ? MK_OK : MK_E_DENIED;
}

static int form(struct mk_ctx *c, struct mk_adhoc_request *r) {
    (void)c;
    mk_form_put(r->out, "username", "text-single", "Username", NULL, false);
    mk_form_put(r->out, "roster-subscription", "boolean", "Roster subscription", NULL, false);
    return MK_OK;
}

static int fail(struct mk_adhoc_request *r, const char *note) {
    r->failed = true;
    r->note = note;
    return MK_OK;
}

static void put_link(struct mk_ctx *c, struct mk_out *o, const struct invite *i) {
    const char *page = invite_page(c, i);
    mk_open(o, "x", MK_NS_FORM);
    mk_put(o, "type", "result");
    mk_form_put(o, "FORM_TYPE", "hidden", NULL, "urn:xmpp:invite#invitation", false);
    mk_form_put(o, "uri", "text-single", "Link", invite_uri(c, i), false);
    if (page)
        mk_form_put(o, "landing-url", "text-single", "Page", page, false);
    if (i->expires)
        mk_form_put(o, "expire", "text-single", "Good until", mk_time_text(c, i->expires), false);
    mk_close(o);
}

/* The name that is wanted, prepared, "" if none is; NULL, and *WHY, if it can't be had. */
MK_SUSPENDS static const char *read_name(struct mk_ctx *c, const struct mk_elem *form, const char **why) {
    const char *name = mk_form_value(c, form, "username");
    const struct mk_view none = { "", 0 };
    const struct mk_jid *account;
    if (!name || !*name)
        return "";
    *why = "That can't be a name.";
    if (mk_jid_make(c, (struct mk_view){ name, strlen(name) }, mk_jid_domain(mk_host(c)), none, &account) != MK_OK)
        return NULL;
    *why = "There is such an account.";
    return mk_account_exists(c, account) == MK_E_NOTFOUND ? mk_text_of(c, mk_jid_local(account)) : NULL;
}

MK_SUSPENDS static bool has_too_many(struct mk_ctx *c, const char *inviter) {
    const struct invites *me = mk_inst(c);
    const struct mk_rows *rows;
    int64_t open = 0;
    if (invites_scan(c, BY_INVITER, inviter, &rows) != MK_OK)
        return true;
    for (size_t k = 0; k < mk_rows_count(rows); k++) {
        struct invite i;
        invite_read(mk_rows_at(rows, k), &i);
        open += invite_is_good(&i);
    }
    return open >= me->max_per_account;
}

MK_SUSPENDS static int run(struct mk_ctx *c, struct mk_adhoc_request *r) {
    const struct invites *me = mk_inst(c);
    const struct mk_jid *inviter = mk_jid_to_bare(c, r->who);
    bool creates = r->command == &commands[CREATE_ACCOUNT], admin = is_admin(c, r->who);
    struct invite i = { .inviter = mk_jid_text(inviter), .username = "", .roster = true, .uses = 1 };
    const char *why = NULL;
    if (creates && (i.username = read_name(c, r->form, &why)) == NULL)
        return fail(r, why);
    if (!admin && has_too_many(c, i.inviter))
        return fail(r, "You have too many invitations that nobody has used.");
    i.account = creates || admin || me->users_create_accounts;
    i.roster = !creates || mk_form_bool(c, r->form, "roster-subscription");
    if (creates && !i.roster)
        i.inviter = "";
    int rc = invite_create(c, &i);
    if (rc != MK_OK)
        return rc;
    mk_log(c, MK_NOTICE, "%s made an invitation", mk_jid_text(inviter));
    put_link(c, r->out, &i);
    return MK_OK;
}

const struct mk_adhoc_ops invites_adhoc = {
    .size = sizeof invites_adhoc, .at = at, .may = may, .form = form, .run = run
};
