/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams over something other than TCP: transport.h of the SDK.  Elements leave whole and with the namespaces that a
 * stream header would have declared.
 */
#include "route/plugin_conn.h"
#include "route/session.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "xml/escape.h"
#include "xml/out.h"
#include "xml/wire.h"
#include <stdlib.h>
#include <string.h>

#define VIEW(text) ((struct mk_view){ (text), sizeof(text) - 1 })

static void begin(struct mk_ctx *c, const struct mk_stream *st) {
    turn_begin(c, NULL, st->host, st->host ? st->host->jid : NULL);
    c->inst = st->transport->via;
}

/* ---- to the transport ---------------------------------------------------------------------------------------------- */

void transport_opened(struct mk_stream *st, const struct mk_stream_head *head) {
    struct mk_ctx c;
    begin(&c, st);
    st->transport->kind->opened(&c, st->transport->self, head);
    turn_end(&c);
}

/* While a welcome is written what else is said waits: each element behind its length. */
static void hold_back(struct mk_stream *st, const struct mk_view *pieces, uint32_t count) {
    struct buf *held = &st->login->sasl2->held;
    uint32_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        len += (uint32_t)pieces[i].len;
    buf_add(held, &len, sizeof len);
    for (uint32_t i = 0; i < count; i++)
        buf_add(held, pieces[i].s, pieces[i].len);
}

static void give(struct mk_stream *st, const struct mk_view *pieces, uint32_t count) {
    struct mk_ctx c;
    if (st->state == STREAM_ENDED)
        return;
    if (st->state == STREAM_WELCOME) {
        hold_back(st, pieces, count);
        return;
    }
    begin(&c, st);
    st->transport->kind->send(&c, st->transport->self, pieces, count);
    turn_end(&c);
}

void transport_send_held(struct mk_stream *st, const struct buf *held) {
    for (size_t at = 0; at < held->len;) {
        uint32_t len;
        memcpy(&len, held->data + at, sizeof len);
        at += sizeof len;
        give(st, &(struct mk_view){ held->data + at, len }, 1);
        at += len;
    }
}

/* What stands in a stream's prefix is ours, and begins so; the rest declares what it needs. */
void transport_send(struct mk_stream *st, const char *data, size_t len) {
    size_t name = strncmp(data, "<stream:", 8) == 0 ? 1 + tag_name_len(data) : 0;
    const struct mk_view pieces[] = { { data, name },
                                      VIEW(" xmlns:stream='http://etherx.jabber.org/streams'"),
                                      { data + name, len - name } };
    give(st, name ? pieces : &pieces[2], name ? 3 : 1);
}

/* A client that named the namespace of its stanza anew is quoted. */
static bool has_xmlns(const struct mk_stanza *s) {
    const char *begin = s->wire + 1 + tag_name_len(s->wire), *end = s->wire + wire_inner(s);
    struct tag_attr a;
    end -= end[-2] == '/' ? 2 : 1;
    while (tag_attr_before(begin, &end, &a))
        if (tag_attr_is(&a, "xmlns"))
            return true;
    return false;
}

void transport_send_stanza(struct mk_stream *st, const struct mk_stanza *s, const struct mk_jid *to) {
    struct mk_view pieces[5];
    uint32_t n = 0;
    char *text = NULL;
    if (s->kind == MK_NONZA) {
        transport_send(st, s->wire, s->wire_len);
        return;
    }
    size_t name = 1 + tag_name_len(s->wire), rest = to ? s->wire_rest : name;
    pieces[n++] = (struct mk_view){ s->wire, name };
    if (!has_xmlns(s))
        pieces[n++] = VIEW(" xmlns='jabber:client'");
    if (to) {
        text = xmalloc(6u * to->text_len + 8);
        char *at = xml_escape(stpcpy(text, " to='"), to->text, to->text_len);
        *at++ = '\'';
        pieces[n++] = (struct mk_view){ text, (size_t)(at - text) };
    }
    pieces[n++] = (struct mk_view){ s->wire + rest, s->wire_len - rest };
    give(st, pieces, n);
    free(text);
}

void transport_hold(struct mk_stream *st, bool hold) {
    struct mk_ctx c;
    begin(&c, st);
    st->transport->kind->hold(&c, st->transport->self, hold);
    turn_end(&c);
}

void transport_leave(struct mk_stream *st) {
    struct mk_ctx c;
    begin(&c, st);
    st->transport->kind->leave(&c, st->transport->self);
    st->conn.worker = NULL;
    turn_end(&c);
}

void transport_arrive(struct mk_stream *st) {
    struct mk_ctx c;
    begin(&c, st);
    st->conn.worker = this_worker;
    st->transport->kind->arrive(&c, st->transport->self);
    turn_end(&c);
}

size_t transport_queued(const struct mk_stream *st) {
    const struct transport *t = st->transport;
    return t->self ? t->kind->queued(t->self) : 0;
}

/* Whoever ended it still looks at it. */
static void on_over(struct post *p) {
    struct mk_stream *st = container_of(p, struct transport, over)->stream;
    if (this_worker)
        stream_connection_over(st);
    else
        stream_unref(st);
}

static void part(struct mk_stream *st) {
    struct transport *t = st->transport;
    t->self = NULL;
    t->channel = NULL;
    worker_post(this_worker, &t->over);
}

void transport_close(struct mk_stream *st, const char *condition) {
    struct mk_ctx c;
    if (!st->transport->self)
        return;
    begin(&c, st);
    st->transport->kind->closed(&c, st->transport->self, condition);
    turn_end(&c);
    part(st);
}

/* ---- from the transport: SDK --------------------------------------------------------------------------------------- */

struct mk_stream *mk_transport_open(struct mk_ctx *c, const struct mk_transport *kind, void *t,
                                    const struct mk_transport_peer *peer) {
    struct mk_stream *st = xcalloc(1, sizeof *st);
    st->conn.worker = c->worker;
    st->conn.fd = -1;
    st->conn.heard_ms = worker_now_ms(c->worker);
    st->conn.address = xstrdup(peer->address);
    st->transport = xcalloc(1, sizeof *st->transport);
    *st->transport =
        (struct transport){ kind, t, c->inst, plugin_conn_below(peer->conn), { .run = on_over }, st, peer->secure };
    st->refs = 1;
    stream_enlist(st);
    st->login = login_new(st);
    return st;
}

void mk_transport_header(struct mk_ctx *c, struct mk_stream *st, const struct mk_stream_head *head) {
    mk_transport_heard(c, st);
    if (stream_stopping())
        stream_error(st, "system-shutdown", NULL);
    else if (st->state == STREAM_HEADER)
        stream_head(st, head);
    else
        stream_error(st, "bad-format", "No stream header is due.");
}

static bool is_space(const char *data, size_t len) {
    size_t i = 0;
    while (i < len && strchr(" \t\r\n", data[i]))
        i++;
    return i == len;
}

/* True if all of it is one plain stanza of somebody logged in, which is taken. */
static bool take_plain(struct mk_stream *st, const char *xml, size_t len) {
    struct mk_stanza *s =
        st->account ? parse_alone(XML_CLIENT, &stream_config()->after, xml, len, stream_from_len(st)) : NULL;
    if (s)
        stream_element(st, s);
    return s != NULL;
}

static void take_element(struct mk_stream *st, const char *xml, size_t len) {
    const struct xml_limits *limits = st->account ? &stream_config()->after : &stream_config()->before;
    struct scan scan;
    size_t used = 0;
    scan_init_open(&scan);
    enum scan_result r = scan_next(&scan, limits, xml, len, &used);
    if (r == SCAN_STANZA && is_space(xml + used, len - used))
        stream_framed(st, xml, used);
    else
        stream_refuse(st, r == SCAN_STANZA || r == SCAN_SPACE ? SCAN_MALFORMED : r);
}

bool mk_transport_element(struct mk_ctx *c, struct mk_stream *st, const char *xml, size_t len) {
    mk_transport_heard(c, st);
    if (st->state == STREAM_ENDED)
        return true;
    if (!stream_takes(st))
        return false;
    if (st->state == STREAM_HEADER) {
        stream_error(st, "not-authorized", "A stream header is due.");
        return true;
    }
    stream_ref(st);
    if (!take_plain(st, xml, len))
        take_element(st, xml, len);
    stream_unref(st);
    return true;
}

bool mk_transport_child(struct mk_ctx *c, struct mk_stream *st, const struct mk_elem *e) {
    struct mk_out *o = out_fragment(c, &c->arena);
    mk_put_elem(o, e);
    struct mk_view xml = out_bytes(o);
    return mk_transport_element(c, st, xml.s, xml.len);
}

void mk_transport_end(struct mk_ctx *c, struct mk_stream *st) {
    (void)c;
    stream_ended_by_client(st);
}

void mk_transport_lost(struct mk_ctx *c, struct mk_stream *st) {
    (void)c;
    if (st->state != STREAM_ENDED) {
        st->state = STREAM_ENDED;
        stream_leave(st, MK_CLOSED_LOST);
    }
    part(st);
}

void mk_transport_fail(struct mk_ctx *c, struct mk_stream *st, const char *condition, const char *text) {
    (void)c;
    stream_error(st, condition, text);
}

void mk_transport_heard(struct mk_ctx *c, struct mk_stream *st) {
    st->conn.heard_ms = worker_now_ms(c->worker);
}

void mk_transport_drained(struct mk_ctx *c, struct mk_stream *st) {
    (void)c;
    if (st->state != STREAM_WELCOME)
        stream_pay_sent(st);
}
