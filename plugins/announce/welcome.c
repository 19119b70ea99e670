/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an account is told when it logs in for the first time.  Who was created is noted, and the note is gone once they
 * have been told: an account that is older than this plugin is not welcomed.
 */
#include "announce.h"

MK_SUSPENDS static int get(struct mk_ctx *c, const struct mk_row **row) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_host(c));
    return mk_get(c, me->welcome, &key, row);
}

MK_SUSPENDS enum mk_flow welcome_on_account_created(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct announce *me = mk_inst(c);
    const struct mk_value row[NEWCOMER_COUNT] = { mk_v_jid(ev->account), mk_v_time(mk_now(c)) };
    if (mk_put_now(c, me->newcomers, MK_UPSERT, row) != MK_OK)
        mk_log(c, MK_WARNING, "%s will not be welcomed", mk_jid_text(ev->account));
    return MK_NEXT;
}

MK_SUSPENDS enum mk_flow welcome_on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(ev->account);
    int rc = mk_del(c, me->newcomers, &key);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        mk_log(c, MK_ERROR, "a removed account is still noted as new");
    return MK_NEXT;
}

MK_SUSPENDS void welcome_greet(struct mk_ctx *c, struct mk_session *session) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    const struct mk_stanza *s;
    if (mk_get(c, me->newcomers, &key, &row) != MK_OK)
        return;
    if (get(c, &row) == MK_OK && announce_build(c, mk_random_id(c), mk_row_text(row, WELCOME_SUBJECT),
                                                mk_row_text(row, WELCOME_BODY), &s) == MK_OK)
        mk_session_send(c, session, s, mk_session_jid(session));
    if (mk_del_later(c, me->newcomers, &key) != MK_OK)
        mk_log(c, MK_WARNING, "the welcome may come a second time");
}

/* ---- commands ------------------------------------------------------------------------------------------------------------ */

static int done(struct mk_result *result, int rc) {
    if (rc == MK_OK)
        return rc;
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no welcome message.");
    return mk_result_error(result, rc, "It was not done: %s.", mk_strerror(rc));
}

MK_SUSPENDS int welcome_cmd_set(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct announce *me = mk_inst(c);
    const struct mk_value row[WELCOME_COUNT] = { mk_v_jid(mk_host(c)), mk_v_text(mk_arg_text(args, "subject")),
                                                 mk_v_text(mk_arg_text(args, "body")) };
    return done(result, mk_put_now(c, me->welcome, MK_UPSERT, row));
}

MK_SUSPENDS int welcome_cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_host(c));
    (void)args;
    return done(result, mk_del(c, me->welcome, &key));
}

MK_SUSPENDS int welcome_cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_row *row;
    (void)args;
    int rc = get(c, &row);
    if (rc != MK_OK)
        return done(result, rc);
    const char *subject = mk_row_text(row, WELCOME_SUBJECT);
    mk_result_text(result, "subject", subject ? subject : "");
    mk_result_text(result, "body", mk_row_text(row, WELCOME_BODY));
    return MK_OK;
}

const struct mk_col_decl welcome_cols[WELCOME_COUNT] = {
    [WELCOME_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [WELCOME_SUBJECT] = { "subject", MK_C_TEXT, MK_COL_NULL, "Subject." },
    [WELCOME_BODY] = { "body", MK_C_TEXT, 0, "Text." },
};
const struct mk_col_decl newcomer_cols[NEWCOMER_COUNT] = {
    [NEWCOMER_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [NEWCOMER_SINCE] = { "since", MK_C_TIME, 0, "When it was created." },
};
