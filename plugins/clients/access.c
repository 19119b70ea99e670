/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0494: an account's owner sees what has access, and takes it away; the operator does the same by command. */
#include "clients.h"
#include <string.h>

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static bool is_of(struct mk_ctx *c, const struct mk_session *s, const char *id) {
    const struct mk_agent *agent = mk_session_agent(s);
    return agent && *agent->id && strcmp(client_id(c, mk_self(c), agent), id) == 0;
}

static bool has_session(struct mk_ctx *c, const char *id) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (is_of(c, s, id))
            return true;
    return false;
}

static void end_sessions(struct mk_ctx *c, const char *id) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (is_of(c, s, id))
            mk_session_close(c, s, "not-authorized", "The access of this client was revoked.");
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int read_all(struct mk_ctx *c, const struct mk_rows **rows) {
    const struct clients *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    return mk_scan(c, me->clients, MK_SCAN(.partition = &owner), rows);
}

static bool has_token(struct mk_ctx *c, const struct client *client) {
    return (client->fresh.text && client->fresh.expires > mk_now(c)) ||
           (client->current.text && client->current.expires > mk_now(c));
}

static void put_client(struct mk_ctx *c, struct mk_out *o, const struct client *client) {
    mk_open(o, "client", NULL);
    mk_put(o, "connected", has_session(c, client->id) ? "true" : "false");
    mk_put(o, "id", client->id);
    mk_put(o, "type", "session");
    mk_leaf(o, "first-seen", NULL, mk_time_text(c, client->first_seen));
    mk_leaf(o, "last-seen", NULL, mk_time_text(c, client->last_seen));
    mk_open(o, "auth", NULL);
    if (client->methods & BY_PASSWORD)
        mk_leaf(o, "password", NULL, NULL);
    if (has_token(c, client))
        mk_leaf(o, "fast", NULL, NULL);
    mk_close(o);
    mk_open(o, "permission", NULL);
    mk_put(o, "status", "unrestricted");
    mk_close(o);
    mk_open(o, "user-agent", NULL);
    if (*client->software)
        mk_leaf(o, "software", NULL, client->software);
    if (*client->device)
        mk_leaf(o, "device", NULL, client->device);
    mk_close(o);
    mk_close(o);
}

int access_list(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_rows *rows;
    int rc = read_all(c, &rows);
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "clients", NS_CAM);
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        struct client client;
        client_read(mk_rows_at(rows, i), &client);
        put_client(c, o, &client);
    }
    return mk_send(o);
}

/* ---- revoke ------------------------------------------------------------------------------------------------------ */

/* Its tokens and sessions.  *PASSWORD: it knows the password perhaps, and stays in the list.  MK_E_NOTFOUND. */
MK_SUSPENDS static int revoke(struct mk_ctx *c, const char *id, bool *password) {
    const struct clients *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_text(id) };
    struct client client;
    int rc = client_get(c, mk_self(c), id, &client);
    if (rc == MK_OK && !client.version)
        rc = MK_E_NOTFOUND;
    if (rc != MK_OK)
        return rc;
    *password = client.methods & BY_PASSWORD;
    client.fresh = client.current = (struct token){ NULL, NULL, 0 };
    rc = *password ? client_put(c, mk_self(c), &client) : mk_del(c, me->clients, key);
    if (rc != MK_OK)
        return rc;
    end_sessions(c, id);
    mk_count(c, M_REVOKED, 1);
    return MK_OK;
}

int access_revoke(struct mk_ctx *c, const struct mk_stanza *iq) {
    const char *id = mk_attr(mk_child(iq, "revoke", NS_CAM), "id");
    bool password;
    if (!id)
        return MK_E_INVALID;
    int rc = revoke(c, id, &password);
    if (rc != MK_OK || !password)
        return rc != MK_OK ? rc : mk_send(mk_reply(c, iq));
    struct mk_out *o = mk_reply_error(c, iq, "service-unavailable");
    mk_leaf(o, "password-reset-required", NS_CAM, NULL);
    return mk_send(o);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static const char *methods_text(struct mk_ctx *c, const struct client *client) {
    bool password = client->methods & BY_PASSWORD, token = has_token(c, client);
    return password && token ? "password, token" : password ? "password" : token ? "token" : "";
}

MK_SUSPENDS static int cmd_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_rows *rows;
    (void)args;
    int rc = read_all(c, &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The clients can't be read: %s.", mk_strerror(rc));
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        struct client client;
        client_read(mk_rows_at(rows, i), &client);
        mk_result_next(result);
        mk_result_text(result, "id", client.id);
        mk_result_text(result, "software", client.software);
        mk_result_text(result, "device", client.device);
        mk_result_text(result, "first_seen", mk_time_text(c, client.first_seen));
        mk_result_text(result, "last_seen", mk_time_text(c, client.last_seen));
        mk_result_text(result, "methods", methods_text(c, &client));
        mk_result_bool(result, "connected", has_session(c, client.id));
    }
    return MK_OK;
}

MK_SUSPENDS static int cmd_revoke(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *one = mk_arg_text(args, "id");
    const struct mk_rows *rows;
    bool password, any = false;
    int64_t count = 0;
    int rc = read_all(c, &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const char *id = mk_row_text(mk_rows_at(rows, i), COL_ID);
        if (one && strcmp(one, id) != 0)
            continue;
        rc = revoke(c, id, &password);
        any |= rc == MK_OK && password;
        count++;
    }
    if (rc == MK_OK && one && !count)
        rc = MK_E_NOTFOUND;
    if (rc != MK_OK)
        return mk_result_error(result, rc, "Not revoked: %s.", mk_strerror(rc));
    mk_result_int(result, "revoked", count);
    mk_result_bool(result, "password", any);
    if (any)
        mk_result_say(result, "Who knows the password can log in again: change it.");
    return MK_OK;
}

static const struct mk_arg_decl list_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl list_results[] = {
    { "id", MK_ARG_TEXT, 0, "What the client is known by here." },
    { "software", MK_ARG_TEXT, 0, "What it calls itself." },
    { "device", MK_ARG_TEXT, 0, "What it calls its device." },
    { "first_seen", MK_ARG_TEXT, 0, "Its first login." },
    { "last_seen", MK_ARG_TEXT, 0, "Its last login." },
    { "methods", MK_ARG_TEXT, 0, "How it may log in: password, token." },
    { "connected", MK_ARG_BOOL, 0, "Whether it has a session." },
};
static const struct mk_arg_decl revoke_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "id", MK_ARG_TEXT, MK_ARG_OPTIONAL, "One of clients.list; without it all." },
};
static const struct mk_arg_decl revoke_results[] = {
    { "revoked", MK_ARG_INT, 0, "How many clients lost their tokens and sessions." },
    { "password", MK_ARG_BOOL, 0, "Whether one of them has logged in with the password and may do so again." },
};
const struct mk_cmd_decl access_commands[] = {
    { "clients.list", "List the clients that have logged in to an account", "GET /accounts/{account}/clients",
      "account", MK_CMD_READ, 0, MK_TABLE(list_args), MK_TABLE(list_results), cmd_list },
    { "clients.revoke", "End the sessions and tokens of an account's client", "DELETE /accounts/{account}/clients",
      "account", MK_CMD_WRITE, 0, MK_TABLE(revoke_args), MK_TABLE(revoke_results), cmd_revoke },
};
