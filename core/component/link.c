/* SPDX-License-Identifier: Apache-2.0 */
/* A component's stream: its life, its handshake, bytes to stanzas and back. */
#include "component/part.h"
#include "net/net.h"
#include "route/router.h"
#include "run/metric.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "util/text.h"
#include "xml/out.h"
#include "xml/stanza.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __thread struct list links, owing;
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

void component_log(const struct link *l, int level, const char *fmt, ...) {
    if (!log_wants(level))
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_line(level, &(struct log_place){ .host = l->component ? l->component->name : NULL, .peer = l->conn.address },
             "component %s", text);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void enlist(struct link *l) {
    list_append(&links, &l->all);
    link_count++;
}

static void delist(struct link *l) {
    list_remove(&l->all);
    link_count--;
}

static void on_timer(struct timer *t) {
    component_fail(container_of(t, struct link, timer), "connection-timeout", "You took too long to authenticate.");
}

void component_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                      socklen_t peer_len) {
    struct link *l = xcalloc(1, sizeof *l);
    (void)peer_len;
    conn_init(&l->conn, &link_class, w, fd, peer);
    l->conn.rate = (uint32_t)config->rate;
    l->refs = 1;
    l->serial = ++last_serial;
    l->since_ms = worker_now_ms(w);
    l->timer.fire = on_timer;
    enlist(l);
    worker_timer(w, &l->timer, (uint64_t)stream_config()->login_ms);
    if (config->tls == LISTEN_DIRECT_TLS)
        conn_start_tls(&l->conn, NULL);
}

static void pay(struct link *l) {
    if (list_linked(&l->owing))
        list_remove(&l->owing);
    for (unsigned i = 0; i < l->receipt_count; i++)
        mk_receipt_pay(l->receipts[i]);
    l->receipt_count = 0;
}

static void link_unref(struct link *l) {
    if (--l->refs)
        return;
    free(l->receipts);
    free(l->id);
    free(l->prefixes);
    free(l);
}

/* What may not have reached it is paid all the same: its sender was told nothing, and has no other way to learn. */
static void leave(struct link *l) {
    if (l->state == LINK_READY)
        component_leave(l);
    l->state = LINK_ENDED;
    wheel_stop(&l->timer);
    pay(l);
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
        component_log(l, 6, "is gone: %s", error ? strerror(error) : "the connection was closed");
        leave(l);
    }
    conn_free_now(c);
    connection_over(l);
}

static void on_secured(struct conn *c) {
    (void)c;
}

static void on_drained(struct conn *c) {
    pay(link_of(c));
}

/* ---- output -------------------------------------------------------------------------------------------------------- */

static void say(struct link *l, const char *text) {
    if (l->state != LINK_ENDED)
        conn_write(&l->conn, text, strlen(text));
}

/* The address is that of the domain that was asked for, whether it is served or not. */
static void send_header(struct link *l, const char *from) {
    struct buf b = { 0 };
    size_t len = from ? strlen(from) : 0;
    char *escaped = xmalloc(6 * len + 1);
    *xml_escape(escaped, from ? from : "", len) = '\0';
    buf_printf(
        &b, "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='" NS_STREAMS "' id='%s'",
        l->id ? l->id : "");
    if (from)
        buf_printf(&b, " from='%s'", escaped);
    buf_puts(&b, ">");
    conn_write(&l->conn, b.data, b.len);
    buf_free(&b);
    free(escaped);
    l->opened = true;
}

void component_fail(struct link *l, const char *cond, const char *text) {
    struct buf b = { 0 };
    if (l->state == LINK_ENDED)
        return;
    component_log(l, 6, "ends: %s%s%s", cond ? cond : "closed", text ? ": " : "", text ? text : "");
    l->refs++;
    if (!(l->conn.flags & CONN_HANDSHAKE)) {
        if (!l->opened)
            send_header(l, NULL);
        if (cond)
            stream_put_error(&b, cond, text, NULL);
        buf_puts(&b, "</stream:stream>");
        conn_write(&l->conn, b.data, b.len);
        buf_free(&b);
    }
    leave(l);
    if (!l->moving)
        conn_close(&l->conn, after_close);
    link_unref(l);
}

static void owe(struct link *l, const struct mk_stanza *s) {
    struct mk_receipt *r = mk_receipt_hold(s);
    if (!r)
        return;
    if (l->receipt_count == l->receipt_cap) {
        l->receipt_cap = l->receipt_cap ? l->receipt_cap * 2 : 16;
        l->receipts = xrealloc(l->receipts, l->receipt_cap * sizeof(struct mk_receipt *));
    }
    l->receipts[l->receipt_count++] = r;
    if (!list_linked(&l->owing))
        list_append(&owing, &l->owing);
}

void component_write(struct link *l, const struct mk_stanza *s, const struct mk_jid *to) {
    foreign_write(&l->conn, s, to == mk_stanza_to(s) ? NULL : to);
    owe(l, s);
}

void components_after_flush(struct worker *w) {
    struct list *at, *next;
    (void)w;
    for (at = owing.next; at != &owing; at = next) {
        next = at->next;
        struct link *l = container_of(at, struct link, owing);
        if (!l->conn.out_len)
            pay(l);
    }
}

/* ---- the handshake ------------------------------------------------------------------------------------------------- */

static void arrive(struct post *post);

/* Not at once: this is called from inside the connection's input. */
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
    worker_post(component_home(l->component), &l->move);
}

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
    worker_timer(this_worker, &l->timer, (uint64_t)stream_config()->login_ms);
    send_header(l, l->component->name);
    conn_resume(&l->conn);
    link_unref(l);
}

static void go_home(struct link *l) {
    if (component_home(l->component) == this_worker) {
        send_header(l, l->component->name);
        return;
    }
    conn_pause(&l->conn);
    l->refs++;
    l->move.run = depart;
    worker_post(this_worker, &l->move);
}

static void on_header(struct link *l, const struct xml_header *h) {
    uint8_t random[16];
    mk_random(random, sizeof random);
    l->id = xmalloc(2 * sizeof random + 1);
    hex_encode(l->id, random, sizeof random);
    struct component *x = h->to ? component_find(h->to, strlen(h->to)) : NULL;
    bool exact = x && strcmp(x->name, h->to) == 0;
    if (strcmp(h->ns, NS_STREAMS) != 0 || strcmp(h->content_ns, xml_profile_ns(XML_COMPONENT)) != 0)
        component_fail(l, "invalid-namespace", NULL);
    else if (strcmp(h->name, "stream") != 0)
        component_fail(l, "bad-format", NULL);
    else if (!exact)
        component_fail(l, "host-unknown", NULL);
    else if (component_config(x)->tls && !conn_is_secure(&l->conn))
        component_fail(l, "policy-violation", "This component must connect with TLS.");
    else {
        l->component = x;
        l->state = LINK_HANDSHAKE;
        go_home(l);
    }
}

static bool is_right(const struct link *l, const char *given) {
    const struct component_config *config = component_config(l->component);
    uint8_t digest[20];
    char hex[2 * sizeof digest + 1];
    struct buf b = { 0 };
    if (!config)
        return false;
    buf_printf(&b, "%s%s", l->id, config->secret);
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA1, b.data, b.len, digest);
    explicit_bzero(b.data, b.len);
    buf_free(&b);
    if (rc) { /* a policy of the system may forbid SHA-1 */
        component_log(l, 3, "can't log in: SHA-1 fails: %s", gnutls_strerror(rc));
        return false;
    }
    hex_encode(hex, digest, sizeof digest);
    return strlen(given) == sizeof hex - 1 && gnutls_memcmp(given, hex, sizeof hex - 1) == 0;
}

static void on_handshake(struct link *l, const struct mk_stanza *s) {
    struct arena arena;
    arena_init(&arena);
    const struct mk_elem *root = mk_root(s), *t = root->first;
    const char *given = t && !t->name ? arena_memdup(&arena, t->text, t->text_len) : "";
    bool shape = mk_elem_is(root, "handshake", xml_profile_ns(XML_CLIENT)), right = shape && is_right(l, given);
    arena_free(&arena);
    if (!right) {
        METRIC(this_worker, component_login_failures, 1);
        component_fail(l, "not-authorized", NULL);
        return;
    }
    component_join(l);
    if (l->state != LINK_READY)
        return;
    wheel_stop(&l->timer);
    say(l, "<handshake/>");
    component_log(l, 5, "is connected");
    component_joined(l->component);
}

/* ---- input --------------------------------------------------------------------------------------------------------- */

static void header(struct link *l, const char *data, size_t len) {
    struct xml_header h;
    struct arena arena;
    arena_init(&arena);
    switch (parse_header(&arena, data, len, &h)) {
    case HEADER_OK:
        l->prefixes = *h.prefixes ? xstrdup(h.prefixes) : NULL;
        on_header(l, &h);
        break;
    case HEADER_ENCODING:
        component_fail(l, "unsupported-encoding", NULL);
        break;
    default:
        component_fail(l, "not-well-formed", NULL);
    }
    arena_free(&arena);
}

static void element(struct link *l, const char *data, size_t len) {
    struct parsers *parsers = this_worker->parsers;
    struct mk_stanza *s = l->prefixes ? parse_stanza_with(parsers, XML_COMPONENT, l->prefixes, data, len, 0)
                                      : parse_stanza(parsers, XML_COMPONENT, data, len, 0);
    if (!s) {
        component_fail(l, "not-well-formed", NULL);
    } else if (l->state == LINK_HANDSHAKE) {
        on_handshake(l, s);
        mk_release(s);
    } else if (mk_elem_is(mk_root(s), "error", NS_STREAMS)) {
        const struct mk_elem *cond = mk_elem_first(mk_root(s));
        component_log(l, 6, "sent the stream error %s", cond ? mk_elem_name(cond) : "without a condition");
        component_fail(l, NULL, "it sent a stream error");
        mk_release(s);
    } else {
        component_receive(l, s);
    }
}

static void refused(struct link *l, enum scan_result r) {
    const char *text, *cond = stream_refusal(r, &text);
    component_fail(l, cond, text);
}

static size_t on_input(struct conn *c, const char *data, size_t len) {
    struct link *l = link_of(c);
    size_t done = 0;
    l->refs++; /* an element may be the stream's last */
    while (done < len && l->state != LINK_ENDED && !(c->flags & (CONN_PAUSED | CONN_HANDSHAKE))) {
        const struct xml_limits *limits = l->state == LINK_READY ? &stream_config()->after : &stream_config()->before;
        size_t used = 0;
        enum scan_result r = scan_next(&l->scan, limits, data + done, len - done, &used);
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
            component_fail(l, NULL, "it closed its stream");
        else
            refused(l, r);
    }
    if (l->state == LINK_ENDED)
        done = len;
    link_unref(l);
    return done;
}

/* ---- all of a worker ------------------------------------------------------------------------------------------------- */

void components_worker_start(struct worker *w) {
    (void)w;
    list_init(&links);
    list_init(&owing);
    link_count = 0;
}

struct link *component_link_next(struct link *prev) {
    struct list *at = prev ? prev->all.next : links.next;
    return at == &links ? NULL : container_of(at, struct link, all);
}

unsigned components_count(const struct worker *w) {
    (void)w;
    return link_count;
}
