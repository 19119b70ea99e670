/* SPDX-License-Identifier: Apache-2.0 */
/* Members of groups are each other's contacts without having asked. */
#include "groups.h"
#include <meerkat/shared_roster.h>
#include <stdlib.h>
#include <string.h>

enum { TIMER_REMOVED };

/* ---- the contacts of an account ----------------------------------------------------------------------------------------- */

/* One reason why somebody is a contact. */
struct reason {
    const struct mk_jid *jid;
    const char *label; /* of the group it is shown in, NULL if it is not */
    uint32_t state;
};
struct reasons {
    struct reason *items;
    uint32_t count, cap;
};

static void add(struct mk_ctx *c, struct reasons *all, const struct group *g, const char *label, uint32_t state) {
    if (all->count + g->member_count > all->cap) {
        uint32_t cap = (all->count + g->member_count) * 2;
        struct reason *more = mk_alloc(c, cap * sizeof *more);
        if (all->count)
            memcpy(more, all->items, all->count * sizeof *more);
        all->items = more;
        all->cap = cap;
    }
    for (uint32_t i = 0; i < g->member_count; i++)
        if (!mk_jid_same(g->members[i], mk_self(c)))
            all->items[all->count++] = (struct reason){ g->members[i], label, state };
}

/* Which groups the account is in. */
MK_SUSPENDS static int find_mine(struct mk_ctx *c, const struct groups *all, bool *mine) {
    int rc = MK_OK;
    for (uint32_t i = 0; i < all->count && rc == MK_OK; i++)
        rc = group_has(c, &all->items[i], mk_self(c), &mine[i]);
    return rc;
}

static bool is_shown(const struct groups *all, const struct group *g, const bool *mine) {
    for (uint32_t k = 0; k < g->shown_to.count; k++) {
        const struct group *to = group_find(all, g->shown_to.items[k]);
        if (to && mine[to - all->items])
            return true;
    }
    return false;
}

/* Who sees the account because it is in G. */
MK_SUSPENDS static int add_watchers(struct mk_ctx *c, const struct groups *all, const struct group *g,
                                    struct reasons *out) {
    for (uint32_t k = 0; k < g->shown_to.count; k++) {
        struct group *to = group_find(all, g->shown_to.items[k]);
        int rc = to ? group_members(c, to) : MK_OK;
        if (rc != MK_OK)
            return rc;
        if (to)
            add(c, out, to, NULL, MK_SUB_FROM);
    }
    return MK_OK;
}

static int by_jid(const void *a, const void *b) {
    const struct reason *x = a, *y = b;
    int order = mk_jid_compare(x->jid, y->jid);
    if (order)
        return order;
    return strcmp(x->label ? x->label : "", y->label ? y->label : "");
}

/* Reasons, sorted, become contacts. */
static const struct mk_roster_item *join(struct mk_ctx *c, struct reasons *all, uint32_t *count) {
    struct mk_roster_item *out = mk_alloc(c, (all->count + 1) * sizeof *out), *item = NULL;
    const char **labels = mk_alloc(c, (all->count + 1) * sizeof *labels);
    uint32_t label = 0;
    *count = 0;
    if (all->count)
        qsort(all->items, all->count, sizeof all->items[0], by_jid);
    for (uint32_t i = 0; i < all->count; i++) {
        const struct reason *r = &all->items[i];
        if (!item || !mk_jid_same(item->jid, r->jid)) {
            item = &out[(*count)++];
            *item = (struct mk_roster_item){ .jid = r->jid, .groups = labels + label };
            item->name = mk_text_of(c, mk_jid_local(r->jid));
        }
        item->state |= r->state;
        if (r->label && (!item->group_count || strcmp(item->groups[item->group_count - 1], r->label) != 0)) {
            labels[label++] = r->label;
            item->group_count++;
        }
    }
    return out;
}

MK_SUSPENDS static int op_items(struct mk_ctx *c, const struct mk_roster_item **items, uint32_t *count) {
    struct reasons reasons = { NULL, 0, 0 };
    struct groups all;
    int rc = groups_read(c, &all);
    if (rc != MK_OK)
        return rc;
    bool *mine = mk_alloc(c, all.count + 1);
    rc = find_mine(c, &all, mine);
    for (uint32_t i = 0; i < all.count && rc == MK_OK; i++) {
        struct group *g = &all.items[i];
        if (is_shown(&all, g, mine)) {
            rc = group_members(c, g);
            if (rc == MK_OK)
                add(c, &reasons, g, g->label, MK_SUB_TO);
        }
        if (rc == MK_OK && mine[i])
            rc = add_watchers(c, &all, g, &reasons);
    }
    if (rc == MK_OK)
        *items = join(c, &reasons, count);
    return rc;
}

/* ---- accounts come and go ------------------------------------------------------------------------------------------------ */

MK_SUSPENDS static bool anybody_is_everybody(struct mk_ctx *c) {
    struct groups all;
    int rc = groups_read(c, &all);
    for (uint32_t i = 0; rc == MK_OK && i < all.count; i++)
        if (all.items[i].everybody)
            return true;
    return rc != MK_OK;
}

MK_SUSPENDS static enum mk_flow on_created(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    if (anybody_is_everybody(c))
        mk_tell_accounts(c, MK_SHARED_ROSTER_CHANGED);
    return MK_NEXT;
}

/* It is still in the list of accounts now: the others are told a little later. */
MK_SUSPENDS static enum mk_flow on_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct shared_roster *me = mk_inst(c);
    const struct mk_value partition[] = { mk_v_jid(mk_host(c)), mk_v_jid(ev->account) };
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->members, MK_SCAN(.index = 1, .partition = partition), &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const char *group = mk_row_text(mk_rows_at(rows, i), MEMBER_GROUP);
        const struct mk_value key[] = { partition[0], mk_v_text(group), partition[1] };
        rc = mk_del(c, me->members, key);
        rc = rc == MK_E_NOTFOUND ? MK_OK : rc;
    }
    if (rc != MK_OK)
        mk_log(c, MK_ERROR, "a removed account is still in shared groups: %s", mk_strerror(rc));
    mk_timer_start(c, NULL, TIMER_REMOVED, 1000);
    return MK_NEXT;
}

static void on_removed_timer(struct mk_ctx *c, struct mk_session *session) {
    (void)session;
    mk_tell_accounts(c, MK_SHARED_ROSTER_CHANGED);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static int start(void *inst, struct mk_err *err) {
    const struct shared_roster *me = inst;
    for (uint32_t i = 0; i < me->groups.count; i++)
        if (group_check(me->groups.items[i]) != 0)
            return mk_fail(
                err, MK_E_INVALID,
                "`%s` in groups is not of the form \"ID | NAME | MEMBERS\" or \"ID | NAME | MEMBERS | SHOWN TO\"",
                me->groups.items[i]);
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXTS(struct shared_roster, groups, NULL, 0,
                 "Groups, each \"ID | NAME | MEMBERS | SHOWN TO\": members are names of accounts with commas between "
                 "them, or * for all; groups in SHOWN TO see them, the group itself if nothing is said. \"staff | "
                 "Staff | anna, bert\", \"desk | Help desk | carl | all\", \"all | Everybody | *\"."),
    MK_OPT_INT(struct shared_roster, max_everybody, "1000", 1, 100000, MK_OPT_LIVE,
               "Most members that a group of all accounts has; further ones are left out."),
};
static const struct mk_need_decl needs[] = {
    { "mk_auth", 1, 0, offsetof(struct shared_roster, auth), MK_NEED_MANY, NULL },
};
static const struct mk_shared_roster_ops ops = { .size = sizeof ops, .items = op_items };
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_shared_roster, 1, 0, &ops, "Contacts of an account by the groups that it is in."),
};
static const struct mk_index_decl member_indexes[] = {
    { "by_member", "host,member", "group_id" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct shared_roster, stored, "shared_group", 1, 0, 0, group_cols, MK_NO_INDEX,
                  "Groups that were made by command."),
    MK_COLLECTION(struct shared_roster, members, "shared_group_member", 1, 0, 0, member_cols, MK_TABLE(member_indexes),
                  "Who is in them."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(account_created, 60, MK_SERIAL, on_created),
    MK_ON(account_removed, 50, MK_SERIAL, on_removed),
};
static const struct mk_timer_decl timers[] = {
    [TIMER_REMOVED] = { "removed", MK_ON_ACCOUNT, MK_INLINE, on_removed_timer },
};

MK_PLUGIN(shared_roster, .version = "1.0", .summary = "Groups of accounts that are each other's contacts",
          .inst_size = sizeof(struct shared_roster), .start = start, .options = MK_TABLE(options),
          .needs = MK_TABLE(needs), .provides = MK_TABLE(provides), .collections = MK_TABLE(collections),
          .hooks = MK_TABLE(hooks), .timers = MK_TABLE(timers),
          .commands = { group_commands, GROUP_COMMANDS, sizeof(struct mk_cmd_decl) });
