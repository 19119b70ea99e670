/* SPDX-License-Identifier: Apache-2.0 */
/* A stream between servers: its life, bytes to elements, stanzas to bytes.  What they mean is in.c's and out.c's. */
#include "s2s/link.h"
#include "run/metric.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "util/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINISH_MS = 5000, GOODBYE_MS = 30000, IDLE_FACTOR = 4 /* a peer closes what it opened; we wait longer */ };

/* What a worker has. */
static __thread struct list links;
static __thread unsigned link_count;
static __thread uint64_t last_serial;

static size_t on_input(struct conn *c, const char *data, size_t len);
static void on_secured(struct conn *c);
static void on_closed(struct conn *c, int error);
static void on_drained(struct conn *c);
static const struct conn_class link_class = { on_input, on_secured, on_closed, on_drained };

static struct link *link_of(struct conn *c) {
    return container_of(c, struct link, conn);
}

void link_log(const struct link *l, int level, const char *fmt, ...) {
    if (!log_wants(level))
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_line(level, &(struct log_place){ .host = l->local, .peer = l->conn.address }, "stream %s %s %s",
             l->outgoing ? "to" : "from", l->remote ? l->remote : "a server", text);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void enlist(struct link *l) {
    list_append(&links, &l->link);
    link_count++;
    METRIC(this_worker, s2s_in, !l->outgoing);
    METRIC(this_worker, s2s_out, l->outgoing);
}

static void delist(struct link *l) {
    list_remove(&l->link);
    link_count--;
    METRIC(this_worker, s2s_in, -!l->outgoing);
    METRIC(this_worker, s2s_out, -l->outgoing);
}

/* Nothing came, and nothing went out, for so long. */
static bool is_quiet(const struct link *l) {
    uint64_t last = l->conn.heard_ms > l->used_ms ? l->conn.heard_ms : l->used_ms;
    uint64_t quiet = worker_now_ms(this_worker) - last;
    int64_t most = s2s_config()->idle_ms;
    if (!l->outgoing && most < INT64_MAX / IDLE_FACTOR)
        most *= IDLE_FACTOR;
    return quiet >= (uint64_t)most;
}

static bool is_unanswered(const struct link *l) {
    return l->asked && worker_now_ms(this_worker) - l->asked_ms >= (uint64_t)s2s_config()->login_ms;
}

static void part(struct link *l);

static void on_timer(struct timer *t) {
    struct link *l = container_of(t, struct link, timer);
    if (l->goodbye)
        link_fail(l, NULL, "the other server did not close it");
    else if (l->finishing)
        part(l);
    else if (l->state != LINK_READY && !l->grants)
        link_fail(l, "connection-timeout", "You took too long to authenticate.");
    else if (is_unanswered(l))
        link_fail(l, "connection-timeout", "You do not acknowledge what is sent.");
    else if (is_quiet(l) && !list_empty(&l->sent))
        link_fail(l, "connection-timeout", "You do not read what is sent.");
    else if (is_quiet(l))
        link_finish(l);
    else
        link_timer(l, s2s_config()->idle_ms);
}

void link_timer(struct link *l, int64_t ms) {
    enum { MOST_MS = 24 * 3600 * 1000 };
    worker_timer(this_worker, &l->timer, (uint64_t)(ms < MOST_MS ? ms : MOST_MS));
}

struct link *link_new(struct worker *w, int fd, const struct sockaddr *peer, bool outgoing) {
    struct link *l = xcalloc(1, sizeof *l);
    conn_init(&l->conn, &link_class, w, fd, peer);
    list_init(&l->sent);
    l->refs = 1;
    l->outgoing = outgoing;
    l->serial = (uint64_t)w->index << 48 | ++last_serial;
    l->since_ms = worker_now_ms(w);
    l->timer.fire = on_timer;
    enlist(l);
    link_timer(l, s2s_config()->login_ms);
    return l;
}

void s2s_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                socklen_t peer_len) {
    struct link *l = link_new(w, fd, peer, false);
    (void)peer_len;
    l->conn.rate = (uint32_t)config->rate;
    if (config->tls == LISTEN_DIRECT_TLS)
        conn_start_tls_as(&l->conn, &(struct tls_start){ .role = TLS_SERVE_PEER, .alpn = "xmpp-server" });
}

static void free_grants(struct link *l) {
    while (l->grants) {
        struct grant *g = l->grants;
        l->grants = g->next;
        free(g->local);
        free(g->remote);
        free(g);
    }
}

void link_unref(struct link *l) {
    if (--l->refs)
        return;
    free_grants(l);
    tls_peer_free(l->cert);
    free(l->local);
    free(l->remote);
    free(l->id);
    free(l->prefixes);
    free(l->sm_id);
    free(l->tlsa);
    free(l->target);
    free(l);
}

/* The stream is over, whatever becomes of the connection: its pair gets back what may not have arrived. */
static void leave(struct link *l, const char *cond, const char *why) {
    struct pair *p = l->pair;
    l->state = LINK_ENDED;
    wheel_stop(&l->timer);
    l->pair = NULL;
    if (p)
        pair_lost(p, l, cond, why);
    link_sent(l); /* its pair did not want it back */
    ack_end(l);
}

static void connection_over(struct link *l) {
    delist(l);
    link_unref(l);
}

static void after_close(struct conn *c) {
    connection_over(link_of(c));
}

static void on_closed(struct conn *c, int error) {
    struct link *l = link_of(c);
    if (l->state != LINK_ENDED) {
        l->lost = true;
        link_log(l, 6, "is gone: %s", error ? strerror(error) : "the connection was closed");
        leave(l, "remote-server-timeout", error ? strerror(error) : "the connection was closed");
    }
    conn_free_now(c);
    connection_over(l);
}

struct link *link_find(uint64_t serial) {
    for (struct list *at = links.next; at != &links; at = at->next)
        if (container_of(at, struct link, link)->serial == serial)
            return container_of(at, struct link, link);
    return NULL;
}

unsigned links_from(const char *remote) {
    unsigned count = 0;
    for (struct list *at = links.next; at != &links; at = at->next) {
        const struct link *l = container_of(at, struct link, link);
        count += !l->outgoing && l->state != LINK_ENDED && l->remote && strcmp(l->remote, remote) == 0;
    }
    return count;
}

/* ---- grants -------------------------------------------------------------------------------------------------------- */

static bool same_or_null(const char *a, const char *b) {
    return !a || strcmp(a, b) == 0;
}

const struct grant *link_granted(const struct link *l, const char *local, const char *remote) {
    for (const struct grant *g = l->grants; g; g = g->next)
        if (strcmp(g->remote, remote) == 0 && same_or_null(g->local, local))
            return g;
    return NULL;
}

void link_grant(struct link *l, const char *local, const char *remote, const char *by) {
    if (link_granted(l, local ? local : "", remote))
        return;
    struct grant *g = xcalloc(1, sizeof *g);
    *g = (struct grant){ l->grants, local ? xstrdup(local) : NULL, xstrdup(remote), by };
    l->grants = g;
    METRIC(this_worker, s2s_logins, 1);
    link_log(l, 6, "may send for %s, by %s", remote, by);
    if (!l->finishing)
        link_timer(l, s2s_config()->idle_ms);
}

void link_check_cert(struct link *l) {
    tls_peer_free(l->cert);
    l->cert = conn_peer(&l->conn, l->tlsa, l->remote, l->target);
}

/* ---- input --------------------------------------------------------------------------------------------------------- */

static void header(struct link *l, const char *data, size_t len) {
    struct xml_header h;
    struct arena arena;
    arena_init(&arena);
    switch (parse_header(&arena, data, len, &h)) {
    case HEADER_OK:
        free(l->prefixes);
        l->prefixes = *h.prefixes ? xstrdup(h.prefixes) : NULL;
        if (l->outgoing)
            out_header(l, &h);
        else
            in_header(l, &h);
        break;
    case HEADER_ENCODING:
        link_fail(l, "unsupported-encoding", NULL);
        break;
    default:
        link_fail(l, "not-well-formed", NULL);
    }
    arena_free(&arena);
}

static void element(struct link *l, const char *data, size_t len) {
    struct parsers *parsers = this_worker->parsers;
    struct mk_stanza *s = l->prefixes ? parse_stanza_with(parsers, XML_SERVER, l->prefixes, data, len, 0)
                                      : parse_stanza(parsers, XML_SERVER, data, len, 0);
    if (!s)
        link_fail(l, "not-well-formed", NULL);
    else if (l->outgoing)
        out_element(l, s);
    else
        in_element(l, s);
}

static void refused(struct link *l, enum scan_result r) {
    const char *text, *cond = stream_refusal(r, &text);
    link_fail(l, cond, text);
}

static void closed_by_peer(struct link *l) {
    link_fail(l, NULL, "the other server closed it");
}

static const struct xml_limits *limits(const struct link *l) {
    return l->grants || l->state == LINK_READY ? &stream_config()->after : &stream_config()->before;
}

static size_t on_input(struct conn *c, const char *data, size_t len) {
    struct link *l = link_of(c);
    size_t done = 0;
    link_ref(l); /* an element may be the stream's last */
    while (done < len && l->state != LINK_ENDED && !(c->flags & (CONN_PAUSED | CONN_HANDSHAKE))) {
        size_t used = 0;
        enum scan_result r = scan_next(&l->scan, limits(l), data + done, len - done, &used);
        if (r == SCAN_MORE)
            break;
        const char *at = data + done;
        done += used;
        if (r == SCAN_SPACE)
            continue;
        if (r == SCAN_HEADER && l->state == LINK_HEADER)
            header(l, at, used);
        else if (r == SCAN_STANZA)
            element(l, at, used);
        else if (r == SCAN_CLOSE)
            closed_by_peer(l);
        else
            refused(l, r);
    }
    if (l->state == LINK_ENDED)
        done = len;
    link_unref(l);
    return done;
}

static void on_secured(struct conn *c) {
    struct link *l = link_of(c);
    l->state = LINK_HEADER;
    l->opened = false;
    scan_init(&l->scan);
    link_check_cert(l);
    if (l->outgoing)
        out_secured(l);
}

static void on_drained(struct conn *c) {
    struct link *l = link_of(c);
    if (!l->tracks)
        link_sent(l);
    if (l->pair && l->pair->ready)
        pair_ready(l->pair);
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static void say_goodbye(struct link *l, const char *cond, const char *text) {
    struct buf b = { 0 };
    if (!l->opened)
        link_send_header(l);
    ack_last(l);
    if (cond)
        stream_put_error(&b, cond, text, NULL);
    buf_puts(&b, "</stream:stream>");
    link_write(l, b.data, b.len);
    buf_free(&b);
}

void link_fail(struct link *l, const char *cond, const char *text) {
    if (l->state == LINK_ENDED)
        return;
    link_log(l, 6, "ends: %s%s%s", cond ? cond : "closed", text ? ": " : "", text ? text : "");
    link_ref(l);
    if (!l->goodbye && !(l->conn.flags & CONN_HANDSHAKE)) /* nothing can be said inside a handshake */
        say_goodbye(l, cond, cond ? text : NULL);
    leave(l, "remote-server-timeout", text ? text : cond ? cond : "the stream was closed");
    if (!l->moving) /* else it is closed when it has arrived */
        conn_close(&l->conn, after_close);
    link_unref(l);
}

void link_error_came(struct link *l, const struct mk_stanza *s) {
    const struct mk_elem *cond = mk_elem_first(mk_root(s));
    link_log(l, 6, "got the stream error %s", cond ? mk_elem_name(cond) : "without a condition");
    link_fail(l, NULL, cond ? mk_elem_name(cond) : "it sent a stream error");
}

static bool is_settled(const struct link *l) {
    return list_empty(&l->sent) && (!l->inbox || list_empty(&l->inbox->owed));
}

/* What is still not acknowledged goes out again, on the next stream. */
static void part(struct link *l) {
    struct pair *p = l->pair;
    if (!is_settled(l))
        link_log(l, 6, "is closed before all was acknowledged");
    say_goodbye(l, NULL, NULL);
    l->goodbye = true;
    l->pair = NULL;
    if (p)
        pair_lost(p, l, NULL, NULL);
    link_sent(l); /* its pair did not want it back */
    link_timer(l, GOODBYE_MS);
}

void link_finish(struct link *l) {
    if (l->finishing || l->state == LINK_ENDED)
        return;
    l->finishing = true;
    if (is_settled(l))
        part(l);
    else
        link_timer(l, FINISH_MS);
}

/* Not at once: this is called while its lists are walked. */
void link_settled(struct link *l) {
    if (l->finishing && !l->goodbye && l->state != LINK_ENDED && is_settled(l))
        link_timer(l, 0);
}

/* ---- to the worker of its domain ------------------------------------------------------------------------------------- */

static void arrive(struct post *post) {
    struct link *l = container_of(post, struct link, move);
    if (!this_worker) { /* the server has stopped */
        conn_free_now(&l->conn);
        link_unref(l);
        link_unref(l);
        return;
    }
    conn_attach(&l->conn, this_worker);
    enlist(l);
    l->moving = false;
    if (l->state == LINK_ENDED) { /* meanwhile */
        conn_close(&l->conn, after_close);
    } else {
        link_timer(l, s2s_config()->login_ms);
        in_at_home(l);
        conn_resume(&l->conn);
    }
    link_unref(l);
}

static void depart(struct post *post) {
    struct link *l = container_of(post, struct link, move);
    if (l->state == LINK_ENDED || !this_worker) {
        link_unref(l);
        return;
    }
    wheel_stop(&l->timer);
    delist(l);
    conn_detach(&l->conn);
    l->moving = true;
    l->move.run = arrive;
    worker_post(domain_home(l->remote), &l->move);
}

/* Not at once: this is called from inside the connection's input. */
void link_go_home(struct link *l) {
    l->moved = true;
    conn_pause(&l->conn);
    link_ref(l);
    l->move.run = depart;
    worker_post(this_worker, &l->move);
}

/* ---- all of a worker --------------------------------------------------------------------------------------------------- */

void s2s_worker_start(struct worker *w) {
    (void)w;
    list_init(&links);
    link_count = 0;
    links_write_start();
    pairs_start();
    ack_worker_start();
}

struct link *link_next(struct link *prev) {
    struct list *at = prev ? prev->link.next : links.next;
    return at == &links ? NULL : container_of(at, struct link, link);
}

unsigned s2s_count(const struct worker *w) {
    (void)w;
    return link_count;
}
