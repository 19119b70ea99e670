/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts that may not log in, accounts that may run the operator's commands, and the last login of each. */
#include "standing.h"
#include <string.h>

/* Of an account in memory, so that a message for it is a look at memory. */
struct memo {
    uint32_t state;
    int64_t until; /* of a ban; 0: for good */
};
enum { SLOT_ACCOUNT };
enum { M_REFUSED };

/* ---- state ------------------------------------------------------------------------------------------------------------- */

static void memo_set(struct mk_ctx *c, const struct standing *s) {
    struct memo *m = mk_self_slot(c, SLOT_ACCOUNT);
    *m = (struct memo){ standing_state(s), s->until };
}

void standing_apply(struct mk_ctx *c, const struct standing *s) {
    memo_set(c, s);
    if (standing_state(s) == MK_ACCOUNT_ENABLED)
        return;
    const char *cond = s->is_banned ? "policy-violation" : "not-authorized", *text = standing_text(c, s);
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;)
        mk_session_close(c, x, cond, text);
}

MK_SUSPENDS static enum mk_flow on_loaded(struct mk_ctx *c, struct mk_ev_account *ev) {
    struct standing s;
    if (standing_get(c, ev->account, &s) != MK_OK)
        return MK_STOP;
    memo_set(c, &s);
    return MK_NEXT;
}

MK_SUSPENDS static enum mk_flow on_login(struct mk_ctx *c, struct mk_ev_login *ev) {
    struct standing s;
    if (standing_get(c, ev->account, &s) != MK_OK) {
        ev->condition = "temporary-auth-failure";
        return MK_STOP;
    }
    if (standing_state(&s) == MK_ACCOUNT_ENABLED)
        return MK_NEXT;
    ev->condition = "account-disabled";
    ev->text = standing_text(c, &s);
    mk_count(c, M_REFUSED, 1);
    return MK_STOP;
}

/* "203.0.113.7:50123" without the port. */
static struct mk_view host_of(const char *address) {
    const char *port = strrchr(address, ':');
    return (struct mk_view){ address, port ? (size_t)(port - address) : strlen(address) };
}

/* Who was let in just before the account was disabled is here now. */
MK_SUSPENDS static enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    const struct accounts *me = mk_inst(c);
    const struct mk_value row[LOGIN_COUNT] = { mk_v_jid(mk_self(c)), mk_v_time(mk_now(c)),
                                               mk_v_view(host_of(mk_session_address(ev->session))) };
    struct standing s;
    if (mk_put_later(c, me->logins, MK_UPSERT, row, NULL) != MK_OK)
        mk_log(c, MK_WARNING, "it is not noted when %s logged in", mk_jid_text(mk_self(c)));
    if (standing_get(c, mk_self(c), &s) == MK_OK)
        standing_apply(c, &s);
    return MK_NEXT;
}

/* ---- messages to the banned ------------------------------------------------------------------------------------------- */

static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct accounts *me = mk_inst(c);
    const struct memo *m = mk_self_slot(c, SLOT_ACCOUNT);
    if (m->state != MK_ACCOUNT_BANNED || me->banned_messages != BANNED_REFUSE || (m->until && m->until <= mk_now(c)))
        return MK_NEXT;
    if (mk_refuse(c, ev->stanza, "service-unavailable", NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    return MK_STOP;
}

/* ---- lists and removal ------------------------------------------------------------------------------------------------ */

/* Both are sorted by octets: one walk along both. */
MK_SUSPENDS static enum mk_flow on_listed(struct mk_ctx *c, struct mk_ev_accounts *ev) {
    const struct mk_rows *rows;
    uint32_t at = 0;
    if (!ev->count)
        return MK_NEXT;
    if (standings_scan(c, ev->names[0], ev->names[ev->count - 1], &rows) != MK_OK) {
        for (uint32_t i = 0; i < ev->count; i++)
            ev->states[i] = "unknown";
        return MK_NEXT;
    }
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        const char *name = mk_row_text(row, STANDING_USERNAME);
        struct standing s;
        while (at < ev->count && strcmp(ev->names[at], name) < 0)
            at++;
        if (at == ev->count)
            break;
        standing_read(c, row, &s);
        if (strcmp(ev->names[at], name) == 0 && standing_state(&s) != MK_ACCOUNT_ENABLED)
            ev->states[at] = standing_name(standing_state(&s));
    }
    return MK_NEXT;
}

MK_SUSPENDS static enum mk_flow on_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct accounts *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(ev->account);
    int standing = mk_del(c, me->standings, &key), login = mk_del(c, me->logins, &key);
    memo_set(c, &(struct standing){ .role = MK_ROLE_USER });
    if ((standing != MK_OK && standing != MK_E_NOTFOUND) || (login != MK_OK && login != MK_E_NOTFOUND))
        mk_log(c, MK_ERROR, "the state or the last login of a removed account is still stored");
    return MK_NEXT;
}

/* ---- who may ---------------------------------------------------------------------------------------------------------- */

/* Whether PATTERN is the name of the command, or "users.*" of what is below that. */
static bool covers(const char *pattern, const char *name) {
    size_t len = strlen(pattern);
    if (len >= 2 && strcmp(pattern + len - 2, ".*") == 0)
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

/* An operator has no say over those who have a role themselves. */
MK_SUSPENDS static int may(struct mk_ctx *c, const struct mk_jid *who, const struct mk_cmd_decl *command,
                           const struct mk_jid *target) {
    const struct accounts *me = mk_inst(c);
    uint32_t role, other = MK_ROLE_USER;
    int rc = role_of(c, who, &role);
    if (rc != MK_OK || role != MK_ROLE_OPERATOR)
        return rc == MK_OK && role == MK_ROLE_USER ? MK_E_DENIED : rc;
    bool covered = false;
    for (uint32_t i = 0; i < me->operator_commands.count; i++)
        covered |= covers(me->operator_commands.items[i], command->name);
    if (covered && target)
        rc = role_of(c, target, &other);
    return rc == MK_OK && (!covered || other != MK_ROLE_USER) ? MK_E_DENIED : rc;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static const char *const banned_messages[] = { [BANNED_STORE] = "store", [BANNED_REFUSE] = "refuse", NULL };
static const struct mk_opt_decl options[] = {
    MK_OPT_ENUM(struct accounts, banned_messages, "refuse", banned_messages, MK_OPT_LIVE,
                "What becomes of messages to a banned account: \"refuse\" tells the sender that nobody takes them, "
                "\"store\" keeps them as for anybody who is away."),
    MK_OPT_TEXTS(struct accounts, operator_commands,
                 "sessions.list, sessions.count, sessions.kick, users.list, users.exists, users.info, users.ban, "
                 "users.unban, users.disable, users.enable, users.restricted, announce.online, motd.*",
                 MK_OPT_LIVE,
                 "Commands that accounts with role \"operator\" may run; \"motd.*\" is all that begin with \"motd.\"."),
};
static const struct mk_index_decl indexes[] = {
    { "by_host", "host", "username" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct accounts, standings, "account_standing", 1, 0, 0, standing_cols, MK_TABLE(indexes),
                  "Accounts that are disabled, banned, or have a role."),
    MK_COLLECTION(struct accounts, logins, "account_login", 1, 0, 0, login_cols, MK_NO_INDEX,
                  "The last login of each account."),
};
static const struct mk_accounts_ops ops = {
    .size = sizeof ops, .info = account_info, .role = role_of, .may = may, .admins = admins_list
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_accounts, 1, 0, &ops, "Who may log in, and who may run the operator's commands."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(login, 50, MK_SERIAL, on_login),
    MK_ON(account_loaded, MK_ORDER_FILTER, MK_SERIAL, on_loaded),
    MK_ON(session_opened, MK_ORDER_SESSION, MK_SERIAL, on_opened),
    MK_ON(user_receive_message, MK_ORDER_FILTER, MK_INLINE, on_message),
    MK_ON(accounts_listed, 50, MK_SERIAL, on_listed),
    MK_ON(account_removed, 50, MK_SERIAL, on_removed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_ACCOUNT] = { "state", MK_ON_ACCOUNT, sizeof(struct memo), NULL, NULL },
};
static const struct mk_metric_decl metrics[] = {
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "logins", "Logins to accounts that are disabled or banned." },
};

MK_PLUGIN(accounts, .version = "1.0", .summary = "Disabled and banned accounts, roles, the last login",
          .inst_size = sizeof(struct accounts), .options = MK_TABLE(options), .collections = MK_TABLE(collections),
          .provides = MK_TABLE(provides), .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots),
          .metrics = MK_TABLE(metrics), .commands = { account_commands, COMMAND_COUNT, sizeof(struct mk_cmd_decl) });
