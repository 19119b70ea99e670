/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the directory that fit, and the page of them that is asked for. */
#include "vcard.h"
#include <stdlib.h>
#include <string.h>

/* A field that is searched: WORD is folded, without the *. */
struct wanted {
    unsigned field;
    const char *word;
    bool prefix;
};

static uint32_t read_wanted(struct mk_ctx *c, const struct query *q, struct wanted *out) {
    const struct vcard *me = mk_inst(c);
    uint32_t count = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        if (!q->wanted[i] || !(me->fields & 1u << i))
            continue;
        char *word = mk_printf(c, "%s", q->wanted[i]);
        size_t len = strlen(word);
        while (len && word[len - 1] == ' ')
            len--;
        bool prefix = len && word[len - 1] == '*';
        word[prefix ? len - 1 : len] = '\0';
        const char *folded = fold(c, word);
        if (*folded)
            out[count++] = (struct wanted){ i, folded, prefix };
    }
    return count;
}

static bool fits(const struct mk_row *row, const struct wanted *w) {
    const char *text = mk_row_text(row, DIR_FIELD + w->field);
    return w->prefix ? strncmp(text, w->word, strlen(w->word)) == 0 : strcmp(text, w->word) == 0;
}

/* By the index of a field that is known whole, if there is one; of a prefix else. */
MK_SUSPENDS static int scan(struct mk_ctx *c, const struct wanted *wanted, uint32_t count,
                            const struct mk_rows **rows) {
    const struct vcard *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c));
    struct mk_filter *filters = mk_alloc(c, (count + 1) * sizeof *filters);
    uint32_t first = 0, filter_count = 0;
    if (!count)
        return mk_scan(c, me->directory, MK_SCAN(.partition = &host, .limit = (uint32_t)me->max_scan), rows);
    while (first + 1 < count && wanted[first].prefix)
        first++;
    const struct wanted *w = &wanted[first];
    for (uint32_t i = 0; i < count; i++)
        if (i != first && !wanted[i].prefix)
            filters[filter_count++] = (struct mk_filter){ DIR_FIELD + wanted[i].field, 0, mk_v_text(wanted[i].word) };
    /* Nothing that begins with the prefix comes after it with the last of all characters. */
    const struct mk_value lo = mk_v_text(w->word);
    const struct mk_value hi = w->prefix ? mk_v_text(mk_printf(c, "%s\xf4\x8f\xbf\xbf", w->word)) : lo;
    return mk_scan(c, me->directory,
                   MK_SCAN(.index = 1 + w->field, .partition = &host, .lo = &lo, .lo_count = 1, .hi = &hi,
                           .hi_count = 1, .filters = filters, .filter_count = filter_count,
                           .limit = (uint32_t)me->max_scan),
                   rows);
}

static const struct mk_jid *owner(const struct mk_row *row) {
    return mk_row_jid(row, DIR_OWNER);
}

static int by_owner(const void *a, const void *b) {
    return mk_jid_compare(owner(*(const struct mk_row *const *)a), owner(*(const struct mk_row *const *)b));
}

static void cut_page(const struct query *q, struct page *p) {
    uint32_t from = 0, to = p->total;
    while (q->after && from < to && strcmp(mk_jid_text(owner(p->rows[from])), q->after) <= 0)
        from++;
    while (q->before && *q->before && to > from && strcmp(mk_jid_text(owner(p->rows[to - 1])), q->before) >= 0)
        to--;
    if (to - from > q->max && q->before)
        from = to - q->max;
    p->rows += from;
    p->count = to - from > q->max ? q->max : to - from;
}

int find(struct mk_ctx *c, const struct query *q, struct page *out) {
    const struct vcard *me = mk_inst(c);
    struct wanted wanted[FIELDS];
    uint32_t count = read_wanted(c, q, wanted);
    const struct mk_rows *rows;
    *out = (struct page){ NULL, 0, 0 };
    if (!count && !me->search_all)
        return MK_E_INVALID;
    int rc = scan(c, wanted, count, &rows);
    if (rc != MK_OK)
        return rc;
    out->rows = mk_alloc(c, (mk_rows_count(rows) + 1) * sizeof *out->rows);
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        uint32_t good = 0;
        while (good < count && fits(row, &wanted[good]))
            good++;
        if (good == count)
            out->rows[out->total++] = row;
    }
    qsort(out->rows, out->total, sizeof *out->rows, by_owner);
    cut_page(q, out);
    return MK_OK;
}

const char *const *shown(struct mk_ctx *c, const struct mk_row *row) {
    const char **out = mk_alloc(c, FIELDS * sizeof *out);
    char *rest = mk_printf(c, "%s", mk_row_text(row, DIR_SHOWN));
    for (unsigned i = 0; i < FIELDS; i++) {
        const char *line = strsep(&rest, "\n");
        out[i] = line ? line : "";
    }
    return out;
}
