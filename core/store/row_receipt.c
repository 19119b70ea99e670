/* SPDX-License-Identifier: Apache-2.0 */
/* A receipt whose payment deletes a row: of messages that are stored until they have arrived. */
#include "store/queue.h"
#include "store/value.h"
#include "util/log.h"
#include "util/mem.h"
#include "xml/stanza.h"
#include <stdlib.h>

struct row_receipt {
    struct mk_receipt base;
    struct mk_receipt *before; /* that the stanza had, held until this one is paid */
    struct worker *home;       /* the partition's writes are this worker's */
    struct change *del;        /* NULL once it is queued */
    struct post post;
};

static void forget(struct row_receipt *r) {
    if (r->del)
        change_free(r->del);
    r->del = NULL;
    mk_receipt_pay(r->before);
    receipt_unref(&r->base);
}

static void settle(struct row_receipt *r) {
    struct queue *q = queue_of(r->home, r->del->x.coll);
    if (queue_has_room(q, 1, r->del->bytes)) {
        queue_push(q, r->del);
        r->del = NULL;
    } else {
        log_warning("a delivered message stays stored: the queue of writes is full");
    }
    forget(r);
}

/* Without a worker the server has stopped: the row stays, and the message comes once more rather than never. */
static void settle_post(struct post *p) {
    struct row_receipt *r = container_of(p, struct row_receipt, post);
    if (this_worker)
        settle(r);
    else
        forget(r);
}

static void paid(struct mk_receipt *base) {
    struct row_receipt *r = container_of(base, struct row_receipt, base);
    if (r->home == this_worker) {
        settle(r);
        return;
    }
    r->post.run = settle_post;
    worker_post(r->home, &r->post);
}

static void free_receipt(struct mk_receipt *base) {
    free(container_of(base, struct row_receipt, base));
}

static void pay(void *arg) {
    mk_receipt_pay(arg);
}

void mk_receipt_row(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_coll *coll,
                    const struct mk_value *key) {
    struct mk_stanza *stanza = (struct mk_stanza *)s;
    struct row_receipt *r = xcalloc(1, sizeof *r);
    atomic_init(&r->base.holds, 1);
    atomic_init(&r->base.refs, 2);
    r->base.paid = paid;
    r->base.free = free_receipt;
    r->home = c->worker;
    r->del = change_new(coll, MK_X_DEL, key, key_count(coll), NULL, NULL);
    r->del->later = true;
    r->before = mk_receipt_hold(s);
    receipt_unref(stanza->receipt);
    stanza->receipt = &r->base;
    turn_at_end(c, pay, &r->base);
}
