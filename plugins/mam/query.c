/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a query asks for: XEP-0313, 4, and XEP-0059. */
#include "mam.h"
#include <stdlib.h>
#include <string.h>

static struct mk_view view(const char *text) {
    return (struct mk_view){ text, strlen(text) };
}

/* The place of a message that must be in the archive. */
MK_SUSPENDS static int find(struct mk_ctx *c, const char *id, struct place *at) {
    const struct mk_row *row;
    return id_read(id, at) ? archive_get(c, *at, &row) : MK_E_NOTFOUND;
}

/* ---- the form ------------------------------------------------------------------------------------------------------------ */

static const char *value_of(struct mk_ctx *c, const struct mk_elem *field) {
    return mk_text(c, mk_elem_child(field, "value", NS_DATA));
}

static int read_with(struct mk_ctx *c, struct query *q, const char *value) {
    return mk_jid_parse(c, view(value), &q->set.with);
}

static int read_time(struct query *q, const char *value, bool start) {
    int64_t time;
    if (mk_time_parse(value, &time) != MK_OK)
        return MK_E_INVALID;
    if (start)
        range_from(&q->set.range, (struct place){ time, 0 }, false);
    else
        range_to(&q->set.range, (struct place){ time, INT64_MAX }, false);
    return MK_OK;
}

MK_SUSPENDS static int read_id(struct mk_ctx *c, struct query *q, const char *value, bool after) {
    struct place at;
    int rc = find(c, value, &at);
    if (rc == MK_OK && after)
        range_from(&q->set.range, at, true);
    else if (rc == MK_OK)
        range_to(&q->set.range, at, true);
    return rc;
}

static int by_place(const void *a, const void *b) {
    return place_compare(*(const struct place *)a, *(const struct place *)b);
}

MK_SUSPENDS static int read_ids(struct mk_ctx *c, struct query *q, const struct mk_elem *field) {
    const struct mam *me = mk_inst(c);
    uint32_t count = 0, kept = 0;
    for (const struct mk_elem *v = mk_elem_first(field); v; v = mk_elem_next(v))
        count += mk_elem_is(v, "value", NS_DATA);
    if (q->ids)
        return MK_E_INVALID;
    if (count > me->max_page)
        return MK_E_LIMIT;
    q->ids = mk_alloc(c, (count + 1) * sizeof *q->ids);
    for (const struct mk_elem *v = mk_elem_first(field); v; v = mk_elem_next(v)) {
        int rc = mk_elem_is(v, "value", NS_DATA) ? find(c, mk_text(c, v), &q->ids[q->id_count]) : MK_OK;
        if (rc != MK_OK)
            return rc;
        q->id_count += mk_elem_is(v, "value", NS_DATA);
    }
    qsort(q->ids, q->id_count, sizeof *q->ids, by_place);
    for (uint32_t i = 0; i < q->id_count; i++)
        if (!kept || place_compare(q->ids[kept - 1], q->ids[i]) != 0)
            q->ids[kept++] = q->ids[i];
    q->id_count = kept;
    return MK_OK;
}

/* This archive has no messages of rooms: with them and without them it is the same. */
static int read_groupchat(const char *value) {
    static const char *const words[] = { "true", "false", "1", "0" };
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(value, words[i]) == 0)
            return MK_OK;
    return MK_E_INVALID;
}

static int read_words(struct mk_ctx *c, struct query *q, const char *value) {
    if (!fulltext_works(mk_inst(c)))
        return MK_E_UNSUPPORTED;
    q->set.words = *value ? value : NULL;
    return MK_OK;
}

MK_SUSPENDS static int read_field(struct mk_ctx *c, struct query *q, const struct mk_elem *field) {
    const char *var = mk_attr(field, "var"), *value = value_of(c, field);
    if (!var)
        return MK_E_INVALID;
    if (strcmp(var, "FORM_TYPE") == 0)
        return strcmp(value, q->ns) == 0 ? MK_OK : MK_E_INVALID;
    if (strcmp(var, "with") == 0)
        return read_with(c, q, value);
    if (strcmp(var, "start") == 0 || strcmp(var, "end") == 0)
        return read_time(q, value, *var == 's');
    if (strcmp(var, "before-id") == 0 || strcmp(var, "after-id") == 0)
        return read_id(c, q, value, *var == 'a');
    if (strcmp(var, "ids") == 0)
        return read_ids(c, q, field);
    if (strcmp(var, "include-groupchat") == 0)
        return read_groupchat(value);
    if (strcmp(var, "{" NS_FULLTEXT "}fulltext") == 0)
        return read_words(c, q, value);
    return MK_E_UNSUPPORTED;
}

MK_SUSPENDS static int read_form(struct mk_ctx *c, struct query *q, const struct mk_elem *form) {
    bool typed = false;
    const char *type = mk_attr(form, "type");
    if (!type || strcmp(type, "submit") != 0)
        return MK_E_INVALID;
    for (const struct mk_elem *f = mk_elem_first(form); f; f = mk_elem_next(f)) {
        if (!mk_elem_is(f, "field", NS_DATA))
            continue;
        int rc = read_field(c, q, f);
        if (rc != MK_OK)
            return rc;
        typed |= strcmp(mk_attr(f, "var"), "FORM_TYPE") == 0;
    }
    return typed ? MK_OK : MK_E_INVALID;
}

/* ---- pages --------------------------------------------------------------------------------------------------------------- */

static int read_number(struct mk_ctx *c, const struct mk_elem *e, int64_t most, uint32_t *out) {
    int64_t number;
    if (!e)
        return MK_OK;
    if (!rsm_number(mk_text(c, e), &number))
        return MK_E_INVALID;
    *out = (uint32_t)(number < most ? number : most);
    return MK_OK;
}

/* An empty one is the end, or the beginning, of all. */
MK_SUSPENDS static int read_edge(struct mk_ctx *c, struct query *q, const struct mk_elem *e, bool after) {
    struct place at;
    const char *id = mk_text(c, e);
    if (!*id)
        return MK_OK;
    int rc = find(c, id, &at);
    if (rc == MK_OK && after)
        range_from(&q->page, at, true);
    else if (rc == MK_OK)
        range_to(&q->page, at, true);
    return rc;
}

/* <index/> is answered as far as passing over what is before it costs no more than a page. */
MK_SUSPENDS static int read_set(struct mk_ctx *c, struct query *q, const struct mk_elem *set) {
    const struct mam *me = mk_inst(c);
    const struct mk_elem *before = mk_elem_child(set, "before", NS_RSM), *after = mk_elem_child(set, "after", NS_RSM);
    const struct mk_elem *index = mk_elem_child(set, "index", NS_RSM);
    q->backwards = before != NULL;
    if (index && (before || after))
        return MK_E_INVALID;
    int rc = read_number(c, mk_elem_child(set, "max", NS_RSM), me->max_page, &q->max);
    if (rc == MK_OK)
        rc = read_number(c, index, UINT32_MAX, &q->skip);
    if (rc == MK_OK && q->skip > me->max_page)
        rc = MK_E_UNSUPPORTED;
    if (rc == MK_OK && before)
        rc = read_edge(c, q, before, false);
    if (rc == MK_OK && after)
        rc = read_edge(c, q, after, true);
    return rc;
}

MK_SUSPENDS int query_read(struct mk_ctx *c, const struct mk_stanza *iq, struct query *q) {
    const struct mam *me = mk_inst(c);
    const struct mk_elem *e = mk_elem_first(mk_root(iq));
    int64_t max = me->default_page < me->max_page ? me->default_page : me->max_page;
    *q = (struct query){ .ns = mk_elem_ns(e), .id = mk_attr(e, "queryid"), .max = (uint32_t)max };
    const struct mk_elem *form = mk_elem_child(e, "x", NS_DATA), *set = mk_elem_child(e, "set", NS_RSM);
    if (mk_attr(e, "node"))
        return MK_E_NOTFOUND;
    q->flip = mk_elem_child(e, "flip-page", NS_MAM) != NULL;
    q->set.range = range_all();
    int rc = form ? read_form(c, q, form) : MK_OK;
    if (rc != MK_OK)
        return rc;
    q->page = q->set.range;
    return set ? read_set(c, q, set) : MK_OK;
}
