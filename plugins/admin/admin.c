/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0133: administration under the names that clients know.  What is done is done by the operator's commands. */
#include "services.h"
#include <string.h>

#define NODE(name) NS_ADMIN "#" name
#define FORM(name, title, command, form, run)                                                                          \
    { { NODE(name), (title), MK_ADHOC_FORM, 0 }, (command), (form), (run) }
#define PLAIN(name, title, command, run)                                                                               \
    { { NODE(name), (title), 0, 0 }, (command), NULL, (run) }

/* clang-format off */
const struct service services[] = {
    FORM("add-user", "Add a User", "users.add", form_add_user, run_add_user),
    FORM("delete-user", "Delete a User", "users.del", form_accounts, run_for_accounts),
    FORM("disable-user", "Disable a User", "users.disable", form_accounts, run_for_accounts),
    FORM("reenable-user", "Re-Enable a User", "users.enable", form_accounts, run_for_accounts),
    FORM("end-user-session", "End User Session", "sessions.kick", form_accounts, run_for_accounts),
    FORM("get-user-password", "Get User Password", "users.password", form_account, run_get_password),
    FORM("change-user-password", "Change User Password", "users.password", form_password, run_password),
    FORM("get-user-roster", "Get User Roster", "roster.show", form_accounts, run_roster),
    FORM("get-user-lastlogin", "Get User Last Login Time", "users.info", form_accounts, run_last_login),
    FORM("user-stats", "Get User Statistics", "sessions.list", form_account, run_stats),
    FORM("edit-blacklist", "Edit Blacklist", "access.set", form_access, run_access),
    FORM("edit-whitelist", "Edit Whitelist", "access.set", form_access, run_access),
    PLAIN("get-registered-users-num", "Get Number of Registered Users", "users.count", run_count),
    PLAIN("get-disabled-users-num", "Get Number of Disabled Users", "users.restricted", run_count),
    PLAIN("get-online-users-num", "Get Number of Online Users", "sessions.list", run_count),
    PLAIN("get-active-users-num", "Get Number of Active Users", "sessions.list", run_count),
    PLAIN("get-idle-users-num", "Get Number of Idle Users", "sessions.list", run_count),
    FORM("get-registered-users-list", "Get List of Registered Users", "users.list", form_list, run_list),
    FORM("get-disabled-users-list", "Get List of Disabled Users", "users.restricted", form_list, run_list),
    FORM("get-online-users-list", "Get List of Online Users", "sessions.list", form_list, run_list),
    FORM("get-active-users", "Get List of Active Users", "sessions.list", form_list, run_list),
    FORM("get-idle-users", "Get List of Idle Users", "sessions.list", form_list, run_list),
    FORM("announce", "Send Announcement to Online Users", "announce.online", form_announce, run_announce),
    FORM("set-motd", "Set Message of the Day", "motd.set", form_motd, run_motd),
    FORM("edit-motd", "Edit Message of the Day", "motd.update", form_edit_motd, run_motd),
    PLAIN("delete-motd", "Delete Message of the Day", "motd.delete", run_simple),
    FORM("set-welcome", "Set Welcome Message", "welcome.set", form_welcome, run_welcome),
    PLAIN("delete-welcome", "Delete Welcome Message", "welcome.delete", run_simple),
    FORM("edit-admin", "Edit Admin List", "users.role", form_admins, run_admins),
    FORM("restart", "Restart Service", "stop", form_stop, run_stop),
    FORM("shutdown", "Shut Down Service", "stop", form_stop, run_stop),
};
/* clang-format on */
const uint32_t service_count = sizeof services / sizeof services[0];

int kind_of(const struct mk_adhoc_request *r) {
    static const char *const words[] = {
        [REGISTERED] = "registered", [DISABLED] = "disabled", [ONLINE] = "online", [ACTIVE] = "active", [IDLE] = "idle"
    };
    const char *name = strstr(r->command->node, "#get-") + strlen("#get-");
    for (int i = REGISTERED; i < IDLE; i++)
        if (strncmp(name, words[i], strlen(words[i])) == 0)
            return i;
    return IDLE;
}

static int at(struct mk_ctx *c, uint32_t i, const struct mk_adhoc_command **command) {
    (void)c;
    *command = i < service_count ? &services[i].row : NULL;
    return i < service_count ? MK_OK : MK_E_NOTFOUND;
}

MK_SUSPENDS static int may(struct mk_ctx *c, const struct mk_jid *who, const struct mk_adhoc_command *command) {
    return may_run(c, who, ((const struct service *)command)->command, NULL) ? MK_OK : MK_E_DENIED;
}

MK_SUSPENDS static int form(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return service_of(r)->form(c, r);
}

MK_SUSPENDS static int run(struct mk_ctx *c, struct mk_adhoc_request *r) {
    return service_of(r)->run(c, r);
}

static const struct mk_adhoc_ops ops = { .size = sizeof ops, .at = at, .may = may, .form = form, .run = run };
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_adhoc, 1, 0, &ops, "The commands of XEP-0133."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct admin, accounts, mk_accounts, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_opt_decl options[] = {
    MK_OPT_DURATION(struct admin, idle_after, "10m", 1000, 86400000, MK_OPT_LIVE,
                    "An account is idle when nothing came from its clients for so long."),
    MK_OPT_INT(struct admin, max_list, "1000", 1, 10000, MK_OPT_LIVE,
               "Most accounts in one list, whatever the form asks for."),
};
static const struct mk_xep_decl xeps[] = {
    { "0133", "1.3.1", "complete", "With the plugins that have the operator's commands." },
};

MK_PLUGIN(admin, .version = "1.0", .summary = "Service administration from within a client (XEP-0133)",
          .inst_size = sizeof(struct admin), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .xeps = MK_TABLE(xeps));
