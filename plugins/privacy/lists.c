/* SPDX-License-Identifier: Apache-2.0 */
#include "lists.h"
#include <string.h>

enum { COL_OWNER, COL_NAME, COL_STANDARD, COL_RULES, COL_COUNT };

const struct mk_col_decl list_cols[COL_COUNT] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    { "name", MK_C_TEXT, MK_COL_SORT, "Name of the list." },
    { "standard", MK_C_BOOL, 0, "Whether it is the default list." },
    { "rules", MK_C_TEXT, 0, "Its rules, one a line: order, action, kinds, type, value." },
};

static struct mk_value *row_of(struct mk_ctx *c, const struct rule_list *l, bool standard) {
    struct mk_value *row = mk_alloc(c, COL_COUNT * sizeof *row);
    row[COL_OWNER] = mk_v_jid(mk_self(c));
    row[COL_NAME] = mk_v_text(l->name);
    row[COL_STANDARD] = mk_v_bool(standard);
    row[COL_RULES] = mk_v_text(rules_write(c, l));
    return row;
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

static void add(struct lists *l, struct rule_list *new) {
    struct rule_list **bigger = mk_malloc((l->count + 1) * sizeof *bigger);
    if (l->items)
        memcpy(bigger, l->items, l->count * sizeof *bigger);
    mk_free(l->items);
    l->items = bigger;
    l->items[l->count++] = new;
}

/* So that rule_for() need not wait for it. */
MK_SUSPENDS static int load_roster(struct mk_ctx *c, const struct rule_list *l) {
    const struct privacy *me = mk_inst(c);
    const struct mk_roster_item *const *items;
    uint32_t count;
    return l->needs_roster && me->roster ? mk_roster_items(c, me->roster, &items, &count) : MK_OK;
}

int lists_load(struct mk_ctx *c) {
    const struct privacy *me = mk_inst(c);
    struct lists *l = lists_of(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    if (l->loaded)
        return MK_OK;
    int rc = mk_scan(c, me->lists, MK_SCAN(.partition = &owner), &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        uint32_t count;
        const struct rule *rules = rules_read(c, mk_row_text(row, COL_RULES), &count);
        struct rule_list *new = rule_list_new(mk_row_text(row, COL_NAME), rules, count);
        add(l, new);
        if (mk_row_int(row, COL_STANDARD))
            l->standard = new;
        rc = load_roster(c, new);
    }
    if (rc != MK_OK)
        lists_forget(l);
    l->loaded = rc == MK_OK;
    return rc;
}

void lists_forget(struct lists *l) {
    for (uint32_t i = 0; i < l->count; i++)
        rule_list_free(l->items[i]);
    mk_free(l->items);
    *l = (struct lists){ .items = NULL };
}

struct rule_list *lists_find(const struct lists *l, const char *name) {
    for (uint32_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i]->name, name) == 0)
            return l->items[i];
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static void replace_active(struct mk_ctx *c, const struct rule_list *old, const struct rule_list *new) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (session_of(c, s)->active == old)
            session_of(c, s)->active = new;
}

static void unlink_list(struct lists *l, const struct rule_list *old) {
    uint32_t i = 0;
    while (l->items[i] != old)
        i++;
    l->items[i] = l->items[--l->count];
    if (l->standard == old)
        l->standard = NULL;
    if (l->count)
        return;
    mk_free(l->items);
    l->items = NULL;
}

int lists_put(struct mk_ctx *c, struct rule_list *new, bool standard, struct rule_list **old) {
    const struct privacy *me = mk_inst(c);
    struct lists *l = lists_of(c);
    *old = lists_find(l, new->name);
    standard |= *old && *old == l->standard;
    struct rule_list *before = standard && l->standard != *old ? l->standard : NULL;
    struct mk_write writes[2] = { { MK_W_PUT, MK_UPSERT, me->lists, row_of(c, new, standard) } };
    if (before)
        writes[1] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->lists, row_of(c, before, false) };
    int rc = load_roster(c, new);
    if (rc == MK_OK)
        rc = mk_batch(c, writes, before ? 2 : 1);
    if (rc != MK_OK) {
        rule_list_free(new);
        return rc;
    }
    if (*old) {
        replace_active(c, *old, new);
        unlink_list(l, *old);
    }
    add(l, new);
    if (standard)
        l->standard = new;
    return MK_OK;
}

int lists_remove(struct mk_ctx *c, struct rule_list *l) {
    const struct privacy *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_text(l->name) };
    int rc = mk_del(c, me->lists, key);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        return rc;
    replace_active(c, l, NULL);
    unlink_list(lists_of(c), l);
    return MK_OK;
}

int lists_set_standard(struct mk_ctx *c, struct rule_list *l) {
    const struct privacy *me = mk_inst(c);
    struct lists *all = lists_of(c);
    struct mk_write writes[2];
    size_t count = 0;
    if (all->standard == l)
        return MK_OK;
    if (l)
        writes[count++] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->lists, row_of(c, l, true) };
    if (all->standard)
        writes[count++] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->lists, row_of(c, all->standard, false) };
    int rc = mk_batch(c, writes, count);
    if (rc == MK_OK)
        all->standard = l;
    return rc;
}

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

struct question {
    struct mk_ctx *c;
    const struct privacy *me;
    const struct mk_jid *jid;
};

static const struct mk_roster_item *contact(void *arg) {
    const struct question *q = arg;
    const struct mk_roster_item *item;
    if (!q->me->roster || mk_roster_find(q->c, q->me->roster, mk_jid_to_bare(q->c, q->jid), &item) != MK_OK)
        return NULL;
    return item;
}

const struct rule *rule_for(struct mk_ctx *c, const struct rule_list *l, const struct mk_jid *jid, uint32_t kind) {
    struct question q = { c, mk_inst(c), jid };
    return rule_list_match(l, jid, kind, contact, &q);
}

bool is_exempt(struct mk_ctx *c, const struct mk_jid *jid) {
    return mk_jid_same_bare(jid, mk_self(c)) || (!mk_jid_local(jid).len && mk_jid_same_bare(jid, mk_host(c)));
}
