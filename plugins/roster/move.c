/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters and waiting requests on their way in and out (XEP-0227). */
#include "roster.h"
#include <string.h>

enum { PART = 200 }; /* contacts */

/* ---- out --------------------------------------------------------------------------------------------------------- */

static bool has_requests(const struct contacts *r) {
    for (uint32_t i = 0; i < r->count; i++)
        if (contact_at(r, i)->request)
            return true;
    return false;
}

/* First the roster, then the requests; AFTER is a letter for which, and the contact before. */
MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    struct contacts *r;
    bool requests = *after == 'r';
    uint32_t written = 0;
    const char *last = *after ? after + 1 : "";
    int rc = roster_open(c, &r);
    if (rc != MK_OK)
        return rc;
    if (!requests && r->listed)
        mk_open(o, "query", NS_ROSTER);
    for (uint32_t i = 0; i < r->count && written < PART; i++) {
        const struct contact *k = contact_at(r, i);
        const struct mk_stanza *s;
        const char *request = k->request ? k->request : "";
        if (strcmp(mk_jid_text(k->item.jid), last) <= 0 || (requests ? !*request : !k->listed))
            continue;
        if (!requests)
            roster_put_item(o, &k->item);
        else if (mk_stanza_read(c, (struct mk_view){ request, strlen(request) }, &s) == MK_OK)
            mk_put_stanza(o, s);
        else
            mk_result_say(report, "the stored request of %s is no stanza", mk_jid_text(k->item.jid));
        last = mk_jid_text(k->item.jid);
        written++;
    }
    if (!requests && r->listed)
        mk_close(o);
    if (written == PART)
        *more = mk_printf(c, "%c%s", requests ? 'r' : 'i', last);
    else if (!requests && has_requests(r))
        *more = "r";
    return MK_OK;
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static uint32_t state_of(const struct mk_elem *item) {
    static const char *const names[] = { "none", "to", "from", "both" };
    const char *sub = mk_attr(item, "subscription"), *ask = mk_attr(item, "ask"), *approved = mk_attr(item, "approved");
    uint32_t state = 0;
    for (uint32_t i = 0; sub && i < 4; i++)
        if (strcmp(sub, names[i]) == 0)
            state = i;
    if (ask && strcmp(ask, "subscribe") == 0 && !(state & MK_SUB_TO))
        state |= MK_SUB_PENDING_OUT;
    if (approved && (strcmp(approved, "true") == 0 || strcmp(approved, "1") == 0) && !(state & MK_SUB_FROM))
        state |= MK_SUB_APPROVED;
    return state;
}

/* The bare JID in attribute NAME of E; NULL, with a line in REPORT, if it is none or the account's own. */
static const struct mk_jid *contact_in(struct mk_ctx *c, const struct mk_elem *e, const char *name,
                                       struct mk_result *report) {
    const char *text = mk_attr(e, name);
    const struct mk_jid *jid;
    if (!text || mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &jid) != MK_OK) {
        mk_result_say(report, "a contact has no valid address: \"%.80s\"", text ? text : "");
        return NULL;
    }
    return mk_jid_same_bare(jid, mk_self(c)) ? NULL : mk_jid_to_bare(c, jid);
}

static bool read_contact(struct mk_ctx *c, const struct contacts *r, const struct mk_elem *item, struct contact *k,
                         struct mk_result *report) {
    const struct mk_jid *jid = mk_elem_is(item, "item", NS_ROSTER) ? contact_in(c, item, "jid", report) : NULL;
    const struct contact *old = jid ? contacts_find(r, jid) : NULL;
    const char *sub = mk_attr(item, "subscription");
    if (!jid || (sub && strcmp(sub, "remove") == 0))
        return false;
    *k = (struct contact){ .item.jid = jid, .listed = true, .request = old ? old->request : NULL };
    const char *wrong = roster_read_item(c, item, k);
    if (wrong) {
        mk_result_say(report, "contact %s has a name or groups that are too long or too many", mk_jid_text(jid));
        return false;
    }
    k->item.state = state_of(item) | (old ? old->item.state & MK_SUB_PENDING_IN : 0);
    return true;
}

MK_SUSPENDS static int take_items(struct mk_ctx *c, struct contacts *r, const struct mk_elem *query,
                                  struct mk_result *report) {
    const struct roster *me = mk_inst(c);
    uint32_t count = 0, new = 0, over = 0;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e))
        count++;
    struct contact *all = mk_alloc(c, (count + 1) * sizeof *all);
    count = 0;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e)) {
        if (!read_contact(c, r, e, &all[count], report))
            continue;
        const struct contact *old = contacts_find(r, all[count].item.jid);
        bool fits = (old && old->listed) || r->listed + new < (uint32_t)me->max_items;
        new += fits && !(old && old->listed);
        over += !fits;
        count += fits;
    }
    if (over)
        mk_result_say(report, "the roster is full: %u contacts were left out", over);
    return contacts_put_all(c, me->contacts, r, all, count);
}

MK_SUSPENDS static int take_request(struct mk_ctx *c, struct contacts *r, const struct mk_elem *presence,
                                    struct mk_result *report) {
    const struct roster *me = mk_inst(c);
    const char *type = mk_attr(presence, "type");
    const struct mk_stanza *s;
    if (!type || strcmp(type, "subscribe") != 0 || mk_elem_stanza(c, presence, &s) != MK_OK)
        return MK_OK;
    const struct mk_jid *contact = contact_in(c, presence, "from", report);
    const struct contact *old = contact ? contacts_find(r, contact) : NULL, *kept;
    if (!contact || (old && old->item.state & MK_SUB_FROM))
        return MK_OK;
    struct contact k = old ? *old : (struct contact){ .item.jid = contact };
    if (!old && r->count - r->listed >= (uint32_t)me->max_pending) {
        mk_result_say(report, "too many requests wait: that of %s was left out", mk_jid_text(contact));
        return MK_OK;
    }
    k.item.state |= MK_SUB_PENDING_IN;
    k.request = roster_request_text(c, s, contact);
    return contacts_put(c, me->contacts, r, &k, &kept);
}

MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *e, int64_t *state, struct mk_result *report) {
    struct contacts *r;
    (void)state;
    int rc = roster_open(c, &r);
    if (rc != MK_OK)
        return rc;
    if (!mk_elem_is(e, "query", NS_ROSTER))
        return take_request(c, r, e, report);
    rc = take_items(c, r, e, report);
    for (const struct mk_elem *i = mk_elem_first(e); rc == MK_OK && mk_session_next(c, NULL) && i;
         i = mk_elem_next(i)) {
        const char *text = mk_attr(i, "jid");
        const struct mk_jid *jid;
        if (!text || mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &jid) != MK_OK)
            continue;
        const struct contact *k = contacts_find(r, mk_jid_to_bare(c, jid));
        if (k && k->listed)
            roster_push(c, r, k->item.jid);
    }
    return rc;
}

MK_SUSPENDS static int move_drop(struct mk_ctx *c) {
    const struct roster *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    int rc = mk_del_range(c, me->contacts, MK_SCAN(.partition = &owner));
    roster_forget(c);
    return rc;
}

static const struct mk_move_kind kinds[] = {
    { "query", NS_ROSTER, MK_MOVE_SERIES, 0 },
    { "presence", "jabber:client", 0, 0 },
};
const struct mk_move_ops roster_move = {
    .size = sizeof roster_move,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};
