/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0054: the vCards of accounts, and of the server. */
#include "vcard.h"
#include <string.h>

enum { COL_OWNER, COL_XML, COL_CHANGED, COL_COUNT };
enum { PHOTO_OWNER, PHOTO_HASH, PHOTO_COUNT };

static const struct mk_col_decl vcard_cols[COL_COUNT] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    { "xml", MK_C_TEXT, 0,
      "The vCard inside an iq, followed by the one of version 4 that it was made from, if it was." },
    { "changed", MK_C_TIME, 0, "When it was set." },
};
static const struct mk_col_decl photo_cols[PHOTO_COUNT] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    { "hash", MK_C_TEXT, 0, "SHA-1 of its photo, in hexadecimal digits." },
};

const char *vcard_text(struct mk_ctx *c, const struct mk_elem *e, const char *path) {
    char *rest = mk_printf(c, "%s", path);
    const char *ns = mk_elem_ns(e);
    for (char *step; e && (step = strsep(&rest, "/")) != NULL;)
        e = mk_elem_child(e, step, ns);
    return mk_text(c, e);
}

/* ---- the store ------------------------------------------------------------------------------------------------------- */

int vcard_get(struct mk_ctx *c, const struct mk_elem **vcard, const struct mk_elem **vcard4) {
    const struct vcard *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    const struct mk_stanza *s;
    int rc = mk_get(c, me->vcards, &key, &row);
    if (rc == MK_OK)
        rc = mk_stanza_read(c, mk_row_bytes(row, COL_XML), &s);
    if (rc != MK_OK)
        return rc == MK_E_INVALID ? MK_E_BACKEND : rc;
    *vcard = mk_child(s, "vCard", MK_NS_VCARD);
    *vcard4 = mk_child(s, "vcard", MK_NS_VCARD4);
    return *vcard ? MK_OK : MK_E_NOTFOUND;
}

static int write_xml(struct mk_ctx *c, const struct mk_elem *vcard, const struct mk_elem *vcard4, struct mk_view *xml) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_SET, NULL);
    mk_put_elem(o, vcard);
    if (vcard4)
        mk_put_elem(o, vcard4);
    int rc = mk_seal(o, &s);
    if (rc == MK_OK)
        *xml = mk_stanza_xml(c, s);
    return rc;
}

MK_SUSPENDS static int put_hash(struct mk_ctx *c, const char *hash) {
    const struct vcard *me = mk_inst(c);
    const struct mk_value row[PHOTO_COUNT] = { mk_v_jid(mk_self(c)), mk_v_text(hash) };
    int rc = hash ? mk_put_now(c, me->photos, MK_UPSERT, row) : mk_del(c, me->photos, row);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

/* What is derived from the vCard is stored before it: if the server ends in between, setting it again sets all right. */
int vcard_put(struct mk_ctx *c, const struct mk_elem *vcard, const struct mk_elem *vcard4) {
    const struct vcard *me = mk_inst(c);
    struct mk_view xml = { "", 0 };
    const char *hash;
    int rc = write_xml(c, vcard, vcard4, &xml);
    if (rc == MK_OK)
        rc = xml.len > (size_t)me->max_size ? MK_E_LIMIT : photo_check(c, vcard, &hash);
    if (rc == MK_OK)
        rc = put_hash(c, hash);
    if (rc == MK_OK)
        rc = directory_put(c, vcard);
    if (rc != MK_OK) {
        mk_count(c, M_REFUSED, 1);
        return rc;
    }
    const struct mk_value row[COL_COUNT] = { mk_v_jid(mk_self(c)), mk_v_view(xml), mk_v_time(mk_now(c)) };
    rc = mk_put_now(c, me->vcards, MK_UPSERT, row);
    if (rc != MK_OK)
        return rc;
    mk_count(c, M_SETS, 1);
    avatar_set(c, hash);
    struct mk_ev_vcard ev = { vcard };
    mk_run_vcard_changed(c, &ev);
    return MK_OK;
}

int vcard_del(struct mk_ctx *c) {
    const struct vcard *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    int gone = mk_del(c, me->vcards, &key);
    int rc = gone == MK_E_NOTFOUND ? MK_OK : gone;
    if (rc == MK_OK)
        rc = put_hash(c, NULL);
    if (rc == MK_OK)
        rc = directory_del(c);
    if (rc == MK_OK)
        avatar_set(c, NULL);
    return rc == MK_OK ? gone : rc;
}

/* ---- iqs ------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int on_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *vcard, *vcard4;
    int rc = vcard_get(c, &vcard, &vcard4);
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_reply(c, iq);
    mk_put_elem(o, vcard);
    return mk_send(o);
}

MK_SUSPENDS static int on_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    if (!mk_jid_same_bare(mk_stanza_from(iq), mk_self(c)))
        return MK_E_DENIED;
    int rc = vcard_put(c, mk_child(iq, "vCard", MK_NS_VCARD), NULL);
    if (rc == MK_E_LIMIT)
        return mk_refuse(c, iq, "policy-violation", "The vCard or its photo is too big.");
    if (rc == MK_E_INVALID)
        return mk_refuse(c, iq, "not-acceptable", "The photo is none of the kinds that are allowed.");
    return rc == MK_OK ? mk_send(mk_reply(c, iq)) : rc;
}

static void put_leaf(struct mk_out *o, const char *name, const char *text) {
    if (text)
        mk_leaf(o, name, NULL, text);
}

static int on_server_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct vcard *me = mk_inst(c);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "vCard", MK_NS_VCARD);
    put_leaf(o, "FN", me->server_name);
    put_leaf(o, "URL", me->server_url);
    put_leaf(o, "DESC", me->server_desc);
    if (me->server_email) {
        mk_open(o, "EMAIL", NULL);
        mk_leaf(o, "USERID", NULL, me->server_email);
        mk_close(o);
    }
    return mk_send(o);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    int rc = vcard_del(c);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        mk_log(c, MK_ERROR, "the vCard of a removed account is still stored");
    return MK_NEXT;
}

static int start(void *inst, struct mk_err *err) {
    struct vcard *me = inst;
    for (uint32_t i = 0; i < me->search_fields.count; i++) {
        uint32_t f = 0;
        while (f < FIELDS && strcmp(fields[f].var, me->search_fields.items[i]) != 0)
            f++;
        if (f == FIELDS)
            return mk_fail(
                err, MK_E_INVALID,
                "search_fields: \"%s\" is none of user, fn, first, middle, last, nick, bday, ctry, locality, "
                "email, orgname and orgunit.",
                me->search_fields.items[i]);
        me->fields |= 1u << f;
    }
    me->fields = me->search_fields.count ? me->fields : (1u << FIELDS) - 1;
    return MK_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static const struct mk_opt_decl options[] = {
    MK_OPT_SIZE(struct vcard, max_size, "128K", 1024, 4194304, MK_OPT_LIVE, "Most bytes of a vCard."),
    MK_OPT_SIZE(struct vcard, max_photo, "64K", 0, 4194304, MK_OPT_LIVE,
                "Most bytes of a photo in it, before it is written in base64."),
    MK_OPT_TEXTS(struct vcard, photo_types, NULL, MK_OPT_LIVE,
                 "Kinds of photos allowed; by default image/png, image/jpeg, image/gif and image/webp, which are all "
                 "that are known. The data decides, not what a client says."),
    MK_OPT_BOOL(struct vcard, search, "true", MK_OPT_LIVE, "Whether vCards can be searched."),
    MK_OPT_TEXT(struct vcard, search_domain, "vjud.@HOST@", 0,
                "Domain of the directory that is searched; @HOST@ stands for the host."),
    MK_OPT_TEXTS(struct vcard, search_fields, NULL, 0,
                 "What can be searched and is shown: of user, fn, first, middle, last, nick, bday, ctry, locality, "
                 "email, orgname, orgunit; by default all."),
    MK_OPT_BOOL(struct vcard, search_everybody, "false", MK_OPT_LIVE,
                "Whether users of other servers may search, too."),
    MK_OPT_BOOL(struct vcard, search_all, "false", MK_OPT_LIVE, "Whether a search without words finds everybody."),
    MK_OPT_INT(struct vcard, max_results, "30", 1, 1000, MK_OPT_LIVE, "Most results on one page."),
    MK_OPT_INT(struct vcard, max_scan, "1000", 1, 100000, MK_OPT_LIVE, "Most vCards looked at for one search."),
    MK_OPT_TEXT(struct vcard, server_name, "Meerkat", MK_OPT_LIVE, "Name in the vCard of the server."),
    MK_OPT_TEXT(struct vcard, server_url, NULL, MK_OPT_LIVE, "Web page in the vCard of the server."),
    MK_OPT_TEXT(struct vcard, server_desc, NULL, MK_OPT_LIVE, "Description in the vCard of the server."),
    MK_OPT_TEXT(struct vcard, server_email, NULL, MK_OPT_LIVE, "Mail address in the vCard of the server."),
};
static const struct mk_vcard_ops ops = { .size = sizeof ops, .get = vcard_get, .put = vcard_put };
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_vcard, 1, 0, &ops, "The vCard of the account whose turn it is."),
    MK_PROVIDE(mk_move, 1, 0, &vcard_move, "Moves vCards."),
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct vcard, vcards, "vcards", 1, 0, 0, vcard_cols, MK_NO_INDEX, "vCards."),
    MK_COLLECTION(struct vcard, photos, "vcard_photos", 1, 0, 0, photo_cols, MK_NO_INDEX,
                  "What presence says of the photos in vCards."),
    MK_COLLECTION(struct vcard, directory, "vcard_directory", 1, 0, 0, directory_cols, MK_TABLE(directory_indexes),
                  "What is searched of vCards."),
};
static const struct mk_iq_decl iqs[] = {
    { "vCard", MK_NS_VCARD, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, 0, on_get },
    { "vCard", MK_NS_VCARD, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, 0, on_set },
    { "vCard", MK_NS_VCARD, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_server_get },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(session_opened, MK_ORDER_SESSION, MK_SERIAL, avatar_on_opened),
    MK_ON(user_send_presence, MK_ORDER_AVATAR, MK_INLINE, avatar_on_presence),
    MK_ON(disco_items, 50, MK_INLINE, search_on_disco_items),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_domain_decl domains[] = {
    { "search_domain", MK_SERIAL, 0, NULL, search_on_domain },
};
static const struct mk_slot_decl slots[] = {
    [SLOT_ACCOUNT] = { "avatar", MK_ON_ACCOUNT, sizeof(struct avatar), NULL, avatar_fini },
};
static const struct mk_metric_decl metrics[] = {
    [M_SETS] = { "sets", MK_COUNTER, 0, "vCards", "vCards stored." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "vCards",
                    "vCards that were too big or had a photo that is not allowed." },
    [M_SEARCHES] = { "searches", MK_COUNTER, 0, "searches", "Searches answered." },
    [M_HASHES] = { "hashes", MK_COUNTER, 0, "stanzas", "Presence that the hash of a photo was added to." },
};
static const struct mk_disco_decl disco[] = {
    { MK_NS_VCARD, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0054", "1.3.0", "complete", "" },
    { "0055", "1.3", "complete", "" },
    { "0059", "1.0.0", "partial", "Pages of search results." },
    { "0153", "1.1.1", "complete", "" },
};

MK_PLUGIN(vcard, .version = "1.0", .summary = "vCards, search in them, and their photos in presence (XEP-0054)",
          .inst_size = sizeof(struct vcard), .start = start, .options = MK_TABLE(options),
          .provides = MK_TABLE(provides), .collections = MK_TABLE(collections), .iqs = MK_TABLE(iqs),
          .hooks = MK_TABLE(hooks), .domains = MK_TABLE(domains), .slots = MK_TABLE(slots),
          .metrics = MK_TABLE(metrics), .disco = MK_TABLE(disco), .commands = MK_TABLE(vcard_commands),
          .xeps = MK_TABLE(xeps));
