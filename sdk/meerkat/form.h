/* SPDX-License-Identifier: Apache-2.0 */
/* form.h - data forms (XEP-0004): reading one that was filled in, writing the fields of one. */
#ifndef MEERKAT_FORM_H
#define MEERKAT_FORM_H

#include <meerkat/stanza.h>
#include <string.h>

MK_BEGIN_DECLS

#define MK_NS_FORM "jabber:x:data"

/* The first field VAR of FORM, an <x xmlns='jabber:x:data'/>; NULL if it has none, or FORM is NULL. */
static inline const struct mk_elem *mk_form_field(const struct mk_elem *form, const char *var) {
    for (const struct mk_elem *e = form ? mk_elem_first(form) : NULL; e; e = mk_elem_next(e)) {
        const char *name = mk_elem_is(e, "field", MK_NS_FORM) ? mk_attr(e, "var") : NULL;
        if (name && strcmp(name, var) == 0)
            return e;
    }
    return NULL;
}

/* The first value of that field, in the turn's memory; NULL if there is none. */
static inline const char *mk_form_value(struct mk_ctx *c, const struct mk_elem *form, const char *var) {
    const struct mk_elem *field = mk_form_field(form, var);
    const struct mk_elem *value = field ? mk_elem_child(field, "value", MK_NS_FORM) : NULL;
    return value ? mk_text(c, value) : NULL;
}

/* Whether a boolean field is true (XEP-0004, 3.3). */
static inline bool mk_form_bool(struct mk_ctx *c, const struct mk_elem *form, const char *var) {
    const char *value = mk_form_value(c, form, var);
    return value && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
}

/* A field that is still open, for options and values; mk_close() ends it.  TYPE and LABEL may be NULL. */
static inline void mk_form_open(struct mk_out *o, const char *var, const char *type, const char *label) {
    mk_open(o, "field", NULL);
    mk_put(o, "var", var);
    mk_put(o, "type", type);
    mk_put(o, "label", label);
}

/* A whole field; VALUE may be NULL. */
static inline void mk_form_put(struct mk_out *o, const char *var, const char *type, const char *label,
                               const char *value, bool required) {
    mk_form_open(o, var, type, label);
    if (value)
        mk_leaf(o, "value", NULL, value);
    if (required)
        mk_leaf(o, "required", NULL, NULL);
    mk_close(o);
}

MK_END_DECLS

#endif
