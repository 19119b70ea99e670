/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 6121, sections 2 and 3: the roster of each account. */
#include "roster.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_SESSION, SLOT_ACCOUNT };

uint8_t *roster_session(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

int roster_open(struct mk_ctx *c, struct contacts **out) {
    const struct roster *me = mk_inst(c);
    struct contacts **slot = mk_self_slot(c, SLOT_ACCOUNT);
    if (!*slot) {
        int rc = contacts_load(c, me->contacts, slot);
        if (rc != MK_OK)
            return rc;
        (*slot)->shared = shared_read(c, &me->shared);
    }
    *out = *slot;
    return MK_OK;
}

static void fini_contacts(void *slot) {
    contacts_free(*(struct contacts **)slot);
}

void roster_forget(struct mk_ctx *c) {
    struct contacts **slot = mk_self_slot(c, SLOT_ACCOUNT);
    contacts_free(*slot);
    *slot = NULL;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void roster_put_item(struct mk_out *o, const struct mk_roster_item *item) {
    static const char *const names[] = { "none", "to", "from", "both" };
    mk_open(o, "item", NULL);
    mk_put_jid(o, "jid", item->jid);
    mk_put(o, "name", item->name);
    mk_put(o, "subscription", names[item->state & (MK_SUB_TO | MK_SUB_FROM)]);
    mk_put(o, "ask", item->state & MK_SUB_PENDING_OUT ? "subscribe" : NULL);
    mk_put(o, "approved", item->state & MK_SUB_APPROVED ? "true" : NULL);
    for (uint32_t i = 0; i < item->group_count; i++)
        mk_leaf(o, "group", NULL, item->groups[i]);
    mk_close(o);
}

static void put_removed(struct mk_out *o, const struct mk_jid *jid) {
    mk_open(o, "item", NULL);
    mk_put_jid(o, "jid", jid);
    mk_put(o, "subscription", "remove");
    mk_close(o);
}

/* What the client sends back to be told of changes only: the version of its own contacts, and what the given ones are. */
static const char *version_text(struct mk_ctx *c, const struct contacts *r, int64_t version) {
    if (!r->shared)
        return mk_printf(c, "%lld", (long long)version);
    return mk_printf(c, "%lld-%016llx", (long long)version, (unsigned long long)r->shared->hash);
}

/* A push of what the roster shows of JID. */
static const struct mk_stanza *push(struct mk_ctx *c, const struct contacts *r, int64_t version,
                                    const struct mk_jid *jid) {
    const struct mk_roster_item *item = view_find(r, jid);
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_SET, NULL);
    mk_id(o, mk_random_id(c));
    mk_open(o, "query", NS_ROSTER);
    mk_put(o, "ver", version_text(c, r, version));
    if (item && view_is_listed(r, item))
        roster_put_item(o, item);
    else
        put_removed(o, jid);
    if (mk_seal(o, &s) == MK_OK)
        return s;
    mk_log(c, MK_ERROR, "a contact can't be written as XML: %s", mk_jid_text(jid));
    return NULL;
}

void roster_push(struct mk_ctx *c, const struct contacts *r, const struct mk_jid *jid) {
    const struct mk_stanza *s = push(c, r, r->version, jid);
    for (struct mk_session *x = NULL; s && (x = mk_session_next(c, x)) != NULL;)
        if (*roster_session(c, x) & SESSION_INTERESTED)
            mk_session_send(c, x, s, mk_session_jid(x));
    if (s)
        mk_run_roster_pushed(c, &(struct mk_ev_push){ s });
}

/* Straight to the session, so that no push can overtake the roster it changes. */
void roster_reply(struct mk_ctx *c, const struct roster_answer *answer, struct mk_out *o) {
    const struct mk_stanza *s;
    if (mk_seal(o, &s) != MK_OK)
        mk_log(c, MK_ERROR, "a roster can't be written as XML");
    else if (answer->session)
        mk_session_send(c, answer->session, s, NULL);
    else
        mk_route(c, s, mk_stanza_from(answer->iq));
}

/* ---- what follows from a change ----------------------------------------------------------------------------------- */

void roster_tell(struct mk_ctx *c, enum mk_type type, const struct mk_jid *contact) {
    if (mk_send(mk_new(c, MK_PRESENCE, type, contact)) != MK_OK)
        mk_log(c, MK_ERROR, "a presence stanza to %s was not sent", mk_jid_text(contact));
}

void roster_cancel(struct mk_ctx *c, const struct mk_jid *contact, uint32_t state) {
    if (state & (MK_SUB_TO | MK_SUB_PENDING_OUT))
        roster_tell(c, MK_TYPE_UNSUBSCRIBE, contact);
    if (state & (MK_SUB_FROM | MK_SUB_PENDING_IN))
        roster_tell(c, MK_TYPE_UNSUBSCRIBED, contact);
}

void roster_changed(struct mk_ctx *c, const struct mk_jid *contact, uint32_t before, uint32_t after) {
    struct contacts *const *slot = mk_self_slot(c, SLOT_ACCOUNT);
    const struct mk_roster_item *given = *slot ? shared_find((*slot)->shared, contact) : NULL;
    uint32_t bits = given ? given->state : 0;
    struct mk_ev_contact ev = { contact, before | bits, after | bits };
    if (ev.before != ev.after)
        mk_run_contact_changed(c, &ev);
}

int roster_remove(struct mk_ctx *c, struct contacts *r, const struct mk_jid *contact,
                  const struct roster_answer *answer) {
    const struct roster *me = mk_inst(c);
    const struct contact *k = contacts_find(r, contact);
    if (!k || !k->listed)
        return MK_E_NOTFOUND;
    uint32_t state = k->item.state;
    int rc = contacts_remove(c, me->contacts, r, contact, (uint32_t)me->max_removed);
    if (rc != MK_OK)
        return rc;
    roster_push(c, r, contact);
    if (answer)
        roster_reply(c, answer, mk_reply(c, answer->iq));
    roster_cancel(c, contact, state);
    roster_changed(c, contact, state, 0);
    return MK_OK;
}

/* ---- get --------------------------------------------------------------------------------------------------------- */

/* A change that a client missed: of a contact, or its removal. */
struct missed {
    int64_t version;
    const struct mk_jid *jid;
};

static int earlier(const void *a, const void *b) {
    const struct missed *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

/* The version that the client has; false if it has none that we know, or knew the account to be given something else. */
static bool known_version(struct mk_ctx *c, const struct contacts *r, const char *text, int64_t *version) {
    char *end;
    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *version = strtoll(text, &end, 10);
    return errno == 0 && strcmp(text, version_text(c, r, *version)) == 0 && *version >= r->floor &&
           *version <= r->version;
}

/* What changed after VERSION, oldest first. */
static const struct missed *missed_since(struct mk_ctx *c, const struct contacts *r, int64_t version, uint32_t *count) {
    struct missed *out = mk_alloc(c, (r->count + r->gone_count + 1) * sizeof *out);
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct contact *k = contact_at(r, i);
        if (k->listed && k->version > version)
            out[n++] = (struct missed){ k->version, k->item.jid };
    }
    for (uint32_t i = 0; i < r->gone_count; i++)
        if (r->gone[i].version > version)
            out[n++] = (struct missed){ r->gone[i].version, r->gone[i].jid };
    qsort(out, n, sizeof *out, earlier);
    *count = n;
    return out;
}

static void answer_whole(struct mk_ctx *c, const struct contacts *r, const struct roster_answer *answer) {
    const struct mk_roster_item *const *items;
    uint32_t count;
    struct mk_out *o = mk_reply(c, answer->iq);
    view_all(r, &items, &count);
    mk_open(o, "query", NS_ROSTER);
    mk_put(o, "ver", version_text(c, r, r->version));
    for (uint32_t i = 0; i < count; i++)
        if (view_is_listed(r, items[i]))
            roster_put_item(o, items[i]);
    roster_reply(c, answer, o);
}

static void answer_missed(struct mk_ctx *c, const struct contacts *r, const struct roster_answer *answer,
                          const struct missed *missed, uint32_t count) {
    roster_reply(c, answer, mk_reply(c, answer->iq));
    for (uint32_t i = 0; i < count; i++) {
        const struct mk_stanza *s = push(c, r, missed[i].version, missed[i].jid);
        if (s)
            mk_session_send(c, answer->session, s, mk_session_jid(answer->session));
    }
}

static struct roster_answer answer_to(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_jid *from = mk_stanza_from(iq);
    bool own = mk_jid_same_bare(from, mk_self(c));
    return (struct roster_answer){ own ? mk_session_find(c, mk_jid_resource(from)) : NULL, iq };
}

MK_SUSPENDS static int on_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct contacts *r;
    int64_t version;
    int rc = roster_open(c, &r);
    if (rc != MK_OK)
        return rc;
    struct roster_answer answer = answer_to(c, iq);
    if (answer.session)
        *roster_session(c, answer.session) |= SESSION_INTERESTED;
    if (answer.session && known_version(c, r, mk_attr(mk_child(iq, "query", NS_ROSTER), "ver"), &version)) {
        uint32_t count;
        const struct missed *missed = missed_since(c, r, version, &count);
        if (count == 0 || count < r->listed + (r->shared ? r->shared->count : 0)) {
            answer_missed(c, r, &answer, missed, count);
            return MK_OK;
        }
    }
    answer_whole(c, r, &answer);
    return MK_OK;
}

/* ---- set --------------------------------------------------------------------------------------------------------- */

/* The one item of a roster set; NULL if there is none, or more. */
static const struct mk_elem *only_item(const struct mk_stanza *iq) {
    const struct mk_elem *item = mk_elem_first(mk_child(iq, "query", NS_ROSTER));
    return item && mk_elem_is(item, "item", NS_ROSTER) && !mk_elem_next(item) ? item : NULL;
}

static bool is_in(const char *const *texts, uint32_t count, const char *text) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

const char *roster_read_item(struct mk_ctx *c, const struct mk_elem *item, struct contact *k) {
    const struct roster *me = mk_inst(c);
    const char *name = mk_attr(item, "name");
    if (name && strlen(name) > (size_t)me->max_name)
        return "not-acceptable";
    k->item.name = name && *name ? name : NULL;
    const char **groups = mk_alloc(c, (size_t)me->max_groups * sizeof *groups);
    uint32_t count = 0;
    for (const struct mk_elem *e = mk_elem_first(item); e; e = mk_elem_next(e)) {
        if (!mk_elem_is(e, "group", NS_ROSTER))
            continue;
        const char *group = mk_text(c, e);
        if (!*group || strlen(group) > (size_t)me->max_name || strchr(group, '\n') || count == (uint32_t)me->max_groups)
            return "not-acceptable";
        if (is_in(groups, count, group))
            return "bad-request";
        groups[count++] = group;
    }
    k->item.groups = groups;
    k->item.group_count = count;
    return NULL;
}

MK_SUSPENDS static int set_item(struct mk_ctx *c, struct contacts *r, const struct mk_jid *contact,
                                const struct mk_elem *item, const struct roster_answer *answer) {
    const struct roster *me = mk_inst(c);
    const struct contact *old = contacts_find(r, contact), *kept;
    struct contact k = old ? *old : (struct contact){ .item.jid = contact };
    const char *wrong = roster_read_item(c, item, &k);
    if (wrong)
        return mk_refuse(c, answer->iq, wrong, NULL);
    if (!k.listed && r->listed >= (uint32_t)me->max_items)
        return mk_refuse(c, answer->iq, "policy-violation", "The roster is full.");
    k.listed = true;
    int rc = contacts_put(c, me->contacts, r, &k, &kept);
    if (rc != MK_OK)
        return rc;
    roster_push(c, r, kept->item.jid);
    roster_reply(c, answer, mk_reply(c, answer->iq));
    return MK_OK;
}

MK_SUSPENDS static int on_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *item = only_item(iq);
    const char *text = item ? mk_attr(item, "jid") : NULL, *sub = item ? mk_attr(item, "subscription") : NULL;
    const struct mk_jid *jid;
    struct contacts *r;
    if (!text)
        return MK_E_INVALID;
    int rc = mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &jid);
    if (rc != MK_OK)
        return rc;
    const struct mk_jid *contact = mk_jid_to_bare(c, jid);
    if (mk_jid_same(contact, mk_self(c)))
        return mk_refuse(c, iq, "not-allowed", "An account is no contact of its own.");
    rc = roster_open(c, &r);
    if (rc != MK_OK)
        return rc;
    const struct contact *own = contacts_find(r, contact);
    if (shared_is_listed(shared_find(r->shared, contact)) && !(own && own->listed))
        return mk_refuse(c, iq, "not-allowed", "The contact is of a shared group.");
    struct roster_answer answer = answer_to(c, iq);
    if (sub && strcmp(sub, "remove") == 0)
        return roster_remove(c, r, contact, &answer);
    return set_item(c, r, contact, item, &answer);
}

/* ---- for other plugins --------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int op_items(struct mk_ctx *c, const struct mk_roster_item *const **items, uint32_t *count) {
    struct contacts *r;
    int rc = roster_open(c, &r);
    if (rc != MK_OK)
        return rc;
    view_all(r, items, count);
    return MK_OK;
}

MK_SUSPENDS static int op_find(struct mk_ctx *c, const struct mk_jid *contact, const struct mk_roster_item **item) {
    struct contacts *r;
    int rc = roster_open(c, &r);
    if (rc != MK_OK)
        return rc;
    const struct mk_roster_item *k = view_find(r, contact);
    if (!k)
        return MK_E_NOTFOUND;
    *item = k;
    return MK_OK;
}

/* Contact JID was given as BEFORE and is as NOW, either may be NULL. */
MK_SUSPENDS static void given_changed(struct mk_ctx *c, const struct contacts *r, const struct mk_roster_item *before,
                                      const struct mk_roster_item *now) {
    const struct mk_jid *jid = now ? now->jid : before->jid;
    const struct contact *own = contacts_find(r, jid);
    uint32_t mine = own ? own->item.state : 0;
    struct mk_ev_contact ev = { jid, mine | (before ? before->state : 0), mine | (now ? now->state : 0) };
    if (items_equal(before, now))
        return;
    if (shared_is_listed(before) || shared_is_listed(now) || (own && own->listed))
        roster_push(c, r, jid);
    if (ev.before != ev.after)
        mk_run_contact_changed(c, &ev);
}

enum mk_flow roster_on_told(struct mk_ctx *c, struct mk_ev_told *ev) {
    const struct roster *me = mk_inst(c);
    struct contacts *r = *(struct contacts **)mk_self_slot(c, SLOT_ACCOUNT);
    if (!r || strcmp(ev->what, MK_SHARED_ROSTER_CHANGED) != 0)
        return MK_NEXT;
    struct shared *before = r->shared, *now = shared_read(c, &me->shared);
    r->shared = now;
    for (uint32_t i = 0; before && i < before->count; i++)
        if (!shared_find(now, before->items[i].jid))
            given_changed(c, r, &before->items[i], NULL);
    for (uint32_t i = 0; now && i < now->count; i++)
        given_changed(c, r, shared_find(before, now->items[i].jid), &now->items[i]);
    shared_free(before);
    return MK_NEXT;
}

/* The contacts are told, so that they do not keep a subscription to nobody (XEP-0077, 3.2). */
MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct roster *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(ev->account);
    struct contacts *r;
    for (uint32_t i = 0; roster_open(c, &r) == MK_OK && i < r->count; i++) {
        roster_cancel(c, r->items[i]->jid, r->items[i]->state);
        roster_changed(c, r->items[i]->jid, r->items[i]->state, 0);
    }
    if (mk_del_range(c, me->contacts, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "the roster of a removed account is still stored");
    roster_forget(c);
    return MK_NEXT;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(struct roster, max_items, "1000", 1, 100000, MK_OPT_LIVE, "Most contacts in one roster."),
    MK_OPT_INT(struct roster, max_name, "1023", 1, 65535, MK_OPT_LIVE,
               "Longest name of a contact or a group, in bytes."),
    MK_OPT_INT(struct roster, max_groups, "50", 1, 1000, MK_OPT_LIVE, "Most groups one contact may be in."),
    MK_OPT_INT(struct roster, max_pending, "200", 1, 100000, MK_OPT_LIVE,
               "Most subscription requests of strangers that wait for an answer. Further ones are dropped."),
    MK_OPT_INT(struct roster, max_removed, "100", 1, 10000, MK_OPT_LIVE,
               "Removed contacts remembered, so that a client that was away is told of changes only. "
               "A client that missed more gets the whole roster."),
};
static const struct mk_roster_ops ops = {
    .size = sizeof ops, .items = op_items, .find = op_find, .befriend = roster_befriend
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_roster, 1, 0, &ops, "The contacts of the account whose turn it is."),
    MK_PROVIDE(mk_move, 1, 0, &roster_move, "Moves rosters, and requests that wait."),
};
static const struct mk_need_decl needs[] = {
    { "mk_shared_roster", 1, 0, offsetof(struct roster, shared), MK_NEED_MANY, NULL },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct roster, contacts, "roster", 1, 0, 0, contact_cols, MK_NO_INDEX, "Contacts of each account."),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS_ROSTER, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, MK_OWNER, on_get },
    { "query", NS_ROSTER, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_set },
};
static enum mk_flow on_saved(struct mk_ctx *c, struct mk_ev_state *ev) {
    mk_open(ev->out, "query", NS_ROSTER);
    mk_put_int(ev->out, "flags", *roster_session(c, ev->session));
    mk_close(ev->out);
    return MK_NEXT;
}

static enum mk_flow on_restored(struct mk_ctx *c, struct mk_ev_state *ev) {
    const struct mk_elem *e = mk_elem_child(ev->saved, "query", NS_ROSTER);
    const char *flags = e ? mk_attr(e, "flags") : NULL;
    if (flags && *flags >= '0' && *flags <= '3')
        *roster_session(c, ev->session) = (uint8_t)(*flags - '0');
    return MK_NEXT;
}

static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_subscription, MK_ORDER_ROSTER, MK_SERIAL, roster_on_send),
    MK_ON(user_receive_subscription, MK_ORDER_ROSTER, MK_SERIAL, roster_on_receive),
    MK_ON(user_send_presence, MK_ORDER_AVAILABLE, MK_SERIAL, roster_on_available),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
    MK_ON(account_told, 50, MK_SERIAL, roster_on_told),
    MK_ON(session_saved, MK_ORDER_SESSION, MK_INLINE, on_saved),
    MK_ON(session_restored, MK_ORDER_SESSION, MK_INLINE, on_restored),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "flags", MK_ON_SESSION, sizeof(uint8_t), NULL, NULL },
    [SLOT_ACCOUNT] = { "contacts", MK_ON_ACCOUNT, sizeof(struct contacts *), NULL, fini_contacts },
};
static const struct mk_feature_decl features[] = {
    { "ver", "urn:xmpp:features:rosterver", MK_WHEN_AUTHED, 0, NULL },
    { "sub", "urn:xmpp:features:pre-approval", MK_WHEN_AUTHED, 0, NULL },
};
static const struct mk_xep_decl xeps[] = {
    { "0237", "1.3", "complete", "As RFC 6121, 2.6 has it." },
};

MK_PLUGIN(roster, .version = "1.0", .summary = "Contacts and presence subscriptions (RFC 6121)",
          .inst_size = sizeof(struct roster), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .collections = MK_TABLE(collections), .iqs = MK_TABLE(iqs),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .features = MK_TABLE(features),
          .commands = MK_TABLE(roster_commands), .xeps = MK_TABLE(xeps));
