/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator; in the host's turn, so that two changes follow each other. */
#include "lists.h"
#include <string.h>

enum { ENTRIES_MAX = 200 }; /* of one access.set: a request holds no more arguments */

static int done(struct mk_ctx *c, struct mk_result *result, int rc) {
    if (rc != MK_OK)
        return mk_result_error(result, rc, "It was not done: %s.", mk_strerror(rc));
    mk_tell_accounts(c, mk_printf(c, TOLD "%lld", (long long)mk_now(c)));
    return MK_OK;
}

/* -1, and the sentence is in RESULT. */
static int read_list(const struct mk_args *args, struct mk_result *result) {
    for (int i = 0; i < LISTS; i++)
        if (strcmp(mk_arg_text(args, "list"), list_name(i)) == 0)
            return i;
    mk_result_error(result, MK_E_INVALID, "The list is black or white.");
    return -1;
}

static void row_of(struct mk_ctx *c, int list, const struct mk_jid *jid, struct mk_value *row) {
    row[COL_HOST] = mk_v_jid(mk_host(c));
    row[COL_LIST] = mk_v_text(list_name(list));
    row[COL_JID] = mk_v_jid(jid);
    row[COL_SINCE] = mk_v_time(mk_now(c));
}

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_rows *rows;
    int list = read_list(args, result);
    int rc = list < 0 ? MK_E_INVALID : list_scan(c, list, &rows);
    if (rc != MK_OK)
        return list < 0 ? rc : mk_result_error(result, rc, "The list can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t i = 0; i < mk_rows_count(rows); i++, mk_result_next(result))
        mk_result_text(result, "jid", mk_jid_text(mk_row_jid(mk_rows_at(rows, i), COL_JID)));
    return MK_OK;
}

MK_SUSPENDS static int cmd_add(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct access_lists *me = mk_inst(c);
    struct mk_value row[COL_COUNT];
    int list = read_list(args, result);
    if (list < 0)
        return MK_E_INVALID;
    row_of(c, list, mk_arg_jid(args, "jid"), row);
    return done(c, result, mk_put_now(c, me->entries, MK_UPSERT, row));
}

MK_SUSPENDS static int cmd_remove(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct access_lists *me = mk_inst(c);
    struct mk_value row[COL_COUNT];
    int list = read_list(args, result);
    if (list < 0)
        return MK_E_INVALID;
    row_of(c, list, mk_arg_jid(args, "jid"), row);
    int rc = mk_del(c, me->entries, row);
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "%s is not on the list.", mk_jid_text(mk_arg_jid(args, "jid")));
    return done(c, result, rc);
}

/* ---- the whole list -------------------------------------------------------------------------------------------------------- */

/* The lines of TEXT as JIDs; -1, and the sentence is in RESULT. */
static int read_jids(struct mk_ctx *c, const char *text, const struct mk_jid **out, struct mk_result *result) {
    int count = 0;
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        if (count == ENTRIES_MAX || mk_jid_parse(c, (struct mk_view){ text, len }, &out[count]) != MK_OK) {
            mk_result_error(result, MK_E_INVALID,
                            count == ENTRIES_MAX ? "These are more than %d." : "There is no JID in line %d.",
                            count == ENTRIES_MAX ? ENTRIES_MAX : count + 1);
            return -1;
        }
        count++;
        text += len + (text[len] == '\n');
    }
    return count;
}

static bool is_in(const struct mk_jid *const *jids, int count, const struct mk_jid *jid) {
    for (int i = 0; i < count; i++)
        if (mk_jid_same(jids[i], jid))
            return true;
    return false;
}

MK_SUSPENDS static int cmd_set(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct access_lists *me = mk_inst(c);
    const struct mk_jid **jids = mk_alloc(c, ENTRIES_MAX * sizeof(*jids));
    const struct mk_rows *rows;
    struct mk_value row[COL_COUNT];
    int list = read_list(args, result), count = list < 0 ? -1 : read_jids(c, mk_arg_text(args, "jids"), jids, result);
    if (count < 0)
        return MK_E_INVALID;
    int rc = list_scan(c, list, &rows);
    for (int i = 0; i < count && rc == MK_OK; i++) {
        row_of(c, list, jids[i], row);
        rc = mk_put_now(c, me->entries, MK_UPSERT, row);
    }
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const struct mk_jid *old = mk_row_jid(mk_rows_at(rows, i), COL_JID);
        row_of(c, list, old, row);
        rc = is_in(jids, count, old) ? MK_OK : mk_del(c, me->entries, row);
        rc = rc == MK_E_NOTFOUND ? MK_OK : rc;
    }
    return done(c, result, rc);
}

#define HOST                                                                                                           \
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." }
#define LIST                                                                                                           \
    { "list", MK_ARG_TEXT, 0, "black: may not be talked to; white: alone may, if anybody is on it." }
static const struct mk_arg_decl show_args[] = { LIST, HOST };
static const struct mk_arg_decl show_results[] = { { "jid", MK_ARG_TEXT, 0, "Who is on it." } };
static const struct mk_arg_decl entry_args[] = { LIST,
                                                 { "jid", MK_ARG_JID, 0, "A full JID, a bare one, or a domain." },
                                                 HOST };
static const struct mk_arg_decl set_args[] = {
    LIST, HOST, { "jids", MK_ARG_TEXTS, MK_ARG_OPTIONAL, "All that are on it from now on." }
};
/* clang-format off */
const struct mk_cmd_decl access_commands[ACCESS_COMMANDS] = {
    { "access.show", "Show who is on a list of the host", "GET /access/{list}", "",
      MK_CMD_READ, 0, MK_TABLE(show_args), MK_TABLE(show_results), cmd_show },
    { "access.add", "Put somebody on a list of the host", "PUT /access/{list}/{jid}", "",
      MK_CMD_WRITE, 0, MK_TABLE(entry_args), { NULL, 0, 0 }, cmd_add },
    { "access.remove", "Take somebody off a list of the host", "DELETE /access/{list}/{jid}", "",
      MK_CMD_WRITE, 0, MK_TABLE(entry_args), { NULL, 0, 0 }, cmd_remove },
    { "access.set", "Replace a list of the host", "PUT /access/{list}", "",
      MK_CMD_WRITE, 0, MK_TABLE(set_args), { NULL, 0, 0 }, cmd_set },
};
/* clang-format on */
