/* SPDX-License-Identifier: Apache-2.0 */
/* The log as plugins write to it. */
#include "route/host.h"
#include "run/turn.h"
#include "util/log.h"
#include <meerkat/session.h>

void mk_log(struct mk_ctx *c, enum mk_level level, const char *fmt, ...) {
    const struct plugin *p = c->inst ? c->inst->plugin : NULL;
    if (p ? (int)level > atomic_load_explicit(&p->level, memory_order_relaxed) : !log_wants((int)level))
        return;
    const struct log_place place = {
        .plugin = p ? p->name : NULL,
        .host = c->host ? c->host->name : NULL,
        .entity = c->self && c->self->local_len ? mk_jid_text(c->self) : NULL,
        .peer = c->stream ? mk_stream_address(c->stream) : NULL,
    };
    va_list args;
    va_start(args, fmt);
    log_vline((int)level, &place, fmt, args);
    va_end(args);
}
