/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator.  They run in the account's turn. */
#include "roster.h"
#include <meerkat/auth.h>
#include <string.h>

static const char *const subscriptions[] = { "none", "to", "from", "both" };

MK_SUSPENDS static int open_account(struct mk_ctx *c, struct contacts **r, struct mk_result *result) {
    int rc = mk_account_exists(c, mk_self(c));
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no account %s.", mk_jid_text(mk_self(c)));
    rc = rc == MK_OK ? roster_open(c, r) : rc;
    return rc == MK_OK ? rc : mk_result_error(result, rc, "The roster can't be read: %s.", mk_strerror(rc));
}

static const char *join_groups(struct mk_ctx *c, const struct mk_roster_item *item) {
    const char *text = item->group_count ? item->groups[0] : "";
    for (uint32_t i = 1; i < item->group_count; i++)
        text = mk_printf(c, "%s\n%s", text, item->groups[i]);
    return text;
}

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_roster_item *const *items;
    struct contacts *r;
    uint32_t count;
    (void)args;
    int rc = open_account(c, &r, result);
    if (rc != MK_OK)
        return rc;
    view_all(r, &items, &count);
    mk_result_next(result); /* a list, be it empty */
    for (uint32_t i = 0; i < count; i++, mk_result_next(result)) {
        const struct mk_roster_item *item = items[i];
        mk_result_text(result, "contact", mk_jid_text(item->jid));
        mk_result_text(result, "name", item->name ? item->name : "");
        mk_result_text(result, "groups", join_groups(c, item));
        mk_result_text(result, "subscription", subscriptions[item->state & (MK_SUB_TO | MK_SUB_FROM)]);
        mk_result_bool(result, "asked", item->state & MK_SUB_PENDING_OUT);
        mk_result_bool(result, "asks", item->state & MK_SUB_PENDING_IN);
        mk_result_bool(result, "approved", item->state & MK_SUB_APPROVED);
        mk_result_bool(result, "listed", view_is_listed(r, item));
        mk_result_bool(result, "shared", shared_find(r->shared, item->jid) != NULL);
    }
    return MK_OK;
}

/* The bits for none, to, from, both; -1 for anything else.  MK_SUB_TO is 1 and MK_SUB_FROM 2. */
static int subscription_bits(const char *text) {
    for (int i = 0; i < 4; i++)
        if (strcmp(subscriptions[i], text) == 0)
            return i;
    return -1;
}

MK_SUSPENDS static int cmd_add(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct roster *me = mk_inst(c);
    const struct mk_jid *contact = mk_jid_to_bare(c, mk_arg_jid(args, "contact"));
    const char *name = mk_arg_text(args, "name"), *group = mk_arg_text(args, "group");
    const char *text = mk_arg_text(args, "subscription");
    int bits = subscription_bits(text ? text : "none");
    struct contacts *r;
    if (bits < 0)
        return mk_result_error(result, MK_E_INVALID, "The subscription is none, to, from or both.");
    if (mk_jid_same(contact, mk_self(c)))
        return mk_result_error(result, MK_E_INVALID, "An account is no contact of its own.");
    if (group && strchr(group, '\n'))
        return mk_result_error(result, MK_E_INVALID, "The name of a group is one line.");
    int rc = open_account(c, &r, result);
    if (rc != MK_OK)
        return rc;
    const struct contact *old = contacts_find(r, contact), *kept;
    struct contact k = old ? *old : (struct contact){ .item.jid = contact };
    uint32_t before = k.item.state;
    k.listed = true;
    k.item.state = (uint32_t)bits | (before & MK_SUB_APPROVED);
    k.request = NULL;
    if (name)
        k.item.name = *name ? name : NULL;
    if (group) {
        k.item.groups = &group;
        k.item.group_count = *group ? 1 : 0;
    }
    rc = contacts_put(c, me->contacts, r, &k, &kept);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The contact was not stored: %s.", mk_strerror(rc));
    roster_push(c, r, contact);
    roster_changed(c, contact, before, k.item.state);
    return MK_OK;
}

MK_SUSPENDS static int cmd_remove(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *contact = mk_jid_to_bare(c, mk_arg_jid(args, "contact"));
    struct contacts *r;
    int rc = open_account(c, &r, result);
    if (rc != MK_OK)
        return rc;
    rc = roster_remove(c, r, contact, NULL);
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "%s is not in the roster.", mk_jid_text(contact));
    return rc == MK_OK ? rc : mk_result_error(result, rc, "The contact was not removed: %s.", mk_strerror(rc));
}

static const struct mk_arg_decl show_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl show_results[] = {
    { "contact", MK_ARG_JID, 0, "Bare JID of the contact." },
    { "name", MK_ARG_TEXT, 0, "What the account calls the contact." },
    { "groups", MK_ARG_TEXT, 0, "Groups, one a line." },
    { "subscription", MK_ARG_TEXT, 0, "none, to, from or both." },
    { "asked", MK_ARG_BOOL, 0, "Whether the account asked for a subscription and waits." },
    { "asks", MK_ARG_BOOL, 0, "Whether the contact asked for one and waits." },
    { "approved", MK_ARG_BOOL, 0, "Whether a request of the contact is approved in advance." },
    { "listed", MK_ARG_BOOL, 0, "Whether the contact is in the roster, not just known by its request." },
    { "shared", MK_ARG_BOOL, 0, "Whether the account is given it, beside what it has by itself." },
};
static const struct mk_arg_decl add_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "contact", MK_ARG_JID, 0, "The contact to add, or to change." },
    { "name", MK_ARG_TEXT, MK_ARG_OPTIONAL, "What the account calls the contact." },
    { "group", MK_ARG_TEXT, MK_ARG_OPTIONAL, "The group to put it in." },
    { "subscription", MK_ARG_TEXT, MK_ARG_OPTIONAL,
      "none, to, from or both. The contact is not asked, and its own roster is not changed." },
};
static const struct mk_arg_decl remove_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "contact", MK_ARG_JID, 0, "The contact to remove." },
};

const struct mk_cmd_decl roster_commands[] = {
    { "roster.show", "Show the contacts of an account", "GET /accounts/{account}/roster", "account", MK_CMD_READ, 0,
      MK_TABLE(show_args), MK_TABLE(show_results), cmd_show },
    { "roster.add",
      "Add or change a contact of an account",
      "PUT /accounts/{account}/roster/{contact}",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(add_args),
      { NULL, 0, 0 },
      cmd_add },
    { "roster.remove",
      "Remove a contact of an account",
      "DELETE /accounts/{account}/roster/{contact}",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(remove_args),
      { NULL, 0, 0 },
      cmd_remove },
};
