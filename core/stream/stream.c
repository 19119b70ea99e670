/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's input and output: bytes to elements, elements and stanzas to bytes. */
#include "stream/stream.h"
#include "route/receipt.h"
#include "route/router.h"
#include "run/metric.h"
#include "util/log.h"
#include "util/mem.h"
#include "xml/wire.h"
#include <stdlib.h>
#include <string.h>

/* Workers read the newest while a reload sets another: old ones stay until the end. */
struct kept_config {
    struct stream_config config; /* first */
    struct kept_config *before;
};
static const struct stream_config defaults = {
    .before = { 10 * 1024, 32, 64, 256 },
    .after = { 256 * 1024, 64, 128, 4096 },
    .login_ms = 30000,
    .sasl_tries = 5,
    .out_bytes = 4 * 1024 * 1024,
};
static _Atomic(const struct stream_config *) newest_config = &defaults;
static struct kept_config *kept_configs;

/* What a worker keeps for its streams. */
struct streams {
    struct list all;
    struct list unpaid;      /* streams with receipts to pay after the flush */
    struct mk_stream **held; /* by STREAM_HELD_BY_STORE; each a reference */
    unsigned count, held_count, held_cap;
    bool stopping;
};
static __thread struct streams streams;

void stream_setup(const struct stream_config *config) {
    struct kept_config *k = xmalloc(sizeof *k);
    *k = (struct kept_config){ *config, kept_configs };
    kept_configs = k;
    atomic_store_explicit(&newest_config, &k->config, memory_order_release);
}

const struct stream_config *stream_config(void) {
    return atomic_load_explicit(&newest_config, memory_order_acquire);
}

void stream_teardown(void) {
    atomic_store(&newest_config, &defaults);
    while (kept_configs) {
        struct kept_config *k = kept_configs;
        kept_configs = k->before;
        free(k);
    }
}

static size_t on_input(struct conn *c, const char *data, size_t len);
static void on_secured(struct conn *c);
static void on_closed(struct conn *c, int error);
static void on_drained(struct conn *c);
static const struct conn_class stream_class = { on_input, on_secured, on_closed, on_drained };

static struct mk_stream *stream_of(struct conn *c) {
    return container_of(c, struct mk_stream, conn);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

void stream_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                   socklen_t peer_len) {
    struct mk_stream *st = xcalloc(1, sizeof *st);
    (void)peer_len;
    conn_init(&st->conn, &stream_class, w, fd, peer);
    st->conn.rate = (uint32_t)config->rate;
    st->refs = 1;
    stream_enlist(st);
    st->login = login_new(st);
    if (config->tls == LISTEN_DIRECT_TLS) {
        st->login->direct_tls = true;
        conn_start_tls(&st->conn, "xmpp-client");
    }
}

void stream_pay_sent(struct mk_stream *st) {
    struct unpaid *u = st->unpaid;
    if (!u)
        return;
    list_remove(&u->link);
    st->unpaid = NULL; /* what is paid may write more */
    for (unsigned i = 0; i < u->count; i++)
        mk_receipt_pay(u->receipts[i]);
    free(u);
}

void stream_unref(struct mk_stream *st) {
    if (--st->refs)
        return;
    stream_pay_sent(st);
    if (st->login)
        login_free(st->login);
    free(st->lang);
    free(st->prefixes);
    if (st->transport)
        free(st->conn.address);
    free(st->transport);
    free(st);
}

void stream_enlist(struct mk_stream *st) {
    list_append(&streams.all, &st->link);
    streams.count++;
}

void stream_delist(struct mk_stream *st) {
    list_remove(&st->link);
    streams.count--;
}

void stream_connection_over(struct mk_stream *st) {
    stream_delist(st);
    stream_pay_sent(st);
    stream_unref(st);
}

static void after_close(struct conn *c) {
    stream_connection_over(stream_of(c));
}

static void on_closed(struct conn *c, int error) {
    struct mk_stream *st = stream_of(c);
    (void)error;
    st->state = STREAM_ENDED;
    stream_leave(st, MK_CLOSED_LOST);
    conn_free_now(c);
    stream_connection_over(st);
}

int stream_worker_start(struct worker *w) {
    list_init(&streams.all);
    list_init(&streams.unpaid);
    streams.count = 0;
    streams.stopping = false;
    w->parsers = parsers_new();
    return 0;
}

void stream_worker_stop(struct worker *w) {
    stream_relieved(w);
    parsers_free(w->parsers);
    w->parsers = NULL;
    receipts_trim();
    home_trim();
    router_trim();
}

bool stream_stopping(void) {
    return streams.stopping;
}

unsigned stream_count(const struct worker *w) {
    (void)w;
    return streams.count;
}

void stream_shutdown(struct worker *w) {
    struct list *l, *next;
    (void)w;
    streams.stopping = true;
    for (l = streams.all.next; l != &streams.all; l = next) {
        next = l->next;
        stream_fail(container_of(l, struct mk_stream, link), MK_CLOSED_SHUTDOWN, "system-shutdown", NULL, NULL);
    }
}

void stream_follow_hosts(struct worker *w) {
    struct list *l, *next;
    (void)w;
    for (l = streams.all.next; l != &streams.all; l = next) {
        next = l->next;
        struct mk_stream *st = container_of(l, struct mk_stream, link);
        if (!st->host)
            continue;
        const char *name = st->host->name;
        st->host = host_find(name, strlen(name));
        if (!st->host)
            stream_error(st, "host-gone", NULL);
        else if (st->login)
            st->login->entity.host = st->host;
    }
}

/* ---- input ----------------------------------------------------------------------------------------------------------- */

void stream_pause(struct mk_stream *st, unsigned why) {
    bool took = stream_takes(st);
    st->flags |= (uint8_t)why;
    if (!st->transport)
        conn_pause(&st->conn);
    else if (took)
        transport_hold(st, true);
}

bool stream_takes(const struct mk_stream *st) {
    return !(st->flags & (STREAM_HELD_BY_TURN | STREAM_HELD_BY_MAILBOX | STREAM_HELD_BY_STORE | STREAM_MOVING));
}

void stream_go_on(struct mk_stream *st, unsigned why) {
    if (!(st->flags & why))
        return;
    st->flags &= (uint8_t)~why;
    if (!stream_takes(st) || st->state == STREAM_ENDED)
        return;
    if (st->transport)
        transport_hold(st, false);
    else
        conn_resume(&st->conn);
}

void stream_hold(struct mk_stream *st, bool hold) {
    if (hold)
        stream_pause(st, STREAM_HELD_BY_MAILBOX);
    else
        stream_go_on(st, STREAM_HELD_BY_MAILBOX);
}

void stream_hold_for_store(struct mk_stream *st) {
    if (st->flags & STREAM_HELD_BY_STORE)
        return;
    METRIC(this_worker, store_holds, 1);
    stream_pause(st, STREAM_HELD_BY_STORE);
    if (streams.held_count == streams.held_cap) {
        streams.held_cap = streams.held_cap ? streams.held_cap * 2 : 16;
        streams.held = xrealloc(streams.held, streams.held_cap * sizeof(struct mk_stream *));
    }
    streams.held[streams.held_count++] = stream_ref(st);
}

/* Who goes on may be held again at once. */
void stream_relieved(struct worker *w) {
    struct mk_stream **held = streams.held;
    unsigned count = streams.held_count;
    (void)w;
    streams.held = NULL;
    streams.held_count = streams.held_cap = 0;
    for (unsigned i = 0; i < count; i++) {
        stream_go_on(held[i], STREAM_HELD_BY_STORE);
        stream_unref(held[i]);
    }
    free(held);
}

size_t stream_from_len(const struct mk_stream *st) {
    return st->session ? st->session->jid->text_len : 0;
}

void stream_framed(struct mk_stream *st, const char *data, size_t len) {
    struct mk_stanza *s =
        parse_stanza_with(this_worker->parsers, XML_CLIENT, st->prefixes, data, len, stream_from_len(st));
    if (!s)
        stream_error(st, "not-well-formed", NULL);
    else if (st->account)
        stream_element(st, s);
    else
        login_element(st, s);
}

void stream_refuse(struct mk_stream *st, enum scan_result r) {
    const char *text, *cond = stream_refusal(r, &text);
    if (r == SCAN_SPACE)
        stream_error(st, "not-authorized", "Nothing else may be sent while you log in.");
    else if (r == SCAN_BYTES)
        stream_fail(st, MK_CLOSED_BY_SERVER, cond, text, "<stanza-too-big xmlns='urn:xmpp:errors'/>");
    else
        stream_error(st, cond, text);
}

/* Whether the end tag of the root is that of a stream, by whatever prefix; the header was checked to begin one. */
static bool ends_stream(const char *tag, size_t len) {
    static const char name[] = "stream";
    size_t end = len - 1; /* the > */
    while (end > 2 && strchr(" \t\r\n", tag[end - 1]))
        end--;
    size_t begin = end < sizeof name - 1 ? 0 : end - (sizeof name - 1);
    return begin >= 2 && memcmp(tag + begin, name, sizeof name - 1) == 0 && (tag[begin - 1] == ':' || begin == 2);
}

/* A plain stanza of somebody logged in is framed and parsed at once.  *TAGS is behind the last '>' of the input, NULL
 * until somebody had to know. */
static bool take_plain(struct mk_stream *st, const char *data, const char *end, const char **tags, size_t *used) {
    if (!st->account || !scan_is_between(&st->scan))
        return false;
    if (!*tags) {
        const char *last = memrchr(data, '>', (size_t)(end - data));
        *tags = last ? last + 1 : data;
    }
    if (data >= *tags)
        return false;
    struct mk_stanza *s =
        parse_next(XML_CLIENT, &stream_config()->after, data, (size_t)(*tags - data), stream_from_len(st), used);
    if (s)
        stream_element(st, s);
    return s != NULL;
}

static size_t on_input(struct conn *c, const char *data, size_t len) {
    struct mk_stream *st = stream_of(c);
    const char *tags = NULL;
    size_t done = 0;
    stream_ref(st); /* an element may be the stream's last */
    while (done < len && st->state != STREAM_ENDED && !(c->flags & (CONN_PAUSED | CONN_HANDSHAKE))) {
        size_t used = 0;
        if (take_plain(st, data + done, data + len, &tags, &used)) {
            done += used;
            continue;
        }
        const struct xml_limits *limits = st->account ? &stream_config()->after : &stream_config()->before;
        enum scan_result r = scan_next(&st->scan, limits, data + done, len - done, &used);
        if (r == SCAN_MORE)
            break;
        const char *at = data + done;
        done += used;
        if (r == SCAN_SPACE && !login_in_exchange(st))
            continue;
        if (r == SCAN_HEADER && st->state == STREAM_HEADER)
            stream_header(st, at, used);
        else if (r == SCAN_STANZA)
            stream_framed(st, at, used);
        else if (r == SCAN_CLOSE && ends_stream(at, used))
            stream_ended_by_client(st);
        else
            stream_refuse(st, r);
    }
    if (st->state == STREAM_ENDED)
        done = len;
    stream_unref(st);
    return done;
}

static void on_secured(struct conn *c) {
    struct mk_stream *st = stream_of(c);
    st->state = STREAM_HEADER;
    st->flags &= (uint8_t)~STREAM_OPENED;
    scan_init(&st->scan);
}

/* ---- output ---------------------------------------------------------------------------------------------------------- */

void stream_write(struct mk_stream *st, const char *data, size_t len) {
    if (st->transport)
        transport_send(st, data, len);
    else if (st->state < STREAM_WELCOME)
        conn_write(&st->conn, data, len);
    else if (st->state == STREAM_WELCOME)
        buf_add(&st->login->sasl2->held, data, len);
}

static size_t queued(const struct mk_stream *st) {
    return st->transport ? transport_queued(st) : st->conn.out_len;
}

/* The client reads too slowly for what it is sent: its session lives on if it can be resumed. */
static void too_slow(struct mk_stream *st) {
    log_line(5, &(struct log_place){ .peer = st->conn.address }, "closed: the client does not read what it is sent");
    stream_fail(st, MK_CLOSED_LOST, "policy-violation", "You read too slowly.", NULL);
}

static void owe(struct mk_stream *st, struct mk_receipt *r) {
    struct unpaid *u = st->unpaid;
    if (!u || u->count == u->cap) {
        unsigned count = u ? u->count : 0, cap = u ? u->cap * 2 : 4;
        if (u)
            list_remove(&u->link);
        u = st->unpaid = xrealloc(u, sizeof *u + cap * sizeof(struct mk_receipt *));
        *u = (struct unpaid){ .stream = st, .count = count, .cap = cap };
        list_append(&streams.unpaid, &u->link);
    }
    u->receipts[u->count++] = r;
}

static void hold(struct mk_stream *st, const struct mk_stanza *s, const struct mk_jid *to) {
    char *text = to ? xmalloc(wire_room_to(s, to)) : NULL;
    if (to)
        stream_write(st, text, wire_write_to(text, s, to));
    else
        stream_write(st, s->wire, s->wire_len);
    free(text);
}

void stream_write_stanza(struct mk_stream *st, const struct mk_stanza *s, const struct mk_jid *to) {
    if (st->state == STREAM_ENDED)
        return;
    if (s->kind == MK_NONZA)
        to = NULL;
    if (st->transport)
        transport_send_stanza(st, s, to);
    else if (st->state == STREAM_WELCOME)
        hold(st, s, to);
    else if (to)
        conn_wrote(&st->conn, wire_write_to(conn_room(&st->conn, wire_room_to(s, to)), s, to));
    else
        conn_write(&st->conn, s->wire, s->wire_len);
    struct mk_receipt *r = s->kind == MK_MESSAGE ? mk_receipt_hold(s) : NULL;
    if (r)
        owe(st, r);
    if ((int64_t)queued(st) > stream_config()->out_bytes)
        too_slow(st);
}

void stream_after_flush(struct worker *w) {
    struct list *l, *next;
    (void)w;
    for (l = streams.unpaid.next; l != &streams.unpaid; l = next) {
        next = l->next;
        struct mk_stream *st = container_of(l, struct unpaid, link)->stream;
        if (!queued(st) && st->state != STREAM_WELCOME)
            stream_pay_sent(st);
    }
}

static void on_drained(struct conn *c) {
    struct mk_stream *st = stream_of(c);
    if (st->state != STREAM_WELCOME)
        stream_pay_sent(st);
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void say_goodbye(struct mk_stream *st, const char *cond, const char *text, const char *app) {
    struct buf b = { 0 };
    if (cond)
        stream_put_error(&b, cond, text, app);
    if (!st->transport)
        buf_puts(&b, "</stream:stream>");
    if (b.len)
        stream_write(st, b.data, b.len);
    buf_free(&b);
}

static void close_connection(struct mk_stream *st, const char *cond) {
    if (st->transport)
        transport_close(st, cond);
    else
        conn_close(&st->conn, after_close);
}

void stream_fail(struct mk_stream *st, enum mk_close_reason reason, const char *cond, const char *text,
                 const char *app) {
    if (st->state == STREAM_ENDED)
        return;
    if (st->state == STREAM_WELCOME) /* what was held back is not said any more */
        st->state = STREAM_AUTHED;
    if (!(st->conn.flags & CONN_HANDSHAKE)) { /* nothing can be said inside a handshake */
        if (!(st->flags & STREAM_OPENED))
            stream_send_header(st, NULL);
        say_goodbye(st, cond, text, app);
    }
    st->state = STREAM_ENDED;
    stream_leave(st, reason);
    if (st->flags & STREAM_MOVING)
        return; /* it is closed when it has arrived */
    close_connection(st, cond);
}

void stream_error(struct mk_stream *st, const char *cond, const char *text) {
    stream_fail(st, MK_CLOSED_BY_SERVER, cond, text, NULL);
}

void stream_close(struct mk_stream *st, const char *cond, const char *text) {
    if (st->session) {
        session_keep_address(st->session);
        st->session->stream = NULL;
        METRIC(this_worker, sessions_detached, 1);
        st->session = NULL;
    }
    stream_error(st, cond, text);
}

void stream_replaced(struct mk_ctx *c, struct mk_stream *st) {
    (void)c;
    stream_close(st, "conflict", "The resource was bound by another connection.");
}

void stream_arrived_dead(struct mk_stream *st) {
    close_connection(st, NULL);
}
