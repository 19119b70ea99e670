/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream management between servers (XEP-0198).  What was not acknowledged when a stream broke goes out again: after the
 * stream was resumed only what did not arrive, else all of it.  What we acknowledge has arrived where it stays: receipts
 * of it were paid.
 */
#include "s2s/link.h"
#include "util/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_BYTES = 15 };

/* Of a stanza that came.  INBOX is looked at on its worker alone. */
struct link_receipt {
    struct mk_receipt base;
    struct list link;    /* in inbox->owed */
    struct inbox *inbox; /* NULL: it is no more */
    struct worker *home;
    struct post post;
    uint32_t number;
};

static __thread struct list inboxes; /* that may be resumed */

void ack_worker_start(void) {
    list_init(&inboxes);
}

/* ---- inboxes ------------------------------------------------------------------------------------------------------- */

static void inbox_free(struct inbox *in) {
    struct list *at;
    while ((at = list_pop(&in->owed)) != NULL)
        container_of(at, struct link_receipt, link)->inbox = NULL;
    if (list_linked(&in->link))
        list_remove(&in->link);
    wheel_stop(&in->timer);
    free(in->id);
    free(in->remote);
    free(in);
}

static void on_inbox_late(struct timer *t) {
    inbox_free(container_of(t, struct inbox, timer));
}

static void inbox_new(struct link *l, uint32_t received) {
    struct inbox *in = xcalloc(1, sizeof *in);
    list_init(&in->owed);
    in->timer.fire = on_inbox_late;
    in->owner = l;
    in->received = received;
    l->inbox = in;
}

static struct inbox *inbox_find(const char *id, const char *remote) {
    for (struct list *at = inboxes.next; id && remote && at != &inboxes; at = at->next) {
        struct inbox *in = container_of(at, struct inbox, link);
        if (strcmp(in->id, id) == 0 && strcmp(in->remote, remote) == 0)
            return in;
    }
    return NULL;
}

void ack_end(struct link *l) {
    struct inbox *in = l->inbox;
    if (!in)
        return;
    l->inbox = NULL;
    if (!in->id || !l->lost) {
        inbox_free(in);
        return;
    }
    in->owner = NULL;
    in->ack_due = in->answer_due = false;
    worker_timer(this_worker, &in->timer, (uint64_t)s2s_config()->resume_ms);
}

void ack_worker_stop(void) {
    while (inboxes.next && !list_empty(&inboxes))
        inbox_free(container_of(inboxes.next, struct inbox, link));
}

/* ---- what we acknowledge ------------------------------------------------------------------------------------------- */

static void send_ack(struct link *l) {
    struct inbox *in = l->inbox;
    uint32_t h = in->received;
    if (!list_empty(&in->owed))
        h = container_of(in->owed.next, struct link_receipt, link)->number - 1;
    in->ack_due = h != in->received;
    link_printf(l, "<a xmlns='" NS_SM "' h='%u'/>", h);
}

void ack_last(struct link *l) {
    if (l->inbox && l->inbox->received)
        send_ack(l);
}

/* What we sent on the lost stream went out elsewhere: on this one nothing is unacknowledged, and what was sent before
 * the answer the peer does not count. */
static void send_resumed(struct link *l) {
    l->inbox->answer_due = false;
    link_sent(l);
    l->tracks = l->tracked = true;
    link_printf(l, "<resumed xmlns='" NS_SM "' previd='%s' h='%u'/>", l->inbox->id, l->inbox->received);
}

static void settle(struct link_receipt *r) {
    struct inbox *in = r->inbox;
    if (in) {
        list_remove(&r->link);
        if (in->owner && list_empty(&in->owed)) {
            if (in->answer_due)
                send_resumed(in->owner);
            if (in->ack_due)
                send_ack(in->owner);
            link_settled(in->owner);
        }
    }
    receipt_unref(&r->base);
}

static void settle_post(struct post *p) {
    struct link_receipt *r = container_of(p, struct link_receipt, post);
    if (this_worker)
        settle(r);
    else
        receipt_unref(&r->base);
}

static void paid(struct mk_receipt *base) {
    struct link_receipt *r = container_of(base, struct link_receipt, base);
    if (r->home == this_worker) {
        settle(r);
        return;
    }
    r->post.run = settle_post;
    worker_post(r->home, &r->post);
}

static void free_receipt(struct mk_receipt *base) {
    free(container_of(base, struct link_receipt, base));
}

struct mk_receipt *ack_receive(struct link *l, struct mk_stanza *s) {
    if (!l->inbox)
        return NULL;
    struct link_receipt *r = xcalloc(1, sizeof *r);
    r->inbox = l->inbox;
    r->number = ++l->inbox->received;
    r->home = this_worker;
    atomic_init(&r->base.holds, 1);
    atomic_init(&r->base.refs, 2);
    r->base.paid = paid;
    r->base.free = free_receipt;
    list_append(&l->inbox->owed, &r->link);
    s->receipt = &r->base;
    return &r->base;
}

/* ---- what is acknowledged to us ------------------------------------------------------------------------------------ */

void ack_ask(struct link *l) {
    if (!l->tracked || l->asked || !l->sent_count)
        return;
    l->asked = true;
    l->asked_ms = worker_now_ms(this_worker);
    link_say(l, "<r xmlns='" NS_SM "'/>");
    if (!l->finishing)
        link_timer(l, s2s_config()->login_ms);
}

static void began(struct link *l, uint32_t received) {
    l->tracks = l->tracked = true;
    inbox_new(l, received);
    ack_ask(l);
}

static void fail_count(struct link *l) {
    link_fail(l, "undefined-condition", "You acknowledge more than was sent.");
}

static uint32_t number_of(const char *text) {
    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static void acknowledged(struct link *l, const char *text) {
    uint32_t h = number_of(text), count = h - l->acked;
    if (l->goodbye) /* what it is about went to another stream */
        return;
    if (!l->tracked || !text || count > l->sent_count) {
        fail_count(l);
        return;
    }
    l->acked = h;
    l->asked = false;
    link_drop(l, count);
    ack_ask(l);
    if (l->pair && count)
        l->pair->resumes = 0;
    if (l->pair && l->pair->ready)
        pair_ready(l->pair);
}

/* ---- streams of others --------------------------------------------------------------------------------------------- */

static bool is_true(const char *text) {
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

static void refuse(struct link *l, const char *cond) {
    link_printf(l, "<failed xmlns='" NS_SM "'><%s xmlns='" NS_STANZAS "'/></failed>", cond);
}

static void make_resumable(struct inbox *in, const char *remote) {
    uint8_t random[ID_BYTES];
    mk_random(random, sizeof random);
    in->id = xmalloc(2 * sizeof random + 1);
    hex_encode(in->id, random, sizeof random);
    in->remote = xstrdup(remote);
    list_append(&inboxes, &in->link);
}

static void enable(struct link *l, const struct mk_elem *e) {
    int64_t max = s2s_config()->resume_ms;
    if (!l->grants || l->inbox || l->outgoing) {
        refuse(l, "unexpected-request");
        return;
    }
    link_sent(l); /* they were not counted */
    began(l, 0);
    if (!is_true(mk_attr(e, "resume")) || !max || !l->remote || domain_home(l->remote) != this_worker) {
        link_say(l, "<enabled xmlns='" NS_SM "'/>");
        return;
    }
    make_resumable(l->inbox, l->remote);
    link_printf(l, "<enabled xmlns='" NS_SM "' id='%s' resume='true' max='%lld'/>", l->inbox->id,
                (long long)(max / 1000));
}

static void resume(struct link *l, const struct mk_elem *e) {
    bool may = l->grants && !l->inbox && !l->outgoing;
    struct inbox *in = may ? inbox_find(mk_attr(e, "previd"), l->remote) : NULL;
    if (!in) {
        refuse(l, "item-not-found");
        return;
    }
    if (in->owner) { /* we have not heard yet that it is lost */
        in->owner->lost = true;
        link_fail(in->owner, "conflict", "The stream is resumed on another connection.");
    }
    wheel_stop(&in->timer);
    in->owner = l;
    l->inbox = in;
    l->acked = number_of(mk_attr(e, "h"));
    in->answer_due = true;
    if (list_empty(&in->owed))
        send_resumed(l);
}

/* ---- ours ---------------------------------------------------------------------------------------------------------- */

static void ready(struct link *l) {
    if (l->pair)
        pair_ready(l->pair);
}

static void ask_to_enable(struct link *l) {
    l->tracks = true;
    link_printf(l, "<enable xmlns='" NS_SM "'%s/>", s2s_config()->resume_ms ? " resume='true'" : "");
    ready(l);
}

static void ask_to_resume(struct link *l) {
    struct buf b = { 0 };
    l->resuming = true;
    buf_puts(&b, "<resume xmlns='" NS_SM "'");
    buf_attr(&b, "previd", l->pair->sm_id);
    buf_printf(&b, " h='%u'/>", l->pair->sm_received);
    link_write(l, b.data, b.len);
    buf_free(&b);
}

void ack_begin(struct link *l) {
    struct pair *p = l->pair;
    if (p && p->sm_id && l->can_sm) {
        ask_to_resume(l);
        return;
    }
    if (p)
        pair_requeue(p);
    if (l->can_sm)
        ask_to_enable(l);
    else
        ready(l);
}

/* Of what the lost stream carried the first COUNT arrived. */
static void arrived(struct pair *p, uint32_t count) {
    for (; count; count--) {
        p->unacked_count--;
        parcel_free(container_of(list_pop(&p->unacked), struct parcel, link));
    }
}

static void resumed(struct link *l, const struct mk_elem *e) {
    struct pair *p = l->pair;
    const char *text = mk_attr(e, "h");
    uint32_t h = number_of(text), count = p ? h - p->sm_acked : 0;
    struct list *at;
    l->resuming = false;
    if (!p || !text || count > p->unacked_count) {
        if (p)
            pair_requeue(p);
        fail_count(l);
        return;
    }
    arrived(p, count);
    l->acked = h;
    l->sm_id = p->sm_id;
    p->sm_id = NULL;
    p->unacked_count = 0;
    began(l, p->sm_received);
    link_log(l, 6, "is resumed");
    while ((at = list_pop(&p->unacked)) != NULL)
        link_parcel(l, container_of(at, struct parcel, link));
    ready(l);
}

/* It has forgotten the stream; perhaps it still knows how much came. */
static void not_resumed(struct link *l, const struct mk_elem *e) {
    struct pair *p = l->pair;
    uint32_t count = p && mk_attr(e, "h") ? number_of(mk_attr(e, "h")) - p->sm_acked : 0;
    l->resuming = false;
    if (!p)
        return;
    if (count <= p->unacked_count)
        arrived(p, count);
    pair_requeue(p);
    ask_to_enable(l);
}

static void enabled(struct link *l, const struct mk_elem *e) {
    const char *id = mk_attr(e, "id");
    if (id && is_true(mk_attr(e, "resume")))
        l->sm_id = xstrdup(id);
    began(l, 0);
}

/* True if E is an answer that was awaited. */
static bool took_answer(struct link *l, const struct mk_elem *e) {
    bool asked = l->outgoing && l->tracks && !l->tracked;
    if (l->resuming && mk_elem_is(e, "resumed", NULL)) {
        resumed(l, e);
    } else if (l->resuming && mk_elem_is(e, "failed", NULL)) {
        not_resumed(l, e);
    } else if (asked && mk_elem_is(e, "enabled", NULL)) {
        enabled(l, e);
    } else if (asked && mk_elem_is(e, "failed", NULL)) {
        l->tracks = false;
        link_sent(l);
    } else {
        return false;
    }
    return true;
}

void ack_element(struct link *l, const struct mk_elem *e) {
    if (took_answer(l, e))
        return;
    if (mk_elem_is(e, "enable", NULL))
        enable(l, e);
    else if (mk_elem_is(e, "resume", NULL))
        resume(l, e);
    else if (mk_elem_is(e, "r", NULL) && l->inbox)
        send_ack(l);
    else if (mk_elem_is(e, "a", NULL))
        acknowledged(l, mk_attr(e, "h"));
    else
        link_fail(l, "unsupported-stanza-type", NULL);
}
