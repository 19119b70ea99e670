/* SPDX-License-Identifier: Apache-2.0 */
#include "route/receipt.h"
#include "run/worker.h"
#include "util/mem.h"
#include <stdlib.h>

struct session_receipt {
    struct mk_receipt base;
    struct list link; /* in session->owed; unlinked once the session is gone */
    struct mk_session *session;
    uint32_t number;
    struct worker *home;
    struct post post;
};

/* Receipts are made for every stanza: the last few are kept for the next. */
enum { SPARE_MAX = 256 };
static __thread struct list spare;
static __thread unsigned spare_count;

static void settle(struct session_receipt *r) {
    struct mk_session *s = r->session;
    if (s) {
        list_remove(&r->link);
        if (s->asked && list_empty(&s->owed)) {
            s->asked = false;
            session_settled(s);
        }
    }
    receipt_unref(&r->base);
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
        r = container_of(link, struct session_receipt, link);
    } else {
        r = xmalloc(sizeof *r);
    }
    *r = (struct session_receipt){ .session = s, .number = ++s->received, .home = this_worker };
    atomic_init(&r->base.holds, 1);
    atomic_init(&r->base.refs, 2);
    r->base.paid = paid;
    r->base.free = free_receipt;
    list_append(&s->owed, &r->link);
    stanza->receipt = &r->base;
    return &r->base;
}

void receipts_forget(struct mk_session *s) {
    struct list *link;
    while ((link = list_pop(&s->owed)) != NULL)
        container_of(link, struct session_receipt, link)->session = NULL;
}

void mk_session_count_start(struct mk_session *s) {
    receipts_forget(s);
    s->counting = true;
    s->received = 0;
}

uint32_t mk_session_handled(struct mk_session *s) {
    if (list_empty(&s->owed))
        return s->received;
    s->asked = true;
    return container_of(s->owed.next, struct session_receipt, link)->number - 1;
}

uint32_t mk_session_received(const struct mk_session *s) {
    return s->received;
}

void receipts_trim(void) {
    struct list *link;
    if (!spare.next)
        return;
    while ((link = list_pop(&spare)) != NULL)
        free(container_of(link, struct session_receipt, link));
    spare_count = 0;
}
