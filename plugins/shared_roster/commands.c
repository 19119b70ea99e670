/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator; in the host's turn, so that two changes follow each other. */
#include "groups.h"
#include <meerkat/shared_roster.h>
#include <string.h>

static int done(struct mk_ctx *c, struct mk_result *result, int rc) {
    if (rc != MK_OK)
        return mk_result_error(result, rc, "It was not done: %s.", mk_strerror(rc));
    mk_tell_accounts(c, MK_SHARED_ROSTER_CHANGED);
    return MK_OK;
}

/* The group of argument `id`, which must have been made by command; NULL, and the sentence is in RESULT. */
MK_SUSPENDS static struct group *own_group(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result,
                                           int *rc) {
    const char *id = mk_arg_text(args, "id");
    struct groups all;
    *rc = groups_read(c, &all);
    struct group *g = *rc == MK_OK ? group_find(&all, id) : NULL;
    if (*rc != MK_OK)
        mk_result_error(result, *rc, "The groups can't be read: %s.", mk_strerror(*rc));
    else if (!g)
        *rc = mk_result_error(result, MK_E_NOTFOUND, "There is no group %s.", id);
    else if (g->configured)
        *rc = mk_result_error(result, MK_E_DENIED, "Group %s is of the configuration: change it there.", id);
    return *rc == MK_OK ? g : NULL;
}

/* ---- groups ---------------------------------------------------------------------------------------------------------------- */

static bool is_word(const char *text) {
    return *text && !strpbrk(text, " |,\n") && strlen(text) <= 255;
}

MK_SUSPENDS static int cmd_set(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct shared_roster *me = mk_inst(c);
    const char *id = mk_arg_text(args, "id"), *label = mk_arg_text(args, "label");
    const char *shown_to = mk_arg_text(args, "shown_to");
    struct groups all;
    int rc = groups_read(c, &all);
    if (rc != MK_OK)
        return done(c, result, rc);
    const struct group *old = group_find(&all, id);
    if (!is_word(id) || (label && (!*label || strchr(label, '\n') || strlen(label) > 255)))
        return mk_result_error(result, MK_E_INVALID,
                               "An id is a word, and a label is one line, both of 255 bytes at most.");
    if (old && old->configured)
        return mk_result_error(result, MK_E_DENIED, "Group %s is of the configuration: change it there.", id);
    const char *shown = "";
    for (uint32_t i = 0; old && i < old->shown_to.count; i++)
        shown = mk_printf(c, "%s%s%s", shown, *shown ? "\n" : "", old->shown_to.items[i]);
    const struct mk_value row[GROUP_COUNT] = {
        [GROUP_HOST] = mk_v_jid(mk_host(c)),
        [GROUP_ID] = mk_v_text(id),
        [GROUP_LABEL] = mk_v_text(label ? label
                                  : old ? old->label
                                        : id),
        [GROUP_EVERYBODY] =
            mk_v_bool(mk_arg_has(args, "everybody") ? mk_arg_bool(args, "everybody") : old && old->everybody),
        [GROUP_SHOWN_TO] = mk_v_text(shown_to ? shown_to : shown),
    };
    return done(c, result, mk_put_now(c, me->stored, MK_UPSERT, row));
}

MK_SUSPENDS static int cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct shared_roster *me = mk_inst(c);
    int rc;
    const struct group *g = own_group(c, args, result, &rc);
    if (!g)
        return rc;
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(g->id) };
    rc = mk_del_range(c, me->members, MK_SCAN(.partition = key));
    return done(c, result, rc == MK_OK ? mk_del(c, me->stored, key) : rc);
}

/* ---- members --------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int cmd_add(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct shared_roster *me = mk_inst(c);
    const struct mk_jid *account = mk_jid_to_bare(c, mk_arg_jid(args, "account"));
    struct mk_view domain = mk_jid_domain(account), host = mk_jid_domain(mk_host(c));
    int rc;
    const struct group *g = own_group(c, args, result, &rc);
    if (!g)
        return rc;
    if (domain.len != host.len || memcmp(domain.s, host.s, host.len) != 0 || mk_account_exists(c, account) != MK_OK)
        return mk_result_error(result, MK_E_NOTFOUND, "There is no account %s.", mk_jid_text(account));
    const struct mk_value row[MEMBER_COUNT] = { mk_v_jid(mk_host(c)), mk_v_text(g->id), mk_v_jid(account),
                                                mk_v_time(mk_now(c)) };
    return done(c, result, mk_put_now(c, me->members, MK_UPSERT, row));
}

MK_SUSPENDS static int cmd_remove(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct shared_roster *me = mk_inst(c);
    const struct mk_jid *account = mk_jid_to_bare(c, mk_arg_jid(args, "account"));
    int rc;
    const struct group *g = own_group(c, args, result, &rc);
    if (!g)
        return rc;
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(g->id), mk_v_jid(account) };
    rc = mk_del(c, me->members, key);
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "%s is not in group %s.", mk_jid_text(account), g->id);
    return done(c, result, rc);
}

/* ---- showing --------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int cmd_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct groups all;
    (void)args;
    int rc = groups_read(c, &all);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The groups can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (uint32_t i = 0; i < all.count; i++, mk_result_next(result)) {
        const struct group *g = &all.items[i];
        const char *shown = "";
        for (uint32_t k = 0; k < g->shown_to.count; k++)
            shown = mk_printf(c, "%s%s%s", shown, k ? "\n" : "", g->shown_to.items[k]);
        mk_result_text(result, "id", g->id);
        mk_result_text(result, "label", g->label);
        mk_result_bool(result, "everybody", g->everybody);
        mk_result_text(result, "shown_to", shown);
        mk_result_bool(result, "configured", g->configured);
    }
    return MK_OK;
}

MK_SUSPENDS static int cmd_members(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct groups all;
    int rc = groups_read(c, &all);
    struct group *g = rc == MK_OK ? group_find(&all, mk_arg_text(args, "id")) : NULL;
    if (rc == MK_OK && !g)
        return mk_result_error(result, MK_E_NOTFOUND, "There is no group %s.", mk_arg_text(args, "id"));
    rc = rc == MK_OK ? group_members(c, g) : rc;
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The members can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (uint32_t i = 0; i < g->member_count; i++, mk_result_next(result))
        mk_result_text(result, "account", mk_jid_text(g->members[i]));
    return MK_OK;
}

#define HOST                                                                                                           \
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." }
static const struct mk_arg_decl host_args[] = { HOST };
static const struct mk_arg_decl set_args[] = {
    { "id", MK_ARG_TEXT, 0, "What commands know the group by." },
    { "label", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Name of the group in rosters; the id if left out." },
    HOST,
    { "everybody", MK_ARG_BOOL, MK_ARG_OPTIONAL, "Whether all accounts are its members." },
    { "shown_to", MK_ARG_TEXTS, MK_ARG_OPTIONAL, "Groups whose members see its own; itself if left out." },
};
static const struct mk_arg_decl id_args[] = { { "id", MK_ARG_TEXT, 0, "The group." }, HOST };
static const struct mk_arg_decl member_args[] = { { "id", MK_ARG_TEXT, 0, "The group." },
                                                  { "account", MK_ARG_JID, 0, "Address of the account." },
                                                  HOST };
static const struct mk_arg_decl list_results[] = {
    { "id", MK_ARG_TEXT, 0, "What commands know the group by." },
    { "label", MK_ARG_TEXT, 0, "Name of the group in rosters." },
    { "everybody", MK_ARG_BOOL, 0, "Whether all accounts are its members." },
    { "shown_to", MK_ARG_TEXT, 0, "Groups whose members see its own, one a line." },
    { "configured", MK_ARG_BOOL, 0, "Whether it is of the configuration." },
};
static const struct mk_arg_decl members_results[] = {
    { "account", MK_ARG_TEXT, 0, "Address of the account." },
};
/* clang-format off */
const struct mk_cmd_decl group_commands[GROUP_COMMANDS] = {
    { "groups.set", "Make a shared group, or change what is said of it", "PUT /groups/{id}", "",
      MK_CMD_WRITE, 0, MK_TABLE(set_args), { NULL, 0, 0 }, cmd_set },
    { "groups.delete", "Delete a shared group", "DELETE /groups/{id}", "",
      MK_CMD_WRITE, 0, MK_TABLE(id_args), { NULL, 0, 0 }, cmd_delete },
    { "groups.list", "List the shared groups", "GET /groups", "",
      MK_CMD_READ, 0, MK_TABLE(host_args), MK_TABLE(list_results), cmd_list },
    { "groups.members", "List the members of a shared group", "GET /groups/{id}", "",
      MK_CMD_READ, 0, MK_TABLE(id_args), MK_TABLE(members_results), cmd_members },
    { "groups.add", "Add an account to a shared group", "PUT /groups/{id}/{account}", "",
      MK_CMD_WRITE, 0, MK_TABLE(member_args), { NULL, 0, 0 }, cmd_add },
    { "groups.remove", "Remove an account from a shared group", "DELETE /groups/{id}/{account}", "",
      MK_CMD_WRITE, 0, MK_TABLE(member_args), { NULL, 0, 0 }, cmd_remove },
};
/* clang-format on */
