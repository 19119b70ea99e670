/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when lists change, and the part of them that XEP-0191 knows. */
#include "lists.h"
#include "privacy.h"
#include <string.h>

/* ---- before and after -------------------------------------------------------------------------------------------------- */

const struct note *note_lists(struct mk_ctx *c, uint32_t *count) {
    uint32_t n = 0;
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        n++;
    struct note *notes = mk_alloc(c, (n + 1) * sizeof *notes);
    *count = 0;
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        notes[(*count)++] = (struct note){ s, list_for(c, lists_of(c), s) };
    return notes;
}

/* The presence plugin asks while it is the one whose turn it is: what it needs of ours is in here. */
struct before {
    struct mk_ctx *c;
    const struct privacy *me;
    const struct rule_list *list;
};
struct ask {
    const struct before *b;
    const struct mk_jid *jid;
};

static const struct mk_roster_item *contact(void *arg) {
    const struct ask *a = arg;
    const struct mk_roster_item *item;
    const struct mk_jid *bare = mk_jid_to_bare(a->b->c, a->jid);
    return a->b->me->roster && mk_roster_find(a->b->c, a->b->me->roster, bare, &item) == MK_OK ? item : NULL;
}

static bool was_stopped(const void *arg, struct mk_session *session, const struct mk_jid *jid) {
    const struct before *b = arg;
    struct ask a = { b, jid };
    (void)session;
    if (!b->list || is_exempt(b->c, jid))
        return false;
    const struct rule *r = rule_list_match(b->list, jid, MK_PRIVACY_PRESENCE_OUT, contact, &a);
    return r && r->deny;
}

/* Whom the session does not hear of any more seems to be gone; of whom it does, it asks. */
static void set_right(struct mk_ctx *c, struct mk_session *session, const struct mk_jid *jid, bool denied) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_PRESENCE, denied ? MK_TYPE_UNAVAILABLE : MK_TYPE_PROBE, denied ? NULL : jid);
    mk_from(o, denied ? jid : mk_session_jid(session));
    if (mk_seal(o, &s) != MK_OK)
        mk_log(c, MK_ERROR, "a presence stanza about %s was not sent", mk_jid_text(jid));
    else if (denied)
        mk_session_send(c, session, s, mk_session_jid(session));
    else
        mk_route(c, s, jid);
}

MK_SUSPENDS static void tell_session(struct mk_ctx *c, struct mk_session *session, const struct rule_list *before,
                                     const struct rule_list *after) {
    const struct privacy *me = mk_inst(c);
    const struct mk_roster_item *const *items;
    uint32_t count;
    if (!me->roster || !mk_session_is_available(session) || mk_roster_items(c, me->roster, &items, &count) != MK_OK)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (!(items[i]->state & MK_SUB_TO))
            continue;
        bool was = list_denies(c, before, items[i]->jid, MK_PRIVACY_PRESENCE_IN);
        bool is = list_denies(c, after, items[i]->jid, MK_PRIVACY_PRESENCE_IN);
        if (was != is)
            set_right(c, session, items[i]->jid, is);
    }
}

void tell_changes(struct mk_ctx *c, const struct note *notes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct rule_list *now = list_for(c, lists_of(c), notes[i].session);
        if (now == notes[i].list)
            continue;
        struct before b = { c, mk_inst(c), notes[i].list };
        struct mk_ev_presence_filter ev = { notes[i].session, was_stopped, &b };
        mk_run_presence_filter_changed(c, &ev);
        tell_session(c, notes[i].session, notes[i].list, now);
    }
}

void push_list(struct mk_ctx *c, const char *name, bool all) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_SET, NULL);
    mk_id(o, mk_random_id(c));
    mk_open(o, "query", NS_PRIVACY);
    mk_open(o, "list", NULL);
    mk_put(o, "name", name);
    if (mk_seal(o, &s) != MK_OK) {
        mk_log(c, MK_ERROR, "sessions are not told of a changed list");
        return;
    }
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;)
        if (all || session_of(c, x)->asked)
            mk_session_send(c, x, s, mk_session_jid(x));
}

/* ---- the block list ----------------------------------------------------------------------------------------------------- */

#define BLOCK_LIST "blocking"

static bool is_among(const struct mk_jid *const *jids, uint32_t count, const char *value) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(mk_jid_text(jids[i]), value) == 0)
            return true;
    return false;
}

MK_SUSPENDS static int op_blocked(struct mk_ctx *c, const struct mk_jid *const **jids, uint32_t *count) {
    int rc = lists_load(c);
    const struct rule_list *l = rc == MK_OK ? lists_of(c)->standard : NULL;
    const struct mk_jid **out = mk_alloc(c, ((l ? l->count : 0) + 1) * sizeof *out);
    *jids = out;
    *count = 0;
    for (uint32_t i = 0; l && i < l->count; i++) {
        const char *value = l->rules[i].value;
        if (rule_blocks(&l->rules[i]) &&
            mk_jid_parse(c, (struct mk_view){ value, strlen(value) }, &out[*count]) == MK_OK)
            ++*count;
    }
    return rc;
}

/* Makes the default list what RULES say, and tells who has to know.  An empty one that nobody uses goes. */
MK_SUSPENDS static int change_standard(struct mk_ctx *c, const struct rule *rules, uint32_t count) {
    struct lists *l = lists_of(c);
    const char *name = mk_printf(c, "%s", l->standard ? l->standard->name : BLOCK_LIST);
    struct rule_list *old = NULL;
    uint32_t noted;
    const struct note *notes = note_lists(c, &noted);
    bool used = false;
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        used |= l->standard && session_of(c, s)->active == l->standard;
    int rc;
    if (!count && l->standard && !used) {
        old = l->standard;
        rc = lists_remove(c, old);
    } else {
        rc = lists_put(c, rule_list_new(name, rules, count), true, &old);
    }
    if (rc != MK_OK)
        return rc;
    push_list(c, name, false);
    tell_changes(c, notes, noted);
    rule_list_free(old);
    return MK_OK;
}

/* The rules of L but those that block one of JIDS (COUNT 0 with ALL: any), numbered anew from FIRST. */
static uint32_t copy_others(struct rule *to, const struct rule_list *l, const struct mk_jid *const *jids,
                            uint32_t count, bool all, uint32_t first) {
    uint32_t n = 0;
    for (uint32_t i = 0; l && i < l->count; i++) {
        if (rule_blocks(&l->rules[i]) && (all || is_among(jids, count, l->rules[i].value)))
            continue;
        to[n] = l->rules[i];
        to[n].order = first + n;
        n++;
    }
    return n;
}

MK_SUSPENDS static int op_block(struct mk_ctx *c, const struct mk_jid *const *jids, uint32_t count) {
    const struct privacy *me = mk_inst(c);
    int rc = lists_load(c);
    if (rc != MK_OK)
        return rc;
    const struct lists *l = lists_of(c);
    const struct rule_list *old = l->standard ? l->standard : lists_find(l, BLOCK_LIST);
    struct rule *rules = mk_alloc(c, (count + (old ? old->count : 0) + 1) * sizeof *rules);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!is_among(jids, i, mk_jid_text(jids[i])))
            rules[n++] = (struct rule){ n + 1, RULE_JID, MK_PRIVACY_ALL, true, mk_jid_text(jids[i]) };
    n += copy_others(rules + n, old, jids, count, false, n + 1);
    return n > me->max_items ? MK_E_LIMIT : change_standard(c, rules, n);
}

MK_SUSPENDS static int op_unblock(struct mk_ctx *c, const struct mk_jid *const *jids, uint32_t count) {
    int rc = lists_load(c);
    const struct rule_list *old = rc == MK_OK ? lists_of(c)->standard : NULL;
    if (!old)
        return rc;
    struct rule *rules = mk_alloc(c, (old->count + 1) * sizeof *rules);
    uint32_t n = copy_others(rules, old, jids, count, count == 0, 1);
    return n == old->count ? MK_OK : change_standard(c, rules, n);
}

static bool op_denies(struct mk_ctx *c, struct mk_session *session, const struct mk_jid *jid, uint32_t kind) {
    const struct lists *l = lists_of(c);
    if ((l->loaded && !l->items) || is_exempt(c, jid))
        return false;
    return !l->loaded || list_denies(c, list_for(c, l, session), jid, kind);
}

const struct mk_privacy_ops privacy_ops = {
    .size = sizeof privacy_ops, .blocked = op_blocked, .block = op_block, .unblock = op_unblock, .denies = op_denies
};
