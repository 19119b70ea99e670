/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that logged in by SASL2 (XEP-0388) is at home: features that it asked for are switched on, a session is
 * resumed or a resource bound (XEP-0386), and one <success/> answers it all.  What handlers send meanwhile is held back
 * until that is written.
 */
#include "route/router.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "xml/out.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#define NS_BIND2 "urn:xmpp:bind:0"

/* ---- what is offered --------------------------------------------------------------------------------------------- */

static void put_rows(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o, uint32_t at) {
    const struct host_type *t = st->host->type;
    for (uint32_t i = 0; i < t->inline_count; i++) {
        const struct mk_inline_decl *row = t->inlines[i].row;
        if (row->at != at)
            continue;
        c->inst = t->inlines[i].inst;
        if (row->put_offer) {
            row->put_offer(c, st, o);
        } else if (row->offer && at == MK_AT_LOGIN) {
            mk_leaf(o, row->offer, row->ns, NULL);
        } else if (row->offer) {
            mk_open(o, "feature", NULL);
            mk_put(o, "var", row->offer);
            mk_close(o);
        }
    }
    c->inst = NULL;
}

void welcome_put_offer(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o) {
    mk_open(o, "inline", NULL);
    mk_open(o, "bind", NS_BIND2);
    mk_open(o, "inline", NULL);
    put_rows(c, st, o, MK_AT_BIND);
    mk_close(o);
    mk_close(o);
    put_rows(c, st, o, MK_AT_LOGIN);
    mk_close(o);
}

/* ---- the rows ---------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static void run_rows(struct mk_ctx *c, struct mk_stream *st, uint32_t at, const struct mk_elem *all,
                                 struct mk_out *o) {
    const struct host_type *t = st->account->entity.host->type;
    for (uint32_t i = 0; i < t->inline_count && st->state == STREAM_WELCOME; i++) {
        const struct mk_inline_decl *row = t->inlines[i].row;
        const struct mk_elem *request = row->name ? mk_elem_child(all, row->name, row->ns) : NULL;
        if (row->at != at || (row->name && !request))
            continue;
        struct mk_inline in = { st, st->session, request, o, all };
        c->inst = t->inlines[i].inst;
        row->fn(c, &in);
    }
    c->inst = NULL;
}

/* ---- binding ----------------------------------------------------------------------------------------------------- */

enum { OPAQUE_BYTES = 12 };

/* The same for the same installation and tag, so that others see it come back; its id can't be read from it. */
static const char *opaque(struct mk_ctx *c, const struct login *l, const char *tag) {
    if (!l->agent || !*l->agent->said.id)
        return mk_random_id(c);
    const char *text = mk_printf(c, "%s %s %s", l->account->text, l->agent->said.id, tag);
    uint8_t digest[32];
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest);
    char *out = mk_alloc(c, 4 * (OPAQUE_BYTES / 3) + 1);
    base64_encode(out, digest, OPAQUE_BYTES);
    for (char *at = out; *at; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    return out;
}

static bool make_resource(struct mk_ctx *c, const struct mk_jid *bare, const char *text, struct mk_view *out) {
    const struct mk_jid *full;
    if (mk_jid_make(c, mk_jid_local(bare), mk_jid_domain(bare), (struct mk_view){ text, strlen(text) }, &full) != 0)
        return false;
    *out = mk_jid_resource(full);
    return true;
}

/* A tag that can't be in a resource is left out. */
static struct mk_view choose_resource(struct mk_ctx *c, const struct login *l, const struct mk_elem *bind) {
    const char *tag = mk_text(c, mk_elem_child(bind, "tag", NS_BIND2)), *id = opaque(c, l, tag);
    struct mk_view resource;
    if (*tag && make_resource(c, l->account, mk_printf(c, "%s/%s", tag, id), &resource))
        return resource;
    return (struct mk_view){ id, strlen(id) };
}

/* Of the same installation: it has lost them, or it would not log in anew. */
static void end_older(struct mk_ctx *c, struct mk_stream *st) {
    const struct login *l = st->login;
    struct list *at, *next;
    for (at = st->account->sessions.next; at != &st->account->sessions; at = next) {
        struct mk_session *s = container_of(at, struct mk_session, link);
        next = at->next;
        if (!s->agent || !*s->agent->said.id || strcmp(s->agent->said.id, l->agent->said.id) != 0)
            continue;
        if (s->stream)
            stream_replaced(c, s->stream);
        session_end(c, s, MK_CLOSED_REPLACED);
        next = st->account->sessions.next; /* handlers may have ended others */
    }
}

MK_SUSPENDS static void bind_resource(struct mk_ctx *c, struct mk_stream *st, const struct mk_elem *request,
                                      struct mk_out *o) {
    if (st->login->agent && *st->login->agent->said.id)
        end_older(c, st);
    struct mk_view resource = choose_resource(c, st->login, request);
    if (!session_bind(c, st->account, st, resource)) {
        stream_error(st, "resource-constraint", "The account has too many sessions.");
        return;
    }
    mk_open(o, "bound", NS_BIND2);
    run_rows(c, st, MK_AT_BIND, request, o);
    mk_close(o);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void answer(struct mk_ctx *c, struct mk_stream *st, struct mk_out *rows, bool resumed) {
    struct sasl2 *x = st->login->sasl2;
    struct mk_out *o = out_fragment(c, &c->arena);
    struct buf b = { 0 };
    if (x->data)
        mk_leaf(o, "additional-data", NS_SASL2, x->data);
    mk_leaf(o, "authorization-identifier", NS_SASL2,
            st->session ? st->session->jid->text : st->account->entity.jid->text);
    struct mk_view head = out_bytes(o), rest = out_bytes(rows);
    if (rows->error)
        mk_log(c, MK_ERROR, "an inline feature wrote what is no XML: its answer is lost");
    st->state = STREAM_AUTHED;
    buf_puts(&b, "<success xmlns='" NS_SASL2 "'>");
    buf_add(&b, head.s, head.len);
    buf_add(&b, rest.s, rest.len);
    buf_puts(&b, "</success>");
    stream_write(st, b.data, b.len);
    buf_free(&b);
    if (!resumed)
        stream_send_features(st);
    if (st->transport)
        transport_send_held(st, &x->held);
    else if (x->held.len)
        stream_write(st, x->held.data, x->held.len);
    sasl2_free(st->login);
}

MK_SUSPENDS static void welcome_turn(struct mk_ctx *c, struct mail *m) {
    struct login *l = container_of(m, struct login, mail);
    struct mk_stream *st = l->stream;
    if (st->state != STREAM_WELCOME)
        return;
    const struct mk_elem *request = mk_root(l->sasl2->request), *bind2 = mk_elem_child(request, "bind", NS_BIND2);
    struct mk_out *o = out_fragment(c, &c->arena);
    c->stream = st;
    run_rows(c, st, MK_AT_LOGIN, request, o);
    bool resumed = st->session != NULL;
    if (bind2 && !resumed && st->state == STREAM_WELCOME)
        bind_resource(c, st, bind2, o);
    if (st->state == STREAM_WELCOME)
        answer(c, st, o, resumed);
}

static void welcome_done(struct mail *m) {
    struct login *l = container_of(m, struct login, mail);
    struct mk_stream *st = l->stream;
    l->welcoming = false;
    if (st->session || st->state == STREAM_ENDED) {
        st->login = NULL;
        login_free(l);
    }
    stream_go_on(st, STREAM_HELD_BY_TURN);
    stream_unref(st);
}

void stream_welcome(struct mk_stream *st) {
    struct login *l = st->login;
    st->state = STREAM_WELCOME;
    l->welcoming = true;
    l->mail = (struct mail){ .suspends = true, .turn = welcome_turn, .done = welcome_done };
    stream_ref(st);
    entity_mail(&st->account->entity, &l->mail);
}
