/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef ANNOUNCE_ANNOUNCE_H
#define ANNOUNCE_ANNOUNCE_H

#include <meerkat/accounts.h>
#include <meerkat/plugin.h>

struct announce {
    const struct mk_coll *motd, *seen, *welcome, *newcomers;
    const struct mk_accounts *accounts; /* NULL: only option `admins` says who may */
};

/* A message from the host. */
MK_MUST_CHECK int announce_build(struct mk_ctx *c, const char *id, const char *subject, const char *body,
                                 const struct mk_stanza **out);

/* welcome.c: what an account is told when it logs in for the first time */
MK_SUSPENDS enum mk_flow welcome_on_account_created(struct mk_ctx *c, struct mk_ev_account *ev);
MK_SUSPENDS enum mk_flow welcome_on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev);
MK_SUSPENDS void welcome_greet(struct mk_ctx *c, struct mk_session *session);
MK_SUSPENDS int welcome_cmd_set(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result);
MK_SUSPENDS int welcome_cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result);
MK_SUSPENDS int welcome_cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result);

enum { WELCOME_HOST, WELCOME_SUBJECT, WELCOME_BODY, WELCOME_COUNT };
enum { NEWCOMER_OWNER, NEWCOMER_SINCE, NEWCOMER_COUNT };
extern const struct mk_col_decl welcome_cols[WELCOME_COUNT], newcomer_cols[NEWCOMER_COUNT];

#endif
