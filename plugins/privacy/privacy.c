/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0016: privacy lists, and the protocol to manage them. */
#include "privacy.h"
#include "lists.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct mk_elem *query_of(const struct mk_stanza *iq) {
    return mk_child(iq, "query", NS_PRIVACY);
}

/* The one child of the query; NULL if there is none, or more. */
static const struct mk_elem *only_child(const struct mk_stanza *iq) {
    const struct mk_elem *e = mk_elem_first(query_of(iq));
    return e && !mk_elem_next(e) ? e : NULL;
}

static struct mk_session *asker(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_session *s = mk_session_find(c, mk_jid_resource(mk_stanza_from(iq)));
    if (s)
        session_of(c, s)->asked = true;
    return s;
}

/* ---- get ----------------------------------------------------------------------------------------------------------------- */

static void put_named(struct mk_out *o, const char *element, const struct rule_list *l) {
    if (!l)
        return;
    mk_open(o, element, NULL);
    mk_put(o, "name", l->name);
    mk_close(o);
}

void list_put_rule(struct mk_out *o, const struct rule *r) {
    static const char *const types[] = { NULL, "jid", "group", "subscription" };
    static const char *const kinds[] = { "message", "iq", "presence-in", "presence-out" };
    mk_open(o, "item", NULL);
    mk_put(o, "type", types[r->type]);
    mk_put(o, "value", r->type ? r->value : NULL);
    mk_put(o, "action", r->deny ? "deny" : "allow");
    mk_put_int(o, "order", r->order);
    for (unsigned i = 0; r->kinds != MK_PRIVACY_ALL && i < 4; i++)
        if (r->kinds & 1u << i)
            mk_leaf(o, kinds[i], NULL, NULL);
    mk_close(o);
}

static int answer_names(struct mk_ctx *c, const struct mk_stanza *iq, struct mk_session *session) {
    const struct lists *l = lists_of(c);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS_PRIVACY);
    put_named(o, "active", session ? session_of(c, session)->active : NULL);
    put_named(o, "default", l->standard);
    for (uint32_t i = 0; i < l->count; i++)
        put_named(o, "list", l->items[i]);
    return mk_send(o);
}

MK_SUSPENDS static int on_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *e = only_child(iq);
    int rc = lists_load(c);
    if (rc != MK_OK)
        return rc;
    struct mk_session *session = asker(c, iq);
    if (!mk_elem_first(query_of(iq)))
        return answer_names(c, iq, session);
    const char *name = e && mk_elem_is(e, "list", NS_PRIVACY) ? mk_attr(e, "name") : NULL;
    if (!name)
        return MK_E_INVALID;
    const struct rule_list *l = lists_find(lists_of(c), name);
    if (!l)
        return MK_E_NOTFOUND;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS_PRIVACY);
    mk_open(o, "list", NULL);
    mk_put(o, "name", l->name);
    for (uint32_t i = 0; i < l->count; i++)
        list_put_rule(o, &l->rules[i]);
    return mk_send(o);
}

/* ---- one item ------------------------------------------------------------------------------------------------------------- */

static int read_order(const char *text, uint32_t *out) {
    char *end;
    if (!text || *text < '0' || *text > '9')
        return MK_E_INVALID;
    errno = 0;
    unsigned long long order = strtoull(text, &end, 10);
    *out = (uint32_t)order;
    return errno || *end || order > UINT32_MAX ? MK_E_INVALID : MK_OK;
}

static int read_kinds(const struct mk_elem *item, uint8_t *kinds) {
    static const struct {
        const char *name;
        uint8_t kind;
    } known[] = { { "message", MK_PRIVACY_MESSAGE_IN },
                  { "iq", MK_PRIVACY_IQ_IN },
                  { "presence-in", MK_PRIVACY_PRESENCE_IN },
                  { "presence-out", MK_PRIVACY_PRESENCE_OUT } };
    *kinds = 0;
    for (const struct mk_elem *e = mk_elem_first(item); e; e = mk_elem_next(e)) {
        uint8_t kind = 0;
        for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
            kind |= mk_elem_is(e, known[i].name, NS_PRIVACY) ? known[i].kind : 0;
        if (!kind)
            return MK_E_INVALID;
        *kinds |= kind;
    }
    *kinds = *kinds ? *kinds : MK_PRIVACY_ALL;
    return MK_OK;
}

MK_SUSPENDS static int check_group(struct mk_ctx *c, const char *group) {
    const struct privacy *me = mk_inst(c);
    const struct mk_roster_item *const *items;
    uint32_t count = 0;
    int rc = me->roster ? mk_roster_items(c, me->roster, &items, &count) : MK_OK;
    if (rc != MK_OK)
        return rc;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t g = 0; g < items[i]->group_count; g++)
            if (strcmp(items[i]->groups[g], group) == 0)
                return MK_OK;
    return MK_E_NOTFOUND;
}

MK_SUSPENDS static int read_value(struct mk_ctx *c, const char *type, const char *value, bool check, struct rule *r) {
    const struct mk_jid *jid;
    if (strcmp(type, "jid") == 0) {
        if (mk_jid_parse(c, (struct mk_view){ value, strlen(value) }, &jid) != MK_OK)
            return MK_E_INVALID;
        r->type = RULE_JID;
        r->value = mk_jid_text(jid);
        return MK_OK;
    }
    r->value = value;
    if (strcmp(type, "group") == 0) {
        r->type = RULE_GROUP;
        return check ? check_group(c, value) : MK_OK;
    }
    r->type = RULE_SUBSCRIPTION;
    for (uint32_t i = 0; strcmp(type, "subscription") == 0 && i < 4; i++)
        if (strcmp(value, subscription_name(i)) == 0)
            return MK_OK;
    return MK_E_INVALID;
}

MK_SUSPENDS static int read_item(struct mk_ctx *c, const struct mk_elem *item, bool check, struct rule *r) {
    const char *type = mk_attr(item, "type"), *value = mk_attr(item, "value"), *action = mk_attr(item, "action");
    *r = (struct rule){ .value = "" };
    if (!mk_elem_is(item, "item", NS_PRIVACY) || read_order(mk_attr(item, "order"), &r->order) != MK_OK)
        return MK_E_INVALID;
    if (!action || (strcmp(action, "allow") != 0 && strcmp(action, "deny") != 0))
        return MK_E_INVALID;
    r->deny = strcmp(action, "deny") == 0;
    if (read_kinds(item, &r->kinds) != MK_OK)
        return MK_E_INVALID;
    if (!type)
        return MK_OK;
    return value && *value ? read_value(c, type, value, check, r) : MK_E_INVALID;
}

static int by_order(const void *a, const void *b) {
    const struct rule *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

int list_read_rules(struct mk_ctx *c, const struct mk_elem *list, bool check, const struct rule **out,
                    uint32_t *count) {
    const struct privacy *me = mk_inst(c);
    uint32_t n = 0;
    for (const struct mk_elem *e = mk_elem_first(list); e; e = mk_elem_next(e))
        if (++n > me->max_items)
            return MK_E_LIMIT;
    struct rule *rules = mk_alloc(c, (n + 1) * sizeof *rules);
    int rc = MK_OK;
    n = 0;
    for (const struct mk_elem *e = mk_elem_first(list); rc == MK_OK && e; e = mk_elem_next(e))
        rc = read_item(c, e, check, &rules[n++]);
    qsort(rules, n, sizeof *rules, by_order);
    for (uint32_t i = 1; rc == MK_OK && i < n; i++)
        rc = rules[i - 1].order == rules[i].order ? MK_E_INVALID : MK_OK;
    *out = rules;
    *count = n;
    return rc;
}

/* ---- set ----------------------------------------------------------------------------------------------------------------- */

/* Whether a session other than SESSION has L active, or goes by it because it is the default. */
static bool is_used_by_others(struct mk_ctx *c, const struct rule_list *l, const struct mk_session *session) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (s != session && l && list_for(c, lists_of(c), s) == l)
            return true;
    return false;
}

MK_SUSPENDS static int set_list(struct mk_ctx *c, struct mk_session *session, const struct mk_elem *e, const char *name,
                                struct rule_list **old) {
    const struct privacy *me = mk_inst(c);
    struct lists *l = lists_of(c);
    const struct rule *rules;
    uint32_t count;
    if (!*name || strlen(name) > MAX_LIST_NAME)
        return MK_E_INVALID;
    int rc = list_read_rules(c, e, true, &rules, &count);
    if (rc != MK_OK)
        return rc;
    struct rule_list *there = lists_find(l, name);
    if (count)
        return !there && l->count >= me->max_lists ? MK_E_LIMIT
                                                   : lists_put(c, rule_list_new(name, rules, count), false, old);
    if (!there)
        return MK_E_NOTFOUND;
    if (is_used_by_others(c, there, session))
        return MK_E_CONFLICT;
    *old = there;
    return lists_remove(c, there);
}

/* NAME NULL: none. */
MK_SUSPENDS static int set_active(struct mk_ctx *c, struct mk_session *session, const char *name) {
    const struct rule_list *l = name ? lists_find(lists_of(c), name) : NULL;
    if (name && !l)
        return MK_E_NOTFOUND;
    session_of(c, session)->active = l;
    return MK_OK;
}

MK_SUSPENDS static int set_standard(struct mk_ctx *c, const struct mk_session *session, const char *name) {
    struct lists *all = lists_of(c);
    struct rule_list *l = name ? lists_find(all, name) : NULL;
    if (name && !l)
        return MK_E_NOTFOUND;
    if (l != all->standard && is_used_by_others(c, all->standard, session))
        return MK_E_CONFLICT;
    return lists_set_standard(c, l);
}

MK_SUSPENDS static int on_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *e = only_child(iq);
    struct rule_list *old = NULL;
    uint32_t noted;
    int rc = e ? lists_load(c) : MK_E_INVALID;
    if (rc != MK_OK)
        return rc;
    struct mk_session *session = asker(c, iq);
    if (!session)
        return mk_refuse(c, iq, "not-allowed", NULL);
    const char *name = mk_attr(e, "name");
    const struct note *notes = note_lists(c, &noted);
    bool is_list = mk_elem_is(e, "list", NS_PRIVACY);
    if (is_list && name)
        rc = set_list(c, session, e, name, &old);
    else if (mk_elem_is(e, "active", NS_PRIVACY))
        rc = set_active(c, session, name);
    else if (mk_elem_is(e, "default", NS_PRIVACY))
        rc = set_standard(c, session, name);
    else
        rc = MK_E_INVALID;
    if (rc != MK_OK)
        return rc;
    if (mk_send(mk_reply(c, iq)) != MK_OK)
        mk_log(c, MK_DEBUG, "a set was not answered");
    if (is_list)
        push_list(c, name, true);
    tell_changes(c, notes, noted);
    rule_list_free(old);
    return MK_OK;
}

/* ---- hooks ---------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static enum mk_flow on_account_loaded(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    return lists_load(c) == MK_OK ? MK_NEXT : MK_STOP;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct privacy *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(ev->account);
    if (mk_del_range(c, me->lists, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "the privacy lists of a removed account are still stored");
    lists_forget(lists_of(c));
    lists_of(c)->loaded = true;
    return MK_NEXT;
}

/* A list that is active outlasts a restart of the server as the session does. */
static enum mk_flow on_saved(struct mk_ctx *c, struct mk_ev_state *ev) {
    const struct session *x = session_of(c, ev->session);
    if (!x->active && !x->asked)
        return MK_NEXT;
    mk_open(ev->out, "active", NS_PRIVACY);
    mk_put(ev->out, "name", x->active ? x->active->name : NULL);
    mk_close(ev->out);
    return MK_NEXT;
}

/* A list that can't be found again must not let in what it kept out: the session is not resumed then. */
MK_SUSPENDS static enum mk_flow on_restored(struct mk_ctx *c, struct mk_ev_state *ev) {
    const struct mk_elem *saved = mk_elem_child(ev->saved, "active", NS_PRIVACY);
    const char *name = saved ? mk_attr(saved, "name") : NULL;
    struct session *x = session_of(c, ev->session);
    x->asked = saved != NULL;
    if (!name)
        return MK_NEXT;
    x->active = lists_load(c) == MK_OK ? lists_find(lists_of(c), name) : NULL;
    if (!x->active)
        mk_session_close(c, ev->session, "internal-server-error", "Its privacy list can't be found.");
    return MK_NEXT;
}

static void fini_account(void *slot) {
    lists_forget(slot);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(struct privacy, max_lists, "20", 1, 1000, MK_OPT_LIVE, "Most lists of one account."),
    MK_OPT_INT(struct privacy, max_items, "1000", 1, 100000, MK_OPT_LIVE,
               "Most items of one list; so many JIDs can be blocked."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct privacy, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_privacy, 1, 0, &privacy_ops, "Whom an account does not want to hear from or write to."),
    MK_PROVIDE(mk_move, 1, 0, &privacy_move, "Moves privacy lists."),
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct privacy, lists, "privacy", 1, 0, 0, list_cols, MK_NO_INDEX, "Privacy lists of each account."),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS_PRIVACY, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, MK_OWNER, on_get },
    { "query", NS_PRIVACY, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_set },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_receive_message, MK_ORDER_FILTER, MK_INLINE, on_receive_message),
    MK_ON(user_receive_presence, MK_ORDER_FILTER, MK_INLINE, on_receive_presence),
    MK_ON(user_receive_iq, MK_ORDER_FILTER, MK_INLINE, on_receive_iq),
    MK_ON(user_receive_subscription, MK_ORDER_FILTER, MK_INLINE, on_receive_subscription),
    MK_ON(user_send_message, MK_ORDER_FILTER, MK_INLINE, on_send),
    MK_ON(user_send_presence, MK_ORDER_FILTER, MK_INLINE, on_send),
    MK_ON(user_send_iq, MK_ORDER_FILTER, MK_INLINE, on_send),
    MK_ON(user_send_subscription, MK_ORDER_FILTER, MK_INLINE, on_send),
    MK_ON(user_notify_presence, MK_ORDER_FILTER, MK_INLINE, on_notify),
    MK_ON(account_loaded, MK_ORDER_FILTER, MK_SERIAL, on_account_loaded),
    MK_ON(session_saved, MK_ORDER_SESSION, MK_INLINE, on_saved),
    MK_ON(session_restored, MK_ORDER_SESSION, MK_SERIAL, on_restored),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "session", MK_ON_SESSION, sizeof(struct session), NULL, NULL },
    [SLOT_ACCOUNT] = { "lists", MK_ON_ACCOUNT, sizeof(struct lists), NULL, fini_account },
};
static const struct mk_metric_decl metrics[] = {
    [M_BLOCKED_IN] = { "blocked_in", MK_COUNTER, 0, "stanzas", "Stanzas for accounts that their lists kept out." },
    [M_BLOCKED_OUT] = { "blocked_out", MK_COUNTER, 0, "stanzas", "Stanzas that accounts' own lists did not let go." },
};
static const struct mk_disco_decl disco[] = {
    { NS_PRIVACY, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0016", "1.7", "complete", "" },
    { "0126", "1.1", "complete", "Invisibility is what lists make of it." },
};

MK_PLUGIN(privacy, .version = "1.0", .summary = "Privacy lists: whom an account hears from and writes to (XEP-0016)",
          .inst_size = sizeof(struct privacy), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .collections = MK_TABLE(collections), .iqs = MK_TABLE(iqs),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .metrics = MK_TABLE(metrics), .disco = MK_TABLE(disco),
          .commands = MK_TABLE(privacy_commands), .xeps = MK_TABLE(xeps));
