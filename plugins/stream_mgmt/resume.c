/* SPDX-License-Identifier: Apache-2.0 */
/* A session from <enable/> on: that it outlives its connection, and the server's restart, and what its end leaves. */
#include "stream_mgmt.h"
#include <stdio.h>
#include <string.h>

/* How long a stop waits for what a session sent to be safe, in steps of a sleep. */
enum { SETTLE_STEPS = 100, SETTLE_MS = 10 };

/* ---- enable ------------------------------------------------------------------------------------------------------------- */

static bool is_true(const char *text) {
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

static uint32_t ms32(int64_t ms) {
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

/* How long the session is kept: as the operator says, or less if the client does. */
static uint32_t resume_ms(const struct stream_mgmt *me, const struct mk_elem *enable) {
    uint32_t wish;
    int64_t ms = me->resume_timeout;
    if (read_uint32(mk_attr(enable, "max"), &wish) && wish && (int64_t)wish * 1000 < ms)
        ms = (int64_t)wish * 1000;
    return ms32(ms);
}

static void put_enabled(struct mk_out *o, const struct managed *m) {
    if (!m->resumable)
        return;
    mk_put(o, "id", m->id);
    mk_put(o, "resume", "true");
    mk_put_int(o, "max", m->resume_ms / 1000);
}

/* Answers first: from then on what is sent counts. */
static void enable(struct mk_ctx *c, struct mk_stream *st, struct mk_session *session, const struct mk_elem *request,
                   struct mk_out *answer) {
    const struct stream_mgmt *me = mk_inst(c);
    struct managed *m = mk_malloc(sizeof *m);
    m->resume_ms = resume_ms(me, request);
    m->resumable = is_true(mk_attr(request, "resume")) && m->resume_ms >= 1000;
    snprintf(m->id, sizeof m->id, "%llx-%s", (unsigned long long)mk_session_number(session), mk_random_id(c));
    mk_session_count_start(session);
    struct mk_out *o = element_begin(c, answer, "enabled");
    put_enabled(o, m);
    element_end(c, st, answer, o);
    *managed_of(c, session) = m;
}

void on_enable(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    struct mk_session *session = mk_stream_session(st);
    if (*managed_of(c, session)) {
        say_failed(c, st, NULL, "unexpected-request", NULL);
        mk_stream_fail(c, st, "policy-violation", "Stream management is enabled already.", NULL);
        return;
    }
    enable(c, st, session, mk_root(nonza), NULL);
}

void on_inline_enable(struct mk_ctx *c, const struct mk_inline *in) {
    if (!*managed_of(c, in->session))
        enable(c, in->stream, in->session, in->request, in->answer);
}

/* ---- resume ------------------------------------------------------------------------------------------------------------- */

/* Only the account's own sessions are looked at: an id is of no use to anybody else. */
static struct mk_session *find(struct mk_ctx *c, const char *id) {
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;) {
        const struct managed *m = *managed_of(c, s);
        if (m && m->resumable && strcmp(m->id, id) == 0)
            return s;
    }
    return NULL;
}

static void attach(struct mk_ctx *c, struct managed *m, struct mk_session *session) {
    mk_timer_stop(c, session, TIMER_RESUME);
    mk_timer_stop(c, session, TIMER_ACK);
    mk_count(c, M_DETACHED, m->detached ? -1 : 0);
    m->detached = m->asked = false;
    m->unasked = m->written = 0;
    m->in_flight = 0;
}

static void resume(struct mk_ctx *c, struct mk_stream *st, struct mk_session *session, uint32_t h,
                   struct mk_out *answer) {
    struct managed *m = *managed_of(c, session);
    if (!acknowledge(c, st, session, m, h))
        return;
    mk_stream_resume(c, st, session);
    attach(c, m, session);
    struct mk_out *o = element_begin(c, answer, "resumed");
    mk_put(o, "previd", m->id);
    mk_put_int(o, "h", mk_session_recount(session));
    element_end(c, st, answer, o);
    catch_up(c, session, m);
    mk_count(c, M_RESUMED, 1);
}

/* The session as it was when the server stopped, without a stream.  NULL: it can't be. */
MK_SUSPENDS static struct mk_session *restore(struct mk_ctx *c, const char *id, const struct kept *k) {
    struct mk_session *session =
        mk_session_restore(c, (struct mk_view){ k->resource, strlen(k->resource) }, k->handled);
    if (!session)
        return NULL;
    struct managed *m = mk_malloc(sizeof *m);
    m->resumable = m->detached = true;
    m->resume_ms = k->resume_ms;
    m->queue.acked = k->acked;
    snprintf(m->id, sizeof m->id, "%s", id);
    if (unacked_take(c, session, m, k->key, id) != MK_OK) {
        free_managed(m);
        mk_session_close(c, session, NULL, NULL);
        return NULL;
    }
    mk_count(c, M_DETACHED, 1);
    *managed_of(c, session) = m;
    struct mk_ev_state ev = { session, NULL, mk_root(k->state) };
    mk_run_session_restored(c, &ev);
    return session;
}

/* The server was gone: contacts saw the session go, and are to see it come. */
MK_SUSPENDS static void announce(struct mk_ctx *c, struct mk_session *session, const struct kept *k) {
    const struct mk_elem *e = mk_elem_child(mk_root(k->state), "presence", "jabber:client");
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_PRESENCE, MK_TYPE_AVAILABLE, NULL);
    if (!e)
        return;
    for (const struct mk_elem *child = mk_elem_first(e); child; child = mk_elem_next(child))
        if (strcmp(mk_elem_ns(child), "urn:xmpp:delay") != 0)
            mk_put_elem(o, child);
    if (mk_seal(o, &s) == MK_OK)
        mk_session_handle(c, session, s);
}

MK_SUSPENDS static void try_resume(struct mk_ctx *c, struct mk_stream *st, const struct mk_elem *request,
                                   struct mk_out *answer) {
    const char *id = mk_attr(request, "previd");
    struct kept k = { .whole = false };
    uint32_t h;
    if (!id || !read_uint32(mk_attr(request, "h"), &h)) {
        say_failed(c, st, answer, "bad-request", NULL);
        return;
    }
    struct mk_session *session = find(c, id);
    bool known = !session && kept_get(c, id, &k) == MK_OK, restored = false;
    if (known && k.whole) {
        session = restore(c, id, &k);
        restored = session != NULL;
    }
    if (!session) {
        say_failed(c, st, answer, "item-not-found", known ? &k.handled : NULL);
        return;
    }
    resume(c, st, session, h, answer);
    if (restored && mk_session_stream(session) == st)
        announce(c, session, &k);
}

void on_resume(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    try_resume(c, st, mk_root(nonza), NULL);
}

void on_inline_resume(struct mk_ctx *c, const struct mk_inline *in) {
    if (!in->session)
        try_resume(c, in->stream, in->request, in->answer);
}

/* ---- the end ------------------------------------------------------------------------------------------------------------- */

enum mk_flow on_session_lost(struct mk_ctx *c, struct mk_ev_session *ev) {
    struct managed *m = *managed_of(c, ev->session);
    if (!m || !m->resumable)
        return MK_NEXT;
    m->detached = true;
    if (is_over(c, m)) { /* what a connected client is given time for */
        m->detached = false;
        return MK_NEXT;
    }
    m->asked = false;
    mk_timer_stop(c, ev->session, TIMER_ACK);
    mk_timer_start(c, ev->session, TIMER_RESUME, m->resume_ms);
    mk_count(c, M_DETACHED, 1);
    return MK_STOP;
}

void on_resume_time(struct mk_ctx *c, struct mk_session *session) {
    mk_count(c, M_EXPIRED, 1);
    mk_session_close(c, session, NULL, NULL);
}

/* What the client sent is safe, or will not be in time. */
MK_SUSPENDS static bool settles(struct mk_ctx *c, struct mk_session *session) {
    for (int i = 0; i < SETTLE_STEPS; i++) {
        if (mk_session_handled(session) == mk_session_received(session))
            return true;
        if (mk_sleep(c, SETTLE_MS) != MK_OK)
            break;
    }
    return false;
}

/* The server stops: others still know the session as it was.  One whose stanzas were not all safe has lost some if the
 * stop is cut short: it is not kept, and its client learns how many were. */
enum mk_flow on_session_closing(struct mk_ctx *c, struct mk_ev_session *ev) {
    struct managed *m = *managed_of(c, ev->session);
    if (ev->reason != MK_CLOSED_SHUTDOWN || !m || !m->resumable || !settles(c, ev->session))
        return MK_NEXT;
    const struct mk_stanza *s;
    struct mk_ev_state state = { ev->session, mk_nonza(c, "state", NS_SM), NULL };
    mk_run_session_saved(c, &state);
    if (mk_seal(state.out, &s) != MK_OK) {
        mk_log(c, MK_ERROR, "a session can't be kept: what a plugin wrote is no XML");
        return MK_NEXT;
    }
    struct mk_view xml = mk_stanza_xml(c, s);
    m->state = mk_malloc(xml.len + 1);
    memcpy(m->state, xml.s, xml.len);
    return MK_NEXT;
}

enum mk_flow on_session_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    struct managed **slot = managed_of(c, ev->session), *m = *slot;
    if (!m)
        return MK_NEXT;
    mk_count(c, M_DETACHED, m->detached ? -1 : 0);
    if (m->state && !unacked_keep(c, ev->session, m)) {
        mk_free(m->state);
        m->state = NULL;
    }
    if (m->resumable && ev->reason != MK_CLOSED_BY_CLIENT)
        kept_put(c, ev->session, m);
    if (!m->state)
        unacked_return(c, ev->session, m, ev->reason);
    *slot = NULL;
    free_managed(m);
    return MK_NEXT;
}
