/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0292: the account's vCard as one of version 4.  There is one vCard, which the plugin vcard keeps. */
#include "convert.h"
#include <meerkat/plugin.h>

struct vcard4 {
    const struct mk_vcard *vcard;
};

MK_SUSPENDS static int on_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct vcard4 *me = mk_inst(c);
    const struct mk_elem *vcard, *vcard4;
    int rc = mk_vcard_get(c, me->vcard, &vcard, &vcard4);
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_reply(c, iq);
    if (vcard4)
        mk_put_elem(o, vcard4);
    else
        convert_to_4(c, o, vcard);
    return mk_send(o);
}

MK_SUSPENDS static int on_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct vcard4 *me = mk_inst(c);
    const struct mk_elem *vcard4 = mk_child(iq, "vcard", MK_NS_VCARD4);
    const struct mk_stanza *s;
    if (!mk_jid_same_bare(mk_stanza_from(iq), mk_self(c)))
        return MK_E_DENIED;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_SET, NULL);
    convert_to_temp(c, o, vcard4);
    int rc = mk_seal(o, &s);
    if (rc == MK_OK)
        rc = mk_vcard_put(c, me->vcard, mk_child(s, "vCard", MK_NS_VCARD), vcard4);
    if (rc == MK_E_LIMIT)
        return mk_refuse(c, iq, "policy-violation", "The vCard or its photo is too big.");
    if (rc == MK_E_INVALID)
        return mk_refuse(c, iq, "not-acceptable", "The photo is none of the kinds that are allowed.");
    return rc == MK_OK ? mk_send(mk_reply(c, iq)) : rc;
}

static const struct mk_need_decl needs[] = {
    MK_NEED(struct vcard4, vcard, mk_vcard, 1, 0, MK_NEED_HARD, NULL),
};
static const struct mk_iq_decl iqs[] = {
    { "vcard", MK_NS_VCARD4, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, 0, on_get },
    { "vcard", MK_NS_VCARD4, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, 0, on_set },
};
static const struct mk_disco_decl disco[] = {
    { MK_NS_VCARD4, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0292", "0.12.0", "partial", "By iq; not by a node of PEP." },
};

MK_PLUGIN(vcard4, .version = "1.0", .summary = "vCards of version 4 (XEP-0292)", .inst_size = sizeof(struct vcard4),
          .needs = MK_TABLE(needs), .iqs = MK_TABLE(iqs), .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps));
