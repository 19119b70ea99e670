/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of an answer to disco#info (XEP-0128). */
#ifndef DISCO_FORMS_H
#define DISCO_FORMS_H

#include <meerkat/option.h>
#include <meerkat/stanza.h>

/* One value of one field of one form, from an entry "FORM_TYPE FIELD VALUE" of the configuration. */
struct form_value {
    char *type, *var; /* OWNED, one block */
    const char *value;
    uint32_t at; /* in the configuration */
};

/* Sorts them, so that what belongs together lies together.  *OUT is OWNED.  MK_E_INVALID with a sentence in ERR. */
MK_MUST_CHECK int forms_parse(const struct mk_texts *entries, struct form_value **out, struct mk_err *err);
void forms_free(struct form_value *values); /* ends at one without type */
void forms_put(struct mk_out *o, const struct form_value *values, uint32_t count);

/* Opens a form with its FORM_TYPE; a field in it.  Both are to be closed. */
void form_open(struct mk_out *o, const char *type);
void form_open_field(struct mk_out *o, const char *var, const char *type);

#endif
