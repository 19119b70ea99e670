/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of accounts that are not as the others, and of the last login of each; what the plugin's parts share. */
#ifndef ACCOUNTS_STANDING_H
#define ACCOUNTS_STANDING_H

#include <meerkat/accounts.h>
#include <meerkat/plugin.h>

enum { BANNED_STORE, BANNED_REFUSE };

struct accounts {
    int64_t banned_messages;
    struct mk_texts operator_commands;
    const struct mk_coll *standings, *logins;
};

/* All zero: an account as the others.  Times are us since 1970. */
struct standing {
    bool disabled;
    bool is_banned;
    int64_t banned, until; /* UNTIL 0: for good; a ban that has ended is none */
    const char *reason;    /* lent, NULL if none */
    uint32_t role;         /* mk_role */
};

enum {
    STANDING_OWNER,
    STANDING_HOST,
    STANDING_USERNAME,
    STANDING_DISABLED,
    STANDING_BANNED,
    STANDING_UNTIL,
    STANDING_REASON,
    STANDING_ROLE,
    STANDING_COUNT
};
enum { LOGIN_OWNER, LOGIN_TIME, LOGIN_ADDRESS, LOGIN_COUNT };
extern const struct mk_col_decl standing_cols[STANDING_COUNT], login_cols[LOGIN_COUNT];

void standing_read(struct mk_ctx *c, const struct mk_row *row, struct standing *out);
MK_SUSPENDS MK_MUST_CHECK int standing_get(struct mk_ctx *c, const struct mk_jid *account, struct standing *out);

/* In the account's turn. */
MK_SUSPENDS MK_MUST_CHECK int standing_put(struct mk_ctx *c, const struct standing *s);

/* All of the turn's host, sorted by local part; those from FIRST to LAST if these are not NULL. */
MK_SUSPENDS MK_MUST_CHECK int standings_scan(struct mk_ctx *c, const char *first, const char *last,
                                             const struct mk_rows **rows);

uint32_t standing_state(const struct standing *s);                     /* mk_account_state */
const char *standing_name(uint32_t state);                             /* "enabled", "disabled", "banned" */
const char *role_name(uint32_t role);                                  /* "user", "operator", "admin" */
int role_named(const char *name);                                      /* -1 if none is */
const char *standing_text(struct mk_ctx *c, const struct standing *s); /* what its user is told */

/* What is kept of it in memory changes, and its sessions end unless it is enabled.  In the account's turn. */
void standing_apply(struct mk_ctx *c, const struct standing *s);

MK_SUSPENDS MK_MUST_CHECK int role_of(struct mk_ctx *c, const struct mk_jid *who, uint32_t *role);
MK_SUSPENDS MK_MUST_CHECK int account_info(struct mk_ctx *c, const struct mk_jid *account,
                                           struct mk_account_info *info);
MK_SUSPENDS MK_MUST_CHECK int admins_list(struct mk_ctx *c, const struct mk_jid *const **jids, uint32_t *count);

enum { COMMAND_COUNT = 8 };
extern const struct mk_cmd_decl account_commands[COMMAND_COUNT];

#endif
