/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"
#include <string.h>

static void grow(struct held *h) {
    h->cap = h->cap ? h->cap * 2 : 4;
    struct held_stanza *bigger = mk_malloc(h->cap * sizeof *bigger);
    if (h->count)
        memcpy(bigger, h->items, h->count * sizeof *bigger);
    mk_free(h->items);
    h->items = bigger;
}

void held_add(struct held *h, uint64_t subject, const struct mk_session *session, const struct mk_stanza *s,
              const struct mk_jid *to) {
    if (h->count == h->cap)
        grow(h);
    bool to_session = to && mk_jid_same(to, mk_session_jid(session));
    h->items[h->count++] =
        (struct held_stanza){ subject, mk_keep(s), to && !to_session ? mk_jid_keep(to) : NULL, to_session };
    h->bytes += mk_stanza_size(s);
}

static void let_go(struct held *h, struct held_stanza *x) {
    h->bytes -= mk_stanza_size(x->stanza);
    mk_release(x->stanza);
    mk_jid_free(x->to);
}

bool held_drop(struct held *h, uint64_t subject) {
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->items[i].subject != subject)
            continue;
        let_go(h, &h->items[i]);
        h->count--;
        memmove(h->items + i, h->items + i + 1, (h->count - i) * sizeof h->items[0]);
        return true;
    }
    return false;
}

void held_clear(struct held *h) {
    for (uint32_t i = 0; i < h->count; i++)
        let_go(h, &h->items[i]);
    mk_free(h->items);
    *h = (struct held){ .items = NULL };
}
