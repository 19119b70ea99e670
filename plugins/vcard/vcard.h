/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. */
#ifndef VCARD_VCARD_H
#define VCARD_VCARD_H

#include <meerkat/move.h>
#include <meerkat/plugin.h>
#include <meerkat/vcard.h>

struct vcard {
    int64_t max_size, max_photo, max_results, max_scan;
    struct mk_texts photo_types, search_fields;
    bool search, search_everybody, search_all;
    const char *search_domain;
    const char *server_name, *server_url, *server_desc, *server_email;
    uint32_t fields; /* bits of search_fields */
    const struct mk_coll *vcards, *photos, *directory;
};

enum { SLOT_ACCOUNT };
enum { M_SETS, M_REFUSED, M_SEARCHES, M_HASHES };

/* Text of the element at PATH below E, "N/FAMILY" say, in the namespace of E; "" if it is not there. */
const char *vcard_text(struct mk_ctx *c, const struct mk_elem *e, const char *path);

/* photo.c: checks the photos of a vCard: MK_E_LIMIT, MK_E_INVALID.  *HASH is the SHA-1 of the first as hexadecimal
 * digits, NULL if there is none whose data is in the vCard. */
int photo_check(struct mk_ctx *c, const struct mk_elem *vcard, const char **hash);

/* avatar.c: XEP-0153.  The hash of the account's photo is kept in its slot, NULL if it has none. */
struct avatar {
    char *hash; /* OWNED */
    bool known;
};
void avatar_fini(void *slot);
void avatar_set(struct mk_ctx *c, const char *hash);
MK_SUSPENDS enum mk_flow avatar_on_opened(struct mk_ctx *c, struct mk_ev_session *ev);
enum mk_flow avatar_on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev);

/* directory.c: the part of vCards that is searched. */
enum { FIELDS = 12 };
struct field {
    const char *var, *label, *path; /* path NULL: the name of the account */
    bool plain;                     /* XEP-0055 has an element for it */
};
extern const struct field fields[FIELDS];
enum { DIR_HOST, DIR_OWNER, DIR_SHOWN, DIR_FIELD }; /* columns; DIR_FIELD + i is fields[i], as fold() has it */
extern const struct mk_col_decl directory_cols[DIR_FIELD + FIELDS];
extern const struct mk_index_decl directory_indexes[FIELDS];

/* TEXT without what does not matter to who searches: cases, forms of characters.  At most 255 bytes. */
const char *fold(struct mk_ctx *c, const char *text);
MK_SUSPENDS int directory_put(struct mk_ctx *c, const struct mk_elem *vcard);
MK_SUSPENDS int directory_del(struct mk_ctx *c);

/* search.c: XEP-0055 */
MK_SUSPENDS void search_on_domain(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow search_on_disco_items(struct mk_ctx *c, struct mk_ev_disco *ev);

/* find.c */
struct page {
    const struct mk_row **rows;
    uint32_t count, total;
};
/* What is to be found: for each field NULL, or a text in which a * at the end stands for any; and the page of it, as
 * XEP-0059 has it. */
struct query {
    const char *wanted[FIELDS];
    const char *after, *before; /* JIDs; BEFORE "" is the last page */
    uint32_t max;
    bool paged;
};
MK_SUSPENDS int find(struct mk_ctx *c, const struct query *q, struct page *out);
/* The original text of each field of a row. */
const char *const *shown(struct mk_ctx *c, const struct mk_row *row);

/* move.c */
extern const struct mk_move_ops vcard_move;

/* commands.c */
extern const struct mk_cmd_decl vcard_commands[3];
MK_SUSPENDS int vcard_get(struct mk_ctx *c, const struct mk_elem **vcard, const struct mk_elem **vcard4);
MK_SUSPENDS int vcard_put(struct mk_ctx *c, const struct mk_elem *vcard, const struct mk_elem *vcard4);
MK_SUSPENDS int vcard_del(struct mk_ctx *c);

#endif
