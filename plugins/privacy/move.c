/* SPDX-License-Identifier: Apache-2.0 */
/* Privacy lists on their way in and out (XEP-0227). */
#include "lists.h"
#include "privacy.h"
#include <string.h>

/* ---- out ------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    const struct lists *l = lists_of(c);
    (void)after, (void)more, (void)report;
    int rc = lists_load(c);
    if (rc != MK_OK || !l->count)
        return rc;
    mk_open(o, "query", NS_PRIVACY);
    if (l->standard) {
        mk_open(o, "default", NULL);
        mk_put(o, "name", l->standard->name);
        mk_close(o);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        mk_open(o, "list", NULL);
        mk_put(o, "name", l->items[i]->name);
        for (uint32_t k = 0; k < l->items[i]->count; k++)
            list_put_rule(o, &l->items[i]->rules[k]);
        mk_close(o);
    }
    mk_close(o);
    return MK_OK;
}

/* ---- in -------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int take_list(struct mk_ctx *c, const struct mk_elem *e, bool standard, struct rule_list **old,
                                 struct mk_result *report) {
    const struct privacy *me = mk_inst(c);
    const char *name = mk_attr(e, "name");
    const struct rule *rules;
    uint32_t count;
    int rc = list_read_rules(c, e, false, &rules, &count);
    if (rc == MK_OK && !lists_find(lists_of(c), name) && lists_of(c)->count >= me->max_lists)
        rc = MK_E_LIMIT;
    if (rc == MK_OK && count)
        rc = lists_put(c, rule_list_new(name, rules, count), standard, old);
    if (rc != MK_E_INVALID && rc != MK_E_LIMIT)
        return rc;
    mk_result_say(report, "privacy list %.80s is invalid or too long: it was left out", name);
    return MK_OK;
}

/* Rules may be about groups of a roster that is yet to come. */
MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *query, int64_t *state,
                                 struct mk_result *report) {
    const struct mk_elem *standard = mk_elem_child(query, "default", NS_PRIVACY);
    const char *name = standard ? mk_attr(standard, "name") : NULL;
    uint32_t noted, count = 0, taken = 0;
    (void)state;
    int rc = lists_load(c);
    if (rc != MK_OK)
        return rc;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e))
        count++;
    struct rule_list **old = mk_alloc(c, (count + 1) * sizeof(struct rule_list *));
    const struct note *notes = note_lists(c, &noted);
    for (const struct mk_elem *e = mk_elem_first(query); rc == MK_OK && e; e = mk_elem_next(e)) {
        const char *list = mk_elem_is(e, "list", NS_PRIVACY) ? mk_attr(e, "name") : NULL;
        if (!list || !*list || strlen(list) > MAX_LIST_NAME)
            continue;
        rc = take_list(c, e, name && strcmp(list, name) == 0, &old[taken++], report);
        push_list(c, list, false);
    }
    tell_changes(c, notes, noted);
    for (uint32_t i = 0; i < taken; i++)
        rule_list_free(old[i]);
    return rc;
}

MK_SUSPENDS static int move_drop(struct mk_ctx *c) {
    const struct privacy *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    int rc = mk_del_range(c, me->lists, MK_SCAN(.partition = &owner));
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        session_of(c, s)->active = NULL;
    lists_forget(lists_of(c));
    return rc;
}

static const struct mk_move_kind kinds[] = {
    { "query", NS_PRIVACY, 0, 0 },
};
const struct mk_move_ops privacy_move = {
    .size = sizeof privacy_move,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};
