/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the administrators to everybody: at once to who is there, or as the message of the day to each account
 * when it logs in.
 */
#include "announce.h"
#include <stdlib.h>
#include <string.h>

/* Each session has a byte: true once it was looked whether it has to get the message of the day. */
enum { SLOT_SESSION };
enum { MOTD_HOST, MOTD_SUBJECT, MOTD_BODY, MOTD_VERSION, MOTD_COUNT };
enum { SEEN_OWNER, SEEN_VERSION, SEEN_COUNT };

/* Begins the id of every copy of the message of the day; its version follows. */
#define MOTD_ID "motd-"

int announce_build(struct mk_ctx *c, const char *id, const char *subject, const char *body,
                   const struct mk_stanza **out) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, NULL);
    mk_from(o, mk_host(c));
    mk_id(o, id);
    if (subject)
        mk_leaf(o, "subject", NULL, subject);
    mk_leaf(o, "body", NULL, body);
    return mk_seal(o, out);
}

static int send_online(struct mk_ctx *c, const char *id, const char *subject, const char *body) {
    const struct mk_stanza *s;
    int rc = announce_build(c, id, subject, body, &s);
    if (rc == MK_OK)
        mk_send_online(c, s);
    return rc;
}

/* ---- the message of the day -------------------------------------------------------------------------------------------- */

static const char *motd_id(struct mk_ctx *c, int64_t version) {
    return mk_printf(c, MOTD_ID "%lld", (long long)version);
}

MK_SUSPENDS static int motd_get(struct mk_ctx *c, const struct mk_row **row) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_host(c));
    return mk_get(c, me->motd, &key, row);
}

MK_SUSPENDS static int motd_put(struct mk_ctx *c, const char *subject, const char *body, int64_t version) {
    const struct announce *me = mk_inst(c);
    const struct mk_value row[MOTD_COUNT] = {
        mk_v_jid(mk_host(c)),
        mk_v_text(subject),
        mk_v_text(body),
        mk_v_time(version),
    };
    return mk_put_now(c, me->motd, MK_UPSERT, row);
}

MK_SUSPENDS static int motd_set(struct mk_ctx *c, const char *subject, const char *body) {
    int64_t version = mk_now(c);
    int rc = motd_put(c, subject, body, version);
    return rc == MK_OK ? send_online(c, motd_id(c, version), subject, body) : rc;
}

/* Changes the text; who has seen it does not see it again. */
MK_SUSPENDS static int motd_update(struct mk_ctx *c, const char *subject, const char *body) {
    const struct mk_row *row;
    int rc = motd_get(c, &row);
    return rc == MK_OK ? motd_put(c, subject, body, mk_row_int(row, MOTD_VERSION)) : rc;
}

MK_SUSPENDS static int motd_delete(struct mk_ctx *c) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_host(c));
    return mk_del(c, me->motd, &key);
}

/* ---- who has seen it ------------------------------------------------------------------------------------------------------ */

/*
 * A copy goes to a session of the account: noted here, where both those sent at login and those sent to who was online
 * come by.  Looks at every stanza, so it looks at little.
 */
static enum mk_flow on_session_send(struct mk_ctx *c, struct mk_ev_send *ev) {
    const struct announce *me = mk_inst(c);
    const char *id = mk_stanza_id(ev->stanza);
    if (!id || strncmp(id, MOTD_ID, strlen(MOTD_ID)) != 0 || !mk_jid_same(mk_stanza_from(ev->stanza), mk_host(c)))
        return MK_NEXT;
    const struct mk_value row[SEEN_COUNT] = { mk_v_jid(mk_self(c)),
                                              mk_v_time(strtoll(id + strlen(MOTD_ID), NULL, 10)) };
    if (mk_put_later(c, me->seen, MK_UPSERT, row, NULL) != MK_OK)
        mk_log(c, MK_WARNING, "the message of the day may come a second time");
    return MK_NEXT;
}

MK_SUSPENDS static bool has_seen(struct mk_ctx *c, int64_t version) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    int rc = mk_get(c, me->seen, &key, &row);
    return rc == MK_OK ? mk_row_int(row, SEEN_VERSION) >= version : rc != MK_E_NOTFOUND;
}

MK_SUSPENDS static void greet(struct mk_ctx *c, struct mk_session *session) {
    const struct mk_row *row;
    const struct mk_stanza *s;
    if (motd_get(c, &row) != MK_OK || has_seen(c, mk_row_int(row, MOTD_VERSION)))
        return;
    const char *id = motd_id(c, mk_row_int(row, MOTD_VERSION));
    if (announce_build(c, id, mk_row_text(row, MOTD_SUBJECT), mk_row_text(row, MOTD_BODY), &s) == MK_OK)
        mk_session_send(c, session, s, mk_session_jid(session));
}

MK_SUSPENDS static enum mk_flow on_available(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    bool *looked = mk_session_slot(c, ev->session, SLOT_SESSION);
    if (mk_stanza_to(ev->stanza) || *looked || !mk_session_is_available(ev->session) ||
        mk_session_priority(ev->session) < 0)
        return MK_NEXT;
    *looked = true;
    welcome_greet(c, ev->session);
    greet(c, ev->session);
    return MK_NEXT;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct announce *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(ev->account);
    int rc = mk_del(c, me->seen, &key);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        mk_log(c, MK_ERROR, "what a removed account has seen is still stored");
    return MK_NEXT;
}

/* ---- messages to HOST/announce/... ----------------------------------------------------------------------------------------- */

static enum mk_flow refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text) {
    if (mk_refuse(c, s, cond, text) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal with %s was not sent", cond);
    return MK_STOP;
}

static const char *text_of(struct mk_ctx *c, const struct mk_stanza *s, const char *name) {
    const struct mk_elem *e = mk_child(s, name, mk_elem_ns(mk_root(s)));
    return e ? mk_text(c, e) : NULL;
}

MK_SUSPENDS static int act(struct mk_ctx *c, const char *what, const char *subject, const char *body) {
    if (strcmp(what, "announce/motd/delete") == 0)
        return motd_delete(c);
    if (!body || !*body)
        return MK_E_INVALID;
    if (strcmp(what, "announce/online") == 0)
        return send_online(c, mk_random_id(c), subject, body);
    return strcmp(what, "announce/motd") == 0 ? motd_set(c, subject, body) : motd_update(c, subject, body);
}

/* The command that does the same as a message to this resource, or NULL. */
static const char *command_of(const char *what) {
    static const struct {
        const char *resource, *command;
    } all[] = { { "announce/online", "announce.online" },
                { "announce/motd", "motd.set" },
                { "announce/motd/update", "motd.update" },
                { "announce/motd/delete", "motd.delete" } };
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].resource, what) == 0)
            return all[i].command;
    return NULL;
}

MK_SUSPENDS static bool may(struct mk_ctx *c, const struct mk_jid *who, const char *command) {
    const struct announce *me = mk_inst(c);
    const struct mk_cmd_decl *row;
    for (unsigned i = 0; (row = mk_command_at(c, i)) != NULL; i++)
        if (strcmp(row->name, command) == 0)
            return mk_accounts_allow(c, me->accounts, who, row, NULL);
    return false;
}

MK_SUSPENDS static enum mk_flow on_host_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const char *what = mk_text_of(c, mk_jid_resource(ev->to));
    const struct mk_jid *from = mk_stanza_from(ev->stanza);
    if (!command_of(what))
        return MK_NEXT;
    if (mk_stanza_type(ev->stanza) == MK_TYPE_ERROR)
        return MK_STOP;
    if (!may(c, from, command_of(what)))
        return refuse(c, ev->stanza, "forbidden", NULL);
    int rc = act(c, what, text_of(c, ev->stanza, "subject"), text_of(c, ev->stanza, "body"));
    mk_log(c, MK_NOTICE, "%s wrote to %s: %s", mk_jid_text(from), what, rc == MK_OK ? "done" : mk_strerror(rc));
    switch (rc) {
    case MK_OK:
        return MK_STOP;
    case MK_E_INVALID:
        return refuse(c, ev->stanza, "bad-request", "There is no text to announce.");
    case MK_E_NOTFOUND:
        return refuse(c, ev->stanza, "item-not-found", "There is no message of the day.");
    default:
        return refuse(c, ev->stanza, "internal-server-error", NULL);
    }
}

/* ---- commands ---------------------------------------------------------------------------------------------------------------- */

static int done(struct mk_result *result, int rc) {
    if (rc == MK_OK)
        return rc;
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no message of the day.");
    return mk_result_error(result, rc, "It was not done: %s.", mk_strerror(rc));
}

static int cmd_online(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    return done(result, send_online(c, mk_random_id(c), mk_arg_text(args, "subject"), mk_arg_text(args, "body")));
}

MK_SUSPENDS static int cmd_motd_set(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    return done(result, motd_set(c, mk_arg_text(args, "subject"), mk_arg_text(args, "body")));
}

MK_SUSPENDS static int cmd_motd_update(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    return done(result, motd_update(c, mk_arg_text(args, "subject"), mk_arg_text(args, "body")));
}

MK_SUSPENDS static int cmd_motd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    return done(result, motd_delete(c));
}

MK_SUSPENDS static int cmd_motd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_row *row;
    (void)args;
    int rc = motd_get(c, &row);
    if (rc != MK_OK)
        return done(result, rc);
    const char *subject = mk_row_text(row, MOTD_SUBJECT);
    mk_result_text(result, "subject", subject ? subject : "");
    mk_result_text(result, "body", mk_row_text(row, MOTD_BODY));
    mk_result_text(result, "set", mk_time_text(c, mk_row_int(row, MOTD_VERSION)));
    return MK_OK;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------------- */

static const struct mk_col_decl motd_cols[MOTD_COUNT] = {
    [MOTD_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [MOTD_SUBJECT] = { "subject", MK_C_TEXT, MK_COL_NULL, "Subject." },
    [MOTD_BODY] = { "body", MK_C_TEXT, 0, "Text." },
    [MOTD_VERSION] = { "version", MK_C_TIME, 0, "When it was set; an update keeps it." },
};
static const struct mk_col_decl seen_cols[SEEN_COUNT] = {
    [SEEN_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [SEEN_VERSION] = { "version", MK_C_TIME, 0, "Version of the message of the day it got last." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct announce, motd, "motd", 1, 0, 0, motd_cols, MK_NO_INDEX,
                  "The message of the day of each host."),
    MK_COLLECTION(struct announce, seen, "motd_seen", 1, 0, 0, seen_cols, MK_NO_INDEX,
                  "Which one each account has seen."),
    MK_COLLECTION(struct announce, welcome, "welcome", 1, 0, 0, welcome_cols, MK_NO_INDEX,
                  "What each host tells accounts at their first login."),
    MK_COLLECTION(struct announce, newcomers, "newcomers", 1, 0, 0, newcomer_cols, MK_NO_INDEX,
                  "Accounts that have not logged in yet."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct announce, accounts, mk_accounts, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(host_receive_message, MK_ORDER_ANNOUNCE, MK_SERIAL, on_host_message),
    MK_ON(user_send_presence, MK_ORDER_AVAILABLE, MK_SERIAL, on_available),
    MK_ON(session_send, MK_ORDER_ANNOUNCE, MK_INLINE, on_session_send),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
    MK_ON(account_removed, 50, MK_SERIAL, welcome_on_account_removed),
    MK_ON(account_created, 50, MK_SERIAL, welcome_on_account_created),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "looked", MK_ON_SESSION, sizeof(bool), NULL, NULL },
};
static const struct mk_arg_decl text_args[] = {
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
    { "subject", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Subject." },
    { "body", MK_ARG_TEXT, 0, "Text." },
};
static const struct mk_arg_decl host_args[] = {
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
};
static const struct mk_arg_decl welcome_results[] = {
    { "subject", MK_ARG_TEXT, 0, "Subject." },
    { "body", MK_ARG_TEXT, 0, "Text." },
};
static const struct mk_arg_decl show_results[] = {
    { "subject", MK_ARG_TEXT, 0, "Subject." },
    { "body", MK_ARG_TEXT, 0, "Text." },
    { "set", MK_ARG_TEXT, 0, "When it was set." },
};
static const struct mk_cmd_decl commands[] = {
    { "announce.online",
      "Send a message to everybody who is online",
      "POST /announcements",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(text_args),
      { NULL, 0, 0 },
      cmd_online },
    { "motd.set",
      "Set the message of the day",
      "PUT /motd",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(text_args),
      { NULL, 0, 0 },
      cmd_motd_set },
    { "motd.update",
      "Change the text of the message of the day",
      "PATCH /motd",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(text_args),
      { NULL, 0, 0 },
      cmd_motd_update },
    { "motd.delete",
      "Delete the message of the day",
      "DELETE /motd",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(host_args),
      { NULL, 0, 0 },
      cmd_motd_delete },
    { "motd.show", "Show the message of the day", "GET /motd", "", MK_CMD_READ, 0, MK_TABLE(host_args),
      MK_TABLE(show_results), cmd_motd_show },
    { "welcome.set",
      "Set what an account is told at its first login",
      "PUT /welcome",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(text_args),
      { NULL, 0, 0 },
      welcome_cmd_set },
    { "welcome.delete",
      "Delete the welcome message",
      "DELETE /welcome",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(host_args),
      { NULL, 0, 0 },
      welcome_cmd_delete },
    { "welcome.show", "Show the welcome message", "GET /welcome", "", MK_CMD_READ, 0, MK_TABLE(host_args),
      MK_TABLE(welcome_results), welcome_cmd_show },
};
static const struct mk_xep_decl xeps[] = {
    { "0133", "1.3.1", "partial", "Announcements, message of the day, welcome message, under names of our own." },
};

MK_PLUGIN(announce, .version = "1.0", .summary = "Announcements, the message of the day, a welcome",
          .inst_size = sizeof(struct announce), .needs = MK_TABLE(needs), .collections = MK_TABLE(collections),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .commands = MK_TABLE(commands), .xeps = MK_TABLE(xeps));
