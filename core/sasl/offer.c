/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/mechanism.h"
#include <stdio.h>
#include <string.h>

#define SCRAM(suffix, bit, hash)                                                                                       \
    { "SCRAM-SHA-" suffix, MECHANISM_SPEAKS_FIRST, (bit), (hash), scram_step }
#define SCRAM_PLUS(suffix, bit, hash)                                                                                  \
    { "SCRAM-SHA-" suffix "-PLUS", MECHANISM_SPEAKS_FIRST | MECHANISM_PLUS, (bit), (hash), scram_step }

/* Strongest first. */
static const struct mechanism mechanisms[] = {
    SCRAM_PLUS("512", MK_AUTH_SCRAM_SHA_512, MK_SHA_512),
    SCRAM_PLUS("256", MK_AUTH_SCRAM_SHA_256, MK_SHA_256),
    SCRAM_PLUS("1", MK_AUTH_SCRAM_SHA_1, MK_SHA_1),
    SCRAM("512", MK_AUTH_SCRAM_SHA_512, MK_SHA_512),
    SCRAM("256", MK_AUTH_SCRAM_SHA_256, MK_SHA_256),
    SCRAM("1", MK_AUTH_SCRAM_SHA_1, MK_SHA_1),
    { "PLAIN", MECHANISM_SPEAKS_FIRST | MECHANISM_CLEAR, MK_AUTH_PASSWORD, 0, plain_step },
    { "ANONYMOUS", MECHANISM_ANONYMOUS, 0, 0, anonymous_step },
};
enum { MECHANISMS = sizeof mechanisms / sizeof mechanisms[0], BINDINGS = 3 };

static const struct mechanism *by_name(const char *name) {
    for (size_t i = 0; i < MECHANISMS; i++)
        if (strcmp(mechanisms[i].name, name) == 0)
            return &mechanisms[i];
    return NULL;
}

static void read_version(char out[5], const struct conn *conn) {
    const char *name = conn_tls_name(conn);
    unsigned minor = 0;
    if (name && sscanf(name, "TLS1.%2u", &minor) == 1)
        snprintf(out, 5, "03%02x", (minor + 1) & 0xff);
}

void channel_read(struct channel *out, const struct conn *conn, bool with_data) {
    static const enum cb_type types[BINDINGS] = { CB_TLS_EXPORTER, CB_TLS_UNIQUE, CB_TLS_SERVER_END_POINT };
    memset(out, 0, sizeof *out);
    if (!conn)
        return;
    read_version(out->version, conn);
    for (size_t i = 0; i < BINDINGS; i++) {
        if (!conn_has_channel_binding(conn, types[i]))
            continue;
        struct binding *b = &out->bindings[out->count++];
        b->type = types[i];
        if (with_data && !conn_channel_binding(conn, b->type, b->data, &b->len))
            b->len = 0;
    }
}

/* Clients that know channel binding may rely on tls-server-end-point (XEP-0440): without it there is no -PLUS. */
static bool can_bind(const struct channel *channel) {
    for (unsigned i = 0; i < channel->count; i++)
        if (channel->bindings[i].type == CB_TLS_SERVER_END_POINT)
            return true;
    return false;
}

uint32_t provider_caps(const struct mk_auth *provider) {
    const struct mk_auth_ops *ops = provider->svc.ops;
    uint32_t caps = ops->caps;
    const struct instance *inst = provider->svc.provider;
    if (ops->size > offsetof(struct mk_auth_ops, narrow) && ops->narrow && inst)
        caps &= ops->narrow(inst->bytes);
    return caps;
}

static uint32_t caps_of_all(const struct host_type *type) {
    uint32_t caps = 0;
    for (uint32_t i = 0; i < type->auth_count; i++)
        caps |= provider_caps(type->auth[i]);
    return caps;
}

static bool is_listed(const struct host_type *type, const char *name) {
    if (!type->sasl)
        return true;
    for (uint32_t i = 0; i < type->sasl_count; i++)
        if (strcmp(type->sasl[i], name) == 0)
            return true;
    return false;
}

static bool clear_is_fine(const struct sasl_env *env) {
    return env->secure || env->host->type->plain_without_tls;
}

/* Whether the profile and the connection are right for a mechanism of a plugin. */
static bool row_fits(const struct sasl_env *env, const struct mk_mechanism_decl *row) {
    if (!(row->flags & MK_MECHANISM_UNLISTED) && !is_listed(env->host->type, row->name))
        return false;
    return (!(row->flags & MK_MECHANISM_CLEAR) || clear_is_fine(env)) &&
           (!(row->flags & MK_MECHANISM_SASL2) || env->request);
}

void offer_make(struct arena *arena, const struct sasl_env *env, const struct channel *channel,
                struct sasl_offer *out) {
    const struct host_type *type = env->host->type;
    uint32_t caps = caps_of_all(type);
    bool binds = false;
    *out = (struct sasl_offer){ .mechanisms =
                                    arena_zalloc(arena, (MECHANISMS + type->mechanism_count + 1) * sizeof(char *)),
                                .bindings = arena_zalloc(arena, (BINDINGS + 1) * sizeof(char *)) };
    for (size_t i = 0; i < MECHANISMS; i++) {
        const struct mechanism *m = &mechanisms[i];
        if (!is_listed(type, m->name) || (caps & m->needs) != m->needs)
            continue;
        if (((m->flags & MECHANISM_PLUS) && !can_bind(channel)) ||
            ((m->flags & MECHANISM_CLEAR) && !clear_is_fine(env)) ||
            ((m->flags & MECHANISM_ANONYMOUS) && !type->anonymous))
            continue;
        binds |= m->flags & MECHANISM_PLUS;
        out->mechanisms[out->mechanism_count++] = m->name;
    }
    for (uint32_t i = 0; i < type->mechanism_count; i++)
        if (!(type->mechanisms[i].row->flags & MK_MECHANISM_UNLISTED) && row_fits(env, type->mechanisms[i].row))
            out->mechanisms[out->mechanism_count++] = type->mechanisms[i].row->name;
    for (unsigned i = 0; binds && i < channel->count; i++)
        out->bindings[out->binding_count++] = cb_name(channel->bindings[i].type);
}

const struct mechanism_entry *offer_find_row(const struct sasl_env *env, const char *name) {
    const struct host_type *type = env->host->type;
    for (uint32_t i = 0; i < type->mechanism_count; i++)
        if (strcmp(type->mechanisms[i].row->name, name) == 0)
            return row_fits(env, type->mechanisms[i].row) ? &type->mechanisms[i] : NULL;
    return NULL;
}

void sasl_offer(struct arena *arena, const struct sasl_env *env, struct sasl_offer *out) {
    struct channel channel;
    channel_read(&channel, env->conn, false);
    offer_make(arena, env, &channel, out);
}

const struct mechanism *offer_find(const struct sasl_env *env, const struct sasl_offer *offer, const char *name,
                                   const char **why) {
    const struct host_type *type = env->host->type;
    const struct mechanism *m = by_name(name);
    *why = NULL;
    if (!m)
        return NULL;
    for (unsigned i = 0; i < offer->mechanism_count; i++)
        if (offer->mechanisms[i] == m->name)
            return m;
    if (is_listed(type, name) && (m->flags & MECHANISM_CLEAR) && !clear_is_fine(env) && (caps_of_all(type) & m->needs))
        *why = "encryption-required";
    else if (!is_listed(type, name) && offer->mechanism_count && m > by_name(offer->mechanisms[0]))
        *why = "mechanism-too-weak";
    return NULL;
}
