/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before authentication: STARTTLS (RFC 6120, 5), SASL (6; sasl2.c has XEP-0388), and what plugins allow strangers to ask.  The stream gives no
 * more input while one step is being worked on, so steps never overlap however the client pipelines them.
 */
#include "route/router.h"
#include "sasl/sasl.h"
#include "stream/stream.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

#define NS_TLS "urn:ietf:params:xml:ns:xmpp-tls"

/* The step is over and nothing of this worker looks at the entity any more: the stream may move, or be freed. */
static void login_idle(struct mk_entity *e) {
    struct login *l = container_of(e, struct login, entity);
    struct mk_stream *st = l->stream;
    if (!l->stepping)
        return;
    l->stepping = false;
    if (l->account && st->state != STREAM_ENDED)
        stream_go_home(st);
    else
        stream_go_on(st, STREAM_HELD_BY_TURN);
    stream_unref(st);
}

static const struct entity_class login_class = { "stream", login_idle, NULL };

static void on_deadline(struct timer *t) {
    struct login *l = container_of(t, struct login, deadline);
    stream_error(l->stream, "connection-timeout", "You took too long to log in.");
}

struct login *login_new(struct mk_stream *st) {
    struct login *l = xcalloc(1, sizeof *l);
    entity_init(&l->entity, &login_class, NULL, NULL);
    l->stream = st;
    l->deadline.fire = on_deadline;
    worker_timer(this_worker, &l->deadline, (uint64_t)stream_config()->login_ms);
    return l;
}

static void notes_free(struct login *l) {
    struct note *n;
    while ((n = l->notes) != NULL) {
        l->notes = n->next;
        free(n);
    }
}

void login_free(struct login *l) {
    wheel_stop(&l->deadline);
    if (l->sasl)
        sasl_free(l->sasl);
    sasl2_free(l);
    notes_free(l);
    free(l->agent);
    mk_jid_free(l->from);
    mk_jid_free(l->account);
    free(l);
}

void login_tell(struct login *l, struct mk_session *s) {
    s->mechanism = l->mechanism ? l->mechanism : "";
    if (!l->agent)
        return;
    free(s->agent);
    s->agent = l->agent;
    l->agent = NULL;
}

bool login_needs_tls(const struct mk_stream *st) {
    return !stream_is_secure(st) && st->host->cert && !st->host->type->plain_without_tls;
}

/* ---- SASL ---------------------------------------------------------------------------------------------------------------- */

static void say(struct mk_stream *st, const char *text) {
    stream_write(st, text, strlen(text));
}

static void sasl_over(struct login *l) {
    if (l->sasl)
        sasl_free(l->sasl);
    l->sasl = NULL;
}

void login_failed(struct mk_ctx *c, struct login *l, const char *cond, const char *text) {
    struct mk_out *o = mk_nonza(c, "failure", l->sasl2 ? NS_SASL2 : NS_SASL);
    mk_leaf(o, cond, NS_SASL, NULL);
    if (text)
        mk_leaf(o, "text", NULL, text);
    int rc = mk_stream_send(c, l->stream, o);
    sasl_over(l);
    sasl2_free(l);
    /* A client that tries one mechanism after the other has not guessed a password. */
    enum { OTHER_FAILURES = 4 };
    unsigned worth = strcmp(cond, "not-authorized") == 0 ? OTHER_FAILURES : 1;
    l->failures += worth;
    if (rc != 0 || l->failures >= (unsigned)stream_config()->sasl_tries * OTHER_FAILURES)
        stream_error(l->stream, "policy-violation", "Too many failed attempts to log in.");
}

char *login_base64(const struct buf *data) {
    char *text = xmalloc(4 * ((data->len + 2) / 3) + 1);
    base64_encode(text, data->data ? data->data : "", data->len);
    return text;
}

static void send_data(struct login *l, const char *name, const struct buf *data) {
    char *text = login_base64(data);
    struct buf b = { 0 };
    buf_printf(&b, "<%s xmlns='" NS_SASL "'>%s</%s>", name, text, name);
    stream_write(l->stream, b.data, b.len);
    buf_free(&b);
    free(text);
}

/* The client's bytes; NULL stays NULL.  False: not base64. */
static bool read_data(struct mk_ctx *c, const char *text, const void **data, size_t *len) {
    size_t n = text ? strlen(text) : 0;
    *len = 0;
    *data = text ? "" : NULL;
    if (!n)
        return true;
    void *out = mk_alloc(c, 3 * n / 4 + 1);
    ssize_t got = base64_decode(out, text, n);
    if (got < 0)
        return false;
    *data = out;
    *len = (size_t)got;
    return true;
}

MK_SUSPENDS static void succeeded(struct mk_ctx *c, struct login *l, const struct buf *out) {
    l->mechanism = sasl_mechanism(l->sasl);
    if (l->sasl2) {
        sasl2_succeeded(c, l, sasl_account(l->sasl), out);
    } else {
        if (out->len)
            send_data(l, "success", out);
        else
            say(l->stream, "<success xmlns='" NS_SASL "'/>");
        l->account = mk_jid_keep(sasl_account(l->sasl));
    }
    sasl_over(l);
}

/* One message of the client: base64, NULL for none. */
MK_SUSPENDS void login_go(struct mk_ctx *c, struct login *l, const char *text) {
    const void *data;
    size_t len;
    if (!read_data(c, text, &data, &len)) {
        login_failed(c, l, "incorrect-encoding", NULL);
        return;
    }
    struct buf out = { 0 };
    enum sasl_status status = sasl_step(c, l->sasl, data, len, &out);
    if (len)
        explicit_bzero((void *)data, len); /* with PLAIN it is the password */
    if (status == SASL_FAILURE)
        login_failed(c, l, sasl_condition(l->sasl), sasl_text(l->sasl));
    else if (status == SASL_SUCCESS)
        succeeded(c, l, &out);
    else if (l->sasl2)
        sasl2_challenge(l, &out);
    else
        send_data(l, "challenge", &out);
    buf_free(&out);
}

MK_SUSPENDS void login_begin(struct mk_ctx *c, struct login *l, const char *mechanism, const char *text) {
    struct mk_stream *st = l->stream;
    const char *address =
        mk_text_of(c, (struct mk_view){ st->conn.address, strrchr(st->conn.address, ':') - st->conn.address });
    struct sasl_env env = { st->host,
                            stream_channel(st),
                            stream_is_secure(st),
                            address,
                            l->from,
                            l->sasl2 ? mk_root(l->sasl2->request) : NULL,
                            l->agent ? &l->agent->said : NULL };
    sasl_over(l);
    l->sasl = mechanism ? sasl_new(&env, mechanism) : NULL;
    if (l->sasl)
        login_go(c, l, text);
    else
        login_failed(c, l, "invalid-mechanism", NULL);
}

/* RFC 6120, 6.4.2: "=" is an empty initial response, nothing at all is none. */
MK_SUSPENDS static void sasl_auth(struct mk_ctx *c, struct login *l) {
    const struct mk_elem *auth = mk_root(l->step);
    const char *text = mk_text(c, auth);
    if (login_needs_tls(l->stream))
        login_failed(c, l, "encryption-required", NULL);
    else
        login_begin(c, l, mk_attr(auth, "mechanism"), !*text ? NULL : strcmp(text, "=") == 0 ? "" : text);
}

MK_SUSPENDS static void sasl_response(struct mk_ctx *c, struct login *l) {
    const char *text = mk_text(c, mk_root(l->step));
    login_go(c, l, strcmp(text, "=") == 0 ? "" : text);
}

MK_SUSPENDS static void sasl_element(struct mk_ctx *c, struct login *l) {
    const char *name = mk_elem_name(mk_root(l->step));
    if (strcmp(name, "auth") == 0)
        sasl_auth(c, l);
    else if (strcmp(name, "response") == 0 && l->sasl)
        sasl_response(c, l);
    else if (strcmp(name, "abort") == 0)
        login_failed(c, l, "aborted", NULL);
    else
        login_failed(c, l, "malformed-request", NULL);
}

/* ---- steps ----------------------------------------------------------------------------------------------------------------- */

static const struct nonza_entry *nonza_row(const struct mk_stream *st, const struct mk_stanza *s) {
    const struct host_type *t = st->host->type;
    for (uint32_t i = 0; i < t->nonza_count; i++)
        if (t->nonzas[i].row->when & MK_WHEN_CONNECTED &&
            mk_elem_is(mk_root(s), t->nonzas[i].row->name, t->nonzas[i].row->ns))
            return &t->nonzas[i];
    return NULL;
}

static const struct iq_entry *open_iq(const struct mk_stream *st, const struct mk_stanza *s) {
    if (mk_stanza_kind(s) != MK_IQ || (mk_stanza_type(s) != MK_TYPE_GET && mk_stanza_type(s) != MK_TYPE_SET))
        return NULL;
    const struct iq_entry *entry = iq_find(st->host->type, s, MK_TO_SERVER);
    return entry && entry->row->flags & MK_UNAUTHED && entry->row->mode != MK_ASIDE ? entry : NULL;
}

MK_SUSPENDS static void step_turn(struct mk_ctx *c, struct mail *m) {
    struct login *l = container_of(m, struct login, mail);
    struct mk_stream *st = l->stream;
    c->stream = st;
    c->self = st->host->jid;
    if (st->state == STREAM_ENDED)
        return;
    const struct nonza_entry *row = nonza_row(st, l->step);
    if (strcmp(mk_elem_ns(mk_root(l->step)), NS_SASL) == 0) {
        sasl_element(c, l);
    } else if (strcmp(mk_elem_ns(mk_root(l->step)), NS_SASL2) == 0) {
        sasl2_element(c, l);
    } else if (row) {
        c->inst = row->inst;
        row->row->fn(c, st, l->step);
    } else {
        iq_handle(c, open_iq(st, l->step), l->step);
    }
}

static void step_done(struct mail *m) {
    struct login *l = container_of(m, struct login, mail);
    mk_release(l->step);
    l->step = NULL;
}

static void step(struct mk_stream *st, struct mk_stanza *s) {
    struct login *l = st->login;
    l->step = s;
    l->mail = (struct mail){ .suspends = true, .turn = step_turn, .done = step_done };
    stream_pause(st, STREAM_HELD_BY_TURN);
    stream_ref(st);
    l->stepping = true;
    entity_mail(&l->entity, &l->mail);
}

/* ---- TLS ------------------------------------------------------------------------------------------------------------------- */

static void starttls(struct mk_stream *st) {
    if (st->transport || stream_is_secure(st) || !st->host->cert) {
        say(st, "<failure xmlns='" NS_TLS "'/>");
        stream_close(st, NULL, NULL);
        return;
    }
    say(st, "<proceed xmlns='" NS_TLS "'/>");
    conn_start_tls(&st->conn, NULL);
}

bool login_in_exchange(const struct mk_stream *st) {
    return st->login && st->login->sasl2 && !st->account;
}

static bool is_sasl(const struct mk_stream *st, const struct mk_elem *root) {
    return strcmp(mk_elem_ns(root), NS_SASL) == 0 || (strcmp(mk_elem_ns(root), NS_SASL2) == 0 && sasl2_offered(st));
}

void login_element(struct mk_stream *st, struct mk_stanza *s) {
    const struct mk_elem *root = mk_root(s);
    if (login_in_exchange(st) && strcmp(mk_elem_ns(root), NS_SASL2) != 0) {
        mk_release(s);
        stream_error(st, "not-authorized", "Nothing else may be sent while you log in.");
    } else if (mk_elem_is(root, "starttls", NS_TLS)) {
        mk_release(s);
        starttls(st);
    } else if (is_sasl(st, root) || nonza_row(st, s) || (!login_needs_tls(st) && open_iq(st, s))) {
        step(st, s);
    } else {
        mk_release(s);
        stream_error(st, "not-authorized", NULL);
    }
}

/* ---- SDK ------------------------------------------------------------------------------------------------------------------- */

const char *mk_stream_note(const struct mk_stream *st, const char *name) {
    for (const struct note *n = st->login ? st->login->notes : NULL; n; n = n->next)
        if (strcmp(n->name, name) == 0)
            return n->value;
    return NULL;
}

void mk_stream_set_note(struct mk_stream *st, const char *name, const char *value) {
    size_t size = strlen(name) + 1;
    if (!st->login)
        return;
    for (struct note **at = &st->login->notes, *n; (n = *at) != NULL; at = &n->next) {
        if (strcmp(n->name, name) != 0)
            continue;
        *at = n->next;
        free(n);
        break;
    }
    if (!value)
        return;
    struct note *n = xmalloc(sizeof *n + size + strlen(value) + 1);
    memcpy(n->name, name, size);
    n->value = strcpy(n->name + size, value);
    n->next = st->login->notes;
    st->login->notes = n;
}
