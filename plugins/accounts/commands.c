/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator.  Those about one account run in its turn, where its row is read and written. */
#include "standing.h"
#include <meerkat/auth.h>
#include <stdlib.h>
#include <string.h>

static int failed(struct mk_result *result, int rc, const struct mk_jid *account) {
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "there is no account %s", mk_jid_text(account));
    return mk_result_error(result, rc, "%s: %s", mk_jid_text(account), mk_strerror(rc));
}

/* How the account stands; MK_E_NOTFOUND if there is none. */
MK_SUSPENDS static int read_self(struct mk_ctx *c, struct standing *s) {
    int rc = mk_account_exists(c, mk_self(c));
    return rc == MK_OK ? standing_get(c, mk_self(c), s) : rc;
}

MK_SUSPENDS static int change(struct mk_ctx *c, const struct standing *s, struct mk_result *result) {
    int rc = standing_put(c, s);
    if (rc != MK_OK)
        return failed(result, rc, mk_self(c));
    standing_apply(c, s);
    mk_log(c, MK_NOTICE, "is %s now, with role %s", standing_name(standing_state(s)), role_name(s->role));
    return MK_OK;
}

MK_SUSPENDS static int set_disabled(struct mk_ctx *c, struct mk_result *result, bool disabled) {
    struct standing s;
    int rc = read_self(c, &s);
    if (rc != MK_OK)
        return failed(result, rc, mk_self(c));
    s.disabled = disabled;
    return change(c, &s, result);
}

MK_SUSPENDS static int cmd_disable(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    return set_disabled(c, result, true);
}

MK_SUSPENDS static int cmd_enable(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    return set_disabled(c, result, false);
}

/* ---- bans -------------------------------------------------------------------------------------------------------------- */

/* "90s", "30m", "12h", "7d", "2w" in us, or -1. */
static int64_t read_duration(const char *text) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
    char *end;
    long long n = strtoll(text, &end, 10);
    if (end == text || n < 1 || n > 1000000 || !*end || end[1])
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].unit == *end)
            return n * units[i].seconds * 1000000;
    return -1;
}

/* When the ban ends, 0 for never; or -1 with the sentence in RESULT. */
static int64_t read_end(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *until = mk_arg_text(args, "until"), *duration = mk_arg_text(args, "duration");
    int64_t end = 0, length = duration ? read_duration(duration) : 0;
    const char *wrong = NULL;
    if (until && duration)
        wrong = "say either until or duration";
    else if (until && (mk_time_parse(until, &end) != MK_OK || end <= mk_now(c)))
        wrong = "until must be a time to come, such as 2030-01-31T12:00:00Z";
    else if (length < 0)
        wrong = "duration is a number with s, m, h, d or w, such as 7d";
    if (wrong) {
        mk_result_error(result, MK_E_INVALID, "%s", wrong);
        return -1;
    }
    return duration ? mk_now(c) + length : end;
}

MK_SUSPENDS static int cmd_ban(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct standing s;
    int64_t until = read_end(c, args, result);
    if (until < 0)
        return MK_E_INVALID;
    int rc = read_self(c, &s);
    if (rc != MK_OK)
        return failed(result, rc, mk_self(c));
    s.is_banned = true;
    s.banned = mk_now(c);
    s.until = until;
    s.reason = mk_arg_text(args, "reason");
    return change(c, &s, result);
}

MK_SUSPENDS static int cmd_unban(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct standing s;
    (void)args;
    int rc = read_self(c, &s);
    if (rc != MK_OK)
        return failed(result, rc, mk_self(c));
    if (!s.is_banned)
        return mk_result_error(result, MK_E_NOTFOUND, "%s is not banned", mk_jid_text(mk_self(c)));
    s.is_banned = false;
    return change(c, &s, result);
}

/* ---- roles ------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int cmd_role(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    int role = role_named(mk_arg_text(args, "role"));
    struct standing s;
    if (role < 0)
        return mk_result_error(result, MK_E_INVALID, "role must be user, operator or admin");
    int rc = read_self(c, &s);
    if (rc != MK_OK)
        return failed(result, rc, mk_self(c));
    s.role = (uint32_t)role;
    if (role != MK_ROLE_ADMIN && mk_is_admin(c, mk_self(c)))
        mk_result_say(result, "The configuration makes %s an administrator all the same.", mk_jid_text(mk_self(c)));
    return change(c, &s, result);
}

/* ---- showing ----------------------------------------------------------------------------------------------------------- */

static const char *time_or_none(struct mk_ctx *c, int64_t time) {
    return time ? mk_time_text(c, time) : "";
}

MK_SUSPENDS static int cmd_info(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct mk_account_info info;
    int64_t sessions = 0;
    (void)args;
    int rc = mk_account_exists(c, mk_self(c));
    if (rc == MK_OK)
        rc = account_info(c, mk_self(c), &info);
    if (rc != MK_OK)
        return failed(result, rc, mk_self(c));
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;)
        sessions++;
    mk_result_text(result, "account", mk_jid_text(mk_self(c)));
    mk_result_text(result, "state", standing_name(info.state));
    mk_result_text(result, "role", role_name(info.role));
    mk_result_text(result, "reason", info.reason);
    mk_result_text(result, "since", time_or_none(c, info.since));
    mk_result_text(result, "until", time_or_none(c, info.until));
    mk_result_int(result, "sessions", sessions);
    mk_result_text(result, "login", time_or_none(c, info.login));
    mk_result_text(result, "address", info.address);
    return MK_OK;
}

MK_SUSPENDS static int cmd_restricted(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_rows *rows;
    (void)args;
    int rc = standings_scan(c, NULL, NULL, &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "the accounts can't be read: %s", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        struct standing s;
        standing_read(c, mk_rows_at(rows, i), &s);
        if (standing_state(&s) == MK_ACCOUNT_ENABLED)
            continue;
        mk_result_text(result, "account", mk_jid_text(mk_row_jid(mk_rows_at(rows, i), STANDING_OWNER)));
        mk_result_text(result, "state", standing_name(standing_state(&s)));
        mk_result_text(result, "reason", s.reason ? s.reason : "");
        mk_result_text(result, "until", time_or_none(c, s.until));
        mk_result_next(result);
    }
    return MK_OK;
}

MK_SUSPENDS static int cmd_roles(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_rows *rows;
    const struct mk_jid *jid;
    (void)args;
    int rc = standings_scan(c, NULL, NULL, &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "the roles can't be read: %s", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (unsigned i = 0; (jid = mk_admin_at(c, i)) != NULL; i++, mk_result_next(result)) {
        mk_result_text(result, "account", mk_jid_text(jid));
        mk_result_text(result, "role", role_name(MK_ROLE_ADMIN));
        mk_result_bool(result, "configured", true);
    }
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        struct standing s;
        standing_read(c, mk_rows_at(rows, i), &s);
        jid = mk_row_jid(mk_rows_at(rows, i), STANDING_OWNER);
        if (s.role == MK_ROLE_USER || mk_is_admin(c, jid))
            continue;
        mk_result_text(result, "account", mk_jid_text(jid));
        mk_result_text(result, "role", role_name(s.role));
        mk_result_bool(result, "configured", false);
        mk_result_next(result);
    }
    return MK_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static const struct mk_arg_decl account_args[] = {
    { "account", MK_ARG_JID, 0, "Address of the account." },
};
static const struct mk_arg_decl ban_args[] = {
    { "account", MK_ARG_JID, 0, "Address of the account." },
    { "reason", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Text that its user is shown." },
    { "until", MK_ARG_TEXT, MK_ARG_OPTIONAL, "When it ends, such as 2030-01-31T12:00:00Z; else it is for good." },
    { "duration", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Or how long it lasts, such as 12h or 7d." },
};
static const struct mk_arg_decl role_args[] = {
    { "account", MK_ARG_JID, 0, "Address of the account." },
    { "role", MK_ARG_TEXT, 0, "user, operator or admin." },
};
static const struct mk_arg_decl info_results[] = {
    { "account", MK_ARG_TEXT, 0, "Address of the account." },
    { "state", MK_ARG_TEXT, 0, "enabled, disabled or banned." },
    { "role", MK_ARG_TEXT, 0, "user, operator or admin." },
    { "reason", MK_ARG_TEXT, 0, "Why it is banned." },
    { "since", MK_ARG_TEXT, 0, "When it was banned." },
    { "until", MK_ARG_TEXT, 0, "When the ban ends; empty: never." },
    { "sessions", MK_ARG_INT, 0, "Bound resources." },
    { "login", MK_ARG_TEXT, 0, "When a session was last opened." },
    { "address", MK_ARG_TEXT, 0, "From where." },
};
static const struct mk_arg_decl host_args[] = {
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host, if there are several." },
};
static const struct mk_arg_decl restricted_results[] = {
    { "account", MK_ARG_TEXT, 0, "Address of the account." },
    { "state", MK_ARG_TEXT, 0, "disabled or banned." },
    { "reason", MK_ARG_TEXT, 0, "Why it is banned." },
    { "until", MK_ARG_TEXT, 0, "When the ban ends; empty: never." },
};
static const struct mk_arg_decl roles_results[] = {
    { "account", MK_ARG_TEXT, 0, "Address of the account." },
    { "role", MK_ARG_TEXT, 0, "operator or admin." },
    { "configured", MK_ARG_BOOL, 0, "Whether the configuration says so." },
};
#define NONE                                                                                                           \
    { NULL, 0, 0 }
/* clang-format off */
const struct mk_cmd_decl account_commands[COMMAND_COUNT] = {
    { "users.disable", "Disable an account: nobody can log in to it", "POST /users/{account}/disable", "account",
      MK_CMD_WRITE, 0, MK_TABLE(account_args), NONE, cmd_disable },
    { "users.enable", "Enable an account that was disabled", "POST /users/{account}/enable", "account",
      MK_CMD_WRITE, 0, MK_TABLE(account_args), NONE, cmd_enable },
    { "users.ban", "Ban an account, for good or for a while", "PUT /users/{account}/ban", "account",
      MK_CMD_WRITE, 0, MK_TABLE(ban_args), NONE, cmd_ban },
    { "users.unban", "End the ban of an account", "DELETE /users/{account}/ban", "account",
      MK_CMD_WRITE, 0, MK_TABLE(account_args), NONE, cmd_unban },
    { "users.role", "Set what an account may do on its host", "PUT /users/{account}/role", "account",
      MK_CMD_WRITE, 0, MK_TABLE(role_args), NONE, cmd_role },
    { "users.info", "Show how an account stands", "GET /users/{account}/info", "account",
      MK_CMD_READ, 0, MK_TABLE(account_args), MK_TABLE(info_results), cmd_info },
    { "users.restricted", "List the accounts that are disabled or banned", "GET /restricted-users", "",
      MK_CMD_READ, 0, MK_TABLE(host_args), MK_TABLE(restricted_results), cmd_restricted },
    { "users.roles", "List the administrators and operators", "GET /roles", "",
      MK_CMD_READ, 0, MK_TABLE(host_args), MK_TABLE(roles_results), cmd_roles },
};
/* clang-format on */
