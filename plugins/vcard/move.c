/* SPDX-License-Identifier: Apache-2.0 */
/* vCards on their way in and out (XEP-0227). */
#include "vcard.h"

MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    const struct mk_elem *vcard, *vcard4;
    (void)after, (void)more, (void)report;
    int rc = vcard_get(c, &vcard, &vcard4);
    if (rc != MK_OK)
        return rc == MK_E_NOTFOUND ? MK_OK : rc;
    mk_put_elem(o, vcard);
    if (vcard4)
        mk_put_elem(o, vcard4);
    return MK_OK;
}

/* The one of version 4 comes behind the one that was made of it. */
MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *e, int64_t *state, struct mk_result *report) {
    const struct mk_elem *vcard = e, *vcard4 = NULL, *ignored;
    int rc = MK_OK;
    (void)state;
    if (!mk_elem_is(e, "vCard", MK_NS_VCARD)) {
        vcard4 = e;
        rc = vcard_get(c, &vcard, &ignored);
    }
    if (rc == MK_E_NOTFOUND)
        mk_result_say(report, "a vCard of version 4 was left out, for there is no vCard");
    else if (rc == MK_OK)
        rc = vcard_put(c, vcard, vcard4);
    if (rc == MK_E_LIMIT)
        mk_result_say(report, "the vCard or its photo is too big");
    else if (rc == MK_E_INVALID)
        mk_result_say(report, "the photo of the vCard is none of the kinds that are allowed");
    return rc == MK_E_NOTFOUND || rc == MK_E_LIMIT || rc == MK_E_INVALID ? MK_OK : rc;
}

MK_SUSPENDS static int move_drop(struct mk_ctx *c) {
    int rc = vcard_del(c);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

static const struct mk_move_kind kinds[] = {
    { "vCard", MK_NS_VCARD, 0, 0 },
    { "vcard", MK_NS_VCARD4, 0, 0 },
};
const struct mk_move_ops vcard_move = {
    .size = sizeof vcard_move,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};
