/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to a stream between servers, and what becomes of stanzas on their way out. */
#include "run/metric.h"
#include "s2s/link.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "util/text.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

/* Links of this worker with parcels that may lie in the output queue. */
static __thread struct list unsent;

void links_write_start(void) {
    list_init(&unsent);
}

void link_write(struct link *l, const char *data, size_t len) {
    if (l->state != LINK_ENDED && !l->goodbye)
        conn_write(&l->conn, data, len);
}

void link_say(struct link *l, const char *text) {
    link_write(l, text, strlen(text));
}

void link_printf(struct link *l, const char *fmt, ...) {
    struct buf b = { 0 };
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    link_write(l, b.data, b.len);
    buf_free(&b);
}

void buf_attr(struct buf *b, const char *name, const char *value) {
    size_t len = value ? strlen(value) : 0;
    if (!value)
        return;
    char *text = xmalloc(6 * len + 1);
    *xml_escape(text, value, len) = '\0';
    buf_printf(b, " %s='%s'", name, text);
    free(text);
}

void link_send_header(struct link *l) {
    struct buf b = { 0 };
    buf_puts(&b, "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='" NS_STREAMS
                 "' xmlns:db='" NS_DB "'");
    if (!l->outgoing)
        buf_attr(&b, "id", l->id);
    buf_attr(&b, "from", l->local);
    buf_attr(&b, "to", l->remote);
    buf_puts(&b, " version='1.0' xml:lang='en'>");
    link_write(l, b.data, b.len);
    buf_free(&b);
    l->opened = true;
}

bool link_is_full(const struct link *l) {
    return l->conn.out_len > (uint64_t)s2s_config()->queue_bytes || (int64_t)l->sent_count >= s2s_config()->queue;
}

void link_parcel(struct link *l, struct parcel *p) {
    foreign_write(&l->conn, p->stanza, p->to);
    METRIC(this_worker, s2s_stanzas_out, 1);
    l->used_ms = worker_now_ms(this_worker);
    list_append(&l->sent, &p->link);
    l->sent_count++;
    if (l->tracks)
        ack_ask(l);
    else if (!list_linked(&l->sent_in))
        list_append(&unsent, &l->sent_in);
}

void link_drop(struct link *l, uint32_t count) {
    for (; count; count--) {
        l->sent_count--;
        parcel_free(container_of(list_pop(&l->sent), struct parcel, link));
    }
    link_settled(l);
}

void link_sent(struct link *l) {
    if (list_linked(&l->sent_in))
        list_remove(&l->sent_in);
    link_drop(l, l->sent_count);
}

void s2s_after_flush(struct worker *w) {
    struct list *at, *next;
    (void)w;
    for (at = unsent.next; at != &unsent; at = next) {
        next = at->next;
        struct link *l = container_of(at, struct link, sent_in);
        if (!l->conn.out_len)
            link_sent(l);
    }
}
