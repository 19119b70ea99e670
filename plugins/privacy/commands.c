/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator.  They run in the account's turn. */
#include "lists.h"
#include "privacy.h"

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    int rc = lists_load(c);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The lists can't be read: %s.", mk_strerror(rc));
    const struct lists *l = lists_of(c);
    mk_result_next(result); /* a list, be it empty */
    for (uint32_t i = 0; i < l->count; i++, mk_result_next(result)) {
        mk_result_text(result, "name", l->items[i]->name);
        mk_result_bool(result, "default", l->items[i] == l->standard);
        mk_result_text(result, "rules", rules_write(c, l->items[i]));
    }
    return MK_OK;
}

MK_SUSPENDS static int cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *name = mk_arg_text(args, "name");
    uint32_t noted;
    int rc = lists_load(c);
    struct rule_list *l = rc == MK_OK ? lists_find(lists_of(c), name) : NULL;
    if (rc == MK_OK && !l)
        return mk_result_error(result, MK_E_NOTFOUND, "There is no list %s.", name);
    const struct note *notes = note_lists(c, &noted);
    rc = rc == MK_OK ? lists_remove(c, l) : rc;
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The list was not deleted: %s.", mk_strerror(rc));
    push_list(c, name, true);
    tell_changes(c, notes, noted);
    rule_list_free(l);
    return MK_OK;
}

static const struct mk_arg_decl show_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl show_results[] = {
    { "name", MK_ARG_TEXT, 0, "Name of the list." },
    { "default", MK_ARG_BOOL, 0, "Whether it is the default list." },
    { "rules", MK_ARG_TEXT, 0, "Its rules, one a line: order, action, kinds, type, value." },
};
static const struct mk_arg_decl delete_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "name", MK_ARG_TEXT, 0, "Name of the list." },
};

const struct mk_cmd_decl privacy_commands[] = {
    { "privacy.show", "Show the privacy lists of an account", "GET /accounts/{account}/privacy", "account", MK_CMD_READ,
      0, MK_TABLE(show_args), MK_TABLE(show_results), cmd_show },
    { "privacy.delete",
      "Delete a privacy list of an account",
      "DELETE /accounts/{account}/privacy/{name}",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(delete_args),
      { NULL, 0, 0 },
      cmd_delete },
};
