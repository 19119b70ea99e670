/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0441: what accounts wish to have archived. */
#include "mam.h"
#include <stdlib.h>
#include <string.h>

const char *const wish_names[] = { "always", "never", "roster", NULL };

enum { ALWAYS, NEVER, LISTS };
static const char *const list_names[LISTS] = { "always", "never" };

/* JIDs in order. */
struct jids {
    struct mk_jid **items;
    uint32_t count;
};
struct prefs {
    enum wish wish;
    struct jids lists[LISTS];
};

void prefs_free(struct prefs *p) {
    for (unsigned l = 0; p && l < LISTS; l++) {
        for (uint32_t i = 0; i < p->lists[l].count; i++)
            mk_jid_free(p->lists[l].items[i]);
        mk_free(p->lists[l].items);
    }
    mk_free(p);
}

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

static int by_jid(const void *a, const void *b) {
    return mk_jid_compare(*(struct mk_jid *const *)a, *(struct mk_jid *const *)b);
}

static bool has(const struct jids *list, const struct mk_jid *jid) {
    return list->count && bsearch(&jid, list->items, list->count, sizeof(struct mk_jid *), by_jid);
}

/* An entry without resource stands for all resources. */
static bool lists(struct mk_ctx *c, const struct jids *list, const struct mk_jid *jid) {
    return list->count && (has(list, jid) || (mk_jid_resource(jid).len && has(list, mk_jid_to_bare(c, jid))));
}

/* Sorts, and drops what is there twice. */
static void tidy(struct jids *list) {
    uint32_t kept = 0;
    if (list->count)
        qsort(list->items, list->count, sizeof(struct mk_jid *), by_jid);
    for (uint32_t i = 0; i < list->count; i++)
        if (kept && mk_jid_same(list->items[kept - 1], list->items[i]))
            mk_jid_free(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static void append(struct jids *list, const struct mk_jid *jid) {
    list->items[list->count++] = mk_jid_keep(jid);
}

/* As stored: one a line. */
static const char *list_text(struct mk_ctx *c, const struct jids *list) {
    size_t size = 1;
    for (uint32_t i = 0; i < list->count; i++)
        size += strlen(mk_jid_text(list->items[i])) + 1;
    char *text = mk_alloc(c, size), *at = text;
    for (uint32_t i = 0; i < list->count; i++) {
        at = stpcpy(at, mk_jid_text(list->items[i]));
        *at++ = '\n';
    }
    *at = '\0';
    return text;
}

static void list_read(struct mk_ctx *c, struct jids *list, const char *text) {
    uint32_t lines = 0;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    list->items = mk_malloc((lines + 1) * sizeof(struct mk_jid *));
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        const struct mk_jid *jid;
        if (mk_jid_parse(c, (struct mk_view){ text, (size_t)(end - text) }, &jid) == MK_OK)
            append(list, jid);
    }
    tidy(list);
}

/* ---- what holds ---------------------------------------------------------------------------------------------------------- */

/* Asking for a contact never waits: all are in memory. */
static bool is_contact(struct mk_ctx *c, const struct account *a, const struct mk_jid *peer) {
    const struct mam *me = mk_inst(c);
    const struct mk_roster_item *item;
    if (!a->roster_ready || mk_roster_find(c, me->roster, mk_jid_to_bare(c, peer), &item) != MK_OK)
        return false;
    return item->state != MK_SUB_PENDING_IN || item->name || item->group_count;
}

bool prefs_allow(struct mk_ctx *c, const struct account *a, const struct mk_jid *peer) {
    const struct mam *me = mk_inst(c);
    const struct prefs *p = a->prefs;
    enum wish wish = p ? p->wish : (enum wish)me->prefs_default;
    if (p && lists(c, &p->lists[NEVER], peer))
        return false;
    if (p && lists(c, &p->lists[ALWAYS], peer))
        return true;
    return wish == WISH_ALWAYS || (wish == WISH_ROSTER && is_contact(c, a, peer));
}

/* With the default `roster` contacts are asked for with every message, where nothing may wait. */
MK_SUSPENDS static int load_roster(struct mk_ctx *c, struct account *a) {
    const struct mam *me = mk_inst(c);
    const struct mk_roster_item *const *items;
    uint32_t count;
    enum wish wish = a->prefs ? a->prefs->wish : (enum wish)me->prefs_default;
    if (wish != WISH_ROSTER || !me->roster || a->roster_ready)
        return MK_OK;
    int rc = mk_roster_items(c, me->roster, &items, &count);
    a->roster_ready = rc == MK_OK;
    return rc;
}

MK_SUSPENDS int prefs_load(struct mk_ctx *c, struct account *a) {
    const struct mam *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    int rc = mk_get(c, me->prefs, &key, &row);
    if (rc == MK_OK) {
        struct prefs *p = mk_malloc(sizeof *p);
        const int64_t wish = mk_row_int(row, PREFS_DEFAULT);
        p->wish = wish >= WISH_ALWAYS && wish <= WISH_ROSTER ? (enum wish)wish : WISH_ALWAYS;
        list_read(c, &p->lists[ALWAYS], mk_row_text(row, PREFS_ALWAYS));
        list_read(c, &p->lists[NEVER], mk_row_text(row, PREFS_NEVER));
        prefs_free(a->prefs);
        a->prefs = p;
    }
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        return rc;
    return load_roster(c, a);
}

MK_SUSPENDS int prefs_drop(struct mk_ctx *c, const struct mk_jid *owner) {
    const struct mam *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(owner);
    int rc = mk_del(c, me->prefs, &key);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

/* ---- iqs ----------------------------------------------------------------------------------------------------------------- */

static int read_jid(struct mk_ctx *c, struct jids *list, const struct mk_elem *e) {
    const struct mk_jid *jid;
    const char *text = mk_text(c, e);
    int rc = mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &jid);
    if (rc == MK_OK)
        append(list, jid);
    return rc;
}

static int read_list(struct mk_ctx *c, struct jids *list, const struct mk_elem *e, uint32_t most) {
    const char *ns = e ? mk_elem_ns(e) : NULL;
    uint32_t count = 0;
    for (const struct mk_elem *j = mk_elem_first(e); j; j = mk_elem_next(j))
        count += mk_elem_is(j, "jid", ns);
    if (count > most)
        return MK_E_LIMIT;
    list->items = mk_malloc((count + 1) * sizeof(struct mk_jid *));
    for (const struct mk_elem *j = mk_elem_first(e); j; j = mk_elem_next(j)) {
        int rc = mk_elem_is(j, "jid", ns) ? read_jid(c, list, j) : MK_OK;
        if (rc != MK_OK)
            return rc;
    }
    tidy(list);
    return MK_OK;
}

static int read_prefs(struct mk_ctx *c, struct prefs *p, const struct mk_elem *e) {
    const struct mam *me = mk_inst(c);
    const char *wish = mk_attr(e, "default");
    for (unsigned w = 0; wish && wish_names[w]; w++) {
        if (strcmp(wish_names[w], wish) != 0)
            continue;
        p->wish = (enum wish)w;
        wish = NULL;
    }
    if (wish || !mk_attr(e, "default"))
        return MK_E_INVALID;
    int rc = MK_OK;
    for (unsigned l = 0; l < LISTS && rc == MK_OK; l++)
        rc = read_list(c, &p->lists[l], mk_elem_child(e, list_names[l], mk_elem_ns(e)), (uint32_t)me->max_prefs);
    return rc;
}

MK_SUSPENDS static int store(struct mk_ctx *c, const struct prefs *p) {
    const struct mam *me = mk_inst(c);
    const struct mk_value row[PREFS_COUNT] = {
        mk_v_jid(mk_self(c)),
        mk_v_int(p->wish),
        mk_v_text(list_text(c, &p->lists[ALWAYS])),
        mk_v_text(list_text(c, &p->lists[NEVER])),
    };
    return mk_put_now(c, me->prefs, MK_UPSERT, row);
}

int prefs_set(struct mk_ctx *c, struct account *a, const struct mk_elem *e) {
    struct prefs *p = mk_malloc(sizeof *p);
    int rc = read_prefs(c, p, e);
    if (rc == MK_OK)
        rc = store(c, p);
    if (rc != MK_OK) {
        prefs_free(p);
        return rc;
    }
    prefs_free(a->prefs);
    a->prefs = p;
    return load_roster(c, a);
}

static void put_list(struct mk_out *o, const char *name, const struct jids *list) {
    mk_open(o, name, NULL);
    for (uint32_t i = 0; i < list->count; i++)
        mk_leaf(o, "jid", NULL, mk_jid_text(list->items[i]));
    mk_close(o);
}

void prefs_put(struct mk_ctx *c, const struct account *a, struct mk_out *o, const char *ns) {
    const struct mam *me = mk_inst(c);
    static const struct prefs none;
    const struct prefs *p = a->prefs ? a->prefs : &none;
    mk_open(o, "prefs", ns);
    mk_put(o, "default", wish_names[a->prefs ? (int64_t)p->wish : me->prefs_default]);
    for (unsigned l = 0; l < LISTS; l++)
        put_list(o, list_names[l], &p->lists[l]);
    mk_close(o);
}

MK_SUSPENDS int on_prefs(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct account *a = account_self(c);
    const struct mk_elem *e = mk_elem_first(mk_root(iq));
    int rc = account_load(c, a);
    if (rc == MK_OK && mk_stanza_type(iq) == MK_TYPE_SET)
        rc = prefs_set(c, a, e);
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_reply(c, iq);
    prefs_put(c, a, o, mk_elem_ns(e));
    return mk_send(o);
}
