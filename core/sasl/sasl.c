/* SPDX-License-Identifier: Apache-2.0 */
#include "run/metric.h"
#include "run/turn.h"
#include "sasl/mechanism.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

struct sasl *sasl_begin(const struct sasl_env *env, const struct channel *channel, const char *mechanism) {
    struct sasl *s = xcalloc(1, sizeof *s);
    const char *why;
    arena_init(&s->arena);
    s->env = *env;
    s->env.conn = NULL;
    s->env.address = arena_strdup(&s->arena, env->address ? env->address : "");
    s->channel = *channel;
    offer_make(&s->arena, env, &s->channel, &s->offer);
    s->mechanism = offer_find(env, &s->offer, mechanism, &why);
    if (!s->mechanism && (s->foreign.entry = offer_find_row(env, mechanism)) != NULL) {
        const struct mk_mechanism_decl *row = s->foreign.entry->row;
        uint32_t flags = row->flags & MK_MECHANISM_SPEAKS_FIRST ? MECHANISM_SPEAKS_FIRST : 0;
        s->foreign.mechanism = (struct mechanism){ row->name, flags, 0, 0, plugin_step };
        s->mechanism = &s->foreign.mechanism;
    }
    if (!s->mechanism && !why) {
        sasl_free(s);
        return NULL;
    }
    if (!s->mechanism)
        s->condition = why;
    else if (s->mechanism->step == scram_step)
        scram_begin(s);
    return s;
}

struct sasl *sasl_new(const struct sasl_env *env, const char *mechanism) {
    struct channel channel;
    channel_read(&channel, env->conn, true);
    struct sasl *s = sasl_begin(env, &channel, mechanism);
    explicit_bzero(&channel, sizeof channel);
    return s;
}

void sasl_free(struct sasl *s) {
    if (!s)
        return;
    if (s->foreign.state)
        explicit_bzero(s->foreign.state, s->foreign.state_size);
    arena_free(&s->arena);
    explicit_bzero(s, sizeof *s);
    free(s);
}

enum sasl_status sasl_fail(struct sasl *s, const char *condition, const char *text) {
    s->condition = condition;
    s->text = text;
    s->counts = s->costs = true;
    return SASL_FAILURE;
}

enum sasl_status sasl_unable(struct sasl *s) {
    s->condition = "temporary-auth-failure";
    s->text = NULL;
    return SASL_FAILURE;
}

enum sasl_status sasl_refuse(struct sasl *s) {
    s->condition = "temporary-auth-failure";
    s->text = "Too many failed logins; try again later";
    s->counts = true;
    s->costs = false;
    return SASL_FAILURE;
}

/* SASLprep as of a query (RFC 4013): what Unicode has got since then is let through.  Len 0 if it is refused. */
static struct mk_view prepare(struct arena *arena, struct mk_view name) {
    const struct mk_view refused = { "", 0 };
    bool plain = true;
    if (!name.len || name.len > SASL_NAME_MAX || !utf8_valid(name.s, name.len))
        return refused;
    for (size_t i = 0; i < name.len; i++)
        plain &= name.s[i] >= ' ' && name.s[i] <= '~';
    if (plain)
        return name;
    char *room = arena_zalloc(arena, SASL_NAME_MAX + 1);
    memcpy(room, name.s, name.len);
    if (stringprep(room, SASL_NAME_MAX + 1, 0, stringprep_saslprep) != STRINGPREP_OK)
        return refused;
    return (struct mk_view){ room, strlen(room) };
}

static bool is_own(struct sasl *s, struct mk_view authzid) {
    const struct mk_jid *wanted;
    return jid_parse(&s->arena, authzid.s, authzid.len, &wanted) == 0 && mk_jid_same(wanted, s->account) &&
           (!s->env.from || mk_jid_same_bare(s->env.from, wanted));
}

enum sasl_status sasl_identify(struct sasl *s, struct mk_view name, struct mk_view authzid) {
    const struct mk_view none = { NULL, 0 };
    struct mk_view local = prepare(&s->arena, name);
    if (!local.len)
        return sasl_fail(s, "malformed-request", "The user name is not valid");
    if (jid_make(&s->arena, local, mk_jid_domain(s->env.host->jid), none, &s->account) != 0)
        s->account = NULL;
    if (authzid.len && !is_own(s, authzid))
        return sasl_fail(s, "invalid-authzid", NULL);
    return throttle_refuses(s->env.address, s->account) ? sasl_refuse(s) : SASL_CONTINUE;
}

MK_SUSPENDS static enum sasl_status step(struct mk_ctx *c, struct sasl *s, const void *data, size_t len,
                                         struct buf *out) {
    if (s->condition)
        return SASL_FAILURE;
    if (len > SASL_MESSAGE_MAX)
        return sasl_fail(s, "malformed-request", "The message is too long");
    if (throttle_refuses(s->env.address, s->account))
        return sasl_refuse(s);
    if (!data && (s->mechanism->flags & MECHANISM_SPEAKS_FIRST) && !s->asked) {
        s->asked = true;
        return SASL_CONTINUE;
    }
    struct mk_view in = { data ? data : "", len };
    return s->mechanism->step(c, s, in, out);
}

static void log_outcome(const struct sasl *s, enum sasl_status status) {
    const struct log_place place = { .host = s->env.host->name,
                                     .entity = s->account ? s->account->text : NULL,
                                     .peer = *s->env.address ? s->env.address : NULL };
    const char *mechanism = s->mechanism ? s->mechanism->name : "a mechanism not offered";
    if (status == SASL_SUCCESS && log_wants(MK_DEBUG))
        log_line(MK_DEBUG, &place, "logged in with %s", mechanism);
    if (status == SASL_FAILURE && log_wants(MK_INFO))
        log_line(MK_INFO, &place, "login with %s failed: %s%s%s", mechanism, s->condition, s->text ? ", " : "",
                 s->text ? s->text : "");
}

/* The client has proved who it is: whether it may come in is for plugins to say. */
MK_SUSPENDS static enum sasl_status admit(struct mk_ctx *c, struct sasl *s, struct buf *out) {
    struct mk_ev_login ev = { .account = s->account, .mechanism = s->mechanism->name, .address = s->env.address };
    if (!chain_run(c, MK_HOOK_login, &ev))
        return SASL_SUCCESS;
    out->len = 0;
    s->condition = ev.condition ? ev.condition : "not-authorized";
    s->text = ev.text ? arena_strdup(&s->arena, ev.text) : NULL;
    return SASL_FAILURE;
}

enum sasl_status sasl_step(struct mk_ctx *c, struct sasl *s, const void *data, size_t len, struct buf *out) {
    if (s->ended)
        return SASL_FAILURE;
    buf_add(out, "", 0);
    enum sasl_status status = step(c, s, data, len, out);
    if (status == SASL_CONTINUE)
        return status;
    if (status == SASL_SUCCESS)
        status = admit(c, s, out);
    s->ended = true;
    explicit_bzero(&s->scram.keys, sizeof s->scram.keys);
    log_outcome(s, status);
    if (status == SASL_SUCCESS) {
        METRIC(c->worker, logins, 1);
        if (!s->anonymous)
            throttle_succeeded(s->env.address, s->account);
    } else if (s->counts) {
        METRIC(c->worker, login_failures, 1);
        /* A deadline or a stop ends only the waiting: the answer is the same. */
        if (s->costs && throttle_failed(c, s->env.address, s->account) != 0)
            return status;
    }
    return status;
}

const char *sasl_condition(const struct sasl *s) {
    return s->condition;
}
const char *sasl_text(const struct sasl *s) {
    return s->text;
}
const struct mk_jid *sasl_account(const struct sasl *s) {
    return s->account;
}
const char *sasl_mechanism(const struct sasl *s) {
    return s->mechanism->name;
}
bool sasl_is_anonymous(const struct sasl *s) {
    return s->anonymous;
}
