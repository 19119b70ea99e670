/* SPDX-License-Identifier: Apache-2.0 */
#include "forms.h"
#include <stdlib.h>
#include <string.h>

void form_open_field(struct mk_out *o, const char *var, const char *type) {
    mk_open(o, "field", NULL);
    mk_put(o, "var", var);
    mk_put(o, "type", type);
}

void form_open(struct mk_out *o, const char *type) {
    mk_open(o, "x", "jabber:x:data");
    mk_put(o, "type", "result");
    form_open_field(o, "FORM_TYPE", "hidden");
    mk_leaf(o, "value", NULL, type);
    mk_close(o);
}

static int compare(const void *a, const void *b) {
    const struct form_value *x = a, *y = b;
    int order = strcmp(x->type, y->type);
    order = order ? order : strcmp(x->var, y->var);
    return order ? order : x->at < y->at ? -1 : 1;
}

/* False if ENTRY is not three words. */
static bool split(const char *entry, struct form_value *v) {
    size_t type = strcspn(entry, " "), gap = strspn(entry + type, " "), var = strcspn(entry + type + gap, " ");
    const char *value = entry + type + gap + var;
    value += strspn(value, " ");
    if (!type || !var || !*value)
        return false;
    v->type = mk_malloc(type + var + 2);
    memcpy(v->type, entry, type);
    v->var = v->type + type + 1;
    memcpy(v->var, entry + type + gap, var);
    v->value = value;
    return true;
}

int forms_parse(const struct mk_texts *entries, struct form_value **out, struct mk_err *err) {
    struct form_value *values = mk_malloc((entries->count + 1) * sizeof *values);
    for (uint32_t i = 0; i < entries->count; i++) {
        values[i].at = i;
        if (split(entries->items[i], &values[i]))
            continue;
        forms_free(values);
        return mk_fail(err, MK_E_INVALID, "`%s` in forms is not of the form \"FORM_TYPE FIELD VALUE\"",
                       entries->items[i]);
    }
    qsort(values, entries->count, sizeof *values, compare);
    *out = values;
    return MK_OK;
}

void forms_free(struct form_value *values) {
    for (struct form_value *v = values; v && v->type; v++)
        mk_free(v->type);
    mk_free(values);
}

void forms_put(struct mk_out *o, const struct form_value *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool new_form = !i || strcmp(values[i].type, values[i - 1].type) != 0;
        bool new_field = new_form || strcmp(values[i].var, values[i - 1].var) != 0;
        bool last_form = i + 1 == count || strcmp(values[i].type, values[i + 1].type) != 0;
        bool last_field = last_form || strcmp(values[i].var, values[i + 1].var) != 0;
        if (new_form)
            form_open(o, values[i].type);
        if (new_field)
            form_open_field(o, values[i].var, NULL);
        mk_leaf(o, "value", NULL, values[i].value);
        if (last_field)
            mk_close(o);
        if (last_form)
            mk_close(o);
    }
}
