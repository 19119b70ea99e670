/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"
#include <string.h>

const struct mk_col_decl invite_cols[COL_COUNT] = {
    [COL_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [COL_TOKEN] = { "token", MK_C_TEXT, MK_COL_SORT, "What the invited shows." },
    [COL_INVITER] = { "inviter", MK_C_TEXT, 0, "Bare JID of who invites; empty: the host." },
    [COL_USERNAME] = { "username", MK_C_TEXT, 0, "The name that it is for; empty: any." },
    [COL_ROSTER] = { "roster", MK_C_BOOL, 0, "Whether inviter and invited become contacts." },
    [COL_ACCOUNT] = { "account", MK_C_BOOL, 0, "Whether it may make an account." },
    [COL_USES] = { "uses", MK_C_INT, 0, "How often it may be used." },
    [COL_USED] = { "used", MK_C_INT, 0, "How often it was." },
    [COL_CREATED] = { "created", MK_C_TIME, 0, "When it was made." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When it ends; null is never." },
};

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

void invite_read(const struct mk_row *row, struct invite *out) {
    *out = (struct invite){
        .token = mk_row_text(row, COL_TOKEN),
        .inviter = mk_row_text(row, COL_INVITER),
        .username = mk_row_text(row, COL_USERNAME),
        .roster = mk_row_int(row, COL_ROSTER) != 0,
        .account = mk_row_int(row, COL_ACCOUNT) != 0,
        .uses = mk_row_int(row, COL_USES),
        .used = mk_row_int(row, COL_USED),
        .created = mk_row_int(row, COL_CREATED),
        .expires = mk_row_is_null(row, COL_EXPIRES) ? 0 : mk_row_int(row, COL_EXPIRES),
    };
}

/* 120 bits that one can read out. */
static const char *new_token(struct mk_ctx *c) {
    static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
    enum { LENGTH = 24 };
    uint8_t random[LENGTH];
    char *text = mk_alloc(c, LENGTH + 1);
    mk_random(random, sizeof random);
    for (int i = 0; i < LENGTH; i++)
        text[i] = alphabet[random[i] % 32];
    return text;
}

int invite_create(struct mk_ctx *c, struct invite *i) {
    const struct invites *me = mk_inst(c);
    i->token = new_token(c);
    i->created = mk_now(c);
    if (!i->expires && me->ttl < (INT64_MAX - i->created) / 1000)
        i->expires = i->created + me->ttl * 1000;
    const struct mk_value row[COL_COUNT] = {
        [COL_HOST] = mk_v_jid(mk_host(c)),     [COL_TOKEN] = mk_v_text(i->token),
        [COL_INVITER] = mk_v_text(i->inviter), [COL_USERNAME] = mk_v_text(i->username),
        [COL_ROSTER] = mk_v_bool(i->roster),   [COL_ACCOUNT] = mk_v_bool(i->account),
        [COL_USES] = mk_v_int(i->uses),        [COL_USED] = mk_v_int(0),
        [COL_CREATED] = mk_v_time(i->created), [COL_EXPIRES] = i->expires ? mk_v_time(i->expires) : mk_v_null(),
    };
    return mk_put_now(c, me->invites, MK_IF_ABSENT, row);
}

int invite_get(struct mk_ctx *c, const char *token, struct invite *out) {
    const struct invites *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(token) };
    const struct mk_row *row;
    if (!*token || strlen(token) > 64)
        return MK_E_NOTFOUND;
    int rc = mk_get(c, me->invites, key, &row);
    if (rc == MK_OK)
        invite_read(row, out);
    return rc;
}

int invite_delete(struct mk_ctx *c, const char *token) {
    const struct invites *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(token) };
    return mk_del(c, me->invites, key);
}

MK_SUSPENDS static int add(struct mk_ctx *c, const char *token, int64_t by, int64_t *used) {
    const struct invites *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(token) };
    return mk_add(c, me->invites, key, COL_USED, by, used);
}

int invite_unuse(struct mk_ctx *c, const char *token) {
    int64_t used;
    return add(c, token, -1, &used);
}

/* Counted first, and compared then: of two that use the last one together one is told that it is too late. */
int invite_use(struct mk_ctx *c, const char *token) {
    struct invite i;
    int64_t used;
    int rc = invite_get(c, token, &i);
    if (rc == MK_OK)
        rc = add(c, token, 1, &used);
    if (rc != MK_OK || used <= i.uses)
        return rc;
    rc = invite_unuse(c, token);
    return rc == MK_OK ? MK_E_LIMIT : rc;
}

int invites_scan(struct mk_ctx *c, uint32_t index, const char *key, const struct mk_rows **rows) {
    const struct invites *me = mk_inst(c);
    const struct mk_value partition[] = { mk_v_jid(mk_host(c)), mk_v_text(key) };
    return mk_scan(c, me->invites, MK_SCAN(.index = index, .partition = partition), rows);
}

/* ---- links ------------------------------------------------------------------------------------------------------------- */

/* A local part or domain in a URI (RFC 5122, 2.2). */
static const char *escape(struct mk_ctx *c, const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~@:!$";
    char *out = mk_alloc(c, strlen(text) * 3 + 1), *at = out;
    for (; *text; text++) {
        if (strchr(plain, *text)) {
            *at++ = *text;
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[(unsigned char)*text >> 4];
            *at++ = "0123456789ABCDEF"[(unsigned char)*text & 15];
        }
    }
    return out;
}

const char *invite_uri(struct mk_ctx *c, const struct invite *i) {
    const char *host = mk_jid_text(mk_host(c));
    if (*i->inviter && !*i->username && i->roster)
        return mk_printf(c, "xmpp:%s?roster;preauth=%s%s", escape(c, i->inviter), i->token, i->account ? ";ibr=y" : "");
    return mk_printf(c, "xmpp:%s%s%s?register;preauth=%s", escape(c, i->username), *i->username ? "@" : "", host,
                     i->token);
}

const char *invite_page(struct mk_ctx *c, const struct invite *i) {
    static const char place[] = "{token}";
    const struct invites *me = mk_inst(c);
    const char *at = me->landing_url ? strstr(me->landing_url, place) : NULL;
    if (!at)
        return NULL;
    return mk_printf(c, "%.*s%s%s", (int)(at - me->landing_url), me->landing_url, i->token, at + strlen(place));
}
