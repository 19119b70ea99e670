/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef REGISTER_REGISTER_H
#define REGISTER_REGISTER_H

#include <meerkat/accounts.h>
#include <meerkat/form.h>
#include <meerkat/invite.h>
#include <meerkat/plugin.h>

#define NS "jabber:iq:register"

enum { CAPTCHA_NONE, CAPTCHA_QUESTION, CAPTCHA_IMAGE, CAPTCHA_BOTH };

struct registration {
    bool open, allow_plain, allow_password_change, allow_removal, approval;
    int64_t min_password, min_entropy, registration_timeout, registrations, captcha;
    struct mk_texts reserved, networks, questions, registration_watchers;
    const char *instructions, *url;
    const struct mk_coll *addresses, *waiting;
    const struct mk_accounts *accounts; /* NULL: only option `admins` says who is told */
    const struct mk_invites *invites;   /* NULL: nobody is invited */
};

static inline struct mk_view view_of(const char *text) {
    return (struct mk_view){ text, __builtin_strlen(text) };
}

/* ---- challenge.c: proof that a human asks (XEP-0158) ---- */

/* Begins a challenge for the stream, in place of an earlier one, and writes its fields into the form. */
void challenge_put(struct mk_ctx *c, struct mk_stream *st, struct mk_out *form, const char *iq_id);

/* The image that goes beside the form, if there is one (XEP-0231). */
void challenge_put_data(struct mk_ctx *c, struct mk_stream *st, struct mk_out *query);

/* Whether the form FORM answers it; each has one try.  *WHY is what to say if not. */
bool challenge_met(struct mk_ctx *c, struct mk_stream *st, const struct mk_elem *form, const char **why);

int challenge_check(const struct registration *me, struct mk_err *err);

/* ---- waiting.c: accounts that an administrator has to approve, and who is told of new ones ---- */

enum { WAITING_OWNER, WAITING_HOST, WAITING_SINCE, WAITING_ADDRESS, WAITING_COUNT };
extern const struct mk_col_decl waiting_cols[WAITING_COUNT];

/* Before the account is made.  MK_E_CONFLICT: somebody is registering it at this moment. */
MK_SUSPENDS MK_MUST_CHECK int waiting_begin(struct mk_ctx *c, const struct mk_jid *account, const char *address);
MK_SUSPENDS void waiting_end(struct mk_ctx *c, const struct mk_jid *account);

MK_SUSPENDS enum mk_flow waiting_on_login(struct mk_ctx *c, struct mk_ev_login *ev);
MK_SUSPENDS enum mk_flow waiting_on_listed(struct mk_ctx *c, struct mk_ev_accounts *ev);
MK_SUSPENDS enum mk_flow waiting_on_removed(struct mk_ctx *c, struct mk_ev_account *ev);

/* Tells option registration_watchers, and the administrators if they have to approve. */
MK_SUSPENDS void tell_registered(struct mk_ctx *c, const struct mk_jid *account, const char *address, bool waits);

enum { WAITING_COMMANDS = 3 };
extern const struct mk_cmd_decl waiting_commands[WAITING_COMMANDS];

#endif
