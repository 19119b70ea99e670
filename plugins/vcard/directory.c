/* SPDX-License-Identifier: Apache-2.0 */
/* The part of vCards that is searched: one row each, with an index for each field. */
#include "vcard.h"
#include <string.h>
#include <stringprep.h>

enum { MAX_FOLDED = 255, MAX_SHOWN = 1023 };

const struct field fields[FIELDS] = {
    { "user", "User", NULL, false },
    { "fn", "Full name", "FN", false },
    { "first", "First name", "N/GIVEN", true },
    { "middle", "Middle name", "N/MIDDLE", false },
    { "last", "Family name", "N/FAMILY", true },
    { "nick", "Nickname", "NICKNAME", true },
    { "bday", "Birthday", "BDAY", false },
    { "ctry", "Country", "ADR/CTRY", false },
    { "locality", "City", "ADR/LOCALITY", false },
    { "email", "Email", "EMAIL/USERID", true },
    { "orgname", "Organization", "ORG/ORGNAME", false },
    { "orgunit", "Unit", "ORG/ORGUNIT", false },
};

#define FIELD(name)                                                                                                    \
    { name, MK_C_TEXT, 0, "The same of the vCard, folded for searching." }
const struct mk_col_decl directory_cols[DIR_FIELD + FIELDS] = {
    { "host", MK_C_JID, MK_COL_PARTITION, "Its host." },
    { "owner", MK_C_JID, MK_COL_SORT, "Bare JID of the account." },
    { "shown", MK_C_TEXT, 0, "The fields as they are shown, one a line, in the order of the columns that follow." },
    FIELD("user"),
    FIELD("fn"),
    FIELD("first"),
    FIELD("middle"),
    FIELD("last"),
    FIELD("nick"),
    FIELD("bday"),
    FIELD("ctry"),
    FIELD("locality"),
    FIELD("email"),
    FIELD("orgname"),
    FIELD("orgunit"),
};
const struct mk_index_decl directory_indexes[FIELDS] = {
    { "by_user", "host", "user" },     { "by_fn", "host", "fn" },           { "by_first", "host", "first" },
    { "by_middle", "host", "middle" }, { "by_last", "host", "last" },       { "by_nick", "host", "nick" },
    { "by_bday", "host", "bday" },     { "by_ctry", "host", "ctry" },       { "by_locality", "host", "locality" },
    { "by_email", "host", "email" },   { "by_orgname", "host", "orgname" }, { "by_orgunit", "host", "orgunit" },
};

struct folding {
    char *text;
    size_t size;
    int rc;
};

/* Case, width and composition, as host names are compared. */
static void run_stringprep(void *arg) {
    struct folding *f = arg;
    f->rc = stringprep(f->text, f->size, 0, stringprep_nameprep);
}

static void clip(char *text, size_t len) {
    if (strlen(text) <= len)
        return;
    while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    text[len] = '\0';
}

static void squeeze(char *text) {
    char *to = text + 0;
    const char *from = text + strspn(text, " \t\r\n");
    for (; *from; from++) {
        bool space = strchr(" \t\r\n", *from) != NULL;
        if (!space || from[strspn(from, " \t\r\n")])
            *to++ = space ? ' ' : *from;
    }
    *to = '\0';
}

const char *fold(struct mk_ctx *c, const char *text) {
    size_t size = 4 * MAX_SHOWN;
    char *copy = mk_alloc(c, size);
    strncpy(copy, text, MAX_SHOWN);
    clip(copy, strnlen(copy, MAX_SHOWN - 4));
    squeeze(copy);
    struct folding f = { copy, size, 0 };
    mk_on_big_stack(c, run_stringprep, &f);
    if (f.rc != STRINGPREP_OK)
        for (char *p = copy; *p; p++)
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
    clip(copy, MAX_FOLDED);
    return copy;
}

static const char *field_text(struct mk_ctx *c, const struct mk_elem *vcard, const struct field *f) {
    char *text = f->path ? mk_printf(c, "%s", vcard_text(c, vcard, f->path)) : mk_text_of(c, mk_jid_local(mk_self(c)));
    squeeze(text);
    clip(text, MAX_SHOWN);
    return text;
}

int directory_put(struct mk_ctx *c, const struct mk_elem *vcard) {
    const struct vcard *me = mk_inst(c);
    struct mk_value *row = mk_alloc(c, (DIR_FIELD + FIELDS) * sizeof *row);
    const char *lines = "";
    row[DIR_HOST] = mk_v_jid(mk_host(c));
    row[DIR_OWNER] = mk_v_jid(mk_self(c));
    for (unsigned i = 0; i < FIELDS; i++) {
        const char *text = field_text(c, vcard, &fields[i]);
        lines = mk_printf(c, "%s%s\n", lines, text);
        row[DIR_FIELD + i] = mk_v_text(fold(c, text));
    }
    row[DIR_SHOWN] = mk_v_text(lines);
    return mk_put_now(c, me->directory, MK_UPSERT, row);
}

int directory_del(struct mk_ctx *c) {
    const struct vcard *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_jid(mk_self(c)) };
    int rc = mk_del(c, me->directory, key);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}
