/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0153: available presence says which photo the account has, whether its client knows or not. */
#include "vcard.h"
#include <string.h>

#define NS_UPDATE "vcard-temp:x:update"

static struct avatar *self(struct mk_ctx *c) {
    return mk_self_slot(c, SLOT_ACCOUNT);
}

void avatar_fini(void *slot) {
    struct avatar *a = slot;
    mk_free(a->hash);
    a->hash = NULL;
}

void avatar_set(struct mk_ctx *c, const char *hash) {
    struct avatar *a = self(c);
    avatar_fini(a);
    a->known = true;
    if (hash)
        a->hash = strcpy(mk_malloc(strlen(hash) + 1), hash);
}

enum mk_flow avatar_on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    const struct vcard *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    (void)ev;
    if (self(c)->known)
        return MK_NEXT;
    int rc = mk_get(c, me->photos, &key, &row);
    if (rc == MK_OK)
        avatar_set(c, mk_row_text(row, 1));
    else if (rc == MK_E_NOTFOUND)
        avatar_set(c, NULL);
    return MK_NEXT;
}

/* As XEP-0398, 4 has it: an empty <photo/> says that there is to be none, and stays. */
static bool wants_hash(struct mk_ctx *c, const struct mk_stanza *s, const char *hash) {
    const struct mk_elem *x = mk_child(s, "x", NS_UPDATE);
    const struct mk_elem *photo = x ? mk_elem_child(x, "photo", NS_UPDATE) : NULL;
    if (!photo)
        return true;
    const char *said = mk_text(c, photo);
    return *said && strcmp(said, hash) != 0;
}

enum mk_flow avatar_on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct avatar *a = self(c);
    if (!a->hash || mk_stanza_type(ev->stanza) != MK_TYPE_AVAILABLE || !wants_hash(c, ev->stanza, a->hash))
        return MK_NEXT;
    const struct mk_stanza *with;
    struct mk_out *o = mk_derive(c, ev->stanza, NS_UPDATE);
    mk_open(o, "x", NS_UPDATE);
    mk_leaf(o, "photo", NULL, a->hash);
    mk_close(o);
    if (mk_seal(o, &with) != MK_OK)
        return MK_NEXT;
    ev->stanza = with;
    mk_count(c, M_HASHES, 1);
    return MK_NEXT;
}
