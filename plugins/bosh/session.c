/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: a stream's transport made of requests.  What requests bring goes to the stream in the order of rids, as fast
 * as it takes it; what the stream says waits for a request that is held, and all that is said in one turn of the loop
 * leaves in one answer.
 */
#include "bosh.h"
#include <stdlib.h>
#include <string.h>

static const struct mk_transport transport;

static char *copy(const char *text) {
    return text ? strcpy(mk_malloc(strlen(text) + 1), text) : NULL;
}

/* Requests that are still there when the server stops have lost their connections. */
static void drop_all(struct queue *q) {
    struct pending *p;
    while ((p = queue_take(q)) != NULL)
        pending_free(p);
}

void session_free(struct session *s) {
    struct unread *u;
    while ((u = s->unread) != NULL) {
        s->unread = u->next;
        mk_release(u->body);
        mk_free(u);
    }
    drop_all(&s->held);
    drop_all(&s->early);
    window_forget(s);
    mk_alarm_free(s->alarm);
    mk_free(s->sid);
    mk_free(s->type);
    mk_free(s->to);
    mk_free(s->lang);
    mk_free(s->from);
    mk_free(s->id);
    mk_free(s->out);
    mk_free(s);
}

static void forget_sid(struct mk_ctx *c, void *sid) {
    if (c)
        place_remove(mk_worker(c), sid);
    mk_free(sid);
}

/* Its stream has ended, and it has nothing more to say. */
static void session_gone(struct mk_ctx *c, struct session *s) {
    unsigned home;
    mk_count(c, M_SESSIONS, -1);
    place_remove(mk_worker(c), s->sid);
    if (place_home(c, s->sid, &home) && home != mk_worker_here(c))
        mk_post(c, home, forget_sid, copy(s->sid));
    session_free(s);
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static const char *creation(struct mk_ctx *c, const struct session *s) {
    const struct bosh *me = mk_inst(c);
    return mk_printf(c,
                     " sid='%s' ver='1.11' wait='%lld' hold='%u' requests='%u' inactivity='%lld'%s%s%s%s%s%s "
                     "xmlns:xmpp='" NS_XBOSH "' xmpp:version='1.0' xmpp:restartlogic='true'%s%s",
                     s->sid, (long long)s->wait_ms / 1000, s->hold, s->requests, (long long)s->inactivity_ms / 1000,
                     s->from ? " from='" : "", s->from ? s->from : "", s->from ? "'" : "", s->id ? " authid='" : "",
                     s->id ? s->id : "", s->id ? "'" : "",
                     s->polls ? mk_printf(c, " polling='%lld'", (long long)me->polling / 1000) : "",
                     me->max_pause ? mk_printf(c, " maxpause='%lld'", (long long)me->max_pause / 1000) : "");
}

/* XEP-0124, 9: what came, where that is not plain; and what the client says it has not got. */
static const char *acks(struct mk_ctx *c, const struct session *s, uint64_t rid) {
    const char *ack =
        s->rid - 1 != rid || !s->announced ? mk_printf(c, " ack='%llu'", (unsigned long long)s->rid - 1) : "";
    for (uint32_t i = 0; s->announced && i < s->given_count; i++)
        if (s->given[i].rid == s->acked + 1)
            return mk_printf(c, "%s report='%llu' time='%lld'", ack, (unsigned long long)s->given[i].rid,
                             (long long)(mk_now_ms(c) - s->given[i].sent_ms));
    return ack;
}

static void answer_oldest(struct mk_ctx *c, struct session *s) {
    const struct bosh *me = mk_inst(c);
    struct pending *p = queue_take(&s->held);
    const char *head = mk_printf(c, "<body xmlns='" NS_BODY "'%s%s%s%s%s%s>", s->announced ? "" : creation(c, s),
                                 s->acks ? acks(c, s, p->rid) : "", s->final ? " type='terminate'" : "",
                                 s->final && s->condition ? " condition='" : "",
                                 s->final && s->condition ? s->condition : "", s->final && s->condition ? "'" : "");
    char *text = mk_alloc(c, strlen(head) + s->out_len + sizeof "</body>");
    char *at = stpcpy(text, head);
    if (s->out_len)
        at = (char *)mempcpy(at, s->out, s->out_len);
    at = stpcpy(at, "</body>");
    s->announced = true;
    s->empty_ms = s->out_len ? 0 : mk_now_ms(c);
    s->out_len = 0;
    window_remember(c, s, p->rid, text, (size_t)(at - text));
    pending_answer(c, me, p, s->type, text, (size_t)(at - text));
    pending_free(p);
}

/* When the next thing happens if nobody says anything. */
static void set_alarm(struct mk_ctx *c, struct session *s) {
    int64_t ms = s->pause_ms ? s->pause_ms : s->inactivity_ms;
    if (s->held.first) {
        ms = s->held.first->since_ms + s->wait_ms - mk_now_ms(c);
        ms = ms > 0 ? ms : 0;
    }
    mk_alarm_set(s->alarm, (uint32_t)ms);
}

static void refuse_rest(struct mk_ctx *c, struct queue *q, const char *condition) {
    struct pending *p;
    while ((p = queue_take(q)) != NULL) {
        if (!p->body) { /* it is being read, or was */
            const char *text =
                mk_printf(c, "<body xmlns='" NS_BODY "' type='terminate'%s%s%s/>", condition ? " condition='" : "",
                          condition ? condition : "", condition ? "'" : "");
            pending_answer(c, mk_inst(c), p, NULL, text, strlen(text));
            pending_free(p);
        } else {
            pending_refuse(c, mk_inst(c), p, condition ? condition : "item-not-found");
        }
    }
}

/* False: the session is gone. */
static bool answer(struct mk_ctx *c, struct session *s) {
    bool told = s->final && s->held.count;
    while (s->held.count && (s->held.count > s->hold || s->out_len || s->final || s->pause_ms))
        answer_oldest(c, s);
    if (told) {
        refuse_rest(c, &s->early, s->condition);
        session_gone(c, s);
        return false;
    }
    if (s->stream && !s->out_len)
        mk_transport_drained(c, s->stream);
    set_alarm(c, s);
    return true;
}

/* ---- input ----------------------------------------------------------------------------------------------------------- */

static void drop_unread(struct session *s) {
    struct unread *u = s->unread;
    s->unread = u->next;
    mk_release(u->body);
    mk_free(u);
}

static bool is_set(const struct mk_elem *e, const char *name) {
    const char *value = mk_attr_ns(e, name, NS_XBOSH);
    return value && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static void restart(struct mk_ctx *c, struct session *s, const struct mk_elem *body) {
    const char *to = mk_attr(body, "to"), *from = mk_attr(body, "from"),
               *version = mk_attr_ns(body, "version", NS_XBOSH);
    const struct mk_stream_head head = {
        .to = to ? to : s->to, .from = from, .version = version ? version : "1.0", .lang = s->lang
    };
    mk_transport_header(c, s->stream, &head);
}

/* Gives the stream what it takes. */
static void pump(struct mk_ctx *c, struct session *s) {
    while (s->unread && s->stream && !s->held_up) {
        struct unread *u = s->unread;
        const struct mk_elem *body = mk_root(u->body);
        const char *type = mk_attr(body, "type");
        if (!u->begun && is_set(body, "restart"))
            restart(c, s, body);
        u->begun = true;
        while (u->child && s->stream && !s->held_up) {
            if (!mk_transport_child(c, s->stream, u->child))
                return;
            u->child = mk_elem_next(u->child);
        }
        if (u->child)
            return;
        if (s->stream && type && strcmp(type, "terminate") == 0)
            mk_transport_end(c, s->stream);
        drop_unread(s);
    }
}

static void work(struct mk_ctx *c, struct session *s) {
    if (s->stream)
        mk_transport_heard(c, s->stream);
    pump(c, s);
    answer(c, s);
}

static void on_posted(struct mk_ctx *c, void *arg) {
    struct place *place = c ? place_find(mk_worker(c), arg) : NULL;
    if (place && place->session && place->session->posted) {
        struct session *s = place->session;
        s->posted = false;
        pump(c, s);
        if (!s->posted || !s->unread)
            answer(c, s);
    }
    mk_free(arg);
}

/* At the end of what this worker has to do now: more may come to be said. */
static void post_work(struct mk_ctx *c, struct session *s) {
    if (s->posted)
        return;
    s->posted = true;
    mk_post(c, mk_worker_here(c), on_posted, copy(s->sid));
}

/* The client broke the rules, or did not come back: what it had may be resumed. */
static void break_off(struct mk_ctx *c, struct session *s, const char *condition) {
    struct mk_stream *st = s->stream;
    s->stream = NULL;
    if (st)
        mk_transport_lost(c, st);
    refuse_rest(c, &s->held, condition);
    refuse_rest(c, &s->early, condition);
    session_gone(c, s);
}

void session_request(struct mk_ctx *c, struct session *s, struct pending *p) {
    const char *condition = window_take(c, s, p);
    if (condition)
        break_off(c, s, condition);
    else
        work(c, s);
}

static void on_alarm(struct mk_ctx *c, void *arg) {
    struct session *s = arg;
    if (s->held.first && mk_now_ms(c) >= s->held.first->since_ms + s->wait_ms) {
        answer_oldest(c, s);
        set_alarm(c, s);
    } else if (s->held.first) {
        set_alarm(c, s);
    } else {
        mk_count(c, M_EXPIRED, s->stream != NULL);
        break_off(c, s, "item-not-found");
    }
}

/* ---- the transport ------------------------------------------------------------------------------------------------------ */

static void t_opened(struct mk_ctx *c, void *t, const struct mk_stream_head *head) {
    struct session *s = t;
    (void)c;
    mk_free(s->from);
    mk_free(s->id);
    s->from = copy(head->from);
    s->id = copy(head->id);
}

static void t_send(struct mk_ctx *c, void *t, const struct mk_view *pieces, uint32_t count) {
    struct session *s = t;
    for (uint32_t i = 0; i < count; i++) {
        if (s->out_len + pieces[i].len > s->out_cap) {
            s->out_cap = 2 * (s->out_len + pieces[i].len) + 256;
            char *grown = mk_malloc(s->out_cap);
            if (s->out_len)
                memcpy(grown, s->out, s->out_len);
            mk_free(s->out);
            s->out = grown;
        }
        if (pieces[i].len)
            memcpy(s->out + s->out_len, pieces[i].s, pieces[i].len);
        s->out_len += pieces[i].len;
    }
    post_work(c, s);
}

/* XEP-0124, 17.2: what has a name of its own; the rest is a stream error, which is in the body. */
static const char *binding_condition(const char *condition) {
    static const char *const own[] = { "host-unknown", "host-gone", "improper-addressing", "system-shutdown" };
    for (size_t i = 0; condition && i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i], condition) == 0)
            return own[i];
    return condition ? "remote-stream-error" : NULL;
}

static void t_closed(struct mk_ctx *c, void *t, const char *condition) {
    struct session *s = t;
    s->stream = NULL;
    s->final = true;
    s->condition = binding_condition(condition);
    post_work(c, s);
}

static void t_hold(struct mk_ctx *c, void *t, bool hold) {
    struct session *s = t;
    s->held_up = hold;
    if (!hold)
        post_work(c, s);
}

static void t_leave(struct mk_ctx *c, void *t) {
    struct session *s = t;
    mk_count(c, M_SESSIONS, -1);
    mk_alarm_free(s->alarm);
    s->alarm = NULL;
    s->posted = false;
    place_leave(mk_worker(c), place_find(mk_worker(c), s->sid));
}

struct arrival {
    unsigned worker;
    char sid[];
};

static void deliver_parked(struct mk_ctx *c, struct place *place) {
    struct pending *p = place->parked;
    place->parked = NULL;
    while (p) {
        struct pending *next = p->next;
        p->next = NULL;
        bosh_deliver(c, p); /* the place may be gone after it */
        p = next;
    }
}

static void on_arrival(struct mk_ctx *c, void *arg) {
    struct arrival *a = arg;
    struct place *place = c ? place_find(mk_worker(c), a->sid) : NULL;
    if (place) {
        place->worker = a->worker;
        place->travels = false;
        deliver_parked(c, place);
    }
    mk_free(a);
}

static void t_arrive(struct mk_ctx *c, void *t) {
    struct session *s = t;
    unsigned home, here = mk_worker_here(c);
    mk_count(c, M_SESSIONS, 1);
    s->alarm = mk_alarm_new(c, on_alarm, s);
    set_alarm(c, s);
    place_add(mk_worker(c), s->sid, s)->worker = here;
    if (place_home(c, s->sid, &home)) {
        struct arrival *a = mk_malloc(sizeof *a + strlen(s->sid) + 1);
        a->worker = here;
        strcpy(a->sid, s->sid);
        mk_post(c, home, on_arrival, a);
    }
    post_work(c, s);
}

static size_t t_queued(const void *t) {
    return ((const struct session *)t)->out_len;
}

static const struct mk_transport transport = { sizeof transport, 0,      "bosh",  t_opened, t_send,
                                               t_closed,         t_hold, t_leave, t_arrive, t_queued };

/* ---- the beginning -------------------------------------------------------------------------------------------------------- */

static bool is_content_type(const char *text) {
    if (!text || strlen(text) > 100 || (strncmp(text, "text/", 5) != 0 && strncmp(text, "application/", 12) != 0))
        return false;
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void read_wishes(struct mk_ctx *c, struct session *s, const struct pending *p) {
    const struct bosh *me = mk_inst(c);
    const struct mk_elem *body = pending_body(p);
    uint64_t wait = UINT32_MAX, hold = 1, ack = 0;
    const char *key = mk_attr(body, "newkey");
    (void)pending_number(p, "wait", UINT32_MAX, &wait);
    (void)pending_number(p, "hold", UINT32_MAX, &hold);
    (void)pending_number(p, "ack", UINT32_MAX, &ack);
    s->wait_ms = (int64_t)wait * 1000 < me->max_wait ? (int64_t)wait * 1000 : me->max_wait;
    s->polls = !hold || !s->wait_ms;
    s->hold = s->polls ? 0 : hold < (uint64_t)me->max_hold ? (uint32_t)hold : (uint32_t)me->max_hold;
    s->requests = s->hold + 1;
    s->acks = ack == 1;
    s->acked = p->rid;
    s->inactivity_ms = me->inactivity;
    s->to = copy(mk_attr(body, "to"));
    s->lang = copy(mk_attr_ns(body, "lang", "http://www.w3.org/XML/1998/namespace"));
    s->type = is_content_type(mk_attr(body, "content")) ? copy(mk_attr(body, "content")) : NULL;
    if (key && strlen(key) == KEY_LEN)
        strcpy(s->key, key);
}

/* No connection is left open for a session, so the limits of listeners do not count them.  Each worker has its share. */
static bool is_full(struct mk_ctx *c) {
    const struct bosh *me = mk_inst(c);
    const struct places *p = mk_worker(c);
    unsigned workers = mk_worker_count(c);
    return me->max_sessions && p->here >= ((uint64_t)me->max_sessions + workers - 1) / workers;
}

void session_create(struct mk_ctx *c, struct pending *p) {
    const struct bosh *me = mk_inst(c);
    const struct mk_elem *body = pending_body(p);
    const char *key = mk_attr(body, "newkey"), *version = mk_attr_ns(body, "version", NS_XBOSH);
    bool bad_key = key && strlen(key) != KEY_LEN;
    if (!mk_attr(body, "to") || bad_key) {
        pending_refuse(c, me, p, bad_key ? "bad-request" : "improper-addressing");
        return;
    }
    if (is_full(c)) {
        pending_refuse(c, me, p, "remote-connection-failed");
        return;
    }
    struct session *s = mk_malloc(sizeof *s);
    read_wishes(c, s, p);
    s->sid = place_new_sid(c);
    s->rid = p->rid + 1;
    s->alarm = mk_alarm_new(c, on_alarm, s);
    place_add(mk_worker(c), s->sid, s)->worker = mk_worker_here(c);
    mk_count(c, M_SESSIONS, 1);
    mk_count(c, M_CREATED, 1);
    s->stream =
        mk_transport_open(c, &transport, s, &(struct mk_transport_peer){ p->http->address, NULL, p->http->secure });
    const struct mk_stream_head head = {
        .to = s->to, .from = mk_attr(body, "from"), .version = version ? version : "1.0", .lang = s->lang
    };
    mk_transport_header(c, s->stream, &head);
    struct unread *u = mk_malloc(sizeof *u);
    u->body = p->body;
    u->begun = true; /* this header was the one */
    u->child = mk_elem_first(body);
    p->body = NULL;
    s->unread = u;
    queue_add(&s->held, p);
    post_work(c, s);
}
