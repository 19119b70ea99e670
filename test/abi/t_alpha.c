/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A right plugin: something in nearly every table.  Handlers write their letter to the text that the test passes as the
 * session.
 */
#define MK_ABI_NEED 0
#include "t_iface.h"
#include <meerkat/plugin.h>
#include <string.h>

struct alpha {
    const char *greeting, *fixed;
    int64_t limit;
    struct mk_texts words;
    const char *started; /* made by start(): "fixed" at that time */
};

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct alpha, greeting, "hello", MK_OPT_LIVE, "What it says."),
    MK_OPT_TEXT(struct alpha, fixed, "stone", 0, "What stays."),
    MK_OPT_INT(struct alpha, limit, "10", 1, 100, MK_OPT_LIVE, "How much."),
    MK_OPT_TEXTS(struct alpha, words, "a, b", MK_OPT_LIVE, "Which words."),
};

static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct alpha *me = mk_inst(c);
    strcat((char *)ev->session, "A");
    strncat((char *)ev->session, me->greeting, 1);
    return MK_NEXT;
}
static enum mk_flow on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)c;
    strcat((char *)ev->session, "a");
    return MK_STOP;
}
static enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    (void)c;
    strcat((char *)ev->session, "o");
    return MK_STOP;
}
static enum mk_flow on_host(struct mk_ctx *c, struct mk_ev_host *ev) {
    (void)c;
    (void)ev;
    return MK_NEXT;
}
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, 50, MK_INLINE, on_message),
    MK_ON(user_send_presence, 40, MK_SERIAL, on_presence),
    MK_ON(session_opened, 50, MK_INLINE, on_opened),
    MK_ON(host_started, 50, MK_INLINE, on_host),
};

static int on_iq(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)iq;
    return (int)((const struct alpha *)mk_inst(c))->limit;
}
static const struct mk_iq_decl iqs[] = {
    { "query", "urn:test:alpha", MK_TO_SERVER | MK_TO_ACCOUNT, MK_GET, MK_INLINE, 0, on_iq },
};

static void on_nonza(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza) {
    (void)c;
    (void)st;
    (void)nonza;
}
static const struct mk_nonza_decl nonzas[] = { { "r", "urn:test:alpha", MK_WHEN_BOUND, MK_INLINE, on_nonza } };
static const struct mk_feature_decl features[] = { { "alpha", "urn:test:alpha", MK_WHEN_AUTHED, 0, NULL } };
static const struct mk_disco_decl disco[] = {
    { "urn:test:z", MK_TO_SERVER, 0 },
    { "urn:test:both", MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};

/* The slot holds a counter that init sets to the option `limit`; fini writes to where the test asked. */
struct slot {
    int64_t count;
    char **gone;
};
static void slot_init(struct mk_ctx *c, void *slot) {
    ((struct slot *)slot)->count = ((const struct alpha *)mk_inst(c))->limit;
}
static void slot_fini(void *slot) {
    struct slot *s = slot;
    if (s->gone)
        *(*s->gone)++ = 'A';
}
static const struct mk_slot_decl slots[] = {
    { "bare", MK_ON_SESSION, 3, NULL, NULL },
    { "full", MK_ON_SESSION, sizeof(struct slot), slot_init, slot_fini },
    { "mine", MK_ON_ACCOUNT, 8, NULL, NULL },
};

static void on_timer(struct mk_ctx *c, struct mk_session *session) {
    (void)c;
    (void)session;
}
static const struct mk_timer_decl timers[] = { { "tick", MK_ON_SESSION, MK_INLINE, on_timer } };
static const struct mk_metric_decl metrics[] = {
    { "greeted", MK_COUNTER, 0, "messages", "Greetings." },
    { "sizes", MK_HISTOGRAM, 0, "bytes", "Sizes." },
    { "open", MK_GAUGE, 0, "", "Open." },
};

static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    (void)args;
    (void)result;
    return 0;
}
static const struct mk_arg_decl show_args[] = { { "user", MK_ARG_JID, 0, "Whose." } };
static const struct mk_arg_decl show_results[] = { { "count", MK_ARG_INT, 0, "How many." } };
static const struct mk_cmd_decl commands[] = {
    { "alpha.show", "Show it", "GET /alpha/{user}", "user", MK_CMD_READ, 0, MK_TABLE(show_args), MK_TABLE(show_results),
      cmd_show },
};

static int twice(struct mk_ctx *c, int64_t n) {
    return (int)(2 * n + ((const struct alpha *)mk_inst(c))->limit);
}
static const struct t_iface_ops ops = { sizeof ops, 0, twice };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(t_iface, 1, 3, &ops, "Numbers.") };
static const struct mk_xep_decl xeps[] = { { "0001", "1.0", "complete", "All of it." } };

static int start(void *inst, struct mk_err *err) {
    struct alpha *me = inst;
    me->started = me->fixed;
    if (strcmp(me->greeting, "fail") == 0)
        return mk_fail(err, MK_E_INVALID, "it was asked to %s", me->greeting);
    return 0;
}

static int worker_start(const void *inst, void *worker, struct mk_err *err) {
    const struct alpha *me = inst;
    *(int64_t *)worker = me->limit;
    return strcmp(me->greeting, "worker") == 0 ? mk_fail(err, MK_E_BUSY, "no room") : 0;
}
static void worker_stop(const void *inst, void *worker) {
    (void)inst;
    *(int64_t *)worker = 0;
}

MK_PLUGIN(t_alpha, .version = "1.0", .summary = "Test: right in all tables", .inst_size = sizeof(struct alpha),
          .worker_size = sizeof(int64_t), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .hooks = MK_TABLE(hooks), .iqs = MK_TABLE(iqs), .nonzas = MK_TABLE(nonzas), .features = MK_TABLE(features),
          .disco = MK_TABLE(disco), .slots = MK_TABLE(slots), .timers = MK_TABLE(timers), .metrics = MK_TABLE(metrics),
          .commands = MK_TABLE(commands), .xeps = MK_TABLE(xeps), .start = start, .worker_start = worker_start,
          .worker_stop = worker_stop);
