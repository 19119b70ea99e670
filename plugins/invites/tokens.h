/* SPDX-License-Identifier: Apache-2.0 */
/* Invitations in their collection; what the parts of the plugin share. */
#ifndef INVITES_TOKENS_H
#define INVITES_TOKENS_H

#include <meerkat/accounts.h>
#include <meerkat/plugin.h>
#include <meerkat/roster.h>

#define NS_PARS "urn:xmpp:pars:0"

struct invites {
    bool users_invite, users_create_accounts;
    int64_t ttl, max_per_account;
    const char *landing_url;
    const struct mk_accounts *accounts; /* NULL: only option `admins` says who may create accounts */
    const struct mk_roster *roster;     /* NULL: nobody becomes a contact */
    const struct mk_coll *invites;
};

enum {
    COL_HOST,
    COL_TOKEN,
    COL_INVITER,
    COL_USERNAME,
    COL_ROSTER,
    COL_ACCOUNT,
    COL_USES,
    COL_USED,
    COL_CREATED,
    COL_EXPIRES,
    COL_COUNT
};
extern const struct mk_col_decl invite_cols[COL_COUNT];

/* Indexes of the collection, as mk_scan counts them. */
enum { BY_INVITER = 1, BY_USERNAME = 2 };

/* Texts are lent for the turn. */
struct invite {
    const char *token;
    const char *inviter;  /* bare JID, "" if nobody of the host in particular */
    const char *username; /* the only name that it is for, "" if any */
    bool roster;          /* inviter and invited become contacts */
    bool account;         /* it may make an account */
    int64_t uses, used;
    int64_t created, expires; /* us since 1970; EXPIRES 0: never */
};

void invite_read(const struct mk_row *row, struct invite *out);

/* Makes a token, stores I with it, and fills in TOKEN, CREATED and, unless set, EXPIRES. */
MK_SUSPENDS MK_MUST_CHECK int invite_create(struct mk_ctx *c, struct invite *i);
MK_SUSPENDS MK_MUST_CHECK int invite_get(struct mk_ctx *c, const char *token, struct invite *out);
MK_SUSPENDS MK_MUST_CHECK int invite_delete(struct mk_ctx *c, const char *token);

/* Counts one use: MK_E_LIMIT if there is none left, MK_E_NOTFOUND. */
MK_SUSPENDS MK_MUST_CHECK int invite_use(struct mk_ctx *c, const char *token);
MK_SUSPENDS MK_MUST_CHECK int invite_unuse(struct mk_ctx *c, const char *token);
static inline bool invite_is_good(const struct invite *i) {
    return i->used < i->uses;
}

/* Rows of the turn's host, by index 0 and KEY NULL all of them. */
MK_SUSPENDS MK_MUST_CHECK int invites_scan(struct mk_ctx *c, uint32_t index, const char *key,
                                           const struct mk_rows **rows);

/* "xmpp:..." for a client, and the page, NULL if there is none. */
const char *invite_uri(struct mk_ctx *c, const struct invite *i);
const char *invite_page(struct mk_ctx *c, const struct invite *i);

/* adhoc.c, preauth.c, commands.c */
struct mk_adhoc_ops;
struct mk_invites_ops;
extern const struct mk_adhoc_ops invites_adhoc;
extern const struct mk_invites_ops invites_for_registration;
MK_SUSPENDS int on_preauth(struct mk_ctx *c, const struct mk_stanza *iq);
MK_SUSPENDS enum mk_flow on_subscription(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum { INVITE_COMMANDS = 3 };
extern const struct mk_cmd_decl invite_commands[INVITE_COMMANDS];

#endif
