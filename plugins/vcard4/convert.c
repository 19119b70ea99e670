/* SPDX-License-Identifier: Apache-2.0 */
#include "convert.h"
#include <string.h>

struct pair {
    const char *temp, *v4;
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* The children of structured properties. */
static const struct pair name_parts[] = { { "FAMILY", "surname" },
                                          { "GIVEN", "given" },
                                          { "MIDDLE", "additional" },
                                          { "PREFIX", "prefix" },
                                          { "SUFFIX", "suffix" } };
static const struct pair address_parts[] = { { "POBOX", "pobox" },       { "EXTADD", "ext" },    { "STREET", "street" },
                                             { "LOCALITY", "locality" }, { "REGION", "region" }, { "PCODE", "code" },
                                             { "CTRY", "country" } };
/* What a property is for. */
static const struct pair types[] = { { "HOME", "home" }, { "WORK", "work" },  { "VOICE", "voice" },
                                     { "FAX", "fax" },   { "MSG", "text" },   { "PAGER", "pager" },
                                     { "CELL", "cell" }, { "VIDEO", "video" } };

/* Properties of one value; KIND is the element of version 4 that the value is in. */
static const struct simple {
    const char *temp, *v4, *kind;
} simples[] = {
    { "FN", "fn", "text" },        { "NICKNAME", "nickname", "text" },
    { "TITLE", "title", "text" },  { "ROLE", "role", "text" },
    { "DESC", "note", "text" },    { "NOTE", "note", "text" },
    { "TZ", "tz", "text" },        { "BDAY", "bday", "date" },
    { "REV", "rev", "timestamp" }, { "URL", "url", "uri" },
    { "UID", "uid", "uri" },
};

static const char *text_at(struct mk_ctx *c, const struct mk_elem *e, const char *name) {
    return mk_text(c, mk_elem_child(e, name, mk_elem_ns(e)));
}

/* The text of the first child that is no parameter: the value of a property, of whatever type. */
static const char *value_of(struct mk_ctx *c, const struct mk_elem *property) {
    const struct mk_elem *e = mk_elem_first(property);
    while (e && strcmp(mk_elem_name(e), "parameters") == 0)
        e = mk_elem_next(e);
    return mk_text(c, e);
}

static const char *skip(const char *text, const char *prefix) {
    size_t len = strlen(prefix);
    return strncasecmp(text, prefix, len) == 0 ? text + len : text;
}

static void put_parts(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *e, const struct pair *parts,
                      size_t count, bool to_temp) {
    for (size_t i = 0; i < count; i++) {
        const struct mk_elem *part = mk_elem_child(e, to_temp ? parts[i].v4 : parts[i].temp, mk_elem_ns(e));
        if (part)
            mk_leaf(o, to_temp ? parts[i].temp : parts[i].v4, NULL, mk_text(c, part));
    }
}

/* ---- to XEP-0054 ------------------------------------------------------------------------------------------------------ */

static bool has_type(struct mk_ctx *c, const struct mk_elem *property, const char *type) {
    const char *ns = mk_elem_ns(property);
    const struct mk_elem *parameters = mk_elem_child(property, "parameters", ns);
    const struct mk_elem *e = parameters ? mk_elem_child(parameters, "type", ns) : NULL;
    for (e = e ? mk_elem_first(e) : NULL; e; e = mk_elem_next(e))
        if (strcasecmp(mk_text(c, e), type) == 0)
            return true;
    return false;
}

static void put_types_temp(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *property) {
    const struct mk_elem *parameters = mk_elem_child(property, "parameters", MK_NS_VCARD4);
    for (size_t i = 0; i < COUNT(types); i++)
        if (has_type(c, property, types[i].v4))
            mk_leaf(o, types[i].temp, NULL, NULL);
    if (parameters && mk_elem_child(parameters, "pref", MK_NS_VCARD4))
        mk_leaf(o, "PREF", NULL, NULL);
}

static void put_picture_temp(struct mk_ctx *c, struct mk_out *o, const char *name, const char *uri) {
    const char *data = skip(uri, "data:"), *end = data == uri ? NULL : strstr(data, ";base64,");
    mk_open(o, name, NULL);
    if (end) {
        mk_leaf(o, "TYPE", NULL, mk_text_of(c, (struct mk_view){ data, (size_t)(end - data) }));
        mk_leaf(o, "BINVAL", NULL, end + strlen(";base64,"));
    } else {
        mk_leaf(o, "EXTVAL", NULL, uri);
    }
    mk_close(o);
}

static void put_geo_temp(struct mk_ctx *c, struct mk_out *o, const char *uri) {
    const char *lat = skip(uri, "geo:"), *comma = strchr(lat, ',');
    if (!comma)
        return;
    mk_open(o, "GEO", NULL);
    mk_leaf(o, "LAT", NULL, mk_text_of(c, (struct mk_view){ lat, (size_t)(comma - lat) }));
    mk_leaf(o, "LON", NULL, mk_text_of(c, (struct mk_view){ comma + 1, strcspn(comma + 1, ",;") }));
    mk_close(o);
}

/* The name first, then the units, each in a <text/>. */
static void put_org_temp(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *property) {
    const char *name = "ORGNAME";
    mk_open(o, "ORG", NULL);
    for (const struct mk_elem *e = mk_elem_first(property); e; e = mk_elem_next(e)) {
        if (!mk_elem_is(e, "text", MK_NS_VCARD4))
            continue;
        mk_leaf(o, name, NULL, mk_text(c, e));
        name = "ORGUNIT";
    }
    mk_close(o);
}

static void put_categories_temp(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *property) {
    mk_open(o, "CATEGORIES", NULL);
    for (const struct mk_elem *e = mk_elem_first(property); e; e = mk_elem_next(e))
        if (mk_elem_is(e, "text", MK_NS_VCARD4))
            mk_leaf(o, "KEYWORD", NULL, mk_text(c, e));
    mk_close(o);
}

/* A property with types and parts, or with types and one value. */
static void put_typed_temp(struct mk_ctx *c, struct mk_out *o, const char *name, const struct mk_elem *property,
                           const char *value_name, const char *value) {
    mk_open(o, name, NULL);
    put_types_temp(c, o, property);
    if (value_name)
        mk_leaf(o, value_name, NULL, value);
    else
        put_parts(c, o, property, address_parts, COUNT(address_parts), true);
    mk_close(o);
}

static void property_to_temp(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *e) {
    const char *name = mk_elem_name(e), *value = value_of(c, e);
    for (size_t i = 0; i < COUNT(simples); i++)
        if (strcmp(simples[i].v4, name) == 0) {
            mk_leaf(o, simples[i].temp, NULL, value);
            return;
        }
    if (strcmp(name, "n") == 0) {
        mk_open(o, "N", NULL);
        put_parts(c, o, e, name_parts, COUNT(name_parts), true);
        mk_close(o);
    } else if (strcmp(name, "adr") == 0) {
        put_typed_temp(c, o, "ADR", e, NULL, NULL);
    } else if (strcmp(name, "tel") == 0) {
        put_typed_temp(c, o, "TEL", e, "NUMBER", skip(value, "tel:"));
    } else if (strcmp(name, "email") == 0) {
        put_typed_temp(c, o, "EMAIL", e, "USERID", value);
    } else if (strcmp(name, "impp") == 0 && skip(value, "xmpp:") != value) {
        mk_leaf(o, "JABBERID", NULL, skip(value, "xmpp:"));
    } else if (strcmp(name, "photo") == 0 || strcmp(name, "logo") == 0) {
        put_picture_temp(c, o, *name == 'p' ? "PHOTO" : "LOGO", value);
    } else if (strcmp(name, "geo") == 0) {
        put_geo_temp(c, o, value);
    } else if (strcmp(name, "org") == 0) {
        put_org_temp(c, o, e);
    } else if (strcmp(name, "categories") == 0) {
        put_categories_temp(c, o, e);
    }
}

void convert_to_temp(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *vcard4) {
    mk_open(o, "vCard", MK_NS_VCARD);
    for (const struct mk_elem *e = mk_elem_first(vcard4); e; e = mk_elem_next(e))
        if (strcmp(mk_elem_ns(e), MK_NS_VCARD4) == 0)
            property_to_temp(c, o, e);
    mk_close(o);
}

/* ---- to version 4 ------------------------------------------------------------------------------------------------------ */

static void put_value(struct mk_out *o, const char *name, const char *kind, const char *value) {
    mk_open(o, name, NULL);
    mk_leaf(o, kind, NULL, value);
    mk_close(o);
}

static void put_types_4(struct mk_out *o, const struct mk_elem *property) {
    bool any = false, preferred = mk_elem_child(property, "PREF", MK_NS_VCARD) != NULL;
    for (size_t i = 0; i < COUNT(types); i++)
        any |= mk_elem_child(property, types[i].temp, MK_NS_VCARD) != NULL;
    if (!any && !preferred)
        return;
    mk_open(o, "parameters", NULL);
    if (any)
        mk_open(o, "type", NULL);
    for (size_t i = 0; i < COUNT(types); i++)
        if (mk_elem_child(property, types[i].temp, MK_NS_VCARD))
            mk_leaf(o, "text", NULL, types[i].v4);
    if (any)
        mk_close(o);
    if (preferred)
        put_value(o, "pref", "integer", "1");
    mk_close(o);
}

static const char *without_space(struct mk_ctx *c, const char *text) {
    char *copy = mk_printf(c, "%s", text), *to = copy;
    for (; *text; text++)
        if (!strchr(" \t\r\n", *text))
            *to++ = *text;
    *to = '\0';
    return copy;
}

static void put_picture_4(struct mk_ctx *c, struct mk_out *o, const char *name, const struct mk_elem *property) {
    const char *data = without_space(c, text_at(c, property, "BINVAL")), *type = text_at(c, property, "TYPE");
    const char *link = text_at(c, property, "EXTVAL");
    if (*data)
        put_value(o, name, "uri", mk_printf(c, "data:%s;base64,%s", *type ? type : "image/png", data));
    else if (*link)
        put_value(o, name, "uri", link);
}

static void put_typed_4(struct mk_ctx *c, struct mk_out *o, const char *name, const struct mk_elem *property,
                        const char *kind, const char *value) {
    mk_open(o, name, NULL);
    put_types_4(o, property);
    if (kind)
        mk_leaf(o, kind, NULL, value);
    else
        put_parts(c, o, property, address_parts, COUNT(address_parts), false);
    mk_close(o);
}

static void put_texts_4(struct mk_ctx *c, struct mk_out *o, const char *name, const struct mk_elem *property) {
    mk_open(o, name, NULL);
    for (const struct mk_elem *e = mk_elem_first(property); e; e = mk_elem_next(e))
        if (*mk_text(c, e))
            mk_leaf(o, "text", NULL, mk_text(c, e));
    mk_close(o);
}

static void property_to_4(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *e) {
    const char *name = mk_elem_name(e);
    for (size_t i = 0; i < COUNT(simples); i++)
        if (strcmp(simples[i].temp, name) == 0) {
            put_value(o, simples[i].v4, simples[i].kind, mk_text(c, e));
            return;
        }
    if (strcmp(name, "N") == 0) {
        mk_open(o, "n", NULL);
        put_parts(c, o, e, name_parts, COUNT(name_parts), false);
        mk_close(o);
    } else if (strcmp(name, "ADR") == 0) {
        put_typed_4(c, o, "adr", e, NULL, NULL);
    } else if (strcmp(name, "TEL") == 0) {
        put_typed_4(c, o, "tel", e, "uri", mk_printf(c, "tel:%s", without_space(c, text_at(c, e, "NUMBER"))));
    } else if (strcmp(name, "EMAIL") == 0) {
        put_typed_4(c, o, "email", e, "text", text_at(c, e, "USERID"));
    } else if (strcmp(name, "JABBERID") == 0) {
        put_value(o, "impp", "uri", mk_printf(c, "xmpp:%s", mk_text(c, e)));
    } else if (strcmp(name, "PHOTO") == 0 || strcmp(name, "LOGO") == 0) {
        put_picture_4(c, o, *name == 'P' ? "photo" : "logo", e);
    } else if (strcmp(name, "GEO") == 0) {
        put_value(o, "geo", "uri", mk_printf(c, "geo:%s,%s", text_at(c, e, "LAT"), text_at(c, e, "LON")));
    } else if (strcmp(name, "ORG") == 0) {
        put_texts_4(c, o, "org", e);
    } else if (strcmp(name, "CATEGORIES") == 0) {
        put_texts_4(c, o, "categories", e);
    }
}

void convert_to_4(struct mk_ctx *c, struct mk_out *o, const struct mk_elem *vcard) {
    mk_open(o, "vcard", MK_NS_VCARD4);
    for (const struct mk_elem *e = mk_elem_first(vcard); e; e = mk_elem_next(e))
        if (strcmp(mk_elem_ns(e), MK_NS_VCARD) == 0)
            property_to_4(c, o, e);
    mk_close(o);
}
