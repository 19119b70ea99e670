/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that strangers show: to make an account (XEP-0445), or to become a contact (XEP-0379). */
#include "tokens.h"
#include <meerkat/invite.h>
#include <stdlib.h>
#include <string.h>

/* On a stream that showed a good one: "EXPIRES TOKEN USERNAME". */
#define NOTE "invites.token"

/* ---- making an account ------------------------------------------------------------------------------------------------- */

struct note {
    int64_t expires;
    const char *token, *username;
};

static bool read_note(struct mk_ctx *c, const struct mk_stream *st, struct note *out) {
    const char *text = mk_stream_note(st, NOTE);
    char *end;
    if (!text)
        return false;
    out->expires = strtoll(text, &end, 10);
    size_t len = strcspn(end + 1, " ");
    out->token = mk_text_of(c, (struct mk_view){ end + 1, len });
    out->username = mk_printf(c, "%s", end + 1 + len + 1);
    return true;
}

MK_SUSPENDS int on_preauth(struct mk_ctx *c, const struct mk_stanza *iq) {
    const char *token = mk_attr(mk_child(iq, "preauth", NS_PARS), "token");
    struct mk_stream *st = mk_current_stream(c);
    struct invite i;
    if (mk_stanza_from(iq) || !st)
        return MK_E_UNAVAILABLE;
    if (!token)
        return MK_E_INVALID;
    int rc = invite_get(c, token, &i);
    if (rc == MK_OK && (!i.account || !invite_is_good(&i)))
        rc = MK_E_NOTFOUND;
    if (rc == MK_E_NOTFOUND)
        return mk_refuse(c, iq, "item-not-found", "The provided token is invalid or expired");
    if (rc != MK_OK)
        return rc;
    mk_stream_set_note(st, NOTE, mk_printf(c, "%lld %s %s", (long long)i.expires, i.token, i.username));
    return mk_send(mk_reply(c, iq));
}

static int op_shown(struct mk_ctx *c, struct mk_stream *st, const char **name) {
    struct note n;
    if (!read_note(c, st, &n))
        return MK_E_NOTFOUND;
    *name = *n.username ? n.username : NULL;
    return MK_OK;
}

MK_SUSPENDS static int op_check(struct mk_ctx *c, struct mk_stream *st, const struct mk_jid *account) {
    const char *name = mk_text_of(c, mk_jid_local(account));
    const struct mk_rows *rows;
    struct note n;
    bool shown = read_note(c, st, &n);
    if (shown && *n.username)
        return strcmp(n.username, name) == 0 ? MK_OK : MK_E_DENIED;
    int rc = invites_scan(c, BY_USERNAME, name, &rows);
    if (rc != MK_OK)
        return rc;
    for (size_t k = 0; k < mk_rows_count(rows); k++) {
        struct invite i;
        invite_read(mk_rows_at(rows, k), &i);
        if (invite_is_good(&i))
            return MK_E_CONFLICT;
    }
    return MK_OK;
}

/* A token that has ended since it was shown is good for who showed it; one that was revoked is not (XEP-0445, 4). */
MK_SUSPENDS static int op_take(struct mk_ctx *c, struct mk_stream *st) {
    struct note n;
    if (!read_note(c, st, &n))
        return MK_E_NOTFOUND;
    int rc = invite_use(c, n.token);
    if (rc == MK_E_NOTFOUND)
        return n.expires && n.expires <= mk_now(c) ? MK_OK : MK_E_LIMIT;
    return rc;
}

MK_SUSPENDS static int op_give_back(struct mk_ctx *c, struct mk_stream *st) {
    struct note n;
    int rc = read_note(c, st, &n) ? invite_unuse(c, n.token) : MK_OK;
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

MK_SUSPENDS static void add_contact(struct mk_ctx *c, const char *account, const char *contact) {
    const char *const names[] = { "account", "contact", "subscription" };
    const char *const values[] = { account, contact, "both" };
    const struct mk_result *result = NULL;
    int rc = mk_command_run(c, "roster.add", 3, names, values, &result);
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "%s did not become a contact of %s: %s", contact, account, mk_strerror(rc));
}

MK_SUSPENDS static int op_made(struct mk_ctx *c, struct mk_stream *st, const struct mk_jid *account) {
    const struct invites *me = mk_inst(c);
    struct note n;
    struct invite i;
    if (!read_note(c, st, &n))
        return MK_E_NOTFOUND;
    mk_stream_set_note(st, NOTE, NULL);
    if (!me->roster || invite_get(c, n.token, &i) != MK_OK || !i.roster || !*i.inviter)
        return MK_OK;
    add_contact(c, mk_jid_text(account), i.inviter);
    add_contact(c, i.inviter, mk_jid_text(account));
    return MK_OK;
}

const struct mk_invites_ops invites_for_registration = {
    .size = sizeof invites_for_registration,
    .shown = op_shown,
    .check = op_check,
    .take = op_take,
    .give_back = op_give_back,
    .made = op_made,
};

/* ---- becoming a contact ------------------------------------------------------------------------------------------------ */

/*
 * In the turn of the inviter: what follows is as if its user had approved beforehand and asked in return; the request
 * goes on to the roster, which then accepts it.  A token that is not good is as good as none (XEP-0379, 4.1).
 */
MK_SUSPENDS enum mk_flow on_subscription(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct invites *me = mk_inst(c);
    const struct mk_elem *preauth =
        mk_stanza_type(ev->stanza) == MK_TYPE_SUBSCRIBE ? mk_child(ev->stanza, "preauth", NS_PARS) : NULL;
    const char *token = preauth ? mk_attr(preauth, "token") : NULL;
    struct invite i;
    if (!token || !me->roster || invite_get(c, token, &i) != MK_OK || !i.roster ||
        strcmp(i.inviter, mk_jid_text(mk_self(c))) != 0 || invite_use(c, token) != MK_OK)
        return MK_NEXT;
    int rc = mk_roster_befriend(c, me->roster, mk_stanza_from(ev->stanza));
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "%s has an invitation, but was not accepted: %s", mk_jid_text(mk_stanza_from(ev->stanza)),
               mk_strerror(rc));
    return MK_NEXT;
}
