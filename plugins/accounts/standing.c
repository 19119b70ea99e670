/* SPDX-License-Identifier: Apache-2.0 */
#include "standing.h"
#include <string.h>

const struct mk_col_decl standing_cols[STANDING_COUNT] = {
    [STANDING_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [STANDING_HOST] = { "host", MK_C_JID, 0, "Its host." },
    [STANDING_USERNAME] = { "username", MK_C_TEXT, 0, "Its local part." },
    [STANDING_DISABLED] = { "disabled", MK_C_BOOL, 0, "Whether it is disabled." },
    [STANDING_BANNED] = { "banned", MK_C_TIME, MK_COL_NULL, "When it was banned; null: it was not." },
    [STANDING_UNTIL] = { "until", MK_C_TIME, MK_COL_NULL, "When the ban ends; null is never." },
    [STANDING_REASON] = { "reason", MK_C_TEXT, MK_COL_NULL, "Why it was banned." },
    [STANDING_ROLE] = { "role", MK_C_INT, 0, "0 user, 1 operator, 2 administrator." },
};
const struct mk_col_decl login_cols[LOGIN_COUNT] = {
    [LOGIN_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [LOGIN_TIME] = { "time", MK_C_TIME, 0, "When a session was last opened." },
    [LOGIN_ADDRESS] = { "address", MK_C_TEXT, 0, "Address of its client." },
};

static const char *const states[] = {
    [MK_ACCOUNT_ENABLED] = "enabled", [MK_ACCOUNT_DISABLED] = "disabled", [MK_ACCOUNT_BANNED] = "banned"
};
static const char *const roles[] = {
    [MK_ROLE_USER] = "user", [MK_ROLE_OPERATOR] = "operator", [MK_ROLE_ADMIN] = "admin"
};

const char *standing_name(uint32_t state) {
    return states[state];
}
const char *role_name(uint32_t role) {
    return roles[role];
}

int role_named(const char *name) {
    for (int i = MK_ROLE_USER; i <= MK_ROLE_ADMIN; i++)
        if (strcmp(roles[i], name) == 0)
            return i;
    return -1;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

/* A ban ends by itself: nobody has to come by and end it. */
void standing_read(struct mk_ctx *c, const struct mk_row *row, struct standing *out) {
    int64_t until = mk_row_is_null(row, STANDING_UNTIL) ? 0 : mk_row_int(row, STANDING_UNTIL);
    int64_t role = mk_row_int(row, STANDING_ROLE);
    *out = (struct standing){ .disabled = mk_row_int(row, STANDING_DISABLED) != 0 };
    out->role = role >= MK_ROLE_USER && role <= MK_ROLE_ADMIN ? (uint32_t)role : (uint32_t)MK_ROLE_USER;
    if (mk_row_is_null(row, STANDING_BANNED) || (until && until <= mk_now(c)))
        return;
    out->is_banned = true;
    out->banned = mk_row_int(row, STANDING_BANNED);
    out->until = until;
    out->reason = mk_row_text(row, STANDING_REASON);
}

MK_SUSPENDS int standing_get(struct mk_ctx *c, const struct mk_jid *account, struct standing *out) {
    const struct accounts *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_jid_to_bare(c, account));
    const struct mk_row *row;
    *out = (struct standing){ .role = MK_ROLE_USER };
    int rc = mk_get(c, me->standings, &key, &row);
    if (rc == MK_OK)
        standing_read(c, row, out);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

MK_SUSPENDS int standing_put(struct mk_ctx *c, const struct standing *s) {
    const struct accounts *me = mk_inst(c);
    const struct mk_value row[STANDING_COUNT] = {
        [STANDING_OWNER] = mk_v_jid(mk_self(c)),
        [STANDING_HOST] = mk_v_jid(mk_host(c)),
        [STANDING_USERNAME] = mk_v_view(mk_jid_local(mk_self(c))),
        [STANDING_DISABLED] = mk_v_bool(s->disabled),
        [STANDING_BANNED] = s->is_banned ? mk_v_time(s->banned) : mk_v_null(),
        [STANDING_UNTIL] = s->is_banned && s->until ? mk_v_time(s->until) : mk_v_null(),
        [STANDING_REASON] = s->is_banned ? mk_v_text(s->reason) : mk_v_null(),
        [STANDING_ROLE] = mk_v_int(s->role),
    };
    if (s->disabled || s->is_banned || s->role != MK_ROLE_USER)
        return mk_put_now(c, me->standings, MK_UPSERT, row);
    int rc = mk_del(c, me->standings, row);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

MK_SUSPENDS int standings_scan(struct mk_ctx *c, const char *first, const char *last, const struct mk_rows **rows) {
    const struct accounts *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), lo = mk_v_text(first), hi = mk_v_text(last);
    return mk_scan(c, me->standings,
                   MK_SCAN(.index = 1, .partition = &host, .lo = &lo, .lo_count = first ? 1 : 0, .hi = &hi,
                           .hi_count = last ? 1 : 0),
                   rows);
}

/* ---- what it means ---------------------------------------------------------------------------------------------------- */

uint32_t standing_state(const struct standing *s) {
    return s->is_banned ? MK_ACCOUNT_BANNED : s->disabled ? MK_ACCOUNT_DISABLED : MK_ACCOUNT_ENABLED;
}

const char *standing_text(struct mk_ctx *c, const struct standing *s) {
    if (!s->is_banned)
        return "The account is disabled.";
    const char *reason = s->reason && *s->reason ? s->reason : "The account is banned.";
    return s->until ? mk_printf(c, "%s (until %s)", reason, mk_time_text(c, s->until)) : reason;
}

MK_SUSPENDS int role_of(struct mk_ctx *c, const struct mk_jid *who, uint32_t *role) {
    struct mk_view domain = mk_jid_domain(who), host = mk_jid_domain(mk_host(c));
    struct standing s;
    *role = mk_is_admin(c, who) ? MK_ROLE_ADMIN : MK_ROLE_USER;
    if (*role == MK_ROLE_ADMIN || !mk_jid_local(who).len || domain.len != host.len ||
        memcmp(domain.s, host.s, host.len) != 0)
        return MK_OK;
    int rc = standing_get(c, who, &s);
    if (rc == MK_OK)
        *role = s.role;
    return rc;
}

MK_SUSPENDS int account_info(struct mk_ctx *c, const struct mk_jid *account, struct mk_account_info *info) {
    const struct accounts *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_jid_to_bare(c, account));
    const struct mk_row *row;
    struct standing s;
    int rc = standing_get(c, account, &s);
    if (rc != MK_OK)
        return rc;
    *info = (struct mk_account_info){ .state = standing_state(&s), .since = s.banned, .until = s.until };
    info->role = mk_is_admin(c, account) ? (uint32_t)MK_ROLE_ADMIN : s.role;
    info->reason = s.reason ? s.reason : "";
    info->address = "";
    rc = mk_get(c, me->logins, &key, &row);
    if (rc == MK_OK) {
        info->login = mk_row_int(row, LOGIN_TIME);
        info->address = mk_row_text(row, LOGIN_ADDRESS);
    }
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

MK_SUSPENDS int admins_list(struct mk_ctx *c, const struct mk_jid *const **jids, uint32_t *count) {
    const struct mk_rows *rows;
    unsigned configured = 0;
    int rc = standings_scan(c, NULL, NULL, &rows);
    if (rc != MK_OK)
        return rc;
    while (mk_admin_at(c, configured))
        configured++;
    const struct mk_jid **all = mk_alloc(c, (configured + mk_rows_count(rows) + 1) * sizeof(*all));
    *count = 0;
    for (unsigned i = 0; i < configured; i++)
        all[(*count)++] = mk_jid_to_bare(c, mk_admin_at(c, i));
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_jid *jid = mk_row_jid(mk_rows_at(rows, i), STANDING_OWNER);
        if (mk_row_int(mk_rows_at(rows, i), STANDING_ROLE) == MK_ROLE_ADMIN && !mk_is_admin(c, jid))
            all[(*count)++] = jid;
    }
    *jids = all;
    return MK_OK;
}
