/* SPDX-License-Identifier: Apache-2.0 */
#include "lists.h"
#include <stdlib.h>
#include <string.h>

const struct mk_col_decl entry_cols[COL_COUNT] = {
    [COL_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [COL_LIST] = { "list", MK_C_TEXT, MK_COL_SORT, "black or white." },
    [COL_JID] = { "jid", MK_C_JID, MK_COL_SORT, "Who is on it: a full JID, a bare one, or a domain." },
    [COL_SINCE] = { "since", MK_C_TIME, 0, "When it was put there." },
};

const char *list_name(int list) {
    return list == BLACK ? "black" : "white";
}

int list_scan(struct mk_ctx *c, int list, const struct mk_rows **rows) {
    const struct access_lists *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), name = mk_v_text(list_name(list));
    return mk_scan(c, me->entries, MK_SCAN(.partition = &host, .lo = &name, .lo_count = 1, .hi = &name, .hi_count = 1),
                   rows);
}

/* ---- in memory ----------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    return mk_jid_compare(*(struct mk_jid *const *)a, *(struct mk_jid *const *)b);
}

static void jids_free(struct jids *j) {
    for (uint32_t i = 0; i < j->count; i++)
        mk_jid_free(j->items[i]);
    mk_free(j->items);
    *j = (struct jids){ NULL, 0 };
}

static struct host_lists *of_host(struct mk_ctx *c) {
    struct cache *cache = mk_worker(c);
    struct host_lists *h = cache->hosts;
    while (h && !mk_jid_same(h->host, mk_host(c)))
        h = h->next;
    return h;
}

const struct host_lists *lists_cached(struct mk_ctx *c) {
    return of_host(c);
}

static struct jids keep(const struct mk_rows *rows) {
    struct jids out = { NULL, (uint32_t)mk_rows_count(rows) };
    if (!out.count)
        return out;
    out.items = mk_malloc(out.count * sizeof(*out.items));
    for (uint32_t i = 0; i < out.count; i++)
        out.items[i] = mk_jid_keep(mk_row_jid(mk_rows_at(rows, i), COL_JID));
    qsort(out.items, out.count, sizeof(*out.items), compare);
    return out;
}

MK_SUSPENDS static int scan_all(struct mk_ctx *c, const struct mk_rows *rows[LISTS]) {
    int rc = MK_OK;
    for (int i = 0; i < LISTS && rc == MK_OK; i++)
        rc = list_scan(c, i, &rows[i]);
    return rc;
}

static int64_t version_of(const struct host_lists *h) {
    return h ? h->version : 0;
}

/* Other turns of the worker run while the rows are read, and may read newer ones: then these are read again. */
int lists_read(struct mk_ctx *c, int64_t version) {
    const struct mk_rows *rows[LISTS];
    struct cache *cache = mk_worker(c);
    struct host_lists *h = of_host(c);
    int64_t before;
    do {
        before = version_of(h);
        int rc = scan_all(c, rows);
        if (rc != MK_OK)
            return rc;
        h = of_host(c);
    } while (version_of(h) != before);
    if (!h) {
        h = mk_malloc(sizeof *h);
        h->host = mk_jid_keep(mk_host(c));
        h->next = cache->hosts;
        cache->hosts = h;
    }
    for (int i = 0; i < LISTS; i++) {
        jids_free(&h->lists[i]);
        h->lists[i] = keep(rows[i]);
    }
    if (version > h->version)
        h->version = version;
    return MK_OK;
}

void lists_clear(struct cache *cache) {
    struct host_lists *h;
    while ((h = cache->hosts) != NULL) {
        cache->hosts = h->next;
        for (int i = 0; i < LISTS; i++)
            jids_free(&h->lists[i]);
        mk_jid_free(h->host);
        mk_free(h);
    }
}

/* ---- matching ------------------------------------------------------------------------------------------------------------ */

/* Whether the text is on the list. */
static bool has(const struct jids *list, const char *text, size_t len) {
    uint32_t lo = 0, hi = list->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const char *other = mk_jid_text(list->items[mid]);
        int order = strncmp(other, text, len);
        if (order == 0)
            order = other[len] != '\0';
        if (order == 0)
            return true;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* As a full JID, as a bare one, by its domain. */
static bool matches(const struct jids *list, const struct mk_jid *jid) {
    const char *text = mk_jid_text(jid);
    struct mk_view bare = mk_jid_bare(jid), domain = mk_jid_domain(jid);
    return list->count &&
           (has(list, text, strlen(text)) || has(list, bare.s, bare.len) || has(list, domain.s, domain.len));
}

bool lists_allow(const struct host_lists *h, const struct mk_jid *jid) {
    if (matches(&h->lists[BLACK], jid))
        return false;
    return !h->lists[WHITE].count || matches(&h->lists[WHITE], jid);
}
