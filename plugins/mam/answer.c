/* SPDX-License-Identifier: Apache-2.0 */
/* Answers queries: the messages of a page, and what ends it.  Touches no slots, for queries run beside the account. */
#include "mam.h"
#include <string.h>

/* Rows read at once: what a page may be over its bytes. */
enum { CHUNK = 16 };

/* Rows in the order of the archive. */
struct page {
    const struct mk_row **rows;
    uint32_t count;
    size_t bytes;
    bool more;            /* in the direction of paging */
    int64_t index, total; /* -1: not said */
};

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

/* False if the page has all it may. */
static bool add(const struct mam *me, const struct query *q, struct page *p, const struct mk_row *row) {
    if (p->count == q->max || (p->count && p->bytes >= (size_t)me->page_bytes)) {
        p->more = true;
        return false;
    }
    p->rows[p->count++] = row;
    p->bytes += strlen(mk_row_text(row, COL_STANZA));
    return true;
}

static void turn_round(struct page *p) {
    for (uint32_t i = 0; i < p->count / 2; i++) {
        const struct mk_row *row = p->rows[i];
        p->rows[i] = p->rows[p->count - 1 - i];
        p->rows[p->count - 1 - i] = row;
    }
}

/* One message more than the page holds is asked for, to know whether it is the last. */
MK_SUSPENDS static int read_rows(struct mk_ctx *c, const struct query *q, struct page *p) {
    const struct mam *me = mk_inst(c);
    struct choice left = { q->page, q->set.with, q->set.words };
    uint32_t skip = q->skip, count, asked;
    const struct mk_row *const *rows;
    bool going = true;
    do {
        uint32_t want = skip + q->max - p->count + 1;
        asked = want < CHUNK ? want : CHUNK;
        int rc = archive_scan(c, &left, q->backwards, asked, &rows, &count);
        if (rc != MK_OK)
            return rc;
        for (uint32_t i = 0; i < count && going; i++)
            if (skip)
                skip--;
            else
                going = add(me, q, p, rows[i]);
        if (count && q->backwards)
            range_to(&left.range, row_place(rows[count - 1]), true);
        else if (count)
            range_from(&left.range, row_place(rows[count - 1]), true);
    } while (going && count == asked);
    if (q->backwards)
        turn_round(p);
    return MK_OK;
}

/*
 * Fills in INDEX and TOTAL where that costs little.  Going backwards there is no index: slixmpp takes a last page that
 * says where it stands for the end.
 */
MK_SUSPENDS static int count_rows(struct mk_ctx *c, const struct query *q, struct page *p) {
    const struct mam *me = mk_inst(c);
    const uint32_t most = (uint32_t)me->count_up_to;
    const struct range *page = &q->page, *all = &q->set.range;
    bool from_start = place_compare(page->lo, all->lo) == 0 && page->lo_open == all->lo_open;
    bool to_end = place_compare(page->hi, all->hi) == 0 && page->hi_open == all->hi_open;
    if (from_start && !q->backwards)
        p->index = q->skip;
    if (from_start && to_end && !p->more && p->count) {
        p->total = (int64_t)q->skip + p->count;
        return MK_OK;
    }
    if (!most)
        return MK_OK;
    int rc = archive_count(c, &q->set, q->max ? most + 1 : 0, &p->total);
    if (rc != MK_OK || (q->max && p->total > most)) {
        p->total = -1;
        return rc;
    }
    if (p->index >= 0 || q->backwards || !p->count)
        return MK_OK;
    if (to_end && !p->more) {
        p->index = p->total - p->count;
        return MK_OK;
    }
    struct choice before = q->set;
    range_to(&before.range, row_place(p->rows[0]), true);
    return archive_count(c, &before, 0, &p->index);
}

/* The messages that were named, as if they were all there are. */
MK_SUSPENDS static int read_named(struct mk_ctx *c, const struct query *q, struct page *p) {
    const struct mam *me = mk_inst(c);
    const struct mk_row **all = mk_alloc(c, (q->id_count + 1) * sizeof *all);
    uint32_t count = 0, first = 0, end;
    for (uint32_t i = 0; i < q->id_count; i++) {
        int rc = range_has(&q->set.range, q->ids[i]) ? archive_get(c, q->ids[i], &all[count]) : MK_E_NOTFOUND;
        if (rc != MK_OK && rc != MK_E_NOTFOUND)
            return rc;
        count += rc == MK_OK && (!q->set.with || row_is_with(all[count], q->set.with));
    }
    while (first < count && place_compare(row_place(all[first]), q->page.lo) <= 0 && q->page.lo_open)
        first++;
    for (end = first; end < count && range_has(&q->page, row_place(all[end])); end++)
        continue;
    first += q->skip < end - first ? q->skip : end - first;
    bool going = true;
    for (uint32_t i = first; i < end && going; i++)
        going = add(me, q, p, q->backwards ? all[end - 1 - (i - first)] : all[i]);
    if (q->backwards)
        turn_round(p);
    p->index = q->backwards ? -1 : (int64_t)first;
    p->total = count;
    return MK_OK;
}

MK_SUSPENDS static int read_page(struct mk_ctx *c, const struct query *q, struct page *p) {
    *p = (struct page){ .rows = mk_alloc(c, (q->max + 1u) * sizeof *p->rows), .index = -1, .total = -1 };
    if (q->ids)
        return q->set.words ? MK_E_UNSUPPORTED : read_named(c, q, p);
    int rc = read_rows(c, q, p);
    return rc == MK_OK ? count_rows(c, q, p) : rc;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

static void put_message(struct mk_ctx *c, const struct mk_archive_row *row, struct mk_out *o, void *arg) {
    (void)c, (void)arg;
    mk_put_stanza(o, row->stanza);
}

static void send_row(struct mk_ctx *c, const struct mk_stanza *iq, const struct query *q, const struct mk_row *row,
                     const struct mk_archive_view *view) {
    struct mk_archive_row m;
    if (row_read(c, row, &m) != MK_OK) {
        mk_log(c, MK_ERROR, "an archived message is no stanza and is left out");
        return;
    }
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, mk_stanza_from(iq));
    mk_from(o, mk_self(c));
    mk_open(o, "result", q->ns);
    mk_put(o, "queryid", q->id);
    mk_put(o, "id", m.id);
    mk_open(o, "forwarded", "urn:xmpp:forward:0");
    mk_put_delay(o, NULL, m.time);
    view->put(c, &m, o, view->arg);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_WARNING, "an archived message was not sent");
    else
        mk_count(c, M_RESULTS, 1);
}

static void put_id(struct mk_out *o, const char *name, const struct mk_row *row, int64_t index) {
    char id[MK_ARCHIVE_ID_SIZE];
    id_write(id, row_place(row));
    mk_open(o, name, NULL);
    if (index >= 0)
        mk_put_int(o, "index", index);
    mk_put_text(o, id);
    mk_close(o);
}

/* <fin/> around <set/>. */
static void put_fin(struct mk_ctx *c, struct mk_out *o, const struct query *q, const struct page *p) {
    bool old = strcmp(q->ns, NS_MAM0) == 0;
    mk_open(o, "fin", q->ns);
    mk_put(o, "queryid", old ? q->id : NULL);
    mk_put(o, "complete", p->more ? NULL : "true");
    mk_open(o, "set", NS_RSM);
    if (p->count) {
        put_id(o, "first", p->rows[0], p->index);
        put_id(o, "last", p->rows[p->count - 1], -1);
    }
    if (p->total >= 0)
        mk_leaf(o, "count", NULL, mk_printf(c, "%lld", (long long)p->total));
    mk_close(o);
    mk_close(o);
}

/* The answer comes first, and a message ends it: XEP-0313 before version 0.5. */
static int send_old(struct mk_ctx *c, const struct mk_stanza *iq, const struct query *q, const struct page *p) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, mk_stanza_from(iq));
    mk_from(o, mk_self(c));
    put_fin(c, o, q, p);
    return mk_send(o);
}

static int send_page(struct mk_ctx *c, const struct mk_stanza *iq, const struct query *q, const struct page *p,
                     const struct mk_archive_view *view) {
    bool old = strcmp(q->ns, NS_MAM0) == 0;
    int rc = old ? mk_send(mk_reply(c, iq)) : MK_OK;
    for (uint32_t i = 0; i < p->count && rc == MK_OK; i++)
        send_row(c, iq, q, p->rows[q->flip ? p->count - 1 - i : i], view);
    if (rc != MK_OK || old)
        return rc == MK_OK ? send_old(c, iq, q, p) : rc;
    struct mk_out *o = mk_reply(c, iq);
    put_fin(c, o, q, p);
    return mk_send(o);
}

MK_SUSPENDS static int answer_query(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_archive_view *view) {
    static const struct mk_archive_view plain = { put_message, NULL };
    struct query q;
    struct page p;
    mk_count(c, M_QUERIES, 1);
    int rc = query_read(c, iq, &q);
    if (rc == MK_OK)
        rc = read_page(c, &q, &p);
    return rc == MK_OK ? send_page(c, iq, &q, &p, view && view->put ? view : &plain) : rc;
}

/* ---- the form, metadata --------------------------------------------------------------------------------------------------- */

static void put_field(struct mk_out *o, const char *type, const char *var) {
    mk_open(o, "field", NULL);
    mk_put(o, "type", type);
    mk_put(o, "var", var);
}

static int answer_form(struct mk_ctx *c, const struct mk_stanza *iq) {
    static const char *const texts[] = { "start", "end", "before-id", "after-id" };
    const char *ns = mk_elem_ns(mk_elem_first(mk_root(iq)));
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", ns);
    mk_open(o, "x", NS_DATA);
    mk_put(o, "type", "form");
    put_field(o, "hidden", "FORM_TYPE");
    mk_leaf(o, "value", NULL, ns);
    mk_close(o);
    put_field(o, "jid-single", "with");
    mk_close(o);
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put_field(o, "text-single", texts[i]);
        mk_close(o);
    }
    put_field(o, "list-multi", "ids");
    mk_open(o, "validate", "http://jabber.org/protocol/xdata-validate");
    mk_put(o, "datatype", "xs:string");
    mk_leaf(o, "open", NULL, NULL);
    mk_close(o);
    mk_close(o);
    put_field(o, "boolean", "include-groupchat");
    mk_close(o);
    if (fulltext_works(mk_inst(c)))
        put_field(o, "text-single", "{" NS_FULLTEXT "}fulltext");
    return mk_send(o);
}

MK_SUSPENDS static int put_end(struct mk_ctx *c, struct mk_out *o, const char *name, bool last) {
    const struct choice all = { .range = range_all() };
    const struct mk_row *const *rows;
    uint32_t count;
    int rc = archive_scan(c, &all, last, 1, &rows, &count);
    if (rc != MK_OK || !count)
        return rc;
    char id[MK_ARCHIVE_ID_SIZE];
    id_write(id, row_place(rows[0]));
    mk_open(o, name, NULL);
    mk_put(o, "id", id);
    mk_put(o, "timestamp", mk_time_text(c, row_place(rows[0]).time));
    mk_close(o);
    return rc;
}

MK_SUSPENDS int put_metadata(struct mk_ctx *c, struct mk_out *o) {
    mk_open(o, "metadata", NS_MAM);
    int rc = put_end(c, o, "start", false);
    if (rc == MK_OK)
        rc = put_end(c, o, "end", true);
    mk_close(o);
    return rc;
}

MK_SUSPENDS int answer(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_archive_view *view) {
    const struct mk_elem *e = mk_elem_first(mk_root(iq));
    bool get = mk_stanza_type(iq) == MK_TYPE_GET;
    if (mk_elem_is(e, "metadata", NS_MAM) && get) {
        struct mk_out *o = mk_reply(c, iq);
        int rc = put_metadata(c, o);
        return rc == MK_OK ? mk_send(o) : rc;
    }
    if (!mk_elem_is(e, "query", NULL))
        return MK_E_UNSUPPORTED;
    return get ? answer_form(c, iq) : answer_query(c, iq, view);
}
