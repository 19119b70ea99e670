/* SPDX-License-Identifier: Apache-2.0 */
/* Invitations: XEP-0401, XEP-0445, XEP-0379. */
#include "tokens.h"
#include <meerkat/adhoc.h>
#include <meerkat/invite.h>
#include <string.h>

#define NS_FEATURE "urn:xmpp:ibr-token:0"

static void put_feature(struct mk_ctx *c, struct mk_stream *st, struct mk_out *features) {
    (void)c;
    if (mk_stream_is_secure(st))
        mk_leaf(features, "register", NS_FEATURE, NULL);
}

/* Who is not there any more invites nobody. */
MK_SUSPENDS static enum mk_flow on_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct mk_rows *rows;
    int rc = invites_scan(c, BY_INVITER, mk_jid_text(ev->account), &rows);
    for (size_t k = 0; rc == MK_OK && k < mk_rows_count(rows); k++) {
        rc = invite_delete(c, mk_row_text(mk_rows_at(rows, k), COL_TOKEN));
        rc = rc == MK_E_NOTFOUND ? MK_OK : rc;
    }
    if (rc != MK_OK)
        mk_log(c, MK_ERROR, "invitations of a removed account are still stored");
    return MK_NEXT;
}

static int start(void *inst, struct mk_err *err) {
    const struct invites *me = inst;
    if (me->landing_url && !strstr(me->landing_url, "{token}"))
        return mk_fail(err, MK_E_INVALID, "landing_url has no {token} in it");
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct invites, users_invite, "true", MK_OPT_LIVE,
                "Whether every account may invite people to become its contacts; else administrators alone."),
    MK_OPT_BOOL(struct invites, users_create_accounts, "false", MK_OPT_LIVE,
                "Whether who is invited by such an account may make an account here."),
    MK_OPT_DURATION(struct invites, ttl, "7d", 1000, INT64_MAX, MK_OPT_LIVE, "How long an invitation is good."),
    MK_OPT_INT(struct invites, max_per_account, "10", 1, 10000, MK_OPT_LIVE,
               "How many invitations that nobody has used yet an account may have."),
    MK_OPT_TEXT(struct invites, landing_url, NULL, 0,
                "Web page for who is invited, with {token} where the token goes: "
                "\"https://example.org/invite/#{token}\"."),
};
static const struct mk_index_decl indexes[] = {
    [BY_INVITER - 1] = { "by_inviter", "host,inviter", "created" },
    [BY_USERNAME - 1] = { "by_username", "host,username", "created" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct invites, invites, "invites", 1, 0, 0, invite_cols, MK_TABLE(indexes), "Invitations."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct invites, accounts, mk_accounts, 1, 0, MK_NEED_SOFT, NULL),
    MK_NEED(struct invites, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_invites, 1, 0, &invites_for_registration, "Who may make an account because of an invitation."),
    MK_PROVIDE(mk_adhoc, 1, 0, &invites_adhoc, "Commands that make invitations."),
};
static const struct mk_iq_decl iqs[] = {
    { "preauth", NS_PARS, MK_TO_SERVER, MK_SET, MK_SERIAL, MK_UNAUTHED, on_preauth },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_receive_subscription, MK_ORDER_AVATAR, MK_SERIAL, on_subscription),
    MK_ON(account_removed, 50, MK_SERIAL, on_removed),
};
static const struct mk_feature_decl features[] = {
    { "register", NS_FEATURE, MK_WHEN_CONNECTED, 0, put_feature },
};
static const struct mk_xep_decl xeps[] = {
    { "0401", "0.6.0", "complete", "The web page is the operator's." },
    { "0445", "0.2.0", "complete", "With plugin register." },
    { "0379", "0.3.3", "complete", "The server accepts for the inviter." },
};

MK_PLUGIN(invites, .version = "1.0", .summary = "Invitations to become a contact, or to make an account (XEP-0401)",
          .inst_size = sizeof(struct invites), .start = start, .options = MK_TABLE(options),
          .collections = MK_TABLE(collections), .needs = MK_TABLE(needs), .provides = MK_TABLE(provides),
          .iqs = MK_TABLE(iqs), .hooks = MK_TABLE(hooks), .features = MK_TABLE(features),
          .commands = { invite_commands, INVITE_COMMANDS, sizeof(struct mk_cmd_decl) }, .xeps = MK_TABLE(xeps));
