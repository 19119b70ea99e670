/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the component says of a namespace, the server says of itself and of its accounts.  Each worker asks when it is
 * asked, beside the entity, and remembers the answer until a component comes anew.
 */
#include "delegation.h"
#include <stdatomic.h>
#include <string.h>

enum { RETRY_MS = 10000 }; /* after a component did not answer */

static struct nested *nested_of(const struct nested_all *all, uint32_t entry, bool for_account) {
    return &all->items[2 * entry + for_account];
}

void nested_free(const struct delegation *me, struct nested_all *all) {
    for (uint32_t i = 0; all->items && i < 2 * me->namespaces.count; i++)
        mk_release(all->items[i].answer);
    mk_free(all->items);
}

static bool is_fresh(struct mk_ctx *c, const struct nested *n) {
    const struct delegation *me = mk_inst(c);
    return n->until_ms > mk_now_ms(c) && n->joined == atomic_load(me->joined);
}

static struct nested_all *all_of(struct mk_ctx *c) {
    const struct delegation *me = mk_inst(c);
    struct nested_all *all = mk_worker(c);
    if (!all->items)
        all->items = mk_malloc((2 * me->namespaces.count + 1) * sizeof *all->items);
    return all;
}

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

struct waiting {
    const struct mk_stanza *iq;
    struct mk_receipt *receipt;
    bool for_account;
};

MK_SUSPENDS static const struct mk_stanza *ask(struct mk_ctx *c, const struct entry *e, bool for_account) {
    const struct mk_stanza *answer;
    const struct mk_jid *to;
    if (mk_jid_parse(c, (struct mk_view){ e->component, strlen(e->component) }, &to) != MK_OK)
        return NULL;
    struct mk_out *o = mk_query(c, MK_TYPE_GET, to);
    mk_open(o, "query", NS_INFO);
    mk_put(o, "node", mk_printf(c, "%s%s", for_account ? NS_BARE : NS "::", e->ns));
    bool good = mk_query_wait(c, o, &answer) == MK_OK && mk_stanza_type(answer) == MK_TYPE_RESULT;
    return good ? mk_keep(answer) : NULL;
}

MK_SUSPENDS static void fetch(struct mk_ctx *c, void *arg) {
    const struct delegation *me = mk_inst(c);
    struct waiting *w = arg;
    for (uint32_t i = 0; i < me->namespaces.count; i++) {
        const struct entry *e = &me->entries[i];
        if (entry_is_special(e) || is_fresh(c, nested_of(all_of(c), i, w->for_account)))
            continue;
        uint64_t joined = atomic_load(me->joined);
        const struct mk_stanza *answer = ask(c, e, w->for_account);
        struct nested *n = nested_of(all_of(c), i, w->for_account);
        mk_release(n->answer);
        *n = (struct nested){ answer, mk_now_ms(c) + (answer ? me->features_for : RETRY_MS), joined };
    }
    mk_route(c, w->iq, mk_self(c));
    mk_receipt_pay(w->receipt);
    mk_release(w->iq);
    mk_free(w);
}

bool nested_fetch(struct mk_ctx *c, const struct mk_stanza *iq, bool for_account) {
    const struct delegation *me = mk_inst(c);
    const struct mk_elem *query = mk_child(iq, "query", NS_INFO);
    bool known = true;
    if (!query || mk_stanza_type(iq) != MK_TYPE_GET || mk_attr(query, "node"))
        return false;
    for (uint32_t i = 0; i < me->namespaces.count; i++) {
        if (entry_is_from(&me->entries[i], mk_stanza_from(iq)))
            return false;
        known &= entry_is_special(&me->entries[i]) || is_fresh(c, nested_of(all_of(c), i, for_account));
    }
    if (known)
        return false;
    struct waiting *w = mk_malloc(sizeof *w);
    *w = (struct waiting){ mk_keep(iq), mk_receipt_hold(iq), for_account };
    mk_aside(c, fetch, w);
    return true;
}

/* ---- saying ---------------------------------------------------------------------------------------------------------- */

enum mk_flow nested_on_info(struct mk_ctx *c, struct mk_ev_disco *ev) {
    const struct delegation *me = mk_inst(c);
    for (uint32_t i = 0; !*ev->node && i < me->namespaces.count; i++) {
        const struct mk_stanza *answer = nested_of(all_of(c), i, ev->for_account)->answer;
        const struct mk_elem *query = answer ? mk_child(answer, "query", NS_INFO) : NULL;
        for (const struct mk_elem *e = query ? mk_elem_first(query) : NULL; e; e = mk_elem_next(e))
            mk_put_elem(ev->reply, e);
    }
    return MK_NEXT;
}

/* The component's own features stand for those that the server would have: of the namespace, and of parts of it. */
enum mk_flow nested_on_feature(struct mk_ctx *c, struct mk_ev_feature *ev) {
    const struct delegation *me = mk_inst(c);
    for (uint32_t i = 0; i < me->namespaces.count; i++) {
        size_t len = strlen(me->entries[i].ns);
        if (strncmp(ev->var, me->entries[i].ns, len) == 0 && (!ev->var[len] || ev->var[len] == '#'))
            return MK_STOP;
    }
    return MK_NEXT;
}
