/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream in a WebSocket (RFC 7395): one element a message.  Input is looked at where the connection keeps it, and
 * copied once, as it is unmasked, into memory of the turn; between two messages there is nothing but this struct.
 */
#include "frame.h"
#include "websocket.h"
#include <string.h>

#define NS_FRAMING "urn:ietf:params:xml:ns:xmpp-framing"

struct wire {
    struct mk_conn *conn;
    struct mk_stream *stream; /* NULL: it has ended */
    struct mk_alarm *alarm;   /* for pings; NULL while it travels, or if there are none */
    char *message;            /* what came of one in pieces, unmasked; NULL: none is under way */
    size_t len, cap;
    bool held, in_input, over, pinged;
};

static const struct mk_transport transport;

/* ---- output ---------------------------------------------------------------------------------------------------------- */

static void write_frame(struct wire *w, uint8_t op, const struct mk_view *pieces, uint32_t count) {
    char head[FRAME_HEAD_MAX];
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        len += pieces[i].len;
    mk_conn_write(w->conn, head, frame_head(op, len, head));
    for (uint32_t i = 0; i < count; i++)
        mk_conn_write(w->conn, pieces[i].s, pieces[i].len);
}

static void write_text(struct wire *w, const char *text) {
    write_frame(w, FRAME_TEXT, &(struct mk_view){ text, strlen(text) }, 1);
}

/* Nothing follows: the connection closes behind it. */
static void write_close(struct wire *w, unsigned code) {
    const char payload[] = { (char)(code >> 8), (char)code };
    write_frame(w, FRAME_CLOSE, &(struct mk_view){ payload, code ? sizeof payload : 0 }, 1);
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void wire_free(struct wire *w) {
    mk_alarm_free(w->alarm);
    mk_free(w->message);
    mk_free(w);
}

/* The connection is gone, or closes; whoever reads its input frees the rest. */
static void end(struct mk_ctx *c, struct wire *w) {
    if (!w->over)
        mk_count(c, M_OPEN, -1);
    w->over = true;
    if (!w->in_input)
        wire_free(w);
}

/* What the client did is no WebSocket, or its WebSocket is over: its session may be resumed. */
static void break_off(struct mk_ctx *c, struct wire *w, unsigned code) {
    struct mk_stream *st = w->stream;
    w->stream = NULL;
    write_close(w, code);
    if (st)
        mk_transport_lost(c, st);
    mk_conn_close(w->conn);
    end(c, w);
}

/* ---- framing elements (RFC 7395, 3.4 and 3.6) ------------------------------------------------------------------------ */

static bool ends_name(char c) {
    return c == ' ' || c == '>' || c == '/' || c == ':' || c == '\t' || c == '\r' || c == '\n';
}

/* Whether TEXT begins with the start tag of <open/> or <close/>, whatever the prefix. */
static bool is_framing(const char *text, size_t len) {
    size_t at = 1, end = 1;
    while (end < len && !ends_name(text[end]))
        end++;
    if (end < len && text[end] == ':')
        for (at = ++end; end < len && !ends_name(text[end]); end++)
            ;
    return end < len && text[end] != ':' &&
           ((end - at == 4 && memcmp(text + at, "open", 4) == 0) ||
            (end - at == 5 && memcmp(text + at, "close", 5) == 0));
}

static void send_elsewhere(struct mk_ctx *c, struct wire *w, const struct mk_stream_head *head) {
    const struct websocket *me = mk_inst(c);
    struct mk_out *o = mk_nonza(c, "close", NS_FRAMING);
    const struct mk_stanza *s;
    mk_put(o, "see-other-uri", me->see_other_uri);
    transport.opened(c, w, &(struct mk_stream_head){ .from = head->to, .id = mk_random_id(c), .version = "1.0" });
    if (mk_seal(o, &s) == MK_OK) {
        struct mk_view xml = mk_stanza_xml(c, s);
        write_frame(w, FRAME_TEXT, &xml, 1);
    }
    break_off(c, w, CLOSE_NORMAL);
}

static void framing_element(struct mk_ctx *c, struct wire *w, const struct mk_elem *e) {
    const struct websocket *me = mk_inst(c);
    const struct mk_stream_head head = { .to = mk_attr(e, "to"),
                                         .from = mk_attr(e, "from"),
                                         .version = mk_attr(e, "version"),
                                         .lang = mk_attr_ns(e, "lang", "http://www.w3.org/XML/1998/namespace") };
    if (strcmp(mk_elem_ns(e), NS_FRAMING) != 0)
        mk_transport_fail(c, w->stream, "invalid-namespace", NULL);
    else if (strcmp(mk_elem_name(e), "close") == 0)
        mk_transport_end(c, w->stream);
    else if (me->see_other_uri)
        send_elsewhere(c, w, &head);
    else
        mk_transport_header(c, w->stream, &head);
}

/* False: the stream takes nothing now.  ASCII: all of it is. */
static bool take_message(struct mk_ctx *c, struct wire *w, const char *text, size_t len, bool ascii) {
    const struct mk_stanza *s;
    if (!ascii && !frame_is_utf8(text, len)) {
        break_off(c, w, CLOSE_UTF8);
        return true;
    }
    if (!is_framing(text, len))
        return mk_transport_element(c, w->stream, text, len);
    if (mk_stanza_read(c, (struct mk_view){ text, len }, &s) == MK_OK)
        framing_element(c, w, mk_root(s));
    else
        mk_transport_fail(c, w->stream, "not-well-formed", NULL);
    return true;
}

/* ---- input ----------------------------------------------------------------------------------------------------------- */

/* Also for nothing: a message may begin with a frame that is empty. */
static char *room(struct wire *w, size_t more) {
    if (!w->message || w->len + more > w->cap) {
        size_t cap = 2 * w->len + more + 64;
        char *grown = mk_malloc(cap);
        if (w->len)
            memcpy(grown, w->message, w->len);
        mk_free(w->message);
        w->message = grown;
        w->cap = cap;
    }
    return w->message + w->len;
}

static void drop_message(struct wire *w) {
    mk_free(w->message);
    w->message = NULL;
    w->len = w->cap = 0;
}

/* Nearly all messages are one frame; nothing of them is kept. */
static void whole_message(struct mk_ctx *c, struct wire *w, const struct frame *f, const char *payload) {
    char *text = mk_alloc(c, f->len + 1);
    bool ascii = frame_unmask(f, payload, text);
    if (!take_message(c, w, text, f->len, ascii))
        break_off(c, w, CLOSE_AWAY); /* it said that it would */
}

static void piece(struct mk_ctx *c, struct wire *w, const struct frame *f, const char *payload) {
    frame_unmask(f, payload, room(w, f->len));
    w->len += f->len;
    if (!f->fin)
        return;
    if (!take_message(c, w, w->message, w->len, false))
        break_off(c, w, CLOSE_AWAY);
    if (!w->over)
        drop_message(w);
}

static void close_frame(struct mk_ctx *c, struct wire *w, const char *payload, size_t len) {
    unsigned code = len >= 2 ? (unsigned)((unsigned char)payload[0] << 8 | (unsigned char)payload[1]) : 0;
    if (len && (len < 2 || !frame_is_close_code(code)))
        code = CLOSE_PROTOCOL;
    else if (len > 2 && !frame_is_utf8(payload + 2, len - 2))
        code = CLOSE_UTF8;
    break_off(c, w, code);
}

static void control_frame(struct mk_ctx *c, struct wire *w, const struct frame *f, const char *payload) {
    char text[CONTROL_MAX];
    frame_unmask(f, payload, text);
    mk_transport_heard(c, w->stream);
    w->pinged = false;
    if (f->op == FRAME_CLOSE)
        close_frame(c, w, text, f->len);
    else if (f->op == FRAME_PING)
        write_frame(w, FRAME_PONG, &(struct mk_view){ text, f->len }, 1);
}

/* The close code that refuses the frame where it stands, or 0. */
static unsigned misplaced(const struct wire *w, const struct frame *f) {
    if (f->op == FRAME_BINARY)
        return CLOSE_UNSUPPORTED;
    if (f->op >= FRAME_CLOSE)
        return 0;
    return (f->op == FRAME_MORE) == (w->message != NULL) ? 0 : CLOSE_PROTOCOL;
}

static void refuse(struct mk_ctx *c, struct wire *w, unsigned code) {
    mk_count(c, M_BROKEN, 1);
    if (code != CLOSE_TOO_BIG) {
        break_off(c, w, code);
        return;
    }
    mk_transport_fail(c, w->stream, "policy-violation", "The message is too large.");
}

static size_t on_input(struct mk_ctx *c, struct mk_conn *conn, const char *data, size_t len) {
    const struct websocket *me = mk_inst(c);
    struct wire *w = mk_conn_user(conn);
    size_t done = 0;
    w->in_input = true;
    while (!w->over && !w->held) {
        struct frame f;
        int rc = frame_read(data + done, len - done, (size_t)me->max_message - w->len, &f);
        unsigned code = rc == 1 ? misplaced(w, &f) : (unsigned)rc;
        if (code)
            refuse(c, w, code);
        else if (!rc || len - done < f.head + f.len)
            break;
        else if (f.op >= FRAME_CLOSE)
            control_frame(c, w, &f, data + done + f.head);
        else if (f.fin && f.op == FRAME_TEXT)
            whole_message(c, w, &f, data + done + f.head);
        else
            piece(c, w, &f, data + done + f.head);
        done += code ? len - done : f.head + f.len;
    }
    w->in_input = false;
    if (w->over)
        wire_free(w);
    return done < len ? done : len;
}

static void on_closed(struct mk_ctx *c, struct mk_conn *conn) {
    struct wire *w = mk_conn_user(conn);
    struct mk_stream *st = w->stream;
    w->stream = NULL;
    if (st)
        mk_transport_lost(c, st);
    end(c, w);
}

static void on_drained(struct mk_ctx *c, struct mk_conn *conn) {
    struct wire *w = mk_conn_user(conn);
    if (w->stream)
        mk_transport_drained(c, w->stream);
}

static const struct mk_conn_handlers handlers = { sizeof handlers, 0, on_input, on_closed, on_drained };

/* ---- pings ----------------------------------------------------------------------------------------------------------- */

/* A client that is only held is not silent: nobody listens to it. */
static void on_alarm(struct mk_ctx *c, void *arg) {
    const struct websocket *me = mk_inst(c);
    struct wire *w = arg;
    int64_t idle = mk_conn_idle_ms(w->conn);
    if (w->pinged && !w->held && idle >= me->ping_timeout) {
        mk_count(c, M_SILENT, 1);
        break_off(c, w, CLOSE_AWAY);
        return;
    }
    w->pinged = idle >= me->ping_interval;
    if (w->pinged)
        write_frame(w, FRAME_PING, NULL, 0);
    mk_alarm_set(w->alarm, (uint32_t)(w->pinged ? me->ping_timeout : me->ping_interval - idle));
}

static void start_pings(struct mk_ctx *c, struct wire *w) {
    const struct websocket *me = mk_inst(c);
    if (!me->ping_interval)
        return;
    w->alarm = mk_alarm_new(c, on_alarm, w);
    mk_alarm_set(w->alarm, (uint32_t)me->ping_interval);
}

/* ---- the transport --------------------------------------------------------------------------------------------------- */

static void t_opened(struct mk_ctx *c, void *t, const struct mk_stream_head *head) {
    struct mk_out *o = mk_nonza(c, "open", NS_FRAMING);
    const struct mk_stanza *s;
    mk_put(o, "from", head->from);
    mk_put(o, "to", head->to);
    mk_put(o, "id", head->id);
    mk_put(o, "version", head->version);
    mk_put(o, "xml:lang", head->lang);
    if (mk_seal(o, &s) != MK_OK)
        return;
    struct mk_view xml = mk_stanza_xml(c, s);
    write_frame(t, FRAME_TEXT, &xml, 1);
}

static void t_send(struct mk_ctx *c, void *t, const struct mk_view *pieces, uint32_t count) {
    (void)c;
    write_frame(t, FRAME_TEXT, pieces, count);
}

static void t_closed(struct mk_ctx *c, void *t, const char *condition) {
    struct wire *w = t;
    w->stream = NULL;
    write_text(w, "<close xmlns='" NS_FRAMING "'/>");
    write_close(w, condition && strcmp(condition, "system-shutdown") == 0    ? CLOSE_AWAY
                   : condition && strcmp(condition, "policy-violation") == 0 ? CLOSE_POLICY
                                                                             : CLOSE_NORMAL);
    mk_conn_close(w->conn);
    end(c, w);
}

static void t_hold(struct mk_ctx *c, void *t, bool hold) {
    struct wire *w = t;
    (void)c;
    w->held = hold;
    if (hold)
        mk_conn_pause(w->conn);
    else
        mk_conn_resume(w->conn);
}

static void t_leave(struct mk_ctx *c, void *t) {
    struct wire *w = t;
    mk_count(c, M_OPEN, -1);
    mk_alarm_free(w->alarm);
    w->alarm = NULL;
    mk_conn_leave(w->conn);
}

static void t_arrive(struct mk_ctx *c, void *t) {
    struct wire *w = t;
    mk_count(c, M_OPEN, 1);
    mk_conn_arrive(c, w->conn);
    start_pings(c, w);
}

static size_t t_queued(const void *t) {
    return mk_conn_queued(((const struct wire *)t)->conn);
}

static const struct mk_transport transport = { sizeof transport, 0,      "websocket", t_opened, t_send,
                                               t_closed,         t_hold, t_leave,     t_arrive, t_queued };

void wire_open(struct mk_ctx *c, struct mk_conn *conn, const char *address, bool secure) {
    struct wire *w = mk_malloc(sizeof *w);
    w->conn = conn;
    mk_count(c, M_OPEN, 1);
    mk_count(c, M_OPENED, 1);
    mk_conn_set(c, conn, &handlers, w);
    start_pings(c, w);
    w->stream = mk_transport_open(
        c, &transport, w, &(struct mk_transport_peer){ address, mk_conn_is_secure(conn) ? conn : NULL, secure });
}
