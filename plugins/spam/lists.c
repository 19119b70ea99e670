/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block lists that a service of others keeps: items of a pubsub node (XEP-0060) whose ids are SHA-256 of bare JIDs or
 * domains in hexadecimal.  Each host fetches them, subscribes to what changes, and stores the hashes; each worker has a
 * copy of what is stored.
 */
#include "spam.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#define NS_PUBSUB "http://jabber.org/protocol/pubsub"
#define NS_EVENT NS_PUBSUB "#event"
#define NS_RSM "http://jabber.org/protocol/rsm"
#define NS_REPORT "urn:xmpp:reporting:1"

enum { LOADED_FOR_MS = 60000, TICK_MS = 15000, AGAIN_MS = 60000, PAGE = 200, ROWS = 1000 };

const struct mk_col_decl hash_cols[COL_COUNT] = {
    { "hash", MK_C_TEXT, MK_COL_PARTITION, "SHA-256 of a bare JID or a domain, in hexadecimal." },
    { "list", MK_C_TEXT, MK_COL_SORT, "The list that has it: service, space, node." },
    { "reason", MK_C_TEXT, MK_COL_NULL, "Why, if the list says so." },
    { "seen", MK_C_TIME, 0, "When the list was last seen to have it." },
};

bool list_read(struct mk_ctx *c, const char *text, const struct mk_jid **service, const char **node) {
    const char *space = strchr(text, ' ');
    *node = space ? space + 1 : NULL;
    return space && **node && mk_jid_parse(c, (struct mk_view){ text, (size_t)(space - text) }, service) == MK_OK;
}

/* ---- hashes --------------------------------------------------------------------------------------------------------- */

static int digit(char x) {
    if (x >= '0' && x <= '9')
        return x - '0';
    x |= 32;
    return x >= 'a' && x <= 'f' ? x - 'a' + 10 : -1;
}

static bool from_hex(const char *text, struct hash *h) {
    if (!text || strlen(text) != HEX_SIZE)
        return false;
    for (unsigned i = 0; i < HASH_SIZE; i++) {
        int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        h->bytes[i] = (unsigned char)(hi << 4 | lo);
    }
    return true;
}

/* In small letters, as it is stored. */
static const char *to_hex(struct mk_ctx *c, const struct hash *h) {
    static const char digits[] = "0123456789abcdef";
    char *text = mk_alloc(c, HEX_SIZE + 1);
    for (unsigned i = 0; i < HASH_SIZE; i++) {
        text[2 * i] = digits[h->bytes[i] >> 4];
        text[2 * i + 1] = digits[h->bytes[i] & 15];
    }
    return text;
}

static struct hash hash_of(struct mk_view text) {
    struct hash h;
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text.s, text.len, h.bytes);
    return h;
}

static int compare(const void *a, const void *b) {
    return memcmp(a, b, HASH_SIZE);
}

static bool has(const struct worker *w, struct mk_view text) {
    struct hash h = hash_of(text);
    return bsearch(&h, w->hashes, w->count, sizeof h, compare) != NULL;
}

bool is_listed(struct mk_ctx *c, const struct mk_jid *jid) {
    const struct worker *w = mk_worker(c);
    return w->count && (has(w, mk_jid_bare(jid)) || has(w, mk_jid_domain(jid)));
}

/* ---- the worker's copy ---------------------------------------------------------------------------------------------- */

struct copy {
    struct hash *hashes;
    size_t count, cap;
};

static void copy_add(struct copy *copy, const struct hash *h) {
    if (copy->count == copy->cap) {
        size_t cap = copy->cap ? copy->cap * 2 : 256;
        struct hash *bigger = mk_malloc(cap * sizeof *bigger);
        if (copy->count)
            memcpy(bigger, copy->hashes, copy->count * sizeof *bigger);
        mk_free(copy->hashes);
        copy->hashes = bigger;
        copy->cap = cap;
    }
    copy->hashes[copy->count++] = *h;
}

/* All of a list, by pages. */
MK_SUSPENDS static int read_list(struct mk_ctx *c, const char *list, struct copy *copy) {
    const struct spam *me = mk_inst(c);
    struct mk_value partition = mk_v_text(list), after = mk_v_text("");
    for (;;) {
        const struct mk_rows *rows;
        int rc = mk_scan(c, me->hashes,
                         MK_SCAN(.index = 1, .partition = &partition, .lo = &after, .lo_count = 1,
                                 .flags = MK_SCAN_LO_OPEN, .limit = ROWS),
                         &rows);
        if (rc != MK_OK)
            return rc;
        size_t count = mk_rows_count(rows);
        for (size_t i = 0; i < count; i++) {
            struct hash h;
            if (from_hex(mk_row_text(mk_rows_at(rows, i), COL_HASH), &h))
                copy_add(copy, &h);
        }
        if (count < ROWS)
            return MK_OK;
        after = mk_v_text(mk_row_text(mk_rows_at(rows, count - 1), COL_HASH));
    }
}

MK_SUSPENDS void lists_load(struct mk_ctx *c) {
    const struct spam *me = mk_inst(c);
    struct worker *w = mk_worker(c);
    struct copy copy = { NULL, 0, 0 };
    int64_t now = mk_now_ms(c);
    if (!me->lists.count || (w->loaded_ms && now - w->loaded_ms < LOADED_FOR_MS))
        return;
    w->loaded_ms = now; /* others need not wait for it */
    for (unsigned i = 0; i < me->lists.count; i++)
        if (read_list(c, me->lists.items[i], &copy) != MK_OK) {
            mk_log(c, MK_WARNING, "block lists can't be read; those known before hold");
            mk_free(copy.hashes);
            return;
        }
    if (copy.count)
        qsort(copy.hashes, copy.count, sizeof *copy.hashes, compare);
    mk_free(w->hashes);
    w->hashes = copy.hashes;
    w->count = copy.count;
}

/* ---- storing -------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int put(struct mk_ctx *c, const char *list, const struct mk_elem *item, int64_t seen) {
    const struct spam *me = mk_inst(c);
    const struct mk_elem *report = mk_elem_child(item, "report", NS_REPORT);
    struct hash h;
    if (!from_hex(mk_attr(item, "id"), &h))
        return MK_E_INVALID;
    const struct mk_value row[COL_COUNT] = { mk_v_text(to_hex(c, &h)), mk_v_text(list),
                                             mk_v_text(report ? mk_attr(report, "reason") : NULL), mk_v_time(seen) };
    int rc = mk_put_later(c, me->hashes, MK_UPSERT, row, NULL);
    return rc == MK_E_BUSY ? mk_put_now(c, me->hashes, MK_UPSERT, row) : rc;
}

MK_SUSPENDS static int del(struct mk_ctx *c, const char *list, const char *hex) {
    const struct spam *me = mk_inst(c);
    struct hash h;
    if (!from_hex(hex, &h))
        return MK_E_INVALID;
    const struct mk_value key[] = { mk_v_text(to_hex(c, &h)), mk_v_text(list) };
    int rc = mk_del(c, me->hashes, key);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

/* What the list does not have any more. */
MK_SUSPENDS static int drop_old(struct mk_ctx *c, const char *list, int64_t seen) {
    const struct spam *me = mk_inst(c);
    struct mk_value partition = mk_v_text(list), after = mk_v_text("");
    for (;;) {
        const struct mk_rows *rows;
        int rc = mk_scan(c, me->hashes,
                         MK_SCAN(.index = 1, .partition = &partition, .lo = &after, .lo_count = 1,
                                 .flags = MK_SCAN_LO_OPEN, .limit = ROWS),
                         &rows);
        size_t count = rc == MK_OK ? mk_rows_count(rows) : 0;
        for (size_t i = 0; i < count && rc == MK_OK; i++)
            if (mk_row_int(mk_rows_at(rows, i), COL_SEEN) < seen)
                rc = del(c, list, mk_row_text(mk_rows_at(rows, i), COL_HASH));
        if (rc != MK_OK || count < ROWS)
            return rc;
        after = mk_v_text(mk_row_text(mk_rows_at(rows, count - 1), COL_HASH));
    }
}

/* ---- fetching ------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int subscribe(struct mk_ctx *c, const struct mk_jid *service, const char *node) {
    const struct mk_stanza *answer;
    struct mk_out *o = mk_query(c, MK_TYPE_SET, service);
    mk_open(o, "pubsub", NS_PUBSUB);
    mk_open(o, "subscribe", NULL);
    mk_put(o, "node", node);
    mk_put_jid(o, "jid", mk_host(c));
    return mk_query_wait(c, o, &answer);
}

/* AFTER: the last item of the page before, or NULL; set to that of this one, NULL if there is no more. */
MK_SUSPENDS static int fetch_page(struct mk_ctx *c, const char *list, const struct mk_jid *service, const char *node,
                                  int64_t seen, int64_t *count, const char **after) {
    const struct mk_stanza *answer;
    struct mk_out *o = mk_query(c, MK_TYPE_GET, service);
    mk_open(o, "pubsub", NS_PUBSUB);
    mk_open(o, "items", NULL);
    mk_put(o, "node", node);
    mk_close(o);
    mk_open(o, "set", NS_RSM);
    mk_leaf(o, "max", NULL, mk_printf(c, "%d", PAGE));
    if (*after)
        mk_leaf(o, "after", NULL, *after);
    int rc = mk_query_wait(c, o, &answer);
    if (rc != MK_OK)
        return rc;
    const struct mk_elem *pubsub = mk_child(answer, "pubsub", NS_PUBSUB);
    const struct mk_elem *items = pubsub ? mk_elem_child(pubsub, "items", NS_PUBSUB) : NULL;
    if (mk_stanza_type(answer) != MK_TYPE_RESULT || !items)
        return MK_E_UNAVAILABLE;
    int64_t before = *count;
    for (const struct mk_elem *item = mk_elem_first(items); item; item = mk_elem_next(item)) {
        rc = mk_elem_is(item, "item", NS_PUBSUB) ? put(c, list, item, seen) : MK_E_INVALID;
        if (rc != MK_OK && rc != MK_E_INVALID)
            return rc;
        *count += rc == MK_OK;
    }
    const struct mk_elem *set = mk_elem_child(pubsub, "set", NS_RSM), *last;
    last = set && *count > before ? mk_elem_child(set, "last", NS_RSM) : NULL;
    const char *next = last ? mk_text(c, last) : NULL;
    *after = next && *next && (!*after || strcmp(next, *after) != 0) ? next : NULL;
    return MK_OK;
}

MK_SUSPENDS static int fetch(struct mk_ctx *c, const char *list) {
    const struct spam *me = mk_inst(c);
    const struct mk_jid *service;
    const char *node, *after = NULL;
    int64_t seen = mk_now(c), count = 0;
    if (!list_read(c, list, &service, &node))
        return MK_E_INVALID;
    int rc = subscribe(c, service, node);
    do {
        if (rc == MK_OK)
            rc = fetch_page(c, list, service, node, seen, &count, &after);
    } while (rc == MK_OK && after && count < me->max_items);
    return rc == MK_OK ? drop_old(c, list, seen) : rc;
}

static bool is_due(const struct spam *me, const struct progress *p, int64_t now) {
    if (p->tried_ms && now - p->tried_ms < AGAIN_MS)
        return false;
    return !p->fetched_ms || now - p->fetched_ms >= me->refresh;
}

MK_SUSPENDS void lists_fetch(struct mk_ctx *c, struct mk_session *none) {
    const struct spam *me = mk_inst(c);
    struct worker *w = mk_worker(c);
    (void)none;
    if (w->fetching)
        return;
    w->fetching = true;
    for (unsigned i = 0; i < me->lists.count && i < LISTS_MAX; i++) {
        struct progress *p = &w->lists[i];
        if (!is_due(me, p, mk_now_ms(c)))
            continue;
        p->tried_ms = mk_now_ms(c);
        int rc = fetch(c, me->lists.items[i]);
        if (rc == MK_OK)
            p->fetched_ms = mk_now_ms(c);
        else if (!p->failing)
            mk_log(c, MK_WARNING, "block list %s can't be fetched: %s; what was fetched before holds",
                   me->lists.items[i], mk_strerror(rc));
        p->failing = rc != MK_OK;
    }
    w->fetching = false;
    w->loaded_ms = 0;
    lists_load(c);
}

void lists_tick(struct mk_ctx *c, struct mk_session *none) {
    (void)none;
    mk_timer_start(c, NULL, TIMER_FETCH, 0);
    mk_timer_start(c, NULL, TIMER_TICK, TICK_MS);
}

enum mk_flow on_host_started(struct mk_ctx *c, struct mk_ev_host *ev) {
    (void)ev;
    mk_timer_start(c, NULL, TIMER_TICK, 0);
    return MK_NEXT;
}

/* ---- what changes --------------------------------------------------------------------------------------------------- */

/* The list that this service keeps in NODE, or NULL. */
static const char *list_of(struct mk_ctx *c, const struct mk_jid *from, const char *node) {
    const struct spam *me = mk_inst(c);
    for (unsigned i = 0; node && from && i < me->lists.count; i++) {
        const struct mk_jid *service;
        const char *own;
        if (list_read(c, me->lists.items[i], &service, &own) && mk_jid_same(service, from) && strcmp(own, node) == 0)
            return me->lists.items[i];
    }
    return NULL;
}

MK_SUSPENDS enum mk_flow on_event(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_elem *event = mk_child(ev->stanza, "event", NS_EVENT);
    const struct mk_elem *items = event ? mk_elem_child(event, "items", NS_EVENT) : NULL;
    const char *list = items ? list_of(c, mk_stanza_from(ev->stanza), mk_attr(items, "node")) : NULL;
    if (!list)
        return MK_NEXT;
    for (const struct mk_elem *e = mk_elem_first(items); e; e = mk_elem_next(e)) {
        int rc = MK_OK;
        if (mk_elem_is(e, "item", NS_EVENT))
            rc = put(c, list, e, mk_now(c));
        else if (mk_elem_is(e, "retract", NS_EVENT))
            rc = del(c, list, mk_attr(e, "id"));
        if (rc != MK_OK && rc != MK_E_INVALID)
            mk_log(c, MK_WARNING, "a change of block list %s was not stored: %s", list, mk_strerror(rc));
    }
    ((struct worker *)mk_worker(c))->loaded_ms = 0;
    lists_load(c);
    return MK_STOP;
}

/* ---- commands ------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS int cmd_lists(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct spam *me = mk_inst(c);
    (void)args;
    for (unsigned i = 0; i < me->lists.count; i++) {
        struct mk_value partition = mk_v_text(me->lists.items[i]);
        int64_t count;
        int rc = mk_scan_count(c, me->hashes, MK_SCAN(.index = 1, .partition = &partition), &count);
        if (rc != MK_OK)
            return mk_result_error(result, rc, "the list can't be read: %s", mk_strerror(rc));
        mk_result_next(result);
        mk_result_text(result, "list", me->lists.items[i]);
        mk_result_int(result, "items", count);
    }
    return MK_OK;
}

MK_SUSPENDS static int check(struct mk_ctx *c, struct mk_view text, struct mk_result *result) {
    const struct spam *me = mk_inst(c);
    struct hash h = hash_of(text);
    struct mk_value partition = mk_v_text(to_hex(c, &h));
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->hashes, MK_SCAN(.partition = &partition), &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const char *reason = mk_row_text(mk_rows_at(rows, i), COL_REASON);
        mk_result_next(result);
        mk_result_text(result, "list", mk_row_text(mk_rows_at(rows, i), COL_LIST));
        mk_result_text(result, "reason", reason ? reason : "");
    }
    return rc;
}

MK_SUSPENDS int cmd_check(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct mk_jid *jid = mk_arg_jid(args, "jid");
    int rc = check(c, mk_jid_bare(jid), result);
    if (rc == MK_OK && mk_jid_local(jid).len)
        rc = check(c, mk_jid_domain(jid), result);
    return rc == MK_OK ? rc : mk_result_error(result, rc, "the lists can't be read: %s", mk_strerror(rc));
}
