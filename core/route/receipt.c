/* SPDX-License-Identifier: Apache-2.0 */
#include "route/receipt.h"
#include "run/worker.h"
#include "util/mem.h"
#include "util/table.h"
#include <stdlib.h>

struct session_receipt {
    struct mk_receipt base;
    struct list link; /* in session->owed; unlinked once the session is gone */
    struct mk_session *session;
    uint64_t hash; /* of the stanza */
    uint32_t number;
    bool is_paid;
    struct worker *home;
    struct post post;
};

/* Receipts are made for every stanza: the last few are kept for the next. */
enum { SPARE_MAX = 256 };
static __thread struct list spare;
static __thread unsigned spare_count;

static struct session_receipt *receipt_at(struct list *link) {
    return container_of(link, struct session_receipt, link);
}

/* Those that are paid go in order: until then, the client might send the stanza again. */
static void drop_paid(struct mk_session *s) {
    while (!list_empty(&s->owed) && s->owed.next != s->again && receipt_at(s->owed.next)->is_paid)
        receipt_unref(&receipt_at(list_pop(&s->owed))->base);
}

static void settle(struct session_receipt *r) {
    struct mk_session *s = r->session;
    r->is_paid = true;
    if (!s) {
        receipt_unref(&r->base);
        return;
    }
    drop_paid(s);
    if (s->asked && mk_session_handled(s) == s->received) {
        s->asked = false;
        session_settled(s);
    }
}

static void settle_post(struct post *p) {
    struct session_receipt *r = container_of(p, struct session_receipt, post);
    if (this_worker)
        settle(r);
    else
        receipt_unref(&r->base);
}

static void paid(struct mk_receipt *base) {
    struct session_receipt *r = container_of(base, struct session_receipt, base);
    if (r->home == this_worker) {
        settle(r);
        return;
    }
    r->post.run = settle_post;
    worker_post(r->home, &r->post);
}

static void free_receipt(struct mk_receipt *base) {
    struct session_receipt *r = container_of(base, struct session_receipt, base);
    if (!this_worker || spare_count == SPARE_MAX) {
        free(r);
        return;
    }
    if (!spare.next)
        list_init(&spare);
    list_append(&spare, &r->link);
    spare_count++;
}

struct mk_receipt *receipt_new(struct mk_session *s, struct mk_stanza *stanza) {
    struct session_receipt *r;
    struct list *link = spare.next ? list_pop(&spare) : NULL;
    if (link) {
        spare_count--;
        r = receipt_at(link);
    } else {
        r = xmalloc(sizeof *r);
    }
    *r = (struct session_receipt){
        .session = s, .hash = hash_bytes(stanza->wire, stanza->wire_len), .number = ++s->received, .home = this_worker
    };
    atomic_init(&r->base.holds, 1);
    atomic_init(&r->base.refs, 2);
    r->base.paid = paid;
    r->base.free = free_receipt;
    list_append(&s->owed, &r->link);
    stanza->receipt = &r->base;
    return &r->base;
}

/* FROM and those before END are of no interest any more. */
static void forget(struct list *from, const struct list *end) {
    while (from != end) {
        struct session_receipt *r = receipt_at(from);
        from = from->next;
        list_remove(&r->link);
        r->session = NULL;
        if (r->is_paid)
            receipt_unref(&r->base);
    }
}

void receipts_forget(struct mk_session *s) {
    s->again = NULL;
    forget(s->owed.next, &s->owed);
}

bool receipt_again(struct mk_session *s, const struct mk_stanza *stanza) {
    if (!s->again)
        return false;
    uint64_t hash = hash_bytes(stanza->wire, stanza->wire_len);
    struct list *first = s->again, *at = first;
    while (at != &s->owed && receipt_at(at)->hash != hash)
        at = at->next;
    bool found = at != &s->owed;
    s->again = NULL;
    if (found) {
        receipt_at(at)->number = ++s->received;
        s->again = at->next == &s->owed ? NULL : at->next;
    }
    forget(first, at);
    drop_paid(s);
    return found;
}

void mk_session_count_start(struct mk_session *s) {
    receipts_forget(s);
    s->counting = true;
    s->received = 0;
}

uint32_t mk_session_handled(struct mk_session *s) {
    if (list_empty(&s->owed) || s->owed.next == s->again)
        return s->received;
    s->asked = true;
    return receipt_at(s->owed.next)->number - 1;
}

uint32_t mk_session_recount(struct mk_session *s) {
    s->received = mk_session_handled(s);
    s->again = list_empty(&s->owed) ? NULL : s->owed.next;
    s->asked = false;
    return s->received;
}

uint32_t mk_session_received(const struct mk_session *s) {
    return s->received;
}

void receipts_trim(void) {
    struct list *link;
    if (!spare.next)
        return;
    while ((link = list_pop(&spare)) != NULL)
        free(receipt_at(link));
    spare_count = 0;
}
