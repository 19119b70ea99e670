/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#define NS_FORM "jabber:x:data"
#define NS_XML "http://www.w3.org/XML/1998/namespace"

static const struct algo {
    const char *name;
    gnutls_digest_algorithm_t id;
} algos[] = {
    { "sha-1", GNUTLS_DIG_SHA1 },        { "sha-224", GNUTLS_DIG_SHA224 }, { "sha-256", GNUTLS_DIG_SHA256 },
    { "sha-384", GNUTLS_DIG_SHA384 },    { "sha-512", GNUTLS_DIG_SHA512 }, { "sha3-256", GNUTLS_DIG_SHA3_256 },
    { "sha3-512", GNUTLS_DIG_SHA3_512 },
};

static const struct algo *find(const char *name) {
    for (unsigned i = 0; i < sizeof algos / sizeof algos[0]; i++)
        if (strcmp(algos[i].name, name) == 0)
            return &algos[i];
    return NULL;
}

bool digest_knows(const char *algo) {
    return find(algo) != NULL;
}

/* ---- lists of texts that are sorted by octets and joined ---------------------------------------------------------------- */

/* KEY is what it is sorted by; it may hold what no XML does. */
struct item {
    const char *key, *text;
};
struct list {
    struct item *items;
    uint32_t count, cap;
    bool bad;
};

static struct list list_for(struct mk_ctx *c, const struct mk_elem *parent) {
    struct list l = { .items = NULL };
    for (const struct mk_elem *e = mk_elem_first(parent); e; e = mk_elem_next(e))
        l.cap++;
    l.items = mk_alloc(c, (l.cap + 1) * sizeof *l.items);
    return l;
}

static void add(struct list *l, const char *key, const char *text) {
    l->items[l->count++] = (struct item){ key, text };
}

static int compare(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* All texts in their order, then END.  UNIQUE: two with the same key make the list bad. */
static const char *join(struct mk_ctx *c, struct list *l, bool unique, const char *end) {
    size_t size = strlen(end) + 1;
    qsort(l->items, l->count, sizeof *l->items, compare);
    for (uint32_t i = 0; i < l->count; i++) {
        size += strlen(l->items[i].text);
        if (unique && i && strcmp(l->items[i].key, l->items[i - 1].key) == 0)
            l->bad = true;
    }
    char *out = mk_alloc(c, size), *at = out;
    for (uint32_t i = 0; i < l->count; i++)
        at = stpcpy(at, l->items[i].text);
    stpcpy(at, end);
    return out;
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

/* XEP-0115 ends each text with '<': with one in the text, two answers may have the same hash. */
static const char *end_0115(struct mk_ctx *c, struct list *l, const char *text) {
    if (strchr(text, '<'))
        l->bad = true;
    return mk_printf(c, "%s<", text);
}

/* ---- identities and features ---------------------------------------------------------------------------------------------- */

static void add_identity(struct mk_ctx *c, struct list *l, const struct mk_elem *e, const char *lang, enum form form) {
    const char *own = mk_attr_ns(e, "lang", NS_XML);
    const char *category = or_empty(mk_attr(e, "category")), *type = or_empty(mk_attr(e, "type"));
    const char *name = or_empty(mk_attr(e, "name"));
    lang = own ? own : form == FORM_0390 ? lang : "";
    if (form == FORM_0390) {
        const char *text = mk_printf(c, "%s\x1f%s\x1f%s\x1f%s\x1f\x1e", category, type, lang, name);
        add(l, text, text);
        return;
    }
    if (strchr(category, '/') || strchr(type, '/') || strchr(lang, '/'))
        l->bad = true;
    add(l, mk_printf(c, "%s\x1f%s\x1f%s\x1f%s", category, type, lang, name),
        end_0115(c, l, mk_printf(c, "%s/%s/%s/%s", category, type, lang, name)));
}

static void add_feature(struct mk_ctx *c, struct list *l, const struct mk_elem *e, enum form form) {
    const char *var = or_empty(mk_attr(e, "var"));
    add(l, var, form == FORM_0390 ? mk_printf(c, "%s\x1f", var) : end_0115(c, l, var));
}

/* ---- forms ------------------------------------------------------------------------------------------------------------------ */

static const char *values_of(struct mk_ctx *c, struct list *bad, const struct mk_elem *field, enum form form) {
    struct list l = list_for(c, field);
    for (const struct mk_elem *v = mk_elem_first(field); v; v = mk_elem_next(v)) {
        const char *text = mk_elem_is(v, "value", NS_FORM) ? mk_text(c, v) : NULL;
        if (text)
            add(&l, text, form == FORM_0390 ? mk_printf(c, "%s\x1f", text) : end_0115(c, bad, text));
    }
    return join(c, &l, false, "");
}

/* The text of a form's hidden FORM_TYPE; NULL if it has none, or two. */
static const char *form_type(struct mk_ctx *c, const struct mk_elem *x) {
    const char *found = NULL;
    for (const struct mk_elem *f = mk_elem_first(x); f; f = mk_elem_next(f)) {
        const char *type = mk_attr(f, "type");
        if (!mk_elem_is(f, "field", NS_FORM) || strcmp(or_empty(mk_attr(f, "var")), "FORM_TYPE") != 0)
            continue;
        const struct mk_elem *value = mk_elem_first(f);
        if (found || !type || strcmp(type, "hidden") != 0 || !value || mk_elem_next(value))
            return NULL;
        found = mk_text(c, value);
    }
    return found;
}

static void add_form(struct mk_ctx *c, struct list *l, const struct mk_elem *x, enum form form) {
    struct list fields = list_for(c, x);
    const char *type = form_type(c, x);
    if (!type) { /* XEP-0115 wants such a form ignored */
        l->bad |= form == FORM_0390;
        return;
    }
    for (const struct mk_elem *f = mk_elem_first(x); f; f = mk_elem_next(f)) {
        const char *var = or_empty(mk_attr(f, "var"));
        bool is_field = mk_elem_is(f, "field", NS_FORM);
        if (!is_field)
            l->bad |= mk_elem_is(f, "reported", NS_FORM) || mk_elem_is(f, "item", NS_FORM);
        else if (form == FORM_0390)
            add(&fields, mk_printf(c, "%s\x1f", var), mk_printf(c, "%s\x1f%s\x1e", var, values_of(c, l, f, form)));
        else if (strcmp(var, "FORM_TYPE") != 0)
            add(&fields, var, mk_printf(c, "%s%s", end_0115(c, l, var), values_of(c, l, f, form)));
    }
    if (form == FORM_0390) {
        const char *text = join(c, &fields, false, "\x1d");
        add(l, text, text);
        return;
    }
    const char *text = join(c, &fields, true, "");
    l->bad |= fields.bad;
    add(l, type, mk_printf(c, "%s%s", end_0115(c, l, type), text));
}

/* ---- the whole --------------------------------------------------------------------------------------------------------------- */

static const char *input_of(struct mk_ctx *c, const struct mk_elem *query, const char *lang, enum form form,
                            bool *bad) {
    struct list identities = list_for(c, query), features = list_for(c, query), forms = list_for(c, query);
    const char *ns = mk_elem_ns(query), *own = mk_attr_ns(query, "lang", NS_XML),
               *end = form == FORM_0390 ? "\x1c" : "";
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e)) {
        if (mk_elem_is(e, "identity", ns))
            add_identity(c, &identities, e, own ? own : lang, form);
        else if (mk_elem_is(e, "feature", ns))
            add_feature(c, &features, e, form);
        else if (mk_elem_is(e, "x", NS_FORM))
            add_form(c, &forms, e, form);
        else
            forms.bad |= form == FORM_0390;
    }
    const char *i = join(c, &identities, true, end), *f = join(c, &features, true, end),
               *x = join(c, &forms, form == FORM_0115, end);
    *bad = identities.bad || features.bad || forms.bad;
    return form == FORM_0390 ? mk_printf(c, "%s%s%s", f, i, x) : mk_printf(c, "%s%s%s", i, f, x);
}

int digest_of(struct mk_ctx *c, const struct mk_elem *query, const char *lang, enum form form, const char *algo,
              const char **out) {
    const struct algo *a = find(algo);
    unsigned char hash[64];
    gnutls_datum_t base64;
    bool bad;
    const char *input = input_of(c, query, lang, form, &bad);
    if (bad || !a)
        return MK_E_INVALID;
    if (gnutls_hash_fast(a->id, input, strlen(input), hash) < 0)
        return MK_E_BACKEND;
    const gnutls_datum_t bytes = { hash, (unsigned)gnutls_hash_get_len(a->id) };
    if (gnutls_base64_encode2(&bytes, &base64) < 0)
        return MK_E_BACKEND;
    *out = mk_text_of(c, (struct mk_view){ (const char *)base64.data, base64.size });
    gnutls_free(base64.data);
    return MK_OK;
}
