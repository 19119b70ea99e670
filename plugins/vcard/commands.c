/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator.  They run in the account's turn. */
#include "vcard.h"
#include <meerkat/auth.h>
#include <string.h>

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_elem *vcard, *vcard4;
    const struct mk_stanza *s;
    (void)args;
    int rc = vcard_get(c, &vcard, &vcard4);
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "%s has no vCard.", mk_jid_text(mk_self(c)));
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_RESULT, NULL);
    if (rc == MK_OK)
        mk_put_elem(o, vcard);
    rc = rc == MK_OK ? mk_seal(o, &s) : rc;
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The vCard can't be read: %s.", mk_strerror(rc));
    struct mk_view xml = mk_stanza_xml(c, s);
    const char *begin = strstr(xml.s, "<vCard"), *end = strstr(xml.s, "</iq>");
    mk_result_text(result, "xml", begin && end ? mk_text_of(c, (struct mk_view){ begin, (size_t)(end - begin) }) : "");
    return MK_OK;
}

MK_SUSPENDS static int cmd_set(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *xml = mk_printf(c, "<iq xmlns='jabber:client' type='set'>%s</iq>", mk_arg_text(args, "xml"));
    const struct mk_stanza *s;
    int rc = mk_account_exists(c, mk_self(c));
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no account %s.", mk_jid_text(mk_self(c)));
    if (rc == MK_OK)
        rc = mk_stanza_read(c, (struct mk_view){ xml, strlen(xml) }, &s);
    const struct mk_elem *vcard = rc == MK_OK ? mk_child(s, "vCard", MK_NS_VCARD) : NULL;
    if (rc == MK_E_INVALID || (rc == MK_OK && !vcard))
        return mk_result_error(result, MK_E_INVALID, "That is no <vCard xmlns='vcard-temp'/>.");
    rc = rc == MK_OK ? vcard_put(c, vcard, NULL) : rc;
    if (rc == MK_E_LIMIT)
        return mk_result_error(result, rc, "The vCard or its photo is too big.");
    if (rc == MK_E_INVALID)
        return mk_result_error(result, rc, "The photo is none of the kinds that are allowed.");
    return rc == MK_OK ? rc : mk_result_error(result, rc, "The vCard was not stored: %s.", mk_strerror(rc));
}

MK_SUSPENDS static int cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    int rc = vcard_del(c);
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "%s has no vCard.", mk_jid_text(mk_self(c)));
    return rc == MK_OK ? rc : mk_result_error(result, rc, "The vCard was not deleted: %s.", mk_strerror(rc));
}

static const struct mk_arg_decl account_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl set_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "xml", MK_ARG_TEXT, 0, "The vCard, <vCard xmlns='vcard-temp'> and so on." },
};
static const struct mk_arg_decl show_results[] = {
    { "xml", MK_ARG_TEXT, 0, "The vCard." },
};

const struct mk_cmd_decl vcard_commands[] = {
    { "vcard.show", "Show the vCard of an account", "GET /accounts/{account}/vcard", "account", MK_CMD_READ, 0,
      MK_TABLE(account_args), MK_TABLE(show_results), cmd_show },
    { "vcard.set",
      "Set the vCard of an account",
      "PUT /accounts/{account}/vcard",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(set_args),
      { NULL, 0, 0 },
      cmd_set },
    { "vcard.delete",
      "Delete the vCard of an account",
      "DELETE /accounts/{account}/vcard",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(account_args),
      { NULL, 0, 0 },
      cmd_delete },
};
