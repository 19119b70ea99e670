/* SPDX-License-Identifier: Apache-2.0 */
/* PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd. */
#include "sasl/mechanism.h"
#include <string.h>

struct plain {
    struct mk_view authzid, authcid, passwd;
};

static bool take_part(struct mk_view *in, struct mk_view *part) {
    const char *nul = memchr(in->s, 0, in->len);
    if (!nul)
        return false;
    *part = (struct mk_view){ in->s, (size_t)(nul - in->s) };
    in->s = nul + 1;
    in->len -= part->len + 1;
    return true;
}

static bool parse(struct mk_view in, struct plain *p) {
    if (!take_part(&in, &p->authzid) || !take_part(&in, &p->authcid))
        return false;
    p->passwd = in;
    return p->authcid.len && p->passwd.len && p->passwd.len <= SASL_NAME_MAX &&
           utf8_valid(p->authzid.s, p->authzid.len) && utf8_valid(p->authcid.s, p->authcid.len) &&
           utf8_valid(p->passwd.s, p->passwd.len);
}

/* One that knows the account but takes no passwords ends the search as well: the account is its. */
MK_SUSPENDS static int ask(struct mk_ctx *c, const struct mk_auth *provider, const struct mk_jid *account,
                           const char *password) {
    if (provider_caps(provider) & MK_AUTH_PASSWORD)
        return mk_auth_check_password(c, provider, account, password);
    int rc = mk_auth_exists(c, provider, account);
    return rc == 0 ? MK_E_DENIED : rc;
}

MK_SUSPENDS static enum sasl_status check(struct mk_ctx *c, struct sasl *s, const char *password) {
    const struct host_type *type = s->env.host->type;
    for (uint32_t i = 0; i < type->auth_count && s->account; i++) {
        int rc = ask(c, type->auth[i], s->account, password);
        if (rc == 0)
            return SASL_SUCCESS;
        if (rc == MK_E_DENIED || rc == MK_E_INVALID)
            break;
        if (rc != MK_E_NOTFOUND && rc != MK_E_UNSUPPORTED)
            return sasl_unable(s);
    }
    return sasl_fail(s, "not-authorized", NULL);
}

enum sasl_status plain_step(struct mk_ctx *c, struct sasl *s, struct mk_view in, struct buf *out) {
    struct plain p;
    (void)out;
    if (!parse(in, &p))
        return sasl_fail(s, "malformed-request", NULL);
    enum sasl_status status = sasl_identify(s, p.authcid, p.authzid);
    if (status != SASL_CONTINUE)
        return status;
    char *password = arena_memdup(&s->arena, p.passwd.s, p.passwd.len);
    status = check(c, s, password);
    explicit_bzero(password, p.passwd.len);
    /* What others tried while this one waited counts: many at once are no way around the limit. */
    return throttle_refuses(s->env.address, s->account) ? sasl_refuse(s) : status;
}
