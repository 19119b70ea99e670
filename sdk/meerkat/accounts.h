/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts.h - interface `mk_accounts` 1.0: who may log in, and who may run the operator's commands.  What passwords are
 * is auth.h's business.
 */
#ifndef MEERKAT_ACCOUNTS_H
#define MEERKAT_ACCOUNTS_H

#include <meerkat/command.h>
#include <meerkat/service.h>

MK_BEGIN_DECLS

enum mk_account_state { MK_ACCOUNT_ENABLED, MK_ACCOUNT_DISABLED, MK_ACCOUNT_BANNED };

/* What somebody may do on the turn's host: each role includes those before it. */
enum mk_role {
    MK_ROLE_USER,
    MK_ROLE_OPERATOR, /* the commands that the provider is configured to let them */
    MK_ROLE_ADMIN     /* all; those of option `admins` of the host always are */
};

/* Times are microseconds since 1970, 0 if there is none.  Texts are lent for the turn. */
struct mk_account_info {
    uint32_t state, role;
    int64_t since, until; /* of a ban; UNTIL 0: for good */
    int64_t login;        /* when a session of it was last opened */
    const char *reason;   /* of a ban, "" if none was given */
    const char *address;  /* of that session's client, without port; "" if not known */
};

/* All may suspend, in any turn. */
struct mk_accounts_ops {
    uint32_t size, zero;
    /* 0, whether there is such an account or not. */
    int (*info)(struct mk_ctx *c, const struct mk_jid *account, struct mk_account_info *info);
    /* The role of WHO, any form and any domain, on the turn's host. */
    int (*role)(struct mk_ctx *c, const struct mk_jid *who, uint32_t *role);
    /* 0 if WHO may run COMMAND on TARGET, an account of the turn's host or NULL; MK_E_DENIED. */
    int (*may)(struct mk_ctx *c, const struct mk_jid *who, const struct mk_cmd_decl *command,
               const struct mk_jid *target);
    /* The administrators of the turn's host: bare JIDs, each once. */
    int (*admins)(struct mk_ctx *c, const struct mk_jid *const **jids, uint32_t *count);
};
struct mk_accounts {
    struct mk_svc svc;
};

MK_CALL2(mk_accounts, info, int, MK_E_UNSUPPORTED, const struct mk_jid *, account, struct mk_account_info *, info)
MK_CALL2(mk_accounts, role, int, MK_E_UNSUPPORTED, const struct mk_jid *, who, uint32_t *, role)
MK_CALL3(mk_accounts, may, int, MK_E_UNSUPPORTED, const struct mk_jid *, who, const struct mk_cmd_decl *, command,
         const struct mk_jid *, target)
MK_CALL2(mk_accounts, admins, int, MK_E_UNSUPPORTED, const struct mk_jid *const **, jids, uint32_t *, count)

/* The same for who can do without the interface: S may be NULL, and then only option `admins` counts. */
static inline bool mk_accounts_allow(struct mk_ctx *c, const struct mk_accounts *s, const struct mk_jid *who,
                                     const struct mk_cmd_decl *command, const struct mk_jid *target) {
    return s ? mk_accounts_may(c, s, who, command, target) == MK_OK : mk_is_admin(c, who);
}
static inline uint32_t mk_accounts_role_of(struct mk_ctx *c, const struct mk_accounts *s, const struct mk_jid *who) {
    uint32_t role = MK_ROLE_USER;
    if (mk_is_admin(c, who))
        return MK_ROLE_ADMIN;
    return s && mk_accounts_role(c, s, who, &role) == MK_OK ? role : (uint32_t)MK_ROLE_USER;
}

MK_END_DECLS

#endif
