/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanisms of plugins: what sasl.h of the SDK offers them. */
#include "run/turn.h"
#include "sasl/mechanism.h"
#include <assert.h>
#include <string.h>

static struct sasl *of(const struct mk_sasl *x) {
    return (struct sasl *)x;
}

enum sasl_status plugin_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out) {
    struct foreign *f = &s->foreign;
    const struct instance *before = c->inst;
    f->answer = (struct mk_view){ NULL, 0 };
    c->inst = f->entry->inst;
    enum mk_sasl_status status = f->entry->row->step(c, (struct mk_sasl *)s, in);
    c->inst = before;
    if (status == MK_SASL_SUCCESS && !s->account)
        return sasl_fail(s, "not-authorized", NULL);
    if (status != MK_SASL_FAILURE && f->answer.len)
        buf_add(out, f->answer.s, f->answer.len);
    if (status == MK_SASL_FAILURE && !s->condition)
        return sasl_unable(s);
    return status == MK_SASL_SUCCESS ? SASL_SUCCESS : status == MK_SASL_CONTINUE ? SASL_CONTINUE : SASL_FAILURE;
}

enum mk_sasl_status mk_sasl_identify(struct mk_sasl *x, struct mk_view name, struct mk_view authzid) {
    return sasl_identify(of(x), name, authzid) == SASL_CONTINUE ? MK_SASL_CONTINUE : MK_SASL_FAILURE;
}

const struct mk_jid *mk_sasl_account(const struct mk_sasl *x) {
    return of(x)->account;
}

void mk_sasl_answer(struct mk_sasl *x, const void *data, size_t len) {
    of(x)->foreign.answer = (struct mk_view){ arena_memdup(&of(x)->arena, data, len), len };
}

enum mk_sasl_status mk_sasl_fail(struct mk_sasl *x, const char *cond, const char *text) {
    sasl_fail(of(x), cond, text);
    return MK_SASL_FAILURE;
}

enum mk_sasl_status mk_sasl_refuse(struct mk_sasl *x, const char *cond, const char *text) {
    sasl_unable(of(x));
    of(x)->condition = cond;
    of(x)->text = text;
    return MK_SASL_FAILURE;
}

void *mk_sasl_state(struct mk_sasl *x, size_t size) {
    struct foreign *f = &of(x)->foreign;
    if (!f->state) {
        f->state = arena_zalloc(&of(x)->arena, size);
        f->state_size = size;
    }
    assert(f->state_size == size);
    return f->state;
}

const struct mk_elem *mk_sasl_request(const struct mk_sasl *x) {
    return of(x)->env.request;
}

const struct mk_agent *mk_sasl_agent(const struct mk_sasl *x) {
    return of(x)->env.agent;
}

bool mk_sasl_binding(const struct mk_sasl *x, const char *type, struct mk_view *out) {
    const struct channel *channel = &of(x)->channel;
    for (unsigned i = 0; i < channel->count; i++) {
        const struct binding *b = &channel->bindings[i];
        *out = (struct mk_view){ (const char *)b->data, b->len };
        if (strcmp(cb_name(b->type), type) == 0)
            return b->len != 0;
    }
    return false;
}
